// One upstream request. It owns its lease, and it may outlive its exchange: a client that leaves does not stop the
// tool. Every way to the end runs through one function, which frees the lease once.

import { ProxyError } from '../domain/errors.ts';
import type { CallId } from '../domain/ids.ts';
import type { Chunks, Clock, PostOutcome, Reader, Timer, Timers } from '../domain/ports.ts';
import type { CallState } from '../domain/states.ts';
import type { Answer, Notification, Request } from '../protocol/json-rpc.ts';
import { encode } from '../protocol/json-rpc.ts';
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

export type AnswerChanges = Partial<Pick<ExchangeOutcome & { kind: 'answer' }, 'changes' | 'edits'>>;

export interface CallOptions {
  readonly request: Request;
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Silence after which the call fails; progress starts it anew. */
  readonly requestMs: number;
  /** The longest a call may take, progress or not. */
  readonly requestMaxMs: number;
  /** What the client's leaving means: the modern era takes it for a cancel, the 2025 revisions do not. */
  readonly clientGone: 'cancel' | 'go on';
  /** Told of the upstream's answer, whoever still waits for it; what it returns is changed in it beside the id. */
  readonly onAnswer?: (answer: Answer) => AnswerChanges | undefined;
  /** Asked before a failure ends the exchange. True: another call was started for it, so this one ends silently. */
  readonly again: (repeatable: Repeatable, error: ProxyError) => boolean;
  /** An earlier attempt may have run, so a failure cannot say any more that nothing was executed. */
  readonly mayHaveRun?: () => boolean;
  /** The call ended, in whatever way, and the client had left. */
  readonly onUnread: () => void;
}

export class Call implements Reader {
  #state: CallState = { phase: 'leasing' };
  /** Set in run and left, and only there. */
  #lease: CallLease | null = null;
  #timer: Timer | null = null;
  /** Gives up the place in the waiting line. Set only while leasing. */
  #leaveLine: (() => void) | null = null;
  #startedAt = 0;
  #hasShownLife = false;
  #progressAt = 0;
  readonly #options: CallOptions;

  constructor(options: CallOptions) {
    this.#options = options;
    options.exchange.attend(() => this.#clientGone());
  }

  get state(): CallState {
    return this.#state;
  }

  get request(): Request {
    return this.#options.request;
  }

  /** The call stands in line for a lease; `leave` gives the place up. */
  waits(leave: () => void): void {
    if (this.#state.phase === 'leasing') this.#leaveLine = leave;
  }

  /** See ReplySink. */
  get isConnected(): boolean {
    return this.#options.exchange.isConnected;
  }

  get backlogBytes(): number {
    return this.#options.exchange.backlogBytes;
  }

  onDrained(tell: () => void): void {
    this.#options.exchange.onDrained(tell);
  }

  /** The client does not read its stream, and others share the link: it must not hold them up. */
  readerTooSlow(): void {
    if (this.#state.phase !== 'run') return;
    this.#abandon('the client does not read its stream');
    const error = new ProxyError('slow_reader', 'the stream was not read fast enough (limits.streamBacklogBytes)', {
      reached: true,
      outcome: 'unknown',
    });
    this.#finish({ kind: 'error', error });
  }

  /** A lease is there. The caller registers the call under `lease.id` before this, so that no answer can be missed. */
  granted(lease: CallLease): void {
    const { exchange, request, clock } = this.#options;
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
    this.#startedAt = this.#progressAt = clock.now();
    this.#armTimeout(this.#options.requestMs);
    const id = encode(String(lease.id));
    exchange.sent();
    // A token goes upstream only if the client sent one; it is then the integer of the id.
    lease.post(rewrite(request, { requestId: id, requestProgressToken: id, requestTask: NOTHING }));
  }

  leaseFailed(error: ProxyError): void {
    if (this.#state.phase !== 'leasing') return;
    this.#end('reuse');
    this.#finish({ kind: 'error', error });
  }

  answered(answer: Answer): void {
    if (!this.#lease) return;
    const left = this.#state.phase === 'left';
    const changes = this.#options.onAnswer?.(answer);
    this.#end('reuse');
    if (left) this.#options.onUnread();
    else this.#finish({ kind: 'answer', answer, ...changes });
  }

  /** Progress with our token, already rewritten to the client's. False: it could not be passed on. */
  progress(message: Chunks): boolean {
    if (!this.#lease) return false;
    this.#progressAt = this.#options.clock.now();
    this.#hasShownLife = true;
    return this.#state.phase === 'run' && this.#options.exchange.notify(message);
  }

  /** Anything else that goes on this call's stream: a notification, or a question of the upstream. */
  tell(message: Chunks): boolean {
    return this.#state.phase === 'run' && this.#options.exchange.notify(message);
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
        this.#fail('no', outcome.error.afterSending('not_executed'));
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
    const left = this.#state.phase === 'left';
    this.#abandon(error.message);
    if (left) this.#options.onUnread();
    else this.#finish({ kind: 'error', error: error.afterSending('unknown') });
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
      error: new ProxyError('request_timeout', `the upstream did not answer in time (${limit})`, {
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
    const left = this.#state.phase === 'left';
    // An exclusive conversation whose POST failed may still run the call: the next caller must not meet its questions.
    const mayRun = repeatable !== 'refused';
    this.#end(mayRun && this.#lease?.exclusive === true ? 'retire' : 'reuse');
    if (left) {
      this.#options.onUnread();
      return;
    }
    if (repeatable !== 'no' && this.#options.exchange.isOpen && this.#options.again(repeatable, error)) return;
    this.#finish({ kind: 'error', error });
  }

  #finish(outcome: ExchangeOutcome): void {
    const { exchange, mayHaveRun } = this.#options;
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
