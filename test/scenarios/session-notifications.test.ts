// What is said in a session without an answer: progress, log messages, changed lists, cancels and what nobody knows.
// Each message goes on one stream, as it came.

import { expect, test } from 'vitest';
import { type EventClient, openEvents } from '../support/event-client.ts';
import { type Answer, type Gateway, gatewayBefore } from '../support/gateway.ts';
import { spanOf } from '../support/json-span.ts';
import { type LegacyStream, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { IN, listen, told } from '../support/session-client.ts';

/** Only sessions have links, so the newest one is that of the newest session. */
const OWN = { links: { min: 0 } } as const;

const CHANGED = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

function link(upstream: LegacyServer): LegacyStream {
  const stream = upstream.streams.at(-1);
  if (stream === undefined) throw new Error('there is no link');
  return stream;
}

/** A tools/call whose reply becomes a stream, once it has begun. */
function callIn(gateway: Gateway, sessionId: string, params: object, id: unknown = 1): Promise<EventClient> {
  return openEvents(gateway, { sessionId, body: { jsonrpc: '2.0', id, method: 'tools/call', params } });
}

function notify(gateway: Gateway, session: string, method: string, params?: object): Promise<Answer> {
  return gateway.post({ jsonrpc: '2.0', method, ...(params && { params }) }, IN(session));
}

/** The upstream has been answered everything that it sent on this link before. */
async function caughtUp(upstream: LegacyServer, stream: LegacyStream): Promise<void> {
  await upstream.ask(stream, 'ping');
}

const log = (level: string, data: unknown): object => ({
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level, data },
});

// Progress

test.each(['1', '"1"', '0', '-7', '"a \\u0041 ü"', '9007199254740993'])(
  'progress carries the client’s own token, type and bytes: %s [B19 G13]',
  async (token) => {
    const { gateway, upstream } = await gatewayBefore({}, OWN);
    const session = await gateway.openSession();
    const params = `{"_meta":{"x":1.0,"progressToken":${token}},"name":"slow","arguments":{}}`;
    const reply = openEvents(gateway, {
      sessionId: session,
      body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`,
    });
    const call = await upstream.nextCall('slow');

    call.progress(1);
    call.progress(2, 3);
    const said = [await told(await reply), await told(await reply)].map(({ data }) => data);
    call.release();

    const own = call.bytes('params', '_meta', 'progressToken').toString();
    expect(own).toBe(String(call.message.id));
    expect(said).toEqual([
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1}}`,
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":2,"total":3}}`,
    ]);
    expect((await (await reply).rest()).at(-1)?.json).toMatchObject({ id: 1, result: text('done') });
  },
);

test('calls with equal tokens get their own progress, in one session and in two [B19 G13]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const replies = [];
  const calls = [];
  for (const [id, session] of [a, a, b].entries()) {
    replies.push(callIn(gateway, session, { name: 'slow', _meta: { progressToken: 'same' } }, id));
    calls.push(await upstream.nextCall('slow'));
  }

  for (const [i, call] of calls.entries()) call.progress(i);
  const said = [];
  for (const reply of replies) said.push((await told(await reply)).json.params);
  for (const call of calls) call.release();

  expect(said).toEqual([0, 1, 2].map((progress) => ({ progressToken: 'same', progress })));
  for (const [id, reply] of replies.entries()) {
    expect((await (await reply).rest()).map(({ json }) => json.id)).toEqual([id]);
  }
});

test('progress after the answer reaches nobody, and is counted [B19]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  const get = await listen(gateway, session);
  const reply = callIn(gateway, session, { name: 'slow', _meta: { progressToken: 1 } });
  const call = await upstream.nextCall('slow');
  call.release();
  await (
    await reply
  ).closed;

  call.progress(1);
  upstream.sendTo(call.stream, CHANGED);

  expect((await told(get)).json).toEqual(CHANGED);
  expect(gateway.journal.dropped('late_progress')).toBe(1);
});

// Log messages

test('a log message goes on the stream of the only call, and on no other [B10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  const get = await listen(gateway, session);
  const reply = callIn(gateway, session, { name: 'slow' });
  const call = await upstream.nextCall('slow');

  upstream.sendTo(call.stream, Buffer.from('{"jsonrpc":"2.0","params":{"n":1.0},"method":"notifications/message"}'));

  expect((await told(await reply)).data).toBe('{"jsonrpc":"2.0","params":{"n":1.0},"method":"notifications/message"}');
  upstream.sendTo(call.stream, CHANGED);
  expect((await told(get)).json).toEqual(CHANGED);
});

test.each([
  ['without a call', 0],
  ['with two calls', 2],
])('%s a log message goes on the GET [B10]', async (_, count) => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  const get = await listen(gateway, session);
  const calls = [];
  const answers = Array.from({ length: count }, (__, id) => gateway.call('slow', {}, id, IN(session)));
  for (const ___ of answers) calls.push(await upstream.nextCall('slow'));

  upstream.sendTo(link(upstream), log('info', 'hello'));

  expect((await told(get)).json).toEqual(log('info', 'hello'));
  for (const call of calls) call.release();
  for (const { events, status } of await Promise.all(answers)) expect([status, events]).toEqual([200, []]);
});

test('a log level that the client sets is set upstream, and its request is answered by the upstream [G19]', async () => {
  const { gateway, upstream } = await gatewayBefore({ methods: { 'logging/setLevel': () => ({ x: 1 }) } }, OWN);
  const session = await gateway.openSession();

  const set = await gateway.post(
    { jsonrpc: '2.0', id: 'l', method: 'logging/setLevel', params: { level: 'warning', y: 2 } },
    IN(session),
  );

  expect(set.json).toEqual({ jsonrpc: '2.0', id: 'l', result: { x: 1 } });
  expect((await upstream.nextRequest('logging/setLevel')).message.params).toEqual({ level: 'warning', y: 2 });
});

test.each([{ level: 'loud' }, { level: 3 }, { level: 'WARNING' }, {}])(
  'a log level that is none is −32602 and never reaches the upstream: %j [G19]',
  async (params) => {
    const { gateway, upstream } = await gatewayBefore({}, OWN);
    const session = await gateway.openSession();

    const set = await gateway.post({ jsonrpc: '2.0', id: 1, method: 'logging/setLevel', params }, IN(session));

    expect([set.status, set.json.id, set.json.error.code]).toEqual([200, 1, -32602]);
    expect(upstream.received.map(({ message }) => message.method)).not.toContain('logging/setLevel');
  },
);

test('where the upstream offers no logging, setting a level is −32601 and never reaches it [B20 G19]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: { tools: {} } }, OWN);
  const session = await gateway.openSession();

  const set = await gateway.post(
    { jsonrpc: '2.0', id: 1, method: 'logging/setLevel', params: { level: 'info' } },
    IN(session),
  );

  expect([set.status, set.json.error.code]).toEqual([200, -32601]);
  expect(upstream.received.map(({ message }) => message.method)).not.toContain('logging/setLevel');
});

// Lists and the rest, to the client

test.each([
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
  'notifications/x/unknown',
])('%s: one copy, on the GET even while a call is in flight [B10]', async (method) => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  const get = await listen(gateway, session);
  const answer = gateway.call('slow', {}, 1, IN(session));
  const call = await upstream.nextCall('slow');
  const message = `{"method":"${method}", "params":{"n":1.0,"s":"\\u0041"},"jsonrpc":"2.0"}`;

  upstream.sendTo(call.stream, Buffer.from(message));
  const heard = await told(get);
  call.release();

  expect(heard.data).toBe(message);
  expect((await answer).headers['content-type']).toContain('application/json');
  upstream.sendTo(call.stream, CHANGED);
  expect((await told(get)).json).toEqual(CHANGED);
});

test('without a GET it goes on the stream of the newest call', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  const first = gateway.call('slow', {}, 1, IN(session));
  const firstCall = await upstream.nextCall('slow');
  const second = callIn(gateway, session, { name: 'slow' }, 2);
  const secondCall = await upstream.nextCall('slow');

  firstCall.notify('notifications/tools/list_changed');
  const heard = await told(await second);
  firstCall.release();
  secondCall.release();

  expect(heard.json).toEqual(CHANGED);
  expect((await first).headers['content-type']).toContain('application/json');
});

test('what comes while there is no stream waits for one, in order', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  for (let i = 0; i < 20; i++) upstream.sendTo(link(upstream), log('info', i));
  await caughtUp(upstream, link(upstream));

  const get = await listen(gateway, session);
  upstream.sendTo(link(upstream), log('info', 20));

  const heard = await get.until(({ json }) => json?.params.data === 20);
  expect(heard.map(({ json }) => json.params.data)).toEqual(Array.from({ length: 21 }, (_, i) => i));
});

test('of what waits for a stream the oldest notifications go first, and are counted', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  for (let i = 0; i < 103; i++) upstream.sendTo(link(upstream), log('info', i));
  await caughtUp(upstream, link(upstream));

  const get = await listen(gateway, session);

  const heard = await get.until(({ json }) => json?.params.data === 102);
  expect(heard).toHaveLength(100);
  expect(gateway.journal.dropped('unheard_notification')).toBe(3);
});

test('each session hears its own link, and nothing of another’s [B10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const [getA, getB] = [await listen(gateway, a), await listen(gateway, b)];

  for (const [i, stream] of upstream.streams.entries()) upstream.sendTo(stream, log('info', i));

  expect([(await told(getA)).json.params.data, (await told(getB)).json.params.data]).toEqual([0, 1]);
  expect([getA.seen, getB.seen].map((events) => events.filter(({ data }) => data !== '').length)).toEqual([1, 1]);
});

test('what only a client may say, and what tasks say, is dropped and counted [D6]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession({ capabilities: { roots: {} } });
  const get = await listen(gateway, session);

  for (const method of ['initialized', 'roots/list_changed', 'tasks/status']) {
    upstream.sendTo(link(upstream), { jsonrpc: '2.0', method: `notifications/${method}` });
  }
  upstream.sendTo(link(upstream), CHANGED);

  expect((await told(get)).json).toEqual(CHANGED);
  expect(gateway.journal.dropped('unroutable_notification')).toBe(3);
});

// From the client

test('a notification of the client that nobody knows reaches its own link byte for byte', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const message = '{"params":{"n":1.0,"s":"\\u0041"}, "method":"notifications/x/mine","jsonrpc":"2.0"}';

  const taken = await gateway.post(message, IN(a));
  const got = await upstream.nextRequest('notifications/x/mine');
  await notify(gateway, b, 'notifications/x/mine');
  const other = await upstream.nextRequest('notifications/x/mine');

  expect([taken.status, taken.text]).toEqual([202, '']);
  expect(got.raw.toString()).toBe(message);
  expect(got.url).not.toBe(other.url);
});

test('roots/list_changed reaches the upstream if roots are declared; else it is dropped and counted [G11]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const without = await gateway.openSession();
  const session = await gateway.openSession({ capabilities: { roots: { listChanged: true } } });

  const taken = [
    await notify(gateway, without, 'notifications/roots/list_changed'),
    await notify(gateway, session, 'notifications/roots/list_changed'),
  ];
  const got = await upstream.nextRequest('notifications/roots/list_changed');

  expect(taken.map(({ status }) => status)).toEqual([202, 202]);
  expect(got.url).toContain(link(upstream).sessionId);
  expect(gateway.journal.dropped('unroutable_notification')).toBe(1);
});

test('initialized is said upstream once, before anything else, however often the client says it [G3]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();

  await notify(gateway, session, 'notifications/initialized');
  await notify(gateway, session, 'notifications/tasks/status', { taskId: 't', status: 'working' });
  await gateway.call('count', {}, 1, IN(session));

  expect(upstream.received.map(({ message }) => message.method)).toEqual([
    'initialize',
    'notifications/initialized',
    'tools/call',
  ]);
});

// Cancels

test('a cancel crosses with the upstream’s own id; the stream of the call ends without an answer [B18 G12]', async () => {
  const { gateway, upstream } = await gatewayBefore(
    { tools: { stubborn: (call) => call.released.then(() => text('late')) } },
    OWN,
  );
  const session = await gateway.openSession();
  const get = await listen(gateway, session);
  const reply = callIn(gateway, session, { name: 'stubborn', _meta: { progressToken: 1 } }, 'mine');
  const call = await upstream.nextCall('stubborn');
  call.progress(1);
  await told(await reply);

  await gateway.post(
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"\\u0041","requestId":"mine","n":1.0}}',
    IN(session),
  );
  const got = await upstream.nextRequest('notifications/cancelled');
  const rest = await (await reply).rest();
  call.release();
  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'late_answer');

  expect(spanOf(got.raw, ['params']).toString()).toBe(
    `{"reason":"\\u0041","requestId":${String(call.message.id)},"n":1.0}`,
  );
  expect(rest).toEqual([]);
  upstream.sendTo(call.stream, CHANGED);
  expect((await told(get)).json).toEqual(CHANGED);
});

test('initialize, an answered call and an id of another type are not cancelled upstream [G12]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession();
  await gateway.call('count', {}, 5, IN(session));
  const answer = gateway.call('slow', {}, 6, IN(session));
  const call = await upstream.nextCall('slow');

  for (const requestId of [0, 5, '6', Number(call.message.id)]) {
    await notify(gateway, session, 'notifications/cancelled', { requestId });
  }
  call.release();

  expect((await answer).json.result).toEqual(text('done'));
  expect(upstream.received.map(({ message }) => message.method)).not.toContain('notifications/cancelled');
  expect(gateway.journal.dropped('unknown_cancel')).toBe(4);
});
