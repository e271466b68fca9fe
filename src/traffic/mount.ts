// One configured upstream at one path, with everything that belongs to it: its pool, its ids, its dedicated links, and
// what is known of its health. Opens every link there is.

import { Agent, type Dispatcher } from 'undici';
import type { CallOptions } from '../bridge/call.ts';
import { CallIds } from '../bridge/correlation.ts';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { ERRORS, type ProxyError, asProxyError } from '../domain/errors.ts';
import type { LinkId } from '../domain/ids.ts';
import type { Clock, Journal, Random, Timers } from '../domain/ports.ts';
import { ANYONE, NO_CREDENTIAL, type Principal, type UpstreamCredential } from '../domain/principal.ts';
import { type CapabilityProfile, EMPTY_PROFILE } from '../protocol/capability-profile.ts';
import { LATEST_REVISION } from '../protocol/eras.ts';
import { encode } from '../protocol/json-rpc.ts';
import type { Handshake, HandshakeOffer } from '../protocol/upstream-handshake.ts';
import { backoffMs } from '../upstream/backoff.ts';
import { type LinkKey, linkKey } from '../upstream/link-key.ts';
import { SseLink } from '../upstream/link.ts';
import { ConversationPool } from './conversation-pool.ts';
import { Conversation, type ConversationContext } from './conversation.ts';
import type { Lease } from './lease-rules.ts';
import { Tally } from './tally.ts';

export interface MountOptions {
  readonly upstream: UpstreamConfig;
  readonly config: Config;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly journal: Journal;
  readonly nextLinkId: () => LinkId;
  /** Who we say we are on pooled links: a JSON object. */
  readonly clientInfo: object;
}

export interface OpenedConversation {
  readonly conversation: Conversation;
  readonly handshake: Handshake;
}

/** A link that dies so soon after another was opened may have died of it. */
const SUSPICIOUS_MS = 2000;
/** How long cancels may take to reach the upstream when the gateway stops. */
const FAREWELL_MS = 1000;

export class Mount {
  readonly name: string;
  readonly path: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
  /** What all calls to this upstream have in common, in a session or without. */
  readonly callOptions: Pick<
    CallOptions,
    'clock' | 'timers' | 'requestMs' | 'requestMaxMs' | 'clientGone' | 'onUnread'
  >;
  readonly #options: MountOptions;
  readonly #context: ConversationContext;
  readonly #pool: ConversationPool<Conversation>;
  readonly #dispatcher: Dispatcher;
  readonly #credential: UpstreamCredential;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #sseUrl: URL;
  readonly #handshakes = new WeakMap<Conversation, Handshake>();
  /** Everything that has a link, opening ones included, until nothing of it is on its way any more. */
  readonly #live = new Set<Conversation>();
  readonly #underWay = new Tally();
  readonly #dedicated = new Set<Conversation>();
  #dedicatedOpening = 0;
  readonly #onSingle = new Set<() => void>();
  #health: 'unknown' | 'up' | 'down' = 'unknown';
  #downReason = '';
  #lastOpenAt = Number.NEGATIVE_INFINITY;
  #suspiciousDeaths = 0;
  #closed = false;

  constructor(options: MountOptions) {
    const { upstream, config, clock, timers, journal, random } = options;
    this.#options = options;
    this.name = upstream.name;
    this.path = upstream.path;
    this.config = config;
    this.clock = clock;
    this.timers = timers;
    this.journal = journal;
    const { url, headers } = withoutUserinfo(upstream);
    this.#sseUrl = url;
    this.#headers = headers;
    this.#credential = NO_CREDENTIAL;
    this.#dispatcher = new Agent({
      // A server's own hint can be ten minutes, for sockets of a burst that is over.
      keepAliveMaxTimeout: 60_000,
      connect: {
        timeout: config.timeouts.connect,
        keepAlive: true,
        keepAliveInitialDelay: 30_000,
        rejectUnauthorized: true,
      },
    });
    this.#context = {
      upstream: upstream.name,
      ids: new CallIds(random.fraction()),
      clock,
      timers,
      journal,
      timeouts: config.timeouts,
      limits: config.limits,
      inFlight: { count: 0 },
      isSingle: () => this.isSingle,
      onForeignAnswer: (heardBy) => this.#goSingle(heardBy),
    };
    this.#pool = new ConversationPool({
      open: (key, onClosed) => this.#openPooled(key, onClosed),
      config: config.links,
      clock,
      timers,
      backoff: (attempt) =>
        backoffMs(attempt, { minMs: config.reconnect.min, maxMs: config.reconnect.max }, random.fraction()),
    });
    this.callOptions = {
      clock,
      timers,
      requestMs: config.timeouts.request,
      requestMaxMs: config.timeouts.requestMax,
      // [spec 2025-11-25 transports] "Disconnection SHOULD NOT be interpreted as the client cancelling its request."
      clientGone: 'go on',
      onUnread: () => {
        journal.record({ fact: 'dropped', upstream: upstream.name, what: 'answer_to_a_client_that_left' });
      },
    };
    if (config.links.single === true) this.#pool.becomeSingle(this.#key(ANYONE, EMPTY_PROFILE), null);
  }

  /** Opens the warm links, and keeps trying. */
  start(): void {
    this.#pool.keepWarm(this.#key(ANYONE, EMPTY_PROFILE));
  }

  /** The upstream was reached at the last attempt; without warm links none is made before the first call. */
  get isReady(): boolean {
    return this.#health === 'up' || (this.#health === 'unknown' && this.config.links.min === 0);
  }

  get isSingle(): boolean {
    return this.#pool.isSingle;
  }

  /** Links of sessions, those that are being opened included. */
  get dedicatedCount(): number {
    return this.#dedicated.size + this.#dedicatedOpening;
  }

  get pooledCount(): number {
    return this.#pool.openCount;
  }

  get inFlight(): number {
    return this.#context.inFlight.count;
  }

  /** See ConversationPool.lease. */
  lease(
    request: { readonly principal: Principal; readonly profile: CapabilityProfile; readonly exclusive: boolean },
    take: (result: Lease<Conversation> | ProxyError) => void,
  ): () => void {
    const key = this.#key(request.principal, request.profile);
    return this.#pool.lease({ key, exclusive: request.exclusive, principal: request.principal.key }, take);
  }

  /** What the upstream answered to the initialize of this pooled conversation. */
  handshakeOf(conversation: Conversation): Handshake {
    const handshake = this.#handshakes.get(conversation);
    if (handshake === undefined) throw new Error('not a pooled conversation of this mount');
    return handshake;
  }

  /** A link of its own for one session. Rejects with a ProxyError. `onClosed` is told once when it ends. */
  async openDedicated(
    offer: HandshakeOffer,
    onClosed: (conversation: Conversation) => void,
  ): Promise<OpenedConversation> {
    this.#dedicatedOpening++;
    try {
      const opened = await this.#open(offer, true, (conversation) => {
        this.#dedicated.delete(conversation);
        onClosed(conversation);
      });
      if (opened.conversation.isOpen) this.#dedicated.add(opened.conversation);
      return opened;
    } finally {
      this.#dedicatedOpening--;
    }
  }

  /** Told once, when the mount goes over to one link. Returns a function that takes the wish back. */
  onSingle(tell: () => void): () => void {
    this.#onSingle.add(tell);
    return () => this.#onSingle.delete(tell);
  }

  /** Ends every call and every link; the upstream hears of the calls first, if it takes that soon enough. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#pool.close();
    for (const conversation of this.#live) conversation.close('shutdown');
    await this.#underWay.whenNone(this.timers, FAREWELL_MS);
    for (const conversation of this.#live) conversation.closeNow('shutdown');
    await this.#dispatcher.destroy();
  }

  #key(principal: Principal, profile: CapabilityProfile): LinkKey {
    return linkKey(this.#credential, principal, profile, this.config.links.isolation);
  }

  async #openPooled(key: LinkKey, onClosed: () => void): Promise<Conversation> {
    const offer: HandshakeOffer = {
      revision: LATEST_REVISION,
      profile: key.profile,
      clientInfo: encode(JSON.stringify(this.#options.clientInfo)),
    };
    return (await this.#open(offer, false, onClosed)).conversation;
  }

  async #open(
    offer: HandshakeOffer,
    dedicated: boolean,
    onClosed: (conversation: Conversation) => void,
  ): Promise<OpenedConversation> {
    const { upstream, config, clock, timers, journal } = this.#options;
    const id = this.#options.nextLinkId();
    const conversation = new Conversation(this.#context, dedicated);
    const openedAt = clock.now();
    let handshake: Handshake;
    try {
      const link = new SseLink({
        id,
        upstream: upstream.name,
        endpoint: {
          sseUrl: this.#sseUrl,
          messageUrl: upstream.messageUrl,
          allowedOrigins: new Set(upstream.allowEndpointOrigins.map((url) => url.origin)),
        },
        headers: this.#headers,
        offer,
        initializeId: this.#context.ids.issue(id),
        dispatcher: this.#dispatcher,
        timeouts: config.timeouts,
        limits: config.limits,
        clock,
        timers,
        journal,
        receiver: conversation,
        onStrayAnswer: (answer) => conversation.stray(answer),
      });
      conversation.attach(
        link,
        (error) => {
          if (error !== null) this.#linkDied(openedAt);
          onClosed(conversation);
        },
        () => this.#quiet(conversation),
      );
      this.#live.add(conversation);
      this.#underWay.begin();
      this.#lastOpenAt = openedAt;
      handshake = await link.open();
    } catch (thrown) {
      this.#quiet(conversation);
      const error = asProxyError(thrown);
      if (!this.#closed) this.#failed(error);
      throw error;
    }
    // A dedicated link's answer goes to its client and is then of no use; a single link's answers every session.
    if (!dedicated) this.#handshakes.set(conversation, handshake);
    this.#succeeded(handshake);
    return { conversation, handshake };
  }

  #quiet(conversation: Conversation): void {
    if (this.#live.delete(conversation)) this.#underWay.end();
  }

  #succeeded(handshake: Handshake): void {
    const wasUp = this.#health === 'up';
    this.#health = 'up';
    if (wasUp) return;
    const { server, revision } = handshake;
    this.journal.record({ fact: 'upstream_up', upstream: this.name, server, revision });
  }

  #failed(error: ProxyError): void {
    // A link more that cannot be had says nothing while others live.
    if (this.#pool.openCount + this.#dedicated.size > 0) return;
    const isNews = this.#health !== 'down' || this.#downReason !== error.code;
    this.#health = 'down';
    this.#downReason = error.code;
    if (!isNews) return;
    const { remedy } = ERRORS[error.code];
    this.journal.record({
      fact: 'upstream_down',
      upstream: this.name,
      reason: error.code,
      why: error.message,
      remedy,
      ...error.seen,
      ...(error.code === 'internal_error' && { cause: error.cause }),
    });
  }

  /** `openedAt`: when the link that died began to open. */
  #linkDied(openedAt: number): void {
    const sinceOther = this.clock.now() - this.#lastOpenAt;
    if (this.isSingle || this.#lastOpenAt <= openedAt || sinceOther > SUSPICIOUS_MS) return;
    this.#suspiciousDeaths++;
    if (this.#suspiciousDeaths === 2) this.journal.record({ fact: 'single_hint', upstream: this.name });
  }

  #goSingle(heardBy: Conversation): void {
    if (this.isSingle || this.#closed) return;
    this.journal.record({ fact: 'single_by_proof', upstream: this.name });
    const keep = this.#dedicated.has(heardBy) ? null : heardBy;
    this.#pool.becomeSingle(this.#key(ANYONE, EMPTY_PROFILE), keep);
    for (const tell of this.#onSingle) tell();
    this.#onSingle.clear();
  }
}

/** Userinfo in the URL becomes Basic authentication, and is in the URL no more. */
function withoutUserinfo(upstream: UpstreamConfig): { url: URL; headers: Record<string, string> } {
  const url = new URL(upstream.url.href);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(upstream.headers)) headers[name.toLowerCase()] = value;
  if (url.username !== '' || url.password !== '') {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
    url.username = '';
    url.password = '';
  }
  return { url, headers };
}
