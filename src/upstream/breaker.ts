// Failures in a row → whether another connection may be tried. One for each URL of an upstream: what nobody answers
// should be told at once, and not be dialled by everybody who comes. Links that live are none of its business, and a
// tool's own error is no failure.

import type { Clock } from '../domain/ports.ts';

/** closed ─▶ open ─▶ trying ─▶ closed   (trying ─▶ open: for twice as long, or until the next who comes) */
type BreakerState =
  | { readonly is: 'closed' }
  | { readonly is: 'open'; readonly until: number }
  /** One attempt is under way, and decides. */
  | { readonly is: 'trying' };

const FAILURES = 5;
const FIRST_WAIT_MS = 5000;
const LONGEST_WAIT_MS = 60_000;
/** Links that are cut so soon after they opened count; of those cut within a second of one another one. */
const SHORT_LIFE_MS = 5000;
const AT_ONCE_MS = 1000;

export class Breaker {
  readonly #clock: Clock;
  readonly #onChange: (isOpen: boolean) => void;
  #state: BreakerState = { is: 'closed' };
  #failures = 0;
  /** Of the next opening: doubles until something succeeds. */
  #waitMs = FIRST_WAIT_MS;
  #cutAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, onChange: (isOpen: boolean) => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get isOpen(): boolean {
    return this.#state.is !== 'closed';
  }

  /** Milliseconds until something may be tried; 0: now. */
  get retryAfterMs(): number {
    switch (this.#state.is) {
      case 'closed':
        return 0;
      case 'open':
        return Math.max(0, this.#state.until - this.#clock.now());
      case 'trying':
        return FIRST_WAIT_MS;
    }
  }

  /** Whether an attempt may be made now; the first after the wait is the only one until it has failed or succeeded. */
  admit(): boolean {
    if (this.#state.is === 'closed') return true;
    if (this.#state.is === 'trying' || this.retryAfterMs > 0) return false;
    this.#state = { is: 'trying' };
    return true;
  }

  /** The attempt that was to decide has not: the next may. */
  gaveUp(): void {
    if (this.#state.is === 'trying') this.#state = { is: 'open', until: this.#clock.now() };
  }

  /** A connection was opened. What it is worth is seen when it lives, or when a message is taken. */
  opened(): void {
    if (this.#state.is === 'closed') return;
    this.#state = { is: 'closed' };
    // One more failure, and it is open again.
    this.#failures = FAILURES - 1;
    this.#onChange(false);
  }

  /** A message was taken, or a connection has lived for long enough. */
  succeeded(): void {
    this.#failures = 0;
    this.#waitMs = FIRST_WAIT_MS;
    if (this.#state.is === 'closed') return;
    this.#state = { is: 'closed' };
    this.#onChange(false);
  }

  /** A connection could not be opened, or a message was answered by an error of the server as a whole. */
  failed(): void {
    this.#failures++;
    if (this.#state.is === 'open') return;
    if (this.#state.is === 'trying' || this.#failures >= FAILURES) this.#open();
  }

  /** The upstream cut a connection that began to open at this time. */
  cut(openedAt: number): void {
    const now = this.#clock.now();
    if (now - openedAt >= SHORT_LIFE_MS) {
      this.succeeded();
      return;
    }
    if (now - this.#cutAt < AT_ONCE_MS) return;
    this.#cutAt = now;
    this.failed();
  }

  #open(): void {
    this.#state = { is: 'open', until: this.#clock.now() + this.#waitMs };
    this.#waitMs = Math.min(LONGEST_WAIT_MS, 2 * this.#waitMs);
    this.#onChange(true);
  }
}
