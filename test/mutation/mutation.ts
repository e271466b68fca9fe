// Takes the guards out, one after the other, and sees whether somebody notices: in copies of the tree, never in the tree
// itself. A guard is shown to be guarded when its tests pass with it and one of them fails without it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, rowsIn } from '../support/rows.ts';
import type { Mutant } from './mutants.ts';

export interface Verdict {
  readonly mutant: Mutant;
  /** `killed`: as it should be. Everything else says what is wrong. */
  readonly outcome: string;
  /** What the test that failed has said. */
  readonly said: string;
  readonly seconds: number;
}

export const KILLED = 'killed';

const COPIED = [
  'src',
  'test',
  'bench',
  'config',
  'docs',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'vitest.config.ts',
];
/** More would take the processor from each other, and tests that wait would fail for that. */
const AT_ONCE = 2;
const RUN_MS = 180_000;
/** Without its guard many a test waits for what never comes. With it, none of them takes so long. */
const TEST_MS = 8000;

interface Test {
  readonly file: string;
  readonly title: string;
  readonly status: string;
  readonly said: string;
}

/** The tree, with packages of its own that are links to ours: what tools keep beside them stays in the copy. */
class Copy {
  readonly #root = mkdtempSync(join(tmpdir(), 'causeway-mutation-'));
  #runs = 0;

  constructor() {
    for (const name of COPIED) {
      const filter = (path: string): boolean => !path.endsWith('node_modules');
      cpSync(join(ROOT, name), join(this.#root, name), { recursive: true, filter });
    }
    mkdirSync(join(this.#root, 'node_modules'));
    for (const name of readdirSync(join(ROOT, 'node_modules'))) {
      if (name.startsWith('.vite')) continue;
      symlinkSync(join(ROOT, 'node_modules', name), join(this.#root, 'node_modules', name));
    }
  }

  /** Without the guard while `act` runs. */
  async without<T>({ file, text, becomes }: Mutant, act: () => Promise<T>): Promise<T> {
    const path = join(this.#root, file);
    const source = readFileSync(path, 'utf8');
    const [before, after, ...more] = source.split(text);
    if (before === undefined || after === undefined || more.length > 0) {
      throw new Error(`${file} holds this text ${source.split(text).length - 1} times, not once: ${text}`);
    }
    writeFileSync(path, before + becomes + after);
    try {
      return await act();
    } finally {
      writeFileSync(path, source);
    }
  }

  /** A mutant is no program that types approve of. */
  async build(): Promise<void> {
    await this.#node(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--noCheck']);
  }

  /** The tests that ran; null where they could not, or did not come to their end. */
  async run(
    files: readonly string[],
    titles: readonly string[],
    ...more: readonly string[]
  ): Promise<readonly Test[] | null> {
    const report = join(this.#root, `report-${this.#runs++}.json`);
    const pattern = titles.map((title) => title.split(PLACEHOLDER).map(escaped).join('.*')).join('|');
    const how = ['--reporter=json', `--outputFile=${report}`, `--testTimeout=${TEST_MS}`, ...more];
    const isOver = await this.#node(['node_modules/vitest/vitest.mjs', 'run', ...files, '-t', pattern, ...how]);
    return isOver ? testsIn(report) : null;
  }

  remove(): void {
    rmSync(this.#root, { recursive: true });
  }

  /** False: it was given up. */
  async #node(args: readonly string[]): Promise<boolean> {
    // Of a run that this one may be a part of nothing is handed on.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^VITEST|^NODE_(?:ENV|OPTIONS)$|^CI$/.test(name)),
    );
    const child = spawn(process.execPath, args, {
      cwd: this.#root,
      env: { ...env, npm_lifecycle_event: 'test:mutation' },
      stdio: 'ignore',
    });
    const late = setTimeout(() => child.kill('SIGKILL'), RUN_MS);
    const [code] = (await once(child, 'exit')) as [number | null];
    clearTimeout(late);
    return code !== null;
  }
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** What a title that is written once for many tests leaves open. */
const PLACEHOLDER = /%[sdij]/;

function testsIn(report: string): readonly Test[] | null {
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
    return testResults.flatMap(({ name: file, assertionResults }) =>
      assertionResults.map(({ fullName: title, status, failureMessages: [said = ''] }) => {
        return { file, title, status, said: said.split('\n', 1)[0] ?? '' };
      }),
    );
  } catch {
    return null;
  }
}

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

function isNamed({ test: of, named }: Mutant, { file, title }: Test): boolean {
  return file.endsWith(`/${of}`) && named.split(PLACEHOLDER).every((part) => title.includes(part));
}

/** What is wrong with the tests of a mutant while nothing is taken out; null if nothing is. */
function faultOf(mutant: Mutant, tests: readonly Test[]): string | null {
  const own = tests.filter((test) => isNamed(mutant, test) && test.status !== 'skipped' && test.status !== 'pending');
  if (own.length === 0) return 'its test did not run';
  if (own.some(({ status }) => status !== 'passed')) return 'its test fails with the guard in place';
  return own.some(({ title }) => rowsIn(title).includes(mutant.row)) ? null : `its test does not name ${mutant.row}`;
}

async function judge(copy: Copy, mutant: Mutant): Promise<Pick<Verdict, 'outcome' | 'said'>> {
  const tests = await copy.without(mutant, async () => {
    if (mutant.isBuilt === true) await copy.build();
    return copy.run([mutant.test], [mutant.named], '--bail=1', '--maxWorkers=1');
  });
  if (tests === null) return { outcome: 'it does not come to an end', said: '' };
  if (tests.length === 0) return { outcome: 'it does not run at all', said: '' };
  const failed = tests.find((test) => isNamed(mutant, test) && test.status === 'failed');
  return failed === undefined ? { outcome: 'survived', said: '' } : { outcome: KILLED, said: failed.said };
}

/** In the order of the table. */
export async function testMutants(
  mutants: readonly Mutant[],
  onVerdict: (verdict: Verdict) => void = () => {},
): Promise<readonly Verdict[]> {
  const copies = Array.from({ length: AT_ONCE }, () => new Copy());
  try {
    const [first] = copies;
    if (first === undefined) return [];
    if (mutants.some(({ isBuilt }) => isBuilt === true)) await first.build();
    const unchanged = await first.run(
      [...new Set(mutants.map(({ test }) => test))],
      mutants.map(({ named }) => named),
    );
    const verdicts: Verdict[] = [];
    let next = 0;
    const worker = async (copy: Copy): Promise<void> => {
      for (let index = next++; index < mutants.length; index = next++) {
        const mutant = mutants[index];
        if (mutant === undefined) return;
        const startedAt = performance.now();
        const fault = faultOf(mutant, unchanged ?? []);
        // oxlint-disable-next-line no-await-in-loop -- one after the other in each copy
        const judged = fault === null ? await judge(copy, mutant) : { outcome: fault, said: '' };
        const verdict = { mutant, ...judged, seconds: (performance.now() - startedAt) / 1000 };
        verdicts[index] = verdict;
        onVerdict(verdict);
      }
    };
    await Promise.all(copies.map(worker));
    return verdicts;
  } finally {
    for (const copy of copies) copy.remove();
  }
}
