// An upstream's result as a result of 2026-07-28: what such a result must have is put in, what it may not have is cut,
// everything else stays byte for byte. What only tools/list needs is in modern-tools.ts.

import { type Result, bytesOf, encode, joined } from './json-rpc.ts';
import type { Span } from './json-scanner.ts';
import { cuts, placesIn } from './removal.ts';
import { type Edit, inFront, splice } from './splice.ts';
import type { Handshake } from './upstream-handshake.ts';

export interface CacheHint {
  /** [spec 2026-07-28 caching] "Servers MUST provide a ttlMs value that is >= 0"; an integer. */
  readonly ttlMs: number;
  readonly scope: 'public' | 'private';
}

export interface ResultStamp {
  /** The bytes of the upstream's serverInfo object. Null: no result says whose it is. */
  readonly serverInfo: Uint8Array | null;
  /** For the six cacheable results; null for all others. */
  readonly cache: CacheHint | null;
}

const SERVER_INFO = 'io.modelcontextprotocol/serverInfo';

/** What is ours to say in a result. */
const STAMPED: ReadonlySet<string> = new Set(['resultType', 'ttlMs', 'cacheScope', '_meta']);

/**
 * Keys of `_meta` that mean something to a modern client, but nothing that the upstream can have meant: those of the
 * tasks of 2025-11-25, which are not bridged, and those that 2026-07-28 has for requests and for streams of its own.
 * Other keys with this prefix stay: [spec 2026-07-28 basic] "Official extensions define additional _meta keys".
 */
const NOT_IN_META: ReadonlySet<string> = new Set([
  SERVER_INFO,
  'io.modelcontextprotocol/related-task',
  'io.modelcontextprotocol/model-immediate-response',
  'io.modelcontextprotocol/protocolVersion',
  'io.modelcontextprotocol/clientInfo',
  'io.modelcontextprotocol/clientCapabilities',
  'io.modelcontextprotocol/logLevel',
  'io.modelcontextprotocol/subscriptionId',
]);

/** More of ours in one object is no mistake but an attack: each is cut, and what is between them written by itself. */
const MAX_FOUND = 100;

/**
 * Edits for splice() that make an upstream's result a modern one; they touch no member but those of STAMPED. Null when
 * no result can be made of it: it is no object, or gives a hundred of our members.
 */
export function stampedResult({ bytes, result }: Result, stamp: ResultStamp): Edit[] | null {
  if (result.kind !== 'object') return null;
  const { found, count } = placesIn(bytes, result, STAMPED);
  if (found.length > MAX_FOUND) return null;
  const meta = found.findLast(({ name }) => name === '_meta');
  // Of two the last one counts, as it does to JSON.parse, and the other one goes: no reader may find it.
  const kept = meta?.value.kind === 'object' ? meta : undefined;
  const gone = found.filter((place) => place !== kept);
  if (found.length === 0 && stamp.cache === null) return [usualStamp(result, stamp.serverInfo, count > 0)];
  const own = [COMPLETE, ...cacheMembers(stamp.cache), ...(kept === undefined ? metaMembers(stamp.serverInfo) : [])];
  const inMeta = kept === undefined ? [] : metaEdits(bytes, kept.value, stamp.serverInfo);
  return inMeta === null ? null : [inFront(result, own, count > gone.length), ...cuts(gone), ...inMeta];
}

/** Of a result that has nothing of ours, as most answers of tools: of one server it is the same every time. */
function usualStamp(result: Span, serverInfo: Uint8Array | null, othersStay: boolean): Edit {
  const key = serverInfo ?? BRACE;
  let texts = usualStamps.get(key);
  if (texts === undefined) {
    const own = [COMPLETE, ...metaMembers(serverInfo)];
    // Copies: a buffer of Node's pool would keep the whole pool.
    texts = {
      alone: new Uint8Array(inFront(result, own, false).text),
      before: new Uint8Array(inFront(result, own, true).text),
    };
    usualStamps.set(key, texts);
  }
  return { start: result.start, end: result.start + 1, text: othersStay ? texts.before : texts.alone };
}

const usualStamps = new WeakMap<Uint8Array, { readonly alone: Uint8Array; readonly before: Uint8Array }>();

// [spec 2026-07-28 basic] "A resultType of any value unrecognized by the client MUST be considered invalid."
const COMPLETE = encode('"resultType":"complete"');

// [spec 2026-07-28 caching] "Servers MUST include caching hints on results with resultType: "complete"" of six methods.
function cacheMembers(cache: CacheHint | null): Uint8Array[] {
  return cache === null ? [] : [encode(`"ttlMs":${cache.ttlMs}`), encode(`"cacheScope":"${cache.scope}"`)];
}

// [spec 2026-07-28 schema] "Servers SHOULD include this field on every response".
function serverInfoMembers(serverInfo: Uint8Array | null): Uint8Array[] {
  return serverInfo === null ? [] : [joined(encode(`"${SERVER_INFO}":`), serverInfo)];
}

function metaMembers(serverInfo: Uint8Array | null): Uint8Array[] {
  return serverInfoMembers(serverInfo).map((member) => joined(encode('"_meta":'), objectOf([member])));
}

function objectOf(members: readonly Uint8Array[]): Uint8Array {
  return joined(...members.flatMap((member, index) => [index === 0 ? BRACE : COMMA, member]), encode('}'));
}

const BRACE = encode('{');
const COMMA = encode(',');

function metaEdits(bytes: Uint8Array, meta: Span, serverInfo: Uint8Array | null): Edit[] | null {
  const { found, count } = placesIn(bytes, meta, NOT_IN_META);
  if (found.length > MAX_FOUND) return null;
  return [inFront(meta, serverInfoMembers(serverInfo), count > found.length), ...cuts(found)];
}

export interface DiscoverOptions {
  /** Newest first. */
  readonly supported: readonly string[];
  readonly cache: CacheHint;
  /** What of the changes that the upstream announces really comes to a modern client. */
  readonly delivers: { readonly listChanged: boolean; readonly subscribe: boolean };
}

const DISCOVERED: ReadonlySet<string> = new Set(['capabilities', 'instructions']);

/** The result of server/discover, as the bytes of an object, from the upstream's answer to initialize. */
export function discoverResult(handshake: Handshake, options: DiscoverOptions): Uint8Array {
  const { bytes, result } = handshake.answer;
  const { found } = placesIn(bytes, result, DISCOVERED);
  const given = (name: string) => found.findLast((place) => place.name === name)?.value;
  const [capabilities, instructions] = [given('capabilities'), given('instructions')];
  return objectOf([
    COMPLETE,
    encode(`"supportedVersions":${JSON.stringify(options.supported)}`),
    joined(
      encode('"capabilities":'),
      capabilities?.kind === 'object' ? delivered(bytesOf(bytes, capabilities), options.delivers) : encode('{}'),
    ),
    ...(instructions?.kind === 'string' ? [joined(encode('"instructions":'), bytesOf(bytes, instructions))] : []),
    ...cacheMembers(options.cache),
    ...metaMembers(handshake.serverInfo),
  ]);
}

/** Tasks are not bridged, and no extension is: the modern capability names those that the gateway would have to speak. */
const NOT_OFFERED: ReadonlySet<string> = new Set(['tasks', 'extensions']);
const CAPABILITIES_READ: ReadonlySet<string> = new Set([...NOT_OFFERED, 'tools', 'prompts', 'resources']);

/** The capabilities without what does not come to a modern client. */
function delivered(capabilities: Uint8Array, delivers: DiscoverOptions['delivers']): Uint8Array {
  const { found } = placesIn(capabilities, { start: 0, end: capabilities.length }, CAPABILITIES_READ);
  const inside = found.flatMap(({ name, value }) => {
    if (NOT_OFFERED.has(name) || value.kind !== 'object') return [];
    const withheld = new Set<string>();
    if (!delivers.listChanged) withheld.add('listChanged');
    if (!delivers.subscribe && name === 'resources') withheld.add('subscribe');
    return cuts(placesIn(capabilities, value, withheld).found);
  });
  return Buffer.concat(splice(capabilities, [...cuts(found.filter(({ name }) => NOT_OFFERED.has(name))), ...inside]));
}
