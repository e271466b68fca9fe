// What has gone wrong of late, for whoever looks: of each kind the last one, and how often. Kinds are few, so a flood of one
// of them hides no other; those that have not been seen for longest make room.

import { redactedUrlsIn } from '../config/redacted-url.ts';
import { ERRORS, type ErrorCode } from '../domain/errors.ts';
import type { Limit } from '../domain/limits.ts';
import type { Fact, Journal } from '../domain/ports.ts';

export interface RecentError {
  /** `configuration`: a file that could not be read anew. */
  readonly reason: ErrorCode | 'configuration';
  /** The upstream that it concerns; null: none of them. */
  readonly upstream: string | null;
  /** Where a request was refused before it was known what it asks for; null: nothing of that kind. */
  readonly listener: 'main' | 'admin' | 'peers' | null;
  /** What `count` counts. `gateway`: it was ours alone. */
  readonly of: 'request' | 'link' | 'gateway';
  /** Of the last one. */
  readonly says: string;
  readonly limit: Limit | null;
  readonly upstreamStatus: number | null;
  readonly remedy: string;
  readonly count: number;
  /** Milliseconds since 1970. */
  readonly firstAt: number;
  readonly lastAt: number;
}

type Seen = Pick<RecentError, 'reason' | 'upstream' | 'listener' | 'of'> & {
  readonly says: string;
  readonly limit?: Limit | undefined;
  readonly upstreamStatus?: number | undefined;
};

interface Kept {
  last: Seen;
  count: number;
  readonly firstAt: number;
  lastAt: number;
}

const MAX_KINDS = 50;
/** What is said may repeat what somebody sent. */
const MAX_TEXT = 300;
const OF_CONFIGURATION = 'mend what it names and reload: until then everything stays as it was';

export class RecentErrors implements Journal {
  readonly #kinds = new Map<string, Kept>();
  readonly #wallMs: () => number;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** The last one first. */
  get all(): readonly RecentError[] {
    return [...this.#kinds.values()]
      .toSorted((left, right) => right.lastAt - left.lastAt)
      .map(({ last: { reason, upstream, listener, of, says, limit, upstreamStatus }, count, firstAt, lastAt }) => ({
        reason,
        upstream,
        listener,
        of,
        says: redactedUrlsIn(says),
        limit: limit ?? null,
        upstreamStatus: upstreamStatus ?? null,
        remedy: reason === 'configuration' ? OF_CONFIGURATION : ERRORS[reason].remedy,
        count,
        firstAt,
        lastAt,
      }));
  }

  record(fact: Fact): void {
    // Nearly all facts are none.
    const seen = errorIn(fact);
    if (seen === null) return;
    const { reason, upstream, listener, of } = seen;
    const now = this.#wallMs();
    const key = `${reason} ${of} ${listener ?? ''} ${upstream ?? ''}`;
    const last = { ...seen, says: seen.says.slice(0, MAX_TEXT) };
    const kept = this.#kinds.get(key);
    if (kept === undefined) {
      if (this.#kinds.size >= MAX_KINDS) this.#forgetOldest();
      this.#kinds.set(key, { last, count: 1, firstAt: now, lastAt: now });
      return;
    }
    kept.last = last;
    kept.count++;
    kept.lastAt = now;
  }

  #forgetOldest(): void {
    let oldest: readonly [string, Kept] | null = null;
    for (const each of this.#kinds) if (oldest === null || each[1].lastAt < oldest[1].lastAt) oldest = each;
    if (oldest !== null) this.#kinds.delete(oldest[0]);
  }
}

/** An answer of the server that is an error is none of ours; of an outage the links that could not be opened tell. */
function errorIn(fact: Fact): Seen | null {
  switch (fact.fact) {
    case 'exchange':
    case 'passthrough': {
      const { upstream, reason, why: says = '', limit, upstreamStatus } = fact;
      return reason === undefined ? null : { ...REQUEST, reason, upstream, says, limit, upstreamStatus };
    }
    case 'refused': {
      const { reason, listener = 'main', why: says, limit } = fact;
      // What replicas tell each other of sessions that have ended.
      if (reason === 'not_owner') return null;
      return { ...REQUEST, reason, listener, says, limit };
    }
    case 'link_failed': {
      const { reason, upstream, why: says, limit, upstreamStatus } = fact;
      return { ...LINK, reason, upstream, says, limit, upstreamStatus };
    }
    case 'link_closed': {
      const { reason, upstream, why: says = '' } = fact;
      return reason === 'lost' ? { ...LINK, reason: 'upstream_session_lost', upstream, says } : null;
    }
    case 'fault':
      return { ...OURS, reason: 'internal_error', upstream: fact.upstream, says: 'met where nobody waited' };
    case 'reload_failed':
      return { ...OURS, reason: 'configuration', says: fact.why };
    case 'keys_unread':
    case 'keys_unusable':
      return { ...OURS, reason: 'keys_unavailable', says: fact.why };
    default:
      return null;
  }
}

const REQUEST = { of: 'request', upstream: null, listener: null } as const;
const LINK = { of: 'link', listener: null } as const;
const OURS = { of: 'gateway', upstream: null, listener: null } as const;
