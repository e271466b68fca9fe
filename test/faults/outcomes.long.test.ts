// Exactly one outcome, whatever happens in whatever order: 10,000 schedules on virtual time, and 200 over sockets.

import { expect, test } from 'vitest';
import { seedFrom, seeded } from '../support/seeded.ts';
import { faultsIn, playCells } from './fault-bench.ts';
import { CELLS } from './fault-cell.ts';
import { figureText, playSchedules } from './memory-schedule.ts';

const seed = seedFrom(process.env['FAULT_SEED']);

test('10,000 random schedules of faults: each exchange has exactly one outcome, its own, and it is true', async () => {
  const figure = await playSchedules(10_000, seed);

  console.log(`${figureText(figure)}; FAULT_SEED=${seed}`);
  expect(figure.faults, `FAULT_SEED=${seed}`).toEqual([]);
});

test('200 random cells over sockets, each with a seed of its own: the same', async () => {
  const random = seeded(seed);
  const cells = Array.from({ length: 200 }, () => random.pick(CELLS));

  const reports = await playCells({ cells, calls: 200 * 6, seed });

  const calls = reports.reduce((sum, report) => sum + report.calls, 0);
  console.log(
    `${reports.length} cells over sockets, ${calls} calls, ${faultsIn(reports).length} faults; FAULT_SEED=${seed}`,
  );
  expect(faultsIn(reports), `FAULT_SEED=${seed}`).toEqual([]);
});
