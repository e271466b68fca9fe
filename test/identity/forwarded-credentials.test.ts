// Credentials of callers, over real sockets: without `outbound.forward` none reaches the server; with it the listed ones do,
// each caller's on links of its own, and what the server says of one is told to that caller and to nobody else.

import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Answer, type Gateway, type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import { type Behaviour, type PlainAnswer, text } from '../support/legacy-behaviour.ts';
import { callTool, modern, openModern } from '../support/modern-client.ts';
import { exchange, openOldClient } from '../support/old-client.ts';

const ALICE = { authorization: 'Bearer planted-alice' };
const BOB = { authorization: 'Bearer planted-bob' };
const PUBLIC = 'https://mcp.example.com/gw';
const FORWARD: GatewayConfig = {
  publicUrl: PUBLIC,
  upstream: { outbound: { forward: ['Authorization', 'x-tenant'] } },
};
const WITH_KEYS: GatewayConfig = {
  inbound: {
    bearer: {
      keys: ['alice', 'bob'].map((name) => ({
        name,
        sha256: createHash('sha256').update(`key-${name}`).digest('hex'),
      })),
    },
  },
  upstream: { outbound: { forward: ['x-user-token'] } },
};
const keyed = (name: string, token: string) => ({ authorization: `Bearer key-${name}`, 'x-user-token': token });
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};
const PING = { jsonrpc: '2.0', id: 1, method: 'ping' };

async function opened(gateway: Gateway, headers: Record<string, string>): Promise<string> {
  const answer = await gateway.post(INITIALIZE, headers);
  expect([answer.status, answer.text]).toMatchObject([200, /* for a failure's sake */ expect.anything()]);
  return String(answer.headers['mcp-session-id']);
}

/** A tool that says whose link it was called on. */
const whoami: Partial<Behaviour> = {
  tools: {
    whoami: (call) => text(String(call.stream.headers['authorization'] ?? call.stream.headers['x-user-token'])),
  },
};
const saidIn = (answer: Answer): unknown => answer.json?.result?.content?.[0]?.text;

describe('what callers send', () => {
  const PLANTED = {
    ...ALICE,
    cookie: 'planted-cookie=1',
    'x-user-token': 'planted-token',
    'proxy-authorization': 'Basic planted',
  };
  const QUERY = '?access_token=planted-query&api_key=planted-key';

  test.each<[what: string, config: GatewayConfig, ours: string | undefined]>([
    ['by default', {}, undefined],
    ['with outbound: none', { upstream: { outbound: 'none' } }, undefined],
    ['with headers of ours', { upstream: { headers: { authorization: 'Bearer ours' } } }, 'Bearer ours'],
    [
      'with outbound: headers',
      { upstream: { outbound: 'headers', headers: { Authorization: 'Bearer ours' } } },
      'Bearer ours',
    ],
  ])('never reaches the server %s: neither by links nor by old clients [T14]', async (_what, config, ours) => {
    const { gateway, upstream } = await gatewayBefore({}, config);

    const session = await opened(gateway, PLANTED);
    const call = JSON.stringify({ ...PING, method: 'tools/call', params: { name: 'add', arguments: {} } });
    const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    await gateway.send('POST', `/mcp${QUERY}`, { ...json, ...PLANTED }, call);
    await gateway.send('POST', `/mcp${QUERY}`, { ...json, ...PLANTED, 'mcp-session-id': session }, call);
    await callTool(gateway, 'add', {}, { headers: PLANTED });
    const old = await openOldClient(gateway.origin, { path: `/sse${QUERY}`, headers: PLANTED });
    await old.endpoint();
    await old.post(PING, PLANTED);

    const seen = [...upstream.gets, ...upstream.received].map(({ url, headers }) => ({ url, headers }));
    expect(seen.length).toBeGreaterThan(8);
    expect(JSON.stringify(seen)).not.toContain('planted');
    expect(new Set(seen.map(({ headers }) => headers.authorization))).toEqual(new Set([ours]));
  });

  test('goes on where it is listed, with the stream and with every message, and nothing beside it', async () => {
    const { gateway, upstream } = await gatewayBefore({}, FORWARD);
    const sent = { ...PLANTED, 'x-tenant': 't1' };

    const session = await opened(gateway, sent);
    await gateway.call('add', {}, 1, { ...sent, 'mcp-session-id': session });
    await gateway.call('add', {}, 1, sent);
    await callTool(gateway, 'add', {}, { headers: sent });
    const old = await openOldClient(gateway.origin, { headers: sent });
    await old.endpoint();
    await old.post(PING, sent);

    const seen = [...upstream.gets, ...upstream.received].map(({ headers }) => headers);
    expect(upstream.gets).toHaveLength(3);
    expect(new Set(seen.map((headers) => `${headers.authorization} ${headers['x-tenant']?.toString()}`))).toEqual(
      new Set([`${ALICE.authorization} t1`]),
    );
    expect(JSON.stringify(seen)).not.toMatch(/planted-(?:cookie|token|query)|Basic/);
  });
});

describe('callers with credentials of their own', () => {
  test('share no link, no list and no answer, whatever ids they choose', async () => {
    const behaviour: Partial<Behaviour> = {
      ...whoami,
      methods: {
        'tools/list': (call) => ({
          tools: [{ name: `of-${call.stream.headers.authorization?.slice(-5)}`, inputSchema: { type: 'object' } }],
        }),
      },
    };
    const { gateway, upstream } = await gatewayBefore(behaviour, { ...FORWARD, links: { isolation: 'shared' } });
    const callers = Array.from({ length: 8 }, (_, index) => ({ authorization: `Bearer caller-${index}` }));

    const answers = await Promise.all(
      callers.flatMap((headers) => [
        gateway.call('whoami', {}, 1, headers),
        callTool(gateway, 'whoami', {}, { headers }),
      ]),
    );
    const lists = await Promise.all(callers.map((headers) => modern(gateway, 'tools/list', {}, { headers })));

    expect(answers.map(saidIn)).toEqual(callers.flatMap(({ authorization }) => [authorization, authorization]));
    expect(lists.map(({ json }) => json.result.tools[0].name)).toEqual(
      callers.map(({ authorization }) => `of-${authorization.slice(-5)}`),
    );
    const sessionsOf = (url: string): string => url.replace(/.*sessionId=/, '');
    const holder = new Map(upstream.streams.map((stream) => [stream.sessionId, stream.headers.authorization]));
    for (const { url, headers } of upstream.received) expect(holder.get(sessionsOf(url))).toBe(headers.authorization);
  });

  test('find no session of one another: another credential meets what an unknown session meets', async () => {
    const { gateway } = await gatewayBefore({}, FORWARD);
    const session = await opened(gateway, ALICE);
    const old = await openOldClient(gateway.origin, { headers: ALICE });
    const endpoint = gateway.origin + (await old.endpoint());
    const json = { 'content-type': 'application/json' };

    const answers = await Promise.all(
      [BOB, {}, { ...ALICE, 'x-tenant': 'other' }].flatMap((headers) =>
        (['POST', 'GET', 'DELETE'] as const).map(async (method) => {
          const given = { ...json, accept: 'application/json, text/event-stream', ...headers };
          const body = method === 'POST' ? JSON.stringify(PING) : undefined;
          const [theirs, unknown] = await Promise.all(
            [session, 'unknown'].map((id) => gateway.send(method, '/mcp', { ...given, 'mcp-session-id': id }, body)),
          );
          return [theirs?.status, theirs?.text === unknown?.text];
        }),
      ),
    );
    const posted = await exchange(endpoint, 'POST', { ...json, ...BOB }, JSON.stringify(PING));
    const own = await gateway.post(PING, { ...ALICE, 'mcp-session-id': session });

    expect(answers).toEqual(Array.from({ length: 9 }, () => [404, true]));
    expect(posted.status).toBe(404);
    expect(own.status).toBe(200);
  });

  test('who are known by a key keep their session when the credential is renewed, and nobody else may have it', async () => {
    const { gateway, upstream } = await gatewayBefore(whoami, WITH_KEYS);
    const session = await opened(gateway, keyed('alice', 'one'));
    const link = await upstream.nextStream();

    const renewed = await gateway.call('add', {}, 1, { ...keyed('alice', 'two'), 'mcp-session-id': session });
    const foreign = await gateway.call('add', {}, 1, { ...keyed('bob', 'two'), 'mcp-session-id': session });
    upstream.cutStreams();
    await link.closed;
    const reopened = await gateway.call('whoami', {}, 1, { ...keyed('alice', 'three'), 'mcp-session-id': session });

    expect([renewed.status, foreign.status, saidIn(reopened)]).toEqual([200, 404, 'three']);
    const calls = upstream.received.filter(({ message }) => message.method === 'tools/call');
    expect(calls.map(({ headers }) => headers['x-user-token'])).toEqual(['two', 'three']);
    expect(JSON.stringify(upstream.received.map(({ headers }) => headers))).not.toContain('key-');
  });

  test('are let in one by one where nothing keeps a session: no handshake of one is told to another', async () => {
    const { gateway } = await gatewayBefore(
      { get: (headers) => (headers.authorization === BOB.authorization ? { status: 401 } : 'streams') },
      { ...FORWARD, upstream: { ...FORWARD.upstream, mode: 'stateless' } },
    );

    const answers = await Promise.all([ALICE, BOB].map((headers) => gateway.post(INITIALIZE, headers)));
    const again = await gateway.post(INITIALIZE, BOB);
    const discovered = await modern(gateway, 'server/discover', {}, { headers: BOB });

    expect([...answers, again, discovered].map(({ status }) => status)).toEqual([200, 401, 401, 401]);
  });

  test('lose their sessions when a reload asks for keys', async () => {
    const { inbound: _, ...open } = WITH_KEYS;
    const { gateway } = await gatewayBefore({}, open);
    await opened(gateway, { 'x-user-token': 'one' });
    await opened(gateway, {});

    await gateway.reload(WITH_KEYS);

    expect(gateway.app.registry.size).toBe(0);
  });

  test('hold links within links.maxTotal: the one that is idle for longest makes room', async () => {
    const { gateway, upstream } = await gatewayBefore(whoami, { ...FORWARD, links: { maxTotal: 2 } });

    for (let caller = 0; caller < 6; caller++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      const answer = await gateway.call('whoami', {}, 1, { authorization: `Bearer ${caller}` });
      expect(saidIn(answer)).toBe(`Bearer ${caller}`);
    }

    expect(upstream.gets).toHaveLength(6);
    expect(gateway.app.gauges().upstreams[0]?.links.pooled.open).toBeLessThanOrEqual(2);
  });

  test('a server that answers on whichever link: never one link for all, and no answer reaches another', async () => {
    const { gateway } = await gatewayBefore({ ...whoami, delivery: 'all' }, FORWARD);

    const answers = await Promise.all(
      [ALICE, BOB, ALICE, BOB].map((headers, index) => gateway.call('whoami', {}, index, headers)),
    );

    expect(answers.map(saidIn)).toEqual([ALICE, BOB, ALICE, BOB].map(({ authorization }) => authorization));
    expect(gateway.app.mounts[0]?.isSingle).toBe(false);
    expect(gateway.journal.of('single_impossible')).toHaveLength(1);
  });

  test('no link is opened before a caller comes, and that is no reason not to be ready', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { ...FORWARD, links: { min: 3 } });

    const ready = await gateway.send('GET', '/readyz');
    await gateway.call('add', {}, 1, ALICE);

    expect(ready.status).toBe(200);
    expect(upstream.gets).toHaveLength(1);
  });
});

describe('a credential that the server refuses', () => {
  const THEIRS = 'http://old.internal:9001/.well-known/oauth-protected-resource';
  const OURS = 'https://mcp.example.com/.well-known/oauth-protected-resource/gw';
  const challenge = (document: string): string =>
    `Bearer error="invalid_token", resource_metadata="${document}", scope="a b"`;
  const refusing = (status: 401 | 403): PlainAnswer => ({
    status,
    body: 'Authentication required: no session of planted-alice',
    headers: { 'www-authenticate': challenge(THEIRS) },
  });
  const isBad = (headers: IncomingHttpHeaders): boolean => headers.authorization !== BOB.authorization;

  /** Where the server looks at it. */
  const PLACES = {
    'on the stream': (status) => ({ get: (headers) => (isBad(headers) ? refusing(status) : 'streams') }),
    'with initialize': (status) => ({
      post: ({ method }, headers) => (method === 'initialize' && isBad(headers) ? refusing(status) : 'accepted'),
    }),
    'with notifications/initialized': (status) => ({
      post: ({ method }, headers) =>
        method === 'notifications/initialized' && isBad(headers) ? refusing(status) : 'accepted',
    }),
    'with the request': (status) => ({
      post: ({ method = '' }, headers) =>
        method.startsWith('tools/') && isBad(headers) ? refusing(status) : 'accepted',
    }),
  } satisfies Record<string, (status: 401 | 403) => Partial<Behaviour>>;

  const ASK: Readonly<Record<string, (gateway: Gateway) => Promise<Answer>>> = {
    'a call': (gateway) => gateway.call('add', {}, 7, ALICE),
    'a call of 2026-07-28': (gateway) => callTool(gateway, 'add', {}, { id: 7, headers: ALICE }),
    'a list of 2026-07-28': (gateway) => modern(gateway, 'tools/list', {}, { id: 7, headers: ALICE }),
    'an initialize': async (gateway) => {
      const answer = await gateway.post({ ...INITIALIZE, id: 7 }, ALICE);
      const session = answer.headers['mcp-session-id'];
      if (typeof session !== 'string') return answer;
      return gateway.call('add', {}, 7, { ...ALICE, 'mcp-session-id': session });
    },
  };
  const ROWS = Object.entries(PLACES).flatMap(([place, behaviour]) =>
    Object.entries(ASK).flatMap(([what, ask]) =>
      ([401, 403] as const).map((status) => [place, what, status, behaviour(status), ask] as const),
    ),
  );

  test.each(ROWS)('%s, for %s: %i, with the challenge in our terms', async (_place, _what, status, behaviour, ask) => {
    const { gateway, upstream } = await gatewayBefore(behaviour, FORWARD);

    const refused = await ask(gateway);
    const [gets, posts] = [upstream.gets.length, upstream.received.length];
    const served = await gateway.call('add', { a: 1, b: 2 }, 8, BOB);

    const reason = status === 401 ? 'credential_refused' : 'credential_insufficient';
    expect([refused.status, refused.json]).toMatchObject([
      status,
      { jsonrpc: '2.0', id: 7, error: { data: { reason, outcome: 'not_executed' } } },
    ]);
    expect(refused.headers['www-authenticate']).toBe(challenge(`${OURS}/mcp`));
    expect(refused.text).not.toMatch(/planted|old\.internal/);
    // Not tried again.
    expect(gets).toBe(1);
    expect(
      upstream.received.slice(0, posts).filter(({ message }) => message.method?.startsWith('tools/')).length,
    ).toBeLessThan(2);
    expect([served.status, saidIn(served)]).toEqual([200, '3']);
    expect([gateway.journal.of('upstream_down'), gateway.journal.of('breaker')]).toEqual([[], []]);
  });

  test('is no failure of the server: no breaker opens, whoever tries how often, and nothing is kept of it', async () => {
    let accepts = false;
    const { gateway, upstream } = await gatewayBefore(
      { get: (headers) => (accepts || !isBad(headers) ? 'streams' : refusing(401)) },
      FORWARD,
    );

    for (let attempt = 0; attempt < 8; attempt++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      const [called, passed] = [
        await gateway.call('add', {}, 1, ALICE),
        await exchange(`${gateway.origin}/sse`, 'GET', ALICE),
      ];
      expect([called.status, passed.status]).toEqual([401, 401]);
    }
    accepts = true;
    const later = await gateway.call('add', { a: 1, b: 2 }, 1, ALICE);

    expect([later.status, upstream.gets.length]).toEqual([200, 17]);
    expect(gateway.journal.of('breaker')).toEqual([]);
    expect((await gateway.send('GET', '/readyz')).status).toBe(200);
  });

  test('old clients hear it too, of the path at which they came', async () => {
    const { gateway } = await gatewayBefore(
      {
        get: (headers) => (headers.authorization === undefined ? refusing(401) : 'streams'),
        post: (_message, headers) => (isBad(headers) ? refusing(403) : 'accepted'),
      },
      FORWARD,
    );

    const without = await exchange(`${gateway.origin}/sse`, 'GET');
    const client = await openOldClient(gateway.origin, { headers: ALICE });
    await client.endpoint();
    const posted = await client.post(PING, ALICE);

    expect([without.status, posted.status]).toEqual([401, 403]);
    for (const { headers } of [without, posted]) expect(headers['www-authenticate']).toBe(challenge(`${OURS}/sse`));
  });

  test('without publicUrl the document is left out', async () => {
    const { publicUrl: _, ...unnamed } = FORWARD;
    const { gateway } = await gatewayBefore({ get: refusing(401) }, unnamed);

    const answer = await gateway.call('add', {}, 1, ALICE);

    expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token", scope="a b"');
  });

  test.each<[what: string, headers: Record<string, string>, publicUrl: string | undefined, told: string]>([
    ['without a challenge', {}, PUBLIC, `Bearer resource_metadata="${OURS}`],
    ['without a challenge or publicUrl', {}, undefined, 'Bearer'],
    ['with one that is none', { 'www-authenticate': 'Bearer "' }, PUBLIC, `Bearer resource_metadata="${OURS}`],
  ])('a 401 %s is told with one', async (_what, headers, publicUrl, told) => {
    const { publicUrl: _, ...unnamed } = FORWARD;
    const get: PlainAnswer = { status: 401, headers };
    const { gateway } = await gatewayBefore({ get }, { ...unnamed, ...(publicUrl !== undefined && { publicUrl }) });

    const answers = [await gateway.call('add', {}, 1, ALICE), await exchange(`${gateway.origin}/sse`, 'GET', ALICE)];

    const of = (path: string): string => (publicUrl === undefined ? told : `${told}${path}"`);
    expect(answers.map((answer) => [answer.status, answer.headers['www-authenticate']])).toEqual([
      [401, of('/mcp')],
      [401, of('/sse')],
    ]);
  });

  test.each<[what: string, config: GatewayConfig, headers: Record<string, string>]>([
    ['inbound asks for', WITH_KEYS, keyed('alice', 'one')],
    ['nobody asks for', { ...FORWARD, upstream: { outbound: { forward: ['x-user-token'] } } }, { 'x-user-token': 'a' }],
  ])(
    'in a header beside the authorization that %s: 403 that names it, and no client doubts its token',
    async (_what, config, headers) => {
      for (const status of [401, 403] as const) {
        // oxlint-disable-next-line no-await-in-loop -- two gateways
        const { gateway } = await gatewayBefore({ get: refusing(status) }, config);
        // oxlint-disable-next-line no-await-in-loop -- two gateways
        const [called, passed] = await Promise.all([
          gateway.call('add', {}, 1, headers),
          exchange(`${gateway.origin}/sse`, 'GET', headers),
        ]);

        expect([called.status, passed.status]).toEqual([403, 403]);
        expect(called.json.error).toMatchObject({
          message: expect.stringContaining('x-user-token'),
          data: { reason: 'credential_insufficient', outcome: 'not_executed' },
        });
        for (const answer of [called, passed]) expect(answer.headers['www-authenticate']).toBeUndefined();
      }
    },
  );

  test.each<[what: string, config: GatewayConfig]>([
    ['nobody’s', {}],
    ['ours', { upstream: { headers: { authorization: 'Bearer ours' } } }],
  ])('that is %s is no business of the caller: 502 as ever, without a challenge', async (_what, config) => {
    const { gateway } = await gatewayBefore({ get: refusing(401) }, config);

    const answer = await gateway.call('add', {}, 1, ALICE);

    expect([answer.status, answer.json.error.data.reason]).toEqual([502, 'upstream_unauthorized']);
    expect(answer.headers['www-authenticate']).toBeUndefined();
  });

  test('that is no caller’s: an old client that has a key is not told 401, which would be of that key', async () => {
    const { gateway, upstream } = await gatewayBefore({ get: refusing(401) }, { ...WITH_KEYS, upstream: {} });
    const { authorization } = keyed('alice', '');

    const passed = await exchange(`${gateway.origin}/sse`, 'GET', { authorization });
    upstream.behaviour.get = 'streams';
    upstream.behaviour.post = refusing(401);
    const old = await openOldClient(gateway.origin, { headers: { authorization } });
    await old.endpoint();
    const posted = await old.post(PING, { authorization });

    for (const { status, headers, body } of [passed, posted]) {
      expect([status, JSON.parse(body.toString()).error.data]).toMatchObject([
        502,
        { reason: 'upstream_unauthorized', outcome: 'not_executed' },
      ]);
      expect(headers['www-authenticate']).toBeUndefined();
    }
  });

  test('a session whose link is lost is not opened anew with it before its client comes with another', async () => {
    let good = 'one';
    const { gateway, upstream } = await gatewayBefore(
      { ...whoami, get: (headers) => (headers['x-user-token'] === good ? 'streams' : refusing(401)) },
      { ...WITH_KEYS, reconnect: { min: '10ms', max: '10ms' } },
    );
    const session = await opened(gateway, keyed('alice', 'one'));
    const events = await openEvents(gateway, { sessionId: session, headers: keyed('alice', 'one') });
    good = 'two';
    upstream.cutStreams();
    await gateway.journal.until((fact) => fact.fact === 'link_failed');

    const stale = await gateway.call('whoami', {}, 1, { ...keyed('alice', 'one'), 'mcp-session-id': session });
    const renewed = await gateway.call('whoami', {}, 1, { ...keyed('alice', 'two'), 'mcp-session-id': session });

    expect([stale.status, saidIn(renewed)]).toEqual([403, 'two']);
    expect(upstream.gets.map(({ headers }) => headers['x-user-token'])).toEqual(['one', 'one', 'one', 'two']);
    expect(events.status).toBe(200);
    await events.leave();
  });

  test('a listen ends when its link is lost and its credential is refused: its client comes with another', async () => {
    let isOver = false;
    const { gateway, upstream } = await gatewayBefore(
      { get: () => (isOver ? refusing(401) : 'streams') },
      { ...FORWARD, reconnect: { min: '10ms', max: '10ms' } },
    );
    const notifications = { toolsListChanged: true };
    const listen = await openModern(gateway, 'subscriptions/listen', { notifications }, { id: 'l', headers: ALICE });
    await listen.until('acknowledged');
    isOver = true;
    upstream.cutStreams();

    const all = await listen.until('"id":"l"');

    expect(all).toContain('"result"');
    expect(upstream.gets).toHaveLength(2);
  });
});

test('a reload ends what was opened with a key that is gone, whatever credential came since; else nothing', async () => {
  const [open, keys] = [await gatewayBefore({}, FORWARD), await gatewayBefore({}, WITH_KEYS)];
  const ofAnyone = await opened(open.gateway, ALICE);
  const [alice, bob] = [
    await opened(keys.gateway, keyed('alice', 'one')),
    await opened(keys.gateway, keyed('bob', 'one')),
  ];
  await keys.gateway.call('add', {}, 1, { ...keyed('bob', 'two'), 'mcp-session-id': bob });
  const replaced = { name: 'bob', sha256: createHash('sha256').update('key-robert').digest('hex') };
  const { bearer } = WITH_KEYS.inbound as { bearer: { keys: [typeof replaced, typeof replaced] } };

  await open.gateway.reload({ ...FORWARD, publicUrl: 'https://other.example' });
  await keys.gateway.reload({ ...WITH_KEYS, inbound: { bearer: { keys: [bearer.keys[0], replaced] } } });

  const still = await Promise.all([
    open.gateway.post(PING, { ...ALICE, 'mcp-session-id': ofAnyone }),
    keys.gateway.post(PING, { ...keyed('alice', 'two'), 'mcp-session-id': alice }),
    keys.gateway.post(PING, { ...keyed('robert', 'two'), 'mcp-session-id': bob }),
  ]);
  expect(still.map(({ status }) => status)).toEqual([200, 200, 404]);
});

test('nothing that is said anywhere holds a credential of a caller, or what it is known by', async () => {
  const { gateway } = await gatewayBefore(
    { get: (headers) => (headers.authorization === BOB.authorization ? { status: 401 } : 'streams') },
    { ...FORWARD, admin: { port: 0 } },
  );

  const session = await opened(gateway, ALICE);
  await gateway.call('nothing', {}, 1, { ...ALICE, 'mcp-session-id': session });
  const refused = await gateway.call('add', {}, 1, BOB);
  const old = await openOldClient(gateway.origin, { headers: ALICE });
  await old.endpoint();
  const pages = await Promise.all(
    ['/metrics', '/status'].map(async (path) => (await fetch(gateway.adminOrigin + path)).text()),
  );

  const said = JSON.stringify([gateway.journal.facts, refused.text, refused.headers, pages]);
  expect(gateway.journal.of('link_open')).toHaveLength(1);
  expect(said).not.toMatch(/planted|Bearer (?!resource_metadata)/);
  // A fingerprint has 43 of these.
  expect(said).not.toMatch(/(?<![\w-])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{43}(?![\w-])/);
});
