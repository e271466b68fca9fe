// The tables: what each peer did, and per-round ratios against the peers that are worth comparing with.
import { perRound, type Metric, type Outcome, type Row } from './outcome.ts';
import type { PeerName } from './peers.ts';
import { digits, show, spread, table } from './stats.ts';

interface Column {
  readonly head: string;
  readonly metric: Metric;
  /** `range`: median and range; `median`; `sum` of all rounds. */
  readonly as: 'range' | 'median' | 'sum';
  /** From the figure of the JSON to the one that is shown. */
  readonly scale?: number;
}

const RATE: Column = { head: 'rps', metric: 'callsPerSecond', as: 'range' };
const TIMES: readonly Column[] = [
  { head: 'p50 ms', metric: 'p50Ms', as: 'range' },
  { head: 'p99 ms', metric: 'p99Ms', as: 'range' },
];
const TAIL: Column = { head: 'p99.9 ms', metric: 'p999Ms', as: 'range' };
const MIB: readonly Column[] = [
  { head: 'MiB/s', metric: 'mibPerSecond', as: 'range' },
  { head: 'CPU ms per MiB', metric: 'cpuUsPerMib', as: 'range', scale: 0.001 },
];
const CPU: readonly Column[] = [
  { head: 'CPU us', metric: 'cpuUs', as: 'range' },
  { head: 'load CPU', metric: 'loadCpuUs', as: 'median' },
  { head: 'upstream CPU', metric: 'upstreamCpuUs', as: 'median' },
];
const HOP_CPU: Column = { head: 'hop CPU', metric: 'apartCpuUs', as: 'range' };
const STORE_CPU: Column = { head: 'Redis CPU', metric: 'apartCpuUs', as: 'range' };
const COUNTS: readonly Column[] = [
  { head: 'right', metric: 'right', as: 'sum' },
  { head: 'errors', metric: 'errors', as: 'sum' },
  { head: 'wrong', metric: 'wrong', as: 'sum' },
  { head: 'misrouted', metric: 'misrouted', as: 'sum' },
];
const LOST: Column = { head: 'progress lost', metric: 'progressLost', as: 'sum' };
const PEAK: Column = { head: 'peak RSS per byte', metric: 'peakPerByte', as: 'range' };
const BEHIND: readonly Column[] = [
  { head: 'behind', metric: 'behind', as: 'sum' },
  { head: 'load late ms', metric: 'lateP99Ms', as: 'median' },
];

function columnsOf({ scenario }: Outcome): readonly Column[] {
  switch (scenario) {
    case 'kib16':
    case 'mib1':
    case 'req1':
      return [RATE, ...MIB, ...TIMES, ...CPU, ...COUNTS];
    case 'mib8':
      return [RATE, ...MIB, PEAK, ...TIMES, ...CPU, ...COUNTS];
    case 'progress10':
      return [RATE, ...TIMES, ...CPU, ...COUNTS, LOST];
    case 'hop1':
    case 'hop32':
      return [RATE, ...TIMES, ...CPU, HOP_CPU, ...COUNTS];
    case 'hop-progress':
      return [RATE, ...TIMES, ...CPU, HOP_CPU, ...COUNTS, LOST];
    case 'hop-mib1':
      return [RATE, ...MIB, ...TIMES, ...CPU, HOP_CPU, ...COUNTS];
    case 'store':
    case 'store-churn':
      return [RATE, ...TIMES, ...CPU, STORE_CPU, ...COUNTS];
    case 'store-progress':
      return [RATE, ...TIMES, ...CPU, STORE_CPU, ...COUNTS, LOST];
    case 'open-loop':
      return [RATE, ...TIMES, TAIL, ...CPU, ...COUNTS, ...BEHIND];
    case 'idle':
      return [
        { head: 'KiB per session', metric: 'kibPerSession', as: 'range' },
        { head: 'opened a second', metric: 'callsPerSecond', as: 'range' },
        { head: 'sessions', metric: 'right', as: 'median' },
        { head: 'errors', metric: 'errors', as: 'sum' },
      ];
    default:
      return [RATE, ...TIMES, ...CPU, ...COUNTS];
  }
}

interface Ratio {
  readonly metric: Metric;
  readonly name: string;
  readonly others: readonly PeerName[];
}

const RATIOS: readonly Ratio[] = [
  { name: 'rps', metric: 'callsPerSecond', others: ['http-floor', 'http-floor-buf', 'nginx', 'naive', 'direct'] },
  { name: 'CPU', metric: 'cpuUs', others: ['http-floor', 'http-floor-buf'] },
  { name: 'p99', metric: 'p99Ms', others: ['http-floor'] },
];
const IDLE_RATIOS: readonly Ratio[] = [{ name: 'KiB', metric: 'kibPerSession', others: ['naive'] }];
/** A fixed rate is the same for all. */
const OPEN_LOOP_RATIOS: readonly Ratio[] = [
  { name: 'p50', metric: 'p50Ms', others: ['direct', 'http-floor', 'http-floor-buf'] },
  { name: 'p99', metric: 'p99Ms', others: ['direct', 'http-floor', 'http-floor-buf'] },
];

const STORE_RATIOS: readonly Ratio[] = [
  { name: 'rps', metric: 'callsPerSecond', others: ['causeway'] },
  { name: 'CPU', metric: 'cpuUs', others: ['causeway'] },
  { name: 'p50', metric: 'p50Ms', others: ['causeway'] },
];

const OWN_RATIOS: readonly Omit<Ratio, 'others'>[] = [
  { name: 'rps', metric: 'callsPerSecond' },
  { name: 'p50', metric: 'p50Ms' },
  { name: 'MiB/s', metric: 'mibPerSecond' },
  { name: 'CPU', metric: 'cpuUs' },
  { name: 'CPU per MiB', metric: 'cpuUsPerMib' },
];

function ratiosOf({ scenario }: Outcome): readonly Ratio[] {
  if (scenario === 'idle') return IDLE_RATIOS;
  if (scenario.startsWith('store')) return STORE_RATIOS;
  return scenario === 'open-loop' ? OPEN_LOOP_RATIOS : RATIOS;
}

export function nameOf({ peer, variant }: Row): string {
  return variant === '' ? peer : `${peer} (${variant})`;
}

function cell(row: Row, { metric, as, scale = 1 }: Column): string {
  const values = row.rounds.map((round) => round[metric] * scale);
  if (as === 'sum') return String(values.reduce((sum, value) => sum + value, 0));
  const figure = spread(values);
  if (Number.isNaN(figure.median)) return '';
  return as === 'range' ? show(figure) : digits(figure.median);
}

/** Per-round ratios to each of the others, for the columns in which anybody has one. */
function ratioTable({ rows, baseline }: Outcome, wanted: readonly Ratio[]): string | undefined {
  const columns = wanted.flatMap(({ name, metric, others }) =>
    rows
      .filter((other) => other.variant === '' && others.includes(other.peer))
      .map((other) => ({ head: `${name} x ${other.peer}`, metric, other })),
  );
  const shown = columns.map(({ head, metric, other }) => ({
    head,
    of: (row: Row) => (row === other || row.variant !== '' ? '' : ratioText(row, other, metric)),
  }));
  // A variant is compared with what else the same peer did.
  const own = OWN_RATIOS.filter(() => baseline !== undefined).map(({ name, metric }) => ({
    head: `${name} x own ${baseline}`.trimEnd(),
    of: (row: Row) => {
      const base = rows.find((each) => each.peer === row.peer && each.variant === baseline);
      return base === undefined || base === row ? '' : ratioText(row, base, metric);
    },
  }));
  const all = [...shown, ...own].filter(({ of }) => rows.some((row) => of(row) !== ''));
  if (all.length === 0) return undefined;
  return table(
    ['peer', ...all.map(({ head }) => head)],
    rows.map((row) => [nameOf(row), ...all.map(({ of }) => of(row))]),
  );
}

function ratioText(row: Row, other: Row, metric: Metric): string {
  const series = ({ rounds }: Row): number[] => rounds.map((round) => round[metric]);
  const ratios = perRound(series(row), series(other), (left, right) => left / right);
  return ratios.length === 0 || ratios.some(Number.isNaN) ? '' : show(spread(ratios));
}

export function reportText(outcome: Outcome): string {
  const { scenario, title, rate, rows } = outcome;
  const columns = columnsOf(outcome);
  const rateText = rate === undefined ? '' : `, ${rate} calls a second`;
  const parts = [
    `## ${scenario}: ${title}${rateText}`,
    table(
      ['peer', ...columns.map(({ head }) => head)],
      rows.map((row) => [nameOf(row), ...columns.map((column) => cell(row, column))]),
    ),
  ];
  const ratios = ratioTable(outcome, ratiosOf(outcome));
  if (ratios !== undefined) parts.push(ratios);
  const reasons = reasonsOf(outcome);
  if (reasons.length > 0) parts.push(reasons.join('\n'));
  return parts.join('\n\n');
}

/** Why calls failed or answers were wrong, a few of each peer. */
export function reasonsOf({ rows }: Outcome): string[] {
  return rows.flatMap((row) => {
    const reasons = new Set(row.rounds.flatMap((round) => round.reasons));
    return [...reasons].slice(0, 4).map((reason) => `${nameOf(row)}: ${reason}`);
  });
}
