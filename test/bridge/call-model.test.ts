// Whatever happens, in whatever order: one outcome for each exchange, one release for the lease. Random histories are
// run through the calls and through the model.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Again, type Event, History, type Setting, type Step } from './call-history.ts';

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: 'grant' } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'lease fails' } as const) },
  { weight: 6, arbitrary: fc.constantFrom('progress', 'log').map((kind) => ({ kind }) as const) },
  {
    weight: 5,
    arbitrary: fc
      .constantFrom('answer', 'error', 'lost', 'cancel', 'slow', 'stop', 'gone', 'fail')
      .map((kind) => ({ kind }) as const),
  },
  {
    weight: 5,
    arbitrary: fc
      .constantFrom('hold', 'hold', 'resume', 'resume', 'resume', 'let go')
      .map((kind) => ({ kind }) as const),
  },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom('accepted', 'unsent', 'session_refused', 'session_gone', 'rejected', 'broken')
      .map((outcome) => ({ kind: 'post', outcome }) as const),
  },
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 120 }).map((ms) => ({ kind: 'pass', ms }) as const) },
);
const step: fc.Arbitrary<Step> = fc
  .tuple(event, fc.constantFrom(0, 0, 0, 1, 2))
  .map(([what, back]) => ({ ...what, back }));
/** Many histories are about a call that is held. */
const start: fc.Arbitrary<readonly Step[]> = fc.constantFrom(
  [],
  [
    { kind: 'grant', back: 0 },
    { kind: 'hold', back: 0 },
  ],
);
const setting: fc.Arbitrary<Setting> = fc.record({
  canStream: fc.boolean(),
  exclusive: fc.boolean(),
  clientGone: fc.constantFrom('cancel', 'go on'),
  heartbeats: fc.boolean(),
  again: fc.array(fc.constantFrom<Again>('no', 'in line', 'in line', 'granted', 'refused'), { maxLength: 3 }),
});

test('an exchange has one outcome, a lease one release, and a client that is served nothing more, held or not', () => {
  const seen = new Set<string>();
  const seenAfterAHold = new Set<string>();
  let most = 0;

  fc.assert(
    fc.property(setting, start, fc.array(step, { maxLength: 25 }), (how, first, steps) => {
      const history = new History(how);
      for (const next of [...first, ...steps]) {
        history.step(next);
        history.check();
      }
      history.exhaust();
      history.check(history.shown);

      for (const { ends } of history.shown) expect(ends).toHaveLength(1);
      for (const { lease, left } of history.attempts) {
        expect(lease.posted.length > 0 ? lease.released.length : 1).toBe(1);
        expect(left).toBeLessThanOrEqual(1);
      }
      expect(history.time.pendingCount).toBe(0);
      const outcomes = history.shown.map(({ outcome }) => String(outcome));
      for (const outcome of outcomes) seen.add(outcome);
      for (const outcome of outcomes.slice(1)) seenAfterAHold.add(outcome);
      most = Math.max(most, outcomes.length);
    }),
    { numRuns: 2500 },
  );

  // The histories reach every end there is.
  const ends = 'cancelled client_gone draining error post_failed request_timeout result slow_reader'.split(' ');
  ends.push('capability_missing', 'upstream_session_lost');
  expect([...seen].toSorted()).toEqual([...ends, 'queue_timeout'].toSorted());
  // Who has come back waits for no lease.
  expect([...seenAfterAHold].toSorted()).toEqual(ends.toSorted());
  expect(most).toBeGreaterThan(1);
});
