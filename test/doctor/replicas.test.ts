// Doctor among replicas: each is greeted as they greet each other, and says how it is to whoever has their secret.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type RequestListener, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { HELLO_PATH, HOP_HEADER, answerGreeting } from '../../src/protocol/hop-header.ts';
import { TokenSealer } from '../../src/protocol/sealed-token.ts';
import { VERSION } from '../../src/verbs/version.ts';
import { freePort } from '../support/free-port.ts';
import { type Found, examined } from './examined.ts';

const SECRET = randomBytes(32);
const OTHERS = randomBytes(32);
const UPSTREAMS = [{ url: 'http://127.0.0.1:1/sse' }];

async function portOf(answer: RequestListener): Promise<number> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  // A TCP listener's address is an object; only pipes have strings.
  return (server.address() as AddressInfo).port;
}

interface How {
  readonly secret?: Buffer;
  readonly version?: string;
  readonly aheadMs?: number;
  readonly isDraining?: boolean;
}

/** The port of one that says so. */
function replica({ secret = SECRET, version = VERSION, aheadMs = 0, isDraining = false }: How = {}): Promise<number> {
  const sealer = new TokenSealer(secret, randomBytes);
  return portOf(({ url, headers }, response) => {
    const wallSeconds = (): number => Math.floor(Date.now() / 1000);
    const how = { version, isDraining, wallMs: Date.now() + aheadMs };
    const text = answerGreeting({ sealer, owner: 'a@b:1', wallSeconds }, [String(headers[HOP_HEADER])], how);
    if (url === HELLO_PATH && text !== null) response.end(text);
    else response.writeHead(403).end('{"error":{"data":{"reason":"hop_refused"}}}');
  });
}

async function among(peers: NonNullable<ConfigInput['peers']>, timeoutMs?: number): Promise<Found> {
  return examined({ upstreams: UPSTREAMS, secrets: { current: SECRET.toString('base64') }, peers }, timeoutMs);
}

/** Of a list, on this machine. */
async function found(...ports: readonly number[]): Promise<Found> {
  const port = await freePort();
  const self = `127.0.0.1:${port}`;
  return among({ port, addresses: [self, ...ports.map((each) => `127.0.0.1:${each}`)] });
}

test('replicas that are there: in how much time they answer, of which version, and that the clocks agree', async () => {
  const ports = [await replica(), await replica({ version: '0.0.9', isDraining: true })];

  const { of } = await found(...ports);

  expect(of('peers')).toEqual([
    expect.stringMatching(new RegExp(`^ok 127\\.0\\.0\\.1:${ports[0]}: answers in \\d+ ms$`)),
    expect.stringMatching(
      new RegExp(`^ok 127\\.0\\.0\\.1:${ports[1]}: .*, with version 0\\.0\\.9 .*, and is about to stop$`),
    ),
  ]);
  expect(of('clock')).toEqual(['ok: within 1 s of 2 others']);
  expect(of('address')).toContainEqual(expect.stringMatching(/^ok peers: 127\.0\.0\.1:\d+ is free$/));
});

test('one with another secret, one that is something else, one that is not there', async () => {
  const [closed, strange] = [await replica({ secret: OTHERS }), await portOf((_, response) => response.end('{}'))];

  const { of } = await found(closed, strange, 1);

  expect(of('peers')).toEqual([
    expect.stringMatching(/^failed .*does not open what we seal.*same secrets\.current/),
    expect.stringMatching(/^failed .*: answers with HTTP 200, and is no replica: name the port of its peers section/),
    expect.stringMatching(/^warning 127\.0\.0\.1:1: cannot be reached \(ECONNREFUSED\): /),
  ]);
});

test('one that opens only what the secret before has sealed is heard while it is rotated', async () => {
  const port = await freePort();
  const secrets = { current: SECRET.toString('base64'), previous: OTHERS.toString('base64') };
  const sealer = new TokenSealer(OTHERS, randomBytes, [SECRET]);
  const other = await portOf(({ headers }, response) => {
    const how = { version: VERSION, isDraining: false, wallMs: Date.now() };
    const wallSeconds = (): number => Math.floor(Date.now() / 1000);
    response.end(answerGreeting({ sealer, owner: 'a@b:1', wallSeconds }, [String(headers[HOP_HEADER])], how));
  });

  const { of } = await examined({ upstreams: UPSTREAMS, secrets, peers: { port, addresses: [`127.0.0.1:${other}`] } });

  expect(of('peers')).toEqual([expect.stringMatching(/^ok .*: answers in \d+ ms$/)]);
});

test.each([
  ['ahead', 5000, /^failed 127\.0\.0\.1:\d+: 5 s ahead of ours: its tokens may be refused.*: set the clock/],
  ['behind', -5000, /^failed 127\.0\.0\.1:\d+: 5 s behind ours: /],
])('one whose clock is five seconds %s', async (_, aheadMs, expected) => {
  const { of } = await found(await replica({ aheadMs }));

  expect(of('clock')).toEqual([expect.stringMatching(expected)]);
  expect(of('peers')).toEqual([expect.stringMatching(/^ok /)]);
});

test('an entry that is this machine by another name fails as it does at the start', async () => {
  const port = await freePort();

  const { of } = await among({ port, self: `127.0.0.1:${port}`, addresses: [`localhost:${port}`] });

  expect(of('peers')).toEqual([
    expect.stringMatching(/^failed: peers\.addresses: localhost:\d+ is this replica itself by another name: remove it/),
  ]);
  expect(of('dns')).toEqual([expect.stringMatching(/^ok localhost: /)]);
});

test('a name of which this machine is one passes over itself, and nobody else is fine', async () => {
  const port = await freePort();

  const { of } = await among({ port, dns: `localhost:${port}` });

  expect(of('peers')).toEqual(['ok: no other replica has an address yet']);
});

test('a list of nobody else is strange', async () => {
  expect((await found()).of('peers')).toEqual([expect.stringMatching(/^warning: nobody but this replica is named: /)]);
});

test('a name that nobody answers for, and a replica that is silent, end with the time that there is', async () => {
  const silent = await portOf(() => undefined);
  const port = await freePort();
  const addresses = [`127.0.0.1:${silent}`, 'no-such-host.invalid:8082'];

  const { of } = await among({ port, addresses }, 600);

  expect(of('peers')).toEqual([
    expect.stringMatching(/^warning 127\.0\.0\.1:\d+: no answer in time: .*--timeout$/),
    expect.stringMatching(/^warning no-such-host\.invalid:8082: cannot be reached \(ENOTFOUND\)/),
  ]);
  expect(of('dns')).toEqual([expect.stringMatching(/^failed no-such-host\.invalid: /)]);
});

test('the peer port that a replica has is that of one that runs already; that of somebody is taken', async () => {
  const [ours, somebodys] = [await replica(), await portOf((_, response) => response.end('{}'))];
  const addresses = ['127.0.0.1:1'];

  expect((await among({ port: ours, addresses })).of('address')).toContainEqual(
    expect.stringMatching(/^warning peers: .*in use by a gateway that lives/),
  );
  expect((await among({ port: somebodys, addresses })).of('address')).toContainEqual(
    expect.stringMatching(
      /^failed peers: .*in use by something that is no gateway: .* in peers\.host and peers\.port$/,
    ),
  );
});

test('a store that is not there, or is something else, is told of without its password', async () => {
  const somebodys = await portOf((_, response) => response.end('{}'));
  const said = async (url: string): Promise<string> => {
    const { of } = await examined({
      upstreams: UPSTREAMS,
      secrets: { current: SECRET.toString('base64') },
      store: url,
    });
    return of('store').join();
  };

  const [absent, strange] = [
    await said('redis://:s3cret@127.0.0.1:1/0'),
    await said(`redis://:s3cret@127.0.0.1:${somebodys}/0`),
  ];

  expect(absent).toMatch(
    /^failed: cannot be used: it cannot be reached, .*: see whether it runs, and whether store\.url/,
  );
  expect(strange).toMatch(/^failed: cannot be used: /);
  expect(absent + strange).not.toContain('s3cret');
});
