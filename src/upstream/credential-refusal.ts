// What an upstream says of a credential that is not ours but a caller's: it is for that caller to hear.

import type { IncomingHttpHeaders } from 'node:http';
import { ProxyError } from '../domain/errors.ts';
import { bareChallenge, challengeOf } from '../protocol/protected-resource.ts';

/** Why an upstream does not take what it was sent with a caller's credential; null: for another reason, or it does. */
export type RefusalOf = (status: number, headers: IncomingHttpHeaders) => ProxyError | null;

/** Of upstreams that get no credential but ours: what they say of it is no business of the caller's. */
export const NO_REFUSAL: RefusalOf = () => null;

/**
 * With which credential a client comes is its answer to a challenge, and that one stands in `authorization`. Where it is
 * for this gateway, or for nobody, a challenge or a 401 would have a client throw away a token that is good, and get the
 * next one in vain: there it is 403, and says in words what is wanted.
 * `names`: the headers that are forwarded. `document`: where the metadata of our resource is to be had, if anywhere, at
 * that moment.
 */
export function credentialRefusal(names: readonly string[], document: () => string | null): RefusalOf {
  const isChallenged = names.includes('authorization');
  return (status, headers) => {
    if (status !== 401 && status !== 403) return null;
    const details = { outcome: 'not_executed', upstreamStatus: status } as const;
    if (!isChallenged) {
      const said = status === 401 ? 'wants another credential of the caller' : 'does not let the caller do this';
      return new ProxyError('credential_insufficient', `the server ${said} (${names.join(', ')})`, details);
    }
    const given = challengeOf([headers['www-authenticate'] ?? []].flat(), document());
    if (status === 401) {
      const challenge = given ?? bareChallenge(document());
      return new ProxyError('credential_refused', 'the server wants another credential of the caller', {
        ...details,
        challenge,
      });
    }
    const challenged = { ...details, ...(given !== null && { challenge: given }) };
    return new ProxyError('credential_insufficient', 'the server does not let the caller do this', challenged);
  };
}
