import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { readEventId } from '../../src/protocol/sse-frames.ts';
import { MemoryEventStore } from '../../src/traffic/memory-event-store.ts';
import { Stream, StreamReply } from '../../src/traffic/stream.ts';
import { text } from '../bridge/recorded.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { RecordedConnection } from './recorded-connection.ts';

interface Wish {
  /** Null: the client knows nothing of being primed. */
  readonly retryMs?: number | null;
  readonly maxDurationMs?: number | null;
}

/** A session's store with room for everything, and streams in it. */
function world() {
  const time = new VirtualTime();
  const { streams } = parseConfig({
    upstreams: [{ url: 'http://up.example/sse' }],
    streams: { maxEvents: 1_000_000, maxBytes: '1GiB', maxAge: '24h' },
  });
  let unsent = 0;
  const store = new MemoryEventStore({ maxBytes: 1e12, clock: time }).open(streams, null, () => unsent++);
  const begun: number[] = [];
  const stream = (id: number, { retryMs = 1000, maxDurationMs = null }: Wish = {}) => {
    const connection = new RecordedConnection();
    const onBegin = (): void => void begun.push(id);
    return { connection, stream: new Stream({ id, store, timers: time, retryMs, maxDurationMs, onBegin }, connection) };
  };
  return { time, store, begun, stream, unsent: () => unsent };
}

function opened(wish: Wish = {}) {
  const { stream: open, ...rest } = world();
  return { ...rest, ...open(1, wish) };
}

const message = (n: number) => [encode(`{"n":`), encode(`${n}}`)];

describe('the first thing on a stream', () => {
  test('is an event without data, from which a client of 2025-11-25 can come back [D1]', () => {
    const { stream, connection, begun } = opened({ retryMs: 1500 });

    stream.begin();

    expect(connection).toMatchObject({ events: [{ id: '1.0', data: '' }], retries: [1500], isStream: true });
    expect(begun).toEqual([1]);
    expect([stream.hasBegun, stream.isResumable, stream.hasSent(0)]).toEqual([true, true, true]);
  });

  test('is nothing but its headers for older clients, who cannot come back yet [D1]', () => {
    const { stream, connection } = opened({ retryMs: null });

    stream.begin();

    expect(connection).toMatchObject({ events: [], retries: [], isStream: true });
    expect([stream.hasBegun, stream.isResumable, stream.hasSent(0)]).toEqual([true, false, false]);
  });

  test('comes once', () => {
    const { stream, connection, begun } = opened();

    stream.begin();
    stream.begin();
    stream.heartbeat();
    stream.send(message(1));

    expect(connection.ids).toEqual(['1.0', '1.1']);
    expect(begun).toEqual([1]);
  });

  test('is what makes it begin, whatever is sent', () => {
    const { stream, connection, begun } = opened();

    stream.send(message(1));

    expect(connection.ids).toEqual(['1.0', '1.1']);
    expect(begun).toEqual([1]);
  });

  test('shows life as well: no heartbeat follows it, where it is an event [D1]', () => {
    const [primed, older] = [opened(), opened({ retryMs: null })];

    for (const { stream } of [primed, older]) stream.heartbeat();
    expect([primed, older].map(({ connection }) => connection.heartbeats)).toEqual([0, 1]);
    for (const { stream } of [primed, older]) stream.heartbeat();

    expect([primed, older].map(({ connection }) => connection.heartbeats)).toEqual([1, 2]);
    expect(older.connection.events).toEqual([]);
  });
});

describe('events', () => {
  test('are numbered from 1, and hold the message in one piece [B13]', () => {
    const { stream, connection } = opened({ retryMs: null });

    for (const n of [1, 2]) stream.send(message(n));

    expect(connection.events).toEqual([
      { id: '1.1', data: '{"n":1}' },
      { id: '1.2', data: '{"n":2}' },
    ]);
  });

  test('are kept as they were, though the bytes that they came in are used again', () => {
    const { stream, store } = opened();
    const bytes = encode('{"n":1}');

    stream.send([bytes]);
    bytes.fill(0x20);

    expect(text(store.after(1, 0).map((event) => event.message))).toBe('{"n":1}');
  });

  test('let also an older client come back, from the first that it was sent on [D3]', () => {
    const { stream } = opened({ retryMs: null });
    stream.begin();
    expect(stream.isResumable).toBe(false);

    stream.send(message(1));

    expect([stream.isResumable, stream.hasSent(1), stream.hasSent(2)]).toEqual([true, true, false]);
  });

  test('that nobody was there to take do not, since their ids were seen by nobody', () => {
    const { stream, connection, store } = opened({ retryMs: null });
    stream.begin();
    stream.connectionClosed(connection);

    stream.send(message(1));

    expect(stream.isResumable).toBe(false);
    expect(store.has(1)).toBe(true);
  });
});

describe('a client that comes back', () => {
  test('gets what it missed and what follows, and nothing twice [B12 B14 D3]', () => {
    const { stream, connection, unsent } = opened();
    stream.send(message(1));
    stream.send(message(2));
    stream.connectionClosed(connection);
    expect(stream.isConnected).toBe(false);
    stream.send(message(3));
    const next = new RecordedConnection();

    stream.resume(next, 1);
    stream.send(message(4));

    expect(next.ids).toEqual(['1.2', '1.3', '1.4']);
    expect(next.messages).toEqual(['{"n":2}', '{"n":3}', '{"n":4}']);
    expect(connection.messages).toEqual(['{"n":1}', '{"n":2}']);
    expect(unsent()).toBe(0);
  });

  test('hears at once that it is there, though there is nothing for it', () => {
    const { stream, connection } = opened();
    stream.begin();
    stream.connectionClosed(connection);
    const next = new RecordedConnection();

    stream.resume(next, 0);

    expect(next).toMatchObject({ isStream: true, events: [], retries: [], over: null });
  });

  test('takes the stream over from its old connection, which ends [B10 B12]', () => {
    const { stream, connection } = opened();
    stream.send(message(1));
    const next = new RecordedConnection();

    stream.resume(next, 1);
    stream.connectionClosed(connection);
    stream.send(message(2));

    expect(connection).toMatchObject({ over: 'ended', broken: [] });
    expect(connection.messages).toEqual(['{"n":1}']);
    expect(next).toMatchObject({ over: null, messages: ['{"n":2}'] });
  });

  test('to a stream that is over gets the rest of it, and the end [B14 D3]', () => {
    const { stream, connection } = opened();
    stream.begin();
    stream.connectionClosed(connection);
    stream.send(message(1));
    stream.finish();
    const [next, again] = [new RecordedConnection(), new RecordedConnection()];

    stream.resume(next, 0);
    stream.resume(again, 1);

    expect(next).toMatchObject({ over: 'ended', messages: ['{"n":1}'], broken: [] });
    expect(again).toMatchObject({ over: 'ended', messages: [], isStream: true, broken: [] });
  });

  test('to a stream that is over takes the place of one who does not read its rest, whose connection is cut', () => {
    const { stream } = opened();
    stream.send(message(1));
    stream.finish();
    const [lazy, next] = [new RecordedConnection(), new RecordedConnection()];
    stream.resume(lazy, 0);
    lazy.backlogBytes = 1000;

    stream.resume(next, 0);

    expect(lazy).toMatchObject({ over: 'cut', broken: [] });
    expect(next).toMatchObject({ over: 'ended', messages: ['{"n":1}'] });
  });

  test('to a stream that is over is done with: nothing follows its end, and no time runs', () => {
    const { stream, time } = opened({ maxDurationMs: 1000 });
    stream.send(message(1));
    stream.finish();
    const next = new RecordedConnection();

    stream.resume(next, 0);
    time.advanceSync(1000);
    stream.finish();

    expect(next).toMatchObject({ over: 'ended', retries: [], broken: [] });
    expect(time.pendingCount).toBe(0);
  });

  test('takes the place of an old connection that is not read, which is cut: to end it would wait for its reader', () => {
    const { stream, connection } = opened();
    stream.send(message(1));
    connection.backlogBytes = 1000;
    const next = new RecordedConnection();

    stream.resume(next, 0);

    expect(connection).toMatchObject({ over: 'cut', broken: [] });
    expect(next.messages).toEqual(['{"n":1}']);
  });

  test('is not counted for a connection that it closed before', () => {
    const { stream, connection } = opened();
    stream.begin();
    const next = new RecordedConnection();
    stream.resume(next, 0);

    stream.connectionClosed(connection);

    expect(stream.isConnected).toBe(true);
  });
});

describe('a connection', () => {
  test('ends with its stream, after which nothing is sent on it', () => {
    const { stream, connection, time } = opened({ maxDurationMs: 1000 });
    stream.send(message(1));

    stream.finish();
    stream.heartbeat();
    time.advanceSync(10_000);

    expect(connection).toMatchObject({ over: 'ended', heartbeats: 0, retries: [1000], broken: [] });
    expect([stream.isOver, time.pendingCount]).toEqual([true, 0]);
  });

  test('is cut when its client does not read, and the stream goes on without it', () => {
    const { stream, connection } = opened();
    stream.send(message(1));
    stream.readerTooSlow();
    stream.send(message(2));
    const next = new RecordedConnection();
    stream.resume(next, 0);

    expect(connection).toMatchObject({ over: 'cut', broken: [] });
    expect(next.messages).toEqual(['{"n":1}', '{"n":2}']);
  });

  test('is ended so that the client comes back after a while, and finds what it missed [D2]', () => {
    const { stream, connection } = opened({ retryMs: 1000 });
    stream.begin();

    stream.sendAway(250);
    stream.send(message(1));
    const next = new RecordedConnection();
    stream.resume(next, 0);

    expect(connection).toMatchObject({ over: 'ended', retries: [1000, 250], broken: [] });
    expect(connection.messages).toEqual([]);
    expect(next.messages).toEqual(['{"n":1}']);
  });

  test('that is not read is cut instead, when it is time to go', () => {
    const { stream, connection } = opened();
    stream.begin();
    connection.backlogBytes = 1000;

    stream.sendAway(250);

    expect(connection).toMatchObject({ over: 'cut', broken: [] });
    expect(stream.isConnected).toBe(false);
  });

  test('of a client of 2025-11-25 lasts no longer than streams.maxDuration, counted for each [D2]', () => {
    const { stream, connection, time } = opened({ maxDurationMs: 60_000, retryMs: 1000 });
    stream.begin();
    time.advanceSync(59_999);
    expect(connection.over).toBeNull();
    time.advanceSync(1);
    expect(connection).toMatchObject({ over: 'ended', retries: [1000, 1000] });
    time.advanceSync(30_000);
    const next = new RecordedConnection();
    stream.resume(next, 0);

    time.advanceSync(59_999);
    expect(next.over).toBeNull();
    time.advanceSync(1);

    expect(next).toMatchObject({ over: 'ended', retries: [1000] });
    expect(stream.isOver).toBe(false);
    expect(time.pendingCount).toBe(0);
  });

  test('of an older client lasts as long as it does: it would not come back', () => {
    const { stream, connection, time } = opened({ maxDurationMs: 60_000, retryMs: null });
    stream.send(message(1));

    time.advanceSync(24 * 3_600_000);

    expect(connection.over).toBeNull();
  });

  test('that was closed by its client is not sent away any more', () => {
    const { stream, connection, time } = opened({ maxDurationMs: 60_000 });
    stream.begin();
    stream.connectionClosed(connection);

    time.advanceSync(100_000);

    expect(connection).toMatchObject({ over: null, broken: [] });
    expect(time.pendingCount).toBe(0);
  });

  test('says what its client has not taken; without one there is nothing to wait for', () => {
    const { stream, connection } = opened();
    connection.backlogBytes = 17;
    let drained = 0;
    stream.onDrained(() => drained++);
    expect([stream.backlogBytes, drained]).toEqual([17, 0]);
    for (const tell of connection.waiting) tell();
    stream.connectionClosed(connection);

    stream.onDrained(() => drained++);

    expect([stream.backlogBytes, drained]).toEqual([0, 2]);
  });
});

describe('the reply to a request of a session', () => {
  function replying(wish: Wish = {}) {
    const { stream, connection, ...rest } = opened(wish);
    return { ...rest, stream, connection, reply: new StreamReply(connection, () => stream) };
  }
  const ANSWER = { status: 200, body: [encode('{"answer":1}')] };

  test('is plain where the answer comes first, and no stream has begun', () => {
    const { reply, connection, stream, begun } = replying();

    reply.finish(ANSWER);

    expect(connection).toMatchObject({ reply: ANSWER, events: [], over: 'ended', broken: [] });
    expect([stream.hasBegun, begun]).toEqual([false, []]);
  });

  test('is a stream after a notification, and the answer is its last event', () => {
    const { reply, connection, stream } = replying();

    reply.notify(message(1));
    reply.finish(ANSWER);

    expect(connection.messages).toEqual(['{"n":1}', '{"answer":1}']);
    expect(connection).toMatchObject({ reply: null, over: 'ended', broken: [] });
    expect(stream.isOver).toBe(true);
  });

  test('is a stream after some silence, on which the answer waits for its client [B14 D1 D3]', () => {
    const { reply, connection, stream } = replying();
    reply.heartbeat();
    expect(connection.ids).toEqual(['1.0']);
    expect(reply.connectionClosed()).toBe(false);
    reply.heartbeat();
    reply.finish(ANSWER);
    const next = new RecordedConnection();

    stream.resume(next, 0);

    expect(next).toMatchObject({ messages: ['{"answer":1}'], over: 'ended', broken: [] });
    expect(connection.messages).toEqual([]);
  });

  test('cannot be fetched by a client that has seen no id: then it has left for good', () => {
    const [unbegun, older, resumable] = [replying(), replying({ retryMs: null }), replying({ retryMs: null })];
    older.reply.heartbeat();
    resumable.reply.notify(message(1));

    const haveLeft = [unbegun, older, resumable].map(({ reply }) => reply.connectionClosed());

    expect(haveLeft).toEqual([true, true, false]);
    expect([older, resumable].map(({ stream }) => stream.isOver)).toEqual([true, false]);
  });

  test('goes on when only an old connection closes', () => {
    const { reply, stream } = replying();
    reply.notify(message(1));
    const next = new RecordedConnection();
    stream.resume(next, 1);

    expect(reply.connectionClosed()).toBe(false);
    reply.finish(ANSWER);

    expect(next.messages).toEqual(['{"answer":1}']);
  });

  test('that was cancelled ends without a word', () => {
    const [plain, streaming] = [replying(), replying()];
    streaming.reply.notify(message(1));

    for (const { reply } of [plain, streaming]) reply.end();

    expect(plain.connection).toMatchObject({ isStream: false, over: 'ended', broken: [] });
    expect(streaming.connection).toMatchObject({ messages: ['{"n":1}'], over: 'ended', broken: [] });
    expect(streaming.stream.isOver).toBe(true);
  });

  test('says what its client has not taken', () => {
    const { reply, connection } = replying();
    connection.backlogBytes = 17;
    let drained = 0;
    reply.onDrained(() => drained++);
    for (const tell of connection.waiting) tell();

    expect([reply.canStream, reply.backlogBytes, drained]).toEqual([true, 17, 1]);
  });
});

/** A client of one stream, which may lose what was written to it last and comes back from an id that it has seen. */
class Client {
  readonly stream: Stream;
  readonly isPrimed: boolean;
  readonly connections: RecordedConnection[];
  sent = 0;
  /** What it goes by: the event after this one is the next that it must get. */
  #place = 0;
  /** The numbers that it has seen; without any it cannot come back. */
  readonly #seen = new Set<number>();
  /** Of the connection's events, so many are taken. */
  #taken = 0;

  constructor(stream: Stream, connection: RecordedConnection, isPrimed: boolean) {
    this.stream = stream;
    this.connections = [connection];
    this.isPrimed = isPrimed;
  }

  get connection(): RecordedConnection {
    const last = this.connections.at(-1);
    if (last === undefined) throw new Error('there is always one');
    return last;
  }

  get canComeBack(): boolean {
    return this.#seen.size > 0;
  }

  /** Reads on, but for the last `lost` events: each must be the one that comes next. */
  read(lost = 0): void {
    const { events } = this.connection;
    for (; this.#taken < events.length - lost; this.#taken++) {
      const { id = '', data } = events[this.#taken] ?? { data: '' };
      const seq = readEventId(id)?.seq ?? Number.NaN;
      expect(readEventId(id)?.stream).toBe(this.stream.id);
      this.#seen.add(seq);
      if (data === '') {
        expect([this.isPrimed, seq, this.#taken, this.connections.length]).toEqual([true, 0, 0, 1]);
      } else {
        expect([seq, data]).toEqual([++this.#place, JSON.stringify({ stream: this.stream.id, n: seq })]);
      }
    }
  }

  /** From the last id that it has seen, or from an earlier one. */
  comeBack(back: number): void {
    const old = this.connection;
    const wasOpen = old.over === null && this.stream.isConnected;
    const seen = [...this.#seen].toSorted((a, b) => b - a);
    const from = seen[back % seen.length] ?? 0;
    expect(this.stream.hasSent(from)).toBe(true);
    this.#place = from;
    this.#taken = 0;
    const next = new RecordedConnection();
    this.connections.push(next);
    this.stream.resume(next, from);
    if (wasOpen) expect(old.over).toBe('ended');
  }

  get place(): number {
    return this.#place;
  }
}

test('a client that always comes back from the last id it saw gets every event once and in order, whatever breaks [B10 B12 B13 B14 D1 D3]', () => {
  const which = fc.nat(2);
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ does: fc.constant('send' as const), which }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('heartbeat' as const), which }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('begin' as const), which }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('read' as const), which, lost: fc.nat(2) }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('disconnect' as const), which, lost: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('too slow' as const, 'send away' as const), which }) },
    {
      weight: 4,
      arbitrary: fc.record({
        does: fc.constant('come back' as const),
        which,
        lost: fc.nat(3),
        back: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(5) }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('finish' as const), which }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('pass' as const), ms: fc.nat(2000) }) },
  );

  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(1000, null), { minLength: 3, maxLength: 3 }),
      fc.constantFrom(null, 1500),
      fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
      (retries, maxDurationMs, steps) => {
        const { stream: open, begun, time } = world();
        const clients = retries.map((retryMs, index) => {
          const { stream, connection } = open(index + 1, { retryMs, maxDurationMs });
          return new Client(stream, connection, retryMs !== null);
        });
        for (const next of steps) {
          if (next.does === 'pass') {
            time.advanceSync(next.ms);
            continue;
          }
          const client = clients[next.which];
          if (client === undefined) continue;
          const { stream } = client;
          const isOpen = client.connection.over === null && stream.isConnected;
          if (next.does === 'send' && !stream.isOver) {
            stream.send([encode(JSON.stringify({ stream: stream.id, n: ++client.sent }))]);
          } else if (next.does === 'heartbeat' && !stream.isOver) stream.heartbeat();
          else if (next.does === 'begin' && !stream.isOver) stream.begin();
          else if (next.does === 'finish' && stream.hasBegun) stream.finish();
          else if (next.does === 'read') client.read(next.lost);
          else if (next.does === 'too slow' && isOpen) stream.readerTooSlow();
          else if (next.does === 'send away' && isOpen && client.isPrimed) stream.sendAway(100);
          else if (next.does === 'disconnect' && isOpen) {
            client.read(next.lost);
            stream.connectionClosed(client.connection);
          } else if (next.does === 'come back') {
            client.read(next.lost);
            if (client.canComeBack) client.comeBack(next.back);
          }
        }

        const byId = new Map<string, string>();
        for (const client of clients) {
          client.read();
          if (client.canComeBack) client.comeBack(0);
          client.read();
          if (client.canComeBack) expect(client.place).toBe(client.sent);
          for (const { events, broken, retries: waits } of client.connections) {
            expect(broken).toEqual([]);
            if (!client.isPrimed) expect([waits, events.filter(({ data }) => data === '')]).toEqual([[], []]);
            for (const { id = '', data } of events) {
              expect(byId.get(id) ?? data).toBe(data);
              byId.set(id, data);
            }
          }
        }
        expect(new Set(begun).size).toBe(begun.length);
      },
    ),
    { numRuns: 2000 },
  );
});
