// Timers that share a tick: each fires once, never early, never late by more than a tick, and one that is cancelled not at all.

import { setTimeout as waitFor } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TimerWheel } from '../src/timer-wheel.ts';
import { seeded } from './support/seeded.ts';

const TICK_MS = 100;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const clock = { now: () => performance.now() };

test('a thousand timers, some of them cancelled, each in its time', () => {
  const chance = seeded(7);
  const wheel = new TimerWheel(clock);
  const late: number[] = [];
  const wanted = Array.from({ length: 1000 }, () => {
    const ms = 1000 + chance.below(60_000) + chance.below(1000) / 1000;
    const due = clock.now() + ms;
    const timer = wheel.after(ms, () => late.push(clock.now() - due));
    vi.advanceTimersByTime(chance.below(20));
    return timer;
  });
  const cancelled = wanted.filter(() => chance.below(3) === 0);
  for (const timer of cancelled) timer.cancel();
  const goneBefore = late.length;

  vi.advanceTimersByTime(120_000);

  expect(goneBefore).toBeLessThan(1000);
  expect(late.length).toBeGreaterThanOrEqual(1000 - cancelled.length);
  expect(late.length).toBeLessThan(1000);
  expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  // Of the clock of the test a millisecond is the least.
  expect(Math.max(...late)).toBeLessThanOrEqual(TICK_MS + 1);
});

test('one that is cancelled by another of its tick does not fire, and one begun by it fires in its own time', () => {
  const wheel = new TimerWheel(clock);
  const fired: string[] = [];
  let second = { cancel: (): void => {} };
  wheel.after(1000, () => {
    fired.push('first');
    second.cancel();
    wheel.after(1000, () => fired.push('later'));
  });
  second = wheel.after(1000, () => fired.push('second'));

  vi.advanceTimersByTime(1200);
  expect(fired).toEqual(['first']);
  vi.advanceTimersByTime(1200);
  expect(fired).toEqual(['first', 'later']);
});

test('timers that are all cancelled keep no process alive', async () => {
  vi.useRealTimers();
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  const script = `
    import { TimerWheel } from ${JSON.stringify(new URL('../dist/timer-wheel.js', import.meta.url).href)};
    const wheel = new TimerWheel({ now: () => performance.now() });
    const timers = [1000, 1000, 600_000].map((ms) => wheel.after(ms, () => console.log('fired')));
    for (const timer of timers) timer.cancel();
    wheel.after(1000, () => console.log('kept')).cancel();
    process.on('exit', () => console.log('ended'));`;

  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 10_000 });
  const { stdout } = await Promise.race([run, waitFor(12_000, { stdout: 'late' })]);

  expect(stdout).toBe('ended\n');
});
