// The process's clock, timers and randomness, behind the ports.

import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timers } from './domain/ports.ts';
import { TimerWheel } from './timer-wheel.ts';

export const systemClock: Clock = { now: () => performance.now() };

/** From here on nobody notices whether a timer is late by a tick. */
const COARSE_FROM_MS = 1000;
const wheel = new TimerWheel(systemClock);

export const systemTimers: Timers = {
  after(ms, fire) {
    if (ms >= COARSE_FROM_MS) return wheel.after(ms, fire);
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Drawn at once: one by one, a few bytes cost as much as thousands. */
const DRAWN_BYTES = 4096;
let drawn = Buffer.alloc(0);

export const systemRandom: Random = {
  fraction: Math.random,
  bytes(length) {
    if (length > drawn.length) drawn = randomBytes(Math.max(length, DRAWN_BYTES));
    const bytes = drawn.subarray(0, length);
    drawn = drawn.subarray(length);
    return bytes;
  },
};
