import { expect, test } from 'vitest';
import { notRun } from './not-run.ts';

test('what was not run is told by why, once each', () => {
  const why = 'not installed: redis-server';

  expect(notRun([why, undefined, why, 'no answer'])).toEqual([
    'Not run here:',
    `  2 tests: ${why}`,
    '  1 test: for another machine, or to be asked for',
    '  1 test: no answer',
  ]);
  expect(notRun([])).toEqual([]);
});
