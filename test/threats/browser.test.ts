// Pages that the browser of somebody near the built program has open.

import { connect } from 'node:net';
import { expect } from 'vitest';
import { replyIn, requestBytes } from '../support/gateway.ts';
import { inFrontOf } from './built.ts';

const PAGE = 'https://app.example';
const EVIL = 'http://evil.example';
const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}';

const test = inFrontOf({
  upstreams: { main: { config: { legacy: { sse: '/sse', messages: '/messages' } } } },
  config: { allowedOrigins: [PAGE] },
});

/** On a connection of its own. */
async function statusOf(origin: string, bytes: string): Promise<number> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1').setEncoding('utf8');
  socket.write(bytes.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'));
  let said = '';
  for await (const piece of socket) said += String(piece);
  return replyIn(said).status;
}

test('a page that rebound its name is refused on every route of both listeners, whatever it says of itself [T4]', async ({
  built,
  servers: { main },
}) => {
  const routes = ['/mcp', '/sse', '/messages?token=x', '/metrics', '/status', '/-/reload', '/nowhere'];
  const agreeing = [
    ['host', 'evil.example'],
    ['origin', EVIL],
  ] as const;
  const loopback = ['host', 'localhost'] as const;
  const requests = [built.origin, built.admin.origin].flatMap((origin) => [
    ...routes.flatMap((path) => [
      [403, origin, requestBytes('GET', path, agreeing)] as const,
      [403, origin, requestBytes('POST', path, [agreeing[0], ['content-type', 'application/json']])] as const,
    ]),
    [403, origin, requestBytes('GET', '/healthz', agreeing)] as const,
    [400, origin, requestBytes('GET', '/mcp', [loopback, agreeing[0]])] as const,
    [400, origin, requestBytes('GET', `${EVIL}/mcp`, [loopback])] as const,
  ]);

  const answers = await Promise.all(
    requests.map(async ([, origin, bytes]) => [await statusOf(origin, bytes), origin, bytes]),
  );

  expect(answers).toEqual(requests);
  expect([main.gets, main.received]).toEqual([[], []]);
  expect(await built.sum()).toBe('3');
});

test('a form or plain text does nothing, with the origin of its page or without [T23]', async ({
  built,
  servers: { main },
}) => {
  const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'];
  const reached = main.received.length;

  const answers = await Promise.all(
    ['/mcp', '/messages?token=x'].flatMap((path) =>
      types.flatMap((type) => [
        built.send('POST', path, { 'content-type': type }, CALL),
        built.send('POST', path, { 'content-type': type, origin: EVIL }, CALL),
      ]),
    ),
  );

  expect(answers.map(({ status }) => status)).toEqual(types.concat(types).flatMap(() => [415, 403]));
  expect(main.received.slice(reached)).toEqual([]);
  expect(await built.sum()).toBe('3');
});

test('a listed page is told its own name and nothing of cookies, and any other nothing at all [T24]', async ({
  built,
  servers: { main },
}) => {
  const preflight = (origin: string) =>
    built.send('OPTIONS', '/mcp', {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-private-network': 'true',
    });
  const reached = main.received.length;

  const foreign = [
    await preflight(EVIL),
    await preflight('null'),
    await preflight(`${PAGE}.evil.example`),
    await built.post(CALL, { origin: EVIL }),
  ];
  const untouched = main.received.slice(reached);
  const listed = [await preflight(PAGE), await built.post(CALL, { origin: PAGE })];

  expect(foreign.map(({ status }) => status)).toEqual([403, 403, 403, 403]);
  expect(
    foreign.flatMap(({ headers }) => Object.keys(headers).filter((name) => name.includes('access-control'))),
  ).toEqual([]);
  expect(untouched).toEqual([]);
  expect(listed.map(({ status, headers }) => [status, headers['access-control-allow-origin']])).toEqual([
    [204, PAGE],
    [200, PAGE],
  ]);
  expect(listed.flatMap(({ headers }) => headers['access-control-allow-credentials'] ?? [])).toEqual([]);
  expect(await built.sum()).toBe('3');
});

test('the admin listener is nothing that a page or a client can reach, and a page cannot have the file read [T28]', async ({
  built,
}) => {
  const pages = ['/metrics', '/status', '/-/reload'];

  const fromPage = await Promise.all([
    ...pages.map((path) => built.admin.send('GET', path, { origin: EVIL })),
    built.admin.send('POST', '/-/reload', { origin: EVIL }),
    built.admin.send('POST', '/-/reload', { host: 'evil.example' }),
  ]);
  const fromClients = await Promise.all([
    ...pages.map((path) => built.send('GET', path)),
    built.send('POST', '/-/reload'),
    built.admin.call('add', { a: 1, b: 2 }),
  ]);

  expect(fromPage.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
  expect(fromClients.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
  expect(built.program.stderr()).not.toContain('reloaded');
  expect((await built.scrape()).sum('causeway_refusals_total', { listener: 'admin' })).toBeGreaterThan(5);
  expect(await built.sum()).toBe('3');
});
