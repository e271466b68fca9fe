// Who takes part: how each peer is started, which process its CPU is read from, and how it is called.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { legacyCallers, sessionCallers, sessionlessCallers, type Crew } from './callers.ts';
import { nextMessage, startChild } from './child.ts';

export const PEER_NAMES = ['direct', 'http-floor', 'http-floor-buf', 'causeway', 'causeway-sessions'] as const;
export type PeerName = (typeof PEER_NAMES)[number];

export interface Peer {
  readonly name: PeerName;
  /** The process between load and upstream; none for `direct`. */
  readonly pid: number | undefined;
  /** The floors forward to plain JSON, which cannot report progress. */
  readonly reportsProgress: boolean;
  open(count: number, misrouted: () => void): Promise<Crew>;
  stop(): void;
}

const GATEWAY = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const START_TIMEOUT_MS = 15_000;
/** The kernel counts CPU time in hundredths of a second, whatever its own tick is. */
const US_PER_TICK = 10_000;

export function startPeer(name: PeerName, upstreamPort: number): Promise<Peer> {
  if (name === 'direct') return Promise.resolve(directPeer(upstreamPort));
  return name === 'http-floor' || name === 'http-floor-buf'
    ? startFloor(name, upstreamPort)
    : startCauseway(name, upstreamPort);
}

function directPeer(upstreamPort: number): Peer {
  return {
    name: 'direct',
    pid: undefined,
    reportsProgress: true,
    open: (count) => legacyCallers(upstreamPort, count),
    stop() {},
  };
}

async function startFloor(name: PeerName, upstreamPort: number): Promise<Peer> {
  const child = startChild('./floors.ts', name, `http://127.0.0.1:${upstreamPort}`);
  const { port } = await nextMessage<{ port: number }>(child);
  return {
    name,
    pid: child.pid,
    reportsProgress: false,
    open: (count) => sessionlessCallers(port, count),
    stop: () => child.disconnect(),
  };
}

async function startCauseway(name: PeerName, upstreamPort: number): Promise<Peer> {
  const { child, port } = await startGateway(upstreamPort);
  return {
    name,
    pid: child.pid,
    reportsProgress: true,
    open: (count, misrouted) =>
      name === 'causeway' ? sessionlessCallers(port, count) : sessionCallers(port, count, misrouted),
    stop: () => void child.kill('SIGTERM'),
  };
}

async function startGateway(upstreamPort: number): Promise<{ child: ChildProcess; port: number }> {
  if (!existsSync(GATEWAY)) throw new Error('dist/main.js is missing: npm run build');
  const args = [GATEWAY, `http://127.0.0.1:${upstreamPort}/sse`, '--listen', '127.0.0.1:0', '--log-level', 'warn'];
  const env = { ...process.env, NODE_ENV: 'production' };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  process.once('exit', () => child.kill('SIGKILL'));
  let told = '';
  const port = await new Promise<number>((resolve, reject) => {
    const giveUp = (why: string): void => reject(new Error(`the gateway ${why}:\n${told}`));
    const timer = setTimeout(() => giveUp('does not listen'), START_TIMEOUT_MS);
    child.once('exit', (code) => giveUp(`ended with ${code}`));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      // Read to the end of its life, or the pipe would fill and stop it; kept only until it listens.
      if (told.length < 8192) told += text;
      const match = /http:\/\/127\.0\.0\.1:(\d+)\/mcp/.exec(told);
      if (match === null) return;
      clearTimeout(timer);
      resolve(Number(match[1]));
    });
  });
  child.removeAllListeners('exit');
  child.once('exit', (code, signal) => {
    if (code !== 0 && signal === null) console.error(`the gateway ended with ${code}:\n${told}`);
  });
  return { child, port };
}

/** CPU time a process has used so far, all its threads, user and system. Linux only. No process, no number. */
export function cpuUs(pid: number | undefined): number {
  if (pid === undefined) return Number.NaN;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses and may hold spaces; user and system time are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * US_PER_TICK;
}
