// How many links of one upstream are opened at once, and how fast lost ones are opened again: a server that comes back
// must not be run over by everybody who has lost it. Who has a caller waiting goes first, also where the caller came later.

import { ProxyError, noLongerServed } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Clock, Timer, Timers } from '../domain/ports.ts';

/** A caller waits for the link; it is kept open for whoever comes; nobody needs it yet. */
export type Urgency = 'called' | 'kept' | 'idle';

export interface OpeningGateOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Links that are opened again, a second. */
  readonly rate: number;
}

/** Who stands in line. */
export interface Place {
  /** Asked when it may be its turn: callers come and go while it waits. Null: nobody wants the link any more. */
  readonly urgency: () => Urgency | null;
  /** It takes the place of one that was lost. */
  readonly isAgain: boolean;
  /** Aborted: it leaves the line at once, for the reason of that. */
  readonly signal?: AbortSignal;
  /** A caller stands in line no longer than links.queueTimeout, where nothing else bounds the wait. */
  readonly maxWaitMs?: number;
}

interface Waiting {
  readonly place: Place;
  readonly enter: () => void;
  readonly refuse: (error: unknown) => void;
}

const AT_ONCE = 16;
const IN_ORDER: readonly Urgency[] = ['called', 'kept', 'idle'];

export class OpeningGate {
  readonly #options: OpeningGateOptions;
  /** In the order in which they came. */
  readonly #line = new Set<Waiting>();
  #inside = 0;
  /** How many may be opened again at this moment, as of `#countedAt`. */
  #allowance: number;
  #countedAt: number;
  #timer: Timer | null = null;

  constructor(options: OpeningGateOptions) {
    this.#options = options;
    this.#allowance = options.rate;
    this.#countedAt = options.clock.now();
  }

  /** Those that wait. */
  get waiting(): number {
    return this.#line.size;
  }

  /**
   * Resolves when it is its turn, with what is to be called once it has opened or failed. Rejects with a ProxyError when
   * that takes too long, when nobody wants it any more, and when the gate closes.
   */
  enter(place: Place): Promise<() => void> {
    return new Promise((resolve, reject) => {
      let isInside = true;
      const leave = (): void => {
        if (!isInside) return;
        isInside = false;
        this.#inside--;
        this.#next();
      };
      const { signal, maxWaitMs } = place;
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const giveUp = (): void => waiting.refuse(signal?.reason);
      const timer =
        maxWaitMs === undefined ? null : this.#options.timers.after(maxWaitMs, () => waiting.refuse(outOfTurns()));
      const over = (): void => {
        this.#line.delete(waiting);
        timer?.cancel();
        signal?.removeEventListener('abort', giveUp);
      };
      const waiting: Waiting = {
        place,
        enter: () => {
          over();
          resolve(leave);
        },
        refuse: (error) => {
          over();
          reject(error);
        },
      };
      signal?.addEventListener('abort', giveUp);
      this.#line.add(waiting);
      this.#next();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const { refuse } of this.#line) refuse(noLongerServed());
  }

  #next(): void {
    while (this.#inside < AT_ONCE) {
      const first = this.#takeFirst();
      if (first === null) return;
      this.#inside++;
      first.enter();
    }
  }

  /** Null where nobody may go in now. */
  #takeFirst(): Waiting | null {
    this.#count();
    let first: Waiting | null = null;
    let rank = IN_ORDER.length;
    for (const waiting of this.#line) {
      const urgency = waiting.place.urgency();
      if (urgency === null) {
        waiting.refuse(new ProxyError('upstream_unavailable', 'nobody waits for the link any more'));
        continue;
      }
      if (waiting.place.isAgain && this.#allowance < 1) continue;
      if (IN_ORDER.indexOf(urgency) >= rank) continue;
      first = waiting;
      rank = IN_ORDER.indexOf(urgency);
    }
    if (first === null) {
      if (this.waiting > 0) this.#wakeUp();
      return null;
    }
    if (first.place.isAgain) this.#allowance--;
    return first;
  }

  #count(): void {
    const { clock, rate } = this.#options;
    const now = clock.now();
    this.#allowance = Math.min(rate, this.#allowance + ((now - this.#countedAt) * rate) / 1000);
    this.#countedAt = now;
  }

  #wakeUp(): void {
    const { timers, rate } = this.#options;
    this.#timer ??= timers.after(Math.ceil(((1 - this.#allowance) * 1000) / rate), () => {
      this.#timer = null;
      this.#next();
    });
  }
}

function outOfTurns(): ProxyError {
  const text = 'too many links to the upstream are being opened: it was not its turn in time';
  return overLimit('upstream_unavailable', 'links.queueTimeout', text, { outcome: 'not_executed' });
}
