// Who is calling, as far as authentication tells. It is the unit of isolation: sessions, links and leases are bound to it.

export interface Principal {
  /** Stable text, unique per caller; goes into link keys and sealed tokens, never to an upstream. */
  readonly key: string;
  /** What it was let in for: who is still let in by it is compared when that changes. Stays in this process. */
  readonly proof: string;
}

/** Without authentication callers cannot be told apart: all of them are this one. */
export const ANYONE: Principal = { key: 'anyone', proof: '' };

/**
 * Headers that authenticate us to an upstream, and a fingerprint by which links are told apart.
 * The header values never appear in a log, an error or a metric; the fingerprint may.
 */
export interface UpstreamCredential {
  readonly headers: Readonly<Record<string, string>>;
  readonly fingerprint: string;
}

export const NO_CREDENTIAL: UpstreamCredential = { headers: {}, fingerprint: 'none' };
