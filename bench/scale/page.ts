// docs/scaling.md, printed by `npm run docs` from what run.ts measured (measured.json) and what the model makes of it.
import { readFileSync } from 'node:fs';
import { table } from '../../test/support/markdown-table.ts';
import { digits, type Spread } from '../stats.ts';
import { CALL_RATE, costsOf, PARTS, type Check, type Figures } from './figures.ts';
import {
  breaks,
  HELLO_EVERY_S,
  hopsPerRequest,
  planFor,
  type Break,
  type Capacity,
  type Demand,
  type Plan,
  type UnitCosts,
} from './model.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export const DEMAND: Omit<Demand, 'sessions'> = {
  callsPerSecond: 0.1,
  eventsPerSecond: 1 / 60,
  lifetimeSeconds: 1800,
  affinity: 0,
  hasStore: true,
};

export const CAPACITY: Capacity = {
  cores: 0.6,
  bytes: GIB,
  descriptors: 65_536,
  ports: 28_232,
  serverSessions: 1000,
  storeCores: 0.6,
  storeBytes: 8 * GIB,
};

/** Replicas that greet each other. */
const CELL = 20;
const SIZES = [1000, 100_000, 10_000_000];

export function measuredFigures(): Figures {
  return JSON.parse(readFileSync(new URL('measured.json', import.meta.url), 'utf8'));
}

export function scalingPage(figures: Figures = measuredFigures()): string {
  const costs = costsOf(figures);
  return [
    '# Scaling',
    '',
    '<!-- Printed from bench/scale by `npm run docs`. -->',
    '',
    'How many replicas a number of sessions takes, what that costs, and what breaks first. A session has one link to the server, and',
    'a link lives in one process: its owner. A request that lands at another replica is passed on to the owner, once. Nothing else is',
    'shared, so nearly everything grows with sessions and calls and is divided by replicas; what is not is said below.',
    '',
    `Measured with Node ${figures.node.slice(1)} on ${figures.processor}, which load, server, replicas and Redis share: medians and`,
    `ranges of ${roundsText(figures)}. Take the proportions from here, and the figures from [your own machine](#measure-your-own).`,
    `CPU is that of a process which does ${amount(CALL_RATE)} things a second; one with more to do takes more at a time, and less CPU for each:`,
    `with 32 calls in flight ${ranged(figures.calls.saturated.callUs, 1, 'µs')} a call, so that plans made of the table have room.`,
    '',
    '## What a thing costs',
    '',
    costTable(figures),
    '',
    'N replicas behind a balancer that keeps nobody where he is pass on all requests of sessions but one in N; each is passed on',
    'once, never twice. A call that is passed on costs',
    `${times((costs.hoppedUs + costs.hopUs) / costs.callUs)} the CPU of one that is not (${times(saturatedRatio(figures))} with 32 in flight), so that is the most that`,
    'replicas without affinity cost, however many they are. Calls without a session, `initialize`, listens and calls of 2026-07-28 are',
    'served where they land.',
    '',
    shareTable(costs),
    '',
    '## How many replicas',
    '',
    demandText(),
    '',
    sizeTable(costs),
    '',
    'One more than that, so that one may die. Redis needs room for events as well, at most `streams.maxBytes` for each session.',
    '',
    'Ten million sessions are no single deployment, since every replica greets every other one:',
    `make cells of at most ${CELL} replicas (here ${amount(cellsFor(costs))}), each with its own \`peers\` and its own store, and let the balancer choose the`,
    'cell by what it knows of the client, its host name or its key: a session never needs another cell. Greetings then grow with the',
    'number of cells, and no longer with the square of that of replicas; where no number of replicas is enough above, it is the',
    'greetings that take what another replica brings.',
    '',
    '## What breaks first',
    '',
    'With the demand above and one of each, in this order:',
    '',
    breakTable(costs),
    '',
    'Before any of it come bounds of the configuration, which refuse and say their key: 1,000 links of sessions',
    '(`links.maxDedicated`) and 10,000 sessions (`limits.sessions`), of one process. Raise both to what the table allows. After a replica',
    'has died with a store, the others open its sessions anew when their clients come:',
    `${digits(costs.openUs / 1000)} ms of CPU and ${commands(costs.store.takeOverOperations)} each, so that a thousand of them are`,
    `${digits((costs.openUs * 1000) / 1e6)} s of a core, and a thousand connections that the server must take at once.`,
    '',
    '## Predicted and measured',
    '',
    'Two and three replicas, requests to each in turn, against what the model makes of the costs of one and of a pair in the same round:',
    '',
    checkTable([...figures.calls.checks, ...figures.sessions.checks, ...figures.store.checks]),
    '',
    `The error is measured over predicted, less one, within each round: a plan wants ${worstError(figures)} % more than the tables above say. Each process has the same to do in all of this, its own calls and those`,
    'that it passes on counted alike. Without that no sum is right: with 32 calls in flight among three replicas on two cores each has less',
    'to do at a time than one alone, and a call costs half as much again as predicted. Rates of several replicas were not compared:',
    'on one machine they take the cores from each other.',
    '',
    '## Measure your own',
    '',
    '```sh',
    'npm run build',
    'npx node bench/scale/run.ts --rounds 5 --json bench/scale/measured.json',
    'npm run docs',
    '```',
    '',
    'takes some five minutes and `redis-server`, prints the costs and the comparison, and this page anew with them. `DEMAND` and',
    '`CAPACITY` in `bench/scale/page.ts` are what to plan with: put in your own. `npm run bench -- --scenario hop1,hop32,store --check` has',
    'the ratios ([bench/README.md](../bench/README.md)).',
    '',
    'In production: `causeway_hops_total` over `causeway_exchanges_total` is the share that is passed on, `causeway_links` the links,',
    '`process_resident_memory_bytes` over `causeway_sessions` the memory of a session, `causeway_store_operations_total` what the store is asked.',
    '',
  ].join('\n');
}

function roundsText(figures: Figures): string {
  const [most, least] = [Math.max, Math.min].map((of) => of(...PARTS.map((part) => figures[part].rounds)));
  return least === most ? `${most} rounds` : `${least} to ${most} rounds`;
}

function costTable({ calls: { costs: call }, sessions: { costs: session }, store }: Figures): string {
  const { costs: stored, takeOverMs } = store;
  const at = (figure: Spread, scale: number, unit: string): string => ranged(figure, scale, unit);
  return table(
    ['what', 'where', 'takes'],
    [
      ['a small call of a session', 'owner', at(call.callUs, 1, 'µs')],
      ['the same, passed on', 'owner', at(call.hoppedUs, 1, 'µs')],
      ['', 'the other replica', at(call.hopUs, 1, 'µs')],
      ['a session opened and ended', 'owner', at(call.openUs, 1, 'µs')],
      ['a session with its stream, idle', 'owner', `${at(session.keepUs, 1, 'µs')} a second`],
      ['', '', at(session.sessionBytes, 1 / KIB, 'KiB')],
      ['', '', `${at(session.sessionDescriptors, 1, '')} descriptors, one link`],
      ['its stream, passed on', 'the other replica', at(session.hopStreamBytes, 1 / KIB, 'KiB')],
      ['', '', `${at(session.hopStreamDescriptors, 1, '')} descriptors`],
      ['a process that has served calls', '', at(session.processBytes, 1 / MIB, 'MiB')],
      ['with a store: a session opened and ended, more', 'owner', at(stored.openUs, 1, 'µs')],
      ['', 'Redis', `${at(stored.redisOpenUs, 1, 'µs')}, ${at(stored.openOperations, 1, '')} commands`],
      ['an event of a stream, more', 'owner', at(stored.eventUs, 1, 'µs')],
      ['', 'Redis', `${at(stored.redisEventUs, 1, 'µs')}, ${at(stored.eventOperations, 1, '')} commands`],
      ['a session that is kept', 'Redis', at(stored.sessionBytes, 1, 'bytes')],
      ['a session taken over', 'Redis', `${at(stored.takeOverOperations, 1, '')} commands`],
      ['', 'from the death of its owner', at(takeOverMs, 1, 'ms')],
      ['a plain JSON answer', 'Redis', 'nothing'],
    ],
  );
}

/** Of replicas without affinity. */
function shareTable(costs: UnitCosts): string {
  const cpu = (share: number): number => (1 - share) * costs.callUs + share * (costs.hoppedUs + costs.hopUs);
  return table(
    ['replicas', 'hops a call', 'CPU a call, µs', 'greetings a second, all'],
    [1, 2, 3, 10, 100].map((replicas) => {
      const share = hopsPerRequest(replicas);
      const hellos = (replicas * (replicas - 1)) / HELLO_EVERY_S;
      return [String(replicas), digits(share), digits(cpu(share)), amount(hellos)];
    }),
  );
}

function demandText(): string {
  const { callsPerSecond, eventsPerSecond, lifetimeSeconds } = DEMAND;
  const { cores, bytes, descriptors, ports, serverSessions, storeBytes } = CAPACITY;
  return [
    `Asked for: each session makes a call every ${amount(1 / callsPerSecond)} s, gets an event every ${amount(1 / eventsPerSecond)} s, keeps its GET stream open and lasts`,
    `${amount(lifetimeSeconds / 60)} minutes; no affinity; with a store. Given: of each replica ${amount(cores * 100)} % of a core, ${amount((2 * bytes) / GIB)} GiB of memory of which`,
    `half are for sessions, ${amount(descriptors)} descriptors, and ${amount(ports)} ports toward one address of the server (Linux’s own range); of each Redis as much of a`,
    `core and ${amount(storeBytes / GIB)} GiB; of each process of the old server ${amount(serverSessions)} connections, which is a guess: measure it.`,
  ].join('\n');
}

function sizeTable(costs: UnitCosts): string {
  const plans = SIZES.map((sessions) => planFor({ ...DEMAND, sessions }, costs, CAPACITY));
  const near = SIZES.map((sessions) => planFor({ ...DEMAND, sessions, affinity: 1 }, costs, CAPACITY));
  const busy = SIZES.map((sessions) => planFor({ ...DEMAND, sessions, callsPerSecond: 1 }, costs, CAPACITY));
  const row = (what: string, of: (plan: Plan) => string, from = plans): string[] => [
    what,
    ...from.map((plan) => (plan === undefined ? 'no number is enough' : of(plan))),
  ];
  return table(
    ['sessions', ...SIZES.map(amount)],
    [
      row('calls a second', ({ use }) => amount(use.calls)),
      row('replicas', ({ replicas }) => `**${amount(replicas)}**`),
      row('what decides that', ({ decides }) => decides),
      row('replicas, where the balancer keeps clients at their owner', ({ replicas }) => amount(replicas), near),
      row('replicas, with a call a second', ({ replicas, decides }) => `${amount(replicas)} (${decides})`, busy),
      row('links of each', ({ use }) => amount(use.links)),
      row('memory of each, MiB', ({ use }) => amount(use.bytes / MIB)),
      row('cores of each', ({ use }) => digits(use.cores)),
      row('descriptors of each', ({ use }) => amount(use.descriptors)),
      row('hops a second, all', ({ use }) => amount(use.hops)),
      row('greetings a second, all', ({ use }) => amount(use.hellos)),
      row('commands of Redis a second', ({ use }) => amount(use.storeOperations)),
      row('Redis', ({ stores }) => amount(stores)),
      row('processes of the old server', ({ servers }) => amount(servers)),
    ],
  );
}

/** Of ten million sessions. */
function cellsFor(costs: UnitCosts): number {
  const most = Math.max(...SIZES);
  let cells = 1;
  while (planFor({ ...DEMAND, sessions: most / cells }, costs, CAPACITY, CELL) === undefined) cells += 1;
  return cells;
}

const REMEDIES: Readonly<Record<Break['what'], readonly [name: string, remedy: string]>> = {
  server: [
    'connections that a process of the old server bears',
    'more processes of it, as a list of URLs; or `mode: stateless`, which takes 32 links (`links.max`) for any number of clients',
  ],
  memory: [
    'memory of a replica',
    'more memory with `NODE_OPTIONS=--max-old-space-size`, or more replicas; a shorter `timeouts.sessionIdle`',
  ],
  CPU: ['CPU of a replica', 'more replicas; affinity at the balancer saves the hops'],
  ports: [
    'ports from one replica to one address of the server',
    'more replicas, or more addresses of the server as a list of URLs',
  ],
  descriptors: ['descriptors of a replica', 'a higher limit (`LimitNOFILE`), or more replicas'],
  store: ['one Redis', 'cells with a Redis each; Redis with more memory, if that is what is short'],
};

function breakTable(costs: UnitCosts): string {
  return table(
    ['what is used up', 'at so many sessions', 'what to do'],
    breaks(DEMAND, costs, CAPACITY).map(({ what, sessions }) => {
      const [name, remedy] = REMEDIES[what];
      return [name, amount(round(sessions)), remedy];
    }),
  );
}

function checkTable(checks: readonly Check[]): string {
  return table(
    ['what', 'replicas', 'predicted', 'measured', 'error'],
    checks.map(({ what, replicas, predicted, measured, error }) => [
      what,
      String(replicas),
      ranged(predicted, 1, ''),
      ranged(measured, 1, ''),
      `${signed(error.median)} % (${signed(error.low)} to ${signed(error.high)})`,
    ]),
  );
}

/** What is dearer than predicted, by its median, in percent. */
function worstError({ calls, sessions }: Figures): number {
  return Math.max(0, ...[...calls.checks, ...sessions.checks].map(({ error }) => Math.round(error.median * 100)));
}

function signed(share: number): string {
  const percent = Math.round(share * 100);
  return percent < 0 ? `−${-percent}` : `+${percent}`;
}

function ranged({ median, low, high }: Spread, scale: number, unit: string): string {
  const text = (value: number): string => digits(value * scale).replace('-', '−');
  const suffix = unit === '' ? '' : ` ${unit}`;
  return text(low) === text(high)
    ? `${text(median)}${suffix}`
    : `${text(median)}${suffix} (${text(low)}–${text(high)})`;
}

function saturatedRatio({ calls }: Figures): number {
  const { callUs, hoppedUs, hopUs } = calls.saturated;
  return (hoppedUs.median + hopUs.median) / callUs.median;
}

function times(factor: number): string {
  return `${digits(factor)} times`;
}

function commands(count: number): string {
  return `${digits(count)} commands of Redis`;
}

/** Three digits that count. */
function round(value: number): number {
  return Number(value.toPrecision(3));
}

/** Whole numbers as they are, others with three digits that count. */
function amount(value: number): string {
  const shown = Number.isInteger(value) ? value : round(value);
  return shown.toLocaleString('en-US');
}
