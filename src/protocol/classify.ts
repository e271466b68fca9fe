// One POSTed message → how it is served. One ordered ladder, first match wins, a pure function of plain facts.
//
// Statuses matter more than they seem to: a 4xx on an opening request makes a client fall back to another era or
// transport, and remember it. So 4xx is used only where the client itself is wrong.

import type { ErrorCode } from '../domain/errors.ts';
import { LATEST_REVISION, MODERN_VERSION_KEY, SERVED_REVISIONS, isServed } from './eras.ts';
import type { Message } from './json-rpc.ts';
import type { RequestFacts } from './request-facts.ts';

export type Classified =
  | { readonly mode: 'open-session' }
  | { readonly mode: 'session'; readonly sessionId: string }
  | { readonly mode: 'sessionless' }
  | {
      readonly mode: 'reject';
      readonly code: ErrorCode;
      readonly why: string;
      readonly data?: Readonly<Record<string, unknown>>;
    };

export function classify(message: Message, facts: RequestFacts): Classified {
  const { sessionId, protocolVersion } = facts;
  if (Array.isArray(sessionId) || (typeof sessionId === 'string' && sessionId.includes(','))) {
    return reject('invalid_request', 'the header Mcp-Session-Id is given twice');
  }
  if (Array.isArray(protocolVersion))
    return reject('invalid_request', 'the header MCP-Protocol-Version is given twice');
  // Arrays are refused above; the compiler does not narrow readonly arrays by Array.isArray.
  const session = sessionId as string | undefined;
  const version = protocolVersion as string | undefined;

  // Revision 2026-07-28 is recognised by the key alone, not by `_meta`: older clients send `_meta` too. A 400 without
  // one of the modern error codes is what tells a client of both eras to go on with initialize.
  if (message.kind === 'request' && message.meta?.members.has(MODERN_VERSION_KEY) === true) {
    return reject('invalid_request', `this endpoint serves ${SERVED_REVISIONS.join(', ')}: open with initialize`);
  }

  if (message.kind === 'request' && message.method === 'initialize') {
    if (session !== undefined) return reject('invalid_request', 'initialize must not carry an Mcp-Session-Id');
    // The header is the client's for requests after initialize; one that names a newer revision still opens a session.
    if (version !== undefined && !isServed(version) && !(version > LATEST_REVISION && isDate(version))) {
      return unsupported(version);
    }
    return { mode: 'open-session' };
  }

  // [spec 2025-06-18 transports] "If the server receives a request with an invalid or unsupported
  // MCP-Protocol-Version, it MUST respond with 400 Bad Request." Also on a live session.
  if (version !== undefined && !isServed(version)) return unsupported(version);
  if (session !== undefined) return { mode: 'session', sessionId: session };
  return { mode: 'sessionless' };
}

function isDate(version: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(version);
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
