// A client that does not read its stream: on a shared link it loses its own call or connection, on its own link the
// upstream waits.

import { expect, test } from 'vitest';
import { type EventClient, openCall, openEvents } from '../support/event-client.ts';
import { type Gateway, JSON_HEADERS, type RawClient, gatewayBefore, requestBytes } from '../support/gateway.ts';
import type { LegacyCall, LegacyStream } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';

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

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });

/** Says something large that no call has caused, once for each number. */
function sayAll(upstream: LegacyServer, link: LegacyStream, count: number): void {
  for (let number = 1; number <= count; number++) {
    upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/x', params: { number, filler: MEGABYTE } });
  }
}

const numbersOf = ({ seen }: EventClient): number[] => seen.map(({ json }) => json.params.number);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

async function sessionAndLink(gateway: Gateway, upstream: LegacyServer): Promise<[string, LegacyStream]> {
  const session = await gateway.openSession();
  return [session, await upstream.nextStream()];
}

test('a GET that is not read stops its own session’s link and no other, and nothing of it is lost', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });
  const [slow, slowLink] = await sessionAndLink(gateway, upstream);
  const [quick, quickLink] = await sessionAndLink(gateway, upstream);
  const slowListener = await openEvents(gateway, { sessionId: slow });
  const quickListener = await openEvents(gateway, { sessionId: quick });
  slowListener.pause();

  sayAll(upstream, slowLink, 24);
  sayAll(upstream, quickLink, 24);
  const waiting = gateway.call('count', {}, 'slow one', IN(slow));
  await upstream.nextCall('count');
  await quickListener.until(({ json }) => json.params.number === 24);
  const counted = await gateway.call('count', {}, 1, IN(quick));
  const isAnswered = gateway.journal.of('exchange').filter(({ name }) => name === 'count').length > 1;
  slowListener.resume();
  await slowListener.until(({ json }) => json.params.number === 24);

  expect(counted.status).toBe(200);
  expect(isAnswered).toBe(false);
  expect((await waiting).json.result.content[0].text).toBe('1');
  expect([numbersOf(slowListener), numbersOf(quickListener)]).toEqual([upTo(24), upTo(24)]);
});

test('a GET that takes nothing for timeouts.clientWrite is cut, and its session’s link goes on', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 }, timeouts: { clientWrite: '200ms' } });
  const [session, link] = await sessionAndLink(gateway, upstream);
  const listener = await openEvents(gateway, { sessionId: session });
  listener.pause();

  sayAll(upstream, link, 24);
  const counted = await gateway.call('count', {}, 1, IN(session));
  listener.resume();

  expect(counted.json.result.content[0].text).toBe('1');
  expect(await listener.closed).toBe('broken');
});

test('a resumed stream that is not read stops its link like the first, and nothing is lost', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });
  const [session] = await sessionAndLink(gateway, upstream);
  const opening = openCall(gateway, session, 'slow', { progressToken: 1 });
  const call = await upstream.nextCall('slow');
  say(call, 1);
  const reply = await opening;
  await reply.next();
  await reply.leave();
  const resumed = await openEvents(gateway, { sessionId: session, lastEventId: '1.1' });
  resumed.pause();

  for (let number = 2; number <= 24; number++) say(call, number);
  call.release();
  for (let i = 0; i < 20; i++) await gateway.call('count');
  const isAnswered = gateway.journal.of('exchange').some(({ name }) => name === 'slow');
  resumed.resume();
  await resumed.rest();

  expect(isAnswered).toBe(false);
  expect(resumed.seen.map(({ json }) => json.params?.progress ?? json.id)).toEqual([...upTo(24).slice(1), 1]);
});

test('a stream that is not read and is cut by streams.maxDuration does not hold its session’s link any more', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 }, streams: { maxDuration: '300ms' } });
  const session = await gateway.openSession({ protocolVersion: '2025-11-25' });
  const link = await upstream.nextStream();
  const listener = await openEvents(gateway, { sessionId: session });
  listener.pause();

  sayAll(upstream, link, 24);
  const counted = await openCall(gateway, session, 'count', { headers: { accept: 'application/json' } });

  expect(JSON.parse(await counted.body())).toMatchObject({ id: 1, result: {} });
  listener.cut();
});

test('on the only link a GET that is not read is cut, others go on, and it can come back for what is kept', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { single: true } });
  const link = await upstream.nextStream();
  const [slow, quick] = [await gateway.openSession(), await gateway.openSession()];
  const slowListener = await openEvents(gateway, { sessionId: slow });
  const quickListener = await openEvents(gateway, { sessionId: quick });
  slowListener.pause();

  for (let number = 1; number <= 24; number++) {
    upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/x', params: { number, filler: MEGABYTE } });
    // oxlint-disable-next-line no-await-in-loop -- as fast as it is read
    await quickListener.next();
  }
  slowListener.resume();
  const how = await slowListener.closed;
  const resumed = await openEvents(gateway, { sessionId: slow, lastEventId: slowListener.seen.at(-1)?.id ?? 'none' });
  // What was said while it was cut has waited for it.
  await resumed.until(({ json }) => json.params.number === 24);

  expect(how).toBe('broken');
  expect(numbersOf(quickListener)).toEqual(upTo(24));
  const had = [...numbersOf(slowListener), ...numbersOf(resumed)];
  expect(had).toEqual(upTo(24).filter((number) => had.includes(number)));
  expect(had.length + gateway.journal.dropped('unheard_notification')).toBe(24);
});

test('one message of any allowed size goes to a client that reads, also on a shared link', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const params = { name: 'slow', arguments: {}, _meta: { progressToken: 1 } };
  const opening = openEvents(gateway, { body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params } });
  const call = await upstream.nextCall('slow');
  const message = 'x'.repeat(15 * 1024 * 1024);

  call.notify('notifications/progress', { progressToken: call.message.id, progress: 1, message });
  const reply = await opening;
  const first = await reply.next();
  call.release();

  expect(first.json.params?.message).toHaveLength(message.length);
  expect(await reply.rest()).toMatchObject([{ json: { id: 1, result: {} } }]);
});

test('one message of any allowed size goes to a session that listens on the only link', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { single: true } });
  const link = await upstream.nextStream();
  const listener = await openEvents(gateway, { sessionId: await gateway.openSession() });
  const filler = 'x'.repeat(15 * 1024 * 1024);

  upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/x', params: { filler } });
  const first = await listener.next();
  upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });

  expect(first.json.params.filler).toHaveLength(filler.length);
  expect(await listener.next()).toMatchObject({ json: { method: 'notifications/tools/list_changed' } });
});
