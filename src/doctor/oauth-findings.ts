// Whether tokens can be checked, and whether clients find out where to get them.

import type { JwtConfig } from '../config/schema.ts';
import { type KeySet, publicKeys } from '../identity/key-set.ts';
import { type Finding, failed, ok, warning } from './report.ts';

/** An answer to a GET, read to its end. */
export type Fetched =
  | { readonly state: 'answered'; readonly status: number; readonly text: string; readonly ms: number }
  /** `why`: a code, or a few words of ours. */
  | { readonly state: 'failed'; readonly why: string; readonly ms: number }
  | { readonly state: 'late' };

/** `resources`: what clients dial, as tokens name it. */
export function audienceFinding(subject: string, audiences: readonly string[], resources: readonly string[]): Finding {
  const wanted = audiences.join(' or ');
  // [RFC 8707 2] clients ask for a token for the URL that they dial.
  const missing = resources.filter((resource) => !audiences.includes(resource));
  if (missing.length === 0) return ok('audience', `tokens for ${wanted}`, { subject });
  const remedy = 'see that the issuer puts what is wanted into aud, or leave inbound.jwt.audience out';
  const seen = `tokens must be for ${wanted}, and clients ask for ${missing.join(' or ')}`;
  return warning('audience', seen, remedy, { subject });
}

/** Where clients look for them, the first that has them. [spec 2025-11-25 authorization] in this order. */
export function metadataUrls(issuer: string): URL[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const inserted = ['oauth-authorization-server', 'openid-configuration'].map(
    (name) => new URL(`${origin}/.well-known/${name}${path}`),
  );
  return path === '' ? inserted : [...inserted, new URL(`${origin}${path}/.well-known/openid-configuration`)];
}

type Issued = Pick<JwtConfig, 'issuer' | 'jwksUri' | 'scopes'>;

/** `answers`: one for each of metadataUrls. Tokens can be checked without them, but clients cannot get any. */
export function issuerFinding({ issuer, jwksUri, scopes }: Issued, answers: readonly Fetched[]): Finding {
  const subject = issuer;
  const documents = answers.flatMap((answer) => (answer.state === 'answered' ? [documentIn(answer)] : []));
  const document = documents.find((each) => each !== null);
  if (document === undefined || document === null) {
    const remedy = 'clients must be able to read them there: is inbound.jwt.issuer right, and reachable for them?';
    return warning('issuer', `no metadata: ${[...new Set(answers.map(saidBy))].join(', ')}`, remedy, { subject });
  }
  const {
    issuer: said,
    jwks_uri: keysAt,
    scopes_supported: known,
    code_challenge_methods_supported: methods,
  } = document;
  if (said !== issuer) {
    // [RFC 8414 3.3] "If these values are not identical, the data contained in the response MUST NOT be used."
    const seen = `its metadata are of ${typeof said === 'string' ? said : 'nobody'}`;
    return failed('issuer', seen, 'write inbound.jwt.issuer just so: clients and tokens compare it letter by letter', {
      subject,
    });
  }
  if (jwksUri !== undefined && typeof keysAt === 'string' && !isSameUrl(keysAt, jwksUri)) {
    const remedy = `its keys are at ${keysAt}: is inbound.jwt.jwksUri an old one?`;
    return warning('issuer', `its metadata name other keys than ${jwksUri.href}`, remedy, { subject });
  }
  const missing = Array.isArray(known) ? scopes.filter((scope) => !known.includes(scope)) : [];
  if (missing.length > 0) {
    const remedy = 'have it issue them, or change inbound.jwt.scopes';
    return warning('issuer', `its metadata do not know the scopes ${missing.join(' ')}`, remedy, { subject });
  }
  // [spec 2025-11-25 authorization] "If code_challenge_methods_supported is absent, the authorization server does not
  // support PKCE and MCP clients MUST refuse to proceed."
  if (!Array.isArray(methods) || !methods.includes('S256')) {
    const remedy = 'turn PKCE on there (code_challenge_methods_supported: S256)';
    return warning('issuer', 'its metadata do not offer PKCE, without which clients of MCP go no further', remedy, {
      subject,
    });
  }
  return ok('issuer', 'its metadata are there, and agree', { subject });
}

export type KeysRead = { readonly keySet: KeySet } | { readonly why: string };

/** `subject`: where they are. */
export function keysFinding(subject: string, read: KeysRead, algorithms: readonly string[], ms?: number): Finding {
  const about = { subject, ...(ms !== undefined && { ms }) };
  if ('why' in read) {
    const remedy = 'no token can be checked without them: is inbound.jwt.jwksUri right, and reachable from here?';
    return failed('keys', read.why, remedy, about);
  }
  const { keys } = read.keySet;
  const open = publicKeys(read.keySet).keys;
  const usable = open.filter((key) => canVerify({ ...key }, algorithms));
  const seen = `${usable.length} of ${keys.length} can be used`;
  if (usable.length === 0) {
    const remedy = 'there must be a public key for signatures, of one of inbound.jwt.algorithms';
    return failed('keys', seen, remedy, about);
  }
  if (open.length === keys.length) return ok('keys', seen, about);
  const remedy = 'publish the public ones alone: whoever reads the others can sign';
  return warning('keys', `${seen}, and some are private or symmetric`, remedy, about);
}

/** Of a key without `alg` any algorithm of its kind. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  RSA: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  'EC P-256': ['ES256'],
  'EC P-384': ['ES384'],
  'EC P-521': ['ES512'],
  'OKP Ed25519': ['EdDSA', 'Ed25519'],
};
/** A modulus of 2048 bits, in base64url. */
const RSA_CHARS = 341;

type Key = Readonly<Record<string, unknown>>;

function canVerify({ kty, crv, use, key_ops: operations, alg, n }: Key, algorithms: readonly string[]): boolean {
  if (use !== undefined && use !== 'sig') return false;
  if (Array.isArray(operations) && !operations.includes('verify')) return false;
  if (kty === 'RSA' && (typeof n !== 'string' || n.length < RSA_CHARS)) return false;
  if (typeof kty !== 'string' || (crv !== undefined && typeof crv !== 'string')) return false;
  const kind = kty === 'RSA' ? 'RSA' : `${kty} ${crv ?? ''}`;
  const possible = Object.hasOwn(KINDS, kind) ? (KINDS[kind] ?? []) : [];
  return possible.some((each) => algorithms.includes(each) && (alg === undefined || alg === each));
}

export interface Told {
  readonly resource: string;
  readonly metadataUrl: string;
  readonly issuer: string;
}

/** `answer`: of metadataUrl; null: it is not asked, as no gateway runs. */
export function metadataFinding(subject: string, told: Told, answer: Fetched | null): Finding {
  const { resource, metadataUrl, issuer } = told;
  if (answer === null) {
    return ok('metadata', `clients will read at ${metadataUrl} that ${issuer} issues tokens for ${resource}`, {
      subject,
    });
  }
  if (answer.state !== 'answered') {
    const remedy = 'is publicUrl right, and known here? Clients must be able to read it there';
    return warning('metadata', `${metadataUrl} cannot be read: ${saidBy(answer)}`, remedy, { subject });
  }
  const document = documentIn(answer);
  if (document === null) {
    const remedy = 'whatever stands in front must pass paths below /.well-known on to the gateway';
    return failed('metadata', `${metadataUrl} is no document: ${saidBy(answer)}`, remedy, { subject });
  }
  const { resource: said, authorization_servers: servers } = document;
  if (said !== resource) {
    // [RFC 9728 3.3] else "the data contained in the response MUST NOT be used".
    const seen = `${metadataUrl} is about ${typeof said === 'string' ? said : 'nothing'} and not about ${resource}`;
    return failed('metadata', seen, 'is publicUrl what clients dial, and is this the gateway that runs there?', {
      subject,
    });
  }
  if (!Array.isArray(servers) || !servers.includes(issuer)) {
    const remedy = 'the gateway that runs has another configuration: reload it';
    return warning('metadata', `${metadataUrl} names another issuer than ${issuer}`, remedy, { subject });
  }
  return ok('metadata', `${metadataUrl} says that ${issuer} issues tokens for ${resource}`, { subject });
}

function saidBy(answer: Fetched): string {
  switch (answer.state) {
    case 'answered':
      return answer.status === 200 ? 'no JSON object' : `HTTP ${answer.status}`;
    case 'failed':
      return answer.why;
    case 'late':
      return 'no answer in time';
  }
}

function documentIn({ status, text }: { readonly status: number; readonly text: string }): Key | null {
  if (status !== 200) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

function isSameUrl(text: string, url: URL): boolean {
  return URL.canParse(text) && new URL(text).href === url.href;
}
