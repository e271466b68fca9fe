// Bytes in, one message out: its kind, id and method, and where in the bytes the members stand that we read or change.
// One strict pass checks the whole JSON grammar, so nothing we pass on can be read in two ways. Nothing is turned into
// objects: what we do not have to change crosses byte for byte, so the spans are all that the rest of the house needs.

import type { Limit } from '../domain/limits.ts';
import { Duplicate, JsonFault, type Member, type ObjectView, Scanner, type Span, TooDeep } from './json-scanner.ts';

interface Common {
  readonly bytes: Uint8Array;
}
export interface Request extends Common {
  readonly kind: 'request';
  readonly id: Member;
  readonly method: string;
  readonly params: ObjectView | null;
  readonly meta: ObjectView | null;
}
export interface Notification extends Common {
  readonly kind: 'notification';
  readonly method: string;
  readonly params: ObjectView | null;
  readonly meta: ObjectView | null;
}
/** A response; its id is null where the sender could not tell what it answers. */
export interface Result extends Common {
  readonly kind: 'result';
  readonly id: Member | null;
  readonly result: Member;
}
export interface ErrorResponse extends Common {
  readonly kind: 'error';
  readonly id: Member | null;
  readonly error: ObjectView;
}
export type Answer = Result | ErrorResponse;
export type Message = Request | Notification | Answer;

export type Unreadable = {
  readonly kind: 'unreadable';
  readonly code: 'parse_error' | 'invalid_request';
  /** Lowercase, for the peer that sent it. */
  readonly why: string;
  readonly limit?: Limit;
  /** The bytes of a legal id, where one was found: the refusal can then name the request. */
  readonly id: Uint8Array | null;
};

export interface ReadLimits {
  /** Nesting, counted from the message's root. */
  readonly maxDepth: number;
}

const ROOT_MEMBERS = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);
const PARAMS_MEMBERS = new Set(
  'name uri _meta task inputResponses requestState progressToken requestId protocolVersion capabilities clientInfo level mode tools toolChoice elicitationId'.split(
    ' ',
  ),
);
const ERROR_MEMBERS = new Set(['code', 'message', 'data']);

/** `_meta` keys whose second label is `mcp` or `modelcontextprotocol` belong to the protocol. */
const RESERVED_META_KEY = /^(?:[^/.]+\.)(?:mcp|modelcontextprotocol)(?:\.[^/]*)?\//;
const isKnownMetaKey = (key: string): boolean => key === 'progressToken' || RESERVED_META_KEY.test(key);

/** Reads one message. The bytes must be valid UTF-8: whoever takes them off a socket checks that. Never throws. */
export function readMessage(bytes: Uint8Array, limits: ReadLimits): Message | Unreadable {
  const scanner = new Scanner(bytes, limits.maxDepth);
  let params: ObjectView | null = null;
  let meta: ObjectView | null = null;
  let error: ObjectView | null = null;
  let root: ObjectView;
  /** Kept as soon as it is seen, so that a refusal further on can still name the request. */
  let id: Member | null = null;

  const openInParams = (key: string, depth: number): Member | null => {
    if (key !== '_meta' || bytes[scanner.at] !== 0x7b) return null;
    return (meta = scanner.object(depth + 1, isKnownMetaKey, null));
  };
  const openInRoot = (key: string, depth: number): Member | null => {
    if (key === 'id') return (id = scanner.value(depth));
    if (bytes[scanner.at] !== 0x7b) return null;
    if (key === 'params') return (params = scanner.object(depth + 1, (k) => PARAMS_MEMBERS.has(k), openInParams));
    if (key === 'error') return (error = scanner.object(depth + 1, (k) => ERROR_MEMBERS.has(k), null));
    return null;
  };

  try {
    scanner.skipSpace();
    if (bytes[scanner.at] !== 0x7b) {
      scanner.value(0);
      scanner.skipSpace();
      if (scanner.at !== bytes.length) throw new JsonFault();
      return unreadable('invalid_request', 'a message is one JSON object', bytes, null);
    }
    root = scanner.object(1, (k) => ROOT_MEMBERS.has(k), openInRoot);
    scanner.skipSpace();
    if (scanner.at !== bytes.length) throw new JsonFault();
  } catch (fault) {
    if (fault instanceof TooDeep) {
      const why = `nested deeper than ${limits.maxDepth} levels (limits.jsonDepth)`;
      return { ...unreadable('invalid_request', why, bytes, id), limit: 'limits.jsonDepth' };
    }
    if (fault instanceof Duplicate) {
      return unreadable(
        'invalid_request',
        `the member ${JSON.stringify(fault.message.slice(0, 64))} is given twice`,
        bytes,
        id,
      );
    }
    if (fault instanceof JsonFault) {
      return unreadable(
        'parse_error',
        `not JSON: unexpected input at byte ${Math.min(scanner.at, bytes.length)}`,
        bytes,
        null,
      );
    }
    throw fault;
  }
  return shape(bytes, root.members, params, meta, error);
}

function shape(
  bytes: Uint8Array,
  members: ReadonlyMap<string, Member>,
  params: ObjectView | null,
  meta: ObjectView | null,
  error: ObjectView | null,
): Message | Unreadable {
  const id = members.get('id') ?? null;
  const refuse = (why: string): Unreadable => unreadable('invalid_request', why, bytes, id);

  const version = members.get('jsonrpc');
  if (version?.kind !== 'string' || !isVersion2(bytes, version)) return refuse('the member jsonrpc must be "2.0"');

  const method = members.get('method');
  if (method !== undefined) {
    if (method.kind !== 'string') return refuse('the member method must be a string');
    if (members.has('result') || members.has('error'))
      return refuse('a message has either a method or a result or error');
    const given = members.get('params');
    if (given !== undefined && given.kind !== 'object') {
      // [spec 2025-11-25 basic] "params?: { [key: string]: unknown }": MCP has no positional parameters.
      return refuse('the member params must be an object');
    }
    const name = textOf(bytes, method);
    if (id === null) return { kind: 'notification', bytes, method: name, params, meta };
    // [spec 2025-11-25 basic] "Requests MUST include a string or integer ID" and "the ID MUST NOT be null".
    if (!isLegalId(id)) return refuse('an id is a string or an integer');
    return { kind: 'request', bytes, id, method: name, params, meta };
  }

  const result = members.get('result');
  const answered = id === null || id.kind === 'null' ? null : id;
  if (answered !== null && !isLegalId(answered)) return refuse('an id is a string or an integer');
  if (result !== undefined) {
    if (members.has('error')) return refuse('a response has either a result or an error');
    return { kind: 'result', bytes, id: answered, result };
  }
  if (error !== null) return { kind: 'error', bytes, id: answered, error };
  if (members.has('error')) return refuse('the member error must be an object');
  return refuse('a message has a method, a result or an error');
}

/** As nearly everybody writes it, or with escapes. */
function isVersion2(bytes: Uint8Array, { start, end }: Member): boolean {
  const isPlain =
    end - start === 5 && bytes[start + 1] === 0x32 && bytes[start + 2] === 0x2e && bytes[start + 3] === 0x30;
  return isPlain || textOf(bytes, { kind: 'string', start, end }) === '2.0';
}

function isLegalId(id: Member): boolean {
  return id.kind === 'string' || id.kind === 'integer';
}

function unreadable(code: Unreadable['code'], why: string, bytes: Uint8Array, id: Member | null): Unreadable {
  return { kind: 'unreadable', code, why, id: id !== null && isLegalId(id) ? bytes.subarray(id.start, id.end) : null };
}

export function bytesOf(bytes: Uint8Array, span: Span): Uint8Array {
  return bytes.subarray(span.start, span.end);
}

/** The named members of an object inside a message that `readMessage` has accepted; null when it is no object. */
export function membersOf(message: Message, member: Member, names: ReadonlySet<string>): ObjectView | null {
  if (member.kind !== 'object') return null;
  const scanner = new Scanner(message.bytes, Number.POSITIVE_INFINITY);
  scanner.at = member.start;
  try {
    return scanner.object(1, (key) => names.has(key), null);
  } catch (fault) {
    if (fault instanceof Duplicate) return null;
    throw fault;
  }
}

/** The text of a string member, escapes resolved. */
export function textOf(bytes: Uint8Array, member: Member): string {
  const raw = utf8.decode(bytes.subarray(member.start, member.end));
  return raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
}

/** What makes an id the same id: `1` and `"1"` are two, `"a"` and `"\u0061"` are one. */
export function idText(bytes: Uint8Array, id: Member): string {
  return id.kind === 'string' ? JSON.stringify(textOf(bytes, id)) : utf8.decode(bytesOf(bytes, id));
}

/** The value of a span as a plain object. Only for what we interpret ourselves: parsing loses what we promise to keep. */
export function parsed(bytes: Uint8Array, span: Span): unknown {
  return JSON.parse(textIn(bytes, span));
}

/** A span as it came. */
export function textIn(bytes: Uint8Array, span: Span): string {
  return utf8.decode(bytesOf(bytes, span));
}

/** The code of an error; null where it is no integer. */
export function errorCode({ bytes, error }: ErrorResponse): number | null {
  const code = error.members.get('code');
  return code?.kind === 'integer' ? Number(utf8.decode(bytesOf(bytes, code))) : null;
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();
export const encode = (text: string): Uint8Array => encoder.encode(text);

/** Our own request or notification. */
export function ownMessage(message: { id?: number | string; method: string; params?: object }): Uint8Array {
  return encode(JSON.stringify({ jsonrpc: '2.0', ...message }));
}

/** A result of our own making, an object or its bytes; `id` is the asker's bytes. */
export function ownResult(id: Uint8Array, result: object | Uint8Array): Uint8Array {
  const body = result instanceof Uint8Array ? result : encode(JSON.stringify(result));
  return joined(encode('{"jsonrpc":"2.0","id":'), id, encode(',"result":'), body, encode('}'));
}

/** An error of our own making. Without an id the member is left out: [spec 2025-11-25 schema] "id?: RequestId". */
export function ownError(id: Uint8Array | null, error: { code: number; message: string; data?: object }): Uint8Array {
  const body = encode(`"error":${JSON.stringify(error)}}`);
  if (id === null) return joined(encode('{"jsonrpc":"2.0",'), body);
  return joined(encode('{"jsonrpc":"2.0","id":'), id, encode(','), body);
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
