// A session whose owner is gone, asked for at another replica: it goes on there from what the store has kept of it.

import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import type { Answerer } from '../support/legacy-behaviour.ts';
import { IN, listen } from '../support/session-client.ts';
import { twoReplicas, written } from '../support/two-replicas.ts';

const CAPABILITIES = { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {} };
const SERVED: Readonly<Record<string, Answerer>> = {
  'logging/setLevel': () => ({}),
  'resources/subscribe': () => ({}),
};

test('a call in a session whose owner is gone succeeds at another replica', async () => {
  const { first, second, kill } = await twoReplicas();
  const session = await first.openSession();
  await first.call('add', { a: 1, b: 1 }, 1, IN(session));

  await kill();
  const answer = await second.call('add', { a: 2, b: 3 }, 2, IN(session));

  expect([answer.status, answer.json.result?.content]).toEqual([200, [{ type: 'text', text: '5' }]]);
  expect(second.journal.of('takeover')).toMatchObject([{ outcome: 'taken' }]);
});

test('the upstream is told there what it was told before: initialize as it was, level and subscriptions', async () => {
  const { first, second, upstream, kill } = await twoReplicas({ capabilities: CAPABILITIES, methods: SERVED });
  const session = await first.openSession({ clientInfo: { name: 'mine', version: '7' }, capabilities: { roots: {} } });
  for (const [method, params] of [
    ['logging/setLevel', { level: 'debug' }],
    ['resources/subscribe', { uri: 'file:///a' }],
  ]) {
    const { json } = await first.post({ jsonrpc: '2.0', id: 1, method, params }, IN(session));
    expect(json.result).toEqual({});
  }
  await written(first);
  const before = upstream.received.length;

  await kill();
  await second.call('count', {}, 2, IN(session));

  const again = upstream.received.slice(before).map(({ message }) => [message.method, message.params]);
  expect(again).toMatchObject([
    ['initialize', { clientInfo: { name: 'mine', version: '7' }, capabilities: { roots: {} } }],
    ['notifications/initialized', undefined],
    ['logging/setLevel', { level: 'debug' }],
    ['resources/subscribe', { uri: 'file:///a' }],
    ['tools/call', { name: 'count' }],
  ]);
});

test('a stream goes on after Last-Event-ID: what the owner had sent and kept, and then what comes', async () => {
  const { first, second, upstream, kill } = await twoReplicas();
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  const link = await upstream.nextStream();
  const get = await listen(first, session);
  for (const level of ['info', 'error', 'debug']) {
    upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/message', params: { level, data: level } });
  }
  const [, one] = [await get.next(), await get.next()];
  await get.until(({ json }) => json?.params?.level === 'debug');
  await written(first);

  await kill();
  const again = await openEvents(second, { sessionId: session, lastEventId: one.id ?? '' });
  const [two, three] = [await again.next(), await again.next()];
  const newer = await upstream.nextStream();
  upstream.sendTo(newer, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'alert', data: 'x' } });
  const four = await again.next();

  expect([one, two, three, four].map(({ id, json }) => [id, json.params.level])).toEqual([
    ['1.1', 'info'],
    ['1.2', 'error'],
    ['1.3', 'debug'],
    ['1.4', 'alert'],
  ]);
});

test('what a client has seen beyond what was kept is not sent to it once more under the same number', async () => {
  const { first, second, upstream, kill } = await twoReplicas();
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  await listen(first, session);
  await written(first);

  await kill();
  const again = await openEvents(second, { sessionId: session, lastEventId: '1.7' });
  const newer = await upstream.nextStream().then(() => upstream.nextStream());
  upstream.sendTo(newer, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } });

  expect((await again.next()).id).toBe('1.8');
});

test('the reply that its dead owner had begun ends with owner_lost, whose outcome is unknown', async () => {
  const { first, second, upstream, kill } = await twoReplicas();
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  const opening = openEvents(first, {
    sessionId: session,
    body: { jsonrpc: '2.0', id: 'mine', method: 'tools/call', params: { name: 'slow', _meta: { progressToken: 1 } } },
  });
  const slow = await upstream.nextCall('slow');
  slow.progress(1);
  const reply = await opening;
  const [progress] = (await reply.until(({ json }) => json !== undefined)).slice(-1);
  await written(first);

  await kill();
  const again = await openEvents(second, { sessionId: session, lastEventId: progress?.id ?? '' });

  expect((await again.rest()).map(({ json }) => json)).toMatchObject([
    { id: 'mine', error: { data: { reason: 'owner_lost', outcome: 'unknown' } } },
  ]);
});

test('two clients whose sessions have moved ask for them at once: each is taken over once', async () => {
  const { first, second, kill } = await twoReplicas();
  const sessions = [await first.openSession(), await first.openSession()];

  await kill();
  const answers = await Promise.all(
    [0, 1, 2, 3].map((at) => second.call('add', { a: at, b: 1 }, at, IN(sessions[at % 2] ?? ''))),
  );

  expect(answers.map(({ json }) => json.result?.content[0].text)).toEqual(['1', '2', '3', '4']);
  expect(second.journal.of('takeover')).toHaveLength(2);
});

test('an event larger than all that a session may keep is kept for whoever goes on with it, too', async () => {
  const { first, second, upstream, kill } = await twoReplicas({}, { streams: { maxBytes: '100B' } });
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  const link = await upstream.nextStream();
  const get = await listen(first, session);
  const primed = await get.next();
  const large = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x'.repeat(500) } };
  upstream.sendTo(link, large);
  await get.until(({ json }) => json?.params?.level === 'info');
  await written(first);

  await kill();
  const again = await openEvents(second, { sessionId: session, lastEventId: primed.id ?? '' });

  expect((await again.next()).json).toEqual(large);
});

test('one for which there is no room where it is asked for is refused as what it is, with the id of the request', async () => {
  const { first, second, kill } = await twoReplicas({}, { limits: { sessions: 1 } });
  const [session] = [await first.openSession(), await second.openSession()];

  await kill();
  const answer = await second.call('count', {}, 'mine', IN(session));

  expect([answer.status, answer.json]).toMatchObject([
    503,
    { id: 'mine', error: { data: { reason: 'sessions_limit', outcome: 'not_executed' } } },
  ]);
});

test('a session that its client has deleted is unknown everywhere, also while the store still has it', async () => {
  const { first, second, store, shelves } = await twoReplicas();
  const session = await first.openSession();
  await written(first);
  shelves[0].hold();

  await first.send('DELETE', '/mcp', IN(session));
  const answers = await Promise.all([first, second].map((each) => each.call('count', {}, 1, IN(session))));

  expect(answers.map(({ status }) => status)).toEqual([404, 404]);
  shelves[0].letGo();
  await expect.poll(() => store.placesOf(':lease')).toEqual([]);
});

test('an owner that finds its session taken over ends it as moved, its client comes back, and it writes no more', async () => {
  const { first, second, store, shelves, kill } = await twoReplicas();
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  const get = await listen(first, session);
  await written(first);

  await kill();
  await second.call('count', {}, 1, IN(session));
  await written(second);
  const kept = [...store.values].filter(([place]) => place.includes('{'));
  shelves[0].fault = null;
  await first.journal.until(({ fact }) => fact === 'session_ended');
  const rest = await get.rest();
  const answer = await first.call('add', { a: 1, b: 2 }, 2, IN(session));

  expect(rest.at(-1)?.retry).toBeTypeOf('number');
  expect(first.journal.of('session_ended')).toMatchObject([{ why: 'moved' }]);
  expect([...store.values].filter(([place]) => place.includes('{'))).toEqual(kept);
  expect(answer.json.result?.content[0].text).toBe('3');
});

test('that the store is away is said wherever readiness is asked for', async () => {
  const { first, shelves } = await twoReplicas({}, { admin: { port: 0 } });
  const ready = async () =>
    Promise.all(
      [first.origin, first.adminOrigin].map(async (origin) => {
        const response = await fetch(`${origin}/readyz`);
        return [response.status, await response.json()];
      }),
    );

  const before = await ready();
  shelves[0].fault = { kind: 'unreachable' };
  await expect.poll(() => first.app.gauges().store?.isUp, { timeout: 5000, interval: 20 }).toBe(false);

  expect(before).toEqual(Array(2).fill([200, { status: 'ok' }]));
  expect(await ready()).toEqual(Array(2).fill([200, { status: 'ok', store: 'unavailable' }]));
});
