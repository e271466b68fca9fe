// Who answers at the address of the store need not be one: what it says is bounded, and where it is dialled is as it stands.

import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { RedisShelf, loadRedis, redisOptions } from '../../src/replica/redis-shelf.ts';

const MiB = 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, 'x');

/** Goes on with one answer for as long as somebody takes it; resolves with how much that was. */
async function endless(socket: Socket, start: string): Promise<number> {
  const closed = new Promise<unknown>((resolve) => socket.on('close', resolve));
  socket.on('error', () => {});
  socket.write(start);
  const more = (): void => {
    while (!socket.destroyed && socket.bytesWritten < 512 * MiB && socket.write(PIECE));
    if (!socket.destroyed && socket.bytesWritten < 512 * MiB) socket.once('drain', more);
  };
  more();
  await closed;
  return socket.bytesWritten;
}

test('an answer without an end is not held: the connection is given up, and what has asked fails [T30]', async () => {
  const server = createServer();
  const sent = new Promise<number>((resolve) => {
    server.once('connection', (socket) => {
      server.close();
      socket.once('data', () => void endless(socket, '$99999999999\r\n').then(resolve));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const Redis = await loadRedis();
  const store = { url: new URL(`redis://127.0.0.1:${port}`), ca: undefined, prefix: 'x' };
  const shelf = new RedisShelf(new Redis(redisOptions(store)));
  onTestFinished(() => shelf.close());
  await shelf.open();

  const read = await shelf.read('place').catch((fault: unknown) => fault);

  expect(read).toMatchObject({
    name: 'StoreFault',
    kind: 'unreachable',
    cause: { message: 'an answer without an end' },
  });
  // What the kernel had taken meanwhile is among it.
  expect(await sent).toBeLessThan(64 * MiB);
});

test.each([
  ['rediss://redis.example:6380/0', { host: 'redis.example', tls: { servername: 'redis.example' } }],
  ['rediss://10.0.0.7', { host: '10.0.0.7', tls: {} }],
  ['rediss://[fd00::7]', { host: 'fd00::7', tls: {} }],
])('%s is dialled by TLS, under its name if it has one', (url, dialled) => {
  const { host, tls } = redisOptions({ url: new URL(url), ca: undefined, prefix: 'x' });

  expect({ host, tls }).toEqual(dialled);
});
