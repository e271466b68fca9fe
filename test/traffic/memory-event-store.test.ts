import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { EventStore } from '../../src/domain/ports.ts';
import { MemoryEventStore } from '../../src/traffic/memory-event-store.ts';
import { VirtualTime } from '../support/virtual-time.ts';

/** What is counted for an event beside its bytes. */
const OVERHEAD = 200;

function opened(streams: NonNullable<ConfigInput['streams']> = {}, maxBytes = 1e9) {
  const time = new VirtualTime();
  const config = parseConfig({ upstreams: [{ url: 'http://up.example/sse' }], streams }).streams;
  const store = new MemoryEventStore({ maxBytes, clock: time });
  const session = () => {
    let unsent = 0;
    const events = store.open(config, null, () => unsent++);
    return { events, unsent: () => unsent };
  };
  return { time, store, session };
}

/** An event that costs so much in all. */
function event(seq: number, cost = OVERHEAD + 10) {
  return { seq, message: new Uint8Array(cost - OVERHEAD).fill(seq) };
}

function seqsIn(events: EventStore, stream = 1, after = 0): number[] {
  return events.after(stream, after).map(({ seq }) => seq);
}

describe('the events of a stream', () => {
  test('come back after a number, in order, as they were, and those of no other stream [B12]', () => {
    const { events } = opened().session();
    for (const [stream, seq] of [
      [1, 1],
      [2, 1],
      [1, 2],
      [2, 2],
      [1, 3],
    ] as const) {
      events.append(stream, event(seq), true);
    }

    expect(events.after(1, 1)).toEqual([event(2), event(3)]);
    expect(seqsIn(events, 2)).toEqual([1, 2]);
    expect([seqsIn(events, 1, 3), seqsIn(events, 1, 99), seqsIn(events, 3)]).toEqual([[], [], []]);
  });

  test('can be asked for as often as the connection breaks', () => {
    const { events } = opened().session();
    events.append(1, event(1), true);

    expect([seqsIn(events), seqsIn(events)]).toEqual([[1], [1]]);
  });

  test('are those of one session: another has its own by the same numbers [B12]', () => {
    const { session } = opened();
    const [alice, bob] = [session().events, session().events];
    alice.append(1, event(1), true);

    expect(seqsIn(bob)).toEqual([]);
    expect(bob.has(1)).toBe(false);
  });

  test('are known to be there until the last of them goes', () => {
    const { events } = opened({ maxEvents: 2 }).session();
    expect(events.has(1)).toBe(false);
    events.append(1, event(1), true);
    events.append(2, event(1), true);
    expect([events.has(1), events.has(2)]).toEqual([true, true]);
    events.append(2, event(2), true);

    expect([events.has(1), events.has(2)]).toEqual([false, true]);
  });
});

describe('a session keeps', () => {
  test('streams.maxEvents events, the youngest, whatever stream they belong to', () => {
    const { events } = opened({ maxEvents: 3 }).session();
    for (let seq = 1; seq <= 4; seq++) events.append((seq % 2) + 1, event(seq), true);

    expect([seqsIn(events, 1), seqsIn(events, 2)]).toEqual([[2, 4], [3]]);
  });

  test('streams.maxBytes bytes', () => {
    const { session, store } = opened({ maxBytes: '1000B' });
    const { events } = session();
    for (let seq = 1; seq <= 4; seq++) events.append(1, event(seq, 250), true);
    expect(seqsIn(events)).toEqual([1, 2, 3, 4]);

    events.append(1, event(5, 251), true);

    expect(seqsIn(events)).toEqual([3, 4, 5]);
    expect(store.bytes).toBe(751);
  });

  test('and beyond that one event of any size', () => {
    const { events } = opened({ maxBytes: '1000B' }).session();
    events.append(1, event(1), true);
    events.append(1, event(2, 100_000), true);
    expect(seqsIn(events)).toEqual([2]);

    events.append(1, event(3), true);

    expect(seqsIn(events)).toEqual([3]);
  });

  test('each for streams.maxAge', () => {
    const { time, session, store } = opened({ maxAge: '10s' });
    const { events } = session();
    events.append(1, event(1), true);
    time.advanceSync(5000);
    events.append(1, event(2), true);

    time.advanceSync(5000);
    expect(seqsIn(events)).toEqual([1, 2]);
    time.advanceSync(1);
    expect(seqsIn(events)).toEqual([2]);
    time.advanceSync(5000);
    expect(events.has(1)).toBe(false);

    expect(store.bytes).toBe(0);
  });

  test('nothing too old, though nobody asks for it: it is dropped now and then', () => {
    const { time, session, store } = opened({ maxAge: '10s' });
    const sessions = [session(), session(), session()];
    for (const { events } of sessions) events.append(1, event(1), false);
    time.advanceSync(5000);
    sessions[1]?.events.append(1, event(2), true);
    time.advanceSync(5001);

    store.purge();

    expect(store.bytes).toBe(OVERHEAD + 10);
    expect(sessions.map(({ unsent }) => unsent())).toEqual([1, 1, 1]);
  });

  test('nothing once it is over, and nobody is told of what it had', () => {
    const { session, store } = opened();
    const { events, unsent } = session();
    events.append(1, event(1), false);

    events.close();
    events.close();

    expect([seqsIn(events), events.has(1), store.bytes, unsent()]).toEqual([[], false, 0, 0]);
  });
});

describe('all sessions together keep so many bytes', () => {
  test('and the oldest event goes of the session that was used least recently', () => {
    const { session, store } = opened({}, 1000);
    const [alice, bob, carol] = [session().events, session().events, session().events];
    for (const [index, events] of [alice, bob, carol].entries()) events.append(1, event(index + 1, 300), true);

    carol.append(1, event(4, 300), true);

    expect([alice, bob, carol].map((events) => seqsIn(events))).toEqual([[], [2], [3, 4]]);
    expect(store.bytes).toBe(900);
  });

  test('all of its events, before one of a session that was used after it', () => {
    const { session } = opened({}, 1000);
    const [alice, bob] = [session().events, session().events];
    for (let seq = 1; seq <= 3; seq++) alice.append(1, event(seq, 250), true);
    bob.append(1, event(1, 250), true);

    for (let seq = 2; seq <= 3; seq++) bob.append(1, event(seq, 250), true);

    expect(seqsIn(bob)).toEqual([1, 2, 3]);
    expect(seqsIn(alice)).toEqual([3]);
  });

  test('a session is used by one who comes back for its events', () => {
    const { session } = opened({}, 1000);
    const [alice, bob] = [session().events, session().events];
    alice.append(1, event(1, 400), true);
    bob.append(1, event(1, 400), true);

    expect(seqsIn(alice)).toEqual([1]);
    bob.append(1, event(2, 300), true);

    expect([seqsIn(alice), seqsIn(bob)]).toEqual([[], [1, 2]]);
  });

  test('a session that is over makes room', () => {
    const { session, store } = opened({}, 1000);
    const [alice, bob] = [session().events, session().events];
    bob.append(1, event(1, 500), true);
    alice.append(1, event(1, 500), true);

    alice.close();
    alice.close();
    for (const seq of [2, 3]) bob.append(1, event(seq, 250), true);

    expect(seqsIn(bob)).toEqual([1, 2, 3]);
    expect(store.bytes).toBe(1000);
  });

  test('and the last event of all stays, whatever its size', () => {
    const { session, store } = opened({}, 1000);
    const [alice, bob] = [session().events, session().events];
    alice.append(1, event(1), true);
    bob.append(1, event(1), true);

    bob.append(1, event(2, 5000), true);

    expect([seqsIn(alice), seqsIn(bob)]).toEqual([[], [2]]);
    expect(store.bytes).toBe(5000);
  });
});

describe('what sessions keep elsewhere', () => {
  test('counts with their events, and the oldest of these make room', () => {
    const { session, store } = opened({}, 1000);
    const [alice, bob] = [session().events, session().events];
    alice.append(1, event(1, 400), true);
    bob.append(1, event(1, 400), true);

    expect(bob.hold(300)).toBe(true);
    expect([seqsIn(alice), seqsIn(bob), store.bytes]).toEqual([[], [1], 700]);
    expect(bob.hold(-300)).toBe(true);

    expect(store.bytes).toBe(400);
  });

  test('is refused where it alone would be too much', () => {
    const { session, store } = opened({}, 1000);
    const { events } = session();
    expect([events.hold(600), events.hold(401), events.hold(400)]).toEqual([true, false, true]);
    expect(events.hold(-600)).toBe(true);

    expect([events.hold(600), store.bytes]).toEqual([true, 1000]);
  });

  test('leaves the last event of all', () => {
    const { session } = opened({}, 1000);
    const { events } = session();
    events.append(1, event(1, 900), true);

    expect(events.hold(900)).toBe(true);

    expect(seqsIn(events)).toEqual([1]);
  });
});

describe('an event that goes without ever having been sent is told', () => {
  test('whatever bound it broke, and once [B14]', () => {
    const { time, session, store } = opened({ maxEvents: 2, maxAge: '10s', maxBytes: '2000B' }, 3000);
    const [alice, bob] = [session(), session()];
    for (let seq = 1; seq <= 3; seq++) alice.events.append(1, event(seq), false);
    expect(alice.unsent()).toBe(1);
    alice.events.append(1, event(4, 1900), false);
    expect(alice.unsent()).toBe(3);
    bob.events.append(1, event(1, 1900), false);
    expect([alice.unsent(), bob.unsent()]).toEqual([4, 0]);
    time.advanceSync(10_001);
    store.purge();

    expect([alice.unsent(), bob.unsent()]).toEqual([4, 1]);
  });

  test('but not one that was sent, or handed over since', () => {
    const { session } = opened({ maxEvents: 2 });
    const { events, unsent } = session();
    events.append(1, event(1), true);
    events.append(1, event(2), false);
    expect(seqsIn(events, 1, 1)).toEqual([2]);

    for (const seq of [3, 4]) events.append(1, event(seq), true);

    expect(unsent()).toBe(0);
  });

  test('though others of its stream were handed over: those after a number, and of that stream', () => {
    const { session } = opened({ maxEvents: 3 });
    const { events, unsent } = session();
    events.append(1, event(1), false);
    events.append(2, event(1), false);
    events.append(1, event(2), false);
    expect(seqsIn(events, 1, 1)).toEqual([2]);

    for (const seq of [3, 4, 5]) events.append(1, event(seq), true);

    expect(unsent()).toBe(2);
  });
});

test('many events cost no more than few: what is dropped is not kept', () => {
  const { session, store } = opened({ maxEvents: 10 });
  const { events } = session();
  for (let seq = 1; seq <= 100_000; seq++) events.append(1, event(seq), true);

  expect(seqsIn(events)).toHaveLength(10);
  expect(store.bytes).toBe(10 * (OVERHEAD + 10));
});

/** One event of the naive store. */
interface Naive {
  readonly session: number;
  readonly stream: number;
  readonly seq: number;
  readonly cost: number;
  readonly at: number;
  isSent: boolean;
}

/** The same, said as simply as can be: one list, looked through for everything. */
class NaiveStore {
  events: Naive[] = [];
  readonly unsent = [0, 0, 0];
  /** Least recently used first. */
  order: number[] = [];
  readonly #bounds: { readonly maxEvents: number; readonly maxBytes: number; readonly maxAge: number };
  readonly #inAll: number;

  constructor(bounds: { maxEvents: number; maxBytes: number; maxAge: number }, inAll: number) {
    this.#bounds = bounds;
    this.#inAll = inAll;
  }

  of(session: number): Naive[] {
    return this.events.filter((each) => each.session === session);
  }

  use(session: number): void {
    this.order = [...this.order.filter((other) => other !== session), session];
  }

  drop(event: Naive | undefined): void {
    if (event === undefined) throw new Error('there is nothing to drop');
    this.events = this.events.filter((other) => other !== event);
    if (!event.isSent) this.unsent[event.session] = (this.unsent[event.session] ?? 0) + 1;
  }

  expire(session: number, now: number): void {
    for (const each of this.of(session)) if (now - each.at > this.#bounds.maxAge) this.drop(each);
  }

  append(event: Naive): void {
    const { session, at } = event;
    const { maxEvents, maxBytes } = this.#bounds;
    this.events.push(event);
    this.use(session);
    while (bytesOf(this.events) > this.#inAll && this.events.length > 1) {
      this.drop(this.order.flatMap((each) => this.of(each))[0]);
    }
    this.expire(session, at);
    const own = (): Naive[] => this.of(session);
    while (own().length > maxEvents || (bytesOf(own()) > maxBytes && own().length > 1)) this.drop(own()[0]);
  }

  after(session: number, stream: number, seq: number, now: number): number[] {
    this.expire(session, now);
    this.use(session);
    const found = this.of(session).filter((each) => each.stream === stream && each.seq > seq);
    for (const each of found) each.isSent = true;
    return found.map((each) => each.seq);
  }
}

const bytesOf = (events: readonly Naive[]): number => events.reduce((sum, { cost }) => sum + cost, 0);

test('whatever is appended, asked for and waited for, it keeps what a naive store keeps', () => {
  const session = fc.nat(2);
  const stream = fc.integer({ min: 1, max: 2 });
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        does: fc.constant('append' as const),
        session,
        stream,
        cost: fc.integer({ min: OVERHEAD, max: 700 }),
        isSent: fc.boolean(),
      }),
    },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('after' as const), session, stream, back: fc.nat(6) }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('has' as const), session, stream }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('close' as const), session }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('purge' as const) }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('pass' as const), ms: fc.nat(6000) }) },
  );
  const bounds = fc.record({
    maxEvents: fc.integer({ min: 1, max: 6 }),
    maxBytes: fc.integer({ min: 300, max: 2000 }),
    maxAge: fc.constant(10_000),
  });

  fc.assert(
    fc.property(
      bounds,
      fc.integer({ min: 300, max: 4000 }),
      fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
      (limits, inAll, steps) => {
        const {
          time,
          store,
          session: open,
        } = opened(
          { maxEvents: limits.maxEvents, maxBytes: `${limits.maxBytes}B`, maxAge: `${limits.maxAge}ms` },
          inAll,
        );
        const sessions = [open(), open(), open()];
        /** Of those that are over, by their places. */
        const unsent = [0, 0, 0];
        const naive = new NaiveStore(limits, inAll);
        let seq = 0;
        for (const next of steps) {
          const events = 'session' in next ? sessions[next.session]?.events : undefined;
          if (next.does === 'pass') time.advanceSync(next.ms);
          if (next.does === 'purge') {
            store.purge();
            for (const index of sessions.keys()) naive.expire(index, time.now());
          }
          if (events === undefined || !('session' in next)) continue;
          if (next.does === 'append') {
            seq++;
            events.append(next.stream, event(seq, next.cost), next.isSent);
            naive.append({ ...next, seq, at: time.now() });
          } else if (next.does === 'after') {
            const expected = naive.after(next.session, next.stream, seq - next.back, time.now());
            expect(seqsIn(events, next.stream, seq - next.back)).toEqual(expected);
          } else if (next.does === 'has') {
            naive.expire(next.session, time.now());
            const expected = naive.of(next.session).some((each) => each.stream === next.stream);
            expect(events.has(next.stream)).toBe(expected);
          } else {
            events.close();
            unsent[next.session] = (unsent[next.session] ?? 0) + (sessions[next.session]?.unsent() ?? 0);
            sessions[next.session] = open();
            naive.events = naive.events.filter((each) => each.session !== next.session);
          }
          expect(store.bytes).toBe(bytesOf(naive.events));
        }

        expect(sessions.map((each, index) => each.unsent() + (unsent[index] ?? 0))).toEqual(naive.unsent);
        for (const [index, { events }] of sessions.entries()) {
          for (const each of [1, 2]) expect(seqsIn(events, each)).toEqual(naive.after(index, each, 0, time.now()));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

describe('the events of one owner', () => {
  function ofOwners(maxBytesOfOwner: number, maxBytes = 1e9) {
    const config = parseConfig({ upstreams: [{ url: 'http://up.example/sse' }] }).streams;
    let max = maxBytesOfOwner;
    const store = new MemoryEventStore({ maxBytes, maxBytesOfOwner: () => max, clock: new VirtualTime() });
    const limits: string[] = [];
    const session = (owner: string | null): EventStore => store.open(config, owner, (limit) => limits.push(limit));
    return { store, session, limits, allow: (bytes: number) => (max = bytes) };
  }

  test('are bounded over all of his sessions: his own oldest make room, and nobody else’s', () => {
    const { session, limits } = ofOwners(3000);
    const [one, two, bob, nobody] = [session('alice'), session('alice'), session('bob'), session(null)];
    for (const store of [bob, nobody]) for (const seq of [1, 2, 3]) store.append(1, event(seq, 900), false);

    for (const seq of [1, 2]) one.append(1, event(seq, 900), false);
    for (const seq of [1, 2, 3]) two.append(1, event(seq, 900), false);

    expect([seqsIn(one), seqsIn(two), seqsIn(bob), seqsIn(nobody)]).toEqual([[], [1, 2, 3], [1, 2, 3], [1, 2, 3]]);
    expect(limits).toEqual(['budgets.bufferedBytes', 'budgets.bufferedBytes']);
  });

  test('count together with what is kept elsewhere for him', () => {
    const { session } = ofOwners(1000);
    const [alice, bob] = [session('alice'), session('bob')];

    expect([alice.hold(600), alice.hold(600), bob.hold(600)]).toEqual([true, false, true]);
    alice.hold(-600);
    expect(alice.hold(600)).toBe(true);
  });

  test('are not bounded where the bound is 0, and are as soon as it is another', () => {
    const { session, allow } = ofOwners(0);
    const alice = session('alice');
    for (let seq = 1; seq <= 10; seq++) alice.append(1, event(seq, 1000), true);
    const before = seqsIn(alice).length;

    allow(3000);
    alice.append(1, event(11, 1000), true);

    expect([before, seqsIn(alice)]).toEqual([10, [9, 10, 11]]);
  });

  test('give way to the bound of all, too, and are forgotten with the last of them', () => {
    const { store, session, limits } = ofOwners(5000, 3000);
    const [alice, bob] = [session('alice'), session('bob')];
    for (let seq = 1; seq <= 3; seq++) alice.append(1, event(seq, 1000), false);
    bob.append(1, event(1, 1000), false);

    expect([seqsIn(alice), limits, store.bytes, store.ownerCount]).toEqual([[2, 3], ['limits.bufferedBytes'], 3000, 2]);

    alice.close();
    bob.close();
    expect([store.bytes, store.ownerCount]).toEqual([0, 0]);
  });
});
