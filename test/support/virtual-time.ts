// A clock that moves only when the test says so, with the timers that hang on it.

import type { Clock, Timer, Timers } from '../../src/domain/ports.ts';

interface Pending {
  readonly at: number;
  readonly order: number;
  readonly fire: () => void;
}

export class VirtualTime implements Clock, Timers {
  #now = 0;
  #order = 0;
  readonly #pending = new Set<Pending>();

  now(): number {
    return this.#now;
  }

  after(ms: number, fire: () => void): Timer {
    const pending = { at: this.#now + ms, order: this.#order++, fire };
    this.#pending.add(pending);
    return { cancel: () => this.#pending.delete(pending) };
  }

  /** Timers that have not fired. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Fires what is due, in order, also what that brings about; promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    while (this.#fireNext(end)) await settled();
    this.#now = end;
  }

  /** The same without letting promises settle, for code that has none. */
  advanceSync(ms: number): void {
    const end = this.#now + ms;
    while (this.#fireNext(end));
    this.#now = end;
  }

  #fireNext(end: number): boolean {
    const due = [...this.#pending].filter(({ at }) => at <= end);
    const next = due.toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
    if (next === undefined) return false;
    this.#pending.delete(next);
    this.#now = Math.max(this.#now, next.at);
    next.fire();
    return true;
  }
}

/** All promises that can settle without I/O have. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
