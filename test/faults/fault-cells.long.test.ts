// All cells of the bench, and upstreams that are killed and stopped as processes.

import { expect, test } from 'vitest';
import { seedFrom } from '../support/seeded.ts';
import { faultsIn, playCells, tableOf } from './fault-bench.ts';
import { CELLS, cellsOf } from './fault-cell.ts';

test('2,000 calls over all toxics, places and clients: one outcome each, nothing runs twice, and it all works again', async () => {
  const seed = seedFrom(process.env['FAULT_SEED']);

  const reports = await playCells({
    cells: CELLS,
    processes: cellsOf(['killed', 'restarted', 'stopped']),
    calls: 2000,
    seed,
  });

  console.log(`${tableOf(reports)}\nFAULT_SEED=${seed}`);
  expect(faultsIn(reports), `FAULT_SEED=${seed}`).toEqual([]);
}, 300_000);
