// What a scenario's rounds come to: medians with their ranges, and ratios taken round by round before the median.
import type { LoadFigures } from './load.ts';
import type { PeerName } from './peers.ts';
import { digits, show, spread, table } from './stats.ts';

export interface Round extends LoadFigures {
  /** Of the process between load and upstream. */
  readonly cpuUs: number;
  readonly upstreamCpuUs: number;
}

export interface Outcome {
  readonly scenario: string;
  readonly concurrency: number;
  readonly rounds: Readonly<Partial<Record<PeerName, readonly Round[]>>>;
}

const rps = (round: Round): number => round.callsPerSecond;
const cpu = (round: Round): number => round.cpuUs;
const p50 = (round: Round): number => round.p50Ms;
const p99 = (round: Round): number => round.p99Ms;
const total = (values: readonly number[]): string => String(values.reduce((sum, value) => sum + value, 0));

export function report({ scenario, concurrency, rounds: measured }: Outcome, order: readonly PeerName[]): void {
  const of = (peer: PeerName, what: (round: Round) => number): number[] => (measured[peer] ?? []).map(what);
  /** Median of per-round ratios; nothing where the other did not take part. */
  const ratio = (peer: PeerName, other: PeerName, what: (round: Round) => number): string => {
    const others = of(other, what);
    if (others.length === 0 || peer === other) return '';
    const ratios = of(peer, what).map((value, round) => value / (others[round] ?? NaN));
    return ratios.some(Number.isNaN) ? '' : show(spread(ratios));
  };
  const present = order.filter((name) => measured[name] !== undefined);
  console.log(`\n## ${scenario}, ${concurrency} in flight, Node ${process.version}\n`);
  console.log(
    table(
      [
        'peer',
        'rps',
        'p50 ms',
        'p99 ms',
        'CPU us',
        'load CPU',
        'upstream CPU',
        'right',
        'errors',
        'wrong',
        'progress lost',
      ],
      present.map((name) => [
        name,
        show(spread(of(name, rps))),
        digits(spread(of(name, p50)).median),
        show(spread(of(name, p99))),
        name === 'direct' ? '' : show(spread(of(name, cpu))),
        digits(spread(of(name, (round) => round.loadCpuUs)).median),
        digits(spread(of(name, (round) => round.upstreamCpuUs)).median),
        total(of(name, (round) => round.rightCalls)),
        total(of(name, (round) => round.errors)),
        total(of(name, (round) => round.wrong)),
        total(of(name, (round) => round.progressLost)),
      ]),
    ),
  );
  console.log('');
  console.log(
    table(
      [
        'peer',
        'rps x http-floor',
        'rps x http-floor-buf',
        'rps x direct',
        'CPU x http-floor',
        'CPU x http-floor-buf',
        'p50 x direct',
        'p99 x http-floor',
        'p99 x http-floor-buf',
      ],
      present.map((name) => [
        name,
        ratio(name, 'http-floor', rps),
        ratio(name, 'http-floor-buf', rps),
        ratio(name, 'direct', rps),
        ratio(name, 'http-floor', cpu),
        ratio(name, 'http-floor-buf', cpu),
        ratio(name, 'direct', p50),
        ratio(name, 'http-floor', p99),
        ratio(name, 'http-floor-buf', p99),
      ]),
    ),
  );
  for (const name of present) {
    const reasons = new Set((measured[name] ?? []).flatMap((round) => round.reasons));
    for (const reason of [...reasons].slice(0, 4)) console.log(`${name}: ${reason}`);
  }
}
