// A link is open, and one message cannot be delivered, or is not answered: what the client is told of the outcome, and
// what is sent again. After a byte may have reached the upstream the status is 200: balancers replay 5xx.

import { expect, onTestFinished, test } from 'vitest';
import { type Gateway, type GatewayConfig, gatewayBefore, startGateway } from '../support/gateway.ts';
import { type PlainAnswer, type PostAnswer, type RpcMessage, NO_ANSWER, text } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { type PostRelay, startPostRelay } from './post-relay.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });
const JSON_ONLY = { accept: 'application/json' };

async function withRelay(
  config: GatewayConfig = {},
): Promise<{ upstream: LegacyServer; gateway: Gateway; relay: PostRelay }> {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const relay = await startPostRelay(upstream.url);
  const gateway = await startGateway(upstream.url, { ...config, upstream: { messageUrl: relay.url.href } });
  onTestFinished(() => gateway.close());
  return { upstream, gateway, relay };
}

/** Answered so that every POST has a connection of its own. */
const ON_ITS_OWN_SOCKET: PostAnswer = { status: 202, headers: { connection: 'close' }, ran: true };

const answeredOnce = (answer: PostAnswer, method: string): ((message: RpcMessage) => PostAnswer) => {
  let left = 1;
  return (message) => (message.method === method && left-- > 0 ? answer : 'accepted');
};

const times = (upstream: LegacyServer, method: string): number =>
  upstream.received.filter(({ message }) => message.method === method).length;

test.each(['in a session', 'without one'])(
  'nobody takes the message after the link is open: 5xx, and certainly not executed (%s)',
  async (where) => {
    const { gateway, upstream, relay } = await withRelay({ timeouts: { initialize: '200ms' } });
    upstream.behaviour.post = ON_ITS_OWN_SOCKET;
    const headers = where === 'in a session' ? IN(await gateway.openSession()) : {};
    expect((await gateway.call('count', {}, 1, headers)).json.result.content[0].text).toBe('1');

    await relay.refuse();
    const answer = await gateway.call('count', {}, 2, headers);

    expect([answer.status, answer.json]).toMatchObject([
      502,
      { id: 2, error: { data: { reason: 'upstream_unreachable', outcome: 'not_executed' } } },
    ]);
    expect(times(upstream, 'tools/call')).toBe(1);
  },
);

test.each(['pass on', 'swallow'] as const)(
  'the connection breaks while the message is sent (%s): outcome unknown, and it is not sent again',
  async (first) => {
    const { gateway, upstream, relay } = await withRelay();
    const session = await gateway.openSession();
    expect((await gateway.call('count', {}, 1, IN(session))).status).toBe(200);

    relay.resetNext(first);
    const answer = await gateway.call('never', {}, 2, IN(session));
    const next = await gateway.call('count', {}, 3, IN(session));

    expect([answer.status, answer.json]).toMatchObject([
      200,
      { id: 2, error: { code: -32603, data: { reason: 'post_failed', outcome: 'unknown' } } },
    ]);
    expect(next.json.result.content[0].text).toBe('2');
    expect(times(upstream, 'tools/call')).toBe(first === 'swallow' ? 2 : 3);
    expect(times(upstream, 'ping')).toBe(1);
  },
);

test.each<readonly [what: string, answer: PlainAnswer, reason: string, outcome: string]>([
  ['500', { status: 500, body: 'stack trace with secrets' }, 'post_failed', 'unknown'],
  ['502', { status: 502 }, 'post_failed', 'unknown'],
  ['503', { status: 503 }, 'post_failed', 'unknown'],
  ['400', { status: 400, body: 'Could not parse message' }, 'post_rejected', 'not_executed'],
  ['401', { status: 401 }, 'post_rejected', 'not_executed'],
  ['405', { status: 405 }, 'post_rejected', 'not_executed'],
  ['413', { status: 413 }, 'post_rejected', 'not_executed'],
  ['429', { status: 429 }, 'post_rejected', 'not_executed'],
  ['a redirect', { status: 307, headers: { location: '/elsewhere' } }, 'post_rejected', 'not_executed'],
])('a call whose POST is answered %s fails with status 200, once', async (_, answer, reason, outcome) => {
  const { gateway, upstream } = await gatewayBefore();
  upstream.behaviour.post = answeredOnce(answer, 'tools/call');

  const failed = await gateway.call('count', {}, 'mine');
  const next = await gateway.call('count');

  expect([failed.status, failed.json]).toMatchObject([
    200,
    { id: 'mine', error: { code: -32603, data: { reason, outcome, upstream: 'default' } } },
  ]);
  expect(failed.text).not.toMatch(/secret|40[45]/);
  expect(next.json.result.content[0].text).toBe('1');
  expect(times(upstream, 'tools/call')).toBe(2);
});

test('an answer that has come on the stream stands, even if the POST is answered 500 afterwards', async () => {
  const { gateway, upstream } = await gatewayBefore();
  upstream.behaviour.post = ({ method }) => (method === 'tools/call' ? { status: 500, ran: true } : 'accepted');
  upstream.behaviour.tools = {
    early: async (call) => {
      upstream.sendTo(call.stream, { jsonrpc: '2.0', id: call.message.id, result: text('early') });
      return call.released.then(() => NO_ANSWER);
    },
  };

  const answer = await gateway.call('early');
  (await upstream.nextCall('early')).release();

  expect([answer.status, answer.json.result.content[0].text]).toEqual([200, 'early']);
  expect(gateway.journal.of('exchange')).toMatchObject([{ outcome: 'result' }]);
});

test.each([500, 503])('a list whose POST is answered %i is asked for once more, without a session', async (status) => {
  const { gateway, upstream } = await gatewayBefore();
  upstream.behaviour.post = answeredOnce({ status }, 'tools/list');

  const answer = await gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' });

  expect(answer.json.result.tools).toHaveLength(7);
  expect(times(upstream, 'tools/list')).toBe(2);
});

test('a list that fails twice fails', async () => {
  const { gateway, upstream } = await gatewayBefore();
  upstream.behaviour.post = ({ method }) => (method === 'tools/list' ? { status: 500 } : 'accepted');

  const answer = await gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' });

  expect(answer.json.error.data).toMatchObject({ reason: 'post_failed', outcome: 'unknown' });
  expect(times(upstream, 'tools/list')).toBe(2);
});

test('a lost session is no matter without one: the call goes to another link, and the tool runs once', async () => {
  const { gateway, upstream } = await gatewayBefore();
  upstream.behaviour.post = answeredOnce({ status: 404 }, 'tools/call');

  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  expect(times(upstream, 'tools/call')).toBe(2);
});

// Time

test('a call that is not answered within timeouts.request fails, and the upstream is told with its own id', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, {}, time);
  const answer = gateway.call('slow', {}, 'mine', JSON_ONLY);
  const call = await upstream.nextCall('slow');

  await time.advance(5 * 60_000 - 1);
  const early = upstream.received.some(({ message }) => message.method === 'notifications/cancelled');
  await time.advance(1);
  const { status, json } = await answer;
  const cancel = await upstream.nextRequest('notifications/cancelled');

  expect(early).toBe(false);
  expect([status, json]).toMatchObject([
    200,
    { id: 'mine', error: { code: -32603, data: { reason: 'request_timeout', outcome: 'unknown' } } },
  ]);
  expect(json.error.message).toContain('timeouts.request');
  expect(cancel.message.params).toEqual({ requestId: call.message.id, reason: expect.any(String) });
  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
});

test('progress starts timeouts.request anew, until timeouts.requestMax', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, {}, time);
  const params = { name: 'slow', arguments: {}, _meta: { progressToken: 1 } };
  const answer = gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }, JSON_ONLY);
  const call = await upstream.nextCall('slow');

  for (let minutes = 4; minutes < 60; minutes += 4) {
    await time.advance(4 * 60_000);
    call.progress(minutes);
    await gateway.journal.until(() => gateway.journal.dropped('undeliverable_notification') === minutes / 4);
  }
  expect(gateway.journal.of('exchange')).toEqual([]);
  await time.advance(4 * 60_000);

  const { status, json } = await answer;
  expect([status, json.error.data]).toMatchObject([200, { reason: 'request_timeout', outcome: 'unknown' }]);
  expect(json.error.message).toContain('timeouts.requestMax');
});

test('a timeout after the reply became a stream is its last event', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, { timeouts: { request: '1m' } }, time);
  const answer = gateway.call('slow', {}, 1);
  await upstream.nextCall('slow');

  await time.advance(60_000);

  const { status, events, text: body } = await answer;
  expect(status).toBe(200);
  expect(events).toHaveLength(1);
  expect(body).toContain(': heartbeat');
  expect(JSON.parse(events[0] ?? '').error.data.reason).toBe('request_timeout');
});

test('an answer that comes after the timeout is counted and given to nobody', async () => {
  const { gateway, upstream } = await gatewayBefore(
    { tools: { stubborn: (call) => call.released.then(() => text('late')) } },
    { timeouts: { request: '50ms' } },
  );
  const answer = gateway.call('stubborn');
  const call = await upstream.nextCall('stubborn');

  expect((await answer).json.error.data.reason).toBe('request_timeout');
  call.release();

  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'late_answer');
});

test('a call waits at most links.queueTimeout for a link: 503 with Retry-After, not executed', async () => {
  const { gateway, upstream } = await gatewayBefore(
    {},
    { links: { max: 1, maxInFlight: 1, queueTimeout: '50ms', maxQueue: 1 } },
  );
  const busy = gateway.call('slow');
  const call = await upstream.nextCall('slow');

  const [first, second] = await Promise.all([gateway.call('count', {}, 1), gateway.call('count', {}, 2)]);
  call.release();

  expect([first.status, second.status, first.headers['retry-after']]).toEqual([503, 503, '1']);
  expect(new Set([first, second].map(({ json }) => json.error.data.reason))).toEqual(
    new Set(['queue_full', 'queue_timeout']),
  );
  expect([first, second].map(({ json }) => json.error.data.outcome)).toEqual(['not_executed', 'not_executed']);
  expect((await busy).json.result.content[0].text).toBe('done');
});

// The upstream goes and comes back

test('an upstream that stops and starts on the same port: what ran fails, what comes next works', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { reconnect: { min: '10ms', max: '20ms' } });
  const running = gateway.call('never', {}, 'running');
  await upstream.nextCall('never');

  await upstream.stop();
  const failed = await running;
  const down = await gateway.call('count');
  await gateway.journal.until(({ fact }) => fact === 'upstream_down');
  const notReady = await gateway.send('GET', '/readyz');
  await upstream.start();
  await gateway.journal.until(() => gateway.journal.of('upstream_up').length === 2);

  expect([failed.status, failed.json.error.data]).toMatchObject([200, { outcome: 'unknown' }]);
  expect([down.status, down.json.error.data]).toMatchObject([502, { reason: 'upstream_unreachable' }]);
  expect(notReady.status).toBe(503);
  expect((await gateway.send('GET', '/readyz')).status).toBe(200);
  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
});
