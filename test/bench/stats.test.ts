import { expect, test } from 'vitest';
import { chart } from '../../bench/chart.ts';
import { dueAt, dueBy } from '../../bench/open-loop.ts';
import { perRound } from '../../bench/outcome.ts';
import { reportText } from '../../bench/report.ts';
import { SCENARIO_NAMES, scenarioOf, takesPart, wayOf } from '../../bench/scenarios.ts';
import { digits, quantile, show, spread, width } from '../../bench/stats.ts';
import { callOf } from '../../bench/tally.ts';
import { outcome, rates, row } from './figures.ts';

test('a spread is the median and the range', () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, low: 1, high: 3 });
  expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, low: 1, high: 4 });
  expect(spread([])).toEqual({ median: NaN, low: NaN, high: NaN });
  // Not as text: 9 is less than 10.
  expect(spread([10, 9, 8]).median).toBe(9);
  expect(width(spread([5, 10, 15]))).toBe(1);
});

test('a quantile is the nearest rank', () => {
  const sorted = Float64Array.from({ length: 1000 }, (_, index) => index);

  expect([0.5, 0.99, 0.999, 1].map((at) => quantile(sorted, at))).toEqual([500, 990, 999, 999]);
  expect(quantile(new Float64Array(), 0.5)).toBeNaN();
});

test('figures have three digits, and ranges where there is one', () => {
  expect([0.0421, 1.234, 12.34, 123.4, 0, NaN].map(digits)).toEqual(['0.042', '1.23', '12.3', '123', '0.00', '-']);
  expect(show(spread([1, 2, 3]))).toBe('2.00 (1.00-3.00)');
  expect(show(spread([2]))).toBe('2.00');
});

test('ratios are taken within rounds', () => {
  expect(perRound([10, 40], [5, 10], (own, other) => own / other)).toEqual([2, 4]);
  expect(perRound([10], [], (own, other) => own / other)).toEqual([]);
});

test('calls of an open loop are due at their time, whatever became of the others', () => {
  expect([0, 1, 5].map((index) => dueAt(index, 1000))).toEqual([0, 1, 5]);
  expect([0, 0.9, 1, 10, 99].map((ms) => dueBy(ms, 1000, 50))).toEqual([1, 1, 2, 11, 50]);
});

test('ids collide across sessions, in value and not in type, and never within one', () => {
  const shape = { size: 0, progress: 0, payload: 0 };
  const lanes = [0, 1].map((lane) => ({ lane, lanes: 2, call() {}, close() {} }));
  const callers = [...lanes, ...lanes];
  const idsOf = (index: number) =>
    [1, 2, 3].map((count) => callOf(callers[index] ?? lanes[0]!, index, count, shape).id);

  expect(idsOf(2)).toEqual(idsOf(0).map(String));
  expect(new Set([...idsOf(0), ...idsOf(1)]).size).toBe(6);
});

test('a report has a row for each peer and says why calls failed', () => {
  const failing = row('nginx', [{ errors: 3, reasons: ['error: HTTP 502'] }]);
  const text = reportText(outcome('c32', rates('http-floor', 100, 100), rates('causeway', 80, 120), failing));

  expect(text).toContain('| causeway   | 100 (80.0-120)');
  expect(text).toContain('1.00 (0.800-1.20)');
  expect(text).toContain('nginx: error: HTTP 502');
});

test('a chart is text and bars, and cuts what would dwarf the rest', () => {
  const svg = chart([outcome('c32', rates('direct', 90_000), rates('causeway', 900, 1100))], 'Node <24> & more');

  expect(svg).toContain('>causeway</text>');
  expect(svg).toContain('1000 (900–1100)');
  expect(svg).toContain('Node &lt;24&gt; &amp; more');
  expect(svg.match(/<line class="cut"/g)).toHaveLength(1);
  expect(svg).not.toMatch(/<script|href|NaN|Infinity/);
});

test('every scenario has the peers it is about', () => {
  const gateway = { name: 'causeway', speaks: 'http', needsSession: false } as const;
  const [small] = scenarioOf('c32').variants;
  const [, baseline] = scenarioOf('mib8').variants;
  if (small === undefined || baseline === undefined) throw new Error('no variants');

  expect(SCENARIO_NAMES.filter((name) => scenarioOf(name).variants.length === 0)).toEqual([]);
  expect(wayOf(gateway, small)).toBe('sessionless');
  expect(wayOf({ ...gateway, needsSession: true }, small)).toBe('session');
  expect(wayOf({ speaks: 'legacy', needsSession: false }, small)).toBe('legacy');
  expect(takesPart({ name: 'naive', can: new Set(['sessionless', 'mib8']) }, small)).toBe(true);
  expect(takesPart({ name: 'naive', can: new Set(['sessionless', 'mib8']) }, baseline)).toBe(false);
  expect(takesPart({ name: 'nginx', can: new Set() }, small)).toBe(false);
});
