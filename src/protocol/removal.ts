// Takes members out of an object in the original bytes. What is cut goes to splice(), as edits without a text.

import { type Member, Scanner, type Span } from './json-scanner.ts';
import type { Edit } from './splice.ts';

/** An element of an array, or a member of an object from its key on, and what stands around it. */
export interface Place extends Span {
  /** Where the comma before it stands, if there is one. */
  readonly comma: number;
  /** Where the one behind it begins; its own end if it is the last. */
  readonly next: number;
  readonly value: Member;
}

export interface NamedPlace extends Place {
  readonly name: string;
  /** How many members stand before it. */
  readonly index: number;
}

export interface Places {
  /** In order; a name more than once where it is given twice, and readers could take either. */
  readonly found: readonly NamedPlace[];
  /** Of all members of the object. */
  readonly count: number;
}

/** Where the members with these names stand in an object. It stands in bytes that readMessage has accepted. */
export function placesIn(bytes: Uint8Array, object: Span, names: string | ReadonlySet<string>): Places {
  const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
  const found: NamedPlace[] = [];
  let count = 0;
  let comma = object.start;
  scanner.at = object.start + 1;
  scanner.skipSpace();
  while (bytes[scanner.at] !== 0x7d) {
    const start = scanner.at;
    const name = scanner.key();
    scanner.skipSpace();
    scanner.at++; // the colon
    scanner.skipSpace();
    const value = scanner.value(0);
    const { end } = value;
    scanner.skipSpace();
    const behind = scanner.at;
    const isLast = bytes[behind] !== 0x2c;
    if (!isLast) {
      scanner.at++;
      scanner.skipSpace();
    }
    if (typeof names === 'string' ? name === names : names.has(name)) {
      found.push({ name, value, index: count, start, end, comma, next: isLast ? end : scanner.at });
    }
    comma = behind;
    count++;
  }
  return { found, count };
}

/**
 * What to cut so that these are gone: each with one comma, and nothing else. They are in order and of one object; the
 * cuts are in order and do not overlap.
 */
export function cuts(places: readonly NamedPlace[]): Edit[] {
  return places.map(({ index, comma, start, end, next }, gone) =>
    // One before it stays: then the comma between them goes with this one, otherwise the one behind it.
    index > gone ? { start: comma, end, text: NOTHING } : { start, end: next, text: NOTHING },
  );
}

const NOTHING = new Uint8Array(0);

/**
 * What to cut so that the object no longer has a member with one of these keys. Empty when it has none; a key that is
 * given twice goes twice, for then no reader may find the other one.
 */
export function removals(bytes: Uint8Array, object: Span, keys: string | ReadonlySet<string>): Span[] {
  return cuts(placesIn(bytes, object, keys).found);
}

/** Each member `key` of an object; more than one where it is given twice. */
export function membersNamed(bytes: Uint8Array, object: Span, key: string): Member[] {
  return placesIn(bytes, object, key).found.map(({ value }) => value);
}
