// A TCP relay that keeps what goes through it toward a server, as somebody on the way would.

import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { onTestFinished } from 'vitest';

export interface RecordingRelay {
  /** HOST:PORT. */
  readonly address: string;
  /** How many have connected. */
  readonly connections: number;
  /** All bytes that were sent to the server, connection by connection. */
  readonly sent: readonly string[];
  /** Where they go from now on, HOST:PORT. */
  target: string;
}

/** For the length of one test. */
export async function startRecordingRelay(host = '127.0.0.1'): Promise<RecordingRelay> {
  const sockets = new Set<Socket>();
  const sent: string[] = [];
  const server = createServer((from) => {
    const own = sent.push('') - 1;
    const [name = '', port] = relay.target.split(':');
    const to = connect(Number(port), name);
    from.on('data', (piece) => (sent[own] += piece.toString('latin1')));
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  server.listen(0, host);
  await once(server, 'listening');
  // A TCP listener's address is an object; only pipes have strings.
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const relay = {
    address: `${host}:${port}`,
    sent,
    target: '',
    get connections() {
      return sent.length;
    },
  };
  return relay;
}
