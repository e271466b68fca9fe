// The copy of one session in the store: what is still to be written, under which lease, and what it means when the store
// says that somebody else's stands there. What could not be written is not remembered piece by piece: the copy is behind
// then, and is written as a whole when the store takes it again.

import type { Clock, StreamedEvent, Timers } from '../domain/ports.ts';
import type { KeptSession, Mirrored, SessionMirror, StoreLease } from '../domain/session-store.ts';
import type { StoreReject } from '../domain/store-faults.ts';
import type { Seals } from './seals.ts';
import type { Shelf, ShelfPlaces, Standing, Writing } from './shelf.ts';

export interface MirrorOptions {
  readonly shelf: Shelf;
  readonly places: ShelfPlaces;
  readonly session: Mirrored;
  readonly seals: Seals;
  /** Our text. */
  readonly owner: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly rejected: (what: StoreReject) => void;
  /** It is about to be served: what casts doubt on whose it is is to be told now. */
  readonly onServed: () => void;
  /** There is something to write. */
  readonly onWork: (mirror: Mirror) => void;
  /** Bytes that wait came to be so many more, or less. */
  readonly onHeld: (bytes: number) => void;
  /** It has nothing to do with the store any more. */
  readonly onOver: (mirror: Mirror) => void;
}

const ABSENT: Standing = { is: 'absent' };
/** A store that answers always another thing is left alone after so many times. */
const MAX_ATTEMPTS = 8;
/** How long a request waits for whose its session is: about as long as the store may take for one answer. */
const SURE_MS = 1000;
const AGAIN_MS = 100;

export class Mirror implements SessionMirror {
  readonly #options: MirrorOptions;
  #lease: StoreLease;
  /** What is known to stand there. */
  #standing: Standing = ABSENT;
  /** Nothing was ever sent there, so nothing has to be taken away. */
  #isUntouched = true;
  /** The store does not have all of it. */
  #isBehind = true;
  /** Others may have taken us for dead: until then the session is served when the store has said whose it is. */
  #doubtedUntil = 0;
  #asking: Promise<void> | null = null;
  #hasChanged = false;
  #needsRefresh = false;
  #events: StreamedEvent[] = [];
  #heldBytes = 0;
  /** Of those that are in the store, the oldest first. */
  #sizes: number[] = [];
  /** What is to become of it. */
  #ending: 'removed' | 'released' | 'left' | null = null;
  /** As it was when it was released. */
  #last: KeptSession | null = null;
  #isWriting = false;
  #waiting: ((isSettled: boolean) => void)[] = [];

  constructor(options: MirrorOptions, taken: { readonly lease: StoreLease; readonly standing: Standing } | null) {
    this.#options = options;
    this.#lease = taken?.lease ?? { owner: options.owner, fence: 1 };
    if (taken === null) return;
    this.#standing = taken.standing;
    this.#isUntouched = false;
  }

  get fence(): number {
    return this.#lease.fence;
  }

  get isBehind(): boolean {
    return this.#isBehind;
  }

  get isWriting(): boolean {
    return this.#isWriting;
  }

  get hasWork(): boolean {
    if (this.#ending === 'left') return false;
    return this.#ending !== null || this.#isBehind || this.#hasChanged || this.#needsRefresh || this.#events.length > 0;
  }

  settled(): Promise<boolean> {
    if (!this.hasWork) return Promise.resolve(true);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  changed(): void {
    if (this.#ending !== null) return;
    this.#hasChanged = true;
    this.#options.onWork(this);
  }

  event(sent: StreamedEvent): void {
    if (this.#ending !== null) return;
    // What brings it up to date will have this as well.
    if (!this.#isBehind) {
      this.#events.push(sent);
      this.#hold(sent.event.message.length);
    }
    this.#options.onWork(this);
  }

  refresh(): void {
    if (this.#ending !== null) return;
    this.#needsRefresh = true;
    this.#options.onWork(this);
  }

  end(): void {
    this.#over('removed');
  }

  release(): void {
    if (this.#ending !== null) return;
    const { session } = this.#options;
    this.#last = { record: session.record(), events: session.sent() };
    this.#over('released');
  }

  leave(): void {
    this.#over('left');
  }

  /** What waits is given up, and how many events that were; the whole is written later. */
  fallBehind(): number {
    const dropped = this.#events.length;
    if (this.hasWork || this.#isWriting) this.#isBehind = true;
    this.#clear();
    this.#tell(false);
    return dropped;
  }

  /** What stands in the store is not to be relied on. */
  doubt(): void {
    this.#isBehind = true;
    this.#doubtedUntil = this.#options.clock.now() + SURE_MS;
  }

  sure(): Promise<void> | null {
    this.#options.onServed();
    if (!this.#isDoubted) return null;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  get #isDoubted(): boolean {
    return this.#ending === null && this.#options.clock.now() < this.#doubtedUntil;
  }

  /** A store that does not say it in time is one that is away, and then everything goes on that lives here. */
  async #ask(): Promise<void> {
    await Promise.race([this.#looked(), passed(this.#options.timers, SURE_MS)]);
  }

  async #looked(): Promise<void> {
    // oxlint-disable-next-line no-await-in-loop -- asked again, where the connection is not there yet
    while (this.#isDoubted && !(await this.#look())) await passed(this.#options.timers, AGAIN_MS);
  }

  /** False: the store does not say it. */
  async #look(): Promise<boolean> {
    const { shelf, places, seals } = this.#options;
    try {
      const by = await shelf.lease(places);
      const lease = by.is === 'value' ? seals.openLease(places.lease, by.bytes) : null;
      this.#doubtedUntil = 0;
      if (lease !== null && this.#isOthers(lease)) this.#lost(lease);
      return true;
    } catch {
      return false;
    }
  }

  /** About how much the next write sends. */
  get weight(): number {
    return this.#heldBytes;
  }

  /** Everything that is to be written. Rejects with a StoreFault; the copy is behind then. */
  async write(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let attempt = 1; this.hasWork && attempt <= MAX_ATTEMPTS; attempt++) {
        // oxlint-disable-next-line no-await-in-loop -- each builds on what the one before has found there
        await this.#writeOnce();
      }
    } catch (fault) {
      this.#isBehind = true;
      throw fault;
    } finally {
      this.#isWriting = false;
      if (this.#ending === 'left') this.#options.onOver(this);
    }
    this.#tell(!this.hasWork);
  }

  async #writeOnce(): Promise<void> {
    if (this.#ending === 'removed') {
      await this.#remove();
      return;
    }
    const { shelf, places } = this.#options;
    const isRelease = this.#ending === 'released';
    const lease: StoreLease = isRelease ? { ...this.#lease, owner: null } : this.#lease;
    const writing = this.#next(lease, isRelease);
    this.#isUntouched = false;
    const result = await shelf.write(places, this.#standing, writing);
    if (result.is === 'written') {
      if (writing.lease !== null) this.#standing = { is: 'value', bytes: writing.lease };
      this.#doubtedUntil = 0;
      if (isRelease) this.#ending = 'left';
    } else {
      this.#isBehind = true;
      if (result.is === 'refused') this.#judge(result.by);
    }
  }

  /** What is not known to be in the store; from now on it counts as if it were. */
  #next(lease: StoreLease, isRelease: boolean): Writing {
    const { places, session, seals } = this.#options;
    const { keptMs, events: bounds } = session;
    const isWhole = this.#isBehind || isRelease;
    const record = isWhole || this.#hasChanged ? (this.#last?.record ?? session.record()) : null;
    const all = isWhole ? (this.#last?.events ?? session.sent()) : this.#events;
    const events = all.map((event) => seals.event(places.events, event));
    if (isWhole) this.#sizes = [];
    for (const { length } of events) this.#sizes.push(length);
    const keepEvents = this.#kept(bounds.maxEvents, bounds.maxBytes);
    this.#isBehind = this.#hasChanged = this.#needsRefresh = false;
    this.#clear();
    return {
      lease: isWhole ? seals.lease(places.lease, lease) : null,
      record: record && seals.record(places.record, record),
      events,
      isWhole,
      keepEvents,
      keptMs,
      eventsKeptMs: bounds.maxAge,
    };
  }

  /** How many of the newest events are within the bounds: one at least, however large it is. */
  #kept(maxEvents: number, maxBytes: number): number {
    let [count, bytes] = [0, 0];
    for (const size of this.#sizes.toReversed()) {
      bytes += size;
      if (count >= maxEvents || (count > 0 && bytes > maxBytes)) break;
      count++;
    }
    this.#sizes = this.#sizes.slice(this.#sizes.length - count);
    return Math.max(count, 1);
  }

  async #remove(): Promise<void> {
    const { shelf, places } = this.#options;
    const result = this.#isUntouched ? null : await shelf.remove(places, this.#standing);
    if (result?.is === 'refused') this.#judge(result.by);
    else this.#ending = 'left';
  }

  /** Another lease than ours stands there. */
  #judge(by: Standing): void {
    const { places, seals, owner, rejected } = this.#options;
    this.#standing = by;
    // Gone with the memory of the store, or its time was over.
    if (by.is === 'absent') {
      if (this.#ending === 'removed') this.#ending = 'left';
      return;
    }
    const lease = by.is === 'value' ? seals.openLease(places.lease, by.bytes) : null;
    if (lease === null) {
      rejected('lease');
      return;
    }
    if (lease.owner === owner) {
      // Ours, of an earlier write whose outcome was not heard, or from an earlier memory of the store.
      this.#lease = { owner, fence: Math.max(lease.fence, this.#lease.fence) };
      return;
    }
    if (this.#isOthers(lease)) this.#lost(lease);
  }

  /** And not of an earlier owner that did not know better, or in a store that has forgotten us. */
  #isOthers({ owner, fence }: StoreLease): boolean {
    return owner !== this.#options.owner && fence >= this.#lease.fence;
  }

  #lost({ owner }: StoreLease): void {
    const wasEnding = this.#ending !== null;
    this.#over('left');
    if (!wasEnding) this.#options.session.moved(owner);
  }

  #over(how: 'removed' | 'released' | 'left'): void {
    if (this.#ending !== null && how !== 'left') return;
    this.#ending = how;
    this.#clear();
    if (how === 'left') {
      this.#tell(false);
      if (!this.#isWriting) this.#options.onOver(this);
    } else {
      this.#options.onWork(this);
    }
  }

  #clear(): void {
    this.#events = [];
    this.#hold(-this.#heldBytes);
  }

  #hold(bytes: number): void {
    if (bytes === 0) return;
    this.#heldBytes += bytes;
    this.#options.onHeld(bytes);
  }

  #tell(isSettled: boolean): void {
    for (const tell of this.#waiting.splice(0)) tell(isSettled);
  }
}

function passed(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve);
  });
}
