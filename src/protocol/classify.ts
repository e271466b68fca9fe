// One POSTed message → how it is served. One ordered ladder, first match wins, a pure function of plain facts.
//
// Statuses matter more than they seem to: a 4xx on an opening request makes a client fall back to another era or
// transport, and remember it. So 4xx is used only where the client itself is wrong.

import type { ErrorCode } from '../domain/errors.ts';
import { MODERN_REVISIONS, MODERN_VERSION_KEY, SERVED_REVISIONS, isServed } from './eras.ts';
import type { Message } from './json-rpc.ts';
import type { Mode, RequestFacts } from './request-facts.ts';

export type Classified =
  | { readonly mode: 'open-session' }
  /** An initialize that is answered without opening a session. */
  | { readonly mode: 'handshake' }
  | { readonly mode: 'session'; readonly sessionId: string }
  | { readonly mode: 'sessionless' }
  | {
      readonly mode: 'reject';
      readonly code: ErrorCode;
      readonly why: string;
      readonly data?: Readonly<Record<string, unknown>>;
    };

/** One message, or none for a GET or DELETE. */
export function classify(message: Message | null, facts: RequestFacts): Classified {
  const twice = givenTwice(facts);
  if (twice !== null) return reject('invalid_request', twice);
  // Arrays are refused above.
  const session = facts.sessionId as string | undefined;
  const version = facts.protocolVersion as string | undefined;

  // Revision 2026-07-28 is recognised by the key alone, not by `_meta`: older clients send `_meta` too. A 400 without
  // one of the modern error codes is what tells a client of both eras to go on with initialize.
  if (message?.kind === 'request' && message.meta?.members.has(MODERN_VERSION_KEY) === true) {
    return reject('invalid_request', `this endpoint serves ${SERVED_REVISIONS.join(', ')}: open with initialize`);
  }

  if (message?.kind === 'request' && message.method === 'initialize') {
    // One that is over is of no interest: its client opens a new one, as it was told to.
    if (session !== undefined && facts.isLiveSession !== false)
      return reject('invalid_request', 'initialize must not carry an Mcp-Session-Id');
    // The header is the client's for requests after initialize; one that names a newer revision still opens a session.
    if (version !== undefined && !isServed(version) && !MODERN_REVISIONS.includes(version)) {
      return unsupported(version);
    }
    return { mode: facts.mode === 'stateless' ? 'handshake' : 'open-session' };
  }
  return withoutHandshake(session, version, facts.mode);
}

/**
 * A batch: revision 2025-03-26 alone has them, which knows no version header.
 * [spec 2025-06-18 changelog] "Remove support for JSON-RPC batching".
 */
export function classifyBatch(messages: readonly Message[], facts: RequestFacts): Classified {
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
    why: 'the protocol version in the header is not served here',
    data: { supported: SERVED_REVISIONS, requested },
  };
}

function reject(code: ErrorCode, why: string): Classified {
  return { mode: 'reject', code, why };
}
