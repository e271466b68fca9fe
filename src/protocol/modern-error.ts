// What an upstream's error is to a client of 2026-07-28. Codes that older revisions gave a meaning, or that servers used
// as they liked, would be read there as something else; the error itself is kept inside the one that takes its place.

import { type ErrorResponse, bytesOf, encode, joined, parsed } from './json-rpc.ts';
import { methodRow } from './methods.ts';
import { cuts, placesIn } from './removal.ts';
import { type Edit, inFront } from './splice.ts';

export interface UrlElicitation {
  readonly message: string;
  readonly url: string;
}

export type ModernError =
  /** For splice(). None: it crosses byte for byte. */
  | { readonly kind: 'edits'; readonly edits: Edit[] }
  /** The upstream wants these pages visited first; then the same request may be sent again. At least one. */
  | { readonly kind: 'url elicitation'; readonly elicitations: readonly UrlElicitation[] };

const RESOURCE_NOT_FOUND = -32002;
const URL_ELICITATION_REQUIRED = -32042;

const MAX_ELICITATIONS = 100;
const MAX_DATA_BYTES = 64 * 1024;

/** `method`, `params`: of the request that is answered. */
export function modernError(error: ErrorResponse, method: string, params: { readonly uri?: string }): ModernError {
  const code = codeOf(error);
  if (code === RESOURCE_NOT_FOUND && method === 'resources/read') {
    // [spec 2026-07-28 resources] "If the requested resource does not exist, servers MUST return a JSON-RPC error with
    // code -32602 (Invalid Params)."
    return { kind: 'edits', edits: resourceNotFound(error, params.uri) };
  }
  if (code === URL_ELICITATION_REQUIRED && methodRow(method).mayAskBack === true) {
    const elicitations = elicitationsIn(error);
    if (elicitations !== null) return { kind: 'url elicitation', elicitations };
  }
  return { kind: 'edits', edits: code === null || isServerError(code) ? [asInternal(error)] : messageEdits(error) };
}

/**
 * [spec 2026-07-28 basic] of −32000 to −32019: "receivers MUST NOT assume any specific meaning for these codes"; of
 * −32020 to −32099: "Implementations MUST NOT emit any code from this sub-range that is not defined by this
 * specification". A legacy server that gives one of those that are defined now cannot have meant that.
 */
function isServerError(code: number): boolean {
  return code >= -32099 && code <= -32000;
}

/** [spec 2026-07-28 basic] "Error codes MUST be integers." Null: it is none, or written as if it were none. */
function codeOf({ bytes, error }: ErrorResponse): number | null {
  const code = error.members.get('code');
  // An integer of any size is a number to JSON.parse.
  return code?.kind === 'integer' ? (parsed(bytes, code) as number) : null;
}

/** The whole error inside an internal error with its message. */
function asInternal({ bytes, error }: ErrorResponse): Edit {
  const message = error.members.get('message');
  const text = joined(
    encode('{"code":-32603,"message":'),
    message?.kind === 'string' ? bytesOf(bytes, message) : NO_MESSAGE,
    encode(',"data":{"upstream":'),
    bytesOf(bytes, error),
    encode('}}'),
  );
  return { start: error.start, end: error.end, text };
}

const NO_MESSAGE = encode('"the upstream gave no message"');

/** [spec 2026-07-28 basic] "Error responses MUST include an error field with a code and message." */
function messageEdits({ error }: ErrorResponse): Edit[] {
  const message = error.members.get('message');
  if (message?.kind === 'string') return [];
  if (message !== undefined) return [{ start: message.start, end: message.end, text: NO_MESSAGE }];
  return [inFront(error, [joined(encode('"message":'), NO_MESSAGE)], true)];
}

/** [spec 2026-07-28 resources] its example has the address in `data.uri`. What else the upstream says there stays. */
function resourceNotFound(answer: ErrorResponse, uri: string | undefined): Edit[] {
  const { members } = answer.error;
  const [code, data] = [members.get('code'), members.get('data')];
  const edits = messageEdits(answer);
  const member = uri === undefined ? null : encode(`"uri":${JSON.stringify(uri)}`);
  const given = member === null ? null : joined(encode('{'), member, encode('}'));
  if (code !== undefined) {
    const added = given === null || data !== undefined ? [] : [encode(',"data":'), given];
    edits.push({ start: code.start, end: code.end, text: joined(encode('-32602'), ...added) });
  }
  if (member === null || given === null || data === undefined) return edits;
  if (data.kind !== 'object') return [...edits, { start: data.start, end: data.end, text: given }];
  if (data.end - data.start > MAX_DATA_BYTES) return edits;
  const { found, count } = placesIn(answer.bytes, data, 'uri');
  if (found.length === 1 && found[0]?.value.kind === 'string') return edits;
  return [...edits, inFront(data, [member], count > found.length), ...cuts(found)];
}

/**
 * Null unless a client can be asked for all of it.
 * [spec 2025-11-25 elicitation] "Any elicitations returned in the error MUST be URL mode elicitations".
 */
function elicitationsIn({ bytes, error }: ErrorResponse): readonly UrlElicitation[] | null {
  const data = error.members.get('data');
  if (data?.kind !== 'object' || data.end - data.start > MAX_DATA_BYTES) return null;
  // An object: its kind says so.
  const { elicitations } = parsed(bytes, data) as { elicitations?: unknown };
  if (!Array.isArray(elicitations) || elicitations.length === 0 || elicitations.length > MAX_ELICITATIONS) return null;
  const usable = elicitations.map(urlElicitation).filter((each) => each !== null);
  return usable.length === elicitations.length ? usable : null;
}

function urlElicitation(value: unknown): UrlElicitation | null {
  if (typeof value !== 'object' || value === null) return null;
  const { mode, message, url } = value as { mode?: unknown; message?: unknown; url?: unknown };
  if (mode !== 'url' || typeof message !== 'string' || typeof url !== 'string' || !URL.canParse(url)) return null;
  return { message, url };
}
