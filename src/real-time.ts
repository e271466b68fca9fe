// The process's clock, timers and randomness, behind the ports.

import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timers } from './domain/ports.ts';

export const systemClock: Clock = { now: () => performance.now() };

export const systemTimers: Timers = {
  after(ms, fire) {
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

export const systemRandom: Random = {
  fraction: Math.random,
  bytes: (length) => randomBytes(length),
};
