import { describe, expect, test } from 'vitest';
import { PoolWorld } from './pool-world.ts';

describe('from the moment in which a pool becomes single', () => {
  test('one conversation serves every key, and nothing is retired', async () => {
    const world = new PoolWorld();
    world.pool.becomeSingle(world.key(), null);

    const callers = await world.served({}, { principal: 'bob' }, { declares: { roots: {} }, exclusive: true });
    for (const caller of callers) caller.release('retire');

    expect(callers.map(({ on }) => on)).toEqual([1, 1, 1]);
    expect(world.pool.isSingle).toBe(true);
    expect(world.ask({ exclusive: true, principal: 'carol' }).on).toBe(1);
    expect(world.open).toHaveLength(1);
    expect(world.attempts).toHaveLength(1);
  });

  test('links.maxInFlight still holds, and another link is not opened for more', async () => {
    const world = new PoolWorld({ maxInFlight: 2 });
    world.pool.becomeSingle(world.key(), null);
    const callers = await world.served({}, { principal: 'bob' }, { principal: 'carol' });

    expect(callers.map(({ on }) => on)).toEqual([1, 1, null]);
    callers[0]?.release();
    expect(callers[2]?.on).toBe(1);
    expect(world.attempts).toHaveLength(1);
  });

  test('it is isolated by request no more', async () => {
    const world = new PoolWorld({ isolation: 'request' });
    world.pool.becomeSingle(world.key(), null);
    const [first, second] = await world.served({}, {});
    first?.release();
    second?.release();

    expect(world.open).toHaveLength(1);
    expect(second?.on).toBe(1);
  });

  test('it stays so: a second time has no effect', async () => {
    const world = new PoolWorld();
    world.pool.becomeSingle(world.key(), null);
    await world.served({});
    world.pool.becomeSingle(world.key('bob'), null);

    expect((await world.served({ principal: 'bob' }))[0]?.on).toBe(1);
  });
});

describe('the conversation that is kept', () => {
  test('is the one named, of whatever key', async () => {
    const world = new PoolWorld();
    const callers = await world.served({ principal: 'bob' }, { principal: 'carol' }, { principal: 'dave' });
    for (const caller of callers) caller.release();

    world.pool.becomeSingle(world.key(), world.conversations[1] ?? null);

    expect(world.open.map(({ number }) => number)).toEqual([2]);
    expect(world.ask().on).toBe(2);
    expect(world.closedAs('single')).toEqual([1, 3]);
  });

  test('is the one named also when it is idle and of the very key that goes on', async () => {
    const world = new PoolWorld();
    const [alice] = await world.served({});
    alice?.release();

    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
    await world.time.advance(0);

    expect(world.closedAs('single')).toEqual([]);
    expect(world.ask().on).toBe(1);
  });

  test('is the one named even if the key that goes on has others', async () => {
    const world = new PoolWorld();
    const callers = await world.served({ exclusive: true }, { exclusive: true }, { principal: 'bob' });
    for (const caller of callers) caller.release();

    world.pool.becomeSingle(world.key(), world.conversations[2] ?? null);
    await world.time.advance(0);

    expect(world.open.map(({ number }) => number)).toEqual([3]);
  });

  test('is any that there is where none is named', async () => {
    const world = new PoolWorld();
    const callers = await world.served({}, { principal: 'bob' });
    for (const caller of callers) caller.release();

    world.pool.becomeSingle(world.key(), null);
    await world.time.advance(0);

    expect(world.open).toHaveLength(1);
    expect(world.attempts).toHaveLength(2);
  });

  test('keeps its leases, and takes others beside them', async () => {
    const world = new PoolWorld();
    const [bob] = await world.served({ principal: 'bob', exclusive: true });
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);

    expect(world.ask().on).toBe(1);
    bob?.release('retire');
    expect(world.ask({ principal: 'carol' }).on).toBe(1);
    expect(world.open).toHaveLength(1);
  });

  // It is to carry the questions of everybody's calls, and an upstream asks only what was declared to it.
  test('has declared what the one link has to: the one named is not kept if it has declared something else', async () => {
    const world = new PoolWorld();
    const callers = await world.served({ declares: { roots: {} } }, {}, { declares: { sampling: {} } });
    for (const caller of callers) caller.release();

    world.pool.becomeSingle(world.key('alice', { sampling: {} }), world.conversations[0] ?? null);

    expect(world.open.map(({ number }) => number)).toEqual([3]);
    expect(world.ask().on).toBe(3);
    expect(world.attempts).toHaveLength(3);
  });

  test('is none where none has declared that: another is opened', async () => {
    const world = new PoolWorld();
    const callers = await world.served({}, { declares: { roots: {} }, exclusive: true });
    callers[0]?.release();

    world.pool.becomeSingle(world.key('alice', { sampling: {}, roots: {} }), world.conversations[0] ?? null);
    const bob = world.ask({ principal: 'bob' });
    await world.time.advance(0);

    expect(bob.on).toBe(3);
    // What was in use ends with its last call.
    expect(world.open.map(({ number }) => number)).toEqual([2, 3]);
    callers[1]?.release();
    expect(world.open.map(({ number }) => number)).toEqual([3]);
  });

  test('may be another principal’s: what was declared is what matters', async () => {
    const world = new PoolWorld();
    const declares = { elicitation: {} };
    const [bob] = await world.served({ principal: 'bob', declares, exclusive: true });
    bob?.release();

    world.pool.becomeSingle(world.key('alice', declares), world.conversations[0] ?? null);

    expect(world.ask({ principal: 'carol', exclusive: true }).on).toBe(1);
  });
});

describe('the other conversations', () => {
  test('end with their last call', async () => {
    const world = new PoolWorld();
    const [alice, bob, again] = await world.served({}, { principal: 'bob' }, { principal: 'bob' });
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);

    bob?.release();
    expect(world.open).toHaveLength(2);
    again?.release('retire');

    expect(world.closedAs('single')).toEqual([2]);
    expect(alice?.on).toBe(1);
  });

  test('of the very key that goes on end with their last call too', async () => {
    const world = new PoolWorld();
    const [kept, other] = await world.served({ exclusive: true }, { exclusive: true });
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
    expect([kept?.on, other?.on]).toEqual([1, 2]);

    other?.release();
    kept?.release();
    await world.time.advance(0);

    expect(world.open.map(({ number }) => number)).toEqual([1]);
  });

  test('get no call any more', async () => {
    const world = new PoolWorld();
    await world.served({ exclusive: true }, { exclusive: true });
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);

    expect(world.ask().on).toBe(1);
    expect(world.ask({ principal: 'bob' }).on).toBe(1);
  });

  test('get no call any more even when the one that is kept is full, and they have room', async () => {
    const world = new PoolWorld({ maxInFlight: 2 });
    const [first] = await world.served({}, {}, {});
    expect(world.conversations).toHaveLength(2);
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
    const waiting = world.ask();
    await world.time.advance(0);

    expect(waiting.waits).toBe(true);
    first?.release();
    expect(waiting.on).toBe(1);
    expect(world.attempts).toHaveLength(2);
  });

  test('that are being opened are closed when they are', async () => {
    const world = new PoolWorld();
    await world.served({});
    world.upstream = 'ask';
    const bob = world.ask({ principal: 'bob' });
    const carol = world.ask({ principal: 'carol', exclusive: true });
    const alice = world.ask();
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
    for (const attempt of world.pending.slice()) attempt.succeed();
    await world.time.advance(0);

    expect([bob.on, carol.on, alice.on]).toEqual([1, 1, 1]);
    expect(world.open.map(({ number }) => number)).toEqual([1]);
  });
});

describe('those who wait', () => {
  test('for any key are served by the one link', async () => {
    const world = new PoolWorld({ max: 1 });
    await world.served({ exclusive: true }, { exclusive: true, principal: 'bob' });
    const waiting = [world.ask(), world.ask({ principal: 'bob' }), world.ask({ mayAskBack: true })];
    expect(waiting.map(({ waits }) => waits)).toEqual([true, true, true]);

    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);

    // The third may ask back, and somebody who could answer is there.
    expect(waiting.map(({ on }) => on)).toEqual([1, 1, null]);
  });

  test('to be alone are served by the one link one after the other, whatever links they had before', async () => {
    const world = new PoolWorld({ max: 1 });
    const [alice, bob] = await world.served({ exclusive: true }, { exclusive: true, principal: 'bob' });
    const waiting = [world.ask({ exclusive: true }), world.ask({ exclusive: true, principal: 'bob' })];
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
    // Bob's old link ends with his call, which runs beside.
    bob?.release();
    expect(waiting.map(({ on }) => on)).toEqual([null, null]);

    alice?.release();
    expect(waiting.map(({ on }) => on)).toEqual([1, null]);
    waiting[0]?.release();

    expect(waiting.map(({ on }) => on)).toEqual([1, 1]);
  });

  test('leave the line, or run out of time, in the new one too', async () => {
    const world = new PoolWorld({ maxInFlight: 1, queueTimeout: '1s', maxQueue: 2 });
    await world.served({ exclusive: true, principal: 'bob' });
    world.upstream = 'ask';
    const [leaver, stayer] = [world.ask({ principal: 'bob' }), world.ask({ principal: 'bob' })];
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
    leaver.leave();
    await world.time.advance(1000);

    expect(leaver.error).toBeNull();
    expect(stayer.error?.code).toBe('queue_timeout');
    expect([world.ask().waits, world.ask().waits]).toEqual([true, true]);
    expect(world.ask().error?.code).toBe('queue_full');
  });

  test('hear why when the one link cannot be opened', async () => {
    const world = new PoolWorld();
    world.upstream = 'ask';
    const bob = world.ask({ principal: 'bob' });
    world.pool.becomeSingle(world.key(), null);
    for (const attempt of world.pending.slice()) attempt.fail();
    await world.time.advance(0);

    expect(bob.error?.code).toBe('upstream_unreachable');
  });

  test('hear why also while one of the old links still has a call', async () => {
    const world = new PoolWorld({ queueTimeout: '60s' });
    await world.served({ exclusive: true }, { exclusive: true });
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
    world.conversations[0]?.die();
    world.upstream = 'refuses';
    const [waiting] = await world.served({});

    expect(waiting?.error?.code).toBe('upstream_unreachable');
  });

  test('are served though the only place was taken by a link of another key that fails to open', async () => {
    const world = new PoolWorld({ maxTotal: 1 });
    world.upstream = 'ask';
    const bob = world.ask({ principal: 'bob' });
    world.pool.becomeSingle(world.key(), null);
    const [old] = world.pending;
    world.upstream = 'opens';
    old?.fail();
    await world.time.advance(0);

    expect(bob.on).toBe(1);
  });
});

describe('on the one link a call of somebody who could answer a question', () => {
  async function single(links: object = {}) {
    const world = new PoolWorld(links);
    world.pool.becomeSingle(world.key(), null);
    (await world.served({}))[0]?.release();
    return world;
  }

  test('is the only one that the upstream could be asking for, and all others run beside it [G17]', async () => {
    const world = await single();
    const alone = world.ask({ exclusive: true });
    const [free, asking, other] = [world.ask(), world.ask({ mayAskBack: true }), world.ask({ exclusive: true })];

    expect([alone.on, free.on]).toEqual([1, 1]);
    expect([asking.waits, other.waits]).toEqual([true, true]);
    // However many come, they are no reason for another link.
    expect(world.attempts).toHaveLength(1);
  });

  test('waits until those that may ask back have ended, and for no others [G17]', async () => {
    const world = await single();
    const asking = [world.ask({ mayAskBack: true }), world.ask({ mayAskBack: true })];
    world.ask();
    expect(asking.map(({ on }) => on)).toEqual([1, 1]);
    const alone = world.ask({ exclusive: true });

    asking[0]?.release();
    expect(alone.waits).toBe(true);
    asking[1]?.release();

    expect(alone.on).toBe(1);
  });

  test('does not wait for ever: who may ask back and comes later stands behind it', async () => {
    const world = await single();
    const first = world.ask({ mayAskBack: true });
    const alone = world.ask({ exclusive: true });
    const [later, free] = [world.ask({ mayAskBack: true }), world.ask()];
    expect([alone.on, later.on, free.on]).toEqual([null, null, 1]);

    first.release();
    expect([alone.on, later.on]).toEqual([1, null]);
    alone.release();

    expect(later.on).toBe(1);
  });

  test('does not wait for ever on a full link either: the first place that is free is its', async () => {
    const world = await single({ maxInFlight: 2 });
    const busy = [world.ask(), world.ask()];
    const alone = world.ask({ exclusive: true });
    const line = [1, 2, 3].map(() => world.ask());

    busy[0]?.release();

    expect(alone.on).toBe(1);
    expect(line.map(({ on }) => on)).toEqual([null, null, null]);
  });

  test('is followed by the others in their order', async () => {
    const world = await single();
    const line = [world.ask({ exclusive: true })];
    line.push(...[1, 2, 3].map((n) => world.ask({ exclusive: n !== 2, mayAskBack: true, principal: `p${n}` })));

    for (const [index, caller] of line.entries()) {
      expect(line.map(({ on }) => on)).toEqual(line.map((_, other) => (other <= index ? 1 : null)));
      caller.release();
    }
  });

  test('that leaves the line lets those behind it in', async () => {
    const world = await single();
    world.ask({ mayAskBack: true });
    const alone = world.ask({ exclusive: true });
    const later = world.ask({ mayAskBack: true });

    alone.leave();

    expect(later.on).toBe(1);
  });

  test('that had its link to itself before keeps it so', async () => {
    const world = new PoolWorld();
    const [alice] = await world.served({ exclusive: true });
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
    const [asking, free] = [world.ask({ mayAskBack: true }), world.ask()];
    expect([asking.on, free.on]).toEqual([null, 1]);

    alice?.release();

    expect(asking.on).toBe(1);
  });

  test('waits also for those that shared the link before', async () => {
    const world = new PoolWorld();
    const [first, second] = await world.served({ mayAskBack: true }, { mayAskBack: true });
    world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
    const alone = world.ask({ exclusive: true });
    first?.release();
    expect(alone.waits).toBe(true);

    second?.release();

    expect(alone.on).toBe(1);
  });
});

test('the warm link is the one link from then on', async () => {
  const world = new PoolWorld({ min: 2 });
  world.pool.keepWarm(world.key(), world.warm);
  await world.time.advance(0);
  world.pool.becomeSingle(world.key('single'), null);
  await world.time.advance(10_000);
  expect(world.open).toHaveLength(1);

  world.open[0]?.die();
  await world.time.advance(10_000);

  expect(world.open).toHaveLength(1);
});

test('a lost one is opened anew for the next caller, and only one', async () => {
  const world = new PoolWorld();
  world.pool.becomeSingle(world.key(), null);
  await world.served({});
  world.conversations[0]?.die();
  const callers = await world.served({}, { principal: 'bob' });

  expect(callers.map(({ on }) => on)).toEqual([2, 2]);
});

test('a lost one is opened anew though an old link still has a call', async () => {
  const world = new PoolWorld();
  await world.served({ exclusive: true }, { exclusive: true });
  world.pool.becomeSingle(world.key(), world.conversations[0] ?? null);
  world.conversations[0]?.die();

  expect((await world.served({}))[0]?.on).toBe(3);
});

test('a pool that was single from the start keeps its one link warm, whatever key is to be warm', async () => {
  const world = new PoolWorld({ min: 1 });
  world.pool.becomeSingle(world.key(), null);
  world.pool.keepWarm(world.key('bob'), world.warm);
  await world.time.advance(0);

  expect(world.ask({ principal: 'carol' }).on).toBe(1);
  expect(world.attempts).toHaveLength(1);
});
