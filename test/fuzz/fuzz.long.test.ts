import { expect, test } from 'vitest';
import { seedFrom } from '../support/seeded.ts';
import { fuzz, linesOf } from './fuzz.ts';
import { TARGET_NAMES } from './targets.ts';

const EXECUTIONS = 100_000;
const LONGEST_MS = 1_800_000;

test.each(TARGET_NAMES)(
  '%s: a hundred thousand inputs of a seed that nobody chose',
  async (target) => {
    const report = await fuzz(target, EXECUTIONS, seedFrom(process.env['FUZZ_SEED']));
    console.log(linesOf(report).join('\n'));

    expect(report.faults, linesOf(report).join('\n')).toEqual([]);
    expect(report.executions).toBe(EXECUTIONS);
  },
  LONGEST_MS,
);
