// Say that it ends, stop accepting, wait for what runs, end the streams, close the rest.

import { Server as NetServer } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Timers } from './domain/ports.ts';
import type { Tally } from './traffic/tally.ts';
import type { Mount } from './traffic/mount.ts';
import type { SessionRegistry } from './traffic/session-registry.ts';

/** How long clients may take to read what was written to them last. */
const TAKEN_MS = 1000;

export interface DrainOptions {
  readonly server: FastifyInstance;
  readonly mounts: readonly Mount[];
  readonly registry: SessionRegistry;
  /** Replies that somebody waits for. */
  readonly inFlight: Tally;
  /** Everything that is being written to a client, streams included. */
  readonly responses: Tally;
  readonly timers: Timers;
  /** How long everything is served as before, for balancers to notice. */
  readonly delayMs: number;
  /** Told when that is over: new requests are refused from then on. */
  readonly onRefusing: () => void;
  /** How long exchanges in flight may take. */
  readonly timeoutMs: number;
}

export async function drain(options: DrainOptions): Promise<void> {
  const { server, mounts, registry, inFlight, responses, timers, delayMs, timeoutMs } = options;
  if (delayMs > 0) await passed(timers, delayMs);
  options.onRefusing();
  // The listener alone. The close of http.Server would also end the connections that it takes for idle, and to it those
  // are idle whose answer still waits in the socket to be taken.
  NetServer.prototype.close.call(server.server);
  await inFlight.whenNone(timers, timeoutMs);
  for (const { modern } of mounts) modern.listens.endAll();
  // What still runs is answered by this, with an error.
  registry.endAll();
  await Promise.all(mounts.map((mount) => mount.close()));
  // Cut here, a client that reads would see half an event.
  await responses.whenNone(timers, TAKEN_MS);
  await server.close();
}

function passed(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve);
  });
}
