// `npm run test:mutation`, or with a row, `npm run test:mutation -- T7`, for its guards alone. What the test that failed has
// said stands behind each guard: a program that does not work at all fails every test, and shows nothing.

import { MUTANTS } from './mutants.ts';
import { KILLED, type Verdict, testMutants } from './mutation.ts';

const rows = process.argv.slice(2);
const meant = MUTANTS.filter(({ row }) => rows.length === 0 || rows.includes(row));
const startedAt = performance.now();

const line = ({ mutant, outcome, said, seconds }: Verdict): string => {
  const head = `${mutant.row.padEnd(4)} ${outcome.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s`;
  return `${head}  without ${mutant.without} (${mutant.file})${said === '' ? '' : `: ${said.slice(0, 160)}`}`;
};

const verdicts = await testMutants(meant, (verdict) => console.log(line(verdict)));
const left = verdicts.filter(({ outcome }) => outcome !== KILLED);

console.log(
  `\n${verdicts.length - left.length} of ${verdicts.length} guards are missed when they are gone, in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`,
);
if (left.length > 0) console.log(`\nNot missed:\n${left.map(line).join('\n')}`);
process.exitCode = left.length === 0 && verdicts.length > 0 ? 0 : 1;
