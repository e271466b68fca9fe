import { describe, expect, test } from 'vitest';
import type { Repeatable } from '../../src/bridge/call.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import type { PostOutcome } from '../../src/domain/ports.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { answerOf, notificationOf, requestOf, text } from './recorded.ts';
import { granted, started } from './started-call.ts';

const MESSAGE = [encode('{"jsonrpc":"2.0","method":"notifications/progress"}')];
const LOST = new ProxyError('upstream_session_lost', 'the link is gone');
const FAILED = new ProxyError('post_failed', 'it broke');

test('the request goes upstream under our id, and its token becomes the same integer', () => {
  const { lease, call } = granted();

  expect(call.state.phase).toBe('run');
  expect(lease.posted).toEqual([
    '{"jsonrpc":"2.0","id":41,"method":"tools/call","params":{"_meta":{"progressToken":41},"name":"x"}}',
  ]);
});

test('a token goes upstream only if the client sent one', () => {
  const { lease } = granted({ request: requestOf({ params: { _meta: {} } }) });

  expect(lease.posted).toEqual(['{"jsonrpc":"2.0","id":41,"method":"tools/call","params":{"_meta":{}}}']);
});

test('the answer ends the exchange, and the place is used again', () => {
  const { call, lease, ends, sink, time } = granted();

  call.answered(answerOf(41, { result: 1 }));

  expect(sink.json).toEqual({ jsonrpc: '2.0', id: 'own', result: 1 });
  expect(ends).toHaveLength(1);
  expect(lease).toMatchObject({ released: ['reuse'], cancelled: [], broken: [] });
  expect(time.pendingCount).toBe(0);
});

test('the place is given back before the client has its answer, so that its next call finds it', () => {
  const { call, lease, sink } = granted();
  let releasedBefore = 0;
  sink.onEnd = () => {
    releasedBefore = lease.released.length;
  };

  call.answered(answerOf(41));

  expect(releasedBefore).toBe(1);
});

describe('a call that waits for a lease', () => {
  test('ends with the reason why there is none', () => {
    const { call, ends, sink } = started();

    call.leaseFailed(new ProxyError('queue_timeout', 'x'));

    expect(sink.reply?.status).toBe(503);
    expect(ends).toMatchObject([{ outcome: 'failed', reason: 'queue_timeout' }]);
  });

  test.each<['client gone' | 'client cancels', string]>([
    ['client gone', 'client_gone'],
    ['client cancels', 'cancelled'],
  ])('leaves the line once: %s', (event, outcome) => {
    const { call, exchange, ends, lease } = started();
    let left = 0;
    call.waits(() => left++);

    if (event === 'client gone') exchange.clientGone();
    else call.cancelledByClient(notificationOf('notifications/cancelled'));
    call.leaseFailed(new ProxyError('queue_timeout', 'x'));
    call.granted(lease);

    expect(left).toBe(1);
    expect(ends).toMatchObject([{ outcome }]);
    // One that comes too late goes straight back, unused.
    expect(lease).toMatchObject({ posted: [], cancelled: [], released: ['reuse'] });
  });

  test('gives the place back unused when its exchange has ended otherwise', () => {
    const { call, exchange, lease } = started();

    exchange.finish({ kind: 'own', result: {} });
    call.granted(lease);

    expect(call.state.phase).toBe('done');
    expect(lease).toMatchObject({ posted: [], released: ['reuse'], broken: [] });
  });

  test('does not leave the line any more once it was served', () => {
    const { call, exchange, lease } = started();
    let left = 0;
    call.waits(() => left++);

    call.granted(lease);
    exchange.clientGone();
    call.linkLost(LOST);

    expect(left).toBe(0);
  });

  test('is not touched by what concerns a running call', () => {
    const { call, ends } = started();

    call.answered(answerOf(41));
    call.linkLost(LOST);
    call.posted({ kind: 'broken', error: FAILED });
    call.readerTooSlow();

    expect(call.progress(MESSAGE)).toBe(false);
    expect(call.tell(MESSAGE)).toBe(false);
    expect(call.state.phase).toBe('leasing');
    expect(ends).toEqual([]);
  });
});

describe('what becomes of the POST', () => {
  const error = FAILED;
  test.each<[outcome: PostOutcome, asks: Repeatable[], reason: string, effect: string, how: 'reuse' | 'retire']>([
    [
      { kind: 'unsent', error: new ProxyError('upstream_unreachable', 'x', { outcome: 'not_executed' }) },
      ['refused'],
      'upstream_unreachable',
      'not_executed',
      'reuse',
    ],
    [{ kind: 'session_refused' }, ['refused'], 'upstream_session_lost', 'not_executed', 'reuse'],
    [{ kind: 'session_gone', error }, ['lost'], 'post_failed', 'unknown', 'retire'],
    [{ kind: 'broken', error }, ['lost'], 'post_failed', 'unknown', 'retire'],
    [{ kind: 'rejected', error }, [], 'post_failed', 'not_executed', 'retire'],
  ])('$kind', (outcome, asks, reason, effect, how) => {
    const { call, ends, sink, lease, asked } = granted();

    call.posted(outcome);

    expect(asked).toEqual(asks);
    expect(ends).toMatchObject([{ outcome: 'failed', reason }]);
    expect(sink.json.error.data.outcome).toBe(effect);
    expect(lease).toMatchObject({ released: [how], cancelled: [], broken: [] });
  });

  test('after an earlier attempt that may have run, no failure says that nothing was executed', () => {
    const waiting = started({ mayHaveRun: () => true });
    const refused = granted({ mayHaveRun: () => true });

    waiting.call.leaseFailed(new ProxyError('queue_timeout', 'x', { outcome: 'not_executed' }));
    refused.call.posted({ kind: 'session_refused' });

    for (const { sink } of [waiting, refused]) {
      expect(sink.reply?.status).toBe(200);
      expect(sink.json.error.data.outcome).toBe('unknown');
    }
  });

  test('accepted changes nothing: the answer is still to come', () => {
    const { call, ends } = granted();

    call.posted({ kind: 'accepted', body: null });

    expect(call.state.phase).toBe('run');
    expect(ends).toEqual([]);
  });

  test('before the upstream was reached the status says so, after that it is 200', () => {
    const [unsent, broken] = [granted(), granted()];

    unsent.call.posted({ kind: 'unsent', error: new ProxyError('upstream_unreachable', 'x') });
    broken.call.posted({ kind: 'broken', error: FAILED });

    expect(unsent.sink.reply?.status).toBe(502);
    expect(broken.sink.reply?.status).toBe(200);
  });

  test('a call that is sent once more ends silently', () => {
    const { call, ends, lease, asked } = granted({ repeats: true });

    call.linkLost(LOST);

    expect(asked).toEqual(['lost']);
    expect(ends).toEqual([]);
    expect(call.state.phase).toBe('done');
    expect(lease.released).toEqual(['retire']);
  });

  test('on a shared conversation nothing is retired', () => {
    for (const kind of ['broken', 'rejected', 'session_gone'] as const) {
      const { call, lease } = granted({ exclusive: false });
      call.posted({ kind, error: FAILED });
      expect(lease.released).toEqual(['reuse']);
    }
  });
});

describe('a client that leaves', () => {
  test('does not stop the tool: the answer is counted as unread', () => {
    const { call, exchange, lease, sink, unread } = granted();

    exchange.clientGone();
    expect(call.state.phase).toBe('left');
    expect(lease.released).toEqual([]);
    call.answered(answerOf(41));

    expect(unread()).toBe(1);
    expect(lease).toMatchObject({ released: ['reuse'], cancelled: [], broken: [] });
    expect(sink.ends).toEqual([]);
  });

  test('stops it where leaving means to cancel', () => {
    const { call, exchange, lease } = granted({ clientGone: 'cancel' });

    exchange.clientGone();

    expect(call.state.phase).toBe('done');
    expect(lease).toMatchObject({ cancelled: ['the client disconnected'], released: ['retire'], broken: [] });
  });

  test('and is not waited for without end', () => {
    const { exchange, lease, time, unread } = granted();

    exchange.clientGone();
    time.advanceSync(1000);

    expect(unread()).toBe(1);
    expect(lease).toMatchObject({ cancelled: ['the request timed out'], released: ['retire'], broken: [] });
  });

  test('is not repeated for when the link is lost', () => {
    const { call, exchange, lease, asked, unread } = granted({ repeats: true });

    exchange.clientGone();
    call.linkLost(LOST);

    expect(asked).toEqual([]);
    expect(unread()).toBe(1);
    expect(lease.released).toEqual(['retire']);
  });
});

test('a client that cancels gets no response, and upstream hears its own words [B18]', () => {
  const { call, lease, sink, ends } = granted();
  const notification = notificationOf('notifications/cancelled', { requestId: 'own', reason: 'bored' });

  call.cancelledByClient(notification);
  call.cancelledByClient(notification);
  call.answered(answerOf(41));

  expect(sink.ends).toEqual(['end']);
  expect(ends).toMatchObject([{ outcome: 'cancelled' }]);
  expect(lease).toMatchObject({ cancelled: [notification], released: ['retire'], broken: [] });
});

test('a client that does not read its stream loses its call', () => {
  const { call, lease, ends } = granted();

  call.progress(MESSAGE);
  call.readerTooSlow();
  call.readerTooSlow();

  expect(ends).toMatchObject([{ reason: 'slow_reader', streamed: true }]);
  expect(lease).toMatchObject({ released: ['retire'], broken: [] });
  expect(lease.cancelled).toHaveLength(1);
});

test('a call that we end says so to both sides', () => {
  const { call, lease, ends, sink } = granted();

  call.stopped(new ProxyError('draining', 'the gateway is shutting down'));
  call.stopped(new ProxyError('draining', 'the gateway is shutting down'));

  expect(ends).toMatchObject([{ outcome: 'failed', reason: 'draining', status: 200 }]);
  expect(sink.json.error.data.outcome).toBe('unknown');
  expect(lease).toMatchObject({ cancelled: ['the gateway is shutting down'], released: ['retire'], broken: [] });
});

describe('whoever is told of the answer', () => {
  test('changes it beside the id, by fields and by edits', () => {
    const { call, sink } = granted({
      onAnswer: (answer) =>
        answer.kind === 'error'
          ? { changes: { newerErrorCode: encode('-32603') } }
          : { edits: [{ start: answer.result.start, end: answer.result.end, text: encode('"older"') }] },
    });
    const other = granted({ onAnswer: () => ({ changes: { newerErrorCode: encode('-32603') } }) });

    call.answered(answerOf(41, { result: { newer: 1 } }));
    other.call.answered(answerOf(41, { error: { code: -32042, message: 'x' } }));

    expect(sink.json).toEqual({ jsonrpc: '2.0', id: 'own', result: 'older' });
    expect(other.sink.json).toMatchObject({ id: 'own', error: { code: -32603, message: 'x' } });
  });

  test('hears of it once, before the place is given back and before the client has it', () => {
    const order: string[] = [];
    const { call, lease, sink } = granted({
      onAnswer: ({ kind }) => {
        order.push(`${kind}, ${lease.released.length} released, ${sink.ends.length} told`);
        return undefined;
      },
    });

    call.answered(answerOf(41));
    call.answered(answerOf(41));

    expect(order).toEqual(['result, 0 released, 0 told']);
    expect(sink.json).toEqual({ jsonrpc: '2.0', id: 'own', result: {} });
  });

  test('hears of it also when the client has left: the upstream has done what it was asked', () => {
    let told = 0;
    const { call, exchange, unread } = granted({
      onAnswer: () => {
        told++;
        return undefined;
      },
    });

    exchange.clientGone();
    call.answered(answerOf(41));

    expect([told, unread()]).toEqual([1, 1]);
  });

  test('hears of none where the call ended otherwise', () => {
    let told = 0;
    const onAnswer = (): undefined => {
      told++;
    };
    const [lost, cancelled, waiting] = [granted({ onAnswer }), granted({ onAnswer }), started({ onAnswer })];

    lost.call.linkLost(LOST);
    cancelled.call.cancelledByClient(notificationOf('notifications/cancelled'));
    for (const { call } of [lost, cancelled, waiting]) call.answered(answerOf(41));

    expect(told).toBe(0);
  });
});

describe('what the upstream says about a call, a question among it,', () => {
  test('goes on the call’s own stream, before the answer', () => {
    const { call, sink } = granted();

    expect(call.tell(MESSAGE)).toBe(true);
    call.answered(answerOf(41));

    expect(sink.notified).toEqual([text(MESSAGE)]);
    expect(sink).toMatchObject({ ends: ['finish'], broken: [] });
  });

  test('is not taken where the client takes no stream, has left, or has its answer', () => {
    const [json, left, done] = [granted({ canStream: false }), granted(), granted()];
    left.exchange.clientGone();
    done.call.answered(answerOf(41));

    for (const { call, sink } of [json, left, done]) {
      expect(call.tell(MESSAGE)).toBe(false);
      expect(sink).toMatchObject({ notified: [], broken: [] });
    }
  });
});

test('a task that the client wants is not asked of the upstream, which would answer with a task [D6]', () => {
  const request = requestOf({ params: { name: 'x', task: { ttl: 60_000 }, arguments: { task: 1 } } });
  const { lease } = granted({ request });

  expect(lease.posted).toEqual([
    '{"jsonrpc":"2.0","id":41,"method":"tools/call","params":{"name":"x","arguments":{"task":1}}}',
  ]);
});

// The session is over while its call still waits for a link: the call must not run, and its client must hear why.
test('a call that waits for a lease and is stopped leaves the line, and its client hears why', () => {
  const { call, lease, ends, sink } = started();
  let left = 0;
  call.waits(() => left++);

  call.stopped(new ProxyError('session_ended', 'the session has ended'));
  call.granted(lease);

  expect(ends).toMatchObject([{ outcome: 'failed', reason: 'session_ended' }]);
  expect(sink.ends).toEqual(['finish']);
  expect(left).toBe(1);
  expect(lease).toMatchObject({ posted: [], cancelled: [], released: ['reuse'], broken: [] });
});
