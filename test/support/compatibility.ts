// A reporter: which rows of the checklist the tests that passed have shown, and what the real clients and servers did.
// A whole run holds docs/compatibility.md to that; `npm run docs:compatibility` prints it anew.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { CHECKLIST } from './checklist.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'docs/compatibility.md');

/** The scripts of package.json that run everything. */
const WHOLE_RUNS = new Set(['test', 'test:long']);
const isFilter = (argument: string): boolean => /^(?:test\/|-t\b)|\.test\.ts$/.test(argument);

/** Which part of the page a run can vouch for. */
export type Part = 'rows' | 'peers';

export class CompatibilityReporter implements Reporter {
  readonly #part: Part;

  constructor(part: Part) {
    this.#part = part;
  }

  onTestRunEnd(modules: readonly TestModule[], _errors: unknown, reason: string): void {
    // A part of the tests says nothing of the whole.
    if (!WHOLE_RUNS.has(process.env['npm_lifecycle_event'] ?? '') || process.argv.some(isFilter)) return;
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    if (reason !== 'passed' || tests.length === 0) return;
    const passed = tests.filter((test) => test.result().state === 'passed');
    const text = this.#part === 'rows' ? rows(passed) : peers(passed);
    if (process.env['WRITE_COMPATIBILITY'] !== undefined) {
      writeFileSync(PAGE, withPart(this.#part, text));
    } else if (!existsSync(PAGE) || withPart(this.#part, text) !== readFileSync(PAGE, 'utf8')) {
      console.error('docs/compatibility.md is not what these tests show: `npm run docs:compatibility` prints it anew');
      process.exitCode = 1;
    }
    const missing = this.#part === 'rows' ? missingRows(passed) : [];
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
function withPart(part: Part, text: string): string {
  const page = readFileSync(PAGE, 'utf8');
  const [begin, end] = [marker(part, 'begin'), marker(part, 'end')];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to < from) throw new Error(`docs/compatibility.md has no part ${part}`);
  return `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`;
}
