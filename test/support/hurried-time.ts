// Real time that passes faster: waits that no configuration shortens, such as those of a breaker, are over in a fraction.

import type { Clock, Timer, Timers } from '../../src/domain/ports.ts';
import { systemClock, systemTimers } from '../../src/real-time.ts';

export class HurriedTime implements Clock, Timers {
  readonly #factor: number;

  constructor(factor: number) {
    this.#factor = factor;
  }

  now(): number {
    return systemClock.now() * this.#factor;
  }

  after(ms: number, fire: () => void): Timer {
    return systemTimers.after(ms / this.#factor, fire);
  }
}
