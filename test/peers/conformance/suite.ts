// One run of the official conformance suite against one URL. What it says is read three times over, from its exit code, its
// summary and the files it writes; where the three differ we have misunderstood it, and the run counts for nothing.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { peerFile } from '../support/packages.ts';
import { WatchedChild } from '../../support/watched-child.ts';

export interface ScenarioOutcome {
  readonly scenario: string;
  /** How many checks of its own succeeded. A scenario can pass with none, when it finds nothing that it could check. */
  readonly successes: number;
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
}

/** More than the slowest scenario takes when nothing is answered: it reads one stream for 10 s and another for 5 s. */
const scenarioTimeoutMs = 20_000;
const runTimeoutMs = 180_000;

/** Goes with every scenario that had an answer, whatever that was. */
const formOfMessages = 'wire-schema-valid';

const check = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  errorMessage: z.string().optional(),
});

type Check = z.infer<typeof check>;

export async function runSuite(url: string, revision: string): Promise<readonly ScenarioOutcome[]> {
  const script = peerFile('@modelcontextprotocol/conformance', 'dist/index.js');
  const directory = mkdtempSync(join(tmpdir(), 'causeway-conformance-'));
  const what = ['server', '--url', url, '--suite', 'all', '--spec-version', revision];
  const how = ['--timeout', String(scenarioTimeoutMs), '--output-dir', directory];
  const child = new WatchedChild({ name: `conformance suite ${revision}`, args: [script, ...what, ...how] });
  try {
    const { code } = await child.printed(({ end }) => end, 'end', runTimeoutMs);
    const outcomes = summaryIn(child.stdout).map((line) => outcomeOf(line, directory));
    const failed = outcomes.some(({ failures }) => failures.length > 0);
    if (outcomes.length === 0 || code !== Number(failed)) {
      throw new Error(`${child.name} ended with ${code} and said:\n${child.stdout}\n${child.stderr}`);
    }
    return outcomes;
  } finally {
    await child.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

interface SummaryLine {
  readonly scenario: string;
  readonly passed: number;
  readonly failed: number;
}

/** The lines `✓ ping: 2 passed, 0 failed` at the end. */
function summaryIn(stdout: string): readonly SummaryLine[] {
  const summary = stdout.slice(stdout.lastIndexOf('=== SUMMARY ==='));
  const lines = summary.matchAll(/^[✓✗] (\S+): (\d+) passed, (\d+) failed$/gm);
  return Array.from(lines, ([, scenario = '', passed, failed]) => ({
    scenario,
    passed: Number(passed),
    failed: Number(failed),
  }));
}

function outcomeOf({ scenario, passed, failed }: SummaryLine, directory: string): ScenarioOutcome {
  const checks = checksOf(scenario, directory);
  // A scenario that the suite could not run has one failure in the summary, and no file.
  if (checks === undefined) return { scenario, successes: 0, failures: ['could not be run'], warnings: [] };
  const successes = withStatus(checks, 'SUCCESS').length;
  const failures = withStatus(checks, 'FAILURE');
  if (successes !== passed || failures.length !== failed) {
    throw new Error(
      `${scenario}: the summary says ${passed} and ${failed}, the file ${successes} and ${failures.length}`,
    );
  }
  const own = checks.filter(({ id }) => id !== formOfMessages);
  return { scenario, successes: withStatus(own, 'SUCCESS').length, failures, warnings: withStatus(checks, 'WARNING') };
}

/** From `server-<scenario>-<time>/checks.json`. */
function checksOf(scenario: string, directory: string): readonly Check[] | undefined {
  const own = readdirSync(directory).find(
    (name) => /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name)?.[1] === scenario,
  );
  const file = own === undefined ? undefined : join(directory, own, 'checks.json');
  if (file === undefined || !existsSync(file)) return undefined;
  return z.array(check).parse(JSON.parse(readFileSync(file, 'utf8')));
}

function withStatus(checks: readonly Check[], status: string): readonly string[] {
  return checks
    .filter((each) => each.status === status)
    .map(({ name, errorMessage }) => (errorMessage === undefined ? name : `${name}: ${errorMessage}`));
}
