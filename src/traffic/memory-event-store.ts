// The events of all sessions in this process's memory: bounded per session by number, bytes and age, per owner and in all
// by bytes. Within a session the oldest event goes first; over several, that of the session used least recently.

import type { StreamConfig } from '../config/schema.ts';
import type { Clock, EventStore, StoredEvent, StreamedEvent } from '../domain/ports.ts';

export interface StoreOptions {
  /** Over all sessions. */
  readonly maxBytes: number;
  /** Over all sessions of one owner, at this moment; 0: no bound. */
  readonly maxBytesOfOwner?: () => number;
  readonly clock: Clock;
}

export type StoreLimit =
  | `streams.${'maxEvents' | 'maxBytes' | 'maxAge'}`
  | 'limits.bufferedBytes'
  | 'budgets.bufferedBytes';

interface Kept {
  readonly stream: number;
  readonly event: StoredEvent;
  readonly at: number;
  isSent: boolean;
}

/** What an event costs beside its bytes. */
const OVERHEAD_BYTES = 200;
const costOf = ({ event }: Kept): number => event.message.length + OVERHEAD_BYTES;

export class MemoryEventStore {
  readonly #options: StoreOptions;
  readonly #all: Share;
  /** Of owners with events. */
  readonly #owners = new Map<string, Share>();

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#all = new Share(() => options.maxBytes, 'limits.bufferedBytes');
  }

  get bytes(): number {
    return this.#all.bytes;
  }

  /** Owners of whose bytes something is remembered. */
  get ownerCount(): number {
    return this.#owners.size;
  }

  /**
   * A store for one more session, within its own bounds and those of its owner; null: of nobody. `onUnsent` is told of each
   * event that goes without ever having been sent, and for which limit.
   */
  open(bounds: StreamConfig, owner: string | null, onUnsent: (limit: StoreLimit) => void): EventStore {
    return new SessionEvents(bounds, this.#options.clock, onUnsent, {
      hold: (bytes) => {
        const shares = this.#sharesOf(owner);
        if (bytes > 0 && !shares.every((share) => share.hasRoomToHold(bytes))) return false;
        for (const share of shares) share.hold(bytes);
        this.#forgetIfEmpty(owner);
        return true;
      },
      changed: (session, bytes) => {
        const shares = this.#sharesOf(owner);
        for (const share of shares) share.changed(session, bytes);
        if (bytes > 0) for (const share of shares) share.shrink();
        this.#forgetIfEmpty(owner);
      },
    });
  }

  /** Drops what is too old. */
  purge(): void {
    for (const session of this.#all.sessions) session.purge();
  }

  /** The owner's first: who has too much loses his own, and not what others have. */
  #sharesOf(owner: string | null): readonly Share[] {
    if (owner === null) return [this.#all];
    let own = this.#owners.get(owner);
    if (own === undefined) {
      own = new Share(() => this.#options.maxBytesOfOwner?.() || Number.POSITIVE_INFINITY, 'budgets.bufferedBytes');
      this.#owners.set(owner, own);
    }
    return [own, this.#all];
  }

  #forgetIfEmpty(owner: string | null): void {
    if (owner !== null && this.#owners.get(owner)?.bytes === 0) this.#owners.delete(owner);
  }
}

/** The bytes of several sessions, and what they may be in all. */
class Share {
  /** The session used least recently first. */
  readonly sessions = new Set<SessionEvents>();
  readonly #max: () => number;
  readonly #limit: StoreLimit;
  #bytes = 0;
  /** Kept elsewhere, and counted here. */
  #held = 0;

  constructor(max: () => number, limit: StoreLimit) {
    this.#max = max;
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#bytes + this.#held;
  }

  hasRoomToHold(bytes: number): boolean {
    return this.#held + bytes <= this.#max();
  }

  hold(bytes: number): void {
    this.#held += bytes;
    this.shrink();
  }

  changed(session: SessionEvents, bytes: number): void {
    this.#bytes += bytes;
    // Using it makes it the youngest; losing an event does not.
    if (bytes >= 0 || session.size === 0) this.sessions.delete(session);
    if (bytes >= 0 && session.size > 0) this.sessions.add(session);
  }

  shrink(): void {
    while (this.bytes > this.#max()) {
      const [longestUnused] = this.sessions;
      if (longestUnused === undefined) return;
      // The last event of all stays: it alone may be larger than everything that is allowed.
      if (this.sessions.size === 1 && longestUnused.size === 1) return;
      longestUnused.evictOldest(this.#limit);
    }
  }
}

interface Whole {
  /** A session's events came to hold so many bytes more, or less; 0: they were asked for. */
  changed(session: SessionEvents, bytes: number): void;
  /** See EventStore. */
  hold(bytes: number): boolean;
}

class SessionEvents implements EventStore {
  readonly #bounds: StreamConfig;
  readonly #clock: Clock;
  readonly #onUnsent: (limit: StoreLimit) => void;
  readonly #whole: Whole;
  /** The oldest first; what stands before `#from` is gone already. */
  #kept: (Kept | null)[] = [];
  #from = 0;
  #bytes = 0;
  readonly #perStream = new Map<number, number>();
  #isClosed = false;

  constructor(bounds: StreamConfig, clock: Clock, onUnsent: (limit: StoreLimit) => void, whole: Whole) {
    this.#bounds = bounds;
    this.#clock = clock;
    this.#onUnsent = onUnsent;
    this.#whole = whole;
  }

  get size(): number {
    return this.#kept.length - this.#from;
  }

  append(stream: number, event: StoredEvent, isSent: boolean): void {
    if (this.#isClosed) return;
    const { maxEvents, maxBytes } = this.#bounds;
    const kept: Kept = { stream, event, at: this.#clock.now(), isSent };
    this.#kept.push(kept);
    this.#perStream.set(stream, (this.#perStream.get(stream) ?? 0) + 1);
    this.#grow(costOf(kept));
    this.purge();
    while (this.size > maxEvents) this.evictOldest('streams.maxEvents');
    while (this.#bytes > maxBytes && this.size > 1) this.evictOldest('streams.maxBytes');
  }

  after(stream: number, seq: number): readonly StoredEvent[] {
    this.purge();
    const events: StoredEvent[] = [];
    for (let i = this.#from; i < this.#kept.length; i++) {
      const kept = this.#kept[i];
      if (kept === undefined || kept === null || kept.stream !== stream || kept.event.seq <= seq) continue;
      kept.isSent = true;
      events.push(kept.event);
    }
    this.#grow(0);
    return events;
  }

  has(stream: number): boolean {
    this.purge();
    return this.#perStream.has(stream);
  }

  all(): readonly StreamedEvent[] {
    this.purge();
    return this.#kept
      .slice(this.#from)
      .flatMap((kept) => (kept === null ? [] : { stream: kept.stream, event: kept.event }));
  }

  hold(bytes: number): boolean {
    return this.#whole.hold(bytes);
  }

  purge(): void {
    const oldest = this.#clock.now() - this.#bounds.maxAge;
    while (this.size > 0 && (this.#kept[this.#from]?.at ?? 0) < oldest) this.evictOldest('streams.maxAge');
  }

  evictOldest(limit: StoreLimit): void {
    const kept = this.#kept[this.#from];
    if (kept === undefined || kept === null) return;
    this.#kept[this.#from++] = null;
    // Cut off in one go now and then: an array is shifted in time that grows with its length.
    if (this.#from > 64 && this.#from * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#from);
      this.#from = 0;
    }
    const left = (this.#perStream.get(kept.stream) ?? 1) - 1;
    if (left > 0) this.#perStream.set(kept.stream, left);
    else this.#perStream.delete(kept.stream);
    if (!kept.isSent) this.#onUnsent(limit);
    this.#grow(-costOf(kept));
  }

  close(): void {
    this.#isClosed = true;
    // Nobody can come back for them: the session's end is the trace.
    this.#kept = [];
    this.#from = 0;
    this.#perStream.clear();
    this.#grow(-this.#bytes);
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    this.#whole.changed(this, bytes);
  }
}
