// What an upstream can say on a stream that is open: it costs that link at most, never the process, never another call.

import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { eventsOf, gatewayBefore } from '../support/gateway.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });
const LIMITS = { limits: { upstreamMessageBytes: '64KiB' } };

const message = (data: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from('data: '), Buffer.from(data), Buffer.from('\n\n')]);

test.each<readonly [what: string, bytes: Buffer]>([
  ['data that is no JSON', message('{"jsonrpc":')],
  ['JSON that is no message', message('{"hello":1}')],
  ['an array of what is no message', message('[{"jsonrpc":"2.0"}]')],
  ['an empty array', message('[]')],
  ['a message with two ids', message('{"jsonrpc":"2.0","id":1,"id":2,"result":{}}')],
  ['a message with two results', message('{"jsonrpc":"2.0","id":1,"result":{},"result":{}}')],
  ['nesting of 200 levels', message(`{"jsonrpc":"2.0","id":1,"result":${'['.repeat(200)}${']'.repeat(200)}}`)],
  ['nesting of 30,000 levels', message(`{"jsonrpc":"2.0","id":1,"result":${'['.repeat(30_000)}`)],
  ['NUL inside a string', message('{"jsonrpc":"2.0","id":1,"result":"\0"}')],
  ['NUL alone', message('\0')],
  ['bytes that are not UTF-8', message(Buffer.from('{"jsonrpc":"2.0","method":"\xff"}', 'latin1'))],
  ['a surrogate in UTF-8', message(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))],
  ['a fractional id', message('{"jsonrpc":"2.0","id":1.5,"result":{}}')],
])('%s is dropped and counted, and the link is kept', async (_, bytes) => {
  const { gateway, upstream } = await gatewayBefore({}, LIMITS);
  await gateway.call('count');

  upstream.push(await upstream.nextStream(), bytes);

  await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'unreadable_message');
  expect((await gateway.call('count')).json.result.content[0].text).toBe('2');
  expect(upstream.gets).toHaveLength(1);
});

test.each<readonly [what: string, bytes: string]>([
  ['10,000 lines with an id', 'id: 1\n'.repeat(10_000)],
  ['10,000 empty events', 'data\n\n'.repeat(10_000)],
  ['a megabyte of comments', `: ${'x'.repeat(1000)}\n`.repeat(1000)],
  ['fields nobody knows', 'hello: world\nhello\n: \n\n'],
  ['NUL in an id and a field name', 'id: \0\n\0: x\n\n'],
  ['a retry of nothing, of ages, and of words', 'retry: 0\n\nretry: 99999999999\n\nretry: soon\n\n'],
  ['a BOM in mid-stream', '\uFEFFdata: x\n\n'],
  ['events of other names', 'event: message2\ndata: {}\n\nevent: open\ndata: x\n\nevent: close\ndata\n\n'],
])('%s on the stream change nothing', async (_, bytes) => {
  const { gateway, upstream } = await gatewayBefore({}, LIMITS);
  await gateway.call('count');

  upstream.push(await upstream.nextStream(), bytes);

  expect((await gateway.call('count')).json.result.content[0].text).toBe('2');
  expect(upstream.gets).toHaveLength(1);
});

test.each<readonly [what: string, bytes: string, why: string]>([
  ['a line without end', `data: ${'x'.repeat(70_000)}`, 'limits.upstreamMessageBytes'],
  ['an event of many lines without end', `data: ${'x'.repeat(100)}\n`.repeat(700), 'limits.upstreamMessageBytes'],
  ['a comment without end', `: ${'x'.repeat(70_000)}`, 'limits.upstreamMessageBytes'],
  ['an event name without end', `event: ${'x'.repeat(70_000)}`, 'limits.upstreamMessageBytes'],
])('%s costs the link, which says why; the next call has another [T19]', async (_, bytes, why) => {
  const { gateway, upstream } = await gatewayBefore({}, LIMITS);
  await gateway.call('count');
  const stream = await upstream.nextStream();

  upstream.push(stream, bytes);
  await stream.closed;

  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  expect(gateway.journal.of('link_closed')).toMatchObject([{ reason: 'lost', why: expect.stringContaining(why) }]);
});

test('a message over the limit fails the calls of that link, by name, and no other’s [G22 T19]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, LIMITS);
  const session = await gateway.openSession();
  const other = gateway.call('slow', {}, 1);
  const otherCall = await upstream.nextCall('slow');
  const answer = gateway.call('slow', {}, 2, IN(session));
  const { stream } = await upstream.nextCall('slow');

  upstream.push(stream, message(`{"jsonrpc":"2.0","method":"x","params":{"a":"${'x'.repeat(70_000)}"}}`));
  const failed = await answer;
  otherCall.release();

  expect(failed.status).toBe(200);
  expect(failed.json.error).toMatchObject({
    message: expect.stringContaining('limits.upstreamMessageBytes'),
    data: { reason: 'upstream_message_too_large', outcome: 'unknown' },
  });
  expect((await other).json.result.content[0].text).toBe('done');
});

test('an event that calls itself `error` costs the link at most', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');

  upstream.push(await upstream.nextStream(), 'event: error\ndata: boo\n\n');

  expect((await gateway.call('count')).status).toBe(200);
  expect(upstream.gets.length).toBeLessThanOrEqual(2);
});

test('answers nobody asked for are dropped and counted, and so is the second answer to one call [T6]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const answer = gateway.call('never', {}, 'mine');
  const { stream, message: call } = await upstream.nextCall('never');
  const id = Number(call.id);
  const result = (value: number): object => ({ content: [{ type: 'text', text: String(value) }] });

  for (const stray of [id + 1, id - 100_000, -id, 0, 2 ** 53, String(id + 1), `${id}0`, 'x', null]) {
    upstream.sendTo(stream, { jsonrpc: '2.0', id: stray, result: result(0) });
  }
  upstream.sendTo(stream, { jsonrpc: '2.0', id, result: result(1) });
  upstream.sendTo(stream, { jsonrpc: '2.0', id, result: result(2) });
  upstream.sendTo(stream, { jsonrpc: '2.0', id, error: { code: 1, message: 'three' } });

  expect((await answer).text).toBe('{"jsonrpc":"2.0","id":"mine","result":{"content":[{"type":"text","text":"1"}]}}');
  // Behind them on the stream, so they have been heard.
  await upstream.ask(stream, 'ping');
  expect(gateway.journal.dropped('duplicate_answer')).toBe(2);
  expect(gateway.journal.dropped('unknown_answer')).toBe(9);
  expect(gateway.app.mounts[0]?.isSingle).toBe(false);
});

test('progress for a token nobody gave, and after the answer, is dropped and counted', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const params = { name: 'slow', arguments: {}, _meta: { progressToken: 1 } };
  const answer = gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  const call = await upstream.nextCall('slow');

  for (const progressToken of [1, '1', 'x', null, {}]) {
    call.notify('notifications/progress', { progressToken, progress: 1 });
  }
  call.notify('notifications/progress');
  call.release();
  const { events, json } = await answer;
  call.progress(2);
  await gateway.journal.until(() => gateway.journal.dropped('late_progress') === 7);

  expect(events).toEqual([]);
  expect(json.result.content[0].text).toBe('done');
});

test('a hostile retry does not make us reconnect: a lost link is opened once, by our own rules', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');
  upstream.push(await upstream.nextStream(), 'retry: 0\n\nid: 7\ndata: {"jsonrpc":"2.0","method":"x"}\n\n');
  await gateway.journal.until(({ fact }) => fact === 'dropped');

  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  await upstream.whenStreams(1);

  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  expect(upstream.gets).toHaveLength(2);
  expect(upstream.gets[1]?.headers).not.toHaveProperty('last-event-id');
});

test('an upstream that cuts every link at once is not dialled in a loop', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { reconnect: { min: '1h', max: '1h' }, links: { max: 1 } });
  await gateway.journal.until(({ fact }) => fact === 'link_open');

  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  const before = upstream.gets.length;
  await gateway.call('count');
  upstream.cutStreams();
  await gateway.journal.until(() => gateway.journal.of('link_closed').length === 2);

  expect(before).toBe(1);
  expect(upstream.gets).toHaveLength(2);
});

test('a thousand pings are answered, and a thousand questions refused, while a call runs', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const answer = gateway.call('slow');
  const call = await upstream.nextCall('slow');

  const asked = Array.from({ length: 1000 }, (_, i) =>
    upstream.ask(call.stream, i % 2 === 0 ? 'ping' : 'sampling/createMessage'),
  );
  const replies = await Promise.all(asked);
  call.release();

  expect(replies.filter(({ result }) => result !== undefined)).toHaveLength(500);
  expect(replies.filter(({ error }) => error?.code === -32601)).toHaveLength(500);
  expect((await answer).json.result.content[0].text).toBe('done');
});

test.each(['\r', '\n', '\r\n', '\u2028', '\u0000', '\ud800', 'data: x\n\nevent: endpoint', ': x\n\n'])(
  'a result that holds %j is one event in the client’s stream, and one only [T10]',
  async (nasty) => {
    const { gateway, upstream } = await gatewayBefore({
      tools: { nasty: () => ({ content: [{ type: 'text', text: nasty }] }) },
    });
    const accept = { accept: 'text/event-stream' };

    const { text } = await gateway.call('nasty', {}, nasty, accept);
    const spread = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { nasty } }, null, 1);
    upstream.behaviour.methods = { 'x/spread': () => Buffer.from(JSON.stringify({ nasty }, null, 1)) };
    const other = await gateway.post({ jsonrpc: '2.0', id: 1, method: 'x/spread' }, accept);

    expect(text.split(/\r\n\r\n|\r\r|\n\n/)).toHaveLength(2);
    expect(JSON.parse(eventsOf(text)[0] ?? '')).toMatchObject({ id: nasty, result: { content: [{ text: nasty }] } });
    expect(JSON.parse(eventsOf(other.text)[0] ?? '')).toEqual(JSON.parse(spread));
  },
);

test.each<readonly [what: string, piece: string, times: number]>([
  ['a million tiny events', 'data:\n\n', 1_000_000],
  ['100,000 messages that are none', 'data: x\n\n', 100_000],
  ['a million comments', ':\n', 1_000_000],
  ['a comment of 8 MiB in small lines', `:${'x'.repeat(62)}\n`, 131_072],
  ['a million blank lines', '\n', 1_000_000],
  ['a million carriage returns', '\r', 1_000_000],
])('%s stop neither the gateway nor the link they come on [T19]', async (_, piece, times) => {
  const { gateway, upstream } = await gatewayBefore({}, LIMITS);
  const session = await gateway.openSession();
  await gateway.call('count', {}, 1, IN(session));
  await gateway.call('count');
  const [stream] = upstream.streams;
  if (stream === undefined) expect.fail('no stream is open');
  const bytes = Buffer.from(piece.repeat(times));

  const startedAt = performance.now();
  upstream.push(stream, bytes);
  const answers = await Promise.all([gateway.call('count', {}, 2, IN(session)), gateway.call('count', {}, 2)]);

  // One after the other on one machine with their sender: seconds, not minutes.
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect(answers.map(({ json }) => json.result.content[0].text)).toEqual(['2', '2']);
  expect(upstream.gets).toHaveLength(2);
});

test.each<readonly [what: string, bytes: string]>([
  ['an `error` event', 'event: error\ndata: boo\n\n'],
  ['an `open` event', 'event: open\ndata: boo\n\n'],
  ['an `endpoint` event with the same URL', 'event: endpoint\ndata: /messages?again\n\n'],
  ['a retry of 0', 'retry: 0\n\n'],
  ['a retry of three thousand years', 'retry: 100000000000\n\n'],
])('%s in mid-session leaves the call that runs and the session as they are', async (_, bytes) => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });
  const session = await gateway.openSession();
  const answer = gateway.call('slow', {}, 1, IN(session));
  const call = await upstream.nextCall('slow');

  upstream.push(call.stream, bytes);
  call.release();

  expect((await answer).json.result.content[0].text).toBe('done');
  expect((await gateway.call('count', {}, 2, IN(session))).json.result.content[0].text).toBe('1');
  expect(upstream.gets).toHaveLength(1);
});

test.each(['0', '1', '100000000000', '-1', '1e9'])(
  'with a retry of %s there are no more connects than by our own back-off, and no fewer',
  async (retry) => {
    const { gateway, upstream } = await gatewayBefore({}, { reconnect: { min: '10ms', max: '10ms' } });

    for (let i = 1; i <= 4; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one loss after the other
      const [stream] = await upstream.whenStreams(1);
      if (stream === undefined) expect.fail('no stream is open');
      // oxlint-disable-next-line no-await-in-loop -- the link is open once it has told of itself
      await expect.poll(() => gateway.journal.of('link_open').length).toBe(i);
      upstream.push(stream, `retry: ${retry}\n\n`);
      upstream.cutStreams();
      // oxlint-disable-next-line no-await-in-loop -- as above
      await expect.poll(() => gateway.journal.of('link_open').length).toBe(i + 1);
    }

    expect(upstream.gets).toHaveLength(5);
  },
);

test('a gzip bomb is no event stream, and costs nothing: it is not unpacked [T19]', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const headers = { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' };
  const { gateway } = await gatewayBefore({ get: { status: 200, headers, body: bomb } }, { links: { min: 0 } });
  const before = process.memoryUsage().arrayBuffers;

  const { status, json } = await gateway.call('count');

  expect([status, json.error.data.reason]).toEqual([502, 'upstream_not_event_stream']);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
});

test('an answer in the body of a POST that is packed is no answer: it is not unpacked', async () => {
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const body = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
  const { gateway } = await gatewayBefore({
    post: ({ method }) => (method === 'tools/call' ? { status: 202, headers, body, ran: true } : 'accepted'),
  });
  const before = process.memoryUsage().arrayBuffers;

  const { json } = await gateway.call('count');

  expect(json.result.content[0].text).toBe('1');
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
});
