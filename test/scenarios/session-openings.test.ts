// Sessions that are being opened: clients that do not wait for theirs, and those that wait behind others.

import { expect, test } from 'vitest';
import { type Gateway, JSON_HEADERS, type RawClient, gatewayBefore, requestBytes } from '../support/gateway.ts';
import { NO_ANSWER } from '../support/legacy-behaviour.ts';
import { VirtualTime } from '../support/virtual-time.ts';

/** An initialize of a client that may leave before it is answered. */
async function initializes(gateway: Gateway): Promise<RawClient> {
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18' },
  });
  const client = await gateway.connect();
  const headers = Object.entries({ ...JSON_HEADERS, host: 'localhost', 'content-length': String(body.length) });
  client.write(requestBytes('POST', '/mcp', headers, body));
  return client;
}

test('a client that leaves before its initialize is answered leaves no link behind', async () => {
  const release = Promise.withResolvers<void>();
  const { gateway, upstream } = await gatewayBefore();
  await upstream.whenStreams(1);
  await upstream.nextRequest('initialize');
  upstream.behaviour.methods = { initialize: () => release.promise };
  const client = await initializes(gateway);
  await upstream.nextRequest('initialize');

  client.leave();
  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
  upstream.behaviour.methods = {};
  release.resolve();

  await upstream.whenStreams(1);
  expect(gateway.app.registry.size).toBe(0);
});

test('a crowd that leaves before its initialize is answered holds up nobody who comes after it', async () => {
  const release = Promise.withResolvers<void>();
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });
  upstream.behaviour.methods = { initialize: () => release.promise };
  const crowd = [];
  for (let i = 0; i < 24; i++) crowd.push(await initializes(gateway));
  await upstream.whenStreams(16);
  await expect.poll(() => gateway.app.mounts[0]?.dedicatedCount, { timeout: 5000 }).toBe(24);

  for (const client of crowd) client.leave();
  await upstream.whenStreams(0);
  upstream.behaviour.methods = {};
  await gateway.openSession();

  // Those in line never came to the upstream, and what it was not asked to finish is no failure of its.
  expect(upstream.gets).toHaveLength(17);
  expect([gateway.app.mounts[0]?.dedicatedCount, gateway.app.registry.size]).toEqual([1, 1]);
  expect([...gateway.journal.of('link_failed'), ...gateway.journal.of('upstream_down')]).toEqual([]);
  release.resolve();
});

test('an initialize that is not its turn to open a link in links.queueTimeout is told so', async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore(
    { methods: { initialize: () => NO_ANSWER } },
    { links: { min: 0, queueTimeout: '2s' } },
    time,
  );
  const ahead = [];
  for (let i = 0; i < 16; i++) ahead.push(await initializes(gateway));
  await upstream.whenStreams(16);
  const last = gateway.post({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18' } });
  await expect.poll(() => gateway.app.mounts[0]?.dedicatedCount, { timeout: 5000 }).toBe(17);

  await time.advance(2000);

  const { status, headers, json } = await last;
  expect([status, json.error.data]).toMatchObject([503, { reason: 'upstream_unavailable', outcome: 'not_executed' }]);
  expect(headers['retry-after']).toBeDefined();
  expect(json.error.message).toContain('links.queueTimeout');
  for (const client of ahead) client.leave();
  await upstream.whenStreams(0);
});
