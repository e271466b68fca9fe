// The composition root: the only place that constructs the parts. Reads top to bottom like a request goes.

import type { AddressInfo } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import type { Config } from './config/schema.ts';
import { settingsOf } from './config/settings.ts';
import { linkId } from './domain/ids.ts';
import type { Clock, Journal, Random, Timers } from './domain/ports.ts';
import { createServer } from './downstream/server.ts';
import { drain } from './drain.ts';
import { TokenSealer } from './protocol/sealed-token.ts';
import { systemClock, systemRandom, systemTimers } from './real-time.ts';
import { Mount } from './traffic/mount.ts';
import { Tally } from './traffic/tally.ts';
import { SessionRegistry } from './traffic/session-registry.ts';

export interface AppOptions {
  readonly config: Config;
  readonly journal: Journal;
  /** Of package.json; said to upstreams as clientInfo. */
  readonly version: string;
  readonly clock?: Clock;
  readonly timers?: Timers;
  readonly random?: Random;
}

export interface App {
  readonly mounts: readonly Mount[];
  readonly registry: SessionRegistry;
  /** Replies that have not been taken to their end. */
  inFlight(): number;
  /** Binds the listener and opens the warm links. Rejects when the address cannot be had. */
  listen(): Promise<AddressInfo>;
  /** Finishes what runs, within drain.timeout, and closes everything. Idempotent. */
  close(): Promise<void>;
}

export function createApp(options: AppOptions): App {
  const { config, journal, version, clock = systemClock, timers = systemTimers, random = systemRandom } = options;

  // Of this process alone: neither a session nor the stream of an old client outlives the process that holds it.
  const sealer = new TokenSealer(random.bytes(32), (length) => random.bytes(length));
  const owner = Buffer.from(random.bytes(8)).toString('base64url');
  const wallSeconds = (): number => Math.floor(Date.now() / 1000);
  let links = 0;
  const mounts = config.upstreams.map(
    (upstream) =>
      new Mount({
        upstream,
        config: settingsOf(config, upstream),
        clock,
        timers,
        random,
        journal,
        nextLinkId: () => linkId(++links),
        clientInfo: { name: 'mcp-causeway', version },
        sealer,
        owner,
        wallSeconds,
      }),
  );
  const registry = new SessionRegistry({
    config,
    clock,
    timers,
    random,
    wallSeconds,
    heapBytes: getHeapStatistics().heap_size_limit,
    sealer,
    owner,
  });
  const inFlight = new Tally();
  let closing: Promise<void> | null = null;
  const server = createServer(config, mounts, {
    registry,
    journal,
    random,
    inFlight,
    calls: () => mounts.reduce((total, mount) => total + mount.inFlight, 0),
    listens: new Tally(),
    isDraining: () => closing !== null,
  });

  return {
    mounts,
    registry,
    inFlight: () => inFlight.count,
    async listen() {
      await server.listen({ host: config.listen.host, port: config.listen.port });
      for (const mount of mounts) mount.start();
      // A TCP listener's address is an object; only pipes have strings.
      return server.server.address() as AddressInfo;
    },
    close() {
      closing ??= drain({ server, mounts, registry, inFlight, timers, timeoutMs: config.drain.timeout });
      return closing;
    },
  };
}
