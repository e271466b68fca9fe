// What a client of 2026-07-28 hears while its call runs: progress, log messages where it asks for them, signs of life;
// and what becomes of a call whose client leaves or does not read.

import { expect, test } from 'vitest';
import { type Gateway, type OpenReply, eventsOf, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, type LegacyCall, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { callTool, leavingModern, modern, modernMessage, openModern } from '../support/modern-client.ts';

const FORM = { elicitation: {} };
const JSON_ONLY = { accept: 'application/json' };
const STREAM_ONLY = { accept: 'text/event-stream' };

/** The reply to a call of the tool `slow`, and the call as it runs. */
async function running(
  { gateway, upstream }: { gateway: Gateway; upstream: LegacyServer },
  options: Parameters<typeof openModern>[3] = {},
): Promise<{ reply: Promise<OpenReply>; call: LegacyCall }> {
  const reply = openModern(gateway, 'tools/call', { name: 'slow', arguments: {} }, options);
  reply.catch(() => {});
  return { reply, call: await upstream.nextCall('slow') };
}

/** All that came on a stream, once it has ended. */
const whole = async (reply: Promise<OpenReply>): Promise<string> => (await reply).until('this never comes');
const methodsIn = (stream: string): string[] =>
  eventsOf(stream).map((data) => {
    const { method, result, error } = JSON.parse(data);
    return method ?? (result === undefined ? `error ${error.code}` : 'result');
  });

const log = (level: string, data: unknown = 'x'): [string, object] => ['notifications/message', { level, data }];
const cancels = (upstream: LegacyServer): unknown[] =>
  upstream.received
    .filter(({ message }) => message.method === 'notifications/cancelled')
    .map(({ message }) => message.params?.['requestId']);

// Progress

test.each(['"p-1"', '7', '"7"', '9007199254740993', '""', '"\\u0061"'])(
  'progress makes the reply a stream, under the client’s own token %s, without event ids [F30 F32 F35]',
  async (token) => {
    const { gateway, upstream } = await gatewayBefore();
    const { body, headers } = modernMessage('tools/call', { name: 'slow' }, { progressToken: '@', id: 'x' });

    const reply = gateway.open(body.replace('"progressToken":"@"', `"progressToken":${token}`), headers);
    const call = await upstream.nextCall('slow');
    call.progress(1, 2);
    call.progress(2, 2);
    call.release();

    const stream = await whole(reply);
    expect((await reply).headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
    expect(eventsOf(stream).slice(0, 2)).toEqual([
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1,"total":2}}`,
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":2,"total":2}}`,
    ]);
    expect(methodsIn(stream)).toEqual(['notifications/progress', 'notifications/progress', 'result']);
    expect(stream).not.toMatch(/^(?:id|retry)/m);
  },
);

test('progress is not held back until the answer [F32]', async () => {
  const world = await gatewayBefore();
  const { reply, call } = await running(world, { progressToken: 1 });

  call.progress(1);
  const early = await (await reply).until('"progress":1');
  call.release();

  expect(early).not.toContain('result');
  expect(await whole(reply)).toContain('"result"');
});

test('without a token there is no progress, whatever the server says [F32]', async () => {
  const world = await gatewayBefore();
  const { reply, call } = await running(world);

  call.notify('notifications/progress', { progressToken: call.message.id, progress: 1 });
  call.notify('notifications/progress', { progressToken: 1, progress: 1 });
  call.release();

  expect((await reply).headers['content-type']).toBe('application/json');
  expect(call.message.params).not.toHaveProperty('_meta');
});

test('two calls with one token at the same time hear of their own progress [F32]', async () => {
  const world = await gatewayBefore();
  const first = await running(world, { progressToken: 'same', id: 'a' });
  const second = await running(world, { progressToken: 'same', id: 'b' });

  first.call.progress(1);
  second.call.progress(2);
  first.call.release();
  second.call.release();

  expect(await whole(first.reply)).toMatch(/"progress":1\}[^]*"id":"a"/);
  expect(await whole(second.reply)).toMatch(/"progress":2\}[^]*"id":"b"/);
});

test('nothing follows the answer [F30 F32]', async () => {
  const world = await gatewayBefore({}, { links: { max: 1 } });
  const { reply, call } = await running(world, { progressToken: 1 });
  call.progress(1);
  call.release();
  const stream = await whole(reply);

  call.progress(2);
  await callTool(world.gateway, 'add');

  expect(methodsIn(stream)).toEqual(['notifications/progress', 'result']);
  expect(world.gateway.journal.of('dropped')).toHaveLength(1);
});

test('what is not about the call is not on its stream, and no request ever is [F30]', async () => {
  const world = await gatewayBefore({ capabilities: { tools: { listChanged: true }, logging: {} } });
  const { reply, call } = await running(world, { progressToken: 1 });

  call.notify('notifications/tools/list_changed');
  call.notify('notifications/resources/updated', { uri: 'file:///a' });
  call.notify('notifications/made/up', {});
  call.notify(...log('emergency'));
  await call.ask('roots/list');
  await call.ask('made/up');
  call.progress(1);
  call.release();

  expect(methodsIn(await whole(reply))).toEqual(['notifications/progress', 'result']);
});

test.each([
  ['JSON alone gets JSON, and no progress', JSON_ONLY, 'application/json'],
  ['a stream alone gets a stream', STREAM_ONLY, 'text/event-stream'],
])('a client that accepts %s [F30]', async (_what, headers, type) => {
  const world = await gatewayBefore();
  const { reply, call } = await running(world, { progressToken: 1, headers });

  call.progress(1);
  call.release();

  expect((await reply).headers['content-type']).toBe(type);
  expect(await whole(reply)).toContain('"done"');
});

test('a call that takes long becomes a stream that shows life [F30 F35]', async () => {
  const world = await gatewayBefore({}, { heartbeat: '10ms' });
  const { reply, call } = await running(world, { id: 'x' });

  const early = await (await reply).until(': heartbeat\n\n: heartbeat');
  call.release();

  expect((await reply).headers['content-type']).toBe('text/event-stream');
  expect(eventsOf(early)).toEqual([]);
  expect(methodsIn(await whole(reply))).toEqual(['result']);
});

test('a listen shows life too [F30]', async () => {
  const { gateway } = await gatewayBefore({}, { heartbeat: '10ms' });

  const reply = await openModern(gateway, 'subscriptions/listen', { notifications: {} });

  await reply.until('acknowledged');
  const before = (await reply.until('acknowledged')).length;
  expect((await reply.until(': heartbeat\n\n: heartbeat')).length).toBeGreaterThanOrEqual(before);
});

// Log messages

const LOGGING = { capabilities: { tools: {}, prompts: {}, logging: {} } };

test('log messages come from the level on that was asked for, before the answer [F31]', async () => {
  const world = await gatewayBefore(LOGGING);
  const { reply, call } = await running(world, { logLevel: 'warning' });

  for (const level of ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency', 'loud']) {
    call.notify(...log(level, level));
  }
  call.release();

  const stream = await whole(reply);
  expect(methodsIn(stream).at(-1)).toBe('result');
  expect(
    eventsOf(stream)
      .slice(0, -1)
      .map((data) => JSON.parse(data).params.data),
  ).toEqual(['warning', 'error', 'critical', 'alert', 'emergency']);
});

test('a log message crosses as it is [F31]', async () => {
  const world = await gatewayBefore(LOGGING);
  const { reply, call } = await running(world, { logLevel: 'debug' });
  const message =
    '{"jsonrpc":"2.0","method":"notifications/message","params":{"logger":"a\\u0062","level":"info","data":{"n":1.0}}}';

  world.upstream.sendTo(call.stream, Buffer.from(message));
  call.release();

  expect(eventsOf(await whole(reply))[0]).toBe(message);
});

test('the server is told of the level before the call, on a link for that call alone, and takes it back after it [F31 G19]', async () => {
  const world = await gatewayBefore(LOGGING);
  const { upstream, gateway } = world;
  const { reply, call } = await running(world, { logLevel: 'debug' });
  const other = running(world);
  const { call: second, reply: secondReply } = await other;

  call.release();
  second.release();
  await Promise.all([whole(reply), whole(secondReply)]);
  const [told, reset] = [
    await upstream.nextRequest('logging/setLevel'),
    await upstream.nextRequest('logging/setLevel'),
  ];

  expect(call.stream).not.toBe(second.stream);
  expect([told.message.params, reset.message.params]).toEqual([{ level: 'debug' }, { level: 'emergency' }]);
  const onLink = upstream.received.filter(({ url }) => url.includes(call.stream.sessionId));
  expect(onLink.map(({ message }) => message.method).filter((method) => method !== 'tools/list')).toEqual([
    'initialize',
    'notifications/initialized',
    'logging/setLevel',
    'tools/call',
    'logging/setLevel',
  ]);
  expect(gateway.journal.dropped('unroutable_notification')).toBe(0);
});

test('two calls with levels hear nothing of each other [F31]', async () => {
  const world = await gatewayBefore(LOGGING);
  const first = await running(world, { logLevel: 'debug' });
  const second = await running(world, { logLevel: 'debug', capabilities: FORM });

  first.call.notify(...log('info', 'first'));
  second.call.notify(...log('info', 'second'));
  first.call.release();
  second.call.release();

  expect(await whole(first.reply)).not.toContain('second');
  expect(await whole(second.reply)).not.toContain('first');
});

test.each([{}, { capabilities: FORM }])(
  'without a level there are no log messages, whatever was asked for before: %j [F31]',
  async (options) => {
    const world = await gatewayBefore(LOGGING);
    const before = await running(world, { logLevel: 'debug', ...options });
    before.call.release();
    await whole(before.reply);
    await world.upstream.nextRequest('logging/setLevel');
    await world.upstream.nextRequest('logging/setLevel');

    const { reply, call } = await running(world, options);
    call.notify(...log('emergency'));
    call.release();

    expect((await reply).headers['content-type']).toBe('application/json');
    expect(await whole(reply)).toContain('"done"');
  },
);

test('a server without logging is told of no level, and its call is made [F31 G19]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: { tools: {} } });

  const answer = await callTool(gateway, 'add', { a: 1, b: 2 }, { logLevel: 'debug' });

  expect([answer.status, answer.json.result.content[0].text]).toEqual([200, '3']);
  expect(upstream.received.map(({ message }) => message.method)).not.toContain('logging/setLevel');
});

test('a level of what cannot ask back is heard of too [F31]', async () => {
  const { gateway, upstream } = await gatewayBefore({
    ...LOGGING,
    methods: {
      'prompts/get': (call) => {
        call.notify(...log('error'));
        return { messages: [] };
      },
    },
  });

  const { events } = await modern(gateway, 'prompts/get', { name: 'p' }, { logLevel: 'info' });

  expect(methodsIn(events.map((data) => `data: ${data}`).join('\n\n'))).toEqual(['notifications/message', 'result']);
  expect((await upstream.nextRequest('logging/setLevel')).message.params).toEqual({ level: 'info' });
});

test('on the only link of a mount a call hears log messages where it is the only one [F31]', async () => {
  const world = await gatewayBefore(LOGGING, { links: { single: true } });
  const { reply, call } = await running(world, { logLevel: 'info' });
  call.notify(...log('error', 'heard'));
  call.notify(...log('debug', 'too much'));
  call.release();
  const stream = await whole(reply);

  const next = await running(world);
  next.call.notify(...log('emergency'));
  next.call.release();

  expect(methodsIn(stream)).toEqual(['notifications/message', 'result']);
  expect(stream).toContain('heard');
  expect((await next.reply).headers['content-type']).toBe('application/json');
  expect(world.upstream.streams).toHaveLength(1);
});

// Leaving

test.each([
  ['while nothing has been said', {}],
  ['while nothing has been said, of a call that may be asked', { capabilities: FORM }],
  ['of a call with a level', { logLevel: 'debug' }],
])('a client that leaves cancels its call, under the server’s id: %s [F33 G12]', async (_when, options) => {
  const { gateway, upstream } = await gatewayBefore(LOGGING);
  const client = await leavingModern(gateway, 'tools/call', { name: 'slow' }, { id: 'mine', ...options });
  const call = await upstream.nextCall('slow');

  client.leave();

  const cancelled = await upstream.nextRequest('notifications/cancelled');
  expect(cancelled.message.params).toMatchObject({ requestId: call.message.id });
  expect(cancelled.url).toContain(call.stream.sessionId);
  await call.cancelled;
  expect((await callTool(gateway, 'add', { a: 1, b: 1 })).json.result.content[0].text).toBe('2');
  expect(cancels(upstream)).toEqual([call.message.id]);
});

test('a client that leaves its stream cancels its call [F33 G12]', async () => {
  const world = await gatewayBefore();
  const { reply, call } = await running(world, { progressToken: 1 });
  call.progress(1);
  await (await reply).until('"progress":1');

  (await reply).leave();

  const cancelled = await world.upstream.nextRequest('notifications/cancelled');
  expect(cancelled.message.params).toMatchObject({ requestId: call.message.id });
});

test.each(['prompts/get', 'resources/read', 'completion/complete'])(
  'a client that leaves cancels its %s [F33]',
  async (method) => {
    const { gateway, upstream } = await gatewayBefore({
      capabilities: { prompts: {}, resources: {}, completions: {} },
      methods: { [method]: () => new Promise(() => {}) },
    });
    const client = await leavingModern(gateway, method, method === 'resources/read' ? { uri: 'a:b' } : { name: 'p' });
    const { message } = await upstream.nextRequest(method);

    client.leave();

    expect((await upstream.nextRequest('notifications/cancelled')).message.params).toMatchObject({
      requestId: message.id,
    });
  },
);

test('one who leaves does not end the fetch of a list that others wait for, the last one does [F33]', async () => {
  const { gateway, upstream } = await gatewayBefore(
    { methods: { 'tools/list': () => new Promise(() => {}) } },
    { heartbeat: '10ms' },
  );
  const first = await openModern(gateway, 'tools/list');
  const last = await openModern(gateway, 'tools/list');
  const { message } = await upstream.nextRequest('tools/list');

  first.leave();
  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
  // Its answer comes after whatever was sent before it.
  await gateway.call('add');
  const before = cancels(upstream);
  last.leave();

  expect((await upstream.nextRequest('notifications/cancelled')).message.params).toMatchObject({
    requestId: message.id,
  });
  expect(before).toEqual([]);
});

test('the link of a cancelled call that could be asked is given to nobody else [F33]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const client = await leavingModern(gateway, 'tools/call', { name: 'slow' }, { capabilities: FORM });
  const { stream } = await upstream.nextCall('slow');

  client.leave();

  await stream.closed;
  expect((await callTool(gateway, 'count', {}, { capabilities: FORM })).json.result.content[0].text).toBe('1');
});

test('a call whose client left before it had a link is never made [F33]', async () => {
  const world = await gatewayBefore({}, { links: { max: 1, maxInFlight: 1 }, heartbeat: '10ms' });
  const { gateway, upstream } = world;
  await modern(gateway, 'tools/list');
  const first = gateway.call('slow');
  const call = await upstream.nextCall('slow');
  const client = await leavingModern(gateway, 'resources/read', { uri: 'file:///a' });
  await client.until(': heartbeat');

  client.leave();
  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
  call.release();
  await first;
  await gateway.call('add');

  expect(upstream.received.map(({ message }) => message.method)).not.toContain('resources/read');
  expect(cancels(upstream)).toEqual([]);
});

test('a call that comes to its end is not cancelled, as JSON and as a stream, whoever closes first [F34]', async () => {
  const world = await gatewayBefore();
  const { gateway, upstream } = world;
  const { reply, call } = await running(world, { progressToken: 1 });
  call.progress(1);
  call.release();
  await whole(reply);
  (await reply).leave();
  for (let i = 0; i < 5; i++) {
    const client = await leavingModern(gateway, 'tools/call', { name: 'add', arguments: { a: 1, b: 1 } });
    await client.until('"2"');
    client.leave();
  }
  await callTool(gateway, 'missing');

  await callTool(gateway, 'count');

  expect(cancels(upstream)).toEqual([]);
});

test('a late answer of a cancelled call is dropped, and the next caller gets his own [F33]', async () => {
  const { gateway, upstream } = await gatewayBefore({
    tools: { stubborn: async (call) => call.cancelled.then(() => text('too late')) },
  });
  const client = await leavingModern(gateway, 'tools/call', { name: 'stubborn' }, { id: 1 });
  await upstream.nextCall('stubborn');

  client.leave();
  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'late_answer');

  expect((await callTool(gateway, 'add', { a: 2, b: 2 }, { id: 1 })).json.result.content[0].text).toBe('4');
});

// Not reading

const MEGABYTE = 'x'.repeat(1024 * 1024);

test('a call that is not read fails alone, its server is told, and others on the link go on [F30]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1 } });
  const client = await leavingModern(gateway, 'tools/call', { name: 'slow' }, { id: 'slow one', progressToken: 1 });
  client.pause();
  const slow = await upstream.nextCall('slow');
  const other = callTool(gateway, 'slow', {}, { id: 'other' });
  const otherCall = await upstream.nextCall('slow');

  for (let progress = 1; progress <= 12; progress++) {
    slow.notify('notifications/progress', { progressToken: slow.message.id, progress, message: MEGABYTE });
  }
  await slow.cancelled;
  otherCall.release();
  client.resume();

  expect((await other).json.result.content[0].text).toBe('done');
  expect(await client.until('slow_reader')).toContain('"id":"slow one","error"');
});

test('a listen that is not read ends, and the others hear on [F30]', async () => {
  const { gateway, upstream } = await gatewayBefore({
    capabilities: { resources: { subscribe: true } },
    methods: { 'resources/subscribe': () => ({}), 'resources/unsubscribe': () => ({}) },
  });
  const listens = (uri: string) => ({ notifications: { resourceSubscriptions: [uri] } });
  const client = await leavingModern(gateway, 'subscriptions/listen', listens('file:///big'), { id: 'slow one' });
  await client.until('acknowledged');
  client.pause();
  const other = await openModern(gateway, 'subscriptions/listen', listens('file:///small'));
  await other.until('acknowledged');

  const [link] = upstream.streams;
  const say = (uri: string, filler: string): void => {
    const params = { uri, filler };
    if (link !== undefined)
      upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/resources/updated', params });
  };
  for (let i = 1; i <= 12; i++) say(`file:///big/${i}`, MEGABYTE);
  const unsubscribed = await upstream.nextRequest('resources/unsubscribe');
  say('file:///small', '');
  client.resume();

  expect(unsubscribed.message.params).toEqual({ uri: 'file:///big' });
  expect(await other.until('"uri":"file:///small"')).toContain('"uri":"file:///small"');
  expect(await client.until('slow_reader')).toContain('"id":"slow one","error"');
});

test('progress that does not increase is not passed on [F32]', async () => {
  const steps: Answerer = (call) => {
    for (const progress of [1, 1, 0.5, 2, -3, 2.5]) call.progress(progress);
    return text('done');
  };
  const { gateway } = await gatewayBefore({ tools: { steps } });

  const answer = await callTool(gateway, 'steps', {}, { progressToken: 't' });

  const told = answer.events.map((event) => JSON.parse(event).params?.progress).filter((value) => value !== undefined);
  expect(told).toEqual([1, 2, 2.5]);
  expect(gateway.journal.dropped('undeliverable_notification')).toBe(3);
});
