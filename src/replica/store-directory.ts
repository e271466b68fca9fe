// Where a session is, where there is a store: its lease says so. A session whose owner is gone becomes ours there, by
// whoever is asked for it first.

import { type Owner, ownerText, readOwner } from '../domain/owner.ts';
import type { Clock, Journal, Timers } from '../domain/ports.ts';
import type { SessionStore, StoreLease } from '../domain/session-store.ts';
import { StoreFault, type TakeoverOutcome } from '../domain/store-faults.ts';
import type { Directory, Loss, Sought, Whereabouts } from './directory.ts';

export interface StoreDirectoryOptions {
  readonly self: Owner;
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
}

const HERE: Whereabouts = { at: 'here' };
const NOWHERE: Whereabouts = { at: 'nowhere' };

/** How long a request waits for a store that does not answer. */
const STORE_MS = 2000;
/** Of an owner that cannot be reached: for that the sign of its life is gone, which takes three seconds. */
const DEAD_MS = 4000;
const AGAIN_MS = 200;
/** Of an owner that has let go of a session: until that is written. */
const WRITTEN_MS = 1000;
const SOON_MS = 50;
/** Others can be faster to take it, or to give it up. */
const MAX_ROUNDS = 4;
/** Sessions of which it is known that they are where their tokens do not say; and that they have ended. */
const MAX_KNOWN = 10_000;

export class StoreDirectory implements Directory {
  readonly #options: StoreDirectoryOptions;
  readonly #self: string;
  /** Owners of sessions that have moved; the longest unused first. */
  readonly #moved = new Map<string, string>();
  /** Sessions that have ended here: what is kept of one may still be there for a moment. */
  readonly #ended = new Set<string>();
  readonly #searches = new Map<string, Promise<Whereabouts>>();

  constructor(options: StoreDirectoryOptions) {
    this.#options = options;
    this.#self = ownerText(options.self);
  }

  ownerOf(claims: { readonly owner: string }, sessionId: string): Whereabouts {
    if (this.#ended.has(sessionId)) return NOWHERE;
    const moved = this.#moved.get(sessionId);
    if (moved !== undefined) remember(this.#moved, sessionId, moved);
    return this.#at(moved ?? claims.owner);
  }

  /** Another replica has taken it over; null: it is not known which. */
  movedTo(sessionId: string, owner: string | null): void {
    if (owner !== null) remember(this.#moved, sessionId, owner);
  }

  /** It is over, and is to be found by nobody. */
  ended(sessionId: string): void {
    this.#moved.delete(sessionId);
    this.#ended.add(sessionId);
    const [oldest] = this.#ended;
    if (this.#ended.size > MAX_KNOWN && oldest !== undefined) this.#ended.delete(oldest);
  }

  lost(sought: Sought, owner: string, how: Loss): Promise<Whereabouts> {
    // What is found is for who has asked: of another caller, or at another mount, it can be nothing.
    const key = JSON.stringify([sought.id, sought.principal, sought.upstream]);
    let search = this.#searches.get(key);
    if (search === undefined) {
      search = this.#search(sought, owner, how).finally(() => this.#searches.delete(key));
      this.#searches.set(key, search);
    }
    return search;
  }

  async #search(sought: Sought, owner: string, how: Loss): Promise<Whereabouts> {
    this.#moved.delete(sought.id);
    const { clock, timers } = this.#options;
    const until = clock.now() + STORE_MS;
    for (;;) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- tried again
        return await this.#found(sought, owner, how);
      } catch (thrown) {
        if (!(thrown instanceof StoreFault)) throw thrown;
        if (clock.now() + AGAIN_MS >= until) return this.#not(sought, 'store_unavailable');
        // oxlint-disable-next-line no-await-in-loop -- tried again
        await passed(timers, AGAIN_MS);
      }
    }
  }

  async #found(sought: Sought, asked: string, how: Loss): Promise<Whereabouts> {
    const { store } = this.#options;
    for (let round = 1; round <= MAX_ROUNDS; round++) {
      if (sought.isHere()) return HERE;
      // oxlint-disable-next-line no-await-in-loop -- another one was faster
      const lease = await store.leaseOf(sought);
      if (lease === null) return this.#not(sought, 'nothing_kept');
      // oxlint-disable-next-line no-await-in-loop -- the same
      const elsewhere = await this.#standing(sought, lease, asked, how);
      if (elsewhere !== null) return elsewhere;
      // oxlint-disable-next-line no-await-in-loop -- the same
      if (await this.#take(sought, lease)) return HERE;
    }
    return this.#not(sought, 'lost_race');
  }

  /** Null: it is to be had. */
  async #standing(sought: Sought, { owner }: StoreLease, asked: string, how: Loss): Promise<Whereabouts | null> {
    if (owner === null) return null;
    if (owner === this.#self) return this.#ended.has(sought.id) ? NOWHERE : null;
    // One that has been silent may be heard again by now: then it is asked, as if it were another.
    if (owner === asked && how !== 'silent') {
      if (how === 'gone' || how === 'closed') return null;
      // It says itself that it has ended; or it has just let go of it, and that is not written yet.
      if (how === 'unknown') return (await this.#changes(sought, owner)) ? null : NOWHERE;
      return (await this.#dies(owner)) ? null : this.#not(sought, 'alive');
    }
    if (!(await this.#options.store.isAlive(owner))) return null;
    const where = this.#at(owner);
    if (where.at !== 'peer') return this.#not(sought, 'alive');
    remember(this.#moved, sought.id, owner);
    return where;
  }

  async #changes(sought: Sought, owner: string): Promise<boolean> {
    const { store, clock, timers } = this.#options;
    const until = clock.now() + WRITTEN_MS;
    while (clock.now() < until) {
      // oxlint-disable-next-line no-await-in-loop -- asked again and again
      await passed(timers, SOON_MS);
      // oxlint-disable-next-line no-await-in-loop -- the same
      if ((await store.leaseOf(sought))?.owner !== owner) return true;
    }
    return false;
  }

  /** No connection to it comes about; whether it is gone, or the network between us, its sign of life tells. */
  async #dies(owner: string): Promise<boolean> {
    const { store, clock, timers } = this.#options;
    const until = clock.now() + DEAD_MS;
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- asked again and again
      if (!(await store.isAlive(owner))) return true;
      if (clock.now() >= until) return false;
      // oxlint-disable-next-line no-await-in-loop -- the same
      await passed(timers, AGAIN_MS);
    }
  }

  async #take(sought: Sought, lease: StoreLease): Promise<boolean> {
    const { store } = this.#options;
    const refusal = sought.refusal();
    if (refusal !== null) {
      this.#not(sought, 'no_room');
      throw refusal;
    }
    const taken = await store.take(sought, lease, sought.events);
    if (taken === null) return false;
    if (!sought.adopt(taken)) return false;
    this.#record(sought, 'taken');
    return true;
  }

  #at(owner: string): Whereabouts {
    const { incarnation, address } = readOwner(owner);
    const { self } = this.#options;
    // It is not here, or nobody would ask; who has it by now, or that it is over, the store knows.
    if (incarnation === self.incarnation) return { at: 'kept', owner, how: 'unknown' };
    if (address === null) return { at: 'kept', owner, how: 'unreachable' };
    // At our own address it was a process before this one.
    if (address === self.address) return { at: 'kept', owner, how: 'gone' };
    return { at: 'peer', address, owner };
  }

  #not(sought: Sought, outcome: TakeoverOutcome): Whereabouts {
    this.#record(sought, outcome);
    return NOWHERE;
  }

  #record({ upstream }: Sought, outcome: TakeoverOutcome): void {
    this.#options.journal.record({ fact: 'takeover', upstream, outcome });
  }
}

function remember(known: Map<string, string>, id: string, owner: string): void {
  known.delete(id);
  known.set(id, owner);
  const [oldest] = known.keys();
  if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest);
}

function passed(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve);
  });
}
