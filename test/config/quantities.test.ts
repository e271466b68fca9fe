import fc from 'fast-check';
import { expect, test } from 'vitest';
import { durationText, durations, sizeText, sizes } from '../../src/config/quantities.ts';

test.each([
  ['250ms', 250],
  ['5s', 5000],
  ['5 s', 5000],
  ['1.5m', 90_000],
  ['2min', 120_000],
  ['1h', 3_600_000],
  ['23d', 23 * 86_400_000],
  ['0s', 0],
])('%s is %d ms', (text, ms) => {
  expect(new RegExp(durations(0).pattern).test(text)).toBe(true);
  expect(durations(0).parse(text)).toBe(ms);
});

test.each([
  ['1B', 1],
  ['4MiB', 4 * 1024 ** 2],
  ['1.5GB', 1.5e9],
  ['64KiB', 65_536],
])('%s is %d bytes', (text, bytes) => {
  expect(new RegExp(sizes(1).pattern).test(text)).toBe(true);
  expect(sizes(1).parse(text)).toBe(bytes);
});

const number = fc.oneof(fc.nat(99), fc.nat(), fc.double({ min: 0, max: 1e6, noNaN: true })).map(String);
const unit = fc.constantFrom(
  'ms',
  's',
  'm',
  'min',
  'h',
  'd',
  'B',
  'KiB',
  'MiB',
  'GiB',
  'kB',
  'MB',
  'GB',
  '',
  ' s',
  'S',
);

test('whatever matches is within its range, and a timer can hold it', () => {
  fc.assert(
    fc.property(number, unit, fc.constantFrom(0, 1, 10), (digits, name, least) => {
      const [duration, size] = [durations(least as 0 | 1 | 10), sizes(1)];
      const text = digits + name;
      if (new RegExp(duration.pattern).test(text)) {
        expect(duration.parse(text)).toBeGreaterThanOrEqual(least);
        expect(duration.parse(text)).toBeLessThan(2 ** 31);
      } else {
        expect(duration.explain(text)).toMatch(/unit|at least|too long/);
      }
      if (new RegExp(size.pattern).test(text)) {
        expect(size.parse(text)).toBeGreaterThanOrEqual(1);
        expect(size.parse(text)).toBeLessThan(2 ** 31);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a number is shown in a form that is read as the same number', () => {
  fc.assert(
    fc.property(fc.nat(999_999_999), (value) => {
      expect(durations(0).parse(durationText(value))).toBe(value);
      expect(sizes(0).parse(sizeText(value))).toBe(value);
    }),
  );
});
