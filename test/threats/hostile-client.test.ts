// Clients of the built program that want more than their part, or somebody else's.

import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { JSON_HEADERS, replyIn, requestBytes } from '../support/gateway.ts';
import { text } from '../support/legacy-behaviour.ts';
import { callTool, modernMessage } from '../support/modern-client.ts';
import { slowClients } from '../scenarios/slow-clients.ts';
import { file, run } from '../verbs/program.ts';
import { inFrontOf } from './built.ts';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const ALICE = { authorization: 'Bearer alice-key' };
const BOB = { authorization: 'Bearer bob-key' };
const OF_ONE = 5;
const IN_ALL = 8;
const HEADERS = [['host', 'localhost'], ...Object.entries(JSON_HEADERS)] as const;

const test = inFrontOf({
  upstreams: {
    main: {},
    shared: {
      behaviour: {
        tools: {
          turn: async (call) => {
            call.progress(Number(call.args['number']));
            await call.released;
            return text(String(call.args['number']));
          },
        },
      },
    },
    guarded: {
      config: {
        inbound: { bearer: { keys: ['alice', 'bob'].map((name) => ({ name, sha256: sha256(`${name}-key`) })) } },
      },
    },
  },
  config: {
    timeouts: { clientHeaders: '500ms', clientBody: '1s', keepAlive: '500ms' },
    budgets: { sessions: OF_ONE },
    limits: { sessions: IN_ALL },
  },
});

test('callers with the same id and the same progress token get their own answers, whoever is answered first [T5]', async ({
  built,
  servers: { shared },
}) => {
  const client = built.at('/shared');
  const numbers = Array.from({ length: 30 }, (_, number) => number);
  const answers = numbers.map((number) => {
    const params = { name: 'turn', arguments: { number }, _meta: { progressToken: 'mine' } };
    return client.post({ jsonrpc: '2.0', id: 0, method: 'tools/call', params });
  });
  const calls = await Promise.all(numbers.map(() => shared.nextCall('turn')));

  for (const call of calls.toReversed()) call.release();

  expect((await Promise.all(answers)).map(({ events }) => events.map((event): unknown => JSON.parse(event)))).toEqual(
    numbers.map((number) => [
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'mine', progress: number } },
      { jsonrpc: '2.0', id: 0, result: text(String(number)) },
    ]),
  );
  expect(new Set(calls.map(({ message }) => message.id)).size).toBe(numbers.length);
  expect(calls.filter(({ raw }) => raw.includes('"mine"'))).toEqual([]);
  expect(await built.sum()).toBe('3');
});

test('clients that say nothing, drip, or never end are let go, and others are served [T17]', async ({ built }) => {
  await slowClients(built.endpoint, 20, 7000);

  expect(await built.sum()).toBe('3');
});

test('a body of a million levels is refused, and one without end as soon as it is too large [T18]', async ({
  built,
  servers: { main },
}) => {
  const reached = main.received.length;
  const mib = `100000\r\n${' '.repeat(1024 * 1024)}\r\n`;
  const endless = await built.connect();

  endless.write(requestBytes('POST', '/mcp', [...HEADERS, ['transfer-encoding', 'chunked']], mib.repeat(5)));
  const deep = await built.post(`{"jsonrpc":"2.0","id":7,"method":"ping","params":${'['.repeat(1e6)}`);
  const reply = replyIn(await endless.closed);

  expect([deep.status, deep.json.error.data.reason]).toEqual([400, 'invalid_request']);
  expect([reply.status, reply.json]).toMatchObject([413, { error: { data: { reason: 'body_too_large' } } }]);
  expect(main.received.slice(reached).filter(({ message }) => message.id === 7)).toEqual([]);
  expect(await built.sum()).toBe('3');
});

test('one caller gets the sessions of its budget, all together those that there are, and calls are served [T20]', async ({
  built,
  servers: { guarded },
}) => {
  const client = built.at('/guarded');
  const params = { protocolVersion: '2025-06-18' };
  const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params };

  const flood = async (headers: Record<string, string>): Promise<unknown[]> => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.post(initialize, headers)));
    const limits = answers.map(({ json }) => /\((.*)\)$/.exec(json.error?.message ?? '')?.[1]);
    return [answers.filter(({ status }) => status === 200).length, new Set(limits)];
  };

  const ofOne = await flood(ALICE);
  const ofAnother = await flood(BOB);

  expect(ofOne).toEqual([OF_ONE, new Set([undefined, 'budgets.sessions'])]);
  expect(ofAnother).toEqual([IN_ALL - OF_ONE, new Set([undefined, 'limits.sessions'])]);
  expect(guarded.gets).toHaveLength(IN_ALL);
  expect((await client.call('add', { a: 1, b: 2 }, 1, BOB)).json.result.content[0].text).toBe('3');
  expect(await built.sum()).toBe('3');
});

test('__proto__ is a name like any other, in messages, headers and sessions, and no key of a file [T21]', async ({
  built,
}) => {
  const args = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":1}},"\\u005f_proto__":{"x":[]}}';
  const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":${args}}}`;

  const echoed = await built.post(call, { ['__proto__']: 'x', constructor: 'x' });
  const asTool = await built.call('__proto__');
  const inSession = await built.call('echo', {}, 1, { 'mcp-session-id': '__proto__' });
  const asMethod = await built.post({ jsonrpc: '2.0', id: 1, method: '__proto__' });

  const upstreams = 'upstreams: [{ url: "http://127.0.0.1:1/sse" }]\n';
  const checked = run('check', '-c', file(`${upstreams}__proto__: { log: { level: debug } }\n`));

  expect(await checked.ended).not.toBe(0);
  expect(checked.stderr()).toContain('__proto__: is no known key');
  expect(echoed.text).toBe(`{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":${args}}}`);
  expect(asTool.json.error).toMatchObject({ code: -32602, message: 'Tool __proto__ not found' });
  expect([inSession.status, inSession.json.error.data.reason]).toEqual([404, 'session_unknown']);
  expect(asMethod.json.error.code).toBe(-32601);
  expect(await built.sum()).toBe('3');
});

test('headers made to be long to read are read at once, or are too long [T22]', async ({ built }) => {
  const long = [
    { accept: 'a/b;q=0,'.repeat(1500) },
    { authorization: `Bearer ${' '.repeat(12_000)}!` },
    { origin: `http://${'a.'.repeat(6000)}` },
    { 'mcp-session-id': '='.repeat(12_000) },
    { 'last-event-id': '1.'.repeat(6000) },
    { 'mcp-protocol-version': '2026-07-28', 'mcp-name': `=?base64?${'A'.repeat(12_000)}` },
  ];
  const startedAt = performance.now();

  const answers = await Promise.all(
    Array.from({ length: 20 }, () => long)
      .flat()
      .map((each) => built.post('{}', each)),
  );
  const tookMs = performance.now() - startedAt;
  const tooLong = await built.post('{}', { 'mcp-name': '=?base64?'.repeat(7000) });

  expect(answers.filter(({ status }) => ![400, 403, 404, 406].includes(status))).toEqual([]);
  expect(tookMs).toBeLessThan(5000);
  expect(tooLong.status).toBe(431);
  expect(await built.sum()).toBe('3');
});

test('a call whose headers name another tool, in whatever spelling, twice or not at all is refused [T27]', async ({
  built,
  servers: { main },
}) => {
  const reached = main.received.length;

  const other = await callTool(built, 'count', {}, { headers: { 'mcp-name': 'add' } });
  const encoded = await callTool(built, 'count', {}, { headers: { 'mcp-name': '=?base64?YWRk?=' } });
  const missing = await callTool(built, 'count', {}, { headers: { 'mcp-name': undefined } });

  const { body, headers } = modernMessage('tools/call', { name: 'add', arguments: {} });
  const raw = await built.connect();
  const twice = [
    ...Object.entries(headers),
    ['mcp-name', 'count'],
    ['host', 'localhost'],
    ['connection', 'close'],
  ] as const;
  raw.write(requestBytes('POST', '/mcp', [...twice, ['content-length', String(body.length)]], body));
  const given = replyIn(await raw.closed);

  for (const { status, json } of [other, encoded, missing, given])
    expect([status, json.error.code]).toEqual([400, -32020]);
  expect(main.received.slice(reached).filter(({ message }) => message.method === 'tools/call')).toEqual([]);
  expect((await callTool(built, 'add', { a: 1, b: 2 })).json.result.content[0].text).toBe('3');
  expect(await built.sum()).toBe('3');
});
