// A sample of the bench; all cells are in the long run, and `npm run faults` plays them with any number of calls.

import { expect, test } from 'vitest';
import { seedFrom, seeded } from '../support/seeded.ts';
import { faultsIn, playCells } from './fault-bench.ts';
import { CELLS } from './fault-cell.ts';

const SAMPLE = 20;

test(`${SAMPLE} of all toxics, places and clients: one outcome each, nothing runs twice, and it all works again`, async () => {
  const seed = seedFrom(process.env['FAULT_SEED']);
  const cells = seeded(seed).shuffled(CELLS).slice(0, SAMPLE);

  const reports = await playCells({ cells, calls: SAMPLE * 8, seed });

  expect(faultsIn(reports), `FAULT_SEED=${seed}`).toEqual([]);
});
