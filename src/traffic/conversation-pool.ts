// Warm conversations and who may use them: leases, shared or exclusive, bounded per key and in all, most recently used
// first, with a waiting line. A lease is the only way to a pooled conversation.

import type { LinkConfig } from '../config/schema.ts';
import { type ErrorCode, ProxyError, asProxyError, isCredentialRefusal, noLongerServed } from '../domain/errors.ts';
import type { Limit } from '../domain/limits.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Clock, Timer, Timers } from '../domain/ports.ts';
import { type Principal, inboundKeyOf } from '../domain/principal.ts';
import type { LinkCloseReason } from '../domain/states.ts';
import type { LinkKey } from '../upstream/link-key.ts';
import { KeptLinks } from './kept-links.ts';
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
  roomFor,
} from './lease-rules.ts';
import { Retry } from './retry.ts';

export interface PoolOptions<C extends Poolable> {
  /** Opens a conversation, for which somebody waits by then or nobody; `onClosed` is told once when it is over for a reason that is not the pool's. */
  readonly open: (key: LinkKey, isAwaited: () => boolean, onClosed: () => void) => Promise<C>;
  /** Why none can be opened for now; null: one can be tried. */
  readonly refusal: () => ProxyError | null;
  readonly config: LinkConfig;
  /** Why the caller of this key cannot have one more link, whatever is free; null: he can. */
  readonly overBudget: (key: LinkKey) => ProxyError | null;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Told when somebody has waited for 1.5 s: what is held for nobody should make room. */
  readonly onLongWait: (key: LinkKey) => void;
  /** The upstream does not take the credential of this key. */
  readonly onRefused: (key: LinkKey) => void;
  /** Milliseconds before the n-th attempt in a row to open the warm links again. */
  readonly backoff: (attempt: number) => number;
}

/** A link that ends sooner than this after it opened counts as one that failed to open. */
const SHORT_LIFE_MS = 5000;
const LONG_WAIT_MS = 1500;
/** Nothing of the caller's request was sent. */
const NOT_SENT = { outcome: 'not_executed' } as const;
/** Which of them it was depends on what others hold: all are named. */
const BOUND = 'links.max, links.maxTotal, links.maxInFlight and budgets.links bound what is free';

export class ConversationPool<C extends Poolable> {
  readonly #options: PoolOptions<C>;
  readonly #buckets = new Map<string, Bucket<C>>();
  /** Open or opening, over all keys. */
  #total = 0;
  #waiting = 0;
  readonly #kept = new KeptLinks(() => this.#retry());
  #sweep: Timer | null = null;
  /** Set for good once the mount runs on one link: the only key from then on. */
  #singleKey: LinkKey | null = null;
  #closed = false;
  #isSettling = false;
  #isUnsettled = false;

  constructor(options: PoolOptions<C>) {
    this.#options = options;
  }

  /** Links that are open, over all keys. */
  get openCount(): number {
    let count = 0;
    for (const bucket of this.#buckets.values()) count += bucket.entries.length;
    return count;
  }

  /** Callers in line, over all keys. */
  get waitingCount(): number {
    return this.#waiting;
  }

  /** How often a link that is kept open could not be opened, in a row, where the next attempt waits; 0: none waits. */
  get failedOpenings(): number {
    const waiting = [...this.#kept.all].filter(({ retry }) => retry.isWaiting);
    return Math.max(0, ...waiting.map(({ retry }) => retry.failures));
  }

  /** Of this key alone. */
  openOf({ text }: LinkKey): number {
    return this.#buckets.get(text)?.entries.length ?? 0;
  }

  get isSingle(): boolean {
    return this.#singleKey !== null;
  }

  /** Keeps so many conversations of this key open, for as long as it takes: until what is returned is called. */
  keepWarm(key: LinkKey, count: number): () => void {
    const release = this.#kept.keep(this.#singleKey ?? key, count);
    this.#settle();
    return () => {
      release();
      this.#sweepLater();
    };
  }

  /** Somebody has waited for longer than he should, and could have the place of a link of this key. */
  hasLongWaiter({ text }: LinkKey): boolean {
    const own = this.#buckets.get((this.#singleKey ?? { text }).text);
    return [...this.#buckets.values()].some(
      (bucket) =>
        (bucket === own || this.isCrowdedOut(bucket.key)) && bucket.waiters.some(({ hasWaitedLong }) => hasWaitedLong),
    );
  }

  /** Links of other keys leave no room for one more of this key. */
  isCrowdedOut({ text }: LinkKey): boolean {
    const bucket = this.#buckets.get(text);
    return bucket !== undefined && this.#total >= this.#options.config.maxTotal && roomFor(bucket, this.#rules) > 0;
  }

  /** From now on one conversation serves every key: `keep`, if it is one of ours. The others end when they are free. */
  becomeSingle(key: LinkKey, keep: C | null): void {
    if (this.#singleKey !== null || this.#closed) return;
    this.#singleKey = key;
    this.#kept.moveTo(key);
    const single = this.#bucket(key);
    const entries = [...this.#buckets.values()].flatMap((bucket) => bucket.entries);
    // Only one that declared what the single one has to: it is to carry the questions of everybody's calls.
    const open = entries.filter(
      ({ conversation, bucket }) => conversation.isOpen && bucket.key.profile.key === key.profile.key,
    );
    const kept = open.find(({ conversation }) => conversation === keep) ?? open[0];
    for (const entry of entries) {
      if (entry === kept) this.#move(entry, single);
      else entry.leaving = true;
      if (entry.leaving && entry.inFlight === 0) this.#discard(entry, 'single');
    }
    for (const bucket of this.#buckets.values()) {
      bucket.retry.stop();
      if (bucket === single) continue;
      const waiters = bucket.waiters.splice(0);
      for (const waiter of waiters) waiter.bucket = single;
      single.waiters.push(...waiters);
    }
    this.#settle();
  }

  /**
   * Hands a lease to `take`, at once where there is one, else when one is free; or the reason why not. What is returned
   * gives the place in the line up.
   */
  lease(request: LeaseRequest, take: Taker<C>): () => void {
    if (this.#closed) {
      take(noLongerServed());
      return () => {};
    }
    const bucket = this.#bucket(this.#singleKey ?? request.key);
    const entry = bucket.waiters.length === 0 ? choose(bucket, request, this.#rules).entry : null;
    if (entry !== null) {
      take(this.#grant(entry, request));
      return () => {};
    }
    const refusal = hasLinks(bucket) ? null : this.#options.refusal();
    if (refusal !== null) {
      this.#forgetIfEmpty(bucket);
      take(refusal);
      return () => {};
    }
    const { maxQueue, maxTotal, queueTimeout } = this.#options.config;
    if (this.#waiting - comingCapacity(bucket, request, this.#rules, maxTotal - this.#total) >= maxQueue) {
      this.#forgetIfEmpty(bucket);
      take(outOfLinks('queue_full', 'links.maxQueue', 'too many callers wait for a link'));
      return () => {};
    }
    const { timers } = this.#options;
    const waiter: Waiter<C> = { request, take, bucket, timer: null, impatience: null, hasWaitedLong: false };
    waiter.impatience = timers.after(LONG_WAIT_MS, () => {
      waiter.hasWaitedLong = true;
      this.#options.onLongWait(waiter.bucket.key);
    });
    waiter.timer = timers.after(queueTimeout, () => {
      if (!this.#leave(waiter)) return;
      const isOpening = waiter.bucket.opening > 0 && !hasLinks(waiter.bucket);
      take(
        isOpening
          ? overLimit(
              'upstream_unavailable',
              'links.queueTimeout',
              'the upstream did not open a link in time',
              NOT_SENT,
            )
          : outOfLinks('queue_timeout', 'links.queueTimeout', 'no link became free in time'),
      );
    });
    bucket.waiters.push(waiter);
    this.#waiting++;
    this.#settle();
    return () => {
      if (this.#leave(waiter)) this.#settle();
    };
  }

  /** Makes room in the budget of a caller by closing a link of his that nobody uses or wants open. False: there is none. */
  closeIdleOf(holder: Principal): boolean {
    const spare = [...this.#buckets.values()].filter(
      ({ key, entries }) =>
        key.holder !== null &&
        inboundKeyOf(key.holder) === inboundKeyOf(holder) &&
        entries.length > this.#kept.count(key),
    );
    const idle = longestIdle(spare);
    if (idle !== null) this.#discard(idle, 'evicted');
    return idle !== null;
  }

  /** Ends everything, what is in use included. */
  close(): void {
    this.#closed = true;
    this.#kept.stop();
    this.#sweep?.cancel();
    for (const bucket of this.#buckets.values()) {
      bucket.retry.stop();
      for (const waiter of bucket.waiters.slice()) {
        if (this.#leave(waiter)) waiter.take(noLongerServed());
      }
      for (const entry of bucket.entries.slice()) this.#discard(entry, 'shutdown');
    }
  }

  // Granting

  get #rules(): LeaseRules {
    return { config: this.#options.config, isSingle: this.isSingle };
  }

  #grant(entry: Entry<C>, request: LeaseRequest): Lease<C> {
    const { exclusive, mayAskBack } = request;
    entry.inFlight++;
    entry.used = true;
    if (mayAskBack) entry.asking++;
    if (mayAskBack && !exclusive) entry.wasShared = true;
    // On the only link it is a matter of those alone that the upstream may ask something.
    const isAlone = exclusive && (mayAskBack || !this.isSingle);
    if (isAlone) entry.exclusive = true;
    if (exclusive && !this.isSingle) entry.boundTo = request.principal;
    toFront(entry.bucket.entries, entry);
    let released = false;
    return {
      conversation: entry.conversation,
      release: (how) => {
        if (released) return;
        released = true;
        if (mayAskBack) entry.asking--;
        if (isAlone) entry.exclusive = false;
        this.#release(entry, how);
      },
    };
  }

  #release(entry: Entry<C>, how: 'reuse' | 'retire'): void {
    entry.inFlight--;
    const isSpent = how === 'retire' || this.#options.config.isolation === 'request';
    if (isSpent && !this.isSingle) this.#discard(entry, 'retired');
    else if (entry.leaving && entry.inFlight === 0) this.#discard(entry, 'single');
    else if (entry.inFlight === 0) this.#becameIdle(entry);
    // Nobody waits, and nothing is missing, on the way that nearly every call takes.
    if (this.#waiting > 0 || !entry.conversation.isOpen) this.#settle();
  }

  /**
   * The one answer to every change: who waits is served, what is missing is opened, first for those who wait, then to
   * stay warm. A change that this brings about makes it look again.
   */
  #settle(): void {
    this.#isUnsettled = true;
    if (this.#isSettling || this.#closed) return;
    this.#isSettling = true;
    try {
      while (this.#isUnsettled) {
        this.#isUnsettled = false;
        for (const bucket of this.#buckets.values()) {
          this.#serve(bucket);
          this.#openMissing(bucket);
        }
        this.#warm();
        for (const bucket of this.#buckets.values()) this.#forgetIfEmpty(bucket);
      }
    } finally {
      this.#isSettling = false;
    }
  }

  /** Gives what is free to those who wait, in their order, and pings what may be free. */
  #serve(bucket: Bucket<C>): void {
    let checks = bucket.entries.filter(({ checking }) => checking).length;
    let wanted = 0;
    let sharedBlocked = false;
    let askingBlocked = false;
    for (const waiter of bucket.waiters.slice()) {
      const { exclusive, mayAskBack } = waiter.request;
      if (this.isSingle ? mayAskBack && askingBlocked : !exclusive && sharedBlocked) continue;
      const { entry, doubtful } = choose(bucket, waiter.request, this.#rules);
      if (entry !== null) {
        if (this.#leave(waiter)) waiter.take(this.#grant(entry, waiter.request));
        continue;
      }
      // One ping serves all who share; each who must be alone needs one of its own.
      wanted++;
      sharedBlocked ||= !exclusive;
      // Who must be alone would wait for ever if those behind him went first.
      askingBlocked ||= mayAskBack;
      if (doubtful !== null && checks < wanted) {
        checks++;
        this.#check(doubtful);
      }
    }
  }

  // Opening, checking, closing

  #openMissing(bucket: Bucket<C>): void {
    if (bucket.waiters.length === 0) return;
    // With nothing left that could become free, the back-off would only keep them from hearing why.
    if (!hasLinks(bucket) && bucket.opening === 0) bucket.retry.stop();
    if (bucket.retry.isWaiting) return;
    for (let missing = linksMissing(bucket, this.#rules); missing > 0 && this.#makeRoom(bucket); missing--) {
      this.#open(bucket);
    }
    if (hasLinks(bucket) || bucket.opening > 0) return;
    // The caller holds all that he may elsewhere: to wait here would be for nothing.
    const refusal = this.#options.overBudget(bucket.key);
    if (refusal === null) return;
    for (const waiter of bucket.waiters.slice()) if (this.#leave(waiter)) waiter.take(refusal);
  }

  /** Room for one more link of this key and in all, made by closing an idle one if need be. */
  #makeRoom(bucket: Bucket<C>): boolean {
    if (!this.#mayHaveMore(bucket.key)) return false;
    const isCrowded = roomFor(bucket, this.#rules) <= 0;
    if (!isCrowded && this.#total < this.#options.config.maxTotal) return true;
    // What is idle here none of those who wait may have: it belongs to another principal.
    const idle = this.isSingle && isCrowded ? null : longestIdle(isCrowded ? [bucket] : this.#buckets.values());
    if (idle !== null) this.#discard(idle, 'evicted');
    return idle !== null;
  }

  /** Within the budget of its caller, in which an idle one makes room if need be. */
  #mayHaveMore(key: LinkKey): boolean {
    if (this.#options.overBudget(key) === null) return true;
    return key.holder !== null && this.closeIdleOf(key.holder) && this.#options.overBudget(key) === null;
  }

  #open(bucket: Bucket<C>): void {
    bucket.opening++;
    this.#total++;
    let entry: Entry<C> | null = null;
    let isOver = false;
    const onClosed = (): void => {
      isOver = true;
      if (entry !== null) this.#gone(entry);
    };
    this.#options
      .open(bucket.key, () => bucket.waiters.length > 0, onClosed)
      .then(
        (conversation) => {
          bucket.opening--;
          this.#total--;
          if (isOver) {
            this.#openFailed(bucket, new ProxyError('upstream_session_lost', 'the link closed as soon as it was open'));
          } else if (this.#closed || roomFor(bucket, this.#rules) <= 0 || !this.#isCurrent(bucket)) {
            conversation.close(this.#closed ? 'shutdown' : 'single');
          } else {
            entry = this.#enter(bucket, conversation);
          }
          this.#settle();
        },
        (thrown: unknown) => {
          bucket.opening--;
          this.#total--;
          this.#openFailed(bucket, asProxyError(thrown));
          this.#settle();
        },
      );
  }

  #enter(bucket: Bucket<C>, conversation: C): Entry<C> {
    bucket.retry.succeeded();
    const now = this.#options.clock.now();
    const entry: Entry<C> = {
      conversation,
      bucket,
      openedAt: now,
      inFlight: 0,
      exclusive: false,
      asking: 0,
      checking: false,
      proven: false,
      leaving: false,
      wasShared: false,
      used: false,
      idleSince: now,
      boundTo: null,
    };
    bucket.entries.unshift(entry);
    this.#total++;
    this.#becameIdle(entry);
    return entry;
  }

  #openFailed(bucket: Bucket<C>, error: ProxyError): void {
    if (this.#closed) return;
    this.#kept.of(bucket.key)?.retry.failed();
    // What is kept for its callers is kept no more: it would only be asked again and again.
    if (isCredentialRefusal(error)) this.#options.onRefused(bucket.key);
    const isHopeless = !hasLinks(bucket) && bucket.opening === 0;
    // Where others of this key live and may become free, the next attempt is not made at once.
    bucket.retry.failed(!isHopeless && bucket.waiters.length > 0);
    if (!isHopeless) return;
    // Nothing to wait for: everybody hears why.
    for (const waiter of bucket.waiters.slice()) if (this.#leave(waiter)) waiter.take(error);
  }

  #check(entry: Entry<C>): void {
    entry.checking = true;
    const answered = (isAlive: boolean): void => {
      entry.checking = false;
      if (!isAlive) this.#discard(entry, 'lost');
      entry.proven = isAlive;
      this.#settle();
      entry.proven = false;
      if (entry.inFlight === 0) this.#sweepLater();
    };
    entry.conversation.ping(this.#options.config.pingTimeout).then(answered, () => answered(false));
  }

  #discard(entry: Entry<C>, reason: LinkCloseReason): void {
    if (!this.#take(entry)) return;
    entry.conversation.close(reason);
    this.#isUnsettled = true;
  }

  /** The conversation ended by itself. */
  #gone(entry: Entry<C>): void {
    if (!this.#take(entry)) return;
    const kept = this.#kept.of(entry.bucket.key);
    // An upstream that cuts every link at once must not be dialled at once either.
    if (this.#options.clock.now() - entry.openedAt >= SHORT_LIFE_MS) kept?.retry.succeeded();
    else if (!this.#closed) kept?.retry.failed();
    this.#settle();
  }

  #move(entry: Entry<C>, to: Bucket<C>): void {
    entry.bucket.entries.splice(entry.bucket.entries.indexOf(entry), 1);
    entry.bucket = to;
    entry.boundTo = null;
    to.entries.unshift(entry);
  }

  #take(entry: Entry<C>): boolean {
    const at = entry.bucket.entries.indexOf(entry);
    if (at === -1) return false;
    entry.bucket.entries.splice(at, 1);
    this.#total--;
    return true;
  }

  // The warm ones and the idle ones

  #isCurrent(bucket: Bucket<C>): boolean {
    return this.#singleKey === null || bucket.key.text === this.#singleKey.text;
  }

  #warm(): void {
    const { maxTotal } = this.#options.config;
    for (const { key, retry } of this.#kept.all) {
      if (retry.isWaiting) continue;
      const bucket = this.#bucket(key);
      const least = this.#kept.count(key);
      while (
        bucket.entries.length + bucket.opening < least &&
        roomFor(bucket, this.#rules) > 0 &&
        this.#total < maxTotal &&
        this.#options.overBudget(key) === null
      ) {
        this.#open(bucket);
      }
    }
  }

  #becameIdle(entry: Entry<C>): void {
    entry.idleSince = this.#options.clock.now();
    this.#sweepLater();
  }

  #sweepLater(): void {
    if (this.#sweep === null && !this.#closed) this.#sweepAfter(this.#options.config.idleTimeout);
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
      let keep = this.#kept.count(bucket.key);
      for (const entry of bucket.entries.slice()) {
        // The most recently used ones stay: they come first.
        if (keep-- > 0 || entry.inFlight > 0 || entry.checking) continue;
        const due = entry.idleSince + config.idleTimeout;
        if (due <= now) this.#discard(entry, 'idle');
        else next = Math.min(next, due);
      }
    }
    if (next < Number.POSITIVE_INFINITY) this.#sweepAfter(next - now);
    this.#settle();
  }

  #leave(waiter: Waiter<C>): boolean {
    const { waiters } = waiter.bucket;
    const at = waiters.indexOf(waiter);
    if (at === -1) return false;
    waiters.splice(at, 1);
    waiter.timer?.cancel();
    waiter.impatience?.cancel();
    this.#waiting--;
    return true;
  }

  #retry(): Retry {
    return new Retry(this.#options.timers, this.#options.backoff, () => this.#settle());
  }

  #bucket(key: LinkKey): Bucket<C> {
    let bucket = this.#buckets.get(key.text);
    if (bucket === undefined) {
      bucket = { key, entries: [], waiters: [], opening: 0, retry: this.#retry() };
      this.#buckets.set(key.text, bucket);
    }
    return bucket;
  }

  #forgetIfEmpty(bucket: Bucket<C>): void {
    if (bucket.entries.length > 0 || bucket.waiters.length > 0 || bucket.opening > 0) return;
    bucket.retry.stop();
    this.#buckets.delete(bucket.key.text);
  }
}

/** Links that could become free for somebody. */
function hasLinks<C extends Poolable>(bucket: Bucket<C>): boolean {
  return bucket.entries.some(({ leaving }) => !leaving);
}

/** Behind the key that was met stand those that bound what is free. */
function outOfLinks(code: ErrorCode, limit: Limit, text: string): ProxyError {
  return new ProxyError(code, `${text} (${limit}): ${BOUND}`, { ...NOT_SENT, limit });
}

function toFront<T>(items: T[], item: T): void {
  if (items[0] === item) return;
  const at = items.indexOf(item);
  if (at === -1) return;
  items.splice(at, 1);
  items.unshift(item);
}
