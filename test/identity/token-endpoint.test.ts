// inbound.jwt over real sockets: what is asked of callers, what everybody may read, whose what is, and what a reload means.

import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Answer, type Gateway, type GatewayConfig, JSON_HEADERS, gatewayBefore } from '../support/gateway.ts';
import { openEvents } from '../support/event-client.ts';
import { type Issuer, PUBLIC_URL, RESOURCE, signingKey, startIssuer } from '../support/issuer.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { askedIn, modern, openModern, retry } from '../support/modern-client.ts';
import { openOldClient } from '../support/old-client.ts';
import { NAMED } from '../support/questions.ts';

interface World {
  readonly issuer: Issuer;
  readonly config: GatewayConfig;
  readonly gateway: Gateway;
  readonly upstream: LegacyServer;
}

/** Of `more` what is of the tokens goes there. */
async function guarded(more: object = {}, rest: GatewayConfig = {}): Promise<World> {
  const issuer = await startIssuer();
  const config = configOf(issuer, more, rest);
  return { issuer, config, ...(await gatewayBefore({}, config)) };
}

function configOf(issuer: Issuer, more: object = {}, rest: GatewayConfig = {}): GatewayConfig {
  const jwt = { issuer: issuer.url, jwksUri: issuer.jwksUri, ...more };
  return { links: { min: 0 }, publicUrl: PUBLIC_URL, inbound: { jwt }, ...rest };
}

const PING = { jsonrpc: '2.0', id: 1, method: 'ping' };
const METADATA = '/.well-known/oauth-protected-resource';
const OF_MCP = `resource_metadata="${PUBLIC_URL}${METADATA}/mcp"`;

const ROUTES = [
  ['POST', '/mcp', '/mcp'],
  ['POST', '/mcp/', '/mcp'],
  ['GET', '/mcp', '/mcp'],
  ['DELETE', '/mcp', '/mcp'],
  ['GET', '/sse', '/sse'],
  ['POST', '/messages?token=x', '/sse'],
] as const;

test('every route asks for a token, says where to get one, and takes none from the URL or a cookie [A3 T33]', async () => {
  const { gateway, issuer, upstream } = await guarded();
  const token = await issuer.token();

  for (const [method, path, resource] of ROUTES) {
    const where = `${path}${path.includes('?') ? '&' : '?'}access_token=${token}`;
    const body = method === 'POST' ? JSON.stringify(PING) : undefined;
    const headers = { ...JSON_HEADERS, cookie: `access_token=${token}`, 'x-forwarded-host': 'evil.example.com' };
    const metadata = `resource_metadata="${PUBLIC_URL}${METADATA}${resource}"`;
    // oxlint-disable-next-line no-await-in-loop -- so that a failure names its route
    const answer = await gateway.send(method, where, headers, body);
    expect([where, answer.status, answer.headers['www-authenticate']]).toEqual([where, 401, `Bearer ${metadata}`]);
    expect(answer.json.error.data.reason).toBe('unauthorized');
  }
  expect([upstream.streams.length, issuer.asked]).toEqual([0, 0]);
});

test.each<
  readonly [
    what: string,
    scopes: string[],
    authorization: (given: Issuer) => Promise<string>,
    status: number,
    asked: string,
  ]
>([
  ['another scheme', [], async () => 'Basic YTpi', 401, `Bearer ${OF_MCP}`],
  ['no token', [], async () => 'Bearer', 401, fault('the Authorization header holds no token')],
  ['two tokens', [], async () => 'Bearer a, Bearer b', 401, fault('the Authorization header holds no token')],
  ['a word', [], async () => 'Bearer word', 401, fault('the token is malformed')],
  [
    'a token for another resource',
    [],
    async (of) => `Bearer ${await of.token({ aud: 'https://other.example.com' })}`,
    401,
    fault('the token is not for this resource'),
  ],
  ['an old token', [], async (of) => `Bearer ${await of.token({ exp: 1 })}`, 401, fault('the token has expired')],
  ['nothing, where scopes are needed,', ['read', 'write'], async () => '', 401, `Bearer scope="read write", ${OF_MCP}`],
  [
    'a token without a scope',
    ['read', 'write'],
    async (of) => `Bearer ${await of.token({ scope: 'read' })}`,
    403,
    `Bearer error="insufficient_scope", error_description="the token has not every scope that is needed", scope="read write", ${OF_MCP}`,
  ],
])('%s is told what is missing [T33]', async (_what, scopes, authorization, status, asked) => {
  const { gateway, issuer } = await guarded({ scopes });
  const given = await authorization(issuer);

  const answer = await gateway.post(PING, given === '' ? {} : { authorization: given });

  expect([answer.status, answer.headers['www-authenticate']]).toEqual([status, asked]);
});

function fault(why: string): string {
  return `Bearer error="invalid_token", error_description="${why}", ${OF_MCP}`;
}

test('a page of a listed origin reads what is asked of it, and the metadata that it leads to, without a token [T24]', async () => {
  const page = { origin: 'https://app.example' };
  const { gateway, issuer } = await guarded({ scopes: ['read'] }, { allowedOrigins: [page.origin] });
  const preflight = {
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'mcp-protocol-version',
  };
  const documents = [METADATA, `${METADATA}/mcp`, `${METADATA}/sse`];

  const refused = [
    await gateway.post(PING, page),
    await gateway.post(PING, { ...page, ...(await issuer.bearer()) }),
    await gateway.send('GET', '/sse', page),
  ];
  const asked = await Promise.all(documents.map((path) => gateway.send('OPTIONS', path, { ...page, ...preflight })));
  const methods = ['GET', 'HEAD'].flatMap((method) => documents.map((path) => [method, path] as const));
  const told = await Promise.all(methods.map(([method, path]) => gateway.send(method, path, page)));
  const others = [...methods, ['OPTIONS', METADATA] as const].map(([method, path]) =>
    gateway.send(method, path, { origin: 'https://evil.example', ...preflight }),
  );

  expect(refused.map(({ status }) => status)).toEqual([401, 403, 401]);
  for (const { headers } of refused) {
    expect(headers['www-authenticate']).toContain('resource_metadata=');
    expect(headers['access-control-expose-headers']).toContain('WWW-Authenticate');
  }
  for (const { status, headers } of asked) {
    expect([status, headers['access-control-allow-methods']]).toEqual([204, 'GET, HEAD']);
    expect(headers['access-control-allow-headers']).toContain('Mcp-Protocol-Version');
  }
  expect(told.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
  for (const { headers } of [...refused, ...asked, ...told]) {
    expect(headers).toMatchObject({ 'access-control-allow-origin': page.origin, vary: 'Origin' });
  }
  for (const { status, headers } of await Promise.all(others)) {
    expect([status, headers['access-control-allow-origin']]).toEqual([403, undefined]);
  }
});

test('with a token a call, a session and an old client are served, and it never reaches the server [A4 T14]', async () => {
  const { gateway, issuer, upstream } = await guarded();
  const alice = await issuer.bearer();

  const called = await gateway.call('add', { a: 1, b: 1 }, 1, alice);
  const session = await openSession(gateway, alice);
  const dialled = await issuer.bearer({ aud: `${PUBLIC_URL}/sse` });
  const old = await openOldClient(gateway.origin, { headers: dialled });
  const posted = await old.post(PING, dialled);

  expect([called.status, session.status, old.status, posted.status]).toEqual([200, 200, 200, 202]);
  const seen = JSON.stringify([upstream.gets, upstream.received.map(({ headers }) => headers)]);
  expect(seen).not.toContain(alice.authorization.slice(-40));
  expect(seen).not.toContain('authorization');
});

const SCOPES = ['read', 'write'];

test.each<readonly [what: string, path: string, config: GatewayConfig, expected: object | null]>([
  ['of the endpoint', '/mcp', {}, { resource: RESOURCE }],
  [
    'of the endpoint, with scopes',
    '/mcp',
    { inbound: { jwt: { scopes: SCOPES } as never } },
    { resource: RESOURCE, scopes_supported: SCOPES },
  ],
  ['of the endpoint, with a slash', '/mcp/', {}, { resource: RESOURCE }],
  ['of the endpoint of old clients', '/sse', {}, { resource: `${PUBLIC_URL}/sse` }],
  ['of the host, which has one', '', {}, { resource: RESOURCE }],
  ['of the host, which has several', '', { others: [other({})] }, null],
  ['of another upstream', '/other', { others: [other({})] }, { resource: `${PUBLIC_URL}/other` }],
  ['of one that takes everybody', '/other', { others: [other({ inbound: 'none' })] }, null],
  ['of what is not there', '/nothing', {}, null],
  ['behind a prefix', '/tools/mcp', { publicUrl: `${PUBLIC_URL}/tools/` }, { resource: `${PUBLIC_URL}/tools/mcp` }],
  [
    'at another port',
    '/mcp',
    { publicUrl: 'https://MCP.example.com:8443' },
    { resource: 'https://mcp.example.com:8443/mcp' },
  ],
])('the metadata %s', async (_what, path, { inbound, ...config }, expected) => {
  const own = typeof inbound === 'object' && 'jwt' in inbound ? inbound.jwt : {};
  const { gateway, issuer } = await guarded(own, config);
  const headers = {
    'x-forwarded-host': 'evil.example.com',
    'x-forwarded-proto': 'http',
    forwarded: 'host=evil.example.com',
  };

  const read = await gateway.send('GET', METADATA + path, headers);
  const head = await gateway.send('HEAD', METADATA + path);
  const posted = await gateway.send('POST', METADATA + path, JSON_HEADERS, '{}');

  if (expected === null) {
    expect([read.status, head.status, posted.status]).toEqual([404, 404, 404]);
    return;
  }
  expect([read.status, head.status, head.text, posted.status]).toEqual([200, 200, '', 405]);
  expect(posted.headers['allow']).toBe('GET, HEAD');
  expect(read.headers['content-type']).toMatch(/^application\/json/);
  const rest = { authorization_servers: [issuer.url], bearer_methods_supported: ['header'] };
  expect(read.json).toEqual({ ...rest, ...expected });
});

function other(more: object): NonNullable<GatewayConfig['others']>[number] {
  return { name: 'other', path: '/other', url: 'http://127.0.0.1:1/sse', ...more };
}

test('an upstream’s own inbound goes for it alone', async () => {
  const issuer = await startIssuer();
  const { gateway } = await gatewayBefore(
    {},
    {
      publicUrl: PUBLIC_URL,
      upstream: { inbound: { jwt: { issuer: issuer.url, jwksUri: issuer.jwksUri } }, legacy: false },
      others: [other({})],
    },
  );

  const [closed, open] = [await gateway.post(PING), await gateway.send('POST', '/other', JSON_HEADERS, list())];

  expect([closed.status, open.status]).toEqual([401, 502]);
});

function list(): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
}

test('what a caller holds is unknown to every other one, and the answer is that of what never was [B21 T7]', async () => {
  const { gateway, issuer, upstream } = await guarded();
  const [alice, bob] = [await issuer.bearer(), await issuer.bearer({ sub: 'bob' })];
  const { id } = await openSession(gateway, alice);
  const asked = await modern(
    gateway,
    'tools/call',
    { name: 'ask', arguments: {} },
    { capabilities: { elicitation: {} }, headers: alice },
  );
  expect(Object.keys(askedIn(asked))).toEqual(['name']);
  const old = await openOldClient(gateway.origin, { headers: alice });
  const endpoint = await old.endpoint();
  const reached = upstream.received.length;

  const tried = async (session: string, state: string, where: string): Promise<string[]> => {
    const own = { ...bob, 'mcp-session-id': session };
    const answers = await Promise.all([
      gateway.post(PING, own),
      gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, own),
      gateway.post([PING], own),
      gateway.send('GET', '/mcp', { accept: 'text/event-stream', ...own }),
      gateway.send('GET', '/mcp', { accept: 'text/event-stream', 'last-event-id': '1-1', ...own }),
      gateway.send('DELETE', '/mcp', own),
      gateway.send('POST', where, { ...JSON_HEADERS, ...bob }, JSON.stringify(PING)),
      modern(
        gateway,
        'tools/call',
        { name: 'ask', arguments: {}, requestState: state, inputResponses: { name: NAMED } },
        { capabilities: { elicitation: {} }, headers: bob },
      ),
    ]);
    return answers.map(({ status, text, headers }) => {
      const told = Object.entries(headers).filter(([name]) => name !== 'date');
      return JSON.stringify([status, text, told]);
    });
  };
  const foreign = await tried(id, asked.json.result.requestState, endpoint);
  const unknown = await tried(`${id}x`, `${asked.json.result.requestState}x`, `${endpoint}x`);

  expect(foreign).toEqual(unknown);
  expect(foreign.map((text) => Number(text.slice(1, 4)))).toEqual([404, 404, 404, 404, 404, 404, 404, 200]);
  expect(upstream.received).toHaveLength(reached);
  // A token of the same caller, newer than the one he came with.
  const renewed = await issuer.bearer({ jti: 'another' });
  const done = await retry(gateway, asked, { name: NAMED }, [
    'tools/call',
    { name: 'ask', arguments: {} },
    { capabilities: { elicitation: {} }, headers: renewed },
  ]);
  expect(done.json.result.resultType).toBe('complete');
  expect((await gateway.post(PING, { ...renewed, 'mcp-session-id': id })).status).toBe(200);
  expect((await old.post(PING, renewed)).status).toBe(202);
});

test('an initialize with the session of another opens one, as with an id that never was [T7]', async () => {
  const { gateway, issuer } = await guarded();
  const [alice, bob] = [await issuer.bearer(), await issuer.bearer({ sub: 'bob' })];
  const { id } = await openSession(gateway, alice);

  const own = await openSession(gateway, { ...alice, 'mcp-session-id': id });
  const foreign = await openSession(gateway, { ...bob, 'mcp-session-id': id });
  const unknown = await openSession(gateway, { ...bob, 'mcp-session-id': `${id}x` });

  expect([own.status, foreign.status, unknown.status]).toEqual([400, 200, 200]);
});

test('a gateway that is full tells the session of another as little as an id that never was [T7]', async () => {
  const { gateway, issuer, upstream } = await guarded({}, { limits: { inFlight: 1 } });
  const [alice, bob] = [await issuer.bearer(), await issuer.bearer({ sub: 'bob' })];
  const { id } = await openSession(gateway, alice);
  void gateway.call('never', {}, 1, alice);
  await upstream.nextCall('never');
  const told = async (headers: Record<string, string>): Promise<number> => {
    return (await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, headers)).status;
  };

  const own = await told({ ...alice, 'mcp-session-id': id });
  const foreign = await told({ ...bob, 'mcp-session-id': id });
  const unknown = await told({ ...bob, 'mcp-session-id': `${id}x` });

  expect([own, foreign, unknown]).toEqual([202, 503, 503]);
});

test('connections are a caller’s own, whichever of his tokens he comes with', async () => {
  const { gateway, issuer, upstream } = await guarded();
  const callers = [{}, { sub: 'bob' }, { jti: 'another' }, { sub: undefined, azp: 'alice' }];

  const counts: unknown[] = [];
  for (const claims of callers) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: they would need more connections at once
    const called = await gateway.call('count', {}, 1, await issuer.bearer(claims));
    counts.push(called.json.result.content[0].text);
  }

  expect([counts, upstream.streams.length]).toEqual([['1', '1', '2', '1'], 3]);
});

test('a stream outlasts the token that it was opened with; the next request needs a good one', async () => {
  const { gateway, issuer, upstream } = await guarded();
  const alice = await issuer.bearer();
  const { id } = await openSession(gateway, alice);
  const own = { ...alice, 'mcp-session-id': id };
  const listener = await openEvents(gateway, { sessionId: id, headers: alice });

  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
  onTestFinished(() => void vi.useRealTimers());
  const late = await gateway.post(PING, own);
  const link = upstream.streams.at(-1) ?? expect.fail('the session has no link');
  upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });

  expect([late.status, late.headers['www-authenticate']]).toEqual([401, fault('the token has expired')]);
  expect((await listener.next()).json.method).toBe('notifications/tools/list_changed');
  expect((await gateway.post(PING, { ...own, ...(await issuer.bearer()) })).status).toBe(200);
});

test('while the keys cannot be had callers are told to come again, not that their token is bad', async () => {
  const { gateway, issuer } = await guarded();
  issuer.answering = (_, response) => response.writeHead(500).end();
  const alice = await issuer.bearer();

  const [away, without] = [await gateway.post(PING, alice), await gateway.post(PING)];

  expect([away.status, away.headers['retry-after'], away.headers['www-authenticate']]).toEqual([503, '10', undefined]);
  expect(away.json.error.data).toMatchObject({ reason: 'keys_unavailable' });
  expect(without.status).toBe(401);
  expect(issuer.asked).toBe(1);
});

test('where the issuer has withdrawn all of its keys every token is refused, and the operator is told [T33]', async () => {
  const { gateway, issuer } = await guarded();
  const alice = await issuer.bearer();
  issuer.keys = [];

  const { status, headers } = await gateway.post(PING, alice);

  expect([status, headers['www-authenticate']]).toEqual([
    401,
    fault('the token is signed with a key that is not known'),
  ]);
  expect(gateway.journal.of('keys_unusable')).toMatchObject([{ why: 'the answer holds no key' }]);
});

test('a gateway that stops while keys are fetched does not wait for them', async () => {
  const { gateway, issuer } = await guarded();
  const asked = Promise.withResolvers<void>();
  issuer.answering = () => asked.resolve();
  const called = gateway.post(PING, await issuer.bearer());
  const outcome = called.then(({ status }) => status, String);
  await asked.promise;

  await gateway.app.close();
  await outcome;
  const failed = await gateway.journal.until(({ fact }) => fact === 'keys_unread');

  expect(failed).toMatchObject({ why: 'the gateway is shutting down' });
});

// Reload

test.each<readonly [what: string, before: object, after: object, staysOpen: boolean]>([
  ['nothing', {}, {}, true],
  ['how far clocks may be apart', {}, { clockTolerance: '1m' }, true],
  ['one audience more', { audience: [RESOURCE] }, { audience: [RESOURCE, 'more'] }, true],
  ['one scope less', { scopes: ['mcp'] }, {}, true],
  ['another audience', { audience: [RESOURCE, 'other'] }, { audience: ['other'] }, false],
  ['another scope', { scopes: ['mcp'] }, { scopes: ['mcp', 'more'] }, false],
  ['another issuer', {}, { issuer: 'https://login.example.com' }, false],
])('a reload that changes %s: what is open stays open: %s %s %s', async (_what, before, after, staysOpen) => {
  const { gateway, issuer } = await guarded(before);
  const alice = await issuer.bearer({ scope: 'mcp' });
  const { id } = await openSession(gateway, alice);
  const listener = await openEvents(gateway, { sessionId: id, headers: alice });
  const listen = await openModern(
    gateway,
    'subscriptions/listen',
    { notifications: { toolsListChanged: true } },
    { headers: alice },
  );
  await listen.until('acknowledged');
  const old = await openOldClient(gateway.origin, { headers: alice });
  await old.endpoint();

  const { kept } = await gateway.reload(configOf(issuer, after));

  expect(kept).toEqual(['default']);
  if (staysOpen) {
    expect((await gateway.post(PING, { ...alice, 'mcp-session-id': id })).status).toBe(200);
    expect(gateway.journal.of('session_ended')).toEqual([]);
    expect((await old.post(PING, alice)).status).toBe(202);
  } else {
    expect([await listener.closed, await old.closed]).toEqual(['ended', 'ended']);
    expect(await listen.until('resultType')).toContain('"complete"');
    expect(gateway.journal.of('session_ended')).toMatchObject([{ why: 'reloaded' }]);
  }
});

test('an upstream’s own inbound changes with a reload, and is told', async () => {
  const issuer = await startIssuer();
  const jwt = { issuer: issuer.url, jwksUri: issuer.jwksUri };
  const { gateway } = await gatewayBefore({}, { publicUrl: PUBLIC_URL });
  const open = (await gateway.post(PING)).status;

  const told = await gateway.reload({ publicUrl: PUBLIC_URL, upstream: { inbound: { jwt } } });

  expect(told).toMatchObject({ kept: ['default'], changed: ['upstreams.default.inbound'] });
  expect([open, (await gateway.post(PING)).status]).toEqual([200, 401]);
});

test('keys that were fetched are kept over a reload', async () => {
  const { gateway, issuer, config } = await guarded();
  const alice = await issuer.bearer();
  await gateway.post(PING, alice);

  await gateway.reload({ ...config, limits: { bodyBytes: '1MiB' } });
  const after = await gateway.post(PING, alice);

  expect([after.status, issuer.asked]).toEqual([200, 1]);
});

test('keys of a file are read anew by a reload, and a file that is no good changes nothing', async () => {
  const issuer = await startIssuer();
  const folder = mkdtempSync(join(tmpdir(), 'keys-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const jwksFile = join(folder, 'jwks.json');
  const published = (): void => writeFileSync(jwksFile, JSON.stringify(issuer.keySet));
  published();
  const config = configOf(issuer, { jwksUri: undefined, jwksFile });
  const { gateway } = await gatewayBefore({}, config);
  const first = await issuer.bearer();
  const status = async (headers: Record<string, string>): Promise<Answer['status']> =>
    (await gateway.post(PING, headers)).status;
  const before = await status(first);

  issuer.keys = [await signingKey('second')];
  published();
  const second = await issuer.bearer();
  const unread = [await status(first), await status(second)];
  await gateway.reload(config);
  const read = [await status(first), await status(second)];
  writeFileSync(jwksFile, '{"keys":[{"kty":"oct","k":"AA"}]}');
  const reloaded = gateway.reload(config);

  await expect(reloaded).rejects.toThrow(/jwksFile: .*jwks\.json holds a private or symmetric key/);
  expect([before, unread, read]).toEqual([200, [200, 401], [401, 200]]);
  expect([await status(second), issuer.asked]).toEqual([200, 0]);
});

async function openSession(gateway: Gateway, headers: Record<string, string>): Promise<{ status: number; id: string }> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const opened = await gateway.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params }, headers);
  const id = String(opened.headers['mcp-session-id']);
  await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, { ...headers, 'mcp-session-id': id });
  return { status: opened.status, id };
}
