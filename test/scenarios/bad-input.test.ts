// What a client can get wrong in a message, and what it is told. What it can get wrong in HTTP is in bad-http.test.ts.

import { expect, test } from 'vitest';
import { type GatewayConfig, JSON_HEADERS, gatewayBefore } from '../support/gateway.ts';

const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{}}}';

interface Refusal {
  readonly what: string;
  readonly body?: string | Buffer;
  readonly headers?: Record<string, string>;
  readonly config?: GatewayConfig;
  readonly status: number;
  readonly code: number;
  readonly reason: string;
  /** As the client wrote it; absent: the answer has none. */
  readonly id?: number | string;
  /** The setting that the text must name. */
  readonly names?: string;
  /** Of the checklist. */
  readonly rows?: string;
}

const parse = (what: string, body: string | Buffer): Refusal => ({
  what,
  body,
  status: 400,
  code: -32700,
  reason: 'parse_error',
  rows: '[A7]',
});
const invalid = (what: string, body: string, id?: number | string): Refusal => ({
  what,
  body,
  status: 400,
  code: -32600,
  reason: 'invalid_request',
  ...(id !== undefined && { id }),
});
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

const REFUSALS: readonly Refusal[] = [
  parse('no body', ''),
  parse('white space', ' \n'),
  parse('broken JSON', '{"jsonrpc":"2.0","id":1'),
  parse('two messages', CALL + CALL),
  parse('a comment', `/* x */${CALL}`),
  parse('a trailing comma', '{"jsonrpc":"2.0","id":1,"method":"ping",}'),
  parse('a raw line end in a string', '{"jsonrpc":"2.0","id":1,"method":"pi\nng"}'),
  parse('NaN', '{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":NaN}}'),
  parse('an id with a leading zero', '{"jsonrpc":"2.0","id":01,"method":"ping"}'),
  parse('bytes that are not UTF-8', Buffer.from('{"jsonrpc":"2.0","id":1,"method":"\xe9"}', 'latin1')),
  parse('a surrogate in UTF-8', Buffer.concat([Buffer.from('{"x":"'), Buffer.of(0xed, 0xa0, 0x80), Buffer.from('"}')])),
  parse('UTF-16', Buffer.from(CALL, 'utf16le')),

  { ...invalid('an empty object', '{}'), rows: '[A7]' },
  invalid('a string', '"ping"'),
  invalid('null', 'null'),
  { ...invalid('an empty batch', '[]'), rows: '[B8]' },
  invalid('a batch that holds something else', `[${CALL},1]`),
  invalid('a batch in a batch', `[[${CALL}]]`),
  {
    ...invalid(
      'a batch with initialize',
      `[${CALL},{"jsonrpc":"2.0","id":8,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}]`,
    ),
    rows: '[B7]',
  },
  { ...invalid('a batch of a request and a response', `[${CALL},{"jsonrpc":"2.0","id":8,"result":{}}]`), rows: '[B8]' },
  { ...invalid('a batch with one id twice', `[${CALL},${CALL}]`), rows: '[B8]' },
  {
    ...invalid('a batch of 101', `[${Array.from({ length: 101 }, (_, id) => CALL.replace('7', `${id}`)).join()}]`),
    names: 'limits.batch',
    rows: '[T18]',
  },
  parse('a batch that never ends', `[${CALL}`),
  {
    ...invalid('a batch in revision 2025-06-18', `[${CALL}]`),
    headers: { 'mcp-protocol-version': '2025-06-18' },
    rows: '[C1]',
  },
  {
    ...invalid('a batch in revision 2025-11-25', `[${CALL}]`),
    headers: { 'mcp-protocol-version': '2025-11-25' },
    rows: '[C1]',
  },
  invalid('no version', '{"id":7,"method":"ping"}', 7),
  { ...invalid('version 1.0', '{"jsonrpc":"1.0","id":7,"method":"ping"}', 7), rows: '[A7]' },
  invalid('a number for a version', '{"jsonrpc":2.0,"id":7,"method":"ping"}', 7),
  invalid('neither method nor result', '{"jsonrpc":"2.0","id":"a"}', 'a'),
  invalid('method and result', '{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}', 7),
  invalid('result and error', '{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":""}}', 7),
  invalid('a method that is no string', '{"jsonrpc":"2.0","id":7,"method":1}', 7),
  invalid('positional parameters', '{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}', 7),
  { ...invalid('the id null', '{"jsonrpc":"2.0","id":null,"method":"ping"}'), rows: '[A6]' },
  { ...invalid('the id 1.0', '{"jsonrpc":"2.0","id":1.0,"method":"ping"}'), rows: '[A6]' },
  { ...invalid('the id 1e0', '{"jsonrpc":"2.0","id":1e0,"method":"ping"}'), rows: '[A6]' },
  { ...invalid('the id 1.5', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}'), rows: '[A6]' },
  { ...invalid('the id true', '{"jsonrpc":"2.0","id":true,"method":"ping"}'), rows: '[A6]' },
  { ...invalid('an object for an id', '{"jsonrpc":"2.0","id":{},"method":"ping"}'), rows: '[A6]' },
  invalid('two versions', '{"jsonrpc":"2.0","jsonrpc":"2.0","id":7,"method":"ping"}'),
  invalid('two methods', '{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call"}', 7),
  invalid('two methods, one by an escape', '{"jsonrpc":"2.0","id":7,"method":"ping","\\u006dethod":"x"}', 7),
  invalid('two params', '{"jsonrpc":"2.0","id":7,"method":"ping","params":{},"params":{}}', 7),
  invalid('two names', '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","name":"b"}}', 7),
  invalid('two uris', '{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"a","uri":"b"}}', 7),
  invalid('two _meta', '{"jsonrpc":"2.0","id":7,"method":"ping","params":{"_meta":{},"_meta":{}}}', 7),
  invalid(
    'two progress tokens',
    '{"jsonrpc":"2.0","id":7,"method":"ping","params":{"_meta":{"progressToken":1,"progressToken":2}}}',
    7,
  ),
  invalid(
    'two reserved _meta keys',
    '{"jsonrpc":"2.0","id":7,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/a":1,"io.modelcontextprotocol/a":2}}}',
    7,
  ),
  {
    ...invalid('129 levels', `{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":${deep(127)}}}`, 7),
    names: 'limits.jsonDepth',
  },
  {
    ...invalid('a million levels', `{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":${'['.repeat(1e6)}`, 7),
    names: 'limits.jsonDepth',
    rows: '[T18]',
  },
  {
    ...invalid('9 levels where 8 are allowed', `{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":${deep(7)}}}`, 7),
    config: { limits: { jsonDepth: 8 } },
    names: 'limits.jsonDepth',
  },
  invalid('initialize without a version', '{"jsonrpc":"2.0","id":7,"method":"initialize","params":{}}', 7),

  ...[
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonx',
    'application/json; charset=latin1',
    '',
  ].map((type): Refusal => ({
    what: `Content-Type “${type}”`,
    headers: { 'content-type': type },
    status: 415,
    code: -32600,
    reason: 'unsupported_media_type',
    rows: '[T23]',
  })),
  ...['text/html', 'image/*', 'application/json;q=0', 'text/event-stream; q=0.0', 'application/jsonp'].map(
    (accept): Refusal => ({
      what: `Accept “${accept}”`,
      headers: { accept },
      status: 406,
      code: -32600,
      reason: 'not_acceptable',
    }),
  ),
  {
    what: 'a body over the limit',
    body: CALL + ' '.repeat(1025),
    config: { limits: { bodyBytes: '1KiB' } },
    status: 413,
    code: -32600,
    reason: 'body_too_large',
    rows: '[A8 T18]',
    names: 'limits.bodyBytes',
  },
  {
    what: 'an unknown session',
    headers: { 'mcp-session-id': 'nope' },
    status: 404,
    code: -32600,
    reason: 'session_unknown',
    id: 7,
    rows: '[B15]',
  },
  ...['1900-01-01', '2024-11-05', '2099-01-01', 'x', ''].map((version): Refusal => ({
    what: `MCP-Protocol-Version “${version}”`,
    headers: { 'mcp-protocol-version': version },
    status: 400,
    code: -32022,
    reason: 'unsupported_version',
    id: 7,
    rows: '[C2]',
  })),
];

test.each(REFUSALS.map((refusal) => ({ rows: '', ...refusal })))(
  '$what: $status, $code, $reason $rows',
  async ({ body, headers, config, ...expected }) => {
    const { gateway, upstream } = await gatewayBefore({}, config);

    const answer = await gateway.send('POST', '/mcp', { ...JSON_HEADERS, ...headers }, body ?? CALL);

    expect(answer.status).toBe(expected.status);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json).toMatchObject({
      jsonrpc: '2.0',
      error: {
        code: expected.code,
        message: expect.stringContaining(expected.names ?? ''),
        data: { reason: expected.reason },
      },
    });
    expect(answer.json.id).toBe(expected.id);
    expect(gateway.journal.of('refused')).toMatchObject([{ reason: expected.reason, status: expected.status }]);
    expect(upstream.received.filter(({ message }) => message.id === 7)).toEqual([]);
    expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  },
);

test.each([
  ['application/json', 'application/json'],
  ['application/json; charset=utf-8', 'application/json'],
  ['Application/JSON;charset="UTF-8"', '*/*'],
  ['application/json', 'application/json;q=0.5, text/html'],
  ['application/json', 'TEXT/EVENT-STREAM, Application/Json'],
])('Content-Type “%s” with Accept “%s” is served', async (type, accept) => {
  const { gateway } = await gatewayBefore();

  const answer = await gateway.send('POST', '/mcp', { 'content-type': type, accept }, CALL);

  expect(answer.status).toBe(200);
});

test('a request without an Accept header is served as JSON', async () => {
  const { gateway } = await gatewayBefore();

  const answer = await gateway.send('POST', '/mcp', { 'content-type': 'application/json' }, CALL);

  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.json.id).toBe(7);
});

test.each(['2025-03-26', '2025-06-18', '2025-11-25'])('MCP-Protocol-Version %s is served', async (version) => {
  const { gateway } = await gatewayBefore();

  expect((await gateway.call('add', {}, 1, { 'mcp-protocol-version': version })).status).toBe(200);
});

test('128 levels are served, and so are duplicates where nobody reads them', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const args = `{"a":${deep(124)},"b":1,"b":2,"name":1,"name":2}`;

  const answer = await gateway.post(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":${args},"_meta":{"x":1,"x":2}}}`,
  );

  expect(answer.status).toBe(200);
  expect(upstream.received.at(-1)?.raw.toString()).toContain(args);
});

test('a refused message names no upstream and no URL', async () => {
  const { gateway, upstream } = await gatewayBefore();

  const answer = await gateway.post('{}', { 'mcp-session-id': 'x' });

  expect(answer.text).not.toContain(upstream.url.host);
  expect(answer.json.error.data).toEqual({ reason: 'invalid_request' });
});
