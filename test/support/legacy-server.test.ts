import { expect, onTestFinished, test } from 'vitest';
import { spanOf } from './json-span.ts';
import { endpoints, lineEnds, NO_ANSWER, RpcError } from './legacy-behaviour.ts';
import type { Behaviour } from './legacy-behaviour.ts';
import { LegacyServer, startLegacyServer } from './legacy-server.ts';

async function started(overrides?: Partial<Behaviour>): Promise<LegacyServer> {
  const server = await startLegacyServer(overrides);
  onTestFinished(() => server.close());
  return server;
}

/** A stream as text: `until(part)` returns all of it as soon as it has that part, or has ended. */
async function open(server: LegacyServer): Promise<{ readonly until: (part: string) => Promise<string> }> {
  const response = await fetch(server.url);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let seen = '';
  return {
    until: async (part) => {
      while (!seen.includes(part)) {
        const { done, value = '' } = (await reader?.read().catch(() => undefined)) ?? { done: true };
        if (done) break;
        seen += value;
      }
      return seen;
    },
  };
}

async function post(server: LegacyServer, message: object | string, stream = server.streams.at(-1)): Promise<Response> {
  const body = typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message });
  const [endpoint = '/'] = endpoints.path(stream?.sessionId ?? 'none');
  return fetch(new URL(endpoint, server.url), { method: 'POST', body });
}

function callOf(name: string, args: object = {}, meta?: object): object {
  return { id: 1, method: 'tools/call', params: { name, arguments: args, ...(meta && { _meta: meta }) } };
}

test.each<readonly [name: string, overrides: Partial<Behaviour>, bytes: (server: LegacyServer, id: string) => string]>([
  ['LF', {}, (_server, id) => `event: endpoint\ndata: /messages?sessionId=${id}\n\n`],
  [
    'CRLF, no space, absolute',
    { endpoint: endpoints.absolute, framing: { lineEnds: lineEnds.crlf, space: false, eventField: false } },
    ({ url }, id) => `event:endpoint\r\ndata:${url.origin}/messages?sessionId=${id}\r\n\r\n`,
  ],
  [
    'mixed ends, relative',
    { endpoint: endpoints.relative, framing: { lineEnds: lineEnds.mixed, space: true, eventField: true } },
    (_server, id) => `event: endpoint\r\ndata: messages?sessionId=${id}\n\r`,
  ],
  [
    'twice',
    { endpoint: endpoints.twice },
    (_server, id) =>
      `event: endpoint\ndata: /messages?sessionId=${id}\n\nevent: endpoint\ndata: /messages/again?sessionId=${id}\n\n`,
  ],
  ['none, closed at once', { endpoint: endpoints.missing, get: 'closes' }, () => ''],
])('begins its stream byte for byte: %s', async (_name, overrides, bytes) => {
  const server = await started({ get: 'closes', ...overrides });

  const response = await fetch(server.url);
  const sessionId = /([0-9a-f-]{36})/.exec(await response.clone().text())?.[1] ?? '';

  expect(await response.text()).toBe(bytes(server, sessionId));
  await server.whenStreams(0);
});

test('initialize, tools and errors are answered on the stream, with the id as it came', async () => {
  const server = await started({ methods: { 'x/fail': () => Promise.reject(new RpcError(-32001, 'no')) } });
  const stream = await open(server);

  await post(server, '{"jsonrpc":"2.0","id": 1.0e2 ,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}');
  await post(server, { id: 'a', method: 'x/fail' });
  await post(server, { id: 'b', method: 'x/unknown' });
  await post(server, '{"id":7,"method":"tools/call","params":{"name":"echo","arguments":{ "n":1.0,"n":"\\u0041"}}}');

  expect(await stream.until('"n"')).toContain('"id":1.0e2,"result":{"protocolVersion":"2025-06-18"');
  expect(await stream.until('"n"')).toContain('{"jsonrpc":"2.0","id":"a","error":{"code":-32001,"message":"no"}}');
  expect(await stream.until('"n"')).toContain('"id":"b","error":{"code":-32601');
  expect(await stream.until('"n"')).toContain('"structuredContent":{ "n":1.0,"n":"\\u0041"}}');
  expect(server.received[0]?.raw.toString()).toContain('"id": 1.0e2 ,');
});

test('slow reports progress and ends when the test says so', async () => {
  const server = await started();
  const stream = await open(server);

  await post(server, callOf('slow', {}, { progressToken: 'p' }));
  const call = await server.nextCall('slow');
  call.progress(1, 2);
  await stream.until('"progressToken":"p","progress":1,"total":2');
  call.release();

  expect(await stream.until('done')).toContain('"id":1,"result"');
});

test('a cancelled slow call is never answered, asksLater asks all the same', async () => {
  const server = await started();
  const stream = await open(server);

  await post(server, callOf('slow'));
  await post(server, { method: 'notifications/cancelled', params: { requestId: 1 } });
  await server.nextRequest('notifications/cancelled');
  (await server.nextCall('slow')).release();
  await post(server, { ...callOf('asksLater'), id: 2 });
  await post(server, { method: 'notifications/cancelled', params: { requestId: 2 } });
  (await server.nextCall('asksLater')).release();

  expect(await stream.until('elicitation/create')).not.toContain('"id":1,');
});

test('ask puts the replies into its result', async () => {
  const server = await started();
  const stream = await open(server);

  await post(server, callOf('ask', { questions: [{ method: 'roots/list' }, { method: 'sampling/createMessage' }] }));
  await stream.until('sampling/createMessage');
  await post(server, { id: 1, error: { code: -1, message: 'no' } });
  await post(server, { id: 0, result: { roots: [] } });

  expect(await stream.until('replies')).toMatch(/"replies":\[.*"id":0,"result".*"id":1,"error"/);
});

test('the server itself may ping, as an event of that name', async () => {
  const server = await started();
  const stream = await open(server);

  const reply = server.ask(await server.nextStream(), 'ping', undefined, 'ping');
  await stream.until('event: ping\ndata: {"jsonrpc":"2.0","id":0,"method":"ping"}\n\n');
  await post(server, { id: 0, result: {} });

  expect(await reply).toMatchObject({ result: {} });
});

test.each<readonly [post: Behaviour['post'], status: number, body: string, onStream: boolean]>([
  ['accepted', 202, 'Accepted', true],
  ['answered', 202, '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"3"}]}}', true],
  ['answered-here', 202, '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"3"}]}}', false],
  ['finished', 200, '', true],
  [{ status: 503, body: 'busy' }, 503, 'busy', false],
  [{ status: 503, body: 'gone', ran: true }, 503, 'gone', true],
])('POST can be answered with %j', async (style, status, body, onStream) => {
  const server = await started({ post: style });
  const stream = await open(server);

  const response = await post(server, callOf('add', { a: 1, b: 2 }));
  expect([response.status, await response.text()]).toEqual([status, body]);

  server.push(await server.nextStream(), ': over\n\n');
  expect((await stream.until(': over')).includes('"text":"3"')).toBe(onStream);
});

test('a silent POST gets no response, but its answer comes', async () => {
  const server = await started({ post: 'silent' });
  const stream = await open(server);

  post(server, callOf('count')).catch(() => {});

  expect(await stream.until('"text"')).toContain('"text":"1"');
});

test('one session for all: every stream hears everything, or only the newest', async () => {
  const server = await started({ delivery: 'all' });
  const old = await open(server);
  const young = await open(server);
  const first = await server.nextStream();
  await server.whenStreams(2);

  await post(server, callOf('count'), first);
  expect(await old.until('"text":"1"')).toContain('"text":"1"');
  expect(await young.until('"text":"1"')).toContain('"text":"1"');

  server.behaviour.delivery = 'newest';
  await post(server, { ...callOf('count'), id: 2 }, first);
  expect(await young.until('"text":"2"')).toContain('"text":"2"');
  server.push(first, ': over\n\n');
  expect(await old.until(': over')).not.toContain('"text":"2"');
});

test('a server that dies with its first client comes back on the same port, and knows no old session', async () => {
  const server = await started({ diesWhenOneLeaves: true });
  await open(server);
  await open(server);
  const gone = await server.nextStream();
  await server.whenStreams(2);
  const { href } = server.url;

  server.cutStreams();
  await server.whenStreams(0);
  await server.stop();
  await server.start();
  const stream = await open(server);

  expect(server.url.href).toBe(href);
  expect(await stream.until('endpoint')).toContain('endpoint');
  expect((await post(server, callOf('add'), gone)).status).toBe(404);
});

test('GET can be redirected, refused and held back', async () => {
  const held = Promise.withResolvers<void>();
  const server = await started({ get: { status: 307, headers: { location: '/elsewhere' } } });

  expect((await fetch(server.url, { redirect: 'manual' })).headers.get('location')).toBe('/elsewhere');
  server.behaviour.get = { until: held.promise };
  const late = open(server);
  held.resolve();

  expect(await (await late).until('endpoint')).toContain('endpoint');
  expect(server.gets).toHaveLength(2);
});

test('a message may come before initialize is answered, and a request may never be', async () => {
  const notification = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
  const server = await started({ greeting: [notification], methods: { initialize: () => NO_ANSWER } });
  const stream = await open(server);

  await stream.until('list_changed');
  await post(server, { id: 1, method: 'initialize' });
  await server.nextRequest('initialize');
  server.push(await server.nextStream(), ': over\n\n');

  expect(await stream.until(': over')).not.toContain('"id":1');
});

test('answers to its requests are told apart by the type of their id, and come with their bytes', async () => {
  const server = await started();
  await open(server);

  await post(server, '{"jsonrpc":"2.0","result":{"n":1.0},"id":"7"}');
  await post(server, '{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}');

  expect((await server.nextReply(7)).message.error).toEqual({ code: -1, message: 'no' });
  expect((await server.nextReply('7')).raw.toString()).toBe('{"jsonrpc":"2.0","result":{"n":1.0},"id":"7"}');
});

test('finds the bytes of a value in JSON', () => {
  const json = Buffer.from('{"\\u0061" : [1, {"b":"}\\\\\\""} ], "é": {"c": -1.0e5}, "s":"x"}');

  expect(spanOf(json, ['a']).toString()).toBe('[1, {"b":"}\\\\\\""} ]');
  expect(spanOf(json, ['é', 'c']).toString()).toBe('-1.0e5');
  expect(spanOf(json, ['s']).toString()).toBe('"x"');
});
