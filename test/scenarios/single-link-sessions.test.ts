// Sessions that share the only link of their mount: nobody hears or answers what is another’s, and the upstream is told
// what all of them want together.

import { expect, test } from 'vitest';
import { type EventClient, type SseEvent } from '../support/event-client.ts';
import { type Answer, type Gateway, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, type LegacyStream, text, NO_ANSWER } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { ASKABLE, callIn, finalOn, IN, listen, told } from '../support/session-client.ts';

const SINGLE = { links: { single: true }, reconnect: { min: '10ms', max: '50ms' } } as const;

const OFFERED = { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} };
const SERVED: Readonly<Record<string, Answerer>> = {
  'resources/subscribe': () => ({}),
  'resources/unsubscribe': () => ({}),
};
const ROOTS = { questions: [{ method: 'roots/list' }] };
const MARK = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

async function theLink(upstream: LegacyServer): Promise<LegacyStream> {
  const [stream] = await upstream.whenStreams(1);
  if (stream === undefined) throw new Error('there is no link');
  return stream;
}

/** Everything that came on a GET before a list changes; both sides have caught up with each other then. */
async function heardBefore(stream: EventClient): Promise<SseEvent['json'][]> {
  const events = await stream.until(({ json }) => json?.method === MARK.method);
  return events.slice(0, -1).flatMap(({ json }) => (json === undefined ? [] : [json]));
}

function answer(gateway: Gateway, session: string, message: object): Promise<Answer> {
  return gateway.post({ jsonrpc: '2.0', ...message }, IN(session));
}

async function want(gateway: Gateway, session: string, method: string, params: object): Promise<void> {
  const { json } = await gateway.post({ jsonrpc: '2.0', id: 1, method, params }, IN(session));
  expect(json).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
}

/** What the upstream was told of wishes, in order. */
function wishes(upstream: LegacyServer): string[] {
  const methods = ['resources/subscribe', 'resources/unsubscribe', 'logging/setLevel'];
  return upstream.received
    .filter(({ message }) => methods.includes(message.method ?? ''))
    .map(
      ({ message: { method = '', params } }) =>
        `${method.split('/')[1]} ${String(params?.['uri'] ?? params?.['level'])}`,
    );
}

// Calls

test('equal ids and tokens of two sessions and of a caller without one keep apart on one link', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const call = (headers: Record<string, string>): Promise<Answer> =>
    gateway.post(
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow', _meta: { progressToken: 1 } } },
      headers,
    );
  const answers = [];
  const calls = [];
  for (const headers of [IN(a), IN(b), {}]) {
    answers.push(call(headers));
    calls.push(await upstream.nextCall('slow'));
  }

  for (const [i, each] of calls.entries()) each.progress(i);
  for (const each of calls.toReversed()) each.release();

  const heard = (await Promise.all(answers)).map(({ events }) => events.map((data) => JSON.parse(data)));
  expect(heard).toEqual(
    [0, 1, 2].map((progress) => [
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress } },
      { jsonrpc: '2.0', id: 1, result: text('done') },
    ]),
  );
  expect(upstream.gets).toHaveLength(1);
});

test('calls that may ask back run one at a time where a client can be asked, all others at once [G17]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [a, b, plain] = [
    await gateway.openSession(ASKABLE),
    await gateway.openSession(ASKABLE),
    await gateway.openSession(),
  ];
  const first = gateway.call('slow', {}, 1, { ...IN(a), accept: 'application/json' });
  const running = await upstream.nextCall('slow');

  const second = gateway.call('count', { who: 'askable' }, 2, IN(b));
  const third = gateway.call('count', { who: 'undeclared' }, 3, IN(plain));
  const fourth = gateway.call('count', { who: 'without a session' }, 4);
  const list = await gateway.post({ jsonrpc: '2.0', id: 5, method: 'tools/list' }, IN(b));
  const ping = await gateway.post({ jsonrpc: '2.0', id: 6, method: 'ping' }, IN(a));
  const meanwhile = upstream.received.filter(({ message }) => message.method === 'tools/call').length;
  running.release();
  const answers = await Promise.all([first, second, third, fourth]);

  expect([list.status, ping.status, meanwhile]).toEqual([200, 200, 1]);
  expect(answers.map(({ json }) => json.result.content[0].text)).toEqual(['done', '1', '2', '3']);
});

test('calls of clients that cannot be asked run at once, and one that can waits for all of them [G17]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [plain, askable] = [await gateway.openSession(), await gateway.openSession(ASKABLE)];
  const undeclared = [gateway.call('slow', {}, 1, IN(plain)), gateway.call('slow', {}, 2)];
  const calls = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];

  const reply = callIn(gateway, askable, 'ask', ROOTS, 3);
  await gateway.post({ jsonrpc: '2.0', id: 4, method: 'tools/list' }, IN(askable));
  const before = upstream.received.filter(({ raw }) => raw.includes('"ask"')).length;
  for (const call of calls) call.release();
  await Promise.all(undeclared);
  const asked = await told(await reply);
  await answer(gateway, askable, { id: asked.json.id, result: { roots: [] } });

  expect(before).toBe(0);
  expect((await finalOn(await reply)).result.structuredContent.replies).toMatchObject([{ result: { roots: [] } }]);
});

test('a call that is cancelled while it waits for its turn never runs, and does not hold up the next', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [a, b] = [await gateway.openSession(ASKABLE), await gateway.openSession(ASKABLE)];
  const first = gateway.call('slow', {}, 1, { ...IN(a), accept: 'application/json' });
  const running = await upstream.nextCall('slow');
  const second = gateway.call('add', {}, 2, { ...IN(b), accept: 'application/json' });
  const third = gateway.call('count', {}, 3, IN(b));
  await gateway.post({ jsonrpc: '2.0', id: 4, method: 'tools/list' }, IN(b));

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 2 } }, IN(b));
  running.release();

  expect([(await first).status, (await second).status]).toEqual([200, 202]);
  expect((await third).json.result.content[0].text).toBe('1');
  expect(upstream.received.filter(({ raw }) => raw.includes('"add"'))).toEqual([]);
});

test('a session that is deleted while its call waits for its turn: the call ends at once and never runs', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [a, b] = [await gateway.openSession(ASKABLE), await gateway.openSession(ASKABLE)];
  const first = gateway.call('slow', {}, 1, { ...IN(a), accept: 'application/json' });
  const running = await upstream.nextCall('slow');
  const second = gateway.call('add', {}, 2, { ...IN(b), accept: 'application/json' });
  await gateway.post({ jsonrpc: '2.0', id: 3, method: 'tools/list' }, IN(b));

  await gateway.send('DELETE', '/mcp', IN(b));
  await gateway.post({ jsonrpc: '2.0', id: 4, method: 'ping' }, IN(a));
  const finished = gateway.journal.of('exchange').filter(({ name }) => name === 'add');
  running.release();
  await gateway.call('count', {}, 5, IN(a));

  expect(finished).toMatchObject([{ outcome: 'failed', reason: 'session_ended' }]);
  expect((await second).json.error.data).toMatchObject({ reason: 'session_ended', outcome: 'not_executed' });
  expect((await first).status).toBe(200);
  expect(upstream.received.filter(({ raw }) => raw.includes('"add"'))).toEqual([]);
});

// Questions

test('a question goes to the session whose call is the only one that may ask back, and to no other [B22 G17 G23]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: OFFERED }, SINGLE);
  const [a, b] = [await gateway.openSession(ASKABLE), await gateway.openSession(ASKABLE)];
  const [getA, getB] = [await listen(gateway, a), await listen(gateway, b)];

  for (const [session, who] of [
    [a, 'a'],
    [b, 'b'],
  ] as const) {
    const reply = await callIn(gateway, session, 'ask', ROOTS);
    const { json } = await told(reply);
    const foreign = await answer(gateway, session === a ? b : a, { id: json.id, result: { who: 'foreign' } });
    const taken = await answer(gateway, session, { id: json.id, result: { who } });
    expect([foreign.status, taken.status]).toEqual([202, 202]);
    expect((await finalOn(reply)).result.structuredContent.replies).toMatchObject([{ result: { who } }]);
  }

  upstream.sendTo(await theLink(upstream), MARK);
  expect([await heardBefore(getA), await heardBefore(getB)]).toEqual([[], []]);
  expect(gateway.journal.dropped('client_response')).toBe(2);
  expect(upstream.gets).toHaveLength(1);
});

test('a call in flight that cannot ask back does not make its session the one that is asked', async () => {
  const { gateway, upstream } = await gatewayBefore({ methods: { 'tools/list': (call) => call.released } }, SINGLE);
  const [a, b] = [await gateway.openSession(ASKABLE), await gateway.openSession(ASKABLE)];
  void gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, IN(b));
  await upstream.nextRequest('tools/list');

  const reply = await callIn(gateway, a, 'ask', ROOTS);

  expect((await told(reply)).json.method).toBe('roots/list');
});

test('a question with nobody in flight, or only somebody who cannot be asked, is refused; the link stays [G10 G11]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [askable, plain] = [await gateway.openSession(ASKABLE), await gateway.openSession()];
  const get = await listen(gateway, askable);

  const idle = await upstream.ask(await theLink(upstream), 'elicitation/create', { message: '?' });
  const undeclared = await gateway.call('ask', ROOTS, 1, IN(plain));
  const without = await gateway.call('ask', ROOTS, 1);
  upstream.sendTo(await theLink(upstream), MARK);

  expect(idle.error?.code).toBe(-32601);
  for (const { json } of [undeclared, without]) {
    expect(json.result.structuredContent.replies).toMatchObject([{ error: { code: -32601 } }]);
  }
  expect(await heardBefore(get)).toEqual([]);
  expect(gateway.journal.dropped('refused_question')).toBe(3);
  expect((await gateway.call('count')).status).toBe(200);
  expect(upstream.gets).toHaveLength(1);
});

test('the link declares all that can be carried; what one session did not declare is refused for it [B23 G11]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const session = await gateway.openSession({ protocolVersion: '2025-06-18', capabilities: { elicitation: {} } });
  const questions = [
    { method: 'roots/list' },
    { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } },
    {
      method: 'elicitation/create',
      params: { mode: 'url', elicitationId: 'e', url: 'https://example.com', message: 'm' },
    },
  ];

  const reply = await gateway.call('ask', { questions }, 1, IN(session));

  const { message } = await upstream.nextRequest('initialize');
  expect(message.params?.['capabilities']).toEqual(ASKABLE.capabilities);
  expect(reply.json.result.structuredContent.replies).toMatchObject([
    { error: { code: -32601 } },
    { error: { code: -32601 } },
    { error: { code: -32602 } },
  ]);
});

test('a question that the upstream takes back is taken back from the session that was asked, and from no other', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [a, b] = [await gateway.openSession(ASKABLE), await gateway.openSession(ASKABLE)];
  const get = await listen(gateway, b);
  const reply = callIn(gateway, a, 'slow');
  const call = await upstream.nextCall('slow');
  void call.ask('roots/list');
  const asked = await told(await reply);

  call.notify('notifications/cancelled', { requestId: 0 });
  call.notify(MARK.method);

  expect((await told(await reply)).json.params).toEqual({ requestId: asked.json.id });
  expect(await heardBefore(get)).toEqual([]);
});

test('progress of the client on its answer reaches the upstream', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const session = await gateway.openSession(ASKABLE);
  const params = { messages: [], maxTokens: 1, _meta: { progressToken: 'up' } };
  const reply = await callIn(gateway, session, 'ask', { questions: [{ method: 'sampling/createMessage', params }] });
  const { json } = await told(reply);

  const progress = { progressToken: 'up', progress: 1 };
  await answer(gateway, session, { method: 'notifications/progress', params: progress });
  await answer(gateway, session, { id: json.id, result: {} });
  await reply.closed;

  const got = upstream.received.filter(({ message }) => message.method === 'notifications/progress');
  expect(got.map(({ message }) => message.params)).toEqual([progress]);
});

test('the completion of an elicitation reaches the session that was asked, and no other [D4]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [a, b] = [await gateway.openSession(ASKABLE), await gateway.openSession(ASKABLE)];
  const [getA, getB] = [await listen(gateway, a), await listen(gateway, b)];
  const params = { mode: 'url', elicitationId: 'e-1', url: 'https://example.com', message: 'log in' };
  const reply = await callIn(gateway, a, 'ask', { questions: [{ method: 'elicitation/create', params }] });
  await answer(gateway, a, { id: (await told(reply)).json.id, result: { action: 'accept' } });
  await reply.closed;

  const completed = { jsonrpc: '2.0', method: 'notifications/elicitation/complete', params: { elicitationId: 'e-1' } };
  upstream.sendTo(await theLink(upstream), completed);
  upstream.sendTo(await theLink(upstream), MARK);

  expect([await heardBefore(getA), await heardBefore(getB)]).toEqual([[completed], []]);
});

test('a session that is deleted with a question open: the upstream is answered, and the link stays [G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const session = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, session, 'ask');
  await told(reply);

  await gateway.send('DELETE', '/mcp', IN(session));
  const got = await upstream.nextReply(0);

  expect(got.message.result).toEqual({ action: 'cancel' });
  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  expect(upstream.gets).toHaveLength(1);
});

test('a question that is open when the link is lost: its client is told, and its answer goes nowhere', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const session = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, session, 'ask', ROOTS);
  const asked = await told(reply);

  upstream.cutStreams();
  const cancelled = await told(reply);
  await reply.closed;
  await answer(gateway, session, { id: asked.json.id, result: { roots: [] } });
  await gateway.call('count', {}, 2, IN(session));

  expect(cancelled.json.params.requestId).toBe(asked.json.id);
  expect(gateway.journal.dropped('client_response')).toBe(1);
  expect(upstream.received.filter(({ message }) => message.result !== undefined)).toEqual([]);
});

// Notifications

test('a changed list reaches each session once, and each request without one not at all [B10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const sessions = [await gateway.openSession(), await gateway.openSession(), await gateway.openSession()];
  const gets = [];
  for (const session of sessions) gets.push(await listen(gateway, session));
  const reply = gateway.call('slow');
  const call = await upstream.nextCall('slow');

  call.notify('notifications/prompts/list_changed');
  call.notify(MARK.method);
  call.release();

  for (const get of gets) {
    expect(await heardBefore(get)).toEqual([{ jsonrpc: '2.0', method: 'notifications/prompts/list_changed' }]);
  }
  expect((await reply).events).toEqual([]);
});

test('a log message goes to the session of the only call in flight; where that is not certain to nobody', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const [getA, getB] = [await listen(gateway, a), await listen(gateway, b)];
  const message = { level: 'error', data: 'x' };
  const ofA = callIn(gateway, a, 'slow');
  const callOfA = await upstream.nextCall('slow');

  callOfA.notify('notifications/message', message);
  const heard = await told(await ofA);
  const ofB = gateway.call('slow', {}, 1, IN(b));
  const callOfB = await upstream.nextCall('slow');
  callOfB.notify('notifications/message', message);
  for (const call of [callOfA, callOfB]) call.release();
  await (
    await ofA
  ).closed;
  await ofB;
  upstream.sendTo(await theLink(upstream), { jsonrpc: '2.0', method: 'notifications/message', params: message });
  upstream.sendTo(await theLink(upstream), MARK);

  expect(heard.json.params).toEqual(message);
  expect([await heardBefore(getA), await heardBefore(getB)]).toEqual([[], []]);
  expect((await ofB).events).toEqual([]);
  expect(gateway.journal.dropped('unroutable_notification')).toBe(2);
});

test('the log level is the most verbose that a session wants, and each session hears only what it wants [G19]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: OFFERED }, SINGLE);
  const [a, b, c] = [await gateway.openSession(), await gateway.openSession(), await gateway.openSession()];
  await want(gateway, a, 'logging/setLevel', { level: 'warning' });
  await want(gateway, b, 'logging/setLevel', { level: 'debug' });
  await want(gateway, c, 'logging/setLevel', { level: 'error' });

  const heard = [];
  for (const session of [a, b, c]) {
    const reply = gateway.call('slow', {}, 1, IN(session));
    const call = await upstream.nextCall('slow');
    for (const level of ['debug', 'info', 'warning', 'error']) call.notify('notifications/message', { level });
    call.release();
    heard.push((await reply).events.slice(0, -1).map((data) => JSON.parse(data).params.level));
  }
  await gateway.send('DELETE', '/mcp', IN(b));
  await gateway.call('count', {}, 1, IN(a));

  expect(heard).toEqual([['warning', 'error'], ['debug', 'info', 'warning', 'error'], ['error']]);
  expect(wishes(upstream)).toEqual(['setLevel warning', 'setLevel debug', 'setLevel warning']);
});

// Subscriptions

test('the upstream is subscribed once for all, and unsubscribed when nobody wants it any more [G20]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: OFFERED, methods: SERVED }, SINGLE);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];

  await want(gateway, a, 'resources/subscribe', { uri: 'file:///x' });
  await want(gateway, b, 'resources/subscribe', { uri: 'file:///x' });
  await want(gateway, b, 'resources/subscribe', { uri: 'file:///y' });
  await want(gateway, a, 'resources/unsubscribe', { uri: 'file:///x' });
  const before = wishes(upstream);
  await want(gateway, b, 'resources/unsubscribe', { uri: 'file:///x' });

  expect(before).toEqual(['subscribe file:///x', 'subscribe file:///y']);
  expect(wishes(upstream)).toEqual([...before, 'unsubscribe file:///x']);
});

test('two sessions that subscribe at the same time: the one that stays hears of updates', async () => {
  const { gateway, upstream } = await gatewayBefore(
    { capabilities: OFFERED, methods: { ...SERVED, 'resources/subscribe': (call) => call.released.then(() => ({})) } },
    SINGLE,
  );
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const get = await listen(gateway, b);
  const isTold = Promise.withResolvers<object>();
  upstream.behaviour.methods = { ...SERVED, 'resources/subscribe': () => isTold.promise };
  const both = [a, b].map((session) => want(gateway, session, 'resources/subscribe', { uri: 'file:///x' }));
  await upstream.nextRequest('resources/subscribe');
  isTold.resolve({});
  await Promise.all(both);

  await want(gateway, a, 'resources/unsubscribe', { uri: 'file:///x' });
  const params = { uri: 'file:///x' };
  upstream.sendTo(await theLink(upstream), { jsonrpc: '2.0', method: 'notifications/resources/updated', params });

  expect((await told(get)).json.params).toEqual(params);
  expect(wishes(upstream)).not.toContain('unsubscribe file:///x');
});

test('an update reaches the sessions that subscribed to the resource or to what it is a part of, and no others', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: OFFERED, methods: SERVED }, SINGLE);
  const [a, b, c] = [await gateway.openSession(), await gateway.openSession(), await gateway.openSession()];
  const gets = [await listen(gateway, a), await listen(gateway, b), await listen(gateway, c)];
  await want(gateway, a, 'resources/subscribe', { uri: 'file:///x' });
  await want(gateway, b, 'resources/subscribe', { uri: 'file:///x/part' });

  for (const uri of ['file:///x', 'file:///x/part', 'file:///xy']) {
    upstream.sendTo(await theLink(upstream), {
      jsonrpc: '2.0',
      method: 'notifications/resources/updated',
      params: { uri },
    });
  }
  upstream.sendTo(await theLink(upstream), MARK);

  const heard = [];
  for (const get of gets) heard.push((await heardBefore(get)).map(({ params }) => params.uri));
  expect(heard).toEqual([['file:///x', 'file:///x/part'], ['file:///x/part'], []]);
});

test('a session that is deleted leaves the link open, and takes along only what nobody else wants', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: OFFERED, methods: SERVED }, SINGLE);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  await want(gateway, a, 'resources/subscribe', { uri: 'file:///x' });
  await want(gateway, a, 'resources/subscribe', { uri: 'file:///y' });
  await want(gateway, b, 'resources/subscribe', { uri: 'file:///x' });

  await gateway.send('DELETE', '/mcp', IN(a));
  const { message } = await upstream.nextRequest('resources/unsubscribe');
  await gateway.call('count', {}, 1, IN(b));

  expect(message.params).toEqual({ uri: 'file:///y' });
  expect(wishes(upstream).filter((wish) => wish.startsWith('unsubscribe'))).toEqual(['unsubscribe file:///y']);
  expect(upstream.gets).toHaveLength(1);
});

// The link is lost

test('a new link is told what all sessions want, before it is used [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: OFFERED, methods: SERVED }, SINGLE);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  await want(gateway, a, 'resources/subscribe', { uri: 'file:///x' });
  await want(gateway, b, 'resources/subscribe', { uri: 'file:///y' });
  await want(gateway, b, 'logging/setLevel', { level: 'debug' });

  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  await gateway.call('count', {}, 1, IN(a));

  const { sessionId } = await theLink(upstream);
  const methods = upstream.received.filter(({ url }) => url.includes(sessionId)).map(({ message }) => message.method);
  expect(methods).toEqual([
    'initialize',
    'notifications/initialized',
    'logging/setLevel',
    'resources/subscribe',
    'resources/subscribe',
    'tools/call',
  ]);
});

test('a new link is told by itself, though nobody calls, and what it says reaches who listens [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: OFFERED, methods: SERVED }, SINGLE);
  const session = await gateway.openSession();
  const get = await listen(gateway, session);
  await want(gateway, session, 'resources/subscribe', { uri: 'file:///x' });
  await upstream.nextRequest('resources/subscribe');

  await upstream.stop();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  await upstream.start();
  await upstream.nextRequest('resources/subscribe');
  const params = { uri: 'file:///x' };
  upstream.sendTo(await theLink(upstream), { jsonrpc: '2.0', method: 'notifications/resources/updated', params });

  expect((await told(get)).json.params).toEqual(params);
});

test('links.min: 0: a lost link is opened by itself all the same while a session listens', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, { ...SINGLE, links: { single: true, min: 0 } }, time);
  const session = await gateway.openSession();
  await listen(gateway, session);
  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');

  await time.advance(100);

  await expect.poll(() => upstream.gets.length, { timeout: 2000 }).toBe(2);
});

test('a new link to another upstream: every session is told once of every kind of list [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: { prompts: {}, tools: {} } }, SINGLE);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const gets = [await listen(gateway, a), await listen(gateway, b)];

  await upstream.stop();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  upstream.behaviour.serverInfo = { name: 'another' };
  await upstream.start();
  await gateway.journal.until(() => gateway.journal.of('link_open').length === 2);
  upstream.sendTo(await theLink(upstream), { jsonrpc: '2.0', method: 'notifications/x/mark' });

  for (const get of gets) {
    const heard = await get.until(({ json }) => json?.method === 'notifications/x/mark');
    expect(new Set(heard.map(({ json }) => json?.method))).toEqual(
      new Set(['notifications/tools/list_changed', 'notifications/prompts/list_changed', 'notifications/x/mark']),
    );
    expect(heard).toHaveLength(3);
  }
});

test('what the new upstream does not offer is not asked of it [G19 G20]', async () => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: OFFERED, methods: SERVED }, SINGLE);
  const session = await gateway.openSession();
  await want(gateway, session, 'resources/subscribe', { uri: 'file:///x' });
  await want(gateway, session, 'logging/setLevel', { level: 'debug' });

  upstream.behaviour.capabilities = { tools: {} };
  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  await gateway.call('count', {}, 1, IN(session));

  const { sessionId } = await theLink(upstream);
  const methods = upstream.received.filter(({ url }) => url.includes(sessionId)).map(({ message }) => message.method);
  expect(methods).toEqual(['initialize', 'notifications/initialized', 'tools/call']);
});

// links.single: auto

test('a server that broadcasts: sessions move to one link with all they want, and are asked only what is theirs', async () => {
  const { gateway, upstream } = await gatewayBefore(
    { capabilities: OFFERED, methods: SERVED },
    { reconnect: SINGLE.reconnect },
  );
  const a = await gateway.openSession(ASKABLE);
  await want(gateway, a, 'resources/subscribe', { uri: 'file:///x' });
  await want(gateway, a, 'logging/setLevel', { level: 'debug' });
  const getA = await listen(gateway, a);

  upstream.behaviour.delivery = 'all';
  const b = await gateway.openSession(ASKABLE);
  await gateway.journal.until(({ fact }) => fact === 'single_by_proof');
  const getB = await listen(gateway, b);
  const reply = await callIn(gateway, a, 'ask', ROOTS);
  const { json } = await told(reply);
  await answer(gateway, a, { id: json.id, result: { roots: [] } });
  const final = await finalOn(reply);
  const link = await theLink(upstream);
  upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'file:///x' } });
  upstream.sendTo(link, MARK);

  expect(final.result.structuredContent.replies).toMatchObject([{ result: { roots: [] } }]);
  expect((await heardBefore(getA)).map(({ method }) => method)).toEqual(['notifications/resources/updated']);
  expect(await heardBefore(getB)).toEqual([]);
  const ofLink = upstream.received.filter(({ url }) => url.includes(link.sessionId));
  expect(ofLink.map(({ message }) => message.method).slice(2, 4)).toEqual(['logging/setLevel', 'resources/subscribe']);
  expect(gateway.app.mounts[0]?.dedicatedCount).toBe(0);
});

test('a server that broadcasts: a question that is open when it is found out is still answered', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { reconnect: SINGLE.reconnect });
  const a = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, a, 'ask', ROOTS);
  const { json } = await told(reply);

  upstream.behaviour.delivery = 'all';
  await gateway.openSession(ASKABLE);
  await gateway.journal.until(({ fact }) => fact === 'single_by_proof');
  await answer(gateway, a, { id: json.id, result: { roots: [] } });

  expect((await finalOn(reply)).result.structuredContent.replies).toMatchObject([{ result: { roots: [] } }]);
  await upstream.whenStreams(1);
});

test('a server that broadcasts: a call that still runs on its own link can ask its client, and nobody else answers [G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { reconnect: SINGLE.reconnect });
  const a = await gateway.openSession(ASKABLE);
  const reply = callIn(gateway, a, 'asksLater', ROOTS);
  const call = await upstream.nextCall('asksLater');
  upstream.behaviour.delivery = 'all';
  const b = await gateway.openSession(ASKABLE);
  await gateway.journal.until(({ fact }) => fact === 'single_by_proof');
  // The one link that is to stay is open, beside that on which the call runs.
  await gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, IN(b));

  call.release();
  const { json } = await told(await reply);
  await answer(gateway, a, { id: json.id, result: { roots: [] } });

  const final = await finalOn(await reply);
  expect(final.result.structuredContent.replies).toMatchObject([{ result: { roots: [] } }]);
  const replies = upstream.received.filter(({ message }) => message.method === undefined);
  expect(replies.map(({ message }) => message.result)).toEqual([{ roots: [] }]);
});

test('a server that broadcasts: what one of two calls on two links asks is refused once, and shown to nobody [G10 G17]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { reconnect: SINGLE.reconnect });
  const a = await gateway.openSession(ASKABLE);
  const reply = callIn(gateway, a, 'asksLater', ROOTS);
  const call = await upstream.nextCall('asksLater');
  upstream.behaviour.delivery = 'all';
  const b = await gateway.openSession(ASKABLE);
  await gateway.journal.until(({ fact }) => fact === 'single_by_proof');
  const get = await listen(gateway, b);
  const ofB = gateway.call('slow', {}, 1, { ...IN(b), accept: 'application/json' });
  await gateway.post({ jsonrpc: '2.0', id: 2, method: 'tools/list' }, IN(b));

  call.release();
  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'refused_question');
  await gateway.send('DELETE', '/mcp', IN(a));
  const ofA = await (await reply).body();
  (await upstream.nextCall('slow')).release();

  expect(gateway.journal.dropped('refused_question')).toBe(1);
  expect(ofA).toContain('session_ended');
  expect(ofA).not.toContain('roots/list');
  expect((await ofB).json.result).toEqual(text('done'));
  upstream.sendTo(await theLink(upstream), MARK);
  expect(await heardBefore(get)).toEqual([]);
});

test(
  'what one session wanted does not hold up the others: its wishes are told beside their calls',
  { timeout: 8000 },
  async () => {
    const { gateway, upstream } = await gatewayBefore(
      {
        capabilities: { tools: {}, resources: { subscribe: true } },
        methods: { 'resources/subscribe': () => ({}), 'resources/unsubscribe': () => NO_ANSWER },
      },
      { links: { single: true } },
    );
    const [a, b] = [await gateway.openSession(), await gateway.openSession()];
    for (const uri of ['file:///1', 'file:///2', 'file:///3']) {
      await gateway.post({ jsonrpc: '2.0', id: uri, method: 'resources/subscribe', params: { uri } }, IN(a));
    }

    await gateway.send('DELETE', '/mcp', IN(a));
    await upstream.nextRequest('resources/unsubscribe');
    const answer = await gateway.call('add', { a: 1, b: 2 }, 1, IN(b));

    expect(answer.json.result).toEqual(text('3'));
  },
);
