import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchReply } from '../../src/bridge/batch-reply.ts';
import { Exchange, type ExchangeOutcome } from '../../src/bridge/exchange.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import type { Reply, ReplySink } from '../../src/domain/ports.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { RecordedSink, answerOf, text } from './recorded.ts';

const NOTIFICATION = '{"jsonrpc":"2.0","method":"notifications/progress"}';

function opened(members: number, canStream = true) {
  const time = new VirtualTime();
  const sink = new RecordedSink(canStream);
  const batch = new BatchReply(sink, time, 1000);
  const sinks = Array.from({ length: members }, () => batch.member());
  const member = (index: number): ReplySink => {
    const found = sinks[index];
    if (found === undefined) throw new Error(`there is no member ${index}`);
    return found;
  };
  return { time, sink, member, batch };
}

const reply = (body: string, status = 200, headers?: Record<string, string>): Reply => ({
  status,
  body: [encode(body)],
  ...(headers && { headers }),
});

describe('without anything to say before the last answer', () => {
  test('all answers are one array, in the order in which they came, byte for byte [B5]', () => {
    const { sink, member } = opened(3);

    member(1).finish(reply('{"id":2, "result":1.0}'));
    member(2).finish({ status: 200, body: [encode('{"id":3,'), encode('"result":{}}')] });
    expect(sink.ends).toEqual([]);
    member(0).finish(reply('{"id":1,"result":{}}'));

    expect(text(sink.reply?.body ?? [])).toBe('[{"id":2, "result":1.0},{"id":3,"result":{}},{"id":1,"result":{}}]');
    expect(sink).toMatchObject({ ends: ['finish'], notified: [], broken: [], reply: { status: 200 } });
  });

  test('the answer to one request is an array of one: an array was asked [B5]', () => {
    const { sink, member } = opened(1);

    member(0).finish(reply('{"id":1,"result":{}}'));

    expect(text(sink.reply?.body ?? [])).toBe('[{"id":1,"result":{}}]');
  });

  test('a request that was cancelled has no answer in it [B18]', () => {
    const { sink, member } = opened(3);

    member(0).end();
    member(1).finish(reply('{"id":2}'));
    member(2).end();

    expect(text(sink.reply?.body ?? [])).toBe('[{"id":2}]');
    expect(sink.ends).toEqual(['finish']);
  });

  test('where all were cancelled there is no array, not even an empty one', () => {
    const { sink, member } = opened(2);

    member(0).end();
    member(1).end();

    expect(sink).toMatchObject({ ends: ['end'], reply: null, broken: [] });
  });

  test('a status is that of all of them, with what belongs to it', () => {
    const { sink, member } = opened(2);

    member(0).finish(reply('{"id":1}', 503, { 'retry-after': '2' }));
    member(1).finish(reply('{"id":2}', 503, { 'retry-after': '1' }));

    expect(sink.reply).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
  });

  test('or 200 without any: one that failed must not have the others sent again', () => {
    const { sink, member } = opened(3);

    member(0).finish(reply('{"id":1}', 503, { 'retry-after': '2' }));
    member(1).finish(reply('{"id":2}', 200));
    member(2).finish(reply('{"id":3}', 502));

    expect(sink.reply?.status).toBe(200);
    expect(sink.reply?.headers).toBeUndefined();
    expect(text(sink.reply?.body ?? [])).toBe('[{"id":1},{"id":2},{"id":3}]');
  });
});

describe('a notification makes it a stream', () => {
  test('on which the answers that are there follow at once, each as an event of its own, and the rest when they come', () => {
    const { sink, member } = opened(3);

    member(0).finish(reply('{"id":1}'));
    member(2).notify([encode(NOTIFICATION)]);
    expect(sink.notified).toEqual(['{"id":1}', NOTIFICATION]);
    member(1).finish(reply('{"id":2}', 502));
    member(2).finish(reply('{"id":3}'));

    expect(sink.notified).toEqual(['{"id":1}', NOTIFICATION, '{"id":2}', '{"id":3}']);
    expect(sink).toMatchObject({ ends: ['end'], reply: null, broken: [] });
  });

  test('that ends with the last of them, cancelled or not', () => {
    const { sink, member } = opened(2);

    member(0).notify([encode(NOTIFICATION)]);
    member(1).finish(reply('{"id":2}'));
    expect(sink.ends).toEqual([]);
    member(0).end();

    expect(sink.notified).toEqual([NOTIFICATION, '{"id":2}']);
    expect(sink.ends).toEqual(['end']);
  });

  test('and so does the heartbeat of an exchange', () => {
    const { sink, member } = opened(2);

    member(0).finish(reply('{"id":1}'));
    member(1).heartbeat();
    member(1).finish(reply('{"id":2}'));

    expect(sink).toMatchObject({ heartbeats: 1, notified: ['{"id":1}', '{"id":2}'], ends: ['end'], broken: [] });
  });
});

describe('silence makes it a stream too', () => {
  test('with what is there, and one sign of life for all of them every so often', () => {
    const { time, sink, member } = opened(3);
    member(0).finish(reply('{"id":1}'));
    time.advanceSync(999);
    expect(sink).toMatchObject({ heartbeats: 0, notified: [] });

    time.advanceSync(1);
    expect(sink).toMatchObject({ heartbeats: 1, notified: ['{"id":1}'] });
    time.advanceSync(2000);

    expect(sink.heartbeats).toBe(3);
  });

  test('that a notification puts off', () => {
    const { time, sink, member } = opened(2);
    time.advanceSync(900);
    member(1).notify([encode(NOTIFICATION)]);
    time.advanceSync(900);
    expect(sink.heartbeats).toBe(0);

    time.advanceSync(100);

    expect(sink.heartbeats).toBe(1);
  });

  test('but not once all are answered, or the client has left', () => {
    const [answered, left] = [opened(1), opened(1)];
    answered.member(0).finish(reply('{"id":1}'));
    left.batch.stop();

    for (const { time, sink } of [answered, left]) {
      time.advanceSync(10_000);
      expect(sink).toMatchObject({ heartbeats: 0, broken: [] });
      expect(time.pendingCount).toBe(0);
    }
  });

  test('nor for a client that takes no stream', () => {
    const { time, sink, member } = opened(1, false);

    time.advanceSync(10_000);
    member(0).finish(reply('{"id":1}'));

    expect(sink).toMatchObject({ heartbeats: 0, ends: ['finish'], broken: [] });
  });
});

describe('answers that wait for the others', () => {
  const large = (id: number): string => `{"id":${id},"result":"${'x'.repeat(600_000)}"}`;

  test('are sent as they are, once they are too large to be held', () => {
    const { sink, member } = opened(3);

    member(0).finish(reply(large(1)));
    expect(sink.notified).toEqual([]);
    member(1).finish(reply(large(2)));
    expect(sink.notified.map(({ length }) => length)).toEqual([large(1).length, large(2).length]);
    member(2).finish(reply('{"id":3}'));

    expect(sink).toMatchObject({ ends: ['end'], reply: null, broken: [] });
  });

  test('are held all the same where the client takes no stream', () => {
    const { sink, member } = opened(3, false);

    for (const index of [0, 1, 2]) member(index).finish(reply(large(index)));

    expect(JSON.parse(text(sink.reply?.body ?? []))).toHaveLength(3);
    expect(sink).toMatchObject({ notified: [], ends: ['finish'], broken: [] });
  });
});

test('what the client has not taken is the sink’s to know, for each of them', () => {
  const { sink, member } = opened(2);
  sink.backlogBytes = 17;
  let drained = 0;

  for (const index of [0, 1]) member(index).onDrained(() => drained++);
  for (const tell of sink.waiting) tell();

  expect([member(0).backlogBytes, member(1).backlogBytes, drained]).toEqual([17, 17, 2]);
  expect([member(0).canStream, opened(1, false).member(0).canStream]).toEqual([true, false]);
});

test('whatever happens to its exchanges, every request has one answer or was cancelled, and the reply has one end [B5]', () => {
  const event = fc.record({
    member: fc.nat(3),
    does: fc.constantFrom('answer', 'error', 'cancel', 'notify', 'wait'),
  });

  fc.assert(
    fc.property(fc.boolean(), fc.integer({ min: 1, max: 4 }), fc.array(event), (canStream, count, events) => {
      const { time, sink, member } = opened(count, canStream);
      const exchanges = Array.from(
        { length: count },
        (_, index) =>
          new Exchange({
            id: encode(String(index)),
            sink: member(index),
            clock: time,
            timers: time,
            heartbeatMs: null,
            upstream: 'up',
            onEnd: () => {},
          }),
      );
      const cancelled = new Set<number>();
      const act = (index: number, does: string): void => {
        const exchange = exchanges[index];
        if (exchange?.isOpen !== true) return;
        if (does === 'notify') exchange.notify([encode(NOTIFICATION)]);
        else if (does === 'wait') time.advanceSync(1500);
        else exchange.finish(OUTCOMES[does] ?? { kind: 'cancelled' });
        if (does === 'cancel') cancelled.add(index);
      };
      for (const { member: index, does } of events) {
        act(index % count, does);
        const open = exchanges.filter(({ isOpen }) => isOpen).length;
        expect(sink.ends).toHaveLength(open === 0 ? 1 : 0);
      }
      for (let index = 0; index < count; index++) act(index, 'answer');

      const body: unknown[] = sink.reply === null ? [] : sink.json;
      const streamed = sink.notified.filter((message) => message !== NOTIFICATION).map((each) => JSON.parse(each));
      const ids = [...body, ...streamed].map((each) => (each as { id: number }).id).toSorted((a, b) => a - b);
      expect(ids).toEqual([...exchanges.keys()].filter((index) => !cancelled.has(index)));
      expect(body.length === 0 || streamed.length === 0).toBe(true);
      expect(sink.ends).toHaveLength(1);
      expect(sink.broken).toEqual([]);
      expect(time.pendingCount).toBe(0);
    }),
    { numRuns: 1000 },
  );
});

const OUTCOMES: Readonly<Record<string, ExchangeOutcome>> = {
  answer: { kind: 'answer', answer: answerOf(41) },
  error: { kind: 'error', error: new ProxyError('queue_full', 'x') },
};
