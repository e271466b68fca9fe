// Who is calling, as far as authentication tells. It is the unit of isolation: sessions, links and leases are bound to it.

export interface Principal {
  /** Stable text, unique per caller; goes into link keys and sealed tokens, never to an upstream. */
  readonly key: string;
  /** What it was let in for: who is still let in by it is compared when that changes. Stays in this process. */
  readonly proof: string;
  /** Who authentication says it is, where `key` says more than that. */
  readonly inboundKey?: string;
  /** What of the caller's own goes upstream with all that it asks; absent where nothing does. */
  readonly credential?: UpstreamCredential;
}

/** By which inbound knows a caller, whatever else he brings. */
export function inboundKeyOf({ key, inboundKey }: Principal): string {
  return inboundKey ?? key;
}

/** Without authentication callers cannot be told apart: all of them are this one. */
export const ANYONE: Principal = { key: 'anyone', proof: '' };

/**
 * Headers of a caller for an upstream, and a fingerprint by which links are told apart. Neither ever appears in a log, an
 * error or a metric.
 */
export interface UpstreamCredential {
  readonly headers: Readonly<Record<string, string>>;
  readonly fingerprint: string;
}

export const NO_CREDENTIAL: UpstreamCredential = { headers: {}, fingerprint: 'none' };
