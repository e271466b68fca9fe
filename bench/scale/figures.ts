// What run.ts measures, as its JSON file has it and docs/scaling.md is printed from.
import { spread, type Spread } from '../stats.ts';
import type { StoreCosts, UnitCosts } from './model.ts';

type Measured<T> = { readonly [K in keyof T]: Spread };

export interface Figures {
  readonly machine: {
    readonly node: string;
    readonly processor: string;
    readonly at: string;
    readonly rounds: number;
    readonly seconds: number;
    readonly sessions: number;
    /** CPU that others used meanwhile, as a share of the machine: the median of all turns. */
    readonly others: number;
  };
  readonly costs: Measured<Omit<UnitCosts, 'store'>> & { readonly store: Measured<StoreCosts> };
  /** Milliseconds from the death of an owner to the answer of another replica, for each session. */
  readonly takeOverMs: Spread;
  readonly checks: readonly Check[];
}

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

/** The medians. */
export function costsOf({ costs: { store, ...costs } }: Figures): UnitCosts {
  return { ...medians(costs), store: medians(store) };
}

function medians<T extends Readonly<Record<string, Spread>>>(of: T): { readonly [K in keyof T]: number } {
  // The same keys: what is mapped is what comes out.
  return Object.fromEntries(Object.entries(of).map(([key, { median }]) => [key, median])) as {
    readonly [K in keyof T]: number;
  };
}
