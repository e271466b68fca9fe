// What a request asks for, as one short text: a client that sends it once more, with answers, must send the same
// request. The client may have serialized it again meanwhile, so the order of members, white space and the spelling of
// strings do not count; numbers count as they are written, since two readers may take 9007199254740993 for two values.
//
// Done on the bytes: JSON.parse of objects can take one key for another where both have escapes (nodejs/node#63785),
// and loses numbers and members that are given twice.

import { createHash } from 'node:crypto';
import { type Request, encode } from './json-rpc.ts';
import { Scanner, type Span } from './json-scanner.ts';

/** What differs between a request and its retry, or does not belong to what is asked for: keys in their quotes. */
const NOT_ASKED: readonly Uint8Array[] = ['_meta', 'inputResponses', 'requestState', 'task'].map((key) =>
  encode(JSON.stringify(key)),
);

/**
 * SHA-256 over the method and the params, as base64url. Params that are left out are params without members.
 * [spec 2026-07-28 mrtr] "an identifier for the originating request, e.g. the method name and a digest of its salient
 * parameters, rejecting state presented on a request that does not match."
 */
export function requestDigest({ bytes, method, params }: Request): string {
  const hash = createHash('sha256').update(JSON.stringify(method));
  return hash.update(params === null ? '{}' : new CanonicalText(bytes, params).read()).digest('base64url');
}

/** An object in the text that is out of order, or holds one that is. */
interface Unsorted {
  /** Where its first member begins, and its last one ends. */
  readonly start: number;
  end: number;
  /** Its members in order, as a range of the list of moves; empty where only objects inside are out of order. */
  firstMove: number;
  endOfMoves: number;
  /** Which object of the list comes first behind it. */
  after: number;
}

/** Four numbers of a member: where it starts and ends, and the objects in it, as a range of the list. */
const MOVE = 4;

/**
 * A text that two objects have in common if and only if they mean the same: no white space, members in order, each
 * member and each element with a comma behind it, strings with no escape but of quotes and backslashes. It is not JSON.
 *
 * First all is written as it comes, then what is out of order is moved, all at once: moved when each object ends, the
 * innermost members would be moved once per level.
 */
class CanonicalText {
  readonly #bytes: Uint8Array;
  readonly #scanner: Scanner;
  readonly #text: Uint8Array;
  #length = 0;
  /** In the order in which they begin. */
  readonly #unsorted: Unsorted[] = [];
  readonly #moves: number[] = [];
  /** Of the members of all objects that are open: where each begins, where its key ends, what object is next. */
  #count = 0;
  readonly #starts: number[] = [];
  readonly #keyEnds: number[] = [];
  readonly #inner: number[] = [];

  constructor(bytes: Uint8Array, object: Span) {
    this.#bytes = bytes;
    this.#scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
    this.#scanner.at = object.start;
    // No spelling of a string is shorter than ours. Brackets, two bytes, can cost one comma more.
    const size = object.end - object.start;
    this.#text = new Uint8Array(size + (size >> 1));
  }

  read(): Uint8Array {
    this.#object(true);
    const text = this.#text.subarray(0, this.#length);
    return this.#unsorted.length === 0 ? text : sorted(text, this.#unsorted, this.#moves);
  }

  #value(): void {
    const c = this.#bytes[this.#scanner.at];
    if (c === OPEN_OBJECT) {
      this.#object(false);
    } else if (c === OPEN_ARRAY) {
      this.#array();
    } else if (c === QUOTE) {
      this.#string();
    } else {
      const { start, end } = this.#scanner.value(0);
      this.#copy(start, end);
    }
  }

  #array(): void {
    const scanner = this.#scanner;
    this.#text[this.#length++] = OPEN_ARRAY;
    scanner.at++;
    scanner.skipSpace();
    while (this.#bytes[scanner.at] !== CLOSE_ARRAY) {
      this.#value();
      this.#toNext();
    }
    scanner.at++;
    this.#text[this.#length++] = CLOSE_ARRAY;
  }

  #object(isRoot: boolean): void {
    const scanner = this.#scanner;
    const text = this.#text;
    const index = this.#unsorted.length;
    const first = this.#count;
    text[this.#length++] = OPEN_OBJECT;
    const self: Unsorted = { start: this.#length, end: this.#length, firstMove: 0, endOfMoves: 0, after: index };
    this.#unsorted.push(self);
    let isSorted = true;

    scanner.at++;
    scanner.skipSpace();
    while (this.#bytes[scanner.at] !== CLOSE_OBJECT) {
      const start = this.#length;
      this.#string();
      const keyEnd = this.#length;
      scanner.skipSpace();
      scanner.at++; // the colon
      scanner.skipSpace();
      if (isRoot && NOT_ASKED.some((key) => isAt(text, start, keyEnd, key))) {
        scanner.value(0);
        this.#toNext();
        this.#length = start;
      } else {
        const member = this.#count++;
        this.#starts[member] = start;
        this.#keyEnds[member] = keyEnd;
        this.#inner[member] = this.#unsorted.length;
        if (isSorted && member > first && this.#compare(member - 1, member) > 0) isSorted = false;
        this.#value();
        this.#toNext();
      }
    }
    scanner.at++;

    if (isSorted && this.#unsorted.length === index + 1) {
      this.#unsorted.pop();
    } else {
      self.end = this.#length;
      self.after = this.#unsorted.length;
      if (!isSorted) this.#sort(first, self);
    }
    this.#count = first;
    text[this.#length++] = CLOSE_OBJECT;
  }

  /** The members from `first` on, which are those of the object that ends now. */
  #sort(first: number, object: Unsorted): void {
    const order: number[] = [];
    for (let member = first; member < this.#count; member++) order.push(member);
    // Stable: members that are given twice stay in their order, since readers differ in which one counts.
    order.sort((a, b) => this.#compare(a, b));
    object.firstMove = this.#moves.length;
    // Behind the last one.
    this.#starts[this.#count] = object.end;
    this.#inner[this.#count] = object.after;
    for (const member of order) {
      const [start, end] = [this.#starts[member] ?? 0, this.#starts[member + 1] ?? 0];
      this.#moves.push(start, end, this.#inner[member] ?? 0, this.#inner[member + 1] ?? 0);
    }
    object.endOfMoves = this.#moves.length;
  }

  /** By the bytes of their keys; the quote at its end tells a key from one that goes on. */
  #compare(one: number, other: number): number {
    const text = this.#text;
    const a = this.#starts[one] ?? 0;
    const b = this.#starts[other] ?? 0;
    const length = (this.#keyEnds[one] ?? 0) - a;
    for (let i = 0; i < length; i++) {
      const difference = (text[a + i] ?? 0) - (text[b + i] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** From behind a member or an element to the next one or the bracket. */
  #toNext(): void {
    this.#text[this.#length++] = COMMA;
    this.#scanner.skipSpace();
    if (this.#bytes[this.#scanner.at] === COMMA) this.#scanner.at++;
    this.#scanner.skipSpace();
  }

  #string(): void {
    const start = this.#scanner.at;
    const isEscaped = this.#scanner.string();
    const end = this.#scanner.at;
    if (!isEscaped) {
      this.#copy(start, end);
      return;
    }
    for (let i = start; i < end;) {
      const c = this.#bytes[i] ?? 0;
      if (c !== BACKSLASH) {
        this.#text[this.#length++] = c;
        i++;
      } else if (this.#bytes[i + 1] !== LETTER_U) {
        this.#character(SHORT.get(this.#bytes[i + 1] ?? 0) ?? 0);
        i += 2;
      } else {
        const unit = this.#unit(i);
        const next = this.#bytes[i + 6] === BACKSLASH && this.#bytes[i + 7] === LETTER_U ? this.#unit(i + 6) : 0;
        const isPair = (unit & 0xfc00) === 0xd800 && (next & 0xfc00) === 0xdc00;
        this.#character(isPair ? 0x10000 + ((unit & 0x3ff) << 10) + (next & 0x3ff) : unit);
        i += isPair ? 12 : 6;
      }
    }
  }

  /** The code unit whose escape begins at i. */
  #unit(i: number): number {
    let unit = 0;
    for (let k = i + 2; k < i + 6; k++) {
      const c = this.#bytes[k] ?? 0;
      unit = (unit << 4) | (c <= 0x39 ? c - 0x30 : (c & 0x0f) + 9);
    }
    return unit;
  }

  /** In UTF-8, half a pair too: no text holds these three bytes unescaped, nor a control character. */
  #character(code: number): void {
    const text = this.#text;
    if (code < 0x80) {
      if (code === QUOTE || code === BACKSLASH) text[this.#length++] = BACKSLASH;
      text[this.#length++] = code;
    } else if (code < 0x800) {
      text[this.#length++] = 0xc0 | (code >> 6);
      text[this.#length++] = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
      text[this.#length++] = 0xe0 | (code >> 12);
      text[this.#length++] = 0x80 | ((code >> 6) & 0x3f);
      text[this.#length++] = 0x80 | (code & 0x3f);
    } else {
      text[this.#length++] = 0xf0 | (code >> 18);
      text[this.#length++] = 0x80 | ((code >> 12) & 0x3f);
      text[this.#length++] = 0x80 | ((code >> 6) & 0x3f);
      text[this.#length++] = 0x80 | (code & 0x3f);
    }
  }

  #copy(start: number, end: number): void {
    this.#length = copied(this.#bytes, start, end, this.#text, this.#length);
  }
}

function sorted(text: Uint8Array, unsorted: readonly Unsorted[], moves: readonly number[]): Uint8Array {
  const out = new Uint8Array(text.length);
  let length = 0;
  const put = (start: number, end: number, from: number, to: number): void => {
    let at = start;
    for (let i = from; i < to;) {
      const object = unsorted[i++];
      if (object === undefined || object.firstMove === object.endOfMoves) continue;
      length = copied(text, at, object.start, out, length);
      for (let move = object.firstMove; move < object.endOfMoves; move += MOVE) {
        put(moves[move] ?? 0, moves[move + 1] ?? 0, moves[move + 2] ?? 0, moves[move + 3] ?? 0);
      }
      at = object.end;
      i = object.after;
    }
    length = copied(text, at, end, out, length);
  };
  put(0, text.length, 0, unsorted.length);
  return out;
}

/** Says where what was copied ends. Most pieces are a few bytes, and a view of them costs more than they do. */
function copied(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  if (end - start > 64) to.set(from.subarray(start, end), at);
  else for (let i = start; i < end; i++) to[at + i - start] = from[i] ?? 0;
  return at + end - start;
}

function isAt(text: Uint8Array, start: number, end: number, what: Uint8Array): boolean {
  return end - start === what.length && what.every((c, i) => text[start + i] === c);
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const LETTER_U = 0x75;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** What stands behind a backslash → what it means. */
const SHORT: ReadonlyMap<number, number> = new Map(
  Array.from('"\\/bfnrt', (char, i) => [char.charCodeAt(0), '"\\/\b\f\n\r\t'.charCodeAt(i)]),
);
