// What one replica can know of another, and what can become of a request that it passes on.

export const HOP_OUTCOMES = [
  'served',
  'unknown',
  'gone',
  'unreachable',
  'silent',
  'refused',
  'lost',
  'client_gone',
  'ended',
] as const;
/**
 * `unknown`: the owner is there, and does not have it (any more); `gone`: it is another process by now, or no replica;
 * `unreachable`: no connection came about; `silent`: it shows no life, and what it was asked has no effect twice; `refused`: it does not take what we pass on; `lost`: broken off before its end; `ended`
 * by us, because this replica stops.
 */
export type HopOutcome = (typeof HOP_OUTCOMES)[number];

export const PEER_STATES = ['up', 'draining', 'apart', 'refusing', 'unreachable'] as const;
/** `apart`: its clock and ours do not agree; `refusing`: it cannot read what we seal, or we not what it does. */
export type PeerState = (typeof PEER_STATES)[number];

export interface PeerGauge {
  /** HOST:PORT */
  readonly peer: string;
  /** Null: it was not asked yet. */
  readonly state: PeerState | null;
  readonly version: string | null;
  /** So far its clock is ahead of ours; null: not known. */
  readonly clockMs: number | null;
}

export interface ReplicaGauges {
  /** How the others reach this one. */
  readonly self: string;
  readonly peers: readonly PeerGauge[];
}
