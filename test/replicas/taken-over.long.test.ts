// The replica that holds sessions is killed, and what a store keeps of them is enough: whoever is asked next takes them over.
// `REPLICA_KILLS=50` kills as often as you like.

import { expect, onTestFinished, test, type TestContext } from 'vitest';
import { type EventClient, type SseEvent, openCall, openEvents } from '../support/event-client.ts';
import { within } from '../support/eventually.ts';
import type { GatewayClient } from '../support/gateway.ts';
import { takes } from '../support/installed.ts';
import type { LegacyStream } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { EVERYTHING, askedIn, callTool, retry } from '../support/modern-client.ts';
import { NAMED } from '../support/questions.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type Replica, type Replicas, replicasBefore } from '../support/replica-processes.ts';
import { IN } from '../support/session-client.ts';
import { placesOf } from './kept.ts';

const KILLS = Number(process.env['REPLICA_KILLS'] ?? 10);
/** For the first answer after a kill. */
const TAKEN_OVER_MS = 2_000;
const WAIT_MS = 10_000;
const POLL = { timeout: WAIT_MS, interval: 5 };
/** Said while nobody listens. */
const MISSED = 20;

interface World {
  readonly redis: RedisServer;
  readonly upstream: LegacyServer;
  readonly replicas: Replicas;
  readonly front: GatewayClient;
}

async function storedReplicas(context: TestContext): Promise<World> {
  takes(context, 'nginx', 'redis-server');
  const [redis, upstream] = await Promise.all([startRedis(), startLegacyServer()]);
  onTestFinished(() => upstream.close());
  const replicas = await replicasBefore({ upstream: upstream.url, config: { store: redis.url() } });
  return { redis, upstream, replicas, front: replicas.front };
}

interface Held {
  readonly id: string;
  /** Its client, as the server knows it. */
  readonly client: string;
}

async function openAt(owner: Replica, client: string): Promise<Held> {
  const clientInfo = { name: client, version: '1' };
  return { id: await owner.client.openSession({ protocolVersion: '2025-11-25', clientInfo }), client };
}

/** The session's own link, the newest if it had several. */
function linkOf({ received, streams }: LegacyServer, { client }: Held): LegacyStream {
  const own = received.findLast(
    ({ message: { method, params } }) =>
      method === 'initialize' && JSON.stringify(params?.['clientInfo']).includes(`"${client}"`),
  );
  return streams.find(({ sessionId }) => own?.url.includes(sessionId)) ?? expect.fail(`no link of ${client}`);
}

function say(upstream: LegacyServer, to: LegacyStream, data: number | string): void {
  upstream.sendTo(to, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } });
}

const isProgress = ({ json }: SseEvent): boolean => json?.method === 'notifications/progress';
const isSaid = ({ json }: SseEvent): boolean => json?.method === 'notifications/message';
const said = (events: readonly SseEvent[]): (number | string)[] =>
  events.filter(isSaid).map(({ json }) => json.params.data);
const lastId = (events: readonly SseEvent[]): string =>
  events.findLast(({ id }) => id !== undefined)?.id ?? expect.fail('no id');

/** What each of three clients has of its session when its owner is killed. */
interface Scene {
  /** Has nothing open. */
  readonly idle: Held;
  /** Reads its stream while more and more is said to it. */
  readonly listening: Held & { readonly stream: EventClient; readonly stored: () => Promise<number> };
  /** Has called, and has left its reply; since then it was told so often how far its call is, and all of it is stored. */
  readonly calling: Held & { readonly lastEventId: string };
}

async function sceneAt(owner: Replica, { redis, upstream, front }: World, number: number): Promise<Scene> {
  const [idle, listening, calling] = await Promise.all(
    ['idle', 'listening', 'calling'].map((what) => openAt(owner, `${what} ${number}`)),
  );
  if (idle === undefined || listening === undefined || calling === undefined) return expect.fail();
  const stored = async ({ id }: Held): Promise<number> => redis.admin.xlen((await placesOf(id, redis)).events);

  const opening = openCall(front, calling.id, 'slow', { id: 'in flight', progressToken: 1 });
  const call = await upstream.nextCall('slow');
  call.progress(0);
  const reply = await opening;
  await reply.until(isProgress);
  reply.cut();
  for (let progress = 1; progress <= MISSED; progress++) call.progress(progress);
  await expect.poll(() => stored(calling), POLL).toBe(1 + MISSED);

  const stream = await openEvents(front, { sessionId: listening.id });
  let count = 0;
  const to = linkOf(upstream, listening);
  const talk = setInterval(() => {
    for (let each = 0; each < 5; each++) say(upstream, to, ++count);
  }, 1);
  void to.closed.then(() => clearInterval(talk));
  onTestFinished(() => clearInterval(talk));
  // Killed at some moment within what is said.
  const enough = 20 + Math.floor(Math.random() * 200);
  await stream.until((event) => isSaid(event) && event.json.params.data >= enough);
  // Every other client reads on to the end; the others have heard less than is stored.
  if (number % 2 === 1) {
    stream.pause();
    const heard = said(stream.seen).length;
    await expect.poll(() => stored(listening), POLL).toBeGreaterThan(heard + 30);
  }
  return {
    idle,
    listening: { ...listening, stream, stored: () => stored(listening) },
    calling: { ...calling, lastEventId: lastId(reply.seen) },
  };
}

test(
  `of ${KILLS} owners that are killed, each session goes on elsewhere, and its streams where they were`,
  async (context) => {
    const world = await storedReplicas(context);
    const { upstream, replicas, front } = world;
    const figures = {
      nextMs: [] as number[],
      endMs: [] as number[],
      unheard: [] as number[],
      unstored: [] as number[],
    };

    for (let kill = 0; kill < KILLS; kill++) {
      const owner = replicas.all[kill % replicas.all.length] ?? expect.fail();
      const { idle, listening, calling } = await sceneAt(owner, world, kill);

      await owner.kill();
      const since = performance.now();
      // Nobody writes there any more, and nobody goes on from there yet.
      const stored = await listening.stored();
      const answers = await Promise.all(
        [idle, listening].map(async ({ id }) => {
          const answer = await front.call('add', { a: kill, b: 1 }, 'next', IN(id));
          figures.nextMs.push(performance.now() - since);
          return answer;
        }),
      );
      for (const { json } of answers) {
        expect(json).toMatchObject({ result: { content: [{ text: String(kill + 1) }] } });
      }

      // What it has heard, and what was stored beyond that: nothing is left out in the middle, nothing comes twice.
      if (kill % 2 === 1) listening.stream.cut();
      await listening.stream.closed;
      const heard = listening.stream.seen;
      const resumed = await openEvents(front, { sessionId: listening.id, lastEventId: lastId(heard) });
      say(upstream, linkOf(upstream, listening), 'after');
      await resumed.until((event) => isSaid(event) && event.json.params.data === 'after');
      const all = [...said(heard), ...said(resumed.seen)];
      expect(all).toEqual([...Array.from({ length: all.length - 1 }, (_, index) => index + 1), 'after']);
      expect(all.length - 1).toBeGreaterThanOrEqual(stored);
      const ids = [...heard, ...resumed.seen].filter(isSaid).map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const ahead = stored - said(heard).length;
      figures.unheard.push(Math.max(0, ahead));
      figures.unstored.push(Math.max(0, -ahead));

      // All that was said while it was away, and then that nobody knows whether its call has come to its end.
      const askedAt = performance.now();
      const end = await openEvents(front, { sessionId: calling.id, lastEventId: calling.lastEventId });
      const rest = (await end.rest()).flatMap(({ json }) => (json === undefined ? [] : [json]));
      figures.endMs.push(performance.now() - askedAt);
      expect(rest.slice(0, -1).map(({ params }) => params?.progress)).toEqual(
        Array.from({ length: MISSED }, (_, index) => index + 1),
      );
      expect(rest.at(-1)).toMatchObject({
        id: 'in flight',
        error: { data: { reason: 'owner_lost', outcome: 'unknown' } },
      });

      await resumed.leave();
      const ended = await Promise.all(
        [idle, listening, calling].map(({ id }) => front.send('DELETE', '/mcp', IN(id)).then(({ status }) => status)),
      );
      expect(ended).toEqual([204, 204, 204]);
      await owner.start();
    }

    console.log(
      `${KILLS} owners killed: the next answer after ${spread(figures.nextMs)} ms, the end of what was in flight after ` +
        `${spread(figures.endMs)} ms; of what was stored by then ${Math.max(...figures.unheard)} events at most were still to be heard, ` +
        `and of what was heard ${Math.max(...figures.unstored)} at most were not stored`,
    );
    expect(Math.max(...figures.nextMs)).toBeLessThanOrEqual(TAKEN_OVER_MS);
    // None was carried out twice.
    const calls = upstream.received.filter(({ message }) => message.method === 'tools/call');
    expect(calls).toHaveLength(KILLS * 3);
  },
  60_000 + KILLS * 15_000,
);

test('the log level and the subscriptions of a session are those of its next link', async (context) => {
  const { upstream, replicas, front } = await storedReplicas(context);
  upstream.behaviour.capabilities = { tools: {}, logging: {}, resources: { subscribe: true } };
  upstream.behaviour.methods = { 'resources/subscribe': () => ({}) };
  const [owner = expect.fail()] = replicas.all;
  const held = await openAt(owner, 'with wants');
  const ask = (method: string, params: object): Promise<{ readonly status: number }> =>
    front.post({ jsonrpc: '2.0', id: method, method, params }, IN(held.id));
  await ask('logging/setLevel', { level: 'warning' });
  await ask('resources/subscribe', { uri: 'test://one' });
  for (const method of ['logging/setLevel', 'resources/subscribe']) await upstream.nextRequest(method);
  // Nobody waits for the store, and what it has not got is lost with the owner.
  await expect
    .poll(async () => (await owner.scrape()).sum('causeway_store_sessions', { state: 'behind' }), POLL)
    .toBe(0);

  await owner.kill();
  const answer = await front.call('add', { a: 1, b: 2 }, 1, IN(held.id));
  const again = await within(
    WAIT_MS,
    'what the session wants',
    Promise.all(['logging/setLevel', 'resources/subscribe'].map((method) => upstream.nextRequest(method))),
  );

  expect(answer.json.result.content[0].text).toBe('3');
  expect(again.map(({ message: { params } }) => params)).toMatchObject([{ level: 'warning' }, { uri: 'test://one' }]);
});

test('a round that the owner held is not gone on with: its state is refused with a reason, and the call can be made anew', async (context) => {
  const { upstream, replicas, front } = await storedReplicas(context);
  const [owner = expect.fail()] = replicas.all;
  const options = { capabilities: EVERYTHING };
  const params = { name: 'ask', arguments: {} };
  const asked = await callTool(owner.client, 'ask', {}, options);
  const answersTo = (of: typeof asked): object =>
    Object.fromEntries(Object.keys(askedIn(of)).map((key) => [key, NAMED]));

  await owner.kill();
  const since = performance.now();
  const refused = await retry(front, asked, answersTo(asked), ['tools/call', params, options]);
  const tookMs = performance.now() - since;
  const anew = await callTool(front, 'ask', {}, options);
  const done = await retry(front, anew, answersTo(anew), ['tools/call', params, options]);

  expect([refused.status, refused.json]).toMatchObject([
    200,
    { error: { code: -32602, data: { reason: 'request_state_invalid' } } },
  ]);
  expect(tookMs).toBeLessThanOrEqual(TAKEN_OVER_MS);
  expect(done.json.result.structuredContent.replies).toMatchObject([{ result: NAMED }]);
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(2);
});

test('an owner that was held still, and is no owner any more when it goes on, hands on what comes to it', async (context) => {
  const { upstream, redis, replicas, front } = await storedReplicas(context);
  const [owner = expect.fail(), other = expect.fail()] = replicas.all;
  const held = await openAt(owner, 'held still');
  const listener = await openEvents(other.client, { sessionId: held.id });
  say(upstream, linkOf(upstream, held), 'before');
  await listener.until(isSaid);

  owner.signal('SIGSTOP');
  // Sent there before anybody can know, and taken by nobody.
  const sent = other.client.call('count', {}, 'sent', IN(held.id));
  const alive = async (): Promise<number> => (await redis.admin.keys('causeway:v1:replica:*')).length;
  await expect.poll(alive, { timeout: WAIT_MS }).toBe(2);
  const since = performance.now();
  const lost = await within(WAIT_MS, 'an end', sent);
  const knownMs = performance.now() - since;
  const ended = await within(WAIT_MS, 'the end of its stream', listener.closed);
  const askedAt = performance.now();
  const taken = await within(WAIT_MS, 'an answer', other.client.call('count', {}, 'taken', IN(held.id)));
  const tookMs = performance.now() - askedAt;
  const resumed = await openEvents(other.client, { sessionId: held.id, lastEventId: lastId(listener.seen) });
  say(upstream, linkOf(upstream, held), 'after');
  await resumed.until(isSaid);
  owner.signal('SIGCONT');
  // The first one comes before it can have asked the store for anything.
  const after = [];
  for (const { client } of replicas.all) after.push(await client.call('count', {}, 'after', IN(held.id)));

  console.log(
    `owner held still: what was under way to it ended ${knownMs.toFixed(0)} ms after its sign of life was gone, ` +
      `and the next request was answered after ${tookMs.toFixed(0)} ms`,
  );
  expect(lost.json).toMatchObject({ id: 'sent', error: { data: { reason: 'owner_lost', outcome: 'unknown' } } });
  expect(ended).toBe('broken');
  expect(said(resumed.seen)).toEqual(['after']);
  // On one link, whoever is asked; and what was lost is carried out by nobody.
  const counted = [taken, ...after].map(({ json }) => json.result?.content[0].text);
  expect(counted).toEqual(['1', '2', '3', '4']);
  const calls = upstream.received.filter(({ message }) => message.method === 'tools/call');
  expect(calls).toHaveLength(counted.length);
  expect(knownMs).toBeLessThanOrEqual(TAKEN_OVER_MS + 1_000);
  expect(tookMs).toBeLessThanOrEqual(TAKEN_OVER_MS);
  await resumed.leave();
  await within(WAIT_MS, 'the end of the link that it had', upstream.whenStreams(1));
  expect((await front.send('DELETE', '/mcp', IN(held.id))).status).toBe(204);
  await within(WAIT_MS, 'the end of its link', upstream.whenStreams(0));
});

/** Least, median and most. */
function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor((sorted.length - 1) * part)] ?? NaN).toFixed(0);
  return `${at(0)} to ${at(1)} (median ${at(0.5)})`;
}
