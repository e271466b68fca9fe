// Who calls, by an access token: a JWT of the configured issuer, for this resource. `jose` checks it; what it must hold and
// what a fault is called stands here. Only loaded where tokens are let in.

import { createHash } from 'node:crypto';
import type { JWTPayload, JWTVerifyGetKey, JWTVerifyResult } from 'jose';
import { JOSEAlgNotAllowed, JOSEError, JWKSMultipleMatchingKeys, JWKSNoMatchingKey } from 'jose/errors';
import { JWSSignatureVerificationFailed, JWTClaimValidationFailed, JWTExpired } from 'jose/errors';
import { createLocalJWKSet } from 'jose/jwks/local';
import { jwtVerify } from 'jose/jwt/verify';
import type { JwtConfig } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import type { KeySet } from './key-set.ts';

export interface AccessTokenRules extends Pick<JwtConfig, 'issuer' | 'scopes' | 'algorithms' | 'clockTolerance'> {
  /** One of them must be in the token's own. */
  readonly audiences: readonly string[];
  readonly find: JWTVerifyGetKey;
  /** Seconds since 1970. */
  readonly wallSeconds: () => number;
}

export type TokenReader = (token: string) => Promise<Principal | ProxyError>;

/** No token of sense is as long; a header may be twice that. */
const MAX_TOKEN_CHARS = 8192;

export function tokenReader({ audiences, find, wallSeconds, ...rules }: AccessTokenRules): TokenReader {
  const options = {
    issuer: rules.issuer,
    audience: [...audiences],
    algorithms: [...rules.algorithms],
    clockTolerance: rules.clockTolerance / 1000,
    requiredClaims: ['exp'],
  };
  return async (token) => {
    if (token.length > MAX_TOKEN_CHARS) return refused(`the token is longer than ${MAX_TOKEN_CHARS} characters`);
    let verified: JWTVerifyResult;
    try {
      verified = await jwtVerify(token, find, { ...options, currentDate: new Date(wallSeconds() * 1000) });
    } catch (thrown) {
      return refusalOf(thrown);
    }
    const { payload: claims, protectedHeader } = verified;
    if (isOfAnotherKind(protectedHeader)) return refused('the token is of another kind than an access token');
    const principal = principalIn(claims);
    if (principal === null) return refused('the token names neither a subject nor a client');
    const granted = scopesIn(claims);
    if (rules.scopes.every((scope) => granted.has(scope))) return principal;
    return new ProxyError('insufficient_scope', 'the token has not every scope that is needed');
  };
}

export function fileKeys({ keys }: KeySet): JWTVerifyGetKey {
  return createLocalJWKSet({ keys: [...keys] });
}

/** Of the text of the token nothing is repeated. */
function refusalOf(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  if (thrown instanceof JWTExpired) return refused('the token has expired');
  if (thrown instanceof JWTClaimValidationFailed) return refused(claimFault(thrown));
  if (thrown instanceof JWSSignatureVerificationFailed) return refused('the signature of the token is wrong');
  if (thrown instanceof JOSEAlgNotAllowed) return refused('the token is signed in a way that is not allowed');
  if (thrown instanceof JWKSNoMatchingKey) return refused('the token is signed with a key that is not known');
  if (thrown instanceof JWKSMultipleMatchingKeys) return refused('the token does not say which key it is signed with');
  if (thrown instanceof JOSEError && thrown.code !== 'ERR_JWKS_INVALID') return refused('the token is malformed');
  // A key that is too short, private, or broken.
  const text = 'the key of the issuer that the token is signed with cannot be used';
  return new ProxyError('keys_unavailable', text, { cause: thrown });
}

function claimFault({ claim, reason }: JWTClaimValidationFailed): string {
  if (reason === 'missing') return `the token has no ${claim}`;
  if (reason === 'invalid') return `the ${claim} of the token is malformed`;
  if (claim === 'iss') return 'the token is of another issuer';
  if (claim === 'aud') return 'the token is not for this resource';
  return 'the token is not valid yet';
}

/**
 * [RFC 8725 3.11] Tokens that are for something else say so, such as those that end a session or prove a key. [RFC 9068 4]
 * wants `at+jwt`, but many issuers write `JWT`, or nothing, into access tokens and ID tokens alike: those pass.
 */
function isOfAnotherKind({ typ }: { readonly typ?: unknown }): boolean {
  if (typeof typ !== 'string') return typ !== undefined;
  const kind = typ.toLowerCase().replace(/^application\//, '');
  return kind.endsWith('+jwt') && kind !== 'at+jwt';
}

function refused(why: string): ProxyError {
  return new ProxyError('unauthorized', why);
}

/**
 * The subject, or the client where it acts for nobody: not the token, which is another one after an hour, and the two told
 * apart, since an issuer may give a user the name of a client. As a digest: it is short, and says nothing to a reader of
 * links and logs.
 */
function principalIn({ iss, sub, azp, client_id: client }: JWTPayload): Principal | null {
  const subject = named(sub);
  const who = subject === null ? ['client', named(azp) ?? named(client)] : ['subject', subject];
  if (who[1] === null) return null;
  const digest = createHash('sha256').update(JSON.stringify([iss, ...who]));
  // What the token says of itself is looked at each time: there is nothing to compare.
  return { key: TOKEN_PRINCIPAL + digest.digest('base64url'), proof: '' };
}

const TOKEN_PRINCIPAL = 'token:';

function named(claim: unknown): string | null {
  return typeof claim === 'string' && claim !== '' ? claim : null;
}

/** [RFC 9068 2.2.3] `scope` is a text with blanks; some issuers call it `scp`, and some make it a list. */
function scopesIn({ scope, scp }: JWTPayload): ReadonlySet<string> {
  const texts = [scope, scp].flat().filter((each): each is string => typeof each === 'string');
  return new Set(texts.flatMap((each) => each.split(' ')));
}
