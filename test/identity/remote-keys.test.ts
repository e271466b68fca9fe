// The keys of an issuer, fetched from its server: how often, for how long they are trusted, and what its faults are told as.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type ServerOptions, createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { gzipSync } from 'node:zlib';
import { exportJWK } from 'jose';
import { JWKSNoMatchingKey } from 'jose/errors';
import { expect, onTestFinished, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import { RemoteKeys } from '../../src/identity/remote-keys.ts';
import { TLS_1_0, TRUSTED, certificate } from '../support/certificates.ts';
import { RecordingJournal } from '../support/gateway.ts';
import { type Answering, type Issuer, signingKey, startIssuer } from '../support/issuer.ts';
import { VirtualTime } from '../support/virtual-time.ts';

interface World {
  readonly issuer: Issuer;
  readonly time: VirtualTime;
  readonly journal: RecordingJournal;
  /** What becomes of a token that names this key: `found`, `unknown`, or the seconds after which to come again. */
  readonly find: (kid: string) => Promise<'found' | 'unknown' | number>;
}

const MINUTE = 60_000;

async function world(): Promise<World> {
  const issuer = await startIssuer();
  return worldOf(issuer, issuer.jwksUri);
}

function worldOf(issuer: Issuer, uri: string): World {
  const [time, journal] = [new VirtualTime(), new RecordingJournal()];
  const keys = new RemoteKeys({ uri: new URL(uri), clock: time, timers: time, journal });
  const find: World['find'] = async (kid) => {
    const token = { payload: '', signature: '' };
    try {
      await keys.find({ alg: 'ES256', kid }, token);
      return 'found';
    } catch (thrown) {
      if (thrown instanceof JWKSNoMatchingKey) return 'unknown';
      if (!(thrown instanceof ProxyError)) throw thrown;
      expect(thrown.code).toBe('keys_unavailable');
      return Math.round((thrown.details.retryAfterMs ?? 0) / 1000);
    }
  };
  return { issuer, time, journal, find };
}

test('nothing is fetched before a token comes, and all who come at once wait for one fetch', async () => {
  const { issuer, find } = await world();
  expect(issuer.asked).toBe(0);

  const all = await Promise.all(Array.from({ length: 50 }, () => find('first')));

  expect(new Set(all)).toEqual(new Set(['found']));
  expect(issuer.asked).toBe(1);
});

test('keys are fetched anew after ten minutes, and one that is withdrawn is known no more', async () => {
  const { issuer, time, find } = await world();
  await find('first');
  await time.advance(10 * MINUTE - 1);
  const before = [await find('first'), issuer.asked];
  issuer.keys = [await signingKey('second')];
  await time.advance(1);

  const after = [await find('second'), issuer.asked];

  expect([before, after]).toEqual([
    ['found', 1],
    ['found', 2],
  ]);
  expect(await find('first')).toBe('unknown');
});

test('a key that is new is fetched when its first token comes; keys that nobody has make one fetch in 30 s', async () => {
  const { issuer, time, find } = await world();
  await find('first');
  await time.advance(30_000);
  issuer.keys.push(await signingKey('second'));

  const rotated = await find('second');
  const invented = await Promise.all(Array.from({ length: 50 }, (_, index) => find(`invented-${index}`)));
  const soon = issuer.asked;
  await time.advance(30_000);
  await find('invented');

  expect(rotated).toBe('found');
  expect(new Set(invented)).toEqual(new Set(['unknown']));
  expect([soon, issuer.asked]).toEqual([2, 3]);
});

const SYMMETRIC = { kty: 'oct', kid: 'leaked', k: 'AA' };

test.each<readonly [what: string, why: RegExp | null, more: readonly object[], keys: readonly string[]]>([
  ['no key', /the answer holds no key/, [], []],
  ['a symmetric key alone', /private or symmetric/, [SYMMETRIC], []],
  ['a private key and a good one', /private or symmetric/, [await privateKey('leaked')], ['second']],
  ['another key', null, [], ['second']],
])('a set of %s is an answer: it goes, and keys that are not in it are trusted no more', async (_, why, more, kids) => {
  const { issuer, time, journal, find } = await world();
  await find('first');
  issuer.keys = await Promise.all(kids.map((kid) => signingKey(kid)));
  issuer.answering = (_request, response) => response.end(JSON.stringify({ keys: [...more, ...issuer.keySet.keys] }));
  await time.advance(10 * MINUTE);

  const found = [await find('first'), await find('leaked'), await find('second')];

  expect(found).toEqual(['unknown', 'unknown', kids.includes('second') ? 'found' : 'unknown']);
  expect(journal.of('keys_unread')).toEqual([]);
  expect(journal.of('keys_unusable')).toMatchObject(why === null ? [] : [{ why: expect.stringMatching(why) }]);
  expect(issuer.asked).toBe(2);
});

async function privateKey(kid: string): Promise<object> {
  const { secret, published } = await signingKey(kid);
  return { ...published, ...(await exportJWK(secret)) };
}

const filler = 'x'.repeat(300 * 1024);

test.each<readonly [what: string, why: RegExp, answering: Answering]>([
  ['refuses', /the answer was 503/, (_, response) => response.writeHead(503).end()],
  ['redirects', /the answer was 302/, (_, response) => response.writeHead(302, { location: '/other' }).end()],
  ['has nothing there', /the answer was 404/, (_, response) => response.writeHead(404).end('not found')],
  ['says nothing', /the answer was 204/, (_, response) => response.writeHead(204).end()],
  ['sends too much', /larger than 256 KiB/, (_, response) => response.end(JSON.stringify({ keys: [{ filler }] }))],
  ['never stops', /larger than 256 KiB/, (_, response) => endless(() => response.write(filler))],
  ['sends a page', /is not JSON/, (_, response) => response.end('<html>')],
  ['sends it compressed', /is not JSON/, (_, response) => response.end(gzipSync('{"keys":[]}'))],
  ['sends a list', /no JSON Web Key Set/, (_, response) => response.end('[]')],
  ['sends keys that are none', /no JSON Web Key Set/, (_, response) => response.end('{"keys":["a"]}')],
  ['breaks off', /connection failed/, (_, response) => response.writeHead(200, { 'content-length': '9' }).destroy()],
])('a server that %s is told as such, asked again after 10 s, and its callers wait', async (_what, why, answering) => {
  const { issuer, time, journal, find } = await world();
  issuer.answering = answering;

  const [first, second] = [await find('first'), await find('first')];
  const asked = issuer.asked;
  issuer.answering = null;
  await time.advance(10_000);

  expect([first, second, asked]).toEqual([10, 10, 1]);
  expect(journal.of('keys_unread')).toMatchObject([{ why: expect.stringMatching(why) }]);
  expect(await find('first')).toBe('found');
  expect(issuer.asked).toBe(2);
});

/** As long as it is taken. */
function endless(write: () => boolean): void {
  for (let pieces = 0; pieces < 20; pieces++) write();
}

test('a server that accepts and says nothing is left after 5 s', async () => {
  const { issuer, time, journal, find } = await world();
  const came = Promise.withResolvers<void>();
  issuer.answering = () => came.resolve();

  const all = Promise.all([find('first'), find('first')]);
  await came.promise;
  await time.advance(5000);

  expect(await all).toEqual([10, 10]);
  expect(journal.of('keys_unread')).toMatchObject([{ why: 'no answer within 5 s' }]);
});

test('a server that sends byte by byte is left after 5 s', async () => {
  const { issuer, time, journal, find } = await world();
  const came = Promise.withResolvers<void>();
  issuer.answering = (_, response) => response.write('{', () => came.resolve());

  const found = find('first');
  await came.promise;
  await time.advance(5000);

  expect(await found).toBe(10);
  expect(journal.of('keys_unread')).toMatchObject([{ why: 'no answer within 5 s' }]);
});

test.each<readonly [what: string, server: ServerOptions, outcome: 'found' | number]>([
  ['1.2', { ...TRUSTED, maxVersion: 'TLSv1.2' }, 'found'],
  ['1.0', TLS_1_0, 10],
])('keys come over TLS 1.2 at least, whatever the process is content with: %s', async (_what, options, outcome) => {
  const usual = [tls.DEFAULT_MIN_VERSION, tls.DEFAULT_CIPHERS, tls.getCACertificates('default')] as const;
  const beContentWith = (version: tls.SecureVersion, ciphers: string, authorities: readonly string[]): void => {
    tls.DEFAULT_MIN_VERSION = version;
    tls.DEFAULT_CIPHERS = ciphers;
    tls.setDefaultCACertificates(authorities);
  };
  onTestFinished(() => beContentWith(...usual));
  beContentWith('TLSv1', 'DEFAULT@SECLEVEL=0', [certificate('ca.pem')]);
  const issuer = await startIssuer();
  const server = createTlsServer(options, (_, response) => response.end(JSON.stringify(issuer.keySet)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { find, journal } = worldOf(issuer, `https://127.0.0.1:${port}/`);

  expect(await find('first')).toBe(outcome);
  expect(journal.of('keys_unread')).toHaveLength(outcome === 'found' ? 0 : 1);
});

test('nobody there', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const [time, journal] = [new VirtualTime(), new RecordingJournal()];
  const keys = new RemoteKeys({ uri: new URL(`http://127.0.0.1:${port}/`), clock: time, timers: time, journal });

  const found = keys.find({ alg: 'ES256', kid: 'a' }, { payload: '', signature: '' });

  await expect(found).rejects.toMatchObject({ code: 'keys_unavailable', details: { retryAfterMs: 10_000 } });
  expect(journal.of('keys_unread')).toMatchObject([{ server: `127.0.0.1:${port}`, why: 'the connection failed' }]);
});

test('while a server is silent known keys wait for half a second of each fetch, and unknown ones to its end', async () => {
  const { issuer, time, journal, find } = await world();
  await find('first');
  await time.advance(10 * MINUTE);
  const came = Promise.withResolvers<void>();
  issuer.answering = () => came.resolve();
  const outcomes: unknown[] = [];

  const known = find('first').then((outcome) => outcomes.push(outcome));
  const unknown = find('second').then((outcome) => outcomes.push(outcome));
  await came.promise;
  await time.advance(499);
  const early = [...outcomes];
  await time.advance(1);
  await known;
  const [after, next] = [[...outcomes], await find('first')];
  const asked = issuer.asked;
  await time.advance(4500);
  await unknown;

  expect([early, after, next, asked]).toEqual([[], ['found'], 'found', 2]);
  expect(outcomes).toEqual(['found', 10]);
  expect(journal.of('keys_unread')).toMatchObject([{ why: 'no answer within 5 s' }]);
  expect(time.pendingCount).toBe(0);
});

test('what a slow server answers goes when it has come, with nobody waiting for it', async () => {
  const { issuer, time, find } = await world();
  await find('first');
  await time.advance(10 * MINUTE);
  const came = Promise.withResolvers<() => void>();
  issuer.answering = (_, response) => came.resolve(() => response.end(JSON.stringify(issuer.keySet)));
  issuer.keys = [await signingKey('second')];

  const meanwhile = find('first');
  const answer = await came.promise;
  await time.advance(500);
  expect(await meanwhile).toBe('found');
  answer();

  expect(await find('second')).toBe('found');
  expect(await find('first')).toBe('unknown');
  expect(issuer.asked).toBe(2);
});

test('keys that are known are used for an hour while the server is away, and no longer', async () => {
  const { issuer, time, find } = await world();
  await find('first');
  issuer.answering = (_, response) => response.writeHead(500).end();
  await time.advance(10 * MINUTE);

  const away = [await find('first'), await find('first')];
  const askedAway = issuer.asked;
  const newer = await find('second');
  await time.advance(50 * MINUTE);
  const late = await find('first');
  issuer.answering = null;
  await time.advance(10_000);

  expect(away).toEqual(['found', 'found']);
  expect(askedAway).toBe(2);
  // Whether there is such a key nobody can say.
  expect([newer, late]).toEqual([10, 10]);
  expect(await find('first')).toBe('found');
});
