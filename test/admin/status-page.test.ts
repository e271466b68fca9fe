// What a person sees of a running gateway, over real sockets; and that nothing of it can be more than text, or grow.

import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { statusPage } from '../../src/admin/status-page.ts';
import type { Status } from '../../src/admin/status.ts';
import { ERRORS, type ErrorCode } from '../../src/domain/errors.ts';
import { type Gateway, type GatewayConfig, gatewayBefore, requestBytes, startGateway } from '../support/gateway.ts';
import { modern } from '../support/modern-client.ts';

const ADMIN: GatewayConfig = { admin: { port: 0 } };
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

async function get(gateway: Gateway, path: string, accept = BROWSER): Promise<Response> {
  return fetch(gateway.adminOrigin + path, { headers: { accept } });
}

/** Its text, as a browser would show it, by the lines of its elements. */
async function shown(gateway: Gateway, path = '/'): Promise<string> {
  return textOf(await (await get(gateway, path)).text());
}

function textOf(page: string): string {
  return page
    .replaceAll(/<style>.*?<\/style>/gs, '')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll('&#39;', "'")
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .replaceAll(/\s+/g, ' ');
}

describe('who asks gets what he asks for', () => {
  test.each([
    ['/', BROWSER, 'text/html'],
    ['/status', BROWSER, 'text/html'],
    ['/status/?x=1', 'text/html', 'text/html'],
    ['/status', 'TEXT/HTML ; q=0.2', 'text/html'],
    ['/', '*/*', 'application/json'],
    ['/status', '*/*', 'application/json'],
    ['/status', 'application/json', 'application/json'],
    ['/status', 'application/json, text/html;q=0.5', 'application/json'],
    ['/status', 'text/html;q=0', 'application/json'],
    ['/status', 'text/plain', 'application/json'],
    ['/errors', '*/*', 'text/html'],
  ])('%s with Accept: %s is %s', async (path, accept, type) => {
    const { gateway } = await gatewayBefore({}, ADMIN);

    const response = await get(gateway, path, accept);

    expect([response.status, response.headers.get('content-type')?.split(';')[0]]).toEqual([200, type]);
    expect(response.headers.get('vary')).toBe('Accept');
  });

  test('every answer is of the moment and for nobody else, and a page may load nothing, run nothing and be framed by nobody [T29]', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);

    for (const path of ['/', '/status', '/errors', '/metrics', '/healthz', '/nowhere']) {
      const response = await get(gateway, path);
      const { headers } = response;
      const page = await response.text();
      expect([
        headers.get('cache-control'),
        headers.get('x-content-type-options'),
        headers.get('referrer-policy'),
      ]).toEqual(['no-store', 'nosniff', 'no-referrer']);
      if (headers.get('content-type')?.startsWith('text/html') !== true) continue;
      const [, style = ''] = /<style>(.*?)<\/style>/s.exec(page) ?? [];
      expect(headers.get('content-security-policy')?.split('; ')).toEqual([
        "default-src 'none'",
        `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
        'img-src data:',
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ]);
      expect(page).not.toMatch(/<script|<form|<iframe|\son\w+=|style=/i);
    }
  });

  test.each([
    ['', null],
    ['?refresh=5', '5'],
    ['?refresh=0', null],
    ['?refresh=5&refresh=6', null],
    ['?refresh=5;url=http://evil.example', null],
    ['?refresh=99999', null],
  ])('a page is fetched again only where it is asked for: %s', async (query, seconds) => {
    const { gateway } = await gatewayBefore({}, ADMIN);

    const page = await (await get(gateway, `/${query}`)).text();

    expect(/<meta http-equiv="refresh" content="([^"]*)"/.exec(page)?.[1] ?? null).toBe(seconds);
  });
});

describe('what is there', () => {
  test('upstreams, calls by their age with their tools, held ones with their round, and errors with what to do', async () => {
    const other = { name: 'gone', path: '/gone', url: 'http://127.0.0.1:1/sse' };
    const { gateway, upstream } = await gatewayBefore(
      {},
      { ...ADMIN, upstream: { name: 'tools', links: { min: 1 } }, others: [other], limits: { sessions: 10 } },
    );
    const session = { 'mcp-session-id': await gateway.openSession() };
    void gateway.call('slow', {}, 1, session);
    await upstream.nextCall('slow');
    void gateway.call('never');
    await upstream.nextCall('never');
    await modern(gateway, 'tools/call', { name: 'ask', arguments: {} }, { capabilities: { elicitation: {} } });
    await gateway.send('GET', '/nowhere');
    await gateway.journal.until(({ fact }) => fact === 'link_failed');

    const text = await shown(gateway);
    const { oldestCalls } = (await (await get(gateway, '/status', '*/*')).json()) as Status;

    expect(text).toContain('Upstream unavailable');
    expect(text).toMatch(/gone down \/gone auto .*Last trouble: upstream_unreachable , (?:just now|\d+ s ago)/);
    expect(text).toMatch(/tools up \/mcp auto scripted-legacy-server 1\.0\.0 · 2025-\d\d-\d\d Shared links \d of 64/);
    expect(text).toMatch(/Sessions 1 of 10 /);
    expect(text).toMatch(/tools\/call slow runs · in a session tools \d+ ms tools\/call never runs tools/);
    expect(text).toMatch(/tools\/call ask waits for its client’s answers, round 1 tools/);
    expect(text).toMatch(/path_unknown main listener 1 request just now nothing is served at this path use the path/);
    expect(oldestCalls.map(({ name, phase, link, round }) => [name, phase, link, round])).toEqual([
      ['slow', 'run', 'dedicated', null],
      ['never', 'run', 'pooled', null],
      ['ask', 'held', 'pooled', 1],
    ]);
    expect(oldestCalls.map(({ ageMs }) => ageMs)).toEqual(
      oldestCalls.map(({ ageMs }) => ageMs).toSorted((a, b) => b - a),
    );
  });

  test('calls whose client has left, and at most so many of all', async () => {
    const { gateway, upstream } = await gatewayBefore({}, ADMIN);
    const left = await gateway.connect();
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"never"}}';
    const type = ['content-type', 'application/json'] as const;
    const length = ['content-length', String(body.length)] as const;
    left.write(requestBytes('POST', '/mcp', [['host', 'localhost'], type, length], body));
    await upstream.nextCall('never');
    left.leave();
    void Promise.allSettled(Array.from({ length: 40 }, (_, id) => gateway.call('slow', {}, id)));
    const calls = async (): Promise<Status> => (await get(gateway, '/status', '*/*')).json() as Promise<Status>;
    await expect.poll(async () => (await calls()).upstreams[0]?.calls, { timeout: 5000 }).toBe(41);

    const { oldestCalls } = await calls();
    const text = await shown(gateway);

    expect([oldestCalls.length, oldestCalls[0]?.phase]).toEqual([20, 'left']);
    expect(text).toContain('never runs on; its client has left');
    expect(text).toContain('and 26 more');
  });

  test('a breaker, how long it waits, and what the next attempt does', async () => {
    const gateway = await startGateway('http://127.0.0.1:1/sse', { ...ADMIN, reconnect: { min: '30s', max: '30s' } });
    onTestFinished(() => gateway.close());
    for (let count = 0; count < 5; count++) await gateway.call('add');

    const text = await shown(gateway);
    const [status] = ((await (await get(gateway, '/status', '*/*')).json()) as Status).upstreams;

    expect(text).toMatch(/Too many failures in a row at 1 URL: tried again in (?:[1-5] s|\d+ ms)/);
    expect(text).toMatch(/The last (?:\d+ )?attempts? to keep a link open failed; the next one waits/);
    expect(status).toMatchObject({ openBreakers: 1, failedOpenings: expect.any(Number) });
    expect(status?.nextTryMs).toBeGreaterThan(0);
  });

  test('a drain, and when the configuration was read', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { ...ADMIN, drain: { timeout: '10s' } });
    const slow = gateway.call('slow');
    const call = await upstream.nextCall('slow');
    const before = (await (await get(gateway, '/', '*/*')).json()) as Status;
    await gateway.reload({ ...ADMIN, drain: { timeout: '10s' }, limits: { sessions: 3 } });
    const after = (await (await get(gateway, '/', '*/*')).json()) as Status;
    const closing = gateway.app.close();

    const text = await shown(gateway);
    call.release();
    await Promise.all([closing, slow]);

    expect(text).toMatch(/Draining .* Stopping for \d+ ms: 1 reply to finish\./);
    expect(Date.parse(after.configuredAt)).toBeGreaterThan(Date.parse(before.configuredAt));
    expect(after.limits.sessions).toBe(3);
  });

  test('an upstream that is served no more is there until what runs on it is done', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { ...ADMIN, drain: { timeout: '10s' } });
    const slow = gateway.call('slow');
    const call = await upstream.nextCall('slow');
    await gateway.reload({ ...ADMIN, drain: { timeout: '10s' }, upstream: { name: 'other', path: '/other' } });

    const text = await shown(gateway);
    call.release();
    await slow;

    expect(text).toMatch(/default up served no more/);
    expect(text).toMatch(/tools\/call slow runs default/);
  });

  test('every error the status can link to is on the page of errors', async () => {
    const { gateway } = await gatewayBefore({}, ADMIN);

    const page = await (await get(gateway, '/errors')).text();

    for (const reason of Object.keys(ERRORS)) expect(page).toContain(`<li id="${reason}">`);
    expect(Buffer.byteLength(page)).toBeLessThan(MOST);
  });
});

const MOST = 64_000;
const HOSTILE = [
  '<script>alert(1)</script>',
  '</script><script>alert(2)</script>',
  '"><img src=x onerror=alert(3)>',
  "' onmouseover='alert(4)",
  '</title></style><svg onload=alert(5)>',
  '&lt;b&gt;\u202egnp.exe\u0007\u001b[31m',
];

const HIDDEN = ['\u202e', '\u0007', '\u001b'];

describe('names that somebody else has chosen', () => {
  test.each(HOSTILE)('%j is text, whoever says it [T29]', async (name) => {
    const { gateway, upstream } = await gatewayBefore(
      {
        serverInfo: { name, version: name },
        tools: { [name]: (call) => call.released, fails: () => ({ content: [{ type: 'text', text: name }] }) },
      },
      ADMIN,
    );
    const clientInfo = { name, version: name };
    const session = { 'mcp-session-id': await gateway.openSession({ clientInfo }) };
    await gateway.call('fails', {}, 1, session);
    void gateway.call(name, {}, 2, session);
    await upstream.nextCall(name);
    void gateway.post({ jsonrpc: '2.0', id: 3, method: name, params: {} }, session);
    await gateway.send('GET', '/nowhere', { origin: 'http://evil.example/' + encodeURIComponent(name) });

    const page = await (await get(gateway, '/')).text();

    expect(page).not.toContain(name);
    expect(page).not.toMatch(/<script|<img|<svg onload|\son\w+=["']/i);
    for (const hidden of HIDDEN) expect(page).not.toContain(hidden);
    // The server, the tool: as they are, but for what cannot be seen.
    const visible = HIDDEN.reduce((text, hidden) => text.replaceAll(hidden, '\ufffd'), name);
    expect(textOf(page).split(visible.replaceAll(/\s+/g, ' ')).length).toBeGreaterThanOrEqual(3);
  });

  test('whatever they are and however much there is, the page stays below 64 KB [T29]', () => {
    const long = '"&\u{1f4a3}'.repeat(1000);
    const codes = Object.keys(ERRORS) as ErrorCode[];
    const status: Status = {
      status: 'upstream unavailable',
      version: '1000.1000.1000-beta.1000',
      uptimeSeconds: 1e6,
      configuredAt: '2026-11-22T02:41:36.000Z',
      drainingMs: 1e6,
      replies: 1e6,
      bufferedBytes: 1e6,
      limits: { inFlight: 1e6, sessions: 1e6 },
      store: { isUp: false, sessions: 1e6, behind: 1e6, waiting: 1e6 },
      replica: {
        self: `${'a'.repeat(200)}:8082`,
        peers: Array.from({ length: 1000 }, () => ({
          peer: `${'b'.repeat(200)}:8082`,
          state: 'unreachable',
          version: '1000.1000.1000-beta.1000',
          clockMs: -1e6,
        })),
      },
      upstreams: Array.from({ length: 1000 }, (_, index) => ({
        name: `u${index}`.padEnd(63, 'x'),
        path: '/'.padEnd(63, 'x'),
        mode: 'stateless',
        ready: false,
        single: true,
        tlsUnverified: true,
        state: 'down',
        server: long,
        revision: '2025-11-25',
        openBreakers: 1e6,
        nextTryMs: 1e6,
        failedOpenings: 1e6,
        lastError: { reason: 'credential_insufficient', agoMs: 1e6 },
        links: {
          pooled: { opening: 1e6, open: 1e6, closing: 1e6 },
          dedicated: { opening: 1e6, open: 1e6, closing: 1e6 },
        },
        sessions: 1e6,
        streams: 1e6,
        passthroughStreams: 1e6,
        calls: 1e6,
        heldCalls: 1e6,
        listens: 1e6,
        waitingCallers: 1e6,
        limits: { pooled: 1e6, dedicated: 1e6 },
      })),
      oldestCalls: Array.from({ length: 1000 }, () => ({
        upstream: 'u'.repeat(63),
        method: long,
        name: long,
        phase: 'held',
        ageMs: 1e6,
        link: 'dedicated',
        round: 1e6,
      })),
      recentErrors: Array.from({ length: 1000 }, (_, index) => ({
        reason: codes[index % codes.length] ?? 'internal_error',
        upstream: 'u'.repeat(63),
        listener: null,
        of: 'request',
        says: long,
        limit: 'limits.upstreamMessageBytes',
        upstreamStatus: 503,
        remedy: ERRORS.credential_insufficient.remedy,
        count: 1e6,
        firstAt: '2026-11-22T02:41:36.000Z',
        lastAt: '2026-11-22T02:41:36.000Z',
      })),
    };

    const page = statusPage(status, Date.parse('2027-11-22T02:41:36.000Z'), 9999);

    expect(Buffer.byteLength(page)).toBeLessThan(MOST);
    expect(textOf(page).match(/and [\d,]+ more/g)).toEqual([
      'and 984 more',
      'and 990 more',
      'and 999,999,985 more',
      'and 990 more',
    ]);
  });
});
