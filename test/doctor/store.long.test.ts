// Doctor before a real Redis: who it is, whether it lets us in, whose keys are in it, and what of its settings loses some.

import { randomBytes } from 'node:crypto';
import { type TestContext, expect, test } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { TokenSealer } from '../../src/protocol/sealed-token.ts';
import { Seals, StorePlaces } from '../../src/replica/seals.ts';
import { certificateFile } from '../support/certificates.ts';
import { takes } from '../support/installed.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../support/redis.ts';
import { examined } from './examined.ts';

const SECRET = randomBytes(32);

async function redisFor(context: TestContext, options: RedisOptions = {}): Promise<RedisServer> {
  takes(context, 'redis-server');
  return startRedis(options);
}

/** What is said of the store. */
async function said(store: NonNullable<ConfigInput['store']>, secret = SECRET): Promise<string[]> {
  const secrets = { current: secret.toString('base64') };
  const { of } = await examined({ upstreams: [{ url: 'http://127.0.0.1:1/sse' }], secrets, store });
  return of('store');
}

test('one that is there, empty and as it should be', async (context) => {
  const redis = await redisFor(context);

  expect(await said(redis.url())).toEqual([
    expect.stringMatching(
      /^ok: Redis \d+\.\d+\.\d+, answers in \d+ ms; a restart of it takes with it what only it has$/,
    ),
    'ok: nobody has written under causeway yet',
  ]);
  expect(await redis.admin.dbsize()).toBe(0);
});

test('our own mark is no news; that of another secret, or whatever else stands there, is another deployment', async (context) => {
  const redis = await redisFor(context, { config: { save: '3600 1' } });
  const place = new StorePlaces('causeway').deployment;
  await redis.admin.set(place, new Seals(new TokenSealer(SECRET, randomBytes)).text(place, 'causeway'));
  await redis.admin.set(new StorePlaces('elsewhere').deployment, 'what somebody wrote');

  const ours = await said(redis.url());
  const others = await said(redis.url(), randomBytes(32));
  const strange = await said({ url: redis.url(), prefix: 'elsewhere' });

  expect(ours).toEqual([expect.stringMatching(/^ok: Redis .*keeps what it has over a restart$/)]);
  for (const [found, prefix] of [
    [others, 'causeway'],
    [strange, 'elsewhere'],
  ] as const) {
    expect(found).toEqual([
      expect.stringMatching(/^ok: /),
      expect.stringMatching(
        new RegExp(`^failed: another deployment.* under ${prefix}: give store\\.prefix another name`),
      ),
    ]);
  }
});

test('who may not come in is told so, without the password; who may not see the settings, that they are to be seen to', async (context) => {
  const redis = await redisFor(context);
  await redis.acl('causeway', 'on >s3cret-password ~causeway:* +@read +@write +@scripting +@connection');
  await redis.acl('nobody', 'on >s3cret-password ~elsewhere:* +@all');

  const wrong = await said(redis.url('causeway', 'wr0ng-password'));
  const blind = await said(redis.url('causeway', 's3cret-password'));
  const without = await said(redis.url('nobody', 's3cret-password'));

  expect(wrong).toEqual([
    expect.stringMatching(/^failed: cannot be used: it does not let us in.*: see user and password/),
  ]);
  expect(blind[0]).toMatch(/^ok: nobody has written/);
  expect(blind[1]).toMatch(/^warning: answers, and does not let its user see its settings: .*allow INFO/);
  expect(without).toEqual([expect.stringMatching(/^failed: cannot be used: .*the user needs/)]);
  expect(JSON.stringify([wrong, blind, without])).not.toMatch(/s3cret|wr0ng/);
});

test('a cache, and one that is nearly full', async (context) => {
  const redis = await redisFor(context, { config: { 'maxmemory-policy': 'allkeys-lru', maxmemory: '100mb' } });

  expect((await said(redis.url()))[0]).toMatch(
    /^warning: Redis .* \(allkeys-lru\): leases .*: set maxmemory-policy noeviction/,
  );
  await redis.fill();
  expect((await said(redis.url()))[0]).toMatch(/^warning: Redis \S+ is full to \d+ % \(maxmemory\): raise maxmemory/);
});

test('a copy, and one of a cluster', async (context) => {
  const [first, copy, clustered] = [
    await redisFor(context),
    await redisFor(context),
    await redisFor(context, { config: { 'cluster-enabled': 'yes' } }),
  ];
  await copy.admin.replicaof('127.0.0.1', first.port);

  expect((await said(copy.url()))[0]).toMatch(/^failed: Redis \S+ is a copy, and takes no writes: name the primary/);
  expect((await said(clustered.url()))[0]).toMatch(/^failed: Redis \S+ is one of a cluster, .*: name one server/);
});

test('over TLS: by the authority that is named, and by no other', async (context) => {
  const tls = {
    cert: certificateFile('server.pem'),
    key: certificateFile('server.key'),
    ca: certificateFile('ca.pem'),
  };
  const redis = await redisFor(context, { tls });
  const url = redis.url().replace('127.0.0.1', 'localhost');

  expect((await said({ url, ca: tls.ca }))[0]).toMatch(/^ok: Redis /);
  expect((await said({ url }))[0]).toMatch(/^failed: cannot be used: its certificate is not accepted.*store\.ca/);
});

test('one that is paused ends with the time that there is', async (context) => {
  const redis = await redisFor(context);
  redis.pause();

  const [finding = ''] = await said(redis.url());

  expect(finding).toMatch(/^failed: (?:cannot be used: it did not answer|no answer in time)/);
});
