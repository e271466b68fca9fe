// Who takes part: how each peer is started, what it can be asked, and what it takes for it to be here.
import { nextMessage, startChild } from './child.ts';
import { causewayMissing, startCauseway } from './peers/causeway.ts';
import { MCP_REMOTE, startChain } from './peers/chains.ts';
import { notInstalled } from './peers/installed.ts';
import { nginxMissing, startNginx } from './peers/nginx.ts';
import { PEER_NAMES, type Ability, type Peer, type PeerName } from './peers/peer.ts';
import type { Program } from './peers/program.ts';
import { redisMissing } from './peers/redis.ts';
import { startPair, startStored } from './peers/replicas.ts';

export { PEER_NAMES, type Ability, type Outage, type Peer, type PeerName } from './peers/peer.ts';
export { cpuUs, rssBytes } from './peers/usage.ts';

type Description = Pick<Peer, 'can' | 'speaks' | 'path' | 'needsSession'>;
type Running = Pick<Peer, 'port' | 'pids' | 'stop' | 'homes' | 'apart' | 'store'>;

interface Row extends Description {
  /** Why it cannot be started on this machine; nothing when it can. */
  readonly missing?: () => string | undefined;
  readonly start: (upstreamPort: number) => Promise<Running>;
}

function http(needsSession: boolean, ...abilities: readonly Ability[]): Description {
  return { speaks: 'http', path: '/mcp', needsSession, can: new Set(abilities) };
}

/** They forward to plain JSON, which has no sessions and cannot report progress, and answers as of old. */
const FLOOR = http(false, 'sessionless', 'mib8', 'req1');

const ROWS: Readonly<Record<PeerName, Row>> = {
  direct: {
    // No process of its own whose memory could be told, and the old transport has neither sessions to end nor later forms.
    speaks: 'legacy',
    path: '/sse',
    needsSession: false,
    can: new Set(['sessionless', 'sessions', 'progress', 'mib8', 'req1']),
    start: (port) => Promise.resolve({ port, pids: () => [], stop() {} }),
  },
  'http-floor': { ...FLOOR, start: (port) => startFile('./floors.ts', 'http-floor', originOf(port)) },
  'http-floor-buf': { ...FLOOR, start: (port) => startFile('./floors.ts', 'http-floor-buf', originOf(port)) },
  'http-floor-node': { ...FLOOR, start: (port) => startFile('./floors.ts', 'http-floor-node', originOf(port)) },
  nginx: { ...FLOOR, missing: nginxMissing, start: (port) => startProgram(startNginx(port)) },
  naive: {
    // No 'progress': a notification that names no request of its own goes to the GET stream, or nowhere.
    ...http(true, 'sessionless', 'sessions', 'mib8', 'req1', 'idle', 'churn'),
    missing: () => notInstalled('@modelcontextprotocol/sdk'),
    start: (port) => startFile('./peers/naive-bridge.ts', `${originOf(port)}/sse`),
  },
  'mcp-proxy': {
    // No 'progress': of ten notifications one comes. No 'rounds': it answers the question itself.
    ...http(true, 'sessionless', 'sessions', 'mib8', 'req1', 'modern', 'idle', 'churn'),
    missing: () => notInstalled('mcp-proxy', MCP_REMOTE),
    start: (port) => startProgram(startChain('mcp-proxy', port)),
  },
  supergateway: {
    // No 'progress': it puts notifications on the reply of another call. No 'req1': it takes 100 KiB. No 'idle': a session
    // is a process, and a thousand of them do not fit into the machine.
    ...http(true, 'sessionless', 'sessions', 'mib8', 'churn'),
    missing: () => notInstalled('supergateway', MCP_REMOTE),
    start: (port) => startProgram(startChain('supergateway', port)),
  },
  causeway: {
    ...http(false, 'sessionless', 'sessions', 'progress', 'mib8', 'req1', 'modern', 'rounds', 'idle', 'churn', 'store'),
    missing: causewayMissing,
    start: (port) => startProgram(startCauseway(port)),
  },
  'causeway-replicas': { ...http(false, 'hop'), missing: causewayMissing, start: startPair },
  'causeway-store': { ...http(false, 'store'), missing: () => causewayMissing() ?? redisMissing(), start: startStored },
};

/** Why a peer cannot be started on this machine, and what to do about it; nothing when it can. */
export function whyMissing(name: PeerName): string | undefined {
  return ROWS[name].missing?.();
}

/**
 * Who of those asked for is to start, in the order of the table, and an error when one cannot. Asked for nobody in
 * particular, it is all that are installed; `tell` is told of each that is not. Without the gateway there is no bench.
 */
export function whoStarts(
  asked: readonly PeerName[] | undefined,
  tell: (line: string) => void,
  missing = whyMissing,
): PeerName[] {
  return PEER_NAMES.filter((name) => {
    if (asked?.includes(name) === false) return false;
    const why = missing(name);
    if (why === undefined) return true;
    if (asked !== undefined || name === 'causeway') throw new Error(`${name} cannot take part: ${why}`);
    tell(`${name} is left out: ${why}`);
    return false;
  });
}

/** All at once: a chain needs seconds, and spends nearly all of them waiting. It fails if one of them does not start. */
export function startPeers(
  asked: readonly PeerName[] | undefined,
  upstreamPort: number,
  tell: (line: string) => void = console.log,
): Promise<Peer[]> {
  return Promise.all(whoStarts(asked, tell).map((name) => startPeer(name, upstreamPort)));
}

async function startPeer(name: PeerName, upstreamPort: number): Promise<Peer> {
  const { speaks, path, needsSession, can, start } = ROWS[name];
  return { name, speaks, path, needsSession, can, ...(await start(upstreamPort)) };
}

async function startFile(file: string, ...args: readonly string[]): Promise<Running> {
  const child = startChild(file, ...args);
  const { port } = await nextMessage<{ port: number }>(child);
  const stop = (): void => {
    if (child.connected) child.disconnect();
  };
  return { port, pids: () => (child.pid === undefined ? [] : [child.pid]), stop };
}

async function startProgram(starting: Promise<{ program: Program; port: number }>): Promise<Running> {
  const { program, port } = await starting;
  return { port, pids: () => program.pids, stop: () => program.stop() };
}

function originOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}
