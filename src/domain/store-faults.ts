// What can be asked of the store, what can become of it, and what can stand there that is not ours.

/** Why the store did not do what it was asked. */
export const STORE_FAULTS = {
  unreachable: {
    why: 'it cannot be reached, or the connection broke',
    remedy: 'see whether it runs, and whether store.url leads to it from here',
  },
  slow: {
    why: 'it did not answer within a second',
    remedy: 'see whether it is paused, saving, or busy with something slow (SLOWLOG GET)',
  },
  full: {
    why: 'its memory is full (OOM)',
    remedy: 'give it more memory (maxmemory), or keep less: streams.maxBytes, streams.maxAge, timeouts.sessionIdle',
  },
  read_only: {
    why: 'it takes no writes',
    remedy: 'name the primary in store.url, or see why it refuses writes (a full disk, a primary without replicas)',
  },
  denied: {
    why: 'it does not let us in, or not do what we need',
    remedy:
      'see user and password in store.url; the user needs: ACL SETUSER … ~PREFIX:* +@read +@write +@scripting +@connection',
  },
  loading: { why: 'it is still loading what it has saved', remedy: 'wait until it is done' },
  untrusted: {
    why: 'its certificate is not accepted',
    remedy: 'name the authority that it comes from in store.ca, and in store.url the host that it is for',
  },
  error: {
    why: 'it answered with an error',
    remedy: 'see its log; it must be Redis 5 or later, Valkey, or something that speaks as they do, with scripts',
  },
} as const satisfies Readonly<Record<string, { readonly why: string; readonly remedy: string }>>;

export type StoreFaultKind = keyof typeof STORE_FAULTS;

export class StoreFault extends Error {
  readonly kind: StoreFaultKind;

  constructor(kind: StoreFaultKind, cause?: unknown) {
    super(STORE_FAULTS[kind].why, { cause });
    this.name = 'StoreFault';
    this.kind = kind;
  }
}

/** What in the store was not ours to trust, and was passed over. */
export const STORE_REJECTS = {
  lease: 'who owns a session: not sealed by us for this place, or of another type',
  record: 'what a session is: not sealed by us for this place, too large, or of another type',
  event: 'an event of a session: not sealed by us for this place, or too large',
  liveness: 'the sign of life of a replica: not sealed by us for this place, or of another type',
  marker: 'the mark of the deployment: written by another one while this one ran',
} as const satisfies Readonly<Record<string, string>>;
export type StoreReject = keyof typeof STORE_REJECTS;

export const STORE_OPERATIONS = ['lease', 'alive', 'take', 'write', 'remove', 'renew', 'marker'] as const;
export type StoreOperation = (typeof STORE_OPERATIONS)[number];

/** `refused`: by what stands there, such as a lease that is another's. */
export type StoreOutcome = 'done' | 'refused' | StoreFaultKind;

export const TAKEOVER_OUTCOMES = [
  'taken',
  'alive',
  'lost_race',
  'nothing_kept',
  'no_room',
  'store_unavailable',
] as const;
export type TakeoverOutcome = (typeof TAKEOVER_OUTCOMES)[number];
