// A client that does not read its stream: on a shared link it loses its own call, on its own link the upstream waits.

import { expect, test } from 'vitest';
import { type Gateway, JSON_HEADERS, type RawClient, gatewayBefore, requestBytes } from '../support/gateway.ts';
import type { LegacyCall } from '../support/legacy-behaviour.ts';

const MEGABYTE = 'x'.repeat(1024 * 1024);

async function callAndStopReading(gateway: Gateway, headers: Record<string, string> = {}): Promise<RawClient> {
  const params = { name: 'slow', arguments: {}, _meta: { progressToken: 1 } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'slow one', method: 'tools/call', params });
  const client = await gateway.connect();
  const all = { ...JSON_HEADERS, host: 'localhost', 'content-length': String(body.length), ...headers };
  client.write(requestBytes('POST', '/mcp', Object.entries(all), body));
  client.pause();
  return client;
}

const say = (call: LegacyCall, number: number): void =>
  call.notify('notifications/progress', { progressToken: call.message.id, progress: number, message: MEGABYTE });

test('without a session: the slow call fails alone, its upstream is told, and others on the link go on', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1 } });
  const client = await callAndStopReading(gateway);
  const slow = await upstream.nextCall('slow');
  const other = gateway.call('slow', {}, 'other');
  const otherCall = await upstream.nextCall('slow');

  for (let i = 1; i <= 12; i++) say(slow, i);
  await slow.cancelled;
  otherCall.release();
  client.resume();

  expect((await other).json.result.content[0].text).toBe('done');
  expect(await client.until('slow_reader')).toContain('"id":"slow one","error"');
  expect(gateway.journal.of('exchange').map(({ reason }) => reason)).toContain('slow_reader');
});

test('in a session: the upstream’s stream waits for the client, and nothing is lost', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const client = await callAndStopReading(gateway, { 'mcp-session-id': session });
  const call = await upstream.nextCall('slow');

  for (let i = 1; i <= 24; i++) say(call, i);
  call.release();
  for (let i = 0; i < 20; i++) await gateway.call('count');
  const isAnswered = gateway.journal.of('exchange').some(({ name }) => name === 'slow');
  client.resume();
  const all = await client.until('"done"');

  expect(isAnswered).toBe(false);
  expect(Array.from(all.matchAll(/"progress":(\d+),/g), ([, number]) => Number(number))).toEqual(
    Array.from({ length: 24 }, (_, i) => i + 1),
  );
});
