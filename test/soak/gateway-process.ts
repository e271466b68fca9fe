// The gateway of a soak as a process of its own, so that what it holds is not what the bench holds. Says on demand what
// that is.

import { setImmediate as turn } from 'node:timers/promises';
import { createApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Gauges } from '../../src/domain/gauges.ts';
import { HurriedTime } from '../support/hurried-time.ts';

export interface Measure {
  readonly heapBytes: number;
  /** What keeps the process awake, by kind. */
  readonly resources: Readonly<Record<string, number>>;
  readonly gauges: Gauges;
  /** Bugs of ours that were met so far. */
  readonly faults: readonly string[];
}
export type FromGateway = { readonly port: number } | { readonly measure: Measure };

const faults: string[] = [];
// A breaker waits for up to a minute: most of the traffic would only be refused.
const time = new HurriedTime(10);
const app = createApp({
  // Short (of what is not Node's or undici's, a tenth passes), so that what nobody uses any more is gone when the soak looks.
  config: parseConfig({
    listen: { host: '127.0.0.1', port: 0 },
    upstreams: [{ url: process.argv[2] ?? '' }],
    links: { min: 0, idleTimeout: '10s', queueTimeout: '20s', pingTimeout: '5s' },
    reconnect: { min: '200ms', max: '2s' },
    timeouts: {
      connect: '1s',
      headers: '1s',
      endpoint: '10s',
      initialize: '20s',
      post: '10s',
      request: '20s',
      round: '20s',
      sessionIdle: '20s',
      keepAlive: '1s',
    },
    drain: { timeout: '1s' },
  }),
  journal: {
    record: (fact) => {
      if (fact.fact === 'fault') faults.push(String(fact.cause));
      if (fact.fact === 'exchange' && fact.reason === 'internal_error') faults.push(String(fact.cause));
    },
  },
  version: '0.0.0-soak',
  clock: time,
  timers: time,
});

async function measure(): Promise<Measure> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    // oxlint-disable-next-line no-await-in-loop -- what was finalized lets more go
    await turn();
  }
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { heapBytes: process.memoryUsage().heapUsed, resources, gauges: app.gauges(), faults };
}

process.on('message', () => {
  void measure().then((said) => process.send?.({ measure: said } satisfies FromGateway));
});
process.on('disconnect', () => process.exit());
const { port } = await app.listen();
process.send?.({ port } satisfies FromGateway);
