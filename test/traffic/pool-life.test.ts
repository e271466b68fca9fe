import { describe, expect, test } from 'vitest';
import { PoolWorld } from './pool-world.ts';

async function warm(links: object = {}) {
  const world = new PoolWorld({ min: 1, ...links });
  world.pool.keepWarm(world.key(), world.warm);
  await world.time.advance(0);
  return world;
}

describe('warm links', () => {
  test('are open from the start, min of them', async () => {
    expect((await warm({ min: 3 })).open).toHaveLength(3);
    expect((await warm({ min: 3, max: 2 })).open).toHaveLength(2);
    expect((await warm({ min: 3, maxTotal: 1 })).open).toHaveLength(1);
    expect((await warm({ min: 0 })).open).toHaveLength(0);
  });

  test('are opened again at once when they lived for a while', async () => {
    const world = await warm();
    await world.time.advance(60_000);
    world.conversations[0]?.die();
    await world.time.advance(0);

    expect(world.open).toHaveLength(1);
  });

  test('are opened again when one is retired', async () => {
    const world = await warm();
    world.ask({ exclusive: true }).release('retire');
    await world.time.advance(0);

    expect(world.open.map(({ number }) => number)).toEqual([2]);
  });

  test('are tried again with growing distance while the upstream is down, without end', async () => {
    const world = new PoolWorld({ min: 1 });
    world.upstream = 'refuses';
    world.pool.keepWarm(world.key(), world.warm);
    await world.time.advance(3_600_000);

    const times = world.attempts.map(({ at }) => at);
    expect(times.slice(0, 5)).toEqual([0, 500, 1500, 3500, 7500]);
    expect(times.length).toBeGreaterThan(100);
    world.upstream = 'opens';
    await world.time.advance(30_000);
    expect(world.open).toHaveLength(1);
  });

  test('are dialled by one loop only, however many are missing', async () => {
    const world = new PoolWorld({ min: 4 });
    world.upstream = 'refuses';
    world.pool.keepWarm(world.key(), world.warm);
    await world.time.advance(600_000);

    expect(world.attempts.length).toBeLessThan(4 * 30);
  });

  test('are not dialled in a hot loop when the upstream cuts each at once', async () => {
    const world = new PoolWorld({ min: 1 });
    world.pool.keepWarm(world.key(), world.warm);
    await world.time.advance(0);
    for (let second = 0; second < 600; second++) {
      world.open[0]?.die();
      await world.time.advance(1000);
    }

    expect(world.attempts.length).toBeGreaterThan(15);
    expect(world.attempts.length).toBeLessThan(40);
  });

  test('nor when it cuts each in the moment of its opening, and they are tried again', async () => {
    const world = new PoolWorld({ min: 1 });
    world.upstream = 'ask';
    world.pool.keepWarm(world.key(), world.warm);
    for (let second = 0; second < 600; second++) {
      world.pending[0]?.succeed().die();
      await world.time.advance(1000);
    }

    expect(world.attempts.length).toBeGreaterThan(15);
    expect(world.attempts.length).toBeLessThan(40);
  });

  test('nor for a caller who waits: the upstream is dialled at most every so often', async () => {
    const world = new PoolWorld({ queueTimeout: '10s' });
    world.upstream = 'ask';
    const caller = world.ask();
    for (let step = 0; step < 1000; step++) {
      world.pending[0]?.succeed().die();
      await world.time.advance(10);
    }

    expect(caller.waits).toBe(false);
    expect(world.attempts.length).toBeLessThan(50);
  });

  test('are dialled soon again after a success that lasted', async () => {
    const world = new PoolWorld({ min: 1 });
    world.upstream = 'refuses';
    world.pool.keepWarm(world.key(), world.warm);
    await world.time.advance(120_000);
    world.upstream = 'opens';
    await world.time.advance(60_000);
    world.conversations[0]?.die();
    await world.time.advance(0);
    expect(world.open).toHaveLength(1);
    const before = world.attempts.length;
    world.conversations[1]?.die();
    await world.time.advance(500);

    expect(world.attempts.length).toBe(before + 1);
  });
});

describe('a link that nobody uses', () => {
  test('is closed after idleTimeout, counted from its last use', async () => {
    const world = new PoolWorld({ idleTimeout: '60s' });
    const [caller] = await world.served({});
    await world.time.advance(59_000);
    caller?.release();
    await world.time.advance(59_999);
    expect(world.open).toHaveLength(1);
    await world.time.advance(1);

    expect(world.closedAs('idle')).toEqual([1]);
    expect(world.time.pendingCount).toBe(0);
  });

  test('each by its own clock', async () => {
    const world = new PoolWorld({ idleTimeout: '60s' });
    const callers = await world.served({ exclusive: true }, { exclusive: true }, { exclusive: true });
    for (const caller of callers) {
      caller.release();
      await world.time.advance(20_000);
    }

    await world.time.advance(0);
    expect(world.closedAs('idle')).toEqual([1]);
    await world.time.advance(20_000);
    expect(world.closedAs('idle')).toEqual([1, 2]);
    await world.time.advance(20_000);
    expect(world.closedAs('idle')).toEqual([1, 2, 3]);
  });

  test('stays while it is in use', async () => {
    const world = new PoolWorld({ idleTimeout: '1s' });
    await world.served({});
    await world.time.advance(1_000_000);

    expect(world.open).toHaveLength(1);
  });

  test('is closed also when nobody ever came to use it', async () => {
    const world = new PoolWorld({ idleTimeout: '60s' });
    world.upstream = 'ask';
    world.ask().leave();
    world.pending[0]?.succeed();
    await world.time.advance(60_000);

    expect(world.closedAs('idle')).toEqual([1]);
  });

  test('stays if it is one of the last min of the warm key, the most recently used', async () => {
    const world = await warm({ min: 2, idleTimeout: '60s', pingInterval: '1h' });
    const callers = await world.served(...Array.from({ length: 4 }, () => ({ exclusive: true })));
    const [bob] = await world.served({ principal: 'bob' });
    for (const caller of [...callers, bob]) caller?.release();
    await world.time.advance(600_000);

    expect(world.open).toHaveLength(2);
    expect(world.open.map(({ number }) => number)).toEqual([3, 4]);
    expect(world.attempts).toHaveLength(5);
  });

  test('is closed where min others of the warm key were used after it, though these are in use', async () => {
    const world = await warm({ min: 1, idleTimeout: '60s', pingInterval: '1h' });
    const [first] = await world.served({ exclusive: true }, { exclusive: true });
    first?.release();
    await world.time.advance(60_000);

    expect(world.open.map(({ number }) => number)).toEqual([2]);
  });

  test('is closed even if it was just being pinged when its time came', async () => {
    const world = new PoolWorld({ idleTimeout: '60s', pingInterval: '30s', pingTimeout: '5s' });
    const [first] = await world.served({});
    first?.release();
    await world.time.advance(59_000);
    const [conversation] = world.conversations;
    if (conversation === undefined) throw new Error('there is one');
    // The answer comes after the caller has left and the sweep has passed.
    let answer: (alive: boolean) => void = () => {};
    conversation.ping = () => new Promise((resolve) => (answer = resolve));
    world.ask().leave();
    await world.time.advance(2000);
    answer(true);
    await world.time.advance(600_000);

    expect(world.open).toEqual([]);
  });
});

describe('a pool that is closed', () => {
  test('closes what is idle, tells those who wait, and takes nobody in', async () => {
    const world = new PoolWorld({ max: 1 });
    const [bob] = await world.served({ principal: 'bob' });
    bob?.release();
    await world.served({ exclusive: true });
    const waiting = world.ask({ exclusive: true });

    world.pool.close();

    expect(world.closedAs('shutdown')).toContain(1);
    expect(waiting.error?.code).toBe('draining');
    expect(world.ask().error?.code).toBe('draining');
    world.pool.close();
    expect(waiting.toldInVain).toBe(0);
  });

  test('closes a link that opens after it, and opens none', async () => {
    const world = new PoolWorld({ min: 1 });
    world.upstream = 'ask';
    world.pool.keepWarm(world.key(), world.warm);
    world.ask({ principal: 'bob' });
    world.pool.close();
    for (const attempt of world.pending.slice()) attempt.succeed();
    await world.time.advance(600_000);

    expect(world.closedAs('shutdown')).toEqual([1, 2]);
    expect(world.attempts).toHaveLength(2);
  });

  test('leaves no timer behind', async () => {
    const world = await warm();
    const [caller] = await world.served({ principal: 'bob' });
    world.upstream = 'refuses';
    await world.served({ principal: 'bob', exclusive: true }, { principal: 'carol' });
    world.conversations[0]?.die();
    world.pool.close();
    caller?.release();
    await world.time.advance(0);

    expect(world.time.pendingCount).toBe(0);
  });
});
