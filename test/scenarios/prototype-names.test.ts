// Names that every object of JavaScript has: in messages, headers, queries and what an upstream says. They are names like
// any other, and cross as the bytes that they are.

import { afterEach, expect, test } from 'vitest';
import { JSON_HEADERS, eventsOf, gatewayBefore } from '../support/gateway.ts';
import { callTool } from '../support/modern-client.ts';

const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '\\u005f_proto__'] as const;
const polluting = (name: string): string => `{"${name}":{"polluted":1.0,"prototype":{"polluted":1.0}}}`;

// The gateway is in this process: what it pollutes is polluted here.
afterEach(() => {
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  expect(Object.keys(Object.prototype)).toEqual([]);
});

test.each(NAMES)(
  'arguments, _meta and results with %s cross byte for byte, in JSON and in a stream [T21]',
  async (name) => {
    const { gateway } = await gatewayBefore();
    const value = polluting(name);
    const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":${value},"arguments":${value}}}`;

    const asJson = await gateway.post(call);
    const asStream = await gateway.post(call, { accept: 'text/event-stream' });

    const expected = `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":${value}}}`;
    expect([asJson.text, ...eventsOf(asStream.text)]).toEqual([expected, expected]);
  },
);

test.each(NAMES)(
  '%s as a tool, a method, a member, a header, a query and a session is a name like any other [T21]',
  async (name) => {
    const { gateway, upstream } = await gatewayBefore();
    const text = JSON.parse(`"${name}"`) as string;
    const member = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{},"${name}":{"polluted":1}}`;
    const capabilities: unknown = JSON.parse(polluting(name));

    const answers = [
      await gateway.post({ jsonrpc: '2.0', id: 1, method: text }),
      await gateway.call(text),
      await gateway.post(member, { [text]: 'polluted', 'x-y': text }),
      await gateway.send('POST', `/mcp?${text}[polluted]=1&${text}.polluted=1`, JSON_HEADERS, member),
      await gateway.call('add', {}, 1, { 'mcp-session-id': text }),
      await gateway.send('GET', `/${text}`),
      await callTool(gateway, text),
    ];
    const session = await gateway.openSession({ capabilities });

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 404, 404, 200]);
    expect(answers[0]?.json.error.code).toBe(-32601);
    expect((await gateway.call('count', {}, 1, { 'mcp-session-id': session })).json.result.content[0].text).toBe('1');
    expect(upstream.received.map(({ url }) => url).join()).not.toContain('polluted');
  },
);

test.each(NAMES)('%s in what an upstream says by itself changes nothing [T21]', async (name) => {
  const { gateway, upstream } = await gatewayBefore({
    serverInfo: JSON.parse(`{"name":"x","version":"1","${name}":{"polluted":1}}`) as object,
    capabilities: JSON.parse(`{"tools":{},"${name}":{"polluted":1,"logging":{}}}`) as object,
  });
  const answer = gateway.call('slow', {}, 1);
  const call = await upstream.nextCall('slow');

  upstream.push(call.stream, `event: ${name}\ndata: {"polluted":1}\n\n${name}: polluted\n\n`);
  for (const message of [
    `{"jsonrpc":"2.0","method":"${name}","params":${polluting(name)}}`,
    `{"jsonrpc":"2.0","id":"${name}","result":${polluting(name)}}`,
    `{"jsonrpc":"2.0","id":"${name}","method":"${name}","params":${polluting(name)}}`,
    `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"${name}","progress":1}}`,
  ]) {
    upstream.sendTo(call.stream, Buffer.from(message));
  }
  const refusal = await upstream.nextReply(JSON.parse(`"${name}"`) as string);
  call.release();

  expect(refusal.message.error?.code).toBe(-32601);
  expect((await answer).json.result.content[0].text).toBe('done');
});
