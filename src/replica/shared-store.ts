// The store as sessions know it: who owns which, copies of all that live here, and whether the store can be relied on. It is
// asked once a second, by the sign of life that it keeps for us: when that fails nothing is sent there any more, and when
// it succeeds again everything that may not be there is written anew.

import { ConfigError } from '../config/load.ts';
import type { StoreGauges } from '../domain/gauges.ts';
import { readOwner } from '../domain/owner.ts';
import type { Clock, Journal, Timer, Timers } from '../domain/ports.ts';
import type {
  Mirrored,
  SessionMirror,
  SessionName,
  SessionStore,
  StoreLease,
  TakenSession,
} from '../domain/session-store.ts';
import { STORE_FAULTS, StoreFault, type StoreReject } from '../domain/store-faults.ts';
import type { TokenSealer } from '../protocol/sealed-token.ts';
import { countedShelf } from './counted-shelf.ts';
import { Mirror } from './mirror.ts';
import { Seals, StorePlaces } from './seals.ts';
import type { Shelf, Standing } from './shelf.ts';
import { WriteQueue } from './write-queue.ts';

export interface SharedStoreOptions {
  readonly shelf: Shelf;
  readonly sealer: TokenSealer;
  /** Our text, as in sealed tokens. */
  readonly owner: string;
  readonly prefix: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
}

/** How long a sign of life lasts. */
export const ALIVE_MS = 3000;
const PULSE_MS = 1000;
/** While it is away: it is to be found again soon. */
const SOON_MS = 500;
/** Where it comes and goes, the longest time until it is asked again. */
const LATEST_MS = 2000;
/** What cannot be written in this time when we end is left. */
const CLOSE_MS = 1000;
/** Of a session: what it subscribed to is the largest part. */
const MAX_RECORD_BYTES = 1024 * 1024;
/** Sessions keep one event of any size: of what others could have put there no more than this is read. */
const MAX_EVENT_BYTES = 64 * 1024 * 1024;

export class SharedStore implements SessionStore {
  readonly #options: SharedStoreOptions;
  readonly #shelf: Shelf;
  readonly #seals: Seals;
  readonly #places: StorePlaces;
  readonly #queue: WriteQueue;
  readonly #mirrors = new Set<Mirror>();
  /** What stood there when a lease was read. */
  readonly #read = new WeakMap<StoreLease, Standing>();
  #isUp = false;
  /** Null: it was not told of yet. */
  #toldUp: boolean | null = null;
  /** How often in a row it went away soon after it had come back. */
  #relapses = 0;
  /** It was asked again since it came back, and answered. */
  #isProven = false;
  /** When the last sign of life was given that the store has taken. */
  #signedAt = 0;
  #pulse: Timer | null = null;
  #isClosed = false;

  constructor(options: SharedStoreOptions) {
    this.#options = options;
    const { journal } = options;
    this.#shelf = countedShelf(options.shelf, (operation, outcome) =>
      journal.record({ fact: 'store_operation', operation, outcome }),
    );
    this.#seals = new Seals(options.sealer);
    this.#places = new StorePlaces(options.prefix);
    this.#queue = new WriteQueue({
      isOpen: () => this.#isUp,
      onFault: (thrown) => this.#writeFailed(thrown),
      onDropped: (count) => journal.record({ fact: 'store_dropped', what: 'event', count }),
    });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  #behind(): number {
    let count = 0;
    for (const mirror of this.#mirrors) if (mirror.isBehind) count++;
    return count;
  }

  get gauges(): StoreGauges {
    return { isUp: this.#isUp, sessions: this.#mirrors.size, behind: this.#behind(), waiting: this.#queue.size };
  }

  /**
   * Resolves when it is known whether the store answers. Rejects with a ConfigError where it never will, as it is
   * configured: it does not let us in, or holds what another deployment has put there.
   */
  async start(): Promise<void> {
    try {
      await this.#shelf.open();
      await this.#sign(true);
    } catch (thrown) {
      if (thrown instanceof ConfigError) throw thrown;
      const fault = faultOf(thrown);
      if (fault.kind === 'denied' || fault.kind === 'untrusted') {
        const { why, remedy } = STORE_FAULTS[fault.kind];
        throw new ConfigError(`the store cannot be used: ${why}${detailOf(fault)}; ${remedy}`, { cause: fault });
      }
      this.#failed(fault);
    }
    this.#beat();
  }

  /** What waits is written, as far as the store takes it soon; then we are gone from there. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pulse?.cancel();
    const { timers } = this.#options;
    await new Promise<void>((resolve) => {
      const timer = timers.after(CLOSE_MS, resolve);
      const gone = this.#isUp ? this.#queue.idle().then(() => this.#shelf.clear(this.#ownPlace)) : Promise.resolve();
      void gone
        .catch(() => {})
        .finally(() => {
          timer.cancel();
          resolve();
        });
    });
    this.#isUp = false;
    this.#shelf.close();
  }

  async leaseOf(name: SessionName): Promise<StoreLease | null> {
    const { lease: place } = this.#places.session(name);
    const standing = await this.#asked(this.#shelf.lease(this.#places.session(name)));
    if (standing.is === 'absent') return null;
    const lease = standing.is === 'value' ? this.#seals.openLease(place, standing.bytes) : null;
    if (lease === null) this.#rejected('lease');
    else this.#read.set(lease, standing);
    return lease;
  }

  async isAlive(owner: string): Promise<boolean> {
    const { incarnation } = readOwner(owner);
    const place = this.#places.replica(incarnation);
    const standing = await this.#asked(this.#shelf.read(place, 'alive'));
    if (standing.is === 'absent') return false;
    const text = standing.is === 'value' ? this.#seals.openText(place, standing.bytes) : null;
    if (text === null) this.#rejected('liveness');
    return text !== null;
  }

  async take(name: SessionName, lease: StoreLease, bounds: Mirrored['events']): Promise<TakenSession | null> {
    const places = this.#places.session(name);
    const expected = this.#read.get(lease);
    if (expected === undefined) throw new TypeError('a lease is taken that was not read here');
    const next: StoreLease = { owner: this.#options.owner, fence: lease.fence + 1 };
    const bytes = this.#seals.lease(places.lease, next);
    const taking = this.#shelf.take(places, expected, bytes, {
      keptMs: bounds.maxAge,
      recordBytes: MAX_RECORD_BYTES,
      maxEvents: bounds.maxEvents,
      eventBytes: bounds.maxBytes,
      largestEvent: Math.max(bounds.maxBytes, MAX_EVENT_BYTES),
    });
    const found = await this.#asked(taking);
    if (found === null) return null;
    const standing: Standing = { is: 'value', bytes };
    this.#read.set(next, standing);
    const record = found.record && this.#seals.openRecord(places.record, found.record);
    if (record === null) {
      this.#rejected('record');
      // It is of no use to anybody.
      await this.#shelf.remove(places, standing).catch(() => {});
      return null;
    }
    const events = found.events.flatMap((sealed) => {
      const event = this.#seals.openEvent(places.events, sealed);
      if (event === null) this.#rejected('event');
      return event ?? [];
    });
    return { lease: next, record, events };
  }

  mirror(name: SessionName, session: Mirrored, taken: StoreLease | null): SessionMirror {
    const standing = taken && this.#read.get(taken);
    const mirror = new Mirror(
      {
        shelf: this.#shelf,
        places: this.#places.session(name),
        session,
        seals: this.#seals,
        owner: this.#options.owner,
        clock: this.#options.clock,
        timers: this.#options.timers,
        onServed: () => this.#noticeLapse(),
        rejected: (what) => this.#rejected(what),
        onWork: (working) => this.#queue.add(working),
        onHeld: (bytes) => this.#queue.held(bytes),
        onOver: (over) => {
          this.#mirrors.delete(over);
          this.#queue.remove(over);
        },
      },
      taken === null || standing === undefined || standing === null ? null : { lease: taken, standing },
    );
    this.#mirrors.add(mirror);
    this.#queue.add(mirror);
    return mirror;
  }

  get #ownPlace(): string {
    return this.#places.replica(readOwner(this.#options.owner).incarnation);
  }

  #beat(): void {
    if (this.#isClosed) return;
    const ms = this.#isUp ? PULSE_MS : Math.min(SOON_MS * 2 ** this.#relapses, LATEST_MS);
    this.#pulse = this.#options.timers.after(ms, () => {
      void this.beat().finally(() => this.#beat());
    });
  }

  /** Asks the store now whether it can be used. */
  async beat(): Promise<void> {
    await this.#sign(false).catch((thrown: unknown) => this.#failed(faultOf(thrown)));
  }

  /** Says that we live; at the first time, and after the store was away, also whose it is. */
  async #sign(isFirst: boolean): Promise<void> {
    const wasUp = this.#isUp;
    if (!wasUp) await this.#checkMarker(isFirst);
    const place = this.#ownPlace;
    const value = this.#seals.text(place, this.#options.owner);
    const signedAt = this.#options.clock.now();
    const how = await this.#shelf.renew(place, value, ALIVE_MS, !wasUp);
    if (this.#isClosed) return;
    this.#signedAt = signedAt;
    // Without it others may have taken us for dead, or the store has lost what it held.
    if (how === 'anew') this.#doubtAll();
    if (wasUp) {
      this.#isProven = true;
    } else {
      this.#isUp = true;
      this.#isProven = false;
      if (this.#toldUp !== true) this.#options.journal.record({ fact: 'store_up' });
      this.#toldUp = true;
    }
    for (const mirror of this.#mirrors) if (mirror.hasWork) this.#queue.add(mirror);
    this.#queue.opened();
  }

  /**
   * We were held still, or our machine was: others take us for dead by now, and what lives here may be theirs. A request can
   * be served before the next beat finds that out.
   */
  #noticeLapse(): void {
    const now = this.#options.clock.now();
    if (!this.#isUp || now - this.#signedAt < ALIVE_MS) return;
    this.#signedAt = now;
    this.#doubtAll();
  }

  #doubtAll(): void {
    for (const mirror of this.#mirrors) mirror.doubt();
  }

  /** Another deployment under the same prefix could not read ours, nor we theirs. */
  async #checkMarker(isFirst: boolean): Promise<void> {
    const place = this.#places.deployment;
    const mark = this.#seals.text(place, DEPLOYMENT);
    const standing = await this.#shelf.read(place, 'marker');
    const text = standing.is === 'value' ? this.#seals.openText(place, standing.bytes) : null;
    if (standing.is === 'absent' || text !== null) {
      // By the secret of now: the one that has sealed it goes one day.
      await this.#shelf.mark(place, mark, standing.is === 'absent');
    } else if (isFirst) {
      throw new ConfigError(
        'the store holds another deployment under this prefix: give store.prefix another name, or secrets.current the same value as there',
      );
    } else {
      this.#rejected('marker');
    }
  }

  /** What somebody waits for tells of the store as well. */
  async #asked<T>(doing: Promise<T>): Promise<T> {
    try {
      return await doing;
    } catch (thrown) {
      const fault = faultOf(thrown);
      if (fault.kind !== 'error') this.#failed(fault);
      throw fault;
    }
  }

  /** Whether it is to be tried again as soon as the store takes something. */
  #writeFailed(thrown: unknown): boolean {
    const fault = faultOf(thrown);
    // Of this one copy, as it seems: others may be taken.
    if (fault.kind === 'error') {
      if (!(thrown instanceof StoreFault)) this.#options.journal.record({ fact: 'fault', upstream: '', cause: thrown });
      return false;
    }
    this.#failed(fault);
    return true;
  }

  #failed(fault: StoreFault): void {
    this.#noticeLapse();
    if (this.#isUp) this.#relapses = this.#isProven ? 0 : Math.min(this.#relapses + 1, 2);
    this.#isUp = false;
    this.#queue.closed();
    if (this.#toldUp === false || this.#isClosed) return;
    this.#toldUp = false;
    const { kind: reason, cause } = fault;
    this.#options.journal.record({ fact: 'store_down', reason, ...STORE_FAULTS[reason], cause });
  }

  #rejected(what: StoreReject): void {
    this.#options.journal.record({ fact: 'store_rejected', what });
  }
}

const DEPLOYMENT = 'causeway';

function faultOf(thrown: unknown): StoreFault {
  return thrown instanceof StoreFault ? thrown : new StoreFault('error', thrown);
}

/** What the store has said of it: `NOPERM …`. */
function detailOf({ cause }: StoreFault): string {
  return cause instanceof Error ? ` (${cause.message.slice(0, 200)})` : '';
}
