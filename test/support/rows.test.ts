import { expect, test } from 'vitest';
import { rowFaults, rowsIn, strangers, testLinks } from './rows.ts';

const ROWS = { T1: { says: 'a' }, T2: { says: 'b', notYet: 'no time' }, T3: { says: 'c' } };
const shown = (...rows: readonly string[]): ReadonlyMap<string, readonly string[]> =>
  new Map(rows.map((row) => [row, ['test/a.test.ts']]));

// Not in titles of their own: these would name the rows.
const TITLES: readonly (readonly [title: string, rows: readonly string[]])[] = [
  ['it holds [T4]', ['T4']],
  ['it holds [A3 T14]', ['A3', 'T14']],
  ['it holds [A3] [T14, T15]', ['A3', 'T14', 'T15']],
  ['a suite [T1] > it holds [G2]', ['T1', 'G2']],
  ['the id [7] and the list [a, b] are none', []],
  ['T4 without brackets is none', []],
];

test('a title names the rows in its brackets', () => {
  for (const [title, rows] of TITLES) expect([title, rowsIn(title)]).toEqual([title, rows]);
});

test('a row without a test is a fault, and so is an excuse beside a test', () => {
  expect(rowFaults(ROWS, 'the table', shown('T1', 'T3'))).toEqual([]);
  expect(rowFaults(ROWS, 'the table', shown('T1', 'T2'))).toEqual([
    'no test that passed names T3 of the table',
    'T2 of the table has a test: it needs no `notYet`',
  ]);
});

test('a name that is no row is a fault', () => {
  expect(strangers(new Set(['T1']), shown('T1', 'T99'))).toEqual(['T99 is no row, and test/a.test.ts names it']);
});

test('links lead from the folder of the page', () => {
  expect(testLinks(['test/x/a.test.ts'], '.')).toBe('[x/a](test/x/a.test.ts)');
  expect(testLinks(['test/x/a.test.ts'], 'docs')).toBe('[x/a](../test/x/a.test.ts)');
});
