// What comes to the listener for replicas from somebody who is none, or from one that is, but not now, not there, or not with
// the same key: refused and counted by the built program, and nothing of it reaches a server. And who is no peer is never
// dialled, whatever a token says.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test, type TestContext } from 'vitest';
import { secretBytes } from '../../src/config/sealing-secret.ts';
import { HOP_HEADER, sealHop } from '../../src/protocol/hop-header.ts';
import { TokenSealer } from '../../src/protocol/sealed-token.ts';
import { JSON_HEADERS, requestBytes } from '../support/gateway.ts';
import { takes } from '../support/installed.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { EVERYTHING, askedIn, callTool, retry } from '../support/modern-client.ts';
import { NAMED } from '../support/questions.ts';
import { startRecordingRelay } from '../support/recording-relay.ts';
import { type Replica, type Replicas, type ReplicasOptions, replicasBefore } from '../support/replica-processes.ts';
import { IN } from '../support/session-client.ts';

const WAIT_MS = 10_000;
const CALL = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'count', arguments: {} } });

interface World {
  readonly upstream: LegacyServer;
  readonly replicas: Replicas;
}

async function replicasOf(context: TestContext, options: Omit<ReplicasOptions, 'upstream'>): Promise<World> {
  takes(context, 'nginx');
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  return { upstream, replicas: await replicasBefore({ ...options, upstream: upstream.url }) };
}

const wallSeconds = (): number => Math.floor(Date.now() / 1000);

function sealerOf(secret: string): TokenSealer {
  return new TokenSealer(secretBytes(secret), (length) => randomBytes(length));
}

/** Which replica has opened it, and for whom. */
function claimsIn(session: string, secret: string): { readonly owner: string; readonly principal: string } {
  return sealerOf(secret).open('session', session, wallSeconds()) ?? expect.fail('a token of another key');
}

/** One request at the listener for replicas, with these texts in the header that they seal. */
async function knock({ peer }: Replica, session: string, hops: readonly string[], path = '/mcp'): Promise<string> {
  const headers = { host: peer, ...JSON_HEADERS, ...IN(session), connection: 'close', 'content-length': CALL.length };
  const given = [...Object.entries(headers), ...hops.map((each) => [HOP_HEADER, each] as const)];
  return raw(
    peer,
    requestBytes(
      'POST',
      path,
      given.map(([name, value]) => [name, String(value)] as const),
      CALL,
    ),
  );
}

/** All that comes back on a connection that the other side closes. */
async function raw(address: string, bytes: string): Promise<string> {
  const [host = '', port] = address.split(':');
  const socket = connect(Number(port), host);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect', { signal: AbortSignal.timeout(WAIT_MS) });
  socket.write(bytes);
  return text(socket);
}

test('a hop that nobody sealed for this replica, just now and once, is refused, counted and told to no server [T8]', async (context) => {
  const { upstream, replicas } = await replicasOf(context, { count: 2 });
  const [owner = expect.fail(), other = expect.fail()] = replicas.all;
  const session = await owner.client.openSession();
  const { owner: meant, principal: key } = claimsIn(session, replicas.secret);
  const hop = (what: { secret?: string; owner?: string; ahead?: number; mount?: string }): string =>
    sealHop(
      {
        sealer: sealerOf(what.secret ?? replicas.secret),
        owner: `somebody@${other.peer}`,
        wallSeconds: () => wallSeconds() + (what.ahead ?? 0),
      },
      { owner: what.owner ?? meant, mount: what.mount ?? 'default', principal: { key, proof: '' } },
    );
  const good = hop({});
  const changed = `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`;
  const attempts: readonly (readonly [reason: string, hops: readonly string[]])[] = [
    ['absent', []],
    ['absent', [hop({}), hop({})]],
    ['forged', ['']],
    ['forged', ['x'.repeat(200)]],
    ['forged', [changed]],
    ['forged', [session]],
    ['forged', [hop({ secret: randomBytes(32).toString('base64') })]],
    ['expired', [hop({ ahead: -30 })]],
    ['expired', [hop({ ahead: 30 })]],
    ['not_meant', [hop({ owner: `${meant.split('@')[0]}@${other.peer}` })]],
    ['not_meant', [hop({ mount: 'another' })]],
  ];
  const before = upstream.received.length;

  const answers = [];
  for (const [, hops] of attempts) answers.push(await knock(owner, session, hops));
  const gone = await knock(owner, session, [hop({ owner: `AAAAAAAAAAA@${owner.peer}` })]);
  const unknown = await Promise.all(
    ['/metrics', '/status', '/readyz', '/', '/sse', '/-/reload'].map((path) => knock(owner, session, [], path)),
  );

  for (const [index, answer] of answers.entries()) {
    expect([attempts[index]?.[0], answer.split('\r\n')[0]]).toEqual([attempts[index]?.[0], 'HTTP/1.1 403 Forbidden']);
    // The same for all of them.
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ error: { data: { reason: 'hop_refused' } } });
  }
  expect(gone).toMatch(/^HTTP\/1\.1 421 [^]*\r\ncauseway-owner: gone\r\n/i);
  expect(unknown.map((answer) => answer.slice(0, 12))).toEqual(unknown.map(() => 'HTTP/1.1 403'));
  const scrape = await owner.scrape();
  const counted = Object.fromEntries(
    [...new Set(attempts.map(([reason]) => reason))].map((reason) => [
      reason,
      scrape.sum('causeway_hops_refused_total', { reason }),
    ]),
  );
  expect(counted).toEqual({ absent: 2 + unknown.length, forged: 5, expired: 2, not_meant: 2 });
  expect(upstream.received).toHaveLength(before);
  // And with a good one it would have been served.
  expect(await knock(owner, session, [good])).toMatch(/^HTTP\/1\.1 200 [^]*"1"/);
});

test('what somebody has seen go from one replica to another is good for nothing a second time [T8]', async (context) => {
  const relay = await startRecordingRelay();
  const { upstream, replicas } = await replicasOf(context, {
    count: 2,
    own: (place, all) => {
      const [host = '', port] = place.peer.split(':');
      if (place.name === 'a') relay.target = place.peer;
      const addresses = all.map(({ name, peer }) => (name === 'a' ? relay.address : peer));
      const self = place.name === 'a' ? relay.address : place.peer;
      return { peers: { host, port: Number(port), self, addresses } };
    },
  });
  const [owner = expect.fail(), other = expect.fail()] = replicas.all;
  const session = await owner.client.openSession();

  const served = await other.client.call('count', {}, 1, IN(session));
  const hop = relay.sent.find((bytes) => bytes.includes('"count"')) ?? expect.fail('nothing was passed on');
  const bytes = hop.slice(hop.indexOf('POST /mcp')).replace(/connection: keep-alive/i, 'connection: close');
  const again = await Promise.all([raw(owner.peer, bytes), raw(owner.peer, bytes)]);
  const after = await other.client.call('count', {}, 1, IN(session));

  expect(served.json.result.content[0].text).toBe('1');
  expect(again.map((answer) => answer.slice(0, 12))).toEqual(['HTTP/1.1 403', 'HTTP/1.1 403']);
  expect(after.json.result.content[0].text).toBe('2');
  expect(await owner.counts('causeway_hops_refused_total', { reason: 'replayed' }, 2)).toBe(2);
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(2);
});

test('a state that was answered once is answered nowhere a second time [T8]', async (context) => {
  const { upstream, replicas } = await replicasOf(context, {});
  const options = { capabilities: EVERYTHING };
  const params = { name: 'ask', arguments: {} };
  const asked = await callTool(replicas.front, 'ask', {}, options);
  const answers = Object.fromEntries(Object.keys(askedIn(asked)).map((key) => [key, NAMED]));

  const done = await retry(replicas.front, asked, answers, ['tools/call', params, options]);
  const again = [];
  for (const { client } of replicas.all) {
    again.push(await retry(client, asked, answers, ['tools/call', params, options]));
  }

  expect(done.json.result.structuredContent.replies).toMatchObject([{ result: NAMED }]);
  for (const { status, json } of again) {
    expect([status, json.error.code, json.error.data.reason]).toEqual([200, -32602, 'request_state_invalid']);
  }
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(1);
});

test('an owner that is no peer is never dialled, and its sessions are unknown', async (context) => {
  const relay = await startRecordingRelay();
  const { replicas } = await replicasOf(context, {
    // The third has the same key, and knows the two, who do not know it.
    own: (place, all) => {
      const [host = '', port] = place.peer.split(':');
      const isForeign = place.name === 'c';
      if (isForeign) relay.target = place.peer;
      const addresses = all.filter(({ name }) => name !== 'c').map(({ peer }) => peer);
      return { peers: { host, port: Number(port), addresses, ...(isForeign && { self: relay.address }) } };
    },
  });
  const [first = expect.fail(), second = expect.fail(), foreign = expect.fail()] = replicas.all;
  const session = await foreign.client.openSession();

  const answers = await Promise.all([first, second].map(({ client }) => client.call('add', {}, 1, IN(session))));

  for (const { status, json } of answers) {
    expect([status, json]).toMatchObject([404, { error: { data: { reason: 'session_unknown' } } }]);
  }
  expect(relay.connections).toBe(0);
  const counted = await Promise.all(
    [first, second].map((each) => each.counts('causeway_hops_total', { outcome: 'gone' })),
  );
  expect(counted).toEqual([1, 1]);
  expect((await foreign.client.call('add', { a: 1, b: 2 }, 1, IN(session))).status).toBe(200);
});

test('one with another key is told so by its log and by metrics, and neither side serves the sessions of the other', async (context) => {
  const stranger = randomBytes(32).toString('base64');
  const { replicas } = await replicasOf(context, {
    own: ({ name }) => (name === 'c' ? { secrets: { current: stranger } } : {}),
  });
  const [first = expect.fail(), , other = expect.fail()] = replicas.all;
  // It finds out as soon as it starts, where the others run by then.
  await other.kill();
  await other.start();
  const [ours, theirs] = await Promise.all([first.client.openSession(), other.client.openSession()]);

  const answers = await Promise.all([
    other.client.call('add', {}, 1, IN(ours)),
    first.client.call('add', {}, 1, IN(theirs)),
  ]);

  expect(answers.map(({ status }) => status)).toEqual([404, 404]);
  expect(await other.counts('causeway_peers', { state: 'refusing' }, 2)).toBe(2);
  expect(other.log).toMatch(/"level":50[^\n]*"state":"refusing"[^\n]*the same secrets\.current/);
  expect(other.log).not.toContain(stranger);
});

test('what callers say of hops and addresses is nothing to replicas, and each has its own sessions alone [T7]', async (context) => {
  const keyOf = (name: string): string => `planted-key-of-${name}-0123456789`;
  const keys = ['alice', 'bob'].map((name) => ({
    name,
    sha256: createHash('sha256').update(keyOf(name)).digest('hex'),
  }));
  const { upstream, replicas } = await replicasOf(context, { config: { inbound: { bearer: { keys } } } });
  const [owner = expect.fail(), ...others] = replicas.all;
  const as = (name: string): Record<string, string> => ({ authorization: `Bearer ${keyOf(name)}` });
  const session = await owner.client.openSession({}, as('alice'));
  const planted = { [HOP_HEADER]: 'x'.repeat(100), 'causeway-owner': 'gone', 'x-forwarded-for': '10.1.2.3' };

  for (const { client } of others) {
    const [own, foreign, nobody, forging] = await Promise.all([
      client.call('add', { a: 1, b: 2 }, 1, { ...IN(session), ...as('alice') }),
      client.call('add', { a: 1, b: 2 }, 1, { ...IN(session), ...as('bob') }),
      client.call('add', { a: 1, b: 2 }, 1, IN(session)),
      client.call('add', { a: 1, b: 2 }, 1, { ...IN(session), ...as('alice'), ...planted }),
    ]);
    expect([own, foreign, nobody, forging].map(({ status }) => status)).toEqual([200, 404, 401, 200]);
  }

  // Of bob's nothing was passed on.
  expect(await replicas.sum('causeway_hops_total', {})).toBe(4);
  for (const { headers } of upstream.received) {
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining([HOP_HEADER]));
    expect(headers['x-forwarded-for']).toBeUndefined();
    expect(headers.authorization).toBeUndefined();
  }
});
