// A probe in this process, and what it printed.

import { Ajv2020 } from 'ajv/dist/2020.js';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type RequestListener, type Server, createServer } from 'node:http';
import {
  type AddressInfo,
  type Server as SocketServer,
  type Socket,
  createServer as createSocketServer,
} from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type ProbeDocument, probeSchema } from '../../src/probe/document.ts';
import { type ProbeVerb, runProbe } from '../../src/verbs/probe.ts';
import { THIS_MACHINE } from '../../src/verbs/surroundings.ts';

export interface Probed {
  readonly isUsable: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Options extends Partial<Omit<ProbeVerb, 'url'>> {
  readonly env?: Readonly<Record<string, string>>;
  readonly isTTY?: boolean;
}

export async function probed(url: URL | string, { env = {}, isTTY, ...options }: Options = {}): Promise<Probed> {
  const said = { stdout: '', stderr: '' };
  const verb = {
    flags: {},
    output: 'json',
    secondConnection: false,
    timeoutMs: 10_000,
    listenMs: 20,
    ...options,
  } as const;
  const isUsable = await runProbe(
    { ...verb, url: String(url) },
    {
      ...THIS_MACHINE,
      env,
      stdout: { write: (text) => (said.stdout += text) },
      stderr: { isTTY, write: (text) => (said.stderr += text) },
    },
  );
  return { isUsable, ...said };
}

const PUBLISHED = readFileSync(join(import.meta.dirname, '../../config/probe.schema.json'), 'utf8');
const judge = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(JSON.parse(PUBLISHED));

/** What --json prints, held to its schema: the published one, and the one that no member may be beside. */
export async function documentAt(url: URL | string, options: Options = {}): Promise<ProbeDocument> {
  const { isUsable, stdout, stderr } = await probed(url, { ...options, output: 'json' });
  const document: unknown = JSON.parse(stdout);
  expect(judge(document), JSON.stringify(judge.errors)).toBe(true);
  const read = probeSchema.parse(document);
  expect(isUsable).toBe(read.usable !== 'no');
  expect(stderr).toBe('');
  return read;
}

/** Answers whatever comes, for the length of one test. */
export async function answering(serve: RequestListener, path = '/sse'): Promise<URL> {
  return listening(createServer(serve), path);
}

/** A socket that is given to whoever connects. */
export async function accepting(take: (socket: Socket) => void, path = '/sse'): Promise<URL> {
  const sockets = new Set<Socket>();
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
  const server = createSocketServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    take(socket);
  });
  return listening(server, path);
}

async function listening(server: Server | SocketServer, path: string): Promise<URL> {
  onTestFinished(() => {
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return new URL(path, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}
