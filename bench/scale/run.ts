// Measures the unit costs of the model, and whether two and three replicas cost what it makes of them. docs/scaling.md is printed
// from its JSON (bench/scale/measured.json); bench/README.md says how to run it.
import { writeFileSync } from 'node:fs';
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
import type { Figures } from './figures.ts';
import { measureSessions } from './sessions.ts';
import { measureStore } from './store.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    sessions: { type: 'string', default: '1000' },
    json: { type: 'string' },
  },
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const missing = causewayMissing() ?? redisMissing();
if (missing !== undefined) throw new Error(missing);
process.exitCode = await run();

async function run(): Promise<number> {
  const upstream = startChild('./upstream.ts');
  const { port: upstreamPort } = await nextMessage<{ port: number }>(upstream);
  const load = await LoadClient.start();
  const bench: Bench = {
    load,
    upstreamPid: upstream.pid ?? 0,
    upstreamPort,
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    sessions: Number(values.sessions),
    others: [],
  };
  try {
    const figures = await measureAll(bench);
    console.log(reportText(figures));
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
    const { others } = figures.machine;
    if (others <= MAX_OTHERS) return 0;
    console.error(`TOO NOISY: others used ${digits(others * 100)} % of the machine`);
    return 1;
  } finally {
    load.stop();
    upstream.disconnect();
  }
}

async function measureAll(bench: Bench): Promise<Figures> {
  const calls = await measureCalls(bench);
  const sessions = await measureSessions(bench);
  const store = await measureStore(bench);
  const of = <K extends string>(rounds: readonly Readonly<Record<K, number>>[], name: K): Spread =>
    spread(rounds.map((round) => round[name]));
  return {
    machine: {
      node: process.version,
      processor: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
      at: new Date().toISOString(),
      rounds: bench.rounds,
      seconds: bench.seconds,
      sessions: bench.sessions,
      others: spread(bench.others).median,
    },
    costs: {
      callUs: of(calls.costs, 'callUs'),
      hoppedUs: of(calls.costs, 'hoppedUs'),
      hopUs: of(calls.costs, 'hopUs'),
      openUs: of(calls.costs, 'openUs'),
      keepUs: of(sessions.costs, 'keepUs'),
      processBytes: of(sessions.costs, 'processBytes'),
      sessionBytes: of(sessions.costs, 'sessionBytes'),
      hopStreamBytes: of(sessions.costs, 'hopStreamBytes'),
      processDescriptors: of(sessions.costs, 'processDescriptors'),
      sessionDescriptors: of(sessions.costs, 'sessionDescriptors'),
      hopStreamDescriptors: of(sessions.costs, 'hopStreamDescriptors'),
      store: {
        openUs: of(store.costs, 'openUs'),
        eventUs: of(store.costs, 'eventUs'),
        redisOpenUs: of(store.costs, 'redisOpenUs'),
        redisEventUs: of(store.costs, 'redisEventUs'),
        openOperations: of(store.costs, 'openOperations'),
        eventOperations: of(store.costs, 'eventOperations'),
        takeOverOperations: of(store.costs, 'takeOverOperations'),
        sessionBytes: of(store.costs, 'sessionBytes'),
      },
    },
    takeOverMs: spread(store.takeOverMs),
    checks: [...calls.checks, ...sessions.checks],
  };
}

function reportText({ machine, costs: { store, ...costs }, takeOverMs, checks }: Figures): string {
  const rows = (of: Readonly<Record<string, Spread>>, prefix = ''): string[][] =>
    Object.entries(of).map(([name, figure]) => [prefix + name, show(figure)]);
  return [
    `Node ${machine.node}, ${machine.processor}; ${machine.rounds} rounds of ${machine.seconds} s, ${machine.sessions} idle sessions`,
    table(['cost', 'measured'], [...rows(costs), ...rows(store, 'store.'), ...rows({ takeOverMs })]),
    table(
      ['what', 'replicas', 'predicted', 'measured', 'error'],
      checks.map(({ what, replicas, predicted, measured, error }) => [
        what,
        String(replicas),
        show(predicted),
        show(measured),
        percent(error),
      ]),
    ),
  ].join('\n\n');
}

function percent({ median, low, high }: Spread): string {
  const text = (share: number): string => `${share < 0 ? '−' : '+'}${digits(Math.abs(share) * 100)} %`;
  return `${text(median)} (${text(low)} to ${text(high)})`;
}
