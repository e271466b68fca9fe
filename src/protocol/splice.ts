// Replaces single fields in the original bytes; everything else stays as it was, down to the white space.

import type { Span } from './json-scanner.ts';

export interface Edit extends Span {
  readonly text: Uint8Array;
}

/**
 * The bytes with the edits applied, as views of the original and the new texts in turn: nothing is copied.
 * Edits must not overlap; their order does not matter.
 */
export function splice(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array[] {
  const inOrder = edits.length > 1 ? edits.toSorted((a, b) => a.start - b.start) : edits;
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const edit of inOrder) {
    if (edit.start < from) throw new RangeError('edits overlap');
    if (edit.start > from) parts.push(bytes.subarray(from, edit.start));
    if (edit.text.length > 0) parts.push(edit.text);
    from = edit.end;
  }
  if (from < bytes.length) parts.push(bytes.subarray(from));
  return parts;
}

/** Members put in at the front of an object. `othersStay`: it keeps members of its own, so a comma is needed. */
export function inFront(object: Span, members: readonly Uint8Array[], othersStay: boolean): Edit {
  const parts = members.flatMap((member, index) => (index === 0 ? [member] : [COMMA, member]));
  if (othersStay && members.length > 0) parts.push(COMMA);
  // With the brace, so that it begins where no other edit does.
  return { start: object.start, end: object.start + 1, text: Buffer.concat([BRACE, ...parts]) };
}

const BRACE = Buffer.from('{');
const COMMA = Buffer.from(',');

/**
 * The edits, which are in order, as one. Each piece of a message is written by itself, and a hostile one can hold half a
 * million things to change.
 */
export function asOne(bytes: Uint8Array, edits: Edit[]): Edit[] {
  const [first, last] = [edits[0], edits.at(-1)];
  if (first === undefined || last === undefined || first === last) return edits;
  const [{ start }, { end }] = [first, last];
  const inside = edits.map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
  return [{ start, end, text: Buffer.concat(splice(bytes.subarray(start, end), inside)) }];
}
