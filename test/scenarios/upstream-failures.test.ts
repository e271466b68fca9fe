// Every way in which an upstream can fail to be opened: whose fault it is, said by 502, 503 or 504, and never by a 4xx,
// which would send clients looking for another transport.

import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { startAttacker } from '../support/attacker.ts';
import { type Gateway, type GatewayConfig, gatewayBefore, startGateway } from '../support/gateway.ts';
import { type Behaviour, NO_ANSWER, RpcError, endpoints } from '../support/legacy-behaviour.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const SOON: GatewayConfig = {
  timeouts: { connect: '300ms', headers: '300ms', endpoint: '200ms', initialize: '200ms' },
};
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 'open',
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

async function failsWith(gateway: Gateway, status: number, reason: string): Promise<void> {
  const startedAt = performance.now();
  const [called, opened] = await Promise.all([gateway.call('add', {}, 7), gateway.post(INITIALIZE)]);
  const ready = await gateway.send('GET', '/readyz');

  expect(performance.now() - startedAt).toBeLessThan(2000);
  for (const [answer, id] of [
    [called, 7],
    [opened, 'open'],
  ] as const) {
    expect([answer.status, answer.json]).toMatchObject([
      status,
      { jsonrpc: '2.0', id, error: { code: -32603, data: { reason, upstream: 'default' } } },
    ]);
    expect(answer.json.error.data.outcome).not.toBe('unknown');
    // Some clients look for these digits in error texts, and go elsewhere.
    expect(answer.text).not.toMatch(/40[45]/);
    expect(answer.headers['mcp-session-id']).toBeUndefined();
  }
  expect([ready.status, ready.text]).toEqual([503, '{"status":"upstream unavailable"}']);
  expect(gateway.journal.of('upstream_down')[0]).toMatchObject({ reason, remedy: expect.stringMatching(/./) });
  expect(gateway.app.registry.size).toBe(0);
}

test('nobody listens: 502', async () => {
  const { port, server } = await startAttacker();
  server.close();
  await once(server, 'close');
  const gateway = await startGateway(`http://127.0.0.1:${port}/sse`, SOON);
  onTestFinished(() => gateway.close());

  await failsWith(gateway, 502, 'upstream_unreachable');
});

test('TLS to a port that does not speak it: 502', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const gateway = await startGateway(upstream.url.href.replace('http:', 'https:'), SOON);
  onTestFinished(() => gateway.close());

  await failsWith(gateway, 502, 'upstream_tls');
});

test('a port that accepts and says nothing: 504 within timeouts.headers', async () => {
  const { port } = await startAttacker();
  const gateway = await startGateway(`http://127.0.0.1:${port}/sse`, SOON);
  onTestFinished(() => gateway.close());

  await failsWith(gateway, 504, 'upstream_headers_timeout');
});

const EVENT_STREAM = { 'content-type': 'text/event-stream' };
const oversized = { jsonrpc: '2.0', method: 'notifications/x', params: { text: 'x'.repeat(5000) } };

test.each<readonly [what: string, status: number, reason: string, behaviour: Partial<Behaviour>]>([
  ['401', 502, 'upstream_unauthorized', { get: { status: 401, headers: { 'www-authenticate': 'Bearer' } } }],
  ['403', 502, 'upstream_unauthorized', { get: { status: 403 } }],
  ['404', 502, 'upstream_not_found', { get: { status: 404, body: 'Not Found' } }],
  ['410', 502, 'upstream_not_found', { get: { status: 410 } }],
  ['400', 502, 'upstream_not_legacy', { get: { status: 400 } }],
  ['405', 502, 'upstream_not_legacy', { get: { status: 405, body: 'Method Not Allowed' } }],
  ['406', 502, 'upstream_not_legacy', { get: { status: 406 } }],
  ['429', 502, 'upstream_bad_status', { get: { status: 429 } }],
  ['500', 502, 'upstream_bad_status', { get: { status: 500, body: 'secret stack' } }],
  ['503', 502, 'upstream_bad_status', { get: { status: 503 } }],
  ['204', 502, 'upstream_bad_status', { get: { status: 204 } }],
  ['a redirect', 502, 'upstream_redirect', { get: { status: 307, headers: { location: '/sse2' } } }],
  ['HTML', 502, 'upstream_not_event_stream', { get: { status: 200, headers: { 'content-type': 'text/html' } } }],
  ['no content type', 502, 'upstream_not_event_stream', { get: { status: 200, headers: { 'content-type': '' } } }],
  ['JSON', 502, 'upstream_not_event_stream', { get: { status: 200, headers: { 'content-type': 'application/json' } } }],
  [
    'gzip',
    502,
    'upstream_not_event_stream',
    { get: { status: 200, headers: { ...EVENT_STREAM, 'content-encoding': 'gzip' } } },
  ],
  ['no headers', 504, 'upstream_headers_timeout', { get: { until: new Promise(() => {}) } }],
  ['a stream without an endpoint event', 504, 'endpoint_missing', { endpoint: endpoints.missing }],
  ['a stream that ends before it begins', 502, 'initialize_failed', { endpoint: endpoints.missing, get: 'closes' }],
  ['a stream that ends after its endpoint event', 502, 'initialize_failed', { get: 'closes' }],
  [
    'initialize answered with an error',
    502,
    'initialize_failed',
    { methods: { initialize: () => Promise.reject(new RpcError(-32602, 'no: 404')) } },
  ],
  [
    'initialize answered with no object',
    502,
    'initialize_failed',
    { methods: { initialize: () => Buffer.from('null') } },
  ],
  ['initialize refused with 404', 502, 'initialize_failed', { post: { status: 404 } }],
  ['initialize refused with 400', 502, 'initialize_failed', { post: { status: 400, body: 'Unsupported' } }],
  ['initialize refused with 500', 502, 'initialize_failed', { post: { status: 500 } }],
  ['initialize redirected', 502, 'initialize_failed', { post: { status: 307, headers: { location: '/' } } }],
  ['initialize accepted and never answered', 504, 'initialize_timeout', { methods: { initialize: () => NO_ANSWER } }],
  [
    'a POST that is never answered, nor initialize',
    504,
    'initialize_timeout',
    { methods: { initialize: () => NO_ANSWER }, post: 'silent' },
  ],
  ['an unknown revision', 502, 'upstream_version', { protocolVersion: '2099-01-01' }],
  ['no revision', 502, 'upstream_version', { methods: { initialize: () => ({ capabilities: {} }) } }],
  ['a message over the limit', 502, 'upstream_message_too_large', { greeting: [oversized] }],
])('%s: %i, %s [A11 G4 G22 G24]', async (_, status, reason, behaviour) => {
  const { gateway } = await gatewayBefore(behaviour, { ...SOON, limits: { upstreamMessageBytes: '4KiB' } });

  await failsWith(gateway, status, reason);
});

test('a redirect to another origin is not followed [G22 T3]', async () => {
  const elsewhere = await startAttacker();
  const location = `http://127.0.0.1:${elsewhere.port}/sse`;
  const { gateway } = await gatewayBefore({ get: { status: 302, headers: { location } } }, SOON);

  await failsWith(gateway, 502, 'upstream_redirect');

  expect(elsewhere.visits()).toBe(0);
});

test('another origin that is allowed gets the messages', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const name = `http://localhost:${upstream.url.port}`;
  upstream.behaviour.endpoint = endpoints.otherOrigin(name);
  const gateway = await startGateway(upstream.url, { ...SOON, upstream: { allowEndpointOrigins: [name] } });
  onTestFinished(() => gateway.close());

  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
});

test('the gateway starts while the upstream is down, and recovers by itself when it comes up', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  await upstream.stop();
  const gateway = await startGateway(upstream.url, { ...SOON, reconnect: { min: '10ms', max: '20ms' } });
  onTestFinished(() => gateway.close());
  await gateway.journal.until(({ fact }) => fact === 'upstream_down');
  const before = [await gateway.send('GET', '/readyz'), await gateway.send('GET', '/healthz')];

  await upstream.start();
  await gateway.journal.until(({ fact }) => fact === 'upstream_up');

  expect(before.map(({ status }) => status)).toEqual([503, 200]);
  expect((await gateway.send('GET', '/readyz')).status).toBe(200);
  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  expect(gateway.journal.of('upstream_down')).toHaveLength(1);
});

test('informational responses before the real one mean nothing', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const hinting = createServer((near) => {
    const far = connect(Number(upstream.url.port), '127.0.0.1');
    near.pipe(far);
    far.once('data', (bytes) => {
      near.write('HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n');
      near.write(bytes);
      far.pipe(near);
    });
    for (const socket of [near, far]) socket.on('error', () => {});
  });
  hinting.listen(0, '127.0.0.1');
  await once(hinting, 'listening');
  onTestFinished(() => void hinting.close());
  const address = hinting.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const gateway = await startGateway(`http://127.0.0.1:${port}/sse`, SOON);
  onTestFinished(() => gateway.close());

  expect((await gateway.call('count')).json.result?.content[0].text).toBe('1');
});
