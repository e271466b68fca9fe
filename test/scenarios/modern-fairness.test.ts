// What one client of 2026-07-28, or a server that talks much, takes from the others: no more than its share.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Answer, type Gateway, type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { EVERYTHING, askedIn, callTool, leavingModern, modern, openModern, retry } from '../support/modern-client.ts';
import { NAMED, ROOTS } from '../support/questions.ts';

const CHANGES = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
};
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const inbound = { bearer: { keys: ['alice', 'bob'].map((name) => ({ name, sha256: sha256(name) })) } };
const as = (name: string) => ({ authorization: `Bearer ${name}` });

const countOf = (upstream: LegacyServer, method: string): number =>
  upstream.received.filter(({ message }) => message.method === method).length;

function say(upstream: LegacyServer, method: string, params: object = {}): void {
  for (const stream of upstream.streams) upstream.sendTo(stream, { jsonrpc: '2.0', method, params });
}

/** So many clients have left before they were answered. */
async function haveLeft(gateway: Gateway, count: number): Promise<void> {
  const left = (): number => gateway.journal.of('exchange').filter(({ outcome }) => outcome === 'client_gone').length;
  await expect.poll(left, { timeout: 3000, interval: 5 }).toBe(count);
}

/** A gateway whose upstream lets nobody in until it is opened. */
async function beforeClosedDoors(config: GatewayConfig = {}) {
  const door = Promise.withResolvers<void>();
  const behaviour = {
    capabilities: CHANGES,
    get: { until: door.promise },
    methods: { 'tools/list': () => new Promise(() => {}), 'prompts/list': () => ({ prompts: [] }) },
  };
  const world = await gatewayBefore(behaviour, { ...config, links: { min: 0, ...config.links } });
  return { ...world, open: () => door.resolve() };
}

// Rounds

test('a caller who is asked much, under many profiles, ends rounds of his own and of nobody else', async () => {
  const { gateway } = await gatewayBefore({}, { inbound, links: { max: 4, maxTotal: 6, min: 0 } });
  const ofAlice = { capabilities: { elicitation: {} }, headers: as('alice') };
  const asked = await callTool(gateway, 'ask', {}, ofAlice);
  const profiles = [{ roots: {} }, { roots: {}, sampling: {} }, { roots: {}, elicitation: {} }];

  for (const capabilities of [...profiles, ...profiles]) {
    const again = await callTool(gateway, 'ask', { questions: [ROOTS] }, { capabilities, headers: as('bob') });
    expect(Object.keys(askedIn(again))).toHaveLength(1);
  }

  const answer = await retry(gateway, asked, { name: NAMED }, ['tools/call', { name: 'ask', arguments: {} }, ofAlice]);
  expect(answer.json.result?.structuredContent.replies).toMatchObject([{ result: NAMED }]);
});

test.each([
  ['the only link', { single: true }],
  ['a pool of one link', { max: 1 }],
] as const)('who comes back for ever without an answer does not keep %s from others', async (_, links) => {
  const { gateway } = await gatewayBefore({}, { links: { ...links, queueTimeout: '5s' } });
  const asks = ['tools/call', { name: 'ask', arguments: {} }, { capabilities: EVERYTHING }] as const;
  let asked = await modern(gateway, ...asks);
  expect(Object.keys(askedIn(asked))).toEqual(['name']);
  let isServed = false;
  const comingBack = async (): Promise<Answer> => {
    while (!isServed && Object.keys(askedIn(asked)).length > 0) asked = await retry(gateway, asked, undefined, asks);
    return asked;
  };

  const [answer] = await Promise.all([
    callTool(gateway, 'add', { a: 1, b: 2 }, { capabilities: EVERYTHING }).finally(() => (isServed = true)),
    comingBack(),
  ]);

  expect([answer.status, answer.json.result?.content]).toEqual([200, [{ type: 'text', text: '3' }]]);
});

// Lists

test('a list that changes more often than it can be fetched is fetched one time after the other', async () => {
  const fetched = Promise.withResolvers<void>();
  let isSlow = false;
  const { gateway, upstream } = await gatewayBefore({
    capabilities: CHANGES,
    methods: {
      'tools/list': () => (isSlow ? fetched.promise : Promise.resolve()).then(() => ({ tools: [] })),
      'resources/subscribe': () => ({}),
    },
  });
  const notifications = { toolsListChanged: true, resourceSubscriptions: ['file:///a'] };
  const reply = await openModern(gateway, 'subscriptions/listen', { notifications }, { id: 'l' });
  await reply.until(ACKNOWLEDGED);
  isSlow = true;

  for (let i = 0; i < 8; i++) {
    say(upstream, 'notifications/tools/list_changed');
    // Told after what was said before it is looked at.
    say(upstream, 'notifications/resources/updated', { uri: `file:///a/${i}` });
    await reply.until(`file:///a/${i}`);
  }
  const meanwhile = countOf(upstream, 'tools/list');
  fetched.resolve();
  await expect.poll(() => countOf(upstream, 'tools/list'), { timeout: 3000 }).toBeGreaterThan(meanwhile);
  say(upstream, 'notifications/resources/updated', { uri: 'file:///a/end' });
  await reply.until('file:///a/end');

  // The first of all, one for the changes, and one for those that came while that was on its way.
  expect([meanwhile, countOf(upstream, 'tools/list')]).toEqual([2, 3]);
});

test('clients that leave before there is a link for their list leave the line to others', async () => {
  const { gateway, upstream, open } = await beforeClosedDoors({ links: { max: 1, maxInFlight: 2, maxQueue: 2 } });
  for (let count = 1; count <= 8; count++) {
    const leaving = await leavingModern(gateway, 'tools/list');
    await expect.poll(() => gateway.app.inFlight(), { timeout: 3000, interval: 5 }).toBe(1);
    leaving.leave();
    await haveLeft(gateway, count);
  }

  const answering = modern(gateway, 'prompts/list');
  await expect.poll(() => gateway.app.inFlight(), { timeout: 3000, interval: 5 }).toBe(1);
  open();
  const answer = await answering;

  expect([answer.status, answer.json.result?.prompts]).toEqual([200, []]);
  expect(countOf(upstream, 'tools/list')).toBe(0);
});

test('a list that nobody waits for any more takes no place on the link that comes late', async () => {
  const { gateway, upstream, open } = await beforeClosedDoors();
  const leaving = await leavingModern(gateway, 'tools/list');
  await expect.poll(() => upstream.gets.length, { timeout: 3000 }).toBe(1);
  leaving.leave();
  await haveLeft(gateway, 1);

  open();
  // In line behind it, had it stayed there.
  const { status } = await modern(gateway, 'prompts/list');

  expect(status).toBe(200);
  expect(countOf(upstream, 'tools/list')).toBe(0);
  await expect.poll(() => gateway.app.mounts[0]?.inFlight, { timeout: 3000 }).toBe(0);
});

// Listens

/** So many are subscribed to before any of them is answered. */
const AT_ONCE = 16;

test('nothing more is subscribed to for a client that has left', async () => {
  const subscribed = Promise.withResolvers<object>();
  const { gateway, upstream } = await gatewayBefore({
    capabilities: CHANGES,
    methods: { 'resources/subscribe': () => subscribed.promise, 'resources/unsubscribe': () => ({}) },
  });
  const resourceSubscriptions = Array.from({ length: 100 }, (_, i) => `file:///${i}`);
  const notifications = { resourceSubscriptions };
  const leaving = await leavingModern(gateway, 'subscriptions/listen', { notifications });
  const subscriptions = (): number => countOf(upstream, 'resources/subscribe');
  await expect.poll(subscriptions, { timeout: 3000, interval: 5 }).toBe(AT_ONCE);

  leaving.leave();
  await haveLeft(gateway, 1);
  subscribed.resolve({});
  await expect.poll(() => gateway.app.mounts[0]?.inFlight, { timeout: 3000 }).toBe(0);

  expect(subscriptions()).toBe(AT_ONCE);
});

test('a listen that waits for a link counts for limits.listens, and no more once its client has left', async () => {
  const { gateway, upstream, open } = await beforeClosedDoors({ limits: { listens: 1 } });
  const leaving = await leavingModern(gateway, 'subscriptions/listen', { notifications: {} });
  await expect.poll(() => upstream.gets.length, { timeout: 3000 }).toBe(1);

  const refused = await modern(gateway, 'subscriptions/listen', { notifications: {} }, { id: 4 });
  leaving.leave();
  await haveLeft(gateway, 1);
  open();
  const reply = await openModern(gateway, 'subscriptions/listen', { notifications: {} }, { id: 'l' });

  expect([refused.status, refused.json]).toMatchObject([503, { id: 4, error: { data: { reason: 'listens_limit' } } }]);
  expect(await reply.until(ACKNOWLEDGED)).toContain(ACKNOWLEDGED);
});
