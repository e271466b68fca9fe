// A port of this machine to which nobody should come: whoever does is counted, and what he says is kept.

import { once } from 'node:events';
import { type Server, createServer } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Attacker {
  readonly port: number;
  readonly server: Server;
  visits(): number;
  /** All that visitors have said. */
  said(): string;
}

export async function startAttacker(): Promise<Attacker> {
  let visits = 0;
  let said = '';
  const server = createServer((socket) => {
    visits++;
    socket.setEncoding('latin1').on('data', (piece: string) => (said += piece));
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return { port, server, visits: () => visits, said: () => said };
}
