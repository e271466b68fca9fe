// The listener for whoever runs the gateway, over real sockets: what it serves, to whom, and that what it tells adds up
// to what was done.

import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Gateway, type GatewayConfig, gatewayBefore, requestBytes, startGateway } from '../support/gateway.ts';
import { text } from '../support/legacy-behaviour.ts';
import { modern, openModern } from '../support/modern-client.ts';
import { openOldClient } from '../support/old-client.ts';
import { type Scrape, readScrape } from '../support/prometheus.ts';

const ADMIN: GatewayConfig = { admin: { port: 0 } };
const TOKEN = 'admin-token-0123456789';
const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });

async function get(gateway: Gateway, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(gateway.adminOrigin + path, { headers });
}

async function scrape(gateway: Gateway): Promise<Scrape> {
  const response = await get(gateway, '/metrics');
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  return readScrape(await response.text());
}

// oxlint-disable-next-line typescript/no-explicit-any -- looked into freely
async function status(gateway: Gateway): Promise<any> {
  return (await get(gateway, '/status')).json();
}

/** One request as bytes, and all that comes back. */
async function raw(gateway: Gateway, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(gateway.adminOrigin).port), '127.0.0.1');
  socket.setEncoding('utf8');
  socket.write(bytes);
  let all = '';
  for await (const piece of socket) all += String(piece);
  return all;
}
const statusIn = (reply: string): number => Number(reply.split(' ')[1]);
const GAUGES = [
  'causeway_calls',
  'causeway_held_calls',
  'causeway_waiting_callers',
  'causeway_sessions',
  'causeway_streams',
  'causeway_listens',
  'causeway_passthrough_streams',
  'causeway_replies',
] as const;
const held = (of: Scrape): number[] => GAUGES.map((name) => of.sum(name));

/** Scrapes until it is so: what a client does not wait for ends a moment after it has left. */
async function scrapeUntil(gateway: Gateway, isSo: (of: Scrape) => boolean): Promise<Scrape> {
  for (;;) {
    const of = await scrape(gateway);
    if (isSo(of)) return of;
  }
}

describe('what is counted is what was done', () => {
  test('requests by mode, revision, method and outcome; what was never sent has waited for nothing', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);
    const session = await gateway.openSession();
    await gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, IN(session));
    await gateway.call('add', { a: 1, b: 2 }, 2, IN(session));
    await gateway.call('no such tool', {}, 3, IN(session));
    await gateway.call('add', { a: 1, b: 2 });
    await gateway.post({ jsonrpc: '2.0', id: 4, method: `made/up/${Date.now()}` });
    await gateway.post({ jsonrpc: '2.0', id: 4, method: 'logging/setLevel', params: { level: 'info' } });
    await modern(gateway, 'tools/list');
    await gateway.post('not JSON');
    await gateway.send('GET', '/nowhere');

    const of = await scrape(gateway);

    const exchanges = (labels: Record<string, string>): number => of.sum('causeway_exchanges_total', labels);
    const ofSession = { upstream: 'default', mode: 'session', revision: '2025-06-18' };
    expect(exchanges({ ...ofSession, method: 'initialize', outcome: 'result' })).toBe(1);
    expect(exchanges({ ...ofSession, method: 'tools/list', outcome: 'result' })).toBe(1);
    expect(exchanges({ ...ofSession, method: 'tools/call' })).toBe(2);
    expect(exchanges({ mode: 'sessionless', method: 'tools/call', outcome: 'result' })).toBe(1);
    expect(exchanges({ mode: 'sessionless', method: 'other' })).toBe(1);
    expect(exchanges({ mode: 'sessionless', outcome: 'failed', reason: 'method_not_found' })).toBe(1);
    expect(exchanges({ mode: 'modern', revision: '2026-07-28', method: 'tools/list', outcome: 'result' })).toBe(1);
    expect(exchanges({})).toBe(gateway.journal.of('exchange').length);
    expect(of.sum('causeway_exchange_duration_seconds_count')).toBe(exchanges({}));
    const sent = gateway.journal.of('exchange').filter(({ waitMs }) => waitMs !== undefined).length;
    expect(of.sum('causeway_link_wait_seconds_count')).toBe(sent);
    expect(sent).toBeLessThan(exchanges({}));
    expect(of.sum('causeway_refusals_total', { listener: 'main', reason: 'parse_error' })).toBe(1);
    expect(of.sum('causeway_refusals_total', { listener: 'main', reason: 'path_unknown' })).toBe(1);
  });

  test('failures by reason, and links that cannot be opened', async () => {
    const gateway = await startGateway('http://127.0.0.1:1/sse', { ...ADMIN, links: { min: 0 } });
    onTestFinished(() => gateway.close());

    await gateway.call('add');
    const of = await scrape(gateway);

    const reason = { reason: 'upstream_unreachable' };
    expect(of.sum('causeway_exchanges_total', { outcome: 'failed', ...reason })).toBe(1);
    expect(of.sum('causeway_link_failures_total', reason)).toBe(1);
    expect(of.sum('causeway_upstream_outages_total', reason)).toBe(1);
    expect(of.sum('causeway_upstream_up')).toBe(0);
    const [upstream] = (await status(gateway)).upstreams;
    expect(upstream).toMatchObject({ name: 'default', state: 'down', ready: false, lastError: reason });
    expect(upstream.lastError.agoMs).toBeGreaterThanOrEqual(0);
  });

  test('answers that are late, second, or nobody’s, each by its kind', async () => {
    const { gateway, upstream } = await gatewayBefore(
      { tools: { stubborn: (call) => call.released.then(() => text('late')) } },
      { ...ADMIN, timeouts: { request: '50ms' } },
    );
    const answer = gateway.call('stubborn');
    const call = await upstream.nextCall('stubborn');
    await answer;
    call.release();
    await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'late_answer');
    await gateway.call('count');
    const counted = await upstream.nextCall('count');
    upstream.sendTo(counted.stream, { jsonrpc: '2.0', id: counted.message.id ?? 0, result: {} });
    upstream.sendTo(counted.stream, { jsonrpc: '2.0', id: 'nobody’s', result: {} });
    await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'unknown_answer');

    const of = await scrape(gateway);

    for (const what of ['late_answer', 'duplicate_answer', 'unknown_answer']) {
      expect([what, of.sum('causeway_drops_total', { what })]).toEqual([what, 1]);
    }
    expect(of.sum('causeway_drops_total')).toBe(gateway.journal.of('dropped').length);
  });

  test('a session that loses its link and goes on', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { ...ADMIN, links: { min: 0 } });
    const session = await gateway.openSession();
    upstream.cutStreams();
    await gateway.journal.until((fact) => fact.fact === 'link_closed' && fact.reason === 'lost');
    await gateway.call('count', {}, 1, IN(session));

    const of = await scrape(gateway);

    expect(of.sum('causeway_session_reopens_total')).toBe(1);
    expect(of.sum('causeway_links_closed_total', { reason: 'lost' })).toBe(1);
    expect(of.sum('causeway_links_opened_total')).toBe(2);
    expect(of.sum('causeway_link_open_duration_seconds_count')).toBe(2);
    expect(of.sum('causeway_sessions_opened_total', { revision: '2025-06-18' })).toBe(1);
    expect((await status(gateway)).upstreams[0].lastError.reason).toBe('upstream_session_lost');
  });
});

test('what is held is counted while it is, and by nobody afterwards', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { ...ADMIN, links: { max: 1, min: 1 } });
  const session = await gateway.openSession({ protocolVersion: '2025-11-25' });
  const listening = await openEvents(gateway, { sessionId: session });
  const listen = await openModern(gateway, 'subscriptions/listen', { notifications: { toolsListChanged: true } });
  await listen.until('acknowledged');
  const old = await openOldClient(gateway.origin);
  await old.endpoint();
  const asked = await modern(
    gateway,
    'tools/call',
    { name: 'ask', arguments: {} },
    { capabilities: { elicitation: {} } },
  );
  const slow = gateway.call('slow', {}, 1, IN(session));
  const call = await upstream.nextCall('slow');

  const during = await scrapeUntil(gateway, (of) => of.sum('causeway_streams') === 2);

  expect(asked.json.result.resultType).toBe('input_required');
  // The session’s link, the listen’s, and that of the held call, which declares something else.
  const links = (labels: Record<string, string>): number => during.sum('causeway_links', labels);
  expect([links({ use: 'dedicated', state: 'open' }), links({ use: 'pooled', state: 'open' })]).toEqual([1, 2]);
  expect(Object.fromEntries(GAUGES.map((name) => [name, during.sum(name)]))).toEqual({
    causeway_calls: 2,
    causeway_held_calls: 1,
    causeway_waiting_callers: 0,
    causeway_sessions: 1,
    // The GET, and the reply to the call, which was primed.
    causeway_streams: 2,
    causeway_listens: 1,
    causeway_passthrough_streams: 1,
    causeway_replies: 1,
  });
  expect(during.sum('causeway_upstream_up')).toBe(1);
  expect((await status(gateway)).upstreams[0]).toMatchObject({ sessions: 1, heldCalls: 1, listens: 1, calls: 2 });

  const { requestState } = asked.json.result;
  await modern(
    gateway,
    'tools/call',
    { name: 'ask', arguments: {}, requestState, inputResponses: { name: { action: 'decline' } } },
    { capabilities: { elicitation: {} } },
  );
  call.release();
  await slow;
  await listening.leave();
  listen.leave();
  old.leave();
  await gateway.send('DELETE', '/mcp', IN(session));

  const after = await scrapeUntil(gateway, (of) => held(of).every((value) => value === 0));
  expect(after.sum('causeway_sessions_ended_total', { why: 'deleted' })).toBe(1);
  expect(after.sum('causeway_streams_opened_total', { how: 'new' })).toBe(1);
  expect(after.sum('causeway_passthrough_streams_opened_total')).toBe(1);
  expect(after.sum('causeway_links', { use: 'dedicated' })).toBe(0);
});

test('callers in line, and what is kept for a client that is away', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { ...ADMIN, links: { max: 1, maxInFlight: 1 } });
  const first = gateway.call('slow');
  const call = await upstream.nextCall('slow');
  const second = gateway.call('count');

  await scrapeUntil(gateway, (of) => of.sum('causeway_waiting_callers') === 1);
  call.release();
  await Promise.all([first, second]);

  const session = await gateway.openSession({ protocolVersion: '2025-11-25' });
  const running = gateway.call('slow', {}, 2, IN(session));
  const other = await upstream.nextCall('slow');
  await scrapeUntil(gateway, (of) => of.sum('causeway_streams') === 1);
  other.release();
  await running;
  const kept = await scrape(gateway);

  expect(held(kept)).toEqual([0, 0, 0, 1, 0, 0, 0, 0]);
  expect(kept.sum('causeway_buffered_bytes')).toBeGreaterThan(100);
  expect((await status(gateway)).bufferedBytes).toBe(kept.sum('causeway_buffered_bytes'));
});

describe('the listener', () => {
  test('is there only where it is configured, and its pages are not on the other one [T28]', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);
    const { gateway: without } = await gatewayBefore();

    for (const path of ['/metrics', '/status']) {
      expect((await gateway.send('GET', path)).status).toBe(404);
      expect((await get(gateway, path)).status).toBe(200);
    }
    expect(without.adminOrigin).toBe('');
    expect(await without.app.listenAdmin()).toBeNull();
  });

  test('serves no MCP, and nothing that changes anything; what it refuses is counted apart [T28]', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);
    const refused = async (method: string, path: string): Promise<readonly unknown[]> => {
      const response = await fetch(gateway.adminOrigin + path, { method });
      const reason: unknown = method === 'HEAD' ? null : ((await response.json()) as { reason: unknown }).reason;
      return [response.status, reason, response.headers.get('allow')];
    };

    expect(await refused('POST', '/mcp')).toEqual([404, 'path_unknown', null]);
    expect(await refused('GET', '/-/reload')).toEqual([405, 'method_not_allowed', 'POST']);
    expect(await refused('GET', '/sse')).toEqual([404, 'path_unknown', null]);
    expect(await refused('POST', '/metrics')).toEqual([405, 'method_not_allowed', 'GET']);
    expect(await refused('HEAD', '/status')).toEqual([405, null, 'GET']);
    expect(await refused('GET', '/%zz')).toEqual([400, 'invalid_request', null]);
    expect((await get(gateway, '/metrics/?x=1')).status).toBe(200);
    const of = await scrape(gateway);
    expect(of.sum('causeway_refusals_total', { listener: 'admin' })).toBe(6);
    expect(of.sum('causeway_refusals_total', { listener: 'main' })).toBe(0);
  });

  test.each<readonly [what: string, config: GatewayConfig, headers: readonly [string, string][], code: number]>([
    ['a loopback name', {}, [['Host', 'localhost:1']], 200],
    ['a rebinding page', {}, [['Host', 'evil.example']], 403],
    ['no Host', {}, [], 400],
    [
      'two Hosts',
      {},
      [
        ['Host', 'localhost'],
        ['Host', 'localhost'],
      ],
      400,
    ],
    [
      'a foreign page',
      {},
      [
        ['Host', 'localhost'],
        ['Origin', 'http://evil.example'],
      ],
      403,
    ],
    [
      'a page of this machine',
      {},
      [
        ['Host', 'localhost'],
        ['Origin', 'http://localhost:3000'],
      ],
      200,
    ],
    ['a name of the other listener', { allowedHosts: ['mcp.example.com'] }, [['Host', 'mcp.example.com']], 200],
    ['a loopback name beside it', { allowedHosts: ['mcp.example.com'] }, [['Host', '127.0.0.1']], 200],
    ['another name', { allowedHosts: ['mcp.example.com'] }, [['Host', 'other.example']], 403],
    [
      'any name, on a public address',
      { admin: { host: '0.0.0.0', port: 0, token: TOKEN } },
      [
        ['Host', 'pod-1'],
        ['Authorization', `Bearer ${TOKEN}`],
      ],
      200,
    ],
    [
      'a page, on a public address',
      { admin: { host: '0.0.0.0', port: 0 } },
      [
        ['Host', 'a'],
        ['Origin', 'http://a'],
      ],
      403,
    ],
    ['another name there', { admin: { host: '0.0.0.0', port: 0 }, allowedHosts: ['a'] }, [['Host', 'b']], 403],
    [
      'a loopback name there',
      { admin: { host: '0.0.0.0', port: 0 }, allowedHosts: ['a'] },
      [['Host', 'localhost']],
      403,
    ],
  ])('%s [T4 T28]', async (_, config, headers, code) => {
    const { gateway } = await gatewayBefore({}, { ...ADMIN, ...config });
    const last = [...headers, ['connection', 'close']] as const;

    for (const path of ['/metrics', '/status', '/nowhere', '/%zz']) {
      const reply = await raw(gateway, requestBytes('GET', path, last));
      const expected = code === 200 ? ({ '/nowhere': 404, '/%zz': 400 }[path] ?? 200) : code;
      expect([path, statusIn(reply)]).toEqual([path, expected]);
    }
  });

  test('health is answered by whatever name it is asked, and says nothing more; but not to a page', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);
    await gateway.journal.until(({ fact }) => fact === 'upstream_up');
    const ask = (path: string, ...more: [string, string][]): Promise<string> =>
      raw(gateway, requestBytes('GET', path, [['Host', 'any.example'], ['connection', 'close'], ...more]));

    expect(await ask('/healthz')).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\{"status":"ok"\}$/);
    expect(await ask('/readyz')).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\{"status":"ok"\}$/);
    expect(statusIn(await ask('/healthz', ['Origin', 'http://evil.example']))).toBe(403);
  });

  test('a tunnel and bytes that are no HTTP cost it nothing', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);

    expect(statusIn(await raw(gateway, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n'))).toBe(405);
    expect(statusIn(await raw(gateway, 'nonsense\r\n\r\n'))).toBe(400);
    expect(statusIn(await raw(gateway, requestBytes('GET', `/${'x'.repeat(20_000)}`, [['Host', 'localhost']])))).toBe(
      431,
    );
    const large = requestBytes('POST', '/status', [
      ['Host', 'localhost'],
      ['connection', 'close'],
      ['content-length', '9999999'],
    ]);
    expect(statusIn(await raw(gateway, large))).toBe(405);

    expect((await get(gateway, '/healthz')).status).toBe(200);
  });

  test('answers that nobody reads are not made in advance, and are cut after timeouts.clientWrite', async () => {
    const { gateway } = await gatewayBefore({}, { ...ADMIN, timeouts: { clientWrite: '200ms' } });
    const page = (await (await get(gateway, '/metrics')).text()).length;
    const socket = connect(Number(new URL(gateway.adminOrigin).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    socket.pause();

    socket.write(requestBytes('GET', '/metrics', [['Host', 'localhost']]).repeat(1500));
    await gateway.journal.until((fact) => fact.fact === 'refused' && fact.reason === 'slow_reader');
    const of = await scrape(gateway);
    let made = 0;
    for await (const piece of socket) made += (piece as Buffer).length;

    expect(made / page).toBeLessThan(1000);
    expect(gateway.journal.of('refused')).toMatchObject([{ listener: 'admin', limit: 'timeouts.clientWrite' }]);
    expect(of.sum('causeway_limits_met_total', { limit: 'timeouts.clientWrite' })).toBe(1);
  });

  test('shows the drain to its end, and ends with it', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { ...ADMIN, drain: { timeout: '10s' } });
    const slow = gateway.call('slow');
    const call = await upstream.nextCall('slow');

    const closing = gateway.app.close();
    const ready = await get(gateway, '/readyz');
    const of = await scrape(gateway);
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'draining' }]);
    expect([of.sum('causeway_draining'), of.sum('causeway_replies')]).toEqual([1, 1]);
    expect((await status(gateway)).status).toBe('draining');
    call.release();
    await closing;

    expect((await slow).status).toBe(200);
    await expect(get(gateway, '/healthz')).rejects.toThrow();
  });
});

test('the status names every upstream, by its name and never its URL', async () => {
  const { gateway } = await gatewayBefore(
    {},
    {
      ...ADMIN,
      upstream: { name: 'billing', headers: { 'x-api-key': 'hunter2' } },
      others: [{ name: 'gone', path: '/gone', url: 'http://user:hunter2@127.0.0.1:1/sse?token=hunter2' }],
    },
  );
  await gateway.journal.until((fact) => fact.fact === 'upstream_down');
  await gateway.journal.until((fact) => fact.fact === 'upstream_up');

  const response = await get(gateway, '/status');
  const body = await response.text();

  expect(response.headers.get('content-type')).toContain('application/json');
  expect(body).not.toMatch(/hunter2|http:|\/sse/);
  expect(JSON.parse(body)).toEqual({
    status: 'upstream unavailable',
    version: '0.0.0-test',
    uptimeSeconds: expect.any(Number),
    configuredAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    drainingMs: null,
    replies: 0,
    bufferedBytes: 0,
    replica: null,
    store: null,
    limits: { inFlight: 10_000, sessions: 10_000 },
    oldestCalls: [],
    recentErrors: [
      {
        reason: 'upstream_unreachable',
        upstream: 'gone',
        listener: null,
        of: 'link',
        says: 'the upstream cannot be reached (ECONNREFUSED)',
        limit: null,
        upstreamStatus: null,
        remedy: expect.stringContaining('check that the server runs'),
        count: 1,
        firstAt: expect.any(String),
        lastAt: expect.any(String),
      },
    ],
    upstreams: [
      {
        name: 'billing',
        path: '/mcp',
        mode: 'auto',
        server: 'scripted-legacy-server 1.0.0',
        revision: '2025-11-25',
        ready: true,
        single: false,
        openBreakers: 0,
        nextTryMs: null,
        failedOpenings: 0,
        limits: { pooled: 64, dedicated: 1000 },
        state: 'up',
        lastError: null,
        links: { pooled: { opening: 0, open: 1, closing: 0 }, dedicated: { opening: 0, open: 0, closing: 0 } },
        sessions: 0,
        streams: 0,
        passthroughStreams: 0,
        calls: 0,
        heldCalls: 0,
        listens: 0,
        waitingCallers: 0,
      },
      expect.objectContaining({
        name: 'gone',
        ready: false,
        state: 'down',
        lastError: { reason: 'upstream_unreachable', agoMs: expect.any(Number) },
      }),
    ],
  });
  const page = await (await get(gateway, '/metrics')).text();
  expect(page).not.toMatch(/hunter2|127\.0\.0\.1/);
  const of = readScrape(page);
  expect([of.sum('causeway_upstream_up', { upstream: 'billing' }), of.sum('causeway_upstream_up')]).toEqual([1, 1]);
});

describe('POST /-/reload', () => {
  const reload = async (gateway: Gateway, headers: Record<string, string> = {}): Promise<readonly unknown[]> => {
    const response = await fetch(`${gateway.adminOrigin}/-/reload`, { method: 'POST', headers });
    return [response.status, await response.json()];
  };

  test('says what has changed, or why nothing has; both are counted', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);
    const other = { name: 'other', path: '/other', url: 'http://127.0.0.1:1/sse' };

    gateway.rewrite({ ...ADMIN, heartbeat: '2s', others: [other], limits: { sessions: 3 }, log: { format: 'json' } });
    const changed = await reload(gateway);
    gateway.rewrite({ ...ADMIN, heartbeat: '2', others: [{ ...other, name: 'default' }] });
    const bad = await reload(gateway);
    const of = await scrape(gateway);

    expect(changed).toEqual([
      200,
      {
        kept: [],
        replaced: ['default'],
        added: ['other'],
        removed: [],
        changed: ['heartbeat', 'limits.sessions'],
        needsRestart: ['log.format'],
      },
    ]);
    expect(bad).toMatchObject([
      400,
      { reason: 'configuration', message: expect.stringMatching(/heartbeat.*\n.*name/) },
    ]);
    expect(of.sum('causeway_reloads_total', { outcome: 'reloaded' })).toBe(1);
    expect(of.sum('causeway_reloads_total', { outcome: 'failed' })).toBe(1);
    expect(of.sum('causeway_links_opened_total', { upstream: 'other' })).toBe(0);
    expect((await status(gateway)).upstreams.map(({ name }: { name: string }) => name)).toEqual(['default', 'other']);
  });

  test('a body means nothing, whatever it is', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);
    const url = `${gateway.adminOrigin}/-/reload`;

    // As curl -d '' sends it.
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const empty = await fetch(url, { method: 'POST', headers: form, body: '' });
    const json = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' });

    expect([empty.status, json.status]).toEqual([200, 200]);
  });

  test('of an upstream that is gone no gauge is left', async () => {
    const other = { name: 'other', path: '/other', url: 'http://127.0.0.1:1/sse' };
    const { gateway } = await gatewayBefore({}, { ...ADMIN, others: [other] });
    const gauges = async () => (await (await get(gateway, '/metrics')).text()).match(/^causeway_upstream_up.*$/gm);

    const before = await gauges();
    gateway.rewrite(ADMIN);
    await reload(gateway);

    expect(before?.length).toBe(2);
    await expect.poll(gauges, { timeout: 5000 }).toEqual([expect.stringContaining('upstream="default"')]);
  });

  test('what finishes on an upstream that was replaced or taken out is counted with it until then', async () => {
    const drain = { timeout: '10s' };
    const { gateway, upstream } = await gatewayBefore({}, { ...ADMIN, drain });
    const other = { name: 'other', path: '/other', url: upstream.url.href };
    const running = gateway.call('slow');
    const call = await upstream.nextCall('slow');
    const calls = async () => (await scrape(gateway)).sum('causeway_calls', { upstream: 'default' });

    gateway.rewrite({ ...ADMIN, drain, upstream: { headers: { 'x-new': '1' } } });
    await reload(gateway);
    const replaced = await calls();
    gateway.rewrite({ ...ADMIN, drain, upstream: other });
    await reload(gateway);
    const removed = await calls();
    // One that gets no request any more keeps no balancer away.
    await expect.poll(async () => (await get(gateway, '/readyz')).status, { timeout: 5000 }).toBe(200);
    call.release();
    await running;

    expect([replaced, removed]).toEqual([1, 1]);
    await expect.poll(async () => (await status(gateway)).upstreams.length, { timeout: 5000 }).toBe(1);
  });

  test('is nothing that a page of elsewhere can ask for, and the names that may are those of the new configuration [T28]', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);
    gateway.rewrite({ ...ADMIN, allowedOrigins: ['http://ours.example'] });

    const foreign = await reload(gateway, { origin: 'http://evil.example' });
    const before = await reload(gateway, { origin: 'http://ours.example' });
    const own = await reload(gateway);
    const after = await reload(gateway, { origin: 'http://ours.example' });

    expect([foreign, before, own, after].map(([code]) => code)).toEqual([403, 403, 200, 200]);
    expect(gateway.journal.of('reloaded').length).toBe(2);
  });
});
