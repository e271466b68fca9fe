// Connections of clients: what is odd but legal in HTTP/1.1 is served, and a refusal does not spoil what follows it.

import { expect, test } from 'vitest';
import { createApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config/load.ts';
import { text } from '../support/legacy-behaviour.ts';
import {
  type Gateway,
  JSON_HEADERS,
  RecordingJournal,
  gatewayBefore,
  replyIn,
  requestBytes,
} from '../support/gateway.ts';

const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}';
const NEXT = CALL.replace('"id":7', '"id":8');
const LENGTH = ['content-length', String(CALL.length)] as const;
const JSON_PAIRS = Object.entries(JSON_HEADERS);
const HOST = ['host', 'localhost'] as const;

/** What the gateway answers to these bytes, when nothing more is sent. */
async function answerTo(gateway: Gateway, bytes: string): Promise<ReturnType<typeof replyIn>> {
  const client = await gateway.connect();
  client.write(bytes);
  const reply = replyIn(await client.until('}}'));
  client.leave();
  return reply;
}

test.each([
  ['Expect', [['expect', '100-continue']]],
  [
    'Keep-Alive',
    [
      ['keep-alive', 'timeout=5'],
      ['connection', 'keep-alive'],
    ],
  ],
  [
    'Upgrade: h2c',
    [
      ['connection', 'Upgrade, HTTP2-Settings'],
      ['upgrade', 'h2c'],
      ['http2-settings', 'AAMAAABk'],
    ],
  ],
  [
    'Upgrade: websocket',
    [
      ['connection', 'upgrade'],
      ['upgrade', 'websocket'],
    ],
  ],
  ['Connection naming our own headers', [['connection', 'mcp-session-id, content-type']]],
] as const)('a request with %s is served as plain HTTP/1.1 [T12 T26]', async (_, extra) => {
  const { gateway } = await gatewayBefore();

  const answer = await answerTo(gateway, requestBytes('POST', '/mcp', [HOST, LENGTH, ...JSON_PAIRS, ...extra], CALL));

  expect(answer.status).toBe(200);
  expect(answer.json.result.content[0].text).toBe('3');
});

test('a body in chunks is served', async () => {
  const { gateway } = await gatewayBefore();
  const chunks = [CALL.slice(0, 10), CALL.slice(10), ''].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);

  const answer = await answerTo(
    gateway,
    requestBytes('POST', '/mcp', [HOST, ['transfer-encoding', 'chunked'], ...JSON_PAIRS], chunks.join('')),
  );

  expect([answer.status, answer.json.result.content[0].text]).toEqual([200, '3']);
});

test('requests that are sent in one go are answered in their order', async () => {
  const { gateway } = await gatewayBefore();
  const client = await gateway.connect();

  client.write([CALL, NEXT].map((body) => requestBytes('POST', '/mcp', [HOST, LENGTH, ...JSON_PAIRS], body)).join(''));

  expect(await client.until('"id":8')).toMatch(/"id":7.*"id":8/s);
});

test('what is sent behind a request whose answer is not read is not served before it is', async () => {
  const large = 'x'.repeat(15 * 1024 * 1024);
  const { gateway, upstream } = await gatewayBefore({
    tools: { large: () => text(large), count: () => text('counted') },
  });
  const client = await gateway.connect();
  const requests = ['large', 'count'].map((name, id) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } });
    return requestBytes('POST', '/mcp', [HOST, ['content-length', String(body.length)], ...JSON_PAIRS], body);
  });

  client.pause();
  client.write(requests.join(''));
  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.name === 'large');
  await gateway.call('add', { a: 1, b: 2 });
  const ran = upstream.received.map(({ message }) => message.params?.['name']);
  client.resume();

  expect(ran).not.toContain('count');
  expect(replyIn(await client.until('counted')).json).toMatchObject({ id: 1 });
});

test.each([
  [415, 'content-type', 'text/plain'],
  [406, 'accept', 'text/html'],
  [404, 'mcp-session-id', 'nope'],
  [400, 'mcp-protocol-version', 'x'],
  [403, 'origin', 'http://evil.example'],
])('after a refusal (%i) the next request on the connection is served', async (status, name, value) => {
  const { gateway } = await gatewayBefore();
  const client = await gateway.connect();
  const wrong = [...JSON_PAIRS.filter(([other]) => other !== name), [name, value] as const];

  client.write(requestBytes('POST', '/mcp', [HOST, LENGTH, ...wrong], CALL));
  client.write(requestBytes('POST', '/mcp', [HOST, LENGTH, ...JSON_PAIRS], NEXT));

  const all = await client.until('"id":8');
  expect(all).toContain(`HTTP/1.1 ${status} `);
  expect(all).toContain('"id":8,"result"');
});

test('it listens on loopback unless told otherwise [A2]', async () => {
  const config = parseConfig({
    upstreams: [{ url: 'http://127.0.0.1:9/sse' }],
    links: { min: 0 },
    listen: { port: 0 },
  });
  const app = createApp({ config, journal: new RecordingJournal(), version: 'test' });

  const address = await app.listen();
  await app.close();

  expect(address.address).toBe('127.0.0.1');
});
