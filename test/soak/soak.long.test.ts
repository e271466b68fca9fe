import { expect, test } from 'vitest';
import { seedFrom } from '../support/seeded.ts';
import { soak, soakTable } from './soak.ts';

test('20 s of clients of every kind, in troubles of every kind: nothing is kept', async () => {
  const seed = seedFrom(process.env['FAULT_SEED']);

  const report = await soak(20_000, seed);

  console.log(`${soakTable(report)}\nFAULT_SEED=${seed}`);
  expect(report.faults, `FAULT_SEED=${seed}`).toEqual([]);
});
