// Waits with a bound, also outside of a test.

import { setTimeout as pass } from 'node:timers/promises';

/** What it comes to; rejects when that takes longer. */
export async function within<T>(ms: number, what: string, coming: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  try {
    return await Promise.race([coming, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again and again until there is something; null when there is nothing in time. */
export async function eventually<T>(ms: number, look: () => T | null | Promise<T | null>): Promise<T | null> {
  const until = performance.now() + ms;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    const seen = await look();
    if (seen !== null || performance.now() > until) return seen;
    // oxlint-disable-next-line no-await-in-loop -- between two looks
    await pass(10);
  }
}
