// The calls of one mount that wait for their client to come back with answers. A held call keeps its link, and nobody
// has to come back: so there are few of them, each ends in time, and the oldest makes room for callers who wait.

import type { Call } from '../bridge/call.ts';
import type { Rounds } from '../bridge/rounds.ts';
import type { Limit } from '../domain/limits.ts';
import type { Timer, Timers } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import type { LinkKey } from '../upstream/link-key.ts';
import type { Budgets } from './budgets.ts';
import type { CallLogLevel } from './call-log-level.ts';
import type { Tally } from './tally.ts';

export interface Held {
  /** In the client's `requestState`. */
  readonly id: string;
  readonly call: Call;
  readonly rounds: Rounds;
  readonly level: Pick<CallLogLevel, 'set'>;
  readonly key: LinkKey;
  readonly principal: Principal;
}

interface Entry {
  readonly held: Held;
  readonly giveBack: () => void;
  readonly expires: Timer;
  readonly patience: Timer;
  /** Its client has had some time to answer. */
  isRipe: boolean;
}

export interface HeldCallsOptions {
  readonly timers: Timers;
  /** Counts them: a mount that is on its way out waits for them. */
  readonly tally: Tally;
  readonly budgets: Budgets;
  /** timeouts.round */
  readonly ttlMs: number;
  /** How many may hold a link of one key, and how many a link at all. */
  readonly maxOfKey: number;
  readonly maxInAll: number;
  /** Answers that came before their client did: how many bytes of them are kept. */
  readonly maxKeptBytes: number;
  /** Somebody has waited long for the place that a call of this key holds. */
  readonly isAwaited: (key: LinkKey) => boolean;
  /** One has ended without its client. */
  readonly onLetGo: (why: string, limit?: Limit) => void;
}

/**
 * What every client has to come back, whoever waits. Without it a crowd that is asked gets nowhere: each evicts the one
 * before it, and is evicted by the next.
 */
const PATIENCE_MS = 500;

/** Answers that are kept, however small. */
const MAX_KEPT = 1000;

export class HeldCalls {
  readonly #options: HeldCallsOptions;
  /** The one that has waited longest first. */
  readonly #entries = new Map<string, Entry>();

  constructor(options: HeldCallsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get all(): Iterable<Held> {
    return [...this.#entries.values()].map(({ held }) => held);
  }

  /** The call waits from now on. */
  hold(held: Held): void {
    const { timers, budgets, ttlMs, maxOfKey, maxInAll, isAwaited } = this.#options;
    const entry: Entry = {
      held,
      giveBack: budgets.take('heldCalls', held.principal, () =>
        this.#letGo(held, 'its caller holds too many', 'budgets.heldCalls'),
      ),
      expires: timers.after(ttlMs, () => this.#letGo(held, 'nobody answered in time', 'timeouts.round')),
      patience: timers.after(PATIENCE_MS, () => {
        entry.isRipe = true;
        if (isAwaited(held.key)) this.#evict(entry);
      }),
      isRipe: held.rounds.isAskingAgain,
    };
    this.#entries.set(held.id, entry);
    this.#options.tally.begin();
    budgets.keepWithin('heldCalls', held.principal);
    this.#keepWithin(maxOfKey, held.key);
    this.#keepWithin(maxInAll);
    // A client that comes back at once, and again without answers, would never be found waiting.
    if (entry.isRipe && isAwaited(held.key)) this.#evict(entry);
    this.#forgetKept();
  }

  find(id: string): Held | null {
    return this.#entries.get(id)?.held ?? null;
  }

  /** Its client is back. */
  release(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.expires.cancel();
    entry.patience.cancel();
    entry.giveBack();
    this.#entries.delete(id);
    this.#options.tally.end();
  }

  /** Frees the link of this key, or of any, that was held longest, and for long enough. False: there is none. */
  evictOldest(key?: LinkKey): boolean {
    const oldest = this.#holding(key).find(({ isRipe }) => isRipe);
    if (oldest !== undefined) this.#evict(oldest);
    return oldest !== undefined;
  }

  /** Ends all of them. */
  end(why: string): void {
    for (const { held } of this.#entries.values()) this.#letGo(held, why);
  }

  #keepWithin(max: number, key?: LinkKey): void {
    const holding = this.#holding(key);
    for (let over = holding.length - max; over > 0; over--) {
      // Of the caller who holds most: nobody can end the rounds of others by asking for more of his own.
      const count = new Map<string, number>();
      for (const { held } of this.#holding(key)) count.set(held.key.caller, (count.get(held.key.caller) ?? 0) + 1);
      const most = Math.max(...count.values());
      const oldest = this.#holding(key).find(({ held }) => count.get(held.key.caller) === most);
      if (oldest !== undefined) this.#evict(oldest);
    }
  }

  /** Those whose upstream has answered hold no link. */
  #holding(key?: LinkKey): Entry[] {
    return this.#all('held').filter(({ held }) => key === undefined || held.key.text === key.text);
  }

  #all(phase: 'held' | 'answered'): Entry[] {
    return [...this.#entries.values()].filter(({ held }) => held.call.state.phase === phase);
  }

  #evict({ held }: Entry): void {
    // One whose upstream has answered by now holds nothing.
    if (held.call.state.phase === 'held') this.#letGo(held, 'others needed its place');
  }

  /** The oldest answers go first. */
  #forgetKept(): void {
    let bytes = 0;
    this.#all('answered')
      .toReversed()
      .forEach(({ held }, index) => {
        bytes += held.call.keptBytes;
        if (index >= MAX_KEPT || bytes > this.#options.maxKeptBytes) this.#letGo(held, 'too many answers are kept');
      });
  }

  #letGo({ id, call }: Held, why: string, limit?: Limit): void {
    this.release(id);
    call.letGo(why);
    this.#options.onLetGo(why, limit);
  }
}
