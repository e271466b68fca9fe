import { describe, expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import { PoolWorld } from './pool-world.ts';

describe('an upstream that cannot be reached', () => {
  test('is named to everybody who waits', async () => {
    const world = new PoolWorld({ maxInFlight: 1 });
    world.upstream = 'ask';
    const callers = [world.ask(), world.ask(), world.ask({ exclusive: true })];
    const why = new ProxyError('upstream_tls', 'x');

    for (const attempt of world.pending.slice()) attempt.fail(why);
    await world.time.advance(0);

    expect(callers.map(({ error }) => error)).toEqual([why, why, why]);
    expect(callers.map(({ toldInVain }) => toldInVain)).toEqual([0, 0, 0]);
  });

  test('is tried anew for the next caller', async () => {
    const world = new PoolWorld();
    world.upstream = 'refuses';
    const [first] = await world.served({});
    world.upstream = 'opens';
    const [second] = await world.served({});

    expect(first?.error?.code).toBe('upstream_unreachable');
    expect(second?.on).toBe(1);
  });

  test('does not fail those who can wait for a link that lives, and is tried again after a while', async () => {
    const world = new PoolWorld();
    const [first] = await world.served({ exclusive: true });
    world.upstream = 'refuses';
    const [second] = await world.served({ exclusive: true });
    const dialled = world.attempts.length;

    expect(second?.waits).toBe(true);
    await world.time.advance(400);
    expect(world.attempts).toHaveLength(dialled);
    world.upstream = 'opens';
    await world.time.advance(200);

    expect(second?.on).toBe(2);
    expect(first?.on).toBe(1);
  });

  test('does not fail one who gets the link that lives meanwhile', async () => {
    const world = new PoolWorld();
    const [first] = await world.served({ exclusive: true });
    world.upstream = 'refuses';
    const [second] = await world.served({ exclusive: true });

    first?.release();

    expect(second?.on).toBe(1);
  });

  test('is forgiven what it did before its last success', async () => {
    const world = new PoolWorld({ queueTimeout: '1h' });
    const [first] = await world.served({ exclusive: true });
    world.upstream = 'refuses';
    const [second] = await world.served({ exclusive: true });
    await world.time.advance(20_000);
    world.upstream = 'opens';
    await world.time.advance(40_000);
    expect([first?.on, second?.on]).toEqual([1, 2]);
    world.upstream = 'refuses';
    await world.served({ exclusive: true });
    const before = world.attempts.length;
    await world.time.advance(500);

    expect(world.attempts).toHaveLength(before + 1);
  });

  test('is tried at once again when one link shows that it is well', async () => {
    const world = new PoolWorld({ queueTimeout: '60s' });
    world.upstream = 'ask';
    const callers = [world.ask({ exclusive: true }), world.ask({ exclusive: true })];
    const [first, second] = world.pending;
    first?.fail();
    await world.time.advance(0);
    world.upstream = 'opens';
    second?.succeed();
    await world.time.advance(0);

    expect(callers.map(({ waits }) => waits)).toEqual([false, false]);
  });

  test('is tried at once again when nothing is left for which it would be worth to wait', async () => {
    const world = new PoolWorld({ queueTimeout: '60s' });
    await world.served({ exclusive: true });
    world.upstream = 'refuses';
    const [waiting] = await world.served({ exclusive: true });
    world.conversations[0]?.die();
    await world.time.advance(0);

    // It hears why, or has a link: it does not stand there until the back-off is over.
    expect(waiting?.error?.code).toBe('upstream_unreachable');
  });

  test('that fails in an odd way is a fault of ours, and nobody waits in vain', async () => {
    const world = new PoolWorld();
    world.upstream = 'ask';
    const caller = world.ask();
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what open rejects with can be anything
    world.pending[0]?.fail(new TypeError('odd') as unknown as ProxyError);
    await world.time.advance(0);

    expect(caller.error?.code).toBe('internal_error');
  });
});
