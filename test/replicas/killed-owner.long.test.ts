// The replica that holds a session is killed, and nothing but it knew of the session: whoever comes is told so at once, by the
// replica that is asked, and begins anew. One that only passes requests on holds nothing, and is missed by nobody.

import { expect, onTestFinished, test, type TestContext } from 'vitest';
import { openCall, openEvents } from '../support/event-client.ts';
import type { Answer, GatewayClient } from '../support/gateway.ts';
import { takes } from '../support/installed.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { EVERYTHING, askedIn, callTool, retry } from '../support/modern-client.ts';
import { NAMED } from '../support/questions.ts';
import { type Replica, type Replicas, replicasBefore } from '../support/replica-processes.ts';
import { IN } from '../support/session-client.ts';

/** What a refusal may take that nobody is waited for. */
const AT_ONCE_MS = 1_000;
const UNKNOWN = { error: { data: { reason: 'session_unknown' } } };

interface World {
  readonly upstream: LegacyServer;
  readonly replicas: Replicas;
  readonly front: GatewayClient;
  readonly owner: Replica;
  readonly others: readonly Replica[];
}

async function threeReplicas(context: TestContext): Promise<World> {
  takes(context, 'nginx');
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const replicas = await replicasBefore({ upstream: upstream.url });
  const [owner = expect.fail(), ...others] = replicas.all;
  return { upstream, replicas, front: replicas.front, owner, others };
}

const OF_2025_11 = { protocolVersion: '2025-11-25' };
const ADD = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 1, b: 2 } } };

/** With how long it took. */
async function timed(answer: Promise<Answer>): Promise<Answer & { readonly tookMs: number }> {
  const since = performance.now();
  return { ...(await answer), tookMs: performance.now() - since };
}

test('whatever a session asks for is 404 at once, wherever it comes, and those of other replicas go on', async (context) => {
  const { front, owner, others } = await threeReplicas(context);
  const lost = await owner.client.openSession(OF_2025_11);
  const kept = await Promise.all(others.map(({ client }) => client.openSession(OF_2025_11)));
  const before = await Promise.all([1, 2, 3].map(() => front.post(ADD, IN(lost))));

  await owner.kill();
  const answers: (Answer & { readonly tookMs: number })[] = [];
  // One after the other, so that each replica that is left gets each kind.
  for (const _ of others) {
    answers.push(await timed(front.post(ADD, IN(lost))));
    answers.push(await timed(front.send('GET', '/mcp', { accept: 'text/event-stream', ...IN(lost) })));
    answers.push(await timed(front.send('DELETE', '/mcp', IN(lost))));
  }
  const ofOthers = await Promise.all(kept.flatMap((session) => [1, 2, 3].map(() => front.post(ADD, IN(session)))));
  const again = await front.openSession(OF_2025_11);

  expect(before.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404));
  for (const { json } of answers) expect(json).toMatchObject(UNKNOWN);
  const slowestMs = Math.max(...answers.map(({ tookMs }) => tookMs));
  console.log(`owner killed, no store: 404 after at most ${slowestMs.toFixed(0)} ms`);
  expect(slowestMs).toBeLessThan(AT_ONCE_MS);
  expect(ofOthers.map(({ status }) => status)).toEqual(ofOthers.map(() => 200));
  expect((await front.post(ADD, IN(again))).json.result.content[0].text).toBe('3');
});

test('it is the same once another process serves at its address', async (context) => {
  const { front, owner } = await threeReplicas(context);
  const lost = await owner.client.openSession(OF_2025_11);

  await owner.kill();
  await owner.start();
  const answers = [];
  for (const _ of [1, 2, 3]) answers.push(await timed(front.post(ADD, IN(lost))));

  expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
  for (const { json } of answers) expect(json).toMatchObject(UNKNOWN);
  expect(Math.max(...answers.map(({ tookMs }) => tookMs))).toBeLessThan(AT_ONCE_MS);
});

test('a held round is an unknown state then, at once, and the call can be made anew', async (context) => {
  const { upstream, front, owner, others } = await threeReplicas(context);
  const options = { capabilities: EVERYTHING };
  const asked = await callTool(owner.client, 'ask', {}, options);
  const [key = ''] = Object.keys(askedIn(asked));
  const asksBefore = upstream.received.filter(({ message }) => message.method === 'tools/call').length;

  await owner.kill();
  const params = { name: 'ask', arguments: {} };
  const answers = [];
  for (const _ of others) {
    answers.push(await timed(retry(front, asked, { [key]: NAMED }, ['tools/call', params, options])));
  }
  const anew = await callTool(front, 'ask', {}, options);

  for (const { status, json } of answers) {
    expect([status, json]).toMatchObject([
      200,
      { id: 'again', error: { code: -32602, data: { reason: 'request_state_invalid' } } },
    ]);
  }
  expect(Math.max(...answers.map(({ tookMs }) => tookMs))).toBeLessThan(AT_ONCE_MS);
  // Nothing of them went to the server: what is not known to be unanswered is not asked twice.
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(asksBefore + 1);
  expect(Object.keys(askedIn(anew))).toHaveLength(1);
});

test('a call that was on its way ends with its outcome unknown, not twice and not never', async (context) => {
  const { upstream, owner, others } = await threeReplicas(context);
  const [first = expect.fail(), second = expect.fail()] = others;
  const older = await owner.client.openSession({ protocolVersion: '2025-06-18' });
  const newer = await owner.client.openSession(OF_2025_11);
  // One without a byte of a reply yet; one whose reply is a stream.
  const plain = timed(first.client.call('slow', {}, 'plain', IN(older)));
  await upstream.nextCall('slow');
  const streaming = openEvents(second.client, {
    sessionId: newer,
    body: {
      jsonrpc: '2.0',
      id: 'streaming',
      method: 'tools/call',
      params: { name: 'slow', arguments: {}, _meta: { progressToken: 7 } },
    },
  });
  (await upstream.nextCall('slow')).progress(1);
  const stream = await streaming;
  const [told] = (await stream.until(({ json }) => json?.method === 'notifications/progress')).slice(-1);

  await owner.kill();
  const { status, json } = await plain;
  await stream.closed;
  const resumed = await first.client.send('GET', '/mcp', {
    accept: 'text/event-stream',
    'last-event-id': told?.id ?? 'none',
    ...IN(newer),
  });

  // Not a 5xx, which something in between might send once more: it may have run.
  expect([status, json]).toMatchObject([
    200,
    { id: 'plain', error: { data: { reason: 'owner_lost', outcome: 'unknown' } } },
  ]);
  expect(stream.text).not.toContain('"result"');
  expect(stream.text.endsWith('\n\n')).toBe(true);
  expect([resumed.status, resumed.json]).toMatchObject([404, UNKNOWN]);
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(2);
});

test('one that only passes on is killed: its clients come back to others, and nothing that was said meanwhile is missing', async (context) => {
  const { upstream, owner, others } = await threeReplicas(context);
  const [passing = expect.fail(), other = expect.fail()] = others;
  const session = await owner.client.openSession(OF_2025_11);
  const link = upstream.streams.at(-1) ?? expect.fail('no link');
  const say = (data: number): void =>
    upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } });
  const listener = await openEvents(passing.client, { sessionId: session });
  const calling = openCall(passing.client, session, 'slow', { id: 'goes on', progressToken: 1 });
  const call = await upstream.nextCall('slow');
  call.progress(1);
  const reply = await calling;
  await reply.until(({ json }) => json?.params?.progress === 1);
  // While a call runs they are said on its reply.
  for (const number of [1, 2, 3]) say(number);
  await reply.until(({ json }) => json?.params?.data === 3);

  await passing.kill();
  await Promise.all([reply.closed, listener.closed]);
  for (const number of [4, 5, 6]) say(number);
  call.release();
  // Said on whichever of the two the owner still took for one that is read.
  const again = await Promise.all(
    [reply, listener].map(({ seen }) => {
      return openEvents(other.client, { sessionId: session, lastEventId: seen.at(-1)?.id ?? expect.fail('no id') });
    }),
  );
  const messages = (): unknown[] =>
    [reply, listener, ...again]
      .flatMap(({ seen }) => seen.flatMap(({ json }) => (json === undefined ? [] : [json])))
      .map(({ params, result }) => params?.data ?? params?.progress ?? result?.content[0].text)
      .toSorted((one, another) => String(one).localeCompare(String(another)));

  // 1 is also how far the call was.
  await expect.poll(messages, { timeout: 5_000 }).toEqual([1, 1, 2, 3, 4, 5, 6, 'done']);
  expect((await other.client.post(ADD, IN(session))).json.result.content[0].text).toBe('3');
});
