// A TCP relay between the gateway and the upstream's POST URL, which can refuse connections and break them. The event
// stream does not go through it, so a link stays open whatever happens here.

import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import { onTestFinished } from 'vitest';

export interface PostRelay {
  readonly url: URL;
  /** Nobody listens any more. */
  refuse(): Promise<void>;
  /** The next bytes that come are answered by a reset; `first` decides whether the upstream gets them. */
  resetNext(first: 'pass on' | 'swallow'): void;
}

export async function startPostRelay(target: URL): Promise<PostRelay> {
  let reset: 'pass on' | 'swallow' | null = null;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {});
    }
    near.on('data', (bytes) => {
      const how = reset;
      reset = null;
      if (how !== 'swallow') far.write(bytes);
      if (how !== null) near.resetAndDestroy();
    });
    near.on('close', () => far.end());
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  };
  onTestFinished(close);
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: new URL(`http://127.0.0.1:${port}/messages`),
    refuse: close,
    resetNext: (first) => {
      reset = first;
    },
  };
}
