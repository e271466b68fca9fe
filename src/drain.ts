// Stop accepting, wait for what runs, close the rest.

import type { FastifyInstance } from 'fastify';
import type { Timers } from './domain/ports.ts';
import type { Mount } from './traffic/mount.ts';
import type { SessionRegistry } from './traffic/session-registry.ts';

export interface DrainOptions {
  readonly server: FastifyInstance;
  readonly mounts: readonly Mount[];
  readonly registry: SessionRegistry;
  readonly inFlight: { readonly count: number };
  readonly timers: Timers;
  /** How long exchanges in flight may take. */
  readonly timeoutMs: number;
}

const LOOK_EVERY_MS = 20;

export async function drain(options: DrainOptions): Promise<void> {
  const { server, mounts, registry, inFlight, timers, timeoutMs } = options;
  server.server.close();
  await new Promise<void>((resolve) => {
    let left = Math.ceil(timeoutMs / LOOK_EVERY_MS);
    const look = (): void => {
      if (inFlight.count === 0 || left-- <= 0) resolve();
      else timers.after(LOOK_EVERY_MS, look);
    };
    look();
  });
  // What still runs is answered by this, with an error.
  registry.endAll();
  await Promise.all(mounts.map((mount) => mount.close()));
  await server.close();
}
