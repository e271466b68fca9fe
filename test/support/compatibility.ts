// The parts of docs/compatibility.md: which rows of the checklist the tests that passed have shown, what works between which
// revisions, what the frameworks that are played for it got, and what the real clients and servers did.

import type { TestCase } from 'vitest/node';
import { CHECKLIST } from './checklist.ts';
import { FRAMEWORKS } from './frameworks.ts';
import { table } from './markdown-table.ts';
import { PAIRS, titleOf } from './revisions.ts';
import { fileOf, shownBy, testLinks } from './rows.ts';

export function rows(passed: readonly TestCase[]): string {
  const byRow = shownBy(passed);
  return CHECKLIST.map(({ title, rows: all }) => {
    const lines = Object.entries(all).map(([id, { says, notYet }]) => {
      const where = testLinks(byRow.get(id) ?? [], 'docs');
      return `| ${id} | ${says} | ${where || `– (${notYet ?? 'no test'})`} |`;
    });
    return [`### ${title}`, '', '| | what holds | shown by |', '| --- | --- | --- |', ...lines].join('\n');
  }).join('\n\n');
}

interface Matrix {
  /** In the order in which they came. */
  readonly columns: readonly string[];
  /** By the title of the suite, then by column. */
  readonly cells: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** One line per suite of a file, one column per test of it: what is behind the colon of a title stands in the cell. */
function matrix(passed: readonly TestCase[], file: string): Matrix {
  const cells = new Map<string, Map<string, string>>();
  const columns = new Set<string>();
  for (const test of passed) {
    if (fileOf(test) !== file || test.parent.type !== 'suite') continue;
    const [column = '', cell = '✓'] = test.name.replace(/ \[[^\]]*\]$/, '').split(': ');
    columns.add(column);
    cells.set(test.parent.name, (cells.get(test.parent.name) ?? new Map<string, string>()).set(column, cell));
  }
  return { columns: [...columns], cells };
}

export function revisions(passed: readonly TestCase[]): string {
  const { columns, cells } = matrix(passed, 'test/scenarios/revisions.test.ts');
  return table(
    ['client', 'server', ...columns],
    PAIRS.map((pair) => {
      const line = cells.get(titleOf(pair));
      return [pair.client, pair.upstream, ...columns.map((one) => line?.get(one) ?? '–')];
    }),
  );
}

export function frameworks(passed: readonly TestCase[]): string {
  const { columns, cells } = matrix(passed, 'test/scenarios/frameworks.test.ts');
  const shown = FRAMEWORKS.filter(({ name }) => cells.has(name));
  return table(
    ['', ...columns, 'what is particular'],
    shown.map(({ name, quirks }) => [name, ...columns.map((one) => cells.get(name)?.get(one) ?? '–'), quirks]),
  );
}

export function peers(passed: readonly TestCase[]): string {
  const byFile = new Map<string, string[]>();
  for (const test of passed) {
    const file = fileOf(test);
    if (file.startsWith('test/peers/')) byFile.set(file, [...(byFile.get(file) ?? []), test.fullName]);
  }
  return [...byFile]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([file, titles]) => {
      const lines = titles.map((title) => `- ${title.replaceAll(' > ', ': ').replaceAll(/[<>*_|]/g, '\\$&')}`);
      return [`### [${file.replace(/^test\/peers\//, '').replace(/\.test\.ts$/, '')}](../${file})`, '', ...lines].join(
        '\n',
      );
    })
    .join('\n\n');
}
