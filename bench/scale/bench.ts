// What the three parts of run.ts share: who is measured, and what a replica and its process tell of themselves.
import { readdirSync } from 'node:fs';
import type { LoadClient } from '../load-client.ts';
import type { Shape } from '../load-messages.ts';
import { play } from '../measure.ts';
import type { Round } from '../outcome.ts';
import type { Peer } from '../peers.ts';
import type { Replica } from '../peers/replicas.ts';
import type { Variant } from '../scenarios.ts';

export interface Bench {
  readonly load: LoadClient;
  readonly upstreamPid: number;
  readonly upstreamPort: number;
  readonly rounds: number;
  readonly seconds: number;
  /** Idle ones. */
  readonly sessions: number;
  /** CPU of others in each turn so far, as a share of the machine. */
  readonly others: number[];
}

export const SMALL: Shape = { size: 16, progress: 0, payload: 0 };
/** Of eight sessions. */
export const CALLS: Variant = { name: '', shape: SMALL, inFlight: 32, needs: 'hop', way: 'session' };
export const CHURN: Variant = { ...CALLS, way: 'churn' };

interface Route {
  readonly homes?: readonly Replica[];
  readonly via?: readonly Replica[];
  /** Whose CPU is told apart. */
  readonly apart?: () => readonly number[];
}

/** Sessions are opened at one of `homes` and called at one of `via`, each in turn: of all, if nothing is said. */
export function routed(replicas: readonly Replica[], { homes = replicas, via = replicas, apart }: Route = {}): Peer {
  const ports = (of: readonly Replica[]): number[] => of.map(({ port }) => port);
  return {
    name: 'causeway-replicas',
    speaks: 'http',
    path: '/mcp',
    needsSession: false,
    can: new Set(['hop']),
    port: via[0]?.port ?? 0,
    homes: ports(homes),
    via: ports(via),
    pids: () => pidsOf(replicas),
    ...(apart !== undefined && { apart }),
    stop: () => stopAll(replicas),
  };
}

/** A turn in which every call was answered rightly, so many a second or as fast as they can; anything else ends the bench. */
export async function turn(bench: Bench, peer: Peer, variant: Variant, rate?: number): Promise<Round> {
  const round = await play(bench, peer, variant, bench.seconds, rate);
  if (round.right === 0 || round.errors + round.wrong + round.misrouted > 0) {
    throw new Error(`no figures: ${round.errors} errors, ${round.wrong} wrong: ${round.reasons.join('; ')}`);
  }
  bench.others.push(round.others);
  return round;
}

/** Of each replica: until then the compiler has not seen enough of them, and the heap has not found its size. */
const WARM_CALLS = 20_000;

/** Each of them as owner and as the one that passes on, unless `peer` says otherwise. */
export async function warmUp(bench: Bench, replicas: readonly Replica[], peer = routed(replicas)): Promise<void> {
  let calls = 0;
  while (calls < WARM_CALLS * replicas.length) calls += (await turn({ ...bench, others: [] }, peer, CALLS)).right;
}

export function pidsOf(replicas: readonly Replica[]): number[] {
  return replicas.flatMap(({ program }) => program.pids);
}

export function stopAll(replicas: readonly Replica[]): void {
  for (const { program } of replicas) program.stop();
}

export function descriptorsOf(replicas: readonly Replica[]): number {
  return pidsOf(replicas).reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
}

/** Of all of them, whatever its labels. */
export async function counterOf(replicas: readonly Replica[], name: string): Promise<number> {
  const pages = await Promise.all(
    replicas.map(async ({ adminPort }) => (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()),
  );
  const found = pages.flatMap((page) =>
    Array.from(page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm')), ([, value]) => Number(value)),
  );
  return found.reduce((sum, value) => sum + value, 0);
}
