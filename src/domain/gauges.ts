// What a running gateway holds at this moment, as numbers: read when somebody asks, for metrics and for the status page.

import type { ErrorCode } from './errors.ts';
import type { ReplicaGauges } from './replicas.ts';

export const LINK_USES = ['pooled', 'dedicated'] as const;
export const LINK_PHASES = ['opening', 'open', 'closing'] as const;
export type LinkUse = (typeof LINK_USES)[number];
export type LinkPhase = (typeof LINK_PHASES)[number];
export type LinkCounts = Readonly<Record<LinkUse, Readonly<Record<LinkPhase, number>>>>;

export interface UpstreamGauges {
  readonly upstream: string;
  /** As the last attempt to open a link has shown. */
  readonly state: 'unknown' | 'up' | 'down';
  readonly isReady: boolean;
  /** What it calls itself, and the revision that it chose, on the youngest link; null: there was none yet. */
  readonly server: string | null;
  readonly revision: string | null;
  /** URLs of it that have failed too often in a row, and are not tried for now. */
  readonly openBreakers: number;
  /** Until the first of those is tried again; null: there are none. */
  readonly nextTryMs: number | null;
  /** Attempts to open a warm link that failed in a row, while the next one waits for its turn; 0: none waits. */
  readonly failedOpenings: number;
  /** Everything goes over one link. */
  readonly isSingle: boolean;
  /** Its certificate is not checked. */
  readonly isUnverified: boolean;
  /** Why a link could not be opened, or was lost, the last time; null: never yet. */
  readonly lastError: { readonly reason: ErrorCode; readonly agoMs: number } | null;
  readonly links: LinkCounts;
  /** Those that are being opened included. */
  readonly sessions: number;
  /** Event streams of sessions that a client is connected to. */
  readonly streams: number;
  /** Of old clients. */
  readonly passthroughStreams: number;
  /** Calls that hold a place on a link, whether or not their client is still there. */
  readonly calls: number;
  /** Of those, and of those that are answered already: the ones that wait for their client to come back. */
  readonly heldCalls: number;
  readonly listens: number;
  /** Who stands in line for a pooled link. */
  readonly waitingCallers: number;
}

export interface Gauges {
  readonly upstreams: readonly UpstreamGauges[];
  /** Replies that have not been taken to their end. */
  readonly replies: number;
  /** Events kept for sessions. */
  readonly bufferedBytes: number;
  readonly isDraining: boolean;
  /** Null: there are no other replicas. */
  readonly replica: ReplicaGauges | null;
  /** Null: there is none. */
  readonly store: StoreGauges | null;
}

export interface StoreGauges {
  /** It takes what it is to keep. */
  readonly isUp: boolean;
  /** Sessions of which copies are kept. */
  readonly sessions: number;
  /** Those of them whose copy is not up to date. */
  readonly behind: number;
  /** Copies that are in line to be written, or are being written. */
  readonly waiting: number;
}

export type Readiness = 'ok' | 'draining' | 'upstream unavailable';

/** Whether a balancer should send requests here. */
export function readiness(isDraining: boolean, upstreams: readonly { readonly isReady: boolean }[]): Readiness {
  if (isDraining) return 'draining';
  return upstreams.every(({ isReady }) => isReady) ? 'ok' : 'upstream unavailable';
}
