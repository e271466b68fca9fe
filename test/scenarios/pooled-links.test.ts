// Who shares a link without a session, how many there are, and who waits.

import { expect, test } from 'vitest';
import { type Gateway, JSON_HEADERS, type RawClient, gatewayBefore, requestBytes } from '../support/gateway.ts';
import { VirtualTime } from '../support/virtual-time.ts';

/** A call by a client that can leave before it is answered. Resolves once the gateway has the request. */
async function callRaw(gateway: Gateway, name: string, args: object = {}): Promise<RawClient> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } });
  const client = await gateway.connect();
  const headers = { ...JSON_HEADERS, host: 'localhost', 'content-length': String(body.length), expect: '100-continue' };
  client.write(requestBytes('POST', '/mcp', Object.entries(headers), body));
  await client.until('100 Continue');
  return client;
}

const gone = (gateway: Gateway): Promise<unknown> =>
  gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');

test('calls share a link up to links.maxInFlight, and fill it before another is opened', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 4, maxInFlight: 2 } });
  const used: string[] = [];

  for (let i = 0; i < 6; i++) {
    void gateway.call('slow');
    used.push((await upstream.nextCall('slow')).stream.sessionId);
  }

  expect(used.map((id) => used.indexOf(id))).toEqual([0, 0, 2, 2, 4, 4]);
  expect(upstream.streams).toHaveLength(3);
});

test('links.min: 0 opens nothing before the first call, and is ready all the same', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });

  const ready = await gateway.send('GET', '/readyz');
  const before = upstream.gets.length;
  const answer = await gateway.call('count');

  expect([ready.status, before, answer.status]).toEqual([200, 0, 200]);
});

test('isolation: request gives every call a fresh upstream session, and no more links than links.max', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { isolation: 'request', max: 3 } });

  const answers = await Promise.all(Array.from({ length: 20 }, () => gateway.call('count')));

  expect(answers.map(({ json }) => json.result.content[0].text)).toEqual(Array(20).fill('1'));
  await upstream.whenStreams(1);
});

test('a client that leaves while it waits for a link gives up its place, and its call never runs', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1, maxInFlight: 1, maxQueue: 1 } });
  const busy = gateway.call('slow');
  const call = await upstream.nextCall('slow');
  const waiting = await callRaw(gateway, 'count');
  expect((await gateway.call('count')).json.error.data.reason).toBe('queue_full');

  waiting.leave();
  await gone(gateway);
  const next = gateway.call('count');
  call.release();

  expect((await busy).json.result.content[0].text).toBe('done');
  expect((await next).json.result.content[0].text).toBe('1');
});

test('those who wait are served in their order', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1, maxInFlight: 1 } });
  const busy = gateway.call('slow');
  const call = await upstream.nextCall('slow');
  const waiting = [];

  for (const a of [1, 2, 3]) waiting.push(await callRaw(gateway, 'add', { a, b: 0 }));
  call.release();
  for (const client of waiting) await client.until('"text"');

  expect((await busy).status).toBe(200);
  const added = upstream.received.filter(({ raw }) => raw.includes('"add"'));
  expect(added.map(({ message }) => message.params?.['arguments'])).toEqual([1, 2, 3].map((a) => ({ a, b: 0 })));
});

test('limits.inFlight bounds what runs at once: 503 with its name, before the body is read', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { limits: { inFlight: 1 } });
  const busy = gateway.call('slow');
  const call = await upstream.nextCall('slow');

  const refused = await gateway.call('count');
  call.release();
  await busy;

  expect([refused.status, refused.headers['retry-after'], refused.json]).toMatchObject([
    503,
    '1',
    { error: { data: { reason: 'in_flight_limit', outcome: 'not_executed' } } },
  ]);
  expect(refused.json.error.message).toContain('limits.inFlight');
  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
});

test('a call whose client has left and whose link is lost is counted', { timeout: 3000 }, async () => {
  const { gateway, upstream } = await gatewayBefore();
  const client = await callRaw(gateway, 'never');
  await upstream.nextCall('never');
  client.leave();
  await gone(gateway);

  upstream.cutStreams();

  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'answer_to_a_client_that_left');
});

// Time passes

test('a silent call becomes a stream after 12 to 18 seconds, and shows life as often [A9]', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, {}, time);
  let hasBegun = false;
  const reply = gateway.open({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow' } }).then((open) => {
    hasBegun = true;
    return open;
  });
  const call = await upstream.nextCall('slow');

  await time.advance(11_999);
  await gateway.send('GET', '/healthz');
  const early = hasBegun;
  await time.advance(6001);
  await (await reply).until(': heartbeat');
  await time.advance(18_000);
  await (await reply).until(': heartbeat\n\n: heartbeat');
  call.release();

  expect(early).toBe(false);
  expect(await (await reply).until('"done"')).toContain('"done"');
});

test('a link that was silent for links.pingInterval is pinged before it is used, and used if it answers', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, {}, time);
  await gateway.call('count');

  await time.advance(30_000);
  const answer = await gateway.call('count');

  expect(answer.json.result.content[0].text).toBe('2');
  expect(upstream.received.slice(-3).map(({ message }) => message.method)).toEqual([
    'tools/call',
    'ping',
    'tools/call',
  ]);
  expect(upstream.gets).toHaveLength(1);
});

test('a link that does not answer its ping within links.pingTimeout is lost, and the call gets another', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1 } }, time);
  await gateway.call('count');
  upstream.behaviour.post = ({ method }) => (method === 'ping' ? { status: 202 } : 'accepted');

  await time.advance(30_000);
  const answer = gateway.call('count');
  await upstream.nextRequest('ping');
  await time.advance(5000);

  expect((await answer).json.result.content[0].text).toBe('1');
  expect(gateway.journal.of('link_closed')).toMatchObject([{ reason: 'lost' }]);
});

test('unused links beyond links.min are closed after links.idleTimeout', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, { links: { maxInFlight: 1 } }, time);
  const answers = [gateway.call('slow'), gateway.call('slow'), gateway.call('slow')];
  for (const _ of answers) (await upstream.nextCall('slow')).release();
  await Promise.all(answers);
  expect(upstream.streams).toHaveLength(3);

  await time.advance(60_000);

  await upstream.whenStreams(1);
  expect(gateway.journal.of('link_closed').map(({ reason }) => reason)).toEqual(['idle', 'idle']);
});

test('a call whose client has left still ends after timeouts.request, and the upstream is told [G18]', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, {}, time);
  const client = await callRaw(gateway, 'slow');
  const call = await upstream.nextCall('slow');
  client.leave();
  await gone(gateway);

  await time.advance(5 * 60_000);
  await call.cancelled;

  expect(gateway.app.mounts[0]?.inFlight).toBe(0);
});

test('a session that nobody uses for timeouts.sessionIdle ends, one with a call in flight does not', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, { timeouts: { request: '2h', requestMax: '2h' } }, time);
  const unused = { 'mcp-session-id': await gateway.openSession() };
  const used = { 'mcp-session-id': await gateway.openSession() };
  const answer = gateway.call('slow', {}, 1, { ...used, accept: 'application/json' });
  const call = await upstream.nextCall('slow');

  await time.advance(31 * 60_000);
  await upstream.whenStreams(2);
  call.release();

  expect((await answer).json.result.content[0].text).toBe('done');
  expect((await gateway.call('count', {}, 1, unused)).status).toBe(404);
  expect((await gateway.call('count', {}, 1, used)).json.result.content[0].text).toBe('1');
  expect(gateway.journal.of('session_ended')).toMatchObject([{ why: 'expired' }]);
});
