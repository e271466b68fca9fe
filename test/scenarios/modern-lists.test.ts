// Lists for clients of 2026-07-28: one catalog for all who declare the same, whole, and only as long as it is known to be
// right. What tools in it want to be repeated in headers is checked.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Answer, type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, type Behaviour, RpcError, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { type ModernOptions, callTool, modern } from '../support/modern-client.ts';

const LISTS = [
  ['tools/list', 'tools'],
  ['prompts/list', 'prompts'],
  ['resources/list', 'resources'],
  ['resources/templates/list', 'resourceTemplates'],
] as const;

const told = (isTold: boolean): object => {
  const listChanged = isTold ? { listChanged: true } : {};
  return { tools: listChanged, prompts: listChanged, resources: listChanged };
};

const tool = (name: string): object => ({ name, inputSchema: { type: 'object' } });
const namesIn = ({ json }: Answer, member = 'tools'): string[] =>
  json.result[member].map(({ name }: { name: string }) => name);
const countOf = (upstream: LegacyServer, method: string): number =>
  upstream.received.filter(({ message }) => message.method === method).length;

function say(upstream: LegacyServer, method: string): void {
  for (const stream of upstream.streams) upstream.sendTo(stream, { jsonrpc: '2.0', method });
}

/** A server with one list, which a test may change. */
async function listing(isTold = true, config: GatewayConfig = {}, more: Partial<Behaviour> = {}) {
  const names = ['a'];
  const world = await gatewayBefore(
    {
      capabilities: told(isTold),
      ...more,
      methods: { 'tools/list': () => ({ tools: names.map(tool) }), ...more.methods },
    },
    config,
  );
  return { names, ...world };
}

// Whole

test.each(LISTS)(
  'the pages of %s come as one, in their order and with their bytes [F23 F25]',
  async (method, member) => {
    const pages: Record<string, string> = {
      undefined: `{"${member}":[ {"name":"z","inputSchema":{"type":"object"},"n":1.0} ],"nextCursor":"","x":1e2}`,
      '': `{"${member}":[{"name":"b","inputSchema":{"type":"object"}}],"y":1,"nextCursor":"2 \\u0061"}`,
      '2 a': `{"nextCursor":"3","${member}":[]}`,
      '3': `{"${member}":[{"name":"a","inputSchema":{"type":"object"}}]}`,
    };
    const { gateway, upstream } = await gatewayBefore({
      capabilities: told(true),
      methods: { [method]: ({ message }) => Buffer.from(pages[String(message.params?.['cursor'])] ?? '{}') },
    });

    const answer = await modern(gateway, method);

    expect(namesIn(answer, member)).toEqual(['z', 'b', 'a']);
    expect(answer.text).toContain('"n":1.0');
    expect(answer.text).toContain('"x":1e2');
    expect(answer.text).not.toContain('nextCursor');
    const cursors = upstream.received.filter(({ message }) => message.method === method);
    expect(cursors.map(({ message }) => message.params?.['cursor'])).toEqual([undefined, '', '2 a', '3']);
  },
);

test('pages without end are an error, and other calls go on', async () => {
  let pages = 0;
  const page = (): Buffer => Buffer.from(`{"tools":[],"nextCursor":"${++pages}","x":"${'x'.repeat(1000)}"}`);
  const { gateway, upstream } = await gatewayBefore(
    { methods: { 'tools/list': page } },
    { limits: { upstreamMessageBytes: '10KiB' } },
  );

  const answer = await modern(gateway, 'tools/list');

  expect([answer.status, answer.json.error]).toMatchObject([
    200,
    { code: -32603, message: expect.stringContaining('limits.upstreamMessageBytes') },
  ]);
  expect(countOf(upstream, 'tools/list')).toBeLessThan(12);
  expect((await callTool(gateway, 'add', { a: 1, b: 1 })).status).toBe(200);
});

test('a list that goes in circles is an error at once; the empty cursor in a row is its end', async () => {
  const { gateway, upstream } = await gatewayBefore({
    capabilities: { tools: {}, prompts: {} },
    methods: {
      'tools/list': () => ({ tools: [tool('a')], nextCursor: 'again' }),
      'prompts/list': () => ({ prompts: [], nextCursor: '' }),
    },
  });

  const circle = await modern(gateway, 'tools/list');
  const end = await modern(gateway, 'prompts/list');

  expect(circle.json.error.data.reason).toBe('upstream_result_invalid');
  expect(end.json.result).not.toHaveProperty('nextCursor');
  expect([countOf(upstream, 'tools/list'), countOf(upstream, 'prompts/list')]).toEqual([2, 2]);
});

test('an error of a later page is the answer, and none is kept', async () => {
  const { gateway, upstream } = await gatewayBefore({
    methods: {
      'tools/list': ({ message }) => {
        if (message.params?.['cursor'] !== undefined) throw new RpcError(-32602, 'the cursor is stale');
        return { tools: [tool('a')], nextCursor: 'x' };
      },
    },
  });
  const failed = await modern(gateway, 'tools/list');

  upstream.behaviour.methods = {};
  const answer = await modern(gateway, 'tools/list');

  expect([failed.status, failed.json.error.message]).toEqual([200, 'the cursor is stale']);
  expect(answer.json.result.resultType).toBe('complete');
});

test.each(['"x"', '""', '1'])('no list takes the cursor %s: none was ever given [F28]', async (cursor) => {
  const { gateway, upstream } = await listing();

  for (const [method] of LISTS) {
    const answer = await modern(gateway, method, { cursor: JSON.parse(cursor) });
    expect([answer.status, answer.json.error.code]).toEqual([200, -32602]);
  }
  expect(countOf(upstream, 'tools/list')).toBe(0);
});

// The same for all

test('a list is the same on each connection, and after calls that show their own session more [F25]', async () => {
  const more = new Set<string>();
  const { gateway } = await gatewayBefore({
    capabilities: told(true),
    methods: {
      'tools/list': ({ stream }) => ({
        tools: [tool('connect'), ...(more.has(stream.sessionId) ? [tool('query')] : [])],
      }),
    },
    tools: {
      connect: ({ stream }) => {
        more.add(stream.sessionId);
        return text('');
      },
    },
  });

  const before = await modern(gateway, 'tools/list');
  await callTool(gateway, 'connect');
  const after = await Promise.all(Array.from({ length: 10 }, () => modern(gateway, 'tools/list')));

  expect(after.map((answer) => answer.text)).toEqual(Array.from({ length: 10 }, () => before.text));
});

test('many who ask at once are told by one fetch [F25]', async () => {
  const { gateway, upstream } = await listing(false);
  await gateway.call('count');

  const answers = await Promise.all(Array.from({ length: 20 }, (_, id) => modern(gateway, 'tools/list', {}, { id })));

  expect(answers.map(({ json }) => [json.id, json.result.tools])).toEqual(
    Array.from({ length: 20 }, (_, id) => [id, [tool('a')]]),
  );
  expect(countOf(upstream, 'tools/list')).toBeLessThan(20);
});

// As long as it is right

test('where the server tells of changes a list is fetched once, elsewhere each time [F25]', async () => {
  const kept = await listing(true);
  const fetched = await listing(false);

  for (const { gateway } of [kept, fetched]) for (let i = 0; i < 3; i++) await modern(gateway, 'tools/list');

  expect([countOf(kept.upstream, 'tools/list'), countOf(fetched.upstream, 'tools/list')]).toEqual([1, 3]);
});

test('a list is fetched anew when the server says that it has changed, on whichever link [F25]', async () => {
  const { gateway, upstream, names } = await listing(true, {}, { tools: { t: () => text('') } });
  await modern(gateway, 'tools/list');
  await callTool(gateway, 't', {}, { capabilities: { elicitation: {} } });
  const [, other] = upstream.streams;
  names.push('b');

  if (other !== undefined) upstream.sendTo(other, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  // What comes after it on that link shows that it was heard.
  await callTool(gateway, 't', {}, { capabilities: { elicitation: {} } });

  expect(namesIn(await modern(gateway, 'tools/list'))).toEqual(['a', 'b']);
});

test('a change of one list leaves the others as they are [F25]', async () => {
  const { gateway, upstream } = await listing(true, {}, { methods: { 'prompts/list': () => ({ prompts: [] }) } });
  await modern(gateway, 'tools/list');
  await modern(gateway, 'prompts/list');

  say(upstream, 'notifications/prompts/list_changed');
  await callTool(gateway, 'add');
  await modern(gateway, 'tools/list');
  await modern(gateway, 'prompts/list');

  expect([countOf(upstream, 'tools/list'), countOf(upstream, 'prompts/list')]).toEqual([1, 2]);
});

test('what changes while it is fetched is fetched again [F25]', async () => {
  const held = Promise.withResolvers<void>();
  const { gateway, upstream, names } = await listing();
  const { methods } = upstream.behaviour;
  upstream.behaviour.methods = { 'tools/list': () => held.promise.then(() => ({ tools: [tool('a')] })) };
  const early = modern(gateway, 'tools/list');
  await upstream.nextRequest('tools/list');

  names.push('b');
  say(upstream, 'notifications/tools/list_changed');
  // Heard before its answer; and it needs no list.
  await gateway.call('add');
  upstream.behaviour.methods = methods;
  const late = modern(gateway, 'tools/list');
  held.resolve();

  expect(namesIn(await early)).toEqual(['a']);
  expect(namesIn(await late)).toEqual(['a', 'b']);
  expect(namesIn(await modern(gateway, 'tools/list'))).toEqual(['a', 'b']);
});

test('a list does not outlast the last link on which a change of it could be told [F25]', async () => {
  const { gateway, upstream, names } = await listing(true, { reconnect: { min: '10ms', max: '20ms' } });
  await modern(gateway, 'tools/list');
  names.push('b');

  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');

  expect(namesIn(await modern(gateway, 'tools/list'))).toEqual(['a', 'b']);
});

// To whom

test('who declares more is shown what the server has for him, and nobody else is [F25]', async () => {
  const { gateway } = await gatewayBefore({
    capabilities: told(true),
    methods: {
      'tools/list': ({ stream }) => ({ tools: ['always', ...Object.keys(stream.session.capabilities)].map(tool) }),
    },
  });
  const declaring = (capabilities: object) => modern(gateway, 'tools/list', {}, { capabilities });

  const answers = [
    await declaring({}),
    await declaring({ sampling: {} }),
    await declaring({ elicitation: {}, roots: { listChanged: true } }),
    await declaring({ experimental: { x: {} } }),
    await declaring({}),
  ];

  expect(answers.map((answer) => namesIn(answer).toSorted())).toEqual([
    ['always'],
    ['always', 'sampling'],
    ['always', 'elicitation', 'roots'],
    ['always'],
    ['always'],
  ]);
});

test('the list of one caller is not shown to another [F25]', async () => {
  const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
  const keys = ['alice', 'bob'].map((name) => ({ name, sha256: sha256(name) }));
  const { gateway } = await gatewayBefore(
    { capabilities: told(true), methods: { 'tools/list': ({ stream }) => ({ tools: [tool(stream.sessionId)] }) } },
    { inbound: { bearer: { keys } } },
  );
  const listedBy = async (name: string) =>
    namesIn(await modern(gateway, 'tools/list', {}, { headers: { authorization: `Bearer ${name}` } }));

  const [alice, bob, again] = [await listedBy('alice'), await listedBy('bob'), await listedBy('alice')];

  expect(again).toEqual(alice);
  expect(bob).not.toEqual(alice);
});

// Parameters in headers

const PROPERTIES = {
  region: { type: 'string', 'x-mcp-header': 'Region' },
  limit: { type: 'integer', 'x-mcp-header': 'Limit' },
  force: { type: 'boolean', 'x-mcp-header': 'Force' },
  where: { type: 'object', properties: { city: { type: 'string', 'x-mcp-header': 'City' } } },
  free: { type: 'string' },
};
const QUERY = { name: 'query', inputSchema: { type: 'object', properties: PROPERTIES } };
const listOf =
  (...tools: object[]): Answerer =>
  () => ({ tools });

async function querying(upstream: GatewayConfig['upstream'] = {}, tools: object[] = [QUERY]) {
  return gatewayBefore(
    { capabilities: told(true), methods: { 'tools/list': listOf(...tools) }, tools: { query: () => text('ran') } },
    { ...(upstream && { upstream }) },
  );
}

const base64 = (value: string): string => `=?base64?${Buffer.from(value).toString('base64')}?=`;

test.each<[string, object, ModernOptions['headers']]>([
  ['a string', { region: 'eu' }, { 'mcp-param-region': 'eu' }],
  ['a string in Base64', { region: 'größe' }, { 'mcp-param-region': base64('größe') }],
  ['an empty string', { region: '' }, { 'mcp-param-region': '' }],
  ['an integer', { limit: 42 }, { 'mcp-param-limit': '42' }],
  ['an integer that is written with a fraction', { limit: 42 }, { 'mcp-param-limit': '42.0' }],
  ['an integer with an exponent', { limit: 4200 }, { 'mcp-param-limit': '4.2e3' }],
  ['a truth', { force: true }, { 'mcp-param-force': 'true' }],
  ['something deeper', { where: { city: 'x' } }, { 'mcp-param-city': 'x' }],
  ['a null, which needs none', { region: null }, {}],
  ['nothing', {}, {}],
  ['what no header is for', { free: 'x' }, {}],
  ['a header that no tool knows', {}, { 'mcp-param-other': '=?base64?*?=' }],
])('a call is made whose headers say the same: %s [F11]', async (_what, args, headers = {}) => {
  const { gateway } = await querying();

  const answer = await callTool(gateway, 'query', args, { headers });

  expect([answer.status, answer.json.result?.content[0].text]).toEqual([200, 'ran']);
});

test.each<[string, object, ModernOptions['headers']]>([
  ['says something else', { region: 'eu' }, { 'mcp-param-region': 'us' }],
  ['differs in its letters', { region: 'eu' }, { 'mcp-param-region': 'EU' }],
  ['is missing', { region: 'eu' }, {}],
  ['is missing for something deeper', { where: { city: 'x' } }, {}],
  ['cannot be decoded', { region: 'eu' }, { 'mcp-param-region': '=?base64?ZX*?=' }],
  ['is there, and the argument is null', { region: null }, { 'mcp-param-region': 'null' }],
  ['is there, and the argument is not', {}, { 'mcp-param-region': 'eu' }],
  ['is another number', { limit: 42 }, { 'mcp-param-limit': '42.5' }],
  ['is no number', { limit: 42 }, { 'mcp-param-limit': 'forty-two' }],
  ['is no truth', { force: true }, { 'mcp-param-force': 'True' }],
])('a call is refused whose header %s, and does not reach the server [F11]', async (_what, args, headers = {}) => {
  const { gateway, upstream } = await querying();

  const answer = await callTool(gateway, 'query', args, { id: 8, headers });

  expect([answer.status, answer.json]).toMatchObject([
    400,
    { id: 8, error: { code: -32020, data: { reason: 'header_mismatch' } } },
  ]);
  expect(countOf(upstream, 'tools/call')).toBe(0);
});

test('numbers are compared as they are written, however large [F11]', async () => {
  const { gateway } = await querying();
  const limit = async (header: string) =>
    callTool(gateway, 'query', { limit: Number.MAX_SAFE_INTEGER }, { headers: { 'mcp-param-limit': header } });

  expect((await limit('9007199254740991.0')).status).toBe(200);
  expect((await limit('9007199254740992')).status).toBe(400);
});

test('no call is refused by a list that is out of date, told or not [F11]', async () => {
  for (const isTold of [true, false]) {
    const { gateway, upstream } = await gatewayBefore({
      capabilities: told(isTold),
      methods: { 'tools/list': listOf(QUERY) },
      tools: { query: () => text('ran') },
    });
    await modern(gateway, 'tools/list');

    upstream.behaviour.methods = { 'tools/list': listOf(tool('query')) };
    if (isTold) {
      say(upstream, 'notifications/tools/list_changed');
      await callTool(gateway, 'add');
    }

    expect((await callTool(gateway, 'query', { region: 'eu' })).status).toBe(200);
  }
});

test('a call is made though no list can be had: the server knows best [F11]', async () => {
  const { gateway } = await gatewayBefore({
    methods: {
      'tools/list': () => {
        throw new RpcError(-32603, 'not now');
      },
    },
    tools: { query: () => text('ran') },
  });

  expect((await callTool(gateway, 'query', { region: 'eu' })).json.result.content[0].text).toBe('ran');
});

test('headers that are honoured are shown in the list [F11]', async () => {
  const { gateway } = await querying();

  expect((await modern(gateway, 'tools/list')).json.result.tools).toEqual([QUERY]);
});

test('a tool whose headers are not valid is shown without them, and none is asked for [F11]', async () => {
  const properties = {
    a: { type: 'string', 'x-mcp-header': 'Same' },
    b: { type: 'string', 'x-mcp-header': 'same' },
  };
  const { gateway } = await querying({}, [{ name: 'query', inputSchema: { type: 'object', properties } }]);

  const { tools } = (await modern(gateway, 'tools/list')).json.result;

  expect(tools).toEqual([
    { name: 'query', inputSchema: { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } } },
  ]);
  expect((await callTool(gateway, 'query', { a: 'x' })).status).toBe(200);
});

test('with `paramHeaders: strip` no tool asks for a header, and none is checked [F12]', async () => {
  const { gateway } = await querying({ paramHeaders: 'strip' });

  const list = await modern(gateway, 'tools/list');
  const calls = [
    await callTool(gateway, 'query', { region: 'eu' }),
    await callTool(gateway, 'query', { region: 'eu' }, { headers: { 'mcp-param-region': 'us' } }),
  ];

  expect(list.text).not.toContain('x-mcp-header');
  expect(list.json.result.tools[0].inputSchema.properties.region).toEqual({ type: 'string' });
  expect(calls.map(({ status }) => status)).toEqual([200, 200]);
});

test('a client of an older revision sees the list as it is, and needs no headers [F11 F19]', async () => {
  const { gateway } = await querying();

  const list = await gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' });

  expect(list.json.result.tools).toEqual([QUERY]);
  expect((await gateway.call('query', { region: 'eu' })).status).toBe(200);
});
