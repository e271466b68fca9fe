import { describe, expect, test } from 'vitest';
import { PoolWorld } from './pool-world.ts';

describe('which conversation a caller gets', () => {
  test('a new one where there is none, as soon as it is open', async () => {
    const world = new PoolWorld();
    world.upstream = 'ask';

    const caller = world.ask();
    expect(caller.waits).toBe(true);
    world.pending[0]?.succeed();
    await world.time.advance(0);

    expect(caller.on).toBe(1);
    expect(world.pool.openCount).toBe(1);
  });

  test('at once where one is free', async () => {
    const world = new PoolWorld();
    const [first] = await world.served({});
    first?.release();

    expect(world.ask().on).toBe(1);
    expect(world.attempts).toHaveLength(1);
  });

  test('the most recently used one, so that who works in sequence stays on one', async () => {
    const world = new PoolWorld();
    const callers = await world.served({ exclusive: true }, { exclusive: true }, { exclusive: true });
    for (const caller of callers) caller.release();

    const sequence = Array.from({ length: 5 }, () => {
      const caller = world.ask({ exclusive: true });
      caller.release();
      return caller.on;
    });

    expect(new Set(sequence)).toEqual(new Set([callers.at(-1)?.on]));
    const [last, other] = [world.ask({ exclusive: true }), world.ask({ exclusive: true })];
    last.release();
    other.release();
    expect(other.on).not.toBe(last.on);
    expect(world.ask({ exclusive: true }).on).toBe(other.on);
  });

  test('one shared link until it is full, then another', async () => {
    const world = new PoolWorld({ maxInFlight: 3 });

    const callers = await world.served({}, {}, {}, {}, {}, {}, {});

    const shares = [1, 2, 3].map((number) => callers.filter(({ on }) => on === number).length);
    expect(shares).toEqual([3, 3, 1]);
    expect([world.ask(), world.ask()].map(({ on }) => on)).toEqual([3, 3]);
    expect(world.attempts).toHaveLength(3);
    await world.served({});
    expect(world.attempts).toHaveLength(4);
  });

  test('no more links are opened than those who wait can fill', async () => {
    const world = new PoolWorld({ maxInFlight: 64 });
    world.upstream = 'ask';
    for (let count = 0; count < 65; count++) world.ask();

    expect(world.pending).toHaveLength(2);
  });

  test('links of another key are another caller’s', async () => {
    const world = new PoolWorld();
    const [alice, bob, sampler] = await world.served({}, { principal: 'bob' }, { declares: { sampling: {} } });
    for (const caller of [alice, bob, sampler]) caller?.release();

    expect([world.ask().on, world.ask({ principal: 'bob' }).on, world.ask({ declares: { sampling: {} } }).on]).toEqual([
      1, 2, 3,
    ]);
  });

  test('one that is not open any more is nobody’s', async () => {
    const world = new PoolWorld();
    const [first] = await world.served({});
    first?.release();
    const [conversation] = world.conversations;
    if (conversation) conversation.isOpen = false;

    const [second] = await world.served({});

    expect(second?.on).toBe(2);
  });
});

describe('an exclusive lease', () => {
  test('is alone on its conversation', async () => {
    const world = new PoolWorld();
    const [alone] = await world.served({ exclusive: true });

    const others = await world.served({}, {}, { exclusive: true });

    expect(alone?.on).toBe(1);
    expect(others.map(({ on }) => on)).not.toContain(1);
    expect(others[0]?.on).toBe(others[1]?.on);
    expect(others[2]?.on).not.toBe(others[0]?.on);
  });

  test('does not come to one that others share', async () => {
    const world = new PoolWorld();
    const [shared] = await world.served({});
    const [alone] = await world.served({ exclusive: true });

    expect(alone?.on).not.toBe(shared?.on);
  });

  test('leaves a conversation that the same caller gets again, alone or shared', async () => {
    const world = new PoolWorld();
    const [first] = await world.served({ exclusive: true });
    first?.release();

    const second = world.ask({ exclusive: true });
    expect(second.on).toBe(1);
    second.release();
    expect(world.ask().on).toBe(1);
  });

  test('leaves one that no other principal gets alone, even where principals share links', async () => {
    const world = new PoolWorld({ isolation: 'shared' });
    const [alice] = await world.served({ exclusive: true });
    alice?.release();

    const [bob] = await world.served({ exclusive: true, principal: 'bob' });
    expect(bob?.on).toBe(2);
    bob?.release();
    // Nothing is asked of a call that is not alone, so nothing can reach it.
    expect(world.ask({ principal: 'carol' }).on).not.toBeNull();
    expect(world.ask({ exclusive: true }).on).toBe(1);
  });
});

describe('a lease is given back', () => {
  test('once, however often it is said', async () => {
    const world = new PoolWorld({ maxInFlight: 1, max: 1 });
    const [first] = await world.served({});
    first?.release();
    const second = world.ask();
    first?.release();
    first?.release('retire');

    expect(second.on).toBe(1);
    expect(world.ask().on).toBeNull();
    expect(world.open).toHaveLength(1);
  });

  test('as retired: the conversation is closed, and nobody gets it again', async () => {
    const world = new PoolWorld({ max: 1 });
    const [first] = await world.served({ exclusive: true });
    const next = world.ask({ exclusive: true });

    first?.release('retire');
    await world.time.advance(0);

    expect(world.closedAs('retired')).toEqual([1]);
    expect(next.on).toBe(2);
  });

  test('after the conversation was lost without effect', async () => {
    const world = new PoolWorld();
    const [first, second] = await world.served({}, {});
    world.conversations[0]?.die();
    first?.release();
    second?.release('retire');

    expect(world.pool.openCount).toBe(0);
    expect((await world.served({}))[0]?.on).toBe(2);
  });
});

describe('isolation by request', () => {
  test('gives every call a conversation of its own, and closes it after', async () => {
    const world = new PoolWorld({ isolation: 'request' });
    const [first, second] = await world.served({}, {});
    first?.release();
    const [third] = await world.served({});
    second?.release();
    third?.release();

    expect([first?.on, second?.on, third?.on]).toEqual([1, 2, 3]);
    expect(world.closedAs('retired')).toEqual([1, 2, 3]);
  });

  test('uses a warm one for the next call only', async () => {
    const world = new PoolWorld({ isolation: 'request', min: 1 });
    world.pool.keepWarm(world.key(), world.warm);
    await world.time.advance(0);

    const caller = world.ask();
    expect(caller.on).toBe(1);
    const [other] = await world.served({});

    expect(other?.on).not.toBe(1);
  });

  test('holds to the limits all the same', async () => {
    const world = new PoolWorld({ isolation: 'request', max: 2 });
    const [first, second, third] = await world.served({}, {}, {});

    expect(third?.waits).toBe(true);
    first?.release();
    await world.time.advance(0);

    expect(third?.on).toBe(3);
    expect(second?.on).toBe(2);
  });
});
