// What a refusal asks for, as the value of WWW-Authenticate.

import type { ErrorCode, ProxyError } from '../domain/errors.ts';

export interface Asked {
  /** Where the metadata of the resource are; null: there are none, callers have their keys from somebody. */
  readonly metadataUrl: string | null;
  /** All that are needed. */
  readonly scopes: readonly string[];
}

/** [RFC 6750 3.1] the error codes. */
const CODES: Partial<Record<ErrorCode, string>> = {
  unauthorized: 'invalid_token',
  insufficient_scope: 'insufficient_scope',
  invalid_request: 'invalid_request',
};
const REALM = 'mcp-causeway';
const SCHEME = /^bearer(?: |$)/i;

/** Null: it is no matter of credentials. */
export function challenge(
  { code, message }: ProxyError,
  authorization: string | undefined,
  { metadataUrl, scopes }: Asked,
): string | null {
  const error = CODES[code];
  if (error === undefined) return null;
  // [RFC 6750 3.1] "If the request lacks any authentication information (e.g., the client [...] attempted using an
  // unsupported authentication method), the resource server SHOULD NOT include an error code or other error information."
  const isTold = code !== 'unauthorized' || (authorization !== undefined && SCHEME.test(authorization));
  const parameters = {
    ...(isTold && { error, error_description: message }),
    // [spec 2025-11-25 authorization] "Servers SHOULD include a scope parameter in the WWW-Authenticate header"
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    // [RFC 9728 5.1]
    ...(metadataUrl !== null && { resource_metadata: metadataUrl }),
  };
  // [RFC 6750 3] "The auth-scheme value "Bearer" MUST be followed by one or more auth-param values."
  const told = Object.keys(parameters).length > 0 ? parameters : { realm: REALM };
  const list = Object.entries(told).map(([name, value]) => `${name}="${value}"`);
  return `Bearer ${list.join(', ')}`;
}
