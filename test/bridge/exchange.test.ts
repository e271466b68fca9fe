import { describe, expect, test } from 'vitest';
import { Exchange, type ExchangeEnd, type ExchangeOutcome, errorReply } from '../../src/bridge/exchange.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { RecordedSink, answerOf, text } from './recorded.ts';

type Time = 'durationMs' | 'waitMs' | 'firstByteMs';

interface Wish {
  readonly canStream?: boolean;
  readonly heartbeatMs?: number | null;
  readonly firstBeatMs?: number;
  readonly id?: string;
}

function opened({ canStream = true, heartbeatMs = 1000, firstBeatMs, id = '"own"' }: Wish = {}) {
  const time = new VirtualTime();
  const sink = new RecordedSink(canStream);
  const ends: Omit<ExchangeEnd, Time>[] = [];
  const times: Pick<ExchangeEnd, Time>[] = [];
  const exchange = new Exchange({
    id: encode(id),
    sink,
    clock: time,
    timers: time,
    heartbeatMs,
    ...(firstBeatMs !== undefined && { firstBeatMs }),
    upstream: 'billing',
    onEnd: ({ durationMs, waitMs, firstByteMs, ...end }) => {
      ends.push(end);
      times.push({
        durationMs,
        ...(waitMs !== undefined && { waitMs }),
        ...(firstByteMs !== undefined && { firstByteMs }),
      });
    },
  });
  return { time, sink, ends, times, exchange };
}

const MESSAGE = [encode('{"jsonrpc":"2.0","method":"x"}')];
const ANSWER: ExchangeOutcome = { kind: 'answer', answer: answerOf(41) };

describe('an answer', () => {
  test('goes out under the client’s own id, byte for byte [A5]', () => {
    const { exchange, sink, ends } = opened({ id: '"\\u0069d"' });

    exchange.finish({ kind: 'answer', answer: answerOf('41', { result: { a: 1 } }) });

    expect(sink.reply?.status).toBe(200);
    expect(text(sink.reply?.body ?? [])).toBe('{"jsonrpc":"2.0","id":"\\u0069d","result":{"a":1}}');
    expect(ends).toEqual([{ outcome: 'result', streamed: false, status: 200 }]);
  });

  test('that is an error of the tool is an answer all the same', () => {
    const { exchange, sink, ends } = opened();

    exchange.finish({ kind: 'answer', answer: answerOf(41, { error: { code: -32000, message: 'no' } }) });

    expect(sink.json).toEqual({ jsonrpc: '2.0', id: 'own', error: { code: -32000, message: 'no' } });
    expect(ends).toEqual([{ outcome: 'error', streamed: false, status: 200 }]);
  });

  test('takes changes and headers with it', () => {
    const { exchange, sink } = opened();

    exchange.finish({
      kind: 'answer',
      answer: answerOf(41, { result: { protocolVersion: '2024-11-05' } }),
      changes: { negotiatedVersion: encode('"2025-06-18"') },
      headers: { 'mcp-session-id': 's' },
    });

    expect(sink.json.result).toEqual({ protocolVersion: '2025-06-18' });
    expect(sink.reply?.headers).toEqual({ 'mcp-session-id': 's' });
  });

  test('takes edits of its content with it', () => {
    const { exchange, sink } = opened();
    const answer = answerOf(41, { result: [1, 2] });
    if (answer.kind !== 'result') throw new Error('no result');
    const edits = [{ start: answer.result.start + 1, end: answer.result.start + 2, text: encode('"one"') }];

    exchange.finish({ kind: 'answer', answer, edits });

    expect(text(sink.reply?.body ?? [])).toBe('{"jsonrpc":"2.0","id":"own","result":["one",2]}');
  });

  test('of our own is a result under the client’s id', () => {
    const { exchange, sink, ends } = opened({ id: '-3' });

    exchange.finish({ kind: 'own', result: {} });

    expect(text(sink.reply?.body ?? [])).toBe('{"jsonrpc":"2.0","id":-3,"result":{}}');
    expect(ends).toMatchObject([{ outcome: 'result' }]);
  });
});

test('a cancelled exchange ends without a response', () => {
  const { exchange, sink, ends } = opened();

  exchange.finish({ kind: 'cancelled' });

  expect(sink.ends).toEqual(['end']);
  expect(ends).toEqual([{ outcome: 'cancelled', streamed: false }]);
});

test('an error is told with the status of its row before a stream, and with 200 in one', () => {
  const [before, within] = [opened(), opened()];
  const error = new ProxyError('upstream_unreachable', 'x', { cause: new Error('why') });

  before.exchange.finish({ kind: 'error', error });
  within.exchange.notify(MESSAGE);
  within.exchange.finish({ kind: 'error', error });

  expect(before.sink.reply?.status).toBe(502);
  expect(before.ends).toEqual([
    { outcome: 'failed', streamed: false, status: 502, reason: 'upstream_unreachable', why: 'x', cause: error.cause },
  ]);
  expect(within.ends).toMatchObject([{ outcome: 'failed', streamed: true, status: 200 }]);
  expect(within.sink.json.error.data).toEqual({ reason: 'upstream_unreachable', upstream: 'billing' });
});

test('what status the upstream answered is for the log only', () => {
  const { exchange, sink, ends } = opened();

  exchange.finish({ kind: 'error', error: new ProxyError('post_rejected', 'x', { upstreamStatus: 404 }) });

  expect(ends).toMatchObject([{ upstreamStatus: 404 }]);
  expect(text(sink.reply?.body ?? [])).not.toContain('404');
});

describe('the reply becomes a stream', () => {
  test('with the first notification', () => {
    const { exchange, sink } = opened();

    expect(exchange.notify(MESSAGE)).toBe(true);

    expect(exchange.state.phase).toBe('stream');
    expect(sink.notified).toEqual([text(MESSAGE)]);
  });

  test('after a heartbeat of silence, and shows life from then on', () => {
    const { exchange, sink, time } = opened();

    time.advanceSync(999);
    expect(sink.heartbeats).toBe(0);
    time.advanceSync(1);
    expect(exchange.state.phase).toBe('stream');
    time.advanceSync(3500);

    expect(sink.heartbeats).toBe(4);
  });

  test('sooner for the first time, where that is asked for, and at the usual pace after it [D1]', () => {
    const { exchange, sink, time } = opened({ firstBeatMs: 100 });

    time.advanceSync(99);
    expect(sink.heartbeats).toBe(0);
    time.advanceSync(1);
    expect([sink.heartbeats, exchange.state.phase]).toEqual([1, 'stream']);
    time.advanceSync(999);
    expect(sink.heartbeats).toBe(1);
    time.advanceSync(1);

    expect(sink.heartbeats).toBe(2);
  });

  test('but an answer that comes before that is plain', () => {
    const { exchange, sink, time } = opened({ firstBeatMs: 100 });

    time.advanceSync(99);
    exchange.finish(ANSWER);
    time.advanceSync(10_000);

    expect(sink).toMatchObject({ heartbeats: 0, ends: ['finish'], broken: [] });
    expect(time.pendingCount).toBe(0);
  });

  test('and a notification puts the next heartbeat off', () => {
    const { exchange, sink, time } = opened();

    time.advanceSync(900);
    exchange.notify(MESSAGE);
    time.advanceSync(900);

    expect(sink.heartbeats).toBe(0);
    time.advanceSync(100);
    expect(sink.heartbeats).toBe(1);
  });

  test('never for a client that takes no stream', () => {
    const { exchange, sink, time } = opened({ canStream: false });

    expect(exchange.notify(MESSAGE)).toBe(false);
    time.advanceSync(100_000);
    exchange.finish(ANSWER);

    expect(exchange.canStream).toBe(false);
    expect(sink).toMatchObject({ notified: [], heartbeats: 0, ends: ['finish'], broken: [] });
  });

  test('never by silence where heartbeats are off', () => {
    const { sink, time } = opened({ heartbeatMs: null });

    time.advanceSync(1e9);

    expect(sink.heartbeats).toBe(0);
  });
});

describe('there is exactly one outcome', () => {
  const acts: Readonly<Record<string, (exchange: Exchange) => void>> = {
    answer: (exchange) => exchange.finish(ANSWER),
    'own result': (exchange) => exchange.finish({ kind: 'own', result: {} }),
    error: (exchange) => exchange.finish({ kind: 'error', error: new ProxyError('queue_full', 'x') }),
    cancel: (exchange) => exchange.finish({ kind: 'cancelled' }),
    'client gone': (exchange) => exchange.clientGone(),
  };
  const pairs = Object.keys(acts).flatMap((first) => Object.keys(acts).map((second) => [first, second] as const));

  test.each(pairs)('%s, then %s', (first, second) => {
    const { exchange, sink, ends, time } = opened();

    acts[first]?.(exchange);
    const state = exchange.state;
    acts[second]?.(exchange);
    expect(exchange.notify(MESSAGE)).toBe(false);
    time.advanceSync(10_000);

    expect(ends).toHaveLength(1);
    expect(sink.ends.length).toBe(first === 'client gone' ? 0 : 1);
    expect(sink).toMatchObject({ notified: [], heartbeats: 0, broken: [] });
    expect(exchange.state).toBe(state);
    expect(exchange.isOpen).toBe(false);
    expect(time.pendingCount).toBe(0);
  });
});

describe('the call that attends is told', () => {
  test('once, when the client leaves, and after the exchange is over', () => {
    const { exchange } = opened();
    const told: string[] = [];
    exchange.attend(() => told.push(exchange.state.phase));

    exchange.clientGone();
    exchange.clientGone();

    expect(told).toEqual(['gone']);
  });

  test('not when the exchange ended before, not even by the close of its own last byte', () => {
    const { exchange } = opened();
    const told: string[] = [];
    exchange.attend(() => told.push('gone'));

    exchange.finish(ANSWER);
    exchange.clientGone();

    expect(told).toEqual([]);
  });

  test('not when another took its place, or none attends', () => {
    const { exchange } = opened();
    const told: string[] = [];
    exchange.attend(() => told.push('first'));
    exchange.attend(() => told.push('second'));
    exchange.clientGone();

    const other = opened();
    other.exchange.attend(() => told.push('third'));
    other.exchange.attend(null);
    other.exchange.clientGone();

    expect(told).toEqual(['second']);
  });
});

test('what the client has not taken is the sink’s to know', () => {
  const { exchange, sink } = opened();
  sink.backlogBytes = 17;
  let drained = false;

  exchange.onDrained(() => {
    drained = true;
  });
  sink.waiting[0]?.();

  expect(exchange.backlogBytes).toBe(17);
  expect(drained).toBe(true);
});

describe('a failure as the client sees it', () => {
  test('has a stable reason, and the upstream by its name', () => {
    const error = new ProxyError('request_timeout', 'too late', {
      reached: true,
      outcome: 'unknown',
      data: { more: 1 },
    });
    const reply = errorReply(encode('7'), error, 'billing');

    expect(reply).toMatchObject({ status: 200 });
    expect(reply.headers).toBeUndefined();
    expect(JSON.parse(text(reply.body))).toEqual({
      jsonrpc: '2.0',
      id: 7,
      error: {
        code: -32603,
        message: 'too late',
        data: { reason: 'request_timeout', upstream: 'billing', outcome: 'unknown', more: 1 },
      },
    });
  });

  test.each<[retryAfterMs: number | undefined, seconds: string]>([
    [undefined, '1'],
    [1, '1'],
    [1000, '1'],
    [1001, '2'],
    [60_000, '60'],
  ])('of capacity says when to come again: %s ms', (retryAfterMs, seconds) => {
    const error = new ProxyError('queue_full', 'x', retryAfterMs === undefined ? {} : { retryAfterMs });

    expect(errorReply(null, error)).toMatchObject({ status: 503, headers: { 'retry-after': seconds } });
  });

  test('without an id has none', () => {
    const reply = errorReply(null, new ProxyError('parse_error', 'x'));

    expect(JSON.parse(text(reply.body))).not.toHaveProperty('id');
  });

  test('does not show its cause', () => {
    const error = new ProxyError('upstream_unreachable', 'x', { cause: new Error('secret') });

    expect(text(errorReply(null, error).body)).not.toContain('secret');
  });
});

describe('the times of an exchange', () => {
  test('tell the wait for a link from the whole, and when a stream began', () => {
    const { exchange, time, times } = opened();

    time.advanceSync(20);
    exchange.sent();
    time.advanceSync(300);
    exchange.notify(MESSAGE);
    time.advanceSync(80);
    exchange.finish(ANSWER);

    expect(times).toEqual([{ waitMs: 20, firstByteMs: 320, durationMs: 400 }]);
  });

  test('have no wait where nothing was sent upstream', () => {
    const { exchange, time, times } = opened();

    time.advanceSync(5);
    exchange.finish({ kind: 'own', result: {} });

    expect(times).toEqual([{ durationMs: 5 }]);
  });
});
