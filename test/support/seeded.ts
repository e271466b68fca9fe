// Chance that can be repeated: the same seed gives the same numbers.

export interface Seeded {
  /** In [0, 1). */
  fraction(): number;
  /** In [0, below). */
  below(below: number): number;
  pick<T>(from: readonly T[]): T;
  shuffled<T>(all: readonly T[]): T[];
}

/** Mulberry32. */
export function seeded(seed: number): Seeded {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(fraction() * limit);
  return {
    fraction,
    below,
    pick(from) {
      const one = from[below(from.length)];
      if (one === undefined) throw new Error('nothing to pick from');
      return one;
    },
    shuffled(all) {
      const left = all.slice();
      return all.map(() => left.splice(below(left.length), 1)).flat();
    },
  };
}

/** As given, or one that nobody has chosen. */
export function seedFrom(text: string | undefined): number {
  return text === undefined || text === '' ? Math.floor(Math.random() * 2 ** 31) : Number(text);
}
