// Warm conversations and who may use them: leases, shared or exclusive, bounded per key and in all, most recently used
// first, with a waiting line. A lease is the only way to a pooled conversation.

import type { LinkConfig } from '../config/schema.ts';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import type { Clock, Timer, Timers } from '../domain/ports.ts';
import type { LinkCloseReason } from '../domain/states.ts';
import type { LinkKey } from '../upstream/link-key.ts';
import {
  type Bucket,
  type Entry,
  type Lease,
  type LeaseRequest,
  type LeaseRules,
  type Poolable,
  type Taker,
  type Waiter,
  choose,
  comingCapacity,
  linksMissing,
  longestIdle,
} from './lease-rules.ts';

export interface PoolOptions<C extends Poolable> {
  /** Opens a conversation; `onClosed` is told once when it is over for a reason that is not the pool's. */
  readonly open: (key: LinkKey, onClosed: () => void) => Promise<C>;
  readonly config: LinkConfig;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Milliseconds before the n-th attempt in a row to open the warm links again. */
  readonly backoff: (attempt: number) => number;
}

/** A link that ends sooner than this after it opened counts as one that failed to open. */
const SHORT_LIFE_MS = 5000;

export class ConversationPool<C extends Poolable> {
  readonly #options: PoolOptions<C>;
  readonly #buckets = new Map<string, Bucket<C>>();
  /** Open or opening, over all keys. */
  #total = 0;
  #waiting = 0;
  #warmKey: LinkKey | null = null;
  #warmFailures = 0;
  #warmTimer: Timer | null = null;
  #sweep: Timer | null = null;
  /** Set for good once the mount runs on one link: the only key from then on. */
  #singleKey: LinkKey | null = null;
  #closed = false;

  constructor(options: PoolOptions<C>) {
    this.#options = options;
  }

  /** Links that are open, over all keys. */
  get openCount(): number {
    let count = 0;
    for (const bucket of this.#buckets.values()) count += bucket.entries.length;
    return count;
  }

  get isSingle(): boolean {
    return this.#singleKey !== null;
  }

  /** Keeps `links.min` conversations of this key open from now on, for as long as it takes. */
  keepWarm(key: LinkKey): void {
    this.#warmKey = key;
    this.#warm();
  }

  /** From now on one conversation serves every key: `keep`, if it is one of ours. The others end when they are free. */
  becomeSingle(key: LinkKey, keep: C | null): void {
    if (this.#singleKey !== null) return;
    this.#singleKey = key;
    if (this.#warmKey !== null) this.#warmKey = key;
    const single = this.#bucket(key);
    for (const bucket of this.#buckets.values()) {
      bucket.retry?.cancel();
      bucket.retry = null;
      if (bucket !== single) {
        const waiters = bucket.waiters.splice(0);
        for (const waiter of waiters) waiter.bucket = single;
        single.waiters.push(...waiters);
      }
      for (const entry of bucket.entries.slice()) {
        if (single.entries.length === 0 && (keep === null || entry.conversation === keep)) this.#move(entry, single);
        else if (entry.inFlight === 0) this.#discard(entry, 'single');
      }
      if (bucket !== single) this.#forgetIfEmpty(bucket);
    }
    this.#serve(single);
    this.#warm();
  }

  /**
   * Hands a lease to `take`, at once where there is one, else when one is free; or the reason why not. What is returned
   * gives the place in the line up.
   */
  lease(request: LeaseRequest, take: Taker<C>): () => void {
    if (this.#closed) {
      take(new ProxyError('draining', 'the gateway is shutting down'));
      return () => {};
    }
    const bucket = this.#bucket(this.#singleKey ?? request.key);
    const entry = bucket.waiters.length === 0 ? this.#find(bucket, request) : null;
    if (entry !== null) {
      take(this.#grant(entry, request));
      return () => {};
    }
    const { maxQueue, queueTimeout } = this.#options.config;
    const coming = comingCapacity(bucket, request, this.#rules, this.#options.config.maxTotal - this.#total);
    if (this.#waiting - coming >= maxQueue) {
      take(
        new ProxyError('queue_full', 'too many callers wait for a link (links.maxQueue)', { outcome: 'not_executed' }),
      );
      return () => {};
    }
    const waiter: Waiter<C> = { request, take, bucket, timer: null };
    waiter.timer = this.#options.timers.after(queueTimeout, () => {
      if (!this.#leave(waiter)) return;
      take(
        new ProxyError('queue_timeout', 'no link became free in time (links.queueTimeout)', {
          outcome: 'not_executed',
        }),
      );
    });
    bucket.waiters.push(waiter);
    this.#waiting++;
    this.#serve(bucket);
    return () => this.#leave(waiter);
  }

  /** Ends everything: idle links at once, busy ones with their last call. */
  close(): void {
    this.#closed = true;
    this.#warmTimer?.cancel();
    this.#sweep?.cancel();
    for (const bucket of this.#buckets.values()) {
      for (const waiter of bucket.waiters.slice()) {
        this.#leave(waiter);
        waiter.take(new ProxyError('draining', 'the gateway is shutting down'));
      }
      bucket.retry?.cancel();
      for (const entry of bucket.entries.slice()) this.#discard(entry, 'shutdown');
    }
  }

  // Choosing and granting

  get #rules(): LeaseRules {
    return { config: this.#options.config, isSingle: this.isSingle };
  }

  #find(bucket: Bucket<C>, request: LeaseRequest): Entry<C> | null {
    const { entry, doubtful } = choose(bucket, request, this.#rules);
    // One at a time: when the first is well, the others are not needed.
    if (doubtful !== null) this.#check(doubtful);
    return entry;
  }

  #grant(entry: Entry<C>, request: LeaseRequest): Lease<C> {
    const exclusive = request.exclusive && !this.isSingle;
    entry.inFlight++;
    entry.used = true;
    entry.exclusive = exclusive;
    if (exclusive) entry.boundTo = request.principal;
    toFront(entry.bucket.entries, entry);
    let released = false;
    return {
      conversation: entry.conversation,
      release: (how) => {
        if (released) return;
        released = true;
        this.#release(entry, how);
      },
    };
  }

  #release(entry: Entry<C>, how: 'reuse' | 'retire'): void {
    const { bucket } = entry;
    entry.inFlight--;
    entry.exclusive = false;
    if (!bucket.entries.includes(entry)) return;
    const spent = this.#options.config.isolation === 'request' && !this.isSingle;
    if ((how === 'retire' && !this.isSingle) || spent) this.#discard(entry, 'retired');
    else if (!this.#isCurrent(bucket) && entry.inFlight === 0) this.#discard(entry, 'single');
    else if (entry.inFlight === 0) this.#becameIdle(entry);
    this.#serve(bucket);
  }

  #isCurrent(bucket: Bucket<C>): boolean {
    return this.#singleKey === null || bucket.key.text === this.#singleKey.text;
  }

  /** Gives what is free to those who wait, in their order, and opens what is missing. */
  #serve(bucket: Bucket<C>): void {
    let sharedBlocked = false;
    let exclusiveBlocked = false;
    for (const waiter of bucket.waiters.slice()) {
      const { exclusive } = waiter.request;
      if (exclusive ? exclusiveBlocked : sharedBlocked) continue;
      if (exclusiveBlocked && sharedBlocked) break;
      const entry = this.#find(bucket, waiter.request);
      if (entry !== null && this.#leave(waiter)) {
        waiter.take(this.#grant(entry, waiter.request));
      } else if (!exclusive) {
        sharedBlocked = true;
      } else if (this.#options.config.isolation !== 'shared') {
        exclusiveBlocked = true;
      }
    }
    this.#openMissing(bucket);
    this.#forgetIfEmpty(bucket);
  }

  #openMissing(bucket: Bucket<C>): void {
    if (this.#closed || bucket.retry !== null) return;
    for (let missing = linksMissing(bucket, this.#rules); missing > 0 && this.#hasRoom(); missing--) this.#open(bucket);
  }

  /** Room for one more link in all, made by closing the longest idle one of any key if need be. */
  #hasRoom(): boolean {
    if (this.#total < this.#options.config.maxTotal) return true;
    const oldest = longestIdle(this.#buckets.values());
    if (oldest !== null) this.#discard(oldest, 'evicted');
    return oldest !== null;
  }

  // Opening, checking, closing

  #open(bucket: Bucket<C>): void {
    bucket.opening++;
    this.#total++;
    let entry: Entry<C> | null = null;
    let closed = false;
    const onClosed = (): void => {
      closed = true;
      if (entry !== null) this.#gone(entry);
    };
    this.#options.open(bucket.key, onClosed).then(
      (conversation) => {
        bucket.opening--;
        bucket.failures = 0;
        const isSurplus = this.isSingle && bucket.entries.length > 0;
        if (this.#closed || !this.#isCurrent(bucket) || isSurplus || closed) {
          this.#total--;
          conversation.close(this.#closed ? 'shutdown' : 'single');
          this.#serve(this.#bucket(this.#singleKey ?? bucket.key));
          return;
        }
        const now = this.#options.clock.now();
        entry = {
          conversation,
          bucket,
          inFlight: 0,
          exclusive: false,
          checking: false,
          used: false,
          idleSince: now,
          openedAt: now,
          boundTo: null,
        };
        bucket.entries.unshift(entry);
        this.#serve(bucket);
        if (entry.inFlight === 0) this.#becameIdle(entry);
      },
      (thrown: unknown) => {
        bucket.opening--;
        bucket.failures++;
        this.#total--;
        this.#openFailed(bucket, asProxyError(thrown));
      },
    );
  }

  #openFailed(bucket: Bucket<C>, error: ProxyError): void {
    if (this.#isWarm(bucket)) this.#warmFailed();
    if (!this.#isCurrent(bucket)) {
      this.#forgetIfEmpty(bucket);
      return;
    }
    if (bucket.entries.length === 0 && bucket.opening === 0) {
      // Nothing to wait for: everybody hears why.
      for (const waiter of bucket.waiters.slice()) if (this.#leave(waiter)) waiter.take(error);
      this.#forgetIfEmpty(bucket);
      return;
    }
    // Others of this key live and may become free; the next attempt is not made at once.
    bucket.retry ??= this.#options.timers.after(this.#options.backoff(bucket.failures), () => {
      bucket.retry = null;
      this.#serve(bucket);
    });
  }

  #check(entry: Entry<C>): void {
    entry.checking = true;
    entry.conversation.ping(this.#options.config.pingTimeout).then(
      (alive) => {
        entry.checking = false;
        if (!alive) this.#discard(entry, 'lost');
        this.#serve(entry.bucket);
      },
      () => {
        entry.checking = false;
        this.#discard(entry, 'lost');
        this.#serve(entry.bucket);
      },
    );
  }

  #discard(entry: Entry<C>, reason: LinkCloseReason): void {
    if (!this.#take(entry)) return;
    entry.conversation.close(reason);
    this.#warm();
  }

  /** The conversation ended by itself. */
  #gone(entry: Entry<C>): void {
    if (!this.#take(entry)) return;
    if (this.#isWarm(entry.bucket)) {
      // An upstream that cuts every link at once must not be dialled at once either.
      if (this.#options.clock.now() - entry.openedAt < SHORT_LIFE_MS) this.#warmFailed();
      else this.#warmFailures = 0;
    }
    this.#warm();
    this.#serve(entry.bucket);
  }

  #move(entry: Entry<C>, to: Bucket<C>): void {
    entry.bucket.entries.splice(entry.bucket.entries.indexOf(entry), 1);
    entry.bucket = to;
    entry.exclusive = false;
    entry.boundTo = null;
    to.entries.push(entry);
  }

  #take(entry: Entry<C>): boolean {
    const at = entry.bucket.entries.indexOf(entry);
    if (at === -1) return false;
    entry.bucket.entries.splice(at, 1);
    this.#total--;
    return true;
  }

  // The warm ones and the idle ones

  #isWarm(bucket: Bucket<C>): boolean {
    return this.#warmKey !== null && bucket.key.text === this.#warmKey.text;
  }

  #warm(): void {
    if (this.#warmKey === null || this.#closed || this.#warmTimer !== null) return;
    const bucket = this.#bucket(this.#warmKey);
    const wanted = Math.min(this.#options.config.min, this.isSingle ? 1 : this.#options.config.max);
    for (
      let have = bucket.entries.length + bucket.opening;
      have < wanted && this.#total < this.#options.config.maxTotal;
      have++
    ) {
      this.#open(bucket);
    }
    this.#forgetIfEmpty(bucket);
  }

  #warmFailed(): void {
    if (this.#warmTimer !== null || this.#closed) return;
    this.#warmFailures++;
    this.#warmTimer = this.#options.timers.after(this.#options.backoff(this.#warmFailures), () => {
      this.#warmTimer = null;
      this.#warm();
    });
  }

  #becameIdle(entry: Entry<C>): void {
    entry.idleSince = this.#options.clock.now();
    if (this.#sweep === null) this.#sweepAfter(this.#options.config.idleTimeout);
  }

  #sweepAfter(ms: number): void {
    this.#sweep = this.#options.timers.after(ms, () => {
      this.#sweep = null;
      this.#closeIdle();
    });
  }

  #closeIdle(): void {
    const { config, clock } = this.#options;
    const now = clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const bucket of this.#buckets.values()) {
      let keep = this.#isWarm(bucket) ? config.min : 0;
      for (const entry of bucket.entries.slice()) {
        // The most recently used ones stay: they come first.
        if (keep-- > 0 || entry.inFlight > 0 || entry.checking) continue;
        const due = entry.idleSince + config.idleTimeout;
        if (due <= now) this.#discard(entry, 'idle');
        else next = Math.min(next, due);
      }
      this.#forgetIfEmpty(bucket);
    }
    if (next < Number.POSITIVE_INFINITY && this.#sweep === null) this.#sweepAfter(next - now);
  }

  #leave(waiter: Waiter<C>): boolean {
    const { waiters } = waiter.bucket;
    const at = waiters.indexOf(waiter);
    if (at === -1) return false;
    waiters.splice(at, 1);
    waiter.timer?.cancel();
    this.#waiting--;
    return true;
  }

  #bucket(key: LinkKey): Bucket<C> {
    let bucket = this.#buckets.get(key.text);
    if (bucket === undefined) {
      bucket = { key, entries: [], waiters: [], opening: 0, retry: null, failures: 0 };
      this.#buckets.set(key.text, bucket);
    }
    return bucket;
  }

  #forgetIfEmpty(bucket: Bucket<C>): void {
    if (bucket.entries.length > 0 || bucket.waiters.length > 0 || bucket.opening > 0) return;
    bucket.retry?.cancel();
    bucket.retry = null;
    this.#buckets.delete(bucket.key.text);
  }
}

function toFront<T>(items: T[], item: T): void {
  if (items[0] === item) return;
  items.splice(items.indexOf(item), 1);
  items.unshift(item);
}
