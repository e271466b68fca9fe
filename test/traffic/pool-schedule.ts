// Random schedules of everything that can happen to a pool, and what must never come of it.

import * as fc from 'fast-check';
import { expect } from 'vitest';
import { type Caller, type LinkInput, type MemoryConversation, PoolWorld } from './pool-world.ts';

export type Step =
  | {
      readonly do: 'ask';
      readonly who: number;
      readonly needs: 'nothing' | 'may ask back' | 'to be alone';
      readonly releasesAtOnce: boolean;
    }
  | { readonly do: 'release'; readonly which: number; readonly how: 'reuse' | 'retire' }
  | { readonly do: 'leave' | 'opens' | 'fails' | 'dies' | 'cut at once'; readonly which: number }
  | { readonly do: 'upstream'; readonly is: 'opens' | 'refuses' | 'ask' }
  | { readonly do: 'pings'; readonly are: MemoryConversation['answersPing'] }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'settle' }
  | { readonly do: 'single'; readonly keeps: boolean };

const which = fc.nat(20);
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      who: fc.nat(2),
      needs: fc.constantFrom(
        'nothing' as const,
        'may ask back' as const,
        'to be alone' as const,
        'to be alone' as const,
      ),
      releasesAtOnce: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('release' as const),
      which,
      how: fc.constantFrom('reuse' as const, 'reuse' as const, 'retire' as const),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom('leave', 'opens', 'opens', 'fails', 'dies', 'cut at once'), which }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('upstream' as const), is: fc.constantFrom('opens', 'refuses', 'ask') }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pings' as const), are: fc.constantFrom('alive', 'dead', 'breaks') }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(0, 1, 300, 1000, 5000, 31_000, 61_000),
    }),
  },
  { weight: 6, arbitrary: fc.constant({ do: 'settle' as const }) },
);
export const single: fc.Arbitrary<Step> = fc.record({ do: fc.constant('single' as const), keeps: fc.boolean() });

const WHO = ['alice', 'bob', 'carol'];
const QUEUE_TIMEOUT_MS = 10_000;

export class Schedule {
  readonly world: PoolWorld;
  readonly callers: Caller[] = [];
  readonly faults: string[] = [];
  readonly #links: { readonly max: number; readonly maxTotal: number; readonly maxInFlight: number };
  readonly #held = new Map<Caller, MemoryConversation>();
  /** Who was alone on a conversation, ever. */
  readonly #boundTo = new Map<MemoryConversation, string>();
  readonly #retired = new Set<MemoryConversation>();
  #isSingle = false;
  /** So many had asked when the pool became single. */
  #singleSince = 0;
  #pings: MemoryConversation['answersPing'] = 'alive';

  constructor(links: LinkInput) {
    const { max = 32, maxTotal = 64, maxInFlight = 64, min = 0 } = links;
    this.#links = { max, maxTotal, maxInFlight };
    this.world = new PoolWorld({ queueTimeout: `${QUEUE_TIMEOUT_MS}ms`, pingTimeout: '1s', ...links }, 1000);
    this.world.upstream = 'ask';
    if (min > 0) this.world.pool.keepWarm(this.world.key('alice'), min);
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const next of steps) {
      await this.#step(next);
      this.#check();
    }
  }

  /** The upstream is well and everybody gives back what he has: then nobody may wait for long. */
  async #calm(): Promise<void> {
    this.world.upstream = 'opens';
    this.#pings = 'alive';
    for (const conversation of this.world.open) conversation.answersPing = 'alive';
    for (const attempt of this.world.pending.slice()) attempt.succeed();
    for (let turn = 0; turn < 100 && this.callers.some(({ waits }) => waits); turn++) {
      for (const caller of this.callers) caller.release();
      // In all longer than any back-off and any ping here, and shorter than anybody’s patience.
      await this.world.time.advance(turn < 50 ? 0 : 100);
      this.#check();
    }
  }

  /** Ends the schedule; says how many waited though there was nothing to wait for. */
  async end(): Promise<number> {
    await this.#calm();
    const stuck = this.callers.filter(({ waits }) => waits).length;
    for (const caller of this.callers) caller.release();
    await this.world.time.advance(QUEUE_TIMEOUT_MS);
    this.#check();
    if (this.callers.some(({ waits }) => waits)) this.faults.push('somebody waits for longer than queueTimeout');
    for (const caller of this.callers) {
      if (caller.toldInVain > 0) this.faults.push('a caller was told twice, or after it had left');
      caller.release();
    }
    if (this.world.pool.openCount !== this.world.open.length) {
      this.faults.push(`the pool counts ${this.world.pool.openCount} of ${this.world.open.length} open links`);
    }
    this.world.pool.close();
    await this.world.time.advance(0);
    if (this.world.open.length > 0) this.faults.push('a link is open after the pool was closed');
    if (this.world.time.pendingCount > 0) this.faults.push('a timer is left behind');
    return stuck;
  }

  async #step(next: Step): Promise<void> {
    const { world } = this;
    const pick = <T>(from: readonly T[], index: number): T | undefined => from[index % Math.max(1, from.length)];
    switch (next.do) {
      case 'ask':
        this.callers.push(
          world.ask({
            principal: WHO[next.who] ?? '',
            exclusive: next.needs === 'to be alone',
            mayAskBack: next.needs !== 'nothing',
            told: (caller) => {
              this.#granted(caller);
              if (next.releasesAtOnce) caller.release();
            },
          }),
        );
        return;
      case 'release': {
        const caller = pick(
          this.callers.filter((one) => this.#held.has(one)),
          next.which,
        );
        // As a call does: what is shared is not retired.
        const how = caller?.exclusive === true ? next.how : 'reuse';
        if (caller?.lease && how === 'retire' && !this.#isSingle) this.#retired.add(caller.lease.conversation);
        this.#release(caller, how);
        return;
      }
      case 'leave':
        pick(
          this.callers.filter(({ waits }) => waits),
          next.which,
        )?.leave();
        return;
      case 'opens':
        pick(world.pending, next.which)?.succeed();
        return;
      case 'cut at once':
        pick(world.pending, next.which)?.succeed().die();
        return;
      case 'fails':
        pick(world.pending, next.which)?.fail();
        return;
      case 'dies':
        pick(world.open, next.which)?.die();
        return;
      case 'upstream':
        world.upstream = next.is;
        return;
      case 'pings':
        this.#pings = next.are;
        return;
      case 'pass':
        await world.time.advance(next.ms);
        return;
      case 'settle':
        await world.time.advance(0);
        return;
      case 'single':
        if (!this.#isSingle) this.#singleSince = this.callers.length;
        this.#isSingle = true;
        world.pool.becomeSingle(world.key('alice'), next.keeps ? (world.open[0] ?? null) : null);
        return;
    }
  }

  #release(caller: Caller | undefined, how: 'reuse' | 'retire'): void {
    if (caller === undefined) return;
    this.#held.delete(caller);
    caller.release(how);
  }

  #granted(caller: Caller): void {
    const conversation = caller.lease?.conversation;
    if (conversation === undefined) return;
    conversation.answersPing = this.#pings;
    const others = this.callers.filter((other) => other !== caller && this.#held.get(other) === conversation);
    const release = caller.release.bind(caller);
    caller.release = (how) => {
      this.#held.delete(caller);
      release(how);
    };
    this.#held.set(caller, conversation);
    if (!conversation.isOpen) this.faults.push('a conversation was granted that is not open');
    if (this.#retired.has(conversation)) this.faults.push('a conversation was granted that was retired');
    if (others.length >= this.#links.maxInFlight) this.faults.push('more than maxInFlight on one link');
    if (this.#isSingle) {
      this.#grantedOnSingle(caller, others);
      return;
    }
    if (others.some(({ exclusive }) => exclusive))
      this.faults.push('a conversation was granted that somebody has alone');
    if (!caller.exclusive) return;
    if (others.length > 0) this.faults.push('a conversation was granted alone that somebody has');
    const bound = this.#boundTo.get(conversation) ?? caller.principal;
    if (bound !== caller.principal) this.faults.push('a conversation went from one principal to another');
    this.#boundTo.set(conversation, caller.principal);
  }

  /** A question that comes belongs to the only call that may ask: there is one, if anybody could answer it. */
  #grantedOnSingle(caller: Caller, others: readonly Caller[]): void {
    const asking = [caller, ...others].filter(({ mayAskBack }) => mayAskBack);
    if (asking.length > 1 && asking.some(({ exclusive }) => exclusive)) {
      this.faults.push('a question on the only link could be one of two calls’');
    }
    // Until then they stood in lines of their own.
    const inOneLine = this.callers.slice(this.#singleSince);
    const at = inOneLine.indexOf(caller);
    const isInLine = at !== -1 || !this.callers.includes(caller);
    const earlier = inOneLine.slice(0, at === -1 ? undefined : at);
    if (caller.mayAskBack && isInLine && earlier.some(({ waits, mayAskBack }) => waits && mayAskBack)) {
      this.faults.push('somebody who may ask back has overtaken another');
    }
  }

  /** Holds after every step. */
  #check(): void {
    const { world } = this;
    const { max, maxTotal } = this.#links;
    if (world.open.length + world.pending.length > maxTotal) this.faults.push('more links than maxTotal');
    if (!this.#isSingle) {
      const keys = [...world.open, ...world.pending].map(({ key }) => key.text);
      for (const key of new Set(keys)) {
        if (keys.filter((other) => other === key).length > max) this.faults.push('more links of a key than max');
      }
    }
    expect(this.faults).toEqual([]);
  }
}
