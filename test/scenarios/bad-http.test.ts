// What a client can get wrong in HTTP: paths, methods, Origin and Host, headers and bodies that never end.

import { expect, test } from 'vitest';
import { type Gateway, JSON_HEADERS, gatewayBefore, replyIn, requestBytes } from '../support/gateway.ts';

const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}';
const LENGTH = ['content-length', String(CALL.length)] as const;
const JSON_PAIRS = Object.entries(JSON_HEADERS);
const HOST = ['host', 'localhost'] as const;

/** What the gateway answers to these bytes, when nothing more is sent. */
async function answerTo(gateway: Gateway, bytes: string): Promise<ReturnType<typeof replyIn>> {
  const client = await gateway.connect();
  client.write(bytes);
  const reply = replyIn(await client.until('}}'));
  client.leave();
  return reply;
}

const refusal = (reason: string, code = -32600): object => ({ jsonrpc: '2.0', error: { code, data: { reason } } });

test.each([
  '/',
  '/mcp/x',
  '/MCP',
  '/mcp/../mcp',
  '/mcp%2f',
  '//mcp',
  '/sse/x',
  '/mcp;x',
  '/%6dcp/..',
  '/%6dcp',
  '/mcp#x',
])('nothing is served at %s [A15 T25]', async (path) => {
  const { gateway, upstream } = await gatewayBefore();

  const answer = await answerTo(gateway, requestBytes('POST', path, [HOST, LENGTH, ...JSON_PAIRS], CALL));

  expect([answer.status, answer.json]).toMatchObject([404, refusal('path_unknown')]);
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toEqual([]);
});

test('a path that is no URL is refused', async () => {
  const { gateway } = await gatewayBefore();

  const answer = await answerTo(gateway, requestBytes('POST', '/%zz', [HOST, LENGTH, ...JSON_PAIRS], CALL));

  expect([answer.status, answer.json]).toMatchObject([400, refusal('invalid_request')]);
});

test('/mcp/ is /mcp, and a query does not matter', async () => {
  const { gateway } = await gatewayBefore();

  for (const path of ['/mcp/', '/mcp?x=1', '/mcp/?access_token=x']) {
    expect((await gateway.send('POST', path, JSON_HEADERS, CALL)).json.result.content[0].text).toBe('3');
  }
});

test.each([
  ['HEAD', '/mcp', 'POST, GET, DELETE'],
  ['PUT', '/mcp', 'POST, GET, DELETE'],
  ['PATCH', '/mcp/', 'POST, GET, DELETE'],
  ['OPTIONS', '/mcp', 'POST, GET, DELETE'],
  ['TRACE', '/mcp', 'POST, GET, DELETE'],
  ['POST', '/healthz', 'GET'],
  ['DELETE', '/readyz', 'GET'],
] as const)('%s %s is 405 and the answer names what is allowed: %s [T26]', async (method, path, allow) => {
  const { gateway } = await gatewayBefore();

  const answer = await gateway.send(method, path);

  expect([answer.status, answer.headers['allow']]).toEqual([405, allow]);
  if (method !== 'HEAD') expect(answer.json).toMatchObject(refusal('method_not_allowed'));
});

test.each(['PUT', 'PROPFIND', 'QUERY'])('%s with a body is 405 too [T26]', async (method) => {
  const { gateway } = await gatewayBefore();

  const answer = await answerTo(gateway, requestBytes(method, '/mcp', [HOST, LENGTH, ...JSON_PAIRS], CALL));

  expect([answer.status, answer.json]).toMatchObject([405, refusal('method_not_allowed')]);
});

// A client that looks for the old transport's stream here would wait for an endpoint event for ever.
test.each([
  ['GET', '/mcp', { accept: 'text/event-stream' }],
  ['GET', '/mcp/', { accept: 'text/event-stream', 'last-event-id': '1.0' }],
  ['GET', '/mcp', { accept: 'text/event-stream', 'mcp-protocol-version': '2025-11-25' }],
  ['GET', '/mcp', {}],
  ['DELETE', '/mcp', {}],
] as const)('%s %s without a session is 405 and only POST is allowed: %j [A12 E3]', async (method, path, headers) => {
  const { gateway } = await gatewayBefore();

  const answer = await gateway.send(method, path, headers);

  expect([answer.status, answer.headers['allow'], answer.headers['content-type']]).toEqual([
    405,
    'POST',
    'application/json',
  ]);
  expect(answer.json).toMatchObject(refusal('method_not_allowed'));
  expect(answer.json.error.message).toContain('Mcp-Session-Id');
});

test.each(['GET', 'DELETE'] as const)(
  '%s without a session is 400 where only sessions are served, and says what it needs [A12 B16]',
  async (method) => {
    const { gateway } = await gatewayBefore({}, { upstream: { mode: 'session' } });

    const answer = await gateway.send(method, '/mcp', { accept: 'text/event-stream' });

    expect([answer.status, answer.json]).toMatchObject([400, refusal('session_required')]);
    expect(answer.json.error.message).toContain('initialize');
  },
);

test.each(['GET', 'DELETE'] as const)(
  '%s with two session ids is refused, not joined or chosen from',
  async (method) => {
    const { gateway } = await gatewayBefore();
    const session = ['mcp-session-id', await gateway.openSession()] as const;

    const answer = await answerTo(
      gateway,
      requestBytes(method, '/mcp', [HOST, session, session, ['accept', 'text/event-stream']]),
    );

    expect([answer.status, answer.json]).toMatchObject([400, refusal('invalid_request')]);
  },
);

test.each([
  [
    'a call',
    'POST',
    '/mcp',
    JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'count' } }),
  ],
  ['a probe', 'GET', '/healthz', ''],
])(
  '%s has its answer, whatever stands behind it; then the connection is closed [T11]',
  async (_what, method, path, body) => {
    const { gateway, upstream } = await gatewayBefore();
    const client = await gateway.connect();
    const length: [string, string][] = body === '' ? [] : [['content-length', String(body.length)]];

    client.write(
      `${requestBytes(method, path, [...JSON_PAIRS, ['host', 'localhost'], ...length], body)}garbage garbage\r\n\r\n`,
    );
    const text = await client.closed;

    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200']);
    expect(text).toContain(body === '' ? '"ok"' : '"id":7');
    expect(gateway.journal.facts).toContainEqual(expect.objectContaining({ fact: 'refused', status: 400 }));
    expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(
      body === '' ? 0 : 1,
    );
  },
);

test('CONNECT is 405, and no tunnel [T26]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const client = await gateway.connect();

  client.write(requestBytes('CONNECT', upstream.url.host, [['host', upstream.url.host]]));

  expect(await client.closed).toMatch(/^HTTP\/1\.1 405 /);
});

test('/healthz and /readyz say that it lives and whether the upstream can be used, and nothing more', async () => {
  const { gateway } = await gatewayBefore();
  await gateway.journal.until(({ fact }) => fact === 'upstream_up');

  const answers = await Promise.all([gateway.send('GET', '/healthz'), gateway.send('GET', '/readyz/')]);

  expect(answers.map(({ status, text }) => [status, text])).toEqual([
    [200, '{"status":"ok"}'],
    [200, '{"status":"ok"}'],
  ]);
});

const FOREIGN_ORIGINS = ['http://evil.example', 'null', '', 'http://localhost.evil.example', 'http://127.0.0.1@evil'];
const ROUTES = [
  ['POST', '/mcp'],
  ['DELETE', '/mcp'],
  ['GET', '/mcp'],
  ['GET', '/healthz'],
  ['GET', '/readyz'],
  ['GET', '/nowhere'],
  ['POST', '/%zz'],
] as const;

test.each(ROUTES)('a page from elsewhere gets 403 on %s %s [A1 T4 T23]', async (method, path) => {
  const { gateway } = await gatewayBefore();

  for (const origin of FOREIGN_ORIGINS) {
    const headers = [HOST, ['origin', origin] as const, ...(method === 'POST' ? [LENGTH, ...JSON_PAIRS] : [])];
    const answer = await answerTo(gateway, requestBytes(method, path, headers, method === 'POST' ? CALL : ''));

    expect([origin, answer.status, answer.json]).toMatchObject([origin, 403, refusal('origin_refused')]);
    expect(answer.json.error.message).toContain('allowedOrigins');
  }
});

test('pages of loopback names may call, and others that are configured [A1]', async () => {
  const { gateway } = await gatewayBefore();
  const { gateway: configured } = await gatewayBefore({}, { allowedOrigins: ['https://app.example'] });

  for (const origin of ['http://localhost:5173', 'https://127.0.0.1', 'http://[::1]:80']) {
    expect((await gateway.post(CALL, { origin })).status).toBe(200);
    expect((await configured.post(CALL, { origin })).status).toBe(403);
  }
  expect((await configured.post(CALL, { origin: 'https://APP.example' })).status).toBe(200);
});

test('on a public address a page whose Host and Origin agree is refused: its name may be rebound [T4]', async () => {
  const { gateway } = await gatewayBefore({}, { host: '0.0.0.0' });
  const host = ['host', 'evil.example:8080'] as const;
  const page = ['origin', 'http://evil.example:8080'] as const;

  const asPage = await answerTo(gateway, requestBytes('POST', '/mcp', [host, page, LENGTH, ...JSON_PAIRS], CALL));
  const asProgram = await answerTo(gateway, requestBytes('POST', '/mcp', [host, LENGTH, ...JSON_PAIRS], CALL));

  expect([asPage.status, asPage.json]).toMatchObject([403, refusal('origin_refused')]);
  expect(asProgram.status).toBe(200);
});

test.each([
  'evil.example',
  'localhost.evil.example',
  'localhost.',
  '127.0.0.1.evil',
  '127.0.0.2',
  '0.0.0.0',
  '[::2]',
  '[::ffff:127.0.0.1]',
  'localhost@evil',
])('Host “%s” is refused on /mcp and unknown paths, not on health checks [T4]', async (host) => {
  const { gateway } = await gatewayBefore();
  const headers = [['host', host] as const, LENGTH, ...JSON_PAIRS];

  const answers = [
    await answerTo(gateway, requestBytes('POST', '/mcp', headers, CALL)),
    await answerTo(gateway, requestBytes('GET', '/nowhere', [['host', host]])),
    await answerTo(gateway, requestBytes('GET', '/mcp', [['host', host]])),
  ];

  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
  expect(answers[0]?.json).toMatchObject(refusal('host_refused'));
  expect(answers[0]?.json.error.message).toContain('allowedHosts');
  const client = await gateway.connect();
  client.write(requestBytes('GET', '/healthz', [['host', host]]));
  expect(replyIn(await client.until('"ok"'))).toMatchObject({ status: 200 });
  client.leave();
});

test.each([
  ['two Host headers', 'POST', '/mcp', [HOST, HOST]],
  ['two different Host headers', 'POST', '/mcp', [HOST, ['host', 'evil.example']]],
  ['an empty Host', 'POST', '/mcp', [['host', '']]],
  ['an absolute target with another authority', 'POST', 'http://evil.example/mcp', [HOST]],
  ['an absolute target with a user', 'POST', 'http://x@localhost/mcp', [HOST]],
] as const)('%s: 400 [T4]', async (_, method, target, hosts) => {
  const { gateway, upstream } = await gatewayBefore();

  const answer = await answerTo(gateway, requestBytes(method, target, [...hosts, LENGTH, ...JSON_PAIRS], CALL));

  expect([answer.status, answer.json]).toMatchObject([400, refusal('host_invalid')]);
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toEqual([]);
});

test('two session ids are refused, not joined or chosen from', async () => {
  const { gateway } = await gatewayBefore();
  const session = ['mcp-session-id', await gateway.openSession()] as const;

  const answer = await answerTo(
    gateway,
    requestBytes('POST', '/mcp', [HOST, LENGTH, session, session, ...JSON_PAIRS], CALL),
  );

  expect([answer.status, answer.json]).toMatchObject([400, refusal('invalid_request')]);
});

test('headers over 16 KiB are 431, as JSON-RPC [A8 T22]', async () => {
  const { gateway } = await gatewayBefore();
  const client = await gateway.connect();

  client.write(requestBytes('POST', '/mcp', [HOST, LENGTH, ['x-big', 'x'.repeat(17_000)], ...JSON_PAIRS], CALL));

  const { status, json } = replyIn(await client.closed);
  expect([status, json]).toMatchObject([431, refusal('headers_too_large')]);
});

test.each([
  ['declared', [['content-length', '1000000']], ''],
  ['sent in chunks', [['transfer-encoding', 'chunked']], `${(4096).toString(16)}\r\n${' '.repeat(4096)}\r\n`],
] as const)('a body over limits.bodyBytes is 413 as soon as it is known: %s [A8 T18]', async (_, framing, body) => {
  const { gateway } = await gatewayBefore({}, { limits: { bodyBytes: '1KiB' } });

  const answer = await answerTo(gateway, requestBytes('POST', '/mcp', [HOST, ...framing, ...JSON_PAIRS], body));

  expect([answer.status, answer.json]).toMatchObject([413, refusal('body_too_large')]);
  expect(answer.json.error.message).toContain('limits.bodyBytes');
});

test.each([
  ['a body', requestBytes('POST', '/mcp', [HOST, LENGTH, ...JSON_PAIRS], CALL.slice(0, 10))],
  ['headers', 'POST /mcp HTTP/1.1\r\nHost: localh'],
])('a client that never ends %s gets 408 as JSON-RPC and is closed [A8 T17]', async (_, bytes) => {
  const { gateway } = await gatewayBefore({}, { timeouts: { clientBody: '500ms', clientHeaders: '400ms' } });
  const client = await gateway.connect();

  const startedAt = performance.now();
  client.write(bytes);
  const { status, json } = replyIn(await client.closed);

  expect(performance.now() - startedAt).toBeLessThan(2500);
  expect([status, json]).toMatchObject([408, { error: { code: -32600, data: { reason: expect.any(String) } } }]);
  expect(json.error.message).toContain('timeouts.client');
});

test.each([
  ['no HTTP at all', 'hello\r\n\r\n'],
  [
    'Content-Length and Transfer-Encoding',
    requestBytes('POST', '/mcp', [HOST, LENGTH, ['transfer-encoding', 'chunked']], '0\r\n\r\n'),
  ],
  ['two Content-Lengths', requestBytes('POST', '/mcp', [HOST, LENGTH, ['content-length', '1']], CALL)],
  ['no Host', requestBytes('POST', '/mcp', [LENGTH, ...JSON_PAIRS], CALL)],
])('%s: 400 and the connection is closed [T11]', async (_, bytes) => {
  const { gateway, upstream } = await gatewayBefore();
  const client = await gateway.connect();

  client.write(bytes);

  expect(replyIn(await client.until('\r\n\r\n')).status).toBe(400);
  await client.closed;
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toEqual([]);
});
