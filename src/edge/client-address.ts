// Where a request comes from, for the log and for nothing else: no decision depends on it. What `X-Forwarded-For` says
// counts as far as it was said by `trustedProxies`; the other headers of that family count for nothing at all.

import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';

/** Of the client, or of the nearest that nobody trusted speaks for. Undefined: its socket is gone. */
export function clientAddress({ ip, socket }: Pick<FastifyRequest, 'ip' | 'socket'>): string | undefined {
  // A proxy passes on what it was told: it may be no address.
  return plain(isIP(ip) === 0 ? socket.remoteAddress : ip);
}

/** An IPv4 address as such, also where the socket is one of IPv6. */
export function plain(address: string | undefined): string | undefined {
  return address?.replace(/^::ffff:(?=\d+\.)/i, '');
}
