// An upstream that fails again and again is not dialled by everybody who comes: they are told at once, and when to come
// back. Links that live are not concerned.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { endpoints } from '../support/legacy-behaviour.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { openOldClient } from '../support/old-client.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const NO_WARM_LINKS = { links: { min: 0 } };

/** Cuts every connection, and counts them; later it may hand them to a server. */
async function cutter() {
  const world = { dials: 0, url: '', close: () => {} };
  const server = createServer((socket) => {
    world.dials++;
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  world.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`;
  world.close = () => void server.close();
  onTestFinished(world.close);
  return world;
}

async function gatewayOn(url: string, config = {}, time = new VirtualTime()) {
  const gateway = await startGateway(url, { ...NO_WARM_LINKS, ...config }, time);
  onTestFinished(() => gateway.close());
  return { gateway, time };
}

async function statuses(gateway: Gateway, times: number): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) {
    // oxlint-disable-next-line no-await-in-loop -- in a row is the point
    all.push((await gateway.post(LIST)).status);
  }
  return all;
}

test('after five failures in a row callers are told at once, and nobody dials [A11]', async () => {
  const upstream = await cutter();
  const { gateway } = await gatewayOn(upstream.url);

  expect(await statuses(gateway, 5)).toEqual([502, 502, 502, 502, 502]);
  const dials = upstream.dials;
  const refused = await gateway.post(LIST);
  const others = await Promise.all(Array.from({ length: 50 }, () => gateway.post(LIST)));

  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5']);
  expect(refused.json.error.data).toMatchObject({
    reason: 'breaker_open',
    outcome: 'not_executed',
    retryAfterMs: 5000,
  });
  expect(new Set(others.map(({ status }) => status))).toEqual(new Set([503]));
  expect(upstream.dials).toBe(dials);
  expect(gateway.journal.of('breaker')).toMatchObject([{ isOpen: true, url: 0 }]);
});

test('after the wait one caller tries for all', async () => {
  const upstream = await cutter();
  const { gateway, time } = await gatewayOn(upstream.url);
  await statuses(gateway, 5);
  const { dials } = upstream;

  time.advanceSync(5000);
  const tried = await Promise.all(Array.from({ length: 20 }, () => gateway.post(LIST)));
  const after = await gateway.post(LIST);

  expect(upstream.dials).toBe(dials + 1);
  expect(tried.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([502, ...Array(19).fill(503)]);
  expect([after.status, after.headers['retry-after']]).toEqual([503, '5']);
});

test('while one tries, and that takes its time, nobody else waits for what comes of it', async () => {
  const upstream = await startLegacyServer({ get: { status: 500 } });
  onTestFinished(() => upstream.close());
  const { gateway, time } = await gatewayOn(upstream.url.href);
  await statuses(gateway, 5);
  const release = Promise.withResolvers<void>();
  upstream.behaviour.get = { until: release.promise };
  time.advanceSync(5000);
  const gets = upstream.gets.length;

  const tries = gateway.post(LIST);
  await expect.poll(() => upstream.gets.length).toBe(gets + 1);
  const took: number[] = [];
  for (let i = 0; i < 21; i++) {
    const since = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- each of them is timed
    const { status, headers, json } = await gateway.post(LIST);
    took.push(performance.now() - since);
    expect([status, headers['retry-after'], json.error.data.reason]).toEqual([503, '1', 'breaker_open']);
  }
  release.resolve();
  const median = took.toSorted((a, b) => a - b)[10] ?? 0;
  console.log(`refused while the breaker is open: ${median.toFixed(1)} ms, the median of ${took.length}`);

  expect((await tries).status).toBe(200);
  expect((await gateway.post(LIST)).status).toBe(200);
  expect(upstream.gets.length).toBe(gets + 1);
});

test('who is refused is told why the last one failed, and the gauge says how many URLs are not tried', async () => {
  const upstream = await startLegacyServer({ get: { status: 401 } });
  onTestFinished(() => upstream.close());
  const { gateway } = await gatewayOn(upstream.url.href);
  await statuses(gateway, 5);

  const { json } = await gateway.post(LIST);

  expect(json.error.message).toContain('(upstream_unauthorized)');
  expect(gateway.app.gauges().upstreams[0]?.openBreakers).toBe(1);
});

test('what works for old clients counts: failures far apart are not in a row', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const { gateway } = await gatewayOn(upstream.url.href);
  const client = await openOldClient(gateway.origin);
  await client.endpoint();
  const fail = async (): Promise<void> => {
    upstream.behaviour.get = { status: 500 };
    expect((await gateway.send('GET', '/sse', { accept: 'text/event-stream' })).status).toBe(500);
  };

  for (let i = 0; i < 6; i++) {
    // oxlint-disable no-await-in-loop -- in turn is the point
    await fail();
    expect((await client.post(LIST)).status).toBe(202);
    // oxlint-enable no-await-in-loop
  }

  expect(gateway.journal.of('breaker')).toEqual([]);
});

test('a server that is back is used again by the first who tries after the wait', async () => {
  const first = await cutter();
  const { gateway, time } = await gatewayOn(first.url);
  await statuses(gateway, 5);
  first.close();
  const port = Number(new URL(first.url).port);
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const relay = createServer((socket) => {
    const onward = connect(Number(upstream.url.port), '127.0.0.1');
    socket.pipe(onward).pipe(socket);
    for (const each of [socket, onward]) each.on('error', () => {});
  });
  relay.listen(port, '127.0.0.1');
  await once(relay, 'listening');
  onTestFinished(() => void relay.close());

  time.advanceSync(5000);

  expect(await statuses(gateway, 3)).toEqual([200, 200, 200]);
  expect(gateway.journal.of('breaker').map(({ isOpen }) => isOpen)).toEqual([true, false]);
});

test('a session that lives is served while new ones are refused', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const { gateway } = await gatewayOn(upstream.url.href);
  const id = await gateway.openSession();
  upstream.behaviour.get = { status: 500 };

  expect(await statuses(gateway, 6)).toEqual([502, 502, 502, 502, 502, 503]);
  const own = await gateway.post(LIST, { 'mcp-session-id': id });

  expect(own.status).toBe(200);
});

test('a URL that fails is left alone while another serves', async () => {
  const bad = await cutter();
  const good = await startLegacyServer();
  onTestFinished(() => good.close());
  const { gateway } = await gatewayOn(bad.url, {
    upstream: { url: [bad.url, good.url.href] },
    links: { min: 0, isolation: 'request' },
    reconnect: { max: '10ms' },
  });

  expect(new Set(await statuses(gateway, 30))).toEqual(new Set([200]));

  expect(bad.dials).toBeLessThanOrEqual(6);
});

test('old clients who are refused at once take no place among the streams', async () => {
  const upstream = await cutter();
  const { gateway } = await gatewayOn(upstream.url, { limits: { passthroughStreams: 2 } });
  await statuses(gateway, 5);

  const reasons: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    // oxlint-disable-next-line no-await-in-loop -- in a row is the point
    const { status, json } = await gateway.send('GET', '/sse', { accept: 'text/event-stream' });
    reasons.push([status, json.error.data.reason]);
  }

  expect(reasons).toEqual(Array(4).fill([503, 'breaker_open']));
  expect(gateway.app.gauges().upstreams[0]?.passthroughStreams).toBe(0);
});

test('an old client who tries for all and leaves before there is an answer leaves it to the next', async () => {
  const upstream = await startLegacyServer({ get: { status: 500 } });
  onTestFinished(() => upstream.close());
  const { gateway, time } = await gatewayOn(upstream.url.href, { timeouts: { headers: '300ms' } });
  await statuses(gateway, 5);
  upstream.behaviour.get = { until: new Promise(() => {}) };
  time.advanceSync(5000);
  const gets = upstream.gets.length;

  const client = await gateway.connect();
  client.write('GET /sse HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n');
  await expect.poll(() => upstream.gets.length).toBe(gets + 1);
  client.leave();
  await expect.poll(() => gateway.app.gauges().upstreams[0]?.passthroughStreams, { timeout: 5000 }).toBe(0);
  upstream.behaviour.get = 'streams';

  expect(await statuses(gateway, 2)).toEqual([200, 200]);
});

test('links that the gateway itself closes while they open are no failures of the server', async () => {
  const upstream = await startLegacyServer({ endpoint: endpoints.missing });
  onTestFinished(() => upstream.close());
  const gateway = await startGateway(upstream.url.href, { ...NO_WARM_LINKS, drain: { timeout: '10ms' } });
  onTestFinished(() => gateway.close());
  const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18' } };
  const opened = Array.from({ length: 6 }, () => gateway.post(initialize));
  await expect.poll(() => upstream.gets.length).toBe(6);

  await gateway.app.close();

  expect((await Promise.all(opened)).map(({ status }) => status)).toEqual(Array(6).fill(503));
  expect(gateway.journal.of('breaker')).toEqual([]);
});
