// A port for a program that cannot be told to take any.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** Of loopback, and free a moment ago. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  // A TCP listener's address is an object; only pipes have strings.
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
