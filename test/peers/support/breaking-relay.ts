// A TCP relay between client and gateway whose connections can be broken, as a network does it: without a word to either side.
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { listenOnLoopback } from './loopback.ts';

export interface BreakingRelay {
  /** The gateway's URL, by way of the relay. */
  readonly url: string;
  /** Breaks the connections that are open. */
  cut(): void;
  /** Connections from now on go to another gateway: one that was started again. */
  retarget(gatewayUrl: string): void;
}

export async function startBreakingRelay(gatewayUrl: string): Promise<BreakingRelay> {
  let target = new URL(gatewayUrl);
  const sockets = new Set<Socket>();

  const relay = createServer((fromClient) => {
    const toGateway = connect(Number(target.port), target.hostname);
    for (const [one, other] of [
      [fromClient, toGateway],
      [toGateway, fromClient],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  const port = await listenOnLoopback(relay);
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  onTestFinished(() => {
    relay.close();
    cut();
  });

  const url = new URL(gatewayUrl);
  url.port = String(port);
  return {
    url: url.href,
    cut,
    retarget(newUrl) {
      target = new URL(newUrl);
    },
  };
}
