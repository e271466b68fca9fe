// Stop accepting, wait for what runs, close the rest.

import { Server as NetServer } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Timers } from './domain/ports.ts';
import type { Tally } from './traffic/tally.ts';
import type { Mount } from './traffic/mount.ts';
import type { SessionRegistry } from './traffic/session-registry.ts';

export interface DrainOptions {
  readonly server: FastifyInstance;
  readonly mounts: readonly Mount[];
  readonly registry: SessionRegistry;
  readonly inFlight: Tally;
  readonly timers: Timers;
  /** How long exchanges in flight may take. */
  readonly timeoutMs: number;
}

export async function drain(options: DrainOptions): Promise<void> {
  const { server, mounts, registry, inFlight, timers, timeoutMs } = options;
  // The listener alone. The close of http.Server would also end the connections that it takes for idle, and to it those
  // are idle whose answer still waits in the socket to be taken.
  NetServer.prototype.close.call(server.server);
  await inFlight.whenNone(timers, timeoutMs);
  for (const { modern } of mounts) modern.listens.endAll();
  // What still runs is answered by this, with an error.
  registry.endAll();
  await Promise.all(mounts.map((mount) => mount.close()));
  await server.close();
}
