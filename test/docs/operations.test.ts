// What docs/operations.md counts and quotes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { descriptorsNeeded } from '../../src/verbs/descriptors.ts';
import { configOf } from '../config/surroundings.ts';
import { BLOCKS, ROOT, TABLES, page } from './pages.ts';

const FILE = 'docs/operations.md';
const prose = page(FILE).prose.replaceAll(/\n\s*/g, ' ');

function rowsOf(head: string): readonly (readonly string[])[] {
  const found = TABLES.find((each) => each.page === FILE && `${each.head.join(', ')}, `.startsWith(head));
  if (found === undefined) throw new Error(`there is no table ${head}`);
  return found.rows;
}

/** `130 MiB` → 130 · 1024, `0.2 ms` → 0.2. */
function sized(cell: string): number {
  const [, number = '', unit] = /^([\d.]+) (KiB|MiB|ms)$/.exec(cell) ?? [];
  return Number(number) * (unit === 'MiB' ? 1024 : 1);
}

test('a line of the log that the page tells of is one, at that level', () => {
  const source = readFileSync(join(ROOT, 'src/observe/journal.ts'), 'utf8');
  const rows = rowsOf('`msg`, ');

  expect(rows.length).toBeGreaterThan(8);
  for (const [cell = '', level = ''] of rows) {
    // Of a fact, or the one line that is of none.
    const at = new RegExp(`(?:message:\\s+|\\}, )'${cell.replaceAll('`', '')}'`).exec(source)?.index ?? -1;
    const from = Math.max(...['case ', 'function ', 'this.#log'].map((start) => source.lastIndexOf(start, at)));
    expect([cell, at > 0, source.slice(from, at)]).toEqual([cell, true, expect.stringMatching(`\\b${level}\\b`)]);
  }
});

test('the example adds up, by the table before it', () => {
  const costs = new Map(rowsOf('what, memory, descriptors, ').map(([what = '', ...cells]) => [what, cells]));
  const [memory = '', , cpu = ''] = costs.get('a call with an answer of 1 MiB') ?? [];
  const [idle = ''] = costs.get('the process, idle') ?? [];
  const [session = ''] = costs.get('the same with its GET stream open') ?? [];
  const [, , small = ''] = costs.get('a small call') ?? [];
  const [, , opened = ''] = costs.get('a session that is opened and deleted') ?? [];

  const kib = sized(idle) + 2000 * sized(session) + 2 * sized(memory);
  const ms = 300 * sized(small) + 15 * sized(cpu);

  expect(prose).toContain(`${idle} + 2,000 × ${session} + 2 × ${memory} = ${kib / 1024} MiB`);
  expect(prose).toContain(`300 × ${small} + 15 × ${cpu} = ${ms} ms a second`);
  expect(prose).toContain(`2,000 × ${opened} = ${(2000 * sized(opened)) / 1000} s`);
});

test('the descriptors of the example are those that its configuration can come to', () => {
  const [block] = BLOCKS.filter(({ page: of, language }) => of === FILE && language === 'yaml');

  const needed = descriptorsNeeded(configOf({ yaml: block?.text ?? '' }));

  expect(prose).toContain(`can come to hold ${needed.toLocaleString('en-US')}`);
});
