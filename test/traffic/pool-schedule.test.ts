// Whatever callers and the upstream do, in whatever order: the bounds hold, nobody is alone with somebody else, and
// everybody is served or hears why not.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Schedule, type Step, single, step } from './pool-schedule.ts';
import type { LinkInput } from './pool-world.ts';

const links = {
  max: fc.integer({ min: 1, max: 3 }),
  maxInFlight: fc.integer({ min: 1, max: 3 }),
  maxQueue: fc.constantFrom(0, 2, 256),
  pingInterval: fc.constantFrom('1s', '30s'),
  idleTimeout: fc.constantFrom('1s', '60s'),
};

async function holds(settings: LinkInput, steps: readonly Step[]): Promise<void> {
  const schedule = new Schedule(settings);
  await schedule.run(steps);
  const stuck = await schedule.end();

  expect(schedule.faults).toEqual([]);
  expect(stuck, 'waiting though nothing is in use and the upstream is well').toBe(0);
}

const steps = fc.array(step, { minLength: 3, maxLength: 60, size: 'max' });
const runs = { numRuns: 500 };
const plenty = fc.constant(64);

test('one pool for each principal, and room for all of them', async () => {
  const settings = fc.record({ ...links, maxTotal: plenty, isolation: fc.constantFrom('principal', 'request') });

  await fc.assert(fc.asyncProperty(settings, steps, holds), runs);
});

test('one pool for all principals', async () => {
  const settings = fc.record({ ...links, maxTotal: plenty, isolation: fc.constant('shared' as const) });

  await fc.assert(fc.asyncProperty(settings, steps, holds), runs);
});

test('with warm links', async () => {
  const settings = fc.record({ ...links, maxTotal: plenty, min: fc.integer({ min: 1, max: 3 }) });

  await fc.assert(fc.asyncProperty(settings, steps, holds), runs);
});

test('with less room than all keys want', async () => {
  const settings = fc.record({ ...links, maxTotal: fc.integer({ min: 1, max: 4 }) });

  await fc.assert(fc.asyncProperty(settings, steps, holds), runs);
});

test('with less room than all keys want, and warm links', async () => {
  const settings = fc.record({
    ...links,
    maxTotal: fc.integer({ min: 1, max: 4 }),
    min: fc.integer({ min: 1, max: 2 }),
  });

  await fc.assert(fc.asyncProperty(settings, steps, holds), runs);
});

test('when the pool becomes single on the way', async () => {
  const settings = fc.record({
    ...links,
    maxTotal: fc.integer({ min: 1, max: 8 }),
    min: fc.integer({ min: 0, max: 1 }),
  });
  const withSwitch = fc
    .tuple(steps, fc.array(single, { minLength: 1, maxLength: 2 }), steps)
    .map((parts) => parts.flat());

  await fc.assert(fc.asyncProperty(settings, withSwitch, holds), runs);
});
