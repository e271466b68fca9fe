// A link with its correlation and its router, for the link's life: the one place where a message from the upstream
// meets the call it belongs to.

import { type Call, type CallLease } from '../bridge/call.ts';
import { type CallIds, Correlation, ownId } from '../bridge/correlation.ts';
import { refuseQuestion, routeNotification } from '../bridge/reply-router.ts';
import type { LimitConfig, TimeoutConfig } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { type CallId, linkId } from '../domain/ids.ts';
import type { Chunks, Clock, Dropped, Journal, Link, Timers } from '../domain/ports.ts';
import type { LinkCloseReason } from '../domain/states.ts';
import {
  type Answer,
  type Message,
  type Notification,
  type Request,
  bytesOf,
  encode,
  ownError,
  ownMessage,
} from '../protocol/json-rpc.ts';
import { rewrite } from '../protocol/rewrites.ts';
import { CallPost } from './call-post.ts';

/** What the conversations of one mount share. */
export interface ConversationContext {
  readonly upstream: string;
  readonly ids: CallIds;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
  readonly timeouts: TimeoutConfig;
  readonly limits: LimitConfig;
  /** Calls in flight on the whole mount. */
  readonly inFlight: { count: number };
  /** The mount runs on one link: nothing is retired, since closing would end everybody's calls. */
  readonly isSingle: () => boolean;
  /** This conversation heard an answer that another of our links asked for: the upstream broadcasts. */
  readonly onForeignAnswer: (heardBy: Conversation) => void;
}

/** A call that is registered here, with the client's own progress token. */
interface Registered {
  readonly call: Call;
  readonly post: CallPost;
  readonly token: Uint8Array | null;
}

/** A client's notifications on their way at once; each holds a socket. */
const MAX_NOTIFYING = 16;

export class Conversation {
  readonly #context: ConversationContext;
  readonly #calls = new Correlation<Registered>();
  /** A session's own conversation: everything in flight on it belongs to one client. */
  readonly #dedicated: boolean;
  #link: Link | null = null;
  #ping: { readonly id: number; readonly answered: () => void } | null = null;
  #onClosed: ((error: ProxyError | null) => void) | null = null;
  #onQuiet: (() => void) | null = null;
  /** Cancels and refusals on their way: the link stays until they are out. */
  #pendingSends = 0;
  #notifying = 0;
  /** A POST failed in a way that leaves the link in doubt; a ping clears it. */
  #isSuspect = false;
  /** When a ping last found nothing wrong. */
  #provenAt = Number.NEGATIVE_INFINITY;
  #closeWith: LinkCloseReason | null = null;

  constructor(context: ConversationContext, dedicated: boolean) {
    this.#context = context;
    this.#dedicated = dedicated;
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

  get isOpen(): boolean {
    return this.#link?.state.phase === 'open' && this.#closeWith === null;
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  /** Silent for so long, or so odd to its last message, that it must answer a ping before it is used again. */
  isDoubtful(pingIntervalMs: number): boolean {
    const provenAt = Math.max(this.#openLink().heardAt, this.#provenAt);
    return this.#isSuspect || this.#context.clock.now() - provenAt >= pingIntervalMs;
  }

  /** Puts a call on this conversation: registered first, since an answer can come before its POST is accepted. */
  begin(call: Call, exclusive: boolean, onRelease: (how: 'reuse' | 'retire') => void): void {
    const link = this.#openLink();
    const id = this.#context.ids.issue(link.id);
    const { clock, timers, timeouts, inFlight } = this.#context;
    const { request } = call;
    const token = request.meta?.members.get('progressToken');
    const post = new CallPost({ link, clock, timers, postMs: timeouts.post });
    const registered: Registered = { call, post, token: token === undefined ? null : bytesOf(request.bytes, token) };
    this.#calls.begin(id, registered);
    inFlight.count++;
    call.granted({
      id,
      exclusive,
      post: (message) => this.#post(id, registered, message),
      cancel: (why) => this.#cancel(id, registered, why),
      release: (how) => {
        inFlight.count--;
        this.#calls.settle(id);
        post.bound();
        onRelease(how);
      },
    } satisfies CallLease);
  }

  /** A notification of the client's, already fit for the upstream. */
  notify(message: Chunks): void {
    if (this.#notifying >= MAX_NOTIFYING) {
      this.#drop('undelivered_notification');
      return;
    }
    const link = this.#openLink();
    this.#notifying++;
    link.send(message, this.#context.timeouts.post, (outcome) => {
      this.#notifying--;
      if (outcome.kind === 'accepted') return;
      this.#drop('undelivered_notification');
      if (outcome.kind === 'session_refused' || outcome.kind === 'session_gone') this.#sessionGone(link, () => {});
      else this.#isSuspect = true;
    });
  }

  /** Resolves true when the upstream answers a ping in time, or when its silence proves nothing. */
  ping(timeoutMs: number): Promise<boolean> {
    const { ids, timers, inFlight } = this.#context;
    const link = this.#openLink();
    const id = ids.issue(link.id);
    return new Promise((resolve) => {
      const settle = (alive: boolean): void => {
        timer.cancel();
        this.#ping = null;
        if (alive) {
          this.#isSuspect = false;
          this.#provenAt = this.#context.clock.now();
        }
        resolve(alive);
      };
      // Many servers do one thing at a time: while anything is in flight a missing answer proves nothing.
      const timer = timers.after(timeoutMs, () => settle(inFlight.count > 0));
      this.#ping = { id, answered: () => settle(true) };
      link.send([ownMessage({ id, method: 'ping' })], timeoutMs, (outcome) => {
        if (outcome.kind === 'accepted') {
          if (outcome.body !== null) link.take(outcome.body);
        } else if (outcome.kind !== 'rejected') {
          settle(false);
        }
      });
    });
  }

  /** Ends what is open here, and closes the link as soon as the upstream has been told. Idempotent. */
  close(reason: LinkCloseReason): void {
    if (this.#closeWith !== null) return;
    this.#closeWith = reason;
    const error = closingError(reason);
    for (const { call } of this.#calls.owners()) call.stopped(error);
    this.#tellClosed(null);
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

  /** An answer that no call here waits for: noise, late, or the proof that the upstream broadcasts. */
  stray(answer: Answer): void {
    const id = ownId(answer.bytes, answer.id);
    const issuedFor = id === null ? null : this.#context.ids.issuedFor(id);
    if (issuedFor === null) {
      this.#drop('unknown_answer');
    } else if (issuedFor === (this.#link?.id ?? linkId(-1))) {
      this.#drop('late_answer');
    } else {
      this.#drop('foreign_answer');
      this.#context.onForeignAnswer(this);
    }
  }

  #answer(answer: Answer): void {
    const id = ownId(answer.bytes, answer.id);
    if (id !== null && id === this.#ping?.id) {
      // An error is an answer too: the upstream lives.
      this.#ping.answered();
      return;
    }
    const registered = id === null ? undefined : this.#calls.find(id);
    if (registered === undefined) this.stray(answer);
    else registered.call.answered(answer);
  }

  #question(question: Request): void {
    const refusal = refuseQuestion(question, { idle: this.#calls.size === 0 });
    const id = bytesOf(question.bytes, question.id);
    this.#drop('refused_question', question.method.slice(0, 64));
    // Closed once the refusal is out; until then nobody gets it, whose call would end with the link.
    this.#pendingSends++;
    if (refusal.retire && !this.#dedicated && !this.#context.isSingle()) this.close('retired');
    const answer = ownError(id, { code: refusal.code, message: refusal.message });
    this.#link?.answer([answer], () => {
      this.#pendingSends--;
      this.#closeWhenQuiet();
    });
  }

  #notification(message: Notification): void {
    const calls = this.#calls;
    const verdict = routeNotification<Registered>(message, {
      find: (id) => calls.find(id),
      ofOneSession: this.#dedicated ? calls.owners() : null,
    });
    switch (verdict.to) {
      case 'nobody':
        this.#drop(verdict.as, message.method.slice(0, 64));
        return;
      case 'call':
        this.#delivered(verdict.call.call, verdict.call.call.notification([message.bytes]));
        return;
      case 'progress': {
        const { call, token } = verdict.call;
        if (token === null) this.#drop('late_progress');
        else this.#delivered(call, call.progress(rewrite(message, { progressToken: token })));
        return;
      }
    }
  }

  /** A slow client stops its own link, or, where others share the link, loses its own call. */
  #delivered(call: Call, wasDelivered: boolean): void {
    if (!wasDelivered) {
      this.#drop('undeliverable_notification');
      return;
    }
    if (call.backlogBytes <= this.#context.limits.streamBacklogBytes) return;
    if (!this.#dedicated) {
      call.readerTooSlow();
      return;
    }
    const link = this.#openLink();
    link.pause();
    call.onDrained(() => link.resume());
  }

  #post(id: CallId, { call, post }: Registered, message: Chunks): void {
    const link = this.#openLink();
    post.send(message, (outcome) => {
      if (outcome.kind === 'session_refused' || outcome.kind === 'session_gone') {
        this.#sessionGone(link, () => call.posted(outcome));
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
  #sessionGone(link: Link, tellFirst: () => void): void {
    // Gone before anybody is told, so that nothing is sent here once more.
    this.#closeWith ??= 'lost';
    link.close('lost');
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
    this.#link?.close(this.#closeWith);
    this.#ping?.answered();
    this.#tellQuiet();
  }

  /** Everybody who still waits here. */
  #endCalls(error: ProxyError): void {
    this.#ping?.answered();
    for (const { call } of this.#calls.takeAll()) call.linkLost(error);
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

  #drop(what: Dropped, detail?: string): void {
    const { journal, upstream } = this.#context;
    journal.record({ fact: 'dropped', upstream, what, ...(detail !== undefined && { detail }) });
  }
}

/** What a call hears that is still open when we close its link. */
function closingError(reason: LinkCloseReason): ProxyError {
  if (reason === 'shutdown') return new ProxyError('draining', 'the gateway is shutting down');
  if (reason === 'session_ended') return new ProxyError('session_ended', 'the session has ended');
  return new ProxyError('upstream_session_lost', 'the link was closed');
}
