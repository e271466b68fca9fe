// What is measured: each scenario in one or more variants, which are compared with each other within each round.
import type { Shape, Way } from './load-messages.ts';
import type { Ability, Outage, Peer, PeerName } from './peers.ts';

export interface Variant {
  /** '' for the one that gives the scenario its name. */
  readonly name: string;
  readonly shape: Shape;
  readonly inFlight: number;
  readonly needs: Ability;
  /** How gateways are called; the upstream itself only knows the old transport. */
  readonly way: Way;
  /** The only peer it is about. */
  readonly only?: PeerName;
  /** What the other variants of the same peer are compared with. */
  readonly isBaseline?: true;
  /** Called where its sessions are opened. */
  readonly atHome?: true;
  /** Its store is away while it is called, in sessions that were opened before. */
  readonly outage?: Outage;
}

export interface Scenario {
  readonly name: ScenarioName;
  readonly title: string;
  readonly variants: readonly Variant[];
  /** Answers of so many bytes: rates are told in MiB as well. */
  readonly isLarge?: true;
  /** Measured on peers that have done nothing else, for their memory tells what they have been through. */
  readonly isFresh?: true;
  readonly kind?: 'open-loop' | 'idle';
}

export const SCENARIO_NAMES = [
  'c1',
  'c32',
  'c128',
  'sessions',
  'progress10',
  'kib16',
  'mib1',
  'mib8',
  'req1',
  'modern',
  'rounds',
  'open-loop',
  'churn',
  'idle',
  'hop1',
  'hop32',
  'hop-progress',
  'hop-mib1',
  'store',
  'store-progress',
  'store-churn',
] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

const KIB = 1024;
const MIB = 1024 * 1024;
const SMALL: Shape = { size: 16, progress: 0, payload: 0 };
const PLAIN: Variant = { name: '', shape: SMALL, inFlight: 32, needs: 'sessionless', way: 'sessionless' };
const sized = (size: number): Shape => ({ ...SMALL, size });
const PROGRESS: Shape = { ...SMALL, progress: 10 };
const HOP: Variant = { ...PLAIN, needs: 'hop', way: 'session' };
const STORE: Variant = { ...PLAIN, needs: 'store', way: 'session' };

/** At the replica that holds the session, and through another one. */
const hopped = (more: Partial<Variant>): readonly Variant[] => [
  { ...HOP, ...more, name: 'owner', atHome: true, isBaseline: true },
  { ...HOP, ...more },
];

/** Few enough for a process per session. */
export const FEW_IDLE_SESSIONS = 10;

const SCENARIOS: Readonly<Record<ScenarioName, Omit<Scenario, 'name'>>> = {
  c1: { title: 'small calls, one in flight', variants: [{ ...PLAIN, inFlight: 1 }] },
  c32: { title: 'small calls, 32 in flight', variants: [PLAIN] },
  c128: { title: 'small calls, 128 in flight', variants: [{ ...PLAIN, inFlight: 128 }] },
  sessions: {
    title: '8 sessions with their GET streams, 32 in flight',
    variants: [{ ...PLAIN, needs: 'sessions', way: 'session-with-stream' }],
  },
  progress10: {
    title: 'ten progress notifications a call, 16 in flight',
    variants: [{ ...PLAIN, needs: 'progress', shape: PROGRESS, inFlight: 16 }],
  },
  kib16: {
    title: 'answers of 16 KiB, 16 in flight',
    variants: [{ ...PLAIN, shape: sized(16 * KIB), inFlight: 16 }],
    isLarge: true,
  },
  mib1: {
    title: 'answers of 1 MiB, 4 in flight',
    variants: [{ ...PLAIN, shape: sized(MIB), inFlight: 4 }],
    isLarge: true,
  },
  mib8: {
    title: 'answers of 8 MiB, 2 in flight',
    variants: [
      { ...PLAIN, needs: 'mib8', shape: sized(8 * MIB), inFlight: 2 },
      { ...PLAIN, name: '1 MiB', needs: 'mib8', shape: sized(MIB), inFlight: 4, only: 'causeway', isBaseline: true },
    ],
    isLarge: true,
    isFresh: true,
  },
  req1: {
    title: 'requests and answers of 1 MiB, 4 in flight',
    variants: [{ ...PLAIN, needs: 'req1', shape: { ...sized(MIB), payload: MIB }, inFlight: 4 }],
    isLarge: true,
  },
  modern: {
    title: 'small calls of 2026-07-28, 32 in flight',
    variants: [
      { ...PLAIN, name: 'sessionless', needs: 'modern', isBaseline: true },
      { ...PLAIN, needs: 'modern', way: 'modern' },
      { ...PLAIN, name: 'elicitation', needs: 'modern', way: 'modern-elicitation' },
    ],
  },
  rounds: {
    title: 'calls of 2026-07-28 that are asked something and retried, 16 in flight',
    variants: [{ ...PLAIN, needs: 'rounds', way: 'rounds', inFlight: 16 }],
  },
  'open-loop': {
    title: 'small calls at a fixed rate, timed from when they were due',
    variants: [{ ...PLAIN, inFlight: 64 }],
    kind: 'open-loop',
  },
  churn: {
    title: 'sessions opened and ended, 8 at a time',
    variants: [{ ...PLAIN, needs: 'churn', way: 'churn', inFlight: 8 }],
  },
  idle: {
    title: 'idle sessions with their GET streams',
    variants: [{ ...PLAIN, needs: 'idle', way: 'idle' }],
    isFresh: true,
    kind: 'idle',
  },
  hop1: {
    title: 'small calls of a session that another replica holds, one in flight',
    variants: hopped({ inFlight: 1 }),
  },
  hop32: { title: 'small calls of 8 sessions that another replica holds, 32 in flight', variants: hopped({}) },
  'hop-progress': {
    title: 'ten progress notifications a call, in sessions that another replica holds, 16 in flight',
    variants: hopped({ shape: PROGRESS, inFlight: 16 }),
  },
  'hop-mib1': {
    title: 'answers of 1 MiB, in sessions that another replica holds, 4 in flight',
    variants: hopped({ shape: sized(MIB), inFlight: 4 }),
    isLarge: true,
  },
  store: {
    title: 'small calls of 8 sessions, with and without a store, 32 in flight',
    variants: [
      { ...STORE, isBaseline: true },
      { ...STORE, name: 'down', only: 'causeway-store', outage: 'down' },
      { ...STORE, name: 'held', only: 'causeway-store', outage: 'held' },
    ],
  },
  'store-progress': {
    title: 'ten progress notifications a call, with and without a store, 16 in flight',
    variants: [{ ...STORE, shape: PROGRESS, inFlight: 16 }],
  },
  'store-churn': {
    title: 'sessions opened and ended, with and without a store, 8 at a time',
    variants: [{ ...STORE, way: 'churn', inFlight: 8 }],
  },
};

export function scenarioOf(name: ScenarioName): Scenario {
  return { name, ...SCENARIOS[name] };
}

export function takesPart(peer: Pick<Peer, 'name' | 'can'>, { needs, only }: Variant): boolean {
  return peer.can.has(needs) && (only === undefined || only === peer.name);
}

/** How this peer's clients speak in this variant. */
export function wayOf(peer: Pick<Peer, 'speaks' | 'needsSession'>, { way }: Variant): Way {
  if (peer.speaks === 'legacy') return 'legacy';
  return way === 'sessionless' && peer.needsSession ? 'session' : way;
}
