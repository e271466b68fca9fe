// What GET /status says: the numbers of this moment, for a person or a script. Names of the configuration, no URLs.

import { type Gauges, readiness } from '../domain/gauges.ts';

export interface Status extends Pick<Gauges, 'replies' | 'bufferedBytes'> {
  readonly status: ReturnType<typeof readiness>;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly upstreams: readonly object[];
}

export function statusOf(gauges: Gauges, version: string, uptimeSeconds: number): Status {
  const { upstreams, replies, bufferedBytes, isDraining } = gauges;
  return {
    status: readiness(isDraining, upstreams),
    version,
    uptimeSeconds: Math.floor(uptimeSeconds),
    replies,
    bufferedBytes,
    upstreams: upstreams.map(({ upstream, isReady, isSingle, isUnverified, ...rest }) => ({
      name: upstream,
      ready: isReady,
      single: isSingle,
      ...(isUnverified && { tlsUnverified: true }),
      ...rest,
    })),
  };
}
