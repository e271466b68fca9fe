// A link with its correlation and its router, for the link's life: the one place where a message from the upstream
// meets the call it belongs to.

import { type Call, type CallLease } from '../bridge/call.ts';
import { type CallIds, Correlation, ownId } from '../bridge/correlation.ts';
import { RefusalMarks } from '../bridge/refusal-marks.ts';
import { type RouterFacts, UNDECLARED, isLeftOver, routeNotification, routeQuestion } from '../bridge/reply-router.ts';
import type { LimitConfig, TimeoutConfig } from '../config/schema.ts';
import type { Dropped } from '../domain/drops.ts';
import { Bag, type Place } from '../domain/collections.ts';
import { ProxyError, noLongerServed } from '../domain/errors.ts';
import type { LinkPhase, LinkUse } from '../domain/gauges.ts';
import { type CallId, linkId } from '../domain/ids.ts';
import type { Limit } from '../domain/limits.ts';
import type { Chunks, Clock, Journal, Link, PostOutcome, Random, Reader, Timer, Timers } from '../domain/ports.ts';
import type { LinkCloseReason } from '../domain/states.ts';
import {
  type Answer,
  type Message,
  type Notification,
  type Request,
  encode,
  membersOf,
  ownMessage,
  parsed,
} from '../protocol/json-rpc.ts';
import { methodRow } from '../protocol/methods.ts';
import { rewrite } from '../protocol/rewrites.ts';
import type { Handshake } from '../protocol/upstream-handshake.ts';
import { CallPost } from './call-post.ts';
import type { LinkListener } from '../bridge/link-listener.ts';
import { NotificationQueue } from './notification-queue.ts';
import { OpenQuestions } from './open-questions.ts';
import { OwnRequests, type Asked } from './own-requests.ts';
import type { Told, Wanted } from './wants.ts';

/** What the conversations of one mount share. */
export interface ConversationContext {
  readonly upstream: string;
  readonly ids: CallIds;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly journal: Journal;
  readonly timeouts: TimeoutConfig;
  readonly limits: LimitConfig;
  /** Calls in flight on the whole mount. */
  readonly inFlight: { count: number };
  /** Of those, the ones that the upstream may answer with a question. */
  readonly asking: { count: number; links: number };
  /** The mount runs on one link: nothing is retired, since closing would end everybody's calls. */
  readonly isSingle: () => boolean;
  /** The sessions on that link. */
  readonly sessions: () => Iterable<LinkListener>;
  /** The upstream says on a link that many share that something has changed. False: nobody wants to know. */
  readonly changed: (on: Conversation, message: Notification) => boolean;
  /** This conversation heard an answer that another of our links asked for: the upstream broadcasts. */
  readonly onForeignAnswer: (heardBy: Conversation) => void;
}

/** A call that is registered here. */
interface Registered {
  readonly call: Call;
  readonly post: CallPost;
  readonly mayAskBack: boolean;
  /** Who answers for what it causes; null: nobody. */
  readonly listener: LinkListener | null;
  isAnswered: boolean;
  /** Of its POST, among those under way. */
  place: Place<CallPost> | null;
}

export class Conversation {
  readonly #context: ConversationContext;
  readonly #calls = new Correlation<Registered>();
  readonly #facts: RouterFacts<Registered>;
  /** The session whose own conversation it is: everything in flight on it belongs to one client. */
  readonly #owner: LinkListener | null;
  #link: Link | null = null;
  #handshake: Handshake | null = null;
  readonly #onPosted: (isTaken: boolean) => void;
  readonly #own: OwnRequests;
  /** Those under way: some outlive their calls. */
  readonly #posts = new Bag<CallPost>();
  readonly #questions: OpenQuestions;
  #onClosed: ((error: ProxyError | null) => void) | null = null;
  #onQuiet: (() => void) | null = null;
  /** Cancels and refusals on their way: the link stays until they are out. */
  #pendingSends = 0;
  readonly #notifications: NotificationQueue;
  /** Set while the link is to be closed, and waits for what is on its way. */
  #farewell: Timer | null = null;
  /** Of questions that were refused while calls ran: they tell whose call could not come to its end for that. */
  readonly marks: RefusalMarks;
  /** Calls here that the upstream may answer with a question. */
  #asking = 0;
  /** Requests of ours that clients wait for, such as lists. */
  #fetching = 0;
  #pauses = 0;
  /** A POST failed in a way that leaves the link in doubt; a ping clears it. */
  #isSuspect = false;
  /** When a ping last found nothing wrong. */
  #provenAt = Number.NEGATIVE_INFINITY;
  #closeWith: LinkCloseReason | null = null;

  /** `onPosted`: told of every call whether the upstream took it, or failed as a whole. */
  constructor(
    context: ConversationContext,
    owner: LinkListener | null,
    onPosted: (isTaken: boolean) => void = () => {},
  ) {
    this.#context = context;
    this.#onPosted = onPosted;
    this.#owner = owner;
    const calls = this.#calls;
    this.#facts = {
      get sharing() {
        return owner !== null ? 'session' : context.isSingle() ? 'everybody' : 'pool';
      },
      get calls() {
        return calls.owners();
      },
      find: (id) => calls.find(id),
      mayAskBack: (call) => call.mayAskBack,
    };
    const { ids, timers, timeouts, random } = context;
    this.marks = new RefusalMarks(random);
    this.#own = new OwnRequests({
      ids,
      timers,
      link: () => this.#openLink(),
      isOver: () => !this.isOpen,
      tellMs: timeouts.initialize,
      onNotTold: (method) => this.#drop('undelivered_notification', method),
      onSessionGone: () => this.#sessionGone(() => {}),
    });
    this.#notifications = new NotificationQueue({
      timers,
      post: (message, done) => this.#openLink().send(message, timeouts.post, done),
      onDropped: () => this.#drop('undelivered_notification'),
      onNotTaken: (outcome) => this.#notTaken(outcome, 'undelivered_notification'),
    });
    this.#questions = new OpenQuestions({
      send: (answer) => {
        this.#pendingSends++;
        this.#notifications.afterAll(() => {
          this.#pendingSends--;
          this.#sendAnswer(answer);
        });
      },
      notify: (message) => this.notify(message),
      onRefused: (method) => this.#drop('refused_question', method.slice(0, 64)),
      onRead: (reader, bytes) => this.#readBy(reader, bytes),
    });
  }

  /**
   * The link, before it opens. `onClosed` is told once, with an error when it was not our own doing;
   * `onQuiet` once, when nothing of it is on its way any more.
   */
  attach(link: Link, onClosed: (error: ProxyError | null) => void, onQuiet: () => void = () => {}): void {
    this.#link = link;
    this.#onClosed = onClosed;
    this.#onQuiet = onQuiet;
  }

  /** The upstream's answer to initialize. */
  opened(handshake: Handshake): void {
    this.#handshake = handshake;
    this.#own.opened(handshake.offers);
  }

  /** Of an open conversation. */
  get handshake(): Handshake {
    if (this.#handshake === null) throw new Error('a conversation is used once its link is open');
    return this.#handshake;
  }

  get isOpen(): boolean {
    return this.#link?.state.phase === 'open' && this.#closeWith === null;
  }

  /** Whose link it is. */
  get use(): LinkUse {
    return this.#owner === null ? 'pooled' : 'dedicated';
  }

  get phase(): LinkPhase {
    if (this.#closeWith !== null) return 'closing';
    return this.isOpen ? 'open' : 'opening';
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  /** Those in flight, as they are when this is asked. */
  get calls(): readonly Call[] {
    return this.#calls.owners().map(({ call }) => call);
  }

  /** Silent for so long, or so odd to its last message, that it must answer a ping before it is used again. */
  isDoubtful(pingIntervalMs: number): boolean {
    // Silent because we do not read.
    if (this.#pauses > 0) return false;
    const provenAt = Math.max(this.#openLink().heardAt, this.#provenAt);
    return this.#isSuspect || this.#context.clock.now() - provenAt >= pingIntervalMs;
  }

  /** Puts a call on this conversation: registered first, since an answer can come before its POST is accepted. */
  begin(
    call: Call,
    { exclusive, listener }: { readonly exclusive: boolean; readonly listener: LinkListener | null },
    onRelease: (how: 'reuse' | 'retire') => void,
  ): void {
    const link = this.#openLink();
    const id = this.#context.ids.issue(link.id);
    const { clock, timers, timeouts, inFlight } = this.#context;
    const { request } = call;
    const post: CallPost = new CallPost({
      link,
      clock,
      timers,
      postMs: timeouts.post,
      onOver: () => {
        if (registered.place !== null) this.#posts.remove(registered.place);
      },
    });
    const registered: Registered = {
      call,
      post,
      mayAskBack: methodRow(request.method).mayAskBack === true,
      listener,
      isAnswered: false,
      place: null,
    };
    this.#calls.begin(id, registered);
    inFlight.count++;
    if (registered.mayAskBack) this.#mayBeAsked(1);
    call.granted({
      id,
      exclusive,
      post: (message) => this.#post(id, registered, message),
      cancel: (why) => {
        // Its questions have their answers first: then there is nothing that the cancel could overtake.
        this.#questions.callEnded(call, 'the call that asked is over');
        this.#cancel(id, registered, why);
      },
      release: (how) => {
        inFlight.count--;
        if (registered.mayAskBack) this.#mayBeAsked(-1);
        this.#calls.settle(id);
        post.bound();
        // A session's own tool may have answered and still wait for the answer to its question; on a link that others
        // use, what a call leaves behind could be taken for theirs.
        const mayStillAsk = registered.isAnswered && this.#owner !== null;
        this.#questions.callEnded(call, mayStillAsk ? null : 'the call that asked is over');
        onRelease(how);
      },
    } satisfies CallLease);
  }

  /** A notification of the client's, already fit for the upstream. */
  notify(message: Chunks): void {
    this.#notifications.send(message);
  }

  /** The upstream did not take something that nobody waits for. */
  #notTaken(outcome: PostOutcome, what: Dropped): void {
    if (!('error' in outcome)) this.#drop(what);
    else this.#drop(what, outcome.error.message, outcome.error.details.limit);
    if (outcome.kind === 'session_refused' || outcome.kind === 'session_gone') this.#sessionGone(() => {});
    else this.#isSuspect = true;
  }

  /** Resolves true when the upstream answers a ping in time, or when its silence proves nothing. */
  async ping(timeoutMs: number): Promise<boolean> {
    const outcome = await this.#own.ping(timeoutMs);
    // Many servers do one thing at a time: while anything is in flight a missing answer proves nothing.
    if (outcome === 'silent') return this.#context.inFlight.count > 0 && this.isOpen;
    if (outcome === 'lost') return false;
    this.#isSuspect = false;
    this.#provenAt = this.#context.clock.now();
    return true;
  }

  /** One request of ours, beside those of clients; see OwnRequests. */
  async request(method: string, params: object | undefined, timeoutMs: number, signal?: AbortSignal): Promise<Asked> {
    this.#fetching++;
    this.#context.inFlight.count++;
    try {
      return await this.#own.request(method, params, timeoutMs, signal);
    } finally {
      this.#fetching--;
      this.#context.inFlight.count--;
    }
  }

  /** Tells the upstream what those on this link want of it; see OwnRequests. */
  bringUpToDate(wanted: Wanted): Promise<void> | null {
    return this.#own.bringUpToDate(wanted);
  }

  /** What the upstream session behind this link has been told beyond its handshake. */
  get told(): Told {
    return this.#own.told;
  }

  /** Ends what is open here, and closes the link as soon as the upstream has been told. Idempotent. */
  close(reason: LinkCloseReason): void {
    if (this.#closeWith !== null) return;
    this.#closeWith = reason;
    const error = closingError(reason);
    for (const { call } of this.#calls.owners()) call.stopped(error);
    this.#questions.giveUpAll(error.message);
    this.#tellClosed(null);
    // What an upstream does not take by then it will not take.
    this.#farewell = this.#context.timers.after(this.#context.timeouts.post, () => this.closeNow(reason));
    this.#closeWhenQuiet();
  }

  /** Closes at once, whatever is still on its way. */
  closeNow(reason: LinkCloseReason): void {
    this.close(reason);
    this.#pendingSends = 0;
    this.#closeWhenQuiet();
  }

  // From here on: what the link says.

  message(message: Message): void {
    switch (message.kind) {
      case 'result':
      case 'error':
        this.#answer(message);
        return;
      case 'request':
        this.#question(message);
        return;
      case 'notification':
        this.#notification(message);
        return;
    }
  }

  lost(error: ProxyError): void {
    this.#closeWith ??= 'lost';
    this.#endCalls(error);
    this.#tellClosed(error);
  }

  /** An answer that no call here waits for: noise, late, a second one, or the proof that the upstream broadcasts. */
  stray(answer: Answer): void {
    const id = ownId(answer.bytes, answer.id);
    const issuedFor = id === null ? null : this.#context.ids.issuedFor(id);
    if (id === null || issuedFor === null) {
      this.#drop('unknown_answer');
    } else if (issuedFor === (this.#link?.id ?? linkId(-1))) {
      this.#drop(this.#context.ids.isAnswered(id) ? 'duplicate_answer' : 'late_answer');
    } else {
      this.#drop('foreign_answer');
      this.#context.onForeignAnswer(this);
    }
  }

  #answer(answer: Answer): void {
    const id = ownId(answer.bytes, answer.id);
    const registered = id === null ? undefined : this.#calls.find(id);
    if (id === null || (registered === undefined && !this.#own.answered(id, answer))) {
      this.stray(answer);
      return;
    }
    this.#context.ids.answered(id);
    if (registered === undefined) return;
    registered.isAnswered = true;
    registered.call.answered(answer);
  }

  #question(request: Request): void {
    // On its way out: who asks hears of it by the link's end.
    if (this.#closeWith !== null) return;
    if (this.#context.isSingle() && !this.#isOurs(request)) return;
    const verdict = routeQuestion(request, this.#facts);
    const session = verdict.to === 'session' ? this.#owner : verdict.to === 'session of' ? verdict.call.listener : null;
    const about = verdict.to === 'session' ? verdict.about : verdict.to === 'session of' ? verdict.call : null;
    if (session !== null) {
      this.#questions.ask(request, session, about?.call ?? null);
      return;
    }
    // Closed once the refusal is out; until then nobody gets it, whose call would end with the link.
    const isIdle = this.#calls.size === 0 && this.#fetching === 0;
    const mustRetire = isIdle && isLeftOver(request) && !this.#context.isSingle();
    const why = verdict.to === 'nobody' ? verdict.refusal : UNDECLARED;
    this.#questions.refuse(request, why === UNDECLARED && this.#calls.size > 0 ? this.marks.refusal(request) : why);
    if (mustRetire) this.close('retired');
  }

  /**
   * An upstream that sends everything to every link has brought the mount to one; calls may still run on the others,
   * and each of these links hears a copy of the question. It belongs to the only call that may ask back, wherever that
   * runs. Where there are several nobody can tell, and the link that stays says so.
   */
  #isOurs(request: Request): boolean {
    const { count, links } = this.#context.asking;
    if (this.#asking === count && (count > 0 || this.#owner === null)) return true;
    if (links > 1 && this.#owner === null) this.#questions.refuse(request, UNDECLARED);
    else this.#drop('foreign_question', request.method.slice(0, 64));
    return false;
  }

  #mayBeAsked(oneMoreOrLess: 1 | -1): void {
    const { asking } = this.#context;
    const before = this.#asking;
    this.#asking += oneMoreOrLess;
    asking.count += oneMoreOrLess;
    asking.links += Math.sign(this.#asking) - Math.sign(before);
  }

  /** `isAgain`: it was not sent the first time. */
  #sendAnswer(message: Chunks, isAgain = false): void {
    const link = this.#link;
    if (link === null) return;
    this.#pendingSends++;
    link.answer(message, (outcome) => {
      this.#pendingSends--;
      if (outcome.kind === 'unsent' && !isAgain && link.state.phase === 'open') this.#sendAnswer(message, true);
      else if (outcome.kind !== 'accepted') this.#notTaken(outcome, 'undelivered_answer');
      this.#closeWhenQuiet();
    });
  }

  #notification(message: Notification): void {
    const verdict = routeNotification<Registered>(message, this.#facts);
    switch (verdict.to) {
      case 'nobody':
        this.#drop(verdict.as, message.method.slice(0, 64));
        return;
      case 'question':
        if (!this.#questions.withdraw(message)) this.#drop('unknown_cancel');
        return;
      case 'session':
        this.#heardBy(this.#owner === null ? [] : [this.#owner], message, verdict.about?.call ?? null);
        return;
      case 'session of': {
        const { call, listener } = verdict.call;
        this.#heardBy(listener === null ? [] : [listener], message, call);
        return;
      }
      case 'every session':
        this.#heardBy(this.#context.sessions(), message, null, this.#context.changed(this, message));
        return;
      case 'listens':
        this.#heardBy([], message, null, this.#context.changed(this, message));
        return;
      case 'progress': {
        const { call } = verdict.call;
        const token = call.progressToken;
        if (token === null) this.#drop('late_progress');
        else if (call.progress(rewrite(message, { progressToken: token }), () => valueOf(message)))
          this.#readBy(call, message.bytes.length);
        else this.#drop('undeliverable_notification');
        return;
      }
    }
  }

  #heardBy(listeners: Iterable<LinkListener>, message: Notification, about: Call | null, isHeard = false): void {
    let isTaken = isHeard;
    for (const listener of listeners) {
      const heard = listener.heard(message, about);
      isTaken ||= heard !== null;
      this.#readBy(heard?.by ?? null, message.bytes.length);
    }
    if (!isTaken) this.#drop('unroutable_notification', message.method.slice(0, 64));
  }

  /** A slow client stops its own link, or, where others share the link, loses what it reads. */
  #readBy(reader: Reader | null, bytes: number): void {
    // One message of any size may wait, and beyond it so much.
    if (reader === null || reader.backlogBytes <= bytes + this.#context.limits.streamBacklogBytes) return;
    if (this.#owner === null) {
      reader.readerTooSlow();
      return;
    }
    const link = this.#openLink();
    link.pause();
    this.#pauses++;
    reader.onDrained(() => {
      this.#pauses--;
      link.resume();
    });
  }

  #post(id: CallId, registered: Registered, message: Chunks): void {
    const { call, post } = registered;
    const link = this.#openLink();
    registered.place = this.#posts.add(post);
    post.send(message, (outcome) => {
      if (outcome.kind === 'accepted') this.#onPosted(true);
      else if (outcome.kind === 'session_gone' || outcome.kind === 'broken') this.#onPosted(false);
      if (outcome.kind === 'session_refused' || outcome.kind === 'session_gone') {
        this.#sessionGone(() => call.posted(outcome));
      } else if (outcome.kind !== 'accepted') {
        this.#isSuspect = true;
        call.posted(outcome);
      } else if (outcome.body !== null) {
        // Whichever comes first, here or on the stream, is the answer.
        if (this.#calls.find(id) === undefined) this.#drop('post_body_ignored');
        else link.take(outcome.body);
      }
    });
  }

  /** The upstream does not know the session any more: the link is of no use, and nothing on it will be answered. */
  #sessionGone(tellFirst: () => void): void {
    // Gone before anybody is told, so that nothing is sent here once more.
    this.#closeWith ??= 'lost';
    this.#link?.close('lost');
    const error = new ProxyError('upstream_session_lost', 'the upstream no longer knows this session');
    this.#tellClosed(error);
    tellFirst();
    this.#endCalls(error);
  }

  #cancel(id: CallId, { post }: Registered, why: string | Notification): void {
    // What we give up ourselves may have hung: the link must show that it lives before it is used again.
    if (typeof why === 'string') this.#isSuspect = true;
    const message =
      typeof why === 'string'
        ? [ownMessage({ method: 'notifications/cancelled', params: { requestId: id, reason: why } })]
        : rewrite(why, { cancelledRequestId: encode(String(id)) });
    this.#pendingSends++;
    post.beforeCancel(() => {
      this.#link?.send(message, this.#context.timeouts.post, () => {
        this.#pendingSends--;
        this.#closeWhenQuiet();
      });
    });
  }

  #closeWhenQuiet(): void {
    if (this.#closeWith === null || this.#pendingSends > 0) return;
    this.#farewell?.cancel();
    this.#link?.close(this.#closeWith);
    this.#endOwn();
    this.#tellQuiet();
  }

  /** Everybody who still waits here. */
  #endCalls(error: ProxyError): void {
    this.#endOwn();
    this.#questions.lost();
    for (const { call } of this.#calls.takeAll()) call.linkLost(error);
  }

  #endOwn(): void {
    this.#posts.takeEach((post) => post.linkClosed());
    this.#own.end();
  }

  #tellQuiet(): void {
    const tell = this.#onQuiet;
    this.#onQuiet = null;
    tell?.();
  }

  #tellClosed(error: ProxyError | null): void {
    if (error !== null) this.#tellQuiet();
    const tell = this.#onClosed;
    this.#onClosed = null;
    tell?.(error);
  }

  #openLink(): Link {
    if (this.#link === null) throw new Error('a conversation is used once its link is open');
    return this.#link;
  }

  #drop(what: Dropped, detail?: string, limit?: Limit): void {
    const { journal, upstream } = this.#context;
    journal.record({
      fact: 'dropped',
      upstream,
      what,
      ...(detail !== undefined && { detail }),
      ...(limit && { limit }),
    });
  }
}

/** How far a call has come, as progress says. */
function valueOf(message: Notification): number | null {
  const member = message.params === null ? null : membersOf(message, message.params, PROGRESS)?.members.get('progress');
  return member?.kind === 'integer' || member?.kind === 'number' ? Number(parsed(message.bytes, member)) : null;
}

const PROGRESS = new Set(['progress']);

/** What a call hears that is still open when we close its link. */
function closingError(reason: LinkCloseReason): ProxyError {
  if (reason === 'shutdown') return noLongerServed();
  if (reason === 'session_ended') return new ProxyError('session_ended', 'the session has ended');
  return new ProxyError('upstream_session_lost', 'the link was closed');
}
