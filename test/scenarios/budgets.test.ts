// What one caller may have, over real sockets: who has spent it is told so, everybody else is served, and what ends is
// given back, however it ends.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Answer, type Gateway, type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import { callTool, modern, openModern, retry } from '../support/modern-client.ts';
import { openOldClient } from '../support/old-client.ts';
import { NAMED } from '../support/questions.ts';

const keys = ['alice', 'bob'].map((name) => {
  return { name, sha256: createHash('sha256').update(`${name}-key`).digest('hex') };
});
const ALICE = { authorization: 'Bearer alice-key' };
const BOB = { authorization: 'Bearer bob-key' };
const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-06-18' } };
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const FORMS = { elicitation: {} };

const within = (budgets: GatewayConfig['budgets'], more: GatewayConfig = {}): GatewayConfig => ({
  inbound: { bearer: { keys } },
  budgets,
  links: { min: 0 },
  ...more,
});
const IN = (opened: Answer): Record<string, string> => ({ 'mcp-session-id': String(opened.headers['mcp-session-id']) });
const open = (gateway: Gateway, as: Record<string, string>): Promise<Answer> => gateway.post(INITIALIZE, as);
const told = ({ status, json }: Answer): unknown => [status, json.error?.data?.reason, json.error?.data?.outcome];
const SPENT = [503, 'budget_spent', 'not_executed'];

test('sessions: one that ends makes room, and one that could not be opened has taken none [T20]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, within({ sessions: 1 }));
  upstream.behaviour.get = { status: 500 };
  const failed = await open(gateway, ALICE);
  upstream.behaviour.get = 'streams';

  const first = await open(gateway, ALICE);
  const second = await open(gateway, ALICE);
  const ofBob = await open(gateway, BOB);
  await gateway.send('DELETE', '/mcp', { ...ALICE, ...IN(first) });
  const third = await open(gateway, ALICE);

  expect([failed.status, first.status, ofBob.status, third.status]).toEqual([502, 200, 200, 200]);
  expect([told(second), second.headers['retry-after']]).toEqual([SPENT, '1']);
});

test('links: pooled ones, those of sessions and streams of old clients are counted together, and given back [T20]', async () => {
  const { gateway } = await gatewayBefore({}, within({ links: 2 }));
  const session = await open(gateway, ALICE);
  const old = await openOldClient(gateway.origin, { headers: ALICE });
  await old.endpoint();

  const refused = [
    await gateway.post(LIST, ALICE),
    await open(gateway, ALICE),
    await gateway.send('GET', '/sse', { ...ALICE, accept: 'text/event-stream' }),
  ];
  const ofBob = [await gateway.post(LIST, BOB), await open(gateway, BOB)];
  old.leave();
  await expect.poll(async () => (await gateway.post(LIST, ALICE)).status).toBe(200);
  await gateway.send('DELETE', '/mcp', { ...ALICE, ...IN(session) });
  // The pooled one is idle: it makes room for the second.
  const again = [await open(gateway, ALICE), await open(gateway, ALICE), await open(gateway, ALICE)];

  expect(refused.map(told)).toEqual([SPENT, SPENT, SPENT]);
  expect(ofBob.map(({ status }) => status)).toEqual([200, 200]);
  expect(again.map(({ status }) => status)).toEqual([200, 200, 503]);
});

test('links: an idle one makes room for the stream of an old client', async () => {
  const { gateway } = await gatewayBefore({}, within({ links: 1 }));
  await gateway.post(LIST, ALICE);

  const old = await openOldClient(gateway.origin, { headers: ALICE });

  expect(old.status).toBe(200);
  expect(told(await gateway.post(LIST, ALICE))).toEqual(SPENT);
});

test('links: what the server ends and what cannot be opened is given back [T20]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, within({ links: 1 }));

  for (let i = 0; i < 3; i++) {
    upstream.behaviour.get = { status: 500 };
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    expect([(await gateway.post(LIST, ALICE)).status, (await open(gateway, ALICE)).status]).toEqual([502, 502]);
    upstream.behaviour.get = 'streams';
    // oxlint-disable-next-line no-await-in-loop -- as above
    expect((await gateway.post(LIST, ALICE)).status).toBe(200);
    upstream.cutStreams();
    // oxlint-disable-next-line no-await-in-loop -- as above
    await expect.poll(() => gateway.journal.of('link_closed').length).toBe(i + 1);
  }
});

test('links that are shared are nobody’s', async () => {
  const { gateway } = await gatewayBefore({}, within({ links: 1 }, { links: { min: 0, isolation: 'shared' } }));
  await open(gateway, ALICE);

  expect((await gateway.post(LIST, ALICE)).status).toBe(200);
});

test('listens: one that is closed makes room, and others are not touched [T20]', async () => {
  const { gateway } = await gatewayBefore({}, within({ listens: 1 }));
  const listen = (headers: Record<string, string>) =>
    openModern(gateway, 'subscriptions/listen', { notifications: {} }, { headers });
  const first = await listen(ALICE);
  await first.until('acknowledged');

  const second = await modern(gateway, 'subscriptions/listen', { notifications: {} }, { headers: ALICE });
  const ofBob = await listen(BOB);
  first.leave();
  await expect
    .poll(async () => {
      const third = await listen(ALICE);
      if (third.status !== 200) third.leave();
      return third.status;
    })
    .toBe(200);

  expect([told(second), ofBob.status]).toEqual([SPENT, 200]);
});

test('held calls: the oldest of the same caller makes room, and that of another can be answered [T20]', async () => {
  const { gateway } = await gatewayBefore({}, within({ heldCalls: 1 }));
  const ask = (headers: Record<string, string>) => callTool(gateway, 'ask', {}, { capabilities: FORMS, headers });
  const answer = (asked: Answer, headers: Record<string, string>) =>
    retry(gateway, asked, { name: NAMED }, [
      'tools/call',
      { name: 'ask', arguments: {} },
      { capabilities: FORMS, headers },
    ]);
  const ofBob = await ask(BOB);

  const first = await ask(ALICE);
  const second = await ask(ALICE);
  const answers = [await answer(first, ALICE), await answer(second, ALICE), await answer(ofBob, BOB)];

  expect(answers.map(({ json }) => json.error?.data.reason ?? json.result.resultType)).toEqual([
    'request_state_invalid',
    'complete',
    'complete',
  ]);
});

test('calls: of every kind they are counted, what lets something end is not, and another caller is served [T20]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, within({ callsPerMinute: 6 }));
  const session = IN(await open(gateway, ALICE));
  const running = gateway.call('slow', {}, 9, { ...ALICE, ...session });
  const call = await upstream.nextCall('slow');
  const old = await openOldClient(gateway.origin, { headers: ALICE });
  await old.endpoint();
  await old.post(LIST, ALICE);
  await gateway.post(LIST, ALICE);
  await modern(gateway, 'tools/list', {}, { headers: ALICE });
  const before = await gateway.post(LIST, { ...ALICE, ...session });

  const refused = [
    await gateway.post(LIST, ALICE),
    await gateway.post(LIST, { ...ALICE, ...session }),
    await modern(gateway, 'tools/list', {}, { headers: ALICE }),
    await open(gateway, ALICE),
  ];
  const ofOld = await old.post(LIST, ALICE);
  const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 9 } };
  const cancelled = await gateway.post(cancel, { ...ALICE, ...session });
  await call.cancelled;
  const ended = await gateway.send('DELETE', '/mcp', { ...ALICE, ...session });

  expect([before.status, ofOld.status, cancelled.status, ended.status]).toEqual([200, 503, 202, 204]);
  expect(refused.map(told)).toEqual([SPENT, SPENT, SPENT, SPENT]);
  for (const { headers } of refused) expect(Number(headers['retry-after'])).toBeGreaterThan(5);
  expect((await gateway.post(LIST, BOB)).status).toBe(200);
  await running;
});

test('calls: an old client that has spent them can still answer and cancel, and a batch costs what is in it', async () => {
  const { gateway } = await gatewayBefore({}, within({ callsPerMinute: 2 }));
  const old = await openOldClient(gateway.origin, { headers: ALICE });
  await old.endpoint();
  const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } };
  const answer = { jsonrpc: '2.0', id: 7, result: {} };

  const batch = await old.post([LIST, cancel, { ...LIST, id: 2 }], ALICE);
  const more = await old.post(LIST, ALICE);
  const ends = [await old.post(cancel, ALICE), await old.post(answer, ALICE), await old.post([cancel, cancel], ALICE)];
  const unread = await old.post({ ...LIST, jsonrpc: '1.0' }, ALICE);

  expect([batch.status, more.status, unread.status]).toEqual([202, 503, 503]);
  expect(ends.map(({ status }) => status)).toEqual([202, 202, 202]);
});

test('without inbound there is one caller, and it has no budget', async () => {
  const budgets = { sessions: 1, links: 1, listens: 1, heldCalls: 1, callsPerMinute: 1 };
  const { gateway } = await gatewayBefore({}, { budgets });

  const opened = [await open(gateway, {}), await open(gateway, {}), await gateway.post(LIST), await gateway.post(LIST)];

  expect(opened.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
});

test('a budget changes live, and what is held stays', async () => {
  const { gateway } = await gatewayBefore({}, within({ sessions: 1 }));
  const first = await open(gateway, ALICE);

  await gateway.reload(within({ sessions: 3 }));
  const more = [await open(gateway, ALICE), await open(gateway, ALICE), await open(gateway, ALICE)];
  await gateway.reload(within({ sessions: 1 }));
  const events = await openEvents(gateway, { headers: { ...ALICE, ...IN(first) } });

  expect(more.map(({ status }) => status)).toEqual([200, 200, 503]);
  expect([(await open(gateway, ALICE)).status, events.status]).toEqual([503, 200]);
});
