// One configured upstream at one path, with everything that belongs to it: its pool, its ids, its dedicated links, and
// what is known of its health. Opens every link there is.

import { Agent, type Dispatcher } from 'undici';
import type { CallOptions } from '../bridge/call.ts';
import { CallIds } from '../bridge/correlation.ts';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import type { LinkId } from '../domain/ids.ts';
import type { Clock, Journal, Random, Timers } from '../domain/ports.ts';
import { ANYONE, NO_CREDENTIAL, type Principal, type UpstreamCredential } from '../domain/principal.ts';
import {
  type CapabilityProfile,
  EMPTY_PROFILE,
  FULL_PROFILE,
  declaredCapabilities,
} from '../protocol/capability-profile.ts';
import { LATEST_REVISION } from '../protocol/eras.ts';
import { encode } from '../protocol/json-rpc.ts';
import type { TokenSealer } from '../protocol/sealed-token.ts';
import type { Handshake, HandshakeOffer } from '../protocol/upstream-handshake.ts';
import { backoffMs } from '../upstream/backoff.ts';
import { type LinkKey, linkKey } from '../upstream/link-key.ts';
import { SseLink } from '../upstream/link.ts';
import { ConversationPool } from './conversation-pool.ts';
import { Conversation, type ConversationContext } from './conversation.ts';
import type { Lease } from './lease-rules.ts';
import type { LinkListener } from './link-listener.ts';
import { Passage } from './passage.ts';
import { Retry } from './retry.ts';
import { Tally } from './tally.ts';
import { UpstreamHealth } from './upstream-health.ts';
import { UpstreamUrls } from './upstream-urls.ts';
import { SharedWants, type Wants } from './wants.ts';

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
  /** For the tokens of old clients. */
  readonly sealer: TokenSealer;
  readonly owner: string;
  /** Seconds since 1970. */
  readonly wallSeconds: () => number;
}

export interface OpenedConversation {
  readonly conversation: Conversation;
  readonly handshake: Handshake;
}

/** A session, as its mount sees it. */
export interface MountSession extends LinkListener {
  readonly wants: Wants;
  readonly isListening: boolean;
  /** The only link was opened anew: the upstream may be another one by now. */
  upstreamChanged(handshake: Handshake): void;
  /** Told once, when the mount goes over to one link: the session's own is to end with its last call. */
  becameSingle(): void;
}

type OpenParameters = readonly [
  offer: HandshakeOffer,
  owner: LinkListener | null,
  onClosed: (conversation: Conversation, error: ProxyError | null) => void,
];

const NOTHING_DECLARED = encode('{}');
/** How long cancels may take to reach the upstream when the gateway stops. */
const FAREWELL_MS = 1000;

export class Mount {
  readonly name: string;
  readonly path: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
  readonly mode: UpstreamConfig['mode'];
  /** What all sessions want of the only link, where there is only one. */
  readonly wants = new SharedWants();
  /** What all calls to this upstream have in common, in a session or without. */
  readonly callOptions: Pick<
    CallOptions,
    'clock' | 'timers' | 'requestMs' | 'requestMaxMs' | 'clientGone' | 'onUnread'
  >;
  /** The way of old clients to the upstream; null where there is none. */
  readonly passage: Passage | null;
  readonly #options: MountOptions;
  readonly #context: ConversationContext;
  readonly #pool: ConversationPool<Conversation>;
  readonly #dispatcher: Dispatcher;
  readonly #credential: UpstreamCredential;
  readonly #urls: UpstreamUrls;
  /** Everything that has a link, opening ones included, until nothing of it is on its way any more. */
  readonly #live = new Set<Conversation>();
  readonly #underWay = new Tally();
  readonly #dedicated = new Set<Conversation>();
  #dedicatedOpening = 0;
  readonly #sessions = new Set<MountSession>();
  readonly #singleRetry: Retry;
  /** Of the youngest pooled link. */
  #lastHandshake: Handshake | null = null;
  readonly #health: UpstreamHealth;
  #closed = false;

  constructor(options: MountOptions) {
    const { upstream, config, clock, timers, journal, random } = options;
    this.#options = options;
    this.name = upstream.name;
    this.path = upstream.path;
    this.mode = upstream.mode;
    this.config = config;
    this.clock = clock;
    this.timers = timers;
    this.journal = journal;
    // By then what is tried again was tried again at its slowest.
    this.#urls = new UpstreamUrls(upstream, clock, config.reconnect.max);
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
    this.#health = new UpstreamHealth({ upstream: upstream.name, clock, journal });
    this.passage =
      upstream.legacy === false
        ? null
        : new Passage({
            upstream: upstream.name,
            paths: upstream.legacy,
            urls: this.#urls,
            sealer: options.sealer,
            owner: options.owner,
            wallSeconds: options.wallSeconds,
            timeouts: config.timeouts,
            limits: config.limits,
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
      asking: { count: 0, links: 0 },
      isSingle: () => this.isSingle,
      sessions: () => this.#sessions,
      onForeignAnswer: (heardBy) => this.#goSingle(heardBy),
    };
    this.#pool = new ConversationPool({
      open: (key, onClosed) => this.#openPooled(key, onClosed),
      config: config.links,
      clock,
      timers,
      backoff: (attempt) => this.backoffMs(attempt),
    });
    this.#singleRetry = new Retry(
      timers,
      (failures) => this.backoffMs(failures),
      () => this.keepSingleOpen(),
    );
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
    if (config.links.single === true) this.#pool.becomeSingle(this.#singleKey, null);
  }

  /** Opens the warm links, and keeps trying. */
  start(): void {
    this.#pool.keepWarm(this.#key(ANYONE, EMPTY_PROFILE));
  }

  /** The upstream was reached at the last attempt; without warm links none is made before the first call. */
  get isReady(): boolean {
    return this.#health.is === 'up' || (this.#health.is === 'unknown' && this.config.links.min === 0);
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
    request: {
      readonly principal: Principal;
      readonly profile: CapabilityProfile;
      readonly exclusive: boolean;
      readonly mayAskBack: boolean;
    },
    take: (result: Lease<Conversation> | ProxyError) => void,
  ): () => void {
    const { principal, profile, exclusive, mayAskBack } = request;
    const key = this.#key(principal, profile);
    return this.#pool.lease({ key, exclusive, mayAskBack, principal: principal.key }, take);
  }

  /** What is declared upstream for a client with these capabilities: nothing to a server that asks nothing. */
  declares(capabilities: Uint8Array): Uint8Array {
    return this.#options.upstream.asks === 'never' ? NOTHING_DECLARED : capabilities;
  }

  /** Milliseconds before the n-th attempt in a row to open a link again. */
  backoffMs(attempt: number): number {
    const { min, max } = this.config.reconnect;
    return backoffMs(attempt, { minMs: min, maxMs: max }, this.#options.random.fraction());
  }

  /**
   * What the upstream answered to an initialize that declared nothing, at once where a link says that it still holds.
   * What is returned gives the wait up.
   */
  handshake(principal: Principal, take: (handshake: Handshake | ProxyError) => void): () => void {
    if (this.#lastHandshake !== null && this.#pool.openCount > 0) {
      take(this.#lastHandshake);
      return () => {};
    }
    const want = { principal, profile: EMPTY_PROFILE, exclusive: false, mayAskBack: false };
    return this.lease(want, (result) => {
      if (result instanceof ProxyError) {
        take(result);
        return;
      }
      result.release('reuse');
      // That link is open, so it has had its answer.
      take(this.#lastHandshake ?? new ProxyError('internal_error', 'a pooled link opened without a handshake'));
    });
  }

  /** A link of its own for one session. Rejects with a ProxyError. `onClosed` is told once when it ends. */
  async openDedicated(
    offer: HandshakeOffer,
    owner: LinkListener,
    onClosed: (conversation: Conversation, error: ProxyError | null) => void,
  ): Promise<OpenedConversation> {
    this.#dedicatedOpening++;
    try {
      const opened = await this.#open(offer, owner, (conversation, error) => {
        this.#dedicated.delete(conversation);
        onClosed(conversation, error);
      });
      if (opened.conversation.isOpen) this.#dedicated.add(opened.conversation);
      return opened;
    } finally {
      this.#dedicatedOpening--;
    }
  }

  /** A session is here, until what is returned is called. */
  join(session: MountSession): () => void {
    this.#sessions.add(session);
    return () => {
      this.#sessions.delete(session);
      const { wants } = session;
      const hasWanted = wants.level !== null || wants.uris.size > 0;
      wants.end();
      // Perhaps nobody wants any more what it has wanted.
      if (this.isSingle && !this.#closed && hasWanted) this.tellWants(() => {});
    };
  }

  /** Where there is one link: opens it anew if it is lost and sessions listen to it; else the next call does. */
  keepSingleOpen(): void {
    if (!this.isSingle || this.#closed || this.#singleRetry.isWaiting) return;
    if (![...this.#sessions].some(({ isListening }) => isListening)) return;
    this.tellWants((error) => {
      if (error === null) this.#singleRetry.succeeded();
      else this.#singleRetry.failed(!this.#closed);
    });
  }

  /** Where there is one link: tells the upstream what all sessions together want by now. */
  tellWants(done: (error: ProxyError | null) => void): void {
    const want = { principal: ANYONE, profile: EMPTY_PROFILE, exclusive: false, mayAskBack: false };
    this.lease(want, (result) => {
      if (result instanceof ProxyError) {
        done(result);
        return;
      }
      const finish = (): void => {
        result.release('reuse');
        done(null);
      };
      const upToDate = result.conversation.bringUpToDate(this.wants);
      if (upToDate === null) finish();
      else upToDate.then(finish, finish);
    });
  }

  /** Ends every call and every link; the upstream hears of the calls first, if it takes that soon enough. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#singleRetry.stop();
    this.#pool.close();
    for (const conversation of this.#live) conversation.close('shutdown');
    await this.#underWay.whenNone(this.timers, FAREWELL_MS);
    for (const conversation of this.#live) conversation.closeNow('shutdown');
    await Promise.all([this.#dispatcher.destroy(), this.passage?.close()]);
  }

  /** It declares all that can be carried, since its callers differ; what one of them cannot answer is refused then. */
  get #singleKey(): LinkKey {
    return this.#key(ANYONE, this.#options.upstream.asks === 'never' ? EMPTY_PROFILE : FULL_PROFILE);
  }

  #key(principal: Principal, profile: CapabilityProfile): LinkKey {
    return linkKey(this.#credential, principal, profile, this.config.links.isolation);
  }

  async #openPooled(key: LinkKey, onClosed: () => void): Promise<Conversation> {
    const offer: HandshakeOffer = {
      revision: LATEST_REVISION,
      capabilities: encode(JSON.stringify(declaredCapabilities(key.profile))),
      clientInfo: encode(JSON.stringify(this.#options.clientInfo)),
    };
    const { conversation, handshake } = await this.#open(offer, null, () => {
      onClosed();
      // After the pool has seen to it.
      if (this.isSingle) this.#singleRetry.failed(!this.#closed);
    });
    if (this.isSingle) this.#onlyLinkIs(conversation, handshake);
    return conversation;
  }

  /** It may take the place of one that knew more, and of an upstream that was another one. */
  #onlyLinkIs(conversation: Conversation, handshake: Handshake): void {
    conversation.bringUpToDate(this.wants)?.catch(() => {});
    for (const session of this.#sessions) session.upstreamChanged(handshake);
  }

  /** A link to one of the URLs; where the first that is tried cannot be had, to another. */
  async #open(...how: OpenParameters): Promise<OpenedConversation> {
    let error: ProxyError;
    let untried = this.#urls.count;
    do {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
        return await this.#openOne(...how);
      } catch (thrown) {
        error = asProxyError(thrown);
      }
    } while (--untried > 0 && !this.#closed);
    // A link more that cannot be had says nothing while others live.
    if (!this.#closed && this.#pool.openCount + this.#dedicated.size === 0) this.#health.failed(error);
    throw error;
  }

  async #openOne(...[offer, owner, onClosed]: OpenParameters): Promise<OpenedConversation> {
    const { upstream, config, clock, timers, journal } = this.#options;
    const id = this.#options.nextLinkId();
    const conversation = new Conversation(this.#context, owner);
    const openedAt = clock.now();
    const choice = this.#urls.choose();
    let handshake: Handshake;
    try {
      const link = new SseLink({
        id,
        upstream: upstream.name,
        endpoint: choice.url.endpoint,
        headers: choice.url.headers,
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
          choice.over();
          if (error !== null && !this.isSingle) this.#health.linkDied(openedAt);
          onClosed(conversation, error);
        },
        () => this.#quiet(conversation),
      );
      this.#live.add(conversation);
      this.#underWay.begin();
      this.#health.opening(openedAt);
      handshake = await link.open();
    } catch (thrown) {
      this.#quiet(conversation);
      choice.failed();
      throw thrown;
    }
    choice.opened();
    conversation.opened(handshake);
    // A dedicated link's answer goes to its client and is then of no use; a single link's answers every session.
    if (owner === null) this.#lastHandshake = handshake;
    this.#health.opened(handshake);
    return { conversation, handshake };
  }

  #quiet(conversation: Conversation): void {
    if (this.#live.delete(conversation)) this.#underWay.end();
  }

  #goSingle(heardBy: Conversation): void {
    if (this.isSingle || this.#closed) return;
    this.journal.record({ fact: 'single_by_proof', upstream: this.name });
    const keep = this.#dedicated.has(heardBy) ? null : heardBy;
    this.#pool.becomeSingle(this.#singleKey, keep);
    this.passage?.endStreams();
    for (const session of this.#sessions) session.becameSingle();
    if (this.wants.level !== null || this.wants.uris.size > 0) this.tellWants(() => {});
  }
}
