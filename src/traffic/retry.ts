// Something that is tried again later, the later the more often it has failed in a row.

import type { Timer, Timers } from '../domain/ports.ts';

export class Retry {
  readonly #timers: Timers;
  readonly #delay: (failures: number) => number;
  readonly #act: () => void;
  #failures = 0;
  #timer: Timer | null = null;

  /** `delay`: milliseconds after so many failures in a row. */
  constructor(timers: Timers, delay: (failures: number) => number, act: () => void) {
    this.#timers = timers;
    this.#delay = delay;
    this.#act = act;
  }

  /** The next attempt is not due yet. */
  get isWaiting(): boolean {
    return this.#timer !== null;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts a failure, and tries again later, if it is worth it. */
  failed(isWorthIt = true): void {
    // What fails while the next attempt waits has failed together with the one it waits for.
    if (this.#timer !== null) return;
    this.#failures++;
    if (!isWorthIt) return;
    this.#timer = this.#timers.after(this.#delay(this.#failures), () => {
      this.#timer = null;
      this.#act();
    });
  }

  succeeded(): void {
    this.#failures = 0;
    this.stop();
  }

  /** Does not try again by itself; the failures stay counted. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
