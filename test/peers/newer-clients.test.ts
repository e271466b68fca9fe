// Clients that could speak the modern era, and the stdio bridge that desktop programs use, against the gateway.
import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { startLegacyServer } from '../support/legacy-server.ts';
import { startGateway, type Gateway } from './support/gateway.ts';
import { startEverything } from './support/legacy-peers.ts';
import { listenOnLoopback } from './support/loopback.ts';
import { McpRemote, mcpRemotes } from './support/mcp-remote.ts';
import { echo, echoed, initialize, initialized, revision } from './support/raw-mcp.ts';
import { sdkV2 } from './support/sdk-clients.ts';

/** It looks for an upstream that is away as often as it may. */
const reconnectsSoon = ['--reconnect-min', '10ms', '--reconnect-max', '50ms'];

test.each(['auto', { pin: '2026-07-28' }] as const)(
  'an SDK v2 client in mode %j ends up in the modern era and calls a tool',
  async (mode) => {
    const { url } = await startGateway((await startEverything()).port);
    const { client, transport } = await sdkV2(url, mode);

    await client.connect(transport);
    const result = await client.callTool({ name: 'echo', arguments: { message: 'by SDK v2' } });

    expect(result).toMatchObject({ content: [{ type: 'text', text: 'Echo: by SDK v2' }] });
    expect(client.getProtocolEra()).toBe('modern');
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    expect(transport.sessionId).toBeUndefined();
  },
);

test('an SDK v2 client in mode legacy ends up with a session and calls a tool', async () => {
  const { url } = await startGateway((await startEverything()).port);
  const { client, transport } = await sdkV2(url, 'legacy');

  await client.connect(transport);
  const result = await client.callTool({ name: 'echo', arguments: { message: 'by SDK v2' } });

  expect(result).toMatchObject({ content: [{ type: 'text', text: 'Echo: by SDK v2' }] });
  expect(client.getProtocolEra()).toBe('legacy');
  expect(client.getNegotiatedProtocolVersion()).toBe(revision);
  expect(transport.sessionId).toBeDefined();
});

test('an SDK v2 client in mode auto that came while the upstream was down finds the modern era when it is up', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  await upstream.stop();
  const gateway = await startGateway(Number(upstream.url.port), ...reconnectsSoon);
  const { client, transport } = await sdkV2(gateway.url, 'auto');

  await expect(client.connect(transport)).rejects.toThrow(/503|502/);
  await upstream.start();
  await reached(gateway, 1);
  const again = await sdkV2(gateway.url, 'auto');
  await again.client.connect(again.transport);

  expect(again.client.getProtocolEra()).toBe('modern');
});

test('an SDK v2 client in mode auto finds the modern era while an upstream is down that was there before', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const gateway = await startGateway(Number(upstream.url.port), ...reconnectsSoon);
  const first = await sdkV2(gateway.url, 'auto');
  await first.client.connect(first.transport);

  await upstream.stop();
  const { client, transport } = await sdkV2(gateway.url, 'auto');
  await client.connect(transport);
  const failed = client.listTools();
  await expect(failed).rejects.toThrow();
  await upstream.start();
  await reached(gateway, 2);
  const { tools } = await client.listTools();

  expect(client.getProtocolEra()).toBe('modern');
  expect(tools.map(({ name }) => name)).toContain('add');
});

test.each(mcpRemotes)('%s carries a stdio client to the gateway', async (peer) => {
  const { url } = await startGateway((await startEverything()).port);
  const remote = new McpRemote(peer, url);

  remote.send(initialize);
  const opened = await remote.answerTo(0);
  remote.send(initialized);
  remote.send(echo(1, 'from stdio'));
  const called = await remote.answerTo(1);

  expect(opened).toMatchObject({ result: { protocolVersion: revision } });
  expect(called).toMatchObject(echoed(1, 'from stdio'));
});

// mcp-remote takes these numbers anywhere in an error for a hint that it should look for HTTP+SSE: see docs/fallback.md.
const misleading = [404, 405].flatMap((status) => mcpRemotes.map((peer) => ({ status, peer })));

test.each(misleading)(
  '$peer stays with Streamable HTTP while the upstream answers $status',
  async ({ status, peer }) => {
    const upstream = createServer((_incoming, outgoing) => outgoing.writeHead(status).end());
    const upstreamPort = await listenOnLoopback(upstream);
    onTestFinished(() => {
      upstream.close();
      upstream.closeAllConnections();
    });
    const { url } = await startGateway(upstreamPort);

    const { child } = new McpRemote(peer, url);
    await child.exited;

    expect(child.stderr).toContain('Using transport strategy: http-first');
    expect(child.stderr).not.toContain('Using transport strategy: sse-only');
  },
);

/** Resolves once the gateway has found its upstream so many times. */
async function reached({ child }: Gateway, times: number): Promise<void> {
  await child.printed(({ stderr }) => stderr.split('"msg":"upstream reached"').length > times || undefined, 'upstream');
}
