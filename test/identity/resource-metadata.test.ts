// The metadata document of a server that takes callers' tokens, as that of the URL which they dial.

import { once } from 'node:events';
import { type RequestListener, createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { type Gateway, type GatewayConfig, startGateway } from '../support/gateway.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const OURS = '/.well-known/oauth-protected-resource';
const DOCUMENT = { resource: 'http://old.internal:9001/sse', authorization_servers: ['https://as.example/tenant'] };
const FORWARD: GatewayConfig = {
  publicUrl: 'https://mcp.example.com',
  upstream: { path: '/billing', outbound: { forward: ['authorization'] }, headers: { 'x-ours': 'planted-ours' } },
};

type Documents = Readonly<Record<string, RequestListener>>;

const json = (body: string, type = 'application/json'): RequestListener => {
  return (_request, response) => void response.writeHead(200, { 'content-type': type }).end(body);
};
const status = (code: number, headers: Record<string, string> = {}): RequestListener => {
  return (_request, response) => void response.writeHead(code, headers).end('{}');
};
const own: RequestListener = json(JSON.stringify({ ...DOCUMENT, scopes_supported: ['a'] }));

async function world(documents: Documents, config: GatewayConfig = FORWARD, time?: VirtualTime) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.url} ${JSON.stringify(request.headers)}`);
    (documents[request.url ?? ''] ?? status(404))(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const gateway = await startGateway(`http://127.0.0.1:${port}/v1/sse?token=planted-query`, config, time);
  onTestFinished(() => gateway.close());
  return { gateway, seen, server };
}

const ask = (gateway: Gateway, path = '/billing') =>
  gateway.send('GET', OURS + path, { authorization: 'Bearer planted-caller', cookie: 'planted=1' });

test.each<[what: string, documents: Documents]>([
  ['at the path of its event stream', { [`${OURS}/v1/sse`]: own, [OURS]: status(500) }],
  ['at its root', { [OURS]: own }],
])(
  'the document that the server has %s is told with our resource, and its own authorization servers',
  async (_what, documents) => {
    const { gateway, seen } = await world(documents);

    const [answer, old] = await Promise.all([ask(gateway), ask(gateway, '/sse')]);

    const told = { authorization_servers: DOCUMENT.authorization_servers, scopes_supported: ['a'] };
    expect([answer.status, answer.json]).toEqual([200, { resource: 'https://mcp.example.com/billing', ...told }]);
    expect([old.status, old.json]).toEqual([200, { resource: 'https://mcp.example.com/sse', ...told }]);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    // Whoever asks at the same time waits for the same one; and nobody's credential goes with it.
    expect(seen.length).toBeLessThan(3);
    expect(seen.join()).not.toContain('planted');
  },
);

test('of a URL with a path of its own it stands below that path', async () => {
  const { gateway } = await world({ [OURS]: own }, { ...FORWARD, publicUrl: 'https://mcp.example.com/gw/' });

  const answer = await ask(gateway, '/gw/billing');

  expect([answer.status, answer.json.resource]).toEqual([200, 'https://mcp.example.com/gw/billing']);
});

test.each<[what: string, document: RequestListener, keptMs: number, code: number, requests: number]>([
  ['a document', own, 30_000, 200, 1],
  ['that there is none', status(404), 30_000, 404, 2],
  ['that it cannot be had', (request) => void request.socket.destroy(), 5000, 502, 1],
])(
  '%s is good for a while: who asks again and again asks us, and not the server',
  async (_what, document, keptMs, code, requests) => {
    const time = new VirtualTime();
    const { gateway, seen } = await world({ [`${OURS}/v1/sse`]: document }, FORWARD, time);
    const askOften = async (): Promise<number[]> => {
      const statuses: number[] = [];
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      for (let i = 0; i < 5; i++) statuses.push((await ask(gateway)).status);
      return statuses;
    };

    const first = await askOften();
    time.advanceSync(keptMs - 1);
    const still = await askOften();
    const before = seen.length;
    time.advanceSync(1);
    const later = await askOften();

    expect([first, still, later].flat()).toEqual(Array.from({ length: 15 }, () => code));
    expect([before, seen.length]).toEqual([requests, 2 * requests]);
  },
);

const elsewhere = { location: 'http://127.0.0.1:1/' };

test.each<[what: string, document: RequestListener, code: number, reason: string]>([
  ['no document', status(404), 404, 'path_unknown'],
  ['a redirect', status(307, elsewhere), 404, 'path_unknown'],
  ['a redirect for good', status(301, elsewhere), 404, 'path_unknown'],
  ['a page', json('<html>', 'text/html'), 404, 'path_unknown'],
  ['a document that is none', json('[]'), 502, 'upstream_result_invalid'],
  ['one that is cut off', json('{"resource":'), 502, 'upstream_result_invalid'],
  ['one of 65 KiB', json(`{"resource":"${'x'.repeat(65 * 1024)}"}`), 502, 'upstream_result_invalid'],
  ['none that comes', () => {}, 504, 'upstream_headers_timeout'],
  [
    'one that does not end',
    (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{'),
    504,
    'upstream_headers_timeout',
  ],
  ['a connection that breaks', (request) => void request.socket.destroy(), 502, 'upstream_unreachable'],
])('of a server with %s: %#', async (_what, document, code, reason) => {
  const slow = { timeouts: { headers: '150ms' } };
  const { gateway } = await world({ [OURS]: document }, { ...FORWARD, ...(code === 504 && slow) });

  const answer = await ask(gateway);

  expect([answer.status, answer.json.error.data.reason]).toEqual([code, reason]);
  expect(answer.text).not.toMatch(/127\.0\.0\.1|planted/);
});

test.each<[what: string, config: GatewayConfig]>([
  ['without publicUrl', { upstream: { ...FORWARD.upstream } }],
  [
    'for a header that no authorization server gives',
    { ...FORWARD, upstream: { path: '/billing', outbound: { forward: ['x-key'] } } },
  ],
  ['where nothing is forwarded', { ...FORWARD, upstream: { path: '/billing' } }],
])('there is none %s', async (_what, config) => {
  const { gateway, seen } = await world({ [OURS]: own }, { ...config, links: { min: 0 } });

  expect((await ask(gateway)).status).toBe(404);
  expect(seen).toEqual([]);
});

test('only GET and HEAD are served there; the guards stand before it; and what a reload says of publicUrl goes at once', async () => {
  const { gateway } = await world({ [OURS]: own });

  const posted = await gateway.send('POST', `${OURS}/billing`, { 'content-type': 'application/json' }, '{}');
  const foreign = await gateway.send('GET', `${OURS}/billing`, { origin: 'https://evil.example' });
  await gateway.reload({ ...FORWARD, publicUrl: 'https://other.example' });
  const moved = await ask(gateway);

  expect([posted.status, posted.headers['allow'], foreign.status]).toEqual([405, 'GET, HEAD', 403]);
  expect(moved.json.resource).toBe('https://other.example/billing');
});
