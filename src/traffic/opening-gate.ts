// How many links of one upstream are opened at once, and how fast lost ones are opened again: a server that comes back
// must not be run over by everybody who has lost it. Who has a caller waiting goes first.

import { type ProxyError, noLongerServed } from '../domain/errors.ts';
import type { Clock, Timer, Timers } from '../domain/ports.ts';

/** A caller waits for the link; it is kept open for whoever comes; nobody needs it yet. */
export type Urgency = 'called' | 'kept' | 'idle';

export interface OpeningGateOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Links that are opened again, a second. */
  readonly rate: number;
}

interface Waiting {
  readonly isAgain: boolean;
  readonly enter: () => void;
  readonly refuse: (error: ProxyError) => void;
}

const AT_ONCE = 16;
const IN_ORDER: readonly Urgency[] = ['called', 'kept', 'idle'];

export class OpeningGate {
  readonly #options: OpeningGateOptions;
  readonly #lines: Readonly<Record<Urgency, Waiting[]>> = { called: [], kept: [], idle: [] };
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
    return IN_ORDER.reduce((sum, urgency) => sum + this.#lines[urgency].length, 0);
  }

  /** Resolves when it is its turn, with what is to be called once it has opened or failed. Rejects when the gate closes. */
  enter(urgency: Urgency, isAgain: boolean): Promise<() => void> {
    return new Promise((resolve, reject) => {
      let isInside = true;
      const leave = (): void => {
        if (!isInside) return;
        isInside = false;
        this.#inside--;
        this.#next();
      };
      this.#lines[urgency].push({ isAgain, enter: () => resolve(leave), refuse: reject });
      this.#next();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const urgency of IN_ORDER) {
      for (const { refuse } of this.#lines[urgency].splice(0)) refuse(noLongerServed());
    }
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
    for (const urgency of IN_ORDER) {
      const line = this.#lines[urgency];
      const at = this.#allowance >= 1 ? 0 : line.findIndex(({ isAgain }) => !isAgain);
      const [waiting] = at === -1 ? [] : line.splice(at, 1);
      if (waiting === undefined) continue;
      if (waiting.isAgain) this.#allowance--;
      return waiting;
    }
    if (this.waiting > 0) this.#wakeUp();
    return null;
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
