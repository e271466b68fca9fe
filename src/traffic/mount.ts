// One configured upstream at one path, with everything that belongs to it: its pool, its ids, its dedicated links, and
// what is known of its health. Who gets which link is said here; how one is opened is the opener's.

import type { KeyObject } from 'node:crypto';
import type { CallOptions } from '../bridge/call.ts';
import { CallIds } from '../bridge/correlation.ts';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import type { LinkId } from '../domain/ids.ts';
import type { Clock, Journal, Random, Timers } from '../domain/ports.ts';
import { ANYONE, NO_CREDENTIAL, type Principal } from '../domain/principal.ts';
import {
  type CapabilityProfile,
  EMPTY_PROFILE,
  FULL_PROFILE,
  declaredCapabilities,
  profileIn,
} from '../protocol/capability-profile.ts';
import { LATEST_REVISION, type UpstreamRevision } from '../protocol/eras.ts';
import { encode } from '../protocol/json-rpc.ts';
import type { TokenSealer } from '../protocol/sealed-token.ts';
import type { Handshake, HandshakeOffer } from '../protocol/upstream-handshake.ts';
import { backoffMs } from '../upstream/backoff.ts';
import { NO_REFUSAL, type RefusalOf } from '../upstream/credential-refusal.ts';
import { type LinkKey, linkKey } from '../upstream/link-key.ts';
import { atLatest } from './at-latest.ts';
import type { Budgets } from './budgets.ts';
import { ConversationPool } from './conversation-pool.ts';
import type { Conversation, ConversationContext } from './conversation.ts';
import { Forwarding } from './forwarding.ts';
import type { Lease, Want } from './lease-rules.ts';
import type { LinkListener } from '../bridge/link-listener.ts';
import { LinkOpener, type OpenedConversation } from './link-opener.ts';
import { ModernFace } from './modern-face.ts';
import { OnlyLink } from './only-link.ts';
import type { Place } from './opening-gate.ts';
import { Passage } from './passage.ts';
import { Tally } from './tally.ts';
import type { UpstreamHealth } from './upstream-health.ts';
import type { SharedWants } from './wants.ts';

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
  /** Of all callers, over all mounts. */
  readonly budgets: Budgets;
  /** See Forwarding. */
  readonly fingerprintKey: () => KeyObject;
  readonly publicUrl: () => URL | undefined;
}

const NOTHING_DECLARED = encode('{}');
/** How long a caller waits until the upstream knows what others want to be told. */
const UP_TO_DATE_MS = 1000;
/**
 * Many servers ask for roots as soon as they are told that the client is ready. A ping makes sure that this is heard
 * before somebody's call, whose question it would be taken for.
 */
const FIRST_WORDS_MS = 250;

export class Mount {
  readonly name: string;
  readonly path: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
  readonly mode: UpstreamConfig['mode'];
  /** Calls without a session end with their clients. */
  readonly cancelsOnDisconnect: boolean;
  /** The sessions, and what is theirs where there is one link. */
  readonly onlyLink: OnlyLink;
  /** What all calls to this upstream have in common, in a session or without. */
  readonly callOptions: Pick<
    CallOptions,
    'clock' | 'timers' | 'requestMs' | 'requestMaxMs' | 'clientGone' | 'onUnread'
  >;
  /** The way of old clients to the upstream; null where there is none. */
  readonly passage: Passage | null;
  /** What of callers' own goes to the upstream; null where nothing does. */
  readonly forwarding: Forwarding | null;
  readonly #refusalOf: RefusalOf;
  /** What is kept for clients that keep nothing with it. */
  readonly modern: ModernFace;
  /** See the configuration. */
  readonly paramHeaders: UpstreamConfig['paramHeaders'];
  readonly cache: UpstreamConfig['cache'];
  /** Replies that somebody waits for, and held calls, whose clients are to come back. */
  readonly unfinished = new Tally();
  readonly #options: MountOptions;
  readonly #context: ConversationContext;
  readonly #pool: ConversationPool<Conversation>;
  readonly #opener: LinkOpener;
  readonly #dedicated = new Set<Conversation>();
  #dedicatedOpening = 0;
  #lastKey: { readonly principal: Principal; readonly profile: CapabilityProfile; readonly key: LinkKey } | null = null;
  /** Of pooled conversations. */
  readonly #keys = new WeakMap<Conversation, LinkKey>();
  /** Of the youngest link: of what can be asked, so much exists there. */
  #revision: UpstreamRevision = LATEST_REVISION;
  /** Of the youngest pooled link that declared nothing, or of the only one. */
  #lastHandshake: Handshake | null = null;
  /** It answers on links that did not ask, and cannot be given a single one. */
  #isMixedUp = false;
  #closed = false;
  #closing: Promise<void> | null = null;

  constructor(options: MountOptions) {
    const { upstream, config, clock, timers, journal, random } = options;
    this.#options = options;
    this.name = upstream.name;
    this.path = upstream.path;
    this.mode = upstream.mode;
    this.cancelsOnDisconnect = upstream.cancelOnDisconnect;
    this.paramHeaders = upstream.paramHeaders;
    this.cache = upstream.cache;
    this.config = config;
    this.clock = clock;
    this.timers = timers;
    this.journal = journal;
    this.#context = {
      upstream: upstream.name,
      ids: new CallIds(random.fraction()),
      clock,
      timers,
      random,
      journal,
      timeouts: config.timeouts,
      limits: config.limits,
      inFlight: { count: 0 },
      asking: { count: 0, links: 0 },
      isSingle: () => this.isSingle,
      sessions: () => this.onlyLink.sessions,
      onForeignAnswer: (heardBy) => this.#goSingle(heardBy),
      changed: (on, message) => this.modern.changed(this.isSingle ? this.#singleKey : this.#keys.get(on), message),
    };
    this.#opener = new LinkOpener({
      upstream,
      config,
      context: this.#context,
      budgets: options.budgets,
      nextLinkId: options.nextLinkId,
      refusalOf: (status, headers) => this.#refusalOf(status, headers),
      openCount: () => this.#pool.openCount + this.#dedicated.size,
    });
    const { urls, connector, dispatcher } = this.#opener;
    const { outbound } = upstream;
    this.forwarding =
      typeof outbound === 'string'
        ? null
        : new Forwarding({
            names: outbound.forward,
            fingerprintKey: options.fingerprintKey,
            publicUrl: options.publicUrl,
            sseUrl: new URL(upstream.url.origin + upstream.url.pathname),
            dispatcher,
            clock,
            timers,
            timeoutMs: config.timeouts.headers,
          });
    this.#refusalOf = this.forwarding?.refusalOf(upstream.path) ?? NO_REFUSAL;
    this.passage =
      upstream.legacy === false
        ? null
        : new Passage({
            upstream: upstream.name,
            id: Buffer.from(random.bytes(8)).toString('base64url'),
            paths: upstream.legacy,
            urls,
            connector,
            sealer: options.sealer,
            owner: options.owner,
            wallSeconds: options.wallSeconds,
            budgets: options.budgets,
            overBudget: (caller) => this.#overBudget(caller),
            timeouts: config.timeouts,
            limits: config.limits,
            refusalOf: this.forwarding?.refusalOf(upstream.legacy.sse) ?? NO_REFUSAL,
          });
    this.modern = new ModernFace({
      mount: this,
      random,
      sealer: options.sealer,
      owner: options.owner,
      wallSeconds: options.wallSeconds,
      budgets: options.budgets,
    });
    this.#pool = new ConversationPool({
      open: (key, isAwaited, onClosed) => this.#openPooled(key, isAwaited, onClosed),
      refusal: () => urls.refusal,
      config: config.links,
      overBudget: ({ holder }) => (holder === null ? null : options.budgets.refusal('links', holder)),
      clock,
      timers,
      onLongWait: (key) => this.modern.makeRoom(key, this.isSingle || this.#pool.isCrowdedOut(key)),
      backoff: (attempt) => this.backoffMs(attempt),
      onRefused: (key) => this.modern.listens.endThose((listen) => listen.key.text === key.text),
    });
    this.onlyLink = new OnlyLink({
      timers,
      isSingle: () => this.isSingle && !this.#closed,
      backoffMs: (attempt) => this.backoffMs(attempt),
      lease: (take) => {
        this.lease({ principal: ANYONE, profile: EMPTY_PROFILE, exclusive: false, mayAskBack: false }, take);
      },
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
    if (config.links.single === true) this.#pool.becomeSingle(this.#singleKey, null);
  }

  /** Opens the warm links, and keeps trying. There are none where callers come with the credential. */
  start(): void {
    if (this.forwarding !== null) return;
    this.#pool.keepWarm(this.key(ANYONE, EMPTY_PROFILE), this.config.links.min);
  }

  /** What is known of the upstream. */
  get health(): Pick<UpstreamHealth, 'is' | 'server' | 'lastError'> {
    return this.#opener.health;
  }

  /** How many of its URLs are not tried for now. */
  get openBreakers(): number {
    return this.#opener.urls.openBreakers;
  }

  /** See UpstreamUrls. */
  get nextTryMs(): number | null {
    return this.#opener.urls.nextTryMs;
  }

  /** See ConversationPool. */
  get failedOpenings(): number {
    return this.#pool.failedOpenings;
  }

  /** Everything that has a link, or is getting one. */
  get conversations(): ReadonlySet<Conversation> {
    return this.#opener.conversations;
  }

  /** Callers in line for a pooled link. */
  get waitingCount(): number {
    return this.#pool.waitingCount;
  }

  /**
   * The upstream was reached at the last attempt; without warm links none is made before the first call. Where only callers
   * can make one, those who are kept away could not show that it is back.
   */
  get isReady(): boolean {
    if (this.forwarding !== null) return true;
    const { is } = this.health;
    return is === 'up' || (is === 'unknown' && this.config.links.min === 0);
  }

  /** Nobody makes sure that it is the upstream that answers: insecureSkipVerify. */
  get isUnverified(): boolean {
    return !this.#opener.connector.rejectUnauthorized;
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

  /** See ConversationPool.lease. What somebody listens for is wanted on the link before it is handed out. */
  lease(want: Want, take: (result: Lease<Conversation> | ProxyError) => void): () => void {
    const { principal, profile, exclusive, mayAskBack } = want;
    const key = this.key(principal, profile);
    return this.#pool.lease({ key, exclusive, mayAskBack, principal: principal.key }, (result) => {
      if (result instanceof ProxyError) {
        take(result);
        return;
      }
      this.modern.linkLeased(key, result.conversation.handshake);
      const wants = this.modern.wants(key);
      const upToDate = wants === null ? null : result.conversation.bringUpToDate(wants);
      if (upToDate === null) {
        take(result);
        return;
      }
      const takeOnce = atLatest(this.timers, UP_TO_DATE_MS, () => take(result));
      void upToDate.then(takeOnce, takeOnce);
    });
  }

  /** The same as a promise, which rejects with a ProxyError. */
  leased(want: Want, signal: AbortSignal): Promise<Lease<Conversation>> {
    return new Promise((resolve, reject) => {
      const leave = this.lease(want, (result) => (result instanceof ProxyError ? reject(result) : resolve(result)));
      signal.addEventListener('abort', () => {
        leave();
        reject(new ProxyError('internal_error', 'nobody waits for the list'));
      });
    });
  }

  /** Of the links that callers of this principal use who declare this. */
  key(principal: Principal, profile: CapabilityProfile): LinkKey {
    return this.isSingle ? this.#singleKey : this.#key(principal, profile);
  }

  /** Keeps a link of this key open until what is returned is called. */
  keepOpen(key: LinkKey): () => void {
    return this.#pool.keepWarm(key, 1);
  }

  hasOpenLink(of: { readonly principal: Principal; readonly profile: CapabilityProfile }): boolean {
    return this.#pool.openOf(this.key(of.principal, of.profile)) > 0;
  }

  /** See ConversationPool. */
  hasLongWaiter(key: LinkKey): boolean {
    return this.#pool.hasLongWaiter(key);
  }

  /** What is declared upstream for a client that declares this: nothing that the server's revision does not know. */
  askable(profile: CapabilityProfile): CapabilityProfile {
    return profileIn(this.answerable(profile), this.#revision);
  }

  /** What a client that declares this is asked, also by a server that says less of its revision than it can. */
  answerable(profile: CapabilityProfile): CapabilityProfile {
    return this.#options.upstream.asks === 'never' ? EMPTY_PROFILE : profile;
  }

  /** What listens want has changed: all links are told on which the same caller's changes may be heard. */
  tellListened(key: LinkKey, ofCaller: SharedWants | null): void {
    const wants = this.isSingle ? this.onlyLink.wants : ofCaller;
    if (wants === null) return;
    for (const conversation of this.conversations) {
      const isConcerned = this.isSingle || this.#keys.get(conversation)?.caller === key.caller;
      if (isConcerned && conversation.isOpen) conversation.bringUpToDate(wants)?.catch(() => {});
    }
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
    // What one credential is shown says nothing of another.
    if (this.forwarding === null && this.#lastHandshake !== null && this.#pool.openCount > 0) {
      take(this.#lastHandshake);
      return () => {};
    }
    const want = { principal, profile: EMPTY_PROFILE, exclusive: false, mayAskBack: false };
    return this.lease(want, (result) => {
      if (result instanceof ProxyError) {
        take(result);
        return;
      }
      const { handshake } = result.conversation;
      result.release('reuse');
      take(handshake);
    });
  }

  /**
   * A link of its own for one session. Rejects with a ProxyError. `caller`: as of its last request. `onClosed` is told once
   * when it ends.
   */
  async openDedicated(
    place: Place,
    caller: () => Principal,
    offer: HandshakeOffer,
    owner: LinkListener,
    onClosed: (conversation: Conversation, error: ProxyError | null) => void,
  ): Promise<OpenedConversation> {
    const principal = caller();
    const refusal = this.#overBudget(principal);
    if (refusal !== null) throw refusal;
    this.#dedicatedOpening++;
    try {
      const opened = await this.#opener.open({
        place,
        holder: principal,
        offer,
        credential: () => caller().credential ?? NO_CREDENTIAL,
        owner,
        onClosed: (conversation, error) => {
          this.#dedicated.delete(conversation);
          onClosed(conversation, error);
        },
      });
      if (opened.conversation.isOpen) this.#dedicated.add(opened.conversation);
      return opened;
    } finally {
      this.#dedicatedOpening--;
    }
  }

  /** Why the caller cannot have one more link beside the pooled ones, of which an idle one of his makes room; null: he can. */
  #overBudget(caller: Principal): ProxyError | null {
    const { budgets } = this.#options;
    if (budgets.refusal('links', caller) !== null) this.#pool.closeIdleOf(caller);
    return budgets.refusal('links', caller);
  }

  /** Ends every call and every link; the upstream hears of the calls first, if it takes that soon enough. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed = true;
    this.onlyLink.stop();
    this.#opener.stop();
    this.#pool.close();
    this.modern.close();
    await this.#opener.endAll();
    await Promise.all([this.#opener.dispatcher.destroy(), this.passage?.close()]);
  }

  /** It declares all that can be carried, since its callers differ; what one of them cannot answer is refused then. */
  get #singleKey(): LinkKey {
    return this.#key(ANYONE, this.#options.upstream.asks === 'never' ? EMPTY_PROFILE : FULL_PROFILE);
  }

  #key(principal: Principal, profile: CapabilityProfile): LinkKey {
    // Most calls are of the caller before, who declares the same.
    if (this.#lastKey?.principal !== principal || this.#lastKey.profile !== profile)
      this.#lastKey = { principal, profile, key: linkKey(principal, profile, this.config.links.isolation) };
    return this.#lastKey.key;
  }

  async #openPooled(key: LinkKey, isAwaited: () => boolean, onClosed: () => void): Promise<Conversation> {
    const offer: HandshakeOffer = {
      revision: LATEST_REVISION,
      capabilities: encode(JSON.stringify(declaredCapabilities(key.profile))),
      clientInfo: encode(JSON.stringify(this.#options.clientInfo)),
    };
    const { conversation, handshake } = await this.#opener.open({
      place: { urgency: () => (isAwaited() ? 'called' : 'kept'), isAgain: !isAwaited() },
      holder: key.holder,
      offer,
      credential: () => key.credential,
      owner: null,
      onClosed: () => {
        onClosed();
        this.modern.linkClosed(key, this.#pool.openOf(key));
        // After the pool has seen to it.
        this.onlyLink.closed();
      },
    });
    this.#keys.set(conversation, key);
    this.#revision = handshake.revision;
    if (key.profile.members.size === 0 || this.isSingle) this.#lastHandshake = handshake;
    if (key.profile.members.has('roots') && !this.isSingle) await conversation.ping(FIRST_WORDS_MS);
    this.onlyLink.opened(conversation, handshake);
    // Nobody may come who would have it told, where it was opened for a listen.
    const wants = this.modern.wants(key);
    if (wants !== null) await conversation.bringUpToDate(wants)?.catch(() => {});
    this.modern.linkOpened(key, handshake);
    return conversation;
  }

  #goSingle(heardBy: Conversation): void {
    if (this.isSingle || this.#closed) return;
    if (this.forwarding !== null) {
      // Callers with credentials of their own cannot share one.
      if (!this.#isMixedUp) this.journal.record({ fact: 'single_impossible', upstream: this.name });
      this.#isMixedUp = true;
      return;
    }
    this.journal.record({ fact: 'single_by_proof', upstream: this.name });
    const keep = this.#dedicated.has(heardBy) ? null : heardBy;
    this.#pool.becomeSingle(this.#singleKey, keep);
    this.passage?.endStreams();
    this.modern.becameSingle();
    this.onlyLink.becameSingle();
  }
}
