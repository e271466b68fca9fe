// Mixed traffic for a while, with troubles of the network and an upstream that is replaced now and then; and what the
// gateway holds before and after, when nobody is there.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Agent } from 'undici';
import { PLACES, type Toxic, startToxicRelay } from '../faults/toxic-relay.ts';
import { faultBehaviour } from '../faults/fault-upstream.ts';
import { eventually, within } from '../support/eventually.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { seeded } from '../support/seeded.ts';
import type { FromGateway, Measure } from './gateway-process.ts';
import { ACTS, type SoakClient } from './soak-clients.ts';

/** What the heap may have grown by, after its collection. Measured: 1 to 3 MiB, however long it runs. */
export const HEAP_GROWTH_BYTES = 10 * 1024 * 1024;
/** How long it may take until everything that is idle has run out of time. */
const QUIET_MS = 40_000;
const CLIENTS = 12;
const WARM_UP_MS = 4000;
/** A trouble, and the same time without one. */
const TROUBLE_MS = 500;
/** So many troubles, then the upstream is another process' worth of memory: nothing of its own log is kept for long. */
const TROUBLES_PER_UPSTREAM = 10;

const TOXICS: readonly Toxic[] = [
  { kind: 'latency', ms: 20 },
  { kind: 'jitter', ms: 40 },
  { kind: 'slow close', ms: 200 },
  { kind: 'blackhole' },
  { kind: 'slicing', at: 'characters' },
  { kind: 'reset' },
  { kind: 'data limit', bytes: 200 },
];

export interface SoakReport {
  readonly acts: ReadonlyMap<string, { done: number; failed: number }>;
  readonly troubles: number;
  readonly executions: number;
  readonly start: Measure;
  readonly end: Measure;
  /** What must not be; empty when all is well. */
  readonly faults: readonly string[];
}

export async function soak(ms: number, seed: number): Promise<SoakReport> {
  const random = seeded(seed);
  const ran = new Map<string, number>();
  let executions = 0;
  const faults: string[] = [];
  const startUpstream = (): Promise<LegacyServer> =>
    startLegacyServer(
      faultBehaviour((tag) => {
        executions++;
        if (ran.has(tag)) faults.push(`call ${tag} ran twice`);
        ran.set(tag, 1);
      }),
    );
  let upstream = await startUpstream();
  const relay = await startToxicRelay(Number(upstream.url.port), random);
  const gateway = await startGatewayProcess(`http://127.0.0.1:${relay.port}/sse`);
  const acts = new Map(Object.keys(ACTS).map((name) => [name, { done: 0, failed: 0 }]));
  let troubles = 0;
  let tags = 0;

  /** Clients of all kinds until then, in troubles or without. */
  const traffic = async (until: number, inTrouble: boolean): Promise<void> => {
    const dispatcher = new Agent({ connections: CLIENTS * 4 });
    const client: SoakClient = { origin: gateway.origin, dispatcher, random, tag: () => `${++tags}` };
    const one = async (): Promise<void> => {
      while (performance.now() < until) {
        const [name, act] = random.pick(Object.entries(ACTS));
        const count = acts.get(name);
        try {
          // oxlint-disable-next-line no-await-in-loop -- one after the other, as a client does
          await within(30_000, name, act(client));
          if (count !== undefined) count.done++;
        } catch {
          if (count !== undefined) count.failed++;
        }
      }
    };
    const trouble = async (): Promise<void> => {
      while (inTrouble && performance.now() < until) {
        troubles++;
        relay.arm(random.pick(TOXICS), random.pick(PLACES));
        // oxlint-disable-next-line no-await-in-loop -- for a while
        await relay.pause(TROUBLE_MS);
        relay.heal();
        // oxlint-disable-next-line no-await-in-loop -- as above
        await relay.pause(TROUBLE_MS);
        if (troubles % TROUBLES_PER_UPSTREAM > 0) continue;
        // oxlint-disable-next-line no-await-in-loop -- as above
        const [before, next] = [upstream, await startUpstream()];
        upstream = next;
        relay.retarget(Number(next.url.port));
        // oxlint-disable-next-line no-await-in-loop -- as above
        await before.close();
        ran.clear();
      }
    };
    await Promise.all([...Array.from({ length: CLIENTS }, one), trouble()]);
    await dispatcher.destroy();
  };

  try {
    await traffic(performance.now() + WARM_UP_MS, false);
    const start = await gateway.whenQuiet((measure) => heldIn(measure).length === 0);
    if (heldIn(start).length > 0) faults.push(`held after the warm-up: ${heldIn(start).join(', ')}`);
    await traffic(performance.now() + ms, true);
    relay.heal();
    const end = await gateway.whenQuiet((measure) => faultsOf(start, measure).length === 0);
    return { acts, troubles, executions, start, end, faults: [...faults, ...faultsOf(start, end)] };
  } finally {
    await gateway.close();
    await relay.close();
    await upstream.close();
  }
}

async function startGatewayProcess(url: string) {
  const child = fork(join(import.meta.dirname, 'gateway-process.ts'), [url], { execArgv: ['--expose-gc'] });
  const next = async (): Promise<FromGateway> => {
    const [message] = (await within(20_000, 'a word of the gateway', once(child, 'message'))) as [FromGateway];
    return message;
  };
  const started = await next();
  if (!('port' in started)) throw new Error('the gateway did not say its port');
  const measure = async (): Promise<Measure> => {
    const answer = next();
    child.send('measure');
    const said = await answer;
    if (!('measure' in said)) throw new Error('the gateway did not say what it holds');
    return said.measure;
  };
  return {
    origin: `http://127.0.0.1:${started.port}`,
    /** What it holds once that is so, or when that takes too long. */
    whenQuiet: async (isQuiet: (measure: Measure) => boolean): Promise<Measure> => {
      const quiet = await eventually(QUIET_MS, async () => {
        const said = await measure();
        return isQuiet(said) ? said : null;
      });
      return quiet ?? measure();
    },
    close: async () => {
      if (child.exitCode !== null) return;
      const gone = once(child, 'exit');
      child.disconnect();
      await within(10_000, 'the end of the gateway', gone);
    },
  };
}

/** Every count of what is held, by name. */
export function countsIn({ gauges, resources }: Measure): Record<string, number> {
  const [up] = gauges.upstreams;
  if (up === undefined) throw new Error('there is one upstream');
  const { links, sessions, streams, passthroughStreams, calls, heldCalls, listens, waitingCallers } = up;
  const { TCPSocketWrap: sockets = 0, Timeout: timers = 0, ...others } = resources;
  return {
    sessions,
    'pooled links': Object.values(links.pooled).reduce((sum, count) => sum + count, 0),
    'dedicated links': Object.values(links.dedicated).reduce((sum, count) => sum + count, 0),
    calls,
    'held calls': heldCalls,
    listens,
    'streams of sessions': streams,
    'streams of old clients': passthroughStreams,
    'waiting callers': waitingCallers,
    replies: gauges.replies,
    'buffered bytes': gauges.bufferedBytes,
    sockets,
    timers,
    'other handles': Object.values(others).reduce((sum, count) => sum + count, 0),
  };
}

/** Of the gateway's own counts, those that are not zero. */
function heldIn(measure: Measure): string[] {
  const { sockets, timers: _, 'other handles': __, ...own } = countsIn(measure);
  return Object.entries({ ...own, sockets: sockets ?? 0 }).flatMap(([what, count]) =>
    count > 0 ? [`${count} ${what}`] : [],
  );
}

function faultsOf(start: Measure, end: Measure): string[] {
  const before = countsIn(start);
  const grown = Object.entries(countsIn(end)).filter(([what, count]) => count > (before[what] ?? 0));
  const faults = grown.map(([what, count]) => `${what}: ${before[what]} at the start, ${count} at the end`);
  const growth = end.heapBytes - start.heapBytes;
  if (growth > HEAP_GROWTH_BYTES) faults.push(`the heap has grown by ${growth} bytes, more than ${HEAP_GROWTH_BYTES}`);
  return [...faults, ...end.faults];
}

export function soakTable({ acts, troubles, executions, start, end }: SoakReport): string {
  const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);
  const [before, after] = [countsIn(start), countsIn(end)];
  const rows = Object.keys(before).map((what) => `| ${what} | ${before[what]} | ${after[what]} |`);
  const done = [...acts].map(([name, count]) => `${count.done} ${name} (${count.failed} failed)`);
  return [
    '| held | start | end |',
    '| --- | --- | --- |',
    `| heap after GC, MiB | ${mib(start.heapBytes)} | ${mib(end.heapBytes)} |`,
    ...rows,
    '',
    `${done.join(', ')}; ${executions} executions, ${troubles} troubles.`,
  ].join('\n');
}
