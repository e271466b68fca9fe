// Whether the owners that requests are passed on to show life. One that is held still, or whose machine froze, takes
// connections as ever and answers nothing: its sign of life in the store tells. It is asked for about once a second while
// something is under way to an owner or was lately; nobody who serves a call waits for it.

import { readOwner } from '../domain/owner.ts';
import type { Clock, Timers } from '../domain/ports.ts';
import type { SessionStore } from '../domain/session-store.ts';
import type { Greetings } from './greetings.ts';

export interface OwnerWatchOptions {
  readonly store: Pick<SessionStore, 'isAlive'>;
  readonly greetings: Pick<Greetings, 'answers'>;
  readonly clock: Clock;
  readonly timers: Timers;
}

interface Watched {
  /** Told when it is silent: one for each request that is under way to it. */
  readonly underWay: Set<() => void>;
  usedAt: number;
  isSilent: boolean;
}

const EVERY_MS = 1000;
/** Long enough that most requests meet an owner of which it is known how it is. */
const LATELY_MS = 60_000;

export class OwnerWatch {
  readonly #options: OwnerWatchOptions;
  readonly #watched = new Map<string, Watched>();
  #isClosed = false;

  constructor(options: OwnerWatchOptions) {
    this.#options = options;
  }

  /** As was heard last. */
  isSilent(owner: string): boolean {
    const watched = this.#watched.get(owner);
    if (watched?.isSilent !== true) return false;
    watched.usedAt = this.#options.clock.now();
    return true;
  }

  /** Something is passed on to it, until what is returned is called. */
  begin(owner: string, onSilent: () => void): () => void {
    const { clock } = this.#options;
    let watched = this.#watched.get(owner);
    if (watched === undefined) {
      watched = { underWay: new Set(), usedAt: 0, isSilent: false };
      this.#watched.set(owner, watched);
      void this.#look(owner, watched);
    }
    const { underWay } = watched;
    watched.usedAt = clock.now();
    underWay.add(onSilent);
    return () => underWay.delete(onSilent);
  }

  close(): void {
    this.#isClosed = true;
  }

  async #look(owner: string, watched: Watched): Promise<void> {
    const { clock, timers } = this.#options;
    // Of a store that is away nothing is known.
    watched.isSilent = await this.#isWithoutLife(owner).catch(() => false);
    if (this.#isClosed) return;
    if (watched.isSilent) for (const tell of watched.underWay) tell();
    const isOfUse = watched.underWay.size > 0 || clock.now() - watched.usedAt < LATELY_MS;
    if (isOfUse) timers.after(EVERY_MS, () => void this.#look(owner, watched));
    else this.#watched.delete(owner);
  }

  /** Without a sign in the store it may still be there, and be without the store: then it says so itself. */
  async #isWithoutLife(owner: string): Promise<boolean> {
    const { store, greetings } = this.#options;
    if (await store.isAlive(owner)) return false;
    const { address } = readOwner(owner);
    return address !== null && !(await greetings.answers(address));
  }
}
