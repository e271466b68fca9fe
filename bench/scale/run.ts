// Measures the unit costs of the model, and whether two and three replicas cost what it makes of them. docs/scaling.md is printed
// from its JSON (bench/scale/measured.json); bench/README.md says how to run it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { nextMessage, startChild } from '../child.ts';
import { LoadClient } from '../load-client.ts';
import { MAX_OTHERS } from '../noise.ts';
import { causewayMissing } from '../peers/causeway.ts';
import { redisMissing } from '../peers/redis.ts';
import { digits, show, spread, table, type Spread } from '../stats.ts';
import type { Bench } from './bench.ts';
import { measureCalls } from './calls.ts';
import { measured, PARTS, type Check, type Figures, type PartName } from './figures.ts';
import { measureSessions } from './sessions.ts';
import { measureStore } from './store.ts';

const { values } = parseArgs({
  options: {
    parts: { type: 'string', default: PARTS.join(',') },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    sessions: { type: 'string', default: '2000' },
    json: { type: 'string' },
  },
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

function partsOf(list: string): readonly PartName[] {
  return list.split(',').map((word) => {
    const part = PARTS.find((name) => name === word);
    if (part === undefined) throw new Error(`"${word}" is no part: ${PARTS.join(', ')}`);
    return part;
  });
}

async function run(parts: readonly PartName[]): Promise<number> {
  const upstream = startChild('./upstream.ts');
  const { port: upstreamPort } = await nextMessage<{ port: number }>(upstream);
  const load = await LoadClient.start();
  const asked = { rounds: Number(values.rounds), seconds: Number(values.seconds), sessions: Number(values.sessions) };
  const bench = { load, upstreamPid: upstream.pid ?? 0, upstreamPort, ...asked };
  try {
    let exitCode = 0;
    for (const part of parts) {
      const figures = await measurePart(part, { ...bench, others: [] });
      console.log(`\n${reportText(part, figures)}`);
      if (values.json !== undefined) addTo(values.json, part, figures);
      if (figures.others === null || figures.others <= MAX_OTHERS) continue;
      console.error(`TOO NOISY: others used ${digits(figures.others * 100)} % of the machine`);
      exitCode = 1;
    }
    return exitCode;
  } finally {
    load.stop();
    upstream.disconnect();
  }
}

interface Part extends Found {
  readonly at: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly others: number | null;
}

async function measurePart(name: PartName, bench: Bench): Promise<Part> {
  const found = await MEASURES[name](bench);
  const { rounds, seconds, others } = bench;
  return {
    at: new Date().toISOString(),
    rounds,
    seconds,
    others: others.length === 0 ? null : spread(others).median,
    ...found,
  };
}

interface Found {
  readonly costs: Readonly<Record<string, Spread>>;
  readonly saturated?: Readonly<Record<string, Spread>>;
  readonly takeOverMs?: Spread;
  readonly checks: readonly Check[];
}

const MEASURES: Readonly<Record<PartName, (bench: Bench) => Promise<Found>>> = {
  async calls(bench) {
    const { costs, saturated, checks } = await measureCalls(bench);
    return { costs: measured(costs), saturated: measured(saturated), checks };
  },
  async sessions(bench) {
    const { costs, checks } = await measureSessions(bench);
    return { costs: measured(costs), checks };
  },
  async store(bench) {
    const { costs, takeOverMs } = await measureStore(bench);
    return { costs: measured(costs), takeOverMs: spread(takeOverMs), checks: [] };
  },
};

/** The other parts stay as they were measured before. */
function addTo(file: string, name: PartName, part: Part): void {
  const before: Partial<Figures> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const processor = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
  const figures = { ...before, node: process.version, processor, [name]: part };
  writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
}

function reportText(name: PartName, part: Part): string {
  const rows = (of: Readonly<Record<string, Spread>>): string[][] =>
    Object.entries(of).map(([cost, figure]) => [cost, show(figure)]);
  const { saturated = {}, takeOverMs } = part;
  const more = [
    ...rows(saturated).map(([cost = '', figure = '']) => [`${cost}, saturated`, figure]),
    ...(takeOverMs === undefined ? [] : rows({ takeOverMs })),
  ];
  return [
    `## ${name}: ${part.rounds} rounds of ${part.seconds} s, others used ${digits((part.others ?? Number.NaN) * 100)} % of the machine`,
    table(['cost', 'measured'], [...rows(part.costs), ...more]),
    ...(part.checks.length === 0 ? [] : [checkTable(part.checks)]),
  ].join('\n\n');
}

function checkTable(checks: readonly Check[]): string {
  return table(
    ['what', 'replicas', 'predicted', 'measured', 'error'],
    checks.map(({ what, replicas, predicted, measured: found, error }) => [
      what,
      String(replicas),
      show(predicted),
      show(found),
      percent(error),
    ]),
  );
}

function percent({ median, low, high }: Spread): string {
  const text = (share: number): string => `${share < 0 ? '−' : '+'}${digits(Math.abs(share) * 100)} %`;
  return `${text(median)} (${text(low)} to ${text(high)})`;
}

const missing = causewayMissing() ?? redisMissing();
if (missing !== undefined) throw new Error(missing);
process.exitCode = await run(partsOf(values.parts));
