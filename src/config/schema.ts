// The one schema of the configuration: of every key its type, default, meaning and example, and whether a change can
// take effect without a restart. Flags, environment variables, the JSON Schema, proxy.example.yaml and
// docs/configuration.md are all made from it: a key that is added here is everywhere.

import { z } from 'zod';
import { alike } from './credentials.ts';
import { inbound } from './inbound-keys.ts';
import { outboundOf } from './outbound.ts';
import { peers, store } from './replicas.ts';
import { legacyOf, taken, takenAddress, unseen } from './served-paths.ts';
import {
  HEADER_NAME,
  NO_HEADER_NAME,
  accessToken,
  addressRange,
  count,
  duration,
  forwardedHeader,
  hostName,
  httpUrl,
  httpUrlWithoutUser,
  pageOrigin,
  publicUrl,
  sealingSecret,
  servedPath,
  setting,
  size,
} from './value-types.ts';

const linkKeys = {
  min: count(1, 'warm links kept open from the start'),
  max: count(32, 'pooled links per key', { least: 1 }),
  maxTotal: count(64, 'pooled links in all', { least: 1 }),
  maxDedicated: count(1000, 'links owned by sessions', { least: 1 }),
  maxInFlight: count(64, 'calls at once on a shared link', { least: 1 }),
  maxQueue: count(256, 'callers waiting for a link'),
  queueTimeout: duration('10s', 'how long a caller waits for a link', { leastMs: 0 }),
  idleTimeout: duration('60s', 'unused links beyond min are closed after this', { leastMs: 0 }),
  pingInterval: duration('30s', 'a link silent for so long is pinged before it is leased', { leastMs: 0 }),
  pingTimeout: duration('5s', 'how long that ping may take', { leastMs: 10 }),
  isolation: setting(
    z.enum(['principal', 'shared', 'request']),
    'principal',
    'who may share a link: the calls of one caller, those of all, or nobody',
  ),
  single: setting(
    z.union([z.literal('auto'), z.literal(true)]),
    'auto',
    'true: one link for everything, for servers that survive one connection only; auto: when the server turns out to need it',
  ),
};

const timeoutKeys = {
  connect: duration('5s', 'TCP and TLS toward the upstream'),
  headers: duration('10s', 'response headers of the event stream'),
  endpoint: duration('10s', 'the endpoint event'),
  initialize: duration('15s', 'the answer to initialize'),
  post: duration('10s', 'a notification or answer to be accepted; what is left of a POST whose call is answered'),
  request: duration('5m', 'the answer to a call; progress starts it anew'),
  requestMax: duration('1h', 'the answer to a call, progress or not'),
  round: duration('5m', 'what the server asked a 2026-07-28 client in mid-call to be answered'),
  sessionIdle: duration('30m', 'a session nobody uses'),
  sessionMax: duration('24h', 'a session in all'),
  clientHeaders: duration('15s', 'a client’s request headers', { wide: true }),
  clientBody: duration('30s', 'a client’s whole request', { wide: true }),
  clientWrite: duration('30s', 'a client that takes nothing of its answer'),
  keepAlive: duration('75s', 'an idle client connection', { wide: true }),
};

const limitKeys = {
  bodyBytes: size('4MiB', 'a client’s request body', { wide: true }),
  upstreamMessageBytes: size('16MiB', 'one message from the upstream'),
  jsonDepth: count(128, 'nesting of a message', { least: 8 }),
  sessions: count(10_000, 'sessions at once', { least: 1, wide: true }),
  inFlight: count(10_000, 'exchanges at once', { least: 1, wide: true }),
  receivedBytes: size(
    '0B',
    'bytes of requests at once, from when they come until they are answered; 0B: a quarter of the heap',
    {
      least: 0,
      wide: true,
      example: '256MiB',
    },
  ),
  listens: count(1000, 'subscriptions/listen streams of 2026-07-28 clients at once', { least: 1, wide: true }),
  listenUris: count(1000, 'resources that one of them may name', { least: 1 }),
  passthroughStreams: count(100, 'event streams of old clients at once, per upstream', { least: 1 }),
  batch: count(100, 'messages in a batch', { least: 1 }),
  bufferedBytes: size('0B', 'bytes of events kept for all sessions; 0B: a quarter of the heap', {
    least: 0,
    live: false,
    wide: true,
    example: '256MiB',
  }),
  streamBacklogBytes: size('1MiB', 'what a slow client may leave unread beyond one message', { least: 0 }),
};

const budgetKeys = {
  sessions: count(1000, 'sessions at once'),
  links: count(
    0,
    'connections to servers at once: pooled ones, of which an idle one of the same server makes room, those of sessions, event streams of old clients',
  ),
  listens: count(0, 'subscriptions/listen streams at once'),
  heldCalls: count(0, 'calls of 2026-07-28 clients that wait for answers; the oldest makes room, of whichever server'),
  bufferedBytes: size('0B', 'bytes of events kept for its sessions; the oldest make room', {
    least: 0,
    example: '64MiB',
  }),
  callsPerMinute: count(0, 'requests a minute, as many of them at once'),
};

const streamKeys = {
  primeAfter: duration('100ms', 'a call of a 2025-11-25 session unanswered for so long gets a stream'),
  retry: duration('1s', 'how long a 2025-11-25 client waits before it reconnects'),
  maxEvents: count(1000, 'events kept per session', { least: 1 }),
  maxBytes: size('4MiB', 'bytes of events kept per session, beyond one event of any size', { least: 0 }),
  maxAge: duration('10m', 'how long an event is kept'),
  maxDuration: duration(
    '0s',
    'streams of 2025-11-25 clients are ended after this, for the client to resume; 0s: never',
    {
      leastMs: 0,
      example: '10m',
    },
  ),
};

const reconnectKeys = {
  min: duration('250ms', 'the first wait before a lost link is opened again, at most', { leastMs: 10 }),
  max: duration('30s', 'the longest wait', { leastMs: 10 }),
  rate: count(50, 'links that were lost and are opened again, a second', { least: 1 }),
};

const heartbeat = duration('15s', 'silence after which a reply becomes a stream and shows life', { leastMs: 10 });

type Own<Keys extends Record<string, z.ZodPrefault<z.ZodType>>> = {
  [Key in keyof Keys]: z.ZodOptional<ReturnType<Keys[Key]['unwrap']>>;
};

/** The same keys once more for one upstream: without defaults, and without what is of the process as a whole. */
function own<Keys extends Record<string, z.ZodPrefault<z.ZodType>>>(keys: Keys, description: string) {
  const narrow = Object.entries(keys).filter(([, type]) => type.meta()?.['x-wide'] !== true);
  const entries = narrow.map(([name, type]) => {
    return [name, type.unwrap().optional().meta({ description: type.meta()?.description })];
  });
  // Object.fromEntries forgets which type belongs to which key. Keys that are left out are never there.
  const shape = Object.fromEntries(entries) as Own<Keys>;
  return z.strictObject(shape).optional().meta({ description, 'x-own': true });
}

const section = <Keys extends z.ZodRawShape>(keys: Keys, description: string) =>
  z
    .strictObject(keys)
    .prefault({} as never)
    .meta({ description });

const about = (description: string, example: unknown) => ({ description, 'x-example': example, 'x-live': true });
const pemFile = z.string().min(1, 'names no file');

const upstreamTls = z
  .strictObject({
    ca: pemFile
      .optional()
      .meta(
        about(
          'a file with the authorities that the server’s certificate may come from, in place of the public ones',
          '/etc/causeway/ca.pem',
        ),
      ),
    cert: pemFile
      .optional()
      .meta(about('a file with our certificate, for a server that asks for one', '/etc/causeway/client.pem')),
    key: pemFile.optional().meta(about('a file with its private key', '/etc/causeway/client.key')),
    serverName: hostName
      .optional()
      .meta(about('the name that the server’s certificate must have, if not that of url', 'billing.internal')),
    insecureSkipVerify: setting(
      z.union([z.literal(false), z.literal(true)]),
      false,
      'true: the certificate is not checked, and anybody on the way can pretend to be the server',
    ),
  })
  // What the files hold is read once it is known that all else is right.
  .transform((given): UpstreamTlsConfig => ({ ...given, pem: {} }));

/** What the files of an upstream's `tls` hold. */
export interface Pem {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** How an upstream is known, and how it knows us. */
export interface UpstreamTlsConfig {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly serverName?: string | undefined;
  readonly insecureSkipVerify: boolean;
  readonly pem: Pem;
}

const upstream = z
  .strictObject({
    name: setting(
      z
        .string()
        .regex(
          /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/,
          'must be letters, digits, dots, dashes and underscores, at most 63',
        ),
      'default',
      'how logs, errors and metrics call it',
      { example: 'billing' },
    ),
    path: setting(servedPath, '/mcp', 'where clients find it'),
    url: z.union([httpUrl, z.array(httpUrl).min(1)]).meta({
      description: 'the event stream of the server; several URLs of one server as a list',
      'x-example': 'http://127.0.0.1:9001/sse',
      'x-live': true,
    }),
    messageUrl: httpUrlWithoutUser.optional().meta({
      description: 'replaces scheme, host and path of the POST URL that the server announces',
      'x-example': 'http://127.0.0.1:9001/messages',
      'x-live': true,
    }),
    allowEndpointOrigins: setting(z.array(httpUrl), [], 'origins beside its own that a POST URL may have', {
      example: ['http://127.0.0.1:9002'],
    }),
    headers: setting(
      z
        .record(
          z.string().regex(HEADER_NAME, NO_HEADER_NAME),
          z
            .string({ error: 'must be text: put it in quotes' })
            .regex(
              /^[\t\u0020-\u007e\u0080-\u00ff]*$/,
              'holds a character that a header cannot carry, such as a line break',
            ),
        )
        .superRefine((headers, context) => {
          for (const { path, message } of alike(headers)) context.addIssue({ code: 'custom', path, message });
        }),
      {},
      'sent with every request to the server',
      // oxlint-disable-next-line no-template-curly-in-string -- as it stands in a file
      { example: { 'x-api-key': '${BILLING_KEY:-none}' } },
    ),
    outbound: z
      .union([
        z.enum(['none', 'headers']),
        z.strictObject({
          forward: z
            .array(forwardedHeader)
            .min(1, 'names no header: give at least one')
            .meta(
              about('headers of the caller that go on to the server, which then decides who may call', [
                'x-user-token',
              ]),
            ),
        }),
      ])
      .optional()
      .meta(
        about(
          'credentials for the server: none; ours, as in headers; or forward, the caller’s; not given: ours where there are any',
          { forward: ['x-user-token'] },
        ),
      ),
    tls: upstreamTls.optional().meta(
      about('how the server of an https URL is known, and how it knows us; files are PEM', {
        ca: '/etc/causeway/ca.pem',
        cert: '/etc/causeway/client.pem',
        key: '/etc/causeway/client.key',
        serverName: 'billing.internal',
        insecureSkipVerify: false,
      }),
    ),
    mode: setting(
      z.enum(['auto', 'stateless', 'session']),
      'auto',
      'auto: sessions, and requests without one; stateless: no session is ever opened; session: nothing else',
    ),
    asks: setting(
      z.enum(['auto', 'never']),
      'auto',
      'never: the server asks nothing back, so nothing is declared to it, and links are shared freely',
    ),
    cancelOnDisconnect: setting(
      z.union([z.literal(false), z.literal(true)]),
      false,
      'true: a call without a session is cancelled when its client is gone, instead of running on; a call of 2026-07-28 always is, one of a session never',
    ),
    paramHeaders: setting(
      z.enum(['honour', 'strip']),
      'honour',
      'x-mcp-header in the schema of a tool: honour checks the headers that 2026-07-28 clients send for it; strip hides it from them',
    ),
    cache: section(
      {
        ttl: duration('0s', 'how long they may keep a list, a resource, or what the server offers', { leastMs: 0 }),
        scope: setting(
          z.enum(['private', 'public']),
          'private',
          'public: what one caller was told may be shown to another',
        ),
      },
      'what 2026-07-28 clients are told about keeping results',
    ),
    legacy: z
      .union([
        z.literal(false),
        z.strictObject({
          sse: setting(servedPath, '/sse', 'where old clients open their event stream'),
          messages: setting(servedPath, '/messages', 'where they post'),
        }),
      ])
      .optional()
      .meta({
        description:
          'the paths at which clients of the old transport reach the server unchanged; not given: /sse and /messages for a sole upstream; never with links.single',
        'x-example': { sse: '/sse', messages: '/messages' },
        'x-live': true,
      }),
    inbound: inbound.unwrap().optional().meta({ description: 'inbound of this upstream', 'x-own': true }),
    heartbeat: heartbeat.unwrap().optional().meta({ description: 'heartbeat of this upstream', 'x-own': true }),
    links: own(linkKeys, 'links of this upstream'),
    timeouts: own(timeoutKeys, 'timeouts of this upstream'),
    limits: own(limitKeys, 'limits of this upstream'),
    streams: own(streamKeys, 'streams of this upstream'),
    reconnect: own(reconnectKeys, 'reconnect of this upstream'),
  })
  .transform(({ url, ...rest }) => {
    const urls: readonly URL[] = Array.isArray(url) ? url : [url];
    // One URL at least: the list is refused when it is empty.
    return { ...rest, urls, url: urls[0] as URL };
  });

/** Files rather than texts: they are renewed while the process runs, and read again at every reload. */
const listenerTls = z
  .strictObject({
    cert: z.string().min(1).meta({
      description: 'the file of the certificate, in PEM form, followed by those that it was issued by',
      'x-example': '/etc/causeway/tls.crt',
      'x-live': false,
    }),
    key: z.string().min(1).meta({
      description: 'the file of its private key, in PEM form, without a passphrase',
      'x-example': '/etc/causeway/tls.key',
      'x-live': false,
    }),
  })
  .optional()
  .meta({
    description: 'TLS 1.2 or newer; not given: plain HTTP',
    'x-example': { cert: '/etc/causeway/tls.crt', key: '/etc/causeway/tls.key' },
    'x-live': false,
  });

export const configSchema = z
  .strictObject({
    version: setting(z.literal(1), 1, 'the version of this format', { live: false }),
    listen: section(
      {
        host: setting(z.string().min(1), '127.0.0.1', 'the address; 0.0.0.0 for every one of this machine', {
          live: false,
        }),
        port: setting(z.int().min(0).max(65_535), 8080, 'the port; 0 for any free one', { live: false }),
        tls: listenerTls,
      },
      'where clients connect',
    ),
    admin: z
      .strictObject({
        host: setting(
          z.string().min(1),
          '127.0.0.1',
          'the address of metrics and status; none unless one of the two is given',
          {
            live: false,
          },
        ),
        port: setting(z.int().min(0).max(65_535), 8081, 'their port; 0 for any free one', { live: false }),
        token: accessToken.optional().meta({
          description:
            'what whoever asks there has to send, as Authorization: Bearer TOKEN or, in a browser, as the password of any user; only /healthz and /readyz want none. Not given: everybody may on a loopback address, nobody on another',
          // oxlint-disable-next-line no-template-curly-in-string -- as it stands in a file
          'x-example': '${file:/run/secrets/causeway-admin}',
          'x-live': true,
          'x-secret': true,
        }),
        metrics: setting(
          z.enum(['guarded', 'open']),
          'guarded',
          'guarded: /metrics is for who has the token, as all else is; open: for everybody who reaches the address',
          { example: 'open' },
        ),
        tls: listenerTls,
      })
      .optional()
      .meta({
        description: 'a listener of its own for metrics and status; not given: there is none',
        // oxlint-disable-next-line no-template-curly-in-string -- as it stands in a file
        'x-example': {
          host: '127.0.0.1',
          port: 8081,
          token: '${file:/run/secrets/causeway-admin}',
          metrics: 'guarded',
        },
        'x-live': false,
      }),
    allowedHosts: z
      .array(hostName)
      .optional()
      .meta({
        description:
          'names that a Host header may hold; not given: the loopback names on a loopback address, any on another',
        'x-example': ['mcp.example.com'],
        'x-live': true,
      }),
    allowedOrigins: z
      .array(pageOrigin)
      .optional()
      .meta({
        description:
          'origins of pages that may call; not given: pages of loopback names on a loopback address, none on another',
        'x-example': ['https://app.example.com'],
        'x-live': true,
      }),
    trustedProxies: setting(
      z.array(addressRange),
      [],
      'proxies whose X-Forwarded-For is believed: then log lines name the client behind them; nothing else depends on it',
      { example: ['10.0.0.0/8'] },
    ),
    inbound,
    publicUrl: publicUrl.optional().meta({
      description:
        'what clients put in front of the paths of the upstreams: OAuth metadata are told in its terms; needed with inbound.jwt, where resource and audience come from it',
      'x-example': 'https://mcp.example.com',
      'x-live': true,
    }),
    secrets: z
      .strictObject({
        current: sealingSecret.meta({
          description: 'seals; 32 random bytes as base64 or hexadecimal: `openssl rand -base64 32`',
          // oxlint-disable-next-line no-template-curly-in-string -- as it stands in a file
          'x-example': '${file:/run/secrets/causeway}',
          'x-live': true,
          'x-secret': true,
        }),
        previous: sealingSecret.optional().meta({
          description: 'the one before: what it has sealed still opens',
          // oxlint-disable-next-line no-template-curly-in-string -- as it stands in a file
          'x-example': '${file:/run/secrets/causeway-previous}',
          'x-live': true,
          'x-secret': true,
        }),
      })
      .optional()
      .meta({
        description:
          'what session ids, request states and the URLs of old clients are sealed with; not given: a random one of this process',
        // oxlint-disable-next-line no-template-curly-in-string -- as it stands in a file
        'x-example': { current: '${file:/run/secrets/causeway}', previous: '${file:/run/secrets/causeway-previous}' },
        'x-live': true,
      }),
    peers,
    store,
    upstreams: z.array(upstream).min(1, 'names no server: give at least one').meta({ description: 'the servers' }),
    heartbeat,
    links: section(linkKeys, 'connections to an upstream'),
    timeouts: section(timeoutKeys, 'how long to wait for what'),
    limits: section(limitKeys, 'how much of what'),
    budgets: section(
      budgetKeys,
      'how much of it one caller may have, where inbound tells callers apart; 0: no bound of its own',
    ),
    streams: section(streamKeys, 'event streams of sessions'),
    reconnect: section(reconnectKeys, 'waits between attempts, doubling from min to max'),
    drain: section(
      {
        delay: duration(
          '0s',
          'how long requests are still served after SIGTERM, with /readyz at 503, until balancers have noticed',
          { leastMs: 0, example: '5s' },
        ),
        timeout: duration('8s', 'how long requests in flight may take after SIGTERM', { leastMs: 0 }),
      },
      'how it stops',
    ),
    log: section(
      {
        level: setting(
          z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']),
          'info',
          'how much is logged; info is one line per request',
        ),
        format: setting(z.enum(['auto', 'json', 'pretty']), 'auto', 'auto: pretty on a terminal, else json', {
          live: false,
        }),
      },
      'the log, on stderr',
    ),
  })
  .superRefine(
    ({ upstreams, listen, admin, peers: replicas, inbound: general, publicUrl: seenAt }, context) => {
      const faults = [
        ...taken(upstreams),
        ...takenAddress({ listen, admin, peers: replicas }),
        ...unseen(general, upstreams, seenAt),
      ];
      for (const { path, message } of faults) {
        context.addIssue({ code: 'custom', path, message });
      }
    },
    // Also where something else is wrong: all faults are told at once.
    { when: () => true },
  )
  .transform((config) => ({
    ...config,
    upstreams: config.upstreams.map((each) => ({
      ...each,
      legacy: legacyOf(each, config),
      outbound: outboundOf(each),
    })),
  }));

export type ConfigInput = z.input<typeof configSchema>;
export type Config = z.output<typeof configSchema>;
export type UpstreamConfig = Config['upstreams'][number];
export type LinkConfig = Config['links'];
export type TimeoutConfig = Config['timeouts'];
export type LimitConfig = Config['limits'];
export type StreamConfig = Config['streams'];
export type LegacyPaths = Exclude<UpstreamConfig['legacy'], false>;
export type ListenerTlsConfig = NonNullable<Config['listen']['tls']>;
export type InboundConfig = Config['inbound'];
export type PeersConfig = NonNullable<Config['peers']>;
export type StoreConfig = NonNullable<Config['store']>;
export type JwtConfig = Extract<InboundConfig, { readonly jwt: unknown }>['jwt'];
