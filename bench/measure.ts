// The rounds: in each of them every peer has its turn, so that each ratio compares two things of the same minute.
import { setTimeout as passed } from 'node:timers/promises';
import type { Target } from './doors.ts';
import type { LoadClient } from './load-client.ts';
import type { Shape } from './load-messages.ts';
import { CORES, busyUs, forgetPeak, peakBytes } from './machine.ts';
import type { Outcome, Round, Row } from './outcome.ts';
import { cpuUs, rssBytes, type Peer, type PeerName } from './peers.ts';
import { FEW_IDLE_SESSIONS, takesPart, wayOf, type Scenario, type Variant } from './scenarios.ts';

export interface Bench {
  readonly load: LoadClient;
  readonly upstreamPid: number;
  readonly peers: readonly Peer[];
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly idleSessions: number;
  readonly rate: number | undefined;
  /** Another process of the same peer, for what only a fresh one can tell. */
  readonly another: (name: PeerName) => Promise<Peer>;
}

const MIB = 1024 * 1024;
const SMALL: Shape = { size: 16, progress: 0, payload: 0 };
/** The share of the floor's own rate that an open loop asks of everybody. */
const RATE_SHARE = 0.4;
const MAX_IDLE_ROUNDS = 3;
const WARM_UP_SESSIONS = 8;
/** What is garbage by now has mostly been collected, and buffers have been given back. */
const SETTLE_MS = 700;

export async function measure(bench: Bench, scenario: Scenario): Promise<Outcome> {
  const { name, title, kind, variants } = scenario;
  const baseline = variants.find(({ isBaseline }) => isBaseline === true)?.name;
  const about = { scenario: name, title, ...(baseline !== undefined && { baseline }) };
  if (kind === 'idle') return { ...about, rows: await measureIdle(bench, scenario) };
  if (kind === 'open-loop') {
    const rate = bench.rate ?? (await openLoopRate(bench, scenario));
    return { ...about, rate, rows: await measureLoad(bench, scenario, bench.peers, rate) };
  }
  if (scenario.isFresh !== true) return { ...about, rows: await measureLoad(bench, scenario, bench.peers) };
  const fresh = await Promise.all(taking(bench, scenario).map((peer) => bench.another(peer.name)));
  try {
    return { ...about, rows: await measureLoad(bench, scenario, fresh) };
  } finally {
    for (const peer of fresh) peer.stop();
  }
}

function taking({ peers }: Bench, { variants }: Scenario): Peer[] {
  return peers.filter((peer) => variants.some((variant) => takesPart(peer, variant)));
}

async function measureLoad(bench: Bench, scenario: Scenario, peers: readonly Peer[], rate?: number): Promise<Row[]> {
  const turns = scenario.variants.flatMap((variant) =>
    peers
      .filter((peer) => takesPart(peer, variant))
      .map((peer) => ({ peer, variant, rounds: new Array<Round>(), base: Number.NaN })),
  );
  for (const turn of turns) {
    if (scenario.isFresh === true) await play(bench, turn.peer, { ...turn.variant, shape: SMALL }, 0.3);
    turn.base = rssBytes(turn.peer.pids());
  }
  // Round 0 is the warm-up.
  for (let round = 0; round <= bench.rounds; round += 1) {
    const seconds = round === 0 ? bench.warmUpSeconds : bench.seconds;
    // Every other round the other way round: nobody always follows the same neighbour.
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
      const figures = await play(bench, turn.peer, turn.variant, seconds, rate, scenario.isFresh ? turn.base : NaN);
      if (round > 0 || figures.wrong > 0) turn.rounds.push(figures);
    }
  }
  return turns.map(({ peer, variant, rounds }) => ({ peer: peer.name, variant: variant.name, rounds }));
}

/** One turn of one peer. */
export async function play(
  { load, upstreamPid }: Pick<Bench, 'load' | 'upstreamPid'>,
  peer: Peer,
  variant: Variant,
  seconds: number,
  rate?: number,
  base = Number.NaN,
): Promise<Round> {
  const { shape, inFlight, outage } = variant;
  try {
    await load.open({ ...targetOf(peer, variant), way: wayOf(peer, variant), count: inFlight });
  } catch (error) {
    return notOpened(error);
  }
  if (outage !== undefined) peer.store?.leave(outage);
  const pids = peer.pids();
  const remembersPeak = !Number.isNaN(base) && pids.length > 0;
  if (remembersPeak) forgetPeak(pids);
  const apart = peer.apart?.() ?? [];
  const [before, apartBefore] = [usage(pids, upstreamPid, load.pid), cpuUs(apart)];
  const figures = await load.run({ shape, seconds, ...(rate !== undefined && { rate }) });
  const [after, apartAfter] = [usage(pids, upstreamPid, load.pid), cpuUs(apart)];
  const peak = remembersPeak ? peakBytes(pids) : Number.NaN;
  if (outage !== undefined) await peer.store?.comeBack(outage);
  await load.close();
  const own = after.own - before.own;
  const mib = (figures.right * (shape.size + shape.payload)) / MIB;
  return {
    ...figures,
    cpuUs: own / figures.right,
    upstreamCpuUs: (after.upstream - before.upstream) / figures.right,
    apartCpuUs: (apartAfter - apartBefore) / figures.right,
    mibPerSecond: (figures.callsPerSecond * (shape.size + shape.payload)) / MIB,
    cpuUsPerMib: own / mib,
    peakPerByte: Math.max(0, peak - base) / (inFlight * shape.size),
    kibPerSession: Number.NaN,
    others: othersShare(before, after),
  };
}

function targetOf({ port, path, homes = [port], via = [port] }: Peer, { atHome }: Variant): Target {
  return { port, path, homes, via: atHome === true ? homes : via };
}

/** It may be the fault of the peer, and the others go on; whoever has no right answer has no figures. */
function notOpened(error: unknown): Round {
  const why = error instanceof Error ? error.message : String(error);
  return { ...NO_CALLS, callsPerSecond: 0, errors: 1, reasons: [`error: not opened: ${why}`] };
}

/** As far as /proc can tell: it counts in hundredths of a second. */
function othersShare(before: Usage, after: Usage): number {
  const own = Number.isNaN(after.own) ? 0 : after.own - before.own;
  const strangers = after.busy - before.busy - own - (after.rest - before.rest);
  return Math.max(0, strangers) / (CORES * (after.at - before.at) * 1000);
}

interface Usage {
  readonly at: number;
  readonly own: number;
  readonly upstream: number;
  /** Of the upstream, the load and this process. */
  readonly rest: number;
  readonly busy: number;
}

function usage(pids: readonly number[], upstreamPid: number, loadPid: number): Usage {
  return {
    at: performance.now(),
    own: cpuUs(pids),
    upstream: cpuUs([upstreamPid]),
    rest: cpuUs([upstreamPid, loadPid, process.pid]),
    busy: busyUs(),
  };
}

/** The same for all: so much of what the usual hop manages, or, without it, the first of those who are there. */
async function openLoopRate(bench: Bench, scenario: Scenario): Promise<number> {
  const peers = taking(bench, scenario);
  const floor = peers.find(({ name }) => name === 'http-floor') ?? peers[0];
  const [variant] = scenario.variants;
  if (floor === undefined || variant === undefined) return Number.NaN;
  const closed = { ...variant, inFlight: 32 };
  await play(bench, floor, closed, bench.warmUpSeconds);
  const { callsPerSecond } = await play(bench, floor, closed, bench.seconds);
  const rate = callsPerSecond * RATE_SHARE;
  return rate < 100 ? Math.max(1, Math.round(rate)) : Math.round(rate / 50) * 50;
}

async function measureIdle(bench: Bench, scenario: Scenario): Promise<Row[]> {
  const turns = taking(bench, scenario).map((peer) => ({ peer: peer.name, variant: '', rounds: new Array<Round>() }));
  for (let round = 0; round < Math.min(bench.rounds, MAX_IDLE_ROUNDS); round += 1) {
    for (const turn of turns) {
      const peer = await bench.another(turn.peer);
      try {
        turn.rounds.push(await fill(bench, peer));
      } catch (error) {
        turn.rounds.push(notOpened(error));
      } finally {
        peer.stop();
      }
    }
  }
  return turns;
}

/** Few are enough to tell what a session costs them, and a thousand would take too long. */
const CHAINS: readonly PeerName[] = ['mcp-proxy', 'supergateway'];

/**
 * The first fill of a process that has served calls: neither code that is loaded once nor the room for young objects, which
 * V8 gives a process that makes many, is what a session costs.
 */
async function fill(bench: Bench, peer: Peer): Promise<Round> {
  const { load, upstreamPid, idleSessions } = bench;
  const { port, path } = peer;
  const count = CHAINS.includes(peer.name) ? FEW_IDLE_SESSIONS : idleSessions;
  const before = usage(peer.pids(), upstreamPid, load.pid);
  await load.open({ port, path, way: 'idle', count: Math.min(count, WARM_UP_SESSIONS) });
  await load.close();
  await load.open({ port, path, way: 'session', count: WARM_UP_SESSIONS });
  await load.run({ shape: SMALL, seconds: bench.warmUpSeconds });
  await load.close();
  await passed(SETTLE_MS);
  const base = rssBytes(peer.pids());
  const startedAt = performance.now();
  await load.open({ port, path, way: 'idle', count });
  const seconds = (performance.now() - startedAt) / 1000;
  await passed(SETTLE_MS);
  const filled = rssBytes(peer.pids());
  const after = usage(peer.pids(), upstreamPid, load.pid);
  await load.close();
  return {
    ...NO_CALLS,
    right: count,
    callsPerSecond: count / seconds,
    kibPerSession: (filled - base) / 1024 / count,
    others: othersShare(before, after),
  };
}

const NO_CALLS: Round = {
  right: 0,
  callsPerSecond: Number.NaN,
  p50Ms: Number.NaN,
  p99Ms: Number.NaN,
  p999Ms: Number.NaN,
  errors: 0,
  wrong: 0,
  misrouted: 0,
  progressLost: 0,
  behind: 0,
  lateP99Ms: Number.NaN,
  loadCpuUs: Number.NaN,
  reasons: [],
  cpuUs: Number.NaN,
  upstreamCpuUs: Number.NaN,
  apartCpuUs: Number.NaN,
  mibPerSecond: Number.NaN,
  cpuUsPerMib: Number.NaN,
  peakPerByte: Number.NaN,
  kibPerSession: Number.NaN,
  others: Number.NaN,
};
