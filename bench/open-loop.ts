// An open loop: calls are sent at a fixed rate, whatever is answered, and each is timed from when it was due. A peer that
// stops for a moment so pays for every call that was due meanwhile, and not, as in a closed loop, for one per caller.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Verdict } from './answer-check.ts';
import type { Caller } from './callers.ts';
import type { Shape } from './load-messages.ts';
import { Tally, callOf } from './tally.ts';

/** A timer of Node is good to a millisecond, which is more than many calls take: a thread that sleeps keeps time. */
const MIN_TICK_MS = 0.2;
/** Calls that were due when the time was up may take so much longer. */
const GRACE_MS = 1000;

/** When call number `index` is due, in milliseconds after the start. */
export function dueAt(index: number, rate: number): number {
  return (index * 1000) / rate;
}

/** How many calls are due by then, of `total`. */
export function dueBy(elapsedMs: number, rate: number, total: number): number {
  return Math.min(total, Math.floor((elapsedMs * rate) / 1000) + 1);
}

export async function runOpenLoop(
  callers: readonly Caller[],
  shape: Shape,
  seconds: number,
  rate: number,
): Promise<Tally> {
  // A thread takes tens of milliseconds to start, and those are nobody's.
  const clock = await startClock(Math.max(MIN_TICK_MS, 1000 / rate));
  const tally = new Tally();
  const total = Math.max(1, Math.floor(seconds * rate));
  const free = callers.map((_, index) => index);
  const inFlight = new Map<number, number>();
  let sent = 0;
  let answered = 0;
  let open = true;
  const startedAt = performance.now();
  const { promise, resolve } = Promise.withResolvers<void>();

  const send = (index: number): void => {
    const caller = callers[index];
    if (caller === undefined) return;
    const since = startedAt + dueAt(sent, rate);
    const call = callOf(caller, index, sent, shape);
    sent += 1;
    inFlight.set(index, since);
    caller.call(call, (verdict: Verdict) => {
      if (!open) return;
      tally.add(verdict, since);
      inFlight.delete(index);
      free.push(index);
      answered += 1;
      sendDue(false);
      if (answered === total) resolve();
    });
  };
  const sendDue = (onTime: boolean): void => {
    if (!open) return;
    const due = dueBy(performance.now() - startedAt, rate, total);
    while (sent < due) {
      const index = free.pop();
      if (index === undefined) return;
      if (onTime) tally.addLateness(performance.now() - startedAt - dueAt(sent, rate));
      send(index);
    }
  };

  clock.onTick = () => sendDue(true);
  const timer = setTimeout(resolve, seconds * 1000 + GRACE_MS);
  await promise;
  open = false;
  clearTimeout(timer);
  clock.stop();
  for (const since of inFlight.values()) tally.addBehind(since);
  for (let index = sent; index < total; index += 1) tally.addBehind(startedAt + dueAt(index, rate));
  return tally;
}

interface Clock {
  onTick: () => void;
  stop(): void;
}

async function startClock(periodMs: number): Promise<Clock> {
  const cells = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('open-loop-clock.ts', import.meta.url), { workerData: { cells, periodMs } });
  const clock: Clock = {
    onTick() {},
    stop() {
      Atomics.store(cells, 0, 1);
      Atomics.notify(cells, 0);
    },
  };
  await once(worker, 'message');
  Atomics.store(cells, 1, 0);
  worker.on('message', () => {
    Atomics.store(cells, 1, 0);
    clock.onTick();
  });
  return clock;
}
