// A closed loop: every caller sends its next call when the last one is answered, until the time is up.
import type { Verdict } from './answer-check.ts';
import type { Caller } from './callers.ts';
import type { Shape } from './load-messages.ts';
import { Tally, callOf } from './tally.ts';

/** A caller gives up for this round after so many errors, lest a refusing peer be hammered. */
const MAX_ERRORS_PER_CALLER = 20;
export const ANSWER_TIMEOUT_MS = 10_000;

export async function runLoad(callers: readonly Caller[], shape: Shape, seconds: number): Promise<Tally> {
  const tally = new Tally();
  const stopAt = performance.now() + seconds * 1000;
  const loop = (caller: Caller, index: number): Promise<void> =>
    new Promise((resolve) => {
      let count = 0;
      let errors = 0;
      let sentAt = 0;
      let open = true;
      // One timer per caller and not per call: a stuck call is found, if a little late.
      const watchdog = setInterval(() => {
        if (performance.now() - sentAt <= ANSWER_TIMEOUT_MS || !open) return;
        tally.add({ kind: 'error', why: 'no answer in time' }, sentAt);
        finish();
      }, ANSWER_TIMEOUT_MS / 4);
      const finish = (): void => {
        open = false;
        clearInterval(watchdog);
        resolve();
      };
      const take = (verdict: Verdict): void => {
        if (!open) return;
        tally.add(verdict, sentAt);
        if (verdict.kind === 'error') errors += 1;
        if (performance.now() >= stopAt || errors >= MAX_ERRORS_PER_CALLER) finish();
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
  return tally;
}
