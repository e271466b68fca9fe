// What an upstream asks in the middle of a call, as the `input_required` result of that call, and a client's answers in
// its retry as answers to the upstream. Questions and answers cross byte for byte, but for what one of the two sides
// does not know.

import type { UpstreamRevision } from './eras.ts';
import { type Request, bytesOf, encode, joined, ownError, textOf } from './json-rpc.ts';
import { Duplicate, type Member, type ObjectView, Scanner, type Span } from './json-scanner.ts';
import { membersNamed, removals } from './removal.ts';
import { NOTHING } from './rewrites.ts';
import { type Edit, splice } from './splice.ts';

const INTERNAL = -32603;

// --- To the client -------------------------------------------------------------------------------------------------

/**
 * What one question looks like to the client: its method and its params, without jsonrpc and id.
 * [spec 2026-07-28 changelog] "Remove [...] the `elicitationId` field of URL mode elicitation requests".
 */
export function inputRequest({ bytes, method, params, meta }: Request): Uint8Array {
  const head = encode(`{"method":${JSON.stringify(method)}`);
  if (params === null) return joined(head, encode('}'));
  let object = bytesOf(bytes, params);
  if (meta?.members.has('progressToken') === true) {
    // Progress of the client's answer has no way back: it is no request any more.
    const left = without(bytesOf(bytes, meta), 'progressToken');
    object = isEmpty(left)
      ? without(object, '_meta')
      : spliced(object, [{ start: meta.start - params.start, end: meta.end - params.start, text: left }]);
  }
  if (params.members.has('task')) object = without(object, 'task');
  if (method === 'elicitation/create' && params.members.has('elicitationId')) object = without(object, 'elicitationId');
  return joined(head, encode(',"params":'), object, encode('}'));
}

/** One after the other: two members that are cut side by side share a comma. */
function without(object: Uint8Array, key: string): Uint8Array {
  const cuts = removals(object, { start: 0, end: object.length }, key);
  return cuts.length === 0
    ? object
    : spliced(
        object,
        cuts.map(({ start, end }) => ({ start, end, text: NOTHING })),
      );
}

function spliced(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  // Not joined(): of a hostile text there can be more pieces than a function takes arguments.
  return Buffer.concat(splice(bytes, edits));
}

function isEmpty(object: Uint8Array): boolean {
  const scanner = new Scanner(object, 1);
  scanner.at = 1;
  scanner.skipSpace();
  return object[scanner.at] === CLOSE_OBJECT;
}

const READABLE = /^[A-Za-z0-9_.-]{1,64}$/;

/**
 * The name of the only field of a form, so that a person or a program can tell what is asked; else one that says
 * nothing. `used`: all keys of the call so far.
 * [spec 2026-07-28 mrtr] "`inputRequests` keys are server assigned identifiers and MUST be unique within the scope of
 * the request."
 */
export function inputKey(question: Request, round: number, used: ReadonlySet<string>): string {
  const field = onlyField(question);
  // Not what every object of JavaScript has: a client may look its keys up in one.
  if (field !== null && READABLE.test(field) && !(field in Object.prototype) && !used.has(field)) return field;
  let n = 1;
  while (used.has(`r${round}-${n}`)) n++;
  return `r${round}-${n}`;
}

function onlyField({ bytes, method, params }: Request): string | null {
  if (method !== 'elicitation/create' || params === null) return null;
  const mode = params.members.get('mode');
  if (mode !== undefined && (mode.kind !== 'string' || textOf(bytes, mode) !== 'form')) return null;
  const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
  try {
    const schema = memberIn(scanner, params, 'requestedSchema');
    const properties = schema?.kind === 'object' ? memberIn(scanner, schema, 'properties') : undefined;
    if (properties?.kind !== 'object') return null;
    const [only, another] = objectAt(scanner, properties, () => true).members.keys();
    return only === undefined || another !== undefined ? null : only;
  } catch (fault) {
    if (fault instanceof Duplicate) return null;
    throw fault;
  }
}

/**
 * The result that asks. Without entries it has no inputRequests: [spec 2026-07-28 mrtr] "If the `InputRequiredResult`
 * does not contain the `inputRequests` field, the client MAY retry the original request immediately."
 */
export function inputRequiredResult(
  entries: ReadonlyMap<string, Uint8Array>,
  requestState: string,
  serverInfo: Uint8Array | null,
): Uint8Array {
  const parts = [encode('{"resultType":"input_required"')];
  let before = ',"inputRequests":{';
  for (const [key, entry] of entries) {
    parts.push(encode(`${before}${JSON.stringify(key)}:`), entry);
    before = ',';
  }
  if (entries.size > 0) parts.push(encode('}'));
  parts.push(encode(`,"requestState":${JSON.stringify(requestState)}`));
  if (serverInfo !== null) {
    parts.push(encode(',"_meta":{"io.modelcontextprotocol/serverInfo":'), serverInfo, encode('}'));
  }
  parts.push(encode('}'));
  return Buffer.concat(parts);
}

/** The entries for an upstream's error −32042, which says what URLs the user must go to first. */
export function urlInputRequests(
  elicitations: readonly { readonly message: string; readonly url: string }[],
): ReadonlyMap<string, Uint8Array> {
  return new Map(
    elicitations.map(({ message, url }, index) => [
      `url-${index + 1}`,
      encode(JSON.stringify({ method: 'elicitation/create', params: { mode: 'url', message, url } })),
    ]),
  );
}

// --- From the client -----------------------------------------------------------------------------------------------

/**
 * The retry's answers by key, as spans of its bytes; empty when it has none, null when they are no object or a key is
 * given twice.
 */
export function inputResponses({ bytes, params }: Request): ReadonlyMap<string, Member> | null {
  const given = params?.members.get('inputResponses');
  if (given === undefined) return new Map();
  if (given.kind !== 'object') return null;
  try {
    return objectAt(new Scanner(bytes, Number.POSITIVE_INFINITY), given, () => true).members;
  } catch (fault) {
    if (fault instanceof Duplicate) return null;
    throw fault;
  }
}

/**
 * Why an answer does not fit what was asked, lowercase, for the client; null when it does.
 * [spec 2026-07-28 mrtr] "Servers SHOULD validate that the data provided by the client is a valid `InputResponses`
 * object and that the information inside can be correctly parsed."
 */
export function responseFault(method: string, bytes: Uint8Array, response: Member): string | null {
  const faultIn = Object.hasOwn(FAULTS, method) ? FAULTS[method] : undefined;
  if (faultIn === undefined) return 'there is no such question';
  if (response.kind !== 'object') return 'an answer must be an object';
  try {
    return faultIn(new Scanner(bytes, Number.POSITIVE_INFINITY), response);
  } catch (fault) {
    if (!(fault instanceof Duplicate)) throw fault;
    return `the member ${JSON.stringify(fault.message.slice(0, 64))} of the answer is given twice`;
  }
}

type FaultIn = (scanner: Scanner, response: Span) => string | null;

const FAULTS: Readonly<Record<string, FaultIn>> = {
  'elicitation/create': elicitationFault,
  'sampling/createMessage': samplingFault,
  'roots/list': rootsFault,
};

const ACTIONS: ReadonlySet<string> = new Set(['accept', 'decline', 'cancel']);
const ROLES: ReadonlySet<string> = new Set(['user', 'assistant']);
const PLAIN: ReadonlySet<Member['kind']> = new Set(['string', 'integer', 'number', 'boolean']);

/** [spec 2026-07-28 schema] "content?: { [key: string]: string | number | boolean | string[] }" */
function elicitationFault(scanner: Scanner, response: Span): string | null {
  const { members } = objectAt(scanner, response, known('action', 'content'));
  if (!isOneOf(scanner, members.get('action'), ACTIONS)) {
    return 'the action of an elicitation must be "accept", "decline" or "cancel"';
  }
  const content = members.get('content');
  if (content === undefined) return null;
  if (content.kind !== 'object') return 'the content of an elicitation must be an object';
  for (const value of objectAt(scanner, content, () => true).members.values()) {
    if (!PLAIN.has(value.kind) && !isArrayOf(scanner, value, ({ kind }) => kind === 'string')) {
      return 'a value of an elicitation must be a string, a number, a boolean or an array of strings';
    }
  }
  return null;
}

/** [spec 2026-07-28 schema] "content: SamplingMessageContentBlock | SamplingMessageContentBlock[]" */
function samplingFault(scanner: Scanner, response: Span): string | null {
  const { members } = objectAt(scanner, response, known('role', 'content', 'model'));
  if (!isOneOf(scanner, members.get('role'), ROLES)) return 'the role of a message must be "user" or "assistant"';
  if (members.get('model')?.kind !== 'string') return 'the model of a message must be a string';
  const content = members.get('content');
  return content !== undefined && isContent(scanner, content)
    ? null
    : 'the content of a message must be one block or more, each an object with a type';
}

function isContent(scanner: Scanner, content: Member): boolean {
  const isBlock = (value: Member): boolean => hasString(scanner, value, 'type');
  if (content.kind !== 'array') return isBlock(content);
  return elements(scanner, content).next().done !== true && isArrayOf(scanner, content, isBlock);
}

/** [spec 2026-07-28 schema] "roots: Root[]", and of a root "uri: string". */
function rootsFault(scanner: Scanner, response: Span): string | null {
  const roots = memberIn(scanner, response, 'roots');
  return roots !== undefined && isArrayOf(scanner, roots, (root) => hasString(scanner, root, 'uri'))
    ? null
    : 'the roots must be an array of objects, each with a uri';
}

/**
 * What the upstream gets as the answer to its question: the client's bytes under the upstream's own id. For an upstream
 * before 2025-11-25, which knows only one block as the content of a message, an array of one is that one block; more
 * of them are an error.
 */
export function answerUpstream(
  question: { readonly method: string; readonly id: Uint8Array },
  bytes: Uint8Array,
  response: Member,
  upstream: UpstreamRevision,
): Uint8Array {
  const edits: Edit[] = [];
  if (response.kind === 'object') {
    for (const { start, end } of removals(bytes, response, 'resultType')) edits.push({ start, end, text: NOTHING });
    if (question.method === 'sampling/createMessage' && upstream < '2025-11-25') {
      const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
      for (const content of membersNamed(bytes, response, 'content')) {
        if (content.kind !== 'array') continue;
        const [block, another] = elements(scanner, content);
        if (block === undefined || another !== undefined) {
          const message = 'the message has several content blocks, and this revision knows only one';
          return ownError(question.id, { code: INTERNAL, message });
        }
        edits.push({ start: content.start, end: content.end, text: bytesOf(bytes, block) });
      }
    }
  }
  const inside = edits.map((edit) => ({ ...edit, start: edit.start - response.start, end: edit.end - response.start }));
  return joined(
    encode('{"jsonrpc":"2.0","id":'),
    question.id,
    encode(',"result":'),
    inside.length === 0 ? bytesOf(bytes, response) : spliced(bytesOf(bytes, response), inside),
    encode('}'),
  );
}

// --- Reading what readMessage has accepted -------------------------------------------------------------------------

const CLOSE_ARRAY = 0x5d;
const CLOSE_OBJECT = 0x7d;

const known =
  (...names: readonly string[]) =>
  (key: string): boolean =>
    names.includes(key);

/** Throws Duplicate where one of these is given twice. */
function objectAt(scanner: Scanner, { start }: Span, isKnown: (key: string) => boolean): ObjectView {
  scanner.at = start;
  return scanner.object(1, isKnown, null);
}

/** Throws Duplicate where it is given twice. */
function memberIn(scanner: Scanner, object: Span, name: string): Member | undefined {
  return objectAt(scanner, object, known(name)).members.get(name);
}

function* elements(scanner: Scanner, { start }: Span): Generator<Member, undefined> {
  const { bytes } = scanner;
  let at = start + 1;
  for (;;) {
    // Whoever takes the elements may read on with the same scanner.
    scanner.at = at;
    scanner.skipSpace();
    if (bytes[scanner.at] === CLOSE_ARRAY) return;
    const element = scanner.value(0);
    scanner.skipSpace();
    at = bytes[scanner.at] === CLOSE_ARRAY ? scanner.at : scanner.at + 1;
    yield element;
  }
}

function isArrayOf(scanner: Scanner, value: Member, fits: (element: Member) => boolean): boolean {
  if (value.kind !== 'array') return false;
  for (const element of elements(scanner, value)) if (!fits(element)) return false;
  return true;
}

function isOneOf({ bytes }: Scanner, member: Member | undefined, texts: ReadonlySet<string>): boolean {
  return member?.kind === 'string' && texts.has(textOf(bytes, member));
}

function hasString(scanner: Scanner, value: Member, name: string): boolean {
  return value.kind === 'object' && memberIn(scanner, value, name)?.kind === 'string';
}
