// Every metric of the gateway: its name, type, unit, labels and meaning. metrics.ts makes them from this table, and
// docs/metrics.md is printed from it. No label holds an id, a URL, or anything that a client or a server can choose.

export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly unit: string;
  readonly labels: readonly LabelName[];
  readonly meaning: string;
}

/** What each label can be. */
export const LABELS = {
  upstream: 'its name in the configuration',
  mode: '`session`, `sessionless`, `modern`: how the request was served',
  revision: 'a revision that the gateway serves, else `other`',
  method: 'a method of MCP, else `other`; of old clients `GET` and `POST`',
  outcome:
    '`result`, `error`: the server’s answer; `failed`: none of its; `cancelled` by the client; `client_gone`: it left before the end; of hops, reloads, the store and takeovers those beside them',
  reason:
    'a code of [errors.md](errors.md); of a link that was closed one of the list below; of a hop that was refused one of those beside it; absent where nothing failed',
  limit: 'a key of the configuration, such as `timeouts.request`; it is in the text of the error and in the log, too',
  what: 'one of the list below; of the store those beside it',
  why: '`deleted` by its client, `expired`, `failed` to open, `reloaded`: its upstream or its caller went with a reload, `shutdown` of the gateway, `moved` to another replica',
  how: '`new`: for what no call has caused; `resumed` after a break',
  use: '`pooled`, or `dedicated` to one session',
  state:
    'of links `opening`, `open`, `closing`: the server is told first; of replicas and of the store those beside them',
  operation: 'on the store: see there',
  listener: '`main`, where clients connect, `admin`, or `peers`, where other replicas do',
  version: 'of the gateway',
  node: 'the version of Node',
} as const;

export type LabelName = keyof typeof LABELS;

export const METRICS = {
  causeway_exchanges_total: {
    type: 'counter',
    unit: 'requests',
    labels: ['upstream', 'mode', 'revision', 'method', 'outcome', 'reason'],
    meaning: 'requests of clients that came to their end',
  },
  causeway_exchange_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['upstream', 'mode', 'method'],
    meaning: 'from the coming of such a request to its end',
  },
  causeway_link_wait_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['upstream', 'mode'],
    meaning: 'of that, the wait for a link: until it was sent to the server; those that never were are not in it',
  },
  causeway_refusals_total: {
    type: 'counter',
    unit: 'requests',
    labels: ['listener', 'reason'],
    meaning: 'HTTP requests that were refused before it was known what they ask for',
  },
  causeway_limits_met_total: {
    type: 'counter',
    unit: 'times',
    labels: ['limit'],
    meaning: 'requests, links, sessions and messages that were refused or ended for a limit',
  },
  causeway_drops_total: {
    type: 'counter',
    unit: 'messages',
    labels: ['upstream', 'what'],
    meaning: 'what was received and not passed on',
  },
  causeway_passthrough_requests_total: {
    type: 'counter',
    unit: 'requests',
    labels: ['upstream', 'method', 'reason'],
    meaning: 'requests of old clients that came to their end; of a stream, the stream',
  },
  causeway_passthrough_streams_opened_total: {
    type: 'counter',
    unit: 'streams',
    labels: ['upstream'],
    meaning: 'event streams of old clients that began',
  },
  causeway_sessions_opened_total: {
    type: 'counter',
    unit: 'sessions',
    labels: ['upstream', 'revision'],
    meaning: 'sessions that were opened',
  },
  causeway_sessions_ended_total: {
    type: 'counter',
    unit: 'sessions',
    labels: ['upstream', 'why'],
    meaning: 'sessions that ended, of those that were opened',
  },
  causeway_session_reopens_total: {
    type: 'counter',
    unit: 'sessions',
    labels: ['upstream'],
    meaning: 'sessions that lost their link and go on with another',
  },
  causeway_streams_opened_total: {
    type: 'counter',
    unit: 'streams',
    labels: ['upstream', 'how'],
    meaning: 'GETs of sessions that became an event stream',
  },
  causeway_links_opened_total: {
    type: 'counter',
    unit: 'links',
    labels: ['upstream'],
    meaning: 'links to the server that were opened',
  },
  causeway_link_open_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['upstream'],
    meaning: 'how long that took, initialize included',
  },
  causeway_links_closed_total: {
    type: 'counter',
    unit: 'links',
    labels: ['upstream', 'reason'],
    meaning: 'links that were open and ended; `lost` is the only reason that is not the gateway’s',
  },
  causeway_link_failures_total: {
    type: 'counter',
    unit: 'links',
    labels: ['upstream', 'reason'],
    meaning: 'links that could not be opened',
  },
  causeway_breaker_opens_total: {
    type: 'counter',
    unit: 'times',
    labels: ['upstream'],
    meaning: 'a URL of the server failed too often in a row, and was not tried for a while',
  },
  causeway_faults_total: {
    type: 'counter',
    unit: 'faults',
    labels: ['upstream'],
    meaning: 'bugs of the gateway, whether somebody waited for an answer or not: the log has the stack',
  },
  causeway_upstream_outages_total: {
    type: 'counter',
    unit: 'outages',
    labels: ['upstream', 'reason'],
    meaning: 'how often the server became unreachable, or unreachable for another reason',
  },
  causeway_upstream_up: {
    type: 'gauge',
    unit: '0 or 1',
    labels: ['upstream'],
    meaning:
      'whether the server can be reached: 0 from a link that failed to open while there was no other, until one opens',
  },
  causeway_breakers_open: {
    type: 'gauge',
    unit: 'URLs',
    labels: ['upstream'],
    meaning: 'URLs of the server that are not tried for now',
  },
  causeway_upstream_single: {
    type: 'gauge',
    unit: '0 or 1',
    labels: ['upstream'],
    meaning: 'whether everything goes over one link (`links.single`)',
  },
  causeway_upstream_tls_unverified: {
    type: 'gauge',
    unit: '0 or 1',
    labels: ['upstream'],
    meaning: 'whether its certificate is not checked (`tls.insecureSkipVerify`)',
  },
  causeway_links: {
    type: 'gauge',
    unit: 'links',
    labels: ['upstream', 'use', 'state'],
    meaning: 'links to the server',
  },
  causeway_calls: {
    type: 'gauge',
    unit: 'calls',
    labels: ['upstream'],
    meaning: 'calls in flight to the server, whether or not their client is still there',
  },
  causeway_held_calls: {
    type: 'gauge',
    unit: 'calls',
    labels: ['upstream'],
    meaning: 'calls of 2026-07-28 that wait for their client to come back with answers',
  },
  causeway_waiting_callers: {
    type: 'gauge',
    unit: 'callers',
    labels: ['upstream'],
    meaning: 'who waits in line for a pooled link',
  },
  causeway_sessions: {
    type: 'gauge',
    unit: 'sessions',
    labels: ['upstream'],
    meaning: 'sessions, those that are being opened included',
  },
  causeway_streams: {
    type: 'gauge',
    unit: 'streams',
    labels: ['upstream'],
    meaning: 'event streams of sessions that a client is connected to',
  },
  causeway_listens: {
    type: 'gauge',
    unit: 'listens',
    labels: ['upstream'],
    meaning: 'open `subscriptions/listen` of 2026-07-28',
  },
  causeway_passthrough_streams: {
    type: 'gauge',
    unit: 'streams',
    labels: ['upstream'],
    meaning: 'event streams of old clients, those that are being opened included',
  },
  causeway_replies: {
    type: 'gauge',
    unit: 'replies',
    labels: [],
    meaning: 'replies in flight: not taken by their client to the end; what a drain waits for',
  },
  causeway_buffered_bytes: {
    type: 'gauge',
    unit: 'bytes',
    labels: [],
    meaning: 'events kept for sessions (`limits.bufferedBytes`)',
  },
  causeway_hops_total: {
    type: 'counter',
    unit: 'requests',
    labels: ['upstream', 'outcome'],
    meaning:
      'requests that were passed on to the replica that holds what they are about: `served` there; `unknown` to it; `gone`: it was restarted, or is no replica any more; `unreachable`; `silent`: it shows no life; `refused`: it does not take what is passed on; `lost` before its answer was whole; `client_gone`; `ended`, because this one stops',
  },
  causeway_hops_refused_total: {
    type: 'counter',
    unit: 'requests',
    labels: ['reason'],
    meaning:
      'requests to the listener for replicas that none of them has sealed for this one just now: the header `absent`, `forged` (or of other secrets), `expired`, `replayed`, `not_meant` for this one, or more of them at once than can be told apart (`crowded`)',
  },
  causeway_peers: {
    type: 'gauge',
    unit: 'replicas',
    labels: ['state'],
    meaning:
      'other replicas: `up`, `draining`, `apart`: their clocks and ours do not agree, `refusing`: their secrets and ours neither, `unreachable`',
  },
  causeway_store_up: {
    type: 'gauge',
    unit: '0 or 1',
    labels: [],
    meaning: 'whether the store (`store`) answers and takes what it is to keep; absent where there is none',
  },
  causeway_store_sessions: {
    type: 'gauge',
    unit: 'sessions',
    labels: ['state'],
    meaning:
      'sessions that live here and would go on elsewhere: `kept`; `behind`: as of now not, or without the last of their events',
  },
  causeway_store_operations_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['operation', 'outcome'],
    meaning:
      'what the store was asked: `write` a copy, `remove` it, read a `lease`, `take` one over, whether a replica is `alive`, `renew` our own sign of life, the `marker` of the deployment; `done`, `refused`: somebody else’s stands there, else why it failed: `unreachable`, `slow`, `full`, `read_only`, `denied`, `loading`, `untrusted`, `error`',
  },
  causeway_store_rejected_total: {
    type: 'counter',
    unit: 'values',
    labels: ['what'],
    meaning:
      'what stood in the store and was passed over, for none of the replicas has sealed it for that place: a `lease`, `record` or `event` of a session, the `liveness` of a replica, the `marker` of the deployment',
  },
  causeway_store_dropped_total: {
    type: 'counter',
    unit: 'events',
    labels: ['what'],
    meaning:
      'each an `event` that was not written to the store when it was due; the copy of its session is written as a whole later',
  },
  causeway_takeovers_total: {
    type: 'counter',
    unit: 'sessions',
    labels: ['upstream', 'outcome'],
    meaning:
      'sessions of other replicas that were asked for here and could not be had there: `taken` over; `alive`: its owner lives, and cannot be reached from here; `nothing_kept`, or it has ended; `no_room` for one more; `lost_race`; `store_unavailable`',
  },
  causeway_reloads_total: {
    type: 'counter',
    unit: 'reloads',
    labels: ['outcome'],
    meaning: 'reloads of the configuration: `reloaded`, or `failed` with everything as it was',
  },
  causeway_issuer_key_failures_total: {
    type: 'counter',
    unit: 'fetches',
    labels: [],
    meaning: 'fetches of `inbound.jwt.jwksUri` that failed; tokens are checked with the known keys for an hour',
  },
  causeway_draining: {
    type: 'gauge',
    unit: '0 or 1',
    labels: [],
    meaning: 'whether the gateway is shutting down',
  },
  causeway_build_info: {
    type: 'gauge',
    unit: '1',
    labels: ['version', 'node'],
    meaning: 'what runs',
  },
} as const satisfies Readonly<Record<string, MetricRow>>;

type Names<Type extends MetricRow['type']> = {
  [Name in keyof typeof METRICS]: (typeof METRICS)[Name]['type'] extends Type ? Name : never;
}[keyof typeof METRICS];

export type MetricName = keyof typeof METRICS;
export type CounterName = Names<'counter'>;
export type GaugeName = Names<'gauge'>;
export type HistogramName = Names<'histogram'>;
/** Values for the labels of one metric; one that is left out is absent. */
export type LabelsOf<Name extends MetricName> = {
  readonly [Label in (typeof METRICS)[Name]['labels'][number]]?: string | number;
};

/** Upper bounds in seconds: of a list in a millisecond as well as of a tool that takes minutes. */
export const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
