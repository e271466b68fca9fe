// Exactly one outcome, whatever happens in whatever order: a sample of the schedules; 10,000 are in the long run.

import { expect, test } from 'vitest';
import { seedFrom } from '../support/seeded.ts';
import { figureText, playSchedules } from './memory-schedule.ts';

test('500 random schedules of faults: each exchange has exactly one outcome, its own, and it is true', async () => {
  const seed = seedFrom(process.env['FAULT_SEED']);

  const figure = await playSchedules(500, seed);

  expect(figure.faults, `${figureText(figure)}; FAULT_SEED=${seed}`).toEqual([]);
  // They reach what can become of an exchange.
  for (const outcome of ['result', 'error', 'client_gone', 'post_failed', 'request_timeout', 'upstream_session_lost']) {
    expect(figure.outcomes.get(outcome) ?? 0, outcome).toBeGreaterThan(10);
  }
});
