// The notifications of a session's client on their way to the upstream: one at a time, since two POSTs can overtake each
// other, and bounded, since the client has had its 202 for each of them already.

import type { Chunks, PostOutcome, Timers } from '../domain/ports.ts';
import { atLatest } from './at-latest.ts';

export interface NotificationQueueOptions {
  readonly timers: Timers;
  /** Posts one; its outcome comes back once, unless nothing can be sent any more. */
  readonly post: (message: Chunks, done: (outcome: PostOutcome) => void) => void;
  /** There are too many. */
  readonly onDropped: () => void;
  readonly onNotTaken: (outcome: PostOutcome) => void;
}

const MAX_MESSAGES = 256;
const MAX_BYTES = 16 * 1024 * 1024;
/** How long something waits for the notifications before it. */
const IN_TURN_MS = 1000;

type Entry = { readonly message: Chunks; readonly bytes: number } | { readonly act: () => void };

export class NotificationQueue {
  readonly #options: NotificationQueueOptions;
  /** The first is on its way. */
  readonly #entries: Entry[] = [];
  #bytes = 0;

  constructor(options: NotificationQueueOptions) {
    this.#options = options;
  }

  send(message: Chunks): void {
    const bytes = message.reduce((sum, { length }) => sum + length, 0);
    if (this.#entries.length >= MAX_MESSAGES || (this.#bytes > 0 && this.#bytes + bytes > MAX_BYTES)) {
      this.#options.onDropped();
      return;
    }
    this.#bytes += bytes;
    this.#entries.push({ message, bytes });
    if (this.#entries.length === 1) this.#next();
  }

  /** Acts when the notifications before it are out, or soon: one that hangs must not hold up everything. */
  afterAll(act: () => void): void {
    if (this.#entries.length === 0) {
      act();
      return;
    }
    this.#entries.push({ act: atLatest(this.#options.timers, IN_TURN_MS, act) });
  }

  #next(): void {
    const [entry] = this.#entries;
    if (entry === undefined) return;
    if ('act' in entry) {
      this.#entries.shift();
      entry.act();
      this.#next();
      return;
    }
    this.#options.post(entry.message, (outcome) => {
      this.#entries.shift();
      this.#bytes -= entry.bytes;
      if (outcome.kind !== 'accepted') this.#options.onNotTaken(outcome);
      this.#next();
    });
  }
}
