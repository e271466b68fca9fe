// What was measured, as the report, the targets and the JSON file have it.
import type { LoadFigures } from './load-messages.ts';
import type { PeerName } from './peers.ts';
import type { ScenarioName } from './scenarios.ts';

/** NaN where a figure is not measured or means nothing. */
export interface Round extends LoadFigures {
  /** Of the processes between load and upstream, a call. */
  readonly cpuUs: number;
  readonly upstreamCpuUs: number;
  /** Of `cpuUs`, that of who only passes on, or of the store. */
  readonly apartCpuUs: number;
  readonly mibPerSecond: number;
  readonly cpuUsPerMib: number;
  /** Most resident memory over what the peer had before any load, per byte of answers in flight. */
  readonly peakPerByte: number;
  readonly kibPerSession: number;
  /** CPU that others used meanwhile, as a share of the machine. */
  readonly others: number;
}

export interface Row {
  readonly peer: PeerName;
  readonly variant: string;
  readonly rounds: readonly Round[];
}

export interface Outcome {
  readonly scenario: ScenarioName;
  readonly title: string;
  /** Calls a second that were sent, whatever was answered. */
  readonly rate?: number;
  /** The variant with which the others of the same peer are compared. */
  readonly baseline?: string;
  readonly rows: readonly Row[];
}

export type Metric = Exclude<keyof Round, 'reasons'>;

/** The figures of all rounds; empty where it was not measured. */
export function seriesOf(
  outcomes: readonly Outcome[],
  scenario: ScenarioName,
  peer: PeerName,
  metric: Metric,
  variant = '',
): number[] {
  const rows = outcomes.find((outcome) => outcome.scenario === scenario)?.rows ?? [];
  const row = rows.find((each) => each.peer === peer && each.variant === variant);
  return row?.rounds.map((round) => round[metric]) ?? [];
}

/** One figure per round of both; empty where one of them was not measured. */
export function perRound(
  own: readonly number[],
  others: readonly number[],
  combine: (own: number, other: number) => number,
): number[] {
  const rounds = Math.min(own.length, others.length);
  return own.slice(0, rounds).map((value, round) => combine(value, others[round] ?? NaN));
}
