// The real legacy servers: each a child process that speaks HTTP+SSE on a loopback port of its own.
import { fileURLToPath } from 'node:url';
import { Child } from './child.ts';
import { peerFile } from './packages.ts';

const loopbackListen = fileURLToPath(new URL('./loopback-listen.ts', import.meta.url));

export interface LegacyPeer {
  readonly child: Child;
  readonly port: number;
}

/** The official demonstration server of today: a session of its own for each SSE stream. */
export function startEverything(): Promise<LegacyPeer> {
  const script = peerFile('@modelcontextprotocol/server-everything', 'dist/index.js');
  return listening(
    new Child({ name: 'server-everything', args: ['--import', loopbackListen, script, 'sse'], env: { PORT: '0' } }),
  );
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

async function listening(child: Child): Promise<LegacyPeer> {
  const port = await child.printed(
    ({ stderr }) => /listening on loopback port (\d+)/.exec(stderr)?.[1],
    'listening port',
  );
  return { child, port: Number(port) };
}
