// A TCP relay between gateway and upstream that counts event streams from outside, whatever the gateway says about itself.
// Bytes pass untouched. A socket counts as a stream from the moment a `GET /sse` was written to it until it closes.
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { listenOnLoopback } from './loopback.ts';

export interface CountingRelay {
  readonly port: number;
  readonly openStreams: number;
  readonly mostOpenStreams: number;
  /** Lets connections made from now on go to another port: an upstream that was started again. */
  retarget(upstreamPort: number): void;
  /** Resolves once the open streams satisfy `claim`. */
  streams(claim: (open: number) => boolean, what: string, withinMs?: number): Promise<void>;
}

export async function startCountingRelay(upstreamPort: number): Promise<CountingRelay> {
  const sockets = new Set<Socket>();
  const streams = new Set<Socket>();
  const onChange = new Set<() => void>();
  let target = upstreamPort;
  let most = 0;

  const count = (change: () => void) => {
    change();
    most = Math.max(most, streams.size);
    for (const look of onChange) look();
  };

  const relay = createServer((fromGateway) => {
    const toUpstream = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [fromGateway, toUpstream],
      [toUpstream, fromGateway],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
    // A request's head starts a chunk: nobody pipelines here, and a JSON body never begins like this.
    fromGateway.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1', 0, 9) === 'GET /sse ') count(() => streams.add(fromGateway));
    });
    fromGateway.on('close', () => count(() => streams.delete(fromGateway)));
  });
  const port = await listenOnLoopback(relay);
  onTestFinished(() => {
    relay.close();
    for (const socket of sockets) socket.destroy();
  });

  return {
    port,
    get openStreams() {
      return streams.size;
    },
    get mostOpenStreams() {
      return most;
    },
    retarget(newPort) {
      target = newPort;
    },
    streams(claim, what, withinMs = 15_000) {
      return new Promise((resolve, reject) => {
        const look = () => {
          if (!claim(streams.size)) return;
          clearTimeout(timer);
          onChange.delete(look);
          resolve();
        };
        const timer = setTimeout(() => {
          onChange.delete(look);
          reject(new Error(`${what}: ${streams.size} streams are open after ${withinMs} ms`));
        }, withinMs);
        onChange.add(look);
        look();
      });
    },
  };
}
