// Bodies that are on their way, or whose request is not answered yet: together they are bounded.

import { expect, test } from 'vitest';
import {
  type Gateway,
  JSON_HEADERS,
  type RawClient,
  gatewayBefore,
  replyIn,
  requestBytes,
} from '../support/gateway.ts';
import { text } from '../support/legacy-behaviour.ts';
import { IN } from '../support/session-client.ts';

const LARGE = 100_000;
const LIMITS = { limits: { receivedBytes: '250KiB' } } as const;
const HEADERS = [['host', 'localhost'], ...Object.entries(JSON_HEADERS)] as const;
const call = (name: string, size = 0): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: { x: 'x'.repeat(size) } } });
const head = (...more: readonly (readonly [string, string])[]): string =>
  requestBytes('POST', '/mcp', [...HEADERS, ...more]);

/** A client that has sent all of a large body but its end, and is read so far. */
async function unfinished(gateway: Gateway): Promise<RawClient> {
  const client = await gateway.connect();
  const body = call('count', LARGE);
  client.write(head(['content-length', String(body.length)], ['expect', '100-continue']) + body.slice(0, -1));
  await client.until('100 Continue');
  return client;
}

/** Whether there is room for a large one, once it is so. */
async function untilStatus(gateway: Gateway, status: number): Promise<void> {
  await expect.poll(async () => (await gateway.post(call('count', LARGE))).status, { timeout: 5000 }).toBe(status);
}

test('large bodies that do not come to their end are refused together; small requests are served all the while [T18]', async () => {
  const { gateway } = await gatewayBefore({}, LIMITS);
  const clients = await Promise.all(Array.from({ length: 20 }, () => unfinished(gateway)));
  await untilStatus(gateway, 503);

  const small = await gateway.call('count');
  const session = await gateway.openSession();
  const inSession = await gateway.call('count', {}, 1, IN(session));
  const refused = gateway.journal.of('refused');
  for (const client of clients) client.leave();

  expect([small.status, inSession.status]).toEqual([200, 200]);
  expect(refused.length).toBeGreaterThanOrEqual(18);
  expect(refused.every(({ limit }) => limit === 'limits.receivedBytes')).toBe(true);
  await untilStatus(gateway, 200);
});

test('a body counts until its request is answered, and no longer', async () => {
  const { gateway, upstream } = await gatewayBefore(
    { tools: { slow: (it) => it.released.then(() => text('done')) } },
    LIMITS,
  );
  const running = [gateway.post(call('slow', LARGE)), gateway.post(call('slow', LARGE))];
  const calls = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];

  const third = await gateway.post(call('count', LARGE));
  for (const each of calls) each.release();
  const answers = await Promise.all(running);

  expect([third.status, third.json.error.data]).toMatchObject([
    503,
    { reason: 'in_flight_limit', outcome: 'not_executed' },
  ]);
  expect(third.headers['retry-after']).toBeDefined();
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  await untilStatus(gateway, 200);
});

test('a body in many small pieces is put together as it came', async () => {
  const { gateway, upstream } = await gatewayBefore({}, LIMITS);
  const client = await gateway.connect();
  const body = call('count', 5000);

  const chunks = Array.from(body, (letter) => `1\r\n${letter}\r\n`).join('');
  client.write(`${head(['transfer-encoding', 'chunked'])}${chunks}0\r\n\r\n`);
  const reply = replyIn(await client.until('"result"'));

  expect(reply.status).toBe(200);
  const received = upstream.received.find(({ message }) => message.method === 'tools/call');
  expect(received?.message.params?.['arguments']).toEqual({ x: 'x'.repeat(5000) });
});

test('one in pieces is refused as soon as there is no room for more of it, and the connection is closed', async () => {
  const { gateway } = await gatewayBefore({}, LIMITS);
  const client = await gateway.connect();
  const piece = ' '.repeat(50_000);

  client.write(head(['transfer-encoding', 'chunked']) + `${piece.length.toString(16)}\r\n${piece}\r\n`.repeat(6));

  expect(replyIn(await client.closed)).toMatchObject({
    status: 503,
    json: { error: { data: { reason: 'in_flight_limit' } } },
  });
});
