// A real nginx between client and gateway, which gives up what is silent for proxy_read_timeout: with a heartbeat below
// that nothing breaks, and without one a client that resumes loses nothing.
import { expect, onTestFinished, test } from 'vitest';
import { type CallOptions, type EventClient, openCall, openEvents } from '../support/event-client.ts';
import { type Gateway, type GatewayConfig, JSON_HEADERS, startGateway } from '../support/gateway.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { nginxBefore } from '../support/nginx.ts';

const QUIET_MS = 20_000;
const IMPATIENT = ['proxy_read_timeout 2s;'];
const KiB = 1024;

interface World {
  readonly upstream: LegacyServer;
  readonly gateway: Gateway;
  /** The same through nginx. */
  readonly front: Gateway;
  readonly session: string;
  readonly call: (name: string, options?: CallOptions) => Promise<EventClient>;
}

async function behindNginx(revision: string, config: GatewayConfig, directives = IMPATIENT): Promise<World> {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const gateway = await startGateway(upstream.url, config);
  onTestFinished(() => gateway.close());
  const origin = await nginxBefore(gateway.origin, directives);
  const front = { ...gateway, origin, endpoint: `${origin}/mcp` };
  const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'raw', version: '0' } };
  const opened = await post(front, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
  await opened.arrayBuffer();
  const session = opened.headers.get('mcp-session-id') ?? expect.fail(`no session: ${opened.status}`);
  await (await post(front, { jsonrpc: '2.0', method: 'notifications/initialized' }, session)).arrayBuffer();
  return { upstream, gateway, front, session, call: (name, options) => openCall(front, session, name, options) };
}

async function post({ endpoint }: Gateway, body: unknown, session?: string): Promise<Response> {
  return fetch(endpoint, {
    method: 'POST',
    headers: { ...JSON_HEADERS, ...(session !== undefined && { 'mcp-session-id': session }) },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
}

test('a heartbeat below proxy_read_timeout keeps a call alive that is quiet for 20 s, and the GET stream beside it', async () => {
  const { upstream, front, session, call } = await behindNginx('2025-06-18', { heartbeat: '1s' });
  const listener = await openEvents(front, { sessionId: session });
  const opening = call('slow');
  const slow = await upstream.nextCall('slow');
  const reply = await opening;

  const until = performance.now() + QUIET_MS;
  while (performance.now() < until) await reply.untilHeartbeat(reply.heartbeats + 1);
  slow.release();
  const events = await reply.rest();
  upstream.sendTo(slow.stream, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });

  expect(events.map(({ json }) => json)).toMatchObject([{ id: 1, result: { content: [{ text: 'done' }] } }]);
  expect(reply.heartbeats).toBeGreaterThan(QUIET_MS / 1200 - 2);
  expect((await listener.next()).json.method).toBe('notifications/tools/list_changed');
});

test('without a heartbeat nginx cuts the stream, and a 2025-11-25 client that resumes gets everything, once', async () => {
  const { upstream, gateway, front, session, call } = await behindNginx('2025-11-25', { heartbeat: '60s' });
  const opening = call('slow', { progressToken: 1 });
  const slow = await upstream.nextCall('slow');
  const connections = [await opening];

  for (let cut = 1; cut <= 3; cut++) {
    slow.progress(cut);
    const last = connections.at(-1) ?? expect.fail();
    await last.until(({ json }) => json?.params?.progress === cut);
    expect(await last.closed).toBe('broken');
    connections.push(await openEvents(front, { sessionId: session, lastEventId: last.seen.at(-1)?.id ?? 'none' }));
  }
  slow.release();
  await connections.at(-1)?.rest();

  const messages = connections.flatMap(({ seen }) => seen).filter(({ json }) => json !== undefined);
  expect(messages.map(({ id, json }) => [id, json.params?.progress ?? json.result.content[0].text])).toEqual([
    ['1.1', 1],
    ['1.2', 2],
    ['1.3', 3],
    ['1.4', 'done'],
  ]);
  expect(gateway.journal.dropped('unsent_event')).toBe(0);
});

test('events pass nginx one by one, neither buffered nor compressed, though it buffers replies', async () => {
  const { upstream, call } = await behindNginx('2025-06-18', {}, []);
  const opening = call('slow', { progressToken: 1, headers: { 'accept-encoding': 'gzip' } });
  const slow = await upstream.nextCall('slow');
  slow.progress(1);
  const reply = await opening;

  for (let progress = 1; progress <= 20; progress++) {
    expect((await reply.next()).json.params.progress).toBe(progress);
    slow.progress(progress + 1);
  }
  slow.release();
  await reply.rest();

  expect(reply.headers['content-type']).toBe('text/event-stream');
  expect(reply.headers['content-encoding']).toBeUndefined();
});

test.each(['application/json', 'text/event-stream'])(
  'an answer of 64 KiB passes as %s, byte for byte',
  async (accept) => {
    const { call } = await behindNginx('2025-06-18', {});
    const text = 'é'.repeat((64 * KiB) / 2);

    const reply = await call('echo', { args: { text }, headers: { accept } });
    const body = await reply.body();
    const answer = accept === 'application/json' ? JSON.parse(body) : reply.seen.at(-1)?.json;

    expect(reply.headers['content-type']).toBe(accept);
    expect(answer.result.structuredContent).toEqual({ text });
  },
);

test('DELETE ends a session through nginx, and errors keep their status', async () => {
  const { upstream, front, session } = await behindNginx('2025-06-18', { links: { min: 0 } });
  const headers = { 'mcp-session-id': session };

  const deleted = await fetch(front.endpoint, { method: 'DELETE', headers });
  const after = await post(front, { jsonrpc: '2.0', id: 1, method: 'ping' }, session);

  expect(deleted.status).toBe(204);
  expect([after.status, await after.json()]).toMatchObject([404, { error: { data: { reason: 'session_unknown' } } }]);
  await upstream.whenStreams(0);
});
