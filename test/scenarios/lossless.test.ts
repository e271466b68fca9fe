// What does not have to change crosses byte for byte, both ways, whatever it is. White space between tokens may change
// where a stream's framing needs it.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { gatewayBefore } from '../support/gateway.ts';
import { spanOf } from '../support/json-span.ts';
import { text } from '../support/legacy-behaviour.ts';
import { anyJson, anyObject, ids, shortString } from './json-texts.ts';

const JSON_ONLY = { accept: 'application/json' };
const STREAM_ONLY = { accept: 'text/event-stream' };
const RUNS = { numRuns: 150, interruptAfterTimeLimit: 8000 };

/** Line ends outside strings, which a stream has to turn into spaces. Inside strings there are none. */
const onOneLine = (json: string): string => json.replaceAll(/[\r\n]/g, ' ');

function callWith(args: string, name = 'echo', id = '1'): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${args}}}`;
}

test('arguments reach the upstream as the bytes that were sent, and come back as the same bytes', async () => {
  const { gateway, upstream } = await gatewayBefore();

  await fc.assert(
    fc.asyncProperty(anyObject('\r\n\t '), async (args) => {
      // Not echoed as they are: a raw CR in its answer would break the scripted server's own frames.
      const answer = await gateway.post(callWith(args, 'count'), JSON_ONLY);
      const echoed = await gateway.post(callWith(onOneLine(args)), JSON_ONLY);

      const [first, second] = upstream.received.splice(-2);
      expect(spanOf(first?.raw ?? Buffer.of(), ['params', 'arguments']).toString()).toBe(args);
      expect(spanOf(second?.raw ?? Buffer.of(), ['params', 'arguments']).toString()).toBe(onOneLine(args));
      expect([answer.status, echoed.status]).toEqual([200, 200]);
      expect(echoed.text).toBe(
        `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":${onOneLine(args)}}}`,
      );
    }),
    RUNS,
  );
});

test('everything else in a request crosses as well: its own order, its white space, members nobody knows', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');

  await fc.assert(
    fc.asyncProperty(anyJson('\r\n\t '), shortString, async (extra, method) => {
      const [before, after] = [
        ` { "x" : ${extra},\n"method": "x/${method.slice(1)} , "id" :`,
        `,"jsonrpc":\t"2.0", "params" : {"_meta":{"a":${extra}},"y":${extra}} }\r\n`,
      ];

      await gateway.post(`${before}"mine"${after}`, JSON_ONLY);

      const sent = upstream.received.pop();
      expect(sent?.raw.toString()).toBe(`${before}${String(sent?.message.id)}${after}`);
    }),
    RUNS,
  );
});

test('results come back as the bytes that the upstream sent, as JSON [A10]', async () => {
  const { gateway, upstream } = await gatewayBefore();

  await fc.assert(
    fc.asyncProperty(anyJson('\n\t '), ids, async (result, id) => {
      upstream.behaviour.methods = { 'x/any': () => Buffer.from(result) };

      const answer = await gateway.post(`{"jsonrpc":"2.0","id":${id},"method":"x/any"}`, JSON_ONLY);

      expect(answer.text).toBe(`{"jsonrpc":"2.0","id":${id},"result":${result}}`);
    }),
    RUNS,
  );
});

test('results, progress and errors come back as the same tokens in a stream', async () => {
  const { gateway, upstream } = await gatewayBefore();

  await fc.assert(
    fc.asyncProperty(anyJson('\n\t '), ids, ids, async (json, id, token) => {
      upstream.behaviour.tools = {
        all: (call) => {
          const ours = String(call.message.id);
          upstream.sendTo(
            call.stream,
            Buffer.from(
              `{"jsonrpc":"2.0","method":"notifications/progress","params":{"a":${json}, "progressToken" :${ours},"progress":1.0}}`,
            ),
          );
          return Buffer.from(json);
        },
      };

      const { events } = await gateway.post(
        `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"all","_meta":{"progressToken":${token}}}}`,
        STREAM_ONLY,
      );

      expect(events).toEqual([
        `{"jsonrpc":"2.0","method":"notifications/progress","params":{"a":${onOneLine(json)}, "progressToken" :${token},"progress":1.0}}`,
        `{"jsonrpc":"2.0","id":${id},"result":${onOneLine(json)}}`,
      ]);
    }),
    RUNS,
  );
});

test('an error’s data crosses as it is', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const error = '{"data":{"n":1.0,"n":9007199254740993,"__proto__":"\\ud800"}, "code":-32001,"message":"\\u006eo"}';
  const answer = gateway.call('never', {}, 'mine');
  const { stream, message } = await upstream.nextCall('never');

  upstream.push(stream, `data: {"error":${error},"id":${String(message.id)},"x":1e5,"jsonrpc":"2.0"}\n\n`);

  expect((await answer).text).toBe(`{"error":${error},"id":"mine","x":1e5,"jsonrpc":"2.0"}`);
});

test.each(
  [
    '0',
    '-0',
    '1',
    '"1"',
    '-3',
    '9007199254740993',
    '123456789012345678901234567890',
    '""',
    '"\\u0031"',
    '"\\ud800"',
    '"é\\n\u{1F600}"',
    `"${'x'.repeat(10_000)}"`,
  ].map((id) => ({ id, shown: id.slice(0, 40) })),
)('the id $shown comes back as it was, in JSON and in a stream [A5 G5]', async ({ id }) => {
  const { gateway, upstream } = await gatewayBefore();

  const json = await gateway.post(callWith('{}', 'add', id), JSON_ONLY);
  const stream = await gateway.post(callWith('{}', 'add', id), STREAM_ONLY);
  const refused = await gateway.post(`{"jsonrpc":"2.0","id":${id},"method":"logging/setLevel"}`, JSON_ONLY);

  expect(json.text).toBe(`{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"NaN"}]}}`);
  expect(stream.events).toEqual([json.text]);
  expect(refused.text).toMatch(/^\{"jsonrpc":"2\.0","id":/);
  expect(refused.text.slice('{"jsonrpc":"2.0","id":'.length)).toContain(`${id},"error":{"code":-32601`);
  expect(upstream.received.slice(-2).every(({ message }) => typeof message.id === 'number')).toBe(true);
});

test('the id of a question goes back as it came [G23]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');
  const stream = await upstream.nextStream();

  for (const id of ['"\\u0041\\ud800"', '9007199254740993', '"k"']) {
    upstream.push(stream, `data: {"id":${id},"method":"x/y","jsonrpc":"2.0"}\n\n`);
    await expect
      .poll(() => upstream.received.at(-1)?.raw.toString(), { timeout: 5000 })
      .toContain(`"id":${id},"error"`);
  }
});

test('a question and its answer cross as the bytes that they are, but for the id [B22 G23]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const sessionId = await gateway.openSession({ capabilities: { sampling: {} } });
  const link = upstream.streams.at(-1);
  const client = await openEvents(gateway, { sessionId });

  await fc.assert(
    fc.asyncProperty(anyJson('\n\t '), anyJson('\r\n\t '), ids, async (asked, said, id) => {
      const question = (as: string): string =>
        `{"a":${asked}, "id" :${as},"method":"sampling/createMessage","params":{"b":${asked},"_meta":{"c":${asked}}},"jsonrpc":"2.0"}`;
      if (link !== undefined) upstream.sendTo(link, Buffer.from(question(id)));
      const { data, json } = await client.next();

      const answer = (as: string): string => ` {"d":${said},"result":${said} , "jsonrpc":"2.0","id" : ${as}}\n`;
      const told = await gateway.post(answer(JSON.stringify(json.id)), { 'mcp-session-id': sessionId });
      const wanted = answer(id);
      await expect
        .poll(() => upstream.received.at(-1)?.raw.toString() === wanted, { interval: 1, timeout: 5000 })
        .toBe(true);

      expect(data).toBe(onOneLine(question(JSON.stringify(json.id))));
      expect(told.status).toBe(202);
    }),
    RUNS,
  );
});

test('notifications of a session cross as the bytes that they are, both ways, and again when a stream is resumed [B12]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const sessionId = await gateway.openSession();
  const link = upstream.streams.at(-1);
  const client = await openEvents(gateway, { sessionId });
  const texts = fc
    .sample(anyJson('\n\t '), 100)
    .map((json) => `{"x":${json},"method":"notifications/y", "params" :{"z":${json}},"jsonrpc":"2.0"}`);

  for (const text of texts) {
    await gateway.post(text, { 'mcp-session-id': sessionId });
    expect((await upstream.nextRequest('notifications/y')).raw.toString()).toBe(text);
    if (link !== undefined) upstream.sendTo(link, Buffer.from(text));
  }
  const events = [];
  for (const _ of texts) events.push(await client.next());
  await client.leave();
  const [first, ...later] = events;
  const resumed = await openEvents(gateway, { sessionId, lastEventId: first?.id ?? '' });
  const again = [];
  for (const _ of later) again.push(await resumed.next());

  expect(events.map(({ data }) => data)).toEqual(texts.map(onOneLine));
  expect(again).toEqual(later);
});

test('a string of 3 MiB crosses, in JSON, in a stream and in a session', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const session = { 'mcp-session-id': await gateway.openSession() };
  const args = `{"long":"${'aé\\n\u{1F600}'.repeat((3 * 1024 * 1024) / 9)}","n":1.0}`;
  const expected = `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":${args}}}`;

  const answers = [
    (await gateway.post(callWith(args), JSON_ONLY)).text,
    (await gateway.post(callWith(args), STREAM_ONLY)).events[0],
    (await gateway.post(callWith(args), session)).text,
  ];

  // Not toBe: a failure would print megabytes.
  expect(answers.map((answer) => answer === expected)).toEqual([true, true, true]);
  const { raw } = upstream.received.at(-1) ?? { raw: Buffer.of() };
  expect(spanOf(raw, ['params', 'arguments']).equals(Buffer.from(args))).toBe(true);
});

test('500 callers at once with equal ids and tokens, answered in any order, get their own [A14 B19 G13 T5]', async () => {
  const { gateway, upstream } = await gatewayBefore({
    tools: {
      tagged: async (call) => {
        await call.released;
        call.progress(Number(call.args['tag']));
        return text(String(call.args['tag']));
      },
    },
  });
  const session = { 'mcp-session-id': await gateway.openSession() };
  const tags = Array.from({ length: 500 }, (_, tag) => tag);
  const body = (tag: number): string =>
    `{"jsonrpc":"2.0","id":0,"method":"tools/call","params":{"name":"tagged","arguments":{"tag":${tag}},"_meta":{"progressToken":0}}}`;

  const answers = tags.map((tag) => gateway.post(body(tag), tag % 5 === 0 ? session : {}));
  const calls = await Promise.all(tags.map(() => upstream.nextCall('tagged')));
  const [order = []] = fc.sample(fc.shuffledSubarray(calls, { minLength: calls.length }), 1);
  for (const call of order) call.release();

  const tokens = new Set(calls.map((call) => call.bytes('params', '_meta', 'progressToken').toString()));
  expect(tokens.size).toBe(tags.length);
  const seen = (await Promise.all(answers)).map(({ events }) => events.map((event) => JSON.parse(event)));
  expect(seen).toEqual(
    tags.map((tag) => [
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 0, progress: tag } },
      { jsonrpc: '2.0', id: 0, result: { content: [{ type: 'text', text: String(tag) }] } },
    ]),
  );
});
