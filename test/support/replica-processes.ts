// Replicas of the built program, each a process of its own at an address of its own, and nginx before them, which deals out
// requests in turn, whosever they are. They can be killed, stopped, told to stop and started again where they were; what they
// said is told when the test fails, and nothing of them is left when it is over.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { onTestFailed, onTestFinished } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { type GatewayClient, clientOf } from './gateway.ts';
import { type Nginx, type NginxOptions, SERVED_BY, lastOf, startNginx } from './nginx.ts';
import { type Scrape, readScrape } from './prometheus.ts';
import { type ChildEnd, type ChildOptions, WatchedChild } from './watched-child.ts';

const MAIN = join(import.meta.dirname, '../../dist/main.js');
const START_MS = 20_000;
const SHOWN_CHARS = 6_000;
const NAMES = ['a', 'b', 'c', 'd', 'e'] as const;

export interface ReplicasOptions {
  readonly upstream: URL;
  readonly count?: number;
  /** For all of them, beside where each is and who the others are. */
  readonly config?: Partial<Omit<ConfigInput, 'upstreams' | 'listen' | 'admin'>>;
  readonly ofUpstream?: Partial<ConfigInput['upstreams'][number]>;
  /** In place of what stands there otherwise, for one of them. */
  readonly own?: (
    replica: Place,
    all: readonly Place[],
  ) => Partial<Omit<ConfigInput, 'upstreams' | 'listen' | 'admin'>>;
  readonly nginx?: NginxOptions;
}

/** Where a replica is, whether or not it runs. */
export interface Place {
  readonly name: string;
  readonly origin: string;
  readonly admin: string;
  /** HOST:PORT of the listener for its peers. */
  readonly peer: string;
}

type Command = Required<Pick<ChildOptions, 'args' | 'env'>>;

export class Replica implements Place {
  readonly name: string;
  readonly origin: string;
  readonly admin: string;
  readonly peer: string;
  /** A client that has this replica and no other. */
  readonly client: GatewayClient;
  /** How it is started. */
  readonly command: Command;
  /** Of all its lives. */
  readonly #lives: WatchedChild[] = [];

  constructor(place: Place, client: GatewayClient, command: Command) {
    this.name = place.name;
    this.origin = place.origin;
    this.admin = place.admin;
    this.peer = place.peer;
    this.client = client;
    this.command = command;
  }

  /** Resolves once it serves. */
  async start(): Promise<void> {
    const child = new WatchedChild({ name: `replica ${this.name}`, ...this.command });
    this.#lives.push(child);
    await child.printed(
      ({ stderr }) => /"msg":"listening"/.exec(stderr) ?? undefined,
      'word that it listens',
      START_MS,
    );
    const isReady = await eventually(START_MS, async () => ((await this.#health()) === 200 ? true : null));
    if (isReady === null) throw new Error(`replica ${this.name} is not ready: ${this.log}`);
  }

  /** What it wrote to its log, in all its lives. */
  get log(): string {
    return this.#lives.map(({ stderr }) => stderr).join('--- started again ---\n');
  }

  get isAlive(): boolean {
    return this.#child.isAlive;
  }

  get pid(): number {
    return this.#child.pid;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.signal(name);
  }

  /** −9; resolves once it is gone. */
  async kill(): Promise<void> {
    await this.#child.kill();
  }

  /** SIGTERM; resolves once it has ended by itself. */
  async drain(withinMs: number): Promise<ChildEnd> {
    this.signal('SIGTERM');
    return this.#child.printed(({ end }) => end, 'end', withinMs);
  }

  async scrape(): Promise<Scrape> {
    const response = await fetch(`${this.admin}/metrics`, { signal: AbortSignal.timeout(10_000) });
    return readScrape(await response.text());
  }

  /** Scrapes until that is counted. */
  async counts(name: string, labels: Readonly<Record<string, string>>, least = 1, withinMs = 5_000): Promise<number> {
    let last = 0;
    await eventually(withinMs, async () => {
      last = (await this.scrape()).sum(name, labels);
      return last >= least ? last : null;
    });
    return last;
  }

  async #health(): Promise<number | null> {
    const asked = fetch(`${this.origin}/readyz`, { signal: AbortSignal.timeout(1_000) });
    return asked.then(
      async (response) => {
        await response.body?.cancel();
        return response.status;
      },
      () => null,
    );
  }

  get #child(): WatchedChild {
    const child = this.#lives.at(-1);
    if (child === undefined) throw new Error(`replica ${this.name} was not started`);
    return child;
  }
}

export interface Replicas {
  readonly all: readonly Replica[];
  /** nginx. */
  readonly front: GatewayClient;
  /** The key that they share. */
  readonly secret: string;
  /** By what is in a reply of nginx: which has served it. */
  servedBy(headers: Readonly<Record<string, string | string[] | undefined>>): Replica;
  /** How many requests each has taken of nginx. */
  taken(): Promise<readonly number[]>;
  /** The sum of all that run. */
  sum(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** What they wrote last. */
  logs(): string;
  stop(): Promise<void>;
}

/** For the length of one test. */
export async function replicasBefore(options: ReplicasOptions): Promise<Replicas> {
  const replicas = await startReplicas(options);
  onTestFinished(() => replicas.stop());
  onTestFailed(() => console.error(replicas.logs()));
  return replicas;
}

/** For whoever stops them. */
export async function startReplicas(options: ReplicasOptions): Promise<Replicas> {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is missing: run `npm run build` first');
  const { count = 3 } = options;
  const secret = randomBytes(32).toString('base64');
  const folder = await mkdtemp(join(tmpdir(), 'replicas-'));
  const dispatcher = new Agent({ connections: 600 });
  const places = await Promise.all(NAMES.slice(0, count).map(placeOf));
  const all = await Promise.all(
    places.map(async (place) => {
      const file = join(folder, `${place.name}.yaml`);
      await writeFile(file, JSON.stringify(configOf(place, places, options)));
      const command = { args: [MAIN, 'serve', '-c', file], env: { REPLICA_KEY: secret } };
      return new Replica(place, clientOf(place.origin, dispatcher), command);
    }),
  );
  let nginx: Nginx | undefined;
  const stop = async (): Promise<void> => {
    await dispatcher.destroy();
    await Promise.all([nginx?.stop(), ...all.map((replica) => replica.kill())]);
    await rm(folder, { recursive: true, force: true });
  };
  const logs = (): string =>
    [...all.map(({ name, log }) => [`replica ${name}`, log] as const), ['nginx', nginx?.log ?? ''] as const]
      .map(([who, log]) => `--- ${who} wrote, last part ---\n${log.slice(-SHOWN_CHARS)}`)
      .join('\n');
  try {
    await Promise.all(all.map((replica) => replica.start()));
    nginx = await startNginx(
      all.map(({ origin }) => origin),
      options.nginx,
    );
  } catch (error) {
    console.error(logs());
    await stop();
    throw error;
  }
  const before = nginx;
  return {
    all,
    front: clientOf(before.origin, dispatcher),
    secret,
    servedBy(headers) {
      const last = lastOf(String(headers[SERVED_BY]));
      const replica = all.find((each) => new URL(each.origin).host === last);
      if (replica === undefined) throw new Error(`no replica is ${last}`);
      return replica;
    },
    async taken() {
      const each = await before.served();
      return all.map((replica) => each.filter((address) => address === new URL(replica.origin).host).length);
    },
    async sum(name, labels) {
      const scrapes = await Promise.all(all.filter(({ isAlive }) => isAlive).map((replica) => replica.scrape()));
      return scrapes.reduce((total, scrape) => total + scrape.sum(name, labels), 0);
    },
    logs,
    stop,
  };
}

/** Each has an address of its own: connections of others, which come from the first, do not take its ports meanwhile. */
async function placeOf(name: string, index: number): Promise<Place> {
  const host = `127.0.0.${index + 2}`;
  const [port, admin, peer] = await Promise.all([freePort(host), freePort(host), freePort(host)]);
  return { name, origin: `http://${host}:${port}`, admin: `http://${host}:${admin}`, peer: `${host}:${peer}` };
}

function configOf(place: Place, all: readonly Place[], options: ReplicasOptions): ConfigInput {
  const at = (where: string): { readonly host: string; readonly port: number } => {
    const { hostname: host, port } = new URL(where);
    return { host, port: Number(port) };
  };
  const peers = { ...at(`http://${place.peer}`), addresses: all.map(({ peer }) => peer) };
  return {
    listen: at(place.origin),
    admin: at(place.admin),
    // oxlint-disable-next-line no-template-curly-in-string -- as it stands in a file
    secrets: { current: '${REPLICA_KEY}' },
    links: { min: 0 },
    log: { format: 'json' },
    ...(all.length > 1 && { peers }),
    ...options.config,
    ...options.own?.(place, all),
    upstreams: [{ url: options.upstream.href, ...options.ofUpstream }],
  };
}
