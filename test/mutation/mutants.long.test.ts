import { expect, test } from 'vitest';
import { MUTANTS } from './mutants.ts';
import { KILLED, testMutants } from './mutation.ts';

test('every guard is missed by a test of its threat when it is gone', async () => {
  const verdicts = await testMutants(MUTANTS);

  const left = verdicts.filter(({ outcome }) => outcome !== KILLED);
  expect(left.map(({ mutant, outcome }) => `${mutant.row} without ${mutant.without}: ${outcome}`)).toEqual([]);
  expect(verdicts).toHaveLength(MUTANTS.length);
}, 900_000);
