// One POSTed message → how it is served. One ordered ladder, first match wins, a pure function of plain facts.
//
// Statuses matter more than they seem to: a 4xx on an opening request makes a client fall back to another era or
// transport, and remember it. So 4xx is used only where the client itself is wrong.

import type { ErrorCode } from '../domain/errors.ts';
import { ALL_REVISIONS, MODERN_META, isModern, isServed, isUpstreamRevision } from './eras.ts';
import { type Message, textOf } from './json-rpc.ts';
import { methodRow } from './methods.ts';
import { envelopeFault } from './modern-envelope.ts';
import { methodHeaderFault, nameHeaderFault } from './modern-headers.ts';
import type { Mode, RequestFacts } from './request-facts.ts';

export type Classified =
  | { readonly mode: 'open-session' }
  /** An initialize that is answered without opening a session. */
  | { readonly mode: 'handshake' }
  | { readonly mode: 'session'; readonly sessionId: string }
  | { readonly mode: 'sessionless' }
  /** A request that stands alone, its envelope and headers being right; or a notification, which nothing follows from. */
  | { readonly mode: 'modern' }
  | {
      readonly mode: 'reject';
      readonly code: ErrorCode;
      readonly why: string;
      readonly data?: Readonly<Record<string, unknown>>;
    };

/** One message, or none for a GET or DELETE. */
export function classify(message: Message | null, facts: RequestFacts): Classified {
  if (message !== null && isOfModernEra(message, facts)) return classifyModern(message, facts);
  const twice = givenTwice(facts);
  if (twice !== null) return reject('invalid_request', twice);
  // Arrays are refused above.
  const session = facts.sessionId as string | undefined;
  const version = facts.protocolVersion as string | undefined;

  const inBody = message === null ? null : versionInBody(message);
  if (inBody !== null && version !== undefined && inBody !== version) {
    return reject('header_mismatch', 'the header MCP-Protocol-Version is not the version in params._meta');
  }
  if (message?.kind === 'request' && message.method === 'initialize') {
    // One that is over is of no interest: its client opens a new one, as it was told to.
    if (session !== undefined && facts.isLiveSession !== false)
      return reject('invalid_request', 'initialize must not carry an Mcp-Session-Id');
    // The header is the client's for requests after initialize; one that names a newer revision still opens a session.
    // [spec 2026-07-28 versioning] initialize selects the legacy semantics, whatever else the request says.
    if (version !== undefined && !isServed(version) && !isModern(version)) return unsupported(version);
    return { mode: facts.mode === 'stateless' ? 'handshake' : 'open-session' };
  }
  return withoutHandshake(session, version, facts.mode);
}

/**
 * By the key in `params._meta`, not by `_meta`: older clients send that too. A client that names the revision in its
 * header alone meant the same and left out the rest.
 */
function isOfModernEra(message: Message, { protocolVersion }: RequestFacts): boolean {
  const isInHeader = typeof protocolVersion === 'string' && isModern(protocolVersion);
  if (message.kind === 'result' || message.kind === 'error') return isInHeader;
  if (message.meta?.members.has(MODERN_META.version) === true) {
    const named = versionInBody(message);
    return named === null || !isUpstreamRevision(named);
  }
  return isInHeader && !(message.kind === 'request' && message.method === 'initialize');
}

function versionInBody(message: Message): string | null {
  if (message.kind === 'result' || message.kind === 'error') return null;
  const member = message.meta?.members.get(MODERN_META.version);
  return member?.kind === 'string' ? textOf(message.bytes, member) : null;
}

/**
 * Revision 2026-07-28. What is wrong is told by codes of that revision: a client of both eras takes any other 4xx for
 * the word of an older server, goes over to initialize, and remembers it.
 */
function classifyModern(message: Message, { protocolVersion: inHeader, headers }: RequestFacts): Classified {
  // [spec 2026-07-28 transports] "The body of the POST request MUST be a single JSON-RPC request or notification."
  if (message.kind === 'result' || message.kind === 'error') {
    return reject('invalid_request', 'clients of this revision answer by inputResponses, not by responses');
  }
  // What their headers must say is left open, and clients differ: the SDK sends cancellations without Mcp-Method.
  if (message.kind === 'notification') return { mode: 'modern' };
  const inBody = versionInBody(message);
  if (inHeader === undefined) return reject('header_mismatch', 'the header MCP-Protocol-Version is missing');
  if (inBody !== null && inBody !== inHeader) {
    return reject('header_mismatch', 'the header MCP-Protocol-Version is not the version in params._meta');
  }
  const fault = envelopeFault(message);
  if (fault !== null) return reject('envelope_incomplete', fault);
  if (inBody === null || !isModern(inBody)) return unsupported(inBody ?? '');
  const methodFault = methodHeaderFault(headers, message.method);
  if (methodFault !== null) return reject('header_mismatch', methodFault);
  const { modern, nameFrom } = methodRow(message.method);
  if (modern === undefined) return reject('method_unknown', 'this method does not exist in this revision');
  const name = nameFrom === undefined ? undefined : message.params?.members.get(nameFrom);
  const nameFault = name?.kind === 'string' ? nameHeaderFault(headers, textOf(message.bytes, name)) : null;
  return nameFault === null ? { mode: 'modern' } : reject('header_mismatch', nameFault);
}

/**
 * A batch: revision 2025-03-26 alone has them, which knows no version header.
 * [spec 2025-06-18 changelog] "Remove support for JSON-RPC batching".
 */
export function classifyBatch(messages: readonly Message[], facts: RequestFacts): Classified {
  // [spec 2026-07-28 transports] one message a body, whatever it says.
  if (messages.some((message) => isOfModernEra(message, facts))) return reject('invalid_request', NO_BATCHES);
  for (const message of messages) {
    const each = classify(message, facts);
    if (each.mode === 'reject') return each;
  }
  if (
    facts.protocolVersion !== undefined &&
    facts.protocolVersion !== BATCH_REVISION &&
    facts.sessionId === undefined
  ) {
    return reject('invalid_request', NO_BATCHES);
  }
  return withoutHandshake(
    // Arrays are refused with the messages.
    facts.sessionId as string | undefined,
    facts.protocolVersion as string | undefined,
    facts.mode,
  );
}

export const BATCH_REVISION = '2025-03-26';
export const NO_BATCHES = `batches exist in revision ${BATCH_REVISION} only: send one message at a time`;

function givenTwice({ sessionId, protocolVersion }: RequestFacts): string | null {
  if (Array.isArray(sessionId) || (typeof sessionId === 'string' && sessionId.includes(','))) {
    return 'the header Mcp-Session-Id is given twice';
  }
  return Array.isArray(protocolVersion) ? 'the header MCP-Protocol-Version is given twice' : null;
}

function withoutHandshake(session: string | undefined, version: string | undefined, mode: Mode): Classified {
  // [spec 2025-06-18 transports] "If the server receives a request with an invalid or unsupported
  // MCP-Protocol-Version, it MUST respond with 400 Bad Request." Also on a live session.
  if (version !== undefined && !isServed(version)) return unsupported(version);
  if (session !== undefined) return { mode: 'session', sessionId: session };
  // [spec 2025-03-26 transports] "Servers that require a session ID SHOULD respond to requests without an
  // Mcp-Session-Id header (other than initialization) with HTTP 400 Bad Request."
  if (mode === 'session')
    return reject('session_required', 'this endpoint serves sessions only: send initialize first');
  return { mode: 'sessionless' };
}

function unsupported(requested: string): Classified {
  return {
    mode: 'reject',
    code: 'unsupported_version',
    why: 'this protocol version is not served here',
    data: { supported: ALL_REVISIONS, requested },
  };
}

function reject(code: ErrorCode, why: string): Classified {
  return { mode: 'reject', code, why };
}
