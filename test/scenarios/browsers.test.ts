// Pages in a browser: what one of a listed origin may ask and read, and that no other gets further than a refusal. What a
// browser makes of it is in test/peers/browser.test.ts.

import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Gateway, JSON_HEADERS, gatewayBefore, replyIn, requestBytes } from '../support/gateway.ts';
import { openOldClient } from '../support/old-client.ts';

const PAGE = 'https://app.example';
const LISTED = { allowedOrigins: [PAGE] };
const EXPOSED = 'Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, Retry-After';
const FROM_PAGE = { origin: PAGE };
const VISIBLE = { 'access-control-allow-origin': PAGE, 'access-control-expose-headers': EXPOSED, vary: 'Origin' };
const ASKING = { 'access-control-request-method': 'POST' };
const PING = { jsonrpc: '2.0', id: 1, method: 'ping' };
const ALWAYS =
  'Accept, Authorization, Content-Type, Last-Event-ID, Mcp-Method, Mcp-Name, Mcp-Protocol-Version, Mcp-Session-Id';

const corsOf = (headers: object): string[] => Object.keys(headers).filter((name) => name.startsWith('access-control-'));

describe('a preflight', () => {
  test.each([
    ['/mcp', 'POST, GET, DELETE'],
    ['/mcp/', 'POST, GET, DELETE'],
    ['/sse', 'GET'],
    ['/messages?token=x', 'POST'],
    ['/healthz', 'GET'],
    // A client that looks for documents which may not be there has to be told so.
    ['/.well-known/oauth-authorization-server', 'GET, POST'],
  ])('of %s needs no key, and names what may be sent [T24]', async (path, methods) => {
    const inbound = { bearer: { keys: [{ name: 'alice', sha256: 'a'.repeat(64) }] } };
    const { gateway } = await gatewayBefore({}, { ...LISTED, inbound });

    const answer = await gateway.send('OPTIONS', path, { ...FROM_PAGE, ...ASKING });

    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(answer.headers).toMatchObject({
      ...VISIBLE,
      'access-control-allow-methods': methods,
      'access-control-allow-headers': ALWAYS,
      'access-control-max-age': '7200',
    });
    expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
    expect(answer.headers).not.toHaveProperty('access-control-allow-private-network');
  });

  test('allows the headers of a tool’s parameters that are asked for, and nothing else that is [T24]', async () => {
    const { gateway } = await gatewayBefore({}, LISTED);
    const asked = 'content-type,mcp-param-region, Mcp-Param-X-1,x-evil,mcp-param-,mcp-param-a b,mcp-param-ä,*';

    const { headers } = await gateway.send('OPTIONS', '/mcp', {
      ...FROM_PAGE,
      ...ASKING,
      'access-control-request-headers': asked,
    });

    expect(headers['access-control-allow-headers']).toBe(`${ALWAYS}, mcp-param-region, Mcp-Param-X-1`);
  });

  test('a page may send the credential that goes on to the server, and reads the answer [T24]', async () => {
    const outbound = { forward: ['X-User-Token', 'Authorization'] };
    const { gateway, upstream } = await gatewayBefore({}, { ...LISTED, upstream: { outbound } });

    const { status, headers } = await gateway.send('OPTIONS', '/mcp', { ...FROM_PAGE, ...ASKING });
    const answer = await gateway.call('count', {}, 1, { ...FROM_PAGE, 'x-user-token': 'hers' });

    expect([status, headers['access-control-allow-headers']]).toEqual([204, `${ALWAYS}, x-user-token`]);
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, PAGE]);
    expect(upstream.gets.at(-1)?.headers).toMatchObject({ 'x-user-token': 'hers' });
  });

  test('from the internet to a private network is allowed to listed pages [T24]', async () => {
    const { gateway } = await gatewayBefore({}, LISTED);
    const ask = (origin: string): ReturnType<Gateway['send']> =>
      gateway.send('OPTIONS', '/mcp', { origin, ...ASKING, 'access-control-request-private-network': 'true' });

    const [listed, other] = await Promise.all([ask(PAGE), ask('https://evil.example')]);

    expect(listed.headers['access-control-allow-private-network']).toBe('true');
    expect([other.status, corsOf(other.headers)]).toEqual([403, []]);
  });

  test.each([
    ['of another page', { origin: 'https://evil.example' }, 'origin_refused'],
    ['of a page without an origin', { origin: 'null' }, 'origin_refused'],
    ['for another Host', { ...FROM_PAGE, host: 'evil.example' }, 'host_refused'],
  ])('%s is refused', async (_, headers, reason) => {
    const { gateway } = await gatewayBefore({}, LISTED);

    const answer = await gateway.send('OPTIONS', '/mcp', { ...headers, ...ASKING });

    expect([answer.status, answer.json.error.data.reason]).toEqual([403, reason]);
    expect(answer.headers).not.toHaveProperty('access-control-allow-methods');
  });

  test.each([
    ['that asks for no method', FROM_PAGE],
    ['that comes from no page', ASKING],
  ])('%s is none: 405', async (_, headers) => {
    const { gateway } = await gatewayBefore({}, LISTED);

    expect((await gateway.send('OPTIONS', '/mcp', headers)).status).toBe(405);
  });
});

describe('every answer to a listed page can be read by it, and says so', () => {
  test('results, sessions, refusals, and what is nowhere [T24]', async () => {
    const { gateway } = await gatewayBefore({}, LISTED);
    const initialize = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'page', version: '1' } };

    const opened = await gateway.post({ ...PING, method: 'initialize', params: initialize }, FROM_PAGE);
    const session = { ...FROM_PAGE, 'mcp-session-id': String(opened.headers['mcp-session-id']) };
    const answers = [
      opened,
      await gateway.post(PING, session),
      await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session),
      await gateway.post(PING, { ...FROM_PAGE, 'mcp-session-id': 'unknown' }),
      await gateway.post('not JSON', FROM_PAGE),
      await gateway.send('POST', '/mcp', { ...FROM_PAGE, 'content-type': 'text/plain' }, 'x'),
      await gateway.send('GET', '/mcp', FROM_PAGE),
      await gateway.send('GET', '/nowhere', FROM_PAGE),
      await gateway.send('GET', '/%zz', FROM_PAGE),
      await gateway.send('DELETE', '/mcp', session),
    ];

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 202, 404, 400, 415, 405, 404, 400, 204]);
    for (const { headers } of answers) expect(headers).toMatchObject(VISIBLE);
  });

  test('a 401, with its challenge [T24]', async () => {
    const inbound = { bearer: { keys: [{ name: 'alice', sha256: 'a'.repeat(64) }] } };
    const { gateway } = await gatewayBefore({}, { ...LISTED, inbound });

    const { status, headers } = await gateway.post(PING, FROM_PAGE);

    expect(status).toBe(401);
    expect(headers).toMatchObject({ ...VISIBLE, 'www-authenticate': 'Bearer realm="mcp-causeway"' });
  });

  test('streams of every kind: of a call, of a session, of an old client, and its messages [T24]', async () => {
    const { gateway, upstream } = await gatewayBefore({}, LISTED);
    const sessionId = await gateway.openSession();
    const params = { name: 'slow', arguments: {}, _meta: { progressToken: 1 } };
    const opening = gateway.open({ ...PING, method: 'tools/call', params }, FROM_PAGE);
    const slow = await upstream.nextCall('slow');
    slow.progress(1);

    const call = await opening;
    const listener = await openEvents(gateway, { sessionId, headers: FROM_PAGE });
    const old = await openOldClient(gateway.origin, { headers: FROM_PAGE });
    const message = await old.post(PING, FROM_PAGE);

    for (const { headers } of [call, listener, old, message]) expect(headers).toMatchObject(VISIBLE);
    expect(call.headers['content-type']).toBe('text/event-stream');
  });

  test('a page of a loopback name is told its own name, where those are let in [T24]', async () => {
    const { gateway } = await gatewayBefore();
    const origin = 'http://localhost:6274';

    const { headers } = await gateway.post(PING, { origin });

    expect(headers).toMatchObject({ ...VISIBLE, 'access-control-allow-origin': origin });
  });

  test('the answer to anybody else says nothing of pages, but that it could be another one [T24]', async () => {
    const { gateway } = await gatewayBefore({}, LISTED);

    const program = await gateway.post(PING);
    const foreign = await gateway.post(PING, { origin: 'https://evil.example' });
    const probe = await gateway.send('GET', '/healthz');

    expect([program, foreign, probe].map(({ headers }) => corsOf(headers))).toEqual([[], [], []]);
    expect([foreign.headers['vary'], probe.headers['vary']]).toEqual(['Origin', 'Origin']);
  });
});

describe('a page that is not listed', () => {
  const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}';
  const SIMPLE = ['text/plain', 'text/plain;charset=UTF-8', 'application/x-www-form-urlencoded', 'multipart/form-data'];

  test.each(SIMPLE)(
    'cannot send what needs no preflight: %s does nothing, with its Origin or without [T23]',
    async (type) => {
      const { gateway, upstream } = await gatewayBefore();
      const post = (headers: Record<string, string>, path = '/mcp'): ReturnType<Gateway['send']> =>
        gateway.send('POST', path, { accept: '*/*', 'content-type': type, ...headers }, CALL);

      const answers = await Promise.all([
        post({ origin: 'https://evil.example' }),
        post({ origin: 'null' }),
        post({}),
        post({}, '/messages'),
        post({ origin: 'https://evil.example' }, '/messages'),
      ]);

      expect(answers.map(({ status }) => status)).toEqual([403, 403, 415, 415, 403]);
      expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toEqual([]);
    },
  );

  test('is refused on whatever path it asks for, also one that a route is made for later [T4 T24]', async () => {
    const { gateway } = await gatewayBefore({}, { admin: { port: 0 } });
    const paths = ['/', '/mcp', '/sse', '/messages', '/healthz', '/readyz', '/metrics', '/status', '/-/reload'];
    const wellKnown = [
      '/.well-known/oauth-protected-resource',
      '/.well-known/oauth-protected-resource/mcp',
      '/%zz',
      '*',
    ];

    for (const origin of [gateway.origin, gateway.adminOrigin]) {
      for (const path of [...paths, ...wellKnown]) {
        for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
          const headers = [['host', 'localhost'] as const, ['origin', 'http://evil.example'] as const];
          const { status, head } = await rawAnswer(origin, requestBytes(method, path, headers));
          expect([origin, method, path, status]).toEqual([origin, method, path, 403]);
          expect(head.toLowerCase()).not.toContain('access-control');
        }
      }
    }
  });
});

test('two Origins are none that is listed [T4]', async () => {
  const { gateway } = await gatewayBefore({}, LISTED);
  const origins = [['origin', PAGE] as const, ['origin', PAGE] as const];

  const { status } = await rawAnswer(gateway.origin, requestBytes('GET', '/mcp', [['host', 'localhost'], ...origins]));

  expect(status).toBe(403);
});

test('a reload lets other pages in, and those of before no more [T24]', async () => {
  const { gateway } = await gatewayBefore({}, LISTED);

  await gateway.reload({ allowedOrigins: ['https://other.example'] });
  const before = await gateway.send('OPTIONS', '/mcp', { ...FROM_PAGE, ...ASKING });
  const after = await gateway.post(PING, { ...JSON_HEADERS, origin: 'https://other.example' });

  expect(before.status).toBe(403);
  expect(after.headers['access-control-allow-origin']).toBe('https://other.example');
});

/** What one request gets on a connection of its own. */
async function rawAnswer(origin: string, bytes: string): Promise<ReturnType<typeof replyIn>> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1').setEncoding('utf8');
  socket.write(bytes.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'));
  let all = '';
  for await (const piece of socket) all += String(piece);
  return replyIn(all);
}
