// OAuth protected resources: what clients dial as the resource that it is, the document that says who issues tokens for it,
// and, where the resource is really a server behind us, its challenge and its document in terms of our URL. There everything
// is the upstream's but what would name the upstream. All of it comes from the configured publicUrl: a Host or X-Forwarded-*
// header is the caller's word.
//
// [RFC 9728 3.3] "The resource value returned MUST be identical to the protected resource's resource identifier value
// into which the well-known URI path suffix was inserted to create the URL used to retrieve the metadata. If these values
// are not identical, the data contained in the response MUST NOT be used."

export interface ProtectedResource {
  /** Its identifier: `resource` in the metadata, and the audience of tokens for it. */
  readonly url: string;
  readonly metadataUrl: string;
  /** Of that URL. */
  readonly metadataPath: string;
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** At a path behind `publicUrl`, which may have a path of its own. */
export function protectedResource(publicUrl: URL, path: string): ProtectedResource {
  const full = publicUrl.pathname.replace(/\/$/, '') + path;
  // [RFC 9728 3.1] the well-known part stands between the host and the path; one that is a slash alone is none.
  const metadataPath = WELL_KNOWN + (full === '/' ? '' : full);
  return { url: publicUrl.origin + full, metadataUrl: publicUrl.origin + metadataPath, metadataPath };
}

/** Where a client looks that knows the host only. */
export const ROOT_METADATA = WELL_KNOWN;

export interface TokenIssue {
  readonly issuer: string;
  /** All that are needed. */
  readonly scopes: readonly string[];
}

/** [RFC 9728 2] */
export function resourceMetadata({ url }: ProtectedResource, { issuer, scopes }: TokenIssue): string {
  return JSON.stringify({
    resource: url,
    authorization_servers: [issuer],
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
  });
}

/** More than this is no challenge. */
const MAX_CHALLENGE = 8192;
/** A quoted text, which can hold anything; or the parameter, quoted or not. The first alternative keeps the second out of texts. */
const PIECE =
  /"(?:\\.|[^"\\])*"?|(?<![\w!#$%&'*+.^`|~-])resource_metadata[ \t]*=[ \t]*(?:"(?:\\.|[^"\\])*"?|[\w!#$%&'*+.^`|~:/?=@-]*)/gi;
/** What comes next is another parameter of the same challenge, and not the next challenge. */
const PARAMETER = /^[ \t]*,[ \t]*(?=[\w!#$%&'*+.^`|~-]+[ \t]*=(?!=*[ \t]*(?:,|$)))/;
const COMMA_BEFORE = /[ \t]*,[ \t]*$/;

/**
 * A WWW-Authenticate with our document in place of the upstream's; `document` null: we have none, and the upstream's
 * would be of another resource. All else stays. Null: it is no challenge that could be passed on.
 */
export function challengeOf(header: readonly string[], document: string | null): string | null {
  const given = header.join(', ');
  if (given.trim() === '' || given.length > MAX_CHALLENGE) return null;
  let told = '';
  let rest = 0;
  for (const { 0: piece, index } of given.matchAll(PIECE)) {
    if (isMalformed(piece, given.slice(rest, index))) return null;
    if (piece.startsWith('"')) continue;
    told += given.slice(rest, index);
    rest = index + piece.length;
    if (document !== null) {
      told += `resource_metadata="${document}"`;
    } else if (COMMA_BEFORE.test(told)) {
      told = told.replace(COMMA_BEFORE, '');
    } else if (PARAMETER.test(given.slice(rest))) {
      rest += PARAMETER.exec(given.slice(rest))?.[0].length ?? 0;
    } else {
      told = told.trimEnd();
    }
  }
  return (told + given.slice(rest)).trim();
}

/**
 * Of a server that says 401 and not what it wants; in this protocol that is a token.
 * [RFC 9110 15.5.2] "The server generating a 401 response MUST send a WWW-Authenticate header field"
 */
export function bareChallenge(document: string | null): string {
  return document === null ? 'Bearer' : `Bearer resource_metadata="${document}"`;
}

/** A text that has no end, or that is the value of nothing: what stands behind it could be anything. */
function isMalformed(piece: string, before: string): boolean {
  const [text] = /".*$/s.exec(piece) ?? [];
  if (text === undefined) return false;
  const isOpen = text.length < 2 || !/^"(?:\\.|[^"\\])*"$/.test(text);
  return isOpen || (piece.startsWith('"') && !/=[ \t]*$/.test(before));
}

/** The upstream's document as that of our resource; null: it is none. */
export function metadataOf(document: string, resource: string): string | null {
  try {
    const parsed: unknown = JSON.parse(document);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
    const { signed_metadata: _, ...members } = parsed as Readonly<Record<string, unknown>>;
    const { resource: theirs, authorization_servers: servers = [] } = members;
    const areServers = Array.isArray(servers) && servers.every((server) => typeof server === 'string');
    if (typeof theirs !== 'string' || !areServers) return null;
    // [RFC 9728 2.2] signed members "take precedence over" plain ones: they would name the upstream, so they are left out.
    return JSON.stringify({ ...members, resource });
  } catch {
    return null;
  }
}
