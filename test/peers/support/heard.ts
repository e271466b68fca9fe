// What has come in so far, and a way to wait for more of it: for an event, with a bound, never for time to pass.

export class Heard<T> {
  readonly #all: T[] = [];
  readonly #onMore = new Set<() => void>();

  get all(): readonly T[] {
    return this.#all;
  }

  add(item: T): void {
    this.#all.push(item);
    for (const look of this.#onMore) look();
  }

  /** Something in what came in has changed by itself. */
  changed(): void {
    for (const look of this.#onMore) look();
  }

  /** Resolves as soon as `find` gives something for what has come in. */
  until<F>(find: (all: readonly T[]) => F | undefined, what: string, withinMs = 10_000): Promise<F> {
    return new Promise((resolve, reject) => {
      const finish = (outcome: () => void): void => {
        clearTimeout(timer);
        this.#onMore.delete(look);
        outcome();
      };
      const look = (): void => {
        const found = find(this.#all);
        if (found !== undefined) finish(() => resolve(found));
      };
      const timer = setTimeout(
        () => finish(() => reject(new Error(`no ${what} within ${withinMs} ms, only ${JSON.stringify(this.#all)}`))),
        withinMs,
      );
      this.#onMore.add(look);
      look();
    });
  }
}
