// The listener for replicas, asked by whoever can reach it, and tokens that lead elsewhere. Reasons: hop_refused, not_owner.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Agent } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { ANYONE } from '../../src/domain/principal.ts';
import { HOP_HEADER, OWNER_HEADER, sealHop } from '../../src/protocol/hop-header.ts';
import { TokenSealer } from '../../src/protocol/sealed-token.ts';
import { JSON_HEADERS, clientOf } from '../support/gateway.ts';
import { readScrape } from '../support/prometheus.ts';
import { type Replica, SECRET, startReplicas } from '../support/replicas.ts';
import { IN } from '../support/session-client.ts';

const PING = { jsonrpc: '2.0', id: 9, method: 'ping' };
const now = (): number => Math.floor(Date.now() / 1000);

/** What its tokens name. */
function ownerIn(token: string): string {
  return new TokenSealer(SECRET, randomBytes).open('session', token, 0)?.owner ?? '';
}

interface Sealed {
  readonly owner: string;
  readonly at?: number;
  readonly secret?: Buffer;
  readonly mount?: string;
}

function sealed({ owner, at = now(), secret = SECRET, mount = 'default' }: Sealed): string {
  const options = { sealer: new TokenSealer(secret, randomBytes), owner: 'x@y:1', wallSeconds: () => at };
  return sealHop(options, { owner, mount, principal: ANYONE });
}

function insider({ peerOrigin }: Replica) {
  const dispatcher = new Agent();
  onTestFinished(() => dispatcher.destroy());
  return clientOf(peerOrigin, dispatcher);
}

test('the listener for replicas takes what one of them has sealed for it just now, once, and nothing else [T34] [T8]', async () => {
  const { replicas, upstream } = await startReplicas(2, {}, { admin: { port: 0 } });
  const [first, second] = replicas;
  const session = await first.openSession();
  const owner = ownerIn(session);
  const [incarnation, address] = owner.split('@');
  const inside = insider(first);
  const ask = async (hop: Record<string, string>) => inside.post(PING, { ...IN(session), ...hop });
  const good = sealed({ owner });
  const bytes = Buffer.from(sealed({ owner }), 'base64url');
  const flipped = Array.from(bytes, (byte, at) => {
    // oxlint-disable-next-line no-bitwise -- one bit of each byte
    return Buffer.from(bytes)
      .fill(byte ^ (1 << (at % 8)), at, at + 1)
      .toString('base64url');
  });
  const reached = upstream.received.length;

  const taken = await ask({ [HOP_HEADER]: good });
  const refused = await Promise.all(
    [
      {},
      { [HOP_HEADER]: good },
      { [HOP_HEADER]: 'x' },
      { [HOP_HEADER]: '' },
      { [HOP_HEADER]: session },
      { [HOP_HEADER]: sealed({ owner }).slice(0, -3) },
      { [HOP_HEADER]: `${sealed({ owner })}=` },
      { [HOP_HEADER]: sealed({ owner, secret: randomBytes(32) }) },
      { [HOP_HEADER]: sealed({ owner, at: now() - 11 }) },
      { [HOP_HEADER]: sealed({ owner, at: now() + 100 }) },
      { [HOP_HEADER]: sealed({ owner: ownerIn(await second.openSession()) }) },
      { [HOP_HEADER]: sealed({ owner, mount: 'other' }) },
      ...flipped.map((text) => ({ [HOP_HEADER]: text })),
    ].map(ask),
  );
  const before = await ask({ [HOP_HEADER]: sealed({ owner: `before@${address}` }) });
  const elsewhere = await inside.send('POST', '/other', { ...JSON_HEADERS, [HOP_HEADER]: sealed({ owner }) }, '{}');

  expect(incarnation).not.toBe('');
  expect(taken).toMatchObject({ status: 200, json: { id: 9, result: {} } });
  expect(
    new Set(refused.map(({ status, text, headers }) => `${status} ${String(headers[OWNER_HEADER])} ${text}`)),
  ).toEqual(
    new Set([
      '403 refused {"jsonrpc":"2.0","error":{"code":-32600,"message":"this listener is for the replicas of this gateway","data":{"reason":"hop_refused"}}}',
    ]),
  );
  expect(before).toMatchObject({ status: 421, headers: { [OWNER_HEADER]: 'gone' } });
  expect(elsewhere).toMatchObject({ status: 421, headers: { [OWNER_HEADER]: 'unknown' } });
  // The session of the second one has reached it since.
  expect(upstream.received.slice(reached).map(({ message }) => message.method)).not.toContain('ping');
  const counts = first.journal.of('hop_refused').map(({ why }) => why);
  expect(counts).toHaveLength(refused.length);
  expect(new Set(counts)).toEqual(new Set(['absent', 'forged', 'expired', 'replayed', 'not_meant']));
  const text = await (await fetch(`${first.adminOrigin}/metrics`)).text();
  expect(readScrape(text).sum('causeway_hops_refused_total', { reason: 'replayed' })).toBe(1);
});

test('it serves nothing but what was passed on: no probe, no page, no greeting of a stranger [T34]', async () => {
  const { replicas } = await startReplicas(2);
  const [first] = replicas;
  const inside = insider(first);

  const answers = await Promise.all(
    ['/', '/mcp', '/healthz', '/readyz', '/hello', '/metrics', '/.well-known/oauth-protected-resource'].map((path) =>
      inside.send('GET', path),
    ),
  );

  expect(answers.map(({ status }) => status)).toEqual(Array(7).fill(403));
  expect(first.journal.of('hop_refused').map(({ why }) => why)).toEqual(Array(7).fill('absent'));
});

test('the listener for clients takes no notice of such a header, whoever sends it [T34]', async () => {
  const { replicas } = await startReplicas(2);
  const [first, second] = replicas;
  const session = await first.openSession();

  const known = await first.post(PING, { ...IN(session), [HOP_HEADER]: 'x' });
  const good = { [HOP_HEADER]: sealed({ owner: ownerIn(session) }) };
  const passedOn = await second.post(PING, { ...IN(session), ...good });
  const never = await second.post(PING, { ...IN('never-was-a-token'), ...good });

  expect([known.status, passedOn.status, never.status]).toEqual([200, 200, 404]);
  expect(first.journal.of('hop_refused')).toEqual([]);
});

test('nothing is passed on twice: what is not here is not looked for anywhere else [T34]', async () => {
  const { replicas } = await startReplicas(3);
  const [first, second, third] = replicas;
  const session = await second.openSession();
  const of = ownerIn(await first.openSession());
  const connections = second.way.connections;

  const answer = await insider(first).post(PING, { ...IN(session), [HOP_HEADER]: sealed({ owner: of }) });

  expect(answer).toMatchObject({ status: 421, headers: { [OWNER_HEADER]: 'unknown' } });
  expect(answer.json.error.data.reason).toBe('not_owner');
  expect(second.way.connections).toBe(connections);
  expect([first, second, third].flatMap((each) => each?.journal.of('hop') ?? [])).toEqual([]);
});

test('an owner who is no replica is never dialled, and its session is an unknown one [T35]', async () => {
  let connections = 0;
  const attacker = createServer((socket) => {
    connections++;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(attacker, 'listening');
  onTestFinished(() => void attacker.close());
  // A TCP listener's address is an object; only pipes have strings.
  const { port } = attacker.address() as AddressInfo;
  const { replicas } = await startReplicas(2);
  const [first] = replicas;
  const token = new TokenSealer(SECRET, randomBytes).seal({
    kind: 'session',
    owner: `x@127.0.0.1:${port}`,
    mount: 'default',
    principal: ANYONE.key,
    nonce: 'AAAA',
    expiresAt: now() + 100,
  });

  const answers = [
    await first.post(PING, IN(token)),
    await first.send('GET', '/mcp', { ...IN(token), accept: 'text/event-stream' }),
    await first.send('DELETE', '/mcp', IN(token)),
  ];

  expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
  expect(answers[0]?.json.error.data.reason).toBe('session_unknown');
  expect(first.journal.of('hop').map(({ outcome }) => outcome)).toEqual(['gone', 'gone', 'gone']);
  expect(connections).toBe(0);
});
