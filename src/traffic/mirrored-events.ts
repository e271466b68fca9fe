// The events of a session that are also kept in a store, for whoever goes on with it.

import type { EventStore, StoredEvent, StreamedEvent } from '../domain/ports.ts';
import type { SessionMirror } from '../domain/session-store.ts';

export class MirroredEvents implements EventStore {
  /** Null: of what happens nothing is told to the store, or not yet. */
  mirror: SessionMirror | null = null;
  readonly #own: EventStore;

  constructor(own: EventStore) {
    this.#own = own;
  }

  append(stream: number, event: StoredEvent, isSent: boolean): void {
    this.#own.append(stream, event, isSent);
    this.mirror?.event({ stream, event });
  }

  after(stream: number, seq: number): readonly StoredEvent[] {
    return this.#own.after(stream, seq);
  }

  has(stream: number): boolean {
    return this.#own.has(stream);
  }

  all(): readonly StreamedEvent[] {
    return this.#own.all();
  }

  hold(bytes: number): boolean {
    return this.#own.hold(bytes);
  }

  close(): void {
    this.#own.close();
  }
}
