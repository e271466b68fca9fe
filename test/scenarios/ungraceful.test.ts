// Peers that leave, flood or stop at the worst moment: what it costs is one link or one socket, never the process.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type Socket, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type Gateway, JSON_HEADERS, gatewayBefore, startGateway } from '../support/gateway.ts';
import type { LegacyCall } from '../support/legacy-behaviour.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 1, b: 1 } } };

function dial(endpoint: string): Socket {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname).on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

test('CONNECT gets 405 and its socket is let go, also when the client resets it at once', async () => {
  const { gateway } = await gatewayBefore();
  const polite = dial(gateway.endpoint);
  polite.write('CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n');
  const [head] = await once(polite, 'data');
  expect(String(head)).toContain('405');
  await once(polite, 'close');

  for (let i = 0; i < 20; i++) {
    const rude = dial(gateway.endpoint);
    await once(rude, 'connect');
    rude.write('CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n');
    rude.resetAndDestroy();
  }

  expect((await gateway.post(CALL)).status).toBe(200);
});

/** A call that is under way, and garbage behind it on its connection that the gateway has seen. */
async function withGarbageBehind(
  tool: string,
): Promise<{ gateway: Gateway; call: LegacyCall; socket: Socket; received: () => string }> {
  const { gateway, upstream } = await gatewayBefore();
  const body = JSON.stringify({ ...CALL, params: { name: tool, arguments: {} } });
  const socket = dial(gateway.endpoint);
  let received = '';
  socket.on('data', (chunk) => (received += String(chunk)));
  socket.write(
    `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  const call = await upstream.nextCall(tool);
  socket.write('garbage\r\n\r\n');
  await gateway.journal.until(({ fact }) => fact === 'refused');
  return { gateway, call, socket, received: () => received };
}

test('garbage behind a call that is under way is not taken for its answer, and closes the socket behind that', async () => {
  const { call, socket, received } = await withGarbageBehind('slow');
  expect(received()).toBe('');

  call.release();
  await once(socket, 'close');

  expect(received().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200']);
});

test('a client that leaves behind its own garbage is noticed', async () => {
  const { gateway, socket } = await withGarbageBehind('never');

  socket.end();

  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
});

test('an upstream that asks without end and takes no answers loses its link, and costs few sockets', async () => {
  const { gateway, upstream } = await gatewayBefore({
    post: (message) => (message.method === undefined ? 'silent' : 'accepted'),
  });
  const stream = await upstream.nextStream();
  await gateway.journal.until(({ fact }) => fact === 'link_open');
  const before = upstream.received.length;

  for (let id = 0; id < 5000; id++) upstream.sendTo(stream, { jsonrpc: '2.0', id, method: 'ping' }, 'ping');
  await gateway.journal.until((fact) => fact.fact === 'link_closed' && fact.reason === 'lost');

  expect(upstream.received.length - before).toBeLessThan(50);
  upstream.behaviour.post = 'accepted';
  expect((await gateway.post(CALL)).status).toBe(200);
});

test('what an upstream says before it is initialized is bounded in bytes', async () => {
  const big = { jsonrpc: '2.0', method: 'notifications/message', params: { data: 'x'.repeat(60_000) } };
  const { gateway } = await gatewayBefore(
    { greeting: Array.from({ length: 40 }, () => big) },
    { limits: { upstreamMessageBytes: '100KiB' } },
  );

  const answer = await gateway.post(CALL);

  expect([answer.status, answer.json.error.data.reason]).toEqual([502, 'initialize_failed']);
});

test('an answer in the response to its POST that breaks off fails its call at once', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.post(CALL);
  const cutting = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
      response.write('{"jsonrpc":"2.0",', () => response.destroy());
    });
  });
  cutting.listen(0, '127.0.0.1');
  await once(cutting, 'listening');
  onTestFinished(() => void cutting.close());
  const address = cutting.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const other = await startGateway(upstream.url, {
    upstream: { messageUrl: `http://127.0.0.1:${port}/messages` },
    timeouts: { initialize: '5s' },
  });
  onTestFinished(() => other.close());

  const answer = await other.post(CALL);

  expect([answer.status, answer.json.error.data.reason]).toEqual([502, 'initialize_failed']);
});

test('limits.inFlight counts calls whose client has left, and requests that came together', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { limits: { inFlight: 2 } });
  const slow = JSON.stringify({ ...CALL, params: { name: 'never', arguments: {} } });
  for (let i = 0; i < 2; i++) {
    const socket = dial(gateway.endpoint);
    socket.write(
      `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${slow.length}\r\n\r\n${slow}`,
    );
    await upstream.nextCall('never');
    socket.destroy();
  }

  const refused = await gateway.post(CALL);

  expect([refused.status, refused.json.error.data.reason]).toEqual([503, 'in_flight_limit']);
});

test('an initialize that is refused for limits.inFlight leaves no session behind', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { limits: { inFlight: 1 } });
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18' },
  });
  const head = `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  await upstream.nextRequest('notifications/initialized');
  upstream.behaviour.methods = { initialize: () => new Promise(() => {}) };
  const sockets = [dial(gateway.endpoint), dial(gateway.endpoint)];
  for (const socket of sockets) {
    // 100 Continue: the headers have been read, and the guard before the body has passed.
    socket.write(head.replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n'));
    await once(socket, 'data');
  }

  sockets[0]?.write(body);
  await expect.poll(() => gateway.app.registry.size).toBe(1);
  sockets[1]?.write(body);
  const [refusal] = await once(sockets[1] ?? dial(gateway.endpoint), 'data');

  expect(String(refusal)).toContain('in_flight_limit');
  expect(gateway.app.registry.size).toBe(1);
});

test('a client that reads nothing of a large answer is let go after timeouts.clientWrite', async () => {
  const { gateway } = await gatewayBefore(
    { tools: { large: () => Buffer.from(`"${'x'.repeat(15_000_000)}"`) } },
    { timeouts: { clientWrite: '300ms' } },
  );
  const body = JSON.stringify({ ...CALL, params: { name: 'large', arguments: {} } });
  const socket = dial(gateway.endpoint);
  socket.pause();
  const head = Object.entries({ ...JSON_HEADERS, host: '127.0.0.1', 'content-length': body.length });
  socket.write(`POST /mcp HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}`).join('\r\n')}\r\n\r\n${body}`);
  await gateway.journal.until(({ fact }) => fact === 'exchange');

  // Nothing is read until the gateway has given up; then the stream ends early.
  await expect.poll(() => gateway.app.inFlight(), { timeout: 5000 }).toBe(0);
  let bytes = 0;
  socket.on('data', (chunk) => (bytes += chunk.length)).resume();
  await once(socket, 'close');
  expect(bytes).toBeLessThan(15_000_000);
});

test('draining waits until a large answer is taken', async () => {
  const upstream = await startLegacyServer({ tools: { large: () => Buffer.from(`"${'x'.repeat(12_000_000)}"`) } });
  onTestFinished(() => upstream.close());
  const gateway = await startGateway(upstream.url, { drain: { timeout: '10s' } });
  onTestFinished(() => gateway.close());
  const answer = fetch(gateway.endpoint, {
    method: 'POST',
    headers: JSON_HEADERS,
    body: JSON.stringify({ ...CALL, params: { name: 'large', arguments: {} } }),
  });
  await gateway.journal.until(({ fact }) => fact === 'exchange');

  const [text] = await Promise.all([answer.then((response) => response.text()), gateway.app.close()]);

  expect(text.length).toBeGreaterThan(12_000_000);
});

test('what still runs when draining ends is answered, and cancelled upstream', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { drain: { timeout: '50ms' } });
  const answer = gateway.call('never');
  await upstream.nextCall('never');

  const closed = gateway.app.close();

  expect((await answer).json.error.data).toMatchObject({ reason: 'draining', outcome: 'unknown' });
  expect((await upstream.nextRequest('notifications/cancelled')).message.method).toBe('notifications/cancelled');
  await closed;
});

test('stopping does not wait for a link that is still opening', async () => {
  const upstream = await startLegacyServer({ get: { until: new Promise(() => {}) } });
  onTestFinished(() => upstream.close());
  const gateway = await startGateway(upstream.url);
  await expect.poll(() => upstream.gets.length).toBe(1);

  const startedAt = performance.now();
  await gateway.close();

  expect(performance.now() - startedAt).toBeLessThan(3000);
});

test('a POST that trickles its response has a deadline: a session that ends lets its stream go', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { timeouts: { post: '300ms' } });
  const trickle = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      if (!body.includes('notifications/cancelled')) {
        void fetch(new URL(request.url ?? '', upstream.url), {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
        });
        response.writeHead(202).end();
        return;
      }
      response.writeHead(202);
      const timer = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(timer));
    });
  });
  trickle.listen(0, '127.0.0.1');
  await once(trickle, 'listening');
  onTestFinished(() => {
    trickle.closeAllConnections();
    trickle.close();
  });
  const address = trickle.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const slow = await startGateway(upstream.url, {
    upstream: { messageUrl: `http://127.0.0.1:${port}/` },
    timeouts: { post: '300ms' },
  });
  onTestFinished(() => slow.close());
  await gateway.post(CALL);
  await slow.post(CALL);
  const before = upstream.streams.length;
  const session = await slow.openSession();
  const answer = slow.call('never', {}, 7, { 'mcp-session-id': session });
  await upstream.nextCall('never');
  await slow.post(
    { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } },
    { 'mcp-session-id': session },
  );
  expect((await answer).status).toBe(202);

  await slow.send('DELETE', '/mcp', { 'mcp-session-id': session });

  await upstream.whenStreams(before);
});

test('a session that notifies without end costs few sockets', async () => {
  const { gateway, upstream } = await gatewayBefore({
    post: (message) => (message.method === 'notifications/custom' ? 'silent' : 'accepted'),
  });
  const session = await gateway.openSession();
  const notify = () => gateway.post({ jsonrpc: '2.0', method: 'notifications/custom' }, { 'mcp-session-id': session });

  const answers = await Promise.all(Array.from({ length: 400 }, notify));

  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
  expect(upstream.received.filter(({ message }) => message.method === 'notifications/custom').length).toBe(1);
  // One is on its way, and so many wait for their turn.
  expect(gateway.journal.dropped('undelivered_notification')).toBe(400 - 256);
});
