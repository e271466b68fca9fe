// What stands in front of the gateway, or pretends to: forwarded addresses, hop-by-hop headers, upgrades, tunnels and
// methods that are said to be others.

import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from 'vitest';
import {
  type Gateway,
  type GatewayConfig,
  JSON_HEADERS,
  gatewayBefore,
  replyIn,
  requestBytes,
} from '../support/gateway.ts';
import { openOldClient } from '../support/old-client.ts';

const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}';
const JSON_PAIRS = Object.entries({ host: 'localhost', ...JSON_HEADERS, 'content-length': String(CALL.length) });
const FORWARDED = {
  forwarded: 'for=192.0.2.60;proto=https;host=evil.example',
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-host': 'evil.example',
  'x-forwarded-proto': 'https',
  'x-forwarded-port': '443',
  'x-forwarded-prefix': '/evil',
  'x-real-ip': '203.0.113.8',
  'x-original-url': '/nowhere',
  'x-rewrite-url': '/nowhere',
  'x-host': 'evil.example',
};
const HOP_BY_HOP = {
  'keep-alive': 'timeout=5',
  te: 'trailers',
  trailer: 'x-late',
  upgrade: 'h2c',
  'http2-settings': 'AAMAAABkAAQAAP__',
  'proxy-authorization': 'Basic eDp5',
  'proxy-connection': 'keep-alive',
  'x-listed': 'for the next hop alone',
};
const LISTED = ['connection', 'Upgrade, HTTP2-Settings, TE, X-Listed, Mcp-Session-Id, Content-Type'] as const;

type Pairs = readonly (readonly [string, string])[];

/** What is answered on a connection of its own. */
async function answerTo(gateway: Gateway, method: string, target: string, headers: Pairs, body = CALL) {
  const client = await gateway.connect();
  client.write(requestBytes(method, target, headers, body));
  const text = await client.until('}}');
  client.leave();
  return { ...replyIn(text), text };
}

describe('what proxies say of a client', () => {
  const cases: readonly [who: string, trustedProxies: string[], forwarded: string, client: string][] = [
    ['nobody is believed without being listed', [], '203.0.113.7', '127.0.0.1'],
    ['another proxy is', ['10.0.0.0/8'], '203.0.113.7', '127.0.0.1'],
    ['a listed one is believed', ['127.0.0.1'], '203.0.113.7', '203.0.113.7'],
    ['and so is a range', ['127.0.0.0/8', '::1'], '2001:db8::7', '2001:db8::7'],
    ['not what it was told by somebody else', ['127.0.0.1'], '192.0.2.1, 203.0.113.7', '203.0.113.7'],
    [
      'but through a chain of listed ones',
      ['127.0.0.1', '10.0.0.0/8'],
      '192.0.2.1, 203.0.113.7, 10.1.2.3',
      '203.0.113.7',
    ],
    ['and never what is no address', ['127.0.0.1'], 'secret', '127.0.0.1'],
  ];

  test.each(cases)('%s: in log lines alone [T13]', async (_, trustedProxies, forwarded, client) => {
    const { gateway } = await gatewayBefore({}, { trustedProxies });
    const headers = { ...FORWARDED, 'x-forwarded-for': forwarded };

    await gateway.post(CALL, headers);
    await gateway.send('GET', '/nowhere', headers);

    expect(gateway.journal.of('exchange')).toMatchObject([{ client }]);
    expect(gateway.journal.of('refused')).toMatchObject([{ client }]);
  });

  test.each<[string, GatewayConfig]>([
    ['from anybody', {}],
    ['from a trusted proxy', { trustedProxies: ['127.0.0.1'] }],
  ])('changes no answer, and none of it crosses: %s [T13]', async (_, config) => {
    const { gateway, upstream } = await gatewayBefore({}, config);
    const bare = await gateway.post(CALL);

    const told = await gateway.post(CALL, FORWARDED);
    const session = await gateway.openSession();
    await gateway.post(CALL, { ...FORWARDED, 'mcp-session-id': session });
    const old = await openOldClient(gateway.origin, { headers: FORWARDED });
    await old.post(JSON.parse(CALL), FORWARDED);

    expect([told.status, told.text]).toEqual([bare.status, bare.text]);
    expect(await old.endpoint()).toMatch(/^\/messages\?token=/);
    expectNone(upstream, Object.keys(FORWARDED));
  });

  test('opens no guard: a foreign Host is foreign whatever a trusted proxy says beside it [T4 T13]', async () => {
    const { gateway } = await gatewayBefore({}, { trustedProxies: ['127.0.0.1'] });

    const { status } = await gateway.post(CALL, {
      ...FORWARDED,
      'x-forwarded-host': 'localhost',
      host: 'evil.example',
    });

    expect(status).toBe(403);
  });
});

describe('headers for one hop', () => {
  test('end here, and a request that has them is served as any other [T12]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const session = ['mcp-session-id', await gateway.openSession()] as const;
    const pairs = [...JSON_PAIRS, ...Object.entries(HOP_BY_HOP), LISTED];

    const alone = await answerTo(gateway, 'POST', '/mcp', pairs);
    // Listed in Connection it is what it is all the same.
    const inSession = await answerTo(gateway, 'POST', '/mcp', [...pairs, session]);

    for (const { status, json, head } of [alone, inSession]) {
      expect([status, json.id, json.result.content[0].text]).toEqual([200, 7, '3']);
      expect(head).not.toMatch(/^(?:upgrade|te|trailer|proxy-|x-listed|http2)/im);
    }
    expect(gateway.journal.of('exchange').map(({ mode }) => mode)).toEqual(['session', 'sessionless', 'session']);
    expectNone(upstream, Object.keys(HOP_BY_HOP));
  });

  test('do not come back either from behind an old client’s stream and messages [T12]', async () => {
    const hop = { ...HOP_BY_HOP, connection: 'close, X-Listed', 'proxy-authenticate': 'Basic' };
    const { 'http2-settings': _, te: _te, ...headers } = hop;
    const { gateway } = await gatewayBefore({ post: { status: 400, body: 'no', headers } });
    const old = await openOldClient(gateway.origin, {});

    const posted = await old.post(JSON.parse(CALL));

    expect([posted.status, posted.body.toString()]).toEqual([400, 'no']);
    for (const name of ['trailer', 'upgrade', 'proxy-authorization', 'proxy-authenticate', 'x-listed']) {
      expect(posted.headers).not.toHaveProperty(name);
    }
    expect(posted.headers['keep-alive']).not.toBe('timeout=5');
  });

  test('an Expect that nobody knows is ignored; one that is known is served [T12]', async () => {
    const { gateway } = await gatewayBefore();

    const strange = await answerTo(gateway, 'POST', '/mcp', [...JSON_PAIRS, ['expect', '200-ok']]);
    const known = await answerTo(gateway, 'POST', '/mcp', [...JSON_PAIRS, ['expect', '100-continue']]);
    const foreign = await answerTo(gateway, 'POST', '/mcp', [
      ...JSON_PAIRS,
      ['expect', 'x'],
      ['origin', 'http://evil'],
    ]);

    expect([strange.status, known.status, foreign.status]).toEqual([200, 200, 403]);
    expect(known.text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
  });
});

describe('a method, a tunnel or a protocol that is another one', () => {
  test.each([
    ['h2c', '/mcp'],
    ['websocket', '/mcp'],
    ['websocket', '/sse'],
    ['websocket', '/healthz'],
    ['TLS/1.0', '/mcp'],
  ])('an upgrade to %s at %s does not come about [T26]', async (protocol, path) => {
    const { gateway } = await gatewayBefore();
    const client = await gateway.connect();
    const key = ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='] as const;
    const version = ['sec-websocket-version', '13'] as const;
    const headers = [['host', 'localhost'] as const, ['connection', 'Upgrade'] as const, key, version];

    client.write(requestBytes('GET', path, [...headers, ['upgrade', protocol]]));
    const { status, head } = replyIn(await client.until('\r\n\r\n'));
    client.leave();

    expect(status).toBe({ '/mcp': 405, '/sse': 200, '/healthz': 200 }[path]);
    expect(head).not.toMatch(/^upgrade:/im);
  });

  test.each([
    ['x-http-method-override', 'DELETE'],
    ['x-http-method', 'DELETE'],
    ['x-method-override', 'DELETE'],
  ])('%s overrides nothing: the session is still there [T26]', async (name, method) => {
    const { gateway } = await gatewayBefore();
    const session = await gateway.openSession();

    const answer = await gateway.post(CALL, { 'mcp-session-id': session, [name]: method });
    const byQuery = await gateway.send(
      'POST',
      `/mcp?_method=${method}`,
      { ...JSON_HEADERS, 'mcp-session-id': session },
      CALL,
    );

    expect([answer, byQuery].map(({ json }) => json.result.content[0].text)).toEqual(['3', '3']);
  });

  test.each([
    ['TRACE', '/mcp', 405],
    ['TRACE', '/sse', 405],
    ['TRACE', '/nowhere', 404],
    ['CONNECT', 'localhost:80', 405],
    ['CONNECT', '/mcp', 405],
    ['PURGE', '/mcp', 405],
    ['SOURCE', '/mcp', 405],
    ['PRI', '*', 400],
    ['post', '/mcp', 400],
    ['JEFF', '/mcp', 400],
    ['OPTIONS', '*', 404],
  ])('%s %s is %d, and nothing of the request comes back [T26]', async (method, target, expected) => {
    const { gateway, upstream } = await gatewayBefore();
    const secret = ['authorization', 'Bearer s3cret'] as const;
    const host = ['host', method === 'CONNECT' ? 'localhost:80' : 'localhost'] as const;

    const { status, text } = await answerTo(gateway, method, target, [host, secret], '');

    expect(status).toBe(expected);
    expect(text).not.toContain('s3cret');
    expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toEqual([]);
  });
});

// As one sends them that wants to get past a rule of somebody in front, or to another upstream.
const PATHS = [
  '/billing/..;/admin',
  '/billing/../admin',
  '/billing/./../admin',
  '/billing/%2e%2e/admin',
  '/billing/%2E%2E%2Fadmin',
  '/billing/%252e%252e/admin',
  '/billing%2f..%2fadmin',
  '/billing/..%5cadmin',
  '/billing\\..\\admin',
  '/billing/..%00/admin',
  '//admin',
  '/./admin',
  '/%2fadmin',
  '/admin%2f',
  '/admin%00',
  '/admin%20',
  '/admin;x=1',
  '/admin/;/',
  '/admin//',
  '/admin/.',
  '/Admin',
  '/ADMIN',
  '/admin.json',
  '/admin%c0%af',
  '/%zz',
  '/admin%',
  '/adm%u0069n',
  '/ａdmin',
  'admin',
  '\\admin',
];

test.each(PATHS)('%s is neither the upstream at /admin nor the one at /billing [T25]', async (path) => {
  const { gateway, upstream } = await gatewayBefore(
    {},
    { upstream: { path: '/billing', name: 'billing' }, others: [] },
  );
  await gateway.reload({
    upstream: { path: '/billing', name: 'billing' },
    others: [{ name: 'admin', path: '/admin', url: upstream.url.href }],
  });

  const { status } = await answerTo(gateway, 'POST', path, JSON_PAIRS);

  expect([400, 404]).toContain(status);
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toEqual([]);
});

interface Seen {
  readonly gets: readonly { readonly headers: IncomingHttpHeaders }[];
  readonly received: readonly { readonly headers: IncomingHttpHeaders }[];
}

/** Of these nothing has reached the upstream, but for the framing that its own connections have. */
function expectNone({ gets, received }: Seen, names: readonly string[]): void {
  const all = [...gets, ...received];
  expect(all.length).toBeGreaterThan(2);
  for (const { headers } of all) {
    for (const name of names) expect(headers).not.toHaveProperty(name);
    expect(headers.connection?.toLowerCase()).toMatch(/^(?:keep-alive|close)$/);
  }
}
