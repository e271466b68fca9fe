// `npm run soak -- [--minutes N] [--seed N]`: prints what the gateway holds before and after, and fails when it has kept
// anything.

import { parseArgs } from 'node:util';
import { seedFrom } from '../support/seeded.ts';
import { HEAP_GROWTH_BYTES, soak, soakTable } from './soak.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string' } } });
const seed = seedFrom(values.seed);

const report = await soak(Number(values.minutes) * 60_000, seed);

console.log(soakTable(report));
console.log(`The heap may grow by ${HEAP_GROWTH_BYTES / 1024 / 1024} MiB; seed ${seed}.`);
for (const fault of report.faults) console.log(`- ${fault}`);
process.exitCode = report.faults.length === 0 ? 0 : 1;
