// How the other replicas are, as one learns at its start: clocks, secrets, and who is not there.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { HOP_HEADER, answerGreeting } from '../../src/protocol/hop-header.ts';
import { TokenSealer } from '../../src/protocol/sealed-token.ts';
import { start } from '../../src/verbs/serve.ts';
import { THIS_MACHINE } from '../../src/verbs/surroundings.ts';
import { freePort } from '../support/free-port.ts';
import { type Gateway, type GatewayConfig, startGateway } from '../support/gateway.ts';
import { SECRET, startReplicas } from '../support/replicas.ts';

interface Fake {
  /** So far its clock is ahead. */
  readonly aheadMs?: number;
  readonly secret?: Buffer;
  /** How others reach it, as it says itself. */
  readonly self?: string;
  readonly isDraining?: boolean;
  /** It is something else, and answers whatever it is asked. */
  readonly says?: string;
}

/** HOST:PORT of a replica that does no more than to answer greetings. */
async function startFake({
  aheadMs = 0,
  secret = SECRET,
  self = 'here:1',
  isDraining = false,
  says,
}: Fake): Promise<string> {
  const wallMs = (): number => Date.now() + aheadMs;
  const options = {
    sealer: new TokenSealer(secret, randomBytes),
    owner: `fake@${self}`,
    wallSeconds: () => Math.floor(wallMs() / 1000),
  };
  const server = createServer((request, response) => {
    const how = { version: '9.9.9', wallMs: wallMs(), isDraining };
    const answer = says ?? answerGreeting(options, [String(request.headers[HOP_HEADER])], how);
    response.writeHead(answer === null ? 403 : 200).end(answer ?? '{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP listener's address is an object; only pipes have strings.
  const { port } = server.address() as AddressInfo;
  return `127.0.0.1:${port}`;
}

async function startBeside(addresses: readonly string[], config: GatewayConfig = {}): Promise<Gateway> {
  const gateway = await startGateway('http://127.0.0.1:9/sse', {
    secrets: { current: SECRET.toString('base64') },
    peers: { host: '127.0.0.1', port: await freePort(), addresses: [...addresses] },
    admin: { port: 0 },
    ...config,
  });
  onTestFinished(() => gateway.close());
  return gateway;
}

async function seenBy(gateway: Gateway): Promise<unknown> {
  const response = await fetch(`${gateway.adminOrigin}/status`);
  const { replica } = (await response.json()) as { replica: { peers: unknown } };
  return replica.peers;
}

test('one that is reached where another one says to be is refused, unless that one is about to go', async () => {
  const self = 'gateway:8082';
  const beside = async (fake: Fake): Promise<Gateway> => {
    const [port, other] = await Promise.all([freePort(), startFake({ ...fake, self })]);
    return startBeside([], { peers: { host: '127.0.0.1', port, self, addresses: [other] } });
  };

  await expect(beside({})).rejects.toThrow(
    /^peers\.self: the replica at 127\.0\.0\.1:\d+ says that it is reached at gateway:8082, as this one does: give each its own address$/,
  );
  expect(await seenBy(await beside({ isDraining: true }))).toMatchObject([{ state: 'draining' }]);
});

test('replicas see each other, and who is not there yet', async () => {
  const { replicas } = await startReplicas(2, {}, { admin: { port: 0 } });
  const [first, second] = replicas;
  const third = await startBeside([first.self, `127.0.0.1:${await freePort()}`]);

  expect(await seenBy(third)).toEqual([
    { peer: first.self, state: 'up', version: '0.0.0-test', clockMs: expect.closeTo(0, -3) },
    { peer: expect.stringMatching(/^127/), state: 'unreachable', version: null, clockMs: null },
  ]);
  expect(third.journal.of('peer').map(({ state }) => state)).toEqual(['up', 'unreachable']);
  const page = await (await fetch(third.adminOrigin, { headers: { accept: 'text/html' } })).text();
  expect(page).toContain('Other replicas');
  expect(page).toMatch(/127\.0\.0\.1:\d+<[^ ]* <span class="tag bad">unreachable<\/span>/);
  const metrics = await (await fetch(`${third.adminOrigin}/metrics`)).text();
  expect(metrics).toContain('causeway_peers{state="up"} 1');
  expect(metrics).toContain('causeway_peers{state="unreachable"} 1');
  expect([first, second].flatMap((each) => each.journal.of('hop_refused'))).toEqual([]);
});

describe('a replica', () => {
  test.each([6000, -6000, 100_000_000])('whose clock is %d ms ahead is told apart', async (aheadMs) => {
    const gateway = await startBeside([await startFake({}), await startFake({ aheadMs })]);

    const apart = gateway.journal.of('peer').find(({ state }) => state === 'apart');

    expect(apart?.clockMs).toBeGreaterThan(aheadMs - 500);
    expect(apart?.clockMs).toBeLessThan(aheadMs + 500);
    expect(apart?.remedy).toBe('set the clocks of the machines by NTP');
  });

  test('whose clock is off by less than hops can bear is up', async () => {
    const gateway = await startBeside([await startFake({ aheadMs: 3000 })]);

    expect(gateway.journal.of('peer')).toMatchObject([{ state: 'up' }]);
  });

  test('with other secrets is an error in the log, and no reason not to start', async () => {
    const gateway = await startBeside([await startFake({ secret: randomBytes(32) })]);

    expect(gateway.journal.of('peer')).toMatchObject([
      {
        state: 'refusing',
        remedy: 'give all replicas the same secrets.current, and while it is renewed secrets.previous',
      },
    ]);
  });

  test.each(['', '{}', 'x'.repeat(100_000)])('that is something else is refusing', async (says) => {
    const gateway = await startBeside([await startFake({ says })]);

    expect(gateway.journal.of('peer')).toMatchObject([{ state: 'refusing' }]);
  });
});

describe('does not start', () => {
  test('where all that answer have another time', async () => {
    const apart = [await startFake({ aheadMs: 60_000 }), await startFake({ aheadMs: 60_000 })];

    await expect(startBeside([...apart, `127.0.0.1:${await freePort()}`])).rejects.toThrow(
      'peers: the clock of this machine and those of all other replicas are apart, by 60 s: set the clocks of the machines by NTP',
    );
  });

  test('where it stands in the list by another name', async () => {
    const port = await freePort();
    const peers = { host: '127.0.0.1', port, addresses: [`localhost:${port}`] };

    await expect(startBeside([], { peers })).rejects.toThrow(
      `peers.addresses: localhost:${port} is this replica itself by another name: remove it, or give it as peers.self`,
    );
  });
});

test('a port for replicas that somebody has is told with what to change', async () => {
  const taken = await startFake({});
  const port = Number(taken.split(':')[1]);
  const config = parseConfig(
    {
      listen: { host: '127.0.0.1', port: 0 },
      log: { level: 'silent' },
      secrets: { current: SECRET.toString('base64') },
      peers: { host: '127.0.0.1', port, self: `127.0.0.1:${port}`, addresses: ['127.0.0.1:9'] },
      upstreams: [{ url: 'http://127.0.0.1:9/sse' }],
    },
    THIS_MACHINE,
  );

  await expect(start(config)).rejects.toThrow(
    `the address 127.0.0.1:${port} is in use: choose another in peers.host and peers.port`,
  );
});
