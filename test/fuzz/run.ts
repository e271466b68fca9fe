// `npm run fuzz -- [--target NAME] [--executions N] [--seed N]`: one target or all of them. Prints what was done and the
// seed that repeats it; fails when anything was not as it must be.

import { parseArgs } from 'node:util';
import { seedFrom } from '../support/seeded.ts';
import { fuzz, linesOf } from './fuzz.ts';
import { TARGET_NAMES } from './targets.ts';

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    executions: { type: 'string', default: '100000' },
    seed: { type: 'string' },
  },
});
const { target } = values;
const meant = TARGET_NAMES.filter((name) => target === undefined || name === target);
if (meant.length === 0) throw new Error(`--target is one of ${TARGET_NAMES.join(', ')}`);
const seed = seedFrom(values.seed);

let faults = 0;
for (const name of meant) {
  // oxlint-disable-next-line no-await-in-loop -- one after the other, so that each has the machine
  const report = await fuzz(name, Number(values.executions), seed);
  console.log(linesOf(report).join('\n'));
  faults += report.faults.length;
}
process.exitCode = faults === 0 ? 0 : 1;
