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
