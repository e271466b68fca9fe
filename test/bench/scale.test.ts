// The arithmetic of the scaling model, with costs made up so that heads can do it.
import { expect, test } from 'vitest';
import { check, costsOf, measured } from '../../bench/scale/figures.ts';
import {
  type Capacity,
  type Demand,
  type UnitCosts,
  breaks,
  callCost,
  hopsPerRequest,
  planFor,
  useOf,
} from '../../bench/scale/model.ts';
import { measuredFigures, scalingPage } from '../../bench/scale/page.ts';

const COSTS: UnitCosts = {
  callUs: 100,
  hoppedUs: 120,
  hopUs: 80,
  openUs: 1000,
  keepUs: 2,
  processBytes: 1000,
  sessionBytes: 100,
  hopStreamBytes: 40,
  processDescriptors: 20,
  sessionDescriptors: 2,
  hopStreamDescriptors: 2,
  store: {
    openUs: 500,
    eventUs: 50,
    redisOpenUs: 100,
    redisEventUs: 10,
    openOperations: 5,
    eventOperations: 1,
    takeOverOperations: 6,
    sessionBytes: 500,
  },
};

const DEMAND: Demand = {
  sessions: 1000,
  callsPerSecond: 0.5,
  eventsPerSecond: 0,
  lifetimeSeconds: 100,
  affinity: 0,
  hasStore: false,
};

const CAPACITY: Capacity = {
  cores: 0.5,
  bytes: 101_000,
  descriptors: 100_000,
  ports: 28_000,
  serverSessions: 300,
  storeCores: 0.5,
  storeBytes: 1_000_000,
};

test.each([
  [1, 0, 0],
  [2, 0, 1 / 2],
  [3, 0, 2 / 3],
  [100, 0, 0.99],
  [3, 1, 0],
  [3, 0.5, 1 / 3],
])('of %i replicas with an affinity of %d, a request is passed on %d times', (replicas, affinity, hops) => {
  expect(hopsPerRequest(replicas, affinity)).toBeCloseTo(hops);
});

test('one replica alone pays for calls, for opening and for keeping, and passes nothing on', () => {
  const use = useOf(DEMAND, COSTS, 1);

  // 500 calls, 10 sessions opened, 1000 kept.
  expect(use.cores).toBeCloseTo((500 * 100 + 10 * 1000 + 1000 * 2) / 1e6);
  expect(use).toMatchObject({ hopsPerCall: 0, hops: 0, hellos: 0, lookups: 0, links: 1000, storeOperations: 0 });
  expect(use.bytes).toBe(1000 + 1000 * 100);
  expect(use.descriptors).toBe(20 + 1000 * 2);
});

test('two replicas pass every second request on, once, and every second stream', () => {
  const use = useOf(DEMAND, COSTS, 2);
  const hops = 0.5 * (500 + 10 * 3);

  expect(use.hops).toBeCloseTo(hops);
  expect(use.cpuUsPerCall).toBeCloseTo(0.5 * 100 + 0.5 * (120 + 80));
  expect(use.hellos).toBeCloseTo(2 / 10);
  const us = 500 * 150 + 10 * (1000 + 1.5 * 100) + 1000 * 2 + 0.2 * 100;
  expect(use.cores).toBeCloseTo(us / 1e6 / 2);
  expect(use.bytes).toBe(1000 + 500 * 100 + 250 * 40);
  expect(use.descriptors).toBe(20 + 500 * 2 + 250 * 2 + 2);
  expect(use.links).toBe(500);
});

test('the more replicas, the nearer is a call to its cost with a hop, and greetings grow as their square', () => {
  expect(callCost(COSTS, hopsPerRequest(1000))).toBeCloseTo(200, 0);
  const [ten, hundred] = [10, 100].map((replicas) => useOf(DEMAND, COSTS, replicas));

  expect([ten?.hellos, hundred?.hellos]).toEqual([9, 990]);
  expect(hundred?.lookups).toBe(20);
});

test('a store is paid for by sessions and events, not by calls', () => {
  const stored = useOf({ ...DEMAND, hasStore: true, eventsPerSecond: 0.1 }, COSTS, 1);
  const quiet = useOf({ ...DEMAND, hasStore: true, callsPerSecond: 5 }, COSTS, 1);

  // 10 sessions opened, 100 events, and one sign of life.
  expect(stored.storeOperations).toBe(10 * 5 + 100 + 1);
  expect(stored.storeCores).toBeCloseTo((10 * 100 + 100 * 10 + 20) / 1e6);
  expect(stored.storeBytes).toBe(500_000);
  expect(stored.cores - useOf(DEMAND, COSTS, 1).cores).toBeCloseTo((10 * 500 + 100 * 50) / 1e6);
  expect(quiet.storeOperations).toBe(10 * 5 + 1);
});

test('a plan is the fewest replicas of which none is short of anything, and says of what one less would be', () => {
  const plan = planFor(DEMAND, COSTS, CAPACITY);
  const more = planFor({ ...DEMAND, sessions: 10_000 }, COSTS, CAPACITY);

  expect(plan).toMatchObject({ replicas: 1, decides: 'memory', servers: 4, stores: 0 });
  // 13 would have 1000 + 769 × 100 + 710 × 40 bytes each: too many.
  expect(more).toMatchObject({ replicas: 14, decides: 'memory' });
  expect(planFor({ ...DEMAND, sessions: 1e12 }, COSTS, CAPACITY)).toBeUndefined();
});

test('with memory enough it is the CPU that decides, and affinity saves the hops', () => {
  const roomy = { ...CAPACITY, bytes: 1e12 };
  const busy = { ...DEMAND, callsPerSecond: 10 };

  // 10,000 calls a second: 1 s of CPU at one replica, twice that where nearly all of them are passed on.
  expect(planFor(busy, COSTS, roomy)).toMatchObject({ replicas: 4, decides: 'CPU' });
  expect(planFor({ ...busy, affinity: 1 }, COSTS, roomy)).toMatchObject({ replicas: 3, decides: 'CPU' });
});

test('a store that is full or busy takes another one', () => {
  const stored = { ...DEMAND, hasStore: true };

  expect(planFor(stored, COSTS, CAPACITY)?.stores).toBe(1);
  expect(planFor({ ...stored, sessions: 4000 }, COSTS, CAPACITY)?.stores).toBe(2);
});

test('what rounds have found is told as medians and ranges, and a prediction is judged within its round', () => {
  const rounds = [2, 1, 3].map((callUs) => ({ callUs, hopUs: callUs * 10 }));

  expect(measured(rounds)).toEqual({
    callUs: { median: 2, low: 1, high: 3 },
    hopUs: { median: 20, low: 10, high: 30 },
  });
  expect(() => measured([])).toThrow('no round');
  // Against the medians alone it would be right by chance.
  expect(check('CPU', 2, [10, 20, 40], [20, 20, 20])).toMatchObject({
    predicted: { median: 20 },
    measured: { median: 20 },
    error: { median: 0, low: -0.5, high: 1 },
  });
});

test('the page is printed from medians, and says so where no number of replicas is enough', () => {
  const figures = measuredFigures();
  const dear = { ...figures, calls: { ...figures.calls, costs: measured([{ ...COSTS, hopUs: 100_000 }]) } };

  expect(costsOf(figures).store.openOperations).toBe(figures.store.costs.openOperations.median);
  expect(scalingPage(dear)).toContain('no number is enough');
});

test('what breaks comes in the order in which it does', () => {
  const { sessions: _, ...perSession } = { ...DEMAND, hasStore: true };

  expect(breaks(perSession, COSTS, CAPACITY)).toEqual([
    { what: 'server', sessions: 300 },
    { what: 'memory', sessions: 1000 },
    { what: 'store', sessions: 2000 },
    // 50 + 10 + 2 for each session, and 5 for the store.
    { what: 'CPU', sessions: Math.floor(0.5e6 / 67) },
    { what: 'ports', sessions: 28_000 },
    { what: 'descriptors', sessions: 49_990 },
  ]);
});
