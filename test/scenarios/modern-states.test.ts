// The state that a client of 2026-07-28 carries for us: good once, for the one request and the one caller that it was given
// for. Whatever else is sent in its place gets the same words, and nothing of it reaches the upstream.

import { createHash } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { type Answer, type Gateway, type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, type Behaviour, text } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { type ModernOptions, askedIn, leavingModern, modern, retry } from '../support/modern-client.ts';
import { FORM, NAMED, filled } from '../support/questions.ts';

const FORMS = { elicitation: {} };
const ANSWERS = { name: NAMED };
const CALL = [
  'tools/call',
  { name: 'ask', arguments: { a: 1, b: [{ c: 2, d: 3 }] } },
  { capabilities: FORMS },
] as const;
type Call = readonly [method: string, params: object, options: ModernOptions];

interface World {
  readonly gateway: Gateway;
  readonly upstream: LegacyServer;
  /** The result that asked. */
  readonly asked: Answer;
  readonly state: string;
}

/** A call that waits for its client. */
async function heldCall(
  config: GatewayConfig = {},
  behaviour: Partial<Behaviour> = {},
  call: Call = CALL,
): Promise<World> {
  const { gateway, upstream } = await gatewayBefore(behaviour, config);
  const asked = await modern(gateway, ...call);
  expect(Object.keys(askedIn(asked))).toEqual(['name']);
  return { gateway, upstream, asked, state: asked.json.result.requestState };
}

/** A retry with this in the place of the state. */
async function retryWith(
  gateway: Gateway,
  requestState: unknown,
  [method, params, options]: Call = CALL,
): Promise<Answer> {
  return modern(gateway, method, { ...params, requestState, inputResponses: ANSWERS }, { id: 2, ...options });
}

/** What of a call reached the server: the call itself, answers to its questions, the end of it. */
function touched({ received }: LegacyServer): number {
  const beside = new Set(['initialize', 'notifications/initialized', 'tools/list', 'ping']);
  return received.filter(({ message: { method = '' } }) => !beside.has(method)).length;
}

/** What every state that is not good is told: nothing that says why. */
function expectRefused({ status, json }: Answer): void {
  expect(status).toBe(200);
  expect(json).toEqual({
    jsonrpc: '2.0',
    id: expect.anything(),
    error: {
      code: -32602,
      message:
        'the requestState is not valid for this request: used, of another, older than timeouts.round, or of before a reload',
      data: { reason: 'request_state_invalid', upstream: expect.any(String) },
    },
  });
}

/** The call goes on as if nothing had been. */
async function expectStillGood({ gateway, upstream, asked }: World, call: Call = CALL): Promise<void> {
  const done = await retry(gateway, asked, ANSWERS, call);
  expect(done.json.result).toMatchObject({
    resultType: 'complete',
    structuredContent: { replies: [{ id: 0, result: NAMED }] },
  });
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(1);
}

// Forged, and of another time

test('a state that was changed by one character, cut short or made longer is refused [F44 T8]', async () => {
  const world = await heldCall();
  const { gateway, upstream, state } = world;
  const flipped = (at: number): string => `${state.slice(0, at)}${state[at] === 'A' ? 'B' : 'A'}${state.slice(at + 1)}`;
  const places = [0, 1, 6, 12, 23, 24, Math.floor(state.length / 2), state.length - 24, state.length - 2];
  const forged = [
    ...places.map(flipped),
    ...[1, 2, 4, 16, state.length - 1].map((less) => state.slice(0, -less)),
    ...['A', 'AAAA', '=', ' ', '.', '\n', state].map((more) => state + more),
    ` ${state}`,
    state.slice(1),
    state.toLowerCase(),
    '',
    'AAAA',
    '\u0000',
    'ü'.repeat(100),
  ];
  const before = touched(upstream);

  for (const each of forged) expectRefused(await retryWith(gateway, each));

  expect(touched(upstream)).toBe(before);
  await expectStillGood(world);
});

test('the last character of a state has one spelling [F44 T8]', async () => {
  const world = await heldCall();
  const { gateway, upstream, state } = world;
  const before = touched(upstream);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

  for (const last of alphabet) {
    if (state.endsWith(last)) continue;
    expectRefused(await retryWith(gateway, state.slice(0, -1) + last));
  }

  expect(touched(upstream)).toBe(before);
  await expectStillGood(world);
});

test.each([1, null, true, {}, [], ['x']])('a state that is no text is refused: %j [F44]', async (given) => {
  const world = await heldCall();
  const before = touched(world.upstream);

  expectRefused(await retryWith(world.gateway, given));

  expect(touched(world.upstream)).toBe(before);
  await expectStillGood(world);
});

test('a state that has expired is refused, and the upstream hears of the end, not of the retry [F44 F50 T8]', async () => {
  const { gateway, upstream, state } = await heldCall({ timeouts: { round: '20ms' } });
  await upstream.nextReply(0);
  await upstream.nextRequest('notifications/cancelled');
  const before = touched(upstream);

  expectRefused(await retryWith(gateway, state));

  expect(touched(upstream)).toBe(before);
});

test('a state of another process is refused [F44 T8]', async () => {
  const world = await heldCall();
  const other = await heldCall();

  expectRefused(await retryWith(world.gateway, other.state));
  expectRefused(await retryWith(other.gateway, world.state));

  await expectStillGood(world);
  await expectStillGood(other);
});

test('the id of a session is no state, and a state is no session [F44]', async () => {
  const world = await heldCall();
  const { gateway, state } = world;
  const session = await gateway.openSession();

  expectRefused(await retryWith(gateway, session));
  const used = await gateway.post(
    { jsonrpc: '2.0', id: 1, method: 'ping' },
    { 'mcp-session-id': state, 'mcp-protocol-version': '2025-06-18' },
  );

  expect(used.status).toBe(404);
  await expectStillGood(world);
});

// Of somebody else, of something else

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const KEYS = ['alice', 'bob'].map((name) => ({ name, sha256: sha256(`${name}-key`) }));
const as = (name: string): Call => [
  CALL[0],
  CALL[1],
  { capabilities: FORMS, headers: { authorization: `Bearer ${name}-key` } },
];

test.each(['principal', 'shared'] as const)(
  'a state of another caller is refused, links %s [F44 F51 T7]',
  async (isolation) => {
    const config = { inbound: { bearer: { keys: KEYS } }, links: { isolation } };
    const world = await heldCall(config, {}, as('alice'));
    const { gateway, upstream, state } = world;
    const before = touched(upstream);

    expectRefused(await retryWith(gateway, state, as('bob')));

    expect(touched(upstream)).toBe(before);
    await expectStillGood(world, as('alice'));
  },
);

test('two callers are asked at the same time, and each answers its own [F51 F41]', async () => {
  const { gateway } = await gatewayBefore({}, { inbound: { bearer: { keys: KEYS } } });
  const [alice, bob] = await Promise.all([modern(gateway, ...as('alice')), modern(gateway, ...as('bob'))]);

  const done = await Promise.all([
    retry(gateway, alice, { name: filled('name', 'alice') }, as('alice')),
    retry(gateway, bob, { name: filled('name', 'bob') }, as('bob')),
  ]);

  expect(done.map(({ json }) => json.result.structuredContent.replies[0].result)).toEqual([
    filled('name', 'alice'),
    filled('name', 'bob'),
  ]);
});

const params = (args: unknown, name = 'ask'): object => ({ name, arguments: args });

test.each<readonly [what: string, method: string, params: object]>([
  ['another method', 'prompts/get', CALL[1]],
  ['another tool', 'tools/call', params(CALL[1].arguments, 'count')],
  ['another argument', 'tools/call', params({ a: 2, b: [{ c: 2, d: 3 }] })],
  ['an argument of another type', 'tools/call', params({ a: '1', b: [{ c: 2, d: 3 }] })],
  ['an argument less', 'tools/call', params({ b: [{ c: 2, d: 3 }] })],
  ['an argument more', 'tools/call', params({ a: 1, b: [{ c: 2, d: 3 }], e: null })],
  ['an argument deep inside', 'tools/call', params({ a: 1, b: [{ c: 2, d: 4 }] })],
  ['elements in another order', 'tools/call', params({ a: 1, b: [{ c: 2, d: 3 }, 1] })],
  ['no arguments', 'tools/call', { name: 'ask' }],
  ['another member of params', 'tools/call', { ...CALL[1], more: 1 }],
])('a state for a request with %s is refused [F44]', async (_, method, other) => {
  const world = await heldCall();
  const { gateway, upstream, state } = world;
  const before = touched(upstream);

  expectRefused(await retryWith(gateway, state, [method, other, CALL[2]]));

  expect(touched(upstream)).toBe(before);
  await expectStillGood(world);
});

test('members in another order, white space and escapes are the same request', async () => {
  const { gateway, asked, upstream } = await heldCall();
  const reordered = { arguments: { b: [{ d: 3, c: 2 }], a: 1 }, name: 'ask' };

  const done = await retry(gateway, asked, ANSWERS, ['tools/call', reordered, CALL[2]]);

  expect(done.json.result.resultType).toBe('complete');
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(1);
});

test('a state of another upstream is refused [F44 T8]', async () => {
  const second = await startLegacyServer();
  onTestFinished(() => second.close());
  const others = [{ url: String(second.url), name: 'second', path: '/second' }];
  const world = await heldCall({ others });
  const { gateway, upstream, state } = world;
  const before = [touched(upstream), touched(second)];

  expectRefused(await retryWith({ ...gateway, endpoint: `${gateway.origin}/second` }, state));

  expect([touched(upstream), touched(second)]).toEqual(before);
  await expectStillGood(world);
});

// Good once

test('a state is used up by the retry that it came with [F45]', async () => {
  const { gateway, upstream, asked } = await heldCall();
  const done = await retry(gateway, asked, ANSWERS, CALL);
  const before = touched(upstream);

  expectRefused(await retry(gateway, asked, ANSWERS, CALL));
  expectRefused(await retry(gateway, asked, { name: filled('name', 'other') }, CALL));

  expect(done.json.result.resultType).toBe('complete');
  expect(touched(upstream)).toBe(before);
});

const twice: Answerer = async (call) => {
  const replies = [await call.ask(FORM.method, FORM.params), await call.ask(FORM.method, FORM.params)];
  return { ...text('asked'), structuredContent: { replies } };
};
const TWICE = ['tools/call', { name: 'twice', arguments: {} }, { capabilities: FORMS }] as const;

test('a state of an earlier round of the same call is used up, too [F45 F47]', async () => {
  const { gateway, upstream, asked } = await heldCall({}, { tools: { twice } }, TWICE);
  const second = await retry(gateway, asked, ANSWERS, TWICE);
  const before = touched(upstream);

  expectRefused(await retry(gateway, asked, { 'r2-1': NAMED }, TWICE));
  expect(touched(upstream)).toBe(before);
  const done = await retry(gateway, second, { 'r2-1': NAMED }, TWICE);

  expect(done.json.result.structuredContent.replies).toMatchObject([{ result: NAMED }, { result: NAMED }]);
});

test('of ten retries at once one goes on, and the upstream has one answer [F45]', async () => {
  const world = await heldCall();
  const { gateway, upstream, asked } = world;

  const all = await Promise.all(
    Array.from({ length: 10 }, (_, i) => retry(gateway, asked, { name: filled('name', String(i)) }, CALL)),
  );

  const [done, ...more] = all.filter(({ json }) => json.result !== undefined);
  expect([done?.json.result.resultType, more]).toEqual(['complete', []]);
  for (const refused of all) if (refused !== done) expectRefused(refused);
  expect(upstream.received.filter(({ message }) => message.id === 0 && message.method === undefined)).toHaveLength(1);
});

test('a retry is refused while another one still waits for the answer [F45]', async () => {
  const patient: Answerer = async (call) => {
    await call.ask(FORM.method, FORM.params);
    await call.released;
    return text('done');
  };
  const call = ['tools/call', { name: 'patient', arguments: {} }, { capabilities: FORMS }] as const;
  const { gateway, upstream, asked } = await heldCall({}, { tools: { patient } }, call);
  const first = retry(gateway, asked, ANSWERS, call);
  await upstream.nextReply(0);
  const before = touched(upstream);

  expectRefused(await retry(gateway, asked, ANSWERS, call));

  expect(touched(upstream)).toBe(before);
  (await upstream.nextCall('patient')).release();
  expect((await first).json.result.content).toEqual([{ type: 'text', text: 'done' }]);
});

test('a retry that is aborted was the only one: the call is cancelled, and its state is used up [F45]', async () => {
  const patient: Answerer = async (call) => {
    await call.ask(FORM.method, FORM.params);
    await call.released;
    return text('done');
  };
  const call = ['tools/call', { name: 'patient', arguments: {} }, { capabilities: FORMS }] as const;
  const { gateway, upstream, asked, state } = await heldCall({}, { tools: { patient } }, call);
  const again = { ...call[1], requestState: state, inputResponses: ANSWERS };
  const leaving = await leavingModern(gateway, call[0], again, call[2]);
  await upstream.nextReply(0);

  leaving.leave();
  await upstream.nextRequest('notifications/cancelled');
  const before = touched(upstream);

  expectRefused(await retry(gateway, asked, ANSWERS, call));
  expect(touched(upstream)).toBe(before);
});

test('a request that cannot be asked back passes a state by', async () => {
  const { gateway } = await heldCall();

  const { status, json } = await modern(gateway, 'tools/list', { requestState: 'x', inputResponses: {} });

  expect([status, json.result?.resultType]).toEqual([200, 'complete']);
});
