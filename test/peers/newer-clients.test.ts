// Clients that could speak the modern era, and the stdio bridge that desktop programs use, against the gateway.
import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { startGateway } from './support/gateway.ts';
import { startEverything } from './support/legacy-peers.ts';
import { listenOnLoopback } from './support/loopback.ts';
import { McpRemote, mcpRemotes } from './support/mcp-remote.ts';
import { echo, echoed, initialize, initialized, revision } from './support/raw-mcp.ts';
import { sdkV2 } from './support/sdk-clients.ts';

test.each(['auto', 'legacy'] as const)(
  'an SDK v2 client in mode %s ends up with a session and calls a tool',
  async (mode) => {
    const { url } = await startGateway((await startEverything()).port);
    const { client, transport } = await sdkV2(url, mode);

    await client.connect(transport);
    const result = await client.callTool({ name: 'echo', arguments: { message: 'by SDK v2' } });

    expect(result).toMatchObject({ content: [{ type: 'text', text: 'Echo: by SDK v2' }] });
    expect(client.getProtocolEra()).toBe('legacy');
    expect(client.getNegotiatedProtocolVersion()).toBe(revision);
    expect(transport.sessionId).toBeDefined();
  },
);

test('an SDK v2 client pinned to the modern era is told that it is not served', async () => {
  const { url } = await startGateway((await startEverything()).port);
  const { client, transport } = await sdkV2(url, { pin: '2026-07-28' });

  await expect(client.connect(transport)).rejects.toThrow(/2026-07-28/);
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
