// A session: opened, kept apart from others, ended. Its calls are in session-calls.test.ts, the loss of its link in
// session-losses.test.ts.

import { expect, onTestFinished, test } from 'vitest';
import { type Answer, type Gateway, JSON_HEADERS, gatewayBefore } from '../support/gateway.ts';
import { spanOf } from '../support/json-span.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });

function initialize(gateway: Gateway, params: object = {}): Promise<Answer> {
  return gateway.post({
    jsonrpc: '2.0',
    id: 'open',
    method: 'initialize',
    params: {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
      ...params,
    },
  });
}

async function countIn(gateway: Gateway, session: string): Promise<string> {
  return (await gateway.call('count', {}, 1, IN(session))).json.result.content[0].text;
}

test('a session from initialize to DELETE, and its id means nothing afterwards [B3 B4 B15]', async () => {
  const { gateway } = await gatewayBefore();

  const opened = await initialize(gateway);
  const session = String(opened.headers['mcp-session-id']);
  const initialized = await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, IN(session));
  const called = await gateway.call('add', { a: 1, b: 2 }, 1, IN(session));
  const deleted = await gateway.send('DELETE', '/mcp', IN(session));
  const after = await gateway.call('add', {}, 1, IN(session));
  const again = await gateway.send('DELETE', '/mcp', IN(session));

  expect(opened.json).toMatchObject({ id: 'open', result: { serverInfo: { name: 'scripted-legacy-server' } } });
  expect(session).toMatch(/^[\x21-\x7e]{32,}$/);
  expect([initialized.status, initialized.text]).toEqual([202, '']);
  expect(called.json.result.content[0].text).toBe('3');
  expect([deleted.status, deleted.text]).toEqual([204, '']);
  expect([after.status, again.status]).toEqual([404, 404]);
  expect(after.json).toMatchObject({ id: 1, error: { code: -32600, data: { reason: 'session_unknown' } } });
  expect(gateway.journal.of('session_ended')).toMatchObject([{ why: 'deleted' }]);
});

test.each([
  ['2025-11-25', '2025-11-25'],
  ['2025-06-18', '2025-06-18'],
  ['2025-03-26', '2025-03-26'],
  ['2024-11-05', '2025-11-25'],
  ['2026-07-28', '2025-11-25'],
  ['1900-01-01', '2025-11-25'],
])(
  'a client that asks for revision %s is answered %s, whatever the upstream speaks [B1 B2]',
  async (asked, answered) => {
    const { gateway } = await gatewayBefore({ protocolVersion: '2024-11-05' });

    const { status, json } = await initialize(gateway, { protocolVersion: asked });

    expect(status).toBe(200);
    expect(json.result.protocolVersion).toBe(answered);
  },
);

test('the answer to initialize is the upstream’s own but for the revision', async () => {
  const result =
    '{"capabilities":{"x":1.0}, "protocolVersion" : "2024-11-05","serverInfo":{"name":"\\u0061","__proto__":1},"instructions":"é"}';
  const { gateway } = await gatewayBefore({ methods: { initialize: () => Buffer.from(result) } });

  const answer = await initialize(gateway);

  expect(answer.text).toBe(`{"jsonrpc":"2.0","id":"open","result":${result.replace('2024-11-05', '2025-06-18')}}`);
});

test('the upstream sees the client’s own clientInfo and revision, and initialize before anything else', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const clientInfo = '{"name":"m\\u0079 client", "version":"1.0", "title":null,"extra":1.0}';
  const body = `{"jsonrpc":"2.0","id":"mine","method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":${clientInfo}}}`;
  await upstream.nextRequest('notifications/initialized');

  const opened = await gateway.post(body);
  await gateway.call('add', {}, 'mine', IN(String(opened.headers['mcp-session-id'])));

  const [, dedicated] = upstream.streams;
  const said = upstream.received.filter(({ url }) => url.includes(dedicated?.sessionId ?? '-'));
  expect(said.map(({ message }) => message.method)).toEqual(['initialize', 'notifications/initialized', 'tools/call']);
  expect(said[0]?.message.params).toMatchObject({ protocolVersion: '2025-03-26', capabilities: {} });
  expect(spanOf(said[0]?.raw ?? Buffer.of(), ['params', 'clientInfo']).toString()).toBe(clientInfo);
  expect(said.map(({ message }) => message.id)).toEqual([expect.any(Number), undefined, expect.any(Number)]);
});

test('what the client can be asked is declared upstream in its own words, but for tasks and what its revision does not have', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });
  const capabilities =
    '{"roots":{"listChanged":true}, "tasks":{"list":{}},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"experimental":{"\\u0078":1.0}}';
  const open = async (protocolVersion: string): Promise<string | undefined> => {
    const params = `{"protocolVersion":"${protocolVersion}","capabilities":${capabilities},"clientInfo":{"name":"x","version":"1"}}`;
    await gateway.post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":${params}}`);
    return spanOf((await upstream.nextRequest('initialize')).raw, ['params', 'capabilities']).toString();
  };

  expect(await open('2025-11-25')).toBe(
    '{"roots":{"listChanged":true},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"experimental":{"\\u0078":1.0}}',
  );
  expect(await open('2025-06-18')).toBe(
    '{"roots":{"listChanged":true},"sampling":{},"elicitation":{"form":{}},"experimental":{"\\u0078":1.0}}',
  );
  expect(await open('2025-03-26')).toBe('{"roots":{"listChanged":true},"sampling":{},"experimental":{"\\u0078":1.0}}');
});

test('nothing is declared to an upstream that asks nothing', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 }, upstream: { asks: 'never' } });

  await gateway.openSession({ capabilities: { roots: {}, sampling: {} } });

  expect((await upstream.nextRequest('initialize')).message.params).toMatchObject({ capabilities: {} });
  expect(upstream.streams[0]?.session.capabilities).toEqual({});
});

test.each([
  ['2025-06-18', '2025-06-18'],
  ['2024-11-05', undefined],
])('a link that negotiated %s says so in the header of its messages: %s [G14]', async (protocolVersion, header) => {
  const { gateway, upstream } = await gatewayBefore({ protocolVersion });

  await gateway.call('add', {}, 1, IN(await gateway.openSession()));

  const said = upstream.received.filter(({ message }) => message.method === 'tools/call');
  expect(said[0]?.headers['mcp-protocol-version']).toBe(header);
});

test('a foreign, a forged and an ended id are the same unknown id [B15 T8]', async () => {
  const { gateway } = await gatewayBefore();
  const other = await gatewayBefore();
  const live = await gateway.openSession();
  const ended = await gateway.openSession();
  await gateway.send('DELETE', '/mcp', IN(ended));
  const flipped = live.slice(0, 20) + (live[20] === 'A' ? 'B' : 'A') + live.slice(21);
  const strangers = [await other.gateway.openSession(), flipped, live.slice(0, -1), `${live}A`, 'x', ended];

  const answers = await Promise.all(strangers.map((id) => gateway.call('add', {}, 1, IN(id))));
  const deletes = await Promise.all(strangers.map((id) => gateway.send('DELETE', '/mcp', IN(id))));
  const notices = await Promise.all(
    strangers.map((id) => gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, IN(id))),
  );

  expect(new Set(answers.map(({ status, text: body }) => `${status} ${body}`)).size).toBe(1);
  expect(new Set(deletes.map(({ status, text: body }) => `${status} ${body}`)).size).toBe(1);
  expect([answers, deletes, notices].flat().map(({ status }) => status)).toEqual(Array(18).fill(404));
  expect((await gateway.call('count', {}, 1, IN(live))).status).toBe(200);
});

test('two sessions and the sessionless callers have an upstream session each', async () => {
  const { gateway } = await gatewayBefore();
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];

  const counted = [await countIn(gateway, a), await countIn(gateway, a), await countIn(gateway, b)];

  expect(counted).toEqual(['1', '2', '1']);
  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  expect(await countIn(gateway, a)).toBe('3');
});

test('25 sessions opened and deleted leave no dedicated link', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const sessions = await Promise.all(Array.from({ length: 25 }, () => gateway.openSession()));
  await upstream.whenStreams(26);

  await Promise.all(sessions.map((session) => gateway.send('DELETE', '/mcp', IN(session))));

  await upstream.whenStreams(1);
  expect(gateway.app.registry.size).toBe(0);
  expect(gateway.app.mounts[0]?.dedicatedCount).toBe(0);
});

test('initialized is said upstream once, and other notifications cross as they are', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const notice = '{"jsonrpc":"2.0", "method":"notifications/x","params":{"a":1.0}}';

  const answer = await gateway.post(notice, IN(session));

  expect(answer.status).toBe(202);
  expect((await upstream.nextRequest('notifications/x')).raw.toString()).toBe(notice);
  const [, dedicated] = upstream.streams;
  const said = upstream.received.filter(({ url }) => url.includes(dedicated?.sessionId ?? '-'));
  expect(said.map(({ message }) => message.method)).toEqual([
    'initialize',
    'notifications/initialized',
    'notifications/x',
  ]);
});

test('a session speaks the revision it agreed on, even if the header names another that is served [C2 C4]', async () => {
  const { gateway } = await gatewayBefore();
  const session = await gateway.openSession({ protocolVersion: '2025-06-18' });

  const statuses = [];
  for (const version of ['2025-06-18', '2025-11-25', '2024-11-05']) {
    const answer = await gateway.call('count', {}, 1, { ...IN(session), 'mcp-protocol-version': version });
    statuses.push([answer.status, answer.json.result?.content[0].text]);
  }

  expect(statuses).toEqual([
    [200, '1'],
    [200, '2'],
    [400, undefined],
  ]);
});

test('a session of one upstream is unknown at the path of another', async () => {
  const other = await startLegacyServer();
  onTestFinished(() => other.close());
  const others = [{ name: 'other', path: '/other', url: other.url.href }];
  const { gateway } = await gatewayBefore({}, { others });
  const session = await gateway.openSession();
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

  const there = await gateway.send('POST', '/other', { ...JSON_HEADERS, ...IN(session) }, ping);
  const deleted = await gateway.send('DELETE', '/other', IN(session));
  const here = await gateway.send('POST', '/mcp', { ...JSON_HEADERS, ...IN(session) }, ping);

  expect([there.status, deleted.status, here.status]).toEqual([404, 404, 200]);
  expect(here.text).toBe('{"jsonrpc":"2.0","id":1,"result":{}}');
});

test('DELETE may name a content type without having a body', async () => {
  const { gateway } = await gatewayBefore();
  const session = await gateway.openSession();

  expect((await gateway.send('DELETE', '/mcp', { ...JSON_HEADERS, ...IN(session) })).status).toBe(204);
});

test('a call in flight when its session is deleted is answered with an error, once', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const answer = gateway.call('never', {}, 'mine', IN(session));
  await upstream.nextCall('never');

  const deleted = await gateway.send('DELETE', '/mcp', IN(session));

  expect(deleted.status).toBe(204);
  expect([(await answer).status, (await answer).json]).toMatchObject([
    200,
    { id: 'mine', error: { code: -32603, data: { reason: 'session_ended', outcome: 'unknown' } } },
  ]);
  await upstream.whenStreams(1);
});

test('limits.sessions bounds the sessions, and one that ends makes room [T20]', async () => {
  const { gateway } = await gatewayBefore({}, { limits: { sessions: 1 } });
  const session = await gateway.openSession();

  const refused = await initialize(gateway);
  await gateway.send('DELETE', '/mcp', IN(session));

  expect([refused.status, refused.headers['retry-after'], refused.json]).toMatchObject([
    503,
    '1',
    { id: 'open', error: { data: { reason: 'sessions_limit', outcome: 'not_executed' } } },
  ]);
  expect(refused.json.error.message).toContain('limits.sessions');
  expect((await initialize(gateway)).status).toBe(200);
});

test('what asks for a session’s own upstream session reaches it: log level and subscriptions', async () => {
  const { gateway, upstream } = await gatewayBefore({
    capabilities: { logging: {}, resources: { subscribe: true } },
    methods: { 'resources/subscribe': () => ({ x: 1 }), 'resources/unsubscribe': () => ({}) },
  });
  const session = await gateway.openSession();
  const ask = (id: number, method: string, params: object): Promise<Answer> =>
    gateway.post({ jsonrpc: '2.0', id, method, params }, IN(session));

  const level = await ask(1, 'logging/setLevel', { level: 'debug' });
  const subscribed = await ask(2, 'resources/subscribe', { uri: 'a:b' });
  const unsubscribed = await ask(3, 'resources/unsubscribe', { uri: 'a:b' });

  expect([level.json, subscribed.json, unsubscribed.json]).toEqual([
    { jsonrpc: '2.0', id: 1, result: {} },
    { jsonrpc: '2.0', id: 2, result: { x: 1 } },
    { jsonrpc: '2.0', id: 3, result: {} },
  ]);
  expect(upstream.received.slice(-3).map(({ message }) => [message.method, message.params])).toEqual([
    ['logging/setLevel', { level: 'debug' }],
    ['resources/subscribe', { uri: 'a:b' }],
    ['resources/unsubscribe', { uri: 'a:b' }],
  ]);
});

test.each([
  ['logging/setLevel', { level: 'debug' }, { resources: { subscribe: true } }],
  ['resources/subscribe', { uri: 'a:b' }, { logging: {}, resources: { listChanged: true } }],
  ['resources/unsubscribe', { uri: 'a:b' }, { logging: {}, resources: {} }],
])(
  '%s is −32601 in a 200, and not passed on, where the server does not offer it',
  async (method, params, capabilities) => {
    const { gateway, upstream } = await gatewayBefore({ capabilities, methods: { [method]: () => ({}) } });
    const session = await gateway.openSession();

    const answer = await gateway.post({ jsonrpc: '2.0', id: 1, method, params }, IN(session));

    expect([answer.status, answer.json]).toMatchObject([200, { id: 1, error: { code: -32601 } }]);
    expect(upstream.received.map(({ message }) => message.method)).not.toContain(method);
  },
);

test.each([
  ['logging/setLevel', {}],
  ['logging/setLevel', { level: 'loud' }],
  ['logging/setLevel', { level: 1 }],
  ['resources/subscribe', {}],
  ['resources/subscribe', { uri: 1 }],
])('%s with %j is −32602, and not passed on', async (method, params) => {
  const { gateway, upstream } = await gatewayBefore({
    capabilities: { logging: {}, resources: { subscribe: true } },
    methods: { [method]: () => ({}) },
  });
  const session = await gateway.openSession();

  const answer = await gateway.post({ jsonrpc: '2.0', id: 1, method, params }, IN(session));

  expect([answer.status, answer.json]).toMatchObject([200, { id: 1, error: { code: -32602 } }]);
  expect(upstream.received.map(({ message }) => message.method)).not.toContain(method);
});

test('an unknown method is −32601 in a 200, as the server says it [B20]', async () => {
  const { gateway } = await gatewayBefore();

  const answer = await gateway.post({ jsonrpc: '2.0', id: 1, method: 'x/y' }, IN(await gateway.openSession()));

  expect([answer.status, answer.json]).toEqual([
    200,
    { jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'Method not found' } },
  ]);
});

test('an empty array, one message in an array, and more are refused in a session that knows no batches [C1]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };

  for (const protocolVersion of ['2025-06-18', '2025-11-25']) {
    const session = await gateway.openSession({ protocolVersion });
    for (const batch of [[], [ping], [ping, { ...ping, id: 2 }], [{ jsonrpc: '2.0', method: 'notifications/x' }]]) {
      const answer = await gateway.post(batch, IN(session));
      expect([answer.status, answer.json]).toMatchObject([400, { error: { code: -32600 } }]);
      expect(answer.json).not.toHaveProperty('id');
    }
  }
  expect(upstream.received.map(({ message }) => message.method)).not.toContain('notifications/x');
});
