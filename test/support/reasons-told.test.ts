import { expect, test } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/domain/errors.ts';
import { gatewayBefore } from './gateway.ts';
import { unreached } from './reasons-told.ts';

const ALL = Object.keys(ERRORS) as ErrorCode[];

test('a reason is reached by a test in which it was told, and whose file names it', () => {
  const [first = 'parse_error', ...others] = ALL;
  const rest = { file: 'rest', told: others };
  const texts: Record<string, string> = { rest: others.join(' '), names: `'${first}'`, other: `${first}_more` };
  const left = (...files: readonly string[]): readonly ErrorCode[] =>
    unreached([rest, ...files.map((file) => ({ file, told: [first] }))], (file) => texts[file] ?? '');

  expect(left()).toEqual([first]);
  expect(left('other')).toEqual([first]);
  expect(left('other', 'names')).toEqual([]);
  expect(unreached([{ file: 'names', told: [] }], () => ALL.join(' '))).toEqual(ALL);
});

test('what a client was told stays with the test', async ({ task }) => {
  const { gateway } = await gatewayBefore();

  await gateway.post('{');
  await gateway.send('GET', '/nowhere');
  await gateway.post('{');

  expect(task.meta.reasonsTold).toEqual(['parse_error', 'path_unknown']);
});
