// Whatever happens, in whatever order: one outcome for the client, one release for the lease. Random histories are run
// through the calls and through the model.

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
      .constantFrom('answer', 'error', 'lost', 'cancel', 'slow', 'stop', 'gone')
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
const setting: fc.Arbitrary<Setting> = fc.record({
  canStream: fc.boolean(),
  exclusive: fc.boolean(),
  clientGone: fc.constantFrom('cancel', 'go on'),
  heartbeats: fc.boolean(),
  again: fc.array(fc.constantFrom<Again>('no', 'in line', 'in line', 'granted', 'refused'), { maxLength: 3 }),
});

test('an exchange has one outcome, a lease one release, and a client that is served nothing more', () => {
  const seen = new Map<string, number>();

  fc.assert(
    fc.property(setting, fc.array(step, { maxLength: 25 }), (how, steps) => {
      const history = new History(how);
      for (const next of steps) {
        history.step(next);
        history.check();
      }
      history.exhaust();
      history.check();

      expect(history.ends).toHaveLength(1);
      for (const { lease, left } of history.attempts) {
        expect(lease.posted.length > 0 ? lease.released.length : 1).toBe(1);
        expect(left).toBeLessThanOrEqual(1);
      }
      expect(history.time.pendingCount).toBe(0);
      seen.set(String(history.outcome), (seen.get(String(history.outcome)) ?? 0) + 1);
    }),
    { numRuns: 5000 },
  );

  // The histories reach every end there is.
  const ends = 'cancelled client_gone draining error post_failed queue_timeout request_timeout result slow_reader';
  expect([...seen.keys()].toSorted()).toEqual([...ends.split(' '), 'upstream_session_lost']);
});
