// What a store costs, at the replica and at the Redis, of a session, of an event, and of a session that another replica takes over
// from one that was killed.
import { listening } from '../peers/program.ts';
import { Redis } from '../peers/redis.ts';
import { startReplicas, type Replica } from '../peers/replicas.ts';
import { setTimeout as pass } from 'node:timers/promises';
import type { Peer } from '../peers.ts';
import type { Variant } from '../scenarios.ts';
import { CALLS, CHURN, routed, stopAll, turn, type Bench } from './bench.ts';
import type { StoreCosts } from './model.ts';

/** Ten notifications and the answer. */
const EVENTS: Variant = { ...CALLS, shape: { ...CALLS.shape, progress: 10 } };
const EVENTS_A_CALL = 11;
/** Calls with events and sessions, a second. */
const EVENT_RATE = 200;
const OPEN_RATE = 100;
const TAKEN_OVER = 100;
const AT_ONCE = 8;

export interface StoreFigures {
  readonly costs: readonly StoreCosts[];
  readonly takeOverMs: readonly number[];
}

export async function measureStore(bench: Bench): Promise<StoreFigures> {
  const redis = await Redis.start();
  const [plain, stored] = await Promise.all([
    startReplicas(bench.upstreamPort, { count: 1 }),
    startReplicas(bench.upstreamPort, { count: 1, storePort: redis.port }),
  ]);
  try {
    for (const group of [plain, stored]) {
      for (const variant of [CALLS, EVENTS, CHURN]) await turn(bench, routed(group), variant);
    }
    const rounds: Omit<StoreCosts, 'takeOverOperations' | 'sessionBytes'>[] = [];
    for (let round = 0; round < bench.rounds; round += 1) {
      const open = await dearer(bench, { plain, stored, redis }, CHURN, OPEN_RATE);
      const event = await dearer(bench, { plain, stored, redis }, EVENTS, EVENT_RATE);
      rounds.push({
        openUs: open.replicaUs,
        eventUs: event.replicaUs / EVENTS_A_CALL,
        redisOpenUs: open.redisUs,
        redisEventUs: event.redisUs / EVENTS_A_CALL,
        openOperations: open.operations,
        eventOperations: event.operations / EVENTS_A_CALL,
      });
    }
    const sessionBytes = await bytesOfSession(bench, stored, redis);
    const takeOver = await takeOvers(bench);
    const costs = rounds.map((round) => ({ ...round, sessionBytes, takeOverOperations: takeOver.operations }));
    return { costs, takeOverMs: takeOver.ms };
  } finally {
    [plain, stored].forEach(stopAll);
    redis.stop();
  }
}

interface Dearer {
  readonly replicaUs: number;
  readonly redisUs: number;
  readonly operations: number;
}

interface Sides {
  readonly plain: readonly Replica[];
  readonly stored: readonly Replica[];
  readonly redis: Redis;
}

/** What a call of the variant costs more with the store than without. */
async function dearer(bench: Bench, { plain, stored, redis }: Sides, variant: Variant, rate: number): Promise<Dearer> {
  const without = await turn(bench, routed(plain), variant, rate);
  const withStore: Peer = { ...routed(stored), apart: () => redis.pids };
  const before = await redis.info('total_commands_processed');
  const figures = await turn(bench, withStore, variant, rate);
  const operations = (await redis.info('total_commands_processed')) - before;
  return {
    replicaUs: figures.cpuUs - without.cpuUs,
    redisUs: figures.apartCpuUs,
    operations: operations / figures.right,
  };
}

async function bytesOfSession({ load, sessions }: Bench, [replica]: readonly Replica[], redis: Redis): Promise<number> {
  const before = await redis.info('used_memory');
  await load.open({ port: replica?.port ?? 0, path: '/mcp', way: 'idle', count: sessions });
  const after = await redis.info('used_memory');
  await load.close();
  return (after - before) / sessions;
}

/** The owner of all of them is killed; then each is called at the other replica. */
async function takeOvers({
  upstreamPort,
}: Bench): Promise<{ readonly operations: number; readonly ms: readonly number[] }> {
  // One of their own: what other replicas have sealed they could not read.
  const redis = await Redis.start();
  const replicas = await startReplicas(upstreamPort, { count: 2, storePort: redis.port });
  const [owner, heir] = replicas;
  if (owner === undefined || heir === undefined) throw new Error('two replicas were asked for');
  try {
    const ids: string[] = [];
    for (let index = 0; index < TAKEN_OVER; index += 1) ids.push(await opened(owner.port));
    const before = await redis.info('total_commands_processed');
    const killedAt = performance.now();
    owner.program.stop();
    // What it is asked before it is quite dead has an unknown outcome.
    while ((await listening(owner.port)) !== undefined) await pass(1);
    const ms: number[] = [];
    const left = [...ids];
    const caller = async (): Promise<void> => {
      for (let id = left.pop(); id !== undefined; id = left.pop()) {
        await called(heir.port, id);
        ms.push(performance.now() - killedAt);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, caller));
    const operations = (await redis.info('total_commands_processed')) - before;
    return { operations: operations / TAKEN_OVER, ms };
  } finally {
    stopAll(replicas);
    redis.stop();
  }
}

const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const REVISION = '2025-06-18';

async function opened(port: number): Promise<string> {
  const params = { protocolVersion: REVISION, capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
  const response = await post(port, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
  await response.text();
  const id = response.headers.get('mcp-session-id') ?? '';
  await (await post(port, { jsonrpc: '2.0', method: 'notifications/initialized' }, id)).text();
  return id;
}

async function called(port: number, session: string): Promise<void> {
  const response = await post(port, { jsonrpc: '2.0', id: 1, method: 'tools/list' }, session);
  const text = await response.text();
  if (response.status !== 200 || !text.includes('"echo"'))
    throw new Error(`not taken over: HTTP ${response.status} ${text}`);
}

async function post(port: number, message: object, session?: string): Promise<Response> {
  const named = session === undefined ? {} : { 'mcp-session-id': session, 'mcp-protocol-version': REVISION };
  return fetch(`http://127.0.0.1:${port}/mcp`, {
    method: 'POST',
    headers: { ...HEADERS, ...named },
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(30_000),
  });
}
