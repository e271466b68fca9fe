// What the gateway has to reach, and what it would like to. Each figure is a median over rounds, of ratios or
// differences taken within each round. "must" is checked by --check.
import { perRound, seriesOf, type Metric, type Outcome } from './outcome.ts';
import type { Outage, PeerName } from './peers.ts';
import { SCENARIO_NAMES, type ScenarioName } from './scenarios.ts';
import { digits, show, spread, table, type Spread } from './stats.ts';

export interface Target {
  readonly what: string;
  readonly must: number;
  readonly goal: number;
  readonly better: 'more' | 'less';
  /** One figure per round; none where it was not measured. */
  readonly figures: (outcomes: readonly Outcome[]) => readonly number[];
  /** Judged by all that was measured, however noisy the machine was: a wrong answer is wrong at any speed. */
  readonly despiteNoise?: true;
  /** What else there is to tell. */
  readonly detail?: (outcomes: readonly Outcome[]) => string;
}

export type Verdict = 'goal' | 'must' | 'MISSED' | 'too noisy' | 'not measured';

export interface Judged {
  readonly target: Target;
  readonly figure: Spread | undefined;
  readonly verdict: Verdict;
}

const OWN = 'causeway';
const REPLICAS = 'causeway-replicas';
const STORED = 'causeway-store';
const OWNS: readonly PeerName[] = [OWN, REPLICAS, STORED];
const CHAINS: readonly PeerName[] = ['mcp-proxy', 'supergateway'];

interface Source {
  readonly scenario: ScenarioName;
  readonly metric: Metric;
  readonly peer?: PeerName;
  readonly variant?: string;
}

function figuresOf(outcomes: readonly Outcome[], { scenario, metric, peer = OWN, variant = '' }: Source): number[] {
  return seriesOf(outcomes, scenario, peer, metric, variant);
}

type Limits = Pick<Target, 'must' | 'goal' | 'better'>;

const atLeast = (must: number, goal: number): Limits => ({ must, goal, better: 'more' });
const atMost = (must: number, goal: number): Limits => ({ must, goal, better: 'less' });

function ratio(what: string, own: Source, other: Omit<Source, 'metric'>, limits: Limits): Target {
  const figures = (outcomes: readonly Outcome[]): number[] =>
    perRound(
      figuresOf(outcomes, own),
      figuresOf(outcomes, { metric: own.metric, ...other }),
      (left, right) => left / right,
    );
  return { what, ...limits, figures };
}

function single(what: string, own: Source, limits: Limits): Target {
  return { what, ...limits, figures: (outcomes) => figuresOf(outcomes, own) };
}

/** Over all scenarios, or one of them, how often this has happened to the gateway. */
function never(what: string, metrics: readonly Metric[], scenarios: readonly ScenarioName[] = SCENARIO_NAMES): Target {
  return {
    what,
    ...atMost(0, 0),
    despiteNoise: true,
    figures(outcomes) {
      const rounds = outcomes
        .filter(({ scenario }) => scenarios.includes(scenario))
        .flatMap(({ rows }) => rows.filter(({ peer }) => OWNS.includes(peer)))
        .flatMap((row) => row.rounds);
      const counts = rounds.map((round) => metrics.reduce((sum, metric) => sum + round[metric], 0));
      return counts.length === 0 ? [] : [counts.reduce((sum, count) => sum + count, 0)];
    },
  };
}

/** How many times better than a chain of peers, in the scenario where that is least. */
function aheadOf(chain: PeerName): Target {
  const worst = (outcomes: readonly Outcome[]): { scenario: string; ratios: readonly number[] } | undefined =>
    outcomes
      .map(({ scenario }) => ({ scenario, ratios: advantage(outcomes, scenario, chain) }))
      .filter(({ ratios }) => ratios.length > 0)
      .toSorted((a, b) => spread(a.ratios).median - spread(b.ratios).median)[0];
  return {
    what: `${chain}: times ahead of the chain, where that is least`,
    ...atLeast(1, 10),
    figures: (outcomes) => worst(outcomes)?.ratios ?? [],
    detail: (outcomes) => worst(outcomes)?.scenario ?? '',
  };
}

function advantage(outcomes: readonly Outcome[], scenario: ScenarioName, chain: PeerName): number[] {
  // What it cannot do at all it is not compared in.
  if (!seriesOf(outcomes, scenario, chain, 'right').some((count) => count > 0)) return [];
  const [metric, isMoreBetter] = ADVANTAGES[scenario] ?? ['callsPerSecond', true];
  const [own, other] = [OWN, chain].map((peer) => seriesOf(outcomes, scenario, peer as PeerName, metric)) as [
    number[],
    number[],
  ];
  return perRound(own, other, (left, right) => (isMoreBetter ? left / right : right / left));
}

const ADVANTAGES: Readonly<Partial<Record<ScenarioName, readonly [Metric, boolean]>>> = {
  idle: ['kibPerSession', false],
  'open-loop': ['p99Ms', false],
};

/** With one in flight the rate is the time of a call, which has a target of its own. */
const HOPS = ['hop32', 'hop-progress', 'hop-mib1'] as const;
const OUTAGES: readonly Outage[] = ['down', 'held'];

export const TARGETS: readonly Target[] = [
  ratio(
    'c32: rate x http-floor (Fastify + reply-from)',
    { scenario: 'c32', metric: 'callsPerSecond' },
    { scenario: 'c32', peer: 'http-floor' },
    atLeast(0.85, 1.1),
  ),
  ratio(
    'c32: rate x http-floor-buf (Fastify + dispatch)',
    { scenario: 'c32', metric: 'callsPerSecond' },
    { scenario: 'c32', peer: 'http-floor-buf' },
    atLeast(0.55, 0.7),
  ),
  ratio(
    'c32: rate x nginx',
    { scenario: 'c32', metric: 'callsPerSecond' },
    { scenario: 'c32', peer: 'nginx' },
    atLeast(0.38, 0.5),
  ),
  ratio(
    'c32: CPU per call x http-floor-buf',
    { scenario: 'c32', metric: 'cpuUs' },
    { scenario: 'c32', peer: 'http-floor-buf' },
    atMost(1.9, 1.45),
  ),
  ratio(
    'c32: p99 x http-floor',
    { scenario: 'c32', metric: 'p99Ms' },
    { scenario: 'c32', peer: 'http-floor' },
    atMost(1.5, 1),
  ),
  {
    what: 'c1: p50 added to direct, ms',
    ...atMost(0.2, 0.11),
    figures: (outcomes) =>
      perRound(
        seriesOf(outcomes, 'c1', OWN, 'p50Ms'),
        seriesOf(outcomes, 'c1', 'direct', 'p50Ms'),
        (own, direct) => own - direct,
      ),
  },
  ratio(
    'sessions: rate x naive',
    { scenario: 'sessions', metric: 'callsPerSecond' },
    { scenario: 'sessions', peer: 'naive' },
    atLeast(5, 7.5),
  ),
  ratio(
    'sessions: rate x direct',
    { scenario: 'sessions', metric: 'callsPerSecond' },
    { scenario: 'sessions', peer: 'direct' },
    atLeast(0.35, 0.45),
  ),
  ratio(
    'progress10: rate x direct',
    { scenario: 'progress10', metric: 'callsPerSecond' },
    { scenario: 'progress10', peer: 'direct' },
    atLeast(0.3, 0.4),
  ),
  never('progress10: notifications lost or misrouted', ['progressLost', 'misrouted'], ['progress10']),
  ratio(
    'mib1: MiB/s x http-floor',
    { scenario: 'mib1', metric: 'mibPerSecond' },
    { scenario: 'mib1', peer: 'http-floor' },
    atLeast(0.7, 0.95),
  ),
  ratio(
    'mib8: CPU per MiB x that of 1 MiB answers',
    { scenario: 'mib8', metric: 'cpuUsPerMib' },
    { scenario: 'mib8', variant: '1 MiB' },
    atMost(1.3, 1.1),
  ),
  single('mib8: peak RSS over base per byte in flight', { scenario: 'mib8', metric: 'peakPerByte' }, atMost(6, 3)),
  single('idle: KiB per session with its GET stream', { scenario: 'idle', metric: 'kibPerSession' }, atMost(64, 48)),
  ratio(
    'churn: sessions a second x naive',
    { scenario: 'churn', metric: 'callsPerSecond' },
    { scenario: 'churn', peer: 'naive' },
    atLeast(2.5, 3.5),
  ),
  ratio(
    'modern: rate x own sessionless',
    { scenario: 'modern', metric: 'callsPerSecond' },
    { scenario: 'modern', variant: 'sessionless' },
    atLeast(0.8, 0.95),
  ),
  ratio(
    'modern, elicitation declared: rate x own sessionless',
    { scenario: 'modern', metric: 'callsPerSecond', variant: 'elicitation' },
    { scenario: 'modern', variant: 'sessionless' },
    atLeast(0.65, 0.85),
  ),
  ...HOPS.map((scenario) =>
    ratio(
      `${scenario}: rate x own at the owner`,
      { scenario, peer: REPLICAS, metric: 'callsPerSecond' },
      { scenario, peer: REPLICAS, variant: 'owner' },
      atLeast(0.5, 0.65),
    ),
  ),
  {
    what: 'hop1: p50 added to that at the owner, ms',
    ...atMost(1.5, 0.5),
    figures: (outcomes) =>
      perRound(
        seriesOf(outcomes, 'hop1', REPLICAS, 'p50Ms'),
        seriesOf(outcomes, 'hop1', REPLICAS, 'p50Ms', 'owner'),
        (hop, owner) => hop - owner,
      ),
  },
  ratio(
    'store: rate x without a store',
    { scenario: 'store', peer: STORED, metric: 'callsPerSecond' },
    { scenario: 'store' },
    atLeast(0.85, 0.95),
  ),
  ...OUTAGES.map((variant) =>
    ratio(
      `store, Redis ${variant}: p50 x own`,
      { scenario: 'store', peer: STORED, metric: 'p50Ms', variant },
      { scenario: 'store', peer: STORED },
      atMost(1.3, 1.1),
    ),
  ),
  ratio(
    'store-progress: rate x without a store',
    { scenario: 'store-progress', peer: STORED, metric: 'callsPerSecond' },
    { scenario: 'store-progress' },
    atLeast(0.5, 0.7),
  ),
  ratio(
    'store-churn: sessions a second x without a store',
    { scenario: 'store-churn', peer: STORED, metric: 'callsPerSecond' },
    { scenario: 'store-churn' },
    atLeast(0.4, 0.6),
  ),
  never('wrong answers, changed ids, crossed deliveries', ['wrong', 'misrouted']),
  never('calls that failed', ['errors']),
  ...CHAINS.map(aheadOf),
];

/** `quiet`: those of the outcomes in which the machine was quiet enough to tell. */
export function judge(target: Target, outcomes: readonly Outcome[], quiet: readonly Outcome[] = outcomes): Judged {
  const figures = target.figures(target.despiteNoise === true ? outcomes : quiet);
  if (figures.length === 0) {
    const verdict = target.figures(outcomes).length === 0 ? 'not measured' : 'too noisy';
    return { target, figure: undefined, verdict };
  }
  // A round without a figure is a round in which nothing was right.
  const figure = figures.some(Number.isNaN) ? { median: NaN, low: NaN, high: NaN } : spread(figures);
  return { target, figure, verdict: verdictOf(target, figure.median) };
}

function verdictOf({ must, goal, better }: Target, median: number): Verdict {
  const reaches = (limit: number): boolean => (better === 'more' ? median >= limit : median <= limit);
  if (reaches(goal)) return 'goal';
  return reaches(must) ? 'must' : 'MISSED';
}

export function targetTable(judged: readonly Judged[], outcomes: readonly Outcome[]): string {
  return table(
    ['target', 'measured', 'must', 'goal', 'verdict'],
    judged.map(({ target, figure, verdict }) => {
      const detail = figure === undefined ? '' : (target.detail?.(outcomes) ?? '');
      const sign = target.better === 'more' ? '>=' : '<=';
      return [
        detail === '' ? target.what : `${target.what} (${detail})`,
        figure === undefined ? '' : shownFigure(target, figure),
        `${sign} ${target.must}`,
        `${sign} ${target.goal}`,
        verdict,
      ];
    }),
  );
}

function shownFigure({ must }: Target, figure: Spread): string {
  // A count needs no range and no decimals.
  return must === 0 ? digits(figure.median).replace(/\.0+$/, '') : show(figure);
}
