// `npm run faults -- [--calls N] [--seed N] [--only TEXT]`: all cells of the bench, or those whose name holds a text. Prints
// a table and the seed that repeats it, and fails when anything was not as it must be.

import { parseArgs } from 'node:util';
import { seedFrom } from '../support/seeded.ts';
import { faultsIn, playCells, tableOf } from './fault-bench.ts';
import { CELLS, cellsOf, nameOf } from './fault-cell.ts';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '2000' },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
const seed = seedFrom(values.seed);
const isMeant = (cell: (typeof CELLS)[number]): boolean => nameOf(cell).includes(values.only);

const reports = await playCells({
  cells: CELLS.filter(isMeant),
  processes: cellsOf(['killed', 'restarted', 'stopped']).filter(isMeant),
  calls: Number(values.calls),
  seed,
});

const faults = faultsIn(reports);
console.log(tableOf(reports));
const calls = reports.reduce((sum, report) => sum + report.calls, 0);
console.log(`\n${calls} calls in ${reports.length} cells, ${faults.length} faults; seed ${seed}`);
for (const fault of faults) console.log(`- ${fault}`);
process.exitCode = faults.length === 0 ? 0 : 1;
