// Calls in a session: cancelled by the client, and with equal ids in flight.

import { expect, test } from 'vitest';
import { type Answer, type Gateway, JSON_HEADERS, eventsOf, gatewayBefore, requestBytes } from '../support/gateway.ts';
import { type LegacyCall, NO_ANSWER, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });

test('logs of the only call in flight reach its client', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const answer = gateway.call('slow', {}, 1, IN(session));
  const call = await upstream.nextCall('slow');

  call.notify('notifications/message', { level: 'info', data: 'working' });
  call.release();

  expect((await answer).events[0]).toBe(
    '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"working"}}',
  );
});

test('a cancel reaches the upstream with the upstream’s own id and the client’s reason; the call ends with 202 [B18]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const answer = gateway.call('slow', {}, 'mine', IN(session));
  const call = await upstream.nextCall('slow');

  const cancel = { requestId: 'mine', reason: 'changed my mind', x: 1 };
  const told = await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: cancel }, IN(session));

  expect([told.status, (await answer).status, (await answer).text]).toEqual([202, 202, '']);
  const said = await upstream.nextRequest('notifications/cancelled');
  expect(said.message.params).toEqual({ requestId: call.message.id, reason: 'changed my mind', x: 1 });
  expect(gateway.journal.of('exchange').at(-1)).toMatchObject({ method: 'tools/call', outcome: 'cancelled' });
});

test('a cancelled call whose reply is a stream already closes the stream without an answer', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const params = { name: 'slow', arguments: {}, _meta: { progressToken: 1 } };
  const reply = gateway.open({ jsonrpc: '2.0', id: 5, method: 'tools/call', params }, IN(session));
  (await upstream.nextCall('slow')).progress(1);
  await (await reply).until('"progress":1');

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } }, IN(session));

  const whole = await (await reply).until('never said: the reply has ended');
  expect(eventsOf(whole)).toHaveLength(1);
  expect(whole).not.toContain('"id":5');
});

test('an answer that comes after the cancel is counted and given to nobody [B18]', async () => {
  const { gateway, upstream } = await gatewayBefore({
    tools: { stubborn: (call) => call.released.then(() => text('too late')) },
  });
  const session = await gateway.openSession();
  const answer = gateway.call('stubborn', {}, 1, IN(session));
  const call = await upstream.nextCall('stubborn');

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }, IN(session));
  await answer;
  call.release();

  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'late_answer');
  expect((await gateway.call('count', {}, 1, IN(session))).json.result.content[0].text).toBe('1');
});

test('a cancel of a call that is not open, or of another session’s, is accepted and counted', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const answer = gateway.call('slow', {}, 7, IN(a));
  const call = await upstream.nextCall('slow');
  const cancel = (requestId: unknown, session: string): Promise<Answer> =>
    gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } }, IN(session));

  const told = [await cancel(7, b), await cancel('7', a), await cancel(8, a), await cancel(undefined, a)];
  call.release();

  expect(told.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
  expect(gateway.journal.dropped('unknown_cancel')).toBe(4);
  expect((await answer).json.result.content[0].text).toBe('done');
});

test('a cancel waits for its call: it does not overtake a POST that is not accepted yet', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  upstream.behaviour.post = ({ method }) => (method === 'tools/call' ? 'silent' : 'accepted');
  const answer = gateway.call('slow', {}, 1, IN(session));
  const call = await upstream.nextCall('slow');

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }, IN(session));

  expect((await answer).status).toBe(202);
  await call.cancelled;
});

test('equal ids in flight in two sessions and without one get their own answers [A14]', async () => {
  const { gateway, upstream } = await gatewayBefore({
    tools: { held: (call) => call.released.then(() => text(String(call.args['who']))) },
  });
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const answers = [
    gateway.call('held', { who: 'a' }, 1, IN(a)),
    gateway.call('held', { who: 'b' }, 1, IN(b)),
    gateway.call('held', { who: 'nobody' }, 1),
  ];
  const calls = [await upstream.nextCall('held'), await upstream.nextCall('held'), await upstream.nextCall('held')];

  for (const call of calls.toReversed()) call.release();

  const texts = (await Promise.all(answers)).map(({ json }) => [json.id, json.result.content[0].text]);
  expect(texts).toEqual([
    [1, 'a'],
    [1, 'b'],
    [1, 'nobody'],
  ]);
});

test('a client that repeats an id in flight in one session gets both answers', async () => {
  const { gateway, upstream } = await gatewayBefore({
    tools: { held: (call) => call.released.then(() => text(String(call.args['who']))) },
  });
  const session = await gateway.openSession();
  const first = gateway.call('held', { who: 'first' }, 1, IN(session));
  const firstCall = await upstream.nextCall('held');
  const second = gateway.call('held', { who: 'second' }, 1, IN(session));
  const secondCall = await upstream.nextCall('held');

  secondCall.release();
  const secondAnswer = await second;
  firstCall.release();

  expect(secondAnswer.json.result.content[0].text).toBe('second');
  expect((await first).json.result.content[0].text).toBe('first');
});

/** A call in a session by a client that has left as soon as the tool runs. */
async function leftBehind(gateway: Gateway, upstream: LegacyServer, session: string): Promise<LegacyCall> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow' } });
  const headers = { ...JSON_HEADERS, ...IN(session), host: 'localhost', 'content-length': String(body.length) };
  const client = await gateway.connect();
  client.write(requestBytes('POST', '/mcp', Object.entries(headers), body));
  const call = await upstream.nextCall('slow');
  client.leave();
  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
  return call;
}

test('a client that leaves does not stop its call: the answer is counted, and the session goes on [B14]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const call = await leftBehind(gateway, upstream, session);

  call.release();

  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'answer_to_a_client_that_left');
  expect(upstream.received.map(({ message }) => message.method)).not.toContain('notifications/cancelled');
  expect((await gateway.call('count', {}, 1, IN(session))).status).toBe(200);
});

test('a client that has left its call can still cancel it', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  const call = await leftBehind(gateway, upstream, session);

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }, IN(session));

  await call.cancelled;
  expect(gateway.app.mounts[0]?.inFlight).toBe(0);
});

test('a cancel reaches the upstream even if the session is deleted right after it', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  upstream.behaviour.post = ({ method }) => (method === 'tools/call' ? 'silent' : 'accepted');
  const answer = gateway.call('slow', {}, 1, IN(session));
  const call = await upstream.nextCall('slow');

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }, IN(session));
  await gateway.send('DELETE', '/mcp', IN(session));

  await call.cancelled;
  expect((await answer).status).toBe(202);
  await upstream.whenStreams(1);
});

test('ping is answered at once, though the server answers nothing any more [B17]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();
  upstream.behaviour.post = 'silent';
  upstream.behaviour.methods = { ping: () => NO_ANSWER };
  void gateway.call('never', {}, 1, IN(session));
  await upstream.nextCall('never');

  const answer = await gateway.post({ jsonrpc: '2.0', id: 'p', method: 'ping' }, IN(session));

  expect([answer.status, answer.text]).toEqual([200, '{"jsonrpc":"2.0","id":"p","result":{}}']);
});

test('a response to what was never asked is 202 without a body, and counted [B4]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = await gateway.openSession();

  const answers = [
    await gateway.post({ jsonrpc: '2.0', id: 1, result: {} }, IN(session)),
    await gateway.post({ jsonrpc: '2.0', id: 'causeway-1', error: { code: 1, message: '' } }, IN(session)),
  ];

  expect(answers.map(({ status, text: body }) => [status, body])).toEqual([
    [202, ''],
    [202, ''],
  ]);
  expect(gateway.journal.dropped('client_response')).toBe(2);
  expect(upstream.received.filter(({ message }) => message.method === undefined)).toEqual([]);
});
