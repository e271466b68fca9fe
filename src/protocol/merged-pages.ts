// The pages of one list as one page. A cursor of an upstream may belong to one of its sessions, and a client without a
// session would bring it to another.

import { type Result, bytesOf, encode } from './json-rpc.ts';
import type { Span } from './json-scanner.ts';
import { cuts, placesIn } from './removal.ts';
import { type Edit, inFront, splice } from './splice.ts';

export type ListMember = 'tools' | 'prompts' | 'resources' | 'resourceTemplates';

/**
 * A whole message: the first page, with the elements of all pages in its array `member`, in order, and without
 * nextCursor. What else the first page says stays byte for byte, what the others say beside their elements is lost.
 * There is a first page; one whose result is no object is returned as it is.
 */
export function mergedPages(pages: readonly Result[], member: ListMember): Uint8Array {
  const [first, ...others] = pages;
  if (first === undefined) throw new RangeError('no page to merge');
  const { bytes, result } = first;
  if (result.kind !== 'object') return bytes;
  const more = inRow(others.map((page) => elementsOf(page, member)));
  const { found, count } = placesIn(bytes, result, new Set([member, 'nextCursor']));
  // Of two the last one counts, as it does to JSON.parse, and the other one goes: no reader may find it.
  const list = found.findLast(({ name }) => name === member)?.value;
  const gone = found.filter(({ value }) => value !== list);
  const edits: Edit[] = cuts(gone);
  if (list === undefined) {
    const text = Buffer.concat([encode(`"${member}":[`), more, encode(']')]);
    edits.push(inFront(result, [text], count > gone.length));
  } else if (list.kind === 'array') {
    const text = inRow([elementsOf(first, member), more]);
    if (more.length > 0) edits.push({ ...insideOf(bytes, list), text });
  } else {
    edits.push({ start: list.start, end: list.end, text: Buffer.concat([encode('['), more, encode(']')]) });
  }
  return Buffer.concat(splice(bytes, edits));
}

/** The elements of a page as they are written. */
function elementsOf(page: Result, member: ListMember): Uint8Array {
  if (page.result.kind !== 'object') return NOTHING;
  const list = placesIn(page.bytes, page.result, member).found.at(-1)?.value;
  return list?.kind === 'array' ? bytesOf(page.bytes, insideOf(page.bytes, list)) : NOTHING;
}

/** What stands in an array, without the space around it. */
function insideOf(bytes: Uint8Array, { start, end }: Span): Span {
  let [from, to] = [start + 1, end - 1];
  while (isSpace(bytes[from])) from++;
  while (to > from && isSpace(bytes[to - 1])) to--;
  return { start: from, end: to };
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function inRow(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    parts.filter(({ length }) => length > 0).flatMap((part, index) => (index === 0 ? [part] : [COMMA, part])),
  );
}

const NOTHING = new Uint8Array(0);
const COMMA = encode(',');
