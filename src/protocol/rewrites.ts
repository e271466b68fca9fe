// The table of every field we change, and the only door through which a message is changed. What has no row here
// crosses byte for byte. docs/rewrites.md is printed from this table, and a test holds it to that.

import { type Message, membersOf } from './json-rpc.ts';
import type { Member, Span } from './json-scanner.ts';
import { type Edit, splice } from './splice.ts';

export type Direction = 'to the upstream' | 'to the client';

export interface RewriteRow {
  readonly direction: Direction;
  readonly message: string;
  readonly field: string;
  readonly becomes: string;
  readonly why: string;
  /** Where the field stands, or null when this message does not have it: then there is nothing to change. */
  readonly find: (message: Message) => Span | null;
}

const inParams = (message: Message, key: string): Member | null =>
  message.kind === 'request' || message.kind === 'notification' ? (message.params?.members.get(key) ?? null) : null;

const idOf = (message: Message): Span | null => (message.kind === 'notification' ? null : message.id);

const metaProgressToken = (message: Message): Span | null =>
  message.kind === 'request' || message.kind === 'notification'
    ? (message.meta?.members.get('progressToken') ?? null)
    : null;

const inResult = (message: Message, key: string): Span | null =>
  message.kind === 'result' ? (membersOf(message, message.result, new Set([key]))?.members.get(key) ?? null) : null;

export const REWRITES = {
  requestId: {
    direction: 'to the upstream',
    message: 'every request',
    field: 'id',
    becomes: 'an integer of ours, never used before on this upstream',
    why: 'clients choose equal ids; a reply carries nothing else that says whose it is',
    find: idOf,
  },
  requestProgressToken: {
    direction: 'to the upstream',
    message: 'a request that has one',
    field: 'params._meta.progressToken',
    becomes: 'the integer of the request’s id',
    why: 'clients choose equal tokens; it must be unique among the active requests of a link',
    find: metaProgressToken,
  },
  cancelledRequestId: {
    direction: 'to the upstream',
    message: 'notifications/cancelled of a session',
    field: 'params.requestId',
    becomes: 'our integer for the request it names',
    why: 'the upstream knows the request by our id',
    find: (message) => inParams(message, 'requestId'),
  },
  answerId: {
    direction: 'to the client',
    message: 'every result and error',
    field: 'id',
    becomes: 'the client’s own id, byte for byte',
    why: 'the client knows the request by its own id',
    find: idOf,
  },
  progressToken: {
    direction: 'to the client',
    message: 'notifications/progress',
    field: 'params.progressToken',
    becomes: 'the client’s own token, byte for byte',
    why: 'the client knows the request by its own token',
    find: (message) => inParams(message, 'progressToken'),
  },
  negotiatedVersion: {
    direction: 'to the client',
    message: 'the result of initialize',
    field: 'result.protocolVersion',
    becomes: 'the revision that the client and the gateway agreed on',
    why: 'it is the gateway that the client speaks to; what the upstream negotiated is another matter',
    find: (message) => inResult(message, 'protocolVersion'),
  },
} as const satisfies Record<string, RewriteRow>;

export type RewriteName = keyof typeof REWRITES;

/** Changes we make by building the message ourselves, so that no original bytes exist to replace. For the docs. */
export const REBUILT: readonly Omit<RewriteRow, 'find'>[] = [
  {
    direction: 'to the upstream',
    message: 'initialize',
    field: 'params.protocolVersion, params.capabilities',
    becomes: 'what the link offers; clientInfo stays the client’s own on a dedicated link',
    why: 'we declare what we can carry, never more',
  },
];

/** The message with the named fields replaced; a field that the message does not have is left alone. */
export function rewrite(message: Message, changes: Partial<Record<RewriteName, Uint8Array>>): Uint8Array[] {
  const edits: Edit[] = [];
  for (const name in changes) {
    // `in` over our own literal: its keys are RewriteNames.
    const text = changes[name as RewriteName];
    const span = REWRITES[name as RewriteName].find(message);
    if (text !== undefined && span !== null) edits.push({ start: span.start, end: span.end, text });
  }
  return splice(message.bytes, edits);
}
