// Requests to the built program that HTTP has another meaning for than they seem to have.

import { expect } from 'vitest';
import { startAttacker } from '../support/attacker.ts';
import { type GatewayClient, JSON_HEADERS, replyIn, requestBytes } from '../support/gateway.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { openOldClient } from '../support/old-client.ts';
import { PAYLOADS, fateOf, faultIn } from '../support/smuggling.ts';
import { inFrontOf } from './built.ts';

const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}';
const JSON_PAIRS = [
  ['host', 'localhost'],
  ...Object.entries(JSON_HEADERS),
  ['content-length', String(CALL.length)],
] as const;
const HOP_BY_HOP = {
  'keep-alive': 'timeout=5',
  te: 'trailers',
  trailer: 'x-late',
  upgrade: 'h2c',
  'http2-settings': 'AAMAAABkAAQAAP__',
  'proxy-authorization': 'Basic eDp5',
  'x-listed': 'for the next hop alone',
};
const FORWARDED = {
  forwarded: 'for=203.0.113.7;host=evil.example;proto=https',
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-host': 'localhost',
  'x-forwarded-proto': 'https',
  'x-real-ip': '203.0.113.8',
  'x-original-url': '/billing',
  'x-rewrite-url': '/billing',
};

const test = inFrontOf({
  upstreams: { main: { config: { legacy: { sse: '/sse', messages: '/messages' } } }, billing: {} },
  config: { timeouts: { clientHeaders: '500ms', clientBody: '500ms' } },
});

type Pairs = readonly (readonly [string, string])[];

async function answerTo(client: GatewayClient, method: string, target: string, headers: Pairs, body = CALL) {
  const raw = await client.connect();
  raw.write(requestBytes(method, target, headers, body));
  const said = await raw.until('}}');
  raw.leave();
  return { ...replyIn(said), said };
}

/** Of these nothing has crossed, but for the framing that the upstream's own connections have. */
function expectNone({ gets, received }: LegacyServer, names: readonly string[]): void {
  const crossed = [...gets, ...received].flatMap(({ headers }) => names.filter((name) => name in headers));
  expect(received.length).toBeGreaterThan(0);
  expect(crossed).toEqual([]);
}

test('what is hidden behind two lengths is read by nobody, and neither is what follows [T11]', async ({
  built,
  servers: { main },
}) => {
  const payloads = PAYLOADS.filter(({ name }) =>
    [
      'a length that covers the next request, and Transfer-Encoding: chunked',
      'Transfer-Encoding: chunked, and a length of less than a chunk',
    ].includes(name),
  );

  const fates = await Promise.all(payloads.map((payload, at) => fateOf(built.origin, main, payload, `smuggled${at}`)));

  expect(fates).toEqual([
    { calls: [], answers: ['400'], isClosed: true },
    { calls: [], answers: ['400'], isClosed: true },
  ]);
  expect(fates.map((fate) => faultIn(fate))).toEqual([null, null]);
  expect(main.received).toEqual([]);
  expect(await built.sum()).toBe('3');
});

test('headers for one hop end here, both ways, and what has them is served [T12]', async ({
  built,
  servers: { main },
}) => {
  const listed = ['connection', 'Upgrade, HTTP2-Settings, TE, X-Listed, Content-Type'] as const;
  // Node sends no Trailer with a GET.
  const { trailer: _, ...hops } = HOP_BY_HOP;
  const headers = { ...hops, connection: 'close, X-Listed' };
  const old = await openOldClient(built.origin, { headers });
  main.behaviour.post = ({ id }) =>
    id === 'back' ? { status: 400, headers: { trailer: 'x-late', upgrade: 'h2c', 'x-listed': 'back' } } : 'accepted';

  const called = await answerTo(built, 'POST', '/mcp', [...JSON_PAIRS, ...Object.entries(HOP_BY_HOP), listed]);
  const posted = await old.post({ jsonrpc: '2.0', id: 'back', method: 'ping' }, headers);

  expect([called.status, called.json]).toMatchObject([200, { id: 7, result: { content: [{ text: '3' }] } }]);
  expect(called.head).not.toMatch(/^(?:upgrade|te|trailer|proxy-|x-listed|http2)/im);
  expect(posted.status).toBe(400);
  for (const name of ['trailer', 'upgrade', 'x-listed']) expect(posted.headers).not.toHaveProperty(name);
  expectNone(main, Object.keys(HOP_BY_HOP));
  expect(await built.sum()).toBe('3');
});

test('what a client says of where it came from and where it goes decides nothing, and does not cross [T13]', async ({
  built,
  servers: { main, billing },
}) => {
  const bare = await built.post(CALL);

  const told = await built.post(CALL, FORWARDED);
  const rebound = await built.post(CALL, { ...FORWARDED, host: 'evil.example' });
  const old = await openOldClient(built.origin, { headers: FORWARDED });
  const endpoint = await old.endpoint();

  expect([told.status, told.text]).toEqual([bare.status, bare.text]);
  expect(rebound.status).toBe(403);
  expect(endpoint).toMatch(/^\/messages\?token=/);
  expectNone(main, Object.keys(FORWARDED));
  expect(billing.gets).toEqual([]);
  expect(built.program.stderr()).not.toContain('203.0.113');
  expect(await built.sum()).toBe('3');
});

test('no other spelling of a path leads to a server that a rule in front keeps closed [T25]', async ({
  built,
  servers: { main, billing },
}) => {
  const paths = [
    '/mcp/..;/billing',
    '/mcp/../billing',
    '/mcp/%2e%2e/billing',
    '/mcp/%252e%252e/billing',
    '/mcp%2f..%2fbilling',
    '/mcp/..\\billing',
    '//billing',
    '/BILLING',
    '/billing%00',
    '/billing;x=1',
    '/%62illing',
    '/billing#x',
  ];
  const reached = main.received.length;

  const answers = await Promise.all(paths.map((path) => answerTo(built, 'POST', path, JSON_PAIRS)));

  expect(answers.filter(({ status }) => status !== 404 && status !== 400)).toEqual([]);
  expect([billing.gets, main.received.slice(reached)]).toEqual([[], []]);
  expect((await built.at('/billing').call('add', { a: 1, b: 2 })).json.result.content[0].text).toBe('3');
  expect(await built.sum()).toBe('3');
});

test('there is no tunnel, no echo and no other protocol: CONNECT, TRACE and Upgrade [T26]', async ({
  built,
  servers: { main },
}) => {
  const attacker = await startAttacker();
  const elsewhere = `127.0.0.1:${attacker.port}`;
  const secret = ['authorization', 'Bearer s3cret'] as const;
  const upgrade = [
    ['connection', 'Upgrade'],
    ['upgrade', 'websocket'],
    ['sec-websocket-version', '13'],
    ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ] as const;
  const reached = main.received.length;

  const tunnel = await answerTo(built, 'CONNECT', elsewhere, [['host', elsewhere]], '');
  const echo = await answerTo(built, 'TRACE', '/mcp', [['host', 'localhost'], secret], '');
  const untouched = main.received.slice(reached);
  const upgraded = await answerTo(built, 'POST', '/mcp', [...JSON_PAIRS, ...upgrade]);
  const overridden = await built.send('GET', '/mcp', { 'x-http-method-override': 'POST' });

  expect([tunnel.status, echo.status, overridden.status]).toEqual([405, 405, 405]);
  expect(echo.said).not.toContain('s3cret');
  expect([attacker.visits(), untouched]).toEqual([0, []]);
  expect([upgraded.status, upgraded.json.result.content[0].text]).toEqual([200, '3']);
  expect(await built.sum()).toBe('3');
});
