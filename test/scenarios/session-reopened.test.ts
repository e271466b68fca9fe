// A session whose link was lost with nothing in flight: opened anew by itself while the client listens, else by the next
// call. The upstream session behind it is a new one, so it is told everything again before it is used.

import { expect, test } from 'vitest';
import { type EventClient, openEvents } from '../support/event-client.ts';
import { type Gateway, gatewayBefore } from '../support/gateway.ts';
import { spanOf } from '../support/json-span.ts';
import { type Answerer, RpcError } from '../support/legacy-behaviour.ts';
import type { LegacyServer, Received } from '../support/legacy-server.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { IN, told } from '../support/session-client.ts';

/** Only sessions have links. */
const OWN = { links: { min: 0 }, reconnect: { min: '10ms', max: '50ms' } } as const;

const CAPABILITIES = { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {} };
const SERVED: Readonly<Record<string, Answerer>> = {
  'resources/subscribe': () => ({}),
  'resources/unsubscribe': () => ({}),
};

function listen(gateway: Gateway, sessionId: string): Promise<EventClient> {
  return openEvents(gateway, { sessionId });
}

async function ask(gateway: Gateway, session: string, method: string, params: object): Promise<void> {
  const { json } = await gateway.post({ jsonrpc: '2.0', id: 1, method, params }, IN(session));
  expect(json.result).toEqual({});
}

/** The session's link is lost, and the gateway knows. */
async function lost({ journal }: Gateway, times = 1): Promise<void> {
  await journal.until(() => journal.of('link_closed').length === times);
}

async function reopened({ journal }: Gateway, times = 2): Promise<void> {
  await journal.until(() => journal.of('link_open').length === times);
}

/** What came on the newest link. */
function newest(upstream: LegacyServer): Received[] {
  const sessionId = upstream.streams.at(-1)?.sessionId ?? 'none';
  return upstream.received.filter(({ url }) => url.includes(sessionId));
}

test('while the client listens a lost link is opened by itself, and told everything before it is used [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: CAPABILITIES, methods: SERVED }, OWN);
  const session = await gateway.openSession({
    clientInfo: { name: 'mine', version: '7' },
    capabilities: { roots: {} },
  });
  const get = await listen(gateway, session);
  await ask(gateway, session, 'logging/setLevel', { level: 'error' });
  await ask(gateway, session, 'logging/setLevel', { level: 'debug' });
  await ask(gateway, session, 'resources/subscribe', { uri: 'file:///a' });
  await ask(gateway, session, 'resources/subscribe', { uri: 'file:///b' });
  const first = await upstream.nextRequest('initialize');

  await upstream.stop();
  await lost(gateway);
  await upstream.start();
  const second = await upstream.nextRequest('initialize');
  for (let i = 0; i < 4; i++) await upstream.nextRequest('resources/subscribe');
  await gateway.call('count', {}, 1, IN(session));

  expect(spanOf(second.raw, ['params'])).toEqual(spanOf(first.raw, ['params']));
  expect(newest(upstream).map(({ message }) => [message.method, message.params?.['uri']])).toEqual([
    ['initialize', undefined],
    ['notifications/initialized', undefined],
    ['logging/setLevel', undefined],
    ['resources/subscribe', 'file:///a'],
    ['resources/subscribe', 'file:///b'],
    ['tools/call', undefined],
  ]);
  expect(newest(upstream)[2]?.message.params).toEqual({ level: 'debug' });
  expect(get.seen.filter(({ data }) => data !== '')).toEqual([]);
});

test('what the upstream says on the new link comes on the GET that was open all the time', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession({ capabilities: { roots: {} } });
  const get = await listen(gateway, session);

  upstream.cutStreams();
  await lost(gateway);
  await reopened(gateway);
  const [link] = await upstream.whenStreams(1);
  if (link === undefined) throw new Error('there is no link');
  const reply = upstream.ask(link, 'roots/list');
  const { json } = await told(get);
  await gateway.post({ jsonrpc: '2.0', id: json.id, result: { roots: [] } }, IN(session));

  expect(await reply).toMatchObject({ result: { roots: [] } });
});

test('it is tried until it succeeds', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  await listen(gateway, session);

  await upstream.stop();
  await gateway.journal.until(() => gateway.journal.of('link_failed').length === 3);
  await upstream.start();

  await reopened(gateway);
});

test('each attempt comes reconnect.min after the last one at the soonest, and reconnect.max at the latest', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore(
    {},
    { links: { min: 0 }, reconnect: { min: '1s', max: '8s' } },
    time,
  );
  const session = await gateway.openSession();
  await listen(gateway, session);
  upstream.behaviour.get = { status: 503 };
  upstream.cutStreams();
  await lost(gateway);
  const { journal } = gateway;

  const isOpening = () => gateway.app.mounts[0]?.dedicatedCount === 1;
  // With one more the breaker would have its say.
  for (let attempt = 1; attempt <= 3; attempt++) {
    await time.advance(999);
    expect(isOpening()).toBe(false);
    let waited = 999;
    for (; !isOpening() && waited < 9000; waited += 250) await time.advance(250);
    expect(waited).toBeLessThanOrEqual(8249);
    await journal.until(() => journal.of('link_failed').length === attempt);
  }
});

test('while nobody listens a lost link waits for the next call, which finds the upstream told [G16]', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({ capabilities: CAPABILITIES, methods: SERVED }, OWN, time);
  const session = await gateway.openSession();
  await ask(gateway, session, 'logging/setLevel', { level: 'error' });
  await ask(gateway, session, 'resources/subscribe', { uri: 'file:///a' });

  upstream.cutStreams();
  await lost(gateway);
  await time.advance(60_000);
  await gateway.send('GET', '/healthz');
  const before = upstream.gets.length;
  await gateway.call('count', {}, 1, IN(session));

  expect(before).toBe(1);
  expect(newest(upstream).map(({ message }) => message.method)).toEqual([
    'initialize',
    'notifications/initialized',
    'logging/setLevel',
    'resources/subscribe',
    'tools/call',
  ]);
});

test('a GET that is opened after the loss opens the link', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  upstream.cutStreams();
  await lost(gateway);

  await listen(gateway, session);

  await reopened(gateway);
});

test('an attempt that a call began and that failed is followed by others while the client listens', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, OWN, time);
  const session = await gateway.openSession();
  await listen(gateway, session);
  upstream.behaviour.get = { until: new Promise(() => {}) };
  upstream.cutStreams();
  await lost(gateway);
  const answer = gateway.call('count', {}, 1, IN(session));
  await expect.poll(() => upstream.gets.length, { timeout: 5000 }).toBe(2);

  // The next attempt of its own comes due while that of the call is under way.
  await time.advance(100);
  await upstream.stop();
  const failed = await answer;
  upstream.behaviour.get = 'streams';
  await upstream.start();
  await time.advance(100);

  expect(failed.status).toBe(502);
  await expect.poll(() => upstream.gets.length, { timeout: 2000 }).toBe(3);
});

test('a call that comes while the new link is being told waits for that [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: CAPABILITIES, methods: SERVED }, OWN);
  const session = await gateway.openSession();
  await listen(gateway, session);
  for (const uri of ['file:///a', 'file:///b']) await ask(gateway, session, 'resources/subscribe', { uri });
  const isTold = Promise.withResolvers<object>();
  upstream.behaviour.methods = { ...SERVED, 'resources/subscribe': () => isTold.promise };
  for (let i = 0; i < 2; i++) await upstream.nextRequest('resources/subscribe');

  upstream.cutStreams();
  await upstream.nextRequest('resources/subscribe');
  const answer = gateway.call('count', {}, 1, IN(session));
  await gateway.send('GET', '/healthz');
  isTold.resolve({});
  await answer;

  expect(newest(upstream).map(({ message }) => message.method)).toEqual([
    'initialize',
    'notifications/initialized',
    'resources/subscribe',
    'resources/subscribe',
    'tools/call',
  ]);
});

test('of sessions that wait to be reopened the one with a call goes first, though it queued last and without one', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 }, reconnect: { rate: 1 } }, time);
  const sessions = [];
  for (const name of ['a', 'b', 'c', 'd']) {
    sessions.push(await gateway.openSession({ clientInfo: { name, version: '1' } }));
    await upstream.nextRequest('initialize');
  }
  upstream.cutStreams();
  await lost(gateway, 4);
  for (const session of sessions) await listen(gateway, session);
  const next = async () => (await upstream.nextRequest('initialize')).message.params?.['clientInfo'];
  const first = await next();

  const answer = gateway.call('count', {}, 1, IN(sessions[3] ?? ''));
  await gateway.send('GET', '/healthz');
  await time.advance(1000);

  expect([first, await next()]).toMatchObject([{ name: 'a' }, { name: 'd' }]);
  expect((await answer).status).toBe(200);
});

test('once the client has stopped to listen it is not tried any more', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, OWN, time);
  const session = await gateway.openSession();
  const get = await listen(gateway, session);
  upstream.behaviour.get = { status: 503 };
  upstream.cutStreams();
  await lost(gateway);
  await time.advance(50);
  await gateway.journal.until(({ fact }) => fact === 'link_failed');

  const before = upstream.gets.length;
  await get.leave();
  await time.advance(60_000);
  await gateway.send('GET', '/healthz');

  expect(upstream.gets).toHaveLength(before);
  upstream.behaviour.get = 'streams';
  expect((await gateway.call('count', {}, 1, IN(session))).json.result.content[0].text).toBe('1');
});

test('a session that is deleted while its link is lost opens none any more', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, OWN, time);
  const session = await gateway.openSession();
  const get = await listen(gateway, session);
  upstream.cutStreams();
  await lost(gateway);

  await gateway.send('DELETE', '/mcp', IN(session));
  await time.advance(60_000);
  await gateway.send('GET', '/healthz');

  expect(await get.closed).toBe('ended');
  expect(upstream.gets).toHaveLength(1);
  expect(time.pendingCount).toBe(0);
});

test('a session that is deleted while its call waits for the link: the call ends at once and never runs', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  upstream.behaviour.get = { until: new Promise(() => {}) };
  upstream.cutStreams();
  await lost(gateway);
  const answer = gateway.call('count', {}, 1, IN(session));
  await expect.poll(() => upstream.gets.length, { timeout: 5000 }).toBe(2);

  await gateway.send('DELETE', '/mcp', IN(session));
  const finished = gateway.journal.of('exchange').filter(({ name }) => name === 'count');

  expect(finished).toMatchObject([{ outcome: 'failed', reason: 'session_ended' }]);
  expect((await answer).json.error.data).toMatchObject({ reason: 'session_ended', outcome: 'not_executed' });
});

// Another upstream

const CHANGES: readonly (readonly [string, (upstream: LegacyServer) => void, readonly string[]])[] = [
  [
    'another version',
    ({ behaviour }) => {
      behaviour.serverInfo = { name: 'scripted-legacy-server', version: '2.0.0' };
    },
    ['prompts', 'resources', 'tools'],
  ],
  [
    'other capabilities',
    ({ behaviour }) => {
      behaviour.capabilities = { tools: {}, completions: {} };
    },
    ['prompts', 'resources', 'tools'],
  ],
];

test.each(CHANGES)(
  'a new link to an upstream with %s: the client is told once of every kind of list it has or had [G16]',
  async (_, change, kinds) => {
    const { gateway, upstream } = await gatewayBefore({ capabilities: CAPABILITIES }, OWN);
    const session = await gateway.openSession();
    const get = await listen(gateway, session);

    await upstream.stop();
    await lost(gateway);
    change(upstream);
    await upstream.start();
    const heard = [];
    for (const __ of kinds) heard.push((await told(get)).json.method);
    upstream.cutStreams();
    await reopened(gateway, 3);
    const [link] = await upstream.whenStreams(1);
    if (link !== undefined) upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/x/mark' });

    expect(heard.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      kinds.map((kind) => `notifications/${kind}/list_changed`),
    );
    expect((await told(get)).json.method).toBe('notifications/x/mark');
  },
);

test('a new link to another upstream, while nobody listens: told on the stream of the call that opened it', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: { tools: {} } }, OWN);
  const session = await gateway.openSession();
  upstream.behaviour.serverInfo = { name: 'another' };
  upstream.cutStreams();
  await lost(gateway);

  const { events } = await gateway.call('count', {}, 1, IN(session));

  expect(events.map((data) => JSON.parse(data))).toMatchObject([
    { method: 'notifications/tools/list_changed' },
    { id: 1, result: { content: [{ text: '1' }] } },
  ]);
});

test('what the new upstream does not offer any more is refused, what it offers now is passed on', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: { tools: {}, logging: {} }, methods: SERVED }, OWN);
  const session = await gateway.openSession();
  await ask(gateway, session, 'logging/setLevel', { level: 'error' });

  upstream.behaviour.capabilities = { tools: {}, resources: { subscribe: true } };
  upstream.cutStreams();
  await lost(gateway);
  await gateway.call('count', {}, 1, IN(session));
  await ask(gateway, session, 'resources/subscribe', { uri: 'file:///a' });
  const level = await gateway.post(
    { jsonrpc: '2.0', id: 1, method: 'logging/setLevel', params: { level: 'info' } },
    IN(session),
  );

  expect(level.json.error.code).toBe(-32601);
  expect(newest(upstream).map(({ message }) => message.method)).not.toContain('logging/setLevel');
});

test('a tool that ran when the link was lost does not run again on the new one [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  await listen(gateway, session);
  const answer = gateway.call('never', {}, 1, IN(session));
  await upstream.nextCall('never');

  upstream.cutStreams();
  await reopened(gateway);

  expect((await answer).json.error.data).toMatchObject({ reason: 'upstream_session_lost', outcome: 'unknown' });
  await gateway.call('count', {}, 2, IN(session));
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(2);
});

test('an upstream that refuses to be initialized again: the next call says so, and the one after that works', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  upstream.behaviour.methods = {
    initialize: () => {
      throw new RpcError(-32000, 'not now');
    },
  };
  upstream.cutStreams();
  await lost(gateway);

  const refused = await gateway.call('count', {}, 1, IN(session));
  upstream.behaviour.methods = {};
  const served = await gateway.call('count', {}, 2, IN(session));

  expect([refused.status, refused.json.error.data]).toMatchObject([
    502,
    { reason: 'initialize_failed', outcome: 'not_executed' },
  ]);
  expect(served.json.result.content[0].text).toBe('1');
});
