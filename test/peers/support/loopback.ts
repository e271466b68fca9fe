// Servers of this process on a loopback port that the system picks.
import type { Server } from 'node:net';

export function listenOnLoopback(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(portOf(server)));
  });
}

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('only a server that listens on TCP has a port');
  return address.port;
}
