// Facts → metrics, for Prometheus to scrape. A fact costs an increment or two; what can be counted when somebody asks is
// read then.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { DROPS } from '../domain/drops.ts';
import { type Gauges, LINK_PHASES, LINK_USES, type UpstreamGauges } from '../domain/gauges.ts';
import { LIMITS } from '../domain/limits.ts';
import type { Fact, Journal } from '../domain/ports.ts';
import { STORE_OPERATIONS, STORE_REJECTS, type StoreReject, TAKEOVER_OUTCOMES } from '../domain/store-faults.ts';
import { HOP_OUTCOMES, PEER_STATES } from '../domain/replicas.ts';
import {
  BUCKETS,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  METRICS,
  type MetricRow,
} from './metric-table.ts';

export interface MetricsOptions {
  /** Their names, as configured. */
  readonly upstreams: readonly string[];
  /** What clients say is shown as it is only if it is among these. */
  readonly methods: Iterable<string>;
  readonly revisions: Iterable<string>;
  /** Of the gateway. */
  readonly version: string;
  /** Sessions are kept in one. */
  readonly hasStore?: boolean;
}

/** In place of everything that a client has made up. */
const OTHER = 'other';

type Of<Name extends string, Type> = { readonly [name in Name]: Type };

export class Metrics implements Journal {
  readonly #registry = new Registry();
  readonly #methods: ReadonlySet<string>;
  readonly #revisions: ReadonlySet<string>;
  readonly #counters: Of<CounterName, Counter>;
  readonly #gauges: Of<GaugeName, Gauge>;
  readonly #histograms: Of<HistogramName, Histogram>;

  constructor({ upstreams, methods, revisions, version, hasStore = false }: MetricsOptions) {
    this.#methods = new Set(methods);
    this.#revisions = new Set(revisions);
    const registers = [this.#registry];
    const made = (type: MetricRow['type'], make: (about: Made) => object): object => {
      const rows = Object.entries<MetricRow>(METRICS).filter(([, row]) => row.type === type);
      return Object.fromEntries(
        rows.map(([name, { meaning, labels }]) => {
          return [name, make({ name, help: meaning, labelNames: [...labels], registers })];
        }),
      );
    };
    // Made from the rows of their type, as the names are.
    this.#counters = made('counter', (about) => new Counter(about)) as Of<CounterName, Counter>;
    this.#gauges = made('gauge', (about) => new Gauge(about)) as Of<GaugeName, Gauge>;
    const histogram = (about: Made): Histogram => new Histogram({ ...about, buckets: BUCKETS });
    this.#histograms = made('histogram', histogram) as Of<HistogramName, Histogram>;
    this.#gauges.causeway_build_info.set({ version, node: process.versions.node }, 1);
    collectDefaultMetrics({ register: this.#registry });
    for (const upstream of upstreams) this.#beginAtZero(upstream);
    for (const limit of LIMITS) this.#count('causeway_limits_met_total', { limit }, 0);
    if (hasStore) this.#beginStoreAtZero();
    for (const outcome of ['reloaded', 'failed']) this.#count('causeway_reloads_total', { outcome }, 0);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything, as it is scraped. */
  text(gauges: Gauges): Promise<string> {
    this.#read(gauges);
    return this.#registry.metrics();
  }

  record(fact: Fact): void {
    // Of an outage the links that could not be opened tell.
    if ('limit' in fact && fact.limit !== undefined && fact.fact !== 'upstream_down')
      this.#count('causeway_limits_met_total', { limit: fact.limit });
    switch (fact.fact) {
      case 'exchange': {
        const { upstream, mode, outcome, reason, durationMs, waitMs } = fact;
        const method = this.#methods.has(fact.method) ? fact.method : OTHER;
        const revision = this.#revision(fact.revision);
        const failed = reason === undefined ? {} : { reason };
        if (reason === 'internal_error') this.#count('causeway_faults_total', { upstream });
        this.#count('causeway_exchanges_total', { upstream, mode, revision, method, outcome, ...failed });
        this.#observe('causeway_exchange_duration_seconds', { upstream, mode, method }, durationMs);
        if (waitMs !== undefined) this.#observe('causeway_link_wait_seconds', { upstream, mode }, waitMs);
        return;
      }
      case 'refused': {
        const { reason, listener = 'main' } = fact;
        this.#count('causeway_refusals_total', { listener, reason });
        return;
      }
      case 'dropped': {
        const { upstream, what } = fact;
        this.#count('causeway_drops_total', { upstream, what });
        return;
      }
      case 'link_open': {
        const { upstream, openMs } = fact;
        this.#count('causeway_links_opened_total', { upstream });
        this.#observe('causeway_link_open_duration_seconds', { upstream }, openMs);
        return;
      }
      case 'link_closed': {
        const { upstream, reason } = fact;
        this.#count('causeway_links_closed_total', { upstream, reason });
        return;
      }
      case 'link_failed': {
        const { upstream, reason } = fact;
        this.#count('causeway_link_failures_total', { upstream, reason });
        return;
      }
      case 'upstream_down': {
        const { upstream, reason } = fact;
        this.#count('causeway_upstream_outages_total', { upstream, reason });
        return;
      }
      case 'session_opened': {
        const { upstream, revision } = fact;
        this.#count('causeway_sessions_opened_total', { upstream, revision: this.#revision(revision) });
        return;
      }
      case 'breaker':
        if (fact.isOpen) this.#count('causeway_breaker_opens_total', { upstream: fact.upstream });
        return;
      case 'fault':
        this.#count('causeway_faults_total', { upstream: fact.upstream });
        return;
      case 'session_reopened':
        this.#count('causeway_session_reopens_total', { upstream: fact.upstream });
        return;
      case 'session_ended': {
        const { upstream, why } = fact;
        this.#count('causeway_sessions_ended_total', { upstream, why });
        return;
      }
      case 'stream_opened': {
        const { upstream, how } = fact;
        this.#count('causeway_streams_opened_total', { upstream, how });
        return;
      }
      case 'passthrough_opened':
        this.#count('causeway_passthrough_streams_opened_total', { upstream: fact.upstream });
        return;
      case 'passthrough': {
        const { upstream, method, reason } = fact;
        const failed = reason === undefined ? {} : { reason };
        this.#count('causeway_passthrough_requests_total', { upstream, method, ...failed });
        return;
      }
      case 'hop': {
        const { upstream, outcome } = fact;
        this.#count('causeway_hops_total', { upstream, outcome });
        return;
      }
      case 'hop_refused':
        this.#count('causeway_hops_refused_total', { reason: fact.why });
        return;
      case 'reloaded':
        for (const upstream of fact.added) this.#beginAtZero(upstream);
        this.#count('causeway_reloads_total', { outcome: 'reloaded' });
        return;
      case 'reload_failed':
        this.#count('causeway_reloads_total', { outcome: 'failed' });
        return;
      case 'keys_unread':
        this.#count('causeway_issuer_key_failures_total', {});
        return;
      case 'store_operation': {
        const { operation, outcome } = fact;
        this.#count('causeway_store_operations_total', { operation, outcome });
        return;
      }
      case 'store_rejected':
        this.#count('causeway_store_rejected_total', { what: fact.what });
        return;
      case 'store_dropped':
        this.#count('causeway_store_dropped_total', { what: fact.what }, fact.count);
        return;
      case 'takeover':
        this.#count('causeway_takeovers_total', { upstream: fact.upstream, outcome: fact.outcome });
        return;
      // What they say is a gauge, or advice.
      case 'store_up':
      case 'store_down':
      case 'peer':
      case 'keys_unusable':
      case 'needs_restart':
      case 'certificate_renewed':
      case 'upstream_up':
      case 'single_by_proof':
      case 'single_hint':
      case 'single_impossible':
        return;
    }
  }

  #revision(revision: string): string {
    return this.#revisions.has(revision) ? revision : OTHER;
  }

  #count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    this.#counters[name].inc(labels, by);
  }

  #observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, ms: number): void {
    this.#histograms[name].observe(labels, ms / 1000);
  }

  #set<Name extends GaugeName>(name: Name, labels: LabelsOf<Name>, value: number): void {
    this.#gauges[name].set(labels, value);
  }

  #beginStoreAtZero(): void {
    // The keys of the table, which Object.keys forgets.
    for (const what of Object.keys(STORE_REJECTS) as StoreReject[]) {
      this.#count('causeway_store_rejected_total', { what }, 0);
    }
    for (const operation of STORE_OPERATIONS) {
      for (const outcome of ['done', 'unreachable', 'slow', 'full']) {
        this.#count('causeway_store_operations_total', { operation, outcome }, 0);
      }
    }
    this.#count('causeway_store_dropped_total', { what: 'event' }, 0);
  }

  /** The first of a kind would not be seen by a rate, were it not there before with 0. */
  #beginAtZero(upstream: string): void {
    // The keys of the table, which Object.keys forgets.
    for (const what of Object.keys(DROPS) as (keyof typeof DROPS)[]) {
      this.#count('causeway_drops_total', { upstream, what }, 0);
    }
    this.#count('causeway_links_closed_total', { upstream, reason: 'lost' }, 0);
    this.#count('causeway_links_opened_total', { upstream }, 0);
    this.#count('causeway_session_reopens_total', { upstream }, 0);
    this.#count('causeway_breaker_opens_total', { upstream }, 0);
    this.#count('causeway_faults_total', { upstream }, 0);
    this.#count('causeway_passthrough_streams_opened_total', { upstream }, 0);
    for (const outcome of HOP_OUTCOMES) this.#count('causeway_hops_total', { upstream, outcome }, 0);
    for (const outcome of TAKEOVER_OUTCOMES) this.#count('causeway_takeovers_total', { upstream, outcome }, 0);
  }

  #read({ upstreams, replies, bufferedBytes, isDraining, replica, store }: Gauges): void {
    if (store !== null) {
      this.#set('causeway_store_up', {}, Number(store.isUp));
      this.#set('causeway_store_sessions', { state: 'kept' }, store.sessions - store.behind);
      this.#set('causeway_store_sessions', { state: 'behind' }, store.behind);
    }
    for (const state of replica === null ? [] : PEER_STATES) {
      const inState = replica?.peers.filter((peer) => peer.state === state) ?? [];
      this.#set('causeway_peers', { state }, inState.length);
    }
    this.#set('causeway_replies', {}, replies);
    this.#set('causeway_buffered_bytes', {}, bufferedBytes);
    this.#set('causeway_draining', {}, Number(isDraining));
    // Of one that is there no more nothing is said.
    for (const [name, row] of Object.entries<MetricRow>(METRICS)) {
      // A gauge by its row.
      if (row.type === 'gauge' && row.labels.includes('upstream')) this.#gauges[name as GaugeName].reset();
    }
    for (const each of upstreams) this.#readUpstream(each);
  }

  #readUpstream(of: UpstreamGauges): void {
    const { upstream } = of;
    // One that was never tried is not down: where callers bring the credential, nobody tries before the first comes.
    this.#set('causeway_upstream_up', { upstream }, Number(of.state !== 'down'));
    this.#set('causeway_breakers_open', { upstream }, of.openBreakers);
    this.#set('causeway_upstream_single', { upstream }, Number(of.isSingle));
    this.#set('causeway_upstream_tls_unverified', { upstream }, Number(of.isUnverified));
    for (const use of LINK_USES) {
      for (const state of LINK_PHASES) this.#set('causeway_links', { upstream, use, state }, of.links[use][state]);
    }
    this.#set('causeway_calls', { upstream }, of.calls);
    this.#set('causeway_held_calls', { upstream }, of.heldCalls);
    this.#set('causeway_waiting_callers', { upstream }, of.waitingCallers);
    this.#set('causeway_sessions', { upstream }, of.sessions);
    this.#set('causeway_streams', { upstream }, of.streams);
    this.#set('causeway_listens', { upstream }, of.listens);
    this.#set('causeway_passthrough_streams', { upstream }, of.passthroughStreams);
  }
}

interface Made {
  readonly name: string;
  readonly help: string;
  readonly labelNames: string[];
  readonly registers: Registry[];
}
