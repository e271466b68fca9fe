// A pool on virtual time, over conversations that exist in memory only.

import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import type { LinkCloseReason } from '../../src/domain/states.ts';
import { EMPTY_PROFILE, profileOf } from '../../src/protocol/capability-profile.ts';
import { ConversationPool, type PoolOptions } from '../../src/traffic/conversation-pool.ts';
import type { Lease, Poolable } from '../../src/traffic/lease-rules.ts';
import { type Isolation, type LinkKey, linkKey } from '../../src/upstream/link-key.ts';
import { VirtualTime } from '../support/virtual-time.ts';

export type LinkInput = NonNullable<ConfigInput['links']>;

export class MemoryConversation implements Poolable {
  readonly number: number;
  readonly key: LinkKey;
  readonly openedAt: number;
  isOpen = true;
  /** Why it was closed by the pool; null while it is not. */
  closed: LinkCloseReason | null = null;
  pings = 0;
  /** What becomes of a ping. */
  answersPing: 'alive' | 'dead' | 'breaks' | 'never' = 'alive';
  /** Ends by itself, as when the upstream cuts the link. */
  readonly die: () => void;
  #provenAt: number;
  readonly #time: VirtualTime;

  constructor(number: number, key: LinkKey, time: VirtualTime, onClosed: () => void) {
    this.number = number;
    this.key = key;
    this.#time = time;
    this.openedAt = this.#provenAt = time.now();
    this.die = () => {
      if (!this.isOpen) return;
      this.isOpen = false;
      onClosed();
    };
  }

  isDoubtful(pingIntervalMs: number): boolean {
    return this.#time.now() - this.#provenAt >= pingIntervalMs;
  }

  async ping(timeoutMs: number): Promise<boolean> {
    this.pings++;
    // A pool that pings without end fails its test instead of hanging it.
    if (this.pings > 100) return new Promise(() => {});
    if (this.answersPing === 'alive') {
      this.#provenAt = this.#time.now();
      return true;
    }
    if (this.answersPing === 'breaks') throw new Error('a fault of ours');
    if (this.answersPing === 'never') return new Promise(() => {});
    return new Promise((resolve) => {
      this.#time.after(timeoutMs, () => resolve(false));
    });
  }

  close(reason: LinkCloseReason): void {
    this.closed ??= reason;
    this.isOpen = false;
  }
}

/** One attempt to open a link, to be decided by the test where it is not decided at once. */
export interface Attempt {
  readonly key: LinkKey;
  readonly at: number;
  succeed(): MemoryConversation;
  fail(error?: ProxyError): void;
}

/** A caller: waits, then has a lease or the reason why not, or has left. */
export class Caller {
  readonly principal: string;
  readonly exclusive: boolean;
  readonly mayAskBack: boolean;
  lease: Lease<MemoryConversation> | null = null;
  error: ProxyError | null = null;
  hasLeft = false;
  /** Told more than once, or after it had left. */
  toldInVain = 0;
  leave: () => void = () => {};

  constructor(principal: string, exclusive: boolean, mayAskBack: boolean) {
    this.principal = principal;
    this.exclusive = exclusive;
    this.mayAskBack = mayAskBack;
  }

  get waits(): boolean {
    return this.lease === null && this.error === null && !this.hasLeft;
  }

  /** The number of its conversation; null without one. */
  get on(): number | null {
    return this.lease?.conversation.number ?? null;
  }

  release(how: 'reuse' | 'retire' = 'reuse'): void {
    this.lease?.release(how);
  }
}

export interface Ask {
  readonly principal?: string;
  readonly exclusive?: boolean;
  /** As every call that must be alone may; others may too, of callers who declare nothing. */
  readonly mayAskBack?: boolean;
  /** Capabilities that make another key. */
  readonly declares?: object;
  /** Told as soon as there is a result. */
  readonly told?: (caller: Caller) => void;
}

export class PoolWorld {
  readonly time = new VirtualTime();
  readonly pool: ConversationPool<MemoryConversation>;
  readonly conversations: MemoryConversation[] = [];
  readonly attempts: Attempt[] = [];
  /** What the upstream does with an attempt; `ask` leaves it to the test. */
  upstream: 'opens' | 'refuses' | 'ask' = 'opens';
  pending: Attempt[] = [];
  /** links.min */
  readonly warm: number;
  /** Keys of those who have waited long. */
  readonly longWaits: LinkKey[] = [];
  readonly #isolation: Isolation;

  constructor(
    links: LinkInput = {},
    maxBackoffMs = 30_000,
    overBudget: PoolOptions<MemoryConversation>['overBudget'] = () => null,
  ) {
    // Without warm links unless a test is about them.
    const config = parseConfig({ upstreams: [{ url: 'http://up.example/sse' }], links: { min: 0, ...links } }).links;
    this.#isolation = config.isolation;
    this.warm = config.min;
    this.pool = new ConversationPool({
      open: (key, _, onClosed) => this.#open(key, onClosed),
      refusal: () => null,
      config,
      overBudget,
      clock: this.time,
      timers: this.time,
      onLongWait: (key) => this.longWaits.push(key),
      onRefused: () => {},
      backoff: (attempt) => Math.min(maxBackoffMs, 250 * 2 ** attempt),
    });
  }

  key(principal = 'alice', declares: object = {}): LinkKey {
    const profile = Object.keys(declares).length === 0 ? EMPTY_PROFILE : profileOf(declares, '2025-11-25');
    return linkKey({ key: principal, proof: '' }, profile, this.#isolation);
  }

  ask(ask: Ask = {}): Caller {
    const { principal = 'alice', exclusive = false, mayAskBack = exclusive, declares = {}, told = () => {} } = ask;
    const caller = new Caller(principal, exclusive, mayAskBack);
    const key = this.key(principal, declares);
    const leave = this.pool.lease({ key, exclusive, mayAskBack, principal }, (result) => {
      if (!caller.waits) caller.toldInVain++;
      if (result instanceof ProxyError) caller.error = result;
      else caller.lease = result;
      told(caller);
    });
    caller.leave = () => {
      if (caller.waits) caller.hasLeft = true;
      leave();
    };
    return caller;
  }

  /** Callers one after the other, with time for links to open. */
  async served(...asks: Ask[]): Promise<Caller[]> {
    const callers = asks.map((ask) => this.ask(ask));
    await this.time.advance(0);
    return callers;
  }

  get open(): MemoryConversation[] {
    return this.conversations.filter(({ isOpen }) => isOpen);
  }

  closedAs(reason: LinkCloseReason): number[] {
    return this.conversations.filter(({ closed }) => closed === reason).map(({ number }) => number);
  }

  #open(key: LinkKey, onClosed: () => void): Promise<MemoryConversation> {
    const { promise, resolve, reject } = Promise.withResolvers<MemoryConversation>();
    const attempt: Attempt = {
      key,
      at: this.time.now(),
      succeed: () => {
        this.pending = this.pending.filter((other) => other !== attempt);
        const conversation = new MemoryConversation(this.conversations.length + 1, key, this.time, onClosed);
        this.conversations.push(conversation);
        resolve(conversation);
        return conversation;
      },
      fail: (error = new ProxyError('upstream_unreachable', 'nobody there')) => {
        this.pending = this.pending.filter((other) => other !== attempt);
        reject(error);
      },
    };
    this.attempts.push(attempt);
    this.pending.push(attempt);
    if (this.upstream === 'opens') attempt.succeed();
    else if (this.upstream === 'refuses') attempt.fail();
    return promise;
  }
}
