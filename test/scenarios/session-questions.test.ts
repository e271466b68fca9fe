// What an upstream asks the client of a session (sampling, elicitation, roots): on one stream, under an id of the
// gateway's, only what the client declared, and answered once.

import { expect, test } from 'vitest';
import { type EventClient, openEvents } from '../support/event-client.ts';
import { type Answer, type Gateway, gatewayBefore } from '../support/gateway.ts';
import { spanOf } from '../support/json-span.ts';
import { type LegacyStream, RpcError, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer, Received } from '../support/legacy-server.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { ASKABLE, callIn, finalOn, IN, listen, told } from '../support/session-client.ts';

/** Only sessions have links, so the newest one is that of the newest session. */
const OWN = { links: { min: 0 } } as const;

const FORM = {
  method: 'elicitation/create',
  params: { message: 'your name?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } },
};
const URL_MODE = {
  method: 'elicitation/create',
  params: { mode: 'url', elicitationId: 'e-1', url: 'https://example.com/authorize?x=1', message: 'please log in' },
};
const SAMPLING = {
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }], maxTokens: 10 },
};
const WITH_TOOLS = {
  method: 'sampling/createMessage',
  params: { ...SAMPLING.params, tools: [{ name: 't', inputSchema: { type: 'object' } }] },
};
const WITH_TOOL_CHOICE = {
  method: 'sampling/createMessage',
  params: { ...SAMPLING.params, toolChoice: { mode: 'none' } },
};
const VOICE = { method: 'elicitation/create', params: { mode: 'voice', message: 'say your name' } };
const ROOTS = { method: 'roots/list' };

function link(upstream: LegacyServer): LegacyStream {
  const stream = upstream.streams.at(-1);
  if (stream === undefined) throw new Error('there is no link');
  return stream;
}

function answer(gateway: Gateway, session: string, message: object): Promise<Answer> {
  return gateway.post({ jsonrpc: '2.0', ...message }, IN(session));
}

/** The upstream has been answered everything that it sent on this link before. */
async function caughtUp(upstream: LegacyServer, stream: LegacyStream): Promise<void> {
  await upstream.ask(stream, 'ping');
}

/** The answers that the upstream got to requests of its own, but for pings. */
function replies(upstream: LegacyServer): Received[] {
  return upstream.received.filter(
    ({ message }) => message.method === undefined && JSON.stringify(message.result) !== '{}',
  );
}

// On their way

test.each([
  ['sampling', SAMPLING, { role: 'assistant', content: { type: 'text', text: 'hello' }, model: 'm' }],
  ['an elicitation by form', FORM, { action: 'accept', content: { name: 'x' } }],
  ['an elicitation by URL', URL_MODE, { action: 'accept' }],
  ['roots', ROOTS, { roots: [{ uri: 'file:///a', name: 'a' }] }],
])('%s: asked on the stream of its call, answered by a POST of its own [B22 G10]', async (_, question, result) => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const get = await listen(gateway, session);
  const reply = await callIn(gateway, session, 'ask', { questions: [question] });

  const asked = await told(reply);
  const taken = await answer(gateway, session, { id: asked.json.id, result });

  expect(asked.json).toEqual({ jsonrpc: '2.0', id: expect.any(String), ...question });
  expect([taken.status, taken.text]).toEqual([202, '']);
  const final = await finalOn(reply);
  expect(final).toMatchObject({ id: 1, result: { structuredContent: { replies: [{ id: 0, result }] } } });
  expect(replies(upstream)).toHaveLength(1);
  expect(get.seen.map(({ data }) => data).filter((data) => data !== '')).toEqual([]);
});

test.each(['7', '"7"', '0', '-3', '"a \\u0041 \\" ü"', '9007199254740993'])(
  'question and answer cross byte for byte; the upstream gets its own id back: %s [B22 G23]',
  async (id) => {
    const { gateway, upstream } = await gatewayBefore({}, OWN);
    const session = await gateway.openSession(ASKABLE);
    const reply = callIn(gateway, session, 'slow');
    const call = await upstream.nextCall('slow');
    const params = '{"message":"\\u0041\\ud800 ü", "n":1.0,"big":12345678901234567890,"requestedSchema":{"z":1,"a":2}}';
    const result = '{"action" : "accept","content":{"n":1.0,"big":12345678901234567890,"s":"\\u0041\\ud800 ü"}}';

    upstream.sendTo(
      call.stream,
      Buffer.from(`{"method":"elicitation/create","id":${id},"params":${params},"jsonrpc":"2.0"}`),
    );
    const { data, json } = await told(await reply);
    await gateway.post(`{"result":${result}, "id":"${json.id}","jsonrpc":"2.0"}`, IN(session));
    const got = await upstream.nextReply(JSON.parse(id));

    expect(data).toBe(`{"method":"elicitation/create","id":"${json.id}","params":${params},"jsonrpc":"2.0"}`);
    expect(got.raw.toString()).toBe(`{"result":${result}, "id":${id},"jsonrpc":"2.0"}`);
  },
);

test('an error of the client reaches the upstream as it is', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, session, 'ask', { questions: [SAMPLING] });
  const { json } = await told(reply);

  await gateway.post(
    `{"jsonrpc":"2.0","id":"${json.id}","error":{"message":"no \\u0041","code":-1,"data":{"n":1.0}}}`,
    IN(session),
  );

  const got = await upstream.nextReply(0);
  expect(got.raw.toString()).toBe(
    '{"jsonrpc":"2.0","id":0,"error":{"message":"no \\u0041","code":-1,"data":{"n":1.0}}}',
  );
  expect((await finalOn(reply)).result.structuredContent.replies[0].error.code).toBe(-1);
});

test('several questions of one call are told apart, in whatever order they are answered', async () => {
  const { gateway } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, session, 'ask', { questions: [FORM, ROOTS, FORM] });
  const asked = [await told(reply), await told(reply), await told(reply)];

  for (const [i, { json }] of [...asked.entries()].toReversed()) {
    await answer(gateway, session, { id: json.id, result: { i } });
  }

  const { replies: got } = (await finalOn(reply)).result.structuredContent;
  expect(got).toMatchObject([0, 1, 2].map((i) => ({ result: { i } })));
});

test('two sessions are asked under the same id of the upstream, and each answers for itself [B22]', async () => {
  const { gateway } = await gatewayBefore({}, OWN);
  const [a, b] = [await gateway.openSession(ASKABLE), await gateway.openSession(ASKABLE)];
  const ofA = await callIn(gateway, a, 'ask');
  const ofB = await callIn(gateway, b, 'ask');
  const [askedA, askedB] = [await told(ofA), await told(ofB)];

  await answer(gateway, b, { id: askedB.json.id, result: { who: 'b' } });
  await answer(gateway, a, { id: askedA.json.id, result: { who: 'a' } });

  const who = async (reply: EventClient): Promise<unknown> =>
    (await finalOn(reply)).result.structuredContent.replies[0].result.who;
  expect([await who(ofA), await who(ofB)]).toEqual(['a', 'b']);
});

test('in a batch of 2025-03-26 the question comes on the stream of the batch', async () => {
  const { gateway } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession({ protocolVersion: '2025-03-26', capabilities: { roots: {} } });
  const reply = await openEvents(gateway, {
    sessionId: session,
    body: [
      { jsonrpc: '2.0', id: 'p', method: 'ping' },
      { jsonrpc: '2.0', id: 'c', method: 'tools/call', params: { name: 'ask', arguments: { questions: [ROOTS] } } },
    ],
  });

  const { json } = await told(reply);
  await answer(gateway, session, { id: json.id, result: { roots: [] } });

  await reply.closed;
  const answers = reply.seen.flatMap((event) => event.json).filter(({ method }) => method === undefined);
  expect(new Set(answers.map(({ id }) => id))).toEqual(new Set(['p', 'c']));
  expect(answers).toHaveLength(2);
});

test('answers in one batch of 2025-03-26 reach the upstream one by one, as they are [B6 G7]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession({ protocolVersion: '2025-03-26', capabilities: { roots: {} } });
  const reply = await callIn(gateway, session, 'ask', { questions: [ROOTS, ROOTS] });
  const [first, second] = [await told(reply), await told(reply)];

  const taken = await gateway.post(
    `[{"id":"${second.json.id}","jsonrpc":"2.0","result":{"n":1.0}} ,\n {"jsonrpc":"2.0","id":"${first.json.id}","result":{}}]`,
    IN(session),
  );

  expect([taken.status, taken.text]).toEqual([202, '']);
  expect((await upstream.nextReply(1)).raw.toString()).toBe('{"id":1,"jsonrpc":"2.0","result":{"n":1.0}}');
  expect((await upstream.nextReply(0)).raw.toString()).toBe('{"jsonrpc":"2.0","id":0,"result":{}}');
});

test('questions that the upstream sends in one array are asked one by one [G7]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const get = await listen(gateway, session);

  upstream.sendTo(link(upstream), [
    { jsonrpc: '2.0', id: 'a', ...ROOTS },
    { jsonrpc: '2.0', id: 'b', ...FORM },
  ]);
  for (const [id, method] of [
    ['a', 'roots/list'],
    ['b', 'elicitation/create'],
  ] as const) {
    const { json } = await told(get);
    await answer(gateway, session, { id: json.id, result: { id } });
    expect(json.method).toBe(method);
    expect((await upstream.nextReply(id)).message.result).toEqual({ id });
  }
});

// On which stream

test('two calls in flight and a GET: the question comes on the GET', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession({ ...ASKABLE, protocolVersion: '2025-06-18' });
  const get = await listen(gateway, session);
  const calls = [gateway.call('slow', {}, 1, IN(session)), gateway.call('slow', {}, 2, IN(session))];
  const [first, second] = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];

  const reply = first.ask('roots/list');
  const { json } = await told(get);
  await answer(gateway, session, { id: json.id, result: { roots: [] } });

  expect(await reply).toMatchObject({ result: { roots: [] } });
  first.release();
  second.release();
  for (const { headers } of await Promise.all(calls)) expect(headers['content-type']).toContain('application/json');
});

test('two calls in flight and no GET: the question comes on the stream of the newest', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession({ ...ASKABLE, protocolVersion: '2025-06-18' });
  const first = gateway.call('slow', {}, 1, IN(session));
  const firstCall = await upstream.nextCall('slow');
  const second = callIn(gateway, session, 'slow', {}, 2);
  const secondCall = await upstream.nextCall('slow');

  const reply = firstCall.ask('roots/list');
  const { json } = await told(await second);
  await answer(gateway, session, { id: json.id, result: { roots: [] } });

  expect(await reply).toMatchObject({ result: { roots: [] } });
  firstCall.release();
  secondCall.release();
  expect((await first).headers['content-type']).toContain('application/json');
});

test('a call that cannot ask back does not hide the only one that can', async () => {
  const { gateway, upstream } = await gatewayBefore({ methods: { 'tools/list': (call) => call.released } }, OWN);
  const session = await gateway.openSession(ASKABLE);
  const reply = callIn(gateway, session, 'slow');
  const call = await upstream.nextCall('slow');
  void gateway.post({ jsonrpc: '2.0', id: 2, method: 'tools/list' }, IN(session));
  await upstream.nextRequest('tools/list');

  void call.ask('roots/list');

  expect((await told(await reply)).json.method).toBe('roots/list');
});

test('a client that takes no stream for its call is asked on its GET', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const get = await listen(gateway, session);
  const reply = gateway.call('ask', { questions: [ROOTS] }, 1, { ...IN(session), accept: 'application/json' });
  await upstream.nextCall('ask');

  const { json } = await told(get);
  await answer(gateway, session, { id: json.id, result: { roots: [] } });

  expect((await reply).json.result.structuredContent.replies).toMatchObject([{ result: { roots: [] } }]);
});

test('asked outside of any call, on the GET', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const get = await listen(gateway, session);

  const reply = upstream.ask(link(upstream), 'roots/list');
  const { json } = await told(get);
  await answer(gateway, session, { id: json.id, result: { roots: [] } });

  expect(await reply).toMatchObject({ id: 0, result: { roots: [] } });
});

test('a question without a stream waits for one: it comes on a GET that is opened in time', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const reply = upstream.ask(link(upstream), 'roots/list');
  await caughtUp(upstream, link(upstream));

  const { json } = await told(await listen(gateway, session));
  await answer(gateway, session, { id: json.id, result: { roots: [] } });

  expect(await reply).toMatchObject({ result: { roots: [] } });
});

test('a question without a stream waits for one: it comes on the stream of the next call', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const reply = upstream.ask(link(upstream), 'roots/list');
  await caughtUp(upstream, link(upstream));

  const { json } = await told(await callIn(gateway, session, 'never'));
  await answer(gateway, session, { id: json.id, result: { roots: [] } });

  expect(await reply).toMatchObject({ result: { roots: [] } });
});

test('a question for which no stream comes up is refused upstream after 10 s, and shown to nobody [G10]', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, OWN, time);
  const session = await gateway.openSession(ASKABLE);
  const reply = upstream.ask(link(upstream), 'roots/list');
  await caughtUp(upstream, link(upstream));

  await time.advance(10_000);

  expect(await reply).toMatchObject({ error: { code: -32603 } });
  const get = await listen(gateway, session);
  upstream.sendTo(link(upstream), { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  expect((await told(get)).json.method).toBe('notifications/tools/list_changed');
  expect(gateway.journal.dropped('refused_question')).toBe(1);
});

test('nothing reaches a client before it says that it is initialized; then it comes, in order', async () => {
  const early = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'early' } };
  const { gateway, upstream } = await gatewayBefore({ greeting: [early] }, OWN);
  const opened = await gateway.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params: ASKABLE });
  const session = String(opened.headers['mcp-session-id']);
  const get = await listen(gateway, session);
  void upstream.ask(link(upstream), 'roots/list');
  await caughtUp(upstream, link(upstream));
  await gateway.send('GET', '/healthz');
  const before = get.seen.filter(({ data }) => data !== '');

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, IN(session));

  expect(before).toEqual([]);
  expect([(await told(get)).json.method, (await told(get)).json.method]).toEqual([
    'notifications/message',
    'roots/list',
  ]);
});

test('a client that never says so is taken for initialized at its first request', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const opened = await gateway.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params: ASKABLE });
  const session = String(opened.headers['mcp-session-id']);
  const get = await listen(gateway, session);
  void upstream.ask(link(upstream), 'roots/list');
  await caughtUp(upstream, link(upstream));

  await gateway.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, IN(session));

  expect((await told(get)).json.method).toBe('roots/list');
});

// Who may be asked what

test.each<readonly [string, string, string, object, object, number]>([
  ['roots of a client that has none', '[B23 G11]', '2025-11-25', {}, ROOTS, -32601],
  ['sampling of a client that does none', '[B23 G11]', '2025-11-25', { roots: {} }, SAMPLING, -32601],
  ['an elicitation of a client that takes none', '[B23 C5]', '2025-11-25', { sampling: {} }, FORM, -32601],
  ['an elicitation of a client of 2025-03-26', '[B23 C5]', '2025-03-26', { elicitation: {} }, FORM, -32601],
  ['one by URL of a client of 2025-03-26', '[B23 D4]', '2025-03-26', { elicitation: { url: {} } }, URL_MODE, -32601],
  ['one by URL of a client of 2025-06-18', '[B23 D4]', '2025-06-18', { elicitation: { url: {} } }, URL_MODE, -32602],
  ['one by URL where nothing is said of modes', '[D4 G11]', '2025-11-25', { elicitation: {} }, URL_MODE, -32602],
  ['one by URL where only form is', '[D4 G11]', '2025-11-25', { elicitation: { form: {} } }, URL_MODE, -32602],
  ['one by form where only URL is', '[C5 G11]', '2025-11-25', { elicitation: { url: {} } }, FORM, -32602],
  ['one of an unknown mode', '[G11]', '2025-11-25', ASKABLE.capabilities, VOICE, -32602],
  ['sampling with tools', '[D8 G11]', '2025-11-25', { sampling: {} }, WITH_TOOLS, -32602],
  ['sampling with a choice of tools', '[D8 G11]', '2025-11-25', { sampling: {} }, WITH_TOOL_CHOICE, -32602],
  ['sampling with tools, at 2025-06-18', '[B23 D8]', '2025-06-18', { sampling: { tools: {} } }, WITH_TOOLS, -32602],
  ['what no client can be asked', '[G10]', '2025-11-25', ASKABLE.capabilities, { method: 'tools/list' }, -32601],
  ['what nobody knows', '[G10]', '2025-11-25', ASKABLE.capabilities, { method: 'x/ask', params: {} }, -32601],
])('refused upstream and never shown: %s %s', async (_, __, protocolVersion, capabilities, question, code) => {
  const { gateway } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession({ protocolVersion, capabilities });
  const get = await listen(gateway, session);

  const reply = await callIn(gateway, session, 'ask', { questions: [question] });

  expect(reply.headers['content-type']).toContain('application/json');
  const { replies: got } = JSON.parse(await reply.body()).result.structuredContent;
  expect(got).toMatchObject([{ id: 0, error: { code } }]);
  expect(get.seen.filter(({ data }) => data !== '')).toEqual([]);
  expect(gateway.journal.dropped('refused_question')).toBe(1);
});

test.each<readonly [string, string, object, object]>([
  ['an elicitation by form, at 2025-06-18 [C5]', '2025-06-18', { elicitation: {} }, FORM],
  ['an elicitation by form where nothing is said of modes [C5]', '2025-11-25', { elicitation: {} }, FORM],
  ['sampling without tools, of a client that takes tools [D8]', '2025-11-25', { sampling: { tools: {} } }, SAMPLING],
  ['sampling with tools where they are declared [D8]', '2025-11-25', { sampling: { tools: {} } }, WITH_TOOLS],
  ['roots, at 2025-03-26 [B22]', '2025-03-26', { roots: { listChanged: true } }, ROOTS],
])('shown: %s', async (_, protocolVersion, capabilities, question) => {
  const { gateway } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession({ protocolVersion, capabilities });

  const reply = await callIn(gateway, session, 'ask', { questions: [question] });

  expect((await told(reply)).json).toMatchObject(question);
});

test('asks: never: nothing is declared upstream, and what is asked all the same is refused', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { ...OWN, upstream: { asks: 'never' } });
  const session = await gateway.openSession(ASKABLE);

  const reply = await gateway.call('ask', { questions: [ROOTS] }, 1, IN(session));

  const initialize = await upstream.nextRequest('initialize');
  expect(initialize.message.params?.['capabilities']).toEqual({});
  expect(reply.json.result.structuredContent.replies).toMatchObject([{ error: { code: -32601 } }]);
});

test('a request under an id that is open already is refused, and the first one goes on [G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const get = await listen(gateway, session);
  const stream = link(upstream);

  upstream.sendTo(stream, { jsonrpc: '2.0', id: 'twice', method: 'roots/list' });
  upstream.sendTo(stream, { jsonrpc: '2.0', id: 'twice', method: 'roots/list' });
  const refused = await upstream.nextReply('twice');
  const { json } = await told(get);
  await answer(gateway, session, { id: json.id, result: { roots: [] } });
  const answered = await upstream.nextReply('twice');

  expect(refused.message.error?.code).toBe(-32600);
  expect(answered.message.result).toEqual({ roots: [] });
});

// What is declared, and tasks

test('a session’s own link declares the client’s own bytes, without tasks [D6 G11]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const capabilities =
    '{ "roots":{"listChanged":true}, "tasks":{"list":{},"requests":{}},"sampling" :{},"experimental":{"x/y":{"n":1.0}}, "zz":[1e0]}';
  const params = `{"protocolVersion":"2025-11-25","capabilities":${capabilities},"clientInfo":{"name":"\\u0041","version":"1.0"}}`;

  await gateway.post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":${params}}`);

  const { raw } = await upstream.nextRequest('initialize');
  expect(spanOf(raw, ['params', 'capabilities']).toString()).toBe(
    '{ "roots":{"listChanged":true},"sampling" :{},"experimental":{"x/y":{"n":1.0}}, "zz":[1e0]}',
  );
  expect(spanOf(raw, ['params', 'clientInfo']).toString()).toBe('{"name":"\\u0041","version":"1.0"}');
});

test('what the revision of the client does not know is not declared for it', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);

  await gateway.openSession({ ...ASKABLE, protocolVersion: '2025-03-26' });
  await gateway.openSession({ ...ASKABLE, protocolVersion: '2025-06-18' });

  const declared = [await upstream.nextRequest('initialize'), await upstream.nextRequest('initialize')].map(
    ({ message }) => message.params?.['capabilities'],
  );
  expect(declared).toEqual([
    { roots: {}, sampling: {} },
    { roots: {}, sampling: {}, elicitation: { form: {} } },
  ]);
});

test('tasks are neither offered to the client nor passed on [D6]', async () => {
  const tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } };
  const { gateway, upstream } = await gatewayBefore({ capabilities: { tasks, tools: {} } }, OWN);
  const opened = await gateway.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params: ASKABLE });
  const session = String(opened.headers['mcp-session-id']);

  const refused = await Promise.all(
    ['tasks/get', 'tasks/list', 'tasks/result', 'tasks/cancel'].map((method) =>
      gateway.post({ jsonrpc: '2.0', id: method, method, params: { taskId: 't' } }, IN(session)),
    ),
  );
  const params = '{"task":{"ttl":1.0}, "name":"count","arguments":{"task":1}}';
  const called = await gateway.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`, IN(session));

  expect(opened.json.result.capabilities).toEqual({ tools: {} });
  expect(refused.map(({ status, json }) => [status, json.error.code])).toEqual(Array(4).fill([200, -32601]));
  expect(called.json.result.content[0].text).toBe('1');
  const { raw } = await upstream.nextRequest('tools/call');
  expect(spanOf(raw, ['params']).toString()).toBe('{"name":"count","arguments":{"task":1}}');
  expect(upstream.received.filter(({ message }) => message.method?.startsWith('tasks/'))).toEqual([]);
});

test('a question that may become a task is asked as an ordinary one [D6]', async () => {
  const { gateway } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const question = { ...SAMPLING, params: { ...SAMPLING.params, task: { ttl: 1 } } };

  const reply = await callIn(gateway, session, 'ask', { questions: [question] });

  expect((await told(reply)).json.params).toEqual(SAMPLING.params);
});

// Withdrawn

test('a question that the upstream takes back: the client is told with the id it knows, a late answer is dropped', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const get = await listen(gateway, session);
  const stream = link(upstream);
  upstream.sendTo(stream, { jsonrpc: '2.0', id: 7, method: 'roots/list' });
  const asked = await told(get);

  upstream.sendTo(
    stream,
    Buffer.from(
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"x":1.0,"requestId":7,"reason":"late"}}',
    ),
  );
  const cancelled = await told(get);
  const late = await answer(gateway, session, { id: asked.json.id, result: { roots: [] } });
  await caughtUp(upstream, stream);

  expect(cancelled.data).toBe(
    `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"x":1.0,"requestId":"${asked.json.id}","reason":"late"}}`,
  );
  expect([late.status, late.text]).toEqual([202, '']);
  expect(gateway.journal.dropped('client_response')).toBe(1);
  expect(replies(upstream)).toEqual([]);
});

test('a question of a call that is taken back: told on the stream of the call', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const get = await listen(gateway, session);
  const reply = callIn(gateway, session, 'slow');
  const call = await upstream.nextCall('slow');
  void call.ask('roots/list');
  const asked = await told(await reply);

  call.notify('notifications/cancelled', { requestId: 0 });

  expect((await told(await reply)).json.params).toEqual({ requestId: asked.json.id });
  expect(get.seen.filter(({ data }) => data !== '')).toEqual([]);
});

test('a question that is taken back before there was a stream is never shown', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const stream = link(upstream);
  upstream.sendTo(stream, { jsonrpc: '2.0', id: 7, method: 'roots/list' });
  upstream.sendTo(stream, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } });
  upstream.sendTo(stream, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  await caughtUp(upstream, stream);

  const get = await listen(gateway, session);

  expect((await told(get)).json.method).toBe('notifications/tools/list_changed');
});

test('a cancel of what the upstream never asked, or not under this id, is dropped and counted', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const get = await listen(gateway, session);
  const stream = link(upstream);
  upstream.sendTo(stream, { jsonrpc: '2.0', id: 7, method: 'roots/list' });
  const { json } = await told(get);

  for (const requestId of ['7', 8, undefined]) {
    upstream.sendTo(stream, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });
  }
  await caughtUp(upstream, stream);
  await answer(gateway, session, { id: json.id, result: { roots: [] } });

  expect((await upstream.nextReply(7)).message.result).toEqual({ roots: [] });
  expect(gateway.journal.dropped('unknown_cancel')).toBe(3);
});

// Answers that are none

test('answers to what was never asked, given twice, or under an id of another type: 202, counted, not passed on [B4 G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, session, 'ask', { questions: [ROOTS] });
  const { json } = await told(reply);
  const result = { roots: [] };

  const stray = [
    await answer(gateway, session, { id: 'causeway-never-asked', result }),
    await answer(gateway, session, { id: 0, result }),
    await answer(gateway, session, { id: 1, result }),
    await answer(gateway, session, { id: null, result }),
    await answer(gateway, session, { id: null, error: { code: -32603, message: '?' } }),
  ];
  await answer(gateway, session, { id: json.id, result });
  await reply.closed;
  stray.push(await answer(gateway, session, { id: json.id, result }));
  await caughtUp(upstream, link(upstream));

  expect(stray.map(({ status, text: body }) => [status, body])).toEqual(Array(6).fill([202, '']));
  expect(gateway.journal.dropped('client_response')).toBe(6);
  expect(replies(upstream).map(({ message }) => message)).toEqual([{ jsonrpc: '2.0', id: 0, result }]);
});

test('a session cannot answer what another one was asked', async () => {
  const { gateway } = await gatewayBefore({}, OWN);
  const [a, b] = [await gateway.openSession(ASKABLE), await gateway.openSession(ASKABLE)];
  const reply = await callIn(gateway, a, 'ask', { questions: [ROOTS] });
  const { json } = await told(reply);

  const foreign = await answer(gateway, b, { id: json.id, result: { roots: [{ uri: 'file:///stolen' }] } });
  const without = await gateway.post({ jsonrpc: '2.0', id: json.id, result: {} });
  await answer(gateway, a, { id: json.id, result: { roots: [] } });

  expect([foreign.status, without.status]).toEqual([202, 202]);
  expect(gateway.journal.dropped('client_response')).toBe(2);
  expect((await finalOn(reply)).result.structuredContent.replies).toMatchObject([{ result: { roots: [] } }]);
});

// Progress of an answer

test('progress of the client reaches the upstream if it is of an open question, by its token; other does not', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const question = { ...SAMPLING, params: { ...SAMPLING.params, _meta: { progressToken: 7 } } };
  const reply = await callIn(gateway, session, 'ask', { questions: [question] });
  const { json } = await told(reply);
  const progress = (token: string): Promise<Answer> =>
    gateway.post(
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1.0}}`,
      IN(session),
    );

  const taken = [await progress('7'), await progress('"7"'), await progress('8')];
  const got = await upstream.nextRequest('notifications/progress');
  await answer(gateway, session, { id: json.id, result: {} });
  await reply.closed;
  taken.push(await progress('7'));
  await caughtUp(upstream, link(upstream));

  expect(taken.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
  expect(json.params._meta).toEqual({ progressToken: 7 });
  expect(spanOf(got.raw, ['params']).toString()).toBe('{"progressToken":7,"progress":1.0}');
  expect(upstream.received.filter(({ message }) => message.method === 'notifications/progress')).toHaveLength(1);
  expect(gateway.journal.dropped('unroutable_notification')).toBe(3);
});

// Completion of an elicitation by URL

const completed = (elicitationId: string): object => ({
  jsonrpc: '2.0',
  method: 'notifications/elicitation/complete',
  params: { elicitationId },
});

test('the completion of an elicitation by URL reaches the session that was asked, and no other [D4]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const [a, b] = [await gateway.openSession(ASKABLE), await gateway.openSession(ASKABLE)];
  const [getA, getB] = [await listen(gateway, a), await listen(gateway, b)];
  const reply = await callIn(gateway, a, 'ask', { questions: [URL_MODE] });
  const { json } = await told(reply);
  await answer(gateway, a, { id: json.id, result: { action: 'accept' } });
  await reply.closed;

  for (const stream of upstream.streams) {
    upstream.sendTo(stream, completed('never-asked'));
    upstream.sendTo(stream, completed('e-1'));
    upstream.sendTo(stream, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  }

  expect((await told(getA)).json).toEqual(completed('e-1'));
  expect((await told(getA)).json.method).toBe('notifications/tools/list_changed');
  expect((await told(getB)).json.method).toBe('notifications/tools/list_changed');
});

test('the completion of an elicitation that an error −32042 asked for reaches the session that got the error [D4 D5]', async () => {
  const data = {
    elicitations: [{ mode: 'url', elicitationId: 'e-2', url: 'https://example.com/x', message: 'log in' }],
  };
  const tools = {
    locked: () => {
      throw new RpcError(-32042, 'URL elicitation required', data);
    },
  };
  const { gateway, upstream } = await gatewayBefore({ tools }, OWN);
  const session = await gateway.openSession(ASKABLE);
  const get = await listen(gateway, session);

  const failed = await gateway.call('locked', {}, 1, IN(session));
  upstream.sendTo(link(upstream), completed('e-2'));
  upstream.sendTo(link(upstream), { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });

  expect(failed.json.error).toEqual({ code: -32042, message: 'URL elicitation required', data });
  expect((await told(get)).json).toEqual(completed('e-2'));
});

// The link is lost, the session ends

test('a question that is open when the link is lost: the client is told, and its answer goes nowhere', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, session, 'ask', { questions: [ROOTS] });
  const asked = await told(reply);

  upstream.cutStreams();
  const cancelled = await told(reply);
  const failed = await finalOn(reply);
  const late = await answer(gateway, session, { id: asked.json.id, result: { roots: [] } });
  await gateway.call('count', {}, 2, IN(session));

  expect(cancelled.json).toMatchObject({
    method: 'notifications/cancelled',
    params: { requestId: asked.json.id, reason: expect.any(String) },
  });
  expect(failed).toMatchObject({ id: 1, error: { data: { reason: 'upstream_session_lost', outcome: 'unknown' } } });
  expect(late.status).toBe(202);
  expect(gateway.journal.dropped('client_response')).toBe(1);
  expect(replies(upstream)).toEqual([]);
});

test('a question that is not shown yet when the link is lost is never shown', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  void upstream.ask(link(upstream), 'roots/list');
  await caughtUp(upstream, link(upstream));

  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  const get = await listen(gateway, session);
  await gateway.journal.until(() => gateway.journal.of('link_open').length === 2);
  upstream.sendTo(link(upstream), { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });

  expect((await told(get)).json.method).toBe('notifications/tools/list_changed');
});

test('an answer to a question of the lost link is not taken for one of the new link with the same id', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const first = await callIn(gateway, session, 'ask', { questions: [ROOTS] });
  const old = await told(first);
  upstream.cutStreams();
  await first.closed;
  const second = await callIn(gateway, session, 'ask', { questions: [ROOTS] }, 2);
  const asked = await told(second);

  await answer(gateway, session, { id: old.json.id, result: { roots: [{ uri: 'file:///old' }] } });
  await answer(gateway, session, { id: asked.json.id, result: { roots: [{ uri: 'file:///new' }] } });

  expect(asked.json.id).not.toBe(old.json.id);
  const { replies: got } = (await finalOn(second)).result.structuredContent;
  expect(got).toMatchObject([{ id: 0, result: { roots: [{ uri: 'file:///new' }] } }]);
});

test('a session that is deleted with a question open: the upstream is answered, and its link closes [G10 G21]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, session, 'ask', { questions: [FORM] });
  const { json } = await told(reply);

  const deleted = await gateway.send('DELETE', '/mcp', IN(session));
  const got = await upstream.nextReply(0);
  await upstream.whenStreams(0);

  expect(deleted.status).toBe(204);
  expect(got.message.result).toEqual({ action: 'cancel' });
  expect((await finalOn(reply)).error.data.reason).toBe('session_ended');
  expect((await answer(gateway, session, { id: json.id, result: { action: 'accept' } })).status).toBe(404);
  expect(replies(upstream)).toHaveLength(1);
});

test('a tool that answers without waiting for its question: its call ends, and a late answer harms nobody', async () => {
  const { gateway, upstream } = await gatewayBefore(
    {
      tools: {
        impatient: (call) => {
          void call.ask('roots/list');
          return text('done');
        },
      },
    },
    OWN,
  );
  const session = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, session, 'impatient');
  const { json } = await told(reply);

  const final = await finalOn(reply);
  const late = await answer(gateway, session, { id: json.id, result: { roots: [] } });

  expect(final.result.content[0].text).toBe('done');
  expect(late.status).toBe(202);
  expect((await upstream.nextReply(0)).message.result).toEqual({ roots: [] });
  expect((await gateway.call('count', {}, 2, IN(session))).json.result.content[0].text).toBe('1');
});

test('a gateway that stops with a question open answers it [G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, OWN);
  const session = await gateway.openSession(ASKABLE);
  const reply = await callIn(gateway, session, 'ask', { questions: [SAMPLING] });
  await told(reply);

  void gateway.app.close();

  expect((await upstream.nextReply(0)).message.error?.code).toBe(-1);
  expect((await finalOn(reply)).error.data.reason).toBe('draining');
  await upstream.whenStreams(0);
});
