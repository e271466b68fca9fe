// The built program as a process, in front of scripted servers, for the length of a file: each server has a path of its own,
// so that what one of them does is nothing to the others.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { test as base, expect } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { within } from '../support/eventually.ts';
import { type GatewayClient, clientOf } from '../support/gateway.ts';
import type { Behaviour } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { type Scrape, readScrape } from '../support/prometheus.ts';
import { MAIN, type Program, kill, startMain } from '../verbs/program.ts';

const WAIT_MS = 10_000;

/** At /mcp, and at paths of their own. */
export interface Built extends GatewayClient {
  readonly program: Program;
  /** Its configuration. */
  readonly file: string;
  readonly admin: GatewayClient;
  at(path: string): GatewayClient;
  scrape(): Promise<Scrape>;
  /** A legitimate call at /mcp, which comes to `3`. */
  sum(headers?: Record<string, string>): Promise<string>;
  stop(): Promise<void>;
}

export interface Upstream {
  readonly behaviour?: Partial<Behaviour>;
  /** Beside its name, its path and its URL. */
  readonly config?: Partial<ConfigInput['upstreams'][number]>;
  /** In front of the host in its URL. */
  readonly userinfo?: string;
}

export interface Setup<Name extends string> {
  /** `main` is at /mcp, each other at the path of its name. */
  readonly upstreams: Readonly<Record<Name | 'main', Upstream>>;
  readonly config?: Partial<Omit<ConfigInput, 'upstreams'>>;
  readonly env?: Readonly<Record<string, string>>;
}

type Servers<Name extends string> = Readonly<Record<Name | 'main', LegacyServer>>;

/** Tests that are given the program, and the servers behind it. */
export function inFrontOf<Name extends string>(setup: Setup<Name>) {
  return base
    .extend('setup', { scope: 'file' }, () => setup)
    .extend('servers', { scope: 'file' }, async ({ setup: { upstreams } }, { onCleanup }) => {
      const names = Object.keys(upstreams) as (Name | 'main')[];
      const started = await Promise.all(
        names.map(async (name) => [name, await startLegacyServer(upstreams[name].behaviour)] as const),
      );
      onCleanup(async () => void (await Promise.all(started.map(([, server]) => server.close()))));
      // Its keys are those of the upstreams.
      return Object.fromEntries(started) as Servers<Name>;
    })
    .extend('built', { scope: 'file' }, async ({ servers }, { onCleanup }) => {
      const built = await startBuilt(setup, servers);
      onCleanup(() => built.stop());
      return built;
    });
}

/** For whoever stops it. */
export async function startBuilt<Name extends string>(setup: Setup<Name>, servers: Servers<Name>): Promise<Built> {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-'));
  const file = join(folder, 'proxy.yaml');
  writeFileSync(file, JSON.stringify(configOf(setup, servers)));
  const program = startMain(MAIN, setup.env ?? {}, 'serve', '-c', file);
  const dispatcher = new Agent({ connections: 100 });
  const stop = async (): Promise<void> => {
    await dispatcher.destroy();
    await kill(program);
    rmSync(folder, { recursive: true });
  };
  // The last line of its start.
  const listens = program.says(/"admin":"(http:\/\/127\.0\.0\.1:\d+)","msg":"listening"/);
  const [, admin = ''] = await within(WAIT_MS, 'the start', listens).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const [origin = ''] = /http:\/\/127\.0\.0\.1:\d+(?=\/)/.exec(program.stderr()) ?? [];
  const client = clientOf(origin, dispatcher);
  const adminClient = clientOf(admin, dispatcher);
  return {
    ...client,
    program,
    file,
    admin: adminClient,
    at: (path) => clientOf(origin, dispatcher, path),
    scrape: async () => readScrape((await adminClient.send('GET', '/metrics')).text),
    sum: async (headers) => (await client.call('add', { a: 1, b: 2 }, 1, headers)).json.result?.content[0].text,
    stop,
  };
}

function configOf<Name extends string>({ upstreams, config }: Setup<Name>, servers: Servers<Name>): ConfigInput {
  const names = Object.keys(upstreams) as (Name | 'main')[];
  return {
    listen: { port: 0 },
    admin: { port: 0 },
    links: { min: 0 },
    ...config,
    upstreams: names.map((name) => {
      const url = servers[name].url.href.replace('//', `//${upstreams[name].userinfo ?? ''}`);
      return { name, path: name === 'main' ? '/mcp' : `/${name}`, url, ...upstreams[name].config };
    }),
  };
}

/** So often it was counted that a server said what was dropped; waits until it was. */
export async function expectDropped(built: Built, upstream: string, what: string, times: number): Promise<void> {
  await expect
    .poll(async () => (await built.scrape()).sum('causeway_drops_total', { upstream, what }), { timeout: 5000 })
    .toBe(times);
}
