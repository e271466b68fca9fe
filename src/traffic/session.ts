// One Mcp-Session-Id: what its client asks of the upstream, and what the upstream asks and tells the client. The wire to
// the upstream is its SessionLink, the wire to the client its SessionStreams.

import { Call, type Repeatable } from '../bridge/call.ts';
import type { Exchange } from '../bridge/exchange.ts';
import { errorReply } from '../bridge/exchange.ts';
import { forRevision } from '../bridge/answer-for-revision.ts';
import type { Refusal } from '../bridge/reply-router.ts';
import { ProxyError } from '../domain/errors.ts';
import type { SessionId } from '../domain/ids.ts';
import type { Chunks, EventReply, EventStore, Reader, StreamedEvent } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import type { SessionState } from '../domain/states.ts';
import type { CapabilityProfile } from '../protocol/capability-profile.ts';
import type { ServedRevision } from '../protocol/eras.ts';
import {
  type Answer,
  type Notification,
  type Request,
  encode,
  idText,
  ownMessage,
  textOf,
} from '../protocol/json-rpc.ts';
import { isLogLevel, passes } from '../protocol/log-level.ts';
import type { SessionRecord } from '../protocol/session-record.ts';
import { isTaskMethod } from '../protocol/methods.ts';
import type { Handshake, HandshakeOffer, ServerOffers } from '../protocol/upstream-handshake.ts';
import type { Conversation } from './conversation.ts';
import type { Heard, Question, Refused } from '../bridge/link-listener.ts';
import type { Mount } from './mount.ts';
import type { MountSession } from './only-link.ts';
import { SessionLink } from './session-link.ts';
import { SessionQuestions, type Shown } from './session-questions.ts';
import type { SessionStreams } from './session-streams.ts';
import { serveWants } from './session-wants.ts';
import type { StreamReply } from './stream.ts';
import { unanswered } from './unanswered.ts';
import { Unheard } from './unheard.ts';
import { Wants } from './wants.ts';

export interface SessionOptions {
  readonly id: SessionId;
  readonly mount: Mount;
  readonly principal: Principal;
  /** What the client and we agreed on. */
  readonly revision: ServedRevision;
  /** What the client can be asked. */
  readonly profile: CapabilityProfile;
  /** Said upstream when the link is opened, and again when it is opened anew. */
  readonly offer: HandshakeOffer;
  readonly streams: SessionStreams;
  readonly store: EventStore;
  /** See SessionQuestionsOptions. */
  readonly firstNumber?: number;
  /** What is in its record is another by now. */
  readonly onChange?: () => void;
  /** The last of its calls has its outcome. */
  readonly onIdle?: () => void;
  /** Another replica had it, and it goes on from there; without a link for now. */
  readonly earlier?: EarlierSession;
}

export interface EarlierSession {
  readonly record: SessionRecord;
  /** For how long it has been there. */
  readonly ageMs: number;
  readonly events: readonly StreamedEvent[];
}

export interface Listening {
  /** It is the stream of a request. */
  readonly isReply: boolean;
  /** The client closed the connection. */
  readonly closed: () => void;
}

interface Attempt {
  /** The upstream answered with a result, on this conversation. */
  readonly onResult?: (on: Conversation) => void;
  readonly count?: number;
}

/** What can end a session that its client has not ended. */
export type SessionLimit = `timeouts.${'sessionIdle' | 'sessionMax'}`;

/** Where others on the same link have asked for more, and this session has not said what it wants. */
const DEFAULT_LEVEL = 'info';
const ENDED: Refusal = { code: -32603, message: 'the session has ended' };

export class Session implements MountSession {
  readonly id: SessionId;
  readonly mount: Mount;
  readonly revision: ServedRevision;
  readonly createdAt: number;
  readonly wants: Wants;
  #state: SessionState = { phase: 'opening' };
  #principal: Principal;
  #usedAt: number;
  /** Open calls by the client's id: more than one only where the client gives an id twice. */
  readonly #calls = new Map<string, Call[]>();
  readonly #profile: CapabilityProfile;
  readonly #link: SessionLink;
  readonly #streams: SessionStreams;
  readonly #questions: SessionQuestions;
  readonly #unheard: Unheard<Shown>;
  readonly #leaveMount: () => void;
  readonly #offer: HandshakeOffer;
  readonly #onChange: () => void;
  readonly #onIdle: () => void;
  /** The client has said that it is initialized, or acts like it: nothing is sent to it before. */
  #isReady = false;
  /** Of the upstream, since it was reached first. */
  #offers: ServerOffers | null = null;

  constructor(options: SessionOptions) {
    const { mount, streams, profile } = options;
    this.id = options.id;
    this.#principal = options.principal;
    this.mount = mount;
    this.revision = options.revision;
    this.#usedAt = mount.clock.now();
    this.createdAt = this.#usedAt - (options.earlier?.ageMs ?? 0);
    this.#onChange = options.onChange ?? (() => {});
    this.#onIdle = options.onIdle ?? (() => {});
    this.wants = new Wants(mount.onlyLink.wants, this.#onChange);
    this.#offer = options.offer;
    this.#profile = profile;
    this.#streams = streams;
    this.#unheard = new Unheard({
      timers: mount.timers,
      clock: mount.clock,
      maxBytes: mount.config.streams.maxBytes,
      maxAgeMs: mount.config.streams.maxAge,
      hold: (bytes) => options.store.hold(bytes),
      onLost: (shown) => this.#lost(shown),
    });
    this.#questions = new SessionQuestions({
      profile,
      show: (message, about, shown) => this.#tell(message, about, shown),
      unshow: (shown) => this.#unheard.remove(shown),
      ...(options.firstNumber !== undefined && { firstNumber: options.firstNumber }),
    });
    this.#link = new SessionLink({
      mount,
      principal: () => this.#principal,
      profile,
      offer: options.offer,
      wants: this.wants,
      listener: this,
      isListening: () => streams.isListening,
      onReopened: (handshake) => this.upstreamChanged(handshake),
    });
    this.#leaveMount = mount.onlyLink.join(this);
    if (options.earlier !== undefined) this.#goOnFrom(options.earlier);
  }

  get principal(): Principal {
    return this.#principal;
  }

  /**
   * The same caller, perhaps with another key, or another credential for the upstream: from now on that one goes with
   * everything. What he holds open is judged by what he opened it with: see endStreams.
   */
  calledBy(principal: Principal): void {
    this.#principal = principal;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** For another replica, to go on with; `createdAt`: see there. */
  record(createdAt: number): SessionRecord {
    const { revision, capabilities, clientInfo } = this.#offer;
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    return {
      mount: this.mount.name,
      revision: this.revision,
      offered: revision,
      capabilities: text(capabilities),
      clientInfo: text(clientInfo),
      isReady: this.#isReady,
      offers: this.#offers,
      level: this.wants.level,
      uris: [...this.wants.uris],
      createdAt,
      listening: this.#streams.listening,
      running: this.#streams.running,
    };
  }

  #goOnFrom({ record, events }: EarlierSession): void {
    this.#state = { phase: 'live' };
    this.#isReady = record.isReady;
    this.#offers = record.offers;
    if (record.level !== null) this.wants.setLevel(record.level);
    for (const uri of record.uris) this.wants.subscribe(uri);
    const lost = new ProxyError('owner_lost', 'the replica that made this call is gone', {
      reached: true,
      outcome: 'unknown',
    });
    this.#streams.restore({
      events,
      listening: record.listening,
      running: unanswered(record.running, events),
      lastWords: (id) => errorReply(encode(id), lost, this.mount.name).body,
    });
  }

  /** No call of its client is open. */
  get isIdle(): boolean {
    return this.#calls.size === 0;
  }

  /** When the session was last used; now, while a call is open or the client listens. */
  get usedAt(): number {
    return this.#calls.size > 0 || this.#streams.isListening ? this.mount.clock.now() : this.#usedAt;
  }

  /** The client is there to hear what no request has caused. */
  get isListening(): boolean {
    return this.#streams.isListening;
  }

  get openStreams(): number {
    return this.#streams.openCount;
  }

  /** Initializes upstream. Rejects with a ProxyError, and the session is over then. */
  async open(): Promise<Handshake> {
    try {
      const handshake = await this.#link.open();
      // Ended while it opened: the client left, or the gateway shuts down.
      if (this.#state.phase === 'ended') throw new ProxyError('draining', 'the session ended while it opened');
      this.#state = { phase: 'live' };
      this.#offers = handshake.offers;
      return handshake;
    } catch (thrown) {
      this.end('failed');
      throw thrown;
    }
  }

  /** Idempotent. What is open is answered, the streams end, the link is closed. */
  end(why: (SessionState & { phase: 'ended' })['why'], limit?: SessionLimit): void {
    if (this.#state.phase === 'ended') return;
    const wasLive = this.#state.phase === 'live';
    this.#state = { phase: 'ended', why };
    this.#leaveMount();
    if (why === 'moved') this.#moveOut();
    const isShutdown = why === 'shutdown';
    const error = isShutdown
      ? new ProxyError('draining', 'the gateway is shutting down')
      : new ProxyError('session_ended', `the session has ended${limit === undefined ? '' : ` (${limit})`}`);
    for (const call of this.#allCalls()) call.stopped(error);
    this.#unheard.end();
    this.#questions.end(error.message);
    this.#link.end(isShutdown ? 'shutdown' : 'session_ended');
    this.#streams.end(isShutdown || why === 'reloaded');
    if (!wasLive) return;
    this.mount.journal.record({ fact: 'session_ended', upstream: this.mount.name, why, ...(limit && { limit }) });
  }

  /**
   * Another replica has it: clients come back for the rest of their streams, and nothing is told to the upstream but that the
   * link closes, since what runs there may be asked for at the other replica.
   */
  #moveOut(): void {
    this.#streams.sendAllAway();
    const error = new ProxyError('owner_lost', 'another replica has taken the session over', { outcome: 'unknown' });
    for (const call of this.#allCalls()) call.linkLost(error);
  }

  /** The GETs of those end; what they were streams of goes on, for the caller to come back with what counts now. */
  endStreams(areMeant: (by: Principal) => boolean): void {
    this.#streams.endThose(areMeant);
  }

  /** Gives up what was kept for too long. */
  purge(): void {
    this.#unheard.purge();
  }

  // What the client sends

  /** The reply to requests of this session, for a client that takes a stream; `answers`: see RunningStream. */
  reply(connection: EventReply, answers?: () => readonly string[]): StreamReply {
    return this.#streams.reply(connection, answers);
  }

  /** Its clients take an event without data that lets them come back. */
  get primes(): boolean {
    return this.#streams.primes;
  }

  /** A GET: the session's stream, or the rest of the one that broke after an event. Throws a ProxyError. */
  listen(connection: EventReply, lastEventId: string | undefined): Listening {
    this.#used();
    const isNew = lastEventId === undefined;
    const stream = isNew
      ? this.#streams.listen(connection, this.#principal)
      : this.#streams.resume(lastEventId, connection, this.#principal);
    this.mount.journal.record({
      fact: 'stream_opened',
      upstream: this.mount.name,
      how: isNew ? 'new' : 'resumed',
    });
    this.#link.keepOpen();
    this.#tellUnheard();
    return {
      isReply: !isNew && !this.#streams.isListeningOn(stream),
      closed: () => {
        this.#used();
        stream.connectionClosed(connection);
      },
    };
  }

  /** One request of the client. */
  serve(request: Request, exchange: Exchange): void {
    this.#used();
    this.#ready();
    switch (request.method) {
      case 'ping':
        exchange.finish({ kind: 'own', result: {} });
        return;
      case 'logging/setLevel':
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        serveWants({
          request,
          exchange,
          mount: this.mount,
          wants: this.wants,
          offers: this.#offers,
          attempt: (onResult) => this.#attempt(request, exchange, { onResult }),
        });
        return;
      default:
        if (isTaskMethod(request.method)) fail(exchange, 'tasks are not served');
        else this.#attempt(request, exchange);
    }
  }

  /** One notification of the client. False: it was dropped. */
  notified(message: Notification): boolean {
    this.#used();
    switch (message.method) {
      case 'notifications/initialized':
        // The link has said it itself, when it opened.
        this.#ready();
        return true;
      case 'notifications/cancelled':
        return this.#cancelled(message);
      case 'notifications/roots/list_changed':
        return this.#profile.members.has('roots') && this.#link.notify([message.bytes]);
      case 'notifications/progress':
        return this.#questions.progress(message);
      case 'notifications/tasks/status':
        return false;
      default:
        return this.#link.notify([message.bytes]);
    }
  }

  /** The client's answer to a question. False: nothing was asked, or it was answered already. */
  responded(answer: Answer): boolean {
    this.#used();
    return this.#questions.answered(answer);
  }

  // What the upstream asks and says: see LinkListener

  asked(question: Question, request: Request): Refused | Heard {
    return this.#state.phase === 'ended' ? { refusal: ENDED } : this.#questions.asked(question, request);
  }

  withdrawn(question: Question, message: Notification | null): Reader | null {
    return this.#questions.withdrawn(question, message);
  }

  heard(message: Notification, about: Call | null): Heard | null {
    return this.#concerns(message) ? { by: this.#tell([message.bytes], about, null) } : null;
  }

  /** The upstream session is another one now, and perhaps the upstream itself. */
  upstreamChanged({ offers }: Handshake): void {
    const before = this.#offers;
    this.#offers = offers;
    if (before?.identity !== offers.identity) this.#onChange();
    if (before === null || before.identity === offers.identity) return;
    for (const kind of new Set([...before.lists, ...offers.lists])) {
      this.#tell([ownMessage({ method: `notifications/${kind}/list_changed` })], null, null);
    }
  }

  becameSingle(): void {
    this.#link.leaveOwn();
  }

  /** On a link of its own everything does; on a shared one only what this session asked for. */
  #concerns(message: Notification): boolean {
    const { bytes, method, params } = message;
    if (method === 'notifications/elicitation/complete') return this.#questions.isCompletion(message);
    if (!this.mount.isSingle) return true;
    const text = (name: string): string => {
      const member = params?.members.get(name);
      return member?.kind === 'string' ? textOf(bytes, member) : '';
    };
    if (method === 'notifications/resources/updated') return this.#wantsUpdate(text('uri'));
    if (method !== 'notifications/message') return true;
    // Others on the link may have asked for more than this session wants.
    const level = text('level');
    return (
      this.mount.onlyLink.wants.level === null || !isLogLevel(level) || passes(level, this.wants.level ?? DEFAULT_LEVEL)
    );
  }

  /** [spec 2025-11-25 schema] of an updated URI: "This might be a sub-resource of the one that the client actually subscribed to." */
  #wantsUpdate(uri: string): boolean {
    for (const wanted of this.wants.uris) {
      if (uri === wanted || uri.startsWith(wanted.endsWith('/') ? wanted : `${wanted}/`)) return true;
    }
    return false;
  }

  /**
   * On exactly one stream: that of the call it is about, else the one that listens, else that of the newest call. All
   * of them are this one client's, so a wrong guess harms nobody. Without any it waits for one.
   */
  #tell(message: Chunks, about: Call | null, shown: Shown | null): Reader | null {
    if (this.#state.phase === 'ended') return null;
    if (this.#unheard.size > 0) this.#tellUnheard();
    const reader = this.#isReady ? this.#send(message, about) : null;
    if (reader === null) this.#unheard.add(message, shown);
    return reader;
  }

  #send(message: Chunks, about: Call | null): Reader | null {
    if (about?.isConnected === true && about.tell(message)) return about;
    const listening = this.#streams.send(message);
    if (listening !== null) return listening;
    const others = this.#allCalls().filter((call) => call !== about);
    const newest = others.toReversed().find((call) => call.isConnected && call.tell(message));
    // Its client is away: it will hear of it when it comes back.
    return newest ?? (about?.tell(message) === true ? about : null);
  }

  /** A stream may have come up for what had none. */
  #tellUnheard(): void {
    if (!this.#isReady) return;
    this.#unheard.retry((message, shown) => this.#send(message, shown?.question.about ?? null) !== null);
  }

  /** No stream came up in time, or there was too much. */
  #lost(shown: Shown | null): void {
    const what = shown === null ? 'unheard_notification' : 'refused_question';
    this.mount.journal.record({ fact: 'dropped', upstream: this.mount.name, what });
    if (shown !== null) this.#questions.unshowable(shown);
  }

  #used(): void {
    this.#usedAt = this.mount.clock.now();
  }

  #ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#onChange();
    this.#tellUnheard();
  }

  // What the client asks of the upstream

  #attempt(request: Request, exchange: Exchange, options: Attempt = {}): void {
    const { count = 1, onResult } = options;
    const key = idText(request.bytes, request.id);
    let on: Conversation | null = null;
    const call = new Call({
      request,
      exchange,
      ...this.mount.callOptions,
      onAnswer: (given) => {
        if (given.kind === 'result' && on !== null) onResult?.(on);
        this.#questions.announced(given);
        const answer = on?.marks.takenFrom(given).answer ?? given;
        return { answer, ...forRevision(answer, request.method, this.revision) };
      },
      again: (repeatable: Repeatable) => {
        // Only what certainly never ran: the new link is a new upstream session, which the client must hear of before
        // it reads from it.
        if (repeatable !== 'refused' || count > 1 || this.#state.phase !== 'live') return false;
        this.#attempt(request, exchange, { ...options, count: count + 1 });
        return true;
      },
    });
    const same = this.#calls.get(key);
    if (same === undefined) this.#calls.set(key, [call]);
    else same.push(call);
    const begun = (conversation: Conversation): void => {
      on = conversation;
      if (this.#unheard.size > 0) this.#tellUnheard();
    };
    this.#link.begin(call, begun, () => this.#done(key, call));
  }

  #done(key: string, call: Call): void {
    this.#used();
    const same = this.#calls.get(key);
    if (same === undefined) return;
    if (same.includes(call)) same.splice(same.indexOf(call), 1);
    if (same.length === 0) this.#calls.delete(key);
    if (this.isIdle) this.#onIdle();
  }

  /** The oldest first, but for ids given twice. */
  #allCalls(): Call[] {
    return [...this.#calls.values()].flat();
  }

  #cancelled(message: Notification): boolean {
    const named = message.params?.members.get('requestId');
    const call = named === undefined ? undefined : this.#calls.get(idText(message.bytes, named))?.at(-1);
    if (call === undefined) return false;
    call.cancelledByClient(message);
    return true;
  }
}

function fail(exchange: Exchange, why: string): void {
  exchange.finish({ kind: 'error', error: new ProxyError('method_not_found', why) });
}
