// A tool that was given up goes on asking: the question of one caller's call must never reach the next. And no client
// can make us open links by inventing capabilities.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Call, type CallLease } from '../../src/bridge/call.ts';
import { CallIds } from '../../src/bridge/correlation.ts';
import { Exchange } from '../../src/bridge/exchange.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import { linkId } from '../../src/domain/ids.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { RecordedSink, answerOf, notificationOf, requestOf } from '../bridge/recorded.ts';
import { type MemoryConversation, PoolWorld } from './pool-world.ts';

/** A call on a pool of one link, with the upstream's question, if it comes to that, 50 ms after the call was given up. */
class Caller {
  readonly sink = new RecordedSink();
  readonly exchange: Exchange;
  readonly call: Call;
  on: MemoryConversation | null = null;
  readonly #world: PoolWorld;

  constructor(world: PoolWorld, ids: CallIds, holders: Map<MemoryConversation, Set<Caller>>, exclusive = true) {
    this.#world = world;
    this.exchange = new Exchange({
      id: encode('1'),
      sink: this.sink,
      clock: world.time,
      timers: world.time,
      heartbeatMs: null,
      upstream: 'up',
      onEnd: () => {},
    });
    this.call = new Call({
      request: requestOf(),
      exchange: this.exchange,
      clock: world.time,
      timers: world.time,
      requestMs: 1000,
      requestMaxMs: 5000,
      clientGone: 'cancel',
      again: () => false,
      onUnread: () => {},
    });
    const leave = world.pool.lease(
      { key: world.key(), exclusive, mayAskBack: exclusive, principal: 'alice' },
      (result) => {
        if (result instanceof ProxyError) {
          this.call.leaseFailed(result);
          return;
        }
        const { conversation } = result;
        this.on = conversation;
        const here = holders.get(conversation) ?? new Set();
        holders.set(conversation, here.add(this));
        this.call.granted({
          exclusive,
          id: ids.issue(linkId(conversation.number)),
          post: () => {},
          cancel: () => this.#asksLater(conversation, holders),
          release: (how) => {
            here.delete(this);
            result.release(how);
          },
        } satisfies CallLease);
      },
    );
    this.call.waits(leave);
  }

  /** The prompts that reached this caller though its call had not caused them. */
  readonly foreign: string[] = [];

  /** The tool has ignored its cancel. */
  #asksLater(conversation: MemoryConversation, holders: Map<MemoryConversation, Set<Caller>>): void {
    this.#world.time.after(50, () => {
      if (!conversation.isOpen) return;
      for (const holder of holders.get(conversation) ?? []) holder.foreign.push('elicitation/create');
    });
  }
}

function crowd(links: object = {}) {
  const world = new PoolWorld({ max: 2, ...links });
  const ids = new CallIds(0.5);
  const holders = new Map<MemoryConversation, Set<Caller>>();
  return { world, caller: (exclusive = true) => new Caller(world, ids, holders, exclusive) };
}

const endings: Readonly<Record<string, (caller: Caller, world: PoolWorld) => Promise<void> | void>> = {
  'is cancelled by its client': ({ call }) => call.cancelledByClient(notificationOf('notifications/cancelled')),
  'is left by its client': ({ exchange }) => exchange.clientGone(),
  'takes too long': (_caller, world) => world.time.advance(1000),
  'is not read fast enough': ({ call }) => call.readerTooSlow(),
  'broke while it was sent': ({ call }) => call.posted({ kind: 'broken', error: new ProxyError('post_failed', 'x') }),
  'was refused by a status': ({ call }) =>
    call.posted({ kind: 'rejected', error: new ProxyError('post_rejected', 'x') }),
};

describe.each(Object.keys(endings))('the conversation of an exclusive call that %s', (ending) => {
  test('goes to nobody who comes after it', async () => {
    const { world, caller } = crowd();
    const first = caller();
    await world.time.advance(10);
    expect(first.call.state.phase).toBe('run');

    await endings[ending]?.(first, world);
    const [alone, shared] = [caller(), caller(false)];
    await world.time.advance(49);
    const late = caller();
    await world.time.advance(100);

    expect(first.call.state.phase).toBe('done');
    expect(first.on?.closed).toBe('retired');
    for (const next of [alone, shared, late]) {
      expect(next.on).not.toBe(first.on);
      expect(next.foreign).toEqual([]);
    }
    expect(alone.on).not.toBeNull();
  });

  test('nor to one who was in line for it', async () => {
    const { world, caller } = crowd({ max: 1 });
    const first = caller();
    await world.time.advance(0);
    const next = caller();
    expect(next.on).toBeNull();

    await endings[ending]?.(first, world);
    await world.time.advance(100);

    expect(next.on).not.toBeNull();
    expect(next.on).not.toBe(first.on);
    expect(next.foreign).toEqual([]);
  });
});

test('the conversation of an exclusive call that was answered is used again', async () => {
  const { world, caller } = crowd();
  const first = caller();
  await world.time.advance(0);
  first.call.answered(answerOf(1));

  const next = caller();

  expect(next.on).toBe(first.on);
  expect(world.attempts).toHaveLength(1);
});

test('this test would notice: without retiring, the next caller is asked', async () => {
  const { world, caller } = crowd({ max: 1 });
  world.pool.becomeSingle(world.key(), null);
  const first = caller();
  await world.time.advance(0);
  first.exchange.clientGone();
  const next = caller();
  await world.time.advance(100);

  expect(next.on).toBe(first.on);
  expect(next.foreign).toEqual(['elicitation/create']);
});

test('1,000 clients with invented capabilities open one link', async () => {
  const world = new PoolWorld();
  const anything = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }));
  const inventions = fc.sample(
    fc.record({ experimental: anything, extensions: anything, [`x-invented`]: fc.string() }),
    1000,
  );

  for (const declares of inventions) {
    const [caller] = await world.served({ declares: { ...declares, elicitation: {} } });
    expect(caller?.on).toBe(1);
    caller?.release();
  }

  expect(world.attempts).toHaveLength(1);
});

test('1,000 of them at once open no more than their number asks for', async () => {
  const world = new PoolWorld({ maxInFlight: 64, maxQueue: 1000 });
  const callers = await world.served(
    ...Array.from({ length: 1000 }, (_, index) => ({ declares: { roots: {}, experimental: { [`n${index}`]: {} } } })),
  );

  expect(callers.every(({ lease }) => lease !== null)).toBe(true);
  expect(world.attempts).toHaveLength(Math.ceil(1000 / 64));
});
