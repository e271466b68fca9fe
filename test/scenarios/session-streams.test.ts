// The streams of a session: what the reply to a request becomes, what the client hears on its GET, and when both end.
// Streams that break and go on are in resumption.test.ts.

import { expect, onTestFinished, test } from 'vitest';
import { type EventClient, openCall, openEvents } from '../support/event-client.ts';
import { type Answer, type Gateway, gatewayBefore, replyIn, requestBytes } from '../support/gateway.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { IN, sessionOf, type World } from '../support/session-client.ts';

const OLDER = ['2025-03-26', '2025-06-18'] as const;
const REVISIONS = [...OLDER, '2025-11-25'] as const;
const DONE = { content: [{ type: 'text', text: 'done' }] };

const listChanged = (kind: string): object => ({ jsonrpc: '2.0', method: `notifications/${kind}/list_changed` });
const log = (data: string): object => ({
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level: 'info', data },
});

/** Resolves when the gateway has read all that was sent on this link. */
async function heard({ upstream, link }: World): Promise<void> {
  await upstream.ask(link, 'ping');
}

// The reply to a request

test.each(REVISIONS)('a call of a %s session that is answered within 100 ms is answered as JSON', async (revision) => {
  const time = new VirtualTime();
  const { gateway, upstream, session } = await sessionOf(revision, {}, { time });

  const opening = openCall(gateway, session, 'slow');
  const call = await upstream.nextCall('slow');
  await time.advance(99);
  call.release();
  const reply = await opening;

  expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/json']);
  expect(JSON.parse(await reply.body())).toEqual({ jsonrpc: '2.0', id: 1, result: DONE });
});

test('a 2025-11-25 call that takes longer gets a stream that begins with an id, no data and a retry [A9 C3 D1]', async () => {
  const time = new VirtualTime();
  const { gateway, upstream, session } = await sessionOf('2025-11-25', {}, { time });

  const opening = openCall(gateway, session, 'slow');
  const call = await upstream.nextCall('slow');
  await time.advance(100);
  const reply = await opening;
  const first = await reply.next();
  call.release();

  expect(reply.status).toBe(200);
  expect(reply.headers).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
  });
  expect(reply.headers).not.toHaveProperty('content-encoding');
  expect(first).toEqual({ id: '1.0', data: '', retry: 1000 });
  expect(await reply.rest()).toMatchObject([{ id: '1.1', event: 'message', json: { id: 1, result: DONE } }]);
  expect(reply.text.startsWith('id: 1.0\nretry: 1000\ndata: \n\n')).toBe(true);
  expect(await reply.closed).toBe('ended');
});

test('a 2025-11-25 stream that has begun shows life by comments [A9]', async () => {
  const time = new VirtualTime();
  const { gateway, upstream, session } = await sessionOf('2025-11-25', {}, { time });

  const opening = openCall(gateway, session, 'never');
  await upstream.nextCall('never');
  await time.advance(100);
  const reply = await opening;
  await time.advance(18_000);
  await reply.untilHeartbeat(1);
  await time.advance(18_000);
  await reply.untilHeartbeat(2);

  expect(reply.seen).toEqual([{ id: '1.0', data: '', retry: 1000 }]);
});

test.each(OLDER)(
  'a call of a %s session gets no such event: JSON as long as there is nothing to say [C3 D1]',
  async (revision) => {
    const time = new VirtualTime();
    const { gateway, upstream, session } = await sessionOf(revision, {}, { time });

    const opening = openCall(gateway, session, 'slow');
    const call = await upstream.nextCall('slow');
    await time.advance(11_900);
    call.release();
    const reply = await opening;

    expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/json']);
    expect(JSON.parse(await reply.body())).toEqual({ jsonrpc: '2.0', id: 1, result: DONE });
  },
);

test.each(OLDER)(
  'a long call of a %s session becomes a stream of comments, and its answer has an id and no retry [A9 D1]',
  async (revision) => {
    const time = new VirtualTime();
    const { gateway, upstream, session } = await sessionOf(revision, {}, { time });

    const opening = openCall(gateway, session, 'slow');
    const call = await upstream.nextCall('slow');
    await time.advance(18_000);
    const reply = await opening;
    await time.advance(18_000);
    await reply.untilHeartbeat(2);
    call.release();

    expect(await reply.rest()).toMatchObject([{ id: '1.1', event: 'message', json: { id: 1, result: DONE } }]);
    expect(reply.headers['content-type']).toBe('text/event-stream');
    expect(reply.text).not.toContain('retry');
    expect(reply.text.replace(/id: .*/s, '')).toMatch(/^(: heartbeat\n\n)+$/);
  },
);

test.each(REVISIONS)(
  'progress of a %s call goes before its answer, with the client’s own token, and each has an id [B19 D1]',
  async (revision) => {
    const { gateway, upstream, session } = await sessionOf(revision);

    for (const progressToken of ['7', 7]) {
      const opening = openCall(gateway, session, 'slow', { progressToken });
      // oxlint-disable-next-line no-await-in-loop -- one call after the other
      const call = await upstream.nextCall('slow');
      for (const step of [1, 2]) call.progress(step, 2);
      call.release();
      const reply = await opening;
      const events = await reply.rest();
      const stream = events[0]?.id?.split('.')[0];

      const primed = revision === '2025-11-25' ? [{ id: `${stream}.0`, data: '', retry: 1000 }] : [];
      expect(events).toMatchObject([
        ...primed,
        { id: `${stream}.1`, event: 'message', json: { params: { progressToken, progress: 1 } } },
        { id: `${stream}.2`, event: 'message', json: { params: { progressToken, progress: 2 } } },
        { id: `${stream}.3`, event: 'message', json: { id: 1, result: DONE } },
      ]);
      expect(events.slice(1).some((event) => 'retry' in event)).toBe(false);
    }
  },
);

test('progress after the answer is counted and given to nobody, also where the client listens [B19]', async () => {
  const world = await sessionOf('2025-06-18');
  const { gateway, upstream, session, link } = world;
  const listener = await openEvents(gateway, { sessionId: session });
  const opening = openCall(gateway, session, 'slow', { progressToken: 'mine' });
  const call = await upstream.nextCall('slow');
  call.release();
  await (await opening).body();

  call.progress(1);
  upstream.sendTo(link, listChanged('tools'));

  expect(await listener.next()).toMatchObject({ id: expect.stringMatching(/^\d+\.1$/), json: listChanged('tools') });
  expect(gateway.journal.dropped('late_progress')).toBe(1);
});

test('streams.primeAfter and streams.retry are the operator’s', async () => {
  const streams = { primeAfter: '10ms', retry: '2500ms' };
  const { gateway, session } = await sessionOf('2025-11-25', { streams });

  const reply = await openCall(gateway, session, 'never');

  expect(await reply.next()).toEqual({ id: '1.0', data: '', retry: 2500 });
});

test('a 2025-11-25 client that takes JSON only gets JSON however long it takes, and what cannot be told is counted', async () => {
  const time = new VirtualTime();
  const world = await sessionOf('2025-11-25', {}, { time });
  const { gateway, upstream, session } = world;

  const opening = openCall(gateway, session, 'slow', { progressToken: 1, headers: { accept: 'application/json' } });
  const call = await upstream.nextCall('slow');
  call.progress(1);
  await heard(world);
  await time.advance(60_000);
  call.release();
  const reply = await opening;

  expect(reply.headers['content-type']).toBe('application/json');
  expect(JSON.parse(await reply.body())).toMatchObject({ id: 1, result: DONE });
  expect(gateway.journal.dropped('undeliverable_notification')).toBe(1);
});

test('a 2025-11-25 client that takes streams only gets its answer as one, at once', async () => {
  const { gateway, session } = await sessionOf('2025-11-25');

  const reply = await openCall(gateway, session, 'add', {
    args: { a: 1, b: 2 },
    headers: { accept: 'text/event-stream' },
  });

  expect(reply.headers['content-type']).toBe('text/event-stream');
  expect(await reply.rest()).toMatchObject([{ event: 'message', json: { id: 1 } }]);
});

test('two sessions with equal ids and tokens at the same time get their own answers, progress and event ids [A14 T5]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const sessions = [
    await gateway.openSession({ protocolVersion: '2025-11-25' }),
    await gateway.openSession({ protocolVersion: '2025-11-25' }),
  ];
  const openings = sessions.map((session, which) =>
    openCall(gateway, session, 'slow', { progressToken: 1, args: { which } }),
  );
  const calls = [await upstream.nextCall('slow'), await upstream.nextCall('slow')];

  for (const call of calls) call.progress(10 + Number(call.args['which']));
  const replies = await Promise.all(openings);
  await Promise.all(replies.map((reply) => reply.until(({ json }) => json?.method === 'notifications/progress')));
  for (const call of calls.toReversed()) call.release();
  await Promise.all(replies.map((reply) => reply.rest()));

  expect(replies.map(({ seen }) => seen.map(({ id, json }) => [id, json?.params?.progress ?? json?.id]))).toEqual([
    [
      ['1.0', undefined],
      ['1.1', 10],
      ['1.2', 1],
    ],
    [
      ['1.0', undefined],
      ['1.1', 11],
      ['1.2', 1],
    ],
  ]);
});

// The stream of the session

test.each(REVISIONS)('GET opens the stream of a %s session, and comments show its life [A9 B11]', async (revision) => {
  const time = new VirtualTime();
  const { gateway, upstream, session, link } = await sessionOf(revision, {}, { time });

  const listener = await openEvents(gateway, { sessionId: session });
  await time.advance(18_000);
  await listener.untilHeartbeat(1);
  await time.advance(18_000);
  await listener.untilHeartbeat(2);
  upstream.sendTo(link, listChanged('tools'));
  await listener.until(({ json }) => json !== undefined);

  expect(listener.status).toBe(200);
  expect(listener.headers).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
  });
  const primed = revision === '2025-11-25' ? [{ id: '1.0', data: '', retry: 1000 }] : [];
  expect(listener.seen).toMatchObject([...primed, { id: '1.1', event: 'message', json: listChanged('tools') }]);
  expect(gateway.journal.of('stream_opened')).toMatchObject([{ how: 'new' }]);
});

test('what no call has caused goes on the GET stream as it came, and no answer does [B11]', async () => {
  const world = await sessionOf('2025-06-18');
  const { gateway, upstream, session, link } = world;
  const listener = await openEvents(gateway, { sessionId: session });
  const said = [
    '{"jsonrpc":"2.0", "method":"notifications/tools/list_changed"}',
    '{"method":"notifications/resources/updated","params":{"uri":"a:\\u0062","x":1.0},"jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":9007199254740993}}',
    '{"jsonrpc":"2.0","method":"notifications/of_tomorrow","params":{"a":1,"a":2}}',
  ];

  for (const text of said) {
    upstream.sendTo(link, Buffer.from(text));
    // oxlint-disable-next-line no-await-in-loop -- calls in between
    expect((await gateway.call('count', {}, 1, IN(session))).status).toBe(200);
  }
  await gateway.send('DELETE', '/mcp', IN(session));

  expect((await listener.rest()).map(({ data }) => data)).toEqual(said);
});

test('of two calls’ streams and the GET stream each message goes on exactly one, under an id of its own [B10 B11 B13]', async () => {
  const world = await sessionOf('2025-11-25', { streams: { primeAfter: '10ms' } });
  const { gateway, upstream, session, link } = world;
  const listener = await openEvents(gateway, { sessionId: session });
  const openingA = openCall(gateway, session, 'slow', { id: 'a', progressToken: 'a' });
  const callA = await upstream.nextCall('slow');
  const openingB = openCall(gateway, session, 'slow', { id: 'b', progressToken: 'b' });
  const callB = await upstream.nextCall('slow');
  const [a, b] = [await openingA, await openingB];

  callA.progress(1);
  callB.progress(2);
  upstream.sendTo(link, listChanged('tools'));
  upstream.sendTo(link, log('of either'));
  callA.progress(3);
  callA.release();
  await a.rest();
  upstream.sendTo(link, log('of b'));
  upstream.sendTo(link, listChanged('prompts'));
  callB.release();
  await b.rest();
  await gateway.send('DELETE', '/mcp', IN(session));
  await listener.rest();

  const what = ({ seen }: EventClient): unknown[] =>
    seen
      .filter(({ json }) => json !== undefined)
      .map(({ json: { id, method, params } }) => id ?? params?.progress ?? params?.data ?? method);
  expect(what(a)).toEqual([1, 3, 'a']);
  expect(what(b)).toEqual([2, 'of b', 'b']);
  expect(what(listener)).toEqual([
    'notifications/tools/list_changed',
    'of either',
    'notifications/prompts/list_changed',
  ]);
  const ids = [a, b, listener].flatMap(({ seen }) => seen.map(({ id }) => id));
  expect(ids).toEqual(ids.map(() => expect.stringMatching(/^\d+\.\d+$/)));
  expect(new Set(ids).size).toBe(ids.length);
});

test.each(REVISIONS)(
  'without a GET what no call has caused goes with the newest call of a %s session [B10]',
  async (revision) => {
    const { gateway, upstream, session, link } = await sessionOf(revision);
    const openingOlder = openCall(gateway, session, 'slow', { id: 'older' });
    const older = await upstream.nextCall('slow');
    const openingNewer = openCall(gateway, session, 'slow', { id: 'newer' });
    const newer = await upstream.nextCall('slow');

    upstream.sendTo(link, listChanged('tools'));
    newer.release();
    const told = await (await openingNewer).rest();
    older.release();
    const reply = await openingOlder;
    await reply.body();

    expect(told.filter(({ json }) => json !== undefined)).toMatchObject([
      { json: listChanged('tools') },
      { json: { id: 'newer' } },
    ]);
    expect(reply.text).not.toContain('list_changed');
  },
);

test('what the upstream says while no stream is open waits for the GET, in its order', async () => {
  const world = await sessionOf('2025-06-18');
  const { gateway, upstream, session, link } = world;

  for (const kind of ['tools', 'prompts', 'resources']) upstream.sendTo(link, listChanged(kind));
  await heard(world);
  const listener = await openEvents(gateway, { sessionId: session });
  const told = await listener.until(({ data }) => data.includes('resources'));

  expect(told.map(({ id, json }) => [id, json])).toEqual([
    ['1.1', listChanged('tools')],
    ['1.2', listChanged('prompts')],
    ['1.3', listChanged('resources')],
  ]);
});

test('nothing is told to a client before it says that it is initialized', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const opened = await gateway.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const session = String(opened.headers['mcp-session-id']);
  const world = { gateway, upstream, session, link: await upstream.nextStream() };
  const listener = await openEvents(gateway, { sessionId: session });

  upstream.sendTo(world.link, listChanged('tools'));
  await heard(world);
  const before = listener.text;
  await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, IN(session));

  expect(await listener.next()).toMatchObject({ id: '1.1', json: listChanged('tools') });
  expect(before).toBe('');
});

// A second GET, and one that is refused

test('a second GET is refused while the first is read, and the first goes on [T9]', async () => {
  const { gateway, upstream, session, link } = await sessionOf('2025-06-18');
  const first = await openEvents(gateway, { sessionId: session });

  const second = await openEvents(gateway, { sessionId: session });
  upstream.sendTo(link, listChanged('tools'));

  expect([second.status, second.headers['content-type']]).toEqual([409, 'application/json']);
  expect(JSON.parse(await second.body())).toEqual({
    jsonrpc: '2.0',
    error: {
      code: -32600,
      message: expect.stringContaining('stream is open already'),
      data: { reason: 'stream_taken' },
    },
  });
  expect(await first.next()).toMatchObject({ id: '1.1', json: listChanged('tools') });
});

test('each session has a GET stream of its own', async () => {
  const { gateway, upstream, session, link } = await sessionOf('2025-06-18');
  const other = await gateway.openSession();
  const otherLink = await upstream.nextStream();
  const listeners = [
    await openEvents(gateway, { sessionId: session }),
    await openEvents(gateway, { sessionId: other }),
  ];

  upstream.sendTo(link, listChanged('tools'));
  upstream.sendTo(otherLink, listChanged('prompts'));

  const told = await Promise.all(listeners.map((each) => each.next()));
  expect(told.map(({ json }) => json)).toEqual([listChanged('tools'), listChanged('prompts')]);
});

test('after the first client has left, a new GET is another stream', async () => {
  const { gateway, upstream, session, link } = await sessionOf('2025-06-18');
  const first = await openEvents(gateway, { sessionId: session });
  upstream.sendTo(link, listChanged('tools'));
  await first.next();

  await first.leave();
  const second = await openEvents(gateway, { sessionId: session });
  upstream.sendTo(link, listChanged('prompts'));

  expect(second.status).toBe(200);
  expect(await second.next()).toMatchObject({ id: '2.1', json: listChanged('prompts') });
});

test('a new GET takes the place of one that is not read any more', async () => {
  const { gateway, upstream, session, link } = await sessionOf('2025-06-18');
  const first = await openEvents(gateway, { sessionId: session });
  first.pause();
  for (let i = 0; i < 24; i++) upstream.sendTo(link, log('x'.repeat(1024 * 1024)));

  // Until then the kernel still takes what is sent.
  let second = await openEvents(gateway, { sessionId: session });
  // oxlint-disable-next-line no-await-in-loop -- each try is a round trip
  while (second.status === 409) second = await openEvents(gateway, { sessionId: session });
  upstream.sendTo(link, listChanged('tools'));
  await second.until(({ data }) => data.includes('list_changed'));
  first.resume();

  expect(second.status).toBe(200);
  expect(await first.closed).toBe('broken');
});

test('a GET that waits behind another reply on the connection of a client that leaves opens no stream', async () => {
  const { gateway, upstream, session } = await sessionOf('2025-06-18');
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow' } });
  const client = await gateway.connect();
  const headers = [
    ['host', 'localhost'],
    ['mcp-session-id', session],
    ['accept', 'application/json, text/event-stream'],
  ] as const;
  const post = [...headers, ['content-type', 'application/json'], ['content-length', String(body.length)]] as const;
  client.write(requestBytes('POST', '/mcp', post, body) + requestBytes('GET', '/mcp', headers));
  const call = await upstream.nextCall('slow');

  client.leave();
  await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
  call.release();

  expect((await openEvents(gateway, { sessionId: session })).status).toBe(200);
  expect(gateway.journal.of('stream_opened')).toHaveLength(1);
});

interface Stranger {
  readonly gateway: Gateway;
  readonly ended: string;
  readonly foreign: string;
  readonly live: string;
}

test.each<[string, (stranger: Stranger) => string]>([
  ['unknown', () => 'nope'],
  ['ended', ({ ended }) => ended],
  ['another gateway’s', ({ foreign }) => foreign],
  ['forged', ({ live }) => `${live}A`],
])('GET with the id of a session that is %s is 404, with and without Last-Event-ID [B15]', async (_, idOf) => {
  const { gateway, session: live } = await sessionOf('2025-11-25');
  const { session: foreign } = await sessionOf('2025-11-25');
  const ended = await gateway.openSession();
  await gateway.send('DELETE', '/mcp', IN(ended));
  const sessionId = idOf({ gateway, ended, foreign, live });

  const replies = [
    await openEvents(gateway, { sessionId }),
    await openEvents(gateway, { sessionId, lastEventId: '1.0' }),
  ];

  const bodies = await Promise.all(replies.map((reply) => reply.body()));
  expect(replies.map(({ status }) => status)).toEqual([404, 404]);
  expect(bodies.map((body) => JSON.parse(body))).toMatchObject(
    bodies.map(() => ({ error: { code: -32600, data: { reason: 'session_unknown' } } })),
  );
});

test('GET at the path of another upstream is 404 [B15]', async () => {
  const other = await startLegacyServer();
  onTestFinished(() => other.close());
  const { gateway, session } = await sessionOf('2025-11-25', {
    others: [{ name: 'other', path: '/other', url: other.url.href }],
  });

  const answer = await gateway.send('GET', '/other', { ...IN(session), accept: 'text/event-stream' });

  expect([answer.status, answer.json.error.data.reason]).toEqual([404, 'session_unknown']);
});

test.each([undefined, '*/*', 'application/json', 'text/*', 'text/event-stream;q=0', ''])(
  'GET that does not name text/event-stream is 406: Accept “%s”',
  async (accept) => {
    const { gateway, session } = await sessionOf('2025-11-25');

    const reply = await openEvents(gateway, { sessionId: session, headers: { accept } });

    expect(reply.status).toBe(406);
    expect(JSON.parse(await reply.body())).toMatchObject({
      error: { code: -32600, data: { reason: 'not_acceptable' } },
    });
    expect((await openEvents(gateway, { sessionId: session })).status).toBe(200);
  },
);

test.each(['1900-01-01', '2099-01-01', '2024-11-05', 'x', ''])(
  'GET and DELETE with the version header “%s” are 400 and name those that are served [C2]',
  async (version) => {
    const { gateway, session } = await sessionOf('2025-11-25');
    const headers = { ...IN(session), accept: 'text/event-stream', 'mcp-protocol-version': version };

    const answers = [await gateway.send('GET', '/mcp', headers), await gateway.send('DELETE', '/mcp', headers)];

    for (const answer of answers) {
      expect([answer.status, answer.json]).toMatchObject([
        400,
        { error: { code: -32022, data: { supported: expect.arrayContaining(['2025-11-25']), requested: version } } },
      ]);
    }
    expect((await gateway.call('count', {}, 1, IN(session))).status).toBe(200);
  },
);

test('GET with another revision that is served opens the stream as the session speaks [C4]', async () => {
  const { gateway, session } = await sessionOf('2025-11-25');

  const listener = await openEvents(gateway, {
    sessionId: session,
    headers: { 'mcp-protocol-version': '2025-03-26' },
  });

  expect(await listener.next()).toEqual({ id: '1.0', data: '', retry: 1000 });
});

// How long a session lives

test('an open GET keeps its session alive, and the session expires when nobody listens any more', async () => {
  const time = new VirtualTime();
  const { gateway, session } = await sessionOf('2025-06-18', { timeouts: { sessionIdle: '60s' } }, { time });
  const listener = await openEvents(gateway, { sessionId: session });

  await time.advance(600_000);
  const aliveWith = gateway.app.registry.size;
  await listener.leave();
  await time.advance(59_000);
  const aliveAfter = gateway.app.registry.size;
  await time.advance(60_000);

  expect([aliveWith, aliveAfter, gateway.app.registry.size]).toEqual([1, 1, 0]);
  expect(gateway.journal.of('session_ended')).toMatchObject([{ why: 'expired' }]);
  expect((await gateway.call('count', {}, 1, IN(session))).status).toBe(404);
});

test('an open call keeps its session alive, also when its client has left', async () => {
  const time = new VirtualTime();
  const { gateway, upstream, session } = await sessionOf('2025-11-25', { timeouts: { sessionIdle: '60s' } }, { time });
  const opening = openCall(gateway, session, 'slow');
  const call = await upstream.nextCall('slow');
  await time.advance(100);
  const reply = await opening;
  const { id = '' } = await reply.next();
  await reply.leave();

  await time.advance(200_000);
  call.release();
  const resumed = await openEvents(gateway, { sessionId: session, lastEventId: id });

  expect(await resumed.rest()).toMatchObject([{ json: { result: DONE } }]);
});

test('timeouts.sessionMax ends a session with its streams, listened to or not', async () => {
  const time = new VirtualTime();
  const { gateway, upstream, session } = await sessionOf('2025-11-25', { timeouts: { sessionMax: '2m' } }, { time });
  const listener = await openEvents(gateway, { sessionId: session });
  const opening = openCall(gateway, session, 'never', { id: 'open' });
  await upstream.nextCall('never');

  await time.advance(160_000);

  const call = await opening;
  expect(await listener.rest()).toEqual([{ id: '1.0', data: '', retry: 1000 }]);
  expect((await call.rest()).slice(1)).toMatchObject([
    { json: { id: 'open', error: { data: { reason: 'session_ended', outcome: 'unknown' } } } },
  ]);
  expect(await Promise.all([listener.closed, call.closed])).toEqual(['ended', 'ended']);
  expect((await openEvents(gateway, { sessionId: session })).status).toBe(404);
  await upstream.whenStreams(0);
});

test('DELETE ends the GET stream and answers what is open with an error; after it everything is 404 [B15]', async () => {
  const { gateway, upstream, session } = await sessionOf('2025-11-25', { streams: { primeAfter: '10ms' } });
  const listener = await openEvents(gateway, { sessionId: session });
  const streamed = await openCall(gateway, session, 'never', { id: 'streamed' });
  const left = await openCall(gateway, session, 'never', { id: 'left' });
  await left.leave();
  const waiting = openCall(gateway, session, 'never', { id: 'waiting', headers: { accept: 'application/json' } });
  await upstream.nextCall('never');
  await upstream.nextCall('never');
  await upstream.nextCall('never');

  const deleted = await gateway.send('DELETE', '/mcp', IN(session));

  expect(deleted.status).toBe(204);
  const error = { code: -32603, data: { reason: 'session_ended', outcome: 'unknown' } };
  expect(await listener.rest()).toEqual([{ id: '1.0', data: '', retry: 1000 }]);
  expect((await streamed.rest()).slice(1)).toMatchObject([{ json: { id: 'streamed', error } }]);
  expect(JSON.parse(await (await waiting).body())).toMatchObject({ id: 'waiting', error });
  expect(await Promise.all([listener.closed, streamed.closed])).toEqual(['ended', 'ended']);
  const after = [
    await openEvents(gateway, { sessionId: session }),
    await openEvents(gateway, { sessionId: session, lastEventId: '2.0' }),
    await openEvents(gateway, { sessionId: session, lastEventId: '3.0' }),
    await openCall(gateway, session, 'count'),
  ];
  expect(after.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
  await upstream.whenStreams(0);
});

test.each([
  ['on a link of its own', {}],
  ['on the only link', { single: true }],
] as const)('DELETE answers a call that waits for its link to open again, %s', async (_, links) => {
  const { gateway, upstream, session } = await sessionOf('2025-11-25', { links, streams: { primeAfter: '10ms' } });
  const release = Promise.withResolvers<void>();
  upstream.behaviour.get = { until: release.promise };
  upstream.cutStreams();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');
  const streamed = await openCall(gateway, session, 'count', { id: 'streamed' });
  const waiting = openCall(gateway, session, 'count', { id: 'waiting', headers: { accept: 'application/json' } });
  await expect.poll(() => gateway.app.inFlight(), { timeout: 5000 }).toBe(2);

  await gateway.send('DELETE', '/mcp', IN(session));
  release.resolve();

  const error = { code: -32603, data: { reason: 'session_ended' } };
  expect((await streamed.rest()).slice(1)).toMatchObject([{ json: { id: 'streamed', error } }]);
  expect(JSON.parse(await (await waiting).body())).toMatchObject({ id: 'waiting', error });
  expect((await gateway.call('add')).status).toBe(200);
  expect(upstream.received.map(({ message }) => message.params?.['name'])).not.toContain('count');
});

// The gateway stops

/** An answer whose request was sent on a connection that was there before. */
async function replyTo(
  bytes: string,
  client: Awaited<ReturnType<Gateway['connect']>>,
): Promise<Pick<Answer, 'status' | 'json'>> {
  client.write(bytes);
  return replyIn(await client.until('}}'));
}

test('when the gateway stops, calls are waited for, resumed ones too, and 2025-11-25 clients hear when to come back [D2]', async () => {
  const { gateway, upstream, session } = await sessionOf('2025-11-25', {
    drain: { timeout: '10s' },
    streams: { primeAfter: '10ms' },
  });
  const listener = await openEvents(gateway, { sessionId: session });
  const openCallOf = async (id: string): Promise<[EventClient, { release(): void }]> => {
    const opening = openCall(gateway, session, 'slow', { id });
    const call = await upstream.nextCall('slow');
    return [await opening, call];
  };
  const [left, resumedCall] = await openCallOf('resumed');
  await left.leave();
  const resumed = await openEvents(gateway, { sessionId: session, lastEventId: left.seen[0]?.id ?? '' });
  const [streamed, call] = await openCallOf('streamed');
  const late = await gateway.connect();

  const closing = gateway.app.close();
  const headers = [
    ['host', 'localhost'],
    ['mcp-session-id', session],
    ['accept', 'text/event-stream'],
  ] as const;
  const refused = await replyTo(requestBytes('GET', '/mcp', headers), late);
  const before = [listener.seen.length, gateway.app.inFlight()];
  call.release();
  resumedCall.release();

  expect((await streamed.rest()).at(-1)).toMatchObject({ json: { id: 'streamed', result: DONE } });
  expect(await resumed.rest()).toMatchObject([{ json: { id: 'resumed', result: DONE } }]);
  const [hint, ...more] = (await listener.rest()).slice(1);
  expect([hint, more]).toEqual([{ data: '', retry: expect.any(Number) }, []]);
  expect(hint?.retry).toBeGreaterThanOrEqual(1000);
  expect(hint?.retry).toBeLessThanOrEqual(2000);
  expect(await Promise.all([listener, streamed, resumed].map(({ closed }) => closed))).toEqual(Array(3).fill('ended'));
  expect(before).toEqual([1, 2]);
  expect([refused.status, refused.json]).toMatchObject([503, { error: { data: { reason: 'draining' } } }]);
  await closing;
});

test.each(OLDER)('when the gateway stops, the GET stream of a %s session just ends [D1]', async (revision) => {
  const { gateway, session } = await sessionOf(revision);
  const listener = await openEvents(gateway, { sessionId: session });

  await gateway.app.close();

  expect(await listener.closed).toBe('ended');
  expect(listener.text).toBe('');
});

test('a call that outlasts drain.timeout is answered with an error on its stream, whoever reads it by then', async () => {
  const { gateway, session } = await sessionOf('2025-11-25', { streams: { primeAfter: '10ms' } });
  const streamed = await openCall(gateway, session, 'never', { id: 'streamed' });
  const left = await openCall(gateway, session, 'never', { id: 'resumed' });
  await left.leave();
  const resumed = await openEvents(gateway, { sessionId: session, lastEventId: left.seen[0]?.id ?? '' });

  await gateway.app.close();

  const error = { code: -32603, data: { reason: 'draining', outcome: 'unknown' } };
  expect((await streamed.rest()).slice(1)).toMatchObject([{ json: { id: 'streamed', error } }]);
  expect(await resumed.rest()).toMatchObject([{ json: { id: 'resumed', error } }]);
});

test.each(['at first', 'by resumption'])(
  'when the gateway stops, a large answer is waited for until its client has taken it: read %s',
  async (how) => {
    const length = 24 * 1024 * 1024;
    const { gateway, upstream, session } = await sessionOf(
      '2025-11-25',
      { drain: { timeout: '10s' }, streams: { primeAfter: '10ms' }, limits: { upstreamMessageBytes: '32MiB' } },
      { behaviour: { tools: { large: async (call) => call.released.then(() => ({ text: 'x'.repeat(length) })) } } },
    );
    const opening = openCall(gateway, session, 'large');
    const call = await upstream.nextCall('large');
    let reply = await opening;
    await reply.next();
    if (how === 'by resumption') {
      await reply.leave();
      reply = await openEvents(gateway, { sessionId: session, lastEventId: '1.0' });
    }
    reply.pause();

    call.release();
    await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.name === 'large');
    const closing = gateway.app.close();
    reply.resume();
    const [answer] = await reply.rest();
    await closing;

    expect(answer?.json.result.text).toHaveLength(length);
    expect(await reply.closed).toBe('ended');
  },
);
