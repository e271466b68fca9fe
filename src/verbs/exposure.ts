// Who can reach what: what must not be open to everybody, and what should not be.

import { isCredential } from '../config/credentials.ts';
import { ConfigError } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { isLoopback } from '../edge/host-guard.ts';

/** Configured credentials on a public address without authentication would be everybody's. Throws a ConfigError. */
export function refuseUnsafe({ listen, upstreams, inbound }: Config): void {
  if (isLoopback(listen.host) || inbound !== 'none') return;
  for (const { name, urls, headers } of upstreams) {
    if (Object.keys(headers).length === 0 && !urls.some(holdsCredential)) continue;
    throw new ConfigError(
      `upstream ${name} has credentials, and ${listen.host} is a public address: everybody who reaches it could use them. ` +
        `Let in only callers you know (inbound.bearer.keys, or CAUSEWAY_INBOUND_BEARER_KEYS=NAME=SHA256), or listen on 127.0.0.1`,
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

export function isOpenToAll({ listen, inbound, allowedHosts }: Config): boolean {
  return !isLoopback(listen.host) && inbound === 'none' && allowedHosts === undefined;
}
