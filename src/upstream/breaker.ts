// Failures in a row → whether another connection may be tried. One for each URL of an upstream: what nobody answers
// should be told at once, and not be dialled by everybody who comes. Links that live are none of its business, and a
// tool's own error is no failure.

import type { Clock } from '../domain/ports.ts';

/** closed ─▶ open ─▶ trying ─▶ closed   (trying ─▶ open: again, or until the next who comes) */
type BreakerState =
  | { readonly is: 'closed' }
  | { readonly is: 'open'; readonly until: number }
  /** One attempt is under way, and decides. */
  | { readonly is: 'trying' };

const FAILURES = 5;
/** The same each time: one attempt in five seconds hurts no server, and a longer wait would outlive the outage. */
const WAIT_MS = 5000;
/** For those who come while one tries: it is decided soon. */
const TRYING_MS = 1000;
/** Links that are cut so soon after they opened count; of those cut within a second of one another one. */
const SHORT_LIFE_MS = 5000;
const AT_ONCE_MS = 1000;

export class Breaker {
  readonly #clock: Clock;
  readonly #onChange: (isOpen: boolean) => void;
  #state: BreakerState = { is: 'closed' };
  #failures = 0;
  /** Messages that were answered by an error of the server as a whole, in a row. */
  #rejections = 0;
  #failedAt = Number.NEGATIVE_INFINITY;
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
        return TRYING_MS;
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
    // Its initialize was a message that was taken.
    this.#rejections = 0;
    if (this.#state.is === 'closed') return;
    this.#close();
    // One more failure, and it is open again.
    this.#failures = FAILURES - 1;
  }

  /** A message was taken. */
  succeeded(): void {
    this.#failures = 0;
    this.#rejections = 0;
    if (this.#state.is !== 'closed') this.#close();
  }

  /** A message was answered by an error of the server as a whole. */
  rejected(): void {
    this.#rejections++;
    if (this.#state.is === 'closed' && this.#failures + this.#rejections >= FAILURES) this.#open();
  }

  /** A connection could not be opened. `decides`: it was the attempt that `admit` has let through to find out. */
  failed(decides = false): void {
    this.#failures++;
    this.#failedAt = this.#clock.now();
    const isMany = this.#failures + this.#rejections >= FAILURES;
    if (decides ? this.#state.is === 'trying' : this.#state.is === 'closed' && isMany) this.#open();
  }

  /** A connection that was opened at this time has ended. One that lived for long worked, then. */
  ended(openedAt: number): void {
    const isLong = this.#clock.now() - openedAt >= SHORT_LIFE_MS;
    if (isLong && this.#state.is === 'closed' && openedAt > this.#failedAt) this.#failures = 0;
  }

  /** The upstream cut a connection that was opened at this time. */
  cut(openedAt: number): void {
    const now = this.#clock.now();
    if (now - openedAt >= SHORT_LIFE_MS || now - this.#cutAt < AT_ONCE_MS) return;
    this.#cutAt = now;
    this.failed();
  }

  #open(): void {
    this.#state = { is: 'open', until: this.#clock.now() + WAIT_MS };
    this.#onChange(true);
  }

  #close(): void {
    this.#state = { is: 'closed' };
    this.#onChange(false);
  }
}
