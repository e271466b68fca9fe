// Of which keys how many links are to be open whether anybody calls or not, and when the next attempt to open one is due.

import type { LinkKey } from '../upstream/link-key.ts';
import type { Retry } from './retry.ts';

/** Of one key. */
export interface Kept {
  readonly key: LinkKey;
  readonly wishes: Set<Wish>;
  /** Of opening what is missing. */
  readonly retry: Retry;
}

interface Wish {
  readonly count: number;
}

export class KeptLinks {
  readonly #byKey = new Map<string, Kept>();
  readonly #newRetry: () => Retry;

  constructor(newRetry: () => Retry) {
    this.#newRetry = newRetry;
  }

  get all(): Iterable<Kept> {
    return this.#byKey.values();
  }

  of({ text }: LinkKey): Kept | undefined {
    return this.#byKey.get(text);
  }

  /** How many of this key. */
  count(key: LinkKey): number {
    return Math.max(0, ...[...(this.of(key)?.wishes ?? [])].map(({ count }) => count));
  }

  /** Until what is returned is called. */
  keep(key: LinkKey, count: number): () => void {
    const wish = { count };
    this.#add(key, wish);
    return () => {
      // Perhaps under another key by now.
      for (const [text, { wishes, retry }] of this.#byKey) {
        if (!wishes.delete(wish) || wishes.size > 0) continue;
        retry.stop();
        this.#byKey.delete(text);
      }
    };
  }

  /** There is one key from now on. */
  moveTo(key: LinkKey): void {
    const wishes = [...this.#byKey.values()].flatMap((kept) => [...kept.wishes]);
    this.stop();
    this.#byKey.clear();
    for (const wish of wishes) this.#add(key, wish);
  }

  stop(): void {
    for (const { retry } of this.#byKey.values()) retry.stop();
  }

  #add(key: LinkKey, wish: Wish): void {
    let kept = this.#byKey.get(key.text);
    if (kept === undefined) {
      kept = { key, wishes: new Set(), retry: this.#newRetry() };
      this.#byKey.set(key.text, kept);
    }
    kept.wishes.add(wish);
  }
}
