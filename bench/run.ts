// The load bench: peers side by side, round by round, so that each ratio compares two things of the same minute.
// bench/README.md says how to run it and how to read what it prints.
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { chart } from './chart.ts';
import { nextMessage, startChild } from './child.ts';
import { conclude, wrongRows, type Conclusion } from './conclusion.ts';
import { LoadClient } from './load-client.ts';
import { measure, type Bench } from './measure.ts';
import { noiseLine, noiseOf } from './noise.ts';
import { HELP, UsageError, readOptions, type Options } from './options.ts';
import type { Outcome } from './outcome.ts';
import { startPeers, type Peer, type PeerName } from './peers.ts';
import { reasonsOf, reportText } from './report.ts';
import { scenarioOf, takesPart, type ScenarioName } from './scenarios.ts';
import { targetTable } from './targets.ts';

// Killed or not, no child is left behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(HELP);
  else process.exitCode = await bench(options);
} catch (error) {
  console.error(error instanceof UsageError ? `bench: ${error.message}` : error);
  process.exitCode = 1;
}

async function bench(options: Options): Promise<number> {
  const { rounds, seconds } = options;
  const startedAt = performance.now();
  const processor = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
  console.log(`Node ${process.version}, ${processor}, load average ${loadavg()[0]?.toFixed(2)}`);
  console.log(`${rounds} interleaved rounds of ${seconds} s; median (lowest-highest)`);

  const upstream = startChild('./upstream.ts');
  const { port: upstreamPort } = await nextMessage<{ port: number }>(upstream);
  const load = await LoadClient.start();
  const peers = await start(options, upstreamPort);
  try {
    const outcomes = await measureAll(options, {
      ...options,
      load,
      upstreamPid: upstream.pid ?? 0,
      peers,
      another: (name) => startOne(name, upstreamPort),
    });
    const conclusion = conclude(outcomes, options);
    if (conclusion.judged.length > 0) {
      console.log(`\n## Targets\n\n${targetTable(conclusion.judged, conclusion.reportable)}`);
    }
    console.log(`\n${conclusion.lines.join('\n')}`);
    console.log(`\n${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes`);
    writeFiles(options, conclusion, processor);
    return conclusion.exitCode;
  } finally {
    for (const peer of peers) peer.stop();
    load.stop();
    upstream.disconnect();
  }
}

/** Only those that something is measured of. */
async function start({ peers: asked, scenarios }: Options, upstreamPort: number): Promise<Peer[]> {
  const started = await startPeers(asked, upstreamPort).catch((error: unknown) => {
    throw new UsageError(`no report: ${error instanceof Error ? error.message : String(error)}`);
  });
  const [taking, idle] = [true, false].map((wanted) =>
    started.filter((peer) => scenarios.some((name) => isIn(peer, name)) === wanted),
  ) as [Peer[], Peer[]];
  for (const peer of idle) {
    peer.stop();
    console.log(`${peer.name} takes part in none of ${scenarios.join(', ')}`);
  }
  return taking;
}

async function startOne(name: PeerName, upstreamPort: number): Promise<Peer> {
  const [peer] = await startPeers([name], upstreamPort);
  if (peer === undefined) throw new Error(`${name} did not start again`);
  return peer;
}

function isIn(peer: Peer, name: ScenarioName): boolean {
  return scenarioOf(name).variants.some((variant) => takesPart(peer, variant));
}

async function measureAll(options: Options, bench: Bench): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const name of options.scenarios) {
    if (!bench.peers.some((peer) => isIn(peer, name))) {
      console.log(`\nnobody takes part in ${name}`);
      continue;
    }
    let outcome = await measure(bench, scenarioOf(name));
    if (noiseOf(outcome).isTooNoisy && options.again && wrongRows(outcome).length === 0) {
      console.log(`\n${noiseLine(noiseOf(outcome))}; once more`);
      outcome = await measure(bench, scenarioOf(name));
    }
    outcomes.push(outcome);
    const wrong = wrongRows(outcome);
    const noise = noiseOf(outcome);
    if (wrong.length > 0) {
      console.error(`\n${reasonsOf(outcome).join('\n')}`);
      // Nothing that follows could be reported.
      return outcomes;
    }
    if (!noise.isTooNoisy || options.acceptNoise) console.log(`\n${reportText(outcome)}`);
    console.log(`\n${noiseLine(noise)}`);
  }
  return outcomes;
}

function writeFiles(
  { json, chart: svg, rounds, seconds }: Options,
  { reportable, judged }: Conclusion,
  processor: string,
): void {
  if (reportable.length === 0) return;
  const machine = { node: process.version, processor, at: new Date().toISOString(), rounds, seconds };
  const targets = judged.map(({ target: { what, must, goal, better }, figure, verdict }) => ({
    what,
    must,
    goal,
    better,
    figure,
    verdict,
  }));
  if (json !== undefined) {
    writeFileSync(json, `${JSON.stringify({ machine, targets, outcomes: reportable }, null, 2)}\n`);
  }
  if (svg !== undefined) {
    const foot = `Medians and ranges of ${rounds} rounds. Node ${process.version}; ${cpus().length} cores, shared by load, gateway and server.`;
    writeFileSync(svg, chart(reportable, foot));
  }
}
