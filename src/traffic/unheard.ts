// What an upstream said to a session while no stream was there to carry it. Kept for a while, in order, within bounds:
// notifications until a stream comes up, questions only as long as a tool can be expected to wait.

import type { Chunks, Clock, Timer, Timers } from '../domain/ports.ts';
import { joined } from '../protocol/json-rpc.ts';

export interface UnheardOptions<Question> {
  readonly timers: Timers;
  readonly clock: Clock;
  /** Beyond one message of any size. */
  readonly maxBytes: number;
  /** How long a notification is kept. */
  readonly maxAgeMs: number;
  /** Counts its bytes among those that are kept for all sessions; false: there is no room. */
  readonly hold: (bytes: number) => boolean;
  /** Given up: a question, or null for a notification. */
  readonly onLost: (question: Question | null) => void;
}

interface Entry<Question> {
  readonly message: Uint8Array;
  readonly at: number;
  readonly question: Question | null;
  readonly timer: Timer | null;
}

const MAX_MESSAGES = 100;
/** How long a question waits for a stream. */
const QUESTION_WAIT_MS = 10_000;

export class Unheard<Question> {
  readonly #options: UnheardOptions<Question>;
  /** The oldest first. */
  #entries: Entry<Question>[] = [];

  constructor(options: UnheardOptions<Question>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.length;
  }

  add(message: Chunks, question: Question | null): void {
    const { timers, clock, maxBytes, hold, onLost } = this.#options;
    this.purge();
    // Copied: a piece of what was read would keep all of that alive.
    const bytes = joined(...message);
    if (!hold(bytes.length)) {
      onLost(question);
      return;
    }
    const timer =
      question === null
        ? null
        : timers.after(QUESTION_WAIT_MS, () => {
            if (this.remove(question)) onLost(question);
          });
    this.#entries.push({ message: bytes, at: clock.now(), question, timer });
    while (this.size > MAX_MESSAGES || (this.size > 1 && this.#bytes() > maxBytes)) this.#giveUpOne();
  }

  /** Gives up what is too old. */
  purge(): void {
    const oldest = this.#options.clock.now() - this.#options.maxAgeMs;
    for (const entry of this.#entries.filter(({ at, question }) => question === null && at < oldest)) {
      this.#take(entry);
      this.#options.onLost(null);
    }
  }

  /** False: it is not here. */
  remove(question: Question): boolean {
    const entry = this.#entries.find((each) => each.question === question);
    if (entry === undefined) return false;
    this.#take(entry);
    return true;
  }

  /** Hands over what is here, in order, until something is not taken. */
  retry(deliver: (message: Chunks, question: Question | null) => boolean): void {
    for (let [first] = this.#entries; first !== undefined; [first] = this.#entries) {
      if (!deliver([first.message], first.question)) return;
      this.#take(first);
    }
  }

  /** Nobody will come any more. */
  end(): void {
    for (const entry of this.#entries.slice()) this.#take(entry);
  }

  /** Notifications go first: a question hangs a tool. */
  #giveUpOne(): void {
    const entry = this.#entries.find(({ question }) => question === null) ?? this.#entries[0];
    if (entry === undefined) return;
    this.#take(entry);
    this.#options.onLost(entry.question);
  }

  #take(entry: Entry<Question>): void {
    entry.timer?.cancel();
    this.#options.hold(-entry.message.length);
    this.#entries = this.#entries.filter((each) => each !== entry);
  }

  #bytes(): number {
    let bytes = 0;
    for (const { message } of this.#entries) bytes += message.length;
    return bytes;
  }
}
