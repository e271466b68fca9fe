// Several processes of the gateway that know each other, with or without a store.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pass } from 'node:timers/promises';
import { endpointOf, MAIN } from './causeway.ts';
import type { Outage, Peer } from './peer.ts';
import { freePort, Program } from './program.ts';
import { Redis } from './redis.ts';

export interface Replica {
  readonly program: Program;
  /** Where clients connect. */
  readonly port: number;
  /** Of metrics and health. */
  readonly adminPort: number;
}

interface Wanted {
  readonly count: number;
  /** Of the Redis that they share. */
  readonly storePort?: number;
}

const HOST = '127.0.0.1';
/** The bench keeps more sessions than the default lets it. */
const MAX_SESSIONS = 100_000;
const BACK_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 20;

/** What a bench of peers wants of them. */
type Running = Pick<Peer, 'port' | 'pids' | 'stop' | 'homes' | 'apart' | 'store'>;

/** Two of them: sessions are opened at the first, and called through the second. */
export async function startPair(upstreamPort: number): Promise<Running> {
  const [owner, other] = await startReplicas(upstreamPort, { count: 2 });
  if (owner === undefined || other === undefined) throw new Error('two replicas were asked for');
  return {
    port: other.port,
    homes: [owner.port],
    pids: () => [owner, other].flatMap(({ program }) => program.pids),
    apart: () => other.program.pids,
    stop() {
      owner.program.stop();
      other.program.stop();
    },
  };
}

/** One of them, with a Redis that nobody else uses. */
export async function startStored(upstreamPort: number): Promise<Running> {
  const redis = await Redis.start();
  const [replica] = await startReplicas(upstreamPort, { count: 1, storePort: redis.port });
  if (replica === undefined) throw new Error('a replica was asked for');
  return {
    port: replica.port,
    pids: () => [...replica.program.pids, ...redis.pids],
    apart: () => redis.pids,
    store: {
      leave(how) {
        if (how === 'down') redis.stop();
        else redis.hold();
      },
      async comeBack(how) {
        if (how === 'down') await redis.start();
        else redis.goOn();
        await storeIsBack(replica, how);
      },
    },
    stop() {
      replica.program.stop();
      redis.stop();
    },
  };
}

async function storeIsBack({ port }: Replica, how: Outage): Promise<void> {
  const until = performance.now() + BACK_TIMEOUT_MS;
  while (performance.now() < until) {
    const told = await fetch(`http://${HOST}:${port}/readyz`);
    if (!(await told.text()).includes('unavailable')) return;
    await pass(LOOK_EVERY_MS);
  }
  throw new Error(`the store is back, and the gateway has not noticed (${how})`);
}

export async function startReplicas(upstreamPort: number, { count, storePort }: Wanted): Promise<readonly Replica[]> {
  const secret = randomBytes(32).toString('base64');
  const peerPorts: number[] = [];
  for (let index = 0; index < count; index += 1) peerPorts.push(await freePort());
  const store = storePort === undefined ? {} : { store: `redis://${HOST}:${storePort}/0` };
  const start = async (peerPort: number): Promise<Replica> => {
    const adminPort = await freePort();
    const configuration = {
      listen: { host: HOST, port: 0 },
      admin: { host: HOST, port: adminPort },
      secrets: { current: '${SEALING_KEY}' },
      // One that is alone has nobody to name.
      ...(count > 1 && {
        peers: { host: HOST, port: peerPort, addresses: peerPorts.map((port) => `${HOST}:${port}`) },
      }),
      ...store,
      upstreams: [{ path: '/mcp', url: `http://${HOST}:${upstreamPort}/sse` }],
      links: { maxDedicated: MAX_SESSIONS },
      limits: { sessions: MAX_SESSIONS },
    };
    const program = new Program({
      name: 'causeway',
      command: process.execPath,
      args(folder) {
        const file = join(folder, 'proxy.yaml');
        // JSON is YAML.
        writeFileSync(file, JSON.stringify(configuration));
        return [MAIN, 'serve', '-c', file];
      },
      env: () => ({ SEALING_KEY: secret }),
    });
    return { program, port: await program.ready(endpointOf), adminPort };
  };
  // All at once: each looks for the others when it starts.
  return Promise.all(peerPorts.map(start));
}
