// Another configuration while the gateway runs: what stays, what is replaced, and that nobody loses anything by it.

import { createHash } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { ConfigError } from '../../src/config/load.ts';
import { type EventClient, openEvents } from '../support/event-client.ts';
import { type Gateway, type GatewayConfig, JSON_HEADERS, gatewayBefore, replyIn } from '../support/gateway.ts';
import { LATE_CALL, halfSent } from '../support/half-sent.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { EVERYTHING, modern, modernMessage, openModern, retry } from '../support/modern-client.ts';
import { openOldClient } from '../support/old-client.ts';
import { ASKABLE, IN } from '../support/session-client.ts';
import { keepsUnderReloads } from '../support/reloads.ts';

const KEY = 'alice-has-this-key';
const sha256 = createHash('sha256').update(KEY).digest('hex');
const bearer = { authorization: `Bearer ${KEY}` };
/** Another mount: whatever it says of requests. */
const REPLACED: GatewayConfig = { timeouts: { request: '1m' } };

async function statusOfCall(gateway: Gateway, headers: Record<string, string> = {}): Promise<number> {
  return (await gateway.call('count', {}, 1, headers)).status;
}

function ask(gateway: Gateway, sessionId: string): Promise<EventClient> {
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'ask', arguments: {} } };
  return openEvents(gateway, { sessionId, body });
}

test(
  'sessions, streams and listens of an upstream that has not changed survive 50 reloads under load',
  { timeout: 60_000 },
  async () => {
    await keepsUnderReloads(50);
  },
);

test('a session of an upstream that has changed is unknown afterwards, and its calls in flight finish', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { drain: { timeout: '10s' } });
  const session = await gateway.openSession({ protocolVersion: '2025-11-25' });
  const listener = await openEvents(gateway, { sessionId: session });
  const running = gateway.call('slow', {}, 'in flight', IN(session));
  const call = await upstream.nextCall('slow');
  const alone = gateway.call('slow', {}, 'alone');
  const aloneCall = await upstream.nextCall('slow');

  const told = await gateway.reload({ drain: { timeout: '10s' }, ...REPLACED });
  const [after, unchanged] = [await gateway.call('count', {}, 2, IN(session)), await statusOfCall(gateway)];
  call.release();
  aloneCall.release();

  expect(told).toMatchObject({ replaced: ['default'], kept: [], changed: ['timeouts.request'] });
  expect([after.status, after.json.error.data.reason]).toEqual([404, 'session_unknown']);
  expect(unchanged).toBe(200);
  expect((await running).json).toMatchObject({ id: 'in flight', result: {} });
  expect((await alone).json).toMatchObject({ id: 'alone', result: {} });
  expect(await listener.closed).toBe('ended');
  expect(listener.seen.at(-1)?.retry).toBeGreaterThanOrEqual(1000);
  await gateway.journal.until((fact) => fact.fact === 'session_ended' && fact.why === 'reloaded');
  expect(await gateway.openSession()).not.toBe(session);
});

test('what a call in flight asks its client can still be answered', async () => {
  const { gateway } = await gatewayBefore({}, { drain: { timeout: '10s' }, links: { min: 0 } });
  const session = await gateway.openSession(ASKABLE);
  const reply = await ask(gateway, session);
  const [question] = (await reply.until(({ json }) => json?.method === 'elicitation/create')).slice(-1);

  await gateway.reload({ drain: { timeout: '10s' }, links: { min: 0 }, ...REPLACED });
  const result = { action: 'decline' };
  const answered = await gateway.post({ jsonrpc: '2.0', id: question?.json.id, result }, IN(session));

  expect(answered.status).toBe(202);
  expect((await reply.rest()).at(-1)?.json).toMatchObject({ id: 1, result: {} });
});

test('a request whose body is on its way while its upstream is replaced is served by the new one', async () => {
  const { gateway } = await gatewayBefore();
  await gateway.call('count');
  const late = await halfSent(gateway, LATE_CALL);

  await gateway.reload(REPLACED);
  await gateway.journal.until((fact) => fact.fact === 'link_closed' && fact.reason === 'shutdown');
  late.finish();

  expect(await late.until('"late"')).toContain('HTTP/1.1 200 OK');
});

test('a request whose body comes after its upstream was removed and closed is told so, and nothing is opened for it', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const others = [
    { name: 'other', path: '/other', url: upstream.url.href, legacy: { sse: '/sse', messages: '/messages' } },
  ];
  await gateway.reload({ upstream: { legacy: false }, others });
  const old = await openOldClient(gateway.origin);
  const [call, initialize] = ['tools/call', 'initialize'].map((method) =>
    JSON.stringify({ jsonrpc: '2.0', id: 'late', method, params: { name: 'count', ...ASKABLE } }),
  ) as [string, string];
  const listen = modernMessage('subscriptions/listen', { notifications: { toolsListChanged: true } });
  const late = [
    await halfSent(gateway, call, {}, '/other'),
    await halfSent(gateway, initialize, {}, '/other'),
    await halfSent(gateway, listen.body, listen.headers, '/other'),
    await halfSent(gateway, call, {}, await old.endpoint()),
  ];
  const other = gateway.app.mounts.find(({ name }) => name === 'other');

  await gateway.reload({ upstream: { legacy: false } });
  await other?.close();
  const gets = upstream.gets.length;
  for (const each of late) each.finish();
  const replies = await Promise.all(late.map(async (each) => replyIn(await each.until('outcome'))));

  expect(replies.map(({ status, json }) => [status, json.error.data.reason, json.error.data.outcome])).toEqual(
    late.map(() => [503, 'draining', 'not_executed']),
  );
  expect(replies.filter(({ json }) => !json.error.message.includes('reload'))).toEqual([]);
  expect(upstream.gets.length).toBe(gets);
});

test('an upstream at another URL: new calls go there, those in flight end where they are', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { drain: { timeout: '10s' } });
  const other = await startLegacyServer();
  onTestFinished(() => other.close());
  const running = gateway.call('slow');
  const call = await upstream.nextCall('slow');
  const listen = await openModern(gateway, 'subscriptions/listen', { notifications: { toolsListChanged: true } });
  await listen.until('acknowledged');

  await gateway.reload({ drain: { timeout: '10s' } }, other.url);
  const moved = gateway.call('slow', {}, 2);
  const elsewhere = await other.nextCall('slow');
  elsewhere.release();
  call.release();

  expect((await moved).status).toBe(200);
  expect((await running).status).toBe(200);
  // A listen ends with its result, for its client to open another.
  expect(await listen.until('resultType')).toContain('"complete"');
  expect((await modern(gateway, 'tools/list')).status).toBe(200);
  await expect.poll(() => upstream.streams.length, { timeout: 5000 }).toBe(0);
});

test('a call that waits for answers of its client is finished where it is held', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { drain: { timeout: '10s' } });
  const other = await startLegacyServer();
  onTestFinished(() => other.close());
  const call = ['tools/call', { name: 'ask', arguments: {} }, { capabilities: EVERYTHING }] as const;
  const asked = [await modern(gateway, ...call), await modern(gateway, ...call)] as const;
  const answers = { name: { action: 'accept', content: { name: 'x' } } };

  await gateway.reload({ drain: { timeout: '10s' } }, other.url);
  const first = await retry(gateway, asked[0], answers, call);
  const second = await retry(gateway, asked[1], answers, call);
  const again = await retry(gateway, asked[1], answers, call);
  const [elsewhere] = [await modern(gateway, ...call)];

  expect([first, second, elsewhere].map(({ json }) => json.result?.resultType)).toEqual([
    'complete',
    'complete',
    'input_required',
  ]);
  expect(again.json.error.data.reason).toBe('request_state_invalid');
  expect(
    [upstream, other].map((of) => of.received.filter(({ message }) => message.method === 'tools/call').length),
  ).toEqual([2, 1]);
  // Nothing is left to be finished there.
  await upstream.whenStreams(0);
});

test('what nobody comes back for is held no longer than drain.timeout', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { drain: { timeout: '300ms' } });
  const call = ['tools/call', { name: 'ask', arguments: {} }, { capabilities: EVERYTHING }] as const;
  const asked = await modern(gateway, ...call);
  const since = performance.now();

  await gateway.reload({ drain: { timeout: '300ms' }, ...REPLACED });
  await upstream.nextRequest('notifications/cancelled');
  const heldMs = performance.now() - since;
  const late = await retry(gateway, asked, {}, call);

  expect(heldMs).toBeGreaterThanOrEqual(299);
  expect(late.json.error.message).toContain('of before a reload');
});

test('what an old client posts goes where its stream came from, as long as that runs, and never elsewhere', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { drain: { timeout: '10s' } });
  const other = await startLegacyServer();
  onTestFinished(() => other.close());
  const running = gateway.call('slow');
  const call = await upstream.nextCall('slow');
  const old = await openOldClient(gateway.origin);
  await old.endpoint();
  const posted = (id: string) => old.post({ jsonrpc: '2.0', id, method: 'ping' });
  await gateway.reload({ drain: { timeout: '10s' }, upstream: { headers: { 'x-key': 'new' } } }, other.url);

  const during = await posted('on its way out');
  await old.until('on its way out');
  call.release();
  expect(await old.closed).toBe('ended');
  const after = await posted('gone');

  expect([during.status, after.status, (await running).status]).toEqual([202, 404, 200]);
  expect(after.body.toString()).toContain('session_unknown');
  const pings = (of: LegacyServer) => of.received.filter(({ message }) => message.method === 'ping');
  expect(pings(upstream).map(({ message, headers }) => [message.id, headers['x-key']])).toEqual([
    ['on its way out', undefined],
  ]);
  expect(pings(other)).toEqual([]);
});

test('a call that outlasts drain.timeout gets an error, and the upstream a cancel', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const running = gateway.call('never');
  await upstream.nextCall('never');

  await gateway.reload(REPLACED);

  expect((await running).json.error.data.reason).toBe('draining');
  expect(await statusOfCall(gateway)).toBe(200);
});

test('upstreams come and go', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const others = [{ name: 'second', path: '/second', url: upstream.url.href }];
  const at = async (path: string) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    return (await gateway.send('POST', path, JSON_HEADERS, body)).status;
  };
  const session = await gateway.openSession();
  // With others beside it, it has no paths for old clients unless they are given.
  const legacy = { sse: '/sse', messages: '/messages' };

  const before = await at('/second');
  const added = await gateway.reload({ upstream: { legacy }, others });
  const during = await at('/second');
  const removed = await gateway.reload({});
  const after = await at('/second');

  expect([before, during, after]).toEqual([404, 200, 404]);
  expect(added).toMatchObject({ added: ['second'], kept: ['default'] });
  expect(removed).toMatchObject({ removed: ['second'], kept: ['default'] });
  expect(await statusOfCall(gateway, IN(session))).toBe(200);
});

test('a bad configuration changes nothing and says why', async () => {
  const { gateway } = await gatewayBefore();
  const session = await gateway.openSession();

  const reloaded = gateway.reload({ timeouts: { request: '1' }, allowedHosts: [] });

  await expect(reloaded).rejects.toThrow(ConfigError);
  await expect(reloaded).rejects.toThrow('timeouts.request');
  expect(gateway.journal.of('reload_failed')).toMatchObject([{ why: expect.stringContaining('timeouts.request') }]);
  expect(gateway.journal.of('reloaded')).toEqual([]);
  expect(await statusOfCall(gateway, IN(session))).toBe(200);
});

test('keys of callers go at once: the new one is let in, the sessions of one that is gone end', async () => {
  const keyed: GatewayConfig = { inbound: { bearer: { keys: [{ name: 'alice', sha256 }] } } };
  const { gateway } = await gatewayBefore();
  const session = await gateway.openSession();
  const listener = await openEvents(gateway, { sessionId: session });
  const listen = await openModern(gateway, 'subscriptions/listen', { notifications: { toolsListChanged: true } });
  await listen.until('acknowledged');

  const told = await gateway.reload(keyed);
  const [without, with_] = [await statusOfCall(gateway), await statusOfCall(gateway, bearer)];
  await gateway.reload({});

  expect(told).toMatchObject({ kept: ['default'], changed: ['inbound.bearer.keys'] });
  expect([without, with_]).toEqual([401, 200]);
  expect(await listener.closed).toBe('ended');
  expect(await listen.until('resultType')).toContain('"complete"');
  expect(await statusOfCall(gateway)).toBe(200);
});

test('a key that is replaced under its name ends all that was opened with it, and nothing of others', async () => {
  const keyed = (key: string): GatewayConfig => {
    const of = (name: string, text: string) => ({ name, sha256: createHash('sha256').update(text).digest('hex') });
    return { inbound: { bearer: { keys: [of('alice', key), of('bob', 'bob-has-that-key')] } } };
  };
  const { gateway } = await gatewayBefore({}, keyed(KEY));
  const bob = { authorization: 'Bearer bob-has-that-key' };
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const opened = await gateway.post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, bearer);
  const sessionId = String(opened.headers['mcp-session-id']);
  const listener = await openEvents(gateway, { sessionId, headers: bearer });
  const wish = { notifications: { toolsListChanged: true } };
  const listen = await openModern(gateway, 'subscriptions/listen', wish, { headers: bearer });
  await listen.until('acknowledged');
  const old = await openOldClient(gateway.origin, { headers: bearer });
  await old.endpoint();
  const other = await openOldClient(gateway.origin, { headers: bob });
  await other.endpoint();

  await gateway.reload(keyed('alice-has-a-new-key'));
  const after = await gateway.call('count', {}, 1, { authorization: 'Bearer alice-has-a-new-key' });
  const posted = await other.post({ jsonrpc: '2.0', id: 'of bob', method: 'ping' }, bob);
  await other.until('of bob');

  expect(await old.closed).toBe('ended');
  expect(await listener.closed).toBe('ended');
  expect(await listen.until('resultType')).toContain('"complete"');
  expect([after.status, posted.status]).toEqual([200, 202]);
  expect(gateway.app.mounts[0]?.passage?.openStreams).toBe(1);
});

test('hosts, limits and timeouts of clients go at once; what cannot is named', async () => {
  const { gateway } = await gatewayBefore();
  const from = (host: string) => gateway.call('count', {}, 1, { host });
  const before = [(await from('localhost')).status, (await from('mcp.example.com')).status];
  const idle = await gateway.connect();

  await gateway.reload({
    allowedHosts: ['mcp.example.com'],
    limits: { bodyBytes: '200B', bufferedBytes: '1MiB' },
    timeouts: { clientHeaders: '100ms' },
    log: { format: 'json' },
  });
  const after = [(await from('localhost')).status, (await from('mcp.example.com')).status];
  const large = await gateway.call('count', { x: 'x'.repeat(200) }, 1, { host: 'mcp.example.com' });
  idle.write('POST /mcp HTTP/1.1\r\n');

  expect([before, after]).toEqual([
    [200, 403],
    [403, 200],
  ]);
  expect(large.json.error.data.reason).toBe('body_too_large');
  expect(await idle.closed).toContain('408');
  expect(gateway.journal.of('needs_restart')).toEqual([
    { fact: 'needs_restart', keys: ['limits.bufferedBytes', 'log.format'] },
  ]);
});

test('all that is asked for while a reload runs is one more, which reads what is there by then', async () => {
  const { gateway } = await gatewayBefore();

  const first = gateway.reload({ heartbeat: '1s' });
  // It has read by then.
  await Promise.resolve();
  const others = await Promise.all([
    first,
    gateway.reload({ heartbeat: '3s' }),
    gateway.reload({ heartbeat: '4s' }),
    gateway.reload({ heartbeat: '2s' }),
  ]);
  const [of, ...ofOthers] = others.map(({ config }) => config.heartbeat);
  await gateway.reload({ heartbeat: '5s' });

  expect([of, ...ofOthers]).toEqual([1000, 2000, 2000, 2000]);
  expect(gateway.journal.of('reloaded')).toHaveLength(3);
  expect(gateway.app.mounts.map(({ config }) => config.heartbeat)).toEqual([5000]);
});

test('a gateway that stops reloads no more', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { drain: { timeout: '10s' } });
  const running = gateway.call('slow');
  const call = await upstream.nextCall('slow');

  const closing = gateway.app.close();
  await expect(gateway.reload(REPLACED)).rejects.toThrow('shutting down');
  call.release();
  await closing;

  expect((await running).status).toBe(200);
});
