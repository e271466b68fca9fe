// Deadlines and heartbeats, of which each call has a few and nearly none comes to its end: those that are due in the same
// tick share one timer of Node's. Node keeps a list and a place in its queue for every duration, and heartbeats have
// durations of their own each.

import { Bag, type Place } from './domain/collections.ts';
import type { Clock, Timer } from './domain/ports.ts';

/** So late a timer may be; never early. */
const TICK_MS = 100;

interface Tick {
  readonly waiting: Bag<() => void>;
  readonly timer: NodeJS.Timeout;
}

export class TimerWheel {
  readonly #clock: Clock;
  /** By the number of the tick in which they are due. */
  readonly #ticks = new Map<number, Tick>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  after(ms: number, fire: () => void): Timer {
    const now = this.#clock.now();
    const number = Math.ceil((now + ms) / TICK_MS);
    const tick = this.#ticks.get(number) ?? this.#begin(number, Math.ceil(number * TICK_MS - now));
    if (tick.waiting.size === 0) tick.timer.ref();
    return new Due(tick, tick.waiting.add(fire));
  }

  #begin(number: number, ms: number): Tick {
    const waiting = new Bag<() => void>();
    const timer = setTimeout(() => {
      this.#ticks.delete(number);
      waiting.takeEach(fired);
    }, ms);
    const tick = { waiting, timer };
    this.#ticks.set(number, tick);
    return tick;
  }
}

class Due implements Timer {
  readonly #tick: Tick;
  readonly #place: Place<() => void>;

  constructor(tick: Tick, place: Place<() => void>) {
    this.#tick = tick;
    this.#place = place;
  }

  cancel(): void {
    const { waiting, timer } = this.#tick;
    waiting.remove(this.#place);
    // What waits for nothing keeps no process alive, and stays for the next that is due then.
    if (waiting.size === 0) timer.unref();
  }
}

/** What one throws is a fault of its own, and no reason for the others not to be told. */
function fired(fire: () => void): void {
  try {
    fire();
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}
