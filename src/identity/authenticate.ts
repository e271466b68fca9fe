// An Authorization header → who calls, or why nobody is let in. The one question that downstream asks of identity.

import type { InboundConfig } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { ANYONE, type Principal } from '../domain/principal.ts';
import { bearerReader, keyOf } from './bearer.ts';

export type Authenticate = (authorization: string | undefined) => Principal | ProxyError;

export function authenticator(inbound: InboundConfig): Authenticate {
  if (inbound === 'none') return () => ANYONE;
  const read = bearerReader(inbound.bearer.keys);
  return (authorization) => {
    if (authorization === undefined) return new ProxyError('unauthorized', 'an Authorization header is needed');
    return read(authorization) ?? new ProxyError('unauthorized', 'the key is not known');
  };
}

/** The keys of all principals that can be let in. */
export function callers(inbound: InboundConfig): ReadonlySet<string> {
  return new Set(inbound === 'none' ? [ANYONE.key] : inbound.bearer.keys.map(({ name }) => keyOf(name)));
}

/**
 * What a 401 asks for. [RFC 6750 3.1] "If the request lacks any authentication information [...] the resource server
 * SHOULD NOT include an error code or other error information."
 */
export function challenge(authorization: string | undefined): string {
  return authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"';
}
