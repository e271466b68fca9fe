// Who may use the listener for whoever runs the gateway. Health is everybody's: probes bring no credential.

import { createHash } from 'node:crypto';
import type { Config } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { HEALTH, READY } from '../edge/guards.ts';
import { isLoopback } from '../edge/host-guard.ts';
import { bearerIn, keyReader } from '../identity/bearer.ts';

export const METRICS = '/metrics';

/** [RFC 7617 2] `user-id ":" password`, in Base64; the scheme in any case. A browser asks its user for the two. */
const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i;
/** What is asked for: a browser takes the second, and shows its prompt. */
export const CHALLENGES = ['Bearer realm="mcp-causeway admin"', 'Basic realm="mcp-causeway admin", charset="UTF-8"'];

/** `host`: where it listens. Null: it may be answered. */
export function accessRefusal(
  path: string,
  authorization: string | undefined,
  host: string,
  admin: Config['admin'],
): ProxyError | null {
  if (path === HEALTH || path === READY || (path === METRICS && admin?.metrics === 'open')) return null;
  const token = admin?.token;
  if (token === undefined) {
    // Only what is said to be open is, where strangers can come.
    return isLoopback(host) ? null : new ProxyError('unauthorized', 'there is no admin.token to let anybody in by');
  }
  if (authorization === undefined) return new ProxyError('unauthorized', 'the admin token is needed');
  const given = bearerIn(authorization) ?? passwordIn(authorization);
  const sha256 = createHash('sha256').update(token).digest('hex');
  const isKnown = given !== null && keyReader([{ name: 'admin', sha256 }])(given) !== null;
  return isKnown ? null : new ProxyError('unauthorized', 'this is not the admin token');
}

/** Whatever the user calls himself. */
function passwordIn(authorization: string): string | null {
  const [, pair] = BASIC.exec(authorization) ?? [];
  if (pair === undefined) return null;
  const text = Buffer.from(pair, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? null : text.slice(colon + 1);
}
