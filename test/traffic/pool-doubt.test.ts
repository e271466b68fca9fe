import { describe, expect, test } from 'vitest';
import { PoolWorld } from './pool-world.ts';

describe('a link that was silent for pingInterval', () => {
  async function silent(links: object = {}) {
    const world = new PoolWorld({ pingInterval: '30s', pingTimeout: '5s', idleTimeout: '1h', ...links });
    const [first] = await world.served({});
    first?.release();
    await world.time.advance(30_000);
    const [conversation] = world.conversations;
    if (conversation === undefined) throw new Error('there is one');
    return { world, conversation };
  }

  test('is pinged before it is leased', async () => {
    const { world, conversation } = await silent();
    const caller = world.ask();
    expect(caller.waits).toBe(true);
    await world.time.advance(0);

    expect(caller.on).toBe(1);
    expect(conversation.pings).toBe(1);
    expect(world.attempts).toHaveLength(1);
  });

  test('is pinged once for all who wait, and no other is opened for them meanwhile', async () => {
    const { world, conversation } = await silent();
    conversation.answersPing = 'dead';
    const callers = [world.ask(), world.ask(), world.ask()];

    expect(conversation.pings).toBe(1);
    expect(world.attempts).toHaveLength(1);
    await world.time.advance(5000);

    expect(callers.map(({ on }) => on)).toEqual([2, 2, 2]);
    expect(world.closedAs('lost')).toEqual([1]);
  });

  test('is pinged again after the next silence', async () => {
    const { world, conversation } = await silent();
    const [caller] = await world.served({});
    caller?.release();
    await world.time.advance(30_000);
    await world.served({});

    expect(conversation.pings).toBe(2);
  });

  test('is one of as many that are pinged as those who wait need', async () => {
    const { world } = await silent({ maxInFlight: 2 });
    const three = await world.served({ exclusive: true }, { exclusive: true }, { exclusive: true });
    for (const caller of three) caller.release();
    await world.time.advance(30_000);
    const before = world.conversations.map(({ pings }) => pings);
    for (const conversation of world.conversations) conversation.answersPing = 'never';
    const pinged = (): number => world.conversations.filter(({ pings }, index) => pings > (before[index] ?? 0)).length;

    world.ask();
    world.ask();
    expect(pinged()).toBe(1);
    world.ask({ exclusive: true });
    expect(pinged()).toBe(2);
    expect(world.attempts).toHaveLength(3);
  });

  test('is a place for a caller, however short the line may be', async () => {
    const { world } = await silent({ maxQueue: 0, max: 1 });
    const [caller] = await world.served({});

    expect(caller?.on).toBe(1);
  });

  test('is not closed to make room while it is being pinged for somebody', async () => {
    const { world, conversation } = await silent({ maxTotal: 1 });
    conversation.answersPing = 'never';
    const [alice, bob] = await world.served({}, { principal: 'bob' });

    expect([alice?.waits, bob?.waits]).toEqual([true, true]);
    expect(world.closedAs('evicted')).toEqual([]);
  });

  test('is lost when its ping fails in an odd way', async () => {
    const { world, conversation } = await silent();
    conversation.answersPing = 'breaks';
    const [caller] = await world.served({});

    expect(caller?.on).toBe(2);
    expect(world.closedAs('lost')).toEqual([1]);
  });

  test('is not pinged while a call is in flight on it', async () => {
    const { world, conversation } = await silent({ maxInFlight: 2 });
    const [first] = await world.served({});
    await world.time.advance(60_000);
    const second = world.ask();

    expect(second.on).toBe(first?.on);
    expect(conversation.pings).toBe(1);
  });

  test('is passed over for one that is known to live, though that was used longer ago', async () => {
    const { world } = await silent();
    const callers = await world.served({ exclusive: true }, { exclusive: true });
    for (const caller of callers) caller.release();
    await world.time.advance(30_000);
    const [known, recent] = callers.map(({ lease }) => lease?.conversation);
    if (known === undefined || recent === undefined) throw new Error('both were served');
    known.isDoubtful = () => false;
    const pings = recent.pings;

    expect(world.ask().on).toBe(known.number);
    expect(recent.pings).toBe(pings);
  });

  test('is closed under its ping without trouble', async () => {
    const { world, conversation } = await silent();
    conversation.answersPing = 'dead';
    const caller = world.ask();
    conversation.die();
    await world.time.advance(0);
    expect(caller.on).toBe(2);
    await world.time.advance(10_000);

    expect(world.open.map(({ number }) => number)).toEqual([2]);
  });

  test('can die and leave the end of its ping behind: a newer link of the key is not forgotten by that', async () => {
    const { world, conversation } = await silent();
    conversation.answersPing = 'dead';
    world.ask().leave();
    conversation.die();
    const [next] = await world.served({});
    next?.release();
    await world.time.advance(5000);

    expect(world.pool.openCount).toBe(1);
    expect(world.ask().on).toBe(2);
  });

  test('is leased once it has answered, also with a pingInterval of 0, which doubts it at all times', async () => {
    const { world, conversation } = await silent({ pingInterval: '0s' });
    const [caller] = await world.served({});

    expect(caller?.on).toBe(1);
    expect(conversation.pings).toBeLessThan(5);
  });
});
