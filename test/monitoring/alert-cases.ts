// Each alert, with series on which it fires and series on which it does not: one sample a minute, in the notation of promtool.

export interface AlertCase {
  readonly alert: string;
  /** When it is looked at. */
  readonly at: string;
  readonly fires: Readonly<Record<string, string>>;
  readonly quiet: Readonly<Record<string, string>>;
}

const GATEWAY = 'job="causeway", instance="a:8081"';
const UPSTREAM = `upstream="billing", ${GATEWAY}`;

export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'CausewayDown',
    at: '5m',
    fires: { [`up{${GATEWAY}}`]: '1 0x10' },
    quiet: { [`up{${GATEWAY}}`]: '1 0 1x10' },
  },
  {
    alert: 'CausewayUpstreamDown',
    at: '5m',
    fires: { [`causeway_upstream_up{${UPSTREAM}}`]: '1 0x10' },
    quiet: { [`causeway_upstream_up{${UPSTREAM}}`]: '1 0 0 1x10' },
  },
  {
    alert: 'CausewayUpstreamDegraded',
    at: '10m',
    fires: { [`causeway_breakers_open{${UPSTREAM}}`]: '1x20', [`causeway_upstream_up{${UPSTREAM}}`]: '1x20' },
    quiet: { [`causeway_breakers_open{${UPSTREAM}}`]: '1x20', [`causeway_upstream_up{${UPSTREAM}}`]: '0x20' },
  },
  {
    alert: 'CausewayLinksBreak',
    at: '30m',
    fires: { [`causeway_links_closed_total{reason="lost", ${UPSTREAM}}`]: '0+6x40' },
    quiet: {
      [`causeway_links_closed_total{reason="lost", ${UPSTREAM}}`]: '0+1x40',
      [`causeway_links_closed_total{reason="idle", ${UPSTREAM}}`]: '0+60x40',
    },
  },
  {
    alert: 'CausewayCallsFail',
    at: '15m',
    fires: {
      [`causeway_exchanges_total{outcome="failed", ${UPSTREAM}}`]: '0+1x20',
      [`causeway_exchanges_total{outcome="result", ${UPSTREAM}}`]: '0+9x20',
    },
    quiet: {
      [`causeway_exchanges_total{outcome="failed", ${UPSTREAM}}`]: '0+1x20',
      [`causeway_exchanges_total{outcome="result", ${UPSTREAM}}`]: '0+99x20',
    },
  },
  {
    alert: 'CausewayCallsWait',
    at: '30m',
    fires: {
      [`causeway_link_wait_seconds_bucket{le="1", ${UPSTREAM}}`]: '0+90x40',
      [`causeway_link_wait_seconds_bucket{le="2.5", ${UPSTREAM}}`]: '0+100x40',
      [`causeway_link_wait_seconds_bucket{le="+Inf", ${UPSTREAM}}`]: '0+100x40',
    },
    quiet: {
      [`causeway_link_wait_seconds_bucket{le="1", ${UPSTREAM}}`]: '0+99x40',
      [`causeway_link_wait_seconds_bucket{le="2.5", ${UPSTREAM}}`]: '0+100x40',
      [`causeway_link_wait_seconds_bucket{le="+Inf", ${UPSTREAM}}`]: '0+100x40',
    },
  },
  {
    alert: 'CausewayCapacityMet',
    at: '5m',
    fires: { [`causeway_limits_met_total{limit="links.maxQueue", ${GATEWAY}}`]: '0 0 0 1x5' },
    quiet: {
      [`causeway_limits_met_total{limit="timeouts.sessionIdle", ${GATEWAY}}`]: '0 0 0 1x5',
      [`causeway_limits_met_total{limit="links.maxQueue", ${GATEWAY}}`]: '0x8',
    },
  },
  {
    alert: 'CausewayFault',
    at: '5m',
    fires: { [`causeway_faults_total{${UPSTREAM}}`]: '0 0 0 1x5' },
    quiet: { [`causeway_faults_total{${UPSTREAM}}`]: '1x8' },
  },
  {
    alert: 'CausewayAnswersStray',
    at: '15m',
    fires: { [`causeway_drops_total{what="foreign_answer", ${UPSTREAM}}`]: '0+3x15' },
    quiet: {
      [`causeway_drops_total{what="foreign_answer", ${UPSTREAM}}`]: '0 0 1 1x12',
      [`causeway_drops_total{what="late_answer", ${UPSTREAM}}`]: '0+60x15',
    },
  },
  {
    alert: 'CausewayReloadFailed',
    at: '5m',
    fires: { [`causeway_reloads_total{outcome="failed", ${GATEWAY}}`]: '0 0 0 1x5' },
    quiet: {
      [`causeway_reloads_total{outcome="reloaded", ${GATEWAY}}`]: '0+1x8',
      [`causeway_reloads_total{outcome="failed", ${GATEWAY}}`]: '0x8',
    },
  },
  {
    alert: 'CausewayIssuerUnreachable',
    at: '10m',
    fires: { [`causeway_issuer_key_failures_total{${GATEWAY}}`]: '0+1x15' },
    quiet: { [`causeway_issuer_key_failures_total{${GATEWAY}}`]: '0 1x14' },
  },
  {
    alert: 'CausewayCallersRefused',
    at: '20m',
    fires: { [`causeway_refusals_total{listener="main", reason="unauthorized", ${GATEWAY}}`]: '0+120x30' },
    quiet: {
      [`causeway_refusals_total{listener="main", reason="unauthorized", ${GATEWAY}}`]: '0+6x30',
      [`causeway_refusals_total{listener="main", reason="parse_error", ${GATEWAY}}`]: '0+600x30',
    },
  },
  {
    alert: 'CausewayDescriptorsShort',
    at: '10m',
    fires: { [`process_open_fds{${GATEWAY}}`]: '900x20', [`process_max_fds{${GATEWAY}}`]: '1000x20' },
    quiet: {
      'process_open_fds{job="other", instance="b"}': '900x20',
      'process_max_fds{job="other", instance="b"}': '1000x20',
      [`process_open_fds{${GATEWAY}}`]: '300x20',
      [`process_max_fds{${GATEWAY}}`]: '1000x20',
    },
  },
  {
    alert: 'CausewayBusy',
    at: '20m',
    fires: { [`nodejs_eventloop_lag_p99_seconds{${GATEWAY}}`]: '0.5x30' },
    quiet: { [`nodejs_eventloop_lag_p99_seconds{${GATEWAY}}`]: '0.5x5 0.02x25' },
  },
  {
    alert: 'CausewayRestarts',
    at: '6m',
    fires: { [`process_start_time_seconds{${GATEWAY}}`]: '0 1 2 3 3 3 3' },
    quiet: { [`process_start_time_seconds{${GATEWAY}}`]: '0 1 1 1 1 1 1' },
  },
  {
    alert: 'CausewayDrainHangs',
    at: '10m',
    fires: { [`causeway_draining{${GATEWAY}}`]: '1x15' },
    quiet: { [`causeway_draining{${GATEWAY}}`]: '0 1 1 0x12' },
  },
  {
    alert: 'CausewayCertificateUnchecked',
    at: '80m',
    fires: { [`causeway_upstream_tls_unverified{${UPSTREAM}}`]: '1x90' },
    quiet: { [`causeway_upstream_tls_unverified{${UPSTREAM}}`]: '0x90' },
  },
  {
    alert: 'CausewayReplicasApart',
    at: '5m',
    fires: { [`causeway_peers{state="refusing", ${GATEWAY}}`]: '1x10' },
    quiet: {
      [`causeway_peers{state="refusing", ${GATEWAY}}`]: '1 1 1 0x8',
      [`causeway_peers{state="unreachable", ${GATEWAY}}`]: '1x10',
    },
  },
  {
    alert: 'CausewayReplicaUnreachable',
    at: '10m',
    fires: { [`causeway_peers{state="unreachable", ${GATEWAY}}`]: '2x15' },
    quiet: {
      [`causeway_peers{state="unreachable", ${GATEWAY}}`]: '2x3 0x12',
      [`causeway_peers{state="up", ${GATEWAY}}`]: '2x15',
    },
  },
  {
    alert: 'CausewayHopsFail',
    at: '15m',
    fires: {
      [`causeway_hops_total{outcome="lost", ${UPSTREAM}}`]: '0+1x20',
      [`causeway_hops_total{outcome="served", ${UPSTREAM}}`]: '0+9x20',
    },
    quiet: {
      [`causeway_hops_total{outcome="lost", ${UPSTREAM}}`]: '0+1x20',
      [`causeway_hops_total{outcome="unknown", ${UPSTREAM}}`]: '0+20x20',
      [`causeway_hops_total{outcome="served", ${UPSTREAM}}`]: '0+79x20',
    },
  },
  {
    alert: 'CausewayHopsRefused',
    at: '15m',
    fires: { [`causeway_hops_refused_total{reason="forged", ${GATEWAY}}`]: '0+3x15' },
    quiet: { [`causeway_hops_refused_total{reason="expired", ${GATEWAY}}`]: '0 0 1 1x12' },
  },
  {
    alert: 'CausewayStoreDown',
    at: '5m',
    fires: { [`causeway_store_up{${GATEWAY}}`]: '1 0x10' },
    quiet: { [`causeway_store_up{${GATEWAY}}`]: '1 0 0 1x10' },
  },
  {
    alert: 'CausewayStoreBehind',
    at: '10m',
    fires: {
      [`causeway_store_sessions{state="behind", ${GATEWAY}}`]: '3x15',
      [`causeway_store_up{${GATEWAY}}`]: '1x15',
    },
    // One that is down is told of as such.
    quiet: {
      [`causeway_store_sessions{state="behind", ${GATEWAY}}`]: '3x15',
      [`causeway_store_up{${GATEWAY}}`]: '0x15',
    },
  },
  {
    alert: 'CausewayStoreStrange',
    at: '5m',
    fires: { [`causeway_store_rejected_total{what="lease", ${GATEWAY}}`]: '0 0 1x8' },
    quiet: { [`causeway_store_rejected_total{what="lease", ${GATEWAY}}`]: '1x10' },
  },
  {
    alert: 'CausewayTakeoversFail',
    at: '5m',
    fires: { [`causeway_takeovers_total{outcome="no_room", ${UPSTREAM}}`]: '0 0 1x8' },
    quiet: {
      [`causeway_takeovers_total{outcome="taken", ${UPSTREAM}}`]: '0+5x10',
      [`causeway_takeovers_total{outcome="no_room", ${UPSTREAM}}`]: '1x10',
    },
  },
];
