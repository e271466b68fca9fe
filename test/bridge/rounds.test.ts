import { describe, expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { LOG_LEVELS } from '../../src/protocol/log-level.ts';
import { answerOf, notificationOf, requestOf } from './recorded.ts';
import { RoundsWorld, accept, keysOf } from './rounds-world.ts';

describe('questions that come together', () => {
  test('are one result, with the state of the round, and the call is held [F40]', () => {
    const world = new RoundsWorld();

    world.ask('elicitation/create', { message: 'Who?', requestedSchema: { type: 'object' } });
    world.ask('roots/list');
    expect(world.first.ends).toEqual([]);
    world.passWindow();

    expect(world.first.sink.reply?.status).toBe(200);
    expect(world.first.sink.json).toEqual({
      jsonrpc: '2.0',
      id: 'own',
      result: {
        resultType: 'input_required',
        inputRequests: {
          'r1-1': {
            method: 'elicitation/create',
            params: { message: 'Who?', requestedSchema: { type: 'object' } },
          },
          'r1-2': { method: 'roots/list', params: {} },
        },
        requestState: 'state 1',
      },
    });
    expect([world.call.state.phase, world.rounds.round, world.held]).toEqual(['held', 1, 1]);
    // The upstream waits for its answers.
    expect(world.lease).toMatchObject({ released: [], cancelled: [], broken: [] });
    expect(world.asks.map(({ answers }) => answers)).toEqual([[], []]);
  });

  test('come within 5 ms of the first, however many follow [F40]', () => {
    const world = new RoundsWorld();

    world.form('a');
    world.time.advanceSync(4);
    world.form('b');
    expect(world.first.ends).toEqual([]);
    world.time.advanceSync(1);

    expect(keysOf(world.first)).toEqual(['a', 'b']);
  });

  test('say which server asks, where it has said so [F21]', () => {
    const world = new RoundsWorld({ serverInfo: encode('{"name":"s","version":"1.0"}') });

    world.form('a');
    world.passWindow();

    expect(world.first.sink.json.result._meta).toEqual({
      'io.modelcontextprotocol/serverInfo': { name: 's', version: '1.0' },
    });
  });

  test('have keys that no two of the call share [F40 F47]', () => {
    const world = new RoundsWorld();
    for (const field of ['a', 'a', 'a']) world.form(field);
    world.ask('roots/list');
    world.passWindow();
    const keys = keysOf(world.first) ?? [];
    world.back(Object.fromEntries(keys.slice(0, 3).map((key) => [key, accept('x')])));
    world.form('a');
    world.ask('roots/list');

    expect(keys).toEqual(['a', 'r1-1', 'r1-2', 'r1-3']);
    expect(new Set([...keys, 'r2-1', 'r2-2']).size).toBe(6);
  });

  test('may be shown on a stream that has begun, as its last message [F30 F40]', () => {
    const world = new RoundsWorld({ logLevel: 'info' });
    world.log('info');
    world.form('a');
    world.passWindow();

    expect(world.first.sink).toMatchObject({ ends: ['finish'], broken: [] });
    expect(world.first.sink.notified).toHaveLength(1);
    expect(world.first.ends).toMatchObject([{ outcome: 'result', streamed: true }]);
  });

  test('are not asked when the answer comes first', () => {
    const world = new RoundsWorld();

    const { question } = world.form('a');
    world.call.answered(answerOf(41, { result: { done: true } }));
    world.rounds.withdrawn(question);
    world.passWindow();

    expect(world.first.sink.json.result).toEqual({ done: true });
    expect([world.held, world.first.sink.ends, world.time.pendingCount]).toEqual([0, ['finish'], 0]);
  });

  test('are not asked when the client has left: it hears nothing any more', () => {
    const world = new RoundsWorld();

    world.form('a');
    world.first.exchange.clientGone();
    world.passWindow();

    expect(world.held).toBe(0);
    expect(world.lease).toMatchObject({ cancelled: ['the client disconnected'], released: ['retire'], broken: [] });
    expect(world.first.sink.ends).toEqual([]);
  });
});

describe('the client’s answers', () => {
  test('go to the upstream under its own ids, each once, and the call goes on [F41]', () => {
    const world = new RoundsWorld();
    const [form, roots] = [
      world.ask('elicitation/create', { message: 'x' }, 'q"1'),
      world.ask('roots/list', {}, 12_345_678),
    ];
    world.passWindow();

    const second = world.back({ 'r1-2': { roots: [{ uri: 'file:///a' }] }, 'r1-1': accept('Ada') });

    expect(form.answers).toEqual([
      '{"jsonrpc":"2.0","id":"q\\"1","result":{"action":"accept","content":{"value":"Ada"}}}',
    ]);
    expect(roots.answers).toEqual(['{"jsonrpc":"2.0","id":12345678,"result":{"roots":[{"uri":"file:///a"}]}}']);
    expect(world.call.state.phase).toBe('run');
    expect(second?.ends).toEqual([]);
    world.call.answered(answerOf(41, { result: { done: true } }));
    expect(second?.sink.json).toEqual({ jsonrpc: '2.0', id: 'own', result: { done: true } });
    expect(world.lease).toMatchObject({ released: ['reuse'], cancelled: [], broken: [] });
    expect(world.time.pendingCount).toBe(0);
  });

  test('are given to the questions that their keys name, however they are mixed up [F47]', () => {
    const world = new RoundsWorld();
    const asked = ['a', 'b', 'c'].map((field) => world.form(field));
    world.passWindow();

    world.back({ c: accept('C'), a: accept('A'), b: accept('B') });

    expect(asked.map(({ answers }) => JSON.parse(answers[0] ?? '').result.content.value)).toEqual(['A', 'B', 'C']);
  });

  test('are told in the words of an older upstream [F41]', () => {
    const world = new RoundsWorld({ upstream: '2025-06-18' });
    const { answers } = world.ask('sampling/createMessage', { messages: [] });
    world.passWindow();

    world.back({ 'r1-1': { role: 'assistant', model: 'm', content: [{ type: 'text', text: 'x' }] } });

    expect(JSON.parse(answers[0] ?? '').result.content).toEqual({ type: 'text', text: 'x' });
  });

  test('that were not asked for mean nothing [F46]', () => {
    const world = new RoundsWorld();
    const { answers } = world.form('a');
    world.passWindow();
    const given = { b: accept('B'), 'r1-1': 7, z: null, a: accept('A') };

    expect(world.faultOf(given)).toBeNull();
    world.back(given);

    expect(answers).toHaveLength(1);
    world.passWindow();
    expect(world.held).toBe(1);
  });

  test('that are missing are asked for again, and only those [F46]', () => {
    const world = new RoundsWorld();
    const [a, b] = [world.form('a'), world.form('b')];
    world.passWindow();

    const second = world.back({ a: accept('A') });
    world.passWindow();
    expect(second && keysOf(second)).toEqual(['b']);
    expect(second?.sink.json.result.requestState).toBe('state 2');
    const third = world.back({ a: accept('again'), b: accept('B') });

    expect([a.answers.length, b.answers.length]).toEqual([1, 1]);
    world.call.answered(answerOf(41));
    expect(third?.sink.json.result).toEqual({});
    expect(world.time.pendingCount).toBe(0);
  });

  test('that are missing altogether are asked for again, all of them [F46]', () => {
    const world = new RoundsWorld();
    world.form('a');
    world.form('b');
    world.passWindow();

    const second = world.back({});
    world.passWindow();

    expect(second && keysOf(second)).toEqual(['a', 'b']);
    expect(world.rounds.round).toBe(2);
  });

  test.each<[what: string, method: string, answer: unknown]>([
    ['a form without an action', 'elicitation/create', { content: {} }],
    ['a form with an invented action', 'elicitation/create', { action: 'maybe' }],
    ['an answer that is no object', 'elicitation/create', 'accept'],
    ['an answer that is null', 'roots/list', null],
    ['roots that are none', 'roots/list', { roots: 'file:///' }],
    ['a message without a model', 'sampling/createMessage', { role: 'user', content: { type: 'text', text: 'x' } }],
    ['an error, which this revision has no way for', 'sampling/createMessage', { code: -1, message: 'no' }],
  ])('that are malformed use nothing up: %s [F46]', (_what, method, answer) => {
    const world = new RoundsWorld();
    const [good, bad] = [world.form('good'), world.ask(method, { messages: [] })];
    world.passWindow();

    const fault = world.faultOf({ good: accept('x'), 'r1-1': answer });

    expect(fault).toMatch(/^inputResponses\["r1-1"\]: /);
    expect([good.answers, bad.answers]).toEqual([[], []]);
    expect([world.call.state.phase, world.rounds.round]).toEqual(['held', 1]);
  });

  test('come to nothing where the call is not held: somebody else is back already [F45]', () => {
    const world = new RoundsWorld();
    const { answers } = world.form('a');
    world.passWindow();
    const second = world.back({ a: accept('first') });

    expect(world.back({ a: accept('second') })).toBeNull();

    expect(answers).toHaveLength(1);
    expect(second?.ends).toEqual([]);
  });

  test('come to nothing where the call is over [F45]', () => {
    const world = new RoundsWorld();
    const { answers } = world.form('a');
    world.passWindow();
    world.call.letGo('nobody answered in time');

    expect(world.back({ a: accept('x') })).toBeNull();
    expect(answers).toEqual([]);
  });
});

describe('one question after the other', () => {
  test('is one round after the other, each with its own state [F47]', () => {
    const world = new RoundsWorld();
    let shown: ReturnType<RoundsWorld['back']> = world.first;
    for (const round of [1, 2, 3]) {
      const { answers } = world.form(`field-${round}`);
      world.passWindow();
      expect(shown && keysOf(shown)).toEqual([`field-${round}`]);
      expect(shown?.sink.json.result.requestState).toBe(`state ${round}`);
      expect(world.rounds.round).toBe(round);
      shown = world.back({ [`field-${round}`]: accept(String(round)) });
      expect(answers).toHaveLength(1);
    }
    world.call.answered(answerOf(41, { result: { rounds: 3 } }));

    expect(shown?.sink.json.result).toEqual({ rounds: 3 });
    expect(world.lease).toMatchObject({ released: ['reuse'], cancelled: [], broken: [] });
    expect([world.held, world.time.pendingCount]).toEqual([3, 0]);
  });

  test('has a key of its own even if it asks for the same field again [F47]', () => {
    const world = new RoundsWorld();
    world.form('name');
    world.passWindow();
    const second = world.back({ name: accept('x') });
    const { answers } = world.form('name');
    world.passWindow();

    expect(second && keysOf(second)).toEqual(['r2-1']);
    // An answer to the first question is none to the second.
    const third = world.back({ name: accept('old') });
    expect(answers).toEqual([]);
    world.passWindow();
    expect(third && keysOf(third)).toEqual(['r2-1']);
  });
});

describe('what comes while the call is held', () => {
  test('is shown with the next round, together with what is missing [F46]', () => {
    const world = new RoundsWorld();
    const [a] = [world.form('a'), world.form('b')];
    world.passWindow();
    const late = world.form('late');
    expect('by' in late.said).toBe(true);
    world.time.advanceSync(100);
    expect(world.held).toBe(1);

    const second = world.back({ a: accept('A') });
    world.passWindow();

    expect(second && keysOf(second)).toEqual(['b', 'late']);
    expect(a.answers).toHaveLength(1);
  });

  test('needs a round of its own when all that was shown is answered [F47]', () => {
    const world = new RoundsWorld();
    world.form('a');
    world.passWindow();
    const late = world.form('late');

    const second = world.back({ a: accept('A') });
    expect(second?.ends).toEqual([]);
    world.passWindow();

    expect(second && keysOf(second)).toEqual(['late']);
    world.back({ late: accept('L') });
    expect(late.answers).toHaveLength(1);
  });

  // The client has not seen it, so what it sends under that name cannot be meant for it.
  test('is not answered by a client that has not seen it', () => {
    const world = new RoundsWorld();
    world.form('a');
    world.passWindow();
    const late = world.form('late');

    expect(world.faultOf({ a: accept('A'), late: 7 })).toBeNull();
    const second = world.back({ a: accept('A'), late: accept('guessed') });
    expect(late.answers).toEqual([]);
    world.passWindow();

    expect(second && keysOf(second)).toEqual(['late']);
  });

  test('is of no interest when it was the call’s own answer: the client gets that, whatever it says [F41]', () => {
    const world = new RoundsWorld();
    const { answers } = world.form('a');
    world.passWindow();

    world.call.answered(answerOf(41, { result: { gaveUp: true } }));
    expect(world.lease.released).toEqual(['reuse']);
    const second = world.back({ a: accept('too late') });

    expect(second?.sink.json.result).toEqual({ gaveUp: true });
    expect(answers).toEqual([]);
    expect([world.call.state.phase, world.time.pendingCount]).toEqual(['done', 0]);
  });

  test('is not heard: there is no stream for logs or progress', () => {
    const world = new RoundsWorld({ logLevel: 'debug' });
    world.form('a');
    world.passWindow();

    expect(world.log('error')).toBeNull();
    expect(world.call.progress([encode('{}')])).toBe(false);
    expect(world.first.sink).toMatchObject({ ends: ['finish'], notified: [], broken: [] });
  });
});

describe('a question that the upstream takes back', () => {
  test('is not asked, if it was the only one', () => {
    const world = new RoundsWorld();
    const { question } = world.form('a');
    world.time.advanceSync(3);

    world.rounds.withdrawn(question);
    expect(world.time.pendingCount).toBe(1);
    world.time.advanceSync(10);

    expect([world.held, world.call.state.phase]).toEqual([0, 'run']);
  });

  test('does not shorten the wait of the next one', () => {
    const world = new RoundsWorld();
    const { question } = world.form('a');
    world.time.advanceSync(3);
    world.rounds.withdrawn(question);

    world.form('b');
    world.time.advanceSync(4);
    expect(world.held).toBe(0);
    world.time.advanceSync(1);

    expect(keysOf(world.first)).toEqual(['b']);
  });

  test('leaves the others', () => {
    const world = new RoundsWorld();
    const { question } = world.form('a');
    world.form('b');
    world.rounds.withdrawn(question);
    world.passWindow();

    expect(keysOf(world.first)).toEqual(['b']);
  });

  test('while the call is held is of no interest to the client’s answer', () => {
    const world = new RoundsWorld();
    const [a, b] = [world.form('a'), world.form('b')];
    world.passWindow();
    world.rounds.withdrawn(a.question);
    const given = { a: 'nonsense', b: accept('B') };

    expect(world.faultOf(given)).toBeNull();
    world.back(given);

    expect([a.answers.length, b.answers.length]).toEqual([0, 1]);
    world.passWindow();
    expect([world.held, world.call.state.phase]).toEqual([1, 'run']);
  });

  test('does not give its key to another: the client may still answer to it', () => {
    const world = new RoundsWorld();
    const { question } = world.form('a');
    world.rounds.withdrawn(question);
    world.form('a');
    world.passWindow();

    expect(keysOf(world.first)).toEqual(['r1-1']);
  });
});

describe('a question that the client cannot be asked', () => {
  test.each<[what: string, declares: object, method: string, params: object, required: object]>([
    ['a form', {}, 'elicitation/create', {}, { elicitation: { form: {} } }],
    ['a form of one for pages', { elicitation: { url: {} } }, 'elicitation/create', {}, { elicitation: { form: {} } }],
    ['a page', { elicitation: {} }, 'elicitation/create', { mode: 'url' }, { elicitation: { url: {} } }],
    ['sampling', { roots: {} }, 'sampling/createMessage', {}, { sampling: {} }],
    ['tools', { sampling: {} }, 'sampling/createMessage', { tools: [] }, { sampling: { tools: {} } }],
    ['roots', { sampling: {}, elicitation: {} }, 'roots/list', {}, { roots: {} }],
  ])(
    'is refused, then the call is cancelled, and the client hears why: %s [F42 F43]',
    (_what, declares, method, params, required) => {
      const world = new RoundsWorld({ declares });
      const { said, answers } = world.ask(method, params);

      expect(said).toMatchObject({ refusal: { code: expect.any(Number) as number } });
      expect(answers).toEqual([]);
      expect(world.lease).toMatchObject({ cancelled: ['undeclared'], released: ['retire'], broken: [] });
      expect(world.first.sink.reply?.status).toBe(400);
      expect(world.first.sink.json.error).toMatchObject({ code: -32021, data: { requiredCapabilities: required } });
      expect(world.time.pendingCount).toBe(0);
    },
  );

  test('leaves the call alone until the upstream has its refusal [F43]', () => {
    const world = new RoundsWorld({ declares: { elicitation: {} } });
    const { question } = world.form('a');

    const said = world.rounds.asked(question, requestOf({ method: 'roots/list' }));
    expect([world.call.state.phase, world.lease.cancelled]).toEqual(['run', []]);
    if ('refusal' in said) said.after?.();

    expect(world.call.state.phase).toBe('done');
  });

  test('is told on the stream where one has begun [F43]', () => {
    const world = new RoundsWorld({ declares: {}, logLevel: 'info' });
    world.log('info');
    world.ask('roots/list');

    expect(world.first.ends).toMatchObject([{ reason: 'capability_missing', streamed: true, status: 200 }]);
  });

  test('ends the call also when others wait to be asked [F42]', () => {
    const world = new RoundsWorld({ declares: { elicitation: {} } });
    const { question } = world.form('a');
    world.ask('roots/list');
    // As the end of the call does.
    world.rounds.withdrawn(question);
    world.passWindow();

    expect(world.first.sink.json.error.code).toBe(-32021);
    expect([world.held, world.time.pendingCount]).toEqual([0, 0]);
  });

  test('while the call is held is refused, and the call goes on', () => {
    const world = new RoundsWorld({ declares: { elicitation: {} } });
    world.form('a');
    world.passWindow();

    expect('refusal' in world.ask('roots/list').said).toBe(true);
    expect(world.call.state.phase).toBe('held');
    world.back({ a: accept('A') });
    world.passWindow();
    expect(world.held).toBe(1);
  });

  test('is one that the retry does not declare any more [F42]', () => {
    const world = new RoundsWorld();
    world.form('a');
    world.passWindow();
    const second = world.back({ a: accept('A') }, { declares: {} });
    world.form('b');

    expect(second?.sink.json.error.code).toBe(-32021);
  });

  // The earlier request had declared it: the same question was shown to a retry that had not.
  test.each<[what: string, isLate: boolean]>([
    ['has not answered', false],
    ['has not seen yet', true],
  ])('is also one that the client %s when its retry does not declare it any more [F42 F43]', (_what, isLate) => {
    const world = new RoundsWorld();
    const a = world.form('a');
    const early = isLate ? null : world.ask('roots/list', {}, 'q');
    world.passWindow();
    const roots = early ?? world.ask('roots/list', {}, 'q');

    const second = world.back({ a: accept('A') }, { declares: { elicitation: {} } });
    world.passWindow();

    expect(a.answers).toHaveLength(1);
    expect(roots.answers).toEqual([
      '{"jsonrpc":"2.0","id":"q","error":{"code":-32601,"message":"the client did not declare this capability"}}',
    ]);
    expect(second?.sink.json.error).toMatchObject({ code: -32021, data: { requiredCapabilities: { roots: {} } } });
    expect(world.lease).toMatchObject({ cancelled: ['undeclared'], released: ['retire'], broken: [] });
    expect([world.held, world.time.pendingCount]).toEqual([1, 0]);
  });

  test('is none any more once the retry declares it [F42]', () => {
    const world = new RoundsWorld({ declares: { elicitation: {} } });
    world.form('a');
    world.passWindow();
    const second = world.back({ a: accept('A') }, { declares: { roots: {} } });
    world.ask('roots/list');
    world.passWindow();

    expect(second && keysOf(second)).toEqual(['r2-1']);
  });

  test('is refused quietly where no capability would help', () => {
    const world = new RoundsWorld();

    expect(world.ask('x/invented').said).toMatchObject({ refusal: { code: -32601 } });
    expect([world.call.state.phase, world.time.pendingCount]).toEqual(['run', 1]);
  });

  test('is any question once the call is over', () => {
    const world = new RoundsWorld();
    world.call.answered(answerOf(41));

    expect(world.form('a').said).toMatchObject({ refusal: { code: -32603 } });
    expect(world.time.pendingCount).toBe(0);
  });

  test('is any question after the client has been answered for a hold that was given up', () => {
    const world = new RoundsWorld();
    world.form('a');
    world.passWindow();
    world.call.letGo('others needed its place');

    expect('refusal' in world.form('b').said).toBe(true);
  });

  test('is one question too large for what may wait', () => {
    const world = new RoundsWorld({ maxBytes: 2000 });
    const long = { message: 'x'.repeat(1500) };

    expect('by' in world.ask('elicitation/create', long).said).toBe(true);
    expect(world.ask('elicitation/create', long).said).toMatchObject({ refusal: { code: -32603 } });
    expect('by' in world.form('a').said).toBe(true);
    world.passWindow();

    expect(keysOf(world.first)).toEqual(['r1-1', 'a']);
    // What is answered waits no longer.
    world.back({ 'r1-1': { action: 'decline' }, a: { action: 'decline' } });
    expect('by' in world.ask('elicitation/create', long).said).toBe(true);
  });

  test('is one question too many of a server that asks without end', () => {
    const world = new RoundsWorld();
    for (let count = 0; count < 1000; count++) expect('by' in world.ask('roots/list').said).toBe(true);

    expect(world.ask('roots/list').said).toMatchObject({ refusal: { code: -32603 } });
    world.passWindow();
    expect(keysOf(world.first)).toHaveLength(1000);
  });
});

describe('log messages', () => {
  test.each(LOG_LEVELS)('of %s and graver are heard where that is the level, and no others [F31]', (level) => {
    const world = new RoundsWorld({ logLevel: level });
    const heard = LOG_LEVELS.filter((severity) => world.log(severity) !== null);

    expect(heard).toEqual(LOG_LEVELS.slice(LOG_LEVELS.indexOf(level)));
    expect(world.first.sink.notified).toHaveLength(heard.length);
    expect(world.first.sink.broken).toEqual([]);
  });

  test('are not heard where no level was asked for [F31]', () => {
    const world = new RoundsWorld();

    for (const level of LOG_LEVELS) expect(world.log(level)).toBeNull();
    expect(world.first.sink.notified).toEqual([]);
  });

  test.each([undefined, null, 7, 'Error', 'trace', ''])('of no severity are not heard: %j [F31]', (level) => {
    expect(new RoundsWorld({ logLevel: 'debug' }).log(level)).toBeNull();
  });

  test('cross byte for byte, and are read by the client of the call', () => {
    const world = new RoundsWorld({ logLevel: 'debug' });
    const message = notificationOf('notifications/message', { level: 'info', data: { é: [1] } });

    expect(world.rounds.heard(message, world.call)).toEqual({ by: world.call });
    expect(world.first.sink.notified).toEqual([Buffer.from(message.bytes).toString()]);
  });

  test('of another call, or of nobody knows which, are not heard [F31]', () => {
    const [world, other] = [new RoundsWorld({ logLevel: 'debug' }), new RoundsWorld()];

    expect(world.log('error', other.call)).toBeNull();
    expect(world.log('error', null)).toBeNull();
  });

  test('are not heard after the answer [F31]', () => {
    const world = new RoundsWorld({ logLevel: 'debug' });
    world.call.answered(answerOf(41));

    expect(world.log('error')).toBeNull();
    expect(world.first.sink.broken).toEqual([]);
  });

  test('are heard by the level of the retry from then on [F31]', () => {
    const world = new RoundsWorld({ logLevel: 'debug' });
    world.form('a');
    world.passWindow();
    const second = world.back({ a: accept('A') }, { logLevel: 'error' });

    expect([world.log('info'), world.log('error')?.by]).toEqual([null, world.call]);
    expect(second?.sink.notified).toHaveLength(1);
  });

  test('are the only thing that is passed on: nothing else is about one request [F30]', () => {
    const world = new RoundsWorld({ logLevel: 'debug' });

    for (const method of ['notifications/tools/list_changed', 'notifications/elicitation/complete', 'x/invented']) {
      expect(world.rounds.heard(notificationOf(method, { level: 'error' }), world.call)).toBeNull();
    }
  });
});

test('progress after a retry has the token of the retry, or is not told [F32]', () => {
  const world = new RoundsWorld();
  world.form('a');
  world.form('b');
  world.passWindow();
  world.back({ a: accept('A') }, { token: '7' });
  expect(Buffer.from(world.call.progressToken ?? []).toString()).toBe('7');
  world.passWindow();
  world.back({ b: accept('B') });

  expect(world.call.progressToken).toBeNull();
});

test('a link that is lost while the call is held is told when the client comes back', () => {
  const world = new RoundsWorld();
  const { answers, question } = world.form('a');
  world.passWindow();
  world.rounds.withdrawn(question);
  world.call.linkLost(new ProxyError('upstream_session_lost', 'gone'));

  const second = world.back({ a: accept('A') });

  expect(second?.ends).toMatchObject([{ outcome: 'failed', reason: 'upstream_session_lost' }]);
  expect(second?.sink.json.error.data.outcome).toBe('unknown');
  expect(answers).toEqual([]);
});

test('rounds that serve no call refuse what they are asked', () => {
  const world = new RoundsWorld();
  world.call.stopped(new ProxyError('draining', 'x'));

  expect('refusal' in world.form('a').said).toBe(true);
});
