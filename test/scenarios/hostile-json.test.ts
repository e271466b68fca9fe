// JSON that is made to cost: giant, deep, wide, long; and JSON that is made to change what all objects have in common.

import { expect, test } from 'vitest';
import { eventsOf, gatewayBefore, replyIn, requestBytes } from '../support/gateway.ts';

const MiB = 1024 * 1024;
const ROOM = { limits: { bodyBytes: '16MiB' } };
const callWith = (args: string): string =>
  `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":${args}}}`;

function head(origin: string, extra: readonly (readonly [string, string])[]): string {
  const headers = [['host', new URL(origin).host], ['content-type', 'application/json'], ...extra] as const;
  return requestBytes('POST', '/mcp', headers);
}

test('a body that is declared to be of a gigabyte is refused before any of it is read [T18]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const client = await gateway.connect();

  client.write(head(gateway.origin, [['content-length', String(1024 * MiB)]]));
  const said = await client.until('limits.bodyBytes');

  expect(replyIn(said).status).toBe(413);
  expect((await gateway.call('count')).status).toBe(200);
  expect(upstream.received.filter(({ message }) => message.id === 7)).toEqual([]);
});

test('a body in chunks without end is refused at the limit, not held [T18]', async () => {
  const { gateway } = await gatewayBefore();
  const client = await gateway.connect();
  const before = process.memoryUsage().arrayBuffers;
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;

  client.write(head(gateway.origin, [['transfer-encoding', 'chunked']]));
  for (let sent = 0; sent < 8 * MiB; sent += 0x10000) client.write(chunk);
  const said = await client.until('limits.bodyBytes');

  expect(replyIn(said).status).toBe(413);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MiB);
});

test.each<readonly [what: string, body: () => string, status: number, names: string]>([
  ['a million levels of arrays', () => callWith('['.repeat(1e6)), 400, 'limits.jsonDepth'],
  ['a million levels of objects', () => callWith('{"a":'.repeat(1e6)), 400, 'limits.jsonDepth'],
  ['a batch of 100,000', () => `[${Array.from({ length: 100_000 }, () => '{}').join()}]`, 400, 'limits.batch'],
  ['a number of a million digits that is broken', () => callWith(`${'9'.repeat(1e6)}.`), 400, 'not JSON'],
])('%s is refused at once [T18]', async (_, body, status, names) => {
  const { gateway } = await gatewayBefore({}, ROOM);
  const text = body();

  const startedAt = performance.now();
  const answer = await gateway.post(text);

  expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(names)]);
  // A second at most on a machine that others use, too; 10 to 50 ms on one's own.
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

test.each<readonly [what: string, args: () => string]>([
  ['a million keys', () => `{${Array.from({ length: 1e6 }, (_, key) => `"${key}":0`).join()}}`],
  ['a number of a million digits', () => `{"a":${'9'.repeat(1e6)}}`],
])('%s cross as they are [T18]', async (_, args) => {
  const { gateway, upstream } = await gatewayBefore({ tools: { echo: () => ({ content: [] }) } }, ROOM);
  const text = args();

  const answer = await gateway.post(callWith(text));

  expect(answer.status).toBe(200);
  expect(upstream.received.at(-1)?.raw.includes(text)).toBe(true);
});

const POLLUTING = [
  '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  String.raw`{"\u005f_proto__":{"polluted":1},"a":[{"__proto__":1.0}]}`,
];

test.each(POLLUTING)('%s crosses byte for byte, both ways, and changes no object [T21]', async (args) => {
  const { gateway, upstream } = await gatewayBefore();
  const headers = { 'x-__proto__': 'polluted', 'mcp-param-__proto__': 'polluted' };

  const stream = await gateway.call('count', {}, 1, { accept: 'text/event-stream' });
  const answer = await gateway.send(
    'POST',
    '/mcp?__proto__[polluted]=1&constructor[prototype][polluted]=1',
    { 'content-type': 'application/json', ...headers },
    callWith(args),
  );

  expect(answer.text).toContain(args);
  expect(upstream.received.at(-1)?.raw.includes(args)).toBe(true);
  expect(eventsOf(stream.text).length).toBeLessThanOrEqual(1);
  expect({}).not.toHaveProperty('polluted');
});

test('members of that name in what is read change nothing either: initialize, envelope, capabilities [T21]', async () => {
  const { gateway } = await gatewayBefore({
    serverInfo: JSON.parse('{"name":"x","version":"1","__proto__":{"polluted":1}}') as object,
    capabilities: JSON.parse(
      '{"tools":{},"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    ) as object,
  });
  const capabilities: unknown = JSON.parse('{"__proto__":{"polluted":1},"roots":{"__proto__":{"polluted":1}}}');

  const session = await gateway.openSession({ capabilities });
  const answer = await gateway.call('count', {}, 1, { 'mcp-session-id': session });

  expect(answer.json.result.content[0].text).toBe('1');
  expect({}).not.toHaveProperty('polluted');
});
