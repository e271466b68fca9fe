// What run.ts measures, as its JSON file has it and docs/scaling.md is printed from: three parts, each of which can be measured
// on its own.
import { spread, type Spread } from '../stats.ts';
import type { CallCosts, SessionCosts, StoreCosts, UnitCosts } from './model.ts';

type Measured<T> = { readonly [K in keyof T]: Spread };

/** A process is given so many calls a second, its own and those that it only passes on. */
export const CALL_RATE = 1000;

/** With 32 in flight, as fast as they can. */
export type Saturated = Pick<CallCosts, 'callUs' | 'hoppedUs' | 'hopUs'>;

interface Part<T> {
  readonly at: string;
  readonly rounds: number;
  readonly seconds: number;
  /** CPU that others used meanwhile, as a share of the machine: the median of all turns; null where nothing was timed. */
  readonly others: number | null;
  readonly costs: Measured<T>;
  readonly checks: readonly Check[];
}

export interface Figures {
  readonly node: string;
  readonly processor: string;
  readonly calls: Part<CallCosts> & {
    readonly saturated: Measured<Saturated>;
  };
  readonly sessions: Part<SessionCosts>;
  readonly store: Part<StoreCosts> & {
    /** From the death of an owner to the answer of another replica, for each session. */
    readonly takeOverMs: Spread;
  };
}

export const PARTS = ['calls', 'sessions', 'store'] as const;
export type PartName = (typeof PARTS)[number];

/** Whether several replicas cost what the model says. */
export interface Check {
  readonly what: string;
  readonly replicas: number;
  readonly predicted: Spread;
  readonly measured: Spread;
  /** Measured over predicted, less 1, within each round. */
  readonly error: Spread;
}

export function check(
  what: string,
  replicas: number,
  predicted: readonly number[],
  measured: readonly number[],
): Check {
  const errors = measured.map((value, round) => value / (predicted[round] ?? Number.NaN) - 1);
  return { what, replicas, predicted: spread(predicted), measured: spread(measured), error: spread(errors) };
}

/** What each round found, as medians and ranges. */
export function measured<T extends object>(rounds: readonly T[]): Measured<T> {
  const [first] = rounds;
  if (first === undefined) throw new Error('there was no round');
  const names = Object.keys(first) as (keyof T)[];
  const spreads = names.map((name) => [name, spread(rounds.map((round) => Number(round[name])))]);
  // The same keys: what is mapped is what comes out.
  return Object.fromEntries(spreads) as Measured<T>;
}

export function costsOf({ calls, sessions, store }: Figures): UnitCosts {
  return { ...medians(calls.costs), ...medians(sessions.costs), store: medians(store.costs) };
}

function medians<T extends object>(of: Measured<T>): T {
  // As above.
  return Object.fromEntries(Object.entries<Spread>(of).map(([name, { median }]) => [name, median])) as T;
}
