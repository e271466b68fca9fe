// The table of guards against the sources and the tests, as far as that can be seen without running it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/rows.ts';
import { THREATS } from '../support/threats.ts';
import { MUTANTS, UNGUARDED } from './mutants.ts';

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

test.each(MUTANTS)('$row without $without: its text is there once, and becomes another', ({ file, text, becomes }) => {
  expect(file).toMatch(/^(?:src\/|package(?:-lock)?\.json$)/);
  expect(read(file).split(text)).toHaveLength(2);
  expect(becomes).not.toBe(text);
});

test.each(MUTANTS)('$row without $without: its test is there', ({ test: file, named }) => {
  expect(file).toMatch(/^test\/.*\.test\.ts$/);
  expect(read(file)).toContain(named);
});

test('every threat has a guard that can be taken out, or a reason why there is none', () => {
  const guarded = new Set(MUTANTS.map(({ row }) => row));

  expect([...guarded, ...Object.keys(UNGUARDED)].toSorted()).toEqual(Object.keys(THREATS).toSorted());
});
