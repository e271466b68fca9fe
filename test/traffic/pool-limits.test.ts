import { describe, expect, test } from 'vitest';
import { PoolWorld } from './pool-world.ts';

describe('links of all keys are never more than maxTotal', () => {
  test('the longest idle one of any key makes room for a caller who waits', async () => {
    const world = new PoolWorld({ maxTotal: 3 });
    const [alice, bob, carol] = await world.served({}, { principal: 'bob' }, { principal: 'carol' });
    bob?.release();
    await world.time.advance(10);
    alice?.release();
    await world.time.advance(10);
    carol?.release();

    const [dave] = await world.served({ principal: 'dave' });

    expect(dave?.on).toBe(4);
    expect(world.closedAs('evicted')).toEqual([bob?.on]);
    expect(world.open).toHaveLength(3);
  });

  test('one that is in use is not closed for anybody', async () => {
    const world = new PoolWorld({ maxTotal: 2, queueTimeout: '1s' });
    await world.served({}, { principal: 'bob' });
    const [carol] = await world.served({ principal: 'carol' });

    await world.time.advance(1000);

    expect(world.closedAs('evicted')).toEqual([]);
    // It is not the upstream that is to blame.
    expect(carol?.error?.code).toBe('queue_timeout');
  });

  test('one that is being opened counts', async () => {
    const world = new PoolWorld({ maxTotal: 2 });
    world.upstream = 'ask';
    for (const principal of ['alice', 'bob', 'carol']) world.ask({ principal });

    expect(world.pending).toHaveLength(2);
  });

  test('a link that could not be opened counts no more', async () => {
    const world = new PoolWorld({ maxTotal: 1 });
    world.upstream = 'refuses';
    await world.served({});
    world.upstream = 'opens';

    expect((await world.served({ principal: 'bob' }))[0]?.on).toBe(1);
  });
});

describe('a caller who waits because of maxTotal is served as soon as there is room', () => {
  /** A link of alice’s in use, and bob in line. */
  async function crowded(exclusive = false) {
    const world = new PoolWorld({ maxTotal: 1 });
    const [alice] = await world.served({ exclusive });
    const [bob] = await world.served({ principal: 'bob' });
    expect(bob?.waits).toBe(true);
    return { world, alice, bob };
  }

  test('when a link of another key becomes idle', async () => {
    const { world, alice, bob } = await crowded();
    alice?.release();
    await world.time.advance(0);

    expect(bob?.on).toBe(2);
    expect(world.closedAs('evicted')).toEqual([1]);
  });

  test('when a link of another key is retired', async () => {
    const { world, alice, bob } = await crowded(true);
    alice?.release('retire');
    await world.time.advance(0);

    expect(bob?.on).toBe(2);
  });

  test('when a link of another key is lost', async () => {
    const { world, bob } = await crowded();
    world.conversations[0]?.die();
    await world.time.advance(0);

    expect(bob?.on).toBe(2);
  });

  test('when a link of another key cannot be opened', async () => {
    const world = new PoolWorld({ maxTotal: 1 });
    world.upstream = 'ask';
    const alice = world.ask();
    const bob = world.ask({ principal: 'bob' });
    world.upstream = 'opens';
    world.pending[0]?.fail();
    await world.time.advance(0);

    expect(alice.error?.code).toBe('upstream_unreachable');
    expect(bob.on).toBe(1);
  });

  test('when a link of another key opens for somebody who has left', async () => {
    const world = new PoolWorld({ maxTotal: 1 });
    world.upstream = 'ask';
    const alice = world.ask();
    const bob = world.ask({ principal: 'bob' });
    alice.leave();
    world.upstream = 'opens';
    world.pending[0]?.succeed();
    await world.time.advance(0);

    expect(bob.on).toBe(2);
  });

  test('when a link of another key that was pinged turns out to live, and nobody wants it', async () => {
    const world = new PoolWorld({ maxTotal: 1, pingInterval: '1s', idleTimeout: '1h' });
    (await world.served({}))[0]?.release();
    await world.time.advance(2000);
    const alice = world.ask();
    const bob = world.ask({ principal: 'bob' });
    alice.leave();
    await world.time.advance(0);

    expect(bob.on).toBe(2);
  });
});

describe('a warm link that is closed to make room', () => {
  test('is not opened again in the very place that it made', async () => {
    const world = new PoolWorld({ min: 1, maxTotal: 2 });
    world.pool.keepWarm(world.key(), world.warm);
    await world.served({ principal: 'bob' });
    expect(world.open).toHaveLength(2);

    const [carol] = await world.served({ principal: 'carol' });

    expect(carol?.lease).not.toBeNull();
    expect(world.open.length).toBeLessThanOrEqual(2);
  });

  test('is opened again when there is room', async () => {
    const world = new PoolWorld({ min: 1, maxTotal: 1, idleTimeout: '60s' });
    world.pool.keepWarm(world.key(), world.warm);
    const [bob] = await world.served({ principal: 'bob' });
    bob?.release('retire');
    await world.time.advance(60_000);

    expect(world.open.map(({ key }) => key.text)).toEqual([world.key().text]);
  });
});

describe('where principals share links', () => {
  test('idle ones that belong to others do not lock a caller out who must be alone', async () => {
    const world = new PoolWorld({ isolation: 'shared', max: 2 });
    const [alice, bob] = await world.served({ exclusive: true }, { exclusive: true, principal: 'bob' });
    alice?.release();
    bob?.release();

    const [carol] = await world.served({ exclusive: true, principal: 'carol' });

    expect(carol?.lease).not.toBeNull();
    expect(world.open).toHaveLength(2);
  });

  test('one is opened for a caller who must be alone while there is room', async () => {
    const world = new PoolWorld({ isolation: 'shared', max: 2 });
    const [alice] = await world.served({ exclusive: true });
    alice?.release();
    const [bob] = await world.served({ exclusive: true, principal: 'bob' });

    expect(bob?.on).toBe(2);
  });
});
