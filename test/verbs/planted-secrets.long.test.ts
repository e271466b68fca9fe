import { expect, test } from 'vitest';
import { foundIn, foundInErrors, tellEverything, tellRefusals } from './planted-secrets.ts';

const EVERY = ['json', 'pretty'].flatMap((format) =>
  ['trace', 'debug', 'info', 'warn', 'error'].map((level) => [level, format] as const),
);

test.each(EVERY)('at %s, %s: no planted secret is said [T16]', async (level, format) => {
  const { program, errors, fresh } = await tellEverything(level, format);

  expect(foundIn(program, fresh)).toEqual([]);
  expect(foundInErrors(errors)).toEqual([]);
});

test('no refused command line, and no configuration that is looked at, gives a planted secret away [T16]', async () => {
  const said = await tellRefusals();

  expect(foundIn(said)).toEqual([]);
  expect(said).toContain('***');
  expect(said).toContain('is no known key');
  expect(said).toMatch(/^ok +upstream main: \*{3} \*{3} /m);
});
