// Messages: what is read of them, and what is put in their place. Held against JSON.parse, and against two readers that
// differ in which of two equal keys counts.

import { readBatch } from '../../../src/protocol/batch.ts';
import { requestDigest } from '../../../src/protocol/canonical-digest.ts';
import {
  type Message,
  type Request,
  type Unreadable,
  idText,
  parsed,
  readMessage,
} from '../../../src/protocol/json-rpc.ts';
import { NOTHING, outgoingModern, rewrite } from '../../../src/protocol/rewrites.ts';
import { type Tree, type Wins, sameBut, treeOf } from '../../protocol/two-readers.ts';
import { type Target, must, same } from '../target.ts';

const MAX_DEPTH = 24;
const OUR_ID = '1099511627775';
const LIMITS = { maxDepth: MAX_DEPTH, maxMessages: 5 };

export const ENVELOPE: Target = {
  words: [
    '"jsonrpc":"2.0"',
    '"id":',
    '"method":',
    '"params":{',
    '"_meta":{',
    '"progressToken":',
    '"result":',
    '"error":',
    '"\\u0069d":',
    '"__proto__":',
    '"constructor":',
    '"name":"',
    '"requestId":',
    '"task":{}',
    '"code":',
    '"uri":',
    '"io.modelcontextprotocol/protocolVersion":',
    '"requestState":',
    '"inputResponses":{}',
    '\\ud83d',
    '\\u0000',
    'null',
    'true',
    '-0',
    '1e5',
    '9007199254740993',
    '0.1',
    '[',
    ']',
    '{',
    '}',
    ',',
    ':',
    '{}',
    '[]',
    '""',
    '[[',
    '😀',
    '\u2028',
    '\ufeff',
    '"2.0"',
    '"tools/call"',
    '"notifications/progress"',
    '"notifications/cancelled"',
  ],
  check(input) {
    // Whoever takes bytes off a socket has checked that they are UTF-8.
    const bytes = Buffer.from(input.toString('utf8'));
    const message = readMessage(bytes, LIMITS);
    const batch = readBatch(bytes, LIMITS);
    const json = parsedOrNull(bytes.toString());
    if (batch.kind === 'batch') {
      must(Array.isArray(json?.value) && json.value.length === batch.messages.length, 'a batch of another length');
      for (const each of batch.messages) isRead(each, parsedOrNull(Buffer.from(each.bytes).toString())?.value);
    }
    if (message.kind !== 'unreadable') {
      must(json !== null, 'read, but not JSON');
      isRead(message, json.value);
      isSpliced(message, bytes.toString());
    } else if (message.code === 'parse_error') {
      must(json === null, `not JSON? ${message.why}`);
    } else {
      isRefused(message, json);
    }
    return wayOf(message) + wayOf(batch);
  },
};

function wayOf(read: Message | Unreadable | { readonly kind: 'batch'; readonly messages: readonly Message[] }): string {
  switch (read.kind) {
    case 'unreadable':
      return `${read.why.replaceAll(/\d+|"[^"]*"/g, '')}${read.id === null}`;
    case 'batch':
      return `batch${read.messages.length}`;
    case 'request':
    case 'notification':
      return `${read.kind}${Object.keys(read.params?.members ?? {}).length}${[...(read.params?.members.keys() ?? [])].join()}${read.meta?.members.size}`;
    default:
      return `${read.kind}${read.id?.kind}`;
  }
}

function isRead(message: Message, value: unknown): void {
  must(typeof value === 'object' && value !== null && !Array.isArray(value), 'a message that is no object');
  const { id, method } = value as { id?: unknown; method?: unknown };
  if ('id' in message && message.id !== null) {
    same(parsed(message.bytes, message.id), id, 'another id');
    must(typeof id === 'string' || Number.isInteger(id), 'an id of another type');
  }
  if ('method' in message) must(message.method === method, 'another method');
  if (message.kind === 'result')
    same(parsed(message.bytes, message.result), (value as { result: unknown }).result, 'result');
  if (message.kind === 'error')
    same(parsed(message.bytes, message.error), (value as { error: unknown }).error, 'error');
}

/** Only the fields that are meant are others, whichever of two equal keys a reader takes. */
function isSpliced(message: Message, text: string): void {
  const ours = Buffer.from(OUR_ID);
  const after = Buffer.concat(rewrite(message, { requestId: ours, requestProgressToken: ours })).toString();
  const hasToken = 'meta' in message && message.meta?.members.has('progressToken') === true;
  for (const wins of ['first', 'last'] satisfies Wins[]) {
    const instead: Tree = treeOf(OUR_ID, wins);
    const changes = [
      ...('id' in message && message.id !== null ? [{ path: ['id'], instead }] : []),
      ...(hasToken ? [{ path: ['params', '_meta', 'progressToken'], instead }] : []),
    ];
    must(
      sameBut(treeOf(text, wins), treeOf(after, wins), changes),
      `a ${wins}-wins reader sees something else: ${after}`,
    );
  }
  if (message.kind === 'request') isOutgoing(message);
}

function isOutgoing(request: Request): void {
  const sent = Buffer.concat(outgoingModern(request, Buffer.from(OUR_ID), () => []));
  const again = readMessage(sent, { maxDepth: MAX_DEPTH });
  must(again.kind === 'request', `sent on as no request: ${sent.toString()}`);
  must(again.method === request.method && idText(sent, again.id) === OUR_ID, 'sent on as another request');
  for (const gone of ['task', 'requestState', 'inputResponses']) {
    must(again.params?.members.has(gone) !== true, `${gone} was sent on`);
  }
  const stripped = Buffer.concat(rewrite(request, { requestId: Buffer.from('1'), modernState: NOTHING }));
  const other = readMessage(stripped, { maxDepth: MAX_DEPTH });
  must(other.kind === 'request', 'what was cut out left no request');
  same(requestDigest(other).length, requestDigest(request).length, 'a digest of another length');
}

/** Refused for its shape, its depth or a key that is given twice. */
function isRefused({ why, id }: Unreadable, json: { readonly value: unknown } | null): void {
  if (id !== null) must(parsedOrNull(Buffer.from(id).toString()) !== null, 'an id that is not JSON');
  if (why.includes('given twice') || why.includes('nested deeper')) return;
  must(json !== null, `refused for its shape, but not JSON: ${why}`);
}

function parsedOrNull(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}
