// What one mount holds at this moment. Counted when it is asked for: nothing of this costs a request anything.

import { LINK_PHASES, type LinkCounts, type UpstreamGauges } from '../domain/gauges.ts';
import type { Mount } from './mount.ts';

export function mountGauges(mount: Mount): UpstreamGauges {
  const { health, onlyLink, modern } = mount;
  return {
    upstream: mount.name,
    state: health.is,
    isReady: mount.isReady,
    openBreakers: mount.openBreakers,
    isSingle: mount.isSingle,
    lastError: health.lastError,
    links: linksOf(mount),
    sessions: onlyLink.sessions.size,
    streams: [...onlyLink.sessions].reduce((total, { openStreams }) => total + openStreams, 0),
    passthroughStreams: mount.passage?.openStreams ?? 0,
    calls: mount.inFlight,
    heldCalls: modern.held.size,
    listens: modern.listens.count,
    waitingCallers: mount.waitingCount,
  };
}

function linksOf({ conversations }: Mount): LinkCounts {
  const none = (): Record<(typeof LINK_PHASES)[number], number> => ({ opening: 0, open: 0, closing: 0 });
  const counts = { pooled: none(), dedicated: none() };
  for (const { use, phase } of conversations) counts[use][phase]++;
  return counts;
}
