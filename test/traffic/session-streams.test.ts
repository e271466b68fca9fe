import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { ProxyError } from '../../src/domain/errors.ts';
import { ANYONE } from '../../src/domain/principal.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { MemoryEventStore } from '../../src/traffic/memory-event-store.ts';
import { SessionStreams } from '../../src/traffic/session-streams.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { RecordedConnection } from './recorded-connection.ts';

const CONFIG = { upstreams: [{ url: 'http://up.example/sse' }] };

function opened(streams: NonNullable<ConfigInput['streams']> = {}, primes = true) {
  const time = new VirtualTime();
  const config = parseConfig({ ...CONFIG, streams }).streams;
  const events = new MemoryEventStore({ maxBytes: 1e9, clock: time });
  const session = () =>
    new SessionStreams({
      store: events.open(config, null, () => {}),
      timers: time,
      random: { fraction: () => 0.5, bytes: (length) => new Uint8Array(length) },
      config,
      heartbeatMs: 15_000,
      primes,
    });
  return { time, events, session, streams: session() };
}

const message = (n: number) => [encode(`{"n":${n}}`)];

/** A GET, and its connection. */
function listen(streams: SessionStreams) {
  const connection = new RecordedConnection();
  return { connection, stream: streams.listen(connection, ANYONE) };
}

/** A GET with Last-Event-ID. */
function resume(streams: SessionStreams, lastEventId: string) {
  const connection = new RecordedConnection();
  return { connection, stream: streams.resume(lastEventId, connection, ANYONE) };
}

/** The reply to a request that has become a stream. */
function replying(streams: SessionStreams) {
  const connection = new RecordedConnection();
  const reply = streams.reply(connection);
  reply.notify(message(0));
  return { connection, reply };
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (thrown) {
    return (thrown as ProxyError).code;
  }
  return 'none';
}

test('no two events of a session have the same id, on whatever streams they go [B13]', () => {
  const { streams } = opened();
  const connections: RecordedConnection[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const { connection, stream } = listen(streams);
    const answers = [replying(streams), replying(streams)];
    for (let n = 1; n <= 3; n++) {
      streams.send(message(n));
      for (const { reply } of answers) reply.notify(message(n));
    }
    stream.connectionClosed(connection);
    connections.push(connection, ...answers.map((answer) => answer.connection));
  }

  const ids = connections.flatMap((connection) => connection.ids);
  expect(ids).toHaveLength(5 * (4 + 5 + 5));
  expect(new Set(ids).size).toBe(ids.length);
});

describe('what no request has caused goes to the one who listens', () => {
  test('and to nobody else [B10 B11]', () => {
    const { streams } = opened();
    const { connection, stream } = listen(streams);
    const answer = replying(streams);

    expect(streams.send(message(1))).toBe(stream);

    expect(connection.messages).toEqual(['{"n":1}']);
    expect(answer.connection.messages).toEqual(['{"n":0}']);
  });

  test('and is not taken where nobody does, or no more', () => {
    const { streams } = opened();
    expect([streams.isListening, streams.send(message(1))]).toEqual([false, null]);
    const { connection, stream } = listen(streams);
    stream.connectionClosed(connection);

    expect([streams.isListening, streams.send(message(2))]).toEqual([false, null]);
    expect(connection.messages).toEqual([]);
  });

  test('and goes on where he comes back, as before', () => {
    const { streams } = opened();
    const { connection, stream } = listen(streams);
    streams.send(message(1));
    stream.connectionClosed(connection);

    const next = resume(streams, '1.0');
    streams.send(message(2));

    expect(next.stream).toBe(stream);
    expect([streams.isListening, streams.isListeningOn(next.stream)]).toEqual([true, true]);
    expect(next.connection.messages).toEqual(['{"n":1}', '{"n":2}']);
  });

  test('and not to one who has come back for the answer to a request [B11]', () => {
    const { streams } = opened();
    const { reply } = replying(streams);
    reply.connectionClosed();

    const next = resume(streams, '1.0');

    expect([streams.isListening, streams.isListeningOn(next.stream)]).toEqual([false, false]);
    expect(streams.send(message(1))).toBeNull();
    reply.finish({ status: 200, body: message(2) });
    expect(next.connection).toMatchObject({ messages: ['{"n":0}', '{"n":2}'], over: 'ended' });
  });
});

describe('a second one who listens', () => {
  test('is refused while the first is there', () => {
    const { streams } = opened();
    const { connection } = listen(streams);

    expect(codeOf(() => listen(streams))).toBe('stream_taken');

    expect(connection.over).toBeNull();
    expect(streams.send(message(1))).not.toBeNull();
  });

  test('takes the place of one who reads nothing any more', () => {
    const { streams } = opened();
    const first = listen(streams);
    first.connection.backlogBytes = 1;

    const second = listen(streams);
    streams.send(message(1));

    expect(first.connection).toMatchObject({ over: 'cut', messages: [], broken: [] });
    expect(second.connection.messages).toEqual(['{"n":1}']);
  });

  test('finds a new stream where the first has left; what was sent on the old one can still be had', () => {
    const { streams } = opened();
    const first = listen(streams);
    streams.send(message(1));
    first.stream.connectionClosed(first.connection);

    const second = listen(streams);
    const late = resume(streams, '1.0');
    streams.send(message(2));

    expect(second.stream.id).not.toBe(first.stream.id);
    expect(late.connection).toMatchObject({ messages: ['{"n":1}'], over: 'ended' });
    expect(second.connection).toMatchObject({ messages: ['{"n":2}'], over: null });
  });
});

describe('Last-Event-ID', () => {
  test.each(['', 'x', '1', '1.2', '1.99', '0.0', '3.0', '3.1', '-1.0', '1.1 ', '1.0,1.1', '999999999999999.0'])(
    '%j names nothing that could be resumed',
    (lastEventId) => {
      const { streams } = opened();
      replying(streams);
      // Asked for, but never begun.
      streams.reply(new RecordedConnection());

      expect(codeOf(() => resume(streams, lastEventId))).toBe('event_unknown');
    },
  );

  test.each(['1.0', '1.1'])('%j names a place in a stream [D3]', (lastEventId) => {
    const { streams } = opened();
    replying(streams);

    expect(codeOf(() => resume(streams, lastEventId))).toBe('none');
  });

  test('of an older client names nothing before its first event: it was sent no id', () => {
    const { streams } = opened({}, false);
    const { stream } = listen(streams);
    expect(codeOf(() => resume(streams, '1.0'))).toBe('event_unknown');
    stream.send(message(1));

    expect(codeOf(() => resume(streams, '1.1'))).toBe('none');
  });

  test('of another session names nothing here, though it has the same numbers [B12]', () => {
    const { session } = opened();
    const [alice, bob] = [session(), session()];
    replying(alice).reply.connectionClosed();

    expect(codeOf(() => resume(bob, '1.0'))).toBe('event_unknown');
    expect(resume(alice, '1.0').connection.messages).toEqual(['{"n":0}']);
  });

  test('of the last event of a stream that is over is answered by that: there is no need to come back', () => {
    const { streams } = opened();
    const { reply } = replying(streams);
    expect(codeOf(() => resume(streams, '1.1'))).toBe('none');
    reply.finish({ status: 200, body: message(1) });

    expect(codeOf(() => resume(streams, '1.2'))).toBe('stream_ended');
    expect(codeOf(() => resume(streams, '1.3'))).toBe('event_unknown');
    expect(resume(streams, '1.1').connection).toMatchObject({ messages: ['{"n":1}'], over: 'ended' });
  });

  test('of a stream that was cancelled after the event that primed it is answered by that, too', () => {
    const { streams } = opened();
    const connection = new RecordedConnection();
    const reply = streams.reply(connection);
    reply.heartbeat();
    reply.end();

    expect(codeOf(() => resume(streams, '1.0'))).toBe('stream_ended');
  });

  test('of a stream that is over names nothing once its events are gone', () => {
    const { streams, time } = opened({ maxAge: '10s' });
    const { reply } = replying(streams);
    reply.finish({ status: 200, body: message(1) });
    time.advanceSync(10_000);
    expect(codeOf(() => resume(streams, '1.1'))).toBe('none');

    time.advanceSync(1);

    expect(codeOf(() => resume(streams, '1.1'))).toBe('event_unknown');
  });

  test('of a stream that goes on names it, though its events are gone', () => {
    const { streams, time } = opened({ maxAge: '10s' });
    const { reply } = replying(streams);
    time.advanceSync(60_000);
    const next = resume(streams, '1.1');

    reply.finish({ status: 200, body: message(1) });

    expect(next.connection).toMatchObject({ messages: ['{"n":1}'], over: 'ended' });
  });

  test('names any of many streams, as long as its events are kept', () => {
    const { streams } = opened({ maxEvents: 300 });
    for (let count = 1; count <= 200; count++) {
      const { reply } = replying(streams);
      reply.finish({ status: 200, body: message(count) });
    }

    expect(codeOf(() => resume(streams, '1.0'))).toBe('event_unknown');
    expect(resume(streams, '51.1').connection.messages).toEqual(['{"n":51}']);
    expect(resume(streams, '200.1').connection.messages).toEqual(['{"n":200}']);
  });
});

describe('one who listens is shown life', () => {
  test('every heartbeat, and no more once he has left', () => {
    const { streams, time } = opened();
    const { connection, stream } = listen(streams);
    time.advanceSync(14_999);
    expect(connection.heartbeats).toBe(0);
    time.advanceSync(1);
    expect(connection.heartbeats).toBe(1);
    time.advanceSync(30_000);
    expect(connection.heartbeats).toBe(3);

    stream.connectionClosed(connection);
    time.advanceSync(60_000);

    expect(connection).toMatchObject({ heartbeats: 3, broken: [] });
    expect(time.pendingCount).toBe(0);
  });

  test('again when he has come back', () => {
    const { streams, time } = opened();
    const { connection, stream } = listen(streams);
    stream.connectionClosed(connection);
    time.advanceSync(60_000);

    const next = resume(streams, '1.0');
    time.advanceSync(30_000);

    expect(next.connection.heartbeats).toBe(2);
  });
});

describe('when the key of some is gone', () => {
  test('their GETs end, to come back for the rest; replies to requests, and what has ended, are left alone', () => {
    const { streams } = opened();
    const listening = listen(streams);
    const [running, finished] = [replying(streams), replying(streams)];
    finished.reply.finish({ status: 200, body: message(1) });
    const rest = resume(streams, '3.1');

    streams.endThose((by) => by === ANYONE);
    streams.send(message(2));

    expect(listening.connection).toMatchObject({ over: 'ended', broken: [], retries: [1000, 1000], messages: [] });
    expect(running.connection).toMatchObject({ over: null, broken: [] });
    expect(rest.connection).toMatchObject({ over: 'ended', broken: [], messages: ['{"n":1}'] });
    expect(codeOf(() => resume(streams, '1.0'))).toBe('none');
  });

  test('the GETs of others go on', () => {
    const { streams } = opened();
    const { connection } = listen(streams);

    streams.endThose((by) => by !== ANYONE);
    streams.send(message(1));

    expect(connection).toMatchObject({ over: null, messages: ['{"n":1}'] });
  });
});

describe('when the session is over', () => {
  test('its streams end, and nothing of them is kept', () => {
    const { streams, events, time } = opened();
    const { connection } = listen(streams);
    const answer = replying(streams);

    streams.end(false);

    expect([connection, answer.connection]).toMatchObject([
      { over: 'ended', broken: [], retries: [1000] },
      { over: 'ended', broken: [], retries: [1000] },
    ]);
    expect([events.bytes, time.pendingCount, streams.isListening]).toEqual([0, 0, false]);
    expect(codeOf(() => resume(streams, '1.0'))).toBe('event_unknown');
  });

  test('because the gateway stops, its client is asked to come back, to another, in a while that differs [D2]', () => {
    const { streams } = opened({ retry: '2s' });
    const { connection } = listen(streams);

    streams.end(true);

    expect(connection).toMatchObject({ over: 'ended', retries: [2000, 3000], broken: [] });
  });

  test('an older client is not asked that', () => {
    const { streams } = opened({}, false);
    const { connection } = listen(streams);

    streams.end(true);

    expect(connection).toMatchObject({ over: 'ended', retries: [], broken: [] });
  });

  test('its store keeps nothing of an answer that comes later', () => {
    const { streams, events } = opened();
    const { reply } = replying(streams);

    streams.end(false);
    reply.finish({ status: 200, body: message(1) });

    expect(events.bytes).toBe(0);
  });
});
