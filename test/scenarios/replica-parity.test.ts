// The same request at the replica that holds its session and at another one: every status, header and byte is the same.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Answer, type Gateway, JSON_HEADERS, replyIn, requestBytes } from '../support/gateway.ts';
import { type Answerer, RpcError, defaultBehaviour, text } from '../support/legacy-behaviour.ts';
import { startReplicas } from '../support/replicas.ts';
import { IN } from '../support/session-client.ts';

type Told = Pick<Answer, 'status' | 'text'> & { readonly headers?: Answer['headers'] };
type Ask = (at: Gateway, session: string) => Promise<Told | readonly Told[]>;

const LARGE = 'é'.repeat(200_000);
const tools: Readonly<Record<string, Answerer>> = {
  ...defaultBehaviour().tools,
  noisy: (asked) => {
    asked.progress(1, 2);
    asked.notify('notifications/message', { level: 'error', data: { a: '\u2028 é' } });
    asked.progress(2, 2);
    return text('noise');
  },
  fails: () => {
    throw new RpcError(-32000, 'no such file', { path: '/a' });
  },
};

const call = (name: string, args: object = {}, id: unknown = 'x-1') => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, _meta: { progressToken: 'p' } },
});
const post =
  (body: unknown, headers: Record<string, string> = {}): Ask =>
  (at, session) =>
    at.post(body, { ...IN(session), ...headers });
const send =
  (method: 'GET' | 'DELETE' | 'PUT' | 'POST', headers: Record<string, string> = {}, body?: string | Buffer): Ask =>
  (at, session) =>
    at.send(method, '/mcp', { ...IN(session), ...headers }, body);
/** In bytes; a header may come twice. */
const raw =
  (method: string, body: string, ...more: readonly (readonly [string, string])[]): Ask =>
  async (at, session) => {
    const client = await at.connect();
    const { host } = new URL(at.origin);
    const usual = [...Object.entries(JSON_HEADERS), ['host', host], ['connection', 'close']] as [string, string][];
    const named = [...usual, ['mcp-session-id', session], ['content-length', `${Buffer.byteLength(body)}`]] as const;
    client.write(requestBytes(method, '/mcp', [...named, ...more] as [string, string][], body));
    const { status, text: told } = replyIn(await client.closed);
    return { status, text: told };
  };
/** What a stream says until it ends or, where it does not, until this part. */
const stream =
  (options: Parameters<typeof openEvents>[1], until: string): Ask =>
  async (at, sessionId) => {
    const opened = await openEvents(at, { sessionId, ...options });
    await opened.untilText(until);
    return { status: opened.status, headers: opened.headers, text: opened.text };
  };

const PING = { jsonrpc: '2.0', id: 9, method: 'ping' };
const CANCEL = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 77 } };
const V = (version: string) => ({ 'mcp-protocol-version': version });

const ROWS: readonly (readonly [what: string, ask: Ask, revision?: string])[] = [
  ['a ping', post(PING)],
  [
    'an answer of the server, its bytes kept',
    post(
      '{"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"name":"echo","arguments":{"a":1.50,"b":"\\u00e9"}}}',
    ),
  ],
  ['a large one', post(call('echo', { text: LARGE }))],
  ['a large one to a client that reads slowly', stream({ body: call('echo', { text: LARGE }) }, 'x-1')],
  ['progress and a log message before the answer', post(call('noisy'))],
  ['the same for a client of 2025-11-25', post(call('noisy'), V('2025-11-25')), '2025-11-25'],
  ['the same for a client that takes no stream', post(call('noisy'), { accept: 'application/json' })],
  ['the same for one that takes nothing else', post(call('noisy'), { accept: 'text/event-stream' })],
  ['a plain answer to one that takes only streams', post(call('add', { a: 1, b: 2 }), { accept: 'text/event-stream' })],
  ['an error of the server', post(call('fails'))],
  [
    'a method that the server does not have',
    post({ jsonrpc: '2.0', id: 1, method: 'prompts/get', params: { name: 'a' } }),
  ],
  ['a method that is not served', post({ jsonrpc: '2.0', id: 1, method: 'tasks/list' })],
  ['a log level', post({ jsonrpc: '2.0', id: 1, method: 'logging/setLevel', params: { level: 'error' } })],
  ['a notification', post({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' })],
  ['a cancel of nothing', post(CANCEL)],
  ['an answer that nobody asked for', post({ jsonrpc: '2.0', id: 5, result: {} })],
  ['a batch', post([PING, CANCEL, call('add', { a: 1, b: 2 }), call('noisy', {}, 3)]), '2025-03-26'],
  ['a batch of notifications', post([CANCEL, CANCEL]), '2025-03-26'],
  ['a batch in which an id comes twice', post([PING, PING]), '2025-03-26'],
  ['a batch where there are none', post([PING])],
  ['no JSON', post('{"jsonrpc":')],
  ['no message', post('{"jsonrpc":"1.0","id":4,"method":"ping"}')],
  ['an empty body', send('POST', JSON_HEADERS, '')],
  ['a body that is no text', send('POST', JSON_HEADERS, Buffer.from([0x7b, 0xff, 0x7d]))],
  ['a body that is too large', send('POST', JSON_HEADERS, Buffer.alloc(5 * 1024 * 1024, ' '))],
  ['another type', send('POST', { ...JSON_HEADERS, 'content-type': 'text/plain' }, '{}')],
  ['a client that takes neither', send('POST', { ...JSON_HEADERS, accept: 'text/html' }, JSON.stringify(PING))],
  ['a version that is not served', post(PING, V('2020-01-01'))],
  [
    'a body of 2026-07-28 under an older header',
    post({ ...PING, params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } } }),
  ],
  [
    'an initialize in a live session',
    post({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'a', version: '1' } },
    }),
  ],
  [
    'a version header that comes twice',
    raw('POST', JSON.stringify(PING), ['mcp-protocol-version', '2025-06-18'], ['mcp-protocol-version', '2025-06-18']),
  ],
  ['a session header that comes twice', raw('POST', JSON.stringify(PING), ['mcp-session-id', 'other'])],
  ['a GET', stream({ headers: V('2025-11-25') }, ''), '2025-11-25'],
  ['a GET that takes no stream', send('GET', { accept: 'application/json' })],
  ['a GET with an event id that never was', send('GET', { accept: 'text/event-stream', 'last-event-id': '99.1' })],
  ['a GET with an event id that is none', send('GET', { accept: 'text/event-stream', 'last-event-id': 'x' })],
  ['a GET with a version that is not served', send('GET', { accept: 'text/event-stream', ...V('2020-01-01') })],
  [
    'a second GET',
    async (at, session) => {
      await openEvents(at, { sessionId: session });
      return at.send('GET', '/mcp', { ...IN(session), accept: 'text/event-stream' });
    },
  ],
  [
    'the rest of a stream that is over',
    async (at, session) => {
      const told = await at.post(call('noisy'), { ...IN(session), ...V('2025-11-25') });
      const [first = ''] = /^id: \d+\.\d+/m.exec(told.text) ?? [];
      const last = told.text.match(/\d+\.\d+(?=\nevent)/g)?.at(-1) ?? '';
      const headers = { ...IN(session), accept: 'text/event-stream' };
      const rest = await at.send('GET', '/mcp', { ...headers, 'last-event-id': first.slice('id: '.length) });
      return [told, rest, await at.send('GET', '/mcp', { ...headers, 'last-event-id': last })];
    },
    '2025-11-25',
  ],
  [
    'a DELETE, and what comes after it',
    async (at, session) => [
      await at.send('DELETE', '/mcp', IN(session)),
      await at.send('DELETE', '/mcp', IN(session)),
      await at.post(PING, IN(session)),
      await at.send('GET', '/mcp', { ...IN(session), accept: 'text/event-stream' }),
    ],
  ],
  ['a method that is not allowed', send('PUT')],
];

/** What is wrong with them is seen before anybody asks whose they are; and a GET that is open is not over yet. */
const NEVER_PASSED_ON = new Set([
  'an empty body',
  'a body that is no text',
  'a body that is too large',
  'another type',
  'a client that takes neither',
  'a GET',
  'a GET with a version that is not served',
  'a session header that comes twice',
  'a method that is not allowed',
]);

/** All of an answer but when it was sent. */
function bytesOf(told: Told | readonly Told[]): string[] {
  return [told].flat().map(({ status, headers = {}, text: body }) => {
    const { date: _, ...rest } = headers as Record<string, unknown>;
    const inOrder = Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const short = body.length > 5000 ? createHash('sha256').update(body).digest('hex') : body;
    return JSON.stringify([status, inOrder, short]);
  });
}

test('what a session is asked over another replica has the status, the headers and the bytes that it has at its owner', async () => {
  const { replicas } = await startReplicas(2, { tools });
  const [owner, other] = replicas;
  const told = async (at: Gateway, ask: Ask, revision: string): Promise<string[]> =>
    bytesOf(await ask(at, await owner.openSession({ protocolVersion: revision })));
  const unlike: object[] = [];

  for (const [what, ask, revision = '2025-06-18'] of ROWS) {
    // oxlint-disable-next-line no-await-in-loop -- the hops are counted row by row
    const direct = await told(owner, ask, revision);
    const before = other.journal.of('hop').length;
    // oxlint-disable-next-line no-await-in-loop
    const hopped = await told(other, ask, revision);
    if (JSON.stringify(direct) !== JSON.stringify(hopped)) unlike.push({ what, direct, hopped });
    if (other.journal.of('hop').length === before && !NEVER_PASSED_ON.has(what)) unlike.push({ what, hops: 0 });
  }

  expect(unlike).toEqual([]);
  expect(owner.journal.of('hop')).toEqual([]);
});
