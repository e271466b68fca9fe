// The three modes of an upstream: sessions and requests without one (auto), never a session (stateless), nothing but
// sessions (session). And what an upstream is told that never asks.

import { describe, expect, onTestFinished, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import {
  type Answer,
  type Gateway,
  JSON_HEADERS,
  gatewayBefore,
  requestBytes,
  startGateway,
} from '../support/gateway.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });
const STATELESS = { upstream: { mode: 'stateless' } } as const;
const SESSIONS = { upstream: { mode: 'session' } } as const;
const ALL = {
  roots: { listChanged: true },
  sampling: { tools: {}, context: {} },
  elicitation: { form: {}, url: {} },
};
const LIST = { jsonrpc: '2.0', id: 'mine', method: 'tools/list' };
const NOTICE = { jsonrpc: '2.0', method: 'notifications/initialized' };
const RESPONSE = { jsonrpc: '2.0', id: 'a', result: {} };

function initialize(gateway: Gateway, params: object = {}, headers: Record<string, string> = {}): Promise<Answer> {
  const usual = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  return gateway.post({ jsonrpc: '2.0', id: 'open', method: 'initialize', params: { ...usual, ...params } }, headers);
}

describe('mode: stateless', () => {
  test('initialize is answered without a session id, and everything after it is served without one [E1 E2]', async () => {
    const { gateway, upstream } = await gatewayBefore({}, STATELESS);

    const opened = await initialize(gateway, { capabilities: ALL });
    const initialized = await gateway.post(NOTICE, { 'mcp-protocol-version': '2025-06-18' });
    const listed = await gateway.post(LIST, { 'mcp-protocol-version': '2025-06-18' });
    const called = await gateway.call('add', { a: 1, b: 2 });

    expect([opened.status, opened.headers['content-type']]).toEqual([200, 'application/json']);
    expect(opened.headers).not.toHaveProperty('mcp-session-id');
    expect(opened.json).toMatchObject({ id: 'open', result: { serverInfo: { name: 'scripted-legacy-server' } } });
    expect([initialized.status, initialized.text]).toEqual([202, '']);
    expect(listed.json).toMatchObject({ id: 'mine', result: { tools: expect.any(Array) } });
    expect(called.json.result.content[0].text).toBe('3');
    expect(upstream.received.map(({ message }) => message.method)).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/list',
      'tools/call',
    ]);
  });

  test('initialize promises nothing that would need a stream or a memory; the rest is the upstream’s own bytes [E1 D6]', async () => {
    const said = (capabilities: string, revision: string): string =>
      `{"serverInfo":{"name":"\\u0061","version":"1","icons":[],"n":1.0}, "capabilities" : ${capabilities},"protocolVersion":"${revision}","instructions":"é"}`;
    const offered =
      '{"logging":{}, "tools":{"listChanged":true},"prompts" : {"x":1.0,"listChanged" : true},"resources":{"listChanged":false,"subscribe":true, "y":[1.0]},"completions":{},"tasks":{"list":{},"requests":{}},"experimental":{"logging":{},"tasks":1e2}}';
    const { gateway } = await gatewayBefore(
      { methods: { initialize: () => Buffer.from(said(offered, '2025-11-25')) } },
      STATELESS,
    );

    const opened = await initialize(gateway);

    const [start = '', end = ''] = said('|', '2025-06-18').split('|');
    const result = opened.text.slice('{"jsonrpc":"2.0","id":"open","result":'.length, -1);
    expect([result.slice(0, start.length), result.slice(-end.length)]).toEqual([start, end]);
    expect(JSON.parse(result.slice(start.length, -end.length))).toEqual({
      tools: {},
      prompts: { x: 1 },
      resources: { y: [1] },
      completions: {},
      experimental: { logging: {}, tasks: 100 },
    });
    expect(result).toContain('"x":1.0');
    expect(result).toContain('"experimental":{"logging":{},"tasks":1e2}');
  });

  test.each([
    ['2025-03-26', '2025-03-26'],
    ['2025-11-25', '2025-11-25'],
    ['2024-11-05', '2025-11-25'],
    ['2026-07-28', '2025-11-25'],
    ['garbage', '2025-11-25'],
  ])('initialize that asks for %s is answered %s [B1 B2]', async (protocolVersion, answered) => {
    const { gateway } = await gatewayBefore({ protocolVersion: '2024-11-05' }, STATELESS);

    expect((await initialize(gateway, { protocolVersion })).json.result.protocolVersion).toBe(answered);
  });

  test('whoever initializes, the upstream sees one initialize, which declares nothing; nothing is remembered [E1]', async () => {
    const { gateway, upstream } = await gatewayBefore({}, STATELESS);

    const opened = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        initialize(gateway, { capabilities: ALL, clientInfo: { name: `client ${n}`, version: '1' } }),
      ),
    );

    expect(opened.map(({ status, headers }) => [status, headers['mcp-session-id']])).toEqual(
      Array(10).fill([200, undefined]),
    );
    const initializes = upstream.received.filter(({ message }) => message.method === 'initialize');
    expect(initializes.map(({ message }) => message.params?.['capabilities'])).toEqual([{}]);
    expect(initializes[0]?.raw.toString()).not.toContain('client ');
    expect(upstream.gets).toHaveLength(1);
    expect([gateway.app.registry.size, gateway.app.mounts[0]?.dedicatedCount]).toEqual([0, 0]);
    expect(gateway.journal.of('session_opened')).toEqual([]);
  });

  test(
    'initialize does not wait for calls: its answer is known while every link is busy [E1]',
    { timeout: 5000 },
    async () => {
      const { gateway, upstream } = await gatewayBefore({}, { ...STATELESS, links: { max: 1, maxInFlight: 1 } });
      const running = gateway.call('slow');
      const slow = await upstream.nextCall('slow');

      const opened = await initialize(gateway);
      slow.release();

      expect([opened.status, (await running).status]).toEqual([200, 200]);
    },
  );

  test('without a warm link the first initialize opens one, and it serves the next', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { ...STATELESS, links: { min: 0 } });

    const answers = [await initialize(gateway), await initialize(gateway)];

    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(upstream.gets).toHaveLength(1);
  });

  test.each(['GET', 'DELETE'] as const)('%s is 405, and Allow names POST [E3 A12 B11]', async (method) => {
    const { gateway } = await gatewayBefore({}, STATELESS);

    const refused = await gateway.send(method, '/mcp', { accept: 'text/event-stream' });

    expect([refused.status, refused.headers['allow']]).toEqual([405, 'POST']);
    expect(refused.headers['content-type']).toBe('application/json');
    expect(refused.json).toMatchObject({ error: { code: -32600, data: { reason: 'method_not_allowed' } } });
  });

  test('a session id, wherever it comes from, is an unknown one: 404 [B15]', async () => {
    const { gateway, upstream } = await gatewayBefore({}, STATELESS);
    const other = await gatewayBefore();
    const headers = IN(await other.gateway.openSession());
    await upstream.nextRequest('notifications/initialized');

    const answers = [
      await gateway.post(LIST, headers),
      await gateway.post(NOTICE, headers),
      await gateway.post(RESPONSE, headers),
      await gateway.post([LIST], headers),
      await gateway.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, headers),
      await gateway.send('GET', '/mcp', { accept: 'text/event-stream', ...headers }),
      await gateway.send('DELETE', '/mcp', headers),
    ];

    expect(answers.map(({ status, json }) => [status, json.error.data.reason])).toEqual(
      Array(7).fill([404, 'session_unknown']),
    );
    expect(upstream.received).toHaveLength(2);
  });

  test('initialize with the id of a session that is none is answered all the same', async () => {
    const { gateway } = await gatewayBefore({}, STATELESS);

    const answer = await initialize(gateway, {}, IN('x'));

    expect([answer.status, answer.json.id]).toEqual([200, 'open']);
  });

  test.each([
    ['a version that is no text', { protocolVersion: 1 }],
    ['capabilities over 64 KiB', { capabilities: { x: 'x'.repeat(65_536) } }],
  ])('initialize with %s is refused: 400 −32600', async (_what, params) => {
    const { gateway } = await gatewayBefore({}, STATELESS);

    const refused = await initialize(gateway, params);

    expect([refused.status, refused.json.id, refused.json.error.code]).toEqual([400, 'open', -32600]);
    expect(refused.json.error.data.reason).toBe('invalid_request');
  });

  test.each(['logging/setLevel', 'resources/subscribe', 'resources/unsubscribe', 'tasks/get'])(
    '%s is not served: −32601 in a 200 [B20]',
    async (method) => {
      const { gateway, upstream } = await gatewayBefore(
        { capabilities: { logging: {}, resources: { subscribe: true } } },
        STATELESS,
      );

      const answer = await gateway.post({ jsonrpc: '2.0', id: 1, method, params: { level: 'info', uri: 'a:b' } });

      expect([answer.status, answer.json.error.code]).toEqual([200, -32601]);
      expect(upstream.received.map(({ message }) => message.method)).not.toContain(method);
    },
  );

  test('a question of the upstream is refused there, and the client gets an ordinary answer [E4 A12]', async () => {
    const { gateway } = await gatewayBefore({}, STATELESS);
    await initialize(gateway, { capabilities: ALL });

    const answer = await gateway.call('ask');

    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json.result.structuredContent.replies).toMatchObject([{ error: { code: -32601 } }]);
  });

  test('a batch without a version is served [B9]', async () => {
    const { gateway } = await gatewayBefore({}, STATELESS);

    const answer = await gateway.post([LIST, { ...LIST, id: 2 }]);

    expect(answer.json.map(({ id }: { id: unknown }) => id)).toEqual(expect.arrayContaining(['mine', 2]));
  });

  test('with the upstream down initialize is 502, never a 4xx, and works once it is up [A11]', async () => {
    const { gateway, upstream } = await gatewayBefore({ get: { status: 500 } }, STATELESS);

    const down = await initialize(gateway);
    upstream.behaviour.get = 'streams';
    const up = await initialize(gateway);

    expect([down.status, down.json.id, down.json.error.code]).toEqual([502, 'open', -32603]);
    expect([up.status, up.headers['mcp-session-id']]).toEqual([200, undefined]);
  });

  test('a client that leaves before its initialize is answered leaves nothing behind', async () => {
    const opens = Promise.withResolvers<void>();
    const { gateway, upstream } = await gatewayBefore({ get: { until: opens.promise } }, STATELESS);
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
    const headers = { ...JSON_HEADERS, host: 'localhost', 'content-length': String(body.length) };
    const client = await gateway.connect();
    client.write(requestBytes('POST', '/mcp', Object.entries(headers), body));
    await expect.poll(() => gateway.app.inFlight(), { timeout: 5000 }).toBe(1);

    client.leave();
    await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
    upstream.behaviour.get = 'streams';
    opens.resolve();

    expect((await initialize(gateway)).status).toBe(200);
    expect(gateway.journal.of('exchange').map(({ outcome }) => outcome)).toEqual(['client_gone', 'result']);
    expect(gateway.app.inFlight()).toBe(0);
  });
});

describe('mode: session', () => {
  test('initialize opens a session, and everything works in it', async () => {
    const { gateway } = await gatewayBefore({}, SESSIONS);
    const sessionId = await gateway.openSession();

    const called = await gateway.call('add', { a: 1, b: 2 }, 1, IN(sessionId));
    const stream = await openEvents(gateway, { sessionId });
    const deleted = await gateway.send('DELETE', '/mcp', IN(sessionId));

    expect(called.json.result.content[0].text).toBe('3');
    expect([stream.status, deleted.status, await stream.closed]).toEqual([200, 204, 'ended']);
  });

  test.each([
    ['a request', LIST],
    ['a call', { jsonrpc: '2.0', id: 'mine', method: 'tools/call', params: { name: 'count' } }],
    ['a ping', { jsonrpc: '2.0', id: 'mine', method: 'ping' }],
  ])('%s without a session: 400, and the text says what to do [B16 E2]', async (_what, body) => {
    const { gateway, upstream } = await gatewayBefore({}, SESSIONS);
    await upstream.nextRequest('notifications/initialized');

    const refused = await gateway.post(body);

    expect(refused.status).toBe(400);
    expect(refused.json).toMatchObject({
      id: 'mine',
      error: { code: -32600, message: expect.stringMatching(/initialize/), data: { reason: 'session_required' } },
    });
    expect(upstream.received).toHaveLength(2);
  });

  test.each([
    ['a notification', NOTICE],
    ['a response', RESPONSE],
    ['a batch', [LIST]],
    ['a batch of notifications', [NOTICE, NOTICE]],
  ])('%s without a session: 400 [B16]', async (_what, body) => {
    const { gateway } = await gatewayBefore({}, SESSIONS);

    const refused = await gateway.post(body);

    expect([refused.status, refused.json.error.data.reason]).toEqual([400, 'session_required']);
    expect(refused.json).not.toHaveProperty('id');
  });

  test.each(['GET', 'DELETE'] as const)('%s without a session: 400 [B16 A12]', async (method) => {
    const { gateway } = await gatewayBefore({}, SESSIONS);

    const refused = await gateway.send(method, '/mcp', { accept: 'text/event-stream' });

    expect([refused.status, refused.json.error.data.reason]).toEqual([400, 'session_required']);
    expect(refused.headers['content-type']).toBe('application/json');
  });

  test('an unknown session is 404 here too, so that its client initializes again [B15]', async () => {
    const { gateway } = await gatewayBefore({}, SESSIONS);

    const answers = [
      await gateway.post(LIST, IN('x')),
      await gateway.send('GET', '/mcp', { accept: 'text/event-stream', ...IN('x') }),
      await gateway.send('DELETE', '/mcp', IN('x')),
    ];

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
  });
});

describe('mode: auto', () => {
  test('serves sessions and requests without one on the same path, at the same time [A13 E2]', async () => {
    const { gateway } = await gatewayBefore();
    const session = await gateway.openSession();

    const [inside, outside] = await Promise.all([
      gateway.call('count', {}, 1, IN(session)),
      gateway.call('count', {}, 1),
    ]);

    expect([inside, outside].map(({ json }) => json.result.content[0].text)).toEqual(['1', '1']);
  });

  test.each(['GET', 'DELETE'] as const)(
    '%s without a session is 405, and Allow names POST [E3 A12 B11]',
    async (method) => {
      const { gateway } = await gatewayBefore();
      await gateway.openSession();

      const refused = await gateway.send(method, '/mcp', { accept: 'text/event-stream' });

      expect([refused.status, refused.headers['allow']]).toEqual([405, 'POST']);
      expect(refused.headers['content-type']).toBe('application/json');
    },
  );
});

test('each upstream has a mode of its own [A13]', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const url = upstream.url.href;
  const gateway = await startGateway(url, {
    upstream: { mode: 'stateless' },
    others: [{ name: 'other', path: '/other', url, mode: 'session' }],
  });
  onTestFinished(() => gateway.close());
  const body = JSON.stringify(LIST);

  const [here, there] = [
    await gateway.send('POST', '/mcp', JSON_HEADERS, body),
    await gateway.send('POST', '/other', JSON_HEADERS, body),
  ];

  expect([here.status, there.status]).toEqual([200, 400]);
});

describe('asks: never', () => {
  const NEVER = { upstream: { asks: 'never' } } as const;

  test('nothing is declared upstream, whatever a client can do', async () => {
    const { gateway, upstream } = await gatewayBefore({}, NEVER);

    await gateway.openSession({ protocolVersion: '2025-11-25', capabilities: ALL });
    await gateway.openSession({ protocolVersion: '2025-06-18', capabilities: ALL });

    const initializes = upstream.received.filter(({ message }) => message.method === 'initialize');
    expect(initializes.map(({ message }) => message.params?.['capabilities'])).toEqual([{}, {}, {}]);
  });

  test('a question that comes all the same is refused, and the call goes on [B23 E4]', async () => {
    const { gateway } = await gatewayBefore({}, NEVER);
    const session = await gateway.openSession({ protocolVersion: '2025-11-25', capabilities: ALL });
    const questions = [
      { method: 'roots/list' },
      { method: 'sampling/createMessage' },
      { method: 'elicitation/create' },
    ];

    const answer = await gateway.call('ask', { questions }, 1, IN(session));

    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json.result.structuredContent.replies).toMatchObject(Array(3).fill({ error: { code: -32601 } }));
    expect(gateway.journal.dropped('refused_question')).toBe(3);
  });

  test('a client’s word that its roots changed is not passed on', async () => {
    const { gateway, upstream } = await gatewayBefore({}, NEVER);
    const session = await gateway.openSession({ capabilities: ALL });

    const told = await gateway.post({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, IN(session));
    await gateway.call('count', {}, 1, IN(session));

    expect(told.status).toBe(202);
    expect(upstream.received.map(({ message }) => message.method)).not.toContain('notifications/roots/list_changed');
    expect(gateway.journal.dropped('unroutable_notification')).toBe(1);
  });

  test('nothing is declared on the only link of a server that stands one, either', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { ...NEVER, links: { single: true } });
    const session = await gateway.openSession({ protocolVersion: '2025-11-25', capabilities: ALL });

    const answer = await gateway.call('ask', {}, 1, IN(session));

    expect(answer.json.result.structuredContent.replies).toMatchObject([{ error: { code: -32601 } }]);
    const initializes = upstream.received.filter(({ message }) => message.method === 'initialize');
    expect(initializes.map(({ message }) => message.params?.['capabilities'])).toEqual([{}]);
  });
});
