// Every timeout and every limit, tripped one at a time: what the client is told, that the key stands in it, what the
// journal records, and which metric moves. A key of the schema without a row here is a failure.

import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { KEYS } from '../../src/config/keys.ts';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { LIMITS, type Limit } from '../../src/domain/limits.ts';
import { openCall } from '../support/event-client.ts';
import {
  type Answer,
  type Gateway,
  type GatewayConfig,
  JSON_HEADERS,
  type RawClient,
  replyIn,
  requestBytes,
  startGateway,
} from '../support/gateway.ts';
import { type Behaviour, NO_ANSWER, endpoints, text } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { EVERYTHING, callTool, modern, openModern, retry } from '../support/modern-client.ts';
import { openOldClient } from '../support/old-client.ts';
import { type Scrape, readScrape } from '../support/prometheus.ts';
import { VirtualTime } from '../support/virtual-time.ts';

interface World {
  readonly gateway: Gateway;
  readonly upstream: LegacyServer;
  readonly time: VirtualTime;
}

/** What the client sees; nothing of an error where its connection is only closed, or nothing is said to it. */
interface Seen {
  readonly status: number | null;
  readonly reason?: string;
  readonly text?: string;
}

interface Row {
  readonly config: GatewayConfig;
  readonly behaviour?: Partial<Behaviour>;
  readonly isVirtual?: true;
  /** Of something else than the scripted server. */
  readonly url?: () => Promise<string>;
  readonly trip: (world: World) => Promise<Seen>;
  readonly status: number | null;
  readonly reason?: ErrorCode;
  /** The keys that the text names, where that is not the one; none where the client is told no reason. */
  readonly names?: readonly string[];
  /** Of the fact in the journal: its members, and the one that names the key. None where nothing is lost. */
  readonly fact?: Readonly<Record<string, unknown>>;
  readonly in?: 'why' | 'limit';
  /** What is counted, where that is not the key. */
  readonly counted?: Limit | null;
  readonly sample?: readonly [name: string, labels: Readonly<Record<string, string>>];
}

const MINUTE = 60_000;
const SWEEP = 30_000;
const PING = { jsonrpc: '2.0', id: 1, method: 'ping' };
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const INITIALIZE = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18' } };
const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });

const seen = ({ status, json }: Pick<Answer, 'status' | 'json'>): Seen => ({
  status,
  reason: json.error?.data?.reason,
  text: json.error?.message,
});
const list = async ({ gateway }: World): Promise<Seen> => seen(await gateway.post(LIST));

/** A call that stays open, and what the next one is told. */
async function behindACall({ gateway, upstream }: World, next = () => gateway.post(LIST)): Promise<Seen> {
  void gateway.call('never');
  await upstream.nextCall('never');
  return seen(await next());
}

/** A client that sends this much of a request, and all it is told. */
async function unfinished({ gateway }: World, bytes: string): Promise<Seen> {
  const client = await gateway.connect();
  client.write(bytes);
  return seen(replyIn(await client.closed));
}

async function unread({ gateway }: World, name: string): Promise<RawClient> {
  const params = { name, arguments: {}, _meta: { progressToken: 1 } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  const client = await gateway.connect();
  const headers = { ...JSON_HEADERS, host: 'localhost', 'content-length': String(body.length) };
  client.write(requestBytes('POST', '/mcp', Object.entries(headers), body));
  client.pause();
  return client;
}

/** Takes the connection, and says nothing of TLS. */
async function muteTls(): Promise<string> {
  const mute = createServer((socket) => void socket.on('error', () => {}));
  mute.listen(0, '127.0.0.1');
  await once(mute, 'listening');
  onTestFinished(() => void mute.close());
  const address = mute.address();
  return `https://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/sse`;
}

const LINKS_BOUND = ['links.max', 'links.maxTotal', 'links.maxInFlight', 'budgets.links'];
const EVENTS_BOUND = [
  'streams.maxAge',
  'streams.maxEvents',
  'streams.maxBytes',
  'limits.bufferedBytes',
  'budgets.bufferedBytes',
];
const LATE_LINK = { queueTimeout: '1s', min: 0 } as const;
const failed = (reason: ErrorCode, kind = 'exchange'): Pick<Row, 'reason' | 'fact' | 'in' | 'sample'> => ({
  reason,
  fact: { fact: kind, reason },
  in: 'why',
  sample: [{ exchange: 'causeway_exchanges_total', refused: 'causeway_refusals_total' }[kind] ?? kind, { reason }],
});
const dropped = (what: string): Pick<Row, 'fact' | 'in' | 'sample'> => ({
  fact: { fact: 'dropped', what },
  in: 'limit',
  sample: ['causeway_drops_total', { what }],
});
const noLink = (names: Limit): Pick<Row, 'status' | 'names' | 'counted' | 'trip'> => ({
  status: 503,
  counted: names,
  names: [names, ...LINKS_BOUND],
  trip: behindACall,
});

const ALICE = { authorization: 'Bearer alice-key' };
/** One caller who is told apart, with this of his own. */
const ofAlice = (budgets: GatewayConfig['budgets']): GatewayConfig => {
  const sha256 = createHash('sha256').update('alice-key').digest('hex');
  return { inbound: { bearer: { keys: [{ name: 'alice', sha256 }] } }, budgets, links: { min: 0 } };
};
const aliceOpens = async (gateway: Gateway): Promise<string> =>
  String((await gateway.post(INITIALIZE, ALICE)).headers['mcp-session-id']);

const ROWS: Readonly<Record<string, Row>> = {
  'timeouts.connect': {
    config: { timeouts: { connect: '200ms' } },
    url: muteTls,
    trip: list,
    status: 504,
    ...failed('upstream_connect_timeout'),
    sample: ['causeway_link_failures_total', { reason: 'upstream_connect_timeout' }],
  },
  'timeouts.headers': {
    config: { timeouts: { headers: '200ms' } },
    behaviour: { get: { until: new Promise(() => {}) } },
    trip: list,
    status: 504,
    ...failed('upstream_headers_timeout'),
    sample: ['causeway_link_failures_total', { reason: 'upstream_headers_timeout' }],
  },
  'timeouts.endpoint': {
    config: { timeouts: { endpoint: '200ms' } },
    behaviour: { endpoint: endpoints.missing },
    trip: list,
    status: 504,
    ...failed('endpoint_missing'),
    sample: ['causeway_link_failures_total', { reason: 'endpoint_missing' }],
  },
  'timeouts.initialize': {
    config: { timeouts: { initialize: '200ms' } },
    behaviour: { methods: { initialize: () => NO_ANSWER } },
    trip: list,
    status: 504,
    ...failed('initialize_timeout'),
    sample: ['causeway_link_failures_total', { reason: 'initialize_timeout' }],
  },
  'timeouts.post': {
    config: { timeouts: { post: '200ms' } },
    behaviour: { post: ({ method }) => (method === 'notifications/x' ? 'silent' : 'accepted') },
    trip: async ({ gateway }) => {
      const session = await gateway.openSession();
      const { status } = await gateway.post({ jsonrpc: '2.0', method: 'notifications/x' }, IN(session));
      await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'undelivered_notification');
      return { status };
    },
    status: 202,
    ...dropped('undelivered_notification'),
  },
  'timeouts.request': {
    config: { timeouts: { request: '5m', requestMax: '1h' } },
    isVirtual: true,
    trip: (world) => expired(world, 5 * MINUTE),
    status: 200,
    ...failed('request_timeout'),
  },
  'timeouts.requestMax': {
    config: { timeouts: { request: '10m', requestMax: '5m' } },
    isVirtual: true,
    trip: (world) => expired(world, 5 * MINUTE),
    status: 200,
    ...failed('request_timeout'),
  },
  'timeouts.round': {
    config: { timeouts: { round: '30ms' } },
    trip: async ({ gateway }) => {
      const options = { capabilities: EVERYTHING };
      const asked = await callTool(gateway, 'ask', {}, options);
      await gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'abandoned_round');
      return seen(await retry(gateway, asked, {}, ['tools/call', { name: 'ask', arguments: {} }, options]));
    },
    status: 200,
    ...dropped('abandoned_round'),
    reason: 'request_state_invalid',
  },
  'timeouts.sessionIdle': {
    config: { timeouts: { sessionIdle: '5m' } },
    isVirtual: true,
    trip: async ({ gateway, time }) => {
      const session = await gateway.openSession();
      await time.advance(5 * MINUTE + SWEEP);
      return seen(await gateway.post(PING, IN(session)));
    },
    status: 404,
    reason: 'session_unknown',
    // The same answer as to an id that never was one.
    names: [],
    fact: { fact: 'session_ended', why: 'expired' },
    in: 'limit',
    sample: ['causeway_sessions_ended_total', { why: 'expired' }],
  },
  'timeouts.sessionMax': {
    config: { timeouts: { sessionMax: '4m' } },
    isVirtual: true,
    trip: async ({ gateway, upstream, time }) => {
      const session = await gateway.openSession();
      const answer = gateway.call('never', {}, 1, IN(session));
      await upstream.nextCall('never');
      await time.advance(4 * MINUTE + SWEEP);
      return seen(await answer);
    },
    status: 200,
    reason: 'session_ended',
    fact: { fact: 'session_ended', why: 'expired' },
    in: 'limit',
    sample: ['causeway_sessions_ended_total', { why: 'expired' }],
  },
  'timeouts.clientHeaders': {
    config: { timeouts: { clientHeaders: '200ms' } },
    trip: (world) => unfinished(world, 'POST /mcp HTTP/1.1\r\nhost: localhost\r\n'),
    status: 408,
    ...failed('body_timeout', 'refused'),
  },
  'timeouts.clientBody': {
    config: { timeouts: { clientBody: '300ms', clientHeaders: '200ms' } },
    trip: (world) =>
      unfinished(
        world,
        requestBytes(
          'POST',
          '/mcp',
          Object.entries({ ...JSON_HEADERS, host: 'localhost', 'content-length': '100' }),
          '{',
        ),
      ),
    status: 408,
    ...failed('body_timeout', 'refused'),
  },
  'timeouts.clientWrite': {
    config: { timeouts: { clientWrite: '200ms' } },
    behaviour: { tools: { large: () => text('x'.repeat(12_000_000)) } },
    trip: async (world) => {
      const client = await unread(world, 'large');
      await world.gateway.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'unread_reply');
      client.resume();
      expect((await client.closed).length).toBeLessThan(12_000_000);
      return { status: null };
    },
    status: null,
    ...dropped('unread_reply'),
  },
  'timeouts.keepAlive': {
    config: { timeouts: { keepAlive: '1s' } },
    trip: async ({ gateway }) => {
      const client = await gateway.connect();
      client.write(requestBytes('GET', '/healthz', [['host', 'localhost']]));
      // Told before, as HTTP has it.
      expect((await client.closed).toLowerCase()).toContain('keep-alive: timeout=1\r\n');
      return { status: null };
    },
    // Nothing is lost: nobody waits for anything on it.
    status: null,
    counted: null,
  },
  'limits.bodyBytes': {
    config: { limits: { bodyBytes: '1KiB' } },
    trip: async ({ gateway }) => seen(await gateway.call('echo', { filler: 'x'.repeat(2000) })),
    status: 413,
    ...failed('body_too_large', 'refused'),
  },
  'limits.upstreamMessageBytes': {
    config: { limits: { upstreamMessageBytes: '4KiB' } },
    behaviour: { tools: { large: () => text('x'.repeat(5000)) } },
    trip: async ({ gateway }) => seen(await gateway.call('large')),
    status: 200,
    ...failed('upstream_message_too_large'),
  },
  'limits.jsonDepth': {
    config: { limits: { jsonDepth: 8 } },
    trip: async ({ gateway }) =>
      seen(await gateway.post({ ...PING, params: JSON.parse(`${'['.repeat(9)}${']'.repeat(9)}`) })),
    status: 400,
    ...failed('invalid_request', 'refused'),
  },
  'limits.sessions': {
    config: { limits: { sessions: 1 } },
    trip: async ({ gateway }) => {
      await gateway.openSession();
      return seen(await gateway.post(INITIALIZE));
    },
    status: 503,
    ...failed('sessions_limit', 'refused'),
  },
  'limits.inFlight': {
    config: { limits: { inFlight: 1 } },
    trip: behindACall,
    status: 503,
    ...failed('in_flight_limit', 'refused'),
  },
  'limits.receivedBytes': {
    config: { limits: { receivedBytes: '64KiB' } },
    trip: async ({ gateway, upstream }) => {
      void gateway.call('never', { filler: 'x'.repeat(40_000) });
      await upstream.nextCall('never');
      return seen(await gateway.call('count', { filler: 'x'.repeat(40_000) }));
    },
    status: 503,
    ...failed('in_flight_limit', 'refused'),
  },
  'limits.listens': {
    config: { limits: { listens: 1 } },
    trip: async ({ gateway }) => {
      await (await listen(gateway)).until('acknowledged');
      return seen(await modern(gateway, 'subscriptions/listen', { notifications: {} }));
    },
    status: 503,
    ...failed('listens_limit', 'refused'),
  },
  'limits.listenUris': {
    config: { limits: { listenUris: 1 } },
    trip: async ({ gateway }) =>
      seen(await modern(gateway, 'subscriptions/listen', { notifications: { resourceSubscriptions: ['a:1', 'a:2'] } })),
    status: 200,
    ...failed('invalid_params'),
  },
  'limits.passthroughStreams': {
    config: { limits: { passthroughStreams: 1 } },
    trip: async ({ gateway }) => {
      const first = await openOldClient(gateway.origin);
      await first.endpoint();
      return seen(await gateway.send('GET', '/sse', { accept: 'text/event-stream' }));
    },
    status: 503,
    ...failed('passthrough_limit', 'refused'),
  },
  'limits.batch': {
    config: { limits: { batch: 2 } },
    trip: async ({ gateway }) => {
      const session = await gateway.openSession({ protocolVersion: '2025-03-26' });
      return seen(await gateway.post([PING, PING, PING], IN(session)));
    },
    status: 400,
    ...failed('invalid_request', 'refused'),
  },
  'limits.bufferedBytes': {
    config: { limits: { bufferedBytes: '4KiB' } },
    trip: async (world) => bufferedOver(world),
    status: 400,
    ...dropped('unsent_event'),
    reason: 'event_unknown',
    names: EVENTS_BOUND,
  },
  'limits.streamBacklogBytes': {
    config: { limits: { streamBacklogBytes: '64KiB' } },
    trip: async (world) => {
      const client = await unread(world, 'slow');
      const call = await world.upstream.nextCall('slow');
      const message = 'x'.repeat(1024 * 1024);
      for (let progress = 1; progress <= 12; progress++) {
        call.notify('notifications/progress', { progressToken: call.message.id, progress, message });
      }
      await call.cancelled;
      client.resume();
      const all = await client.until('slow_reader');
      return seen({ status: 200, json: JSON.parse(/^data: (.*slow_reader.*)$/m.exec(all)?.[1] ?? '{}') });
    },
    status: 200,
    ...failed('slow_reader'),
  },
  'links.max': {
    config: { links: { ...LATE_LINK, max: 1, isolation: 'request' } },
    ...noLink('links.queueTimeout'),
    ...failed('queue_timeout'),
  },
  'links.maxTotal': {
    config: { links: { ...LATE_LINK, maxTotal: 1 } },
    ...noLink('links.queueTimeout'),
    // Who declares something else gets a link of another key.
    trip: async (world) => {
      const { gateway } = world;
      return behindACall(world, () => callTool(gateway, 'add', {}, { capabilities: EVERYTHING }));
    },
    ...failed('queue_timeout'),
  },
  'links.maxDedicated': {
    config: { links: { maxDedicated: 1 } },
    trip: async ({ gateway }) => {
      await gateway.openSession();
      return seen(await gateway.post(INITIALIZE));
    },
    status: 503,
    ...failed('sessions_limit'),
  },
  'budgets.sessions': {
    config: ofAlice({ sessions: 1 }),
    trip: async ({ gateway }) => {
      await aliceOpens(gateway);
      return seen(await gateway.post(INITIALIZE, ALICE));
    },
    status: 503,
    ...failed('budget_spent', 'refused'),
  },
  'budgets.links': {
    config: ofAlice({ links: 1 }),
    trip: async ({ gateway }) => {
      await aliceOpens(gateway);
      return seen(await gateway.post(LIST, ALICE));
    },
    status: 503,
    ...failed('budget_spent'),
  },
  'budgets.listens': {
    config: ofAlice({ listens: 1 }),
    trip: async ({ gateway }) => {
      await (
        await openModern(gateway, 'subscriptions/listen', { notifications: {} }, { headers: ALICE })
      ).until('acknowledged');
      return seen(await modern(gateway, 'subscriptions/listen', { notifications: {} }, { headers: ALICE }));
    },
    status: 503,
    ...failed('budget_spent', 'refused'),
  },
  'budgets.heldCalls': {
    config: ofAlice({ heldCalls: 1 }),
    trip: async ({ gateway }) => {
      const options = { capabilities: EVERYTHING, headers: ALICE };
      const asked = await callTool(gateway, 'ask', {}, options);
      await callTool(gateway, 'ask', {}, options);
      return seen(await retry(gateway, asked, {}, ['tools/call', { name: 'ask', arguments: {} }, options]));
    },
    status: 200,
    ...dropped('abandoned_round'),
    reason: 'request_state_invalid',
    names: ['timeouts.round'],
  },
  'budgets.bufferedBytes': {
    config: ofAlice({ bufferedBytes: '4KiB' }),
    trip: async (world) => bufferedOver(world, ALICE),
    status: 400,
    ...dropped('unsent_event'),
    reason: 'event_unknown',
    names: EVENTS_BOUND,
  },
  'budgets.callsPerMinute': {
    config: ofAlice({ callsPerMinute: 1 }),
    trip: async ({ gateway }) => {
      await gateway.post(LIST, ALICE);
      const { headers, ...answer } = await gateway.post(LIST, ALICE);
      expect(Number(headers['retry-after'])).toBeGreaterThan(50);
      return seen(answer);
    },
    status: 503,
    ...failed('budget_spent', 'refused'),
  },
  'links.maxInFlight': {
    config: { links: { ...LATE_LINK, max: 1, maxInFlight: 1 } },
    ...noLink('links.queueTimeout'),
    ...failed('queue_timeout'),
  },
  'links.maxQueue': {
    config: { links: { min: 0, max: 1, maxInFlight: 1, maxQueue: 0 } },
    ...noLink('links.maxQueue'),
    ...failed('queue_full'),
  },
  'links.queueTimeout': {
    config: { links: { ...LATE_LINK, max: 1, maxInFlight: 1 } },
    ...noLink('links.queueTimeout'),
    ...failed('queue_timeout'),
  },
};

const isSlow = ({ name }: { readonly name?: string | undefined }): boolean => name === 'slow';
const listen = (gateway: Gateway) => openModern(gateway, 'subscriptions/listen', { notifications: {} });

/** Two sessions of one caller with more events than are kept: what the first one is told that asks for its own. */
async function bufferedOver({ gateway, upstream }: World, headers: Record<string, string> = {}): Promise<Seen> {
  const opened = async (): Promise<string> => {
    const id = String((await gateway.post(INITIALIZE, headers)).headers['mcp-session-id']);
    await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, { ...headers, ...IN(id) });
    return id;
  };
  const [gone, other] = [await opened(), await opened()];
  for (const sessionId of [gone, other]) {
    const opening = openCall(gateway, sessionId, 'slow', { progressToken: 1, headers });
    const call = await upstream.nextCall('slow');
    call.progress(1);
    const stream = await opening;
    await stream.next();
    await stream.leave();
    const message = 'x'.repeat(3000);
    call.notify('notifications/progress', { progressToken: call.message.id, progress: 2, message });
    call.release();
    await gateway.journal.until(() => gateway.journal.of('exchange').filter(isSlow).length === 1);
  }
  await gateway.journal.until(() => gateway.journal.of('exchange').filter(isSlow).length === 2);
  const again = { ...headers, ...IN(gone), accept: 'text/event-stream', 'last-event-id': '1.1' };
  return seen(await gateway.send('GET', '/mcp', again));
}

/** A call that is never answered, when so much time has passed. */
async function expired({ gateway, upstream, time }: World, ms: number): Promise<Seen> {
  const answer = gateway.call('never');
  await upstream.nextCall('never');
  await time.advance(ms);
  return seen(await answer);
}

async function started(url: string, config: GatewayConfig, time?: VirtualTime): Promise<Gateway> {
  const gateway = await startGateway(url, { ...config, admin: { port: 0 } }, time);
  onTestFinished(() => gateway.close());
  return gateway;
}

async function scrape({ adminOrigin }: Gateway): Promise<Scrape> {
  return readScrape(await (await fetch(`${adminOrigin}/metrics`)).text());
}

const IS_LIMIT = /^(?:timeouts\.|limits\.|budgets\.|links\.(?:max|queueTimeout))/;
const NAMED = /\b(?:timeouts|limits|budgets|links|streams)\.[a-zA-Z]+/g;

const keys = KEYS.map(({ path }) => path.join('.'));

test('every timeout and limit of the schema has a row, and no other', () => {
  expect(Object.keys(ROWS).toSorted()).toEqual(keys.filter((key) => IS_LIMIT.test(key)).toSorted());
});

test('what is counted as a limit is a key of the schema', () => {
  expect(LIMITS.filter((limit) => !keys.includes(limit))).toEqual([]);
});

test.each(Object.entries(ROWS))('%s is told by its name', async (key, row) => {
  const upstream = await startLegacyServer(row.behaviour);
  onTestFinished(() => upstream.close());
  const time = new VirtualTime();
  const gateway = await started((await row.url?.()) ?? upstream.url.href, row.config, row.isVirtual && time);

  const { status, reason, text: words = '' } = await row.trip({ gateway, upstream, time });

  expect([status, reason]).toEqual([row.status, row.reason]);
  expect(words.match(NAMED) ?? []).toEqual(row.names ?? (row.reason === undefined ? [] : [key]));
  if (row.fact !== undefined) {
    const facts = gateway.journal.facts.filter((fact) =>
      Object.entries(row.fact ?? {}).every(([name, value]) => {
        return (fact as Readonly<Record<string, unknown>>)[name] === value;
      }),
    );
    expect(facts).not.toEqual([]);
    const named = row.in === 'why' && row.names !== undefined ? words : key;
    for (const fact of facts)
      expect(String((fact as Readonly<Record<string, unknown>>)[row.in ?? 'why'])).toContain(named);
  }
  const metrics = await scrape(gateway);
  if (row.sample !== undefined) expect(metrics.sum(...row.sample)).toBeGreaterThan(0);
  const met = LIMITS.filter((limit) => metrics.sum('causeway_limits_met_total', { limit }) > 0);
  expect(met).toEqual(row.counted === null ? [] : [row.counted ?? key]);
});
