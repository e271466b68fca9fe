// The composition root: the only place that constructs the parts. Reads top to bottom like a request goes.

import type { AddressInfo } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import { createAdminServer } from './admin/server.ts';
import type { Config } from './config/schema.ts';
import { settingsOf } from './config/settings.ts';
import type { Gauges } from './domain/gauges.ts';
import { linkId } from './domain/ids.ts';
import type { Clock, Journal, Random, Timers } from './domain/ports.ts';
import { createServer } from './downstream/server.ts';
import { drain } from './drain.ts';
import { BothJournals } from './observe/both-journals.ts';
import type { Metrics } from './observe/metrics.ts';
import { ALL_REVISIONS, UPSTREAM_REVISIONS } from './protocol/eras.ts';
import { METHODS } from './protocol/methods.ts';
import { TokenSealer } from './protocol/sealed-token.ts';
import { systemClock, systemRandom, systemTimers } from './real-time.ts';
import { mountGauges } from './traffic/mount-gauges.ts';
import { Mount } from './traffic/mount.ts';
import { Tally } from './traffic/tally.ts';
import { SessionRegistry } from './traffic/session-registry.ts';

export interface AppOptions {
  readonly config: Config;
  readonly journal: Journal;
  /** Of package.json; said to upstreams as clientInfo. */
  readonly version: string;
  /** See metricsFor. Without them there is no admin listener. */
  readonly metrics?: Metrics | null;
  readonly clock?: Clock;
  readonly timers?: Timers;
  readonly random?: Random;
}

export interface App {
  readonly mounts: readonly Mount[];
  readonly registry: SessionRegistry;
  /** Replies that have not been taken to their end. */
  inFlight(): number;
  /** What is held at this moment. */
  gauges(): Gauges;
  /** Binds the listener for whoever runs the gateway; null: there is none. Rejects when the address cannot be had. */
  listenAdmin(): Promise<AddressInfo | null>;
  /** Binds the listener for clients and opens the warm links. Rejects when the address cannot be had. */
  listen(): Promise<AddressInfo>;
  /**
   * Finishes what runs, within drain.timeout, and closes everything. Idempotent. `announced`: /readyz says so for
   * drain.delay before anything is refused.
   */
  close(how?: 'announced' | 'now'): Promise<void>;
}

/** Null where nobody could ask for them. Loaded only then: it takes longer than all else that is loaded. */
export async function metricsFor({ admin, upstreams }: Config, version: string): Promise<Metrics | null> {
  if (admin === undefined) return null;
  const loaded = await import('./observe/metrics.ts');
  return new loaded.Metrics({
    upstreams: upstreams.map(({ name }) => name),
    methods: Object.keys(METHODS),
    revisions: [...ALL_REVISIONS, ...UPSTREAM_REVISIONS],
    version,
  });
}

export function createApp(options: AppOptions): App {
  const { config, version, clock = systemClock, timers = systemTimers, random = systemRandom } = options;
  const { metrics = null } = options;
  const journal = metrics === null ? options.journal : new BothJournals(options.journal, metrics);

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
  const responses = new Tally();
  let isRefusing = false;
  let closing: Promise<void> | null = null;
  const server = createServer(config, mounts, {
    registry,
    journal,
    random,
    inFlight,
    calls: () => mounts.reduce((total, mount) => total + mount.inFlight, 0),
    listens: new Tally(),
    isLeaving: () => closing !== null,
    isDraining: () => isRefusing,
  });
  server.server.on('request', (_request, response) => {
    responses.begin();
    response.on('close', () => responses.end());
  });

  const gauges = (): Gauges => ({
    upstreams: mounts.map(mountGauges),
    replies: inFlight.count,
    bufferedBytes: registry.bufferedBytes,
    isDraining: closing !== null,
  });
  const admin =
    config.admin === undefined || metrics === null
      ? null
      : createAdminServer(config, config.admin.host, { journal, metrics, gauges, version });

  return {
    mounts,
    registry,
    inFlight: () => inFlight.count,
    gauges,
    async listenAdmin() {
      if (admin === null || config.admin === undefined) return null;
      await admin.listen({ ...config.admin });
      return admin.server.address() as AddressInfo;
    },
    async listen() {
      await server.listen({ host: config.listen.host, port: config.listen.port });
      for (const mount of mounts) mount.start();
      // A TCP listener's address is an object; only pipes have strings.
      return server.server.address() as AddressInfo;
    },
    close(how = 'now') {
      const { delay, timeout } = config.drain;
      // Up to the end it can be seen how the drain goes on.
      closing ??= drain({
        server,
        mounts,
        registry,
        inFlight,
        responses,
        timers,
        delayMs: how === 'announced' ? delay : 0,
        timeoutMs: timeout,
        onRefusing: () => {
          isRefusing = true;
        },
      }).then(() => admin?.close());
      return closing;
    },
  };
}
