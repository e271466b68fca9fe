// What a reload means for those who are in already: their credentials are not at hand any more.

import type { Config, UpstreamConfig } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import { ANYONE, type Principal, inboundKeyOf } from '../domain/principal.ts';
import { holderOf } from './bearer.ts';
import { audiencesOf } from './reception.ts';

/** Which of the callers of one upstream are let in still. */
export function letInStill(
  before: readonly [config: Config, upstream: UpstreamConfig],
  after: readonly [config: Config, upstream: UpstreamConfig],
): (principal: Principal) => boolean {
  const { inbound } = settingsOf(...after);
  if (inbound === 'none') return (principal) => inboundKeyOf(principal) === ANYONE.key;
  if ('bearer' in inbound) {
    const known = inbound.bearer.keys.map(holderOf);
    // By what they show too: a name whose key was replaced is not known by the old one any more.
    return (principal) => known.some(({ key, proof }) => key === inboundKeyOf(principal) && proof === principal.proof);
  }
  const { inbound: earlier } = settingsOf(...before);
  // Whoever came with a token would come in with it now: nothing is asked of one that was not asked before. Of keys and
  // algorithms nothing can be said; they are asked for again with the next request.
  const areAll =
    typeof earlier === 'object' &&
    'jwt' in earlier &&
    earlier.jwt.issuer === inbound.jwt.issuer &&
    holdsAll(audiencesOf(...after), audiencesOf(...before)) &&
    holdsAll(earlier.jwt.scopes, inbound.jwt.scopes);
  return () => areAll;
}

function holdsAll(all: readonly string[], some: readonly string[]): boolean {
  return some.every((each) => all.includes(each));
}
