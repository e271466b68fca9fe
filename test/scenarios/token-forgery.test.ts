// Tokens in wrong hands, over real sockets: what is forged, of somebody else, of another server, of another purpose, of
// another time or of a secret that is no more gets the very bytes that a text gets which never was a token.

import { createHash, randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { type SealedClaims, TokenSealer } from '../../src/protocol/sealed-token.ts';
import { openEvents } from '../support/event-client.ts';
import {
  type Answer,
  type Gateway,
  type GatewayConfig,
  JSON_HEADERS,
  gatewayBefore,
  startGateway,
} from '../support/gateway.ts';
import { RpcError, defaultBehaviour, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { modern, retry } from '../support/modern-client.ts';
import { openOldClient } from '../support/old-client.ts';
import { NAMED } from '../support/questions.ts';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const keys = ['alice', 'bob'].map((name) => ({ name, sha256: sha256(`${name}-key`) }));
const ALICE = { authorization: 'Bearer alice-key' };
const BOB = { authorization: 'Bearer bob-key' };
const [CURRENT, PREVIOUS, OTHER] = [randomBytes(32), randomBytes(32), randomBytes(32)];
const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-06-18' } };
const CALL = { name: 'ask', arguments: {} };
const CHANGED = 'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n';
const NEVER = 'never-was-a-token';

interface World {
  readonly gateway: Gateway;
  readonly upstream: LegacyServer;
}

function configWith(secrets: GatewayConfig['secrets'], url: string): GatewayConfig {
  const legacy = { sse: '/sse', messages: '/messages' };
  const others = [{ name: 'other', path: '/other', url, legacy: { sse: '/other/sse', messages: '/other/messages' } }];
  return { inbound: { bearer: { keys } }, upstream: { legacy }, others, secrets };
}

const SECRETS = { current: CURRENT.toString('base64'), previous: PREVIOUS.toString('hex') };

async function world(): Promise<World> {
  // The other mount’s server is never asked in a way that it would have to answer.
  return gatewayBefore({}, configWith(SECRETS, 'http://127.0.0.1:9/sse'));
}

/** Sealed with this secret, as whoever knows it could. */
function sealed(secret: Buffer, claims: Partial<SealedClaims>): string {
  const base = { kind: 'session', owner: 'x', mount: 'default', principal: 'key:alice', nonce: 'AAAA' };
  const expiresAt = Math.floor(Date.now() / 1000) + 1000;
  // Whatever is asked for: it need not be right.
  return new TokenSealer(secret, randomBytes).seal({ ...base, expiresAt, ...claims } as SealedClaims);
}

function damaged(token: string): string[] {
  const bytes = Buffer.from(token, 'base64url');
  const flips = Array.from(bytes, (byte, at) => {
    // oxlint-disable-next-line no-bitwise -- one bit of each byte, another one each time
    const changed = Buffer.from(bytes).fill(byte ^ (1 << (at % 8)), at, at + 1);
    return changed.toString('base64url');
  });
  const cuts = [1, 2, 4, 16, 33, token.length - 1].map((length) => token.slice(0, -length));
  const spellings = [`${token}=`, `${token}A`, token.slice(1), `${token.slice(0, 40)}.${token.slice(41)}`];
  return [...flips, ...cuts, ...spellings];
}

/** All of an answer but when it was sent. */
function bytesOf({ status, headers, text }: Pick<Answer, 'status' | 'headers' | 'text'>): string {
  const { date: _, ...rest } = headers;
  return JSON.stringify([status, rest, text]);
}

// Sessions

type Sent = (gateway: Gateway, session: string, headers: Record<string, string>) => Promise<Answer>;
const accept = 'text/event-stream';
const PING = { jsonrpc: '2.0', id: 7, method: 'ping' };
const WAYS: Readonly<Record<string, Sent>> = {
  'POST of a request': (gateway, id, headers) => gateway.post(PING, { ...headers, 'mcp-session-id': id }),
  'POST of a notification': (gateway, id, headers) =>
    gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled' }, { ...headers, 'mcp-session-id': id }),
  'POST of an answer': (gateway, id, headers) =>
    gateway.post({ jsonrpc: '2.0', id: 1, result: {} }, { ...headers, 'mcp-session-id': id }),
  GET: (gateway, id, headers) => gateway.send('GET', '/mcp', { ...headers, accept, 'mcp-session-id': id }),
  'GET with Last-Event-ID': (gateway, id, headers) =>
    gateway.send('GET', '/mcp', { ...headers, accept, 'mcp-session-id': id, 'last-event-id': '1.1' }),
  DELETE: (gateway, id, headers) => gateway.send('DELETE', '/mcp', { ...headers, 'mcp-session-id': id }),
};

async function opened(gateway: Gateway, headers: Record<string, string>): Promise<string> {
  const { headers: answered } = await gateway.post(INITIALIZE, headers);
  const id = String(answered['mcp-session-id']);
  await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, { ...headers, 'mcp-session-id': id });
  return id;
}

test('a session in other hands, or under any id that is not it, is unknown: the same bytes for all, and it goes on [T7 T8]', async () => {
  const { gateway, upstream } = await world();
  const [session, ended] = [await opened(gateway, ALICE), await opened(gateway, ALICE)];
  const events = await openEvents(gateway, { sessionId: session, headers: ALICE });
  await gateway.send('DELETE', '/mcp', { ...ALICE, 'mcp-session-id': ended });
  const asked = await modern(gateway, 'tools/call', CALL, { capabilities: { elicitation: {} }, headers: ALICE });
  const posted = new URL(await (await openOldClient(gateway.origin, { headers: ALICE })).endpoint(), gateway.origin);
  const reached = upstream.received.length;
  const ids = [
    ended,
    asked.json.result.requestState,
    posted.searchParams.get('token') ?? '',
    ...[CURRENT, PREVIOUS, OTHER].map((secret) => sealed(secret, {})),
    sealed(CURRENT, { expiresAt: 1 }),
    sealed(CURRENT, { mount: 'other' }),
    ...damaged(session),
  ];

  for (const [how, send] of Object.entries(WAYS)) {
    const unknown = await send(gateway, NEVER, ALICE);
    expect([how, unknown.status, unknown.json.error.data]).toEqual([how, 404, { reason: 'session_unknown' }]);
    const [byBob, ofNobody] = [await send(gateway, session, BOB), await send(gateway, NEVER, BOB)];
    expect([how, bytesOf(byBob)]).toEqual([how, bytesOf(ofNobody)]);
    const answers = await Promise.all(ids.map((id) => send(gateway, id, ALICE)));
    for (const answer of answers) expect([how, bytesOf(answer)]).toEqual([how, bytesOf(unknown)]);
  }
  const elsewhere = { ...JSON_HEADERS, ...ALICE };
  const [onOther, neverOnOther] = await Promise.all(
    [session, NEVER].map((id) =>
      gateway.send('POST', '/other', { ...elsewhere, 'mcp-session-id': id }, JSON.stringify(PING)),
    ),
  );

  expect(onOther && bytesOf(onOther)).toBe(neverOnOther && bytesOf(neverOnOther));
  expect(onOther?.status).toBe(404);
  expect(upstream.received).toHaveLength(reached);
  // Its stream was not taken from its owner, and it answers.
  expect((await gateway.post(PING, { ...ALICE, 'mcp-session-id': session })).json).toEqual({
    jsonrpc: '2.0',
    id: 7,
    result: {},
  });
  for (const stream of upstream.streams) upstream.push(stream, CHANGED);
  expect((await events.next()).json).toMatchObject({ method: 'notifications/tools/list_changed' });
});

test('a second GET never takes the stream of a session: 409 for its owner, 404 for anybody else [T7 T9]', async () => {
  const { gateway, upstream } = await world();
  const session = { 'mcp-session-id': await opened(gateway, ALICE) };
  const events = await openEvents(gateway, { sessionId: session['mcp-session-id'], headers: ALICE });

  const own = await gateway.send('GET', '/mcp', { ...ALICE, ...session, accept });
  const foreign = await gateway.send('GET', '/mcp', { ...BOB, ...session, accept });

  expect([own.status, own.json.error.data.reason]).toEqual([409, 'stream_taken']);
  expect([foreign.status, foreign.json.error.data.reason]).toEqual([404, 'session_unknown']);
  for (const stream of upstream.streams) upstream.push(stream, CHANGED);
  expect((await events.next()).json).toMatchObject({ method: 'notifications/tools/list_changed' });
});

test('under a full gateway a session of somebody else looks no different from none [T7]', async () => {
  const { gateway, upstream } = await gatewayBefore(
    {},
    { inbound: { bearer: { keys } }, limits: { inFlight: 1 }, links: { min: 0 } },
  );
  const session = await opened(gateway, ALICE);
  void gateway.call('never', {}, 1, { ...ALICE, 'mcp-session-id': session });
  await upstream.nextCall('never');

  for (const body of [PING, INITIALIZE]) {
    const [foreign, unknown] = await Promise.all(
      [session, NEVER].map((id) => gateway.post(body, { ...BOB, 'mcp-session-id': id })),
    );
    expect(foreign && bytesOf(foreign)).toBe(unknown && bytesOf(unknown));
    expect(foreign?.status).toBe(503);
  }
});

test('initialize with the id of somebody else’s session opens a session, as with any id that is over [T7]', async () => {
  const { gateway } = await world();
  const session = await opened(gateway, ALICE);

  const byBob = await gateway.post(INITIALIZE, { ...BOB, 'mcp-session-id': session });
  const byAlice = await gateway.post(INITIALIZE, { ...ALICE, 'mcp-session-id': session });

  expect([byBob.status, byAlice.status]).toEqual([200, 400]);
});

// States

test('a state in other hands, or any text in its place, is −32602 in a 200: the same bytes for all, and the call goes on [T7 T8]', async () => {
  const { gateway, upstream } = await world();
  const options = { capabilities: { elicitation: {} } };
  const again = (requestState: string, headers = ALICE): Promise<Answer> =>
    modern(
      gateway,
      'tools/call',
      { ...CALL, requestState, inputResponses: { name: NAMED } },
      {
        ...options,
        headers,
        id: 9,
      },
    );
  const asked = await modern(gateway, 'tools/call', CALL, { ...options, headers: ALICE });
  const state: string = asked.json.result.requestState;
  const session = await opened(gateway, ALICE);
  const reached = upstream.received.length;

  const unknown = await again(NEVER);
  const [byBob, ofNobody] = [await again(state, BOB), await again(NEVER, BOB)];
  const forged = [
    session,
    ...[CURRENT, PREVIOUS, OTHER].map((secret) => sealed(secret, { kind: 'round', held: 'x', round: 1, digest: 'x' })),
    sealed(CURRENT, { kind: 'replay', digest: 'x' }),
    ...damaged(state),
  ];
  const answers = await Promise.all(forged.map((each) => again(each)));

  expect([unknown.status, unknown.json.error.code]).toEqual([200, -32602]);
  expect(bytesOf(byBob)).toBe(bytesOf(ofNobody));
  for (const answer of answers) expect(bytesOf(answer)).toBe(bytesOf(unknown));
  expect(upstream.received.slice(reached).filter(({ message }) => message.method === 'tools/call')).toEqual([]);
  expect((await again(state)).json.result).toMatchObject({ resultType: 'complete' });
});

// Where old clients post

test('where an old client posts is its own: any other token is an unknown session, and nothing goes upstream [T7 T8]', async () => {
  const { gateway, upstream } = await world();
  const client = await openOldClient(gateway.origin, { headers: ALICE });
  const own = new URL(await client.endpoint(), gateway.origin);
  const token = own.searchParams.get('token') ?? '';
  const session = await opened(gateway, ALICE);
  const post = (given: string, headers: Record<string, string> = ALICE, path = '/messages'): Promise<Answer> =>
    gateway.send(
      'POST',
      `${path}?token=${encodeURIComponent(given)}`,
      { ...JSON_HEADERS, ...headers },
      JSON.stringify(PING),
    );
  const reached = upstream.received.length;

  const unknown = await post(NEVER);
  const endpoint = { kind: 'endpoint', url: 0, origin: 0, target: '/messages' } as const;
  const forged = [
    session,
    // Known the secret may be; whose process it is of is not.
    ...[CURRENT, PREVIOUS, OTHER].map((secret) => sealed(secret, endpoint)),
    ...damaged(token),
    '',
  ];
  const answers = await Promise.all(forged.map((each) => post(each)));
  const byBob = await post(token, BOB);
  const onOther = await post(token, ALICE, '/other/messages');

  expect([unknown.status, unknown.json.error.data]).toEqual([404, { reason: 'session_unknown' }]);
  for (const answer of [...answers, byBob, onOther]) expect(bytesOf(answer)).toBe(bytesOf(unknown));
  expect(upstream.received).toHaveLength(reached);
  expect((await client.post(PING, ALICE)).status).toBe(202);
});

// Secrets that change

test('secrets change while everything goes on: what the older one sealed is good until nobody names it [T8]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, configWith(undefined, 'http://127.0.0.1:9/sse'));
  const to = async (secrets: GatewayConfig['secrets']): Promise<void> => {
    await gateway.reload(configWith(secrets, 'http://127.0.0.1:9/sse'));
  };
  const [one, two, three] = [CURRENT, PREVIOUS, OTHER].map((secret) => secret.toString('base64')) as [
    string,
    string,
    string,
  ];
  const ofProcess = await openOldClient(gateway.origin, { headers: ALICE });
  await ofProcess.endpoint();

  await to({ current: one });
  const session = await opened(gateway, ALICE);
  const ofOne = await openOldClient(gateway.origin, { headers: ALICE });
  await ofOne.endpoint();
  await to({ current: two, previous: one });
  const during = [(await ofOne.post(PING, ALICE)).status, (await ofProcess.post(PING, ALICE)).status];
  await to({ current: three, previous: two });
  const after = [(await ofOne.post(PING, ALICE)).status, (await ofProcess.post(PING, ALICE)).status];

  expect([during, after]).toEqual([
    [202, 202],
    [404, 202],
  ]);
  expect((await gateway.post(PING, { ...ALICE, 'mcp-session-id': session })).status).toBe(200);
  expect(gateway.journal.of('reloaded').map(({ kept, changed }) => [kept.length, changed])).toEqual([
    [2, ['secrets.current']],
    [2, ['secrets.current', 'secrets.previous']],
    [2, ['secrets.current', 'secrets.previous']],
  ]);
  expect(upstream.received.filter(({ message }) => message.method === 'ping')).not.toEqual([]);
});

test('of two processes with one secret each reads the states of the other, but has only its own sessions and calls [T8]', async () => {
  const page = { mode: 'url', elicitationId: 'e-2', url: 'https://example.com/x', message: 'log in' };
  let calls = 0;
  const tools = {
    ask: defaultBehaviour().tools['ask'] ?? expect.fail(),
    locked: (): object => {
      if (++calls === 1) throw new RpcError(-32042, 'URL elicitation required', { elicitations: [page] });
      return text('open');
    },
  };
  const { gateway: first, upstream } = await gatewayBefore({ tools }, configWith(SECRETS, 'http://127.0.0.1:9/sse'));
  const second = await startGateway(upstream.url, configWith(SECRETS, 'http://127.0.0.1:9/sse'));
  onTestFinished(() => second.close());
  const options = { capabilities: { elicitation: { form: {}, url: {} } }, headers: ALICE };
  const locked = ['tools/call', { name: 'locked', arguments: {} }, options] as const;
  const held = ['tools/call', CALL, options] as const;

  const [sentAway, asked] = [await modern(first, ...locked), await modern(first, ...held)];
  const session = await opened(first, ALICE);
  const old = await openOldClient(first.origin, { headers: ALICE });
  const path = await old.endpoint();
  const elsewhere = [
    await retry(second, asked, { name: NAMED }, held),
    await second.post(PING, { ...ALICE, 'mcp-session-id': session }),
    await second.send('POST', path, { ...JSON_HEADERS, ...ALICE }, JSON.stringify(PING)),
  ];
  const again = await retry(second, sentAway, { 'url-1': { action: 'accept' } }, locked);

  expect(elsewhere.map(({ status, json }) => [status, json.error.data.reason])).toEqual([
    [200, 'request_state_invalid'],
    [404, 'session_unknown'],
    [404, 'session_unknown'],
  ]);
  expect(again.json.result).toMatchObject({ resultType: 'complete', content: [{ text: 'open' }] });
  expect((await retry(first, asked, { name: NAMED }, held)).json.result.resultType).toBe('complete');
});
