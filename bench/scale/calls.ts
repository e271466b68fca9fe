// What calls and the opening of sessions cost at an owner and through another replica, and with two and three replicas
// among which requests go in turn: all within each round, at a fixed rate for each process. A process that gets more at a time
// does each for less, so only those that are as busy as each other can be compared: in a closed loop three replicas on two cores
// are less busy than one, and cost half as much again as any sum of parts.
import { startReplicas, type Replica } from '../peers/replicas.ts';
import { CALLS, CHURN, counterOf, pidsOf, routed, stopAll, turn, warmUp, type Bench } from './bench.ts';
import { CALL_RATE, check, type Check, type Saturated } from './figures.ts';
import { callCost, hopsPerRequest, openCost, type CallCosts } from './model.ts';

interface CallRound {
  readonly costs: CallCosts;
  readonly saturated: Saturated;
  readonly together: readonly Together[];
}

/** Of replicas among which requests go in turn. */
interface Together {
  readonly callUs: number;
  readonly hopsPerCall: number;
  readonly openUs: number;
}

export interface CallFigures {
  readonly costs: readonly CallCosts[];
  readonly saturated: readonly Saturated[];
  readonly checks: readonly Check[];
}

/** So many sessions are opened a second, for each process. */
const OPEN_RATE = 100;
/** What comes after the request that opens it, in `churn`: initialized and DELETE. */
const CHURN_REQUESTS = 2;

export async function measureCalls(bench: Bench): Promise<CallFigures> {
  const groups = await Promise.all([2, 3].map((count) => startReplicas(bench.upstreamPort, { count })));
  try {
    for (const group of groups) {
      await warmUp(bench, group);
      await turn({ ...bench, others: [] }, routed(group), CHURN);
    }
    console.log('warm');
    const rounds: CallRound[] = [];
    for (let round = 0; round < bench.rounds; round += 1) rounds.push(await callRound(bench, groups));
    return {
      costs: rounds.map(({ costs }) => costs),
      saturated: rounds.map(({ saturated }) => saturated),
      checks: groups.flatMap(({ length }, index) => checksOf(rounds, index, length)),
    };
  } finally {
    groups.forEach(stopAll);
  }
}

async function callRound(bench: Bench, groups: readonly (readonly Replica[])[]): Promise<CallRound> {
  const [pair = []] = groups;
  const [owner, other] = [pair.slice(0, 1), pair.slice(1)];
  const direct = routed(pair, { homes: owner, via: owner });
  const hop = routed(pair, { homes: owner, via: other, apart: () => pidsOf(other) });
  const saturated = await callTurns();
  const costs = { ...(await callTurns(CALL_RATE)), openUs: (await turn(bench, direct, CHURN, OPEN_RATE)).cpuUs };
  const together: Together[] = [];
  for (const group of groups) together.push(await togetherRound(bench, group));
  return { costs, saturated, together };

  async function callTurns(rate?: number): Promise<Saturated> {
    const { cpuUs } = await turn(bench, direct, CALLS, rate);
    const passed = await turn(bench, hop, CALLS, rate);
    return { callUs: cpuUs, hopUs: passed.apartCpuUs, hoppedUs: passed.cpuUs - passed.apartCpuUs };
  }
}

/** All requests of which go to each of them in turn. */
async function togetherRound(bench: Bench, group: readonly Replica[]): Promise<Together> {
  const peer = routed(group);
  const before = await counterOf(group, 'causeway_hops_total');
  const calls = await turn(bench, peer, CALLS, rateOf(group.length));
  const hops = (await counterOf(group, 'causeway_hops_total')) - before;
  const opened = await turn(bench, peer, CHURN, OPEN_RATE * group.length);
  return { callUs: calls.cpuUs, hopsPerCall: hops / calls.right, openUs: opened.cpuUs };
}

/** Of calls, so that each process has CALL_RATE to do: one that is passed on is done by two. */
function rateOf(replicas: number): number {
  return Math.round((replicas * CALL_RATE) / (1 + hopsPerRequest(replicas)));
}

function checksOf(rounds: readonly CallRound[], group: number, replicas: number): Check[] {
  const share = hopsPerRequest(replicas);
  const of = (figure: keyof Together): number[] => rounds.map(({ together }) => together[group]?.[figure] ?? NaN);
  const predicted = (from: (costs: CallCosts) => number): number[] => rounds.map(({ costs }) => from(costs));
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
