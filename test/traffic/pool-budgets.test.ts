// Links of callers who may have only so many.

import { expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import { PoolWorld } from './pool-world.ts';

const spent = new ProxyError('budget_spent', 'this caller has too many connections to servers (budgets.links)');

/** Every caller may have so many links; `elsewhere` are those that are not of the pool. */
function budgeted(max: number, elsewhere = 0): PoolWorld {
  const world: PoolWorld = new PoolWorld({}, undefined, ({ holder }) => {
    const own = world.open.filter(({ key }) => key.holder?.key === holder?.key).length;
    const coming = world.pending.filter(({ key }) => key.holder?.key === holder?.key).length;
    return elsewhere + own + coming >= max ? spent : null;
  });
  return world;
}

test('who has no link and may have none is told so at once', async () => {
  const world = budgeted(1, 1);

  const [caller] = await world.served({});

  expect(caller?.error).toBe(spent);
  expect([world.attempts.length, world.pool.waitingCount]).toEqual([0, 0]);
});

test('who has links waits for one of them, and gets no more', async () => {
  const world = budgeted(2);

  const callers = await world.served(...Array.from({ length: 3 }, () => ({ exclusive: true })));
  const before = callers.map(({ on }) => on !== null);
  callers[0]?.release();
  await world.time.advance(0);

  expect([before, callers.map(({ on }) => on !== null)]).toEqual([
    [true, true, false],
    [true, true, true],
  ]);
  expect(world.conversations).toHaveLength(2);
});

test('an idle link of his with other capabilities makes room, and nobody else’s does', async () => {
  const world = budgeted(1);
  const [bob, first] = await world.served({ principal: 'bob' }, {});
  bob?.release();
  first?.release();

  const [second] = await world.served({ declares: { sampling: {} } });

  expect(second?.on).toBe(3);
  expect(world.closedAs('evicted')).toEqual([2]);
});

test('a link that a listen wants open makes no room', async () => {
  const world = budgeted(1);
  world.pool.keepWarm(world.key(), 1);
  await world.time.advance(0);

  const [caller] = await world.served({ declares: { sampling: {} } });

  expect([caller?.error, world.open.length]).toEqual([spent, 1]);
});

test('no link is kept warm beyond the budget, and it is opened as soon as there is room', async () => {
  const world = budgeted(1);
  const [busy] = await world.served({ declares: { sampling: {} } });
  world.pool.keepWarm(world.key(), 1);
  await world.time.advance(0);
  const before = world.open.length;

  busy?.release('retire');
  await world.time.advance(0);

  expect([before, world.open.map(({ key }) => key.profile.members.size)]).toEqual([1, [0]]);
});

test('one at his budget keeps nobody else from a link', async () => {
  const world = budgeted(1, 0);
  const [, others] = [await world.served({}, { exclusive: true }), await world.served({ principal: 'bob' })];

  expect(others[0]?.on).not.toBeNull();
});
