// The alerts of config/prometheus, held to the metrics that there are and to their runbooks.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { METRICS } from '../../src/observe/metric-table.ts';
import { COMMANDS } from '../../src/verbs/flags.ts';
import { ROOT, page } from '../docs/pages.ts';
import { ALERT_CASES } from './alert-cases.ts';
import { ALERTS, VALUES, alternatives, labelsOf, selectorsIn } from './promql.ts';

const NAMES = ALERTS.map(({ alert }) => alert);

test('every alert has its own name, a severity, and cases in which it fires and does not', () => {
  expect(NAMES.length).toBeGreaterThan(10);
  expect(new Set(NAMES).size).toBe(NAMES.length);
  expect(ALERT_CASES.map(({ alert }) => alert)).toEqual(NAMES);
  for (const { labels } of ALERTS) expect(['critical', 'warning', 'info']).toContain(labels.severity);
});

test.each(ALERTS.map((alert) => [alert.alert, alert] as const))(
  '%s: asks for metrics, labels and values that there are, and says only what it has',
  (_, { expr, annotations }) => {
    const selectors = selectorsIn(expr);

    expect(selectors.length).toBeGreaterThan(0);
    for (const { metric, labels } of selectors) {
      if (metric.startsWith('causeway_')) expect(Object.keys(METRICS)).toContain(metric);
      // Names that other programs have too.
      else expect(labels).toContainEqual(['job', 'causeway']);
      for (const [label, value] of labels) {
        expect(labelsOf(metric)).toContain(label);
        const known = VALUES[label];
        if (known !== undefined) for (const each of alternatives(value)) expect(known).toContain(each);
      }
    }
    const [, by] = /\bby \(([^)]*)\)/.exec(expr) ?? [];
    const left = by === undefined ? selectors.flatMap(({ metric }) => labelsOf(metric)) : by.split(', ');
    const said = Array.from(annotations.summary.matchAll(/\$labels\.(\w+)/g), ([, label]) => label);
    for (const label of said) expect(left).toContain(label);
  },
);

test.each(ALERTS.map((alert) => [alert.alert, alert] as const))(
  '%s: has a runbook, to which it points',
  (alert, { annotations }) => {
    const [file = '', anchor = ''] = annotations.runbook_url.split('#');

    expect([file, anchor]).toEqual(['docs/runbooks.md', alert.toLowerCase()]);
    expect(page(file).anchors).toContain(anchor);
  },
);

test('no runbook is of an alert that is gone, and each says what it means, how to see it, and what to do', () => {
  const { prose } = page('docs/runbooks.md');
  const sections = prose.split(/^## /m).slice(1);
  const ofAlerts = sections.filter((section) => section.startsWith('Causeway'));

  expect(ofAlerts.map((section) => section.split('\n', 1)[0])).toEqual(NAMES);
  for (const section of ofAlerts) {
    for (const part of ['**Means.**', '**See.**', '**Do.**']) expect(section).toContain(part);
  }
});

test('the runbooks speak of metrics, labels and values that there are', () => {
  const { prose } = page('docs/runbooks.md');
  const names = Array.from(prose.matchAll(/`(causeway_\w+)/g), ([, name]) => name);
  const selectors = Array.from(prose.matchAll(/`(causeway_\w+\{[^`]*\})`/g), ([, text = '']) => text);

  expect(names.length).toBeGreaterThan(10);
  for (const name of names) expect(Object.keys(METRICS)).toContain(name);
  for (const { metric, labels } of selectors.flatMap(selectorsIn)) {
    for (const [label, value] of labels) {
      expect(labelsOf(metric)).toContain(label);
      for (const each of alternatives(value)) expect(VALUES[label] ?? [each]).toContain(each);
    }
  }
});

test('the runbooks name commands and lines of the log that there are', () => {
  const { prose } = page('docs/runbooks.md');
  const codes = Array.from(prose.matchAll(/`([^`]+)`/g), ([, code = '']) => code);
  const journal = readFileSync(join(ROOT, 'src/observe/journal.ts'), 'utf8');

  const verbs = codes.flatMap((code) => /^mcp-causeway (\w+)/.exec(code)?.[1] ?? []);
  const lines = codes.filter((code) => /^[a-z]+(?: [a-z]+)+$/.test(code));

  expect(verbs.filter((verb) => !COMMANDS.includes(verb))).toEqual([]);
  expect(lines.length).toBeGreaterThan(1);
  expect(lines.filter((line) => !journal.includes(line))).toEqual([]);
});
