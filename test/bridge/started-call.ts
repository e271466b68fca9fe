// A call that waits for its lease, or has it, between a recorded sink and a recorded lease.

import { Call, type CallOptions, type Repeatable } from '../../src/bridge/call.ts';
import { Exchange, type ExchangeEnd } from '../../src/bridge/exchange.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { RecordedLease, RecordedSink, requestOf } from './recorded.ts';

export interface Wish extends Partial<CallOptions> {
  readonly canStream?: boolean;
  readonly exclusive?: boolean;
  /** Whether a failed call is sent once more. */
  readonly repeats?: boolean;
}

export function started({ canStream = true, exclusive = true, repeats = false, ...options }: Wish = {}) {
  const time = new VirtualTime();
  const sink = new RecordedSink(canStream);
  const ends: ExchangeEnd[] = [];
  const exchange = new Exchange({
    id: encode('"own"'),
    sink,
    clock: time,
    timers: time,
    heartbeatMs: null,
    upstream: 'up',
    onEnd: (end) => ends.push(end),
  });
  const asked: Repeatable[] = [];
  let unread = 0;
  const call = new Call({
    request: requestOf({ params: { _meta: { progressToken: 'theirs' }, name: 'x' } }),
    exchange,
    clock: time,
    timers: time,
    requestMs: 1000,
    requestMaxMs: 10_000,
    clientGone: 'go on',
    again: (repeatable) => {
      asked.push(repeatable);
      return repeats;
    },
    onUnread: () => {
      unread++;
    },
    ...options,
  });
  const lease = new RecordedLease(exclusive);
  return { time, sink, ends, exchange, call, lease, asked, unread: () => unread };
}

export function granted(wish: Wish = {}) {
  const world = started(wish);
  world.call.granted(world.lease);
  return world;
}
