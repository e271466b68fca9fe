// Opens every link to one upstream: when it is its turn, to which of the URLs, in whose budget, and what that says of the
// upstream. Holds the sockets for it, and knows all that has a link until nothing of it is on its way any more.

import { Agent, type Dispatcher } from 'undici';
import type { LinkListener } from '../bridge/link-listener.ts';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { ProxyError, asProxyError, isCredentialRefusal, noLongerServed } from '../domain/errors.ts';
import type { LinkId } from '../domain/ids.ts';
import type { Principal, UpstreamCredential } from '../domain/principal.ts';
import type { Handshake, HandshakeOffer } from '../protocol/upstream-handshake.ts';
import { type Connector, connector } from '../upstream/connector.ts';
import type { RefusalOf } from '../upstream/credential-refusal.ts';
import { SseLink } from '../upstream/link.ts';
import { withoutSent } from '../upstream/sent-secrets.ts';
import type { Budgets } from './budgets.ts';
import { Conversation, type ConversationContext } from './conversation.ts';
import { OpeningGate, type Place } from './opening-gate.ts';
import { Tally } from './tally.ts';
import { UpstreamHealth } from './upstream-health.ts';
import { UpstreamUrls } from './upstream-urls.ts';

export interface LinkOpenerOptions {
  readonly upstream: UpstreamConfig;
  readonly config: Config;
  readonly context: ConversationContext;
  readonly budgets: Budgets;
  readonly nextLinkId: () => LinkId;
  /** Of callers' credentials. */
  readonly refusalOf: RefusalOf;
  /** Links that are open. */
  readonly openCount: () => number;
}

/** A link that somebody wants. */
export interface Opening {
  readonly place: Place;
  /** In whose budget it is until it is closed; null: in nobody's. */
  readonly holder: Principal | null;
  readonly offer: HandshakeOffer;
  /** As it is then. */
  readonly credential: () => UpstreamCredential;
  /** The session whose own it is; null: it is for many. */
  readonly owner: LinkListener | null;
  /** Told once when it ends, also where it was never open. */
  readonly onClosed: (conversation: Conversation, error: ProxyError | null) => void;
}

export interface OpenedConversation {
  readonly conversation: Conversation;
  readonly handshake: Handshake;
}

/** How long cancels may take to reach the upstream when the gateway stops. */
const FAREWELL_MS = 1000;

export class LinkOpener {
  readonly urls: UpstreamUrls;
  readonly health: UpstreamHealth;
  readonly connector: Connector;
  /** For what is no event stream. */
  readonly dispatcher: Dispatcher;
  readonly #options: LinkOpenerOptions;
  readonly #gate: OpeningGate;
  readonly #live = new Set<Conversation>();
  readonly #underWay = new Tally();
  #stopped = false;

  constructor(options: LinkOpenerOptions) {
    const { upstream, config, context } = options;
    const { clock, timers, journal } = context;
    this.#options = options;
    // By then what is tried again was tried again at its slowest.
    this.urls = new UpstreamUrls(upstream, clock, config.reconnect.max, (url, isOpen) => {
      journal.record({ fact: 'breaker', upstream: upstream.name, url, isOpen });
    });
    this.health = new UpstreamHealth({ upstream: upstream.name, clock, journal });
    this.connector = connector(config.timeouts.connect, upstream.tls);
    this.dispatcher = new Agent({
      // A server's own hint can be ten minutes, for sockets of a burst that is over.
      keepAliveMaxTimeout: 60_000,
      connect: this.connector,
    });
    this.#gate = new OpeningGate({ clock, timers, rate: config.reconnect.rate });
  }

  /** Everything that has a link, opening ones included, until nothing of it is on its way any more. */
  get conversations(): ReadonlySet<Conversation> {
    return this.#live;
  }

  /** Rejects with a ProxyError. */
  async open(opening: Opening): Promise<OpenedConversation> {
    const { holder, onClosed } = opening;
    const giveBack = holder === null ? () => {} : this.#options.budgets.take('links', holder);
    let isOpened = false;
    try {
      const opened = await this.#toAny({
        ...opening,
        onClosed: (conversation, error) => {
          // Where one could not be opened another is tried, in the same place.
          if (isOpened) giveBack();
          onClosed(conversation, error);
        },
      });
      isOpened = opened.conversation.isOpen;
      return opened;
    } catch (thrown) {
      this.#failed(asProxyError(thrown), opening);
      throw thrown;
    } finally {
      if (!isOpened) giveBack();
    }
  }

  /** From now on none is opened. */
  stop(): void {
    this.#stopped = true;
    this.#gate.close();
  }

  /** Ends every call and every link; the upstream hears of the calls first, if it takes that soon enough. */
  async endAll(): Promise<void> {
    for (const conversation of this.#live) conversation.close('shutdown');
    await this.#underWay.whenNone(this.#options.context.timers, FAREWELL_MS);
    for (const conversation of this.#live) conversation.closeNow('shutdown');
  }

  #failed(error: ProxyError, { place }: Opening): void {
    // One that was not tried says nothing new, nor does one that is of a single caller.
    if (error.code === 'breaker_open' || isCredentialRefusal(error)) return;
    if (this.#stopped || place.signal?.aborted === true) return;
    // A link more that cannot be had says nothing while others live.
    if (this.#options.openCount() === 0) this.health.failed(error);
  }

  /** To one of the URLs; where the first that is tried cannot be had, to another. */
  async #toAny(opening: Opening): Promise<OpenedConversation> {
    // A request can come late: its body was on its way while the mount was closed.
    if (this.#stopped) throw noLongerServed();
    // Nobody stands in line only to hear that nothing is tried.
    const { refusal } = this.urls;
    if (refusal !== null) throw refusal;
    const tried = new Set<number>();
    let failure: ProxyError | null = null;
    do {
      const before = tried.size;
      try {
        // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
        return await this.#inTurn(tried, opening);
      } catch (thrown) {
        // Given up by whoever wanted it.
        opening.place.signal?.throwIfAborted();
        const error = asProxyError(thrown);
        // Of the upstream it says that it is there, and elsewhere it would be no better.
        if (isCredentialRefusal(error)) throw error;
        const wasTried = tried.size > before;
        // That none is left to try says less than why the one before could not be had.
        if (wasTried || failure === null) failure = error;
        if (wasTried) this.health.noted(failure);
        else break;
      }
    } while (tried.size < this.urls.count && !this.#stopped);
    throw failure;
  }

  async #inTurn(tried: Set<number>, opening: Opening): Promise<OpenedConversation> {
    const leave = await this.#gate.enter(opening.place);
    try {
      return await this.#toNext(tried, opening);
    } finally {
      leave();
    }
  }

  async #toNext(
    tried: Set<number>,
    { place: { signal }, offer, credential, owner, onClosed }: Opening,
  ): Promise<OpenedConversation> {
    const { upstream, context, refusalOf } = this.#options;
    const { clock, timers, journal, timeouts, limits } = context;
    const id = this.#options.nextLinkId();
    const openedAt = clock.now();
    const choice = this.urls.choose(tried);
    const conversation = new Conversation(context, owner, (isTaken) => choice.posted(isTaken));
    // Whoever wants it wants it no more.
    const giveUp = (): void => conversation.closeNow('session_ended');
    let isOpened = false;
    let handshake: Handshake;
    try {
      const link = new SseLink({
        id,
        upstream: upstream.name,
        endpoint: choice.url.endpoint,
        headers: () => ({ ...choice.url.headers, ...credential().headers }),
        refusalOf,
        offer,
        initializeId: context.ids.issue(id),
        dispatcher: this.dispatcher,
        connector: this.connector,
        timeouts,
        limits,
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
          if (error !== null) this.health.noted(error);
          if (error !== null && !context.isSingle()) this.health.linkDied(openedAt);
          onClosed(conversation, error);
        },
        () => this.#quiet(conversation),
      );
      this.#live.add(conversation);
      this.#underWay.begin();
      this.health.opening(openedAt);
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
    const sent = { ...choice.url.headers, ...credential().headers };
    this.health.opened({ ...handshake, server: withoutSent(handshake.server, upstream, sent) });
    return { conversation, handshake };
  }

  #quiet(conversation: Conversation): void {
    if (this.#live.delete(conversation)) this.#underWay.end();
  }
}
