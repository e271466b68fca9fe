// The POST of one call. It may last as long as the call, since some servers answer it only when the tool has finished;
// a cancel of the call must not overtake it; and what is left of it when the call is over is given up in time.

import type { Chunks, Clock, Link, PostOutcome, Timer, Timers } from '../domain/ports.ts';
import { atLatest } from './at-latest.ts';

/** A cancel travels on a socket of its own, so it waits until its call is accepted, or for so long. */
const CANCEL_AFTER_MS = 50;

export interface CallPostOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly timers: Timers;
  /** timeouts.post: how long the POST may outlast its call. */
  readonly postMs: number;
  /** Told once or more: nothing of it is under way any more. */
  readonly onOver: () => void;
}

export class CallPost {
  readonly #options: CallPostOptions;
  /** Set while the POST is under way. */
  #giveUp: (() => void) | null = null;
  #postedAt = 0;
  #bound: Timer | null = null;
  #onSettled: (() => void) | null = null;

  constructor(options: CallPostOptions) {
    this.#options = options;
  }

  send(message: Chunks, done: (outcome: PostOutcome) => void): void {
    const { link, clock } = this.#options;
    this.#postedAt = clock.now();
    this.#giveUp = link.send(message, null, (outcome) => {
      this.#bound?.cancel();
      this.#over();
      this.#onSettled?.();
      done(outcome);
    });
  }

  /** Calls `act` once: when the POST is answered, or soon after it was sent. */
  beforeCancel(act: () => void): void {
    const { clock, timers } = this.#options;
    const wait = this.#giveUp === null ? 0 : this.#postedAt + CANCEL_AFTER_MS - clock.now();
    if (wait <= 0) {
      act();
      return;
    }
    this.#onSettled = atLatest(timers, wait, act);
  }

  /** The call is over: a POST that is still not answered gets as long as any other message. */
  bound(): void {
    if (this.#giveUp === null) return;
    this.#bound = this.#options.timers.after(this.#options.postMs, () => {
      this.#giveUp?.();
      this.#over();
    });
  }

  /** The link is closed, and has given the POST up. */
  linkClosed(): void {
    this.#bound?.cancel();
    this.#over();
  }

  #over(): void {
    this.#giveUp = null;
    this.#options.onOver();
  }
}
