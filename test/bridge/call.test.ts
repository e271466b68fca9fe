import { describe, expect, test } from 'vitest';
import type { Repeatable } from '../../src/bridge/call.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import type { PostOutcome } from '../../src/domain/ports.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { answerOf, notificationOf, requestOf, text } from './recorded.ts';
import { type Wish, granted, started } from './started-call.ts';

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

describe('a call that is held', () => {
  const RESULT = encode('{"resultType":"input_required"}');
  const OTHER = encode('7');

  /** Held once, and the exchange with which the client comes back. */
  function held(wish: Wish = {}) {
    const world = granted({ clientGone: 'cancel', ...wish });
    world.call.hold(RESULT);
    const back = started().exchange;
    return { ...world, back };
  }

  /** As above, with what the client is told when it is back. */
  function returned(wish: Wish = {}) {
    const world = granted({ clientGone: 'cancel', ...wish });
    world.call.hold(RESULT);
    const next = started();
    // Its own call stands in line and is of no interest.
    next.exchange.attend(null);
    const resume = (token: Uint8Array | null = null): boolean => world.call.resume(next.exchange, token);
    return { ...world, next, resume };
  }

  test('has told its client so, and keeps its place [F40]', () => {
    const { call, sink, ends, lease } = held();

    expect(sink.json).toEqual({ jsonrpc: '2.0', id: 'own', result: { resultType: 'input_required' } });
    expect(ends).toMatchObject([{ outcome: 'result', status: 200 }]);
    expect(call.state.phase).toBe('held');
    expect(call.isConnected).toBe(false);
    expect(call.backlogBytes).toBe(0);
    expect(lease).toMatchObject({ released: [], cancelled: [], broken: [] });
  });

  test('is not cancelled by the end of the connection on which that was said [F34]', () => {
    const { call, exchange, lease } = held();

    exchange.clientGone();

    expect(call.state.phase).toBe('held');
    expect(lease.cancelled).toEqual([]);
  });

  test('does not run out of time: the upstream waits for the client', () => {
    const { call, time, lease } = held();
    expect(time.pendingCount).toBe(0);

    call.progress(MESSAGE);
    time.advanceSync(1_000_000);

    expect(call.state.phase).toBe('held');
    expect(lease.released).toEqual([]);
  });

  test('goes on with the client’s next request, to its answer [F41]', () => {
    const { call, lease, sink, next, resume } = returned();

    expect(resume()).toBe(true);
    expect(call.state.phase).toBe('run');
    expect(call.tell(MESSAGE)).toBe(true);
    call.answered(answerOf(41, { result: 1 }));

    expect(next.sink.json).toEqual({ jsonrpc: '2.0', id: 'own', result: 1 });
    expect(next.sink.notified).toHaveLength(1);
    expect(sink).toMatchObject({ ends: ['finish'], notified: [], broken: [] });
    // The request itself went once.
    expect(lease.posted).toHaveLength(1);
    expect(lease).toMatchObject({ released: ['reuse'], cancelled: [], broken: [] });
  });

  test('tells progress under the token of the next request [F32]', () => {
    const { call, resume } = returned();

    resume(OTHER);
    expect(call.progressToken).toBe(OTHER);
    call.hold(RESULT);
    call.resume(started().exchange, null);

    expect(call.progressToken).toBeNull();
  });

  test('has all its time again once the client is back', () => {
    const { call, time, next, resume } = returned();
    time.advanceSync(900);
    resume();

    time.advanceSync(999);
    expect(call.state.phase).toBe('run');
    time.advanceSync(1);

    expect(next.ends).toMatchObject([{ reason: 'request_timeout' }]);
    expect(time.pendingCount).toBe(0);
  });

  test('has no more time in all than one that was never held, but for the client’s own', () => {
    const { call, time, lease } = granted({ requestMs: 1000, requestMaxMs: 1500 });
    time.advanceSync(900);
    call.hold(RESULT);
    time.advanceSync(1_000_000);
    const { exchange, ends } = started();
    call.resume(exchange, null);

    time.advanceSync(599);
    expect(call.state.phase).toBe('run');
    time.advanceSync(1);

    expect(call.state.phase).toBe('done');
    expect(ends).toMatchObject([{ reason: 'request_timeout' }]);
    expect(lease.cancelled).toEqual(['the request timed out']);
  });

  test('says how much it keeps for the client', () => {
    const { call } = held();
    expect(call.keptBytes).toBe(0);
    const answer = answerOf(41, { result: 'x'.repeat(100) });

    call.answered(answer);
    expect(call.keptBytes).toBe(answer.bytes.length);
    call.letGo('x');

    expect(call.keptBytes).toBe(0);
  });

  test('is cancelled when the client leaves after it has come back [F33]', () => {
    const { call, lease, next, resume } = returned();
    resume();

    next.exchange.clientGone();

    expect(call.state.phase).toBe('done');
    expect(lease).toMatchObject({ cancelled: ['the client disconnected'], released: ['retire'], broken: [] });
  });

  test('takes one client back, and only while it is held [F45]', () => {
    const { call, next, resume } = returned();
    const running = granted();
    const waiting = started();

    expect(resume()).toBe(true);
    expect(call.resume(started().exchange, null)).toBe(false);
    call.answered(answerOf(41));
    expect(call.resume(started().exchange, null)).toBe(false);
    expect(running.call.resume(next.exchange, null)).toBe(false);
    expect(waiting.call.resume(next.exchange, null)).toBe(false);

    expect(next.sink.ends).toEqual(['finish']);
  });

  test('frees its place when the upstream answers, and keeps the answer for the client', () => {
    const { call, lease, next, resume } = returned();

    call.answered(answerOf(41, { result: { gaveUp: true } }));
    expect(call.state.phase).toBe('answered');
    expect(lease).toMatchObject({ released: ['reuse'], cancelled: [], broken: [] });
    expect(resume()).toBe(true);

    expect(call.state.phase).toBe('done');
    expect(next.sink.json).toEqual({ jsonrpc: '2.0', id: 'own', result: { gaveUp: true } });
  });

  test('gives a kept answer once [F45]', () => {
    const { call, resume } = returned();
    call.answered(answerOf(41));
    resume();

    expect(call.resume(started().exchange, null)).toBe(false);
  });

  test('keeps an error of the upstream, and what is made of an answer, as well', () => {
    const one = returned();
    const two = returned({ onAnswer: () => ({ kind: 'own', result: { ours: true } }) });

    one.call.answered(answerOf(41, { error: { code: -32001, message: 'timed out' } }));
    two.call.answered(answerOf(41));
    for (const { resume } of [one, two]) resume();

    expect(one.next.sink.json.error).toEqual({ code: -32001, message: 'timed out' });
    expect(two.next.sink.json.result).toEqual({ ours: true });
  });

  test('is not made again when its link is lost: the client hears of that when it is back', () => {
    const { call, lease, asked, next, resume } = returned({ repeats: true });

    call.linkLost(LOST);
    expect([call.state.phase, lease.released]).toEqual(['answered', ['retire']]);
    resume();

    expect(asked).toEqual([]);
    expect(next.ends).toMatchObject([{ outcome: 'failed', reason: 'upstream_session_lost' }]);
    expect(next.sink.json.error.data.outcome).toBe('unknown');
  });

  test('is not made again when its POST turns out to have failed', () => {
    const { call, asked, next, resume } = returned({ repeats: true });

    call.posted({ kind: 'broken', error: FAILED });
    resume();

    expect(asked).toEqual([]);
    expect(next.ends).toMatchObject([{ reason: 'post_failed' }]);
  });

  test('ends when it is let go, and the upstream hears why [F50]', () => {
    const { call, lease, ends, time } = held();

    call.letGo('nobody answered in time');
    call.letGo('nobody answered in time');

    expect(call.state.phase).toBe('done');
    expect(lease).toMatchObject({ cancelled: ['nobody answered in time'], released: ['retire'], broken: [] });
    expect(ends).toHaveLength(1);
    expect(time.pendingCount).toBe(0);
  });

  test('forgets its answer when it is let go, and says nothing more upstream [F50]', () => {
    const { call, lease, back } = held();
    call.answered(answerOf(41));

    call.letGo('nobody answered in time');

    expect(call.state.phase).toBe('done');
    expect(call.resume(back, null)).toBe(false);
    expect(lease).toMatchObject({ cancelled: [], released: ['reuse'], broken: [] });
  });

  test('is not let go while it runs', () => {
    const { call, lease } = granted();

    call.letGo('others needed its place');

    expect(call.state.phase).toBe('run');
    expect(lease.cancelled).toEqual([]);
  });

  test('ends with the gateway, and its client has had its result', () => {
    const { call, lease, sink, unread } = held();

    call.stopped(new ProxyError('draining', 'x'));

    expect([call.state.phase, unread()]).toEqual(['done', 0]);
    expect(lease).toMatchObject({ cancelled: ['x'], released: ['retire'], broken: [] });
    expect(sink.ends).toEqual(['finish']);
  });

  test('hears nothing of what would end one that runs', () => {
    const { call, lease } = held();

    call.readerTooSlow();
    call.failed(FAILED);
    call.hold(RESULT);
    expect(call.progress(MESSAGE)).toBe(false);
    expect(call.tell(MESSAGE)).toBe(false);

    expect(call.state.phase).toBe('held');
    expect(lease).toMatchObject({ cancelled: [], released: [], broken: [] });
  });

  test('tells at once that its client has taken everything: there is none', () => {
    const { call } = held();
    let drained = 0;

    call.onDrained(() => drained++);

    expect(drained).toBe(1);
  });

  test('cannot be one that waits, has left, or is over', () => {
    const [waiting, left, over] = [started(), granted(), granted()];
    left.exchange.clientGone();
    over.call.answered(answerOf(41));

    for (const { call } of [waiting, left, over]) call.hold(RESULT);

    expect([waiting, left, over].map(({ call }) => call.state.phase)).toEqual(['leasing', 'left', 'done']);
    expect(waiting.ends).toEqual([]);
  });
});

test('a call that fails for a reason of ours is cancelled, and its client hears why', () => {
  const { call, lease, sink, ends, time } = granted();

  call.failed(new ProxyError('capability_missing', 'undeclared'));
  call.failed(new ProxyError('capability_missing', 'undeclared'));

  expect(sink.reply?.status).toBe(400);
  expect(ends).toMatchObject([{ outcome: 'failed', reason: 'capability_missing' }]);
  expect(lease).toMatchObject({ cancelled: ['undeclared'], released: ['retire'], broken: [] });
  expect(time.pendingCount).toBe(0);
});
