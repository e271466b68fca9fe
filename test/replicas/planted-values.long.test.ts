// Somebody else writes into the store: what is planted there is no session, no event and no owner of ours. It is passed over
// and counted, it reaches no client, and who is at work goes on.

import { expect, onTestFinished, test, type TestContext } from 'vitest';
import { type SseEvent, openEvents } from '../support/event-client.ts';
import { takes } from '../support/installed.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type Replica, type Replicas, replicasBefore } from '../support/replica-processes.ts';
import { IN } from '../support/session-client.ts';
import { type Places, placesOf } from './kept.ts';

const MiB = 1024 * 1024;
/** For an answer, whatever stands in the store. */
const WITHIN_MS = 2_000;
const SAID = 'said to one of them';

type Plant = (redis: RedisServer, own: Places, other: Places) => Promise<unknown>;

/** What may be done to what is kept of a session, what its client gets then from another replica, and what is counted. */
const PLANTS: readonly (readonly [what: string, plant: Plant, status: 200 | 404, counted: string | null])[] = [
  ['nothing', async () => {}, 200, null],
  ['a record that is no record', ({ admin }, { session }) => admin.set(session, 'planted'), 404, 'record'],
  [
    'a record cut short',
    async ({ admin }, { session }) => admin.set(session, await cut(admin, session)),
    404,
    'record',
  ],
  ['a record of 8 MiB', ({ admin }, { session }) => admin.set(session, Buffer.alloc(8 * MiB, 'x')), 404, 'record'],
  ['a list for a record', ({ admin }, { session }) => planted(admin, session, 'list'), 404, 'record'],
  [
    'the record of another session',
    async ({ admin }, own, other) => admin.set(own.session, await valueOf(admin, other.session)),
    404,
    'record',
  ],
  ['a lease that is no lease', ({ admin }, { lease }) => admin.set(lease, '[9,"x@127.0.0.1:9"]'), 404, 'lease'],
  ['a lease of 1 MiB', ({ admin }, { lease }) => admin.set(lease, Buffer.alloc(MiB, 'x')), 404, 'lease'],
  ['a hash for a lease', ({ admin }, { lease }) => planted(admin, lease, 'hash'), 404, 'lease'],
  [
    'the lease of another session',
    async ({ admin }, own, other) => admin.set(own.lease, await valueOf(admin, other.lease)),
    404,
    'lease',
  ],
  ['a text for events', ({ admin }, { events }) => planted(admin, events, 'text'), 200, null],
  ['events among its own', ({ admin }, { events }) => admin.xadd(events, '*', 'e', 'planted'), 200, 'event'],
  ['events in another form', ({ admin }, { events }) => admin.xadd(events, '*', 'a', 'b', 'c', 'd'), 200, 'event'],
  [
    'the events of another session',
    ({ admin }, own, other) => admin.copy(other.events, own.events, 'REPLACE'),
    200,
    'event',
  ],
  ['nothing any more', ({ admin }, own) => admin.del(own.lease, own.session, own.events), 404, null],
];

async function valueOf(admin: RedisServer['admin'], key: string): Promise<Buffer> {
  return (await admin.getBuffer(key)) ?? expect.fail(`nothing at ${key}`);
}

async function cut(admin: RedisServer['admin'], key: string): Promise<Buffer> {
  return (await valueOf(admin, key)).subarray(0, -1);
}

async function planted(admin: RedisServer['admin'], key: string, type: 'list' | 'hash' | 'text'): Promise<void> {
  await admin.del(key);
  if (type === 'list') await admin.rpush(key, 'planted');
  else if (type === 'hash') await admin.hset(key, 'planted', '1');
  else await admin.set(key, 'planted');
}

interface World {
  readonly redis: RedisServer;
  readonly upstream: LegacyServer;
  readonly replicas: Replicas;
  readonly owner: Replica;
}

async function storedReplicas(context: TestContext): Promise<World> {
  takes(context, 'nginx', 'redis-server');
  const [redis, upstream] = await Promise.all([startRedis(), startLegacyServer()]);
  onTestFinished(() => upstream.close());
  const replicas = await replicasBefore({ upstream: upstream.url, config: { store: redis.url(), heartbeat: '300ms' } });
  return { redis, upstream, replicas, owner: replicas.all[0] ?? expect.fail() };
}

interface Kept {
  readonly id: string;
  readonly places: Places;
  /** Of the first of two events that were said to its client. */
  readonly lastEventId: string;
}

/** A session whose client has been told two things, and has left. */
async function keptSession({ redis, upstream, owner }: World): Promise<Kept> {
  const id = await owner.client.openSession({ protocolVersion: '2025-11-25' });
  const link = upstream.streams.at(-1) ?? expect.fail('no link');
  const say = (data: string): void =>
    upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } });
  const stream = await openEvents(owner.client, { sessionId: id });
  say('before');
  const [first] = (await stream.until(isSaid)).slice(-1);
  say(SAID);
  await stream.until(isSaid);
  const places = await placesOf(id, redis);
  await expect.poll(() => redis.admin.xlen(places.events), { timeout: 5_000 }).toBe(2);
  await stream.leave();
  return { id, places, lastEventId: first?.id ?? expect.fail('no id') };
}

const isSaid = ({ json }: SseEvent): boolean => json?.method === 'notifications/message';

async function sessionsPlanted(world: World): Promise<readonly Kept[]> {
  const sessions: Kept[] = [];
  for (const _ of PLANTS) sessions.push(await keptSession(world));
  const other = await keptSession(world);
  for (const [index, [, plant]] of PLANTS.entries()) {
    await plant(world.redis, sessions[index]?.places ?? expect.fail(), other.places);
  }
  return sessions;
}

test('what is planted in the store is taken by nobody who goes on from there [T7]', async (context) => {
  const world = await storedReplicas(context);
  const { replicas, owner } = world;
  const sessions = await sessionsPlanted(world);

  await owner.kill();
  const answers = await Promise.all(
    sessions.map(async ({ id }) => {
      const since = performance.now();
      const answer = await replicas.front.call('add', { a: 1, b: 2 }, 1, IN(id));
      return { ...answer, tookMs: performance.now() - since };
    }),
  );
  const streams = await Promise.all(
    sessions.map(async ({ id, lastEventId }, index) => {
      if (PLANTS[index]?.[2] !== 200) return null;
      const stream = await openEvents(replicas.front, { sessionId: id, lastEventId });
      // All that is kept comes before it.
      await stream.untilHeartbeat();
      return stream;
    }),
  );

  const outcomes = PLANTS.map(([what], index) => [what, answers[index]?.status]);
  expect(outcomes).toEqual(PLANTS.map(([what, , status]) => [what, status]));
  for (const { tookMs } of answers) expect(tookMs).toBeLessThan(WITHIN_MS);
  // Each has what was its own or nothing; what was planted, nobody.
  const heard = streams.map((stream) => stream?.seen.filter(isSaid).map(({ json }) => json.params.data) ?? null);
  for (const [index, [what]] of PLANTS.entries()) {
    if (heard[index] === null) continue;
    const isKept = ['nothing', 'events among its own', 'events in another form'].includes(what);
    expect([what, heard[index]]).toEqual([what, isKept ? [SAID] : []]);
  }
  for (const what of ['record', 'lease', 'event']) {
    const due = PLANTS.filter(([, , , counted]) => counted === what).length;
    expect([what, await replicas.sum('causeway_store_rejected_total', { what })]).toEqual([
      what,
      expect.toSatisfy((count: number) => count >= due, `at least ${due}`),
    ]);
  }
  expect(replicas.all.slice(1).every(({ isAlive }) => isAlive)).toBe(true);
});

test('whoever is at work goes on, whatever is planted in the store', async (context) => {
  const world = await storedReplicas(context);
  const { replicas } = world;
  const sessions = await sessionsPlanted(world);

  // Something to be written, and once it was tried.
  const wanted = await Promise.all(
    sessions.map(({ id }) =>
      replicas.front.post({ jsonrpc: '2.0', id: 1, method: 'logging/setLevel', params: { level: 'error' } }, IN(id)),
    ),
  );
  const refused = await world.owner.counts('causeway_store_operations_total', {
    operation: 'write',
    outcome: 'refused',
  });
  const answers = await Promise.all(
    [1, 2, 3].flatMap(() => sessions.map(({ id }) => replicas.front.call('add', { a: 1, b: 2 }, 1, IN(id)))),
  );

  const bad = [...wanted, ...answers].flatMap(({ status, text }, index) =>
    status === 200 ? [] : [[PLANTS[index % PLANTS.length]?.[0], status, text]],
  );
  expect(bad).toEqual([]);
  expect(refused).toBeGreaterThan(0);
});
