// A short sample: see crowd.long.test.ts.

import { test } from 'vitest';
import { seedFrom } from '../support/seeded.ts';
import { expectNobodyCrossed } from './crowd-report.ts';

const seed = seedFrom(process.env['CROWD_SEED']);

test(`2,000 calls of 60 callers, mixed up by the server as it can: none is crossed (seed ${seed}) [T5 T6]`, async () => {
  await expectNobodyCrossed({ callers: 60, calls: 2000, atOnce: 64, seed });
}, 60_000);
