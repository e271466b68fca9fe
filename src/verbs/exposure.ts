// Who can reach what: what must not be open to everybody, and what should not be.

import { isCredential } from '../config/credentials.ts';
import { ConfigError } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import { isLoopback } from '../edge/host-guard.ts';
import { checkKeyFiles } from '../identity/key-set.ts';

/**
 * Configured credentials on a public address without authentication would be everybody's, and without the keys of an issuer
 * nobody could be let in. Throws a ConfigError.
 */
export function refuseUnsafe(config: Config): void {
  checkKeyFiles(config);
  const { listen, upstreams } = config;
  if (isLoopback(listen.host)) return;
  for (const upstream of upstreams) {
    const { name, urls, headers } = upstream;
    if (settingsOf(config, upstream).inbound !== 'none') continue;
    if (Object.keys(headers).length === 0 && !urls.some(holdsCredential)) continue;
    throw new ConfigError(
      `upstream ${name} has credentials, and ${listen.host} is a public address: everybody who reaches it could use them. ` +
        `Let in only callers you know (inbound.jwt, or inbound.bearer.keys, or CAUSEWAY_INBOUND_BEARER_KEYS=NAME=SHA256), or listen on 127.0.0.1`,
    );
  }
}

function holdsCredential({ username, password, searchParams }: URL): boolean {
  return username + password !== '' || [...searchParams.keys()].some(isCredential);
}

/** What it tells is no secret of the server's, but it is nobody's business. */
export function isAdminOpenToAll({ admin, allowedHosts }: Config): boolean {
  return admin !== undefined && !isLoopback(admin.host) && allowedHosts === undefined;
}

export function isOpenToAll(config: Config): boolean {
  const { listen, upstreams, allowedHosts } = config;
  const isOpen = upstreams.some((upstream) => settingsOf(config, upstream).inbound === 'none');
  return !isLoopback(listen.host) && isOpen && allowedHosts === undefined;
}

/** Tokens would cross a network where anybody can read them. */
export function isSeenInTheClear({ publicUrl }: Config): boolean {
  return publicUrl !== undefined && publicUrl.protocol === 'http:' && !isLoopback(publicUrl.hostname);
}
