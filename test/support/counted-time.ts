// Real time, in which timers can be counted: by how long they were to run, since a test gives every timeout its own length.

import type { Clock, Timer, Timers } from '../../src/domain/ports.ts';
import { systemClock, systemTimers } from '../../src/real-time.ts';

export class CountedTime implements Clock, Timers {
  readonly #pending = new Map<number, number>();

  now(): number {
    return systemClock.now();
  }

  after(ms: number, fire: () => void): Timer {
    let isOver = false;
    const over = (): void => {
      if (isOver) return;
      isOver = true;
      this.#add(ms, -1);
    };
    this.#add(ms, 1);
    const timer = systemTimers.after(ms, () => {
      over();
      fire();
    });
    return {
      cancel: () => {
        over();
        timer.cancel();
      },
    };
  }

  /** Of this length, neither fired nor cancelled. */
  pending(ms: number): number {
    return this.#pending.get(ms) ?? 0;
  }

  #add(ms: number, more: number): void {
    this.#pending.set(ms, this.pending(ms) + more);
  }
}
