// An exchange and its calls, with a small model beside them that says what has to become of each. A call that is held
// ends its exchange, and goes on with another one.

import { expect } from 'vitest';
import { Call } from '../../src/bridge/call.ts';
import { Exchange, type ExchangeEnd } from '../../src/bridge/exchange.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import type { PostOutcome } from '../../src/domain/ports.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { RecordedLease, RecordedSink, answerOf, notificationOf, requestOf } from './recorded.ts';

/** What becomes of a call that could be repeated: it is not; it stands in line; it has a lease or a refusal at once. */
export type Again = 'no' | 'in line' | 'granted' | 'refused';

export type Event =
  | {
      readonly kind:
        | 'grant'
        | 'lease fails'
        | 'answer'
        | 'error'
        | 'progress'
        | 'log'
        | 'lost'
        | 'cancel'
        | 'slow'
        | 'stop'
        | 'hold'
        | 'resume'
        | 'let go'
        | 'fail';
    }
  | { readonly kind: 'post'; readonly outcome: PostOutcome['kind'] }
  | { readonly kind: 'gone' }
  | { readonly kind: 'pass'; readonly ms: number };

/** An event concerns the call it names, counted from the latest; one that is over may still hear something. */
export type Step = Event & { readonly back: number };

export interface Setting {
  readonly canStream: boolean;
  readonly exclusive: boolean;
  readonly clientGone: 'cancel' | 'go on';
  readonly heartbeats: boolean;
  readonly again: readonly Again[];
}

const REQUEST_MS = 100;
const REQUEST_MAX_MS = 350;
/** No sum of whole milliseconds ever falls on one of these. */
const HEARTBEAT_MS = 15 + Math.SQRT2 / 10;

interface Attempt {
  readonly call: Call;
  readonly lease: RecordedLease;
  left: number;
  // What the model knows of it.
  hasProgressed: boolean;
  phase: 'leasing' | 'run' | 'held' | 'answered' | 'left' | 'done';
  /** What the client will be told when it is back; null unless the phase is answered. */
  kept: string | null;
  /** Its client has answered questions of it, so it is not made again. */
  hasBeenHeld: boolean;
  startedAt: number;
  dueAt: number;
  heldAt: number;
  release: 'reuse' | 'retire' | null;
  cancels: number;
}

/** An exchange, and what the model expects of it: null while it is open. */
interface Shown {
  readonly exchange: Exchange;
  readonly sink: RecordedSink;
  readonly ends: ExchangeEnd[];
  outcome: string | null;
}

export class History {
  readonly time = new VirtualTime();
  /** The latest is the one that a call works for, if any does. */
  readonly shown: Shown[] = [];
  readonly attempts: Attempt[] = [];
  unread = 0;
  expectedUnread = 0;
  readonly #setting: Setting;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.shown.push(this.#exchange());
    this.#attempt();
  }

  get latest(): Shown {
    const latest = this.shown.at(-1);
    if (latest === undefined) throw new Error('there is always one');
    return latest;
  }

  step(step: Step): void {
    if (step.kind === 'pass') {
      this.#pass(step.ms);
      return;
    }
    if (step.kind === 'gone') {
      this.#gone();
      return;
    }
    const attempt = this.attempts.at(-1 - (step.back % this.attempts.length));
    if (attempt === undefined) throw new Error('there is always one');
    const { call } = attempt;
    const runs = attempt.phase === 'run';
    const holds = runs || attempt.phase === 'left' || attempt.phase === 'held';
    const dirty = this.#setting.exclusive ? 'retire' : 'reuse';
    switch (step.kind) {
      case 'grant':
        if (attempt.lease.posted.length + attempt.lease.released.length === 0) this.#grant(attempt);
        return;
      case 'lease fails':
        if (attempt.phase === 'leasing') {
          attempt.phase = 'done';
          this.#end('queue_timeout');
        }
        call.leaseFailed(new ProxyError('queue_timeout', 'x'));
        return;
      case 'answer':
      case 'error':
        if (holds) {
          const outcome = step.kind === 'answer' ? 'result' : 'error';
          if (runs) this.#end(outcome);
          if (attempt.phase === 'left') this.expectedUnread++;
          this.#done(attempt, 'reuse', outcome);
        }
        call.answered(step.kind === 'answer' ? answerOf(41) : answerOf('41', { error: { code: 1, message: '' } }));
        return;
      case 'progress':
      case 'log': {
        if (holds && step.kind === 'progress') {
          attempt.hasProgressed = true;
          attempt.dueAt = Math.min(this.time.now() + REQUEST_MS, attempt.startedAt + REQUEST_MAX_MS);
        }
        const message = [encode('{}')];
        const delivered = step.kind === 'progress' ? call.progress(message) : call.tell(message);
        expect(delivered).toBe(runs && this.#setting.canStream);
        return;
      }
      case 'post':
        this.#posted(attempt, step.outcome, dirty);
        return;
      case 'lost':
        this.#failing(attempt, dirty, 'upstream_session_lost', true, () =>
          call.linkLost(new ProxyError('upstream_session_lost', 'x')),
        );
        return;
      case 'cancel':
        if (attempt.phase === 'leasing' || runs) this.#end('cancelled');
        if (attempt.phase === 'leasing') attempt.phase = 'done';
        else if (holds) this.#abandon(attempt);
        call.cancelledByClient(notificationOf('notifications/cancelled'));
        return;
      case 'slow':
        if (runs) {
          this.#abandon(attempt);
          this.#end('slow_reader');
        }
        call.readerTooSlow();
        return;
      case 'stop':
        if (attempt.phase === 'left') this.expectedUnread++;
        if (attempt.phase === 'leasing') {
          attempt.phase = 'done';
          this.#end('draining');
        }
        if (holds) {
          this.#abandon(attempt);
          if (runs) this.#end('draining');
        }
        call.stopped(new ProxyError('draining', 'x'));
        return;
      case 'hold':
        if (runs) {
          this.#end('result');
          attempt.phase = 'held';
          attempt.hasBeenHeld = true;
          attempt.heldAt = this.time.now();
          attempt.dueAt = Number.POSITIVE_INFINITY;
        }
        call.hold(encode('{"resultType":"input_required"}'));
        return;
      case 'resume':
        this.#resume(attempt);
        return;
      case 'let go':
        this.#letGo(attempt);
        return;
      case 'fail':
        if (runs) {
          this.#abandon(attempt);
          this.#end('capability_missing');
        }
        call.failed(new ProxyError('capability_missing', 'x'));
        return;
    }
  }

  /** Nothing more comes, and time runs out. */
  exhaust(): void {
    for (const attempt of this.attempts) {
      if (attempt.phase === 'leasing') {
        attempt.phase = 'done';
        this.#end('queue_timeout');
        attempt.call.leaseFailed(new ProxyError('queue_timeout', 'x'));
      }
    }
    this.#pass(10 * REQUEST_MAX_MS);
    for (const attempt of this.attempts) this.#letGo(attempt);
  }

  /** Holds after every step. What is over for long is looked at in the end. */
  check(of: readonly Shown[] = this.shown.slice(-2)): void {
    for (const { ends, sink, outcome } of of) {
      expect(ends.map((end) => end.reason ?? end.outcome)).toEqual(outcome === null ? [] : [outcome]);
      for (const { streamed } of ends) expect(streamed).toBe(sink.isStreaming);
      const how = outcome === null || outcome === 'client_gone' ? [] : [outcome === 'cancelled' ? 'end' : 'finish'];
      expect(sink.ends).toEqual(how);
      expect(sink.broken).toEqual([]);
    }
    expect(this.unread).toBe(this.expectedUnread);
    for (const { call, lease, phase, release, cancels } of this.attempts) {
      expect(call.state.phase).toBe(phase);
      expect(lease.broken).toEqual([]);
      expect(lease.released).toEqual(release === null ? [] : [release]);
      expect(lease.cancelled).toHaveLength(cancels);
      expect(lease.posted.length).toBeLessThanOrEqual(1);
    }
    expect(this.attempts.filter(({ phase }) => phase === 'run' || phase === 'leasing').length).toBe(
      this.latest.outcome === null ? 1 : 0,
    );
  }

  #exchange(): Shown {
    const { canStream, heartbeats } = this.#setting;
    const sink = new RecordedSink(canStream);
    const ends: ExchangeEnd[] = [];
    const exchange = new Exchange({
      id: encode('"own"'),
      sink,
      clock: this.time,
      timers: this.time,
      heartbeatMs: heartbeats ? HEARTBEAT_MS : null,
      upstream: 'up',
      onEnd: (end) => ends.push(end),
    });
    return { exchange, sink, ends, outcome: null };
  }

  /** The client comes back; where nothing is held it is told so, and no call hears of it. */
  #resume(attempt: Attempt): void {
    const shown = this.#exchange();
    const { phase, kept } = attempt;
    if (phase === 'held' || phase === 'answered') this.shown.push(shown);
    if (phase === 'held') {
      attempt.phase = 'run';
      // The client's time is not the upstream's.
      attempt.startedAt += this.time.now() - attempt.heldAt;
      attempt.dueAt = Math.min(this.time.now() + REQUEST_MS, attempt.startedAt + REQUEST_MAX_MS);
    } else if (phase === 'answered') {
      attempt.phase = 'done';
      attempt.kept = null;
      shown.outcome = kept;
    }
    const isTaken = attempt.call.resume(shown.exchange, null);
    expect(isTaken).toBe(phase === 'held' || phase === 'answered');
    if (!isTaken) shown.exchange.finish({ kind: 'own', result: {} });
  }

  #letGo(attempt: Attempt): void {
    if (attempt.phase === 'held') this.#abandon(attempt);
    if (attempt.phase === 'answered') attempt.phase = 'done';
    attempt.kept = null;
    attempt.call.letGo('x');
  }

  #attempt(): void {
    const again = this.#setting.again[this.attempts.length] ?? 'no';
    const call = new Call({
      request: requestOf({ params: { _meta: { progressToken: 1 } } }),
      exchange: this.latest.exchange,
      clock: this.time,
      timers: this.time,
      requestMs: REQUEST_MS,
      requestMaxMs: REQUEST_MAX_MS,
      clientGone: this.#setting.clientGone,
      again: () => {
        if (again === 'no' || attempt.hasBeenHeld) return false;
        this.#attempt();
        const next = this.attempts.at(-1);
        if (next !== undefined && again === 'granted') this.#grant(next);
        if (next !== undefined && again === 'refused') this.step({ kind: 'lease fails', back: 0 });
        return true;
      },
      onUnread: () => {
        this.unread++;
      },
    });
    const attempt: Attempt = {
      call,
      lease: new RecordedLease(this.#setting.exclusive),
      left: 0,
      hasProgressed: false,
      kept: null,
      hasBeenHeld: false,
      phase: 'leasing',
      startedAt: 0,
      dueAt: Number.POSITIVE_INFINITY,
      heldAt: 0,
      release: null,
      cancels: 0,
    };
    this.attempts.push(attempt);
    call.waits(() => attempt.left++);
  }

  #grant(attempt: Attempt): void {
    if (attempt.phase === 'leasing') {
      attempt.phase = 'run';
      attempt.startedAt = this.time.now();
      attempt.dueAt = attempt.startedAt + REQUEST_MS;
    } else {
      attempt.release = 'reuse';
    }
    attempt.call.granted(attempt.lease);
  }

  #posted(attempt: Attempt, kind: PostOutcome['kind'], dirty: 'reuse' | 'retire'): void {
    const error = new ProxyError('post_failed', 'x');
    const { call } = attempt;
    switch (kind) {
      case 'accepted':
        call.posted({ kind, body: null });
        return;
      case 'unsent':
        this.#failing(attempt, 'reuse', 'post_failed', true, () => call.posted({ kind, error }));
        return;
      case 'session_refused':
        // What has shown progress has run, whatever the status says.
        this.#failing(
          attempt,
          attempt.hasProgressed ? dirty : 'reuse',
          'upstream_session_lost',
          !attempt.hasProgressed,
          () => call.posted({ kind }),
        );
        return;
      case 'session_gone':
      case 'broken':
        this.#failing(attempt, dirty, 'post_failed', true, () => call.posted({ kind, error }));
        return;
      case 'rejected':
        this.#failing(attempt, dirty, 'post_failed', false, () => call.posted({ kind, error }));
        return;
    }
  }

  #failing(attempt: Attempt, how: 'reuse' | 'retire', reason: string, repeatable: boolean, act: () => void): void {
    if (attempt.phase === 'run') {
      const again = this.#setting.again[this.attempts.indexOf(attempt)] ?? 'no';
      if (!repeatable || again === 'no' || attempt.hasBeenHeld) this.#end(reason);
    }
    if (attempt.phase === 'left') this.expectedUnread++;
    if (attempt.phase === 'run' || attempt.phase === 'left' || attempt.phase === 'held') {
      this.#done(attempt, how, reason);
    }
    act();
  }

  #gone(): void {
    this.#end('client_gone');
    const { exchange } = this.latest;
    for (const attempt of this.attempts) {
      if (attempt.phase === 'leasing') attempt.phase = 'done';
      else if (attempt.phase === 'run' && this.#setting.clientGone === 'cancel') this.#abandon(attempt);
      else if (attempt.phase === 'run') attempt.phase = 'left';
    }
    exchange.clientGone();
  }

  #pass(ms: number): void {
    for (const attempt of this.attempts) {
      if ((attempt.phase === 'run' || attempt.phase === 'left') && attempt.dueAt <= this.time.now() + ms) {
        if (attempt.phase === 'left') this.expectedUnread++;
        this.#abandon(attempt);
        this.#end('request_timeout');
      }
    }
    this.time.advanceSync(ms);
  }

  #abandon(attempt: Attempt): void {
    attempt.cancels++;
    this.#done(attempt, this.#setting.exclusive ? 'retire' : 'reuse');
  }

  /** `kept`: what the client of a held call will be told. */
  #done(attempt: Attempt, how: 'reuse' | 'retire', kept: string | null = null): void {
    const isKept = attempt.phase === 'held' && kept !== null;
    attempt.phase = isKept ? 'answered' : 'done';
    attempt.kept = isKept ? kept : null;
    attempt.release = how;
  }

  #end(outcome: string): void {
    this.latest.outcome ??= outcome;
  }
}
