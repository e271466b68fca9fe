// Servers that mix up their clients: what one connection asked for is answered on all, or on the newest; or they end
// with the first connection that leaves. The id tells; then one link serves everybody.

import { expect, test } from 'vitest';
import { gatewayBefore } from '../support/gateway.ts';
import { text } from '../support/legacy-behaviour.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });
const tools = { who: (call: { args: Readonly<Record<string, unknown>> }) => text(String(call.args['who'])) };

test('broadcast: a session and a sessionless caller get their own answers, and the mount goes single', async () => {
  const { gateway } = await gatewayBefore({ delivery: 'all', tools });
  await gateway.call('who', { who: 'nobody' });

  const session = await gateway.openSession();
  const answers = await Promise.all([
    gateway.call('who', { who: 'session' }, 1, IN(session)),
    gateway.call('who', { who: 'nobody' }, 1),
    gateway.call('who', { who: 'session too' }, 1, IN(session)),
  ]);

  expect(answers.map(({ json }) => json.result.content[0].text)).toEqual(['session', 'nobody', 'session too']);
  expect(gateway.journal.of('single_by_proof')).toHaveLength(1);
  expect(gateway.app.mounts[0]?.isSingle).toBe(true);
});

test('broadcast: once the mount is single the session’s own link is closed, and the session works on', async () => {
  const { gateway, upstream } = await gatewayBefore({ delivery: 'all', tools });

  const session = await gateway.openSession();
  await gateway.call('who', { who: 'x' }, 1, IN(session));

  await upstream.whenStreams(1);
  expect((await gateway.call('who', { who: 'y' }, 1, IN(session))).json.result.content[0].text).toBe('y');
  expect(gateway.app.mounts[0]?.dedicatedCount).toBe(0);
});

test('broadcast: calls in flight on both links when it is found out are answered', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools });
  const session = await gateway.openSession();
  const held = [gateway.call('slow', {}, 'a'), gateway.call('slow', {}, 'b', IN(session))];
  const calls = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];

  upstream.behaviour.delivery = 'all';
  await gateway.call('who', { who: 'proof' });
  await gateway.journal.until(({ fact }) => fact === 'single_by_proof');
  for (const call of calls) call.release();

  const answers = (await Promise.all(held)).map(({ json }) => [json.id, json.result?.content[0].text]);
  expect(answers).toEqual([
    ['a', 'done'],
    ['b', 'done'],
  ]);
  await upstream.whenStreams(1);
});

test('broadcast: many callers at once on two links of the pool get their own answers [A14 T5]', async () => {
  const { gateway } = await gatewayBefore({ delivery: 'all', tools }, { links: { min: 2, max: 2, maxInFlight: 4 } });
  const names = Array.from({ length: 40 }, (_, i) => `caller ${i}`);

  const answers = await Promise.all(names.map((who) => gateway.call('who', { who }, 1)));

  expect(answers.map(({ json }) => json.result.content[0].text)).toEqual(names);
  await gateway.journal.until(({ fact }) => fact === 'single_by_proof');
});

test('broadcast: progress and notifications reach the caller they belong to, once', async () => {
  const { gateway, upstream } = await gatewayBefore({ delivery: 'all', tools });
  await gateway.openSession();
  const params = { name: 'slow', arguments: {}, _meta: { progressToken: 'mine' } };
  const answer = gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  const call = await upstream.nextCall('slow');

  call.progress(1);
  call.release();

  expect((await answer).events).toEqual([
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"mine","progress":1}}',
    '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}]}}',
  ]);
});

test('an answer to one session’s call on the stream of another goes to nobody, and the true one still comes [T6]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const ofA = gateway.call('slow', {}, 1, IN(a));
  const callOfA = await upstream.nextCall('slow');
  const ofB = gateway.call('slow', {}, 1, IN(b));
  const callOfB = await upstream.nextCall('slow');

  upstream.sendTo(callOfB.stream, { jsonrpc: '2.0', id: callOfA.message.id ?? 0, result: text('stolen') });
  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'foreign_answer');
  callOfA.release();
  callOfB.release();

  const answers = (await Promise.all([ofA, ofB])).map(({ json }) => json.result.content[0].text);
  expect(answers).toEqual(['done', 'done']);
});

test('answers of other people’s calls are no proof: they are dropped and counted', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');
  const stream = await upstream.nextStream();

  upstream.sendTo(stream, { jsonrpc: '2.0', id: 1, result: {} });
  upstream.sendTo(stream, { jsonrpc: '2.0', id: 'unknown', result: {} });
  upstream.sendTo(stream, { jsonrpc: '2.0', id: null, error: { code: -32601, message: 'unknown notification' } });

  await gateway.journal.until(() => gateway.journal.dropped('unknown_answer') === 3);
  expect((await gateway.call('count')).json.result.content[0].text).toBe('2');
  expect(gateway.app.mounts[0]?.isSingle).toBe(false);
});

// links.single: true

const SINGLE = { links: { single: true } } as const;

test('newest-connection server with --single: sessionless callers and sessions share one link', async () => {
  const { gateway, upstream } = await gatewayBefore({ delivery: 'newest', tools }, SINGLE);
  const [a, b] = [await gateway.openSession(), await gateway.openSession({ protocolVersion: '2025-03-26' })];

  const answers = await Promise.all([
    gateway.call('who', { who: 'a' }, 1, IN(a)),
    gateway.call('who', { who: 'b' }, 1, IN(b)),
    gateway.call('who', { who: 'nobody' }, 1),
  ]);

  expect(answers.map(({ json }) => json.result.content[0].text)).toEqual(['a', 'b', 'nobody']);
  expect(upstream.gets).toHaveLength(1);
  expect(upstream.received.filter(({ message }) => message.method === 'initialize')).toHaveLength(1);
});

test('--single: a session’s initialize is answered from the one link’s, with the revision asked for', async () => {
  const { gateway, upstream } = await gatewayBefore({ protocolVersion: '2024-11-05' }, SINGLE);

  const opened = await gateway.post({
    jsonrpc: '2.0',
    id: 'mine',
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
  });

  expect(opened.json).toMatchObject({
    id: 'mine',
    result: { protocolVersion: '2025-06-18', serverInfo: { name: 'scripted-legacy-server' } },
  });
  const session = String(opened.headers['mcp-session-id']);
  expect((await gateway.call('count', {}, 1, IN(session))).json.result.content[0].text).toBe('1');
  expect((await gateway.send('DELETE', '/mcp', IN(session))).status).toBe(204);
  expect((await gateway.call('count')).json.result.content[0].text).toBe('2');
  expect(upstream.streams).toHaveLength(1);
});

test('--single: a cancel in a session reaches the upstream and nobody else’s call [B18 G12]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const ofA = gateway.call('slow', {}, 1, IN(a));
  const callOfA = await upstream.nextCall('slow');
  const ofB = gateway.call('slow', {}, 1, IN(b));
  const callOfB = await upstream.nextCall('slow');

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }, IN(a));
  await callOfA.cancelled;
  callOfB.release();

  expect((await ofA).status).toBe(202);
  expect((await ofB).json.result.content[0].text).toBe('done');
});

test('--single: a question on the idle link is refused, and the link stays [G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  await gateway.call('count');

  const reply = await upstream.ask(await upstream.nextStream(), 'elicitation/create', { message: '?' });

  expect(reply.error).toMatchObject({ code: -32601 });
  expect((await gateway.call('count')).json.result.content[0].text).toBe('2');
  expect(upstream.gets).toHaveLength(1);
});

test('--single: calls in flight when the one link is lost fail, and the next opens another', async () => {
  const { gateway, upstream } = await gatewayBefore({}, SINGLE);
  const session = await gateway.openSession();
  const answers = [gateway.call('never', {}, 1, IN(session)), gateway.call('never', {}, 1)];
  await upstream.nextCall('never');
  await upstream.nextCall('never');

  upstream.cutStreams();

  for (const { json } of await Promise.all(answers)) {
    expect(json.error.data).toMatchObject({ reason: 'upstream_session_lost', outcome: 'unknown' });
  }
  expect((await gateway.call('count', {}, 1, IN(session))).json.result.content[0].text).toBe('1');
  expect(upstream.streams).toHaveLength(1);
});

test('a server that ends with the first connection that leaves: said once it has happened twice', async () => {
  const { gateway, upstream } = await gatewayBefore(
    { diesWhenOneLeaves: true },
    { reconnect: { min: '10ms', max: '20ms' } },
  );
  await gateway.journal.until(({ fact }) => fact === 'link_open');

  for (const times of [1, 2]) {
    const session = await gateway.openSession();
    await gateway.send('DELETE', '/mcp', IN(session));
    await gateway.journal.until(
      () => gateway.journal.of('link_closed').filter(({ reason }) => reason === 'lost').length === times,
    );
    await upstream.stop();
    await upstream.whenStreams(0);
    await upstream.start();
    await gateway.journal.until(() => gateway.journal.of('link_open').length === 2 * times + 1);
  }

  expect(gateway.journal.of('single_hint')).toHaveLength(1);
  expect((await gateway.call('count')).status).toBe(200);
});

test('--single spares a server that ends with the first connection that leaves', async () => {
  const { gateway, upstream } = await gatewayBefore({ diesWhenOneLeaves: true }, SINGLE);
  for (let i = 0; i < 3; i++) {
    const session = await gateway.openSession();
    await gateway.call('count', {}, 1, IN(session));
    await gateway.send('DELETE', '/mcp', IN(session));
  }

  expect((await gateway.call('count')).json.result.content[0].text).toBe('4');
  expect(upstream.gets).toHaveLength(1);
  expect(gateway.journal.of('single_hint')).toEqual([]);
});
