// Rows that the tests vouch for. A test names the rows that it shows in square brackets at the end of its title, of
// several tables too: `[A3 T14]`. What no test that passed names fails a whole run, and so does an excuse that has gone stale.

import { join, relative } from 'node:path';
import type { TestCase } from 'vitest/node';

export interface Row {
  readonly says: string;
  /** Why no test shows it. */
  readonly notYet?: string;
}

export const ROOT = join(import.meta.dirname, '../..');

export const fileOf = (test: TestCase): string => relative(ROOT, test.module.moduleId);

/** A to G: checklist.ts; T: threats.ts. */
export function rowsIn(title: string): readonly string[] {
  return Array.from(title.matchAll(/\[((?:[A-GT]\d+[ ,]*)+)\]/g)).flatMap(([, ids = '']) => ids.split(/[ ,]+/));
}

/** The files of the tests that name each row. */
export function shownBy(passed: readonly TestCase[]): ReadonlyMap<string, readonly string[]> {
  const byRow = new Map<string, Set<string>>();
  for (const test of passed) {
    for (const row of rowsIn(test.fullName)) byRow.set(row, (byRow.get(row) ?? new Set()).add(fileOf(test)));
  }
  return new Map(Array.from(byRow, ([row, files]) => [row, [...files].toSorted()]));
}

/** What is wrong with the rows of a table, or with the tests that should show them. */
export function rowFaults(
  rows: Readonly<Record<string, Row>>,
  table: string,
  shown: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const all = Object.entries(rows);
  const missing = all.filter(([id, { notYet }]) => notYet === undefined && !shown.has(id)).map(([id]) => id);
  const stale = all.filter(([id, { notYet }]) => notYet !== undefined && shown.has(id)).map(([id]) => id);
  return [
    ...(missing.length > 0 ? [`no test that passed names ${missing.join(', ')} of ${table}`] : []),
    ...(stale.length > 0 ? [`${stale.join(', ')} of ${table} has a test: it needs no \`notYet\``] : []),
  ];
}

/** Names in titles that no table knows. */
export function strangers(
  known: ReadonlySet<string>,
  shown: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const unknown = [...shown.keys()].filter((id) => !known.has(id));
  return unknown.map((id) => `${id} is no row, and ${shown.get(id)?.join(', ')} names it`);
}

/** Links for a cell, from a page of this folder. */
export function testLinks(files: readonly string[], pageFolder: string): string {
  return files
    .map((file) => {
      const name = file.replace(/^test\//, '').replace(/\.test\.ts$/, '');
      return `[${name}](${relative(join(ROOT, pageFolder), join(ROOT, file))})`;
    })
    .join(', ');
}
