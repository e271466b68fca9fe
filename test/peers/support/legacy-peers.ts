// The real legacy servers: each a child process that speaks HTTP+SSE on a loopback port of its own.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Child } from '../../support/child.ts';
import { peerFile } from './packages.ts';
import type { ChildOptions, WatchedChild } from '../../support/watched-child.ts';

const loopbackListen = fileURLToPath(new URL('./loopback-listen.ts', import.meta.url));

export interface LegacyPeer {
  readonly child: WatchedChild;
  /** How it calls this machine; some answer to no other name. */
  readonly host: string;
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
export function firstEverything(): ChildOptions {
  const script = peerFile('server-everything-0', 'dist/sse.js');
  return { name: 'server-everything 0.6.2', args: ['--import', loopbackListen, script], env: { PORT: '0' } };
}

export function startFirstEverything(): Promise<LegacyPeer> {
  return listening(new Child(firstEverything()));
}

const everythingOnStdio = (): readonly string[] => [
  process.execPath,
  peerFile('@modelcontextprotocol/server-everything', 'dist/index.js'),
  'stdio',
];

/** One stdio server behind all its streams: every message goes to every stream. */
export function supergateway(): ChildOptions {
  const script = peerFile('supergateway', 'dist/index.js');
  const command = everythingOnStdio()
    .map((word) => JSON.stringify(word))
    .join(' ');
  const args = ['--import', loopbackListen, script, '--stdio', command, '--outputTransport', 'sse', '--port', '0'];
  return { name: 'supergateway', args };
}

export function startSupergateway(): Promise<LegacyPeer> {
  return listening(new Child(supergateway()));
}

/** One stdio server behind all its streams too, but as its only client: it tells apart who asked. */
export function mcpProxy(): ChildOptions {
  const script = peerFile('mcp-proxy', 'dist/bin/mcp-proxy.mjs');
  const args = ['--import', loopbackListen, script, '--port', '0', '--server', 'sse', '--', ...everythingOnStdio()];
  return { name: 'mcp-proxy', args };
}

/** A framework: see fastmcp-server.ts for the server that is made with it. */
export function fastmcp(): ChildOptions {
  const script = fileURLToPath(new URL('./fastmcp-server.ts', import.meta.url));
  return { name: 'fastmcp', args: ['--import', loopbackListen, script] };
}

const chromium = '/usr/bin/chromium';

/** Answers to `localhost` only, whatever it is bound to. Any call of a tool starts a browser, one for each session. */
export function playwrightMcp(): ChildOptions {
  const script = peerFile('@playwright/mcp', 'cli.js');
  if (!existsSync(chromium)) throw new Error(`${chromium} is missing: install Debian's package chromium`);
  const browser = ['--executable-path', chromium, '--headless', '--no-sandbox', '--isolated'];
  // Nothing of how a page looks: it would be told in files.
  const results = ['--codegen', 'none', '--snapshot-mode', 'none', '--timeout-settle', '0'];
  return { name: '@playwright/mcp', args: [script, '--host', '127.0.0.1', '--port', '0', ...browser, ...results] };
}

/** Resolves once the child says where it listens. */
export async function listening(child: WatchedChild): Promise<LegacyPeer> {
  const [, host = '127.0.0.1', port] = await child.printed(
    ({ stdout, stderr }) =>
      /listening on (?:loopback port |http:\/\/(localhost):)(\d+)/i.exec(stdout + stderr) ?? undefined,
    'listening port',
  );
  return { child, host, port: Number(port) };
}
