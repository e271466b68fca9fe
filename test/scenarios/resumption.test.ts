// Streams of sessions whose connection breaks: what Last-Event-ID brings back, and what it does not.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CallOptions, type EventClient, type SseEvent, openCall, openEvents } from '../support/event-client.ts';
import { gatewayBefore } from '../support/gateway.ts';
import type { LegacyCall } from '../support/legacy-behaviour.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { IN, sessionOf, type World } from '../support/session-client.ts';

const OLDER = ['2025-03-26', '2025-06-18'] as const;
const REVISIONS = [...OLDER, '2025-11-25'] as const;
const DONE = { content: [{ type: 'text', text: 'done' }] };
/** A 2025-11-25 client can come back to its call as soon as this is over. */
const SOON = { streams: { primeAfter: '10ms' } } as const;

interface Started {
  readonly reply: EventClient;
  readonly call: LegacyCall;
}

/** A call whose stream has begun, with progress 1 as its first message. */
async function started({ gateway, upstream, session }: World, options: CallOptions = {}): Promise<Started> {
  const opening = openCall(gateway, session, 'slow', { progressToken: 'p', ...options });
  const call = await upstream.nextCall('slow');
  call.progress(1);
  const reply = await opening;
  await reply.until(({ json }) => json !== undefined);
  return { reply, call };
}

const resume = ({ gateway, session }: World, lastEventId: string | undefined): Promise<EventClient> =>
  openEvents(gateway, { sessionId: session, lastEventId: lastEventId ?? 'none' });
const listen = ({ gateway, session }: World): Promise<EventClient> => openEvents(gateway, { sessionId: session });

const listChanged = (kind: string): object => ({ jsonrpc: '2.0', method: `notifications/${kind}/list_changed` });

/** Resolves when the gateway has read all that was sent on this link. */
async function heard({ upstream, link }: World): Promise<void> {
  await upstream.ask(link, 'ping');
}

/** Per event its id, and what tells it from others: a progress, or the id of an answer. */
const told = (events: readonly SseEvent[]): unknown[] =>
  events.map(({ id, json }) => [id, json?.params?.progress ?? json?.id ?? json?.method]);

const lastIdOf = ({ seen }: EventClient): string => seen.at(-1)?.id ?? 'none';

test.each(REVISIONS)(
  'a %s client that loses its call’s stream gets the later events of it, in order, then what follows, and the answer once [B12 B14 C7 D3]',
  async (revision) => {
    const world = await sessionOf(revision);
    const { gateway, upstream, session } = world;
    const { reply, call } = await started(world, { id: 'mine' });
    const other = await started(world, { id: 'other', progressToken: 'o' });

    await reply.leave();
    for (const step of [2, 3, 4]) call.progress(step);
    other.call.progress(100);
    await heard(world);
    const resumed = await resume(world, lastIdOf(reply));
    await resumed.until(({ json }) => json.params.progress === 4);
    call.progress(5);
    call.release();
    await resumed.rest();

    expect(resumed.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
    const [stream] = lastIdOf(reply).split('.');
    expect(told(resumed.seen)).toEqual([
      [`${stream}.2`, 2],
      [`${stream}.3`, 3],
      [`${stream}.4`, 4],
      [`${stream}.5`, 5],
      [`${stream}.6`, 'mine'],
    ]);
    expect(resumed.seen.map(({ event }) => event)).toEqual(Array(5).fill('message'));
    expect(await resumed.closed).toBe('ended');
    expect(upstream.received.map(({ message }) => message.method)).not.toContain('notifications/cancelled');
    expect((await gateway.call('count', {}, 1, IN(session))).status).toBe(200);
    expect(gateway.journal.of('stream_opened')).toMatchObject([{ how: 'resumed' }]);
  },
);

test('a 2025-11-25 client comes back after nothing but the first event, and finds its answer [B14 D3]', async () => {
  const world = await sessionOf('2025-11-25', SOON);
  const opening = openCall(world.gateway, world.session, 'slow');
  const call = await world.upstream.nextCall('slow');
  const reply = await opening;
  await reply.leave();

  call.release();
  await heard(world);
  const resumed = await resume(world, '1.0');

  expect(await resumed.rest()).toMatchObject([{ id: '1.1', event: 'message', json: { id: 1, result: DONE } }]);
});

test('a stream is resumed again and again, each time from where the client stands [B12 D3]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);
  let last = reply;

  for (const step of [2, 3, 4]) {
    // oxlint-disable no-await-in-loop -- one connection after the other
    await last.leave();
    call.progress(step);
    last = await resume(world, `1.${step - 1}`);
    expect(told([await last.next()])).toEqual([[`1.${step}`, step]]);
    // oxlint-enable no-await-in-loop
  }
  call.release();

  expect(told(await last.rest())).toEqual([['1.5', 1]]);
});

test('a client that says it has less than it was sent gets it again [B12]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);
  for (const step of [2, 3]) call.progress(step);
  await reply.until(({ json }) => json.params.progress === 3);
  await reply.leave();

  const resumed = await resume(world, '1.0');
  call.release();

  expect(told(await resumed.rest())).toEqual([
    ['1.1', 1],
    ['1.2', 2],
    ['1.3', 3],
    ['1.4', 1],
  ]);
});

test.each(REVISIONS)(
  'a %s client that leaves before any id was sent has lost its answer, and that is counted',
  async (revision) => {
    const time = new VirtualTime();
    const world = await sessionOf(revision, {}, { time });
    const { gateway, upstream, session } = world;
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow' } });
    const client = await gateway.connect();
    client.write(
      `POST /mcp HTTP/1.1\r\nhost: localhost\r\nmcp-session-id: ${session}\r\ncontent-type: application/json\r\n` +
        `accept: application/json, text/event-stream\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const call = await upstream.nextCall('slow');

    client.leave();
    await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
    await time.advance(60_000);
    call.release();
    await heard(world);

    expect(gateway.journal.dropped('answer_to_a_client_that_left')).toBe(1);
    expect((await resume(world, '1.0')).status).toBe(400);
    expect(upstream.received.map(({ message }) => message.method)).not.toContain('notifications/cancelled');
  },
);

test.each(OLDER)(
  'a %s client that has seen nothing but comments has lost its answer, and that is counted',
  async (revision) => {
    const time = new VirtualTime();
    const world = await sessionOf(revision, {}, { time });
    const { gateway, upstream, session } = world;
    const opening = openCall(gateway, session, 'slow');
    const call = await upstream.nextCall('slow');
    await time.advance(18_000);
    const reply = await opening;

    await reply.leave();
    await gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'client_gone');
    call.release();
    await heard(world);

    expect(gateway.journal.dropped('answer_to_a_client_that_left')).toBe(1);
    expect((await resume(world, '1.0')).status).toBe(400);
  },
);

test('a client that comes back before its old connection is gone takes the stream over, and nothing comes twice [B10 B12]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);
  call.progress(2);
  await reply.next();

  const resumed = await resume(world, '1.2');
  call.progress(3);
  call.release();

  expect(told(await resumed.rest())).toEqual([
    ['1.3', 3],
    ['1.4', 1],
  ]);
  expect(await reply.rest()).toEqual([]);
  expect(await reply.closed).toBe('ended');
});

test('the old connection that was taken over does not end the stream when it closes', async () => {
  const world = await sessionOf('2025-06-18');
  const { reply, call } = await started(world);

  const resumed = await resume(world, '1.1');
  await reply.closed;
  call.progress(2);
  await resumed.next();
  call.release();

  expect(told(await resumed.rest())).toEqual([['1.3', 1]]);
  expect(world.gateway.app.inFlight()).toBe(0);
});

test('a client that comes back while its old connection is stuck gets everything on the new one, without waiting for the old', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);
  reply.pause();
  const megabyte = 'x'.repeat(1024 * 1024);
  const steps = Array.from({ length: 24 }, (_, i) => i + 2);
  for (const progress of steps) {
    call.notify('notifications/progress', { progressToken: call.message.id, progress, message: megabyte });
  }
  call.release();
  // The old connection takes nothing any more: what is sent stands in line behind it.
  await world.gateway.call('count');

  const resumed = await resume(world, '1.1');
  await resumed.rest();

  expect(resumed.seen.at(-1)).toMatchObject({ id: '1.26', json: { id: 1, result: DONE } });
  reply.cut();
});

test('two resumptions that race: each is replayed to, and the later one has the rest [B10 B12]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);
  call.progress(2);
  await reply.next();
  await reply.leave();

  const racing = await Promise.all([resume(world, '1.0'), resume(world, '1.0'), resume(world, '1.0')]);
  await Promise.all(racing.map((each) => each.until(({ id }) => id === '1.2')));
  call.progress(3);
  call.release();
  const rests = await Promise.all(racing.map((each) => each.rest()));

  expect(racing.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(racing.map(({ seen }) => told(seen.slice(0, 2)))).toEqual(
    Array(3).fill([
      ['1.1', 1],
      ['1.2', 2],
    ]),
  );
  expect(rests.map(told).filter((events) => events.length > 0)).toEqual([
    [
      ['1.3', 3],
      ['1.4', 1],
    ],
  ]);
});

test('a stream that is over is replayed and ends, as often as it is asked for [B12]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);
  call.release();
  await reply.rest();

  const again = [await resume(world, '1.0'), await resume(world, '1.1'), await resume(world, '1.2')];
  await Promise.all(again.map((each) => each.rest()));

  expect(again.map(({ seen }) => told(seen))).toEqual([
    [
      ['1.1', 1],
      ['1.2', 1],
    ],
    [['1.2', 1]],
    [],
  ]);
  expect(await Promise.all(again.map(({ closed }) => closed))).toEqual(['ended', 'ended', 'ended']);
  expect(world.gateway.app.inFlight()).toBe(0);
});

test('a client that loses its connection in the middle of an event gets the whole event', async () => {
  const length = 8 * 1024 * 1024;
  const world = await sessionOf(
    '2025-06-18',
    {},
    {
      behaviour: {
        tools: {
          large: async (call) => {
            call.progress(1);
            await call.released;
            return { content: [{ type: 'text', text: 'é'.repeat(length / 2) }] };
          },
        },
      },
    },
  );
  const { gateway, upstream, session } = world;
  const reply = await openCall(gateway, session, 'large', { progressToken: 1 });
  await reply.next();
  (await upstream.nextCall('large')).release();
  await reply.untilText('id: 1.2\nevent: message\ndata: {"jsonrpc"');
  const seen = reply.seen.length;
  reply.cut();

  const resumed = await resume(world, '1.1');
  const [answer, ...more] = await resumed.rest();

  expect([seen, more]).toEqual([1, []]);
  expect(answer?.id).toBe('1.2');
  expect(answer?.json.result.content[0].text).toHaveLength(length / 2);
});

test.each(REVISIONS)(
  'the GET stream of a %s session is resumed: what came meanwhile follows, once [B10 B12 C7]',
  async (revision) => {
    const world = await sessionOf(revision);
    const { upstream, link } = world;
    const listener = await listen(world);
    upstream.sendTo(link, listChanged('tools'));
    await listener.until(({ json }) => json !== undefined);
    await listener.leave();

    upstream.sendTo(link, listChanged('prompts'));
    await heard(world);
    const resumed = await resume(world, '1.1');
    const first = await resumed.next();
    upstream.sendTo(link, listChanged('resources'));

    expect(told([first, await resumed.next()])).toEqual([
      ['1.2', 'notifications/prompts/list_changed'],
      ['1.3', 'notifications/resources/list_changed'],
    ]);
    expect((await listen(world)).status).toBe(409);
  },
);

test('a GET stream that is resumed before its old connection is gone moves to the new one [B10]', async () => {
  const world = await sessionOf('2025-11-25');
  const { upstream, link } = world;
  const listener = await listen(world);
  await listener.next();

  const resumed = await resume(world, '1.0');
  const closed = await listener.closed;
  upstream.sendTo(link, listChanged('tools'));

  expect(told([await resumed.next()])).toEqual([['1.1', 'notifications/tools/list_changed']]);
  expect([closed, listener.seen.length]).toEqual(['ended', 1]);
});

test('the stream of a batch is resumed: the answers that are left follow, and it ends with the last [B5 B12]', async () => {
  const world = await sessionOf('2025-03-26');
  const { gateway, upstream, session } = world;
  const ids = ['a', 'b', 'c'];
  const body = ids.map((id) => {
    const params = { name: 'slow', arguments: { id }, _meta: { progressToken: id } };
    return { jsonrpc: '2.0', id, method: 'tools/call', params };
  });
  const opening = openEvents(gateway, { sessionId: session, body });
  const calls = [await upstream.nextCall('slow'), await upstream.nextCall('slow'), await upstream.nextCall('slow')];
  const byId = new Map(calls.map((call) => [call.args['id'], call]));
  byId.get('a')?.progress(1);
  const reply = await opening;
  await reply.next();
  byId.get('b')?.release();
  await reply.next();
  await reply.leave();

  byId.get('c')?.release();
  await heard(world);
  const resumed = await resume(world, '1.2');
  await resumed.next();
  byId.get('a')?.release();
  await resumed.rest();

  expect(told(reply.seen)).toEqual([
    ['1.1', 1],
    ['1.2', 'b'],
  ]);
  expect(told(resumed.seen)).toEqual([
    ['1.3', 'c'],
    ['1.4', 'a'],
  ]);
});

test('a resumed GET stream shows life like a new one [A9]', async () => {
  const time = new VirtualTime();
  const world = await sessionOf('2025-11-25', {}, { time });
  const listener = await listen(world);
  await listener.leave();
  // The beat that falls into the pause must not be the last.
  await time.advance(60_000);

  const resumed = await resume(world, '1.0');
  await time.advance(18_000);
  await resumed.untilHeartbeat(1);
  await time.advance(18_000);
  await resumed.untilHeartbeat(2);

  expect(resumed.seen).toEqual([]);
});

test('a resumed stream of a call shows life too [A9]', async () => {
  const time = new VirtualTime();
  const world = await sessionOf('2025-11-25', {}, { time });
  const { reply } = await started(world);
  await reply.leave();

  const resumed = await resume(world, '1.1');
  await time.advance(18_000);
  await resumed.untilHeartbeat(1);

  expect(resumed.seen).toEqual([]);
});

test('the GET stream that another has replaced can still be read to its end [B12]', async () => {
  const world = await sessionOf('2025-11-25');
  const { upstream, link } = world;
  const first = await listen(world);
  upstream.sendTo(link, listChanged('tools'));
  await first.until(({ id }) => id === '1.1');
  await first.leave();
  const second = await listen(world);

  const old = await resume(world, '1.0');
  upstream.sendTo(link, listChanged('prompts'));

  expect(told(await old.rest())).toEqual([['1.1', 'notifications/tools/list_changed']]);
  await second.until(({ json }) => json?.method === 'notifications/prompts/list_changed');
});

test('a Last-Event-ID that is empty asks for a new stream', async () => {
  const world = await sessionOf('2025-11-25');

  const listener = await resume(world, '');

  expect(await listener.next()).toMatchObject({ id: '1.0' });
});

test.each([
  ['garbage', 'abc'],
  ['half an id', '1.'],
  ['a whole number', '1'],
  ['stream 0', '0.0'],
  ['a negative stream', '-1.0'],
  ['a negative event', '1.-1'],
  ['zeros in front', '01.1'],
  ['a fraction more', '1.1.1'],
  ['white space inside', '1 .1'],
  ['an exponent', '1.1e0'],
  ['huge numbers', '9'.repeat(400)],
  ['a huge event', `1.${'9'.repeat(400)}`],
  ['another script’s digits', '\u00b9.\u00b2'],
  ['a stream that there never was', '99.0'],
  ['more than was sent', '1.2'],
  ['far more than was sent', '1.99'],
  ['two ids in one header', '1.0, 1.1'],
])('Last-Event-ID with %s is 400, and the stream goes on where it is [T10]', async (_, lastEventId) => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);

  const refused = await resume(world, lastEventId);
  call.release();

  expect([refused.status, refused.headers['content-type']]).toEqual([400, 'application/json']);
  expect(JSON.parse(await refused.body())).toMatchObject({
    jsonrpc: '2.0',
    error: { code: -32600, data: { reason: 'event_unknown' } },
  });
  expect(told(await reply.rest())).toEqual([['1.2', 1]]);
});

test('after the last event of a stream there is nothing to come back for: 405 [D3]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);
  call.release();
  await reply.rest();

  const refused = await resume(world, '1.2');

  expect(refused.status).toBe(405);
  expect(JSON.parse(await refused.body())).toMatchObject({
    error: { code: -32600, data: { reason: 'stream_ended' } },
  });
});

test('Last-Event-ID given twice is 400', async () => {
  const world = await sessionOf('2025-11-25');
  await started(world);

  const refused = await openEvents(world.gateway, {
    sessionId: world.session,
    headers: { 'last-event-id': ['1.0', '1.1'] },
  });

  expect(refused.status).toBe(400);
});

test('a client that saw no event cannot claim the first, where none was sent to lead it there', async () => {
  const world = await sessionOf('2025-06-18');
  const listener = await listen(world);
  await listener.leave();

  expect((await resume(world, '1.0')).status).toBe(400);
});

test('the id of another session’s stream brings that session’s events to nobody else [B12]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world, { id: 'first' });
  await reply.leave();
  call.release();
  await heard(world);
  const { gateway, upstream } = world;
  const session = await gateway.openSession({ protocolVersion: '2025-11-25' });
  const other = { ...world, session, link: await upstream.nextStream() };

  const before = await resume(other, '1.1');
  const own = await started(other, { id: 'second' });
  own.call.release();
  await own.reply.rest();
  const after = await resume(other, '1.0');

  expect(before.status).toBe(400);
  expect(told(await after.rest())).toEqual([
    ['1.1', 1],
    ['1.2', 'second'],
  ]);
});

test('a request that was answered as JSON is no stream, and has no number', async () => {
  const world = await sessionOf('2025-11-25');
  const { gateway, session } = world;
  await gateway.call('count', {}, 1, IN(session));
  const listener = await listen(world);
  const { id } = await listener.next();

  const refused = await Promise.all(['2.0', '1.1'].map((lastEventId) => resume(world, lastEventId)));

  expect(id).toBe('1.0');
  expect(refused.map(({ status }) => status)).toEqual([400, 400]);
});

test('a resumption is held to Accept and version like any GET [C2]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);
  const { gateway, session: sessionId } = world;
  const lastEventId = '1.0';

  const refused = [
    await openEvents(gateway, { sessionId, lastEventId, headers: { accept: 'application/json' } }),
    await openEvents(gateway, { sessionId, lastEventId, headers: { 'mcp-protocol-version': '2099-01-01' } }),
    await openEvents(gateway, { lastEventId }),
  ];
  call.release();

  expect(refused.map(({ status }) => status)).toEqual([406, 400, 405]);
  expect(told(await reply.rest())).toEqual([['1.2', 1]]);
});

// What is not kept any more

test('a stream that runs goes on after the gap, where its oldest events were given up for lack of room [B12]', async () => {
  const world = await sessionOf('2025-11-25', { streams: { maxEvents: 3 } });
  const { reply, call } = await started(world);
  await reply.leave();
  for (let step = 2; step <= 10; step++) call.progress(step);
  await heard(world);

  const resumed = await resume(world, '1.1');
  await resumed.until(({ id }) => id === '1.10');
  call.release();
  await resumed.rest();

  expect(told(resumed.seen)).toEqual([
    ['1.8', 8],
    ['1.9', 9],
    ['1.10', 10],
    ['1.11', 1],
  ]);
  expect(world.gateway.journal.dropped('unsent_event')).toBe(6);
});

test('how much is kept can be an upstream’s own', async () => {
  const world = await sessionOf('2025-11-25', {
    streams: { maxEvents: 1000 },
    upstream: { streams: { maxEvents: 2 } },
  });
  const { reply, call } = await started(world);
  await reply.leave();
  for (let step = 2; step <= 5; step++) call.progress(step);
  await heard(world);

  const resumed = await resume(world, '1.1');
  await resumed.until(({ id }) => id === '1.5');

  expect(told(resumed.seen)).toEqual([
    ['1.4', 4],
    ['1.5', 5],
  ]);
});

test('streams.maxBytes bounds what is kept, but one event of any size', async () => {
  const world = await sessionOf('2025-11-25', { streams: { maxBytes: '10KiB' } });
  const { reply, call } = await started(world);
  await reply.leave();
  const say = (progress: number, length: number): void =>
    call.notify('notifications/progress', {
      progressToken: call.message.id,
      progress,
      message: 'x'.repeat(length),
    });
  say(2, 4096);
  say(3, 4096);
  say(4, 1_000_000);
  await heard(world);

  const resumed = await resume(world, '1.1');
  const [large] = await resumed.until(({ id }) => id === '1.4');
  call.release();

  expect(told([large ?? { data: '' }])).toEqual([['1.4', 4]]);
  expect(told(await resumed.rest())).toEqual([['1.5', 1]]);
});

test('a stream that is over and of which nothing is kept is 400: the client asks again', async () => {
  const world = await sessionOf('2025-11-25', { streams: { maxEvents: 2 } });
  const first = await started(world);
  first.call.release();
  await first.reply.rest();
  const kept = await resume(world, '1.0');
  await kept.rest();
  const second = await started(world);
  second.call.release();
  await second.reply.rest();

  const forgotten = await resume(world, '1.0');

  expect(told(kept.seen)).toEqual([
    ['1.1', 1],
    ['1.2', 1],
  ]);
  expect([forgotten.status, JSON.parse(await forgotten.body())]).toMatchObject([
    400,
    { error: { data: { reason: 'event_unknown' } } },
  ]);
});

test('an answer that nobody fetched in streams.maxAge is given up and counted', async () => {
  const time = new VirtualTime();
  const world = await sessionOf('2025-11-25', {}, { time });
  const { reply, call } = await started(world);
  await reply.leave();
  call.release();
  await heard(world);

  await time.advance(599_000);
  const inTime = gatewayDropped(world);
  await time.advance(40_000);
  const late = await resume(world, '1.1');

  expect([inTime, gatewayDropped(world), late.status]).toEqual([0, 1, 400]);
});

const gatewayDropped = ({ gateway }: World): number => gateway.journal.dropped('unsent_event');

test('what was fetched is not counted as lost when it goes', async () => {
  const time = new VirtualTime();
  const world = await sessionOf('2025-11-25', {}, { time });
  const { reply, call } = await started(world);
  await reply.leave();
  call.release();
  await heard(world);
  await (await resume(world, '1.1')).rest();

  await time.advance(700_000);

  expect((await resume(world, '1.1')).status).toBe(400);
  expect(gatewayDropped(world)).toBe(0);
});

test('limits.bufferedBytes bounds what is kept of all sessions: those used least recently go first', async () => {
  const world = await sessionOf('2025-11-25', { limits: { bufferedBytes: '10KiB' } });
  const { gateway, upstream } = world;
  const session = await gateway.openSession({ protocolVersion: '2025-11-25' });
  const other = { ...world, session, link: await upstream.nextStream() };
  const [first, second] = [await started(world), await started(other)];
  await first.reply.leave();
  await second.reply.leave();
  const say = ({ call }: Started, progress: number): void =>
    call.notify('notifications/progress', { progressToken: call.message.id, progress, message: 'x'.repeat(4096) });

  say(first, 2);
  await heard(world);
  say(second, 2);
  await heard(other);
  say(second, 3);
  await heard(other);
  first.call.release();
  second.call.release();
  const resumed = [await resume(world, '1.1'), await resume(other, '1.1')];
  await Promise.all(resumed.map((each) => each.rest()));

  expect(resumed.map(({ seen }) => told(seen))).toEqual([
    [['1.3', 1]],
    [
      ['1.2', 2],
      ['1.3', 3],
      ['1.4', 1],
    ],
  ]);
  expect(gateway.journal.dropped('unsent_event')).toBe(1);
});

// How a call ends while its client is away

test('a call that is cancelled while its client is away ends its stream without an answer [B18]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world, { id: 5 });
  await reply.leave();

  const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } };
  await world.gateway.post(cancel, IN(world.session));
  await call.cancelled;
  const resumed = await resume(world, '1.0');

  expect(told(await resumed.rest())).toEqual([['1.1', 1]]);
  expect(await resumed.closed).toBe('ended');
});

test('a resumed stream whose call is cancelled ends without an answer [B18]', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world, { id: 5 });
  await reply.leave();
  const resumed = await resume(world, '1.1');

  const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } };
  await world.gateway.post(cancel, IN(world.session));
  await call.cancelled;

  expect(await resumed.rest()).toEqual([]);
});

test('a call whose link is lost while its client is away tells so on its stream', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply } = await started(world, { id: 5 });
  await reply.leave();

  world.upstream.cutStreams();
  await world.gateway.journal.until((fact) => fact.fact === 'exchange' && fact.outcome === 'failed');
  const resumed = await resume(world, '1.1');

  expect(await resumed.rest()).toMatchObject([
    { id: '1.2', json: { id: 5, error: { data: { reason: 'upstream_session_lost', outcome: 'unknown' } } } },
  ]);
});

test('a call that times out while its client is away tells so on its stream', async () => {
  const time = new VirtualTime();
  const world = await sessionOf('2025-11-25', {}, { time });
  const { reply } = await started(world, { id: 5 });
  await reply.leave();

  await time.advance(300_000);
  const resumed = await resume(world, '1.1');

  expect(await resumed.rest()).toMatchObject([
    { id: '1.2', json: { id: 5, error: { data: { reason: 'request_timeout' } } } },
  ]);
});

test('a client without any stream hears a list change on the call’s stream that it resumes', async () => {
  const world = await sessionOf('2025-11-25');
  const { reply, call } = await started(world);
  await reply.leave();

  world.upstream.sendTo(world.link, listChanged('tools'));
  await heard(world);
  const resumed = await resume(world, '1.1');
  call.release();

  expect(told(await resumed.rest())).toEqual([
    ['1.2', 'notifications/tools/list_changed'],
    ['1.3', 1],
  ]);
});

// Streams that the gateway ends early

test('streams.maxDuration ends the stream of a 2025-11-25 call with a retry, and the client that comes back gets the rest, the answer once [D2]', async () => {
  const time = new VirtualTime();
  const world = await sessionOf('2025-11-25', { streams: { maxDuration: '5s', retry: '300ms' } }, { time });
  const { reply, call } = await started(world);

  await time.advance(5000);
  const cut = await reply.rest();
  call.progress(2);
  await heard(world);
  const resumed = await resume(world, lastEventIdOf(reply));
  await resumed.next();
  await time.advance(5000);
  const cutAgain = await resumed.rest();
  call.release();
  await heard(world);
  const last = await resume(world, '1.2');

  expect([cut, cutAgain]).toEqual([[{ data: '', retry: 300 }], [{ data: '', retry: 300 }]]);
  expect(await Promise.all([reply.closed, resumed.closed])).toEqual(['ended', 'ended']);
  expect(told(resumed.seen.slice(0, 1))).toEqual([['1.2', 2]]);
  expect(told(await last.rest())).toEqual([['1.3', 1]]);
});

/** As a client has it: a frame without an id changes nothing. */
function lastEventIdOf({ seen }: EventClient): string {
  return seen.findLast(({ id }) => id !== undefined)?.id ?? 'none';
}

test('streams.maxDuration ends the GET stream of a 2025-11-25 session too, and it goes on as one [D2]', async () => {
  const time = new VirtualTime();
  const world = await sessionOf('2025-11-25', { streams: { maxDuration: '5s' } }, { time });
  const listener = await listen(world);

  await time.advance(5000);
  const cut = (await listener.rest()).slice(1);
  world.upstream.sendTo(world.link, listChanged('tools'));
  await heard(world);
  const resumed = await resume(world, lastEventIdOf(listener));

  expect(cut).toEqual([{ data: '', retry: 1000 }]);
  expect(told([await resumed.next()])).toEqual([['1.1', 'notifications/tools/list_changed']]);
});

test.each(OLDER)('streams.maxDuration is nothing to a %s client: its streams stay [D1]', async (revision) => {
  const time = new VirtualTime();
  const world = await sessionOf(revision, { streams: { maxDuration: '5s' } }, { time });
  const listener = await listen(world);
  const { reply, call } = await started(world);

  await time.advance(60_000);
  world.upstream.sendTo(world.link, listChanged('tools'));
  call.release();

  expect(told([await listener.next()])).toEqual([['1.1', 'notifications/tools/list_changed']]);
  expect(told(await reply.rest())).toEqual([['2.2', 1]]);
  expect(listener.text + reply.text).not.toContain('retry');
});

// All of it together

type Step = 'progress' | 'change' | `${'leave' | 'come back' | 'take over'} ${'call' | 'listener'}`;

const step = fc.constantFrom<Step>(
  'progress',
  'progress',
  'change',
  'change',
  'leave call',
  'come back call',
  'take over call',
  'leave listener',
  'come back listener',
  'take over listener',
);

/** One of a client's streams, read on one connection after the other, always from the last event that was seen. */
class Followed {
  readonly connections: EventClient[];
  #isConnected = true;
  readonly #open: (lastEventId: string | null) => Promise<EventClient>;

  constructor(first: EventClient, open: (lastEventId: string | null) => Promise<EventClient>) {
    this.connections = [first];
    this.#open = open;
  }

  async leave(): Promise<void> {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    await this.connections.at(-1)?.leave();
  }

  async comeBack(): Promise<EventClient | undefined> {
    if (!this.#isConnected) await this.takeOver();
    return this.connections.at(-1);
  }

  /** Not where no id was sent: then there is nothing to name. */
  async takeOver(): Promise<void> {
    const ids = this.connections.flatMap(({ seen }) => seen.flatMap(({ id }) => id ?? []));
    const last = ids.toSorted((a, b) => Number(a.split('.')[1]) - Number(b.split('.')[1])).at(-1);
    if (last === undefined && this.#isConnected) return;
    const connection = await this.#open(last ?? null);
    if (connection.status !== 200) throw new Error(`${connection.status} for ${last}: ${await connection.body()}`);
    this.connections.push(connection);
    this.#isConnected = true;
  }
}

test.each(['2025-06-18', '2025-11-25'])(
  'a %s client that always comes back hears everything, and each message under one id only, whatever breaks when [B10 B12 B13]',
  async (revision) => {
    const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });

    const story = async (steps: readonly Step[]): Promise<void> => {
      const session = await gateway.openSession({ protocolVersion: revision });
      const world = { gateway, upstream, session, link: await upstream.nextStream() };
      const again = (last: string | null): Promise<EventClient> =>
        last === null ? listen(world) : resume(world, last);
      const { reply, call } = await started(world);
      const followed = { call: new Followed(reply, again), listener: new Followed(await listen(world), again) };
      let [progress, changes] = [1, 0];
      for (const each of steps) {
        // oxlint-disable no-await-in-loop -- a story has an order
        if (each === 'progress') call.progress(++progress);
        else if (each === 'change') upstream.sendTo(world.link, listChanged(`x${++changes}`));
        else {
          const which = each.endsWith('call') ? followed.call : followed.listener;
          if (each.startsWith('leave')) await which.leave();
          else if (each.startsWith('come')) await which.comeBack();
          else await which.takeOver();
        }
        // oxlint-enable no-await-in-loop
      }
      await heard(world);
      const [lastOfCall, listener] = [await followed.call.comeBack(), await followed.listener.comeBack()];
      upstream.sendTo(world.link, listChanged('last'));
      await listener?.until(({ data }) => data.includes('/last/'));
      call.release();
      await lastOfCall?.closed;

      const events = [...followed.call.connections, ...followed.listener.connections].flatMap(({ seen }) => seen);
      const byId = new Map(events.filter(({ json }) => json !== undefined).map(({ id, data }) => [id, data]));
      for (const { id, data, json } of events) if (json !== undefined) expect(data).toBe(byId.get(id));
      const said = Array.from(byId.values(), (data) => JSON.parse(data));
      const progressOf = said.map(({ params }) => params?.progress).filter((number) => number !== undefined);
      const methods = said.map(({ method }) => String(method)).filter((method) => method.endsWith('list_changed'));
      expect(progressOf.toSorted((a, b) => a - b)).toEqual(Array.from({ length: progress }, (_, i) => i + 1));
      expect(methods.toSorted()).toEqual(
        [...Array.from({ length: changes }, (_, i) => `x${i + 1}`), 'last']
          .map((kind) => `notifications/${kind}/list_changed`)
          .toSorted(),
      );
      expect(said.filter(({ result }) => result !== undefined)).toMatchObject([{ id: 1, result: DONE }]);
      expect((await gateway.send('DELETE', '/mcp', IN(session))).status).toBe(204);
    };

    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 16 }), story), { numRuns: 40 });
  },
);
