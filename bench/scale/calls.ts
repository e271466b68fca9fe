// What calls and the opening of sessions cost at an owner and through another replica, and with two and three replicas
// among which requests go in turn: all within each round.
import { startReplicas, type Replica } from '../peers/replicas.ts';
import { CALLS, CHURN, counterOf, pidsOf, routed, stopAll, turn, type Bench } from './bench.ts';
import { check, type Check } from './figures.ts';
import { callCost, hopsPerRequest, openCost, type CallCosts } from './model.ts';

interface CallRound extends CallCosts {
  readonly together: readonly Together[];
}

/** Of replicas among which requests go in turn. */
interface Together {
  readonly replicas: number;
  readonly callUs: number;
  readonly hopsPerCall: number;
  readonly openUs: number;
}

export interface CallFigures {
  readonly costs: readonly CallCosts[];
  readonly checks: readonly Check[];
}

/** What comes after the request that opens it, in `churn`: initialized and DELETE. */
const CHURN_REQUESTS = 2;

export async function measureCalls(bench: Bench): Promise<CallFigures> {
  const groups = await Promise.all([2, 3].map((count) => startReplicas(bench.upstreamPort, { count })));
  try {
    await warmUp(bench, groups);
    const rounds: CallRound[] = [];
    for (let round = 0; round < bench.rounds; round += 1) rounds.push(await callRound(bench, groups));
    return { costs: rounds, checks: groups.flatMap(({ length }, index) => checksOf(rounds, index, length)) };
  } finally {
    groups.forEach(stopAll);
  }
}

/** Each of them as owner and as the one that passes on: a process is warm after some 30,000 calls. */
async function warmUp(bench: Bench, groups: readonly (readonly Replica[])[]): Promise<void> {
  for (const group of groups) {
    await turn(bench, routed(group), CALLS, bench.seconds * group.length);
    await turn(bench, routed(group), CHURN, bench.seconds / 2);
  }
}

async function callRound(bench: Bench, groups: readonly (readonly Replica[])[]): Promise<CallRound> {
  const [pair = []] = groups;
  const [owner, other] = [pair.slice(0, 1), pair.slice(1)];
  const direct = await turn(bench, routed(pair, { homes: owner, via: owner }), CALLS);
  const hop = await turn(bench, routed(pair, { homes: owner, via: other, apart: () => pidsOf(other) }), CALLS);
  const opened = await turn(bench, routed(pair, { homes: owner, via: owner }), CHURN);
  const together: Together[] = [];
  for (const group of groups) together.push(await togetherRound(bench, group));
  return {
    callUs: direct.cpuUs,
    hopUs: hop.apartCpuUs,
    hoppedUs: hop.cpuUs - hop.apartCpuUs,
    openUs: opened.cpuUs,
    together,
  };
}

async function togetherRound(bench: Bench, group: readonly Replica[]): Promise<Together> {
  const before = await counterOf(group, 'causeway_hops_total');
  const calls = await turn(bench, routed(group), CALLS);
  const hops = (await counterOf(group, 'causeway_hops_total')) - before;
  const opened = await turn(bench, routed(group), CHURN);
  return {
    replicas: group.length,
    callUs: calls.cpuUs,
    hopsPerCall: hops / calls.right,
    openUs: opened.cpuUs,
  };
}

function checksOf(rounds: readonly CallRound[], group: number, replicas: number): Check[] {
  const share = hopsPerRequest(replicas);
  const of = (figure: keyof Together): number[] => rounds.map(({ together }) => together[group]?.[figure] ?? NaN);
  const predicted = (from: (costs: CallCosts) => number): number[] => rounds.map(from);
  return [
    check(
      'hops a call',
      replicas,
      predicted(() => share),
      of('hopsPerCall'),
    ),
    check(
      'CPU a call, µs',
      replicas,
      predicted((costs) => callCost(costs, share)),
      of('callUs'),
    ),
    check(
      'CPU a session that is opened and ended, µs',
      replicas,
      predicted((costs) => openCost(costs, share, CHURN_REQUESTS)),
      of('openUs'),
    ),
  ];
}
