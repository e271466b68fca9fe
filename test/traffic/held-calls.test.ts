import { expect, test } from 'vitest';
import { Rounds } from '../../src/bridge/rounds.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import { EMPTY_PROFILE, FULL_PROFILE } from '../../src/protocol/capability-profile.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { type Held, HeldCalls } from '../../src/traffic/held-calls.ts';
import { Tally } from '../../src/traffic/tally.ts';
import { type LinkKey, linkKey } from '../../src/upstream/link-key.ts';
import { answerOf } from '../bridge/recorded.ts';
import { granted } from '../bridge/started-call.ts';
import { budgetsOf } from './budgets-world.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const TTL_MS = 60_000;

const keyOf = (principal: string): LinkKey => linkKey({ key: principal, proof: '' }, FULL_PROFILE, 'principal');

function world({
  max = 2,
  maxInAll = 100,
  maxKeptBytes = 1_000_000,
  budget = 0,
  budgets = budgetsOf({ heldCalls: budget }),
} = {}) {
  const time = new VirtualTime();
  const awaited = new Set<string>();
  const calls = new HeldCalls({
    tally: new Tally(),
    timers: time,
    budgets,
    ttlMs: TTL_MS,
    maxOfKey: max,
    maxInAll,
    maxKeptBytes,
    isAwaited: ({ text }) => awaited.has(text),
    onLetGo: () => {},
  });

  /** A call that waits from now on. */
  function hold(id: string, principal = 'alice') {
    const one = granted({ clientGone: 'cancel' });
    const rounds = new Rounds({
      timers: time,
      profile: EMPTY_PROFILE,
      logLevel: null,
      maxBytes: 1_000_000,
      upstream: '2025-11-25',
      serverInfo: null,
      seal: () => '',
      onHeld: () => {},
      undeclared: () => new ProxyError('capability_missing', 'x'),
    });
    one.call.hold(encode('{}'));
    const level = { set: (_level: unknown, done: () => void) => done() };
    const held: Held = {
      id,
      call: one.call,
      rounds,
      level,
      key: keyOf(principal),
      principal: { key: principal, proof: '' },
    };
    calls.hold(held);
    return { ...one, held };
  }

  /** Every client has had its time to come back, whoever waits. */
  const ripen = (): void => time.advanceSync(500);

  return { time, calls, hold, awaited, ripen };
}

test('a held call is found by its id, until its client is back', () => {
  const { calls, hold, time } = world();
  const { held, lease } = hold('a');

  expect([calls.find('a'), calls.find('b'), calls.size]).toEqual([held, null, 1]);
  calls.release('a');
  calls.release('a');

  expect([calls.find('a'), calls.size, time.pendingCount]).toEqual([null, 0, 0]);
  expect(lease).toMatchObject({ released: [], cancelled: [] });
});

test('a client that does not come back in time loses its call, and the link is free [F50]', () => {
  const { calls, hold, time } = world();
  const { call, lease, ends } = hold('a');

  time.advanceSync(TTL_MS - 1);
  expect(call.state.phase).toBe('held');
  time.advanceSync(1);

  expect(call.state.phase).toBe('done');
  expect(lease).toMatchObject({
    cancelled: ['nobody answered in time'],
    released: ['retire'],
    broken: [],
  });
  // It has its result: that it was asked something.
  expect(ends).toHaveLength(1);
  expect([calls.size, time.pendingCount]).toEqual([0, 0]);
});

test('each round has the whole time [F50]', () => {
  const { calls, hold, time } = world();
  const { call, held, exchange } = hold('a');
  time.advanceSync(TTL_MS - 1);
  calls.release('a');
  call.resume(exchange, null);
  call.hold(encode('{}'));
  calls.hold(held);

  time.advanceSync(TTL_MS - 1);
  expect(calls.find('a')).toBe(held);
  time.advanceSync(1);

  expect(calls.find('a')).toBeNull();
});

test('the one that has waited longest makes room when there are too many for their key', () => {
  const { calls, hold } = world({ max: 2 });
  const all = ['a', 'b', 'c', 'd'].map((id) => hold(id));

  expect(all.map(({ call }) => call.state.phase)).toEqual(['done', 'done', 'held', 'held']);
  expect(all[0]?.lease).toMatchObject({ cancelled: ['others needed its place'], released: ['retire'] });
  expect(calls.size).toBe(2);
});

test('one that was held anew has waited less than one that has been held all the time', () => {
  const { calls, hold } = world({ max: 2 });
  const [a, b] = [hold('a'), hold('b')];
  calls.release('a');
  calls.hold(a.held);

  hold('c');

  expect([a.call.state.phase, b.call.state.phase]).toEqual(['held', 'done']);
});

test('each key has room of its own: nobody makes room for another caller [F51]', () => {
  const { calls, hold, ripen } = world({ max: 1 });
  const [alice, bob] = [hold('a', 'alice'), hold('b', 'bob')];
  expect([alice.call.state.phase, bob.call.state.phase]).toEqual(['held', 'held']);

  ripen();
  calls.evictOldest(keyOf('bob'));
  calls.evictOldest(keyOf('carol'));

  expect([alice.call.state.phase, bob.call.state.phase]).toEqual(['held', 'done']);
  expect(calls.size).toBe(1);
});

test('in all there are no more than that either: the one that has waited longest goes, whoever it is', () => {
  const { calls, hold, ripen } = world({ max: 2, maxInAll: 3 });
  const all = ['alice', 'bob', 'carol', 'dave'].map((who) => hold(who, who));

  expect(all.map(({ call }) => call.state.phase)).toEqual(['done', 'held', 'held', 'held']);
  ripen();
  expect(calls.evictOldest()).toBe(true);
  expect(all[1]?.call.state.phase).toBe('done');
  expect(calls.size).toBe(2);
});

test('room is made where there is any to be made, and said to be', () => {
  const { calls, hold, ripen } = world();
  hold('a');
  ripen();

  expect([calls.evictOldest(keyOf('bob')), calls.evictOldest(keyOf('alice')), calls.evictOldest()]).toEqual([
    false,
    true,
    false,
  ]);
});

// Without that a crowd that is asked gets nowhere: each evicts the one before it.
test('every client has half a second to come back before its call makes room for who waits', () => {
  const { calls, hold, time } = world();
  const { call } = hold('a');
  time.advanceSync(499);
  expect(calls.evictOldest(keyOf('alice'))).toBe(false);
  expect(call.state.phase).toBe('held');
  time.advanceSync(1);

  expect(calls.evictOldest(keyOf('alice'))).toBe(true);
  expect(call.state.phase).toBe('done');
});

test('then it makes room by itself if somebody waits for its place, and only then', () => {
  const { hold, awaited, ripen, time } = world();
  const [alice, bob] = [hold('a', 'alice'), hold('b', 'bob')];
  awaited.add(keyOf('bob').text);
  expect([alice.call.state.phase, bob.call.state.phase]).toEqual(['held', 'held']);

  ripen();

  expect([alice.call.state.phase, bob.call.state.phase]).toEqual(['held', 'done']);
  expect(bob.lease.cancelled).toEqual(['others needed its place']);
  expect(time.pendingCount).toBe(1);
});

test('room is made by the oldest that has had its time, not by an older one that was held anew', () => {
  const { calls, hold, ripen } = world({ max: 3 });
  const [a, b] = [hold('a'), hold('b')];
  ripen();
  calls.release('a');
  calls.hold(a.held);

  expect([calls.evictOldest(), calls.evictOldest()]).toEqual([true, false]);
  expect([a.call.state.phase, b.call.state.phase]).toEqual(['held', 'done']);
});

test('answers are kept as long as there is room for them, the latest first', () => {
  const answer = answerOf(41, { result: 'x'.repeat(400) });
  const { calls, hold } = world({ max: 10, maxKeptBytes: 2 * answer.bytes.length });
  const all = ['a', 'b', 'c'].map((id) => hold(id));
  for (const { call } of all) call.answered(answer);

  const waiting = hold('d');

  expect(all.map(({ call }) => call.state.phase)).toEqual(['done', 'answered', 'answered']);
  expect(waiting.call.state.phase).toBe('held');
  expect(calls.size).toBe(3);
});

test('however small, there are no more than a thousand answers', () => {
  const { calls, hold } = world({ max: 10_000, maxInAll: 10_000 });
  const all = Array.from({ length: 1001 }, (_, index) => hold(String(index)));
  for (const { call } of all) call.answered(answerOf(41));

  hold('last');

  expect(calls.size).toBe(1001);
  expect(all.map(({ call }) => call.state.phase).indexOf('answered')).toBe(1);
});

test('those whose upstream has answered hold no link: they take no room and make none', () => {
  const { calls, hold, ripen } = world({ max: 1 });
  const answered = hold('a');
  answered.call.answered(answerOf(41));
  const waiting = hold('b');
  expect([answered.call.state.phase, waiting.call.state.phase]).toEqual(['answered', 'held']);

  ripen();
  calls.evictOldest(keyOf('alice'));
  calls.evictOldest(keyOf('alice'));

  expect(waiting.call.state.phase).toBe('done');
  expect([calls.find('a'), calls.find('b')]).toEqual([answered.held, null]);
  expect(answered.lease).toMatchObject({ cancelled: [], released: ['reuse'] });
});

test('an answer is kept for the client no longer than its call would have been [F50]', () => {
  const { calls, hold, time } = world();
  const { call, lease } = hold('a');
  call.answered(answerOf(41));

  time.advanceSync(TTL_MS);

  expect([call.state.phase, calls.size, time.pendingCount]).toEqual(['done', 0, 0]);
  expect(lease).toMatchObject({ cancelled: [], released: ['reuse'], broken: [] });
});

test('all end when the gateway stops', () => {
  const { calls, hold, time } = world({ max: 5 });
  const all = [hold('a'), hold('b', 'bob'), hold('c')];
  all[2]?.call.answered(answerOf(41));

  calls.end('the gateway is shutting down');

  expect(all.map(({ call }) => call.state.phase)).toEqual(['done', 'done', 'done']);
  expect(all.map(({ lease }) => lease.cancelled.length)).toEqual([1, 1, 0]);
  expect([calls.size, time.pendingCount]).toEqual([0, 0]);
});

test('one that has ended by itself is let go without a word', () => {
  const { calls, hold, time } = world();
  const { call, lease } = hold('a');
  call.stopped(new ProxyError('draining', 'x'));

  time.advanceSync(TTL_MS);

  expect(calls.size).toBe(0);
  expect(lease).toMatchObject({ released: ['retire'], broken: [] });
  expect(lease.cancelled).toHaveLength(1);
});

test('a caller who holds more than his budget loses his own oldest call, and nobody else any [T20]', () => {
  const { calls, hold } = world({ max: 100, budget: 2 });

  const ofBob = hold('b', 'bob');
  const [first, second, third] = [hold('1'), hold('2'), hold('3')];

  expect(first.lease.cancelled).toHaveLength(1);
  for (const { lease } of [second, third, ofBob]) expect(lease.cancelled).toEqual([]);
  expect([calls.find('1'), calls.size]).toEqual([null, 3]);

  calls.release('2');
  hold('4');
  expect(calls.find('3')).not.toBeNull();
});

test('of two upstreams, too: the oldest call of the caller makes room, and the newest never does', () => {
  const budgets = budgetsOf({ heldCalls: 2 });
  const [one, other] = [world({ max: 100, budgets }), world({ max: 100, budgets })];

  const [first, second] = [one.hold('1'), one.hold('2')];
  const third = other.hold('3');

  expect([first, second, third].map(({ lease }) => lease.cancelled.length)).toEqual([1, 0, 0]);
  expect([one.calls.size, other.calls.size]).toEqual([1, 1]);
});
