// How many replicas a demand takes and what breaks first, from what single things cost: arithmetic alone. run.ts measures the
// costs, and whether two and three replicas cost what is said here; page.ts prints docs/scaling.md.

/** Of the machine they were measured on; CPU in microseconds, memory in bytes. */
export interface UnitCosts {
  /** A small call of a session, at the replica that holds it. */
  readonly callUs: number;
  /** The same call when another replica has passed it on, at the one that holds the session … */
  readonly hoppedUs: number;
  /** … and at the one that passed it on. */
  readonly hopUs: number;
  /** A session that is opened and ended. */
  readonly openUs: number;
  /** A session with its GET stream, for a second in which nobody calls. */
  readonly keepUs: number;
  readonly processBytes: number;
  /** A session with its link and its GET stream. */
  readonly sessionBytes: number;
  /** A GET stream that is passed on, at the replica which does that. */
  readonly hopStreamBytes: number;
  readonly processDescriptors: number;
  readonly sessionDescriptors: number;
  readonly hopStreamDescriptors: number;
  readonly store: StoreCosts;
}

/** What the same costs more where there is a store. */
export interface StoreCosts {
  /** At the replica: a session that is opened and ended, an event of a stream. */
  readonly openUs: number;
  readonly eventUs: number;
  /** At the store. */
  readonly redisOpenUs: number;
  readonly redisEventUs: number;
  readonly openOperations: number;
  readonly eventOperations: number;
  readonly takeOverOperations: number;
  /** What the store keeps of a session that has no events. */
  readonly sessionBytes: number;
}

export type CallCosts = Pick<UnitCosts, 'callUs' | 'hoppedUs' | 'hopUs' | 'openUs'>;
export type SessionCosts = Omit<UnitCosts, keyof CallCosts | 'store'>;

export interface Demand {
  readonly sessions: number;
  /** Of one session. */
  readonly callsPerSecond: number;
  /** Of one session: what goes over an event stream, progress or a notification; a plain answer is none. */
  readonly eventsPerSecond: number;
  /** How long a session lasts. */
  readonly lifetimeSeconds: number;
  /** Of the requests, how many the balancer brings to the replica that holds the session. None: only those that land there by chance. */
  readonly affinity: number;
  readonly hasStore: boolean;
}

/** What one replica, one server and one store have. */
export interface Capacity {
  /** Of a core, what may be used on average. */
  readonly cores: number;
  /** Of the memory, what sessions may take: the rest is for what is in flight. */
  readonly bytes: number;
  readonly descriptors: number;
  /** Connections from one address to one other address and port. */
  readonly ports: number;
  /** Sessions that one process of the old server bears. */
  readonly serverSessions: number;
  /** Of the core of the store. */
  readonly storeCores: number;
  readonly storeBytes: number;
}

/** Every replica asks every other one so often, and looks up their name so often. */
export const HELLO_EVERY_S = 10;
export const LOOKUP_EVERY_S = 5;
/** … and tells the store that it lives, so often. */
const LIVENESS_EVERY_S = 1;
/** Of a session: initialized, GET and DELETE. Where initialize lands, there the session is. */
const REQUESTS_AFTER_OPENING = 3;

export interface Use {
  readonly hopsPerCall: number;
  /** CPU of all replicas a call, with all it brings about. */
  readonly cpuUsPerCall: number;
  /** Of one replica. */
  readonly cores: number;
  readonly bytes: number;
  readonly descriptors: number;
  readonly links: number;
  /** Of all together, a second. */
  readonly calls: number;
  readonly hops: number;
  readonly hellos: number;
  readonly lookups: number;
  readonly storeOperations: number;
  readonly storeCores: number;
  readonly storeBytes: number;
}

/** With requests that land anywhere, all but one in N land elsewhere. */
export function hopsPerRequest(replicas: number, affinity = 0): number {
  return ((replicas - 1) / replicas) * (1 - affinity);
}

export function useOf(demand: Demand, costs: UnitCosts, replicas: number): Use {
  const { sessions, lifetimeSeconds, affinity } = demand;
  const share = hopsPerRequest(replicas, affinity);
  const calls = sessions * demand.callsPerSecond;
  const opened = sessions / lifetimeSeconds;
  const events = sessions * demand.eventsPerSecond;
  const hops = share * (calls + opened * REQUESTS_AFTER_OPENING);
  const hellos = (replicas * (replicas - 1)) / HELLO_EVERY_S;
  const callUs = callCost(costs, share);
  const store = storeUse(demand, costs.store, { opened, events, replicas });
  const us =
    calls * callUs +
    opened * openCost(costs, share, REQUESTS_AFTER_OPENING) +
    sessions * costs.keepUs +
    // A hello is a request with a sealed header like a call that is passed on, but for what the call itself costs.
    hellos * passedOn(costs) +
    store.replicaUs;
  const own = sessions / replicas;
  return {
    hopsPerCall: share,
    cpuUsPerCall: callUs,
    cores: us / 1e6 / replicas,
    bytes: costs.processBytes + own * sessionBytes(costs, share),
    descriptors:
      costs.processDescriptors +
      own * sessionDescriptors(costs, share) +
      // To each of the others and from each of them, at least one.
      2 * (replicas - 1),
    links: own,
    calls,
    hops,
    hellos,
    lookups: replicas > 1 ? replicas / LOOKUP_EVERY_S : 0,
    storeOperations: store.operations,
    storeCores: store.cores,
    storeBytes: store.bytes,
  };
}

/** CPU of all replicas that a small call takes, of which that share is passed on once. */
export function callCost({ callUs, hoppedUs, hopUs }: CallCosts, share: number): number {
  return (1 - share) * callUs + share * (hoppedUs + hopUs);
}

/** What a request costs more that is passed on. */
function passedOn({ callUs, hoppedUs, hopUs }: CallCosts): number {
  return hoppedUs + hopUs - callUs;
}

/** CPU of all replicas that a session takes to open and end: `requests` come after the one that opened it, each to anybody. */
export function openCost(costs: CallCosts, share: number, requests: number): number {
  return costs.openUs + share * requests * passedOn(costs);
}

/** What sessions with their streams make all replicas grow by, each. */
export function sessionBytes(costs: SessionCosts, share: number): number {
  return costs.sessionBytes + share * costs.hopStreamBytes;
}

export function sessionDescriptors(costs: SessionCosts, share: number): number {
  return costs.sessionDescriptors + share * costs.hopStreamDescriptors;
}

function storeUse(
  { sessions, hasStore }: Demand,
  costs: StoreCosts,
  { opened, events, replicas }: { readonly opened: number; readonly events: number; readonly replicas: number },
): { readonly replicaUs: number; readonly operations: number; readonly cores: number; readonly bytes: number } {
  if (!hasStore) return { replicaUs: 0, operations: 0, cores: 0, bytes: 0 };
  const liveness = replicas / LIVENESS_EVERY_S;
  return {
    replicaUs: opened * costs.openUs + events * costs.eventUs,
    operations: opened * costs.openOperations + events * costs.eventOperations + liveness,
    cores:
      (opened * costs.redisOpenUs +
        events * costs.redisEventUs +
        liveness * (costs.redisOpenUs / costs.openOperations)) /
      1e6,
    bytes: sessions * costs.sessionBytes,
  };
}

export type Resource = 'CPU' | 'memory' | 'descriptors' | 'ports';
export const RESOURCES: readonly Resource[] = ['CPU', 'memory', 'descriptors', 'ports'];

/** Of what one replica has, how much is used: above 1 it is not enough. */
export function shareOf(use: Use, has: Capacity, resource: Resource): number {
  const shares: Readonly<Record<Resource, number>> = {
    CPU: use.cores / has.cores,
    memory: use.bytes / has.bytes,
    descriptors: use.descriptors / has.descriptors,
    ports: use.links / has.ports,
  };
  return shares[resource];
}

export interface Plan {
  readonly replicas: number;
  readonly use: Use;
  /** What they are so many for. */
  readonly decides: Resource;
  /** Processes of the old server. */
  readonly servers: number;
  readonly stores: number;
}

/** Beyond it replicas do little but greet each other. */
const MOST_REPLICAS = 20_000;

/** The fewest replicas of which none is short of anything; nothing where there are none. */
export function planFor(demand: Demand, costs: UnitCosts, has: Capacity, most = MOST_REPLICAS): Plan | undefined {
  for (let replicas = 1; replicas <= most; replicas += 1) {
    const use = useOf(demand, costs, replicas);
    const fullest = mostUsed(use, has);
    if (shareOf(use, has, fullest) > 1) continue;
    return {
      replicas,
      use,
      decides: replicas === 1 ? fullest : mostUsed(useOf(demand, costs, replicas - 1), has),
      servers: Math.ceil(demand.sessions / has.serverSessions),
      stores: demand.hasStore
        ? Math.max(1, Math.ceil(Math.max(use.storeCores / has.storeCores, use.storeBytes / has.storeBytes)))
        : 0,
    };
  }
  return undefined;
}

function mostUsed(use: Use, has: Capacity): Resource {
  return RESOURCES.toSorted((a, b) => shareOf(use, has, b) - shareOf(use, has, a))[0] ?? 'CPU';
}

export interface Break {
  readonly what: Resource | 'server' | 'store';
  /** So many sessions, and it is all used. */
  readonly sessions: number;
}

/** With one replica, one process of the server and one store: what is used up first comes first. */
export function breaks(demand: Omit<Demand, 'sessions'>, costs: UnitCosts, has: Capacity): readonly Break[] {
  const at = (sessions: number): Use => useOf({ ...demand, sessions }, costs, 1);
  const [none, many] = [at(0), at(1e6)];
  const upTo = (share: (use: Use) => number): number => ((1 - share(none)) / (share(many) - share(none))) * 1e6;
  const found: Break[] = RESOURCES.map((what) => ({ what, sessions: upTo((use) => shareOf(use, has, what)) }));
  found.push({ what: 'server', sessions: has.serverSessions });
  if (demand.hasStore) {
    const [busy, full] = [(use: Use) => use.storeCores / has.storeCores, (use: Use) => use.storeBytes / has.storeBytes];
    found.push({ what: 'store', sessions: Math.min(upTo(busy), upTo(full)) });
  }
  return found
    .map(({ what, sessions }) => ({ what, sessions: Math.floor(sessions) }))
    .toSorted((a, b) => a.sessions - b.sessions);
}
