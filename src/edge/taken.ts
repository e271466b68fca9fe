// What a client takes of what is written to it: when it has, and when it has taken nothing for too long.

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Tells when the kernel has all that was written to the socket: a response says that it is closed before that. */
export function whenTaken(socket: Socket, tell: () => void): void {
  if (socket.destroyed || socket.writableLength === 0) tell();
  else socket.write('', tell);
}

export interface WriteWatch {
  readonly idleMs: number;
  /** Told when the connection was cut for it. */
  readonly onCut: () => void;
}

/**
 * Ends a response whose client has taken nothing for `idleMs` (timeouts.clientWrite), and tells so; `end` does both where
 * it is given. The socket's own timer knows of partial progress, so a slow reader that reads is left alone; a stream that is
 * merely silent is, too.
 */
export function watchWrites(
  response: ServerResponse,
  { idleMs, onCut }: WriteWatch,
  end = (): void => {
    response.destroy();
    onCut();
  },
): void {
  response.setTimeout(idleMs, () => {
    if ((response.socket?.writableLength ?? 0) === 0) return;
    end();
  });
}
