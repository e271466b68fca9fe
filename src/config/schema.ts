// The one schema of the configuration: type, default and meaning of every key. Durations and sizes are written with
// their unit (`5s`, `4MiB`) and become numbers of milliseconds and bytes here.

import { z } from 'zod';

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  kB: 1000,
  MB: 1e6,
  GB: 1e9,
};

/** Node's timers hold 32 bits; a longer duration would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function withUnit(units: Readonly<Record<string, number>>, example: string, max: number) {
  return (text: string, context: z.RefinementCtx): number => {
    const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim()) ?? [];
    const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
    const value = factor === undefined ? Number.NaN : Math.round(Number(digits) * factor);
    if (!(value >= 0 && value <= max)) {
      context.addIssue({
        code: 'custom',
        message: `write a number with a unit (${Object.keys(units).join(', ')}), such as ${example}`,
      });
      return z.NEVER;
    }
    return value;
  };
}

/** `leastMs`: below it the setting would make a loop that does nothing else, or something that can never succeed. */
const duration = (fallback: string, leastMs = 1) =>
  z
    .string({ error: 'write it with a unit, such as 15s' })
    .default(fallback)
    .transform(withUnit(DURATION_MS, '5s', MAX_TIMER_MS))
    .refine((ms) => ms >= leastMs, `must be at least ${leastMs}ms`);
const size = (fallback: string) =>
  z
    .string({ error: 'write it with a unit, such as 4MiB' })
    .default(fallback)
    .transform(withUnit(SIZE_BYTES, '4MiB', 2 ** 31));
const count = (fallback: number, least = 0) => z.int().min(least).default(fallback);

/** What the transport sets itself; a second value would break the request or the framing. */
const OWN_HEADER =
  /^(?:accept|accept-encoding|connection|content-length|content-type|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade|mcp-.*)$/i;

const httpUrl = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    context.addIssue({ code: 'custom', message: 'must be an http or https URL, such as http://127.0.0.1:9001/sse' });
    return z.NEVER;
  }
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    context.addIssue({ code: 'custom', message: 'holds a user name or password that is not percent-encoded' });
    return z.NEVER;
  }
  return url;
});

const links = z
  .strictObject({
    min: count(1).describe('warm links kept open from the start'),
    max: count(32, 1).describe('pooled links per key'),
    maxTotal: count(64, 1).describe('pooled links in all'),
    maxDedicated: count(1000, 1).describe('links owned by sessions'),
    maxInFlight: count(64, 1).describe('calls at once on a shared link'),
    maxQueue: count(256).describe('callers waiting for a link'),
    queueTimeout: duration('10s', 0).describe('how long a caller waits for a link'),
    idleTimeout: duration('60s', 0).describe('unused links beyond min are closed after this'),
    pingInterval: duration('30s', 0).describe('a link silent for so long is pinged before it is leased'),
    pingTimeout: duration('5s', 10).describe('how long that ping may take'),
    isolation: z.enum(['principal', 'shared', 'request']).default('principal').describe('who may share a link'),
    single: z
      .union([z.literal('auto'), z.literal(true)])
      .default('auto')
      .describe('true: one link for everything'),
  })
  .prefault({});

const timeouts = z
  .strictObject({
    connect: duration('5s').describe('TCP and TLS toward the upstream'),
    headers: duration('10s').describe('response headers of the event stream'),
    endpoint: duration('10s').describe('the endpoint event'),
    initialize: duration('15s').describe('the answer to initialize'),
    post: duration('10s').describe(
      'a notification or answer to be accepted; what is left of a POST whose call is answered',
    ),
    request: duration('5m').describe('the answer to a call; progress starts it anew'),
    requestMax: duration('1h').describe('the answer to a call, progress or not'),
    sessionIdle: duration('30m').describe('a session nobody uses'),
    sessionMax: duration('24h').describe('a session in all'),
    clientHeaders: duration('15s').describe('a client’s request headers'),
    clientBody: duration('30s').describe('a client’s whole request'),
    clientWrite: duration('30s').describe('a client that takes nothing of its answer'),
    keepAlive: duration('75s').describe('an idle client connection'),
  })
  .prefault({});

const limits = z
  .strictObject({
    bodyBytes: size('4MiB').describe('a client’s request body'),
    upstreamMessageBytes: size('16MiB').describe('one message from the upstream'),
    jsonDepth: count(128, 8).describe('nesting of a message'),
    sessions: count(10_000, 1).describe('sessions at once'),
    inFlight: count(10_000, 1).describe('exchanges at once'),
    batch: count(100, 1).describe('messages in a batch'),
    bufferedBytes: size('0B').describe('bytes of events kept for all sessions; 0B: a quarter of the heap'),
    streamBacklogBytes: size('1MiB').describe('what a slow client may leave unread beyond one message'),
  })
  .prefault({});

const streams = z
  .strictObject({
    primeAfter: duration('100ms').describe('a call of a 2025-11-25 session unanswered for so long gets a stream'),
    retry: duration('1s').describe('how long a 2025-11-25 client waits before it reconnects'),
    maxEvents: count(1000, 1).describe('events kept per session'),
    maxBytes: size('4MiB').describe('bytes of events kept per session, beyond one event of any size'),
    maxAge: duration('10m').describe('how long an event is kept'),
    maxDuration: duration('0s', 0).describe(
      'streams of 2025-11-25 clients are ended after this, for the client to resume; 0s: never',
    ),
  })
  .prefault({});

const upstream = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, 'letters, digits, dot, dash and underscore, at most 63')
    .default('default'),
  path: z
    .string()
    .regex(/^\/[A-Za-z0-9/_.-]*[A-Za-z0-9_-]$/, 'must start with a slash and not end with one, such as /mcp')
    .default('/mcp'),
  url: httpUrl.describe('the event stream of the server'),
  messageUrl: httpUrl.optional().describe('replaces scheme, host and path of the POST URL that the server announces'),
  allowEndpointOrigins: z.array(httpUrl).default([]).describe('origins beside its own that a POST URL may have'),
  headers: z
    .record(
      z
        .string()
        .regex(/^[A-Za-z0-9-]+$/)
        .refine((name) => !OWN_HEADER.test(name), 'is set by the gateway itself'),
      z.string(),
    )
    .default({})
    .describe('sent with every request to the server'),
  mode: z
    .enum(['auto', 'stateless', 'session'])
    .default('auto')
    .describe('auto: sessions, and requests without one. stateless: no session is ever opened. session: nothing else'),
  asks: z
    .enum(['auto', 'never'])
    .default('auto')
    .describe('never: the server asks nothing back, so nothing is declared to it, and links are shared freely'),
});

export const configSchema = z
  .strictObject({
    version: z.literal(1).default(1),
    listen: z
      .strictObject({ host: z.string().min(1).default('127.0.0.1'), port: z.int().min(0).max(65_535).default(8080) })
      .prefault({}),
    allowedHosts: z.array(z.string().min(1)).optional().describe('names that a Host header may hold'),
    allowedOrigins: z.array(z.string().min(1)).optional().describe('origins of pages that may call'),
    upstreams: z.array(upstream).min(1),
    heartbeat: duration('15s', 10).describe('silence after which a reply becomes a stream and shows life'),
    links,
    timeouts,
    limits,
    streams,
    reconnect: z.strictObject({ min: duration('250ms', 10), max: duration('30s', 10) }).prefault({}),
    drain: z.strictObject({ timeout: duration('8s', 0) }).prefault({}),
    log: z
      .strictObject({
        level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
        format: z.enum(['auto', 'json', 'pretty']).default('auto'),
      })
      .prefault({}),
  })
  .superRefine((config, context) => {
    const seen = { name: new Set<string>(), path: new Set<string>() };
    config.upstreams.forEach((entry, index) => {
      for (const key of ['name', 'path'] as const) {
        if (seen[key].has(entry[key])) {
          context.addIssue({
            code: 'custom',
            path: ['upstreams', index, key],
            message: `another upstream has this ${key} already`,
          });
        }
        seen[key].add(entry[key]);
      }
    });
  });

export type ConfigInput = z.input<typeof configSchema>;
export type Config = z.output<typeof configSchema>;
export type UpstreamConfig = Config['upstreams'][number];
export type LinkConfig = Config['links'];
export type TimeoutConfig = Config['timeouts'];
export type LimitConfig = Config['limits'];
export type StreamConfig = Config['streams'];
