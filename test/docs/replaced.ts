// The programs that docs/migration.md leads away from, and its table of each.

import { TABLES } from './pages.ts';

export const MIGRATION = 'docs/migration.md';

/** The programs, by the head of their table. */
export const PROGRAMS = ['supergateway', 'mcp-proxy (npm)', 'mcp-proxy (PyPI)', 'mcp-remote', 'FastMCP'] as const;
export type Replaced = (typeof PROGRAMS)[number];

export function rowsOf(program: Replaced): readonly (readonly [was: string, here: string])[] {
  const found = TABLES.find(({ page, head }) => page === MIGRATION && head[0] === program);
  if (found === undefined) throw new Error(`there is no table of ${program}`);
  return found.rows.map(([was = '', here = '']) => [was.replaceAll('`', ''), here]);
}

/** What a row of it is about: flags, or names in a program. */
export function namesOf(program: Replaced): readonly string[] {
  return rowsOf(program).map(([was]) => was);
}
