// What a client of 2026-07-28 is answered: discover, the marks that every result has, what only older revisions say taken
// out, errors under codes of that revision, and everything else byte for byte.

import { expect, test } from 'vitest';
import { type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, type Behaviour, RpcError, text } from '../support/legacy-behaviour.ts';
import { callTool, modern, modernMessage } from '../support/modern-client.ts';

const SERVER_INFO = 'io.modelcontextprotocol/serverInfo';
const SERVER = { name: 'scripted-legacy-server', version: '1.0.0' };
const STAMP = `"resultType":"complete","_meta":{"${SERVER_INFO}":${JSON.stringify(SERVER)}}`;
const CACHED = `"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{"${SERVER_INFO}":${JSON.stringify(SERVER)}}`;

const ALL = { tools: {}, prompts: {}, resources: {}, completions: {}, logging: {} };

const METHODS: Behaviour['methods'] = {
  'prompts/list': () => ({ prompts: [] }),
  'prompts/get': () => ({ messages: [] }),
  'resources/list': () => ({ resources: [] }),
  'resources/templates/list': () => ({ resourceTemplates: [] }),
  'resources/read': () => ({ contents: [{ uri: 'file:///a', text: 'a' }] }),
  'completion/complete': () => ({ completion: { values: [] } }),
};

/** An initialize that answers with these bytes in place of the members after the version. */
const handshake =
  (members: string): Answerer =>
  (call) =>
    Buffer.from(`{"protocolVersion":${JSON.stringify(call.message.params?.['protocolVersion'])},${members}}`);

const fails =
  (code: number, message = 'as the server says', data?: unknown): Answerer =>
  () => {
    throw new RpcError(code, message, data);
  };

/** The bytes of the member `result`. */
const resultIn = (answer: string): string => /"result":(.*)\}$/s.exec(answer)?.[1] ?? '';

// discover

test('discover works first, and says what is there [F20 F21]', async () => {
  const { gateway } = await gatewayBefore({ capabilities: { tools: { listChanged: true }, logging: {} } });

  const answer = await modern(gateway, 'server/discover', {}, { id: 'd' });

  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json']);
  expect(answer.json).toEqual({
    jsonrpc: '2.0',
    id: 'd',
    result: {
      resultType: 'complete',
      supportedVersions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26'],
      capabilities: { tools: { listChanged: true }, logging: {} },
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { [SERVER_INFO]: SERVER },
    },
  });
});

test('every version that discover names is served on this URL [F7 F20]', async () => {
  const { gateway } = await gatewayBefore();
  const { supportedVersions } = (await modern(gateway, 'server/discover')).json.result;

  for (const protocolVersion of supportedVersions.slice(1)) {
    const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'old', version: '1' } };
    const opened = await gateway.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
    expect(opened.json.result.protocolVersion).toBe(protocolVersion);
  }
  expect(supportedVersions[0]).toBe('2026-07-28');
});

test('discover says what the server says of itself, without tasks and extensions [F20 F29]', async () => {
  const initialize = handshake(
    '"capabilities":{"tasks":{"list":{}},"tools":{ },"extensions":{"x/y":{}},"experimental":{"n":12345678901234567890}},' +
      '"serverInfo":{"name":"n","version":"1","title":"T\\u00fc","icons":[]},"instructions":"use \\u0061 lot"',
  );
  const { gateway } = await gatewayBefore({ methods: { initialize } });

  const answer = await modern(gateway, 'server/discover');

  expect(answer.text).toContain('"capabilities":{"tools":{ },"experimental":{"n":12345678901234567890}}');
  expect(answer.text).toContain('"instructions":"use \\u0061 lot"');
  expect(answer.text).toContain(`"${SERVER_INFO}":{"name":"n","version":"1","title":"T\\u00fc","icons":[]}`);
});

test('behind an open link discover asks the upstream nothing [F20]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');
  const first = await modern(gateway, 'server/discover');
  const before = upstream.received.length;

  const again = await Promise.all(Array.from({ length: 20 }, () => modern(gateway, 'server/discover')));

  expect(again.map((answer) => answer.text)).toEqual(Array.from({ length: 20 }, () => first.text));
  expect(upstream.received).toHaveLength(before);
});

test.each<[string, Partial<Behaviour>, GatewayConfig]>([
  ['never answers', { get: { until: new Promise(() => {}) } }, { timeouts: { headers: '50ms' } }],
  [
    'never answers initialize',
    { methods: { initialize: () => new Promise(() => {}) } },
    { timeouts: { initialize: '50ms' } },
  ],
  ['is no MCP server', { get: { status: 404 } }, {}],
  ['refuses', { get: { status: 503 } }, {}],
])('a cold upstream that %s makes discover 5xx in time, never 4xx [A11 F20]', async (_what, behaviour, config) => {
  const { gateway } = await gatewayBefore(behaviour, config);

  const answer = await modern(gateway, 'server/discover', {}, { id: 1 });

  expect([502, 503, 504]).toContain(answer.status);
  expect(answer.json).toMatchObject({ id: 1, error: { code: -32603 } });
});

test('an upstream that is down is told as it was known last [F20]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const known = await modern(gateway, 'server/discover');
  await upstream.stop();

  const answer = await modern(gateway, 'server/discover');

  expect([answer.status, answer.text]).toEqual([200, known.text]);
});

test('an upstream that comes back as another one is told anew [F20]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { reconnect: { min: '10ms', max: '20ms' } });
  await modern(gateway, 'server/discover');
  await upstream.stop();
  upstream.behaviour.capabilities = { prompts: {} };
  await upstream.start();
  await upstream.nextRequest('notifications/initialized');
  await upstream.nextRequest('notifications/initialized');
  await modern(gateway, 'prompts/list');

  const answer = await modern(gateway, 'server/discover');

  expect(answer.json.result.capabilities).toEqual({ prompts: {} });
});

// Stamps

const CACHEABLE = [
  ['server/discover', {}],
  ['tools/list', {}],
  ['prompts/list', {}],
  ['resources/list', {}],
  ['resources/templates/list', {}],
  ['resources/read', { uri: 'file:///a' }],
] as const;
const OTHERS = [
  ['tools/call', { name: 'add', arguments: { a: 1, b: 2 } }],
  ['prompts/get', { name: 'p' }],
  ['completion/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: '' } }],
] as const;

test.each(CACHEABLE)('the result of %s may be kept as long as `cache:` says [F21 F22 F23]', async (method, params) => {
  const { gateway } = await gatewayBefore(
    { capabilities: ALL, methods: METHODS },
    { upstream: { cache: { ttl: '90s', scope: 'public' } } },
  );

  const { json } = await modern(gateway, method, params);

  expect(json.result).toMatchObject({
    resultType: 'complete',
    ttlMs: 90_000,
    cacheScope: 'public',
    _meta: { [SERVER_INFO]: SERVER },
  });
});

test.each(OTHERS)('the result of %s is marked, and may not be kept [F21 F22 F24]', async (method, params) => {
  const { gateway } = await gatewayBefore({ capabilities: ALL, methods: METHODS });

  const { json } = await modern(gateway, method, params);

  expect(json.result).toMatchObject({ resultType: 'complete', _meta: { [SERVER_INFO]: SERVER } });
  expect(json.result).not.toHaveProperty('ttlMs');
  expect(json.result).not.toHaveProperty('cacheScope');
});

test('what the server itself says in the place of our marks does not count [F22 F23]', async () => {
  const list =
    '{"resultType":"task","ttlMs":-1,"tools":[],"cacheScope":"everybody","_meta":{"io.modelcontextprotocol/serverInfo":1,"x":1}}';
  const { gateway } = await gatewayBefore({ methods: { 'tools/list': () => Buffer.from(list) } });

  const { json } = await modern(gateway, 'tools/list');

  expect(json.result).toEqual({
    resultType: 'complete',
    ttlMs: 0,
    cacheScope: 'private',
    tools: [],
    _meta: { [SERVER_INFO]: SERVER, x: 1 },
  });
});

test.each(['[]', '"text"', 'null', '1'])('a result that is %s is no result', async (result) => {
  const { gateway } = await gatewayBefore({ tools: { odd: () => Buffer.from(result) } });

  const answer = await callTool(gateway, 'odd', {}, { id: 3 });

  expect([answer.status, answer.json]).toMatchObject([
    200,
    { id: 3, error: { code: -32603, data: { reason: 'upstream_result_invalid' } } },
  ]);
});

// What only older revisions say

test('tools lose what 2025-11-25 alone has, and those that need a task are not shown [F29]', async () => {
  const tools = [
    '{"name":"plain","inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}',
    '{"name":"task","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}}',
    '{"name":"typeless","inputSchema":{}}',
    '{"inputSchema":{"type":"object","x":1.0},"name":"last"}',
  ];
  const { gateway } = await gatewayBefore({
    methods: { 'tools/list': () => Buffer.from(`{"tools":[${tools.join()}]}`) },
  });

  const answer = await modern(gateway, 'tools/list');

  expect(resultIn(answer.text)).toBe(
    `{${CACHED},"tools":[{"name":"plain","inputSchema":{"type":"object"}},` +
      '{"name":"typeless","inputSchema":{"type":"object"}},{"inputSchema":{"type":"object","x":1.0},"name":"last"}]}',
  );
});

test('a result is of no task, whatever it says [F29]', async () => {
  const meta =
    '{"a":1,"io.modelcontextprotocol/related-task":{"taskId":"t"},"io.modelcontextprotocol/model-immediate-response":"x"}';
  const { gateway } = await gatewayBefore({ tools: { t: () => Buffer.from(`{"content":[],"_meta":${meta}}`) } });

  const { json } = await callTool(gateway, 't');

  expect(json.result).toEqual({ resultType: 'complete', content: [], _meta: { [SERVER_INFO]: SERVER, a: 1 } });
});

// Errors

test.each([
  ['−32601 of a method that it offers', -32601, -32601],
  ['−32602', -32602, -32602],
  ['−32603', -32603, -32603],
  ['−32600', -32600, -32600],
  ['−32700', -32700, -32700],
  ['−1', -1, -1],
  ['a code of its own', 4711, 4711],
])('%s stays as it is, in a 200 [F27 F28]', async (_what, code, told) => {
  const { gateway } = await gatewayBefore({ tools: { t: fails(code, 'why', { a: 1 }) } });

  const answer = await callTool(gateway, 't', {}, { id: 3 });

  expect([answer.status, answer.json]).toEqual([
    200,
    { jsonrpc: '2.0', id: 3, error: { code: told, message: 'why', data: { a: 1 } } },
  ]);
});

test.each([-32000, -32001, -32002, -32019, -32020, -32021, -32022, -32042, -32050, -32099])(
  'the code %i of an older server is an internal error that holds it [F27]',
  async (code) => {
    const { gateway } = await gatewayBefore({ tools: { t: fails(code, 'why', { a: 1 }) } });

    const answer = await callTool(gateway, 't');

    expect([answer.status, answer.json.error]).toEqual([
      200,
      { code: -32603, message: 'why', data: { upstream: { code, message: 'why', data: { a: 1 } } } },
    ]);
  },
);

test.each([
  ['tools/list', -32042],
  ['prompts/list', -32002],
  ['resources/list', -32021],
  ['completion/complete', -32042],
])('%s with %i is an internal error, and asks nobody for anything [F27 F48]', async (method, code) => {
  const { gateway } = await gatewayBefore({
    capabilities: ALL,
    methods: { ...METHODS, [method]: fails(code, 'why', { elicitations: [] }) },
  });

  const answer = await modern(gateway, method, {}, { capabilities: { elicitation: { url: {} } } });

  expect([answer.status, answer.json.error?.code]).toEqual([200, -32603]);
});

test('a missing resource is −32602 with its address, whatever the server calls it [F26]', async () => {
  const { gateway } = await gatewayBefore({
    capabilities: ALL,
    methods: { 'resources/read': fails(-32002, 'not found', { why: 'x' }) },
  });

  const answer = await modern(gateway, 'resources/read', { uri: 'file:///a b' });

  expect([answer.status, answer.json.error]).toEqual([
    200,
    { code: -32602, message: 'not found', data: { uri: 'file:///a b', why: 'x' } },
  ]);
});

test('an error of a list is not kept: the next is fetched [F27]', async () => {
  const { gateway, upstream } = await gatewayBefore({ methods: { 'tools/list': fails(-32603, 'not now') } });
  const first = await modern(gateway, 'tools/list');
  upstream.behaviour.methods = {};

  const second = await modern(gateway, 'tools/list');

  expect([first.json.error.message, second.json.result.resultType]).toEqual(['not now', 'complete']);
});

// Byte for byte

const ODD =
  '{ "n":12345678901234567890 , "f":1.0,"e":1e400,"s":"\\u0061\\ud800\\/","__proto__":{"a":null},"content":[ ],"x":{"y":[1,1.10]}}';

test('all that is not ours crosses byte for byte [F22]', async () => {
  const { gateway } = await gatewayBefore({ tools: { odd: () => Buffer.from(ODD) } });

  const answer = await callTool(gateway, 'odd');

  expect(resultIn(answer.text)).toBe(`{${STAMP},${ODD.slice(1)}`);
});

test('structured content may be anything [F22]', async () => {
  const { gateway } = await gatewayBefore({
    tools: { odd: () => Buffer.from('{"content":[],"structuredContent":[1.0,"2"]}') },
  });

  expect((await callTool(gateway, 'odd')).text).toContain('"structuredContent":[1.0,"2"]');
});

test('a list crosses as it is written, in its order [F25]', async () => {
  const tools =
    '[ {"name":"z","inputSchema":{"type":"object","minimum":1.50}, "x":"\\u0061"} , {"name":"a","inputSchema":{"type":"object"}}]';
  const { gateway } = await gatewayBefore({
    methods: { 'tools/list': () => Buffer.from(`{"tools":${tools},"y":1e2}`) },
  });

  const answer = await modern(gateway, 'tools/list');

  expect(resultIn(answer.text)).toBe(`{${CACHED},"tools":${tools},"y":1e2}`);
});

// What is there

test.each([
  ['prompts/list', {}],
  ['prompts/get', { name: 'p' }],
  ['resources/list', {}],
  ['resources/templates/list', {}],
  ['resources/read', { uri: 'file:///a' }],
  ['completion/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: '' } }],
] as const)('%s is 404 where it is not offered, and served where it is [F14]', async (method, params) => {
  const { gateway: without } = await gatewayBefore({ capabilities: { tools: {} } });
  const { gateway: with_ } = await gatewayBefore({ capabilities: ALL, methods: METHODS });

  const refused = await modern(without, method, params, { id: 9 });
  const served = await modern(with_, method, params);

  expect([refused.status, refused.json]).toMatchObject([404, { id: 9, error: { code: -32601 } }]);
  expect([served.status, served.json.result.resultType]).toEqual([200, 'complete']);
});

test('a method that is offered and yet not there is −32601 in a 200 [F14]', async () => {
  const { gateway } = await gatewayBefore({ capabilities: ALL });

  const list = await modern(gateway, 'prompts/list');
  const got = await modern(gateway, 'prompts/get', { name: 'p' });

  expect([list.status, list.json.error.code]).toEqual([200, -32601]);
  expect([got.status, got.json.error.code]).toEqual([200, -32601]);
});

test('a server of before 2025-03-26 completes though it could not say so [F14]', async () => {
  const { gateway } = await gatewayBefore({ protocolVersion: '2024-11-05', capabilities: {}, methods: METHODS });

  const params = { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: '' } };

  expect((await modern(gateway, 'completion/complete', params)).json.result.completion).toEqual({ values: [] });
});

// Losses

test.each([
  ['tools/list', {}],
  ['prompts/list', {}],
  ['resources/read', { uri: 'file:///a' }],
  ['prompts/get', { name: 'p' }],
  ['completion/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: '' } }],
] as const)('%s is asked for once more after its link was lost, and no more [G16]', async (method, params) => {
  const { gateway, upstream } = await gatewayBefore({ capabilities: ALL, methods: METHODS });
  const answered = upstream.behaviour.methods;
  let count = 0;
  const loses = (times: number): Behaviour['methods'] => ({
    ...answered,
    [method]: (call) => {
      if (++count > times) return answered[method]?.(call) ?? { tools: [] };
      upstream.cutStreams();
      return new Promise(() => {});
    },
  });

  upstream.behaviour.methods = loses(1);
  const once = await modern(gateway, method, params);
  count = 0;
  upstream.behaviour.methods = loses(2);
  const twice = await modern(gateway, method, params);

  expect([once.status, once.json.result?.resultType]).toEqual([200, 'complete']);
  expect([twice.status, twice.json.error?.data.reason]).toEqual([200, 'upstream_session_lost']);
  expect(count).toBe(2);
});

test('a list whose message was refused with its session is asked for on another link [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');
  let refused = 0;
  upstream.behaviour.post = ({ method }) =>
    method === 'tools/list' && refused++ === 0 ? { status: 404, body: 'no such session' } : 'accepted';

  const answer = await modern(gateway, 'tools/list');

  expect([answer.status, answer.json.result?.resultType]).toEqual([200, 'complete']);
  expect(upstream.gets).toHaveLength(2);
});

test('a tool is never called twice, however its link is lost [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const reply = callTool(gateway, 'never', {}, { id: 6 });
  await upstream.nextCall('never');

  upstream.cutStreams();
  const answer = await reply;
  await callTool(gateway, 'add', { a: 1, b: 1 });

  expect([answer.status, answer.json]).toMatchObject([
    200,
    { id: 6, error: { code: -32603, data: { reason: 'upstream_session_lost', outcome: 'unknown' } } },
  ]);
  const calls = upstream.received.filter(({ message }) => message.params?.['name'] === 'never');
  expect(calls).toHaveLength(1);
});

test('a tool whose message was refused never ran, and is called once more [G16]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');
  let refused = 0;
  upstream.behaviour.post = ({ method }) =>
    method === 'tools/call' && refused++ === 0 ? { status: 404, body: 'no such session' } : 'accepted';

  const answer = await callTool(gateway, 'add', { a: 1, b: 2 });

  expect([answer.status, answer.json.result.content]).toEqual([200, [{ type: 'text', text: '3' }]]);
  expect(refused).toBe(2);
});

// What the upstream sees

/** The tools/call as it came to the upstream. */
async function sentFor(config: Parameters<typeof modernMessage>[2], params: object = {}) {
  const { gateway, upstream } = await gatewayBefore({ tools: { t: () => text('') } });
  const message = modernMessage('tools/call', { name: 't', arguments: {}, ...params }, config);
  await gateway.send('POST', '/mcp', message.headers, message.body);
  const received = (await upstream.nextRequest('tools/call')).message.params ?? {};
  return { params: received, upstream };
}

test('nothing of the envelope reaches the upstream, and nothing is left of a _meta that was nothing else [G6]', async () => {
  const capabilities = { sampling: {}, roots: {} };

  const { params, upstream } = await sentFor({ capabilities }, { task: { ttl: 1 }, inputResponses: {} });

  expect(params).toEqual({ name: 't', arguments: {} });
  for (const { message } of upstream.received.filter(({ message: { method } }) => method !== 'initialize')) {
    expect(JSON.stringify(message)).not.toContain('io.modelcontextprotocol/');
  }
});

test('what else a _meta holds reaches the upstream [G6]', async () => {
  const { params } = await sentFor({ meta: { 'vendor.example/x': { y: [1] }, traceparent: 'as it is' } });

  expect(params['_meta']).toEqual({ 'vendor.example/x': { y: [1] }, traceparent: 'as it is' });
});

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('a trace in the headers goes on in _meta [G6]', async () => {
  const headers = { traceparent: PARENT, tracestate: 'a=1', baggage: 'user=ada' };

  const { params } = await sentFor({ headers });

  expect(params['_meta']).toEqual(headers);
});

test('a trace in _meta is the one that counts, and one that is none is left out [G6]', async () => {
  const headers = { traceparent: PARENT, tracestate: 'a=1', baggage: 'a b' };

  const { params } = await sentFor({ headers, meta: { traceparent: 'of the body' } });

  expect(params['_meta']).toEqual({ traceparent: 'of the body' });
});
