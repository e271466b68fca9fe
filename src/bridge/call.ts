// One upstream request. It owns its lease, and it may outlive its exchange: a client that leaves does not stop the
// tool. Every way to the end runs through one function, which frees the lease once.

import { ProxyError, isCredentialRefusal } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { CallId } from '../domain/ids.ts';
import type { Chunks, Clock, PostOutcome, Reader, Timer, Timers } from '../domain/ports.ts';
import type { CallState } from '../domain/states.ts';
import type { Answer, Notification, Request } from '../protocol/json-rpc.ts';
import { bytesOf } from '../protocol/json-rpc.ts';
import { NOTHING, rewrite } from '../protocol/rewrites.ts';
import type { Exchange, ExchangeOutcome } from './exchange.ts';

/** What a call has while it runs: a place on a conversation. Traffic implements it. */
export interface CallLease {
  /** Nobody else is on this conversation, so what is left behind would meet the next caller. */
  readonly exclusive: boolean;
  readonly id: CallId;
  /** Sends the request. Its outcome comes back through Call.posted, never before this returns. */
  post(message: Chunks): void;
  /** Tells the upstream that nobody waits for the call any more: in our words, or by the client's own notification. */
  cancel(why: string | Notification): void;
  /** Gives the place back. `retire`: the conversation must not be used again. */
  release(how: 'reuse' | 'retire'): void;
}

/**
 * Whether a failed call could be sent once more.
 * refused: it certainly never ran. lost: it may have run, so only a safe method may be repeated. no: do not.
 */
export type Repeatable = 'refused' | 'lost' | 'no';

export type AnswerChanges = Partial<Pick<ExchangeOutcome & { kind: 'answer' }, 'answer' | 'changes' | 'edits'>>;

/** What becomes of an upstream's answer: it goes out with changes, or something of ours in its stead. */
export type AnswerVerdict = AnswerChanges | Exclude<ExchangeOutcome, { readonly kind: 'answer' }>;

/** Whoever waits for a call: an exchange, or a part of the house that asks by itself. */
export type Asker = Pick<
  Exchange,
  'isOpen' | 'isConnected' | 'backlogBytes' | 'onDrained' | 'attend' | 'sent' | 'notify' | 'finish'
>;

export interface CallOptions {
  readonly request: Request;
  /** The first; a held call goes on with another. */
  readonly exchange: Asker;
  /** The request as it goes upstream, under this id of ours; without, as rewrites.ts has it for the 2025 revisions. */
  readonly outgoing?: ((id: Uint8Array) => Chunks) | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Silence after which the call fails; progress starts it anew. */
  readonly requestMs: number;
  /** The longest a call may take, progress or not. */
  readonly requestMaxMs: number;
  /** What the client's leaving means: the modern era takes it for a cancel, the 2025 revisions do not. */
  readonly clientGone: 'cancel' | 'go on';
  /** What does not increase is no progress to this client. */
  readonly progressIncreases?: true | undefined;
  /** Told of the upstream's answer, whoever still waits for it. */
  readonly onAnswer?: (answer: Answer) => AnswerVerdict | undefined;
  /** Asked before a failure ends the exchange. True: another call was started for it, so this one ends silently. */
  readonly again: (repeatable: Repeatable, error: ProxyError) => boolean;
  /** An earlier attempt may have run, so a failure cannot say any more that nothing was executed. */
  readonly mayHaveRun?: () => boolean;
  /** The call ended, in whatever way, and the client had left. */
  readonly onUnread: () => void;
}

export class Call implements Reader {
  #state: CallState = { phase: 'leasing' };
  /** The one that waits for this call. Null while held and answered. */
  #exchange: Asker | null;
  /** Under which the client wants to hear of progress, its own bytes. */
  #progressToken: Uint8Array | null;
  /** Set in answered, and only there. */
  #kept: ExchangeOutcome | null = null;
  /** Set in run, held and left, and only there. */
  #lease: CallLease | null = null;
  #timer: Timer | null = null;
  /** Gives up the place in the waiting line. Set only while leasing. */
  #leaveLine: (() => void) | null = null;
  #startedAt = 0;
  #hasShownLife = false;
  #progressAt = 0;
  #heldAt = 0;
  #progressValue = Number.NEGATIVE_INFINITY;
  readonly #options: CallOptions;

  constructor(options: CallOptions) {
    this.#options = options;
    const { request, exchange } = options;
    const token = request.meta?.members.get('progressToken');
    this.#progressToken = token === undefined ? null : bytesOf(request.bytes, token);
    this.#exchange = exchange;
    exchange.attend(() => this.#clientGone());
  }

  get state(): CallState {
    return this.#state;
  }

  get request(): Request {
    return this.#options.request;
  }

  /** When it was sent upstream, without the time that it was held; of one that is held, since when. */
  get since(): number {
    const { phase } = this.#state;
    return phase === 'held' || phase === 'answered' ? this.#heldAt : this.#startedAt;
  }

  /** Of an answer that is kept for the client. */
  get keptBytes(): number {
    return this.#kept?.kind === 'answer' ? this.#kept.answer.bytes.length : 0;
  }

  get progressToken(): Uint8Array | null {
    return this.#progressToken;
  }

  /** The call stands in line for a lease; `leave` gives the place up. */
  waits(leave: () => void): void {
    if (this.#state.phase === 'leasing') this.#leaveLine = leave;
  }

  /** See ReplySink. */
  get isConnected(): boolean {
    return this.#exchange?.isConnected === true;
  }

  get backlogBytes(): number {
    return this.#exchange?.backlogBytes ?? 0;
  }

  onDrained(tell: () => void): void {
    if (this.#exchange === null) tell();
    else this.#exchange.onDrained(tell);
  }

  /** The client does not read its stream, and others share the link: it must not hold them up. */
  readerTooSlow(): void {
    if (this.#state.phase !== 'run') return;
    this.#abandon('the client does not read its stream');
    const error = overLimit('slow_reader', 'limits.streamBacklogBytes', 'the stream was not read fast enough', {
      reached: true,
      outcome: 'unknown',
    });
    this.#finish({ kind: 'error', error });
  }

  /** A lease is there. The caller registers the call under `lease.id` before this, so that no answer can be missed. */
  granted(lease: CallLease): void {
    const { exchange, request } = this.#options;
    if (this.#state.phase !== 'leasing') {
      lease.release('reuse');
      return;
    }
    if (!exchange.isOpen) {
      this.#state = { phase: 'done' };
      lease.release('reuse');
      return;
    }
    this.#state = { phase: 'run' };
    this.#leaveLine = null;
    this.#lease = lease;
    this.#startTimeouts();
    const id = Buffer.from(String(lease.id), 'latin1');
    exchange.sent();
    // A token goes upstream only if the client sent one; it is then the integer of the id.
    lease.post(
      this.#options.outgoing?.(id) ??
        rewrite(request, { requestId: id, requestProgressToken: id, requestTask: NOTHING }),
    );
  }

  leaseFailed(error: ProxyError): void {
    if (this.#state.phase !== 'leasing') return;
    this.#end('reuse');
    this.#finish({ kind: 'error', error });
  }

  answered(answer: Answer): void {
    if (!this.#lease) return;
    const { phase } = this.#state;
    const verdict = this.#options.onAnswer?.(answer);
    this.#end('reuse');
    const outcome: ExchangeOutcome =
      verdict !== undefined && 'kind' in verdict
        ? verdict
        : { ...verdict, kind: 'answer', answer: verdict?.answer ?? answer };
    if (phase === 'left') this.#options.onUnread();
    else if (phase === 'held') this.#keep(outcome);
    else this.#finish(outcome);
  }

  // Rounds: the client is asked something, and comes back with the answers

  /** Ends the exchange with this result, and waits for the client to come back with another. */
  hold(result: Uint8Array): void {
    const exchange = this.#exchange;
    if (this.#state.phase !== 'run' || exchange === null) return;
    this.#state = { phase: 'held' };
    this.#heldAt = this.#options.clock.now();
    this.#exchange = null;
    // The upstream waits for the client now, and that has a time of its own.
    this.#timer?.cancel();
    this.#timer = null;
    exchange.attend(null);
    exchange.finish({ kind: 'own', result });
  }

  /** The client is back. False: the call is not held. What the upstream has said meanwhile is told at once. */
  resume(exchange: Asker, progressToken: Uint8Array | null): boolean {
    const { phase } = this.#state;
    if (phase !== 'held' && phase !== 'answered') return false;
    this.#exchange = exchange;
    this.#progressToken = progressToken;
    if (this.#kept !== null) {
      const outcome = this.#kept;
      this.#kept = null;
      this.#state = { phase: 'done' };
      this.#finish(outcome);
      return true;
    }
    this.#state = { phase: 'run' };
    exchange.attend(() => this.#clientGone());
    exchange.sent();
    // The client's time is not the upstream's.
    const now = this.#options.clock.now();
    this.#startedAt += now - this.#heldAt;
    this.#progressAt = now;
    this.#armTimeout(Math.min(this.#options.requestMs, this.#startedAt + this.#options.requestMaxMs - now));
    return true;
  }

  /** The client has not come back in time, or its place is needed. */
  letGo(why: string): void {
    if (this.#state.phase === 'held') this.#abandon(why);
    this.#kept = null;
    if (this.#state.phase === 'answered') this.#state = { phase: 'done' };
  }

  /** Ends the call with a failure of ours, while the upstream works on it. */
  failed(error: ProxyError): void {
    if (this.#state.phase !== 'run') return;
    this.#abandon(error.message);
    this.#finish({ kind: 'error', error });
  }

  #keep(outcome: ExchangeOutcome): void {
    this.#kept = outcome;
    this.#state = { phase: 'answered' };
  }

  #startTimeouts(): void {
    this.#startedAt = this.#progressAt = this.#options.clock.now();
    this.#armTimeout(this.#options.requestMs);
  }

  /**
   * Progress with our token, already rewritten to the client's; `valueOf` reads how far it has come. False: it could not
   * be passed on. Whatever it says, the upstream is at work.
   */
  progress(message: Chunks, valueOf: () => number | null = () => null): boolean {
    if (!this.#lease) return false;
    this.#progressAt = this.#options.clock.now();
    this.#hasShownLife = true;
    const value = this.#options.progressIncreases === true ? valueOf() : null;
    if (value !== null) {
      if (value <= this.#progressValue) return false;
      this.#progressValue = value;
    }
    return this.#state.phase === 'run' && this.#exchange?.notify(message) === true;
  }

  /** The upstream has asked something for it. */
  showsLife(): void {
    this.#hasShownLife = true;
  }

  /** Anything else that goes on this call's stream: a notification, or a question of the upstream. */
  tell(message: Chunks): boolean {
    return this.#state.phase === 'run' && this.#exchange?.notify(message) === true;
  }

  posted(outcome: PostOutcome): void {
    if (!this.#lease || outcome.kind === 'accepted') return;
    switch (outcome.kind) {
      case 'unsent':
        this.#fail('refused', outcome.error);
        return;
      case 'session_refused': {
        const error = new ProxyError('upstream_session_lost', 'the upstream no longer knows this session', {
          outcome: 'not_executed',
        });
        // Whatever the status says: a call that has shown progress has run.
        if (this.#hasShownLife) this.#fail('no', error.afterSending('unknown'));
        else this.#fail('refused', error);
        return;
      }
      case 'session_gone':
      case 'broken':
        this.#fail('lost', outcome.error.afterSending('unknown'));
        return;
      case 'rejected':
        // Who is to show another credential must hear of it by the status.
        if (isCredentialRefusal(outcome.error)) this.#fail('no', outcome.error);
        else this.#fail('no', outcome.error.afterSending('not_executed'));
        return;
    }
  }

  /** We end it: the session is over, or the gateway stops. */
  stopped(error: ProxyError): void {
    if (this.#state.phase === 'leasing') {
      const { details, cause } = error;
      this.leaseFailed(new ProxyError(error.code, error.message, { ...details, cause, outcome: 'not_executed' }));
      return;
    }
    if (!this.#lease) return;
    const { phase } = this.#state;
    this.#abandon(error.message);
    if (phase === 'left') this.#options.onUnread();
    else if (phase === 'run') this.#finish({ kind: 'error', error: error.afterSending('unknown') });
  }

  /** The link is gone, and no answer can come any more. */
  linkLost(error: ProxyError): void {
    if (this.#lease) this.#fail('lost', error.afterSending('unknown'));
  }

  /** The client sent notifications/cancelled for this request. */
  cancelledByClient(notification: Notification): void {
    if (this.#state.phase === 'leasing') {
      this.#end('reuse');
    } else if (this.#lease) {
      this.#abandon(notification);
    } else {
      return;
    }
    this.#finish({ kind: 'cancelled' });
  }

  #clientGone(): void {
    if (this.#state.phase === 'leasing') {
      this.#end('reuse');
      return;
    }
    if (this.#state.phase !== 'run') return;
    if (this.#options.clientGone === 'cancel') this.#abandon('the client disconnected');
    else this.#state = { phase: 'left' };
  }

  #timedOut(): void {
    const { clock, requestMs, requestMaxMs } = this.#options;
    const now = clock.now();
    const due = Math.min(this.#progressAt + requestMs, this.#startedAt + requestMaxMs);
    if (now < due) {
      this.#armTimeout(due - now);
      return;
    }
    const limit = now >= this.#startedAt + requestMaxMs ? 'timeouts.requestMax' : 'timeouts.request';
    const left = this.#state.phase === 'left';
    this.#abandon('the request timed out');
    if (left) {
      this.#options.onUnread();
      return;
    }
    this.#finish({
      kind: 'error',
      error: overLimit('request_timeout', limit, 'the upstream did not answer in time', {
        reached: true,
        outcome: 'unknown',
      }),
    });
  }

  /** Ends the call while the upstream may still be working on it. */
  #abandon(why: string | Notification): void {
    const lease = this.#lease;
    lease?.cancel(why);
    this.#end(lease?.exclusive === true ? 'retire' : 'reuse');
  }

  #fail(repeatable: Repeatable, error: ProxyError): void {
    const { phase } = this.#state;
    // An exclusive conversation whose POST failed may still run the call: the next caller must not meet its questions.
    const mayRun = repeatable !== 'refused';
    this.#end(mayRun && this.#lease?.exclusive === true ? 'retire' : 'reuse');
    if (phase === 'left') {
      this.#options.onUnread();
      return;
    }
    if (phase === 'held') {
      this.#keep({ kind: 'error', error });
      return;
    }
    if (repeatable !== 'no' && this.#exchange?.isOpen === true && this.#options.again(repeatable, error)) return;
    this.#finish({ kind: 'error', error });
  }

  #finish(outcome: ExchangeOutcome): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    const { mayHaveRun } = this.#options;
    exchange.attend(null);
    const isTainted = outcome.kind === 'error' && mayHaveRun?.() === true;
    exchange.finish(isTainted ? { kind: 'error', error: outcome.error.afterSending('unknown') } : outcome);
  }

  /** The one way into done: clear the timer, free the lease once. */
  #end(how: 'reuse' | 'retire'): void {
    const lease = this.#lease;
    this.#state = { phase: 'done' };
    this.#timer?.cancel();
    this.#timer = null;
    this.#lease = null;
    lease?.release(how);
    this.#leaveLine?.();
    this.#leaveLine = null;
  }

  #armTimeout(ms: number): void {
    this.#timer = this.#options.timers.after(Math.min(ms, this.#options.requestMaxMs), () => this.#timedOut());
  }
}
