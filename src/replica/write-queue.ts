// In which order copies are written, how many at once, and how much may wait for it. Whoever has something to write is
// in line once, whatever comes after: it is written together.

import type { Mirror } from './mirror.ts';

export interface WriteQueueOptions {
  /** The store takes what is written. */
  readonly isOpen: () => boolean;
  /** A write has failed, with this. True: it is in line again. */
  readonly onFault: (thrown: unknown) => boolean;
  /** So many events were given up where they waited; what they are of is written as a whole later. */
  readonly onDropped: (events: number) => void;
}

/** At once: enough that thousands of copies are written within a second or two, and few enough for a store that is shared. */
const MAX_WRITING = 32;
/** Events in line, over all sessions: they are held for the sessions themselves besides. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** While the store takes nothing: what is to be taken away there goes by itself one day. */
const MAX_IN_LINE = 50_000;

export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #line = new Set<Mirror>();
  #writing = 0;
  #waitingBytes = 0;
  #isDue = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** In line, or being written. */
  get size(): number {
    return this.#line.size + this.#writing;
  }

  get isIdle(): boolean {
    return this.size === 0;
  }

  add(mirror: Mirror): void {
    if (this.#line.size >= MAX_IN_LINE) this.#drop(mirror);
    else this.#line.add(mirror);
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#drop(mirror);
    this.#soon();
  }

  remove(mirror: Mirror): void {
    this.#line.delete(mirror);
    this.#tellIdle();
  }

  held(bytes: number): void {
    this.#waitingBytes += bytes;
  }

  /** Whoever has waited for that the store takes something again. */
  opened(): void {
    this.#soon();
  }

  /** Nothing is taken for now: what waits is given up, for it is to be written as a whole then. */
  closed(): void {
    for (const mirror of this.#line) this.#drop(mirror);
  }

  /** Resolves when nothing waits, and nothing is being written. */
  idle(): Promise<void> {
    return this.isIdle ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** After what runs now: what is told in one go is written together, and nobody who serves a call waits for it. */
  #soon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#writeNext();
    });
  }

  #writeNext(): void {
    for (const mirror of this.#line) {
      if (this.#writing >= MAX_WRITING || !this.#options.isOpen()) break;
      // Once more when that is done.
      if (mirror.isWriting) continue;
      this.#line.delete(mirror);
      this.#writing++;
      void this.#write(mirror);
    }
    this.#tellIdle();
  }

  async #write(mirror: Mirror): Promise<void> {
    try {
      await mirror.write();
    } catch (thrown) {
      this.#drop(mirror);
      if (this.#options.onFault(thrown)) this.#line.add(mirror);
    }
    this.#writing--;
    this.#writeNext();
  }

  #drop(mirror: Mirror): void {
    const events = mirror.fallBehind();
    if (events > 0) this.#options.onDropped(events);
  }

  #tellIdle(): void {
    if (this.isIdle) for (const tell of this.#whenIdle.splice(0)) tell();
  }
}
