// Whether the machine was quiet enough for the figures to mean something. Two signs: the rate of the peer that has least
// to do with the gateway, which should be the same in every round, and the CPU that strangers used meanwhile.
import type { Outcome, Row } from './outcome.ts';
import { digits, quantile, show, spread, width, type Spread } from './stats.ts';

/** (highest - lowest) / median of the reference's rate over the rounds. */
export const MAX_WIDTH = 0.6;
/** Share of the machine, median over all rounds. */
export const MAX_OTHERS = 0.2;

export interface Noise {
  readonly scenario: string;
  readonly reference: string;
  /** Nothing where the rate was given and not found. */
  readonly rate: Spread | undefined;
  readonly others: number;
  readonly isTooNoisy: boolean;
}

export function noiseOf({ scenario, rows, rate: given }: Outcome): Noise {
  const row = referenceOf(rows);
  const isRate = given === undefined && scenario !== 'idle' && row !== undefined && row.rounds.length > 1;
  const rate = isRate ? spread(row.rounds.map((round) => round.callsPerSecond)) : undefined;
  const shares = rows.flatMap(({ rounds }) => rounds.map((round) => round.others)).filter((share) => share >= 0);
  const others = quantile(Float64Array.from(shares).toSorted(), 0.5);
  return {
    scenario,
    reference: row?.peer ?? 'nobody',
    rate,
    others,
    isTooNoisy: (rate !== undefined && !(width(rate) <= MAX_WIDTH)) || others > MAX_OTHERS,
  };
}

function referenceOf(rows: readonly Row[]): Row | undefined {
  const plain = rows.filter(({ variant }) => variant === '');
  const named = (name: string): Row | undefined => plain.find(({ peer }) => peer === name);
  return named('direct') ?? named('http-floor') ?? plain[0] ?? rows[0];
}

export function noiseLine({ scenario, reference, rate, others, isTooNoisy }: Noise): string {
  const spreadText =
    rate === undefined
      ? ''
      : `${reference} ${show(rate)} a second, spread ${digits(width(rate))} (at most ${MAX_WIDTH}); `;
  const othersText = `others used ${digits(others * 100)} % of the machine (at most ${digits(MAX_OTHERS * 100)} %)`;
  return `${scenario}: ${isTooNoisy ? 'TOO NOISY, ' : ''}${spreadText}${othersText}`;
}
