// What the pool does for clients of 2026-07-28: links that listeners keep open, and word of callers who wait long, so
// that calls held for nobody can make room.

import { describe, expect, test } from 'vitest';
import { PoolWorld } from './pool-world.ts';

describe('links that are kept open', () => {
  test('are kept for each key that is wished for, beside the warm one', async () => {
    const world = new PoolWorld();
    for (const who of ['alice', 'bob', 'carol']) world.pool.keepWarm(world.key(who), 1);
    await world.time.advance(3_600_000);

    expect(world.open.map(({ key }) => key.text)).toEqual(['alice', 'bob', 'carol'].map((who) => world.key(who).text));
    expect(world.attempts).toHaveLength(3);
  });

  test('are as many as the largest wish for their key', async () => {
    const world = new PoolWorld();
    for (const count of [1, 3, 2]) world.pool.keepWarm(world.key(), count);
    await world.time.advance(0);

    expect(world.open).toHaveLength(3);
  });

  test('are opened anew when they are lost, each key by itself', async () => {
    const world = new PoolWorld();
    for (const who of ['alice', 'bob']) world.pool.keepWarm(world.key(who), 1);
    await world.time.advance(60_000);

    world.conversations[1]?.die();
    await world.time.advance(0);

    expect(world.open.map(({ number }) => number)).toEqual([1, 3]);
    expect(world.open[1]?.key.text).toBe(world.key('bob').text);
  });

  test('end by idleTimeout once nobody wishes for them', async () => {
    const world = new PoolWorld({ idleTimeout: '60s' });
    const release = world.pool.keepWarm(world.key(), 1);
    await world.time.advance(600_000);
    expect(world.open).toHaveLength(1);

    release();
    await world.time.advance(60_000);

    expect(world.closedAs('idle')).toEqual([1]);
    expect(world.time.pendingCount).toBe(0);
  });

  test('stay as long as anybody wishes for them', async () => {
    const world = new PoolWorld({ idleTimeout: '60s' });
    const releases = [1, 1].map((count) => world.pool.keepWarm(world.key(), count));
    await world.time.advance(0);

    releases[0]?.();
    releases[0]?.();
    await world.time.advance(600_000);
    expect(world.open).toHaveLength(1);
    releases[1]?.();
    await world.time.advance(600_000);

    expect(world.open).toEqual([]);
  });

  test('are fewer once the larger wish is gone', async () => {
    const world = new PoolWorld({ idleTimeout: '60s' });
    const release = world.pool.keepWarm(world.key(), 3);
    world.pool.keepWarm(world.key(), 1);
    await world.time.advance(0);

    release();
    await world.time.advance(600_000);

    expect(world.open).toHaveLength(1);
  });

  test('are not tried for any more once nobody wishes for them', async () => {
    const world = new PoolWorld();
    world.upstream = 'refuses';
    const release = world.pool.keepWarm(world.key(), 1);
    await world.time.advance(10_000);
    const tried = world.attempts.length;

    release();
    await world.time.advance(600_000);

    expect(world.attempts).toHaveLength(tried);
    expect(world.time.pendingCount).toBe(0);
  });

  test('are tried for in a distance of their own: one key that fails does not slow the other down', async () => {
    const world = new PoolWorld();
    world.upstream = 'refuses';
    world.pool.keepWarm(world.key('alice'), 1);
    await world.time.advance(600_000);
    world.upstream = 'opens';
    world.pool.keepWarm(world.key('bob'), 1);
    await world.time.advance(0);

    expect(world.open.map(({ key }) => key.text)).toEqual([world.key('bob').text]);
  });

  test('may be used, and do not end with their use', async () => {
    const world = new PoolWorld();
    world.pool.keepWarm(world.key(), 1);
    await world.time.advance(0);

    const alice = world.ask();
    alice.release();
    await world.time.advance(3_600_000);

    expect([alice.on, world.open.length, world.attempts.length]).toEqual([1, 1, 1]);
    expect(world.pool.openOf(world.key())).toBe(1);
    expect(world.pool.openOf(world.key('bob'))).toBe(0);
  });

  test('are one once the mount runs on one link, for all who wished for any, until the last is gone', async () => {
    const world = new PoolWorld({ idleTimeout: '60s' });
    const releases = ['alice', 'bob'].map((who) => world.pool.keepWarm(world.key(who), 1));
    await world.time.advance(0);
    world.pool.becomeSingle(world.key('alice'), world.conversations[0] ?? null);
    await world.time.advance(600_000);
    expect(world.open.map(({ number }) => number)).toEqual([1]);

    releases[0]?.();
    await world.time.advance(600_000);
    expect(world.open).toHaveLength(1);
    releases[1]?.();
    await world.time.advance(600_000);

    expect(world.open).toEqual([]);
    expect(world.time.pendingCount).toBe(0);
  });

  test('are none in a pool that is closed', async () => {
    const world = new PoolWorld();
    const release = world.pool.keepWarm(world.key(), 1);
    await world.time.advance(0);

    world.pool.close();
    release();
    world.pool.keepWarm(world.key('bob'), 1);
    await world.time.advance(600_000);

    expect(world.attempts).toHaveLength(1);
    expect(world.time.pendingCount).toBe(0);
  });
});

describe('a caller who waits for 1.5 s', () => {
  test('is told of, once, by the key of the link that is wanted', async () => {
    const world = new PoolWorld({ max: 1 });
    await world.served({ exclusive: true });
    const waiting = world.ask({ exclusive: true });

    await world.time.advance(1499);
    expect([world.longWaits, world.pool.hasLongWaiter(world.key())]).toEqual([[], false]);
    await world.time.advance(1);
    expect(world.longWaits.map(({ text }) => text)).toEqual([world.key().text]);
    await world.time.advance(5000);

    expect(world.longWaits).toHaveLength(1);
    expect([waiting.waits, world.pool.hasLongWaiter(world.key())]).toEqual([true, true]);
    expect(world.pool.hasLongWaiter(world.key('bob'))).toBe(false);
  });

  test('gets the link that is made free for that', async () => {
    const world = new PoolWorld({ max: 1 });
    const [holder] = await world.served({ exclusive: true });
    const waiting = world.ask({ exclusive: true });
    await world.time.advance(1500);

    holder?.release('retire');
    await world.time.advance(0);

    expect(waiting.on).toBe(2);
    expect(world.pool.hasLongWaiter(world.key())).toBe(false);
  });

  test('is each told of: one place that is made is not enough for two', async () => {
    const world = new PoolWorld({ max: 2 });
    await world.served({ exclusive: true }, { exclusive: true });
    world.ask({ exclusive: true });
    await world.time.advance(100);
    world.ask({ exclusive: true });
    await world.time.advance(1500);

    expect(world.longWaits).toHaveLength(2);
  });

  test.each(['served', 'gone'] as const)('is not told of when it is %s before', async (how) => {
    const world = new PoolWorld({ max: 1 });
    const [holder] = await world.served({ exclusive: true });
    const waiting = world.ask({ exclusive: true });
    await world.time.advance(1000);
    if (how === 'served') holder?.release();
    else waiting.leave();
    await world.time.advance(10_000);

    expect([world.longWaits, world.pool.hasLongWaiter(world.key())]).toEqual([[], false]);
  });

  test('is known by the one link once the mount has no other', async () => {
    const world = new PoolWorld({ max: 1 });
    await world.served({ exclusive: true, principal: 'bob' });
    world.ask({ exclusive: true, principal: 'bob' });
    world.pool.becomeSingle(world.key('alice'), world.conversations[0] ?? null);
    await world.time.advance(1500);

    expect(world.longWaits.map(({ text }) => text)).toEqual([world.key('alice').text]);
    expect(world.pool.hasLongWaiter(world.key('bob'))).toBe(true);
  });

  test('leaves no timer behind', async () => {
    const world = new PoolWorld({ max: 1, queueTimeout: '1s' });
    await world.served({ exclusive: true });
    const waiting = world.ask({ exclusive: true });
    await world.time.advance(1000);

    expect(waiting.error?.code).toBe('queue_timeout');
    expect(world.longWaits).toEqual([]);
    await world.time.advance(10_000);
    expect(world.longWaits).toEqual([]);
  });
});
