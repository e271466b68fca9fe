// What an upstream asks in mid-call reaches a client of 2026-07-28 as an `input_required` result, and its retry goes on
// where the call stood.

import { expect, test } from 'vitest';
import { type Answer, gatewayBefore } from '../support/gateway.ts';
import { spanOf } from '../support/json-span.ts';
import { type Answerer, NO_ANSWER, RpcError, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer, Received } from '../support/legacy-server.ts';
import { EVERYTHING, askedIn, callTool, modern, retry } from '../support/modern-client.ts';
import {
  FORM,
  LISTED,
  NAMED,
  ROOTS,
  SAMPLED,
  SAMPLING,
  URL_MODE,
  VISITED,
  WITH_TOOLS,
  filled,
  form,
} from '../support/questions.ts';

const FORMS = { elicitation: {} };

/** A call of a tool, as often as it takes. */
function tool(name: string, args: object = {}, capabilities: object = EVERYTHING) {
  return ['tools/call', { name, arguments: args }, { capabilities }] as const;
}

/** A call that asks this. */
const asks = (...questions: readonly object[]) => tool('ask', { questions });

/** What the server got as answers, in the order of its questions. */
const replies = ({ json }: Answer): unknown[] => json.result.structuredContent.replies;

/** What was answered to requests of the server, but for pings. */
function answersTo(upstream: LegacyServer): Received[] {
  return upstream.received.filter(
    ({ message }) => message.method === undefined && JSON.stringify(message.result) !== '{}',
  );
}

function callsOf(upstream: LegacyServer): Received[] {
  return upstream.received.filter(({ message }) => message.method === 'tools/call');
}

// One round

test.each([
  ['an elicitation by form', FORM, NAMED, 'name'],
  ['an elicitation by URL', URL_MODE, VISITED, 'r1-1'],
  ['sampling', SAMPLING, SAMPLED, 'r1-1'],
  ['sampling with tools', WITH_TOOLS, SAMPLED, 'r1-1'],
  ['roots', ROOTS, LISTED, 'r1-1'],
])('%s becomes a round, and the answer ends the call [F40 F41 G10]', async (_, question, answer, key) => {
  const { gateway, upstream } = await gatewayBefore();
  const call = asks(question);

  const asked = await modern(gateway, ...call);
  const done = await retry(gateway, asked, { [key]: answer }, call);

  expect([asked.status, asked.headers['content-type'], asked.json.id]).toEqual([200, 'application/json', 1]);
  expect(asked.json.result).toMatchObject({ resultType: 'input_required', requestState: expect.any(String) });
  expect(Object.keys(askedIn(asked))).toEqual([key]);
  expect(askedIn(asked)[key]?.method).toBe(question.method);
  expect(askedIn(asked)[key]).not.toHaveProperty('id');
  expect(askedIn(asked)[key]).not.toHaveProperty('jsonrpc');
  expect(done.json).toMatchObject({ id: 'again', result: { resultType: 'complete' } });
  expect(replies(done)).toEqual([{ jsonrpc: '2.0', id: 0, result: answer }]);
  expect([callsOf(upstream).length, answersTo(upstream).length]).toEqual([1, 1]);
});

test.each(['7', '"7"', '0', '-3', '"a \\u0041 \\" ü"', '9007199254740993'])(
  'the server gets its own id back, in its type and spelling: %s [F41 G23]',
  async (id) => {
    const { gateway, upstream } = await gatewayBefore();
    const first = modern(gateway, ...tool('slow'));
    const call = await upstream.nextCall('slow');
    upstream.sendTo(
      call.stream,
      Buffer.from(`{"method":"roots/list","id":${id},"params":{"n":1.0,"s":"\\u0041"},"jsonrpc":"2.0"}`),
    );
    const asked = await first;

    const again = retry(gateway, asked, { 'r1-1': LISTED }, tool('slow'));
    const got = await upstream.nextReply(JSON.parse(id));
    call.release();

    expect(asked.text).toContain('"r1-1":{"method":"roots/list","params":{"n":1.0,"s":"\\u0041"}}');
    expect(got.raw.toString()).toBe(`{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(LISTED)}}`);
    expect((await again).json.result.content).toEqual(text('done')['content' as never]);
    expect(answersTo(upstream)).toHaveLength(1);
  },
);

test('the answer of a client crosses byte for byte, but for what only it knows [F41]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const call = asks(form('n'));
  const asked = await modern(gateway, ...call);

  const answer = { resultType: 'complete', action: 'accept', content: { n: 1.5, s: ['ü', 'Ω'], b: true } };
  const done = await retry(gateway, asked, { n: answer }, call);

  const { resultType: _, ...known } = answer;
  expect(replies(done)).toEqual([{ jsonrpc: '2.0', id: 0, result: known }]);
  expect(spanOf((await upstream.nextReply(0)).raw, ['result']).toString()).toBe(JSON.stringify(known));
});

test.each(['decline', 'cancel'])('an elicitation can be answered by %s, without content [F41]', async (action) => {
  const { gateway } = await gatewayBefore();
  const asked = await modern(gateway, ...asks(FORM));

  const done = await retry(gateway, asked, { name: { action } }, asks(FORM));

  expect(replies(done)).toMatchObject([{ result: { action } }]);
});

test('questions that come together go out together, each under a key that says what it is about where it can', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const call = asks(FORM, ROOTS, form('name'), form('e-mail'), SAMPLING);

  const asked = await modern(gateway, ...call);
  const answers = {
    'r1-3': SAMPLED,
    'e-mail': filled('e-mail', 'a@b'),
    'r1-2': filled('name', 'second'),
    'r1-1': LISTED,
    name: NAMED,
  };
  const done = await retry(gateway, asked, answers, call);

  expect(Object.keys(askedIn(asked))).toEqual(['name', 'r1-1', 'r1-2', 'e-mail', 'r1-3']);
  expect(replies(done)).toMatchObject([
    { id: 0, result: NAMED },
    { id: 1, result: LISTED },
    { id: 2, result: filled('name', 'second') },
    { id: 3, result: filled('e-mail', 'a@b') },
    { id: 4, result: SAMPLED },
  ]);
  expect(answersTo(upstream)).toHaveLength(5);
});

test('a question loses what has no meaning any more: elicitationId, task and the progress token [F53]', async () => {
  const { gateway } = await gatewayBefore();
  const more = { task: { ttl: 1 }, _meta: { progressToken: 7, 'example.com/kept': 1 } };
  const question = { ...URL_MODE, params: { ...URL_MODE.params, ...more } };
  const alone = { ...SAMPLING, params: { ...SAMPLING.params, _meta: { progressToken: 'x' } } };

  const asked = await modern(gateway, ...asks(question, alone));

  const { elicitationId: _, ...params } = URL_MODE.params;
  expect(askedIn(asked)).toEqual({
    'r1-1': { method: URL_MODE.method, params: { ...params, _meta: { 'example.com/kept': 1 } } },
    'r1-2': SAMPLING,
  });
});

test.each([
  ['prompts/get', { name: 'p' }, { messages: [] }],
  ['resources/read', { uri: 'test://r' }, { contents: [] }],
])('%s can ask, too [F49]', async (method, params, result) => {
  const methods: Record<string, Answerer> = {
    [method]: async (call) => {
      const { result: answer } = await call.ask(FORM.method, FORM.params);
      return { ...result, _meta: { answer } };
    },
  };
  const { gateway } = await gatewayBefore({ methods, capabilities: { prompts: {}, resources: {} } });
  const call = [method, params, { capabilities: FORMS }] as const;

  const asked = await modern(gateway, ...call);
  const done = await retry(gateway, asked, { name: NAMED }, call);

  expect(Object.keys(askedIn(asked))).toEqual(['name']);
  expect(done.json.result).toMatchObject({ resultType: 'complete', ...result, _meta: { answer: NAMED } });
});

test('what is asked during any other method is refused, and the client gets an ordinary answer [F48 F54]', async () => {
  const list = (member: string): Answerer => {
    return async (call) => {
      const { error } = await call.ask(FORM.method, FORM.params);
      return { [member]: [], completion: { values: [String(error?.code)] } };
    };
  };
  const methods = {
    'tools/list': list('tools'),
    'prompts/list': list('prompts'),
    'resources/list': list('resources'),
    'resources/templates/list': list('resourceTemplates'),
    'completion/complete': list('completion'),
  };
  const capabilities = { tools: {}, prompts: {}, resources: {}, completions: {} };
  const { gateway, upstream } = await gatewayBefore({ methods, capabilities });

  for (const method of Object.keys(methods)) {
    const ref = { type: 'ref/prompt', name: 'p' };
    const params = method === 'completion/complete' ? { ref, argument: { name: 'a', value: '' } } : {};
    const { status, json } = await modern(gateway, method, params, { capabilities: EVERYTHING });

    expect([method, status, json.result?.resultType]).toEqual([method, 200, 'complete']);
    expect(json.result).not.toHaveProperty('inputRequests');
  }
  const refused = answersTo(upstream);
  expect(refused).toHaveLength(Object.keys(methods).length);
  for (const { message } of refused) expect(message.error?.code).toBe(-32601);
});

test('what a server asks right after initialized is answered, and shown to nobody [F54 G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({
    greeting: [{ jsonrpc: '2.0', id: 'hello', method: 'roots/list' }],
  });

  const done = await callTool(gateway, 'add', { a: 1, b: 2 }, { capabilities: EVERYTHING });

  expect(done.json.result).toMatchObject({ resultType: 'complete', content: [{ text: '3' }] });
  expect((await upstream.nextReply('hello')).message.error?.code).toBe(-32601);
});

// Several rounds

const twice: Answerer = async (call) => {
  const first = await call.ask(FORM.method, FORM.params);
  const second = await call.ask(FORM.method, FORM.params);
  return { ...text('asked'), structuredContent: { replies: [first, second] } };
};

test('one call can ask twice: two rounds, the second under a key of its own [F47 F41]', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools: { twice } });
  const call = tool('twice');

  const first = await modern(gateway, ...call);
  const second = await retry(gateway, first, { name: filled('name', 'one') }, call);
  // The key of the first round means nothing any more.
  const answers = { name: filled('name', 'wrong'), 'r2-1': filled('name', 'two') };
  const done = await retry(gateway, second, answers, call);

  expect([first, second].map((asked) => Object.keys(askedIn(asked)))).toEqual([['name'], ['r2-1']]);
  expect(second.json.result.requestState).not.toBe(first.json.result.requestState);
  expect(replies(done)).toMatchObject([
    { id: 0, result: filled('name', 'one') },
    { id: 1, result: filled('name', 'two') },
  ]);
  expect([callsOf(upstream).length, answersTo(upstream).length]).toEqual([1, 2]);
});

test('three kinds of input in one call, one after the other [F47]', async () => {
  const three: Answerer = async (call) => {
    const got = [];
    for (const { method, params } of [SAMPLING, FORM, { ...ROOTS, params: {} }]) {
      got.push(await call.ask(method, params));
    }
    return { ...text('asked'), structuredContent: { replies: got } };
  };
  const { gateway } = await gatewayBefore({ tools: { three } });
  const call = tool('three');

  const sampling = await modern(gateway, ...call);
  const elicitation = await retry(gateway, sampling, { 'r1-1': SAMPLED }, call);
  const roots = await retry(gateway, elicitation, { name: NAMED }, call);
  const done = await retry(gateway, roots, { 'r3-1': LISTED }, call);

  expect([sampling, elicitation, roots].map(askedIn)).toMatchObject([
    { 'r1-1': { method: SAMPLING.method } },
    { name: { method: FORM.method } },
    { 'r3-1': { method: ROOTS.method } },
  ]);
  expect(replies(done)).toMatchObject([{ result: SAMPLED }, { result: NAMED }, { result: LISTED }]);
});

test('an answer that is missing is asked for again, alone; keys that nobody asked for mean nothing [F46]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const call = asks(form('a'), form('b'), ROOTS);

  const all = await modern(gateway, ...call);
  const some = await retry(gateway, all, { b: filled('b', '1'), nobody: 'asked', __proto__: {} }, call);
  const rest = await retry(gateway, some, {}, call);
  const still = await retry(gateway, rest, undefined, call);
  const done = await retry(gateway, still, { 'r1-1': LISTED, a: filled('a', '2'), b: filled('b', 'late') }, call);

  expect([all, some, rest, still].map((asked) => Object.keys(askedIn(asked)))).toEqual([
    ['a', 'b', 'r1-1'],
    ['a', 'r1-1'],
    ['a', 'r1-1'],
    ['a', 'r1-1'],
  ]);
  expect(replies(done)).toMatchObject([{ result: filled('a', '2') }, { result: filled('b', '1') }, { result: LISTED }]);
  expect(answersTo(upstream)).toHaveLength(3);
});

test.each([
  ['responses that are no object', [] as unknown],
  ['an answer that is no object', { a: 'yes', b: filled('b', '1'), 'r1-1': LISTED }],
  ['no action', { a: { content: {} }, b: filled('b', '1'), 'r1-1': LISTED }],
  ['an unknown action', { a: { action: 'maybe' }, b: filled('b', '1'), 'r1-1': LISTED }],
  ['content that no form can hold', { a: { action: 'accept', content: { a: { b: 1 } } } }],
  ['roots without an array', { 'r1-1': { roots: 'all' } }],
  ['roots without a uri', { 'r1-1': { roots: [{ name: 'a' }] } }],
  ['an error in the place of an answer', { 'r1-1': { error: { code: -1, message: 'no' } } }],
])('answers that cannot be right are −32602, and nothing is used up: %s [F46]', async (_, malformed) => {
  const { gateway, upstream } = await gatewayBefore();
  const call = asks(form('a'), form('b'), ROOTS);
  const asked = await modern(gateway, ...call);
  const before = upstream.received.length;

  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it is wrong on purpose
  const refused = await retry(gateway, asked, malformed as object, call);
  expect(upstream.received).toHaveLength(before);
  const done = await retry(gateway, asked, { a: filled('a', '1'), b: filled('b', '2'), 'r1-1': LISTED }, call);

  expect([refused.status, refused.json.error.code, refused.json.error.data.reason]).toEqual([
    200,
    -32602,
    'input_invalid',
  ]);
  expect(replies(done)).toMatchObject([{ result: filled('a', '1') }, { result: filled('b', '2') }, { result: LISTED }]);
});

test.each([
  ['no role', { content: SAMPLED.content, model: 'm' }],
  ['no content', { role: 'assistant', model: 'm' }],
  ['no model', { role: 'assistant', content: SAMPLED.content }],
  ['no blocks', { ...SAMPLED, content: [] }],
])('a sampled message that cannot be right is −32602, and nothing is used up: %s [F46]', async (_, malformed) => {
  const { gateway, upstream } = await gatewayBefore();
  const asked = await modern(gateway, ...asks(SAMPLING));
  const before = upstream.received.length;

  const refused = await retry(gateway, asked, { 'r1-1': malformed }, asks(SAMPLING));
  expect(upstream.received).toHaveLength(before);
  const done = await retry(gateway, asked, { 'r1-1': SAMPLED }, asks(SAMPLING));

  expect([refused.status, refused.json.error.code]).toEqual([200, -32602]);
  expect(replies(done)).toMatchObject([{ result: SAMPLED }]);
});

// Streams and clients

test('progress before a round goes out first, and the question ends the stream; then the retry has its own token [F40]', async () => {
  const stepwise: Answerer = async (call) => {
    call.progress(1, 2);
    await call.ask(FORM.method, FORM.params);
    call.progress(2, 2);
    return text('done');
  };
  const { gateway } = await gatewayBefore({ tools: { stepwise } });
  const params = { name: 'stepwise', arguments: {} };
  const first = { capabilities: FORMS, progressToken: 'first' };
  const second = { capabilities: FORMS, progressToken: 2 };

  const asked = await modern(gateway, 'tools/call', params, first);
  const done = await retry(gateway, asked, { name: NAMED }, ['tools/call', params, second]);

  const heard = [asked, done].map(({ events }) => events.map((data) => JSON.parse(data)));
  expect(heard).toMatchObject([
    [{ params: { progressToken: 'first', progress: 1 } }, { id: 1, result: { resultType: 'input_required' } }],
    [{ params: { progressToken: 2, progress: 2 } }, { id: 'again', result: { resultType: 'complete' } }],
  ]);
});

test('a retry without a progress token hears of no progress', async () => {
  const stepwise: Answerer = async (call) => {
    await call.ask(FORM.method, FORM.params);
    call.progress(2, 2);
    return text('done');
  };
  const { gateway } = await gatewayBefore({ tools: { stepwise } });
  const params = { name: 'stepwise', arguments: {} };

  const first = { capabilities: FORMS, progressToken: 'first' };
  const asked = await modern(gateway, 'tools/call', params, first);
  const done = await retry(gateway, asked, { name: NAMED }, ['tools/call', params, { capabilities: FORMS }]);

  expect([done.headers['content-type'], done.json.result.resultType]).toEqual(['application/json', 'complete']);
});

test('a client that takes JSON only is asked and answered in JSON', async () => {
  const stepwise: Answerer = async (call) => {
    call.progress(1, 2);
    await call.ask(FORM.method, FORM.params);
    return text('done');
  };
  const { gateway } = await gatewayBefore({ tools: { stepwise } });
  const options = { capabilities: FORMS, progressToken: 1, headers: { accept: 'application/json' } };
  const call = ['tools/call', { name: 'stepwise', arguments: {} }, options] as const;

  const asked = await modern(gateway, ...call);
  const done = await retry(gateway, asked, { name: NAMED }, call);

  expect([asked, done].map(({ headers }) => headers['content-type'])).toEqual(['application/json', 'application/json']);
  expect([asked, done].map(({ json }) => json.result.resultType)).toEqual(['input_required', 'complete']);
});

test('the retry may come on another connection, when the first is long closed [F41]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const { name, ...headers } = { name: 'ask', connection: 'close' };
  const call = ['tools/call', { name, arguments: {} }, { capabilities: FORMS, headers }] as const;

  const asked = await modern(gateway, ...call);
  const done = await retry(gateway, asked, { name: NAMED }, call);

  expect([asked, done].map((each) => each.headers['connection'])).toEqual(['close', 'close']);
  expect(replies(done)).toMatchObject([{ result: NAMED }]);
  expect(callsOf(upstream)).toHaveLength(1);
});

test('the end of the response that asked is no disconnect: the upstream hears no cancel', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const asked = await modern(gateway, ...asks(FORM));

  await retry(gateway, asked, { name: NAMED }, asks(FORM));

  expect(upstream.received.filter(({ message }) => message.method === 'notifications/cancelled')).toEqual([]);
});

// An upstream that does not wait

test('a question that the upstream takes back is asked no more, and an answer to it is ignored [F46]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const first = modern(gateway, ...tool('slow'));
  const call = await upstream.nextCall('slow');
  void call.ask(FORM.method, FORM.params);
  void call.ask(ROOTS.method);
  const asked = await first;

  call.notify('notifications/cancelled', { requestId: 0 });
  // What the upstream says after it is heard after it.
  await upstream.ask(call.stream, 'ping');
  const some = await retry(gateway, asked, { name: NAMED }, tool('slow'));
  const again = retry(gateway, some, { name: NAMED, 'r1-1': LISTED }, tool('slow'));
  await upstream.nextReply(1);
  call.release();

  expect(Object.keys(askedIn(asked))).toEqual(['name', 'r1-1']);
  expect(Object.keys(askedIn(some))).toEqual(['r1-1']);
  expect((await again).json.result.resultType).toBe('complete');
  expect(answersTo(upstream).map(({ message }) => message.id)).toEqual([1]);
});

test('where the upstream takes its only question back at once, there is no round', async () => {
  const hesitant: Answerer = async (call) => {
    void call.ask(FORM.method, FORM.params);
    call.notify('notifications/cancelled', { requestId: 0 });
    await call.released;
    return text('never mind');
  };
  const { gateway, upstream } = await gatewayBefore({ tools: { hesitant } });

  const done = modern(gateway, ...tool('hesitant'));
  const call = await upstream.nextCall('hesitant');
  await upstream.ask(call.stream, 'ping');
  call.release();

  expect((await done).json.result).toMatchObject({ resultType: 'complete', content: [{ text: 'never mind' }] });
  expect(answersTo(upstream)).toEqual([]);
});

test.each([1, 3])(
  'a tool that asks and answers in one go: the call ends, and each of %i questions gets one reply [G10]',
  async (count) => {
    const impatient: Answerer = (call) => {
      for (let i = 0; i < count; i++) void call.ask(FORM.method, FORM.params);
      return text('done');
    };
    const { gateway, upstream } = await gatewayBefore({ tools: { impatient } });

    const done = await modern(gateway, ...tool('impatient'));
    const got = [];
    for (let id = 0; id < count; id++) got.push((await upstream.nextReply(id)).message.result);
    const next = await modern(gateway, ...tool('count'));

    expect(done.json.result).toMatchObject({ resultType: 'complete', content: [{ text: 'done' }] });
    expect(got).toEqual(Array(count).fill({ action: 'cancel' }));
    expect(next.json.result.resultType).toBe('complete');
    expect(answersTo(upstream)).toHaveLength(count);
  },
);

test.each([
  ['a result', () => text('without you'), { result: { resultType: 'complete', content: [{ text: 'without you' }] } }],
  [
    'an error',
    () => {
      throw new RpcError(-32001, 'gave up');
    },
    { error: { code: -32603, message: 'gave up' } },
  ],
])(
  '%s that comes while the client is asked is kept for the retry, and the link is free [F50 G10]',
  async (_, end, is) => {
    const givesUp: Answerer = async (call) => {
      void call.ask(FORM.method, FORM.params);
      await call.released;
      return end();
    };
    const { gateway, upstream } = await gatewayBefore({ tools: { givesUp } }, { links: { min: 0, max: 1 } });
    const asked = await modern(gateway, ...tool('givesUp'));
    const call = await upstream.nextCall('givesUp');

    call.release();
    const cancelled = await upstream.nextReply(0);
    const meanwhile = await modern(gateway, ...tool('count'));
    const done = await retry(gateway, asked, { name: NAMED }, tool('givesUp'));
    const late = await retry(gateway, asked, { name: NAMED }, tool('givesUp'));

    expect(cancelled.message.result).toEqual({ action: 'cancel' });
    expect(meanwhile.json.result.resultType).toBe('complete');
    expect(done).toMatchObject({ status: 200, json: is });
    expect([late.status, late.json.error.code]).toEqual([200, -32602]);
    expect(answersTo(upstream)).toHaveLength(1);
  },
);

test('progress and logs while the client is asked reach nobody', async () => {
  const talkative: Answerer = async (call) => {
    const answer = call.ask(FORM.method, FORM.params);
    await call.released;
    call.progress(1);
    call.notify('notifications/message', { level: 'error', data: 'x' });
    await answer;
    return text('done');
  };
  const { gateway, upstream } = await gatewayBefore({ tools: { talkative } });
  const params = { name: 'talkative', arguments: {} };
  const options = { capabilities: FORMS, progressToken: 1, logLevel: 'debug' };
  const asked = await modern(gateway, 'tools/call', params, options);
  const call = await upstream.nextCall('talkative');

  call.release();
  await upstream.ask(call.stream, 'ping');
  await upstream.ask(call.stream, 'ping');
  const done = await retry(gateway, asked, { name: NAMED }, ['tools/call', params, options]);

  expect([done.headers['content-type'], done.json.result.resultType]).toEqual(['application/json', 'complete']);
});

test('what is asked while the client is asked goes out with the next round [F47]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const first = modern(gateway, ...tool('slow'));
  const call = await upstream.nextCall('slow');
  void call.ask(FORM.method, FORM.params);
  const asked = await first;
  void call.ask(ROOTS.method);
  await upstream.ask(call.stream, 'ping');

  // A key that was never shown cannot be answered yet.
  const more = await retry(gateway, asked, { name: NAMED, 'r2-1': LISTED }, tool('slow'));
  const again = retry(gateway, more, { 'r2-1': LISTED }, tool('slow'));
  await upstream.nextReply(1);
  call.release();

  expect(Object.keys(askedIn(more))).toEqual(['r2-1']);
  expect((await again).json.result.resultType).toBe('complete');
  expect(answersTo(upstream).map(({ message }) => message.id)).toEqual([0, 1]);
});

test('a lost link takes the call along, not the client: a fresh call is asked afresh [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools: { silent: () => NO_ANSWER } });
  const asked = await modern(gateway, ...asks(FORM));
  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');

  const lost = await retry(gateway, asked, { name: NAMED }, asks(FORM));
  const fresh = await modern(gateway, ...asks(FORM));
  const done = await retry(gateway, fresh, { name: NAMED }, asks(FORM));

  expect([lost.status, lost.json.error.data.reason]).toEqual([200, 'upstream_session_lost']);
  expect(replies(done)).toMatchObject([{ result: NAMED }]);
});

// Error −32042

const PAGE = { mode: 'url', elicitationId: 'e-2', url: 'https://example.com/x?a=1&b=2', message: 'log in' };

function lockedUntilVisited(): Record<string, Answerer> {
  let calls = 0;
  return {
    locked: ({ message }) => {
      calls++;
      if (calls === 1) throw new RpcError(-32042, 'URL elicitation required', { elicitations: [PAGE] });
      return { ...text('open'), structuredContent: { params: message.params } };
    },
  };
}

test('error −32042 becomes a round by URL, and the retry calls again [F52 F53]', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools: lockedUntilVisited() });
  const call = tool('locked', { a: 1 }, { elicitation: { url: {} } });

  const asked = await modern(gateway, ...call);
  const done = await retry(gateway, asked, { 'url-1': VISITED }, call);

  const { elicitationId: _, ...params } = PAGE;
  expect(asked.status).toBe(200);
  expect(asked.json.result).toMatchObject({ resultType: 'input_required', requestState: expect.any(String) });
  expect(askedIn(asked)).toEqual({ 'url-1': { method: 'elicitation/create', params } });
  expect(done.json.result).toMatchObject({ resultType: 'complete', content: [{ text: 'open' }] });
  expect(done.json.result.structuredContent.params).toMatchObject({ name: 'locked', arguments: { a: 1 } });
  expect(done.json.result.structuredContent.params).not.toHaveProperty('requestState');
  expect(done.json.result.structuredContent.params).not.toHaveProperty('inputResponses');
  expect(callsOf(upstream)).toHaveLength(2);
});

test.each([
  ['nothing', {}],
  ['forms', { elicitation: {} }],
])(
  'error −32042 for a client that declares %s is −32021, with what it would have to declare [F52 F43]',
  async (_, caps) => {
    const { gateway, upstream } = await gatewayBefore({ tools: lockedUntilVisited() });

    const { status, json } = await modern(gateway, ...tool('locked', {}, caps));

    expect(status).toBe(400);
    expect(json.error).toMatchObject({ code: -32021, data: { requiredCapabilities: { elicitation: { url: {} } } } });
    expect(callsOf(upstream)).toHaveLength(1);
  },
);
