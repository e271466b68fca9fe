// The store that users have: a real redis-server that is stopped, held still, filled, emptied and poisoned, under gateways in
// this process, and under programs that are killed and paused.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Agent } from 'undici';
import { type TestContext, beforeEach, expect, onTestFinished, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Gateway, type GatewayClient, clientOf, startGateway } from '../support/gateway.ts';
import { takes } from '../support/installed.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type Replica, startReplicas } from '../support/replicas.ts';
import { IN, listen } from '../support/session-client.ts';

const MAIN = join(import.meta.dirname, '../../dist/main.js');
const SECRET = randomBytes(32).toString('base64');
/** As the issue of a store that is back has it. */
const RECOVERED_MS = 5000;

beforeEach((context: TestContext) => takes(context, 'redis-server'));

interface World {
  readonly redis: RedisServer;
  readonly first: Replica;
  readonly second: Replica;
  readonly upstream: LegacyServer;
}

async function twoOverRedis(): Promise<World> {
  const redis = await startRedis();
  const { upstream, replicas } = await startReplicas(2, {}, { store: redis.url() });
  const [first, second] = replicas;
  return { redis, first, second, upstream };
}

function storeIs({ app }: Gateway, what: object, timeout = RECOVERED_MS): Promise<void> {
  return expect.poll(() => app.gauges().store, { interval: 20, timeout }).toMatchObject(what);
}

const WRITTEN = { isUp: true, behind: 0, waiting: 0 };

/** Calls in the session, one after the other, until it is stopped: how many there were, and those that failed. */
function calling(gateway: GatewayClient, session: string): { stop(): Promise<{ calls: number; failed: number }> } {
  let isOver = false;
  const counts = { calls: 0, failed: 0 };
  const loop = (async () => {
    while (!isOver) {
      counts.calls++;
      const { json } = await gateway.call('add', { a: counts.calls, b: 1 }, counts.calls, IN(session));
      if (json?.result?.content[0].text !== String(counts.calls + 1)) counts.failed++;
    }
  })();
  return {
    async stop() {
      isOver = true;
      await loop;
      return counts;
    },
  };
}

test('a call that is answered without a stream asks nothing of the store', async () => {
  const { redis, first } = await twoOverRedis();
  const session = await first.openSession();
  await storeIs(first, WRITTEN);
  // Once a second each replica says that it lives.
  const told = (): number =>
    first.journal.of('store_operation').filter(({ operation }) => operation !== 'renew').length;
  const commands = async (): Promise<number> => {
    const { evalsha = 0, eval: evaluated = 0 } = await redis.commands();
    return evalsha + evaluated;
  };
  const [before, toldBefore, startedAt] = [await commands(), told(), performance.now()];

  for (let id = 1; id <= 100; id++) await first.call('add', { a: id, b: 1 }, id, IN(session));

  const signsOfLife = 2 * (1 + Math.ceil((performance.now() - startedAt) / 1000));
  expect((await commands()) - before).toBeLessThanOrEqual(signsOfLife);
  expect(told()).toBe(toldBefore);
});

test('an owner that nobody listens for is taken over within a moment, and no event that it had kept is missing', async () => {
  const { first, second, upstream } = await twoOverRedis();
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  const link = await upstream.nextStream();
  const get = await listen(first, session);
  for (let at = 1; at <= 200; at++) {
    upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: at } });
  }
  const seen = await get.until(({ json }) => json?.params?.data === 200);
  await storeIs(first, WRITTEN);
  const after = seen.find(({ json }) => json?.params?.data === 50);

  await first.way.close();
  const startedAt = performance.now();
  const again = await openEvents(second, { sessionId: session, lastEventId: after?.id ?? '' });
  const took = performance.now() - startedAt;
  const rest = await again.until(({ json }) => json?.params?.data === 200);

  expect(rest.map(({ json }) => json.params.data)).toEqual(Array.from({ length: 150 }, (_, at) => at + 51));
  expect(took).toBeLessThan(2000);
});

test('an event that is larger than all that a session may keep, beside an earlier one', async () => {
  const { first, second, upstream } = await twoOverRedis();
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  const link = await upstream.nextStream();
  const get = await listen(first, session);
  const primed = await get.next();
  const data = 'x'.repeat(5 * 1024 * 1024);
  for (const each of ['small', data]) {
    upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: each } });
  }
  await get.until(({ json }) => json?.params?.data === data);
  await storeIs(first, WRITTEN);

  await first.way.close();
  const again = await openEvents(second, { sessionId: session, lastEventId: primed.id ?? '' });

  expect((await again.next()).json?.params?.data === data).toBe(true);
});

test.each([
  ['paused', async (redis: RedisServer) => redis.pause(), async (redis: RedisServer) => redis.resume()],
  ['killed, and started empty', (redis: RedisServer) => redis.kill(), (redis: RedisServer) => redis.start()],
  ['full', (redis: RedisServer) => redis.fill(), (redis: RedisServer) => redis.roomy()],
])(
  'a store that is %s: no call fails, new sessions open, and it is in use again within 5 s',
  async (what, harm, mend) => {
    const { redis, first, second } = await twoOverRedis();
    const session = await first.openSession();
    await storeIs(first, WRITTEN);
    const calls = calling(first, session);

    await harm(redis);
    const opened: string[] = [];
    // A full one is only noticed when something is written.
    await expect
      .poll(async () => opened.push(await first.openSession()) > 0 && first.app.gauges().store?.isUp, {
        interval: 100,
        timeout: 5000,
      })
      .toBe(false);
    const ready = await first.send('GET', '/readyz');
    const unknown = await second.call('add', { a: 1, b: 1 }, 1, IN(session));
    await mend(redis);
    await storeIs(first, WRITTEN);
    const { failed, calls: howMany } = await calls.stop();

    expect([ready.status, ready.json]).toEqual([200, { status: 'ok', store: 'unavailable' }]);
    expect(unknown.status).toBe(200);
    expect(failed).toBe(0);
    expect(howMany).toBeGreaterThan(10);
    expect(first.journal.of('store_down')).toMatchObject([
      { reason: { paused: 'slow', full: 'full' }[what] ?? 'unreachable' },
    ]);
    // What was opened meanwhile goes on elsewhere as well.
    await storeIs(second, { isUp: true });
    await first.way.close();
    const moved = await second.call('add', { a: 1, b: 1 }, 1, IN(opened.at(-1) ?? ''));
    expect(moved.status).toBe(200);
  },
);

test('wrong types, giant values and values of others in every key stop nobody, and are counted [T30]', async () => {
  const { redis, first, second, upstream } = await twoOverRedis();
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  const link = await upstream.nextStream();
  await listen(first, session);
  await storeIs(first, WRITTEN);
  const giant = Buffer.alloc(32 * 1024 * 1024, 120);
  for (const key of await redis.admin.keys('causeway:*')) {
    await redis.admin.del(key);
    if (key.endsWith(':lease')) await redis.admin.lpush(key, 'x');
    else if (key.endsWith(':session')) await redis.admin.set(key, giant);
    else if (key.endsWith(':events')) await redis.admin.hset(key, 'x', 'y');
    else await redis.admin.sadd(key, 'x');
  }

  const foreign = await second.call('add', { a: 1, b: 1 }, 1, IN(session));
  upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } });
  await expect.poll(() => first.journal.of('store_rejected').length, { timeout: 5000 }).toBeGreaterThan(0);
  await storeIs(first, WRITTEN);
  await first.way.close();
  const moved = await second.call('add', { a: 2, b: 1 }, 2, IN(session));

  expect([foreign.status, moved.status]).toEqual([200, 200]);
  expect(new Set(first.journal.of('store_rejected').map(({ what }) => what))).toContain('lease');
  expect(first.journal.of('session_ended')).toEqual([]);
});

test.each([
  ['a wrong password', 'on >right ~causeway:* +@all', 'wrong', /does not let us in.*WRONGPASS/],
  ['no right to write', 'on >right ~causeway:* +@read +@connection', 'right', /does not let us in.*NOPERM/],
  ['other keys', 'on >right ~other:* +@all', 'right', /does not let us in.*NOPERM/],
])(
  'a user with %s is refused at the start, with what it needs, and its password is not said',
  async (_what, rules, password, says) => {
    const redis = await startRedis();
    await redis.acl('joe', rules);
    const upstream = await startLegacyServer();
    onTestFinished(() => upstream.close());

    const failure = await startGateway(upstream.url, {
      secrets: { current: SECRET },
      store: redis.url('joe', password),
    }).then(
      () => 'it started',
      (error: Error) => error.message,
    );

    expect(failure).toMatch(says);
    expect(failure).toMatch(/ACL SETUSER/);
    expect(failure).not.toContain(`:${password}@`);
  },
);

test('a user with the rights that the page names, and no others, is all that is needed', async () => {
  const redis = await startRedis();
  await redis.acl('joe', 'on >right ~causeway:* +@read +@write +@scripting +@connection');
  const { replicas } = await startReplicas(2, {}, { store: redis.url('joe', 'right') });
  const [first, second] = replicas;
  const session = await first.openSession();
  await storeIs(first, WRITTEN);

  await first.way.close();
  const answer = await second.call('add', { a: 1, b: 1 }, 1, IN(session));

  expect(answer.status).toBe(200);
});

test('a store that another deployment has marked is refused at the start', async () => {
  const { redis } = await twoOverRedis();
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());

  const starting = startGateway(upstream.url, { secrets: { current: SECRET }, store: redis.url() });

  await expect(starting).rejects.toThrow(/another deployment/);
});

interface Program extends GatewayClient {
  signal(name: NodeJS.Signals): void;
  /** A line of its log. */
  says(part: string): Promise<void>;
}

async function startProgram(upstream: URL, redis: RedisServer): Promise<Program> {
  const child = spawn(
    process.execPath,
    [MAIN, upstream.href, '--listen=127.0.0.1:0', '--links-min=0', '--log-level=debug'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, CAUSEWAY_SECRETS_CURRENT: SECRET, CAUSEWAY_STORE: redis.url() },
    },
  );
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    child.kill('SIGCONT');
    await ended;
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    for (const look of waiting) look();
  });
  const line = (part: RegExp | string): Promise<string> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`not said: ${part}\n${lines.slice(-20).join('\n')}`)), 20_000);
      const look = (): void => {
        const found = lines.find((each) => (typeof part === 'string' ? each.includes(part) : part.test(each)));
        if (found === undefined) return;
        clearTimeout(late);
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  const [origin = ''] =
    /http:\/\/127\.0\.0\.1:\d+/.exec(await line(/"endpoint":"http|http:\/\/127\.0\.0\.1:\d+\/mcp/)) ?? [];
  await line('store in use');
  const dispatcher = new Agent();
  onTestFinished(() => dispatcher.destroy());
  return {
    ...clientOf(origin, dispatcher),
    signal: (name) => void child.kill(name),
    says: async (part) => void (await line(part)),
  };
}

test('a program that was killed: its session goes on at another one that shares nothing with it but the store', async () => {
  const redis = await startRedis();
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const [first, second] = [await startProgram(upstream.url, redis), await startProgram(upstream.url, redis)];
  const session = await first.openSession();

  first.signal('SIGKILL');
  const answer = await second.call('add', { a: 2, b: 3 }, 1, IN(session));

  expect([answer.status, answer.json.result?.content[0].text]).toEqual([200, '5']);
});

test('a program that was stopped in peace gives its sessions up: they are had at once', async () => {
  const redis = await startRedis();
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const [first, second] = [await startProgram(upstream.url, redis), await startProgram(upstream.url, redis)];
  const session = await first.openSession();

  first.signal('SIGTERM');
  await first.says('counts');
  const startedAt = performance.now();
  const answer = await second.call('add', { a: 2, b: 3 }, 1, IN(session));

  expect([answer.status, answer.json.result?.content[0].text]).toEqual([200, '5']);
  expect(performance.now() - startedAt).toBeLessThan(2000);
});

test('a program that stood still while another one took its session over ends it as moved when it wakes', async () => {
  const redis = await startRedis();
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const [first, second] = [await startProgram(upstream.url, redis), await startProgram(upstream.url, redis)];
  const session = await first.openSession();

  first.signal('SIGSTOP');
  const taken = await second.call('add', { a: 2, b: 3 }, 1, IN(session));
  first.signal('SIGCONT');
  await first.says('"why":"moved"').catch(() => first.says('moved'));
  const again = await second.call('add', { a: 3, b: 3 }, 2, IN(session));

  expect([taken.status, again.json.result?.content[0].text]).toEqual([200, '6']);
});
