// What a store has to be able to do, each in one step that no other can come between. It keeps bytes under names and
// knows nothing of what they say. Redis is one; the tests have another, that fails when it is told to.

import type { StoreOperation } from '../domain/store-faults.ts';

/** Of one session. */
export interface ShelfPlaces {
  readonly lease: string;
  readonly record: string;
  readonly events: string;
}

/** What stands where a lease should be. `strange`: of another type, or far too large. */
export type Standing =
  | { readonly is: 'absent' }
  | { readonly is: 'strange' }
  | { readonly is: 'value'; readonly bytes: Buffer };

export interface Writing {
  /** In the place of the one that stands there. */
  readonly lease: Buffer | null;
  readonly record: Buffer | null;
  readonly events: readonly Buffer[];
  /** Events that were there before go. */
  readonly isWhole: boolean;
  /** So many of the newest events stay. */
  readonly keepEvents: number;
  readonly keptMs: number;
  readonly eventsKeptMs: number;
}

/** `incomplete`: nothing was written, for the record or the events are not what was left there. */
export type Written = { readonly is: 'written' | 'incomplete' } | { readonly is: 'refused'; readonly by: Standing };

export interface TakeBounds {
  readonly keptMs: number;
  readonly recordBytes: number;
  readonly maxEvents: number;
  readonly eventBytes: number;
  /** The newest one is kept beyond that, up to this. */
  readonly largestEvent: number;
}

export interface Found {
  /** Null: too large, or of another type. */
  readonly record: Buffer | null;
  /** The oldest first. */
  readonly events: readonly Buffer[];
}

/** All of them reject with a StoreFault. */
export interface Shelf {
  lease(places: ShelfPlaces): Promise<Standing>;
  /** Writes if the lease is the expected one. */
  write(places: ShelfPlaces, expected: Standing, what: Writing): Promise<Written>;
  /** Puts another lease in the place of the expected one. Null: it is another, or there is no record. */
  take(places: ShelfPlaces, expected: Standing, lease: Buffer, bounds: TakeBounds): Promise<Found | null>;
  /** All three places are empty after this, if the lease is the expected one. */
  remove(places: ShelfPlaces, expected: Standing): Promise<Written>;
  /** What stands at a place, if it is short. */
  read(place: string, operation: StoreOperation): Promise<Standing>;
  /** Keeps a sign of life there for so long. `mustWrite`: whether it can be written is to be found out, too. */
  renew(place: string, value: Buffer, keptMs: number, mustWrite: boolean): Promise<'renewed' | 'anew'>;
  /** Puts it there; `onlyIfAbsent`: unless something stands there. */
  mark(place: string, value: Buffer, onlyIfAbsent: boolean): Promise<void>;
  clear(place: string): Promise<void>;
  /** Resolves as soon as it answers, or cannot be expected to soon. */
  open(): Promise<void>;
  close(): void;
}
