// What an upstream says of a credential that is not ours but a caller's: it is for that caller to hear.

import type { IncomingHttpHeaders } from 'node:http';
import { ProxyError } from '../domain/errors.ts';
import { challengeOf } from '../protocol/protected-resource.ts';

/** Why an upstream does not take what it was sent with a caller's credential; null: for another reason, or it does. */
export type RefusalOf = (status: number, headers: IncomingHttpHeaders) => ProxyError | null;

/** Of upstreams that get no credential but ours: what they say of it is no business of the caller's. */
export const NO_REFUSAL: RefusalOf = () => null;

/** `document`: where the metadata of our resource is to be had, if anywhere, at that moment. */
export function credentialRefusal(document: () => string | null): RefusalOf {
  return (status, headers) => {
    if (status !== 401 && status !== 403) return null;
    const challenge = challengeOf([headers['www-authenticate'] ?? []].flat(), document());
    const details = {
      outcome: 'not_executed',
      upstreamStatus: status,
      ...(challenge !== null && { challenge }),
    } as const;
    return status === 401
      ? new ProxyError('credential_refused', 'the server wants another credential of the caller', details)
      : new ProxyError('credential_insufficient', 'the server does not let the caller do this', details);
  };
}
