// Takes a member out of an object in the original bytes. What is cut goes to splice(), as edits without a text.

import { textOf } from './json-rpc.ts';
import { type Member, Scanner, type Span } from './json-scanner.ts';

/**
 * What to cut so that the object no longer has a member `key`: each such member with one comma, and nothing else.
 * Empty when it has none; more than one span when the key is given twice, for then no reader may find the other one.
 * The spans are in order and do not overlap. `object` stands in bytes that readMessage has accepted.
 */
export function removals(bytes: Uint8Array, object: Span, key: string): Span[] {
  const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
  const cuts: Span[] = [];
  /** A member before this one stays. Then the comma between them goes with this one, otherwise the one behind it. */
  let follows = false;
  let comma = object.start;
  scanner.at = object.start + 1;
  scanner.skipSpace();
  while (bytes[scanner.at] !== 0x7d) {
    const start = scanner.at;
    scanner.string();
    const isCut = textOf(bytes, { start, end: scanner.at, kind: 'string' }) === key;
    scanner.skipSpace();
    scanner.at++; // the colon
    scanner.skipSpace();
    const { end } = scanner.value(0);
    scanner.skipSpace();
    const nextComma = scanner.at;
    const isLast = bytes[nextComma] !== 0x2c;
    if (!isLast) {
      scanner.at++;
      scanner.skipSpace();
    }
    if (!isCut) follows = true;
    else if (follows) cuts.push({ start: comma, end });
    else cuts.push({ start, end: isLast ? end : scanner.at });
    comma = nextComma;
  }
  return cuts;
}

/** Each member `key` of an object; more than one where it is given twice, and readers could take either. */
export function membersNamed(bytes: Uint8Array, object: Span, key: string): Member[] {
  const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
  const found: Member[] = [];
  scanner.at = object.start + 1;
  scanner.skipSpace();
  while (bytes[scanner.at] !== 0x7d) {
    const start = scanner.at;
    scanner.string();
    const isNamed = textOf(bytes, { start, end: scanner.at, kind: 'string' }) === key;
    scanner.skipSpace();
    scanner.at++; // the colon
    scanner.skipSpace();
    const value = scanner.value(0);
    if (isNamed) found.push(value);
    scanner.skipSpace();
    if (bytes[scanner.at] === 0x2c) scanner.at++;
    scanner.skipSpace();
  }
  return found;
}
