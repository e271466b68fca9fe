// Callers of the built program who hold what is somebody else's, or nothing that they should be let in with.

import { createHash } from 'node:crypto';
import { expect, onTestFinished } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Answer, type GatewayClient, JSON_HEADERS } from '../support/gateway.ts';
import { PUBLIC_URL, signingKey, startIssuer } from '../support/issuer.ts';
import { callTool, modern } from '../support/modern-client.ts';
import { exchange, openOldClient } from '../support/old-client.ts';
import { NAMED } from '../support/questions.ts';
import { IN } from '../support/session-client.ts';
import { inFrontOf, startBuilt } from './built.ts';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const inbound = { bearer: { keys: ['alice', 'bob'].map((name) => ({ name, sha256: sha256(`${name}-key`) })) } };
const ALICE = { authorization: 'Bearer alice-key' };
const BOB = { authorization: 'Bearer bob-key' };
const PING = { jsonrpc: '2.0', id: 7, method: 'ping' };
const CHANGED = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
const NEVER = 'never-was-a-token';

const setup = {
  upstreams: { main: { config: { legacy: { sse: '/sse', messages: '/messages' } } }, other: {} },
  config: { inbound },
};
const test = inFrontOf(setup);

async function asked(client: GatewayClient): Promise<string> {
  const answer = await callTool(client, 'ask', {}, { capabilities: { elicitation: {} }, headers: ALICE });
  return answer.json.result.requestState;
}

/** The call once more, with this state. */
function again(client: GatewayClient, requestState: string, headers: Record<string, string>): Promise<Answer> {
  const params = { name: 'ask', arguments: {}, requestState, inputResponses: { name: NAMED } };
  return modern(client, 'tools/call', params, { capabilities: { elicitation: {} }, headers });
}

/** All of an answer but when it was sent. */
function bytesOf({ status, headers, text }: Answer): string {
  const { date: _, ...rest } = headers;
  return JSON.stringify([status, rest, text]);
}

test('the session, the stream, the state and the message URL of another are unknown, and their owner goes on [T7]', async ({
  built,
  servers: { main },
}) => {
  const session = await built.openSession({}, ALICE);
  const link = main.streams.at(-1);
  if (link === undefined) expect.fail('the session has no link');
  const events = await openEvents(built, { sessionId: session, headers: ALICE });
  const old = await openOldClient(built.origin, { headers: ALICE });
  const url = built.origin + (await old.endpoint());
  const state = await asked(built);
  const reached = main.received.length;
  const stolen = { ...BOB, ...IN(session) };

  const inSession = await Promise.all([
    built.post(PING, stolen),
    built.send('GET', '/mcp', { ...stolen, accept: 'text/event-stream' }),
    built.send('GET', '/mcp', { ...stolen, accept: 'text/event-stream', 'last-event-id': '1.0' }),
    built.send('DELETE', '/mcp', stolen),
  ]);
  const posted = await exchange(url, 'POST', { ...JSON_HEADERS, ...BOB }, JSON.stringify(PING));
  const retried = await again(built, state, BOB);

  expect(inSession.map(({ status, json }) => [status, json.error.data.reason])).toEqual(
    inSession.map(() => [404, 'session_unknown']),
  );
  expect(posted.status).toBe(404);
  expect([retried.status, retried.json.error.code]).toEqual([200, -32602]);
  expect(main.received.slice(reached)).toEqual([]);
  main.sendTo(link, CHANGED);
  expect((await events.next()).json).toEqual(CHANGED);
  expect((await old.post(PING, ALICE)).status).toBe(202);
  expect((await again(built, state, ALICE)).json.result.resultType).toBe('complete');
  expect(await built.sum(ALICE)).toBe('3');
});

test('tokens that are changed, cut short, of another process or another upstream get one answer, byte for byte [T8]', async ({
  built,
  servers,
}) => {
  const stranger = await startBuilt(setup, servers);
  onTestFinished(() => stranger.stop());
  const [session, state] = [await built.openSession({}, ALICE), await asked(built)];
  const changed = (token: string): string[] =>
    Array.from({ length: 8 }, (_, part) => {
      const bytes = Buffer.from(token, 'base64url');
      const at = Math.floor((part * bytes.length) / 8);
      return bytes.fill((bytes[at] ?? 0) + 1, at, at + 1).toString('base64url');
    });
  const forged = (token: string): string[] => [...changed(token), token.slice(0, -2), token.slice(0, 20), `${token}A`];
  const ofOthers = [
    await stranger.openSession({}, ALICE),
    await built.at('/other').openSession({}, ALICE),
    await asked(stranger),
  ] as const;
  const reached = servers.main.received.length;

  const unknown = [await built.post(PING, { ...ALICE, ...IN(NEVER) }), await again(built, NEVER, ALICE)] as const;
  const sessions = await Promise.all(
    [...forged(session), ...ofOthers, state].map((each) => built.post(PING, { ...ALICE, ...IN(each) })),
  );
  const states = await Promise.all([...forged(state), ...ofOthers, session].map((each) => again(built, each, ALICE)));

  expect(unknown.map(({ status }) => status)).toEqual([404, 200]);
  expect(new Set(sessions.map(bytesOf))).toEqual(new Set([bytesOf(unknown[0])]));
  expect(new Set(states.map(bytesOf))).toEqual(new Set([bytesOf(unknown[1])]));
  expect(servers.main.received.slice(reached)).toEqual([]);
  expect((await built.post(PING, { ...ALICE, ...IN(session) })).json.result).toEqual({});
  expect((await again(built, state, ALICE)).json.result.resultType).toBe('complete');
  expect(await built.sum(ALICE)).toBe('3');
});

test('a second stream is 409 for the owner of a session and 404 for anybody else, and the first goes on [T9]', async ({
  built,
  servers: { other },
}) => {
  const client = built.at('/other');
  const sessionId = await client.openSession({}, ALICE);
  const link = other.streams.at(-1);
  if (link === undefined) expect.fail('the session has no link');
  const first = await openEvents(client, { sessionId, headers: ALICE });

  const own = await openEvents(client, { sessionId, headers: ALICE });
  const foreign = await openEvents(client, { sessionId, headers: BOB });
  other.sendTo(link, CHANGED);

  expect([own.status, foreign.status]).toEqual([409, 404]);
  expect((await first.next()).json).toEqual(CHANGED);
  expect(await built.sum(ALICE)).toBe('3');
});

test('a key that is guessed and a token that is forged, expired, for somebody else or in the URL are 401 everywhere [T33]', async ({
  built,
  servers,
}) => {
  const issuer = await startIssuer();
  const jwt = { issuer: issuer.url, jwksUri: issuer.jwksUri };
  const guarded = await startBuilt({ ...setup, config: { publicUrl: PUBLIC_URL, inbound: { jwt } } }, servers);
  onTestFinished(() => guarded.stop());
  const good = await issuer.token();
  const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const wrong = [
    await issuer.token({}, {}, await signingKey('first')),
    `${encoded({ alg: 'none', typ: 'at+jwt' })}.${good.split('.')[1]}.`,
    await issuer.token({ exp: 1 }),
    await issuer.token({ aud: 'https://other.example' }),
    await issuer.token({ iss: 'https://other.example' }),
    'guessed',
  ];
  const routes = [
    ['POST', '/mcp'],
    ['DELETE', '/mcp'],
    ['GET', '/sse'],
    ['POST', '/messages?token=x'],
    ['POST', `/mcp?access_token=${good}`],
  ] as const;
  const before = [servers.main.gets.length, servers.main.received.length];

  const answers = await Promise.all(
    routes.flatMap(([method, path]) =>
      [...wrong.map((token) => ({ authorization: `Bearer ${token}` })), {}].map((headers) =>
        guarded.send(
          method,
          path,
          { ...JSON_HEADERS, ...headers },
          method === 'POST' ? JSON.stringify(PING) : undefined,
        ),
      ),
    ),
  );

  const keys = ['alice-ke', 'alice-keyx', 'ALICE-KEY', sha256('alice-key')];
  const guesses = await Promise.all(keys.map((key) => built.post(PING, { authorization: `Bearer ${key}` })));

  expect(guesses.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
  expect([servers.main.gets.length, servers.main.received.length]).toEqual(before);
  expect(await guarded.sum({ authorization: `Bearer ${good}` })).toBe('3');
});
