// What is said of the gateway at a moment, to a script as JSON and to a person as a page: the same facts. Names of the
// configuration and what clients and servers call things, but no URLs, ids, arguments or credentials.

import { redactedUrlsIn } from '../config/redacted-url.ts';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import type { CallUnderWay } from '../domain/calls-under-way.ts';
import { type Gauges, type LinkUse, type UpstreamGauges, readiness } from '../domain/gauges.ts';
import type { RecentError } from '../observe/recent-errors.ts';

export interface Observed {
  readonly gauges: Gauges;
  /** Those that have been under way for longest. */
  readonly oldestCalls: readonly CallUnderWay[];
  readonly recentErrors: readonly RecentError[];
  /** That goes now. */
  readonly config: Config;
  /** Since when it goes, in milliseconds since 1970. */
  readonly configuredAt: number;
  /** For how long the gateway has been stopping; null: it is not. */
  readonly drainingMs: number | null;
}

export interface UpstreamStatus extends Omit<UpstreamGauges, 'upstream' | 'isReady' | 'isSingle' | 'isUnverified'> {
  readonly name: string;
  /** Null: it is served no more, and finishes what runs. */
  readonly path: string | null;
  readonly mode: UpstreamConfig['mode'] | null;
  readonly ready: boolean;
  readonly single: boolean;
  readonly tlsUnverified?: true;
  /** How many links there may be, by their use; null: it is served no more. */
  readonly limits: Readonly<Record<LinkUse, number>> | null;
}

export interface StatusError extends Omit<RecentError, 'firstAt' | 'lastAt'> {
  readonly firstAt: string;
  readonly lastAt: string;
}

export interface Status extends Pick<Gauges, 'replies' | 'bufferedBytes' | 'replica' | 'store'> {
  readonly status: ReturnType<typeof readiness>;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly configuredAt: string;
  readonly drainingMs: number | null;
  readonly limits: Pick<Config['limits'], 'inFlight' | 'sessions'>;
  readonly upstreams: readonly UpstreamStatus[];
  readonly oldestCalls: readonly CallUnderWay[];
  readonly recentErrors: readonly StatusError[];
}

export function statusOf(observed: Observed, version: string, uptimeSeconds: number): Status {
  const { gauges, oldestCalls, recentErrors, config, configuredAt, drainingMs } = observed;
  const { upstreams, replies, bufferedBytes, isDraining, replica, store } = gauges;
  return {
    status: readiness(isDraining, upstreams),
    version,
    uptimeSeconds: Math.floor(uptimeSeconds),
    configuredAt: isoTime(configuredAt),
    drainingMs,
    replies,
    bufferedBytes,
    limits: { inFlight: config.limits.inFlight, sessions: config.limits.sessions },
    replica,
    store,
    upstreams: upstreams.map((each) => upstreamStatus(each, config)),
    oldestCalls: oldestCalls.map(({ name, ...call }) => ({
      ...call,
      name: name === null ? null : redactedUrlsIn(name),
    })),
    recentErrors: recentErrors.map(({ firstAt, lastAt, ...error }) => ({
      ...error,
      firstAt: isoTime(firstAt),
      lastAt: isoTime(lastAt),
    })),
  };
}

function upstreamStatus(
  { upstream: name, isReady, isSingle, isUnverified, ...rest }: UpstreamGauges,
  config: Config,
): UpstreamStatus {
  const served = config.upstreams.find((each) => each.name === name);
  const links = served === undefined ? null : settingsOf(config, served).links;
  return {
    name,
    path: served?.path ?? null,
    mode: served?.mode ?? null,
    ready: isReady,
    single: isSingle,
    ...(isUnverified && { tlsUnverified: true }),
    ...rest,
    limits: links && { pooled: isSingle ? 1 : links.maxTotal, dedicated: links.maxDedicated },
  };
}

function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
