// Which revision is spoken: what initialize agrees on, and what the header MCP-Protocol-Version does before and after.

import { describe, expect, test } from 'vitest';
import {
  type Answer,
  type Gateway,
  type RawClient,
  JSON_HEADERS,
  gatewayBefore,
  replyIn,
  requestBytes,
} from '../support/gateway.ts';

const SERVED = ['2025-11-25', '2025-06-18', '2025-03-26'];
const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });
const SPEAKING = (version: string): Record<string, string> => ({ 'mcp-protocol-version': version });
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

function initialize(gateway: Gateway, protocolVersion: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  return gateway.post({ jsonrpc: '2.0', id: 'open', method: 'initialize', params }, headers);
}

describe('initialize agrees on a revision', () => {
  test.each(SERVED)('that is served: %s is answered with itself [B1]', async (revision) => {
    const { gateway } = await gatewayBefore({ protocolVersion: '2024-11-05' });

    const opened = await initialize(gateway, revision);

    expect([opened.status, opened.json.id, opened.json.result.protocolVersion]).toEqual([200, 'open', revision]);
    expect(opened.headers['mcp-session-id']).toEqual(expect.any(String));
  });

  test.each(['2024-11-05', '1999-01-01', '2026-07-28', '2099-01-01', 'DRAFT-2026-v1', 'latest', '', ' 2025-06-18'])(
    'that is served, where the client asks for “%s”: never an error, never the one asked for [B2]',
    async (asked) => {
      const { gateway } = await gatewayBefore();

      const opened = await initialize(gateway, asked);

      expect([opened.status, opened.json.result.protocolVersion]).toEqual([200, '2025-11-25']);
      const session = String(opened.headers['mcp-session-id']);
      expect((await gateway.post(LIST, { ...IN(session), ...SPEAKING('2025-11-25') })).status).toBe(200);
    },
  );

  test.each([
    ['a number', 20_250_618],
    ['null', null],
    ['a list', ['2025-06-18']],
    ['an object', {}],
    ['nothing', undefined],
  ])('only where the client names one: %s is refused, 400 −32600, and leaves no session', async (_what, version) => {
    const { gateway, upstream } = await gatewayBefore();
    await upstream.nextRequest('notifications/initialized');

    const refused = await initialize(gateway, version);

    expect([refused.status, refused.headers['mcp-session-id']]).toEqual([400, undefined]);
    expect(refused.json).toMatchObject({
      id: 'open',
      error: { code: -32600, message: expect.stringContaining('protocolVersion'), data: { reason: 'invalid_request' } },
    });
    expect(gateway.app.registry.size).toBe(0);
    expect(upstream.gets).toHaveLength(1);
  });

  test('which is the session’s own, even where two agree on different ones', async () => {
    const { gateway } = await gatewayBefore();
    const opened = await Promise.all(SERVED.map((revision) => initialize(gateway, revision)));

    expect(opened.map(({ json }) => json.result.protocolVersion)).toEqual(SERVED);
    expect(gateway.journal.of('session_opened').map(({ revision }) => revision)).toEqual(
      expect.arrayContaining(SERVED),
    );
  });
});

describe('the header on initialize', () => {
  test.each([undefined, ...SERVED])('may be %s, whatever the body asks for', async (header) => {
    const { gateway } = await gatewayBefore();

    const opened = await initialize(gateway, '2025-06-18', header === undefined ? {} : SPEAKING(header));

    expect([opened.status, opened.json.result.protocolVersion]).toEqual([200, '2025-06-18']);
  });

  test('may name 2026-07-28: a session is opened all the same [B2]', async () => {
    const { gateway } = await gatewayBefore();

    const opened = await initialize(gateway, '2026-07-28', SPEAKING('2026-07-28'));

    expect([opened.status, opened.json.result.protocolVersion]).toEqual([200, '2025-11-25']);
    expect(opened.headers['mcp-session-id']).toEqual(expect.any(String));
  });

  test.each(['2000-01-01', '2024-11-05', 'latest', '2026-07-28x', '', '2025-6-18', '2025-06-18;q=1'])(
    'must not be “%s”: 400, and no session [C2]',
    async (header) => {
      const { gateway } = await gatewayBefore();

      const refused = await initialize(gateway, '2025-06-18', SPEAKING(header));

      expect([refused.status, refused.headers['mcp-session-id']]).toEqual([400, undefined]);
      expect(refused.json).toMatchObject({ id: 'open', error: { data: { reason: 'unsupported_version' } } });
      expect(gateway.app.registry.size).toBe(0);
    },
  );
});

const CALLERS: readonly (readonly [when: string, headersOf: (gateway: Gateway) => Promise<Record<string, string>>])[] =
  [
    ['before initialize', async () => ({})],
    ['in a session', async (gateway) => IN(await gateway.openSession())],
  ];

describe.each(CALLERS)('the header %s', (_when, headersOf) => {
  test('may be missing: the request is served [C3 B9]', async () => {
    const { gateway } = await gatewayBefore();

    const answer = await gateway.post(LIST, await headersOf(gateway));

    expect([answer.status, answer.json.id]).toEqual([200, 1]);
    expect(answer.json.result.tools.length).toBeGreaterThan(0);
  });

  test.each(SERVED)('may be %s: the request is served [C4]', async (version) => {
    const { gateway } = await gatewayBefore();

    const answer = await gateway.post(LIST, { ...(await headersOf(gateway)), ...SPEAKING(version) });

    expect([answer.status, answer.json.id]).toEqual([200, 1]);
    expect(answer.json.result.tools.length).toBeGreaterThan(0);
  });

  test.each([
    '2000-01-01',
    '2099-01-01',
    '2024-11-05',
    'invalid-protocol-version',
    '2025-06-18x',
    '2025-6-18',
    '',
    '2025-06-18, 2025-06-18',
  ])('must not be “%s”: 400 and the list of what is served; nothing is sent [C2]', async (version) => {
    const { gateway, upstream } = await gatewayBefore();
    const headers = { ...(await headersOf(gateway)), ...SPEAKING(version) };

    const refused = await gateway.post(LIST, headers);
    const notice = await gateway.post({ jsonrpc: '2.0', method: 'notifications/x' }, headers);
    const answer = await gateway.post({ jsonrpc: '2.0', id: 'a', result: {} }, headers);

    expect([refused.status, notice.status, answer.status]).toEqual([400, 400, 400]);
    expect(refused.json).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: {
        code: -32022,
        message: expect.any(String),
        data: { reason: 'unsupported_version', supported: ['2026-07-28', ...SERVED], requested: version },
      },
    });
    expect(notice.json).toMatchObject({ error: { code: -32022 } });
    expect(notice.json).not.toHaveProperty('id');
    expect(upstream.received.map(({ message }) => message.method)).not.toContain('tools/list');
    expect(upstream.received.map(({ message }) => message.method)).not.toContain('notifications/x');
  });

  test('given twice is refused, 400, though both say the same and that is served [C2]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const body = JSON.stringify(LIST);
    const client = await gateway.connect();
    const headers = { ...JSON_HEADERS, ...(await headersOf(gateway)), host: 'localhost' };

    client.write(
      requestBytes(
        'POST',
        '/mcp',
        [
          ...Object.entries({ ...headers, 'content-length': String(body.length) }),
          ['MCP-Protocol-Version', '2025-06-18'],
          ['Mcp-Protocol-Version', '2025-06-18'],
        ],
        body,
      ),
    );

    expect(await replyOf(client)).toMatchObject({ status: 400, json: { error: { message: expect.any(String) } } });
    expect(upstream.received.map(({ message }) => message.method)).not.toContain('tools/list');
  });
});

test.each(['GET', 'DELETE'] as const)(
  '%s with a version that is not served: 400, and the session lives on [C2]',
  async (method) => {
    const { gateway } = await gatewayBefore();
    const session = await gateway.openSession();

    const refused = await gateway.send(method, '/mcp', {
      accept: 'text/event-stream',
      ...IN(session),
      ...SPEAKING('2099-01-01'),
    });

    expect(refused.status).toBe(400);
    expect(refused.json).toMatchObject({ error: { code: -32022, data: { supported: ['2026-07-28', ...SERVED] } } });
    expect((await gateway.post(LIST, IN(session))).status).toBe(200);
  },
);

test.each(['GET', 'DELETE'] as const)('%s without a version is served in a session [C3]', async (method) => {
  const { gateway } = await gatewayBefore();
  const session = await gateway.openSession({ protocolVersion: '2025-11-25' });
  const client = await gateway.connect();

  client.write(
    requestBytes(method, '/mcp', Object.entries({ ...IN(session), accept: 'text/event-stream', host: 'localhost' })),
  );

  expect(await client.until('\r\n\r\n')).toMatch(method === 'GET' ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 204 /);
  client.leave();
});

test('the names of the headers are read in any letters', async () => {
  const { gateway } = await gatewayBefore();
  const session = await gateway.openSession();

  const refused = await gateway.post(LIST, { 'MCP-SESSION-ID': session, 'MCP-PROTOCOL-VERSION': '2000-01-01' });
  const served = await gateway.post(LIST, { 'mCP-sESSION-iD': session, 'Mcp-Protocol-Version': '2025-11-25' });

  expect([refused.status, served.status]).toEqual([400, 200]);
});

/** The whole reply, once its end has come. */
async function replyOf(client: RawClient): Promise<ReturnType<typeof replyIn>> {
  const reply = replyIn(await client.until('}}'));
  client.leave();
  return reply;
}

test('initialize with the id of a live session is refused; with one that is over it opens another', async () => {
  const { gateway } = await gatewayBefore();
  const session = await gateway.openSession();
  const initialize = () =>
    gateway.post(
      { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {} } },
      { 'mcp-session-id': session },
    );

  const whileLive = await initialize();
  await gateway.send('DELETE', '/mcp', { 'mcp-session-id': session });
  const afterwards = await initialize();

  expect([whileLive.status, whileLive.json.error.code]).toEqual([400, -32600]);
  expect(afterwards.status).toBe(200);
  expect(afterwards.headers['mcp-session-id']).not.toBe(session);
});
