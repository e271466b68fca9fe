// Replicas over one store that fails, holds still and holds what is not theirs: of two owners only one is heard, and what was
// told to the one that is heard is found by the next.

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { Fact, StreamedEvent } from '../../src/domain/ports.ts';
import type { SessionMirror, StoreLease } from '../../src/domain/session-store.ts';
import { TokenSealer } from '../../src/protocol/sealed-token.ts';
import { systemClock, systemTimers } from '../../src/real-time.ts';
import { SharedStore } from '../../src/replica/shared-store.ts';
import { within } from '../support/eventually.ts';
import { type MemoryShelf, MemoryStore } from '../support/memory-shelf.ts';

const SECRET = randomBytes(32);
const BOUNDS = { maxEvents: 1000, maxBytes: 1_000_000, maxAge: 600_000 };
const PRINCIPALS = ['alice', 'bob'];

/** A session as one replica believes to hold it. */
interface Local {
  readonly mirror: SessionMirror;
  readonly events: StreamedEvent[];
  isMoved: boolean;
}

class Replica {
  readonly shelf: MemoryShelf;
  readonly store: SharedStore;
  readonly facts: Fact[] = [];
  readonly sessions = new Map<string, Local>();
  readonly name: string;
  /** So far its clock is ahead: so long was it held still. */
  aheadMs = 0;

  constructor(memory: MemoryStore, name: string, secret = SECRET) {
    this.name = name;
    this.shelf = memory.shelf();
    this.store = new SharedStore({
      shelf: this.shelf,
      sealer: new TokenSealer(secret, randomBytes),
      owner: name,
      prefix: 'test',
      clock: { now: () => systemClock.now() + this.aheadMs },
      timers: systemTimers,
      journal: { record: (fact) => this.facts.push(fact) },
    });
    onTestFinished(() => this.store.close());
  }

  open(id: string, principal: string): void {
    this.#keep(id, principal, [], null);
  }

  /** What another one had, if it is to be had. */
  async take(id: string, principal: string): Promise<boolean> {
    const name = { id, principal };
    const lease = await this.store.leaseOf(name);
    if (lease === null || lease.owner === this.name) return false;
    const taken = await this.store.take(name, lease, BOUNDS);
    if (taken === null) return false;
    expect(new TextDecoder().decode(taken.record)).toBe(`${principal} ${id}`);
    this.#keep(id, principal, [...taken.events], taken.lease);
    return true;
  }

  send(id: string, text: string): void {
    const session = this.sessions.get(id);
    if (session === undefined || session.isMoved) return;
    const sent = { stream: 1, event: { seq: session.events.length + 1, message: Buffer.from(text) } };
    session.events.push(sent);
    session.mirror.event(sent);
  }

  /** Everything is in the store that it takes. */
  async settled(): Promise<void> {
    for (const { mirror, isMoved } of this.sessions.values()) if (!isMoved) await mirror.settled();
  }

  #keep(id: string, principal: string, events: StreamedEvent[], lease: StoreLease | null): void {
    const mirror = this.store.mirror(
      { id, principal },
      {
        keptMs: 60_000,
        events: BOUNDS,
        record: () => Buffer.from(`${principal} ${id}`),
        sent: () => events,
        moved: () => {
          session.isMoved = true;
        },
      },
      lease,
    );
    const session: Local = { mirror, events, isMoved: false };
    this.sessions.set(id, session);
  }
}

async function replicas(memory: MemoryStore, ...names: string[]): Promise<Replica[]> {
  const made = names.map((name) => new Replica(memory, name));
  for (const each of made) await each.store.start();
  return made;
}

async function leaseIn({ store }: Replica, id: string, principal: string): Promise<StoreLease | null> {
  return store.leaseOf({ id, principal });
}

const textsOf = (events: readonly StreamedEvent[]): string[] => events.map(({ event }) => String(event.message));

test('an event is found by the next owner, in order, under its number', async () => {
  const [a, b] = (await replicas(new MemoryStore(), 'a', 'b')) as [Replica, Replica];
  a.open('s', 'alice');
  for (const text of ['1', '2', '3']) a.send('s', text);
  await a.settled();

  expect(await b.take('s', 'alice')).toBe(true);

  const { events = [] } = b.sessions.get('s') ?? {};
  expect(events.map(({ event }) => [event.seq, String(event.message)])).toEqual([
    [1, '1'],
    [2, '2'],
    [3, '3'],
  ]);
  expect(await leaseIn(a, 's', 'alice')).toEqual({ owner: 'b', fence: 2 });
});

/** `a` was held still until its sign of life was gone, and goes on. */
async function heldStill(meanwhile: (b: Replica) => Promise<unknown>): Promise<{ a: Replica; mirror: SessionMirror }> {
  const [a, b] = (await replicas(new MemoryStore(), 'a', 'b')) as [Replica, Replica];
  a.open('s', 'alice');
  await a.settled();
  const { mirror } = a.sessions.get('s') ?? expect.fail();
  expect(mirror.sure()).toBeNull();
  a.shelf.expire();
  await meanwhile(b);
  a.aheadMs = 3000;
  return { a, mirror };
}

test('an owner that was held still asks whose a session is before it serves it: by then it may be another’s', async () => {
  const { a, mirror } = await heldStill((b) => b.take('s', 'alice'));

  await mirror.sure();

  expect(a.sessions.get('s')?.isMoved).toBe(true);
  expect(mirror.sure()).toBeNull();
});

test('and where nobody has taken it serves it, and asks no more', async () => {
  const { a, mirror } = await heldStill(async () => {});

  await mirror.sure();

  expect(a.sessions.get('s')?.isMoved).toBe(false);
  expect(mirror.sure()).toBeNull();
});

test.each(['does not answer', 'fails'] as const)('and where the store %s, too, soon', async (how) => {
  const { a, mirror } = await heldStill(async () => {});
  if (how === 'fails') a.shelf.fault = { kind: 'unreachable' };
  else a.shelf.hold();

  const asking = mirror.sure() ?? expect.fail();
  // As long as it asks: of a store that holds still it hears nothing at all.
  a.aheadMs += 1000;
  await within(3000, 'that it serves on', asking);

  expect(a.sessions.get('s')?.isMoved).toBe(false);
  expect(mirror.sure()).toBeNull();
  a.shelf.letGo();
});

test('of two that take a session at once one has it', async () => {
  const [a, b, c] = (await replicas(new MemoryStore(), 'a', 'b', 'c')) as [Replica, Replica, Replica];
  a.open('s', 'alice');
  await a.settled();

  const taken = await Promise.all([b.take('s', 'alice'), c.take('s', 'alice')]);

  expect(taken.filter(Boolean)).toHaveLength(1);
});

test('an owner that does not know that it is one no more writes nothing, and learns of it', async () => {
  const memory = new MemoryStore();
  const [a, b] = (await replicas(memory, 'a', 'b')) as [Replica, Replica];
  a.open('s', 'alice');
  await a.settled();
  await b.take('s', 'alice');
  await b.settled();
  const before = new Map(memory.values);

  a.send('s', 'too late');
  await a.settled();

  expect(a.sessions.get('s')?.isMoved).toBe(true);
  expect([...memory.values].filter(([place]) => place.includes('{'))).toEqual(
    [...before].filter(([place]) => place.includes('{')),
  );
});

test('a write that was carried out late, after another has taken the session, is refused', async () => {
  const [a, b, c] = (await replicas(new MemoryStore(), 'a', 'b', 'c')) as [Replica, Replica, Replica];
  a.open('s', 'alice');
  a.send('s', '1');
  await a.settled();
  a.shelf.hold();
  a.send('s', 'late');
  await new Promise(setImmediate);
  await b.take('s', 'alice');
  b.send('s', 'mine');
  await b.settled();

  a.shelf.letGo();
  await a.settled();
  await c.take('s', 'alice');

  expect(textsOf(c.sessions.get('s')?.events ?? [])).toEqual(['1', 'mine']);
});

test('whoever asks for a session as another caller finds none [T30]', async () => {
  const [a, b] = (await replicas(new MemoryStore(), 'a', 'b')) as [Replica, Replica];
  a.open('s', 'alice');
  await a.settled();

  expect(await b.take('s', 'bob')).toBe(false);
});

test.each([
  ['a value of nobody’s', () => Buffer.from('junk')],
  ['a giant one', () => Buffer.alloc(5000, 1)],
  ['another type', () => 'strange' as const],
  ['nothing', () => null],
])(
  '%s in place of the lease keeps nobody from going on, and is mended by the next write [T30]',
  async (what, poison) => {
    const memory = new MemoryStore();
    const [a, b] = (await replicas(memory, 'a', 'b')) as [Replica, Replica];
    a.open('s', 'alice');
    await a.settled();
    const [place = ''] = memory.placesOf(':lease');
    const value = poison();
    if (value === null) memory.values.delete(place);
    else memory.values.set(place, value);

    const whileThere = await b.take('s', 'alice');
    a.send('s', '1');
    await a.settled();

    expect([whileThere, a.sessions.get('s')?.isMoved]).toEqual([false, false]);
    expect(a.facts.filter(({ fact }) => fact === 'store_rejected')).toEqual(
      what === 'nothing' ? [] : [{ fact: 'store_rejected', what: 'lease' }],
    );
    expect(await b.take('s', 'alice')).toBe(true);
  },
);

test('values that were moved from one session to another do not open there [T30]', async () => {
  const memory = new MemoryStore();
  const [a, b] = (await replicas(memory, 'a', 'b')) as [Replica, Replica];
  a.open('s', 'alice');
  a.open('t', 'bob');
  a.send('t', 'of bob');
  await a.settled();
  const [ofAlice = '', ofBob = ''] = memory.placesOf(':session');
  const of = (place: string, kind: string): string => place.replace(/session$/, kind);
  memory.values.set(of(ofAlice, 'events'), memory.values.get(of(ofBob, 'events')) ?? []);

  const events = await b.take('s', 'alice').then(() => b.sessions.get('s')?.events);
  memory.values.set(ofAlice, memory.values.get(ofBob) ?? 'strange');
  const [c] = (await replicas(memory, 'c')) as [Replica];
  const isTaken = await c.take('s', 'alice');

  expect([events, isTaken]).toEqual([[], false]);
  expect(b.facts).toContainEqual({ fact: 'store_rejected', what: 'event' });
  expect(c.facts).toContainEqual({ fact: 'store_rejected', what: 'record' });
});

test('a store that another deployment has marked is refused at the start; marked while we run it is passed over [T30]', async () => {
  const memory = new MemoryStore();
  const [a] = (await replicas(memory, 'a')) as [Replica];
  const stranger = new Replica(memory, 'x', randomBytes(32));

  await expect(stranger.store.start()).rejects.toThrow(/another deployment.*store\.prefix.*secrets\.current/);

  memory.values.set('test:v1:deployment', Buffer.from('mine now'));
  a.shelf.fault = { kind: 'unreachable' };
  await expect.poll(() => a.store.isUp, { timeout: 3000 }).toBe(false);
  a.shelf.fault = null;
  await expect.poll(() => a.store.isUp, { timeout: 3000 }).toBe(true);
  expect(a.facts).toContainEqual({ fact: 'store_rejected', what: 'marker' });
});

test('in any order of openings, events, take-overs, outages and stand-stills one owner is heard, and nothing of it is lost', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), by: fc.nat(2), of: fc.nat(1) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('take' as const), by: fc.nat(2), of: fc.nat(1) }) },
    fc.record({
      do: fc.constantFrom('hold', 'letGo', 'fail', 'failLate', 'mend', 'settle', 'forget'),
      by: fc.nat(2),
      of: fc.nat(1),
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const memory = new MemoryStore();
      const all = await replicas(memory, 'a', 'b', 'c');
      const first = all[0] ?? expect.fail();
      const ids = ['s0', 's1'];
      ids.forEach((id, at) => first.open(id, PRINCIPALS[at] ?? ''));
      await first.settled();
      let count = 0;
      for (const { do: what, by, of } of steps) {
        const replica = all[by] ?? first;
        const [id = '', principal = ''] = [ids[of], PRINCIPALS[of]];
        if (what === 'send') replica.send(id, `${principal} ${replica.name} ${count++}`);
        else if (what === 'take') {
          // One that stands still is not waited for.
          const taking = replica.take(id, principal).catch(() => false);
          await Promise.race([taking, new Promise(setImmediate)]);
        } else if (what === 'hold') replica.shelf.hold();
        else if (what === 'letGo') replica.shelf.letGo();
        else if (what === 'fail') replica.shelf.fault = { kind: 'full' };
        else if (what === 'failLate') replica.shelf.fault = { kind: 'slow', late: true };
        else if (what === 'mend') replica.shelf.fault = null;
        else if (what === 'forget') memory.values.clear();
        await new Promise(setImmediate);
      }
      for (const { shelf } of all) {
        shelf.fault = null;
        shelf.letGo();
      }
      await new Promise(setImmediate);
      // All come back, and find out who is who.
      for (const replica of all) await replica.store.beat();
      // Twice: a store that has forgotten who was the last takes the word of whoever comes first, until the last one comes.
      for (let round = 1; round <= 2; round++) {
        for (const replica of all) for (const { mirror } of replica.sessions.values()) mirror.changed();
        for (const replica of all) await replica.settled();
      }

      for (const [at, id] of ids.entries()) {
        const owners = all.filter(({ sessions }) => sessions.get(id)?.isMoved === false);
        const lease = await leaseIn(first, id, PRINCIPALS[at] ?? '');
        expect(owners.map(({ name }) => name)).toEqual([lease?.owner]);
        const said = textsOf(owners[0]?.sessions.get(id)?.events ?? []);
        const heir = new Replica(memory, 'heir');
        await heir.store.start();
        expect(await heir.take(id, PRINCIPALS[at] ?? '')).toBe(true);
        expect(textsOf(heir.sessions.get(id)?.events ?? [])).toEqual(said);
        expect(said.filter((text) => !text.startsWith(PRINCIPALS[at] ?? ''))).toEqual([]);
        await heir.store.close();
      }
      for (const { store } of all) await store.close();
    }),
    { numRuns: 60 },
  );
}, 30_000);
