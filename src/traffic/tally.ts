// Counts what is under way, and tells when nothing is any more.

import type { Timers } from '../domain/ports.ts';

export class Tally {
  #count = 0;
  readonly #waiting = new Set<() => void>();

  get count(): number {
    return this.#count;
  }

  begin(howMany = 1): void {
    this.#count += howMany;
  }

  end(howMany = 1): void {
    this.#count -= howMany;
    if (this.#count > 0) return;
    for (const tell of this.#waiting) tell();
  }

  /** Resolves when nothing is under way, or after `ms`. */
  whenNone(timers: Timers, ms: number): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#waiting.delete(done);
        resolve();
      };
      const timer = timers.after(ms, done);
      this.#waiting.add(done);
    });
  }
}
