import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from '../../src/upstream/backoff.ts';

const RULES = { minMs: 250, maxMs: 30_000 };

test.each<[attempt: number, fraction: number, ms: number]>([
  [1, 0, 250],
  [1, 0.999_999, 500],
  [2, 0.5, 625],
  [3, 0.5, 1125],
  [4, 0.75, 3063],
  [7, 0.999_999, 30_000],
  [100, 0.999_999, 30_000],
  [100, 0, 250],
  [1e9, 0.5, 15_125],
])('attempt %i, chance %d: %i ms', (attempt, fraction, ms) => {
  expect(backoffMs(attempt, RULES, fraction)).toBe(ms);
});

test('is always between the two limits, and the ceiling grows with every attempt until the upper one', () => {
  const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fraction,
      fc.nat(5000),
      fc.nat(60_000),
      (attempt, chance, min, more) => {
        const rules = { minMs: min, maxMs: min + more };
        const ms = backoffMs(attempt, rules, chance);
        expect(ms).toBeGreaterThanOrEqual(rules.minMs);
        expect(ms).toBeLessThanOrEqual(rules.maxMs);
        expect(backoffMs(attempt + 1, rules, chance)).toBeGreaterThanOrEqual(ms);
      },
    ),
  );
});

test('links that fail together do not come back together', () => {
  const delays = Array.from({ length: 100 }, (_, index) => backoffMs(6, RULES, index / 100));

  expect(new Set(delays).size).toBeGreaterThan(90);
});
