// What tokens are for: the URLs of an upstream as clients dial them, and the documents that say who issues tokens for them.
// All of it from the configured publicUrl: a Host or X-Forwarded-* header is the caller's word.

import type { JwtConfig } from '../config/schema.ts';

export interface ProtectedResource {
  /** Its identifier: `resource` in the metadata, and the audience of tokens for it. */
  readonly url: string;
  readonly metadataUrl: string;
  /** Of that URL. */
  readonly metadataPath: string;
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** [RFC 9728 3.1] the well-known part stands between the host and the path. */
export function protectedResource(publicUrl: URL, path: string): ProtectedResource {
  const full = publicUrl.pathname.replace(/\/$/, '') + path;
  const metadataPath = WELL_KNOWN + full;
  return { url: publicUrl.origin + full, metadataUrl: publicUrl.origin + metadataPath, metadataPath };
}

/** Where a client looks that knows the host only. */
export const ROOT_METADATA = WELL_KNOWN;

/** [RFC 9728 2] */
export function resourceMetadata({ url }: ProtectedResource, { issuer, scopes }: JwtConfig): string {
  return JSON.stringify({
    resource: url,
    authorization_servers: [issuer],
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
  });
}
