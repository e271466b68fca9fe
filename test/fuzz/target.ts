// What is fuzzed: something that takes bytes from a stranger, and what must be true whatever they are.

export interface Target {
  /** Words of its format, which bytes alone would seldom find. */
  readonly words: readonly string[];
  /**
   * Throws where what must be true is not. What it returns names the way that was taken: an input that takes a new one is
   * kept, to be changed further.
   */
  readonly check: (input: Buffer) => string;
}

/** Throws unless it is so. */
export function must(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Error(what);
}

export function same(left: unknown, right: unknown, what: string): void {
  const [one, other] = [JSON.stringify(left), JSON.stringify(right)];
  must(one === other, `${what}: ${one?.slice(0, 300)} is not ${other?.slice(0, 300)}`);
}
