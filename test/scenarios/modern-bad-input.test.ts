// What a client of 2026-07-28 can get wrong in a request, and what it is told: by codes of that revision, since it takes
// other 4xx for the word of an older server. What it can get wrong in HTTP is in bad-http.test.ts.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Gateway, JSON_HEADERS, eventsOf, gatewayBefore, replyIn, requestBytes } from '../support/gateway.ts';
import { RpcError } from '../support/legacy-behaviour.ts';
import { MODERN, callTool, modern, openModern } from '../support/modern-client.ts';

const VERSION = '"io.modelcontextprotocol/protocolVersion":"2026-07-28"';
const CAPABILITIES = '"io.modelcontextprotocol/clientCapabilities":{}';
const ENVELOPE = `${VERSION},${CAPABILITIES}`;
const ID = '"7é"';

const OFFERED = { capabilities: { tools: {}, prompts: {}, resources: {}, logging: {} } };

interface Body {
  readonly method?: string;
  /** Members of params beside `_meta`. */
  readonly params?: string;
  /** The bytes of `_meta`; null: there is none. */
  readonly meta?: string | null;
  readonly id?: string;
}

function bodyOf({ method = 'tools/list', params = '', meta = `{${ENVELOPE}}`, id = ID }: Body): string {
  const members = [params, meta === null ? '' : `"_meta":${meta}`].filter((member) => member !== '');
  return `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${members.join()}}}`;
}

const HEADERS = { ...JSON_HEADERS, 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/list' };
const CALL = { method: 'tools/call', params: '"name":"add","arguments":{}' };
const CALLING = { 'mcp-method': 'tools/call', 'mcp-name': 'add' };
/** The header is not sent. */
const NONE = undefined;

/** Beside the usual ones, or instead of them. */
type Sent = Readonly<Record<string, string | undefined>>;

interface Refusal {
  readonly what: string;
  readonly body: string;
  readonly headers?: Sent;
  readonly status: number;
  readonly code: number;
  readonly reason: string;
  /** The bytes of the id that is echoed. */
  readonly id?: string | null;
  readonly rows: string;
}

const mismatch = (what: string, body: Body, headers: Sent, rows: string): Refusal => ({
  what,
  body: bodyOf(body),
  headers,
  status: 400,
  code: -32020,
  reason: 'header_mismatch',
  rows: `${rows} [T27]`,
});
const incomplete = (what: string, meta: string | null, rows = '[F2]'): Refusal => ({
  what,
  body: bodyOf({ meta }),
  status: 400,
  code: -32602,
  reason: 'envelope_incomplete',
  rows,
});
const invalid = (what: string, body: string, rows: string, id: string | null = null): Refusal => ({
  what,
  body,
  status: 400,
  code: -32600,
  reason: 'invalid_request',
  id,
  rows,
});
const unknown = (method: string, body: Body = {}): Refusal => ({
  what: `the method ${method}`,
  body: bodyOf({ method, ...body }),
  headers: { 'mcp-method': method },
  status: 404,
  code: -32601,
  reason: 'method_unknown',
  rows: method in {} ? '[F13 T21]' : '[F13]',
});
const unsupported = (what: string, version: string, headers: Sent = {}): Refusal => ({
  what,
  body: bodyOf({ meta: `{"io.modelcontextprotocol/protocolVersion":"${version}",${CAPABILITIES}}` }),
  headers: { 'mcp-protocol-version': version, ...headers },
  status: 400,
  code: -32022,
  reason: 'unsupported_version',
  rows: '[F6]',
});

const REFUSALS: readonly Refusal[] = [
  incomplete('no _meta', null),
  incomplete('an empty _meta', '{}'),
  incomplete('a _meta without the version', `{${CAPABILITIES}}`),
  incomplete('a _meta without the capabilities', `{${VERSION}}`),
  incomplete('capabilities that are an array', `{${VERSION},"io.modelcontextprotocol/clientCapabilities":[]}`),
  incomplete('capabilities that are null', `{${VERSION},"io.modelcontextprotocol/clientCapabilities":null}`),
  incomplete('a version that is a number', `{"io.modelcontextprotocol/protocolVersion":20260728,${CAPABILITIES}}`),
  incomplete('a _meta that is a string', '"2026-07-28"'),
  incomplete('a _meta that is a number', '20260728'),
  incomplete('a _meta that is an array', `[{${ENVELOPE}}]`),
  incomplete('a _meta that is null', 'null'),
  {
    ...incomplete('no params', null),
    body: `{"jsonrpc":"2.0","id":${ID},"method":"tools/list"}`,
  },

  mismatch('no version header', {}, { 'mcp-protocol-version': NONE }, '[F4]'),
  mismatch('an older version in the header', {}, { 'mcp-protocol-version': '2025-11-25' }, '[F5]'),
  mismatch('an unknown version in the header', {}, { 'mcp-protocol-version': '1900-01-01' }, '[F5]'),
  mismatch(
    'two unknown versions',
    { meta: `{"io.modelcontextprotocol/protocolVersion":"1900-01-02",${CAPABILITIES}}` },
    { 'mcp-protocol-version': '1900-01-01' },
    '[F5]',
  ),
  mismatch(
    'an older version in the body alone',
    { meta: `{"io.modelcontextprotocol/protocolVersion":"2025-06-18",${CAPABILITIES}}` },
    { 'mcp-protocol-version': '2025-11-25' },
    '[F5]',
  ),
  unsupported('the version 1900-01-01', '1900-01-01'),
  unsupported('the version 2099-01-01', '2099-01-01'),
  unsupported('the draft version', 'DRAFT-2026-v1'),

  mismatch('no Mcp-Method', {}, { 'mcp-method': NONE }, '[F8]'),
  mismatch('an empty Mcp-Method', {}, { 'mcp-method': '' }, '[F8]'),
  mismatch('another Mcp-Method', {}, { 'mcp-method': 'tools/call' }, '[F8]'),
  mismatch('Mcp-Method in capitals', {}, { 'mcp-method': 'TOOLS/LIST' }, '[F8]'),
  mismatch('Mcp-Method in Base64', {}, { 'mcp-method': '=?base64?dG9vbHMvbGlzdA==?=' }, '[F8]'),

  mismatch('a tool without Mcp-Name', CALL, { 'mcp-method': 'tools/call' }, '[F9]'),
  mismatch('another tool in Mcp-Name', CALL, { ...CALLING, 'mcp-name': 'count' }, '[F9]'),
  mismatch('Mcp-Name in capitals', CALL, { ...CALLING, 'mcp-name': 'ADD' }, '[F9]'),
  mismatch(
    'a prompt without Mcp-Name',
    { method: 'prompts/get', params: '"name":"p"' },
    { 'mcp-method': 'prompts/get' },
    '[F9]',
  ),
  mismatch(
    'a resource under another Mcp-Name',
    { method: 'resources/read', params: '"uri":"file:///a"' },
    { 'mcp-method': 'resources/read', 'mcp-name': 'file:///b' },
    '[F9]',
  ),
  mismatch(
    'Base64 that is padded wrongly',
    { ...CALL, params: '"name":"a"' },
    { ...CALLING, 'mcp-name': '=?base64?YQ=?=' },
    '[F10]',
  ),
  mismatch('Base64 of another alphabet', CALL, { ...CALLING, 'mcp-name': '=?base64?YW*k?=' }, '[F10]'),
  mismatch('Base64 that is no UTF-8', CALL, { ...CALLING, 'mcp-name': '=?base64?/w==?=' }, '[F10]'),
  mismatch(
    'Base64 with spare bits',
    { ...CALL, params: '"name":"a"' },
    { ...CALLING, 'mcp-name': '=?base64?YR==?=' },
    '[F10]',
  ),
  mismatch('a marker without an end', CALL, { ...CALLING, 'mcp-name': '=?base64?YWRk' }, '[F10]'),
  mismatch('a marker in capitals is what it says', CALL, { ...CALLING, 'mcp-name': '=?BASE64?YWRk?=' }, '[F10]'),
  mismatch('eight KiB of a marker', CALL, { ...CALLING, 'mcp-name': '=?base64?'.repeat(910) }, '[F10]'),
  mismatch(
    '64 KiB of a marker in the body',
    { ...CALL, params: `"name":"${'=?base64?'.repeat(7282)}"` },
    { ...CALLING, 'mcp-name': '=?base64??=' },
    '[F10]',
  ),

  ...['initialize', 'ping', 'logging/setLevel', 'tasks/get', 'tasks/list', 'x/unknown', 'toString', '__proto__'].map(
    (method) => unknown(method),
  ),
  // A removed method is unknown: nothing more is asked of it.
  unknown('resources/subscribe', { params: '"uri":"file:///a"' }),
  unknown('resources/unsubscribe', { params: '"uri":"file:///a"' }),

  invalid('an array', `[${bodyOf({})}]`, '[F15]'),
  invalid('an empty array', '[]', '[F15]'),
  invalid('a result', '{"jsonrpc":"2.0","id":1,"result":{}}', '[F15]'),
  invalid('an error', '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}', '[F15]'),
  invalid('positional parameters', `{"jsonrpc":"2.0","id":${ID},"method":"tools/list","params":[]}`, '[F15]', ID),
  invalid('no method', `{"jsonrpc":"2.0","id":${ID},"params":{"_meta":{${ENVELOPE}}}}`, '[F15]', ID),
  invalid('another JSON-RPC', bodyOf({}).replace('"2.0"', '"1.0"'), '[F15]', ID),
  invalid('the version twice', bodyOf({ meta: `{${ENVELOPE},${VERSION}}` }), '[F2]', ID),
  invalid('the id null', bodyOf({ id: 'null' }), '[F15]'),
  {
    ...invalid('half a message', bodyOf({}).slice(0, -1), '[F15]'),
    code: -32700,
    reason: 'parse_error',
  },
];

function headersWith(given: Sent = {}): Record<string, string> {
  const sent = Object.entries({ ...HEADERS, ...given }).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  );
  return Object.fromEntries(sent);
}

/** The bytes of the member `id`. */
const idIn = (text: string): string | null =>
  /^\{"jsonrpc":"2\.0","id":(.*?),"(?:error|result)"/.exec(text)?.[1] ?? null;

test.each(REFUSALS)('$what: $status, $code $rows', async ({ body, headers, status, code, reason, id = ID }) => {
  const { gateway, upstream } = await gatewayBefore(OFFERED);

  const answer = await gateway.send('POST', '/mcp', headersWith(headers), body);

  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.json).toMatchObject({ jsonrpc: '2.0', error: { code, data: { reason } } });
  expect(idIn(answer.text)).toBe(id);
  expect(answer.json.error.message.length).toBeLessThan(400);
  expect(
    upstream.received.filter(({ message }) => message.id !== undefined && message.method !== 'initialize'),
  ).toEqual([]);
});

test.each(['7', '-3', '0', '"7"', '""', '9007199254740993', '"a\\u0062\\ud800"', `"${'x'.repeat(5000)}"`])(
  'the id %s comes back as it was written, of an answer and of a refusal [F2]',
  async (id) => {
    const { gateway } = await gatewayBefore();

    const answered = await gateway.post(bodyOf({ id }), HEADERS);
    const refused = await gateway.post(bodyOf({ id, meta: '{}' }), HEADERS);

    expect([answered.status, idIn(answered.text)]).toEqual([200, id]);
    expect([refused.status, idIn(refused.text)]).toEqual([400, id]);
  },
);

test('a request stands alone: any may be the first of a connection, and clientInfo may be missing [F1 F3]', async () => {
  const { gateway } = await gatewayBefore();
  const firsts = [bodyOf(CALL), bodyOf({ method: 'server/discover' }), bodyOf({})];
  const given = [{ ...HEADERS, ...CALLING }, { ...HEADERS, 'mcp-method': 'server/discover' }, HEADERS];

  for (const [index, body] of firsts.entries()) {
    const client = await gateway.connect();
    const length = ['content-length', String(Buffer.byteLength(body))] as const;
    const headers = Object.entries(given[index] ?? {});

    client.write(requestBytes('POST', '/mcp', [['host', 'localhost'], length, ...headers], body));

    expect(replyIn(await client.until('}}')).status).toBe(200);
    client.leave();
  }
});

test.each([
  ['as it is', 'add', 'add'],
  ['in Base64', 'add', '=?base64?YWRk?='],
  ['with white space around it', 'add', ' \t add \t '],
  ['of other letters, in Base64', 'größe', `=?base64?${Buffer.from('größe').toString('base64')}?=`],
  ['that looks like a marker, in Base64', '=?base64?YWRk?=', '=?base64?PT9iYXNlNjQ/WVdSaz89?='],
  ['that is nearly a marker', '=?BASE64?YWRk?=', '=?BASE64?YWRk?='],
])('a name %s is the name of the tool [F9 F10]', async (_how, name, header) => {
  const { gateway } = await gatewayBefore({ tools: { [name]: () => ({ content: [] }) } });

  const answer = await callTool(gateway, name, {}, { headers: { 'mcp-name': header } });

  expect([answer.status, answer.json.result?.content]).toEqual([200, []]);
});

test('a name with spaces inside is sent as it is, and an empty one is an empty header [F9]', async () => {
  const { gateway } = await gatewayBefore({ tools: { 'a  b': () => ({ content: [] }), '': () => ({ content: [] }) } });

  for (const name of ['a  b', '']) expect((await callTool(gateway, name)).json.result?.content).toEqual([]);
});

test('names of headers may be written in any letters [F8 F9]', async () => {
  const { gateway } = await gatewayBefore();
  const body = bodyOf(CALL);

  const answer = await gateway.send(
    'POST',
    '/mcp',
    { ...JSON_HEADERS, 'MCP-PROTOCOL-VERSION': MODERN, 'mCP-mETHOD': 'tools/call', 'MCP-NAME': 'add' },
    body,
  );

  expect(answer.status).toBe(200);
});

type Line = readonly [name: string, value: string];

/** What the gateway answers to these header lines. */
async function answerTo(gateway: Gateway, lines: readonly Line[], body: string) {
  const client = await gateway.connect();
  const headers: Line[] = [['host', 'localhost'], ['content-length', String(Buffer.byteLength(body))], ...lines];
  client.write(Buffer.from(requestBytes('POST', '/mcp', headers), 'latin1'));
  client.write(body);
  const reply = replyIn(await client.until('}}'));
  client.leave();
  return reply;
}

test.each([
  ['mcp-protocol-version', MODERN],
  ['mcp-method', 'tools/call'],
  ['mcp-name', 'add'],
])('%s twice is refused, even if both say the same [F5 F8 F9 T27]', async (name, value) => {
  const { gateway, upstream } = await gatewayBefore();
  const once = Object.entries({ ...HEADERS, ...CALLING });

  const same = await answerTo(gateway, [...once, [name, value]], bodyOf(CALL));
  const other = await answerTo(gateway, [[name, 'other'], ...once], bodyOf(CALL));

  expect([same.status, same.json]).toMatchObject([400, { error: { code: -32020 } }]);
  expect([other.status, other.json]).toMatchObject([400, { error: { code: -32020 } }]);
  expect(upstream.received.map(({ message }) => message.method)).not.toContain('tools/call');
});

test.each([
  ['Latin-1', 'gr\xf6\xdfe'],
  ['UTF-8', Buffer.from('größe').toString('latin1')],
  ['a control character', 'gr\x01e'],
])('%s in Mcp-Name is refused, whatever the body says [F9]', async (_what, value) => {
  const { gateway } = await gatewayBefore();
  const body = bodyOf({ method: 'tools/call', params: '"name":"größe","arguments":{}' });
  const headers = { ...HEADERS, 'mcp-method': 'tools/call', 'mcp-name': value };

  const answer = await answerTo(gateway, Object.entries(headers), body);

  expect(answer.status).toBe(400);
});

test('64 KiB of a marker in a header are too much for any header [T22]', async () => {
  const { gateway } = await gatewayBefore();

  const answer = await answerTo(
    gateway,
    Object.entries({ ...HEADERS, ...CALLING, 'mcp-name': '=?base64?'.repeat(7282) }),
    bodyOf(CALL),
  );

  expect([answer.status, answer.json]).toMatchObject([431, { error: { data: { reason: 'headers_too_large' } } }]);
});

// Of two faults that are there at once, the first is told
test.each([
  ['a foreign page, before a missing key', 403, -32600, 'origin_refused', { origin: 'https://evil.example' }, '{'],
  ['a missing key, before JSON', 401, -32600, 'unauthorized', {}, '{'],
  ['JSON, before headers', 400, -32700, 'parse_error', { 'mcp-method': 'x' }, '{'],
  ['its shape, before headers', 400, -32600, 'invalid_request', { 'mcp-method': 'x' }, '[]'],
  [
    'no version header, before the envelope',
    400,
    -32020,
    'header_mismatch',
    { 'mcp-protocol-version': NONE },
    { meta: `{${VERSION}}` },
  ],
  [
    'another version, before the envelope',
    400,
    -32020,
    'header_mismatch',
    { 'mcp-protocol-version': '2025-11-25' },
    { meta: `{${VERSION}}` },
  ],
  ['the envelope, before Mcp-Method', 400, -32602, 'envelope_incomplete', { 'mcp-method': NONE }, { meta: '{}' }],
  [
    'the envelope, before a version that nobody serves',
    400,
    -32602,
    'envelope_incomplete',
    { 'mcp-protocol-version': '1900-01-01' },
    { meta: '{"io.modelcontextprotocol/protocolVersion":"1900-01-01"}' },
  ],
  [
    'the version, before Mcp-Method',
    400,
    -32022,
    'unsupported_version',
    { 'mcp-protocol-version': '1900-01-01', 'mcp-method': 'x' },
    { meta: `{"io.modelcontextprotocol/protocolVersion":"1900-01-01",${CAPABILITIES}}` },
  ],
  ['Mcp-Method, before the method', 400, -32020, 'header_mismatch', {}, { method: 'x/unknown' }],
  [
    'the method, before Mcp-Name',
    404,
    -32601,
    'method_unknown',
    { 'mcp-method': 'resources/subscribe' },
    { method: 'resources/subscribe', params: '"uri":"file:///a"' },
  ],
  [
    'Mcp-Name, before the parameters',
    400,
    -32020,
    'header_mismatch',
    { 'mcp-method': 'tools/call' },
    { ...CALL, meta: `{${ENVELOPE},"io.modelcontextprotocol/logLevel":"loud"}` },
  ],
  ['the parameters', 200, -32602, 'invalid_params', {}, { params: '"cursor":"x"' }],
] as const)('told first: %s [F5 F6 F13]', async (_what, status, code, reason, headers, body) => {
  const key = createHash('sha256').update('key').digest('hex');
  const { gateway } = await gatewayBefore({}, { inbound: { bearer: { keys: [{ name: 'alice', sha256: key }] } } });
  const knows = reason === 'unauthorized' || reason === 'origin_refused' ? {} : { authorization: 'Bearer key' };
  const bytes = typeof body === 'string' ? body : bodyOf(body);

  const answer = await gateway.send('POST', '/mcp', headersWith({ ...headers, ...knows }), bytes);

  expect([answer.status, answer.json.error]).toMatchObject([status, { code, data: { reason } }]);
});

test('a version that is not served names those that are, and discover names them too [F6 F7]', async () => {
  const { gateway } = await gatewayBefore();
  const meta = `{"io.modelcontextprotocol/protocolVersion":"1900-01-01",${CAPABILITIES}}`;

  const refused = await gateway.post(bodyOf({ meta }), { ...HEADERS, 'mcp-protocol-version': '1900-01-01' });
  const discovered = await modern(gateway, 'server/discover');

  const { supported, requested } = refused.json.error.data;
  expect(requested).toBe('1900-01-01');
  expect(supported).toContain(MODERN);
  expect(discovered.json.result.supportedVersions).toEqual(supported);
});

test.each([
  ['an unknown tool', 'tools/call', { name: 'missing', arguments: {} }, {}],
  ['arguments that the tool does not take', 'tools/call', { name: 'picky', arguments: {} }, {}],
  ['an unknown prompt', 'prompts/get', { name: 'missing' }, {}],
  ['a missing resource', 'resources/read', { uri: 'file:///missing' }, {}],
  ['a cursor that was never given', 'tools/list', { cursor: 'x' }, {}],
  ['an empty cursor', 'prompts/list', { cursor: '' }, {}],
  ['an unknown log level', 'tools/list', {}, { logLevel: 'loud' }],
  ['an unknown log level of a call', 'tools/call', { name: 'add', arguments: {} }, { logLevel: 'DEBUG' }],
  ['a listen for nothing', 'subscriptions/listen', {}, {}],
  ['a state that was never given', 'tools/call', { name: 'add', arguments: {}, requestState: 'x' }, {}],
])('%s is −32602, and never a 400 [F28]', async (_what, method, params, options) => {
  const invalidParams = (): never => {
    throw new RpcError(-32602, 'no such thing');
  };
  const methods = {
    'prompts/get': invalidParams,
    'resources/read': invalidParams,
    'prompts/list': () => ({ prompts: [] }),
  };
  const { gateway } = await gatewayBefore({ ...OFFERED, methods, tools: { picky: invalidParams } });

  const answer = await modern(gateway, method, params, { id: 'x', ...options });

  expect([answer.status, answer.json]).toMatchObject([200, { id: 'x', error: { code: -32602 } }]);
});

test('what the server needs and the client did not declare is 400, −32021 [F43]', async () => {
  const { gateway } = await gatewayBefore({
    tools: {
      needs: async (call) => {
        const { error } = await call.ask('elicitation/create', {
          message: '?',
          requestedSchema: { type: 'object', properties: {} },
        });
        throw new RpcError(error?.code ?? 0, error?.message ?? '');
      },
    },
  });

  const answer = await callTool(gateway, 'needs', {}, { id: 5 });

  expect([answer.status, answer.json]).toMatchObject([
    400,
    { id: 5, error: { code: -32021, data: { requiredCapabilities: { elicitation: {} } } } },
  ]);
});

test('a failure that comes after the stream has begun is its last event [F30]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const opened = openModern(gateway, 'tools/call', { name: 'slow' }, { id: 'x', progressToken: 1 });
  (await upstream.nextCall('slow')).progress(1);
  const reply = await opened;
  await reply.until('notifications/progress');

  upstream.cutStreams();

  const [, last = '', ...more] = eventsOf(await reply.until('"id":"x"'));
  expect(JSON.parse(last)).toMatchObject({
    id: 'x',
    error: { code: -32603, data: { reason: 'upstream_session_lost' } },
  });
  expect([reply.status, more]).toEqual([200, []]);
});

test.each([
  ['notifications/cancelled', '{"requestId":1}', {}],
  ['notifications/cancelled', '{"requestId":1}', { 'mcp-method': NONE }],
  ['notifications/cancelled', `{"requestId":1,"_meta":{${ENVELOPE}}}`, { 'mcp-method': 'notifications/cancelled' }],
  ['notifications/initialized', '{}', {}],
  ['notifications/roots/list_changed', `{"_meta":{${ENVELOPE}}}`, {}],
  ['x/unknown', `{"_meta":{${ENVELOPE}}}`, { 'mcp-protocol-version': NONE }],
])('the notification %s %s is 202 and goes no further [F16]', async (method, params, headers) => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');
  const before = upstream.received.length;

  const answer = await gateway.send(
    'POST',
    '/mcp',
    headersWith(headers),
    `{"jsonrpc":"2.0","method":"${method}","params":${params}}`,
  );

  expect([answer.status, answer.text]).toEqual([202, '']);
  expect((await modern(gateway, 'tools/list')).status).toBe(200);
  expect(upstream.received.slice(before).map(({ message }) => message.method)).toEqual(['tools/list']);
});

test('a notification cancels no call, whatever id it names [F16]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const reply = callTool(gateway, 'slow', {}, { id: 1 });
  const call = await upstream.nextCall('slow');

  await gateway.post('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}', HEADERS);
  call.release();

  expect((await reply).json.result.content[0].text).toBe('done');
});

test.each([
  ['that lives', true],
  ['that was never given', false],
])('a session id %s and a Last-Event-ID mean nothing, and none comes back [F17]', async (_which, isLive) => {
  const { gateway, upstream } = await gatewayBefore();
  const session = isLive ? await gateway.openSession() : 'never';
  const headers = { 'mcp-session-id': session, 'last-event-id': '1.1' };

  const plain = await callTool(gateway, 'add', { a: 1, b: 2 }, { headers });
  const streamed = callTool(gateway, 'slow', {}, { headers, progressToken: 1 });
  const call = await upstream.nextCall('slow');
  call.progress(1);
  call.release();

  for (const answer of [plain, await streamed]) {
    expect(answer.status).toBe(200);
    expect(answer.headers['mcp-session-id']).toBeUndefined();
    expect(answer.text).not.toMatch(/^id:/m);
  }
});

test.each([
  ['GET', false],
  ['DELETE', false],
  ['GET', true],
  ['DELETE', true],
] as const)('%s of this revision is 405, of a live session too: %s [F17]', async (method, isLive) => {
  const { gateway } = await gatewayBefore();
  const session = isLive ? { 'mcp-session-id': await gateway.openSession() } : {};

  const answer = await gateway.send(method, '/mcp', {
    accept: 'text/event-stream',
    'mcp-protocol-version': MODERN,
    ...session,
  });

  expect([answer.status, answer.headers['allow']]).toMatchObject([405, expect.stringContaining('POST')]);
  expect(answer.headers['content-type']).toBe('application/json');
});

test.each([{}, { 'mcp-protocol-version': MODERN }])(
  'an initialize without an envelope opens a session on the same URL, with the headers %j [F18]',
  async (headers) => {
    const { gateway } = await gatewayBefore();
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'old', version: '1' },
      _meta: {},
    };

    const answer = await gateway.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params }, headers);

    expect(answer.status).toBe(200);
    expect(answer.json.result.protocolVersion).toBe('2025-11-25');
    expect(answer.headers['mcp-session-id']).toBeTypeOf('string');
  },
);

test.each(['2025-03-26', '2025-06-18', '2025-11-25', NONE])(
  'an empty _meta with the version header %s is of an older client [F19]',
  async (version) => {
    const { gateway } = await gatewayBefore();
    const body = bodyOf({ ...CALL, meta: '{}', id: '1' });

    const answer = await gateway.send(
      'POST',
      '/mcp',
      headersWith({ 'mcp-protocol-version': version, 'mcp-method': NONE }),
      body,
    );

    expect(answer.status).toBe(200);
    expect(answer.json.result.resultType).toBeUndefined();
  },
);

test('an older version in the envelope is of an older client, where the header agrees [F19]', async () => {
  const { gateway } = await gatewayBefore();
  const meta = `{"io.modelcontextprotocol/protocolVersion":"2025-11-25",${CAPABILITIES}}`;

  const answer = await gateway.send(
    'POST',
    '/mcp',
    headersWith({ 'mcp-protocol-version': '2025-11-25', 'mcp-method': NONE }),
    bodyOf({ ...CALL, meta, id: '1' }),
  );

  expect(answer.json.result.resultType).toBeUndefined();
});
