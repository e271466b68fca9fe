// Content blocks that a client's revision does not know, told as text. Clients check a result against the types that
// they know, so one block of an unknown type can cost the whole result. Unknown members of a known type are tolerated:
// those cross as they are.
//
// Only resource links are concerned: [spec 2025-03-26 changelog] "Added support for audio data", so every revision that
// is served here knows audio.

import type { ServedRevision } from './eras.ts';
import { type Result, bytesOf, encode, joined, membersOf, textOf } from './json-rpc.ts';
import { type Member, type ObjectView, Scanner } from './json-scanner.ts';
import { type Edit, asOne } from './splice.ts';

/** [spec 2025-06-18 changelog] "Add support for resource links in tool call results". */
export function knowsResourceLinks(revision: ServedRevision): boolean {
  return revision >= '2025-06-18';
}

/** Content blocks of one result that are looked at. */
const MAX_BLOCKS = 10_000;

/** Edits that turn each resource link in the result of a tools/call or prompts/get into a text block; none without one. */
export function withoutResourceLinks(answer: Result, method: string): Edit[] {
  const blocksOf = BLOCKS.get(method);
  if (blocksOf === undefined || !mayHoldLinks(answer)) return [];
  const edits: Edit[] = [];
  let looked = 0;
  for (const span of blocksOf(answer)) {
    // Each costs a little, and a hostile result can hold half a million.
    if (++looked > MAX_BLOCKS) break;
    const block = membersOf(answer, span, BLOCK_MEMBERS);
    if (block === null || stringIn(answer, block, 'type') !== 'resource_link') continue;
    edits.push({ start: span.start, end: span.end, text: textBlock(answer, block) });
  }
  return asOne(answer.bytes, edits);
}

/** Where the content blocks stand in the result of a method. */
const BLOCKS: ReadonlyMap<string, (answer: Result) => Iterable<Member>> = new Map([
  ['tools/call', toolBlocks],
  ['prompts/get', promptBlocks],
]);

/** A block that gives one of these twice can be read in two ways, and is left as it is. */
const BLOCK_MEMBERS = new Set(['type', 'name', 'title', 'uri', 'mimeType', 'description', 'annotations', '_meta']);

/** What is shorter neither is a link nor holds one. An array may have millions of elements that are. */
const SHORTEST_LINK = '{"type":"resource_link"}'.length;

const LINK = Buffer.from('resource_link');
/** A letter that is escaped has a code below 100 hexadecimal. */
const ESCAPED_LETTER = Buffer.from('\\u00');

/** Most results hold no link, and are not read a second time to find that out. */
function mayHoldLinks({ bytes, result }: Result): boolean {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + result.start, result.end - result.start);
  // Escapes can spell it too, and those of its letters begin like this.
  return includes(view, LINK, UNDERSCORE) || includes(view, ESCAPED_LETTER, BACKSLASH);
}

const UNDERSCORE = 0x5f;
const BACKSLASH = 0x5c;
/** Where a text is full of them, it is looked for as a whole. */
const MAX_TRIES = 64;

/** By a byte of it that is rare in most texts: to find one byte takes a tenth of the time. */
function includes(view: Buffer, text: Buffer, rare: number): boolean {
  const before = text.indexOf(rare);
  let at = view.indexOf(rare, before);
  for (let tries = 0; at !== -1; tries++) {
    const start = at - before;
    if (tries === MAX_TRIES) return view.includes(text, start);
    if (text.equals(view.subarray(start, start + text.length))) return true;
    at = view.indexOf(rare, at + 1);
  }
  return false;
}

function* toolBlocks(answer: Result): Iterable<Member> {
  yield* objectsIn(answer, memberNamed(answer, answer.result, 'content'));
}

function* promptBlocks(answer: Result): Iterable<Member> {
  for (const message of objectsIn(answer, memberNamed(answer, answer.result, 'messages'))) {
    const content = memberNamed(answer, message, 'content');
    // [spec 2025-11-25 schema] "content: ContentBlock": one of them. An array is read all the same.
    if (content?.kind === 'object') yield content;
    else yield* objectsIn(answer, content);
  }
}

function memberNamed(answer: Result, object: Member, name: string): Member | null {
  return membersOf(answer, object, new Set([name]))?.members.get(name) ?? null;
}

/** The objects among the elements of an array; none when it is something else. */
function* objectsIn({ bytes }: Result, array: Member | null): Iterable<Member> {
  if (array?.kind !== 'array') return;
  const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
  scanner.at = array.start + 1;
  scanner.skipSpace();
  while (bytes[scanner.at] !== 0x5d) {
    const element = scanner.value(0);
    if (element.kind === 'object' && element.end - element.start >= SHORTEST_LINK) yield element;
    scanner.skipSpace();
    if (bytes[scanner.at] === 0x2c) scanner.at++;
    scanner.skipSpace();
  }
}

function stringIn({ bytes }: Result, block: ObjectView, name: string): string | null {
  const member = block.members.get(name);
  return member?.kind === 'string' ? textOf(bytes, member) : null;
}

/**
 * `Resource: Title (name) <uri> text/plain`, and the description on a line of its own; what the link lacks is left out.
 * Annotations and `_meta` say the same of a text as of a link, so they stay, byte for byte.
 */
function textBlock(answer: Result, block: ObjectView): Uint8Array {
  const [name, title, uri, mimeType, description] = ['name', 'title', 'uri', 'mimeType', 'description'].map((member) =>
    stringIn(answer, block, member),
  );
  const label = title && name && title !== name ? `${title} (${name})` : title || name;
  const line = ['Resource:', label, uri && `<${uri}>`, mimeType].filter(Boolean).join(' ');
  const text = description ? `${line}\n${description}` : line;
  const kept = (key: string): Uint8Array[] => {
    const member = block.members.get(key);
    return member === undefined ? [] : [encode(`,"${key}":`), bytesOf(answer.bytes, member)];
  };
  return joined(
    encode(`{"type":"text","text":${JSON.stringify(text)}`),
    ...kept('annotations'),
    ...kept('_meta'),
    encode('}'),
  );
}
