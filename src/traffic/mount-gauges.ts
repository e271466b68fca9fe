// What is held for one upstream at this moment. Counted when it is asked for: nothing of this costs a request anything.

import { LINK_PHASES, type LinkCounts, type UpstreamGauges } from '../domain/gauges.ts';
import type { Mount } from './mount.ts';

/**
 * `mounts`: the one that serves the upstream first, then those that finish what runs on them; without `isServed` they are
 * all of that kind.
 */
export function mountGauges(mounts: readonly [Mount, ...Mount[]], isServed: boolean): UpstreamGauges {
  const [{ name, health, isReady, openBreakers, nextTryMs, failedOpenings, isSingle, isUnverified }] = mounts;
  const sum = (of: (mount: Mount) => number): number => mounts.reduce((total, mount) => total + of(mount), 0);
  return {
    upstream: name,
    state: health.is,
    // Of one that gets no request any more no balancer needs to know.
    isReady: isReady || !isServed,
    server: health.server?.server ?? null,
    revision: health.server?.revision ?? null,
    openBreakers,
    nextTryMs,
    failedOpenings,
    isSingle,
    isUnverified,
    lastError: health.lastError,
    links: linksOf(mounts),
    sessions: sum(({ onlyLink }) => onlyLink.sessions.size),
    streams: sum(({ onlyLink }) => [...onlyLink.sessions].reduce((total, { openStreams }) => total + openStreams, 0)),
    passthroughStreams: sum(({ passage }) => passage?.openStreams ?? 0),
    calls: sum(({ inFlight }) => inFlight),
    heldCalls: sum(({ modern }) => modern.held.size),
    listens: sum(({ modern }) => modern.listens.count),
    waitingCallers: sum(({ waitingCount }) => waitingCount),
  };
}

function linksOf(mounts: readonly Mount[]): LinkCounts {
  const none = (): Record<(typeof LINK_PHASES)[number], number> => ({ opening: 0, open: 0, closing: 0 });
  const counts = { pooled: none(), dedicated: none() };
  for (const { conversations } of mounts) for (const { use, phase } of conversations) counts[use][phase]++;
  return counts;
}
