// A hundred thousand calls of a thousand callers; as many as wanted with CROWD_CALLS, such as 1000000, and again as they
// were with CROWD_SEED.

import { test } from 'vitest';
import { seedFrom } from '../support/seeded.ts';
import { expectNobodyCrossed } from './crowd-report.ts';

const seed = seedFrom(process.env['CROWD_SEED']);
const calls = Number(process.env['CROWD_CALLS'] || 100_000);

test(
  `${calls} calls of 1,000 callers, mixed up by the server as it can: none is crossed (seed ${seed}) [T5 T6]`,
  async () => {
    await expectNobodyCrossed({ callers: 1000, calls, atOnce: 96, seed });
  },
  Math.max(600_000, calls * 10),
);
