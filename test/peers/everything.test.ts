// The official demonstration server behind the gateway, used the ways people use it: one request from a script or from curl,
// a session by hand, the SDK. Its event streams are counted by a relay in front of it.
import { expect, test } from 'vitest';
import { startCountingRelay } from './support/counting-relay.ts';
import { startGateway } from './support/gateway.ts';
import { startEverything } from './support/legacy-peers.ts';
import { answer, curl, echo, echoed, initialize, initialized, openSession, post, revision } from './support/raw-mcp.ts';
import { sdkV1 } from './support/sdk-clients.ts';

/** The default of `links.max`: how many upstream sessions the sessionless callers share at most. */
const pooledLinksAtMost = 32;

test('one fetch without a handshake calls a tool', async () => {
  const { url } = await startGateway((await startEverything()).port);

  const reply = await post(url, echo(1, 'one fetch'));

  expect(reply.status).toBe(200);
  expect(answer(reply)).toMatchObject(echoed(1, 'one fetch'));
});

test('one curl without a handshake calls a tool', async () => {
  const { url } = await startGateway((await startEverything()).port);

  const reply = await curl(url, echo(7, 'one curl'));

  expect(reply.status).toBe(200);
  expect(reply.headers.get('content-type')).toMatch(/^application\/json/);
  expect(JSON.parse(reply.text)).toMatchObject(echoed(7, 'one curl'));
});

test('three curls make a session and call a tool in it', async () => {
  const { url } = await startGateway((await startEverything()).port);
  const streamable = 'accept: application/json, text/event-stream';

  const opened = await curl(url, initialize, [streamable]);
  const inSession = [
    streamable,
    `mcp-session-id: ${opened.headers.get('mcp-session-id')}`,
    `mcp-protocol-version: ${revision}`,
  ];
  const confirmed = await curl(url, initialized, inSession);
  const called = await curl(url, echo('third', 'in a session'), inSession);

  expect(opened.status).toBe(200);
  expect(opened.headers.get('mcp-session-id')).toMatch(/^[\x21-\x7e]+$/);
  expect(answer(opened)).toMatchObject({ id: 0, result: { protocolVersion: revision } });
  expect({ status: confirmed.status, text: confirmed.text }).toEqual({ status: 202, text: '' });
  expect(called.status).toBe(200);
  expect(answer(called)).toMatchObject(echoed('third', 'in a session'));
});

test('an SDK v1 client lists tools, calls one and ends its session', async () => {
  const relay = await startCountingRelay((await startEverything()).port);
  const { url } = await startGateway(relay.port);
  await post(url, echo(1, 'a pooled link is open'));
  const before = relay.openStreams;
  const { client, transport } = await sdkV1(url);

  await client.connect(transport);
  const { tools } = await client.listTools();
  const result = await client.callTool({ name: 'echo', arguments: { message: 'by the SDK' } });
  const during = relay.openStreams;
  await transport.terminateSession();
  await client.close();

  expect(tools.map(({ name }) => name)).toContain('echo');
  expect(result).toMatchObject({ content: [{ type: 'text', text: 'Echo: by the SDK' }] });
  expect(during).toBe(before + 1);
  await relay.streams((open) => open <= before, 'the link of the ended session is closed');
});

test('300 sessionless calls, 30 at a time, get their own results over few links', async () => {
  const relay = await startCountingRelay((await startEverything()).port);
  const { url } = await startGateway(relay.port);
  const left = Array.from({ length: 300 }, (_, index) => index).values();

  // Callers take turns from one iterator, so that 30 are under way at any time; ids are shared on purpose.
  const caller = async () => {
    for (const index of left) {
      const id = index % 10;
      const reply = await post(url, echo(id, `call ${index}`));
      expect(answer(reply)).toMatchObject(echoed(id, `call ${index}`));
    }
  };
  await Promise.all(Array.from({ length: 30 }, caller));

  expect(relay.mostOpenStreams).toBeGreaterThan(0);
  expect(relay.mostOpenStreams).toBeLessThanOrEqual(pooledLinksAtMost);
});

test('25 sessions have a link each, and none is left when they are deleted', async () => {
  const relay = await startCountingRelay((await startEverything()).port);
  const { url } = await startGateway(relay.port);
  await post(url, echo(1, 'a pooled link is open'));
  const before = relay.openStreams;

  const sessions = await Promise.all(Array.from({ length: 25 }, () => openSession(url)));
  const answers = await Promise.all(sessions.map((session, index) => session.call(echo(1, `session ${index}`))));
  const during = relay.openStreams;
  const deleted = await Promise.all(sessions.map((session) => session.delete()));

  for (const [index, given] of answers.entries()) expect(given).toMatchObject(echoed(1, `session ${index}`));
  expect(during).toBe(before + 25);
  for (const status of deleted) expect([200, 202, 204]).toContain(status);
  await relay.streams((open) => open <= before, 'the links of the deleted sessions are closed');
});
