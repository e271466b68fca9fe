// The load bench: peers side by side, round by round, so that each ratio compares two things of the same minute.
// bench/README.md says how to run it and how to read what it prints.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { legacyCallers, sessionCallers, sessionlessCallers, type Crew } from './callers.ts';
import { nextMessage, startChild } from './child.ts';
import { runLoad, type Shape } from './load.ts';
import { cpuUs, PEER_NAMES, startPeers, type Peer, type PeerName } from './peers.ts';
import { report, type Outcome, type Round } from './report.ts';

interface Scenario extends Shape {
  /** Large answers in flight fill memory, not time. */
  readonly maxConcurrency: number;
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  small: { size: 16, progress: 0, maxConcurrency: 256 },
  kib16: { size: 16 * 1024, progress: 0, maxConcurrency: 16 },
  mib1: { size: 1024 * 1024, progress: 0, maxConcurrency: 4 },
  progress10: { size: 16, progress: 10, maxConcurrency: 16 },
};
const WARM_UP_SECONDS = 1.5;

const { values: options } = parseArgs({
  options: {
    scenario: { type: 'string', default: 'small,kib16,mib1' },
    concurrency: { type: 'string', default: '1,32' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1.2' },
    peers: { type: 'string' },
    json: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
let broken = false;
console.log(`${rounds} interleaved rounds of ${seconds} s; median (lowest-highest)`);
// Killed or not, the gateway is not left behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const upstream = startChild('./upstream.ts');
const { port: upstreamPort } = await nextMessage<{ port: number }>(upstream);
const asked = options.peers === undefined ? undefined : named(options.peers, PEER_NAMES);
const peers = await startPeers(asked, upstreamPort);

const outcomes: Outcome[] = [];
for (const name of named(options.scenario, Object.keys(SCENARIOS))) {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) continue;
  const levels = options.concurrency.split(',').map((level) => Math.min(Number(level), scenario.maxConcurrency));
  for (const concurrency of new Set(levels)) {
    const outcome = await measure(name, scenario, concurrency);
    outcomes.push(outcome);
    report(
      outcome,
      peers.map((peer) => peer.name),
    );
  }
}
if (options.json !== undefined) {
  const machine = { node: process.version, at: new Date().toISOString(), rounds, seconds };
  writeFileSync(options.json, `${JSON.stringify({ machine, outcomes }, null, 2)}\n`);
}
for (const peer of peers) peer.stop();
upstream.disconnect();
if (broken) {
  console.error('\nthere were wrong answers: the figures mean nothing');
  process.exitCode = 1;
}

async function measure(name: string, scenario: Scenario, concurrency: number): Promise<Outcome> {
  const measured: Partial<Record<PeerName, Round[]>> = {};
  const taking = peers.filter((peer) => peer.can.has(scenario.progress === 0 ? 'sessionless' : 'progress'));
  // Round 0 is the warm-up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const peer of taking) {
      const figures = await playRound(peer, scenario, concurrency, round === 0 ? WARM_UP_SECONDS : seconds);
      broken ||= figures.wrong > 0;
      if (round > 0) (measured[peer.name] ??= []).push(figures);
    }
  }
  return { scenario: name, concurrency, rounds: measured };
}

async function playRound(peer: Peer, shape: Shape, concurrency: number, duration: number): Promise<Round> {
  let misrouted = 0;
  const crew = await openCrew(peer, concurrency, () => {
    misrouted += 1;
  });
  const processes = (): (readonly number[])[] => [peer.pids(), upstream.pid === undefined ? [] : [upstream.pid]];
  const before = processes().map(cpuUs);
  const figures = await runLoad(crew.callers, { size: shape.size, progress: shape.progress }, duration);
  const [own = NaN, upstreams = NaN] = processes().map(
    (pids, which) => (cpuUs(pids) - (before[which] ?? NaN)) / figures.rightCalls,
  );
  await crew.close();
  if (figures.wrong > 0) console.error(`${peer.name}: ${figures.reasons.join('\n')}`);
  if (misrouted > 0) console.error(`${peer.name}: ${misrouted} messages on a stream that was to stay empty`);
  return { ...figures, wrong: figures.wrong + misrouted, cpuUs: own, upstreamCpuUs: upstreams };
}

function openCrew(peer: Peer, count: number, misrouted: () => void): Promise<Crew> {
  if (peer.speaks === 'legacy') return legacyCallers(peer.port, count);
  return peer.needsSession ? sessionCallers(peer.port, count, misrouted) : sessionlessCallers(peer.port, count);
}

/** The names of a comma-separated option, each of them known. */
function named<Name extends string>(list: string, known: readonly Name[]): Name[] {
  return list.split(',').map((word) => {
    const name = known.find((each) => each === word);
    if (name === undefined) throw new Error(`"${word}" is none of ${known.join(', ')}`);
    return name;
  });
}
