import { expect, test } from 'vitest';
import { JSON_HEADERS, eventsOf, gatewayBefore, requestBytes } from '../support/gateway.ts';
import { RpcError, text } from '../support/legacy-behaviour.ts';

const STREAM_ONLY = { accept: 'text/event-stream' };
const JSON_ONLY = { accept: 'application/json' };

function callOf(name: string, args: object = {}, meta?: object): object {
  return {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name, arguments: args, ...(meta && { _meta: meta }) },
  };
}

test('one POST without a handshake calls a tool and gets JSON [E2 A5]', async () => {
  const { gateway } = await gatewayBefore();

  const answer = await gateway.call('add', { a: 2, b: 3 }, 'seven');

  expect(answer.status).toBe(200);
  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.json).toEqual({ jsonrpc: '2.0', id: 'seven', result: { content: [{ type: 'text', text: '5' }] } });
  expect(answer.headers['mcp-session-id']).toBeUndefined();
});

test('ten calls in sequence stay on one upstream session: its counter counts 1 to 10', async () => {
  const { gateway } = await gatewayBefore();
  const counted: string[] = [];

  for (let i = 0; i < 10; i++) counted.push((await gateway.call('count')).json.result.content[0].text);

  expect(counted).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10']);
});

test('a tool that says isError is passed with status 200 and byte for byte', async () => {
  const result = '{"isError":true, "content":[{"type":"text","text":"n\\u006f"}],"x":1.0}';
  const { gateway } = await gatewayBefore({ tools: { fails: () => Buffer.from(result) } });

  const answer = await gateway.call('fails', {}, 'a');

  expect(answer.status).toBe(200);
  expect(answer.text).toBe(`{"jsonrpc":"2.0","id":"a","result":${result}}`);
});

test.each([
  ['of a tool', 'tools/call', { name: 'broken', arguments: {} }, -32001, 'out of order'],
  ['of an unknown tool', 'tools/call', { name: 'missing', arguments: {} }, -32602, 'Tool missing not found'],
  ['of a method that only the upstream could know', 'x/unknown', {}, -32601, 'Method not found'],
])('an error %s is the upstream’s own, with status 200 [B20]', async (_name, method, params, code, message) => {
  const { gateway } = await gatewayBefore({ tools: { broken: () => Promise.reject(new RpcError(-32001, message)) } });

  const answer = await gateway.post({ jsonrpc: '2.0', id: 4, method, params });

  expect(answer.status).toBe(200);
  expect(answer.text).toBe(`{"jsonrpc":"2.0","id":4,"error":${JSON.stringify({ code, message })}}`);
});

test('ping is answered here, whatever the upstream does [B17]', async () => {
  const { gateway, upstream } = await gatewayBefore({ get: { status: 500 } });

  const answer = await gateway.post({ jsonrpc: '2.0', id: -3, method: 'ping' });

  expect(answer.status).toBe(200);
  expect(answer.text).toBe('{"jsonrpc":"2.0","id":-3,"result":{}}');
  expect(upstream.received).toEqual([]);
});

test.each(['logging/setLevel', 'resources/subscribe', 'resources/unsubscribe', 'tasks/list'])(
  '%s needs a session, and does not reach the upstream [B20 D6]',
  async (method) => {
    const { gateway, upstream } = await gatewayBefore();

    const answer = await gateway.post({ jsonrpc: '2.0', id: 1, method, params: { level: 'debug', uri: 'x:y' } });

    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ id: 1, error: { code: -32601, data: { reason: 'method_not_found' } } });
    expect(upstream.received.filter(({ message }) => message.method === method)).toEqual([]);
  },
);

test.each([
  ['notifications/initialized', 'sessionless_notification'],
  ['notifications/cancelled', 'sessionless_notification'],
  ['notifications/made/up', 'sessionless_notification'],
])('%s without a session is accepted, dropped and counted [E5 B4]', async (method, what) => {
  const { gateway } = await gatewayBefore();

  const answer = await gateway.post({ jsonrpc: '2.0', method, params: { requestId: 1 } });

  expect([answer.status, answer.text]).toEqual([202, '']);
  expect(gateway.journal.dropped(what)).toBe(1);
});

test('an answer to a question that nobody asked is accepted, dropped and counted [B4]', async () => {
  const { gateway } = await gatewayBefore();

  const answer = await gateway.post({ jsonrpc: '2.0', id: 1, result: {} });

  expect([answer.status, answer.text]).toEqual([202, '']);
  expect(gateway.journal.dropped('client_response')).toBe(1);
});

test.each(['"p-1"', '7', '"7"', '9007199254740993', '""'])(
  'progress turns the reply into a stream and carries the client’s own token %s [B19 A9]',
  async (token) => {
    const { gateway, upstream } = await gatewayBefore();
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":${token}}}}`;

    const answer = gateway.post(body);
    const call = await upstream.nextCall('slow');
    call.progress(1, 2);
    call.progress(2, 2);
    call.release();

    const { status, headers, events } = await answer;
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
    expect(events).toEqual([
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1,"total":2}}`,
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":2,"total":2}}`,
      '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}]}}',
    ]);
  },
);

test('progress is not held back until the answer', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const reply = gateway.open(callOf('slow', {}, { progressToken: 1 }));
  const call = await upstream.nextCall('slow');

  call.progress(1);
  const early = await (await reply).until('"progress":1');
  call.release();

  expect(early).not.toContain('done');
  expect(await (await reply).until('done')).toContain('done');
});

test('the upstream gets a progress token only where the client sent one, and never the client’s [G13]', async () => {
  const { gateway, upstream } = await gatewayBefore();

  await gateway.post(callOf('add'));
  await gateway.post(callOf('add', {}, { progressToken: 'mine', other: 1 }));

  const [without, with_] = upstream.received.filter(({ message }) => message.method === 'tools/call');
  expect(without?.message.params).not.toHaveProperty('_meta');
  expect(with_?.message.params?.['_meta']).toEqual({ progressToken: with_?.message.id, other: 1 });
});

test('a silent call becomes a stream that shows life by comments, and its answer is the last event [A9]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { heartbeat: '100ms' });
  const reply = gateway.open(callOf('slow'));
  const call = await upstream.nextCall('slow');

  const early = await (await reply).until(': heartbeat\n\n: heartbeat\n\n');
  call.release();

  expect((await reply).headers['content-type']).toBe('text/event-stream');
  expect(early).toMatch(/^(?:: heartbeat\n\n)+$/);
  expect(eventsOf(await (await reply).until('done'))).toHaveLength(1);
});

test('an error after the reply became a stream is its last event', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { heartbeat: '50ms' });
  const reply = gateway.open(callOf('never'));
  await upstream.nextCall('never');
  await (await reply).until(': heartbeat');

  upstream.cutStreams();

  const [last] = eventsOf(await (await reply).until('error'));
  expect(JSON.parse(last ?? '')).toMatchObject({
    id: 1,
    error: { code: -32603, data: { reason: 'upstream_session_lost', outcome: 'unknown' } },
  });
});

test.each([['application/json'], ['*/*'], ['']])(
  'a client that accepts “%s” gets JSON, and its progress is dropped and counted',
  async (accept) => {
    const { gateway, upstream } = await gatewayBefore({}, { heartbeat: '50ms' });
    const answer = gateway.post(callOf('slow', {}, { progressToken: 1 }), { accept });
    const call = await upstream.nextCall('slow');

    call.progress(1);
    await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'undeliverable_notification');
    call.release();

    expect((await answer).headers['content-type']).toBe('application/json');
    expect((await answer).json.result.content[0].text).toBe('done');
    expect(gateway.journal.dropped('undeliverable_notification')).toBe(1);
  },
);

test('a client that accepts nothing but a stream gets one event in a stream', async () => {
  const { gateway } = await gatewayBefore();

  const answer = await gateway.post(callOf('add', { a: 1, b: 1 }), STREAM_ONLY);

  expect(answer.headers['content-type']).toBe('text/event-stream');
  expect(answer.text).toBe(
    'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"2"}]}}\n\n',
  );
});

test('a client that leaves does not stop its call: the upstream is not told, and the answer is counted', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const body = JSON.stringify(callOf('slow'));
  const client = await gateway.connect();
  const headers = Object.entries({ ...JSON_HEADERS, host: 'localhost', 'content-length': String(body.length) });
  client.write(requestBytes('POST', '/mcp', headers, body));
  const call = await upstream.nextCall('slow');

  client.leave();
  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
  expect(gateway.app.mounts[0]?.inFlight).toBe(1);
  call.release();
  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'answer_to_a_client_that_left');

  expect(gateway.app.mounts[0]?.inFlight).toBe(0);
  expect(upstream.received.map(({ message }) => message.method)).not.toContain('notifications/cancelled');
});

test('with cancelOnDisconnect a client that leaves takes its call along, and frees its place', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { upstream: { cancelOnDisconnect: true } });
  const reply = gateway.open(callOf('slow', {}, { progressToken: 1 }));
  const call = await upstream.nextCall('slow');
  call.progress(1);
  await (await reply).until('"progress":1');

  (await reply).leave();

  const cancelled = await upstream.nextRequest('notifications/cancelled');
  expect(cancelled.message.params).toMatchObject({ requestId: call.message.id });
  expect(gateway.app.mounts[0]?.inFlight).toBe(0);
});

test('a client that leaves its stream does not stop its call either', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const reply = gateway.open(callOf('slow', {}, { progressToken: 1 }));
  const call = await upstream.nextCall('slow');
  call.progress(1);
  await (await reply).until('"progress":1');

  (await reply).leave();
  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
  call.release();

  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'answer_to_a_client_that_left');
  expect((await gateway.call('count')).status).toBe(200);
});

test('300 calls, 30 at a time, share at most links.max links and mix nothing up', async () => {
  const tags: string[] = [];
  const { gateway, upstream } = await gatewayBefore(
    { tools: { tag: (call) => text(String(call.args['tag'])) } },
    { links: { max: 3, maxInFlight: 8 } },
  );
  const callers = Array.from({ length: 30 }, async (_, caller) => {
    for (let i = 0; i < 10; i++) {
      const tag = `${caller}-${i}`;
      const { json } = await gateway.call('tag', { tag }, i, i % 2 === 0 ? JSON_ONLY : {});
      if (json.id === i && json.result.content[0].text === tag) tags.push(tag);
    }
  });

  await Promise.all(callers);

  expect(new Set(tags).size).toBe(300);
  expect(upstream.gets.length).toBeLessThanOrEqual(3);
  expect(gateway.journal.of('exchange')).toHaveLength(300);
});
