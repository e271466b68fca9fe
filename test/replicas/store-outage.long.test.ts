// The store stops answering, or is gone, while sessions are at work: they go on as if nothing were, and what was missed is
// written once it is back. `REPLICA_OUTAGE=30` makes each outage last as many seconds; the run takes a few.

import { setTimeout as passed } from 'node:timers/promises';
import { expect, onTestFinished, test, type TestContext } from 'vitest';
import { takes } from '../support/installed.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type Replica, type Replicas, replicasBefore } from '../support/replica-processes.ts';
import { IN } from '../support/session-client.ts';

const OUTAGE_MS = Number(process.env['REPLICA_OUTAGE'] ?? 5) * 1_000;
/** With the store and without it, in turn. */
const ROUNDS = 4;
const ROUND_MS = Math.max(1_500, OUTAGE_MS / 10);
const SESSIONS = 24;
const AT_ONCE = 6;
const RECOVERED_MS = 5_000;
/** For the answer that a session is unknown, where the store cannot be asked. */
const UNKNOWN_MS = 4_000;
const POLL = { timeout: 20_000, interval: 20 };

interface World {
  readonly redis: RedisServer;
  readonly replicas: Replicas;
  readonly sessions: readonly string[];
}

async function sessionsAtWork(context: TestContext): Promise<World> {
  takes(context, 'nginx', 'redis-server');
  const [redis, upstream] = await Promise.all([startRedis(), startLegacyServer()]);
  onTestFinished(() => upstream.close());
  const replicas = await replicasBefore({ upstream: upstream.url, config: { store: redis.url() } });
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => replicas.front.openSession()));
  return { redis, replicas, sessions };
}

interface Load {
  /** How long calls took since the last time that it was asked, in milliseconds. */
  taken(): readonly number[];
  /** All that were answered otherwise, ever. */
  readonly faults: readonly unknown[];
  stop(): Promise<void>;
}

/** Calls in all of the sessions, through nginx, so many at once, until it is stopped. */
function callsIn(sessions: readonly string[], { front }: Replicas): Load {
  let latencies: number[] = [];
  const faults: unknown[] = [];
  let goesOn = true;
  const workers = Array.from({ length: AT_ONCE }, async (_, number) => {
    for (let call = 0; goesOn; call++) {
      const session = sessions[(call * AT_ONCE + number) % sessions.length] ?? '';
      const since = performance.now();
      const answer = await front
        .call('add', { a: call, b: number }, call, IN(session))
        .catch((error: unknown) => error);
      latencies.push(performance.now() - since);
      const text = String(call + number);
      if (JSON.stringify(answer).includes(`"text":"${text}"`)) continue;
      faults.push(answer);
    }
  });
  const stop = async (): Promise<void> => {
    goesOn = false;
    await Promise.all(workers);
  };
  onTestFinished(stop);
  return {
    taken() {
      const last = latencies;
      latencies = [];
      return last;
    },
    faults,
    stop,
  };
}

/** Milliseconds until every replica says so, and the store holds so many sessions. */
async function recovery({ redis, replicas: { all } }: World, sessions: number): Promise<number> {
  const since = performance.now();
  await expect.poll(() => ups(all), POLL).toEqual(all.map(() => 1));
  await expect.poll(async () => (await redis.admin.keys('causeway:v1:*:session')).length, POLL).toBe(sessions);
  return performance.now() - since;
}

/** What each says of the store. */
function ups(all: readonly Replica[]): Promise<number[]> {
  return Promise.all(all.map(async (replica) => (await replica.scrape()).sum('causeway_store_up')));
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

test('live sessions go on at their pace while the store is held still, in rounds with it and without', async (context) => {
  const world = await sessionsAtWork(context);
  const { redis, replicas, sessions } = world;
  const load = callsIn(sessions, replicas);
  await passed(ROUND_MS / 2);
  const [having, lacking]: [number[], number[]] = [[], []];

  for (let round = 0; round < ROUNDS; round++) {
    load.taken();
    await passed(ROUND_MS);
    having.push(...load.taken());
    redis.pause();
    await passed(ROUND_MS);
    lacking.push(...load.taken());
    redis.resume();
    await recovery(world, SESSIONS);
  }
  await load.stop();

  const [usual, without] = [median(having), median(lacking)];
  console.log(
    `store held still, ${ROUNDS} rounds of ${(ROUND_MS / 1000).toFixed(1)} s each way: p50 ${usual.toFixed(2)} ms with it ` +
      `(${having.length} calls), ${without.toFixed(2)} ms without (${lacking.length}), ${(without / usual).toFixed(2)} times; ` +
      `${load.faults.length} errors`,
  );
  expect(load.faults).toEqual([]);
});

test.for([
  {
    what: 'held still',
    stop: async (redis: RedisServer) => {
      redis.pause();
    },
    start: async (redis: RedisServer) => {
      redis.resume();
    },
  },
  {
    what: 'killed',
    stop: async (redis: RedisServer) => redis.kill(),
    start: async (redis: RedisServer) => redis.start(),
  },
])(
  'a store that is $what: no error, new sessions work, readiness says so, and soon after it is back all is kept again',
  async ({ what, stop, start }, context) => {
    const world = await sessionsAtWork(context);
    const { redis, replicas, sessions } = world;
    const [owner = expect.fail()] = replicas.all;
    const load = callsIn(sessions, replicas);

    await stop(redis);
    const since = performance.now();
    await expect.poll(() => ups(replicas.all), POLL).toEqual([0, 0, 0]);
    const noticedMs = performance.now() - since;
    const ready = await Promise.all(replicas.all.map(({ client }) => client.send('GET', '/readyz')));
    const openedAt = performance.now();
    const late = await owner.client.openSession({ protocolVersion: '2025-11-25' });
    const openedMs = performance.now() - openedAt;
    const meanwhile = await replicas.front.call('add', { a: 1, b: 2 }, 1, IN(late));
    await passed(Math.max(0, OUTAGE_MS - (performance.now() - since)));
    await start(redis);
    const recoveredMs = await recovery(world, SESSIONS + 1);
    await load.stop();

    // Those that were there before, and the one that was opened without it, survive their owner now.
    await owner.kill();
    const after = await Promise.all(
      [...sessions, late].map((id) => replicas.front.call('add', { a: 2, b: 2 }, 1, IN(id))),
    );

    console.log(
      `store ${what} for ${((performance.now() - since) / 1000).toFixed(0)} s: noticed after ${noticedMs.toFixed(0)} ms, a session ` +
        `opened in ${openedMs.toFixed(0)} ms meanwhile, recovered after ${recoveredMs.toFixed(0)} ms; ${load.faults.length} errors`,
    );
    expect(load.faults).toEqual([]);
    expect(ready.map(({ status, json }) => [status, json])).toMatchObject(
      replicas.all.map(() => [200, { status: 'ok', store: 'unavailable' }]),
    );
    expect(meanwhile.status).toBe(200);
    expect(recoveredMs).toBeLessThanOrEqual(RECOVERED_MS);
    expect(after.map(({ status }) => status)).toEqual(after.map(() => 200));
  },
);

test.for([{ what: 'before anybody has noticed' }, { what: 'once all know it' }])(
  'an owner that is killed while the store is held still, $what: its sessions are unknown, and nobody is kept waiting',
  async ({ what }, context) => {
    const { redis, replicas } = await sessionsAtWork(context);
    const [owner = expect.fail()] = replicas.all;
    const [lost, ...others] = await Promise.all(replicas.all.map(({ client }) => client.openSession()));

    redis.pause();
    if (what === 'once all know it') await expect.poll(() => ups(replicas.all), POLL).toEqual([0, 0, 0]);
    await owner.kill();
    const since = performance.now();
    const answers = await Promise.all([1, 2].map(() => replicas.front.call('add', { a: 1, b: 2 }, 1, IN(lost ?? ''))));
    const tookMs = performance.now() - since;
    const living = await Promise.all(others.map((id) => replicas.front.call('add', { a: 1, b: 2 }, 1, IN(id))));

    console.log(`owner killed without the store, ${what}: 404 after ${tookMs.toFixed(0)} ms`);
    expect(answers.map(({ status }) => status)).toEqual([404, 404]);
    expect(tookMs).toBeLessThanOrEqual(UNKNOWN_MS);
    expect(living.map(({ status }) => status)).toEqual([200, 200]);
  },
);
