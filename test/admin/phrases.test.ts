import { expect, test } from 'vitest';
import { ago, bytes, counted, grouped, instant, span } from '../../src/admin/phrases.ts';

test.each([
  [0, '0 ms'],
  [-5, '0 ms'],
  [999.4, '999 ms'],
  [1000, '1 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [125_000, '2 min 5 s'],
  [3_600_000, '1 h'],
  [3_605_000, '1 h'],
  [4_320_000, '1 h 12 min'],
  [90_061_000, '1 d 1 h'],
  [86_400_000 * 400, '400 d'],
])('%i ms are %s', (ms, text) => {
  expect(span(ms)).toBe(text);
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1_572_864, '1.5 MiB'],
  [3 * 1024 ** 3, '3.0 GiB'],
])('%i bytes are %s', (count, text) => {
  expect(bytes(count)).toBe(text);
});

test('counts and moments', () => {
  expect([grouped(10_000), counted(1, 'link'), counted(2, 'link'), counted(0, 'reply', 'replies')]).toEqual([
    '10,000',
    '1 link',
    '2 links',
    '0 replies',
  ]);
  expect([ago(999), ago(-1), ago(2000)]).toEqual(['just now', 'just now', '2 s ago']);
  expect(instant('2026-11-22T02:41:36.123Z')).toBe('22 Nov 2026 02:41:36 UTC');
});
