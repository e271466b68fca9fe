// How one of several replicas stops: what still reaches it another one does.

import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { IN_STORE, JSON_HEADERS, type RawClient, requestBytes } from '../support/gateway.ts';
import { type LegacyCall, text } from '../support/legacy-behaviour.ts';
import { type ModernMessage, modernMessage } from '../support/modern-client.ts';
import { MemoryStore } from '../support/memory-shelf.ts';
import { type Replica, startReplicas } from '../support/replicas.ts';
import { IN } from '../support/session-client.ts';

const V11 = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
const INITIALIZE = { jsonrpc: '2.0', id: 1, method: 'initialize', params: V11 };
const ECHO = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'echo', arguments: { text: 'hello' } } };

/** A call that ends when its test says so. */
const HELD = { tools: { wait: (called: LegacyCall) => called.released.then(() => text('done')) } };

/** Connections that a balancer keeps. */
const kept = (replica: Replica, howMany: number): Promise<RawClient[]> =>
  Promise.all(Array.from({ length: howMany }, () => replica.connect()));

/** One answer, and the connection is over. */
async function ask(client: RawClient | undefined, message: object | ModernMessage, more: Record<string, string> = {}) {
  if (client === undefined) throw new Error('there is a connection for each');
  const { body, headers } = isModern(message) ? message : { body: JSON.stringify(message), headers: JSON_HEADERS };
  const all = { host: 'localhost', ...headers, ...more, 'content-length': String(Buffer.byteLength(body)) };
  client.write(requestBytes('POST', '/mcp', Object.entries(all), body));
  const said = await client.closed;
  return { status: Number(said.slice(9, 12)), text: said };
}

const isModern = (message: object): message is ModernMessage => 'body' in message;

test('what reaches one that drains is served by another, and the connection is not kept', async () => {
  const { replicas, upstream } = await startReplicas(2, HELD, { drain: { timeout: '1m' } });
  const [first, second] = replicas;
  const connections = await kept(first, 4);
  const slow = first.call('wait', {}, 9);
  const running = await upstream.nextCall('wait');

  const closing = first.app.close();
  await expect.poll(() => first.connect().then(() => 'taken', String)).toMatch('ECONNREFUSED');
  const opened = await ask(connections[0], INITIALIZE);
  const alone = await ask(connections[1], ECHO);
  const standing = await ask(connections[2], modernMessage('tools/call', ECHO.params));
  const listen = await ask(connections[3], modernMessage('subscriptions/listen'));
  running.release();
  await closing;

  expect([opened, alone, standing].map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(opened.text).toMatch(/connection: close/i);
  expect([first.app.registry.size, second.app.registry.size]).toEqual([0, 1]);
  expect(first.journal.of('hop').map(({ outcome }) => outcome)).toEqual(['served', 'served', 'served']);
  expect((await slow).status).toBe(200);
  // It would end with the replica that it came to.
  expect(listen.text).toMatch(/draining/);
});

test('a session of one that drains is unknown at once, and what runs in it comes to its end', async () => {
  const { replicas, upstream } = await startReplicas(2, HELD, { drain: { timeout: '1m' } });
  const [first, second] = replicas;
  const session = await first.openSession(V11);
  const [connection] = await kept(first, 1);
  const slow = second.call('wait', {}, 4, IN(session));
  const running = await upstream.nextCall('wait');

  const closing = first.app.close();
  await expect.poll(() => first.connect().then(() => 'taken', String)).toMatch('ECONNREFUSED');
  const over = await second.call('echo', { text: 'hello' }, 5, IN(session));
  const here = await ask(connection, ECHO, IN(session));
  const cancelled = await second.post(
    { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 99 } },
    IN(session),
  );
  running.release();
  await closing;

  expect(over).toMatchObject({ status: 404, json: { error: { data: { reason: 'session_unknown' } } } });
  expect([here.status, cancelled.status]).toEqual([404, 202]);
  expect(await slow).toMatchObject({ status: 200, json: { id: 4, result: {} } });
});

test('a stream of another one that goes through it ends between two events', async () => {
  const { replicas } = await startReplicas(2, HELD, { drain: { timeout: '1m' } });
  const [first, second] = replicas;
  const session = await first.openSession(V11);
  const stream = await openEvents(second, { sessionId: session });

  await second.app.close();

  expect(await stream.closed).toBe('ended');
  expect((await first.call('echo', { text: 'hello' }, 5, IN(session))).status).toBe(200);
});

test('the last one of all says that it drains', async () => {
  const { replicas, upstream } = await startReplicas(2, HELD, { drain: { timeout: '1m' } });
  const [first, second] = replicas;
  await second.app.close();
  const [connection] = await kept(first, 1);
  const slow = first.call('wait', {}, 9);
  const running = await upstream.nextCall('wait');

  const closing = first.app.close();
  await expect.poll(() => first.connect().then(() => 'taken', String)).toMatch('ECONNREFUSED');
  const refused = await ask(connection, ECHO);
  running.release();
  await closing;

  expect(refused.text).toMatch(/"reason":"draining"/);
  expect((await slow).status).toBe(200);
});

/** Two that keep their sessions in one store. */
function startKeeping() {
  const store = new MemoryStore();
  const shelves = [store.shelf(), store.shelf()];
  const shelf = (at: number) => shelves[at] ?? expect.fail();
  return startReplicas(2, HELD, { store: IN_STORE, drain: { timeout: '1m' } }, { shelf });
}

test('with a store its sessions are handed over, and their clients notice no more than that their streams end', async () => {
  const { replicas, upstream } = await startKeeping();
  const [first, second] = replicas;
  const idle = await first.openSession(V11);
  const busy = await first.openSession(V11);
  const stream = await openEvents(first, { sessionId: idle });
  const waiting = second.call('wait', {}, 4, IN(busy));
  const running = await upstream.nextCall('wait');
  // What keeps it from its end.
  const alone = first.call('wait', {}, 8);
  const last = await upstream.nextCall('wait');
  const [connection] = await kept(first, 1);

  const closing = first.app.close();
  const ended = await stream.closed;
  const again = await openEvents(second, { sessionId: idle });
  const over = await second.call('add', { a: 1, b: 2 }, 5, IN(idle));
  // It follows the session, which leaves with its last call.
  const following = second.call('add', { a: 2, b: 2 }, 6, IN(busy));
  running.release();
  const [answer, besides] = [await waiting, await following];
  await expect.poll(() => first.app.registry.size).toBe(0);
  const through = await ask(connection, ECHO, IN(busy));
  last.release();
  await alone;
  await closing;
  const after = await second.call('add', { a: 3, b: 2 }, 7, IN(busy));

  expect([ended, stream.text]).toEqual(['ended', expect.stringMatching(/\nretry: \d+\n\n$/)]);
  expect(again.status).toBe(200);
  expect([over, besides, answer, after].map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(through.text).toMatch(/^HTTP\/1\.1 200 [^]*hello/);
  expect(second.journal.of('takeover').map(({ outcome }) => outcome)).toEqual(['taken', 'taken']);
  expect(first.journal.of('session_ended').map(({ why }) => why)).toEqual(['shutdown', 'shutdown']);
});
