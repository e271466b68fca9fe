// What idle sessions with their GET streams take: memory, descriptors and the CPU of keeping them. Each figure wants processes
// that have not had others, so there are fewer rounds of it.
import { setTimeout as passed } from 'node:timers/promises';
import { cpuUs, rssBytes } from '../peers.ts';
import { startReplicas, type Replica } from '../peers/replicas.ts';
import { descriptorsOf, pidsOf, routed, stopAll, warmUp, type Bench } from './bench.ts';
import { check, type Check } from './figures.ts';
import { hopsPerRequest, sessionBytes, sessionDescriptors, type SessionCosts } from './model.ts';

export interface SessionFigures {
  readonly costs: readonly SessionCosts[];
  readonly checks: readonly Check[];
}

const ROUNDS = 3;
const WARM_UP_SESSIONS = 8;
/** What is garbage by now has mostly been collected. */
const SETTLE_MS = 700;
/** Between two comments on an idle stream (`heartbeat`). */
const HEARTBEAT_MS = 15_000;
const COUNTS = [2, 3];

export async function measureSessions(bench: Bench): Promise<SessionFigures> {
  const costs: SessionCosts[] = [];
  const grown: Growth[][] = [];
  for (let round = 0; round < Math.min(ROUNDS, bench.rounds); round += 1) {
    costs.push(await costsOfOne(bench));
    const together: Growth[] = [];
    for (const count of COUNTS)
      together.push(await withReplicas(bench, count, (all) => fill(bench, all, { homes: all, via: all, whose: all })));
    grown.push(together);
  }
  const checks = COUNTS.flatMap((replicas, index) => {
    const share = hopsPerRequest(replicas);
    const of = (figure: 'bytes' | 'descriptors'): number[] => grown.map((round) => round[index]?.[figure] ?? NaN);
    return [
      check(
        'memory a session with its stream, KiB',
        replicas,
        costs.map((cost) => sessionBytes(cost, share) / 1024),
        of('bytes').map((bytes) => bytes / 1024),
      ),
      check(
        'descriptors a session with its stream',
        replicas,
        costs.map((cost) => sessionDescriptors(cost, share)),
        of('descriptors'),
      ),
    ];
  });
  return { costs, checks };
}

async function costsOfOne(bench: Bench): Promise<SessionCosts> {
  const alone = await withReplicas(bench, 1, (one) =>
    fill(bench, one, { homes: one, via: one, whose: one, isKept: true }),
  );
  const passing = await withReplicas(bench, 2, (both) =>
    fill(bench, both, { homes: both.slice(0, 1), via: both.slice(1), whose: both.slice(1) }),
  );
  return {
    processBytes: alone.baseBytes,
    sessionBytes: alone.bytes,
    hopStreamBytes: passing.bytes,
    processDescriptors: alone.baseDescriptors,
    sessionDescriptors: alone.descriptors,
    hopStreamDescriptors: passing.descriptors,
    keepUs: alone.keepUs,
  };
}

async function withReplicas<T>(
  { upstreamPort }: Bench,
  count: number,
  use: (replicas: readonly Replica[]) => Promise<T>,
): Promise<T> {
  const replicas = await startReplicas(upstreamPort, { count });
  try {
    return await use(replicas);
  } finally {
    stopAll(replicas);
  }
}

/** A session. */
interface Growth {
  readonly baseBytes: number;
  readonly baseDescriptors: number;
  readonly bytes: number;
  readonly descriptors: number;
  /** CPU a second; not measured where it was not asked for. */
  readonly keepUs: number;
}

interface Filling {
  readonly homes: readonly Replica[];
  readonly via: readonly Replica[];
  /** Whose growth is told. */
  readonly whose: readonly Replica[];
  readonly isKept?: boolean;
}

/** The first fill of processes that have served calls, as in `idle` of the load bench. */
async function fill(
  bench: Bench,
  replicas: readonly Replica[],
  { homes, via, whose, isKept = false }: Filling,
): Promise<Growth> {
  const { load } = bench;
  // Each has as many as one that is alone: what a process takes once is not what a session costs.
  const sessions = bench.sessions * homes.length;
  const peer = routed(replicas, { homes, via });
  const { port, path } = peer;
  const opening = { port, path, homes: peer.homes ?? [], via: peer.via ?? [], way: 'idle' } as const;
  await load.open({ ...opening, count: WARM_UP_SESSIONS });
  await load.close();
  await warmUp(bench, replicas, peer);
  await passed(SETTLE_MS);
  const [baseBytes, baseDescriptors] = [rssBytes(pidsOf(whose)), descriptorsOf(whose)];
  await load.open({ ...opening, count: sessions });
  await passed(SETTLE_MS);
  const [bytes, descriptors] = [rssBytes(pidsOf(whose)), descriptorsOf(whose)];
  const before = cpuUs(pidsOf(whose));
  if (isKept) await passed(HEARTBEAT_MS);
  const spentUs = cpuUs(pidsOf(whose)) - before;
  await load.close();
  return {
    baseBytes,
    baseDescriptors,
    bytes: (bytes - baseBytes) / sessions,
    descriptors: (descriptors - baseDescriptors) / sessions,
    keepUs: isKept ? spentUs / sessions / (HEARTBEAT_MS / 1000) : Number.NaN,
  };
}
