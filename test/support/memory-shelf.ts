// A store in this process's memory that does what the scripts in Redis do, and fails when it is told to.

import { StoreFault, type StoreFaultKind } from '../../src/domain/store-faults.ts';
import type { Found, Shelf, ShelfPlaces, Standing, TakeBounds, Writing, Written } from '../../src/replica/shelf.ts';

type Value = Buffer | readonly Buffer[] | 'strange';

/** What several shelves share. */
export class MemoryStore {
  readonly values = new Map<string, Value>();
  /** Operations that were carried out, by name. */
  readonly done: string[] = [];

  /** As one replica reaches it. */
  shelf(): MemoryShelf {
    return new MemoryShelf(this);
  }

  /** The places whose name ends so. */
  placesOf(end: string): string[] {
    return [...this.values.keys()].filter((place) => place.endsWith(end));
  }
}

export class MemoryShelf implements Shelf {
  /** Set: every operation fails with it; `late`: after it was carried out. */
  fault: { readonly kind: StoreFaultKind; readonly late?: boolean } | null = null;
  /** Where the sign of life of its replica stands. */
  #lifePlace = '';
  readonly #store: MemoryStore;
  /** Where operations wait while nothing is answered. */
  #gate: PromiseWithResolvers<void> | null = null;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  /** Operations wait from now on. */
  hold(): void {
    this.#gate ??= Promise.withResolvers();
  }

  /** They go on, in their order. */
  letGo(): void {
    this.#gate?.resolve();
    this.#gate = null;
  }

  /** The sign of life of its replica is gone, as it is after a while without another one. */
  expire(): void {
    this.#store.values.delete(this.#lifePlace);
  }

  async open(): Promise<void> {}

  close(): void {}

  lease({ lease }: ShelfPlaces): Promise<Standing> {
    return this.#does('lease', () => this.#standing(lease));
  }

  write(places: ShelfPlaces, expected: Standing, what: Writing): Promise<Written> {
    return this.#does('write', () => {
      const { values } = this.#store;
      const refusal = this.#refusal(places, expected);
      if (refusal !== null) return refusal;
      const [record, events = []] = [values.get(places.record), values.get(places.events)];
      if (!what.isWhole && (!Buffer.isBuffer(record) || !Array.isArray(events))) return { is: 'incomplete' };
      if (what.lease !== null) values.set(places.lease, what.lease);
      if (what.record !== null) values.set(places.record, what.record);
      const before = what.isWhole || !Array.isArray(events) ? [] : (events as readonly Buffer[]);
      const after = [...before, ...what.events];
      if (after.length === 0) values.delete(places.events);
      else values.set(places.events, after.slice(-what.keepEvents));
      return { is: 'written' };
    });
  }

  take(places: ShelfPlaces, expected: Standing, lease: Buffer, bounds: TakeBounds): Promise<Found | null> {
    return this.#does('take', () => {
      const { values } = this.#store;
      const [record, events] = [values.get(places.record), values.get(places.events)];
      if (this.#refusal(places, expected) !== null || record === undefined) return null;
      values.set(places.lease, lease);
      const isFit = Buffer.isBuffer(record) && record.length <= bounds.recordBytes;
      const kept = Array.isArray(events) ? (events as readonly Buffer[]) : [];
      return { record: isFit ? record : null, events: newestWithin(kept, bounds) };
    });
  }

  remove(places: ShelfPlaces, expected: Standing): Promise<Written> {
    return this.#does('remove', () => {
      const refusal = this.#refusal(places, expected);
      if (refusal !== null) return refusal;
      for (const place of Object.values(places) as string[]) this.#store.values.delete(place);
      return { is: 'written' };
    });
  }

  read(place: string): Promise<Standing> {
    return this.#does('read', () => this.#standing(place));
  }

  renew(place: string, value: Buffer): Promise<'renewed' | 'anew'> {
    this.#lifePlace = place;
    return this.#does('renew', () => {
      const isThere = this.#store.values.has(place);
      this.#store.values.set(place, value);
      return isThere ? 'renewed' : 'anew';
    });
  }

  mark(place: string, value: Buffer, onlyIfAbsent: boolean): Promise<void> {
    return this.#does('mark', () => {
      if (!onlyIfAbsent || !this.#store.values.has(place)) this.#store.values.set(place, value);
    });
  }

  clear(place: string): Promise<void> {
    return this.#does('clear', () => {
      this.#store.values.delete(place);
    });
  }

  async #does<T>(name: string, carryOut: () => T): Promise<T> {
    if (this.#gate !== null) await this.#gate.promise;
    // An answer is never there before it was asked for.
    await Promise.resolve();
    if (this.fault !== null && this.fault.late !== true) throw new StoreFault(this.fault.kind);
    const result = carryOut();
    this.#store.done.push(name);
    if (this.fault !== null) throw new StoreFault(this.fault.kind);
    return result;
  }

  #standing(place: string): Standing {
    const value = this.#store.values.get(place);
    if (value === undefined) return { is: 'absent' };
    return Buffer.isBuffer(value) && value.length <= 4096 ? { is: 'value', bytes: value } : { is: 'strange' };
  }

  #refusal({ lease }: ShelfPlaces, expected: Standing): Written | null {
    const standing = this.#standing(lease);
    const isSame =
      standing.is === expected.is &&
      (standing.is !== 'value' || (expected.is === 'value' && standing.bytes.equals(expected.bytes)));
    return isSame ? null : { is: 'refused', by: standing };
  }
}

function newestWithin(events: readonly Buffer[], { maxEvents, eventBytes, largestEvent }: TakeBounds): Buffer[] {
  const newest: Buffer[] = [];
  let bytes = 0;
  for (const event of events.toReversed().slice(0, maxEvents)) {
    bytes += event.length;
    if (bytes > (newest.length === 0 ? largestEvent : eventBytes)) break;
    newest.push(event);
  }
  return newest.toReversed();
}
