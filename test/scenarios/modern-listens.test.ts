// subscriptions/listen of a client of 2026-07-28, made of what the links of older upstreams say.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Gateway, type GatewayConfig, type OpenReply, eventsOf, gatewayBefore } from '../support/gateway.ts';
import { type Behaviour, type LegacyStream, RpcError, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import {
  type ModernOptions,
  callTool,
  leavingModern,
  modern,
  modernMessage,
  openModern,
} from '../support/modern-client.ts';

const CHANGES = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
};

/** Everything can be listened to; the lists are those of `lists`, and a test may change them. */
function server(more: Partial<Behaviour> = {}) {
  const lists = { tools: ['a'], prompts: ['p'], resources: ['r'] };
  const named = (names: readonly string[], rest: object = {}): object[] => names.map((name) => ({ name, ...rest }));
  const behaviour: Partial<Behaviour> = {
    capabilities: CHANGES,
    ...more,
    methods: {
      'tools/list': () => ({ tools: named(lists.tools, { inputSchema: { type: 'object' } }) }),
      'prompts/list': () => ({ prompts: named(lists.prompts) }),
      'resources/list': () => ({ resources: named(lists.resources, { uri: 'file:///r' }) }),
      'resources/templates/list': () => ({ resourceTemplates: [] }),
      'resources/subscribe': () => ({}),
      'resources/unsubscribe': () => ({}),
      ...more.methods,
    },
  };
  return { behaviour, lists };
}

async function world(more: Partial<Behaviour> = {}, config: GatewayConfig = {}) {
  const { behaviour, lists } = server(more);
  return { lists, ...(await gatewayBefore(behaviour, config)) };
}

interface Filter {
  readonly toolsListChanged?: boolean;
  readonly promptsListChanged?: boolean;
  readonly resourcesListChanged?: boolean;
  readonly resourceSubscriptions?: readonly string[];
}

const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';

/** Resolves once it is acknowledged. */
async function listen(gateway: Gateway, notifications: Filter, options: ModernOptions = {}): Promise<OpenReply> {
  const reply = await openModern(gateway, 'subscriptions/listen', { notifications }, { id: 'l', ...options });
  await reply.until(ACKNOWLEDGED);
  return reply;
}

const TOOLS = 'notifications/tools/list_changed';
const PROMPTS = 'notifications/prompts/list_changed';
const UPDATED = 'notifications/resources/updated';

function say(
  upstream: LegacyServer,
  method: string,
  params?: object,
  on: readonly LegacyStream[] = upstream.streams,
): void {
  for (const stream of on) upstream.sendTo(stream, { jsonrpc: '2.0', method, ...(params && { params }) });
}

const updated = (uri: string): object => ({ uri });

/** What has been told until this part came, as method, and URI where there is one. */
async function told(reply: OpenReply, part: string): Promise<string[]> {
  return eventsOf(await reply.until(part)).map((data) => {
    const { method, params } = JSON.parse(data);
    return params?.uri === undefined ? method : `${method} ${params.uri}`;
  });
}

/** What the upstream was asked of resources, by link in the order of their opening. */
function asked(upstream: LegacyServer, links: readonly LegacyStream[]): string[][] {
  return links.map(({ sessionId }) =>
    upstream.received
      .filter(({ url, message }) => url.includes(sessionId) && message.method?.endsWith('subscribe') === true)
      .map(({ message }) => `${message.method} ${String(message.params?.['uri'])}`),
  );
}

// The beginning

test.each(['7', '"7"', '0', '-1', '""', '9007199254740993', '"\\u0061"'])(
  'the first that is told is what will be told, with the id %s as it was written [F60]',
  async (id) => {
    const { gateway } = await world();
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['file:///a'], promptsListChanged: false };
    const { body, headers } = modernMessage('subscriptions/listen', { notifications }, { id: '@' });

    const reply = await gateway.open(body.replace('"id":"@"', `"id":${id}`), headers);

    const [first] = eventsOf(await reply.until('\n\n'));
    expect(reply.headers['content-type']).toBe('text/event-stream');
    expect(first).toBe(
      `{"jsonrpc":"2.0","method":"${ACKNOWLEDGED}","params":{"notifications":{"toolsListChanged":true,` +
        `"resourceSubscriptions":["file:///a"]},"_meta":{"io.modelcontextprotocol/subscriptionId":${id}}}}`,
    );
  },
);

test.each([
  [{ tools: { listChanged: true } }, { toolsListChanged: true }],
  [{ tools: {}, prompts: { listChanged: true } }, { promptsListChanged: true }],
  [{ resources: { subscribe: true } }, { resourceSubscriptions: ['file:///a'] }],
  [{ resources: { listChanged: true } }, { resourcesListChanged: true }],
  [{}, {}],
])('of a server that offers %j only that is agreed to: %j [F63]', async (capabilities, agreed) => {
  const { gateway, upstream } = await world({ capabilities });
  const everything = {
    toolsListChanged: true,
    promptsListChanged: true,
    resourcesListChanged: true,
    resourceSubscriptions: ['file:///a'],
    taskIds: ['t'],
  };

  const reply = await listen(gateway, everything);

  const [first = ''] = eventsOf(await reply.until('\n\n'));
  expect(JSON.parse(first).params.notifications).toEqual(agreed);
  if (!('resourceSubscriptions' in agreed)) {
    expect(upstream.received.map(({ message }) => message.method)).not.toContain('resources/subscribe');
  }
});

test('task ids are left out: there are no tasks [F69]', async () => {
  const { gateway } = await world();

  const reply = await listen(gateway, { taskIds: ['t'] } as Filter);

  expect(JSON.parse(eventsOf(await reply.until('\n\n'))[0] ?? '').params.notifications).toEqual({});
});

test('a resource that the server does not let be subscribed to is left out [F63]', async () => {
  const { gateway } = await world({
    methods: {
      'resources/subscribe': ({ message }) => {
        if (message.params?.['uri'] === 'file:///secret') throw new RpcError(-32602, 'no');
        return {};
      },
    },
  });

  const reply = await listen(gateway, { resourceSubscriptions: ['file:///secret', 'file:///a', 'file:///a'] });

  expect(JSON.parse(eventsOf(await reply.until('\n\n'))[0] ?? '').params.notifications).toEqual({
    resourceSubscriptions: ['file:///a'],
  });
});

test('what is said before the acknowledgement is told after it [F61]', async () => {
  const held = Promise.withResolvers<object>();
  const { gateway, upstream, lists } = await world({ methods: { 'resources/subscribe': () => held.promise } });
  await modern(gateway, 'tools/list');
  const opened = openModern(gateway, 'subscriptions/listen', {
    notifications: { toolsListChanged: true, resourceSubscriptions: ['file:///a'] },
  });
  await upstream.nextRequest('resources/subscribe');

  lists.tools.push('b');
  say(upstream, TOOLS);
  say(upstream, UPDATED, updated('file:///a'));
  held.resolve({});

  const reply = await opened;
  await reply.until(UPDATED);
  expect((await told(reply, TOOLS)).toSorted()).toEqual([UPDATED + ' file:///a', ACKNOWLEDGED, TOOLS].toSorted());
  expect((await told(reply, TOOLS))[0]).toBe(ACKNOWLEDGED);
});

test.each([
  ['nothing', {}],
  ['null', { notifications: null }],
  ['an array', { notifications: [] }],
  ['a kind that is no boolean', { notifications: { toolsListChanged: 'yes' } }],
  ['a URI that is no string', { notifications: { resourceSubscriptions: [1] } }],
])('a listen for %s is −32602 in a 200 [F68]', async (_what, params) => {
  const { gateway } = await world();

  const answer = await modern(gateway, 'subscriptions/listen', params, { id: 4 });

  expect([answer.status, answer.json]).toMatchObject([200, { id: 4, error: { code: -32602 } }]);
});

test('a listen for nothing that is there stays open [F60]', async () => {
  const { gateway } = await world();

  const reply = await listen(gateway, {});

  await modern(gateway, 'tools/list');
  expect(gateway.app.mounts[0]?.modern.listens.count).toBe(1);
  expect(eventsOf(await reply.until(ACKNOWLEDGED))).toHaveLength(1);
});

test('a listen of a client that takes no stream is 406 [F60]', async () => {
  const { gateway } = await world();

  const answer = await modern(
    gateway,
    'subscriptions/listen',
    { notifications: {} },
    { id: 4, headers: { accept: 'application/json' } },
  );

  expect([answer.status, answer.json]).toMatchObject([406, { id: 4, error: { data: { reason: 'not_acceptable' } } }]);
});

test('one listen too many is 503 and says when to come back, until another has left [F60]', async () => {
  const { gateway, upstream } = await world({}, { limits: { listens: 1 } });
  const first = await listen(gateway, { resourceSubscriptions: ['file:///a'] });

  const refused = await modern(gateway, 'subscriptions/listen', { notifications: {} }, { id: 4 });
  first.leave();
  await upstream.nextRequest('resources/unsubscribe');

  expect([refused.status, refused.json]).toMatchObject([503, { id: 4, error: { data: { reason: 'listens_limit' } } }]);
  expect(refused.headers['retry-after']).toBe('1');
  await listen(gateway, {});
});

test('more resources than may be named are −32602, and the text names the limit [F60]', async () => {
  const { gateway, upstream } = await world({}, { limits: { listenUris: 2 } });
  const notifications = { resourceSubscriptions: ['a:1', 'a:2', 'a:3'] };

  const refused = await modern(gateway, 'subscriptions/listen', { notifications });

  expect([refused.status, refused.json.error.code]).toEqual([200, -32602]);
  expect(refused.json.error.message).toContain('limits.listenUris');
  expect(upstream.received.map(({ message }) => message.method)).not.toContain('resources/subscribe');
});

test('a listen while the server is down is 5xx, never 4xx [A11]', async () => {
  const { gateway } = await gatewayBefore({ get: { status: 500 } });

  const answer = await modern(gateway, 'subscriptions/listen', { notifications: {} });

  expect(answer.status).toBeGreaterThanOrEqual(500);
});

// What is told

test('two listens hear of one change, each under its own id, and nothing that they did not ask for [F62]', async () => {
  const { gateway, upstream, lists } = await world();
  const a = await listen(gateway, { toolsListChanged: true, resourceSubscriptions: ['file:///a'] }, { id: 'a' });
  const b = await listen(gateway, { toolsListChanged: true }, { id: 7 });
  const c = await listen(gateway, { promptsListChanged: true }, { id: 'c' });

  lists.tools.push('b');
  say(upstream, TOOLS);
  await Promise.all([a.until(TOOLS), b.until(TOOLS)]);
  say(upstream, UPDATED, updated('file:///a'));
  await a.until(UPDATED);
  lists.prompts.push('q');
  say(upstream, PROMPTS);
  await c.until(PROMPTS);

  const id = (event: string) => JSON.parse(event).params._meta['io.modelcontextprotocol/subscriptionId'];
  const heard = async (reply: OpenReply) => eventsOf(await reply.until(ACKNOWLEDGED));
  expect((await heard(a)).map(id)).toEqual(['a', 'a', 'a']);
  expect((await heard(b)).map(id)).toEqual([7, 7]);
  expect(await told(c, PROMPTS)).toEqual([ACKNOWLEDGED, PROMPTS]);
});

test('what a server says with an update crosses as it is [F62]', async () => {
  const { gateway, upstream } = await world();
  const reply = await listen(gateway, { resourceSubscriptions: ['file:///a'] }, { id: 1 });
  const params = '{"x":1.0,"uri":"file:///\\u0061","_meta":{"y":12345678901234567890}}';

  for (const link of upstream.streams) {
    upstream.sendTo(link, Buffer.from(`{"jsonrpc":"2.0","method":"${UPDATED}","params":${params}}`));
  }

  expect(eventsOf(await reply.until('1.0')).at(-1)).toBe(
    `{"jsonrpc":"2.0","method":"${UPDATED}","params":{"x":1.0,"uri":"file:///\\u0061",` +
      '"_meta":{"io.modelcontextprotocol/subscriptionId":1,"y":12345678901234567890}}}',
  );
});

test('progress and log messages are never told on a listen [F65]', async () => {
  const { gateway, upstream } = await world({ capabilities: { ...CHANGES, logging: {} } });
  const reply = await listen(gateway, { resourceSubscriptions: ['file:///a'] });

  say(upstream, 'notifications/message', { level: 'emergency', data: 'x' });
  say(upstream, 'notifications/progress', { progressToken: 'l', progress: 1 });
  say(upstream, 'notifications/made/up');
  say(upstream, UPDATED, updated('file:///a'));

  expect(await told(reply, UPDATED)).toEqual([ACKNOWLEDGED, `${UPDATED} file:///a`]);
});

test('an update of a part of a resource is told to those who named the whole, and to nobody else [F62]', async () => {
  const { gateway, upstream } = await world();
  const whole = await listen(gateway, { resourceSubscriptions: ['file:///dir'] });
  const slash = await listen(gateway, { resourceSubscriptions: ['file:///dir/'] });
  const other = await listen(gateway, { resourceSubscriptions: ['file:///di', 'file:///end'] });

  for (const uri of ['file:///dir/part', 'file:///dirt', 'file:///', 'file:///dir/'])
    say(upstream, UPDATED, updated(uri));
  say(upstream, UPDATED, updated('file:///end'));

  expect(await told(other, '"uri":"file:///end"')).toEqual([ACKNOWLEDGED, `${UPDATED} file:///end`]);
  const parts = [ACKNOWLEDGED, `${UPDATED} file:///dir/part`, `${UPDATED} file:///dir/`];
  expect(await told(whole, '"uri":"file:///dir/"')).toEqual(parts);
  expect(await told(slash, '"uri":"file:///dir/"')).toEqual(parts);
});

test('a list that is said to have changed, and has not, is not told to have [F62]', async () => {
  const { gateway, upstream, lists } = await world();
  const reply = await listen(gateway, { toolsListChanged: true, promptsListChanged: true });
  await upstream.nextRequest('tools/list');

  say(upstream, TOOLS);
  await upstream.nextRequest('tools/list');
  lists.prompts.push('q');
  say(upstream, PROMPTS);

  expect(await told(reply, PROMPTS)).toEqual([ACKNOWLEDGED, PROMPTS]);
});

test('a server that says on every new link that its lists have changed is not believed [F62]', async () => {
  const { gateway, upstream, lists } = await world({ tools: { t: () => text('') } });
  const reply = await listen(gateway, { toolsListChanged: true, promptsListChanged: true });
  await upstream.nextRequest('tools/list');
  const before = new Set(upstream.streams);

  await callTool(gateway, 't', {}, { capabilities: { elicitation: {} } });
  say(
    upstream,
    TOOLS,
    undefined,
    upstream.streams.filter((stream) => !before.has(stream)),
  );
  await upstream.nextRequest('tools/list');
  lists.prompts.push('q');
  say(upstream, PROMPTS);

  expect(upstream.streams.length).toBeGreaterThan(before.size);
  expect(await told(reply, PROMPTS)).toEqual([ACKNOWLEDGED, PROMPTS]);
});

test('one change that is said on every link is told once [F62]', async () => {
  const { gateway, upstream, lists } = await world({}, { links: { min: 4 } });
  await upstream.whenStreams(4);
  const reply = await listen(gateway, { toolsListChanged: true, resourceSubscriptions: ['file:///a', 'file:///end'] });

  lists.tools.push('b');
  say(upstream, TOOLS);
  say(upstream, UPDATED, updated('file:///a'));
  say(upstream, TOOLS);
  await reply.until(TOOLS);
  say(upstream, UPDATED, updated('file:///end'));

  expect(await told(reply, '"uri":"file:///end"').then((all) => all.toSorted())).toEqual(
    [ACKNOWLEDGED, TOOLS, `${UPDATED} file:///a`, `${UPDATED} file:///end`].toSorted(),
  );
});

test('who lists as soon as he hears of a change sees it [F62]', async () => {
  const { gateway, upstream, lists } = await world();
  const reply = await listen(gateway, { toolsListChanged: true });
  await modern(gateway, 'tools/list');

  lists.tools.push('b');
  say(upstream, TOOLS);
  await reply.until(TOOLS);

  const { tools } = (await modern(gateway, 'tools/list')).json.result;
  expect(tools.map(({ name }: { name: string }) => name)).toEqual(['a', 'b']);
});

test('what is said on any link of the caller is heard, whatever that link was opened for [F66]', async () => {
  const { gateway, upstream } = await world({
    tools: {
      touch: (call) => {
        call.notify(UPDATED, updated('file:///a'));
        return text('');
      },
    },
  });
  const reply = await listen(gateway, { resourceSubscriptions: ['file:///a'] });
  const first = upstream.streams.length;

  await callTool(gateway, 'touch', {}, { capabilities: { elicitation: {} } });

  expect(await told(reply, UPDATED)).toEqual([ACKNOWLEDGED, `${UPDATED} file:///a`]);
  expect(upstream.streams.length).toBeGreaterThan(first);
});

// What is asked of the server

test('a resource is subscribed to before the acknowledgement, once for all who listen, and on each link before its call [F66]', async () => {
  const { gateway, upstream } = await world({ tools: { t: () => text('') } });
  const a = await listen(gateway, { resourceSubscriptions: ['file:///a'] });
  const b = await listen(gateway, { resourceSubscriptions: ['file:///a', 'file:///b'] });
  const [link] = upstream.streams;
  const opened = upstream.nextStream();

  await callTool(gateway, 't', {}, { capabilities: { elicitation: {} } });
  const links = [link, upstream.streams.at(-1)].filter((each) => each !== undefined);

  await opened;
  expect(asked(upstream, links)).toEqual([
    ['resources/subscribe file:///a', 'resources/subscribe file:///b'],
    ['resources/subscribe file:///a', 'resources/subscribe file:///b'],
  ]);
  const methods = upstream.received.map(({ message }) => message.method);
  expect(methods.lastIndexOf('resources/subscribe')).toBeLessThan(methods.indexOf('tools/call'));
  a.leave();
  b.leave();
});

test('a resource is unsubscribed from on every link when the last who listens has left [F66]', async () => {
  const { gateway, upstream } = await world({ tools: { t: () => text('') } });
  const a = await listen(gateway, { resourceSubscriptions: ['file:///a'] });
  const b = await listen(gateway, { resourceSubscriptions: ['file:///a', 'file:///b'] });
  await callTool(gateway, 't', {}, { capabilities: { elicitation: {} } });
  const links = [...upstream.streams];

  b.leave();
  const gone = [
    await upstream.nextRequest('resources/unsubscribe'),
    await upstream.nextRequest('resources/unsubscribe'),
  ];
  a.leave();
  const last = [
    await upstream.nextRequest('resources/unsubscribe'),
    await upstream.nextRequest('resources/unsubscribe'),
  ];

  expect(gone.map(({ message }) => message.params?.['uri'])).toEqual(['file:///b', 'file:///b']);
  expect(last.map(({ message }) => message.params?.['uri'])).toEqual(['file:///a', 'file:///a']);
  for (const each of asked(upstream, links)) {
    expect(each).toEqual([
      'resources/subscribe file:///a',
      'resources/subscribe file:///b',
      'resources/unsubscribe file:///b',
      'resources/unsubscribe file:///a',
    ]);
  }
  expect(gateway.app.mounts[0]?.modern.listens.count).toBe(0);
});

test('who leaves before the acknowledgement leaves nothing behind [F66]', async () => {
  const held = Promise.withResolvers<object>();
  const { gateway, upstream } = await world({ methods: { 'resources/subscribe': () => held.promise } });
  const notifications = { resourceSubscriptions: ['file:///a'] };
  const client = await leavingModern(gateway, 'subscriptions/listen', { notifications });
  await upstream.nextRequest('resources/subscribe');

  client.leave();
  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
  held.resolve({});

  expect((await upstream.nextRequest('resources/unsubscribe')).message.params).toEqual({ uri: 'file:///a' });
  expect(gateway.app.mounts[0]?.modern.listens.count).toBe(0);
});

// The end

test('when the gateway stops, a listen ends with its result [F64]', async () => {
  const { gateway } = await world();
  const reply = await listen(gateway, { toolsListChanged: true }, { id: 9 });

  await gateway.app.close();

  const text_ = await reply.until('this never comes');
  expect(eventsOf(text_).at(-1)).toBe(
    '{"jsonrpc":"2.0","id":9,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":9}}}',
  );
});

test('a server that was gone and is back may have changed: all that was agreed to is told [F67]', async () => {
  const { gateway, upstream } = await world({}, { reconnect: { min: '10ms', max: '20ms' } });
  const reply = await listen(gateway, {
    toolsListChanged: true,
    promptsListChanged: true,
    resourceSubscriptions: ['file:///a'],
  });

  await upstream.stop();
  await upstream.start();
  await Promise.all([reply.until(UPDATED), reply.until(TOOLS), reply.until(PROMPTS)]);

  expect((await told(reply, TOOLS)).toSorted()).toEqual(
    [ACKNOWLEDGED, TOOLS, PROMPTS, `${UPDATED} file:///a`].toSorted(),
  );
  const [link] = upstream.streams;
  say(upstream, UPDATED, updated('file:///a/new'));
  await reply.until('file:///a/new');
  expect(link === undefined ? [] : asked(upstream, [link])).toEqual([['resources/subscribe file:///a']]);
});

test('a listen keeps a link open, and opens another when that is lost [F67]', async () => {
  const { gateway, upstream } = await world({}, { links: { min: 0 }, reconnect: { min: '10ms', max: '20ms' } });
  const reply = await listen(gateway, { toolsListChanged: true });

  upstream.cutStreams();
  await reply.until(TOOLS);

  expect(upstream.streams).toHaveLength(1);
});

// Several callers

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const inbound = { bearer: { keys: ['alice', 'bob'].map((name) => ({ name, sha256: sha256(name) })) } };
const as = (name: string): ModernOptions => ({ headers: { authorization: `Bearer ${name}` } });

/** Two callers who listen to the same, and the link of each. */
async function twoCallers(config: GatewayConfig) {
  const { behaviour, lists } = server();
  const { gateway, upstream } = await gatewayBefore(behaviour, { inbound, ...config });
  const notifications = { toolsListChanged: true, resourceSubscriptions: ['file:///a', 'file:///end'] };
  const alice = await listen(gateway, notifications, as('alice'));
  const links = [await upstream.nextRequest('resources/subscribe')];
  const bob = await listen(gateway, notifications, as('bob'));
  return { gateway, upstream, lists, alice, bob, links };
}

test('what is said on the link of one caller is not told to another [F62]', async () => {
  const { upstream, lists, alice, bob, links } = await twoCallers({});
  const ofAlice = upstream.streams.filter(({ sessionId }) => links[0]?.url.includes(sessionId) === true);

  lists.tools.push('b');
  say(upstream, TOOLS, undefined, ofAlice);
  say(upstream, UPDATED, updated('file:///a'), ofAlice);
  await alice.until(TOOLS);
  say(upstream, UPDATED, updated('file:///end'));

  expect(await told(bob, '"uri":"file:///end"')).toEqual([ACKNOWLEDGED, `${UPDATED} file:///end`]);
  expect(await told(alice, '"uri":"file:///end"')).toContain(TOOLS);
});

test('callers who share their links hear the same [F62]', async () => {
  const { upstream, lists, alice, bob } = await twoCallers({ links: { isolation: 'shared' } });
  const [link] = upstream.streams;

  lists.tools.push('b');
  if (link !== undefined) say(upstream, TOOLS, undefined, [link]);

  expect(await told(alice, TOOLS)).toEqual([ACKNOWLEDGED, TOOLS]);
  expect(await told(bob, TOOLS)).toEqual([ACKNOWLEDGED, TOOLS]);
});

// One link for all

test('on the only link of a mount listens work as on any [F66]', async () => {
  const { gateway, upstream, lists } = await world({}, { links: { single: true } });
  const reply = await listen(gateway, { toolsListChanged: true, resourceSubscriptions: ['file:///a'] });

  lists.tools.push('b');
  say(upstream, TOOLS);
  say(upstream, UPDATED, updated('file:///a'));
  await reply.until(UPDATED);
  await reply.until(TOOLS);
  reply.leave();

  expect((await upstream.nextRequest('resources/unsubscribe')).message.params).toEqual({ uri: 'file:///a' });
  expect(upstream.streams).toHaveLength(1);
});

test('where everybody hears everything, listens move to the one link that is left [F66]', async () => {
  const { gateway, upstream, lists } = await world({ tools: { t: () => text('') }, delivery: 'all' });
  const reply = await listen(gateway, { toolsListChanged: true, resourceSubscriptions: ['file:///a'] });

  await callTool(gateway, 't', {}, { capabilities: { elicitation: {} } });
  await callTool(gateway, 't', {}, { capabilities: { elicitation: {} } });
  await gateway.journal.until(({ fact }) => fact === 'single_by_proof');
  await upstream.whenStreams(1);
  lists.tools.push('b');
  say(upstream, TOOLS);
  say(upstream, UPDATED, updated('file:///a'));
  await Promise.all([reply.until(TOOLS), reply.until(UPDATED)]);
  reply.leave();

  expect((await upstream.nextRequest('resources/unsubscribe')).message.params).toEqual({ uri: 'file:///a' });
  expect(gateway.app.mounts[0]?.modern.listens.count).toBe(0);
});

test('the only link of a mount is opened again for those who listen, and asked for the same [F67]', async () => {
  const { gateway, upstream } = await world(
    {},
    { links: { single: true, min: 0 }, reconnect: { min: '10ms', max: '20ms' } },
  );
  const reply = await listen(gateway, { toolsListChanged: true, resourceSubscriptions: ['file:///a'] });
  await upstream.nextRequest('resources/subscribe');

  upstream.cutStreams();
  await Promise.all([reply.until(TOOLS), reply.until(UPDATED)]);

  expect((await upstream.nextRequest('resources/subscribe')).message.params).toEqual({ uri: 'file:///a' });
  expect(upstream.streams).toHaveLength(1);
});

test('where everybody hears everything, one who waits for the server’s agreement moves too [F61 F66]', async () => {
  const held = Promise.withResolvers<object>();
  const { gateway, upstream } = await world({
    tools: { t: () => text('') },
    delivery: 'all',
    methods: { 'resources/subscribe': () => held.promise },
  });
  const opened = openModern(gateway, 'subscriptions/listen', {
    notifications: { resourceSubscriptions: ['file:///a'] },
  });
  await upstream.nextRequest('resources/subscribe');

  const called = callTool(gateway, 't', {}, { capabilities: { elicitation: {} } });
  await gateway.journal.until(({ fact }) => fact === 'single_by_proof');
  held.resolve({});
  const reply = await opened;
  await reply.until(ACKNOWLEDGED);
  await called;
  await upstream.whenStreams(1);
  say(upstream, UPDATED, updated('file:///a'));
  await reply.until(UPDATED);
  reply.leave();

  expect((await upstream.nextRequest('resources/unsubscribe')).message.params).toEqual({ uri: 'file:///a' });
});

test('a link that is lost before the acknowledgement takes nothing with it [F61 F67]', async () => {
  const { gateway, upstream } = await world(
    { methods: { 'resources/subscribe': () => new Promise(() => {}) } },
    { reconnect: { min: '10ms', max: '20ms' } },
  );
  const opened = openModern(gateway, 'subscriptions/listen', {
    notifications: { resourceSubscriptions: ['file:///a'] },
  });
  await upstream.nextRequest('resources/subscribe');

  upstream.behaviour.methods = { ...upstream.behaviour.methods, 'resources/subscribe': () => ({}) };
  upstream.cutStreams();
  const reply = await opened;

  expect((await told(reply, UPDATED)).slice(0, 2)).toEqual([ACKNOWLEDGED, `${UPDATED} file:///a`]);
  await upstream.nextRequest('resources/subscribe');
});
