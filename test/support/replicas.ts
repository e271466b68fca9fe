// Several gateways in this process that are replicas of one another, before one upstream. Each is reached by the others
// over a relay, so that a test can have it vanish, or break off what is under way to it.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import { onTestFinished } from 'vitest';
import { readOwner } from '../../src/domain/owner.ts';
import { TokenSealer } from '../../src/protocol/sealed-token.ts';
import type { Shelf } from '../../src/replica/shelf.ts';
import type { Resolve } from '../../src/replica/peers.ts';
import { freePort } from './free-port.ts';
import { type Gateway, type GatewayConfig, startGateway } from './gateway.ts';
import type { Behaviour } from './legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from './legacy-server.ts';

/** Shared by all replicas of all tests. */
export const SECRET = randomBytes(32);

export interface Replica extends Gateway {
  /** HOST:PORT, as the others know it. */
  readonly self: string;
  /** Of its listener for replicas itself. */
  readonly peerOrigin: string;
  /** What lies between it and the others. */
  readonly way: Way;
  /** It ends, and another process is at its address. */
  restart(): Promise<void>;
}

export interface Way {
  /** Connections that the others have opened so far. */
  readonly connections: number;
  /** Breaks what is open. */
  cut(): void;
  /** The same as soon as bytes come from the others; they get nowhere. */
  cutNext(): void;
  /** The same when so many bytes more have come back. */
  cutAfter(bytes: number): void;
  /** Nothing more comes back over what is open, and nothing is closed. */
  hold(): void;
  /** Nobody listens any more. */
  close(): Promise<void>;
}

export interface ReplicasOptions {
  /** By the place of the replica: beside the configuration of all, or in its place. */
  readonly each?: (at: number) => GatewayConfig;
  readonly resolve?: Resolve;
  /** The store, as each of them reaches it; then `store` must be configured. */
  readonly shelf?: (at: number) => Shelf;
}

export interface Replicas {
  readonly upstream: LegacyServer;
  readonly replicas: readonly [Replica, Replica, ...Replica[]];
}

/** Links are opened when they are needed, so that a link is one of a session. */
export async function startReplicas(
  howMany: number,
  behaviour: Partial<Behaviour> = {},
  config: GatewayConfig = {},
  options: ReplicasOptions = {},
): Promise<Replicas> {
  const upstream = await startLegacyServer(behaviour);
  onTestFinished(() => upstream.close());
  const ports = await Promise.all(Array.from({ length: howMany }, () => freePort()));
  const ways = await Promise.all(ports.map((port) => startWay(port)));
  const addresses = ways.map(({ port }) => `127.0.0.1:${port}`);
  const replicas = await Promise.all(
    ports.map(async (port, at): Promise<Replica> => {
      const [self = '', way] = [addresses[at], ways[at]];
      if (way === undefined) throw new Error('each has a way');
      const own: GatewayConfig = {
        secrets: { current: SECRET.toString('base64') },
        ...config,
        links: { min: 0, ...config.links },
        peers: { host: '127.0.0.1', port, self, addresses, ...config.peers },
        ...options.each?.(at),
      };
      const start = (): Promise<Gateway> =>
        startGateway(upstream.url, own, undefined, options.resolve, options.shelf?.(at));
      let gateway = await start();
      onTestFinished(() => gateway.close());
      const replica = {
        self,
        peerOrigin: `http://127.0.0.1:${port}`,
        way,
        async restart() {
          await gateway.close();
          gateway = await start();
          Object.assign(replica, gateway);
        },
      };
      return Object.assign(replica, gateway);
    }),
  );
  // As many as were asked for, which is two at least.
  return { upstream, replicas: replicas as unknown as Replicas['replicas'] };
}

/** Which of the replicas a session is of. */
export function ownerOf(token: string, replicas: readonly Replica[]): Replica {
  const claims = new TokenSealer(SECRET, randomBytes).open('session', token, 0);
  const owner = replicas.find(({ self }) => claims !== null && readOwner(claims.owner).address === self);
  if (owner === undefined) throw new Error('no replica has this session');
  return owner;
}

async function startWay(target: number): Promise<Way & { readonly port: number }> {
  let connections = 0;
  let isCutting = false;
  let isHolding = false;
  let left = Number.POSITIVE_INFINITY;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    connections++;
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (bytes) => {
      if (isCutting) {
        isCutting = false;
        near.resetAndDestroy();
      } else if (!far.write(bytes)) {
        near.pause();
        far.once('drain', () => near.resume());
      }
    });
    far.on('data', (bytes) => {
      if (isHolding) return;
      if (bytes.length > left) {
        near.end(bytes.subarray(0, left));
        left = Number.POSITIVE_INFINITY;
        isHolding = true;
        return;
      }
      left -= bytes.length;
      if (!near.write(bytes)) {
        far.pause();
        near.once('drain', () => far.resume());
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => sockets.forEach((socket) => socket.resetAndDestroy());
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    cut();
    await once(server, 'close');
  };
  onTestFinished(close);
  const address = server.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    get connections() {
      return connections;
    },
    cut,
    cutNext() {
      isCutting = true;
    },
    cutAfter(bytes) {
      left = bytes;
    },
    hold() {
      isHolding = true;
    },
    close,
  };
}
