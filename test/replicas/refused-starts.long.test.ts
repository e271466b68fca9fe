// What a replica cannot work with it does not start with: exit 3, what is wrong, and what to do about it.

import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { Child } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { takes } from '../support/installed.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { startRedis } from '../support/redis.ts';
import { type Replica, replicasBefore } from '../support/replica-processes.ts';
import type { ChildOptions } from '../support/watched-child.ts';
import { MAIN, file } from '../verbs/program.ts';

const KEY = randomBytes(32).toString('base64');
const EXIT_MS = 20_000;

interface Refusal {
  readonly code: number | null;
  readonly said: string;
}

/** One that is started, and ends by itself. */
async function refusal(command: Pick<ChildOptions, 'args' | 'env'>): Promise<Refusal> {
  const child = new Child({ name: 'replica', ...command });
  const { code } = await child.printed(({ end }) => end, 'end', EXIT_MS);
  return { code, said: child.stderr };
}

async function refusalOf(config: Partial<ConfigInput>): Promise<Refusal> {
  const upstreams = [{ url: 'http://127.0.0.1:9/sse' }];
  const text = JSON.stringify({ listen: { port: await freePort() }, upstreams, ...config });
  return refusal({ args: [MAIN, 'serve', '-c', file(text)] });
}

/** For a human: it says these things, in few lines, without where in the program that was found out and without the key. */
function expectTold({ code, said }: Refusal, ...things: readonly RegExp[]): void {
  for (const thing of things) expect(said).toMatch(thing);
  expect(code).toBe(3);
  expect(said).not.toMatch(/^\s+at /m);
  expect(said).not.toContain(KEY);
  expect(said.trimEnd().split('\n').length).toBeLessThan(15);
}

test('peers, or a store, without the key that all of them share', async () => {
  const peers = { addresses: ['127.0.0.9:8082'] };

  const [ofPeers, ofStore] = await Promise.all([refusalOf({ peers }), refusalOf({ store: 'redis://127.0.0.1:9' })]);

  expectTold(ofPeers, /peers/, /needs secrets\.current, the same for all replicas/, /openssl rand -base64 32/);
  expectTold(ofStore, /store/, /needs secrets\.current, the same for all replicas/, /openssl rand -base64 32/);
});

test('a key of another length', async () => {
  const short = KEY.slice(0, 24);

  const refused = await refusalOf({ secrets: { current: short }, peers: { addresses: ['127.0.0.9:8082'] } });

  expectTold(refused, /secrets\.current/, /not of 32 bytes, but of 18/, /openssl rand -base64 32/);
  expect(refused.said).not.toContain(short);
});

test('a peer that is this replica by another name', async () => {
  const port = await freePort();
  const peers = { host: '127.0.0.1', port, self: `gateway.example:${port}`, addresses: [`localhost:${port}`] };

  const refused = await refusalOf({ secrets: { current: KEY }, peers });

  expectTold(refused, new RegExp(`peers\\.addresses: localhost:${port} is this replica itself`), /peers\.self/);
});

test('an address for the others that somebody else has', async (context) => {
  takes(context, 'nginx');
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const { all } = await replicasBefore({ upstream: upstream.url, count: 2 });
  const [host = '', port] = all[0]?.peer.split(':') ?? [];
  const addresses = [all[1]?.peer ?? ''];

  const refused = await refusalOf({ secrets: { current: KEY }, peers: { host, port: Number(port), addresses } });

  expectTold(refused, new RegExp(`${host}:${port}`), /taken|in use/);
});

/** Its clock is a minute fast. */
const FAST = ['--import', 'data:text/javascript,const now = Date.now; Date.now = () => now() %2B 60_000;'];

const fast = ({ command: { args, env } }: Replica): Pick<ChildOptions, 'args' | 'env'> => {
  return { args: [...FAST, ...args], env };
};

test('a clock that is apart from those of all others', async (context) => {
  takes(context, 'nginx');
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const { all } = await replicasBefore({ upstream: upstream.url });
  const [replica = expect.fail()] = all;

  await replica.kill();
  const refused = await refusal(fast(replica));

  expectTold(refused, /clock/, /apart, by (?:59|60|61) s/, /NTP/);
});

test('a clock that is apart from that of one of them is that one’s, and is told', async (context) => {
  takes(context, 'nginx');
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const { all } = await replicasBefore({
    upstream: upstream.url,
    own: ({ name, peer }) => {
      const [host = '', port] = peer.split(':');
      // It asks nobody, or it would not start.
      return name === 'a' ? { peers: { host, port: Number(port), addresses: [peer] } } : {};
    },
  });
  const [wrong = expect.fail(), right = expect.fail()] = all;

  await wrong.kill();
  const child = new Child({ name: 'fast', ...fast(wrong) });
  await child.printed(({ stderr }) => /"msg":"listening"/.exec(stderr) ?? undefined, 'its start', EXIT_MS);
  await right.kill();
  await right.start();

  expect(right.log).toMatch(/"level":50[^\n]*"state":"apart"[^\n]*"clockMs":(?:59|60)\d{3}[^\n]*"remedy":"[^"]*NTP/);
  expect(await right.counts('causeway_peers', { state: 'apart' })).toBe(1);
});

test('a store that holds what another deployment has written, by the same prefix; by another one it starts', async (context) => {
  takes(context, 'nginx', 'redis-server');
  const [redis, upstream] = await Promise.all([startRedis(), startLegacyServer()]);
  onTestFinished(() => upstream.close());
  const first = await replicasBefore({ upstream: upstream.url, config: { store: redis.url() } });
  const before = await redis.admin.keys('*');

  const refused = await refusalOf({ secrets: { current: KEY }, store: redis.url() });
  const after = await redis.admin.keys('*');
  const other = await replicasBefore({
    upstream: upstream.url,
    count: 2,
    config: { store: { url: redis.url(), prefix: 'another' } },
  });
  const [ours, theirs] = await Promise.all([first.front.openSession(), other.front.openSession()]);

  expectTold(refused, /store/, /another deployment/, /store\.prefix/, /secrets\.current/);
  expect(after.toSorted((a, b) => a.localeCompare(b))).toEqual(before.toSorted((a, b) => a.localeCompare(b)));
  expect(ours).not.toBe(theirs);
  const prefixes = new Set((await redis.admin.keys('*')).map((key) => key.split(':')[0]));
  expect(prefixes).toEqual(new Set(['causeway', 'another']));
});
