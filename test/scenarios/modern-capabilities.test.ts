// A client of 2026-07-28 is asked only what its request declares. What else a server asks is refused, and the client is
// told what it would have had to declare: also where many share a link and nobody could tell whose question that was.

import { expect, test } from 'vitest';
import { type Answer, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, type LegacyCall, RpcError, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer, Received } from '../support/legacy-server.ts';
import { EVERYTHING, askedIn, modern, retry } from '../support/modern-client.ts';
import { FORM, LISTED, NAMED, ROOTS, SAMPLED, SAMPLING, URL_MODE, WITH_TOOLS, form } from '../support/questions.ts';
import { ASKABLE, IN, callIn, finalOn, told } from '../support/session-client.ts';

function tool(name: string, args: object = {}, capabilities: object = EVERYTHING) {
  return ['tools/call', { name, arguments: args }, { capabilities }] as const;
}

/** What was answered to requests of the server, but for pings. */
function answersTo(upstream: LegacyServer): Received[] {
  return upstream.received.filter(
    ({ message }) => message.method === undefined && JSON.stringify(message.result) !== '{}',
  );
}

/** Fails with the error that its question got, in the words that SDKs use. */
const relays: Answerer = async (call) => {
  const { error } = await call.ask(FORM.method, FORM.params);
  if (error !== undefined) throw new RpcError(error.code, `MCP error ${error.code}: ${error.message}`);
  return text('answered');
};

function expectMissing({ status, json }: Answer, requiredCapabilities: object): void {
  expect(status).toBe(400);
  expect(json.error).toMatchObject({ code: -32021, data: { reason: 'capability_missing', requiredCapabilities } });
}

// Undeclared

test.each<readonly [what: string, declared: object, question: object, required: object]>([
  ['an elicitation', { roots: {} }, FORM, { elicitation: { form: {} } }],
  ['an elicitation by URL, of one who knows forms', { elicitation: {} }, URL_MODE, { elicitation: { url: {} } }],
  ['a form, of one who knows URLs', { elicitation: { url: {} } }, FORM, { elicitation: { form: {} } }],
  ['sampling', { elicitation: {} }, SAMPLING, { sampling: {} }],
  ['sampling with tools, of one who knows none', { sampling: {} }, WITH_TOOLS, { sampling: { tools: {} } }],
  ['roots', { sampling: {} }, ROOTS, { roots: {} }],
])('%s is never shown without being declared: −32021 says what is missing [F42 F43 G10 G11]', async (...given) => {
  const [, declared, question, required] = given;
  const { gateway, upstream } = await gatewayBefore();

  const refused = await modern(gateway, ...tool('ask', { questions: [question] }, declared));
  const cancelled = await upstream.nextRequest('notifications/cancelled');
  const fine = await modern(gateway, ...tool('count', {}, declared));

  expectMissing(refused, required);
  expect((await upstream.nextReply(0)).message.error).toMatchObject({ code: expect.any(Number) });
  expect(cancelled.message.params?.['requestId']).toEqual(expect.any(Number));
  expect(fine.json.result.resultType).toBe('complete');
  expect(answersTo(upstream)).toHaveLength(1);
});

test('with one declared question and one that is not, none is shown, and each gets one reply [F42 F43 G10]', async () => {
  const { gateway, upstream } = await gatewayBefore();

  const refused = await modern(gateway, ...tool('ask', { questions: [FORM, ROOTS] }, { elicitation: {} }));

  expectMissing(refused, { roots: {} });
  expect((await upstream.nextReply(0)).message.result).toEqual({ action: 'cancel' });
  expect((await upstream.nextReply(1)).message.error).toBeDefined();
  await upstream.nextRequest('notifications/cancelled');
  expect(answersTo(upstream)).toHaveLength(2);
});

test('once a stream has begun, −32021 is its last event [F43]', async () => {
  const stepwise: Answerer = async (call) => {
    call.progress(1);
    await call.ask(ROOTS.method);
    return text('done');
  };
  const { gateway } = await gatewayBefore({ tools: { stepwise } });
  const options = { capabilities: { elicitation: {} }, progressToken: 1 };

  const { status, events } = await modern(gateway, 'tools/call', { name: 'stepwise', arguments: {} }, options);

  expect(status).toBe(200);
  expect(events.map((data) => JSON.parse(data))).toMatchObject([
    { method: 'notifications/progress' },
    { id: 1, error: { code: -32021, data: { requiredCapabilities: { roots: {} } } } },
  ]);
});

test('what a retry declares counts for what is asked after it [F42 F43]', async () => {
  const twoKinds: Answerer = async (call) => {
    await call.ask(FORM.method, FORM.params);
    await call.ask(ROOTS.method);
    return text('done');
  };
  const { gateway } = await gatewayBefore({ tools: { twoKinds } });
  const asked = await modern(gateway, ...tool('twoKinds'));

  const refused = await retry(gateway, asked, { name: NAMED }, tool('twoKinds', {}, { elicitation: {} }));

  expectMissing(refused, { roots: {} });
});

test('a question that was not answered is not shown again to a retry that does not declare it any more [F42 F43]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const args = { questions: [FORM, ROOTS] };
  const asked = await modern(gateway, ...tool('ask', args));

  const refused = await retry(gateway, asked, { name: NAMED }, tool('ask', args, { elicitation: {} }));

  expectMissing(refused, { roots: {} });
  expect((await upstream.nextReply(0)).message.result).toEqual(NAMED);
  expect((await upstream.nextReply(1)).message.error).toBeDefined();
});

test('a question that came while the client was away is not shown to a retry that does not declare it [F42 F43]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const first = modern(gateway, ...tool('slow'));
  const call = await upstream.nextCall('slow');
  void call.ask(FORM.method, FORM.params);
  const asked = await first;
  void call.ask(ROOTS.method);
  await upstream.ask(call.stream, 'ping');

  const refused = await retry(gateway, asked, { name: NAMED }, tool('slow', {}, { elicitation: {} }));

  expectMissing(refused, { roots: {} });
});

test('an elicitation of a mode that does not exist is refused, and the call goes on: nobody can declare it [F42 G10]', async () => {
  const voice = { method: 'elicitation/create', params: { mode: 'voice', message: 'say your name' } };
  const { gateway } = await gatewayBefore();

  const { status, json } = await modern(gateway, ...tool('ask', { questions: [voice] }));

  expect([status, json.result?.resultType]).toEqual([200, 'complete']);
  expect(json.result.structuredContent.replies).toMatchObject([{ id: 0, error: { code: -32602 } }]);
});

test('a method that no client has is refused, and the call goes on [G10]', async () => {
  const { gateway } = await gatewayBefore();

  const { status, json } = await modern(gateway, ...tool('ask', { questions: [{ method: 'tasks/list' }] }));

  expect([status, json.result?.resultType]).toEqual([200, 'complete']);
  expect(json.result.structuredContent.replies).toMatchObject([{ id: 0, error: { code: -32601 } }]);
});

// On a link that many share

test('twenty calls share a link, and some ask: exactly those are told −32021 [F42 F43 F51]', async () => {
  const COUNT = 20;
  const asks = (i: number): boolean => i % 3 === 0;
  const running: LegacyCall[] = [];
  const all = Promise.withResolvers<void>();
  const crowd: Answerer = async (call) => {
    running.push(call);
    if (running.length === COUNT) all.resolve();
    await all.promise;
    return asks(Number(call.args['i'])) ? relays(call) : text(String(call.args['i']));
  };
  const { gateway, upstream } = await gatewayBefore({ tools: { crowd } });

  const answers = await Promise.all(
    Array.from({ length: COUNT }, (_, i) => modern(gateway, ...tool('crowd', { i }, {}))),
  );

  expect(new Set(running.map(({ stream }) => stream)).size).toBe(1);
  for (const [i, answer] of answers.entries()) {
    if (asks(i)) expectMissing(answer, { elicitation: { form: {} } });
    else expect(answer.json.result).toMatchObject({ resultType: 'complete', content: [{ text: String(i) }] });
  }
  const marks = answersTo(upstream).map(({ message }) => /\([0-9a-f]{24}\)/.exec(message.error?.message ?? '')?.[0]);
  expect(new Set(marks).size).toBe(7);
  for (const { text: body } of answers) for (const mark of marks) expect(body).not.toContain(mark);
});

test.each<readonly [question: object, required: object]>([
  [FORM, { elicitation: { form: {} } }],
  [URL_MODE, { elicitation: { url: {} } }],
  [SAMPLING, { sampling: {} }],
  [WITH_TOOLS, { sampling: { tools: {} } }],
  [ROOTS, { roots: {} }],
])('a caller who declares nothing is told what %j would need [F43]', async (question, required) => {
  const strict: Answerer = async (call) => {
    const { method, params } = question as { readonly method: string; readonly params?: object };
    const { error } = await call.ask(method, params);
    throw new RpcError(error?.code ?? 0, error?.message ?? '');
  };
  const { gateway } = await gatewayBefore({ tools: { strict } });

  expectMissing(await modern(gateway, ...tool('strict', {}, {})), required);
});

test('a result that repeats the refusal is the tool’s own answer: it crosses, without the mark [F42]', async () => {
  const lenient: Answerer = async (call) => {
    const { error } = await call.ask(FORM.method, FORM.params);
    return { ...text(`failed: ${error?.message}. Again: ${error?.message}`), isError: true, structuredContent: error };
  };
  const { gateway } = await gatewayBefore({ tools: { lenient } });

  const { status, json } = await modern(gateway, ...tool('lenient', {}, {}));

  const message = 'the client did not declare this capability';
  expect(status).toBe(200);
  expect(json.result).toMatchObject({
    resultType: 'complete',
    isError: true,
    content: [{ text: `failed: ${message}. Again: ${message}` }],
    structuredContent: { code: -32601, message },
  });
});

test('a call that goes on without its question is answered as it is [F42]', async () => {
  const copes: Answerer = async (call) => {
    await call.ask(FORM.method, FORM.params);
    return text('without');
  };
  const { gateway } = await gatewayBefore({ tools: { copes } });

  const { json } = await modern(gateway, ...tool('copes', {}, {}));

  expect(json.result).toMatchObject({ resultType: 'complete', content: [{ text: 'without' }] });
});

test('a caller without a session meets the same refusals on the same link, without a mark', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools: { relays } });

  const [plain, alone] = await Promise.all([gateway.call('relays'), modern(gateway, ...tool('relays', {}, {}))]);

  expect(upstream.streams).toHaveLength(1);
  expectMissing(alone, { elicitation: { form: {} } });
  expect(plain.json.error).toMatchObject({
    code: -32601,
    message: 'MCP error -32601: the client did not declare this capability',
  });
});

// asks: never

test('where the server asks nothing, nothing is declared, links are shared, and what it asks anyway reaches nobody [F42]', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools: { relays } }, { upstream: { asks: 'never' } });

  const alone = await modern(gateway, ...tool('relays'));
  const slow = modern(gateway, ...tool('slow'));
  const call = await upstream.nextCall('slow');
  const beside = await modern(gateway, ...tool('relays'));
  call.release();

  expect([alone, beside].map(askedIn)).toEqual([{}, {}]);
  expect([alone, beside].map(({ text: body }) => /\([0-9a-f]{24}\)/.test(body))).toEqual([false, false]);
  expect((await slow).json.result.resultType).toBe('complete');
  expect(upstream.streams.map(({ session }) => session.capabilities)).toEqual([{}]);
  expect(answersTo(upstream).map(({ message }) => message.error?.code)).toEqual([-32601, -32601]);
});

// Links

test.each<readonly [declared: object, capabilities: object]>([
  [{}, {}],
  [{ elicitation: {} }, { elicitation: {} }],
  [{ elicitation: { url: {} } }, { elicitation: { url: {} } }],
  [{ sampling: { tools: {} }, 'x-invented': {} }, { sampling: { tools: {} } }],
  [{ roots: { listChanged: true } }, { roots: {} }],
  [EVERYTHING, EVERYTHING],
])('a client that declares %j has a link that declares %j [G11]', async (declared, capabilities) => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });

  await modern(gateway, ...tool('count', {}, declared));

  expect(upstream.streams.map(({ session }) => session.capabilities)).toEqual([capabilities]);
});

test('those who declare the same share links one after the other; those who declare something else do not', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });
  const count = async (declared: object): Promise<string> => {
    const { json } = await modern(gateway, ...tool('count', {}, declared));
    return json.result.content[0].text;
  };

  const counts = [];
  for (const declared of [
    { roots: {} },
    { elicitation: {} },
    { roots: { more: 1 } },
    { elicitation: { form: {} } },
    {},
  ]) {
    counts.push(await count(declared));
  }

  expect(counts).toEqual(['1', '1', '2', '2', '1']);
  expect(upstream.gets).toHaveLength(3);
});

test('where a question could reach a client, its call is alone on its link; calls that cannot be asked share one [G17]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const asking = [1, 2, 3].map(() => modern(gateway, ...tool('slow', {}, { elicitation: {} })));
  const plain = [1, 2, 3].map(() => modern(gateway, ...tool('slow', {}, {})));
  const calls = [];
  for (let i = 0; i < 6; i++) calls.push(await upstream.nextCall('slow'));

  const streams = new Map(calls.map(({ stream }) => [stream, 0]));
  for (const { stream } of calls) streams.set(stream, (streams.get(stream) ?? 0) + 1);
  expect([...streams.values()].toSorted((a, b) => a - b)).toEqual([1, 1, 1, 3]);
  for (const call of calls) call.release();
  for (const { json } of await Promise.all([...asking, ...plain])) expect(json.result.resultType).toBe('complete');
});

// One link for all

const SINGLE = { links: { single: true } } as const;

test('on the only link, clients of 2026-07-28, sessions and callers without one are asked and answered side by side [F51 G17]', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools: { relays } }, SINGLE);
  const session = await gateway.openSession(ASKABLE);
  const ask = (field: string) => tool('ask', { questions: [form(field)] });

  const asked = await modern(gateway, ...ask('modern'));
  // Each waits for those before it: a question belongs to the only call that may ask.
  const ofSession = callIn(gateway, session, 'ask', { questions: [form('session')] });
  const list = await modern(gateway, 'tools/list');
  const answer = { action: 'accept', content: { modern: '1' } };
  const done = await retry(gateway, asked, { modern: answer }, ask('modern'));
  const question = await told(await ofSession);
  const result = { action: 'accept', content: { session: '2' } };
  await gateway.post({ jsonrpc: '2.0', id: question.json.id, result }, IN(session));
  const final = await finalOn(await ofSession);
  const plain = await gateway.call('relays');
  const alone = await modern(gateway, ...tool('relays', {}, {}));

  expect(Object.keys(askedIn(asked))).toEqual(['modern']);
  expect(list.json.result.resultType).toBe('complete');
  expect(done.json.result.structuredContent.replies).toMatchObject([{ result: answer }]);
  expect(question.json).toMatchObject(form('session'));
  expect(final.result.structuredContent.replies).toMatchObject([{ result }]);
  expect(plain.json.error.code).toBe(-32601);
  expect(plain.text).not.toMatch(/\([0-9a-f]{24}\)/);
  expectMissing(alone, { elicitation: { form: {} } });
  expect(upstream.gets).toHaveLength(1);
  expect(upstream.streams.map((stream) => stream.session.capabilities)).toEqual([EVERYTHING]);
});

test('on the only link, what a client did not declare is refused for it alone, and the link stays [F42 F43]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);

  const refused = await modern(gateway, ...tool('ask', { questions: [URL_MODE] }, { elicitation: {} }));
  const asked = await modern(gateway, ...tool('ask', { questions: [SAMPLING] }, EVERYTHING));
  const done = await retry(gateway, asked, { 'r1-1': SAMPLED }, tool('ask', { questions: [SAMPLING] }));

  expectMissing(refused, { elicitation: { url: {} } });
  expect(done.json.result.structuredContent.replies).toMatchObject([{ result: SAMPLED }]);
  expect(upstream.gets).toHaveLength(1);
});

test('on the only link, many who ask at once have their turns, and each its own answers [F51 G17]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const one = async (i: number): Promise<unknown> => {
    const call = tool('ask', { questions: [form(`field${i}`), ROOTS] });
    const asked = await modern(gateway, ...call);
    expect(Object.keys(askedIn(asked))).toEqual([`field${i}`, 'r1-1']);
    const answers = { [`field${i}`]: { action: 'accept', content: { i } }, 'r1-1': LISTED };
    const done = await retry(gateway, asked, answers, call);
    return done.json.result.structuredContent.replies[0].result.content.i;
  };

  const all = await Promise.all(Array.from({ length: 12 }, (_, i) => one(i)));

  expect(all).toEqual(Array.from({ length: 12 }, (_, i) => i));
  expect(upstream.gets).toHaveLength(1);
});
