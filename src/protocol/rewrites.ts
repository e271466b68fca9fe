// The table of every field we change, and the only door through which a message is changed. What has no row here
// crosses byte for byte. docs/rewrites.md is printed from this table, and a test holds it to that.

import { type Message, type Request, type Result, joined, membersOf, parsed, readMessage } from './json-rpc.ts';
import type { Member, Span } from './json-scanner.ts';
import { METHODS } from './methods.ts';
import { membersNamed, removals } from './removal.ts';
import type { HeaderValues } from './request-facts.ts';
import { type Edit, splice } from './splice.ts';
import { modernMeta } from './upstream-meta.ts';

export type Direction = 'to the upstream' | 'to the client';

export interface RewriteRow {
  readonly direction: Direction;
  readonly message: string;
  readonly field: string;
  readonly becomes: string;
  readonly why: string;
  /** Where the field stands, or null when this message does not have it: then there is nothing to change. */
  readonly find: (message: Message) => Span | readonly Span[] | null;
}

/** For a field that is taken out. */
export const NOTHING = new Uint8Array(0);

const inParams = (message: Message, key: string): Member | null =>
  message.kind === 'request' || message.kind === 'notification' ? (message.params?.members.get(key) ?? null) : null;

const idOf = (message: Message): Span | null => (message.kind === 'notification' ? null : message.id);

const metaProgressToken = (message: Message): Span | null =>
  message.kind === 'request' || message.kind === 'notification'
    ? (message.meta?.members.get('progressToken') ?? null)
    : null;

/** What to cut so that params do not have the member. */
const outOfParams = (message: Message, keys: ReadonlySet<string>): readonly Span[] | null =>
  message.kind === 'result' || message.kind === 'error' || message.params === null
    ? null
    : [...keys].some((key) => message.params?.members.has(key) === true)
      ? removals(message.bytes, message.params, keys)
      : null;

const TASK = new Set(['task']);
const MODERN_STATE = new Set(['task', 'inputResponses', 'requestState']);
const MODERN_STATE_AND_META = new Set([...MODERN_STATE, '_meta']);

/** What to cut so that no reader finds the member in an object inside the result's capabilities. */
const outOfCapabilities = (message: Message, path: readonly string[], key: string): readonly Span[] | null => {
  if (message.kind !== 'result') return null;
  let objects: readonly Member[] = [message.result];
  for (const step of ['capabilities', ...path]) {
    objects = objects
      .flatMap((object) => (object.kind === 'object' ? membersNamed(message.bytes, object, step) : []))
      .filter(({ kind }) => kind === 'object');
  }
  return objects.flatMap((object) => removals(message.bytes, object, key));
};

const URL_ELICITATION_REQUIRED = -32042;

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
  requestTask: {
    direction: 'to the upstream',
    message: 'a request of a method that the specification has',
    field: 'params.task',
    becomes: 'nothing: it is taken out',
    why: 'tasks are not bridged; a server that knows them would answer with a task instead of a result',
    find: (message) =>
      message.kind === 'request' && Object.hasOwn(METHODS, message.method) ? outOfParams(message, TASK) : null,
  },
  modernState: {
    direction: 'to the upstream',
    message: 'a request of 2026-07-28',
    field: 'params.inputResponses, params.requestState, params.task',
    becomes: 'nothing: they are taken out',
    why: 'they are between the client and the gateway; tasks are not bridged',
    find: (message) => outOfParams(message, MODERN_STATE),
  },
  modernMeta: {
    direction: 'to the upstream',
    message: 'a request of 2026-07-28',
    field: 'params._meta',
    becomes:
      'itself without the envelope, with the integer of the request’s id for a progress token, and with the trace context of the HTTP headers if it has none',
    why: 'the envelope means nothing to the upstream; a trace should not end here',
    find: (message) => inParams(message, '_meta'),
  },
  modernStateAndMeta: {
    direction: 'to the upstream',
    message: 'a request of 2026-07-28 whose _meta holds the envelope alone',
    field: 'params._meta, and the members named above',
    becomes: 'nothing: they are taken out',
    why: 'nothing would be left in it',
    find: (message) => outOfParams(message, MODERN_STATE_AND_META),
  },
  questionAnswerId: {
    direction: 'to the upstream',
    message: 'a client’s answer to a request of the upstream',
    field: 'id',
    becomes: 'the upstream’s own id, byte for byte',
    why: 'the upstream knows its request by its own id',
    find: idOf,
  },
  questionId: {
    direction: 'to the client',
    message: 'a request of the upstream: sampling, elicitation, roots',
    field: 'id',
    becomes: 'a string of ours, never used before in this session',
    why: 'an upstream link can be replaced, and the next one would use the same ids again',
    find: idOf,
  },
  questionTask: {
    direction: 'to the client',
    message: 'a request of the upstream',
    field: 'params.task',
    becomes: 'nothing: it is taken out',
    why: 'tasks are not bridged, so the client cannot hand one back',
    find: (message) => outOfParams(message, TASK),
  },
  withdrawnQuestionId: {
    direction: 'to the client',
    message: 'notifications/cancelled of the upstream',
    field: 'params.requestId',
    becomes: 'our id of the request it names',
    why: 'the client knows the request by our id',
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
  offeredTasks: {
    direction: 'to the client',
    message: 'the result of initialize',
    field: 'result.capabilities.tasks',
    becomes: 'nothing: it is taken out',
    why: 'tasks are not bridged',
    find: (message) => outOfCapabilities(message, [], 'tasks'),
  },
  offeredLogging: {
    direction: 'to the client',
    message: 'the result of initialize without a session',
    field: 'result.capabilities.logging',
    becomes: 'nothing: it is taken out',
    why: 'there is no stream to deliver log messages on, and no place to keep a level',
    find: (message) => outOfCapabilities(message, [], 'logging'),
  },
  offeredSubscribe: {
    direction: 'to the client',
    message: 'the result of initialize without a session',
    field: 'result.capabilities.resources.subscribe',
    becomes: 'nothing: it is taken out',
    why: 'there is no stream to deliver updates on',
    find: (message) => outOfCapabilities(message, ['resources'], 'subscribe'),
  },
  offeredToolChanges: {
    direction: 'to the client',
    message: 'the result of initialize without a session',
    field: 'result.capabilities.tools.listChanged',
    becomes: 'nothing: it is taken out',
    why: 'there is no stream to deliver it on',
    find: (message) => outOfCapabilities(message, ['tools'], 'listChanged'),
  },
  offeredPromptChanges: {
    direction: 'to the client',
    message: 'the result of initialize without a session',
    field: 'result.capabilities.prompts.listChanged',
    becomes: 'nothing: it is taken out',
    why: 'there is no stream to deliver it on',
    find: (message) => outOfCapabilities(message, ['prompts'], 'listChanged'),
  },
  offeredResourceChanges: {
    direction: 'to the client',
    message: 'the result of initialize without a session',
    field: 'result.capabilities.resources.listChanged',
    becomes: 'nothing: it is taken out',
    why: 'there is no stream to deliver it on',
    find: (message) => outOfCapabilities(message, ['resources'], 'listChanged'),
  },
  newerErrorCode: {
    direction: 'to the client',
    message: 'an error −32042 to a client before 2025-11-25',
    field: 'error.code',
    becomes: '−32603',
    why: 'the code came with 2025-11-25; before, it says nothing',
    find: (message) => {
      if (message.kind !== 'error') return null;
      const code = message.error.members.get('code');
      return code?.kind === 'integer' && parsed(message.bytes, code) === URL_ELICITATION_REQUIRED ? code : null;
    },
  },
} as const satisfies Record<string, RewriteRow>;

export type RewriteName = keyof typeof REWRITES;

/** Changes we make by building the message ourselves, so that no original bytes exist to replace. For the docs. */
export const REBUILT: readonly Omit<RewriteRow, 'find'>[] = [
  {
    direction: 'to the upstream',
    message: 'initialize',
    field: 'params.protocolVersion, params.capabilities',
    becomes:
      'what the link offers: on a session’s own link the client’s own bytes, without tasks and what its revision does not have',
    why: 'we declare what we can carry, never more',
  },
  {
    direction: 'to the upstream',
    message: 'an answer of a client of 2026-07-28 to a question',
    field: 'resultType; content of a sampling result',
    becomes: 'nothing; for servers before 2025-11-25, the one block of an array with one',
    why: 'the question was asked by a result, so the answer is put into a response of ours; older revisions have one block',
  },
  {
    direction: 'to the client',
    message: 'a request of the upstream, in a result of 2026-07-28',
    field: 'jsonrpc, id, params.task, params._meta.progressToken, params.elicitationId',
    becomes: 'nothing: the rest stands in inputRequests',
    why: 'a server of that revision asks by results; those members mean nothing there',
  },
  {
    direction: 'to the client',
    message: 'every result for a client of 2026-07-28',
    field:
      'result.resultType, result.ttlMs, result.cacheScope, and in result._meta io.modelcontextprotocol/serverInfo and the keys of tasks, requests and streams',
    becomes:
      '"complete"; for what may be kept, the upstream’s cache.ttl and cache.scope; the upstream’s serverInfo; nothing',
    why: 'every result must have them there; what older servers mean by these names is something else',
  },
  {
    direction: 'to the client',
    message: 'the result of a list for a client of 2026-07-28',
    field: 'result.nextCursor; of each tool execution, inputSchema.type, and x-mcp-header where it is not valid',
    becomes: 'all pages in one; nothing; "object"; nothing. Tools that can run as tasks only are left out',
    why: 'a cursor belongs to an upstream session; tasks are not bridged; clients drop tools that do not fit their schema',
  },
  {
    direction: 'to the client',
    message: 'an error for a client of 2026-07-28',
    field: 'error.code −32002 of resources/read; −32000 to −32099; what is no integer',
    becomes: '−32602 with data.uri; −32603 with the whole error in data.upstream; the same',
    why: 'these codes have other meanings there; −32042 becomes a question to open its URLs',
  },
  {
    direction: 'to the client',
    message: 'notifications/resources/updated on a listen',
    field: 'params._meta, io.modelcontextprotocol/subscriptionId',
    becomes: 'the id of the listen',
    why: 'it says to which listen a message belongs',
  },
  {
    direction: 'to the client',
    message: 'a result of tools/call or prompts/get for a client of 2025-03-26',
    field: 'content blocks of type resource_link',
    becomes: 'text blocks that name the resource',
    why: 'the type came with 2025-06-18; a client that checks types would refuse the whole result',
  },
];

/**
 * The message with the named fields replaced; a field that the message does not have is left alone. `more`: edits of
 * content, see older-content.ts.
 */
export function rewrite(
  message: Message,
  changes: Partial<Record<RewriteName, Uint8Array>>,
  more: readonly Edit[] = [],
): Uint8Array[] {
  const edits: Edit[] = [...more];
  for (const name in changes) {
    // `in` over our own literal: its keys are RewriteNames.
    const text = changes[name as RewriteName];
    const found = REWRITES[name as RewriteName].find(message);
    if (text === undefined || found === null) continue;
    if ('start' in found) edits.push({ start: found.start, end: found.end, text });
    else for (const { start, end } of found) edits.push({ start, end, text });
  }
  return splice(message.bytes, edits);
}

/** A request of 2026-07-28 as a legacy upstream is sent it; `id`: ours. */
export function outgoingModern(request: Request, id: Uint8Array, headers: HeaderValues): Uint8Array[] {
  const meta = modernMeta(request, id, (name) => {
    const values = headers(name);
    return values.length === 1 ? values[0] : undefined;
  });
  return rewrite(
    request,
    meta === null
      ? { requestId: id, modernStateAndMeta: NOTHING }
      : { requestId: id, modernState: NOTHING, modernMeta: meta },
  );
}

/** What an initialize without a session does not promise: there is no stream on which it could be kept. */
const NEEDS_A_STREAM: readonly RewriteName[] = [
  'offeredLogging',
  'offeredSubscribe',
  'offeredToolChanges',
  'offeredPromptChanges',
  'offeredResourceChanges',
];

/** The upstream's answer to initialize, without what is not bridged to this client. */
export function deliverableHandshake(answer: Result, forSession: boolean): Result {
  const names: readonly RewriteName[] = forSession ? ['offeredTasks'] : ['offeredTasks', ...NEEDS_A_STREAM];
  // One after the other: two members that are cut side by side share a comma.
  return names.reduce((message, name) => {
    const bytes = joined(...rewrite(message, { [name]: NOTHING }));
    const again = readMessage(bytes, { maxDepth: Number.POSITIVE_INFINITY });
    if (again.kind !== 'result') throw new Error('a member cut out of a result leaves a result');
    return again;
  }, answer);
}
