// config/grafana/causeway.json as JSON: what Grafana would show wrong, or not at all.

import { expect, test } from 'vitest';
import { METRICS, type MetricRow } from '../../src/observe/metric-table.ts';
import { ALL_REVISIONS } from '../../src/protocol/eras.ts';
import { METHODS } from '../../src/protocol/methods.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { readScrape } from '../support/prometheus.ts';
import { DASHBOARD, VALUES, alternatives, filledIn, labelsOf, selectorsIn } from './promql.ts';

const { panels, templating } = DASHBOARD;
const SHOWN = panels.filter(({ type }) => type !== 'row');
const TARGETS = SHOWN.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));
/** Of Grafana’s, those that are used: a misspelt one is a plain number. */
const UNITS = ['none', 'reqps', 'ops', 's', 'bytes', 'percentunit'];

test('panels have ids and titles of their own, a unit, and a query', () => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  for (const { title, fieldConfig, targets, datasource } of SHOWN) {
    expect(UNITS, title).toContain(fieldConfig?.defaults.unit);
    expect(targets?.length, title).toBeGreaterThan(0);
    expect(new Set(targets?.map(({ refId }) => refId)).size, title).toBe(targets?.length);
    for (const { uid } of [datasource, ...(targets ?? []).map((target) => target.datasource)].flatMap((of) => of ?? []))
      expect(uid).toBe('${datasource}');
  }
});

test('panels do not lie on each other, nor beside the page', () => {
  const cells = new Set<string>();
  for (const { title, gridPos } of panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(cells.has(`${x} ${y}`), title).toBe(false);
        cells.add(`${x} ${y}`);
      }
    }
  }
});

test('queries ask for metrics, labels and values that there are, and legends for labels that are left', async () => {
  const { version } = process;
  const metrics = new Metrics({ upstreams: [], methods: Object.keys(METHODS), revisions: ALL_REVISIONS, version });
  const none = { upstreams: [], replies: 0, bufferedBytes: 0, isDraining: false, replica: null, store: null };
  const scraped = new Set(readScrape(await metrics.text(none)).samples.map(({ name }) => name));

  for (const { title, expr, legendFormat } of TARGETS) {
    const selectors = selectorsIn(expr);
    expect(selectors.length, title).toBeGreaterThan(0);
    for (const { metric, labels } of selectors) {
      if (!Object.hasOwn(METRICS, metric)) expect(scraped, title).toContain(metric);
      for (const [label, value] of labels) {
        expect(labelsOf(metric), title).toContain(label);
        if (value.startsWith('$')) expect(value).toBe(`$${label}`);
        else for (const each of alternatives(value)) expect(VALUES[label] ?? [each], title).toContain(each);
      }
      // Those of other programs are kept out by what only ours has.
      if (!metric.startsWith('causeway_'))
        expect(expr).toContain('* on (instance) group_left (version) causeway_build_info');
    }
    const left =
      /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? (expr.includes('sum(') ? [] : ['instance', 'version']);
    for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(left, title).toContain(label);
  }
});

test('every metric of the table is on it', () => {
  const asked = new Set(TARGETS.flatMap(({ expr }) => selectorsIn(expr).map(({ metric }) => metric)));

  expect(Object.keys(METRICS).filter((metric) => !asked.has(metric))).toEqual([]);
});

test('of a counter its rate or increase is asked, of a histogram a quantile, of a gauge neither', () => {
  for (const { title, expr } of TARGETS) {
    for (const { metric } of selectorsIn(expr)) {
      const { type } = (METRICS as Readonly<Record<string, MetricRow>>)[metric] ?? { type: undefined };
      const how = new RegExp(String.raw`(\w*)\(${metric}(?:_bucket)?\{[^}]*\}\[`).exec(expr)?.[1];
      if (type === 'counter') expect(['rate', 'increase'], title).toContain(how);
      if (type === 'histogram') expect([how, expr.startsWith('histogram_quantile(')], title).toEqual(['rate', true]);
      if (type === 'gauge') expect(how, title).toBeUndefined();
    }
  }
});

test('the variables are those that queries use, and come from metrics that there are', () => {
  const used = new Set(Array.from(JSON.stringify(TARGETS).matchAll(/\$\{?([a-z]\w*)/g), ([, name]) => name));

  expect(new Set(templating.list.map(({ name }) => name))).toEqual(used);
  for (const { definition } of templating.list) {
    if (definition === undefined) continue;
    const [, selector = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? [];
    const [{ metric } = { metric: '' }] = selectorsIn(`${filledIn(selector)} `);
    expect(labelsOf(metric)).toContain(label);
  }
});
