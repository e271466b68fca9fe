// The queries of the dashboard and of the alerts, as far as can be seen without Prometheus: which metrics they name, with
// which labels. Whether they resolve is for prometheus.long.test.ts.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { DROPS } from '../../src/domain/drops.ts';
import { ERRORS } from '../../src/domain/errors.ts';
import { LIMITS } from '../../src/domain/limits.ts';
import type { HopRefusal } from '../../src/protocol/hop-header.ts';
import { HOP_OUTCOMES, PEER_STATES } from '../../src/domain/replicas.ts';
import { STORE_REJECTS, TAKEOVER_OUTCOMES } from '../../src/domain/store-faults.ts';
import { METRICS, type MetricRow } from '../../src/observe/metric-table.ts';
import { ROOT } from '../docs/pages.ts';

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

export const ALERTS_FILE = join(ROOT, 'config/prometheus/alerts.yaml');
const { groups } = parse(readFileSync(ALERTS_FILE, 'utf8')) as {
  groups: readonly { readonly rules: readonly Alert[] }[];
};
export const ALERTS: readonly Alert[] = groups.flatMap(({ rules }) => rules);

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat: string;
    readonly datasource: { readonly uid: string };
  }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

export const DASHBOARD = JSON.parse(readFileSync(join(ROOT, 'config/grafana/causeway.json'), 'utf8')) as Dashboard;

/** What Grafana puts in place of its variables. */
export function filledIn(expr: string): string {
  return expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(?:instance|upstream)\b/g, '.*');
}

/** Of a histogram its series, of every process that of Node. */
const SERIES = /\b(causeway_\w+?|process_\w+|nodejs_\w+|up)(_bucket|_sum|_count)?(?:\{([^}]*)\}|(?=[\s)[*]|$))/g;

export interface Selector {
  readonly metric: string;
  readonly labels: readonly (readonly [name: string, value: string])[];
}

export function selectorsIn(expr: string): readonly Selector[] {
  return Array.from(expr.matchAll(SERIES), ([, name = '', suffix = '', labels = '']) => ({
    metric: Object.hasOwn(METRICS, name) || suffix === '' ? name : name + suffix,
    labels: Array.from(
      labels.matchAll(/(\w+)(?:=~|!~|!=|=)"([^"]*)"/g),
      ([, label = '', value = '']) => [label, value] as const,
    ),
  }));
}

/** What Prometheus puts on every series that it scrapes. */
const OF_TARGET = ['instance', 'job'];

export function labelsOf(metric: string): readonly string[] {
  const row = (METRICS as Readonly<Record<string, MetricRow>>)[metric];
  return [...OF_TARGET, ...(row?.labels ?? []), ...(row?.type === 'histogram' ? ['le'] : [])];
}

const HOP_REFUSALS: readonly HopRefusal[] = ['absent', 'forged', 'expired', 'replayed', 'not_meant', 'crowded'];

/** The values that a label can have, where all are known. */
export const VALUES: Readonly<Record<string, readonly string[]>> = {
  limit: LIMITS,
  // Also what a store held that is not ours, and did not take.
  what: [...Object.keys(DROPS), ...Object.keys(STORE_REJECTS), 'event'],
  // Also why a link was closed, and a hop refused.
  reason: [...Object.keys(ERRORS), 'lost', ...HOP_REFUSALS],
  outcome: ['result', 'error', 'failed', 'cancelled', 'client_gone', 'reloaded', ...HOP_OUTCOMES, ...TAKEOVER_OUTCOMES],
  listener: ['main', 'admin', 'peers'],
  state: ['opening', 'open', 'closing', ...PEER_STATES, 'kept', 'behind'],
};

/** `a|b[.]c`, one by one. */
export function alternatives(pattern: string): readonly string[] {
  return pattern.split('|').map((each) => each.replaceAll('[.]', '.'));
}
