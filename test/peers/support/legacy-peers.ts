// The real legacy servers: each a child process that speaks HTTP+SSE on a loopback port of its own.
import { fileURLToPath } from 'node:url';
import { Child } from './child.ts';
import { peerFile } from './packages.ts';
import type { ChildOptions, WatchedChild } from './watched-child.ts';

const loopbackListen = fileURLToPath(new URL('./loopback-listen.ts', import.meta.url));

export interface LegacyPeer {
  readonly child: WatchedChild;
  readonly port: number;
}

/** The project's own, with tools for what the others do not do: see ../conformance. */
export function ownServer(): ChildOptions {
  return { name: 'own server', args: [fileURLToPath(new URL('../conformance/server.ts', import.meta.url))] };
}

export function startOwnServer(): Promise<LegacyPeer> {
  return listening(new Child(ownServer()));
}

/** The official demonstration server of today: a session of its own for each SSE stream. */
export function everything(): ChildOptions {
  const script = peerFile('@modelcontextprotocol/server-everything', 'dist/index.js');
  return { name: 'server-everything', args: ['--import', loopbackListen, script, 'sse'], env: { PORT: '0' } };
}

export function startEverything(): Promise<LegacyPeer> {
  return listening(new Child(everything()));
}

/** Its first release: one transport for all, so the newest stream takes every answer, and a stream that ends ends the process. */
export function startFirstEverything(): Promise<LegacyPeer> {
  const script = peerFile('server-everything-0', 'dist/sse.js');
  return listening(
    new Child({ name: 'server-everything 0.6.2', args: ['--import', loopbackListen, script], env: { PORT: '0' } }),
  );
}

/** One stdio server behind all its streams: every message goes to every stream. */
export function startSupergateway(): Promise<LegacyPeer> {
  const script = peerFile('supergateway', 'dist/index.js');
  const everything = peerFile('@modelcontextprotocol/server-everything', 'dist/index.js');
  const command = [process.execPath, everything, 'stdio'].map((word) => JSON.stringify(word)).join(' ');
  const args = ['--import', loopbackListen, script, '--stdio', command, '--outputTransport', 'sse', '--port', '0'];
  return listening(new Child({ name: 'supergateway', args }));
}

/** Resolves once the child says on which port it listens. */
export async function listening(child: WatchedChild): Promise<LegacyPeer> {
  const port = await child.printed(
    ({ stdout, stderr }) => /listening on loopback port (\d+)/.exec(stdout + stderr)?.[1],
    'listening port',
  );
  return { child, port: Number(port) };
}
