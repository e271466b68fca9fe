// How a socket to the upstream is made: one set of options for streams, POSTs and old clients alike.
//
// TLS is verified whatever NODE_TLS_REJECT_UNAUTHORIZED says.

import { type SecureContext, createSecureContext } from 'node:tls';
import type { buildConnector } from 'undici';
import type { UpstreamTlsConfig } from '../config/schema.ts';
import { MIN_TLS_VERSION } from '../domain/tls-version.ts';

export type Connector = buildConnector.BuildOptions & { readonly rejectUnauthorized: boolean };

/** `tls`: of the upstream. Made once for each, since certificates take long to read. */
export function connector(timeoutMs: number, tls: UpstreamTlsConfig | undefined): Connector {
  return {
    timeout: timeoutMs,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    rejectUnauthorized: tls?.insecureSkipVerify !== true,
    minVersion: MIN_TLS_VERSION,
    ...(tls?.serverName !== undefined && { servername: tls.serverName }),
    ...(tls !== undefined && { secureContext: contextOf(tls) }),
  };
}

function contextOf({ pem: { ca, cert, key } }: UpstreamTlsConfig): SecureContext {
  return createSecureContext({
    minVersion: MIN_TLS_VERSION,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
}
