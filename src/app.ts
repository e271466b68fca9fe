// The composition root: the only place that constructs the parts. Reads top to bottom like a request goes.

import { type KeyObject, createSecretKey, hkdfSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import { createAdminServer } from './admin/server.ts';
import type { Difference } from './config/diff.ts';
import { ConfigError } from './config/load.ts';
import type { Config, PeersConfig, UpstreamConfig } from './config/schema.ts';
import { secretBytes } from './config/sealing-secret.ts';
import { settingsOf } from './config/settings.ts';
import type { Gauges } from './domain/gauges.ts';
import { linkId } from './domain/ids.ts';
import { ownerText } from './domain/owner.ts';
import type { Clock, Journal, Random, Timers } from './domain/ports.ts';
import type { Principal } from './domain/principal.ts';
import { Listener } from './downstream/listener.ts';
import type { RouteDeps } from './downstream/open-exchange.ts';
import { OwnerHops } from './downstream/owner-hop.ts';
import { createPeerServer } from './downstream/peer-server.ts';
import { type Answering, createServer } from './downstream/server.ts';
import { drain, retire } from './drain.ts';
import { type Certificates, readCertificates } from './edge/certificate.ts';
import { letInStill } from './identity/let-in-still.ts';
import { type Entrance, Reception } from './identity/reception.ts';
import { BothJournals } from './observe/both-journals.ts';
import type { Metrics } from './observe/metrics.ts';
import { RecentErrors } from './observe/recent-errors.ts';
import { ALL_REVISIONS, UPSTREAM_REVISIONS } from './protocol/eras.ts';
import { HopReader } from './protocol/hop-header.ts';
import { METHODS } from './protocol/methods.ts';
import { SECRET_BYTES, TokenSealer } from './protocol/sealed-token.ts';
import { type ConfigSource, Reloader } from './reload.ts';
import { systemClock, systemRandom, systemTimers } from './real-time.ts';
import { directoryOf } from './replica/directory.ts';
import { Greetings } from './replica/greetings.ts';
import { OwnerWatch } from './replica/owner-watch.ts';
import { peerAgent } from './replica/peer-agent.ts';
import { Peers, type Resolve } from './replica/peers.ts';
import { SharedStore } from './replica/shared-store.ts';
import type { Shelf } from './replica/shelf.ts';
import { StoreDirectory } from './replica/store-directory.ts';
import { Budgets } from './traffic/budgets.ts';
import { mountGauges } from './traffic/mount-gauges.ts';
import { Mount } from './traffic/mount.ts';
import { oldestCalls } from './traffic/oldest-calls.ts';
import { Tally } from './traffic/tally.ts';
import { SessionRegistry } from './traffic/session-registry.ts';

export interface AppOptions {
  readonly config: Config;
  readonly journal: Journal;
  /** Of package.json; said to upstreams as clientInfo. */
  readonly version: string;
  /** See metricsFor. Without them there is no admin listener. */
  readonly metrics?: Metrics | null;
  /** Null: it is not to be had again. */
  readonly source?: ConfigSource | null;
  readonly clock?: Clock;
  readonly timers?: Timers;
  readonly random?: Random;
  /** See shelfFor; needed where `store` is configured. */
  readonly shelf?: Shelf | null;
  /** Of the names of other replicas. */
  readonly resolve?: Resolve;
}

export interface App {
  readonly mounts: readonly Mount[];
  readonly registry: SessionRegistry;
  /** Those that are shown. */
  readonly certificates: Certificates;
  /** Replies that have not been taken to their end. */
  inFlight(): number;
  /** What is held at this moment. */
  gauges(): Gauges;
  /** See Reloader. */
  reload(): Promise<Difference>;
  /** Binds the listener for whoever runs the gateway; null: there is none. Rejects when the address cannot be had. */
  listenAdmin(): Promise<AddressInfo | null>;
  /** Resolves when it is known whether the store can be used; rejects with a ConfigError where it never can. */
  openStore(): Promise<void>;
  /**
   * Binds the listener for other replicas and asks them how they are; null: there are none. Rejects when the address cannot
   * be had, and with a ConfigError where the others cannot work with this one.
   */
  listenPeers(): Promise<AddressInfo | null>;
  /** Binds the listener for clients and opens the warm links. Rejects when the address cannot be had. */
  listen(): Promise<AddressInfo>;
  /**
   * Finishes what runs, within drain.timeout, and closes everything. Idempotent. `announced`: /readyz says so for
   * drain.delay before anything is refused.
   */
  close(how?: 'announced' | 'now'): Promise<void>;
}

/** Null where nobody could ask for them. Loaded only then: it takes longer than all else that is loaded. */
export async function metricsFor({ admin, upstreams, store }: Config, version: string): Promise<Metrics | null> {
  if (admin === undefined) return null;
  const loaded = await import('./observe/metrics.ts');
  return new loaded.Metrics({
    upstreams: upstreams.map(({ name }) => name),
    methods: Object.keys(METHODS),
    revisions: [...ALL_REVISIONS, ...UPSTREAM_REVISIONS],
    version,
    hasStore: store !== undefined,
  });
}

/** Throws a ConfigError when a certificate cannot be used. */
export function createApp(options: AppOptions): App {
  const { version, clock = systemClock, timers = systemTimers, random = systemRandom } = options;
  const { metrics = null, source = null } = options;
  /** For whoever looks; what nobody can ask for is not kept. */
  const kept = metrics && { metrics, errors: new RecentErrors(() => Date.now()) };
  const journal =
    kept === null ? options.journal : new BothJournals(options.journal, new BothJournals(kept.metrics, kept.errors));
  /** What goes now. */
  let config = options.config;
  /** By the clock on the wall. */
  let configuredAt = Date.now();
  /** The ways in of now. */
  let entrances: ReadonlyMap<string, Entrance> = new Map();
  let certificates = readCertificates(config);

  // Of this process alone, and known to nobody else: what it has sealed opens as long as the process runs.
  const ownSecret = random.bytes(SECRET_BYTES);
  const sealer = new TokenSealer(ownSecret, (length) => random.bytes(length));
  const useSecrets = ({ secrets }: Config): void => {
    const older = secrets?.previous === undefined ? [] : [secretBytes(secrets.previous)];
    if (secrets === undefined) sealer.use(ownSecret, []);
    else sealer.use(secretBytes(secrets.current), [...older, ownSecret]);
  };
  useSecrets(config);
  let fingerprintKey = fingerprintKeyOf(config) ?? createSecretKey(random.bytes(32));
  const self = {
    incarnation: Buffer.from(random.bytes(8)).toString('base64url'),
    address: config.peers?.self ?? null,
  };
  const owner = ownerText(self);
  const wallMs = (): number => Date.now();
  const wallSeconds = (): number => Math.floor(wallMs() / 1000);
  const heapBytes = getHeapStatistics().heap_size_limit;
  const budgets = new Budgets({ limits: () => config.budgets, clock });
  let links = 0;
  const mountOf = (within: Config, upstream: UpstreamConfig): Mount =>
    new Mount({
      upstream,
      config: settingsOf(within, upstream),
      clock,
      timers,
      random,
      journal,
      nextLinkId: () => linkId(++links),
      clientInfo: { name: 'mcp-causeway', version },
      sealer,
      owner,
      wallSeconds,
      budgets,
      fingerprintKey: () => fingerprintKey,
      publicUrl: () => config.publicUrl,
    });
  let mounts = config.upstreams.map((upstream) => mountOf(config, upstream));
  /** Served no more; what runs on them is finished. */
  const leaving = new Set<Mount>();
  const allMounts = (): readonly Mount[] => [...mounts, ...leaving];
  const { shelf = null } = options;
  const store =
    shelf === null || config.store === undefined
      ? null
      : new SharedStore({ shelf, sealer, owner, prefix: config.store.prefix, clock, timers, journal });
  const whereabouts = store && new StoreDirectory({ self, store, clock, timers, journal });
  const directory = whereabouts ?? directoryOf(self);
  const registry = new SessionRegistry({
    limits: () => config.limits,
    budgets,
    bytesOfCaller: () => config.budgets.bufferedBytes,
    clock,
    timers,
    random,
    wallSeconds,
    heapBytes,
    sealer,
    owner,
    store,
    onMoved: (id, to) => whereabouts?.movedTo(id, to),
    onEnded: (id) => whereabouts?.ended(id),
  });
  const replica = config.peers === undefined ? null : replicaOf(config.peers);
  const inFlight = new Tally();
  let isRefusing = false;
  let closing: Promise<void> | null = null;
  let closingSince = 0;
  const deps: RouteDeps = {
    registry,
    hops: replica?.hops ?? (store && hopsToNobody()),
    reception: new Reception({ clock, timers, journal, wallSeconds }),
    journal,
    random,
    entrance: (path) => entrances.get(path),
    inFlight,
    received: new Tally(),
    calls: () => allMounts().reduce((total, mount) => total + mount.inFlight, 0),
    listens: new Tally(),
    budgets,
    spend: (caller, howMany) => budgets.call(caller, howMany),
    isLeaving: () => closing !== null,
    isStoreUp: () => store?.isUp !== false,
    isDraining: () => isRefusing,
    isHandingOver: store !== null,
    limits: () => ({ ...config.limits, receivedBytes: config.limits.receivedBytes || heapBytes / 4 }),
    current: (mount) => mounts.find(({ name, path }) => name === mount.name && path === mount.path) ?? mount,
    ofName: (mount) => allMounts().filter(({ name }) => name === mount.name),
  };
  const listener = new Listener(config.timeouts, certificates.listen, journal);

  const gauges = (): Gauges => ({
    upstreams: [...Map.groupBy(allMounts(), ({ name }) => name).values()].flatMap(([first, ...others]) =>
      first === undefined ? [] : [mountGauges([first, ...others], mounts.includes(first))],
    ),
    replies: inFlight.count,
    bufferedBytes: registry.bufferedBytes,
    isDraining: closing !== null,
    store: store?.gauges ?? null,
    replica: replica && { self: replica.config.self, peers: replica.greetings.seen },
  });
  const reloader = new Reloader({ source, journal, current: () => config, isLeaving: deps.isLeaving, apply });
  const admin =
    config.admin === undefined || kept === null
      ? null
      : createAdminServer(config.admin.host, {
          certificate: certificates.admin,
          journal,
          ...kept,
          gauges,
          oldestCalls: (max) => oldestCalls(allMounts(), max),
          times: () => ({ configuredAt, drainingMs: closing === null ? null : Math.round(clock.now() - closingSince) }),
          version,
          config: () => config,
          reload: () => reloader.reload(),
        });

  /** What another process has had is to be found in the store. */
  function hopsToNobody(): OwnerHops {
    return new OwnerHops({
      sealer,
      owner,
      wallSeconds,
      directory,
      peers: { find: () => null },
      greetings: { up: [] },
      watch: null,
      random,
      agent: null,
      journal,
    });
  }

  function replicaOf(own: PeersConfig) {
    const { resolve } = options;
    const peers = new Peers({ config: own, clock, timers, ...(resolve && { resolve }) });
    const agent = peerAgent(peers);
    const seal = { sealer, owner, wallSeconds };
    const greetings = new Greetings({ ...seal, peers, agent, journal, clock, timers, random, wallMs });
    const watch = store && new OwnerWatch({ store, greetings, clock, timers });
    return {
      config: own,
      peers,
      agent,
      watch,
      door: { ...seal, reader: new HopReader(seal), directory, version, wallMs },
      hops: new OwnerHops({ ...seal, directory, peers, greetings, watch, random, agent, journal }),
      greetings,
      listener: new Listener(config.timeouts, null, journal),
    };
  }

  function renew(next: Certificates): void {
    for (const section of ['listen', 'admin'] as const) {
      const [before, after] = [certificates[section], next[section]];
      if (after === null || after.fingerprint === before?.fingerprint) continue;
      journal.record({ fact: 'certificate_renewed', section, validTo: after.validTo.toISOString() });
    }
    certificates = next;
    listener.renew(next.listen);
    admin?.renew(next.admin);
  }

  async function apply(what: Difference): Promise<void> {
    const renewed = readCertificates(what.config);
    const next = what.config.upstreams.map((upstream) => {
      const earlier = what.kept.includes(upstream.name) ? mounts.find(({ name }) => name === upstream.name) : undefined;
      return earlier ?? mountOf(what.config, upstream);
    });
    const fresh = next.filter((mount) => !mounts.includes(mount));
    let answering: Answering;
    try {
      answering = await createServer(what.config, next, deps);
      const toPeers = replica && (await createPeerServer(what.config, next, deps, replica.door));
      // What comes while it drains is for those that drain.
      if (closing !== null) throw new ConfigError('the gateway is shutting down');
      renew(renewed);
      listener.answerWith(answering.answer, what.config.timeouts);
      if (toPeers !== null) replica?.listener.answerWith(toPeers, what.config.timeouts);
    } catch (thrown) {
      await Promise.all(fresh.map((mount) => mount.close()));
      throw thrown;
    }
    const gone = mounts.filter((mount) => !next.includes(mount));
    const before = config;
    mounts = next;
    config = what.config;
    configuredAt = Date.now();
    ({ entrances } = answering);
    useSecrets(config);
    // One that starts now has no other.
    fingerprintKey = fingerprintKeyOf(config) ?? fingerprintKey;
    admin?.giveTime(config.timeouts);
    for (const mount of fresh) mount.start();
    for (const mount of gone) {
      leaving.add(mount);
      void retire(mount, { registry, timers, timeoutMs: config.drain.timeout })
        .catch((cause: unknown) => journal.record({ fact: 'fault', upstream: mount.name, cause }))
        .finally(() => leaving.delete(mount));
    }
    for (const upstream of config.upstreams) {
      const earlier = before.upstreams.find(({ name }) => name === upstream.name);
      if (earlier !== undefined) endOthers(upstream.name, letInStill([before, earlier], [config, upstream]));
    }
  }

  /** What callers of this upstream hold open who may hold it no more, also where it is on its way out. */
  function endOthers(upstream: string, isLetIn: (principal: Principal) => boolean): void {
    registry.turnOut(upstream, isLetIn);
    for (const { name, modern, passage } of allMounts()) {
      if (name !== upstream) continue;
      modern.listens.endThose(({ principal }) => !isLetIn(principal));
      passage?.endThose(({ principal }) => !isLetIn(principal));
    }
  }

  return {
    get mounts() {
      return mounts;
    },
    registry,
    get certificates() {
      return certificates;
    },
    inFlight: () => inFlight.count,
    gauges,
    reload: () => reloader.reload(),
    async listenAdmin() {
      if (admin === null || config.admin === undefined) return null;
      return admin.listen(config.admin.port);
    },
    async openStore() {
      await store?.start();
    },
    async listenPeers() {
      if (replica === null) return null;
      await replica.peers.start();
      replica.listener.answerWith(await createPeerServer(config, mounts, deps, replica.door), config.timeouts);
      const address = await replica.listener.listen(replica.config);
      await replica.greetings.start();
      return address;
    },
    async listen() {
      const answering = await createServer(config, mounts, deps);
      ({ entrances } = answering);
      listener.answerWith(answering.answer, config.timeouts);
      const address = await listener.listen(config.listen);
      for (const mount of mounts) mount.start();
      return address;
    },
    close(how = 'now') {
      const { delay, timeout } = config.drain;
      if (closing === null) closingSince = clock.now();
      // Up to the end it can be seen how the drain goes on.
      closing ??= drain({
        listener,
        ofPeers: replica?.listener ?? null,
        hops: replica?.hops ?? null,
        mounts: allMounts,
        registry,
        isHandingOver: deps.isHandingOver,
        lookForOthers: replica && (() => replica.greetings.again().then(() => replica.greetings.up.length > 0)),
        inFlight,
        timers,
        delayMs: how === 'announced' ? delay : 0,
        timeoutMs: timeout,
        onRefusing: () => {
          isRefusing = true;
        },
      }).then(async () => {
        deps.reception.close();
        replica?.peers.close();
        replica?.greetings.close();
        replica?.watch?.close();
        await store?.close();
        await replica?.agent.destroy();
        await admin?.close();
      });
      return closing;
    },
  };
}

/** What replicas share can tell callers apart by their credentials; null: this process is alone. */
function fingerprintKeyOf({ secrets, peers, store }: Config): KeyObject | null {
  if (secrets === undefined || (peers === undefined && store === undefined)) return null;
  const key = hkdfSync('sha256', secretBytes(secrets.current), '', 'mcp-causeway caller fingerprint', 32);
  return createSecretKey(new Uint8Array(key));
}
