// A closed loop: every caller sends its next call when the last one is answered, until the time is up. Every answer is
// checked. Ids collide across callers on purpose, half of them as numbers and half as strings: 7 and "7" are in flight
// at the same time, and a gateway that mixes them up gives a wrong answer here.
import type { Call, Verdict } from './answer-check.ts';
import type { Caller } from './callers.ts';
import { quantile } from './stats.ts';

export interface Shape {
  readonly size: number;
  readonly progress: number;
}

export interface LoadFigures {
  readonly rightCalls: number;
  readonly seconds: number;
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly wrong: number;
  readonly progressLost: number;
  /** CPU of the load generator itself, checking included. */
  readonly loadCpuUs: number;
  /** The first few reasons of errors and wrong answers. */
  readonly reasons: readonly string[];
}

/** A caller gives up for this round after so many errors, lest a refusing peer be hammered. */
const MAX_ERRORS_PER_CALLER = 20;
const ANSWER_TIMEOUT_MS = 10_000;
const MAX_REASONS = 4;
let runs = 0;

export async function runLoad(callers: readonly Caller[], shape: Shape, seconds: number): Promise<LoadFigures> {
  runs += 1;
  const latencies: number[] = [];
  const reasons: string[] = [];
  let errors = 0;
  let wrong = 0;
  let progressLost = 0;
  const startedAt = performance.now();
  const stopAt = startedAt + seconds * 1000;
  let lastAt = startedAt;
  const cpuBefore = process.cpuUsage();

  const noteError = (why: string): void => {
    errors += 1;
    if (reasons.length < MAX_REASONS) reasons.push(`error: ${why}`);
  };
  const loop = (caller: Caller, index: number): Promise<void> =>
    new Promise((resolve) => {
      let count = 0;
      let ownErrors = 0;
      let sentAt = 0;
      let open = true;
      // One timer per caller and not per call: a stuck call is found, if a little late.
      const watchdog = setInterval(() => {
        if (performance.now() - sentAt > ANSWER_TIMEOUT_MS) finish('no answer in time');
      }, ANSWER_TIMEOUT_MS / 4);
      const finish = (failure?: string): void => {
        if (!open) return;
        open = false;
        clearInterval(watchdog);
        if (failure !== undefined) noteError(failure);
        resolve();
      };
      const take = (verdict: Verdict): void => {
        if (!open) return;
        const now = performance.now();
        if (verdict.kind === 'right') {
          latencies.push(now - sentAt);
          lastAt = now;
          progressLost += verdict.progressLost;
        } else if (verdict.kind === 'wrong') {
          wrong += 1;
          if (reasons.length < MAX_REASONS) reasons.push(`WRONG: ${verdict.why}`);
        } else {
          ownErrors += 1;
          noteError(verdict.why);
        }
        if (now >= stopAt || ownErrors >= MAX_ERRORS_PER_CALLER) finish();
        else next();
      };
      const next = (): void => {
        count += 1;
        sentAt = performance.now();
        caller.call(callOf(caller, index, count, shape), take);
      };
      next();
    });

  await Promise.all(callers.map(loop));
  const cpu = process.cpuUsage(cpuBefore);
  const elapsed = (lastAt - startedAt) / 1000;
  return {
    rightCalls: latencies.length,
    seconds: elapsed,
    callsPerSecond: latencies.length === 0 ? 0 : latencies.length / elapsed,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    errors,
    wrong,
    progressLost,
    loadCpuUs: (cpu.user + cpu.system) / latencies.length,
    reasons,
  };
}

function callOf(caller: Caller, index: number, count: number, shape: Shape): Call {
  const number = count * caller.lanes + caller.lane;
  // The kind follows the session, so that both kinds of the same value meet in the gateway and not in one session.
  const asString = Math.trunc(index / caller.lanes) % 2 === 1;
  return { id: asString ? String(number) : number, nonce: `${runs}-${index}-${count}`, ...shape };
}
