// Which links are interchangeable: same mount, same credential, same principal (by isolation), same capability profile.

import { NO_CREDENTIAL, type Principal, type UpstreamCredential } from '../domain/principal.ts';
import type { CapabilityProfile } from '../protocol/capability-profile.ts';

export interface LinkKey {
  readonly text: string;
  /** The same for all keys of one caller: of links whose words are for him. */
  readonly caller: string;
  readonly profile: CapabilityProfile;
  /** Whose links they are; null: they are shared. */
  readonly holder: Principal | null;
  readonly credential: UpstreamCredential;
}

/** principal: links are not shared between principals. shared: they are. request: a link of its own for every call. */
export type Isolation = 'principal' | 'shared' | 'request';

export function linkKey(principal: Principal, profile: CapabilityProfile, isolation: Isolation): LinkKey {
  const { credential = NO_CREDENTIAL } = principal;
  // JSON keeps the parts apart whatever they hold.
  const holder = isolation === 'shared' ? null : principal;
  const who = holder?.key ?? null;
  const caller = JSON.stringify([credential.fingerprint, who]);
  return { text: JSON.stringify([credential.fingerprint, who, profile.key]), caller, profile, holder, credential };
}
