// `npm run faults -- [--calls N] [--seed N] [--only TEXT] [--schedules N]`: all cells of the bench, or those whose name
// holds a text, and schedules over links in memory. Prints a table and the seed that repeats it, and fails when anything
// was not as it must be.

import { parseArgs } from 'node:util';
import { seedFrom } from '../support/seeded.ts';
import { faultsIn, playCells, tableOf } from './fault-bench.ts';
import { CELLS, cellsOf, nameOf } from './fault-cell.ts';
import { figureText, playSchedules } from './memory-schedule.ts';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '2000' },
    seed: { type: 'string' },
    schedules: { type: 'string', default: '10000' },
    only: { type: 'string', default: '' },
  },
});
const seed = seedFrom(values.seed);
const isMeant = (cell: (typeof CELLS)[number]): boolean => nameOf(cell).includes(values.only);

const figure = await playSchedules(Number(values.schedules), seed);
const reports = await playCells({
  cells: CELLS.filter(isMeant),
  processes: cellsOf(['killed', 'restarted', 'stopped']).filter(isMeant),
  calls: Number(values.calls),
  seed,
});

const faults = [...figure.faults, ...faultsIn(reports)];
console.log(tableOf(reports));
const calls = reports.reduce((sum, report) => sum + report.calls, 0);
console.log(`\nOn virtual time: ${figureText(figure)}`);
console.log(`${calls} calls in ${reports.length} cells, ${faults.length} faults; seed ${seed}`);
for (const fault of faults) console.log(`- ${fault}`);
process.exitCode = faults.length === 0 ? 0 : 1;
