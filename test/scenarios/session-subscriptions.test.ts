// Resources that the client of a session wants to hear of: subscribed to on the session's own link.

import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Answer, type Gateway, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, type LegacyStream, RpcError } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { IN, told } from '../support/session-client.ts';

/** Only sessions have links. */
const OWN = { links: { min: 0 } } as const;

const OFFERED = { capabilities: { resources: { subscribe: true }, tools: {} } };
const SERVED: Readonly<Record<string, Answerer>> = {
  'resources/subscribe': () => ({}),
  'resources/unsubscribe': () => ({}),
};

function updated(uri: string): object {
  return { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } };
}

function ask(gateway: Gateway, session: string, method: string, params: object = {}): Promise<Answer> {
  return gateway.post({ jsonrpc: '2.0', id: 1, method, params }, IN(session));
}

/** What the upstream was asked for on this link beside the handshake, as method and URI, in order. */
function asked(upstream: LegacyServer, { sessionId }: LegacyStream): string[] {
  return upstream.received
    .filter(({ url, message }) => url.includes(sessionId) && message.method?.startsWith('resources/') === true)
    .map(({ message }) => `${message.method} ${String(message.params?.['uri'])}`);
}

test('subscribe and unsubscribe cross as they are, and so do their answers [G20]', async () => {
  const { gateway, upstream } = await gatewayBefore(
    {
      ...OFFERED,
      methods: { 'resources/subscribe': () => ({ _meta: { x: 1 } }), 'resources/unsubscribe': () => ({ y: 2 }) },
    },
    OWN,
  );
  const session = await gateway.openSession();

  const answers = [
    await ask(gateway, session, 'resources/subscribe', { uri: 'file:///a', z: 1 }),
    await ask(gateway, session, 'resources/unsubscribe', { uri: 'file:///a', z: 2 }),
  ];

  expect(answers.map(({ json }) => json.result)).toEqual([{ _meta: { x: 1 } }, { y: 2 }]);
  expect((await upstream.nextRequest('resources/subscribe')).message.params).toEqual({ uri: 'file:///a', z: 1 });
  expect((await upstream.nextRequest('resources/unsubscribe')).message.params).toEqual({ uri: 'file:///a', z: 2 });
});

test('an update reaches the session on whose link it comes, on its GET, and no other', async () => {
  const { gateway, upstream } = await gatewayBefore({ ...OFFERED, methods: SERVED }, OWN);
  const [a, b] = [await gateway.openSession(), await gateway.openSession()];
  const [getA, getB] = [await openEvents(gateway, { sessionId: a }), await openEvents(gateway, { sessionId: b })];
  await ask(gateway, a, 'resources/subscribe', { uri: 'file:///a' });
  const [linkA, linkB] = upstream.streams;

  if (linkA !== undefined) upstream.sendTo(linkA, updated('file:///a/part'));
  if (linkB !== undefined) upstream.sendTo(linkB, updated('file:///b'));

  expect((await told(getA)).json).toEqual(updated('file:///a/part'));
  expect((await told(getB)).json).toEqual(updated('file:///b'));
});

test.each([{ resources: {} }, { resources: { subscribe: false, listChanged: true } }, { tools: {} }])(
  'where subscriptions are not offered they are −32601 and never reach the upstream: %j [G20]',
  async (capabilities) => {
    const { gateway, upstream } = await gatewayBefore({ capabilities, methods: SERVED }, OWN);
    const session = await gateway.openSession();

    const answers = [
      await ask(gateway, session, 'resources/subscribe', { uri: 'file:///a' }),
      await ask(gateway, session, 'resources/unsubscribe', { uri: 'file:///a' }),
    ];

    expect(answers.map(({ status, json }) => [status, json.error.code])).toEqual([
      [200, -32601],
      [200, -32601],
    ]);
    expect(upstream.received.filter(({ message }) => message.method?.startsWith('resources/'))).toEqual([]);
  },
);

test('a subscription without a URI is −32602', async () => {
  const { gateway } = await gatewayBefore({ ...OFFERED, methods: SERVED }, OWN);
  const session = await gateway.openSession();

  const answers = [
    await ask(gateway, session, 'resources/subscribe', {}),
    await ask(gateway, session, 'resources/unsubscribe', { uri: 7 }),
  ];

  expect(answers.map(({ status, json }) => [status, json.error.code])).toEqual([
    [200, -32602],
    [200, -32602],
  ]);
});

test('on a new link the upstream is told what is still wanted, before the next call [G16 G20]', async () => {
  const { gateway, upstream } = await gatewayBefore({ ...OFFERED, methods: SERVED }, OWN);
  const session = await gateway.openSession();
  for (const uri of ['file:///a', 'file:///b', 'file:///c']) {
    await ask(gateway, session, 'resources/subscribe', { uri });
  }
  await ask(gateway, session, 'resources/unsubscribe', { uri: 'file:///b' });

  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  await gateway.call('count', {}, 1, IN(session));

  const [link] = upstream.streams;
  if (link === undefined) throw new Error('there is no link');
  expect(asked(upstream, link)).toEqual(['resources/subscribe file:///a', 'resources/subscribe file:///c']);
  const methods = upstream.received.map(({ message }) => message.method);
  expect(methods.slice(-3)).toEqual(['resources/subscribe', 'resources/subscribe', 'tools/call']);
});

test('a subscription that the upstream refuses is the client’s to hear of, and is not repeated on a new link', async () => {
  const { gateway, upstream } = await gatewayBefore(
    {
      ...OFFERED,
      methods: {
        'resources/subscribe': () => {
          throw new RpcError(-32002, 'no such resource');
        },
      },
    },
    OWN,
  );
  const session = await gateway.openSession();

  const refused = await ask(gateway, session, 'resources/subscribe', { uri: 'file:///none' });
  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  await gateway.call('count', {}, 1, IN(session));

  expect(refused.json.error).toEqual({ code: -32002, message: 'no such resource' });
  expect(upstream.received.filter(({ message }) => message.method === 'resources/subscribe')).toHaveLength(1);
});

test('a new link that refuses a subscription is used all the same, and the refusal is counted', async () => {
  const { gateway, upstream } = await gatewayBefore({ ...OFFERED, methods: SERVED }, OWN);
  const session = await gateway.openSession();
  await ask(gateway, session, 'resources/subscribe', { uri: 'file:///a' });

  upstream.behaviour.methods = {};
  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  const next = await gateway.call('count', {}, 1, IN(session));

  expect(next.json.result.content[0].text).toBe('1');
  expect(gateway.journal.dropped('undelivered_notification')).toBe(1);
});

test('a session can subscribe to 1000 resources, and to one more when it gives one up', async () => {
  const { gateway, upstream } = await gatewayBefore({ ...OFFERED, methods: SERVED }, OWN);
  const session = await gateway.openSession();
  const subscribe = (i: number): Promise<Answer> =>
    ask(gateway, session, 'resources/subscribe', { uri: `file:///${i}` });
  await Promise.all(Array.from({ length: 1000 }, (_, i) => subscribe(i)));

  const again = await subscribe(7);
  const refused = await subscribe(1000);
  await ask(gateway, session, 'resources/unsubscribe', { uri: 'file:///7' });
  const taken = await subscribe(1000);

  expect([again.json.result, taken.json.result]).toEqual([{}, {}]);
  expect(refused.json.error.data.reason).toBe('subscriptions_limit');
  expect(upstream.received.filter(({ message }) => message.method === 'resources/subscribe')).toHaveLength(1002);
});
