// The store: whether it takes what it is to keep, and what of its settings could lose it.

import { type Finding, failed, ok, warning } from './report.ts';

/** Of its INFO, as far as it says so. */
export interface StoreServer {
  /** `Redis 7.2.4`, `Valkey 8.0.1`. */
  readonly name: string;
  /** Of the Redis whose commands it has. */
  readonly version: string;
  readonly mode: string;
  readonly role: string;
  /** 0: as much as there is. */
  readonly maxBytes: number;
  readonly usedBytes: number;
  /** What it does when that is full. */
  readonly policy: string;
  readonly evicted: number;
  readonly isPersistent: boolean;
  /** Of the last time that it wrote to its disk. */
  readonly hasSaved: boolean;
}

/** Who has written under the prefix. */
export type Mark = 'ours' | 'nobody' | 'foreign';

export type StoreFacts =
  | { readonly state: 'failed'; readonly why: string; readonly remedy: string }
  | {
      readonly state: 'up';
      readonly ms: number;
      /** Null: its user may not ask. */
      readonly server: StoreServer | null;
      /** Null: it is of no use. */
      readonly mark: Mark | null;
    }
  /** Time was up. */
  | { readonly state: 'late' };

/** Streams and scripts that write what they are given: the fifth has both. */
const LEAST_MAJOR = 5;
/** From there on it is full in the next peak. */
const NEARLY = 0.9;

export function storeFindings(facts: StoreFacts, prefix: string): Finding[] {
  if (facts.state === 'failed') return [failed('store', facts.why, facts.remedy)];
  if (facts.state === 'late') {
    return [failed('store', 'no answer in time', 'see whether it is paused or busy, or allow more with --timeout')];
  }
  const { server, ms, mark } = facts;
  const about = { ms };
  const marked = ofMark(mark, prefix);
  if (server === null) {
    const remedy = 'see to maxmemory-policy noeviction yourself, or allow INFO (ACL SETUSER … +info)';
    return [...marked, warning('store', 'answers, and does not let its user see its settings', remedy, about)];
  }
  const unfit = unfitness(server);
  if (unfit !== null) return [failed('store', `${server.name} ${unfit.seen}`, unfit.remedy, about)];
  const seen = `${server.name}, answers in ${Math.round(ms)} ms; ${afterRestart(server)}`;
  const losses = lossesOf(server);
  return [...(losses.length === 0 ? [ok('store', seen, about)] : losses), ...marked];
}

interface Unfit {
  readonly seen: string;
  readonly remedy: string;
}

/** Why nothing could be kept there, whatever is in it; null: it could. */
export function unfitness({ version, mode, role }: StoreServer): Unfit | null {
  if (Number.parseInt(version, 10) < LEAST_MAJOR) {
    return { seen: 'is too old', remedy: `it must be ${LEAST_MAJOR}.0 or later, or Valkey` };
  }
  if (mode === 'sentinel') {
    return {
      seen: 'is a sentinel, which keeps nothing',
      remedy: 'name the primary in store.url, or a name that follows it',
    };
  }
  if (mode === 'cluster') {
    const remedy = 'name one server in store.url, or a proxy that speaks for the cluster as one';
    return { seen: 'is one of a cluster, and answers for its part of the keys alone', remedy };
  }
  if (role !== 'master') {
    return { seen: 'is a copy, and takes no writes', remedy: 'name the primary in store.url' };
  }
  return null;
}

function lossesOf({ name, policy, maxBytes, usedBytes, evicted, hasSaved }: StoreServer): Finding[] {
  const losses: Finding[] = [];
  if (maxBytes > 0 && policy !== 'noeviction') {
    const so = evicted > 0 ? `, ${evicted} of them so far` : '';
    const seen = `${name} throws keys out when it is full (${policy})${so}: leases of sessions that are in use, too`;
    losses.push(
      warning('store', seen, 'set maxmemory-policy noeviction: the gateway goes on without a store that is full'),
    );
  }
  if (maxBytes > 0 && usedBytes > NEARLY * maxBytes) {
    const seen = `${name} is full to ${Math.round((100 * usedBytes) / maxBytes)} % (maxmemory)`;
    losses.push(warning('store', seen, 'raise maxmemory, or keep less: streams.maxBytes, streams.maxAge'));
  }
  if (!hasSaved) {
    const seen = `${name} could not write to its disk the last time, and may refuse writes for it`;
    losses.push(warning('store', seen, 'see its log and its disk (stop-writes-on-bgsave-error)'));
  }
  return losses;
}

/** Neither is wrong: what lives is written anew. */
function afterRestart({ isPersistent }: StoreServer): string {
  return isPersistent ? 'keeps what it has over a restart' : 'a restart of it takes with it what only it has';
}

function ofMark(mark: Mark | null, prefix: string): Finding[] {
  switch (mark) {
    case null:
    case 'ours':
      return [];
    case 'nobody':
      return [ok('store', `nobody has written under ${prefix} yet`)];
    case 'foreign':
      return [
        failed(
          'store',
          `another deployment, or one with another key, has written under ${prefix}`,
          'give store.prefix another name, or all of them the same secrets.current',
        ),
      ];
  }
}
