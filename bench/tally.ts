// What became of the calls of one run, and the ids and nonces they are told apart by.
import type { Call, Verdict } from './answer-check.ts';
import type { Caller } from './callers.ts';
import type { LoadFigures, Shape } from './load-messages.ts';
import { quantile } from './stats.ts';

const MAX_REASONS = 4;
let runs = 0;

export class Tally {
  readonly #latencies: number[] = [];
  readonly #late: number[] = [];
  readonly #reasons: string[] = [];
  readonly #startedAt = performance.now();
  readonly #cpuBefore = process.cpuUsage();
  #right = 0;
  #lastAt = this.#startedAt;
  #errors = 0;
  #wrong = 0;
  #misrouted = 0;
  #progressLost = 0;
  #behind = 0;

  constructor() {
    runs += 1;
  }

  /** `since` is when the call was sent, or was to be sent. */
  add(verdict: Verdict, since: number): void {
    const now = performance.now();
    switch (verdict.kind) {
      case 'right':
        this.#right += 1;
        this.#lastAt = now;
        this.#latencies.push(now - since);
        this.#progressLost += verdict.progressLost;
        this.#misrouted += verdict.misrouted;
        break;
      case 'wrong':
        this.#wrong += 1;
        this.#note(`WRONG: ${verdict.why}`);
        break;
      case 'error':
        this.#errors += 1;
        this.#note(`error: ${verdict.why}`);
        break;
    }
  }

  /** A call without an answer yet: it has taken at least so long. */
  addBehind(since: number): void {
    this.#behind += 1;
    this.#latencies.push(performance.now() - since);
  }

  addLateness(ms: number): void {
    this.#late.push(ms);
  }

  figures(misrouted: number): LoadFigures {
    const cpu = process.cpuUsage(this.#cpuBefore);
    const seconds = (this.#lastAt - this.#startedAt) / 1000;
    const sorted = Float64Array.from(this.#latencies).toSorted();
    return {
      right: this.#right,
      callsPerSecond: this.#right === 0 ? 0 : this.#right / seconds,
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      p999Ms: quantile(sorted, 0.999),
      errors: this.#errors,
      wrong: this.#wrong,
      misrouted: this.#misrouted + misrouted,
      progressLost: this.#progressLost,
      behind: this.#behind,
      lateP99Ms: quantile(Float64Array.from(this.#late).toSorted(), 0.99),
      loadCpuUs: (cpu.user + cpu.system) / this.#right,
      reasons: this.#reasons,
    };
  }

  #note(reason: string): void {
    if (this.#reasons.length < MAX_REASONS) this.#reasons.push(reason);
  }
}

/**
 * Ids collide across callers on purpose, half of them as numbers and half as strings: 7 and "7" are in flight at the
 * same time, and a gateway that mixes them up gives a wrong answer here.
 */
export function callOf({ lane, lanes }: Caller, index: number, count: number, shape: Shape): Call {
  const number = count * lanes + lane;
  // The kind follows the session, so that both kinds of the same value meet in the gateway and not in one session.
  const asString = Math.trunc(index / lanes) % 2 === 1;
  return { id: asString ? String(number) : number, nonce: `${runs}-${index}-${count}`, ...shape };
}
