// Inputs made from inputs: bits, bytes, words of the format, pieces cut out, doubled and put together. The same seed makes
// the same ones.

import { type Seeded, seeded } from '../support/seeded.ts';

/** Long enough for every buffer that grows, short enough to be quick. */
const MAX_BYTES = 8 * 1024;
const MAX_KEPT = 400;

export class Mutator {
  readonly #chance: Seeded;
  readonly #words: readonly Buffer[];
  readonly #inputs: Buffer[];
  /** Those that were given: they are never forgotten. */
  readonly #given: number;
  readonly #ways = new Set<string>();

  constructor(seed: number, corpus: readonly Buffer[], words: readonly string[]) {
    this.#chance = seeded(seed);
    this.#words = words.map((word) => Buffer.from(word));
    this.#inputs = [...corpus];
    this.#given = corpus.length;
  }

  get ways(): number {
    return this.#ways.size;
  }

  next(): Buffer {
    let input: Buffer = this.#chance.pick(this.#inputs);
    for (let left = 1 + this.#chance.below(6); left > 0; left--) input = this.#changed(input);
    return input.subarray(0, MAX_BYTES);
  }

  /** An input has been tried, and this is the way that it took. */
  took(input: Buffer, way: string): void {
    if (this.#ways.has(way)) return;
    this.#ways.add(way);
    const kept = this.#inputs.length - this.#given;
    if (kept < MAX_KEPT) this.#inputs.push(input);
    else this.#inputs[this.#given + this.#chance.below(MAX_KEPT)] = input;
  }

  #changed(input: Buffer): Buffer {
    const chance = this.#chance;
    const at = chance.below(input.length + 1);
    switch (chance.below(9)) {
      case 0:
        return replaced(input, at, at + 1, Buffer.of((input[at] ?? 0) ^ (1 << chance.below(8))));
      case 1:
        return replaced(input, at, at + 1, Buffer.of(chance.below(256)));
      case 2:
        return replaced(input, at, at, Buffer.of(chance.pick(ODD_BYTES)));
      case 3:
        return replaced(input, at, at, chance.pick(this.#words));
      case 4:
        return replaced(input, at, at + 1 + chance.below(16), chance.pick(this.#words));
      case 5:
        return replaced(input, at, at + 1 + chance.below(32), NOTHING);
      case 6:
        return replaced(input, at, at, this.#pieceOf(input));
      case 7:
        return replaced(input, at, at + chance.below(32), this.#pieceOf(chance.pick(this.#inputs)));
      default:
        return this.#repeated(input, at);
    }
  }

  #pieceOf(input: Buffer): Buffer {
    const from = this.#chance.below(input.length + 1);
    return input.subarray(from, from + this.#chance.below(64));
  }

  /** Now and then very often: what is quick once may not be so a thousand times. */
  #repeated(input: Buffer, at: number): Buffer {
    const chance = this.#chance;
    const piece = input.subarray(at, at + 1 + chance.below(8));
    const times = chance.below(20) === 0 ? chance.below(MAX_BYTES / 8) : chance.below(8);
    return replaced(input, at, at, Buffer.concat(Array.from({ length: times }, () => piece)));
  }
}

const NOTHING = Buffer.alloc(0);
/** Line ends, NUL, quotes and brackets, the ends of ranges, and beginnings of longer characters. */
const ODD_BYTES = [...Buffer.from('\0\t\n\r "#%&\',/0:=>?@[\\]`{|}~'), 0x7f, 0x80, 0xbf, 0xc3, 0xe2, 0xed, 0xf0, 0xff];

function replaced(input: Buffer, from: number, to: number, by: Buffer): Buffer {
  return Buffer.concat([input.subarray(0, from), by, input.subarray(to)]);
}
