// Outcomes of the bench made by hand, for what is decided about them.
import type { Outcome, Round, Row } from '../../bench/outcome.ts';
import type { PeerName } from '../../bench/peers.ts';
import type { ScenarioName } from '../../bench/scenarios.ts';

const ROUND: Round = {
  right: 100,
  callsPerSecond: 1000,
  p50Ms: 1,
  p99Ms: 2,
  p999Ms: 3,
  errors: 0,
  wrong: 0,
  misrouted: 0,
  progressLost: 0,
  behind: 0,
  lateP99Ms: Number.NaN,
  loadCpuUs: 10,
  reasons: [],
  cpuUs: 40,
  upstreamCpuUs: 20,
  apartCpuUs: Number.NaN,
  mibPerSecond: 100,
  cpuUsPerMib: 2000,
  peakPerByte: 2,
  kibPerSession: 30,
  others: 0,
};

export function row(peer: PeerName, rounds: readonly Partial<Round>[], variant = ''): Row {
  return { peer, variant, rounds: rounds.map((round) => ({ ...ROUND, ...round })) };
}

/** Rows of which only the rates matter. */
export function rates(peer: PeerName, ...callsPerSecond: readonly number[]): Row {
  return row(
    peer,
    callsPerSecond.map((rate) => ({ callsPerSecond: rate })),
  );
}

export function outcome(scenario: ScenarioName, ...rows: readonly Row[]): Outcome {
  return { scenario, title: scenario, rows };
}
