// What must be true of every crowd, and its figures.

import { expect } from 'vitest';
import { type CrowdOptions, crowd } from './crowd.ts';

export async function expectNobodyCrossed(options: CrowdOptions): Promise<void> {
  const { wrong, hostile, due, dropped, isSingle, seconds, ...counts } = await crowd(options);

  const figures = { ...options, wrong: wrong.length, ...counts, hostile, dropped, seconds: Math.round(seconds) };
  if (options.calls > 10_000 || wrong.length > 0) console.log(JSON.stringify(figures));
  expect(wrong.slice(0, 10)).toEqual([]);
  expect(counts.answered + counts.left).toBe(options.calls);
  for (const count of [counts.left, counts.withProgress, ...Object.values(counts.by)]) expect(count).toBeGreaterThan(0);
  expect([hostile.duplicate > 0, hostile.unknown > 0, hostile.foreign]).toEqual([true, true, 1]);
  // Beside them answers to calls whose client has left.
  expect(dropped).toBeGreaterThanOrEqual(due);
  expect(isSingle).toBe(true);
}
