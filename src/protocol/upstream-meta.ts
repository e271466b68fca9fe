// The `_meta` of a modern request as it goes to a legacy upstream: without what only the modern revision says there, with
// a progress token of ours, and with the trace that the client may have told in HTTP headers, which end here.

import { type Request, encode, joined } from './json-rpc.ts';
import { type Member, Scanner } from './json-scanner.ts';

export type TraceName = 'traceparent' | 'tracestate' | 'baggage';

/** A legacy upstream was told these in its handshake, and the log level by logging/setLevel. */
const MODERN_KEYS: ReadonlySet<string> = new Set(
  ['protocolVersion', 'clientInfo', 'clientCapabilities', 'logLevel'].map((name) => `io.modelcontextprotocol/${name}`),
);

const isTraceName = (key: string): key is TraceName => Object.hasOwn(WELL_FORMED, key);

/**
 * The bytes of the object; null when nothing is left in it. All that is not named here crosses byte for byte, in its
 * order. `trace`: the HTTP header of that name, several of them joined with commas. Without a token of ours the
 * client's own is left out: it may be that of another client, too.
 */
export function modernMeta(
  { bytes, meta }: Request,
  ourToken: Uint8Array | null,
  trace: (name: TraceName) => string | undefined,
): Uint8Array | null {
  const present = new Set<TraceName>();
  /** What is to stand between commas. */
  const parts: Uint8Array[] = [];
  /** Where a stretch of members begins that cross as they are; null outside of one. */
  let from: number | null = null;
  let to = 0;
  const endStretch = (): void => {
    if (from !== null) parts.push(bytes.subarray(from, to));
    from = null;
  };

  for (const { key, start, value } of meta === null ? [] : membersIn(bytes, meta)) {
    if (key === 'progressToken') {
      endStretch();
      if (ourToken !== null) parts.push(joined(bytes.subarray(start, value.start), ourToken));
    } else if (MODERN_KEYS.has(key)) {
      endStretch();
    } else {
      if (isTraceName(key)) present.add(key);
      from ??= start;
      to = value.end;
    }
  }
  endStretch();
  for (const [name, text] of traceOfHeaders(present, trace)) {
    parts.push(encode(`"${name}":${JSON.stringify(text)}`));
  }

  if (parts.length === 0) return null;
  return Buffer.concat([encode('{'), ...parts.flatMap((part, i) => (i === 0 ? [part] : [COMMA, part])), encode('}')]);
}

const COMMA = encode(',');

function* membersIn(
  bytes: Uint8Array,
  object: { readonly start: number },
): Iterable<{ key: string; start: number; value: Member }> {
  const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
  scanner.at = object.start + 1;
  scanner.skipSpace();
  while (bytes[scanner.at] !== 0x7d) {
    const start = scanner.at;
    const key = scanner.key();
    scanner.skipSpace();
    scanner.at++; // the colon
    scanner.skipSpace();
    yield { key, start, value: scanner.value(0) };
    scanner.skipSpace();
    if (bytes[scanner.at] === 0x2c) scanner.at++;
    scanner.skipSpace();
  }
}

/**
 * What the headers say of the trace and `_meta` does not.
 * [spec 2026-07-28 basic] "the keys `traceparent`, `tracestate`, and `baggage` are reserved for OpenTelemetry trace
 * context propagation. When present, their values MUST follow W3C Trace Context and W3C Baggage formats respectively."
 */
function* traceOfHeaders(
  present: ReadonlySet<TraceName>,
  trace: (name: TraceName) => string | undefined,
): Iterable<readonly [TraceName, string]> {
  const header = (name: TraceName): string | null => {
    const text = trace(name);
    return text !== undefined && text.length <= MAX_LENGTH && ASCII.test(text) && WELL_FORMED[name](text) ? text : null;
  };
  // A tracestate says more about one traceparent: the two are of one place, or the state would be another trace's.
  const parent = present.has('traceparent') || present.has('tracestate') ? null : header('traceparent');
  if (parent !== null) {
    yield ['traceparent', parent];
    const state = header('tracestate');
    if (state !== null) yield ['tracestate', state];
  }
  const baggage = present.has('baggage') ? null : header('baggage');
  if (baggage !== null) yield ['baggage', baggage];
}

const MAX_LENGTH = 8192;
const ASCII = /^[\t\x20-\x7e]+$/;

const WELL_FORMED: Readonly<Record<TraceName, (text: string) => boolean>> = {
  traceparent: isTraceparent,
  tracestate: isTracestate,
  baggage: isBaggage,
};

// [W3C Trace Context] "version ff is invalid"; "All bytes as zero is considered an invalid value", of both ids. What a
// later version adds stands behind a dash.
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[^ ,]*)?$/;
const TRACEPARENT_00_LENGTH = 55;

function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text) && (text.length === TRACEPARENT_00_LENGTH || !text.startsWith('00'));
}

/** [W3C Trace Context] "There can be a maximum of 32 list-members in a list." */
const MAX_STATES = 32;
const STATE = /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}$/;

function isTracestate(text: string): boolean {
  // Members may be empty: several headers were perhaps put together.
  const members = pieces(text, ',').filter((member) => member !== '');
  return members.length > 0 && members.length <= MAX_STATES && members.every((member) => STATE.test(member));
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const OCTETS = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;

/** Members between commas, each a pair and perhaps properties of it behind semicolons, which may be keys alone. */
function isBaggage(text: string): boolean {
  return pieces(text, ',').every((member) =>
    pieces(member, ';').every((part, i) => {
      const at = part.indexOf('=');
      if (at < 0) return i > 0 && TOKEN.test(part);
      return TOKEN.test(part.slice(0, at).trim()) && OCTETS.test(part.slice(at + 1).trim());
    }),
  );
}

function pieces(text: string, separator: string): string[] {
  return text.split(separator).map((piece) => piece.trim());
}
