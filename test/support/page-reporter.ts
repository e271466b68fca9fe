// A reporter: the pages whose tables are made of the tests that passed. A whole run holds them to that, and the tables to
// the tests; `npm run docs:compatibility` prints them anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { CHECKLIST } from './checklist.ts';
import { frameworks, peers, revisions, rows } from './compatibility.ts';
import { tellingsOf, unreached } from './reasons-told.ts';
import { ROOT, type Row, rowFaults, shownBy, strangers } from './rows.ts';
import { THREATS, threats } from './threats.ts';

/** The scripts of package.json that run everything. */
const WHOLE_RUNS = new Set(['test', 'test:long']);
const isFilter = (argument: string): boolean => /^(?:test\/|-t\b)|\.test\.ts$/.test(argument);

/** The parts of the pages, each made of the tests that passed. */
const PARTS = {
  rows: { page: 'docs/compatibility.md', print: rows },
  revisions: { page: 'docs/compatibility.md', print: revisions },
  frameworks: { page: 'docs/compatibility.md', print: frameworks },
  peers: { page: 'docs/compatibility.md', print: peers },
  threats: { page: 'SECURITY.md', print: threats },
} as const;

/** Which parts a run can vouch for. */
export type Part = keyof typeof PARTS;

/** The parts that are a table of rows, each of which needs a test. */
const TABLES: Readonly<Partial<Record<Part, { readonly file: string; readonly rows: Readonly<Record<string, Row>> }>>> =
  {
    rows: {
      file: 'test/support/checklist.ts',
      rows: Object.fromEntries(CHECKLIST.flatMap((section) => Object.entries(section.rows))),
    },
    threats: { file: 'test/support/threats.ts', rows: THREATS },
  };

export class PageReporter implements Reporter {
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
    const faults = [...this.#staleTables(passed), ...this.#unreachedReasons(passed), ...this.#stalePages(passed)];
    for (const fault of faults) {
      console.error(fault);
      process.exitCode = 1;
    }
  }

  #staleTables(passed: readonly TestCase[]): readonly string[] {
    const shown = shownBy(passed);
    const known = new Set(Object.values(TABLES).flatMap((table) => Object.keys(table.rows)));
    const faults = this.#parts.flatMap((part) => {
      const table = TABLES[part];
      return table === undefined ? [] : rowFaults(table.rows, table.file, shown);
    });
    return [...faults, ...strangers(known, shown)];
  }

  /** Of the run that has the rows: the long one is about other programs. */
  #unreachedReasons(passed: readonly TestCase[]): readonly string[] {
    if (!this.#parts.includes('rows')) return [];
    const left = unreached(tellingsOf(passed));
    return left.length === 0 ? [] : [`no test provokes ${left.join(', ')} of src/domain/errors.ts, and looks for it`];
  }

  /** Prints them anew instead, where that is asked for. */
  #stalePages(passed: readonly TestCase[]): readonly string[] {
    const pages = new Set(this.#parts.map((part) => PARTS[part].page));
    return [...pages].flatMap((page) => {
      const text = readFileSync(join(ROOT, page), 'utf8');
      const own = this.#parts.filter((part) => PARTS[part].page === page);
      const shows = own.reduce((all, part) => withPart(all, page, part, PARTS[part].print(passed)), text);
      if (shows === text) return [];
      if (process.env['WRITE_COMPATIBILITY'] === undefined) {
        return [`${page} is not what these tests show: \`npm run docs:compatibility\` prints it anew`];
      }
      writeFileSync(join(ROOT, page), shows);
      return [];
    });
  }
}

const marker = (part: Part, end: string): string => `<!-- ${part}: ${end} -->`;

/** The page with one part of it replaced. */
function withPart(page: string, file: string, part: Part, text: string): string {
  const [begin, end] = [marker(part, 'begin'), marker(part, 'end')];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to < from) throw new Error(`${file} has no part ${part}`);
  return `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`;
}
