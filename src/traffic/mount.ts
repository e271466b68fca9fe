// One configured upstream at one path, with everything that belongs to it: its pool, its ids, its dedicated links, and
// what is known of its health. Opens every link there is.

import { Agent, type Dispatcher } from 'undici';
import type { CallOptions } from '../bridge/call.ts';
import { CallIds } from '../bridge/correlation.ts';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { ProxyError, asProxyError, isCredentialRefusal, noLongerServed } from '../domain/errors.ts';
import type { LinkId } from '../domain/ids.ts';
import type { Clock, Journal, Random, Timers } from '../domain/ports.ts';
import { ANYONE, NO_CREDENTIAL, type Principal, type UpstreamCredential } from '../domain/principal.ts';
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
import { type Connector, connector } from '../upstream/connector.ts';
import { NO_REFUSAL, type RefusalOf } from '../upstream/credential-refusal.ts';
import { type LinkKey, linkKey } from '../upstream/link-key.ts';
import { SseLink } from '../upstream/link.ts';
import { atLatest } from './at-latest.ts';
import type { Budgets } from './budgets.ts';
import { ConversationPool } from './conversation-pool.ts';
import { Conversation, type ConversationContext } from './conversation.ts';
import { Forwarding } from './forwarding.ts';
import type { Lease, Want } from './lease-rules.ts';
import type { LinkListener } from '../bridge/link-listener.ts';
import { ModernFace } from './modern-face.ts';
import { OnlyLink } from './only-link.ts';
import { OpeningGate, type Place } from './opening-gate.ts';
import { Passage } from './passage.ts';
import { Tally } from './tally.ts';
import { UpstreamHealth } from './upstream-health.ts';
import { UpstreamUrls } from './upstream-urls.ts';
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
  readonly fingerprintKey: Uint8Array;
  readonly publicUrl: () => URL | undefined;
}

export interface OpenedConversation {
  readonly conversation: Conversation;
  readonly handshake: Handshake;
}

type OpenParameters = readonly [
  place: Place,
  offer: HandshakeOffer,
  /** As it is then. */
  credential: () => UpstreamCredential,
  owner: LinkListener | null,
  onClosed: (conversation: Conversation, error: ProxyError | null) => void,
];

const NOTHING_DECLARED = encode('{}');
/** How long a caller waits until the upstream knows what others want to be told. */
const UP_TO_DATE_MS = 1000;
/**
 * Many servers ask for roots as soon as they are told that the client is ready. A ping makes sure that this is heard
 * before somebody's call, whose question it would be taken for.
 */
const FIRST_WORDS_MS = 250;
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
  readonly #connector: Connector;
  readonly #dispatcher: Dispatcher;
  readonly #urls: UpstreamUrls;
  readonly #gate: OpeningGate;
  /** Everything that has a link, opening ones included, until nothing of it is on its way any more. */
  readonly #live = new Set<Conversation>();
  readonly #underWay = new Tally();
  readonly #dedicated = new Set<Conversation>();
  #dedicatedOpening = 0;
  /** Of pooled conversations. */
  readonly #keys = new WeakMap<Conversation, LinkKey>();
  /** Of the youngest link: of what can be asked, so much exists there. */
  #revision: UpstreamRevision = LATEST_REVISION;
  /** Of the youngest pooled link that declared nothing, or of the only one. */
  #lastHandshake: Handshake | null = null;
  readonly #health: UpstreamHealth;
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
    this.paramHeaders = upstream.paramHeaders;
    this.cache = upstream.cache;
    this.config = config;
    this.clock = clock;
    this.timers = timers;
    this.journal = journal;
    // By then what is tried again was tried again at its slowest.
    this.#urls = new UpstreamUrls(upstream, clock, config.reconnect.max, (url, isOpen) => {
      journal.record({ fact: 'breaker', upstream: upstream.name, url, isOpen });
    });
    this.#gate = new OpeningGate({ clock, timers, rate: config.reconnect.rate });
    this.#connector = connector(config.timeouts.connect, upstream.tls);
    this.#dispatcher = new Agent({
      // A server's own hint can be ten minutes, for sockets of a burst that is over.
      keepAliveMaxTimeout: 60_000,
      connect: this.#connector,
    });
    const { outbound } = upstream;
    this.forwarding =
      typeof outbound === 'string'
        ? null
        : new Forwarding({
            names: outbound.forward,
            fingerprintKey: options.fingerprintKey,
            publicUrl: options.publicUrl,
            sseUrl: new URL(upstream.url.origin + upstream.url.pathname),
            dispatcher: this.#dispatcher,
            timers,
            timeoutMs: config.timeouts.headers,
          });
    this.#refusalOf = this.forwarding?.refusalOf(upstream.path) ?? NO_REFUSAL;
    this.#health = new UpstreamHealth({ upstream: upstream.name, clock, journal });
    this.passage =
      upstream.legacy === false
        ? null
        : new Passage({
            upstream: upstream.name,
            id: Buffer.from(random.bytes(8)).toString('base64url'),
            paths: upstream.legacy,
            urls: this.#urls,
            connector: this.#connector,
            sealer: options.sealer,
            owner: options.owner,
            wallSeconds: options.wallSeconds,
            budgets: options.budgets,
            timeouts: config.timeouts,
            limits: config.limits,
            refusalOf: this.forwarding?.refusalOf(upstream.legacy.sse) ?? NO_REFUSAL,
          });
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
      refusal: () => this.#urls.refusal,
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
  get health(): Pick<UpstreamHealth, 'is' | 'lastError'> {
    return this.#health;
  }

  /** How many of its URLs are not tried for now. */
  get openBreakers(): number {
    return this.#urls.openBreakers;
  }

  /** Everything that has a link, or is getting one. */
  get conversations(): ReadonlySet<Conversation> {
    return this.#live;
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
    return this.#health.is === 'up' || (this.#health.is === 'unknown' && this.config.links.min === 0);
  }

  /** Nobody makes sure that it is the upstream that answers: insecureSkipVerify. */
  get isUnverified(): boolean {
    return !this.#connector.rejectUnauthorized;
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
    for (const conversation of this.#live) {
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
    const { budgets } = this.#options;
    const principal = caller();
    if (budgets.refusal('links', principal) !== null) this.#pool.closeIdleOf(principal);
    const refusal = budgets.refusal('links', principal);
    if (refusal !== null) throw refusal;
    this.#dedicatedOpening++;
    try {
      const credential = (): UpstreamCredential => caller().credential ?? NO_CREDENTIAL;
      const opened = await this.#openFor(principal, place, offer, credential, owner, (conversation, error) => {
        this.#dedicated.delete(conversation);
        onClosed(conversation, error);
      });
      if (opened.conversation.isOpen) this.#dedicated.add(opened.conversation);
      return opened;
    } finally {
      this.#dedicatedOpening--;
    }
  }

  /** Ends every call and every link; the upstream hears of the calls first, if it takes that soon enough. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed = true;
    this.onlyLink.stop();
    this.#gate.close();
    this.#pool.close();
    this.modern.close();
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
    return linkKey(principal, profile, this.config.links.isolation);
  }

  async #openPooled(key: LinkKey, isAwaited: () => boolean, onClosed: () => void): Promise<Conversation> {
    const offer: HandshakeOffer = {
      revision: LATEST_REVISION,
      capabilities: encode(JSON.stringify(declaredCapabilities(key.profile))),
      clientInfo: encode(JSON.stringify(this.#options.clientInfo)),
    };
    const { conversation, handshake } = await this.#openFor(
      key.holder,
      { urgency: () => (isAwaited() ? 'called' : 'kept'), isAgain: !isAwaited() },
      offer,
      () => key.credential,
      null,
      () => {
        onClosed();
        this.modern.linkClosed(key, this.#pool.openOf(key));
        // After the pool has seen to it.
        this.onlyLink.closed();
      },
    );
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

  /** A link in the budget of its holder until it is closed. */
  async #openFor(
    holder: Principal | null,
    ...[place, offer, credential, owner, onClosed]: OpenParameters
  ): Promise<OpenedConversation> {
    const giveBack = holder === null ? () => {} : this.#options.budgets.take('links', holder);
    let isOpened = false;
    try {
      const opened = await this.#open(place, offer, credential, owner, (conversation, error) => {
        // Where one could not be opened another is tried, in the same place.
        if (isOpened) giveBack();
        onClosed(conversation, error);
      });
      isOpened = opened.conversation.isOpen;
      return opened;
    } finally {
      if (!isOpened) giveBack();
    }
  }

  async #open(...what: OpenParameters): Promise<OpenedConversation> {
    try {
      return await this.#openAny(...what);
    } catch (thrown) {
      const error = asProxyError(thrown);
      // A link more that cannot be had says nothing while others live.
      // And one that was not tried says nothing new.
      const isOfAll = error.code !== 'breaker_open' && !isCredentialRefusal(error);
      const isNews = isOfAll && this.#pool.openCount + this.#dedicated.size === 0;
      if (!this.#closed && what[0].signal?.aborted !== true && isNews) this.#health.failed(error);
      throw error;
    }
  }

  /** A link to one of the URLs; where the first that is tried cannot be had, to another. */
  async #openAny(...what: OpenParameters): Promise<OpenedConversation> {
    // A request can come late: its body was on its way while the mount was closed.
    if (this.#closed) throw noLongerServed();
    // Nobody stands in line only to hear that nothing is tried.
    const { refusal } = this.#urls;
    if (refusal !== null) throw refusal;
    const tried = new Set<number>();
    let failure: ProxyError | null = null;
    do {
      const before = tried.size;
      try {
        // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
        return await this.#openOne(tried, ...what);
      } catch (thrown) {
        // Given up by whoever wanted it.
        what[0].signal?.throwIfAborted();
        const error = asProxyError(thrown);
        // Of the upstream it says that it is there, and elsewhere it would be no better.
        if (isCredentialRefusal(error)) throw error;
        const wasTried = tried.size > before;
        // That none is left to try says less than why the one before could not be had.
        if (wasTried || failure === null) failure = error;
        if (wasTried) this.#health.noted(failure);
        else break;
      }
    } while (tried.size < this.#urls.count && !this.#closed);
    throw failure;
  }

  async #openOne(tried: Set<number>, ...[place, ...what]: OpenParameters): Promise<OpenedConversation> {
    const leave = await this.#gate.enter(place);
    try {
      return await this.#openLink(tried, place.signal, ...what);
    } finally {
      leave();
    }
  }

  /** `signal`: whoever wants it wants it no more; what is opened of it is closed at once. */
  async #openLink(
    tried: Set<number>,
    signal: AbortSignal | undefined,
    offer: HandshakeOffer,
    credential: () => UpstreamCredential,
    owner: LinkListener | null,
    onClosed: (conversation: Conversation, error: ProxyError | null) => void,
  ): Promise<OpenedConversation> {
    const { upstream, config, clock, timers, journal } = this.#options;
    const id = this.#options.nextLinkId();
    const openedAt = clock.now();
    const choice = this.#urls.choose(tried);
    const conversation = new Conversation(this.#context, owner, (isTaken) => choice.posted(isTaken));
    const giveUp = (): void => conversation.closeNow('session_ended');
    let isOpened = false;
    let handshake: Handshake;
    try {
      const link = new SseLink({
        id,
        upstream: upstream.name,
        endpoint: choice.url.endpoint,
        headers: () => ({ ...choice.url.headers, ...credential().headers }),
        refusalOf: this.#refusalOf,
        offer,
        initializeId: this.#context.ids.issue(id),
        dispatcher: this.#dispatcher,
        connector: this.#connector,
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
          if (error !== null && isOpened) choice.cut();
          choice.over();
          if (error !== null) this.#health.noted(error);
          if (error !== null && !this.isSingle) this.#health.linkDied(openedAt);
          onClosed(conversation, error);
        },
        () => this.#quiet(conversation),
      );
      this.#live.add(conversation);
      this.#underWay.begin();
      this.#health.opening(openedAt);
      signal?.addEventListener('abort', giveUp);
      handshake = await link.open();
    } catch (thrown) {
      this.#quiet(conversation);
      // Closed by us before it was known whether the upstream would have taken it: that is no failure of its.
      // Nor is it what somebody else could have had.
      if (conversation.phase === 'closing' || isCredentialRefusal(asProxyError(thrown))) choice.gaveUp();
      else choice.failed(asProxyError(thrown).code);
      choice.over();
      throw thrown;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
    isOpened = true;
    choice.opened();
    conversation.opened(handshake);
    this.#health.opened(handshake);
    return { conversation, handshake };
  }

  #quiet(conversation: Conversation): void {
    if (this.#live.delete(conversation)) this.#underWay.end();
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
