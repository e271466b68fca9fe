import { describe, expect, test } from 'vitest';
import { type Caller, PoolWorld } from './pool-world.ts';

/** One exclusive link, in use. */
async function busy(links: object = {}) {
  const world = new PoolWorld({ max: 1, ...links });
  const [holder] = await world.served({ exclusive: true });
  if (holder === undefined || holder.on === null) throw new Error('the first caller is served');
  return { world, holder };
}

test('those who wait are served in their order', async () => {
  const { world, holder } = await busy();
  const line = [1, 2, 3].map(() => world.ask({ exclusive: true }));
  const order: number[] = [];

  let current: Caller = holder;
  for (let turn = 0; turn < 3; turn++) {
    current.release();
    const index = line.findIndex((caller) => caller.lease !== null && !order.includes(line.indexOf(caller)));
    order.push(index);
    current = line[index] ?? current;
  }

  expect(order).toEqual([0, 1, 2]);
});

test('nobody who comes later overtakes those who wait for the same', async () => {
  const { world, holder } = await busy({ maxInFlight: 2 });
  let late: Caller | undefined;
  // It comes in the very moment in which the link has room for two.
  const first = world.ask({ told: () => (late = world.ask()) });
  const second = world.ask();

  holder.release();

  expect([first.on, second.on]).toEqual([1, 1]);
  expect(late?.waits).toBe(true);
});

test('who gives back in the moment of being served passes the link on', async () => {
  const { world, holder } = await busy();
  const first = world.ask({ exclusive: true, told: (caller) => caller.release() });
  const second = world.ask({ exclusive: true });

  holder.release();

  expect([first.on, second.on]).toEqual([1, 1]);
});

test('one who waits to be alone does not hold up those who share', async () => {
  const world = new PoolWorld({ max: 1 });
  const [shared] = await world.served({});
  const alone = world.ask({ exclusive: true });

  expect(world.ask().on).toBe(shared?.on);
  expect(alone.waits).toBe(true);
});

test('those who wait to share all come in when the link is free', async () => {
  const { world, holder } = await busy({ maxInFlight: 3 });
  const line = Array.from({ length: 4 }, () => world.ask());

  holder.release();

  expect(line.map(({ on }) => on)).toEqual([1, 1, 1, null]);
});

test('a lost link makes room for one more', async () => {
  const { world } = await busy();
  const waiting = world.ask({ exclusive: true });

  world.conversations[0]?.die();
  await world.time.advance(0);

  expect(waiting.on).toBe(2);
});

test('links per key are never more than max', async () => {
  const world = new PoolWorld({ max: 3, maxInFlight: 2 });
  const callers = await world.served(...Array.from({ length: 10 }, (_, index) => ({ exclusive: index % 3 === 0 })));

  expect(world.attempts).toHaveLength(3);
  for (const caller of callers) caller.release();
  await world.time.advance(0);
  for (const caller of callers) caller.release();
  await world.time.advance(0);

  expect(world.attempts).toHaveLength(3);
  expect(callers.every(({ lease }) => lease !== null)).toBe(true);
});

describe('a caller waits for queueTimeout at most', () => {
  test('then hears that nothing was executed', async () => {
    const { world } = await busy({ queueTimeout: '2s' });
    const waiting = world.ask({ exclusive: true });

    await world.time.advance(1999);
    expect(waiting.waits).toBe(true);
    await world.time.advance(1);

    expect(waiting.error).toMatchObject({ code: 'queue_timeout', status: 503, details: { outcome: 'not_executed' } });
  });

  test('and is not served any more', async () => {
    const { world, holder } = await busy({ queueTimeout: '2s' });
    const first = world.ask({ exclusive: true });
    await world.time.advance(1000);
    const second = world.ask({ exclusive: true });
    await world.time.advance(1000);

    holder.release();

    expect(first.lease).toBeNull();
    expect(first.toldInVain).toBe(0);
    expect(second.on).toBe(1);
  });

  test('also for a link that does not open', async () => {
    const world = new PoolWorld({ queueTimeout: '2s' });
    world.upstream = 'ask';
    const waiting = world.ask();
    await world.time.advance(2000);

    // Nothing is busy: it is the upstream that does not let us in.
    expect(waiting.error).toMatchObject({ code: 'upstream_unavailable', details: { outcome: 'not_executed' } });
    world.pending[0]?.succeed();
    await world.time.advance(0);
    expect(world.ask().on).toBe(1);
  });

  test('one that is served leaves no timer behind', async () => {
    const { world, holder } = await busy();
    const before = world.time.pendingCount;
    const waiting = world.ask({ exclusive: true });
    holder.release();

    expect(waiting.on).toBe(1);
    await world.time.advance(20_000);
    expect(waiting.error).toBeNull();
    expect(before).toBeLessThanOrEqual(1);
  });
});

describe('the line is no longer than maxQueue', () => {
  test('who comes then hears so at once', async () => {
    const { world } = await busy({ maxQueue: 2 });
    const line = [world.ask({ exclusive: true }), world.ask({ exclusive: true })];
    const refused = world.ask({ exclusive: true });

    expect(refused.error).toMatchObject({ code: 'queue_full', status: 503, details: { outcome: 'not_executed' } });
    expect(line.every(({ waits }) => waits)).toBe(true);
  });

  test('over all keys', async () => {
    const world = new PoolWorld({ max: 1, maxQueue: 2 });
    await world.served({ exclusive: true }, { exclusive: true, principal: 'bob' });
    world.ask({ exclusive: true });
    world.ask({ exclusive: true, principal: 'bob' });

    expect(world.ask({ exclusive: true }).error?.code).toBe('queue_full');
  });

  test('those for whom a link is being opened do not count: a burst on a cold pool is no overload', async () => {
    const world = new PoolWorld({ max: 4, maxInFlight: 8, maxQueue: 0 });
    const callers = await world.served(...Array.from({ length: 32 }, () => ({})));

    expect(callers.map(({ error }) => error)).toEqual(callers.map(() => null));
    expect(world.ask().error?.code).toBe('queue_full');
  });

  test('a place that somebody leaves is free again', async () => {
    const { world } = await busy({ maxQueue: 1 });
    const waiting = world.ask({ exclusive: true });
    expect(world.ask({ exclusive: true }).error?.code).toBe('queue_full');

    waiting.leave();

    expect(world.ask({ exclusive: true }).waits).toBe(true);
  });

  test('a place that somebody leaves twice is free once', async () => {
    const { world } = await busy({ maxQueue: 1 });
    const waiting = world.ask({ exclusive: true });
    waiting.leave();
    waiting.leave();

    expect(world.ask({ exclusive: true }).waits).toBe(true);
    expect(world.ask({ exclusive: true }).error?.code).toBe('queue_full');
  });
});

test('a fault of one caller in the moment of being served does not stop the line', async () => {
  const { world, holder } = await busy();
  const faulty = world.ask({
    exclusive: true,
    told: () => {
      throw new Error('a fault of ours');
    },
  });
  const next = world.ask({ exclusive: true });

  try {
    holder.release();
  } catch {
    // Whoever hears of it.
  }
  faulty.release();

  expect(next.on).toBe(1);
});

describe('a caller who leaves', () => {
  test('is not served, and the next one is', async () => {
    const { world, holder } = await busy();
    const [first, second] = [world.ask({ exclusive: true }), world.ask({ exclusive: true })];

    first.leave();
    holder.release();

    expect(first.lease).toBeNull();
    expect(second.on).toBe(1);
    await world.time.advance(20_000);
    expect(first.error).toBeNull();
  });

  test('after being served does not lose its lease by it', async () => {
    const { world, holder } = await busy();
    const waiting = world.ask({ exclusive: true });
    holder.release();
    waiting.leave();

    expect(waiting.on).toBe(1);
    expect(world.ask({ exclusive: true }).waits).toBe(true);
  });

  test('while its link opens leaves the link to the next one', async () => {
    const world = new PoolWorld();
    world.upstream = 'ask';
    world.ask().leave();
    world.pending[0]?.succeed();
    await world.time.advance(0);

    expect(world.ask().on).toBe(1);
    expect(world.attempts).toHaveLength(1);
  });
});
