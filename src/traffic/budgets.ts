// What one caller may hold and ask for at a time, beside the totals: whoever is let in cannot keep the others out. Callers
// who cannot be told apart have no budget; for them there are the totals.

import type { Config } from '../config/schema.ts';
import type { ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Clock } from '../domain/ports.ts';
import { ANYONE, type Principal, inboundKeyOf } from '../domain/principal.ts';

/** What is counted while it is held, and how it is called where there is too much of it. */
const HELD = {
  sessions: 'sessions',
  links: 'connections to servers',
  listens: 'listens',
  heldCalls: 'calls that wait for answers',
} as const;

export type Budgeted = keyof typeof HELD;

export interface BudgetsOptions {
  /** Of this moment; 0 is none. */
  readonly limits: () => Config['budgets'];
  readonly clock: Clock;
}

/** One thing that is held. */
interface Held {
  /** Ends it, and gives it back; null: nobody but its caller does. */
  readonly letGo: (() => void) | null;
}

interface Account {
  /** The oldest first. */
  readonly held: Record<Budgeted, Set<Held>>;
  /** Calls that may be made at once; below zero after a batch that was larger. */
  calls: number;
  /** When that was so. */
  at: number;
}

const MINUTE_MS = 60_000;
/** Accounts are looked through when there are so many more than last time. */
const SWEEP_EVERY = 1000;

export class Budgets {
  readonly #options: BudgetsOptions;
  /** Of callers who hold something, or have called within the last minute. */
  readonly #accounts = new Map<string, Account>();
  #sweepAt = SWEEP_EVERY;

  constructor(options: BudgetsOptions) {
    this.#options = options;
  }

  /** Callers of whom something is remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  held(what: Budgeted, principal: Principal): number {
    return this.#accounts.get(inboundKeyOf(principal))?.held[what].size ?? 0;
  }

  /** Why the caller cannot have one more; null: he can. */
  refusal(what: Budgeted, principal: Principal): ProxyError | null {
    const max = this.#options.limits()[what];
    if (max === 0 || this.held(what, principal) < max) return null;
    return overLimit('budget_spent', `budgets.${what}`, `this caller has too many ${HELD[what]}`, {
      outcome: 'not_executed',
    });
  }

  /** One more is his, until what is returned is called. `letGo`: ends it where others need its place; it gives it back. */
  take(what: Budgeted, principal: Principal, letGo: (() => void) | null = null): () => void {
    const key = inboundKeyOf(principal);
    if (key === ANYONE.key) return () => {};
    const account = this.#account(key);
    const own: Held = { letGo };
    account.held[what].add(own);
    return () => {
      if (account.held[what].delete(own)) this.#forgetIfUnused(key, account);
    };
  }

  /** Where the caller has more than he may the oldest make room, whichever upstream they are of. */
  keepWithin(what: Budgeted, principal: Principal): void {
    const max = this.#options.limits()[what];
    const held = this.#accounts.get(inboundKeyOf(principal))?.held[what];
    if (max === 0 || held === undefined) return;
    for (const { letGo } of held) {
      if (held.size <= max) return;
      letGo?.();
    }
  }

  /** Whether there is a bound on his calls. */
  boundsCalls(principal: Principal): boolean {
    return this.#options.limits().callsPerMinute > 0 && inboundKeyOf(principal) !== ANYONE.key;
  }

  /**
   * The caller makes so many calls; null, or why not. As many as a minute has may come at once. A batch of more than are
   * left goes through as a whole, and is paid off before the next: else a large one never would.
   */
  call(principal: Principal, howMany = 1): ProxyError | null {
    if (!this.boundsCalls(principal)) return null;
    const perMinute = this.#options.limits().callsPerMinute;
    const key = inboundKeyOf(principal);
    const account = this.#account(key);
    const now = this.#options.clock.now();
    const left = Math.min(perMinute, account.calls + ((now - account.at) * perMinute) / MINUTE_MS);
    if (left < 1) {
      return overLimit('budget_spent', 'budgets.callsPerMinute', 'this caller makes too many calls', {
        outcome: 'not_executed',
        retryAfterMs: Math.ceil(((1 - left) * MINUTE_MS) / perMinute),
      });
    }
    account.calls = left - howMany;
    account.at = now;
    return null;
  }

  #account(key: string): Account {
    let account = this.#accounts.get(key);
    if (account === undefined) {
      if (this.#accounts.size >= this.#sweepAt) this.#sweep();
      const held = {
        sessions: new Set<Held>(),
        links: new Set<Held>(),
        listens: new Set<Held>(),
        heldCalls: new Set<Held>(),
      };
      account = { held, calls: Number.MAX_SAFE_INTEGER, at: this.#options.clock.now() };
      this.#accounts.set(key, account);
    }
    return account;
  }

  #sweep(): void {
    for (const [key, account] of this.#accounts) this.#forgetIfUnused(key, account);
    this.#sweepAt = this.#accounts.size + SWEEP_EVERY;
  }

  /** Of one who holds nothing and could make all the calls of a minute there is nothing to know. */
  #forgetIfUnused(key: string, { held, calls, at }: Account): void {
    const perMinute = this.#options.limits().callsPerMinute;
    const since = ((this.#options.clock.now() - at) * perMinute) / MINUTE_MS;
    const isUnused = Object.values(held).every(({ size }) => size === 0) && calls + since >= perMinute;
    if (isUnused && this.#accounts.get(key)?.held === held) this.#accounts.delete(key);
  }
}
