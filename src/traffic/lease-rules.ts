// Who may have which pooled conversation, and how many links are missing: the decisions of the pool, as functions of
// what it holds. Nothing here opens, closes or waits.

import type { LinkConfig } from '../config/schema.ts';
import type { ProxyError } from '../domain/errors.ts';
import type { Timer } from '../domain/ports.ts';
import type { LinkCloseReason } from '../domain/states.ts';
import type { Principal } from '../domain/principal.ts';
import type { CapabilityProfile } from '../protocol/capability-profile.ts';
import type { MethodRow } from '../protocol/methods.ts';
import type { LinkKey } from '../upstream/link-key.ts';
import type { Retry } from './retry.ts';

/** The part of a conversation that the pool looks at. */
export interface Poolable {
  readonly isOpen: boolean;
  isDoubtful(pingIntervalMs: number): boolean;
  ping(timeoutMs: number): Promise<boolean>;
  close(reason: LinkCloseReason): void;
}

export interface Lease<C extends Poolable> {
  readonly conversation: C;
  /** Idempotent. `retire`: something of this caller may be left on it, so nobody gets it again. */
  release(how: 'reuse' | 'retire'): void;
}

/** A caller who wants a place on a pooled link. */
export interface Want {
  readonly principal: Principal;
  readonly profile: CapabilityProfile;
  readonly exclusive: boolean;
  readonly mayAskBack: boolean;
}

export interface LeaseRequest {
  readonly key: LinkKey;
  /** One call at a time: for calls that the upstream may answer with a question, of callers who could answer it. */
  readonly exclusive: boolean;
  /** The upstream may answer the call with a question, whoever asks. */
  readonly mayAskBack: boolean;
  readonly principal: string;
}

export type Taker<C extends Poolable> = (result: Lease<C> | ProxyError) => void;

export interface Entry<C extends Poolable> {
  readonly conversation: C;
  /** Changes once at most: when the mount becomes single. */
  bucket: Bucket<C>;
  readonly openedAt: number;
  inFlight: number;
  exclusive: boolean;
  /** Of those in flight, the ones that the upstream may answer with a question. */
  asking: number;
  /** A ping is under way; nobody gets it before that is answered. */
  checking: boolean;
  /** It has just answered a ping: not doubted again before those who waited for that have had their turn. */
  proven: boolean;
  /** The mount runs on another link now: nobody gets it any more, and it ends with its last call. */
  leaving: boolean;
  /** Calls that many made at once have run here: what they left behind must not meet a call that is alone. */
  wasShared: boolean;
  used: boolean;
  idleSince: number;
  /** The principal of its exclusive leases: it goes to no other, whose prompts a stray question could reach. */
  boundTo: string | null;
}

export interface Waiter<C extends Poolable> {
  readonly request: LeaseRequest;
  readonly take: Taker<C>;
  bucket: Bucket<C>;
  timer: Timer | null;
  impatience: Timer | null;
  hasWaitedLong: boolean;
}

export interface Bucket<C extends Poolable> {
  readonly key: LinkKey;
  /** Most recently used first. */
  readonly entries: Entry<C>[];
  readonly waiters: Waiter<C>[];
  opening: number;
  /** Of opening links for those who wait, after one could not be opened while others live. */
  readonly retry: Retry;
}

/** A call that the upstream may answer with a question. Where nothing is declared, nothing can be asked. */
export function needsToBeAlone(row: MethodRow, profile: CapabilityProfile): boolean {
  return row.mayAskBack === true && profile.members.size > 0;
}

export interface LeaseRules {
  readonly config: LinkConfig;
  /** One link for everything: then no lease is exclusive, and nothing is retired. */
  readonly isSingle: boolean;
}

export interface Choice<C extends Poolable> {
  readonly entry: Entry<C> | null;
  /** Passed over because nobody knows whether it lives: worth a ping. */
  readonly doubtful: Entry<C> | null;
}

/** The most recently used conversation that this caller may have: one who works in sequence stays on one session. */
export function choose<C extends Poolable>(bucket: Bucket<C>, request: LeaseRequest, rules: LeaseRules): Choice<C> {
  const { config, isSingle } = rules;
  let doubtful: Entry<C> | null = null;
  for (const entry of bucket.entries) {
    if (!entry.conversation.isOpen || entry.checking || entry.leaving) continue;
    if (isSingle) {
      // Everybody is on this one. A question belongs to the only call that may ask back, so where somebody could
      // answer one, there must be only one such call; all others run freely.
      if (request.mayAskBack && (entry.exclusive || (request.exclusive && entry.asking > 0))) continue;
      if (entry.inFlight >= config.maxInFlight) continue;
    } else if (entry.exclusive || (config.isolation === 'request' && entry.used)) {
      continue;
    } else if (request.exclusive) {
      if (entry.inFlight > 0 || entry.wasShared || (entry.boundTo !== null && entry.boundTo !== request.principal))
        continue;
    } else if (entry.inFlight >= config.maxInFlight) {
      continue;
    }
    const isTrusted = entry.inFlight > 0 || entry.proven || !entry.conversation.isDoubtful(config.pingInterval);
    if (isTrusted) return { entry, doubtful: null };
    doubtful ??= entry;
  }
  return { entry: null, doubtful };
}

/** How many more links those who wait need, beyond what is being opened or pinged for them. */
export function linksMissing<C extends Poolable>(bucket: Bucket<C>, rules: LeaseRules): number {
  let alone = 0;
  let together = 0;
  for (const { request } of bucket.waiters) {
    if (needsOwnLink(request, rules)) alone++;
    else together++;
  }
  const coming = bucket.opening + bucket.entries.filter(({ checking }) => checking).length;
  return Math.max(0, alone + Math.ceil(together / rules.config.maxInFlight) - coming);
}

/** How many more links of this key there may be. */
export function roomFor<C extends Poolable>(bucket: Bucket<C>, { config, isSingle }: LeaseRules): number {
  return (isSingle ? 1 : config.max) - bucket.opening - bucket.entries.filter(({ leaving }) => !leaving).length;
}

/** How many of those who wait are served by what is being opened or pinged for this bucket, or still can be. */
export function comingCapacity<C extends Poolable>(
  bucket: Bucket<C>,
  request: LeaseRequest,
  rules: LeaseRules,
  roomInAll: number,
): number {
  const room = Math.max(0, Math.min(roomFor(bucket, rules), roomInAll));
  const idle = bucket.entries.filter(isIdle).length;
  return (bucket.opening + room + idle) * (needsOwnLink(request, rules) ? 1 : rules.config.maxInFlight);
}

/** The idle conversation that nobody has used for longest, to make room for another. */
export function longestIdle<C extends Poolable>(buckets: Iterable<Bucket<C>>): Entry<C> | null {
  let oldest: Entry<C> | null = null;
  for (const { entries } of buckets) {
    for (const entry of entries) {
      if (entry.checking || !isIdle(entry)) continue;
      if (oldest === null || entry.idleSince < oldest.idleSince) oldest = entry;
    }
  }
  return oldest;
}

function isIdle<C extends Poolable>(entry: Entry<C>): boolean {
  return entry.inFlight === 0 && !entry.leaving;
}

function needsOwnLink(request: LeaseRequest, { config, isSingle }: LeaseRules): boolean {
  return (request.exclusive || config.isolation === 'request') && !isSingle;
}
