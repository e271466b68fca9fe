// A session outlives its link: a new stream is a new upstream session, opened by the same initialize. What may have
// run is never sent twice.

import { expect, test } from 'vitest';
import { type Gateway, gatewayBefore } from '../support/gateway.ts';
import { type PlainAnswer, type PostAnswer, type RpcMessage, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });

/** The upstream answers the first call of a tool like this, and everything else as usual. */
function refusingOnce(refusal: PostAnswer, method = 'tools/call'): (message: RpcMessage) => PostAnswer {
  let left = 1;
  return (message) => (message.method === method && left-- > 0 ? refusal : 'accepted');
}

/** Both links, the warm one and the session's: the gateway has noticed that they are gone. */
function bothLost({ journal }: Gateway): Promise<unknown> {
  return journal.until(() => journal.of('link_closed').length === 2);
}

/** The parameters of every message of this method, in the order in which they came. */
function said(upstream: LegacyServer, method: string): RpcMessage['params'][] {
  return upstream.received.filter(({ message }) => message.method === method).map(({ message }) => message.params);
}

test('a link lost with calls in flight: each gets one error within 100 ms, and the session goes on [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession({ clientInfo: { name: 'mine', version: '7' } });
  const answers = [gateway.call('never', {}, 'a', IN(session)), gateway.call('never', {}, 'b', IN(session))];
  await upstream.nextCall('never');
  await upstream.nextCall('never');

  const lostAt = performance.now();
  upstream.cutStreams();
  const failed = await Promise.all(answers);
  const tookMs = performance.now() - lostAt;
  const next = await gateway.call('count', {}, 'c', IN(session));

  expect(failed.map(({ status }) => status)).toEqual([200, 200]);
  expect(failed.map(({ json }) => json)).toMatchObject(
    ['a', 'b'].map((id) => ({
      id,
      error: { code: -32603, data: { reason: 'upstream_session_lost', outcome: 'unknown', upstream: 'default' } },
    })),
  );
  expect(tookMs).toBeLessThan(100);
  expect(next.json.result.content[0].text).toBe('1');
  const ofMine = said(upstream, 'initialize').filter((params) => JSON.stringify(params).includes('"mine"'));
  expect(ofMine).toHaveLength(2);
  expect(ofMine[0]).toEqual(ofMine[1]);
});

test('a link lost with nothing in flight is not noticed by the client', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  await gateway.call('count', {}, 1, IN(session));

  upstream.cutStreams();
  await bothLost(gateway);
  const answer = await gateway.call('count', {}, 2, IN(session));

  expect(answer.json.result.content[0].text).toBe('1');
});

test.each<readonly [string, PlainAnswer]>([
  ['404', { status: 404 }],
  ['410', { status: 410 }],
  ['400 that names the session', { status: 400, body: '{"error":{"message":"Invalid session ID"}}' }],
  ['401 that names the session', { status: 401, body: 'No transport found for sessionId' }],
])('%s: the message was refused, so it is sent once more on a new link and the tool runs once', async (_, refusal) => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  upstream.behaviour.post = refusingOnce(refusal);

  const answer = await gateway.call('count', {}, 1, IN(session));

  expect(answer.status).toBe(200);
  expect(answer.json.result.content[0].text).toBe('1');
  expect(said(upstream, 'tools/call')).toHaveLength(2);
  expect(gateway.journal.of('link_closed')).toMatchObject([{ reason: 'lost' }]);
  await upstream.whenStreams(2);
});

test('a 400 that only repeats a message which speaks of sessions costs neither the link nor what runs on it', async () => {
  const { gateway, upstream } = await gatewayBefore({
    post: (message) =>
      message.method === 'tools/call' && message.params?.['name'] === 'add'
        ? { status: 400, body: `Invalid message: ${JSON.stringify(message)}` }
        : 'accepted',
  });
  const running = gateway.call('slow');
  const call = await upstream.nextCall('slow');

  const refused = await gateway.call('add', { session: 's', long: 'x'.repeat(10_000) });
  call.release();

  expect(refused.json.error.data).toMatchObject({ reason: 'post_rejected', outcome: 'not_executed' });
  expect((await running).json.result.content[0].text).toBe('done');
  expect(said(upstream, 'tools/call')).toHaveLength(2);
  expect(gateway.journal.of('link_closed')).toEqual([]);
});

test('a server that was restarted knows no session any more: the client does not notice [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  await gateway.call('count', {}, 1, IN(session));

  await upstream.stop();
  await bothLost(gateway);
  await upstream.start();

  expect((await gateway.call('count', {}, 2, IN(session))).json.result.content[0].text).toBe('1');
});

test('a message that is refused twice for its session fails, and certainly did not run', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  upstream.behaviour.post = ({ method }) => (method === 'tools/call' ? { status: 404 } : 'accepted');

  const answer = await gateway.call('count', {}, 1, IN(session));

  expect(answer.status).toBe(502);
  expect(answer.json.error.data).toMatchObject({ reason: 'upstream_session_lost', outcome: 'not_executed' });
  expect(said(upstream, 'tools/call')).toHaveLength(2);
});

test('other calls in flight on a link whose session is refused fail with outcome unknown', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const running = gateway.call('never', {}, 'running', IN(session));
  await upstream.nextCall('never');
  upstream.behaviour.post = refusingOnce({ status: 404 });

  const refused = await gateway.call('count', {}, 'refused', IN(session));

  expect(refused.json.result.content[0].text).toBe('1');
  expect((await running).json).toMatchObject({ id: 'running', error: { data: { outcome: 'unknown' } } });
});

test('503: the link is dead and the call fails with outcome unknown, sent once; the next works on a new link', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  upstream.behaviour.post = refusingOnce({ status: 503, body: 'No active SSE connection', ran: true });

  const failed = await gateway.call('count', {}, 1, IN(session));
  const next = await gateway.call('count', {}, 2, IN(session));

  expect(failed.status).toBe(200);
  expect(failed.json.error.data).toMatchObject({ reason: 'post_failed', outcome: 'unknown' });
  expect(next.json.result.content[0].text).toBe('1');
  expect(said(upstream, 'tools/call')).toHaveLength(2);
});

test('a link lost with a list in flight: in a session the list fails, it is not asked for again [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore({ methods: { 'tools/list': (call) => call.released } });
  const session = await gateway.openSession();
  const answer = gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, IN(session));
  await upstream.nextRequest('tools/list');

  upstream.behaviour.methods = {};
  upstream.cutStreams();

  expect((await answer).json).toMatchObject({ error: { data: { reason: 'upstream_session_lost' } } });
  expect(said(upstream, 'tools/list')).toHaveLength(1);
});

test('a link lost with a list in flight: without a session the list is asked for once more', async () => {
  const { gateway, upstream } = await gatewayBefore({ methods: { 'tools/list': (call) => call.released } });
  const answer = gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
  await upstream.nextRequest('tools/list');

  upstream.behaviour.methods = { 'tools/list': () => ({ tools: [] }) };
  upstream.cutStreams();

  expect((await answer).json).toEqual({ jsonrpc: '2.0', id: 1, result: { tools: [] } });
  expect(said(upstream, 'tools/list')).toHaveLength(2);
});

test('calls that come while the link is being reopened wait for the one new link', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools: { who: (call) => text(call.stream.sessionId) } });
  const session = await gateway.openSession();
  upstream.cutStreams();
  await bothLost(gateway);

  const answers = await Promise.all([1, 2, 3, 4].map((id) => gateway.call('who', {}, id, IN(session))));

  expect(new Set(answers.map(({ json }) => json.result.content[0].text)).size).toBe(1);
});

test('a session whose link cannot be reopened answers 5xx and lives on: it works when the server is back', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  await upstream.stop();
  await bothLost(gateway);

  const down = await gateway.call('count', {}, 1, IN(session));
  await upstream.start();
  const up = await gateway.call('count', {}, 2, IN(session));

  expect(down.status).toBe(502);
  expect(down.json).toMatchObject({
    id: 1,
    error: { data: { reason: 'upstream_unreachable', outcome: 'not_executed' } },
  });
  expect(up.json.result.content[0].text).toBe('1');
});

test('a call that waits longer than links.queueTimeout for its session’s link gets 503, and did not run', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { queueTimeout: '100ms' } });
  const session = await gateway.openSession();
  upstream.behaviour.get = { until: new Promise(() => {}) };
  upstream.cutStreams();
  await bothLost(gateway);

  const answer = await gateway.call('count', {}, 1, IN(session));

  expect(answer.status).toBe(503);
  expect(answer.headers['retry-after']).toBe('1');
  expect(answer.json.error).toMatchObject({
    message: expect.stringContaining('links.queueTimeout'),
    data: { reason: 'upstream_unavailable', outcome: 'not_executed' },
  });
});

test('a call that is cancelled while its session’s link is reopened ends with 202 and never runs', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const headersHeld = Promise.withResolvers<void>();
  upstream.behaviour.get = { until: headersHeld.promise };
  upstream.cutStreams();
  await bothLost(gateway);
  const answer = gateway.call('count', {}, 1, IN(session));
  await expect.poll(() => upstream.gets.length, { timeout: 5000 }).toBe(4);

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }, IN(session));
  headersHeld.resolve();

  expect((await answer).status).toBe(202);
  expect((await gateway.call('count', {}, 2, IN(session))).json.result.content[0].text).toBe('1');
});

test('a session that is rebound does not count twice against links.maxDedicated', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { maxDedicated: 1 } });
  const session = await gateway.openSession();
  upstream.behaviour.post = refusingOnce({ status: 404 });

  const answer = await gateway.call('count', {}, 1, IN(session));

  expect(answer.json).toMatchObject({ result: { content: [{ text: '1' }] } });
});

test('sessions that are being opened count against links.maxDedicated', async () => {
  const release = Promise.withResolvers<void>();
  const { gateway, upstream } = await gatewayBefore({}, { links: { maxDedicated: 1 } });
  await upstream.nextRequest('notifications/initialized');
  upstream.behaviour.methods = {
    initialize: () => release.promise.then(() => ({ protocolVersion: '2025-06-18', capabilities: {} })),
  };
  await upstream.nextRequest('initialize');
  const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18' } };
  const first = gateway.post(initialize);
  await upstream.nextRequest('initialize');

  const second = gateway.post(initialize);
  await Promise.race([second, upstream.nextRequest('initialize')]);
  release.resolve();

  expect([(await first).status, (await second).status]).toEqual([200, 503]);
  expect((await second).json.error).toMatchObject({
    message: expect.stringContaining('links.maxDedicated'),
    data: { reason: 'sessions_limit', outcome: 'not_executed' },
  });
});
