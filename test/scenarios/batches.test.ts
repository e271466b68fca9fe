// Several messages in one array: clients of revision 2025-03-26 may send them so, and so may an upstream. What each of
// the messages does is told elsewhere; here is what they do to one another.

import { describe, expect, onTestFinished, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Gateway, JSON_HEADERS, gatewayBefore, requestBytes, startGateway } from '../support/gateway.ts';
import { NO_ANSWER, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });
const JSON_ONLY = { accept: 'application/json' };
const STREAM_ONLY = { accept: 'text/event-stream' };

// Texts, since the bytes of an id matter.
const request = (id: string, method: string, params: object = {}): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${JSON.stringify(params)}}`;
const call = (id: string, name: string, args: object = {}, meta?: object): string =>
  request(id, 'tools/call', { name, arguments: args, ...(meta && { _meta: meta }) });
const notification = (method: string, params: object = {}): string =>
  `{"jsonrpc":"2.0","method":"${method}","params":${JSON.stringify(params)}}`;
const result = (id: string, value: object = {}): string =>
  `{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(value)}}`;
const batch = (...messages: readonly string[]): string => `[${messages.join(',')}]`;
const saying = (id: string, said: string): string => result(id, text(said));

/** The answers in an array as their bytes; their order means nothing. */
function answersIn(array: string): string[] {
  expect([array.at(0), array.at(-1)]).toEqual(['[', ']']);
  return array
    .slice(1, -1)
    .split(/,(?=\{"jsonrpc":)/)
    .toSorted();
}

/** What the upstream got of these methods, in the order in which it came. */
function received(upstream: LegacyServer, ...methods: readonly string[]): string[] {
  return upstream.received.flatMap(({ message: { method = '' } }) => (methods.includes(method) ? [method] : []));
}

async function olderSession(gateway: Gateway, params: object = {}): Promise<Record<string, string>> {
  return IN(await gateway.openSession({ protocolVersion: '2025-03-26', ...params }));
}

const CALLERS: readonly (readonly [where: string, headersOf: (gateway: Gateway) => Promise<Record<string, string>>])[] =
  [
    ['in a session of 2025-03-26', olderSession],
    ['without a session and without a version', async () => ({})],
  ];

describe.each(CALLERS)('%s', (_where, headersOf) => {
  test('each request is answered once under its own id, and a notification is not [B5 B9]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const headers = await headersOf(gateway);

    const answer = await gateway.post(
      batch(
        call('1', 'add', { a: 1, b: 1 }),
        notification('notifications/x'),
        call('"1"', 'add', { a: 1, b: 2 }),
        call('9007199254740993', 'add', { a: 1, b: 3 }),
        request('-3', 'ping'),
        call('"\\u0041"', 'add', { a: 1, b: 4 }),
        request('""', 'x/unknown'),
      ),
      headers,
    );

    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json']);
    expect(answersIn(answer.text)).toEqual(
      [
        saying('1', '2'),
        saying('"1"', '3'),
        saying('9007199254740993', '4'),
        result('-3'),
        saying('"\\u0041"', '5'),
        '{"jsonrpc":"2.0","id":"","error":{"code":-32601,"message":"Method not found"}}',
      ].toSorted(),
    );
    expect(received(upstream, 'tools/call')).toHaveLength(4);
    expect(gateway.journal.of('exchange').map(({ status }) => status)).toEqual(
      Array(headers['mcp-session-id'] === undefined ? 6 : 7).fill(200),
    );
  });

  test('a batch of one request is answered by an array of one [B5]', async () => {
    const { gateway } = await gatewayBefore();

    const answer = await gateway.post(` \n[ ${call('"a"', 'add', { a: 1, b: 1 })}\t] `, await headersOf(gateway));

    expect(answer.text).toBe(`[${saying('"a"', '2')}]`);
  });

  test.each([
    ['notifications', batch(notification('notifications/x'), notification('notifications/y'))],
    ['responses', batch(result('"a"'), '{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}')],
  ])('only %s: 202 without a body [B6 B4]', async (_what, body) => {
    const { gateway } = await gatewayBefore();

    const answer = await gateway.post(body, await headersOf(gateway));

    expect([answer.status, answer.text, answer.headers['content-length']]).toEqual([202, '', '0']);
  });

  test.each([
    ['nothing [B8]', '[]', 'a batch holds at least one message'],
    ['nothing but space [B8]', '[ \n ]', 'a batch holds at least one message'],
    [
      'responses and requests [B8]',
      batch(request('1', 'ping'), result('"a"')),
      'either requests and notifications, or',
    ],
    ['responses and notifications [B8]', batch(notification('notifications/x'), result('"a"')), 'or responses'],
    [
      'two requests with one id [B8]',
      batch(request('1', 'ping'), call('2', 'count'), call('1', 'count')),
      'messages 1 and 3 of the batch have the same id',
    ],
    ['one id in two spellings [B8]', batch(call('"a"', 'count'), call('"\\u0061"', 'count')), 'have the same id'],
    ['more messages than limits.batch', batch(...['1', '2', '3', '4'].map((id) => call(id, 'count'))), 'limits.batch'],
    ['an element that is no object', batch(call('1', 'count'), '7'), 'message 2 of the batch: a message is one JSON'],
    ['a batch in the batch', batch(call('1', 'count'), batch(call('2', 'count'))), 'message 2 of the batch'],
    ['an element that is no JSON-RPC', batch(call('1', 'count'), '{"id":2,"method":"ping"}'), 'message 2 of the batch'],
    ['an id that is none [A6]', batch(call('1', 'count'), request('null', 'ping')), 'an id is a string or an integer'],
    ['a member given twice', batch('{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'), 'message 1 of the batch'],
    ['an element too deep', batch(call('1', 'count', { a: [[[[[[[[]]]]]]]] })), 'limits.jsonDepth'],
  ])('a batch of %s is refused whole: 400 −32600, and nothing is sent', async (_what, body, why) => {
    const { gateway, upstream } = await gatewayBefore({}, { limits: { batch: 3, jsonDepth: 10 } });

    const answer = await gateway.post(body, await headersOf(gateway));

    expect(answer.status).toBe(400);
    expect(answer.json).toEqual({
      jsonrpc: '2.0',
      error: { code: -32600, message: expect.stringContaining(why), data: { reason: 'invalid_request' } },
    });
    expect(received(upstream, 'tools/call', 'notifications/x')).toEqual([]);
  });

  test('a batch with an initialize in it is refused whole: 400 −32600, and the text says why [B7]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const headers = await headersOf(gateway);
    await upstream.nextRequest('notifications/initialized');
    const before = upstream.received.length;

    const answer = await gateway.post(
      batch(call('1', 'count'), request('2', 'initialize', { protocolVersion: '2025-03-26' })),
      headers,
    );

    expect([answer.status, answer.headers['mcp-session-id']]).toEqual([400, undefined]);
    expect(answer.json.error).toMatchObject({ code: -32600, message: 'initialize must not be part of a batch' });
    expect(upstream.received.length).toBe(before);
  });

  test('a batch with the envelope of 2026-07-28 in it is refused whole: 400 −32600 [G6]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };

    const answer = await gateway.post(
      batch(call('1', 'count'), call('2', 'count', {}, meta)),
      await headersOf(gateway),
    );

    expect([answer.status, answer.json.error.code]).toEqual([400, -32600]);
    expect(received(upstream, 'tools/call')).toEqual([]);
  });

  test.each([
    ['cut off', `[${call('1', 'count')}`],
    ['with a comma at its end', `[${call('1', 'count')},]`],
    ['with a second batch behind it', `${batch(call('1', 'count'))}${batch(call('2', 'count'))}`],
    ['with something else behind it', `${batch(call('1', 'count'))}x`],
    ['that is not UTF-8', Buffer.from(`[${call('1', 'count')},"\xe9"]`, 'latin1')],
  ])('a batch %s is not JSON: 400 −32700 [A7]', async (_what, body) => {
    const { gateway, upstream } = await gatewayBefore();

    const answer = await gateway.post(body, await headersOf(gateway));

    expect(answer.status).toBe(400);
    expect(answer.json).toMatchObject({ error: { code: -32700, data: { reason: 'parse_error' } } });
    expect(answer.json).not.toHaveProperty('id');
    expect(received(upstream, 'tools/call')).toEqual([]);
  });

  test('its requests run at the same time, and each is POSTed upstream by itself [G7 G5]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const headers = await headersOf(gateway);

    const answer = gateway.post(batch(call('1', 'slow'), call('2', 'slow'), call('3', 'add', { a: 1, b: 1 })), headers);
    const slow = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];
    await upstream.nextCall('add');
    for (const each of slow.toReversed()) each.release();

    expect(answersIn((await answer).text)).toEqual([saying('1', 'done'), saying('2', 'done'), saying('3', '2')]);
    expect(upstream.received.filter(({ raw }) => raw.toString().trimStart().startsWith('['))).toEqual([]);
    const ids = upstream.received.flatMap(({ message: { id } }) => (id === undefined ? [] : [id]));
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('progress comes first: the reply is one stream, each answer an event of its own, then it ends [B5 B19]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const headers = await headersOf(gateway);
    const body = batch(call('"s"', 'slow', {}, { progressToken: 'mine' }), call('"f"', 'slow'));
    const reply = openEvents(gateway, { body, headers });
    const [a, b] = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];
    const [slow, fast] = a.bytes('params').includes('progressToken') ? [a, b] : [b, a];

    slow.progress(1);
    const stream = await reply;
    const first = await stream.next();
    fast.release();
    const second = await stream.next();
    slow.progress(2);
    slow.release();

    const events = [first, second, ...(await stream.rest())].map(({ data }) => data);
    const progress = (n: number): string =>
      notification('notifications/progress', { progressToken: 'mine', progress: n });
    expect([stream.status, stream.headers['content-type']]).toEqual([200, 'text/event-stream']);
    expect(events).toEqual([progress(1), saying('"f"', 'done'), progress(2), saying('"s"', 'done')]);
    expect(await stream.closed).toBe('ended');
  });

  test('answers that are there before the first progress are events too, and none is said twice [B5]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const headers = await headersOf(gateway);
    const body = batch(
      call('1', 'add', { a: 1, b: 1 }),
      request('2', 'ping'),
      call('3', 'slow', {}, { progressToken: 7 }),
    );
    const reply = openEvents(gateway, { body, headers });
    const slow = await upstream.nextCall('slow');
    await upstream.nextCall('add');
    await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.method === 'tools/call');

    slow.progress(1);
    slow.release();

    const events = (await (await reply).rest()).map(({ data }) => data);
    expect(events.slice(0, 2).toSorted()).toEqual([saying('1', '2'), result('2')].toSorted());
    expect(events.slice(2)).toEqual([
      notification('notifications/progress', { progressToken: 7, progress: 1 }),
      saying('3', 'done'),
    ]);
  });

  test('silence turns the reply into a stream that shows life, and the answers follow as events', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { heartbeat: '50ms' });
    const headers = await headersOf(gateway);
    const reply = openEvents(gateway, { body: batch(call('1', 'slow'), call('2', 'slow')), headers });
    const slow = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];

    const stream = await reply;
    await stream.untilHeartbeat(3);
    for (const each of slow) each.release();

    const events = (await stream.rest()).map(({ data }) => data);
    expect(events.toSorted()).toEqual([saying('1', 'done'), saying('2', 'done')]);
  });

  test('it shows life once in each heartbeat, however many requests are open', async () => {
    const time = new VirtualTime();
    const { gateway, upstream } = await gatewayBefore({}, {}, time);
    const headers = await headersOf(gateway);
    const ids = Array.from({ length: 20 }, (_, id) => String(id));
    const reply = openEvents(gateway, { body: batch(...ids.map((id) => call(id, 'slow'))), headers });
    const slow = await Promise.all(ids.map(() => upstream.nextCall('slow')));

    // A heartbeat is 15 s, 20 % more or less.
    await time.advance(18_000);
    const stream = await reply;
    await time.advance(18_000);
    for (const each of slow) each.release();

    expect(await stream.rest()).toHaveLength(20);
    expect(stream.heartbeats).toBeGreaterThanOrEqual(2);
    expect(stream.heartbeats).toBeLessThanOrEqual(3);
  });

  test('a client that takes JSON only gets one array, whatever was said before', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { heartbeat: '20ms' });
    const headers = await headersOf(gateway);
    const body = batch(call('1', 'slow', {}, { progressToken: 1 }), call('2', 'add', { a: 1, b: 1 }));
    const answer = gateway.post(body, { ...headers, ...JSON_ONLY });
    const slow = await upstream.nextCall('slow');

    slow.progress(1);
    await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'undeliverable_notification');
    slow.release();

    expect((await answer).headers['content-type']).toBe('application/json');
    expect(answersIn((await answer).text)).toEqual([saying('1', 'done'), saying('2', '2')]);
  });

  test('a client that takes a stream only gets every answer in a stream', async () => {
    const { gateway } = await gatewayBefore();
    const headers = await headersOf(gateway);

    const answer = await gateway.post(batch(call('1', 'add', { a: 1, b: 1 }), request('2', 'ping')), {
      ...headers,
      ...STREAM_ONLY,
    });

    expect(answer.headers['content-type']).toBe('text/event-stream');
    expect(answer.events.flatMap((event) => JSON.parse(event)).map(({ id }) => id)).toEqual(
      expect.arrayContaining([1, 2]),
    );
  });

  test('answers of more than 1 MiB are not held for an array, unless the client takes nothing else', async () => {
    const { gateway } = await gatewayBefore({ tools: { big: () => text('x'.repeat(600_000)) } });
    const headers = await headersOf(gateway);
    const body = batch(...['1', '2', '3'].map((id) => call(id, 'big')));

    const streamed = await gateway.post(body, headers);
    const whole = await gateway.post(body, { ...headers, ...JSON_ONLY });

    expect(new Set(streamed.events.map((event) => JSON.parse(event).id))).toEqual(new Set([1, 2, 3]));
    expect(streamed.events).toHaveLength(3);
    expect(whole.headers['content-type']).toBe('application/json');
    expect(new Set(whole.json.map(({ id }: { id: number }) => id))).toEqual(new Set([1, 2, 3]));
  });

  test('a client that leaves does not stop what it asked for: all of it is finished, and its answers are counted [B14]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const headers = { ...JSON_HEADERS, ...(await headersOf(gateway)), host: 'localhost' };
    const body = batch(call('1', 'slow'), call('2', 'slow'));
    const client = await gateway.connect();
    client.write(
      requestBytes('POST', '/mcp', Object.entries({ ...headers, 'content-length': `${body.length}` }), body),
    );
    const slow = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];

    client.leave();
    await gateway.journal.until(() => gateway.journal.of('exchange').at(-1)?.outcome === 'client_gone');
    expect(gateway.app.mounts[0]?.inFlight).toBe(2);
    for (const each of slow) each.release();
    await gateway.journal.until(() => gateway.journal.dropped('answer_to_a_client_that_left') === 2);

    expect(gateway.journal.of('exchange').filter(({ outcome }) => outcome === 'client_gone')).toHaveLength(2);
    expect(received(upstream, 'notifications/cancelled')).toEqual([]);
    expect([gateway.app.mounts[0]?.inFlight, gateway.app.inFlight()]).toEqual([0, 0]);
  });

  test('limits.inFlight counts each of its requests: a batch for which there is no room is refused whole', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { limits: { inFlight: 3 } });
    const headers = await headersOf(gateway);
    const calls = (count: number): string =>
      batch(...Array.from({ length: count }, (_, id) => call(String(id), 'slow')));

    const tooMany = await gateway.post(calls(4), headers);
    const running = gateway.post(calls(2), headers);
    const slow = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];
    const noRoom = await gateway.post(calls(2), headers);
    const oneMore = gateway.post(calls(1), headers);
    slow.push(await upstream.nextCall('slow'));
    for (const each of slow) each.release();

    expect([tooMany.status, noRoom.status]).toEqual([503, 503]);
    expect(tooMany.headers['retry-after']).toBe('1');
    expect(tooMany.json).toMatchObject({
      error: {
        code: -32603,
        message: expect.stringContaining('limits.inFlight'),
        data: { reason: 'in_flight_limit', outcome: 'not_executed' },
      },
    });
    expect([(await running).json.length, (await oneMore).json.length]).toEqual([2, 1]);
    expect(received(upstream, 'tools/call')).toHaveLength(3);
  });
});

test('limits.inFlight counts the requests of a batch that wait for a link, too', { timeout: 5000 }, async () => {
  const opens = Promise.withResolvers<void>();
  const { gateway, upstream } = await gatewayBefore({ get: { until: opens.promise } }, { limits: { inFlight: 3 } });
  const waiting = gateway.post(batch(call('1', 'count'), call('2', 'count')));
  await expect.poll(() => gateway.app.inFlight(), { timeout: 2000 }).toBeGreaterThan(0);

  const noRoom = await gateway.post(batch(call('3', 'count'), call('4', 'count')));
  upstream.behaviour.get = 'streams';
  opens.resolve();

  expect([noRoom.status, noRoom.json.error.data.reason]).toEqual([503, 'in_flight_limit']);
  expect((await waiting).json).toHaveLength(2);
});

test.each(['2025-06-18', '2025-11-25'])(
  'a session of %s takes no batch, not even of notifications [C1]',
  async (revision) => {
    const { gateway, upstream } = await gatewayBefore();
    const session = await gateway.openSession({ protocolVersion: revision });

    const answers = [
      await gateway.post(batch(call('1', 'count')), IN(session)),
      await gateway.post(batch(notification('notifications/x')), IN(session)),
      await gateway.post(batch(result('"a"')), { ...IN(session), 'mcp-protocol-version': revision }),
      await gateway.post('[]', IN(session)),
    ];

    expect(answers.map(({ status, json }) => [status, json.error.code])).toEqual(Array(4).fill([400, -32600]));
    for (const { json } of answers.slice(0, 3)) expect(json.error.message).toContain('2025-03-26 only');
    expect(received(upstream, 'tools/call', 'notifications/x')).toEqual([]);
  },
);

test.each([
  ['2025-06-18', 400],
  ['2025-11-25', 400],
  ['2025-03-26', 200],
])('without a session, a batch whose version header says %s: %i [C1 B9]', async (version, status) => {
  const { gateway, upstream } = await gatewayBefore();

  const answer = await gateway.post(batch(call('1', 'count')), { 'mcp-protocol-version': version });

  expect(answer.status).toBe(status);
  if (status === 400) expect(answer.json.error).toMatchObject({ code: -32600, data: { reason: 'invalid_request' } });
  expect(received(upstream, 'tools/call')).toHaveLength(status === 200 ? 1 : 0);
});

test.each(['2026-07-28', '2000-01-01', 'latest'])(
  'a batch whose version header says %s is refused: 400 and a JSON-RPC error [C2]',
  async (version) => {
    const { gateway, upstream } = await gatewayBefore();
    const headers = { 'mcp-protocol-version': version };

    const answers = [
      await gateway.post(batch(call('1', 'count')), headers),
      await gateway.post(batch(call('1', 'count')), { ...headers, ...(await olderSession(gateway)) }),
    ];

    expect(answers.map(({ status, json }) => [status, typeof json.error.code])).toEqual(Array(2).fill([400, 'number']));
    expect(received(upstream, 'tools/call')).toEqual([]);
  },
);

test('a batch in a session of 2025-03-26 is served though the header names a newer revision [C4]', async () => {
  const { gateway } = await gatewayBefore();
  const headers = { ...(await olderSession(gateway)), 'mcp-protocol-version': '2025-06-18' };

  expect((await gateway.post(batch(call('1', 'add', { a: 1, b: 1 })), headers)).text).toBe(`[${saying('1', '2')}]`);
});

test('a batch in a session that does not exist: 404 [B15]', async () => {
  const { gateway, upstream } = await gatewayBefore();

  const answer = await gateway.post(batch(call('1', 'count')), IN('unknown'));

  expect([answer.status, answer.json.error.data.reason]).toEqual([404, 'session_unknown']);
  expect(received(upstream, 'tools/call')).toEqual([]);
});

test('notifications in a batch reach the session’s upstream session, beside its requests [B5]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const headers = await olderSession(gateway);

  await gateway.post(batch(notification('notifications/x', { a: 1 }), call('1', 'count')), headers);

  expect((await upstream.nextRequest('notifications/x')).raw.toString()).toBe(
    notification('notifications/x', { a: 1 }),
  );
  expect(received(upstream, 'tools/call', 'notifications/x').toSorted()).toEqual(['notifications/x', 'tools/call']);
});

test('one cancelled request of a batch has no answer in it, and the other goes on [B18]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const headers = await olderSession(gateway);
  const answer = gateway.post(batch(call('"a"', 'slow', { who: 'a' }), call('"b"', 'slow', { who: 'b' })), headers);
  const calls = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];
  const of = (who: string): (typeof calls)[number] | undefined => calls.find(({ args }) => args['who'] === who);

  await gateway.post(notification('notifications/cancelled', { requestId: 'a' }), headers);
  await of('a')?.cancelled;
  of('b')?.release();

  expect([(await answer).status, (await answer).text]).toEqual([200, `[${saying('"b"', 'done')}]`]);
  const told = await upstream.nextRequest('notifications/cancelled');
  expect(told.message.params).toEqual({ requestId: of('a')?.message.id });
  expect(gateway.journal.of('exchange').map(({ outcome }) => outcome)).toContain('cancelled');
});

test('a batch whose requests are all cancelled ends with 202 and no body [B18]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const headers = await olderSession(gateway);
  const answer = gateway.post(batch(call('1', 'slow'), call('2', 'slow')), headers);
  const calls = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];
  const cancel = (requestId: number): string => notification('notifications/cancelled', { requestId });

  await gateway.post(batch(cancel(1), cancel(2)), headers);
  await Promise.all(calls.map(({ cancelled }) => cancelled));

  expect([(await answer).status, (await answer).text]).toEqual([202, '']);
});

test('a batch on a stream, all of it cancelled: the stream ends without an answer [B18]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const headers = await olderSession(gateway);
  const body = batch(call('1', 'slow', {}, { progressToken: 1 }), call('2', 'slow', {}, { progressToken: 2 }));
  const reply = openEvents(gateway, { body, headers });
  const calls = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];
  calls[0]?.progress(1);
  const stream = await reply;
  await stream.next();

  for (const requestId of [1, 2]) {
    await gateway.post(notification('notifications/cancelled', { requestId }), headers);
  }

  expect(await stream.rest()).toEqual([]);
  expect(await stream.closed).toBe('ended');
});

test('a cancel in the batch of its own request ends that request', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const headers = await olderSession(gateway);
  const cancel = notification('notifications/cancelled', { requestId: 1 });

  const answer = await gateway.post(batch(call('1', 'slow'), cancel, call('2', 'add', { a: 1, b: 1 })), headers);

  expect(answer.text).toBe(`[${saying('2', '2')}]`);
  await upstream.nextRequest('notifications/cancelled');
});

test('a cancel without a session cancels nothing of its batch [E5]', async () => {
  const { gateway } = await gatewayBefore();
  const cancel = notification('notifications/cancelled', { requestId: 1 });

  const answer = await gateway.post(batch(call('1', 'add', { a: 1, b: 1 }), cancel));

  expect(answer.text).toBe(`[${saying('1', '2')}]`);
  expect(gateway.journal.dropped('sessionless_notification')).toBe(1);
});

test('a session’s batch is resumed after its connection broke: every answer comes once, then the stream ends [B12 B14]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const sessionId = (await olderSession(gateway))['mcp-session-id'] ?? '';
  const body = batch(call('1', 'slow', { n: 1 }, { progressToken: 1 }), call('2', 'slow', { n: 2 }));
  const reply = openEvents(gateway, { sessionId, body });
  const calls = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];
  const [first, second] = calls[0]?.args['n'] === 1 ? calls : calls.toReversed();
  first?.progress(1);
  const broken = await reply;
  const { id: lastEventId = '' } = await broken.next();
  await broken.leave();

  first?.release();
  const resumed = await openEvents(gateway, { sessionId, lastEventId });
  const replayed = await resumed.next();
  second?.release();

  expect(lastEventId).not.toBe('');
  expect([replayed, ...(await resumed.rest())].map(({ data }) => data)).toEqual([
    saying('1', 'done'),
    saying('2', 'done'),
  ]);
  expect(gateway.journal.dropped('answer_to_a_client_that_left')).toBe(0);
  expect(received(upstream, 'notifications/cancelled')).toEqual([]);
});

test('questions of two calls are answered by one batch of responses [B6 B22]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const headers = await olderSession(gateway, { capabilities: { roots: {} } });
  const body = call('1', 'ask', { questions: [{ method: 'roots/list' }, { method: 'roots/list' }] });
  const stream = await openEvents(gateway, { body, headers });
  const asked = [await stream.next(), await stream.next()];

  const answers = asked.map(({ json }, n) => result(JSON.stringify(json.id), { roots: [{ uri: `file:///${n}` }] }));
  const told = await gateway.post(batch(...answers), headers);

  expect([told.status, told.text]).toEqual([202, '']);
  const { replies } = (await stream.next()).json.result.structuredContent;
  expect(replies.map(({ result: { roots } }: { result: { roots: { uri: string }[] } }) => roots[0]?.uri)).toEqual([
    'file:///0',
    'file:///1',
  ]);
  expect(
    upstream.received.filter(({ message }) => message.result !== undefined).every(({ raw }) => raw[0] === 0x7b),
  ).toBe(true);
});

test('one request fails before it is sent and the others succeed: the status is 200, so nobody sends them again', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1, maxInFlight: 1, maxQueue: 1 } });
  await upstream.nextRequest('notifications/initialized');
  const answer = gateway.post(batch(call('1', 'slow'), call('2', 'slow'), call('3', 'slow')));

  (await upstream.nextCall('slow')).release();
  (await upstream.nextCall('slow')).release();

  expect((await answer).status).toBe(200);
  expect((await answer).headers).not.toHaveProperty('retry-after');
  const answers = (await answer).json.toSorted((a: { id: number }, b: { id: number }) => a.id - b.id);
  expect(answers).toMatchObject([
    { id: 1, result: {} },
    { id: 2, result: {} },
    { id: 3, error: { code: -32603, data: { reason: 'queue_full', outcome: 'not_executed' } } },
  ]);
});

test('all requests fail in the same way before they are sent: their status is that of the reply', async () => {
  const gateway = await startGateway('http://127.0.0.1:1/sse');
  onTestFinished(() => gateway.close());

  const answer = await gateway.post(batch(call('1', 'count'), call('"2"', 'count')));

  expect(answer.status).toBe(502);
  expect(answer.json).toMatchObject(
    [1, '2'].map((id) => ({ id, error: { code: -32603, data: { outcome: 'not_executed' } } })),
  );
});

test('all requests fail for want of room: 503, and when to come again', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1, maxInFlight: 1, maxQueue: 0 } });
  const busy = gateway.call('slow');
  const slow = await upstream.nextCall('slow');

  const answer = await gateway.post(batch(call('1', 'count'), call('2', 'count')));
  slow.release();
  await busy;

  expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
  expect(answersIn(answer.text)).toHaveLength(2);
});

test('a link that is lost ends every request of a batch that was on it, with status 200 and one error each', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const answer = gateway.post(batch(call('1', 'never'), call('2', 'never')), await olderSession(gateway));
  await upstream.nextCall('never');
  await upstream.nextCall('never');

  upstream.cutStreams();

  expect((await answer).status).toBe(200);
  expect((await answer).json).toMatchObject(
    [1, 2].map((id) => ({ id, error: { data: { reason: 'upstream_session_lost', outcome: 'unknown' } } })),
  );
});

describe('an upstream of 2025-03-26 says several things in one array', () => {
  test('in a session each of them is taken: progress, log, ping, question, answer [G7 G9 G10]', async () => {
    const { gateway, upstream } = await gatewayBefore({ protocolVersion: '2025-03-26' });
    const headers = await olderSession(gateway, { capabilities: { roots: {} } });
    const reply = openEvents(gateway, { body: call('"mine"', 'never', {}, { progressToken: 'p' }), headers });
    const { stream: link, message } = await upstream.nextCall('never');
    const id = String(message.id);

    const log = notification('notifications/message', { level: 'info', data: 'x' });
    upstream.sendTo(
      link,
      Buffer.from(
        batch(
          notification('notifications/progress', { progressToken: message.id, progress: 1 }),
          log,
          '{"jsonrpc":"2.0","id":"p","method":"ping"}',
          '{"jsonrpc":"2.0","id":"q","method":"roots/list"}',
          result(id, { content: [] }),
        ),
      ),
    );

    const events = (await (await reply).rest()).map(({ json }) => json);
    expect(events).toMatchObject([
      { method: 'notifications/progress', params: { progressToken: 'p', progress: 1 } },
      { method: 'notifications/message' },
      { method: 'roots/list' },
      { id: 'mine', result: { content: [] } },
    ]);
    await gateway.post(result(JSON.stringify(events[2].id), { roots: [] }), headers);
    await expect
      .poll(() => upstream.received.filter(({ message: { result: value } }) => value !== undefined), { timeout: 5000 })
      .toHaveLength(2);
    const replies = upstream.received.filter(({ message: { result: value } }) => value !== undefined);
    expect(replies.map(({ raw }) => raw.toString())).toEqual(
      expect.arrayContaining([result('"p"'), result('"q"', { roots: [] })]),
    );
  });

  test('without a session, answers to two callers reach each its own [G7 A14]', async () => {
    const { gateway, upstream } = await gatewayBefore({ protocolVersion: '2025-03-26' });
    const answers = [gateway.call('never', { who: 'a' }), gateway.call('never', { who: 'b' })];
    const calls = [await upstream.nextCall('never'), await upstream.nextCall('never')];

    const link = calls[0]?.stream;
    const said = calls.map(({ message, args }) => saying(String(message.id), String(args['who'])));
    if (link !== undefined) upstream.sendTo(link, Buffer.from(batch(...said)));

    expect((await Promise.all(answers)).map(({ text: body }) => body)).toEqual([saying('1', 'a'), saying('1', 'b')]);
  });

  test('the answer to initialize may be in one, and so may what follows it [G7 G3]', async () => {
    const { gateway, upstream } = await gatewayBefore({ methods: { initialize: () => NO_ANSWER } });
    const { message } = await upstream.nextRequest('initialize');
    const hello = { protocolVersion: '2025-03-26', capabilities: {}, serverInfo: { name: 's', version: '1' } };

    const [link] = upstream.streams;
    const said = batch(
      notification('notifications/message', { level: 'info', data: 'x' }),
      result(String(message.id), hello),
      '{"jsonrpc":"2.0","id":7,"method":"ping"}',
    );
    if (link !== undefined) upstream.sendTo(link, Buffer.from(said));

    expect((await gateway.call('add', { a: 1, b: 1 })).text).toBe(saying('1', '2'));
    expect(upstream.received.map(({ raw }) => raw.toString())).toContain(result('7'));
  });

  test('and so may the body of a POST that is answered there [G7 G8]', async () => {
    const { gateway } = await gatewayBefore({
      protocolVersion: '2025-03-26',
      post: ({ method, id }) =>
        method === 'tools/call'
          ? { status: 200, ran: true, body: batch(saying(String(id), 'here')), headers: JSON_HEADERS }
          : 'accepted',
    });

    expect((await gateway.call('never')).text).toBe(saying('1', 'here'));
  });

  test('what of it cannot be read is dropped and counted, and takes nothing else with it [G7]', async () => {
    const { gateway, upstream } = await gatewayBefore({ protocolVersion: '2025-03-26' });
    const answer = gateway.call('never');
    const { stream: link, message } = await upstream.nextCall('never');

    upstream.sendTo(link, Buffer.from(batch('7', saying(String(message.id), 'here'), '{"jsonrpc":"1.0"}')));

    expect((await answer).text).toBe(saying('1', 'here'));
    expect(gateway.journal.dropped('unreadable_message')).toBe(2);
    expect(upstream.gets).toHaveLength(1);
  });

  test('one that is empty, or no JSON, is dropped whole and counted, and the link is kept [G7]', async () => {
    const { gateway, upstream } = await gatewayBefore({ protocolVersion: '2025-03-26' });
    const answer = gateway.call('slow');
    const slow = await upstream.nextCall('slow');

    upstream.sendTo(slow.stream, Buffer.from('[]'));
    upstream.sendTo(slow.stream, Buffer.from(`[${saying(String(slow.message.id), 'cut off')},`));
    await gateway.journal.until(() => gateway.journal.dropped('unreadable_message') === 2);
    slow.release();

    expect((await answer).text).toBe(saying('1', 'done'));
    expect(upstream.gets).toHaveLength(1);
  });
});
