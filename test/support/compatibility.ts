// A reporter: which rows of the checklist the tests that passed have shown, what works between which revisions, what the
// frameworks that are played for it got, and what the real clients and servers did.
// A whole run holds docs/compatibility.md to that; `npm run docs:compatibility` prints it anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { CHECKLIST } from './checklist.ts';
import { FRAMEWORKS } from './frameworks.ts';
import { table } from './markdown-table.ts';
import { PAIRS, titleOf } from './revisions.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'docs/compatibility.md');

/** The scripts of package.json that run everything. */
const WHOLE_RUNS = new Set(['test', 'test:long']);
const isFilter = (argument: string): boolean => /^(?:test\/|-t\b)|\.test\.ts$/.test(argument);

/** The parts of the page, each made of the tests that passed. */
const PARTS = { rows, revisions, frameworks, peers } as const;

/** Which parts of it a run can vouch for. */
export type Part = keyof typeof PARTS;

export class CompatibilityReporter implements Reporter {
  readonly #parts: readonly Part[];

  constructor(...parts: Part[]) {
    this.#parts = parts;
  }

  onTestRunEnd(modules: readonly TestModule[], _errors: unknown, reason: string): void {
    // A part of the tests says nothing of the whole.
    if (!WHOLE_RUNS.has(process.env['npm_lifecycle_event'] ?? '') || process.argv.some(isFilter)) return;
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    if (reason !== 'passed' || tests.length === 0) return;
    const passed = tests.filter((test) => test.result().state === 'passed');
    const page = readFileSync(PAGE, 'utf8');
    const shows = this.#parts.reduce((text, part) => withPart(text, part, PARTS[part](passed)), page);
    if (process.env['WRITE_COMPATIBILITY'] !== undefined) {
      writeFileSync(PAGE, shows);
    } else if (shows !== page) {
      console.error('docs/compatibility.md is not what these tests show: `npm run docs:compatibility` prints it anew');
      process.exitCode = 1;
    }
    const missing = this.#parts.includes('rows') ? missingRows(passed) : [];
    if (missing.length > 0) {
      console.error(`no test that passed names ${missing.join(', ')} of test/support/checklist.ts`);
      process.exitCode = 1;
    }
  }
}

const fileOf = (test: TestCase): string => relative(ROOT, test.module.moduleId);

function rowsOf(test: TestCase): readonly string[] {
  return Array.from(test.fullName.matchAll(/\[((?:[A-G]\d+[ ,]*)+)\]/g)).flatMap(([, ids = '']) => ids.split(/[ ,]+/));
}

function shown(passed: readonly TestCase[]): ReadonlyMap<string, readonly TestCase[]> {
  const byRow = new Map<string, TestCase[]>();
  for (const test of passed) for (const row of rowsOf(test)) byRow.set(row, [...(byRow.get(row) ?? []), test]);
  return byRow;
}

function missingRows(passed: readonly TestCase[]): readonly string[] {
  const byRow = shown(passed);
  const expected = CHECKLIST.flatMap(({ rows: all }) => Object.entries(all)).filter(
    ([, row]) => row.notYet === undefined,
  );
  return expected.map(([id]) => id).filter((id) => !byRow.has(id));
}

function rows(passed: readonly TestCase[]): string {
  const byRow = shown(passed);
  return CHECKLIST.map(({ title, rows: all }) => {
    const lines = Object.entries(all).map(([id, { says, notYet }]) => {
      const files = [...new Set((byRow.get(id) ?? []).map(fileOf))].toSorted();
      const where = files.map((file) => `[${file.replace(/^test\//, '').replace(/\.test\.ts$/, '')}](../${file})`);
      return `| ${id} | ${says} | ${where.join(', ') || `– (${notYet ?? 'no test'})`} |`;
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

function revisions(passed: readonly TestCase[]): string {
  const { columns, cells } = matrix(passed, 'test/scenarios/revisions.test.ts');
  return table(
    ['client', 'server', ...columns],
    PAIRS.map((pair) => {
      const line = cells.get(titleOf(pair));
      return [pair.client, pair.upstream, ...columns.map((one) => line?.get(one) ?? '–')];
    }),
  );
}

function frameworks(passed: readonly TestCase[]): string {
  const { columns, cells } = matrix(passed, 'test/scenarios/frameworks.test.ts');
  const shown = FRAMEWORKS.filter(({ name }) => cells.has(name));
  return table(
    ['', ...columns, 'what is particular'],
    shown.map(({ name, quirks }) => [name, ...columns.map((one) => cells.get(name)?.get(one) ?? '–'), quirks]),
  );
}

function peers(passed: readonly TestCase[]): string {
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

const marker = (part: Part, end: string): string => `<!-- ${part}: ${end} -->`;

/** The page with one part of it replaced. */
function withPart(page: string, part: Part, text: string): string {
  const [begin, end] = [marker(part, 'begin'), marker(part, 'end')];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to < from) throw new Error(`docs/compatibility.md has no part ${part}`);
  return `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`;
}
