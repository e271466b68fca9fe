// What takes part in the load bench, as the load side sees it: where to call, how, and what it can be asked.

export const PEER_NAMES = [
  'direct',
  'http-floor',
  'http-floor-buf',
  'http-floor-node',
  'nginx',
  'naive',
  'mcp-proxy',
  'supergateway',
  'causeway',
  'causeway-replicas',
  'causeway-store',
] as const;
export type PeerName = (typeof PEER_NAMES)[number];

export type Ability =
  /** Single calls. A peer with `needsSession` is asked them within one: nothing less gets an answer from it. */
  | 'sessionless'
  | 'sessions'
  | 'progress'
  | 'mib8'
  | 'req1'
  | 'modern'
  | 'rounds'
  | 'idle'
  | 'churn'
  /** Calls of sessions that another replica holds. */
  | 'hop'
  /** What is compared with and without a store. */
  | 'store';

export interface Peer {
  readonly name: PeerName;
  /** The processes between load and upstream; none for direct. Read anew each time: chains start more. */
  readonly pids: () => readonly number[];
  /** What it can be asked: scenarios name what they need. */
  readonly can: ReadonlySet<Ability>;
  /** How its clients speak: 'http' posts to path, 'legacy' speaks HTTP+SSE. */
  readonly speaks: 'http' | 'legacy';
  readonly port: number;
  readonly path: string;
  /** Whether clients must initialize a session first. */
  readonly needsSession: boolean;
  /** Where sessions are opened, one after the other, where that is not where clients call. */
  readonly homes?: readonly number[];
  /** Where clients call, in turn, where that is not one port. */
  readonly via?: readonly number[];
  /** Of its processes those whose CPU is told apart, too: who only passes on, or keeps. */
  readonly apart?: () => readonly number[];
  readonly store?: Store;
  stop(): void;
}

/** What keeps the sessions of a peer, and can be away. */
export interface Store {
  /** Ended, or alive and silent. */
  leave(how: Outage): void;
  /** Back again, and known to be back. */
  comeBack(how: Outage): Promise<void>;
}

export type Outage = 'down' | 'held';
