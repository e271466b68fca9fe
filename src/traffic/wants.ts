// What a link must be told beyond its handshake: a log level, and the resources whose updates somebody wants. It belongs
// to an upstream session, so a link that takes another's place has to be told again.

import { type LogLevel, mostVerbose } from '../protocol/log-level.ts';
import type { ServerOffers } from '../protocol/upstream-handshake.ts';

/** What is wanted on a link at this moment. */
export interface Wanted {
  /** Null: nobody has asked for one. */
  readonly level: LogLevel | null;
  readonly uris: { has(uri: string): boolean; readonly size: number; [Symbol.iterator](): Iterator<string> };
  /** Another number means that something may have changed. */
  readonly version: number;
}

/** What all who share a link want together: the most verbose level, and every resource that any of them wants. */
export class SharedWants implements Wanted {
  readonly #levels = new Counts<LogLevel>();
  readonly #uris = new Counts<string>();
  #version = 0;

  get version(): number {
    return this.#version;
  }

  get level(): LogLevel | null {
    return mostVerbose(this.#levels);
  }

  get uris(): Wanted['uris'] {
    return this.#uris;
  }

  changeLevel(before: LogLevel | null, after: LogLevel | null): void {
    this.#version++;
    if (before !== null) this.#levels.remove(before);
    if (after !== null) this.#levels.add(after);
  }

  subscribe(uri: string): void {
    this.#version++;
    this.#uris.add(uri);
  }

  unsubscribe(uri: string): void {
    this.#version++;
    this.#uris.remove(uri);
  }
}

/** What one session wants. */
export class Wants implements Wanted {
  #level: LogLevel | null = null;
  readonly #uris = new Set<string>();
  #version = 0;
  readonly #shared: SharedWants;
  readonly #onChange: () => void;

  constructor(shared: SharedWants, onChange: () => void = () => {}) {
    this.#shared = shared;
    this.#onChange = onChange;
  }

  get level(): LogLevel | null {
    return this.#level;
  }

  get uris(): ReadonlySet<string> {
    return this.#uris;
  }

  get version(): number {
    return this.#version;
  }

  setLevel(level: LogLevel): void {
    this.#version++;
    this.#shared.changeLevel(this.#level, level);
    this.#level = level;
    this.#onChange();
  }

  subscribe(uri: string): void {
    if (this.#uris.has(uri)) return;
    this.#version++;
    this.#uris.add(uri);
    this.#shared.subscribe(uri);
    this.#onChange();
  }

  unsubscribe(uri: string): void {
    if (!this.#uris.delete(uri)) return;
    this.#version++;
    this.#shared.unsubscribe(uri);
    this.#onChange();
  }

  /** The session is over. */
  end(): void {
    for (const uri of this.#uris) this.#shared.unsubscribe(uri);
    this.#uris.clear();
    this.#shared.changeLevel(this.#level, null);
    this.#level = null;
  }
}

/** How often each thing is there. */
class Counts<T> {
  readonly #counts = new Map<T, number>();

  get size(): number {
    return this.#counts.size;
  }

  has(thing: T): boolean {
    return this.#counts.has(thing);
  }

  add(thing: T): void {
    this.#counts.set(thing, (this.#counts.get(thing) ?? 0) + 1);
  }

  remove(thing: T): void {
    const left = (this.#counts.get(thing) ?? 0) - 1;
    if (left > 0) this.#counts.set(thing, left);
    else this.#counts.delete(thing);
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#counts.keys();
  }
}

/** A request that has to be sent upstream. */
export interface Telling {
  readonly method: 'logging/setLevel' | 'resources/subscribe' | 'resources/unsubscribe';
  readonly params: object;
}

/** What one upstream session has been told. */
export class Told {
  #level: LogLevel | null = null;
  readonly #uris = new Set<string>();
  /** Of the wants that it was compared with last. */
  #seen: { readonly wanted: Wanted; readonly version: number } | null = null;

  /** A session's own request has told it. */
  noteLevel(level: LogLevel): void {
    this.#level = level;
  }

  get uris(): Wanted['uris'] {
    return this.#uris;
  }

  has(uri: string): boolean {
    return this.#uris.has(uri);
  }

  noteSubscribed(uri: string): void {
    this.#uris.add(uri);
  }

  noteUnsubscribed(uri: string): void {
    this.#uris.delete(uri);
  }

  /**
   * What is still to be said to an upstream that offers this; it counts as said from now on, whatever the upstream
   * answers. A level that nobody wants any more stays: there is no way to take it back.
   */
  missing(wanted: Wanted, offers: Pick<ServerOffers, 'logging' | 'subscribe'>): readonly Telling[] {
    if (this.#seen?.wanted === wanted && this.#seen.version === wanted.version) return NONE;
    this.#seen = { wanted, version: wanted.version };
    const { level, uris } = wanted;
    const tellings: Telling[] = [];
    if (offers.logging && level !== null && level !== this.#level) {
      this.#level = level;
      tellings.push({ method: 'logging/setLevel', params: { level } });
    }
    if (!offers.subscribe) return tellings;
    for (const uri of uris) {
      if (this.#uris.has(uri)) continue;
      this.#uris.add(uri);
      tellings.push({ method: 'resources/subscribe', params: { uri } });
    }
    for (const uri of this.#uris) {
      if (uris.has(uri)) continue;
      this.#uris.delete(uri);
      tellings.push({ method: 'resources/unsubscribe', params: { uri } });
    }
    return tellings;
  }
}

const NONE: readonly Telling[] = [];
