// Whether an address can be bound, tried for a moment; and who answers there if not.

import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from '../config/schema.ts';
import { type Listener, bindFailure } from '../edge/bind-failure.ts';
import { codeOf } from '../upstream/network-error.ts';
import type { AddressFacts } from './address-findings.ts';
import { healthAt } from './health.ts';

type Bound = Pick<Config['listen'], 'host' | 'port' | 'tls'>;

export async function addressFacts(section: Listener, listener: Bound, timeoutMs: number): Promise<AddressFacts> {
  const { host, port, tls } = listener;
  const code = await bound(host, port);
  if (code === 'EADDRINUSE') {
    const isSecure = tls !== undefined;
    const asked = { host, port, isSecure };
    const { isGateway } = await healthAt(asked, timeoutMs);
    // One that runs may have been started before TLS was configured, or taken out.
    const isOther = !isGateway && (await healthAt({ ...asked, isSecure: !isSecure }, timeoutMs)).isGateway;
    return { state: 'taken', by: isGateway || isOther ? 'gateway' : 'somebody' };
  }
  if (code !== null) return { state: 'unbindable', ...bindFailure(section, code) };
  return { state: port === 0 ? 'any' : 'free' };
}

/** Null: it can be. Else why not. */
async function bound(host: string, port: number): Promise<string | null> {
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen({ host, port });
    await once(server, 'listening');
    return null;
  } catch (cause) {
    return codeOf(cause);
  } finally {
    server.close();
  }
}
