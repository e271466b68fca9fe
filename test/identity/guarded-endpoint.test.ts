// inbound.bearer over real sockets: every route of an upstream, and what callers of different keys have in common.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Gateway, gatewayBefore, replyIn, requestBytes } from '../support/gateway.ts';
import { openOldClient } from '../support/old-client.ts';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const inbound = {
  bearer: {
    keys: [
      { name: 'alice', sha256: sha256('alice-key') },
      { name: 'bob', sha256: sha256('bob-key') },
    ],
  },
};
const ALICE = { authorization: 'Bearer alice-key' };
const BOB = { authorization: 'Bearer bob-key' };
const TWICE = [
  ['Authorization', 'Bearer alice-key'],
  ['authorization', 'Bearer nope'],
] as const;
const TWO = 'a request has one Authorization header at most';
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

const ROUTES = [
  ['POST', '/mcp'],
  ['POST', '/mcp/'],
  ['GET', '/mcp'],
  ['DELETE', '/mcp'],
  ['GET', '/sse'],
  ['POST', '/messages?token=x'],
  ['POST', '/messages/'],
] as const;

test.each(ROUTES)(
  '%s %s without a key, or with a wrong one, is 401 with a challenge, and nothing goes upstream [A3 T33]',
  async (method, path) => {
    const { gateway, upstream } = await gatewayBefore({}, { inbound, links: { min: 0 } });
    const accept = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
    const body = method === 'POST' ? JSON.stringify(INITIALIZE) : undefined;

    const without = await gateway.send(method, path, accept, body);
    const wrong = await gateway.send(method, path, { ...accept, authorization: 'Bearer nope' }, body);

    expect([without.status, without.headers['www-authenticate']]).toEqual([401, 'Bearer realm="mcp-causeway"']);
    expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([
      401,
      'Bearer error="invalid_token", error_description="the key is not known"',
    ]);
    expect(wrong.json.error.data.reason).toBe('unauthorized');
    expect(upstream.streams).toHaveLength(0);
  },
);

test.each(ROUTES)(
  '%s %s with two Authorization headers is 400 with a challenge, whatever they hold [T33]',
  async (method, path) => {
    const { gateway, upstream } = await gatewayBefore({}, { inbound, links: { min: 0 } });

    for (const given of [TWICE, TWICE.toReversed(), [TWICE[0], TWICE[0]]]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, so that a failure names its own
      const raw = await gateway.connect();
      raw.write(requestBytes(method, path, [['Host', 'localhost'], ['Connection', 'close'], ...given]));
      // oxlint-disable-next-line no-await-in-loop -- as above
      const { status, head, json } = replyIn(await raw.closed);
      expect([status, json.error.data.reason]).toEqual([400, 'invalid_request']);
      expect(head).toContain(`www-authenticate: Bearer error="invalid_request", error_description="${TWO}"`);
    }
    expect(upstream.streams).toHaveLength(0);
  },
);

test('where no key is asked for, two Authorization headers are 400 without a challenge', async () => {
  const { gateway } = await gatewayBefore();
  const raw = await gateway.connect();

  raw.write(requestBytes('POST', '/mcp', [['Host', 'localhost'], ['Connection', 'close'], ...TWICE]));
  const { status, head } = replyIn(await raw.closed);

  expect(status).toBe(400);
  expect(head.toLowerCase()).not.toContain('www-authenticate');
});

test('with a key a call and a session are served, and the key never reaches the server [T14]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { inbound });

  const called = await gateway.call('add', { a: 1, b: 1 }, 1, ALICE);
  const opened = await gateway.post(INITIALIZE, ALICE);

  expect([called.status, opened.status]).toEqual([200, 200]);
  expect(JSON.stringify([upstream.gets, upstream.received.map(({ headers }) => headers)])).not.toContain('alice-key');
});

test('another’s session is unknown, by whichever method [B21 T7]', async () => {
  const { gateway } = await gatewayBefore({}, { inbound });
  const session = await sessionOf(gateway, ALICE);

  const asBob = await Promise.all([
    gateway.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { ...session, ...BOB }),
    gateway.send('GET', '/mcp', { accept: 'text/event-stream', ...session, ...BOB }),
    gateway.send('DELETE', '/mcp', { ...session, ...BOB }),
  ]);
  const asAlice = await gateway.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { ...session, ...ALICE });

  expect(asBob.map(({ status }) => status)).toEqual([404, 404, 404]);
  expect(asAlice.status).toBe(200);
});

test('a second GET of a session is 409 for its owner and 404 for anybody else, and the first goes on [T7 T9]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { inbound, links: { min: 0 } });
  const session = await sessionOf(gateway, ALICE);
  const link = await upstream.nextStream();
  const first = await openEvents(gateway, { headers: { ...session, ...ALICE } });
  const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

  const again = [
    await openEvents(gateway, { headers: { ...session, ...ALICE } }),
    await openEvents(gateway, { headers: { ...session, ...BOB } }),
    await openEvents(gateway, { headers: { ...session, ...BOB }, lastEventId: '1.0' }),
  ];
  upstream.sendTo(link, changed);

  expect(again.map(({ status }) => status)).toEqual([409, 404, 404]);
  expect(await first.next()).toMatchObject({ id: '1.1', json: changed });
});

test('an old client is served with its key, and where it posts is nobody else’s [T7]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { inbound });
  const alice = await openOldClient(gateway.origin, { headers: ALICE });
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };

  const asNobody = await alice.post(ping);
  const asBob = await alice.post(ping, BOB);
  const asAlice = await alice.post(ping, ALICE);

  expect([asNobody.status, asBob.status, asAlice.status]).toEqual([401, 404, 202]);
  expect(JSON.stringify([upstream.gets, upstream.received.map(({ headers }) => headers)])).not.toContain('alice-key');
});

test('health needs no key, and what is not there is 404 for everybody', async () => {
  const { gateway } = await gatewayBefore({}, { inbound });

  const health = await gateway.send('GET', '/healthz');
  const metadata = await gateway.send('GET', '/.well-known/oauth-protected-resource/mcp');
  const other = await gateway.send('PUT', '/mcp', ALICE);

  expect([health.status, metadata.status, other.status]).toEqual([200, 404, 405]);
});

async function sessionOf(gateway: Gateway, headers: Record<string, string>): Promise<Record<string, string>> {
  const opened = await gateway.post(INITIALIZE, headers);
  const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) };
  await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, { ...session, ...headers });
  return session;
}
