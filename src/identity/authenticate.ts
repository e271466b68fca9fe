// An Authorization header → who calls, or why nobody is let in. The one question that downstream asks of identity.

import type { InboundConfig } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { ANYONE, type Principal } from '../domain/principal.ts';
import { bearerReader, holderOf } from './bearer.ts';

export type Authenticate = (authorization: string | undefined) => Principal | ProxyError;

export function authenticator(inbound: InboundConfig): Authenticate {
  if (inbound === 'none') return () => ANYONE;
  const read = bearerReader(inbound.bearer.keys);
  return (authorization) => {
    if (authorization === undefined) return new ProxyError('unauthorized', 'an Authorization header is needed');
    return read(authorization) ?? new ProxyError('unauthorized', 'the key is not known');
  };
}

/** Who can be let in. By what they show too: a name whose key was replaced is not known by the old one any more. */
export function known(inbound: InboundConfig): (principal: Principal) => boolean {
  const all = inbound === 'none' ? [ANYONE] : inbound.bearer.keys.map(holderOf);
  return ({ key, proof }) => all.some((each) => each.key === key && each.proof === proof);
}

/**
 * What a 401 asks for. [RFC 6750 3.1] "If the request lacks any authentication information [...] the resource server
 * SHOULD NOT include an error code or other error information."
 */
export function challenge(authorization: string | undefined): string {
  return authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"';
}
