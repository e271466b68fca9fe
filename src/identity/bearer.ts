// Who calls, by a key of a configured list. Only digests of the keys are known here.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Principal } from '../domain/principal.ts';

export interface NamedDigest {
  readonly name: string;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** [RFC 6750 2.1] `credentials = "Bearer" 1*SP b64token`; the scheme in any case. */
const BEARER = /^bearer +([\w.~+/-]+=*)$/i;

/** Whoever holds this key. One name may have several: another is given out before the old one goes. */
export function holderOf({ name, sha256 }: NamedDigest): Principal {
  return { key: `key:${name}`, proof: sha256.toLowerCase() };
}

/** The credential in an Authorization header; null where there is none of this kind. */
export function bearerIn(authorization: string): string | null {
  return BEARER.exec(authorization)?.[1] ?? null;
}

/** Reads one Authorization header: a principal, or null where its key is not in the list. */
export function bearerReader(keys: readonly NamedDigest[]): (authorization: string) => Principal | null {
  const holderOfKey = keyReader(keys);
  return (authorization) => {
    const key = bearerIn(authorization);
    return key === null ? null : holderOfKey(key);
  };
}

/** Who holds a key; null: it is not in the list. */
export function keyReader(keys: readonly NamedDigest[]): (key: string) => Principal | null {
  const known = keys.map((each) => ({ principal: holderOf(each), digest: Buffer.from(each.sha256, 'hex') }));
  return (key) => {
    const digest = createHash('sha256').update(key).digest();
    // All of them, so that the time taken tells nothing of the list.
    let found: Principal | null = null;
    for (const each of known) if (timingSafeEqual(each.digest, digest)) found ??= each.principal;
    return found;
  };
}
