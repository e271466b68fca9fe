// Whether an address can be bound, tried for a moment; and who answers there if not.

import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from '../config/schema.ts';
import { type Listener, bindFailure } from '../edge/bind-failure.ts';
import { codeOf } from '../upstream/network-error.ts';
import type { AddressFacts } from './address-findings.ts';
import { healthAt } from './health.ts';

type Bound = Pick<Config['listen'], 'host' | 'port'>;

/** `isGateway`: asks whoever has it already. */
export async function addressFacts(
  section: Listener,
  { host, port }: Bound,
  isGateway: () => Promise<boolean>,
): Promise<AddressFacts> {
  const code = await bound(host, port);
  if (code === 'EADDRINUSE') return { state: 'taken', by: (await isGateway()) ? 'gateway' : 'somebody' };
  if (code !== null) return { state: 'unbindable', ...bindFailure(section, code) };
  return { state: port === 0 ? 'any' : 'free' };
}

/** Of the listeners that say how they are. */
export async function isHealthy(
  { host, port, tls }: Bound & Pick<Config['listen'], 'tls'>,
  timeoutMs: number,
): Promise<boolean> {
  const isSecure = tls !== undefined;
  const asked = { host, port, isSecure };
  // One that runs may have been started before TLS was configured, or taken out.
  return (
    (await healthAt(asked, timeoutMs)).isGateway ||
    (await healthAt({ ...asked, isSecure: !isSecure }, timeoutMs)).isGateway
  );
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
