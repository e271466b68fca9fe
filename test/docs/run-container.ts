// The built program, run as a container would run it: with its environment, arguments and files, as the Dockerfile's own
// say otherwise. What is not here stands in: servers on loopback, a free port, files in a folder of the test.

import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { stagesOf, variables } from '../image/dockerfile.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { type Program, file, runWith } from '../verbs/program.ts';
import type { Container } from './containers.ts';
import { ROOT } from './pages.ts';

const LAST_STAGE = stagesOf(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')).at(-1)?.steps ?? [];

function stepsOf(name: string): string[] {
  return LAST_STAGE.filter((step) => step.name === name).map(({ text }) => text);
}

/** What the image says where a container does not. */
export const IMAGE = {
  env: Object.assign({}, ...stepsOf('ENV').map(variables)) as Readonly<Record<string, string>>,
  user: stepsOf('USER').join(),
  entrypoint: JSON.parse(stepsOf('ENTRYPOINT').join()) as readonly string[],
  port: Number(stepsOf('EXPOSE').join()),
};

/** Servers that stand in for those of the docs, one for each `http://old:9001`. */
export class StandIns {
  readonly #servers = new Map<string, LegacyServer>();

  get servers(): readonly LegacyServer[] {
    return [...this.#servers.values()];
  }

  /** The hosts that were named. */
  get hosts(): readonly string[] {
    return [...this.#servers.keys()].map((origin) => new URL(origin).hostname);
  }

  /** The text with every one of their addresses replaced. */
  async in(text: string): Promise<string> {
    const origins = text.match(/http:\/\/[\w.-]+:90\d\d(?=\/)/g) ?? [];
    for (const origin of new Set(origins)) {
      if (this.#servers.has(origin)) continue;
      const server = await startLegacyServer();
      onTestFinished(() => server.close());
      this.#servers.set(origin, server);
    }
    return origins.reduce((done, origin) => done.replaceAll(origin, this.#servers.get(origin)?.url.origin ?? ''), text);
  }
}

export interface Started {
  readonly program: Program;
  readonly endpoints: readonly { readonly upstream: string; readonly endpoint: string }[];
  /** The port it was given instead of its own. */
  readonly port: number;
  /** Runs another command where it runs. */
  also(...args: readonly string[]): Program;
}

/** Resolves once it listens and has reached every server. */
export async function start(container: Container, standIns: StandIns): Promise<Started> {
  const env = { ...IMAGE.env, ...container.env };
  const { host, port } = addressOf(env['CAUSEWAY_LISTEN'] ?? '');
  if (port !== container.port) throw new Error(`it listens on ${port}, and ${container.port} is reached`);
  return run({ ...container, env }, standIns, host);
}

/** The program itself, on this machine. */
export function startHere(
  what: Pick<Container, 'args' | 'env'> & Partial<Pick<Container, 'files'>>,
  standIns: StandIns,
): Promise<Started> {
  return run({ files: {}, isReadOnly: false, ...what }, standIns, '127.0.0.1');
}

async function run(
  { args, env, files, isReadOnly }: Pick<Container, 'args' | 'env' | 'files' | 'isReadOnly'>,
  standIns: StandIns,
  host: string,
): Promise<Started> {
  const paths = Object.keys(files).map((path) => [path, file('', basename(path))] as const);
  const moved = (text: string): string => paths.reduce((done, [from, to]) => done.replaceAll(from, to), text);
  for (const [path, to] of paths) writeFileSync(to, await standIns.in(moved(files[path] ?? '')));
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) given[name] = await standIns.in(moved(value));
  const words = await Promise.all(args.map((word) => standIns.in(moved(word))));

  const onPort = (number: number): Record<string, string> => ({
    ...given,
    CAUSEWAY_LISTEN: `${host}:${number}`,
    CAUSEWAY_LOG_FORMAT: 'json',
    ...(isReadOnly && readOnly(given['NODE_OPTIONS'])),
  });
  const program = runWith(onPort(0), ...words);
  // Where callers bring the credential, no server is reached before one comes.
  const isReached = !Object.values(files).some((text) => text.includes('forward:'));
  await program.says(isReached ? /"msg":"upstream reached"/ : /"msg":"listening"/);
  const endpoints = Array.from(
    program.stderr().matchAll(/"upstream":"([^"]*)","endpoint":"([^"]*)"/g),
    ([, upstream = '', endpoint = '']) => ({ upstream, endpoint }),
  );
  for (const { upstream } of isReached ? endpoints : [])
    await program.says(new RegExp(`"upstream":"${upstream}".*"upstream reached"`));
  const port = Number(new URL(endpoints[0]?.endpoint ?? '').port);
  return { program, endpoints, port, also: (...others) => runWith(onPort(port), ...others) };
}

/** Node refuses every write, as a file system would that is read-only. */
function readOnly(options = ''): Record<string, string> {
  if (!process.allowedNodeEnvironmentFlags.has('--permission')) return {};
  return { NODE_OPTIONS: `${options} --permission --allow-fs-read=*` };
}

function addressOf(listen: string): { readonly host: string; readonly port: number } {
  const at = listen.lastIndexOf(':');
  return { host: listen.slice(0, at), port: Number(listen.slice(at + 1)) };
}
