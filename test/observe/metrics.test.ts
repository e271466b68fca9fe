// What a fact becomes in the metrics, and that no label can be chosen by a client or a server.

import { describe, expect, test } from 'vitest';
import { DROPS, type Dropped } from '../../src/domain/drops.ts';
import type { Gauges, UpstreamGauges } from '../../src/domain/gauges.ts';
import { linkId } from '../../src/domain/ids.ts';
import type { Fact } from '../../src/domain/ports.ts';
import { BothJournals } from '../../src/observe/both-journals.ts';
import { LABELS, METRICS, type MetricRow } from '../../src/observe/metric-table.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { ALL_REVISIONS } from '../../src/protocol/eras.ts';
import { METHODS } from '../../src/protocol/methods.ts';
import { RecordingJournal } from '../support/gateway.ts';
import { type Scrape, readScrape } from '../support/prometheus.ts';

const IDLE: UpstreamGauges = {
  upstream: 'billing',
  state: 'down',
  isReady: false,
  server: null,
  revision: null,
  openBreakers: 0,
  nextTryMs: null,
  failedOpenings: 0,
  isSingle: false,
  isUnverified: false,
  lastError: null,
  links: { pooled: { opening: 0, open: 0, closing: 0 }, dedicated: { opening: 0, open: 0, closing: 0 } },
  sessions: 0,
  streams: 0,
  passthroughStreams: 0,
  calls: 0,
  heldCalls: 0,
  listens: 0,
  waitingCallers: 0,
};
const NOTHING: Gauges = {
  upstreams: [IDLE],
  replies: 0,
  bufferedBytes: 0,
  isDraining: false,
  replica: null,
  store: null,
};

const newMetrics = (): Metrics =>
  new Metrics({
    upstreams: ['billing'],
    methods: Object.keys(METHODS),
    revisions: ALL_REVISIONS,
    version: '1.2.3',
  });

async function after(facts: readonly Fact[], gauges = NOTHING): Promise<Scrape> {
  const metrics = newMetrics();
  for (const fact of facts) metrics.record(fact);
  return readScrape(await metrics.text(gauges));
}

/** Those of ours that are not 0, and no build. */
function said({ samples }: Scrape): string[] {
  return samples
    .filter(({ name, value }) => name.startsWith('causeway_') && value !== 0 && !/_bucket$|_build_/.test(name))
    .map(({ name, labels, value }) => `${name} ${Object.values(labels).join(' ')} ${value}`);
}

const upstream = 'billing';
const EXCHANGE = {
  fact: 'exchange',
  upstream,
  mode: 'session',
  revision: '2025-06-18',
  method: 'tools/call',
  name: 'add',
  outcome: 'result',
  streamed: false,
  durationMs: 12.5,
} satisfies Fact;
const REMEDY = { why: 'w', remedy: 'r' };
const link = linkId(1);

describe('a fact is counted', () => {
  test.each<readonly [what: string, fact: Fact, samples: readonly string[]]>([
    [
      'an answer',
      { ...EXCHANGE, waitMs: 2.5 },
      [
        'causeway_exchanges_total billing session 2025-06-18 tools/call result 1',
        'causeway_exchange_duration_seconds_sum billing session tools/call 0.0125',
        'causeway_exchange_duration_seconds_count billing session tools/call 1',
        'causeway_link_wait_seconds_sum billing session 0.0025',
        'causeway_link_wait_seconds_count billing session 1',
      ],
    ],
    [
      'a failure that was never sent, with its reason and no wait',
      { ...EXCHANGE, outcome: 'failed', reason: 'queue_full', durationMs: 0 },
      [
        'causeway_exchanges_total billing session 2025-06-18 tools/call failed queue_full 1',
        'causeway_exchange_duration_seconds_count billing session tools/call 1',
      ],
    ],
    [
      'a refusal',
      { fact: 'refused', reason: 'parse_error', status: 400, why: 'w' },
      ['causeway_refusals_total main parse_error 1'],
    ],
    [
      'a refusal of the admin listener',
      { fact: 'refused', listener: 'admin', reason: 'host_refused', status: 403, why: 'w' },
      ['causeway_refusals_total admin host_refused 1'],
    ],
    [
      'a hop',
      { fact: 'hop', upstream, method: 'POST', peer: '10.0.0.2:8082', outcome: 'served', durationMs: 1 },
      ['causeway_hops_total billing served 1'],
    ],
    ['a hop that was refused', { fact: 'hop_refused', why: 'replayed' }, ['causeway_hops_refused_total replayed 1']],
    ['how another replica is: a gauge says it', { fact: 'peer', peer: '10.0.0.2:8082', state: 'apart' }, []],
    [
      'a link that opened',
      { fact: 'link_open', upstream, link, revision: '2024-11-05', openMs: 40 },
      [
        'causeway_links_opened_total billing 1',
        'causeway_link_open_duration_seconds_sum billing 0.04',
        'causeway_link_open_duration_seconds_count billing 1',
      ],
    ],
    [
      'a link that was closed',
      { fact: 'link_closed', upstream, link, reason: 'retired' },
      ['causeway_links_closed_total billing retired 1'],
    ],
    [
      'a link that could not be opened',
      { fact: 'link_failed', upstream, link, reason: 'endpoint_missing', ...REMEDY },
      ['causeway_link_failures_total billing endpoint_missing 1'],
    ],
    [
      'an outage',
      { fact: 'upstream_down', upstream, reason: 'upstream_unreachable', ...REMEDY },
      ['causeway_upstream_outages_total billing upstream_unreachable 1'],
    ],
    ['an upstream that is back: a gauge says it', { fact: 'upstream_up', upstream, server: 's', revision: 'r' }, []],
    ['one link from now on: a gauge says it', { fact: 'single_by_proof', upstream }, []],
    ['a hint: it is advice', { fact: 'single_hint', upstream }, []],
    [
      'a session',
      { fact: 'session_opened', upstream, revision: '2025-11-25' },
      ['causeway_sessions_opened_total billing 2025-11-25 1'],
    ],
    ['its other link', { fact: 'session_reopened', upstream }, ['causeway_session_reopens_total billing 1']],
    [
      'its end',
      { fact: 'session_ended', upstream, why: 'expired' },
      ['causeway_sessions_ended_total billing expired 1'],
    ],
    [
      'its stream',
      { fact: 'stream_opened', upstream, how: 'resumed' },
      ['causeway_streams_opened_total billing resumed 1'],
    ],
    [
      'a stream of an old client',
      { fact: 'passthrough_opened', upstream },
      ['causeway_passthrough_streams_opened_total billing 1'],
    ],
    [
      'its message',
      { fact: 'passthrough', upstream, method: 'POST', status: 202, durationMs: 1 },
      ['causeway_passthrough_requests_total billing POST 1'],
    ],
    [
      'its failure',
      { fact: 'passthrough', upstream, method: 'GET', durationMs: 1, reason: 'upstream_tls' },
      ['causeway_passthrough_requests_total billing GET upstream_tls 1'],
    ],
  ])('%s', async (_, fact, samples) => {
    expect(said(await after([fact]))).toEqual(samples);
  });

  test.each(Object.keys(DROPS) as Dropped[])('%s, dropped: there from the start, with 0', async (what) => {
    const drops = (scrape: Scrape): readonly number[] =>
      scrape.samples
        .filter(({ name, labels }) => name === 'causeway_drops_total' && labels['what'] === what)
        .map(({ value }) => value);

    expect(drops(await after([]))).toEqual([0]);
    expect(drops(await after([{ fact: 'dropped', upstream, what, detail: 'x' }]))).toEqual([1]);
  });

  // Else the first would be no increase, and nobody would be told of it.
  test.each([
    'causeway_faults_total',
    'causeway_breaker_opens_total',
    'causeway_session_reopens_total',
    'causeway_issuer_key_failures_total',
  ])('%s: there from the start, with 0', async (counter) => {
    const { samples } = await after([]);

    expect(samples.filter(({ name }) => name === counter).map(({ value }) => value)).toEqual([0]);
  });
});

describe('labels are bounded, whatever clients send', () => {
  const HOSTILE = [
    'tools/calls',
    'TOOLS/CALL',
    'tasks/get',
    '',
    '__proto__',
    'constructor',
    'hasOwnProperty',
    'a"} 1\nevil{x="',
    '\\',
    'é'.repeat(64),
    ...Array.from({ length: 500 }, (_, n) => `method-${n}`),
  ];

  test('methods and revisions that are none of ours become one series, and no name of a tool is shown', async () => {
    const facts = HOSTILE.flatMap((text): Fact[] => [
      { ...EXCHANGE, method: text, name: text },
      { ...EXCHANGE, revision: text, name: text },
      { fact: 'session_opened', upstream, revision: text },
      { fact: 'dropped', upstream, what: 'unroutable_notification', detail: text },
      { fact: 'refused', reason: 'parse_error', status: 400, why: text },
      { fact: 'link_failed', upstream, link: linkId(7), reason: 'initialize_failed', why: text, remedy: text },
      { fact: 'upstream_up', upstream, server: text, revision: text },
    ]);

    const scrape = await after(facts);

    expect(scrape.samples.filter(({ name }) => name === 'causeway_exchanges_total')).toHaveLength(2);
    expect(scrape.sum('causeway_exchanges_total', { method: 'other' })).toBe(HOSTILE.length);
    expect(scrape.sum('causeway_exchanges_total', { revision: 'other' })).toBe(HOSTILE.length);
    expect(scrape.sum('causeway_sessions_opened_total', { revision: 'other' })).toBe(HOSTILE.length);
    const values = new Set(scrape.samples.flatMap(({ labels }) => Object.values(labels)));
    expect(HOSTILE.filter((text) => values.has(text))).toEqual([]);
  });

  test('every method and revision that is known keeps its name', async () => {
    const facts = Object.keys(METHODS).flatMap((method): Fact[] =>
      ALL_REVISIONS.map((revision) => ({ ...EXCHANGE, method, revision })),
    );

    const scrape = await after(facts);

    expect(scrape.sum('causeway_exchanges_total')).toBe(facts.length);
    expect(scrape.sum('causeway_exchanges_total', { method: 'other' })).toBe(0);
    expect(scrape.sum('causeway_exchanges_total', { revision: 'other' })).toBe(0);
  });
});

test.each([
  ['up', 1],
  ['down', 0],
  // Nobody has tried yet, and nobody is to be called for that.
  ['unknown', 1],
] as const)('an upstream of which is known that it is %s: %s', async (state, value) => {
  const scrape = await after([], { ...NOTHING, upstreams: [{ ...IDLE, state }] });

  expect(scrape.sum('causeway_upstream_up', { upstream })).toBe(value);
});

test('gauges are what is held when somebody asks, and not what was held before', async () => {
  const busy: UpstreamGauges = {
    ...IDLE,
    state: 'up',
    isSingle: true,
    isUnverified: true,
    links: { pooled: { opening: 1, open: 2, closing: 3 }, dedicated: { opening: 4, open: 5, closing: 6 } },
    sessions: 7,
    streams: 8,
    passthroughStreams: 9,
    calls: 10,
    heldCalls: 11,
    listens: 12,
    waitingCallers: 13,
  };
  const metrics = newMetrics();

  const scrape = readScrape(
    await metrics.text({
      upstreams: [busy],
      replies: 14,
      bufferedBytes: 15,
      isDraining: true,
      replica: null,
      store: null,
    }),
  );
  const later = readScrape(await metrics.text(NOTHING));

  expect(said(scrape)).toEqual([
    'causeway_upstream_up billing 1',
    'causeway_upstream_single billing 1',
    'causeway_upstream_tls_unverified billing 1',
    'causeway_links billing pooled opening 1',
    'causeway_links billing pooled open 2',
    'causeway_links billing pooled closing 3',
    'causeway_links billing dedicated opening 4',
    'causeway_links billing dedicated open 5',
    'causeway_links billing dedicated closing 6',
    'causeway_calls billing 10',
    'causeway_held_calls billing 11',
    'causeway_waiting_callers billing 13',
    'causeway_sessions billing 7',
    'causeway_streams billing 8',
    'causeway_listens billing 12',
    'causeway_passthrough_streams billing 9',
    'causeway_replies  14',
    'causeway_buffered_bytes  15',
    'causeway_draining  1',
  ]);
  expect(said(later)).toEqual([]);
});

test('the table is what is served: names, types, labels; and the process has its own', async () => {
  const { types, samples } = await after([EXCHANGE]);
  const rows = Object.entries<MetricRow>(METRICS);

  expect(Object.keys(types).filter((name) => name.startsWith('causeway_'))).toHaveLength(rows.length);
  for (const [name, { type, unit, labels }] of rows) {
    expect([name, types[name]]).toEqual([name, type]);
    expect(name).toMatch(type === 'counter' ? /^causeway_[a-z_]+_total$/ : /^causeway_[a-z_]+$/);
    if (type === 'histogram') expect([name.endsWith('_seconds'), unit]).toEqual([true, 'seconds']);
    for (const sample of samples.filter((each) => each.name.replace(/_(?:bucket|sum|count)$/, '') === name)) {
      expect([...labels, 'le']).toEqual(expect.arrayContaining(Object.keys(sample.labels)));
    }
  }
  expect(new Set(rows.flatMap(([, { labels }]) => labels))).toEqual(new Set(Object.keys(LABELS)));
  expect(samples).toContainEqual({
    name: 'causeway_build_info',
    labels: { version: '1.2.3', node: process.versions.node },
    value: 1,
  });
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'nodejs_eventloop_lag_p99_seconds',
  ]) {
    expect(types).toHaveProperty(name);
  }
});

test('two journals are told each fact once, in order', () => {
  const [first, second] = [new RecordingJournal(), new RecordingJournal()];
  const both = new BothJournals(first, second);
  const facts: Fact[] = [EXCHANGE, { fact: 'session_reopened', upstream }];

  for (const fact of facts) both.record(fact);

  expect([first.facts, second.facts]).toEqual([facts, facts]);
});
