// Writes to the raw response of a hijacked Fastify reply: the little that the JSON and the stream sink share.

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Reply } from '../domain/ports.ts';
import { joined } from '../protocol/json-rpc.ts';
import type { Mount } from '../traffic/mount.ts';

/** Below this one buffer and one write are cheaper than several writes; above it copying costs more. */
const JOIN_BELOW_BYTES = 64 * 1024;

/** A whole JSON reply, with its length. */
export function writeJson(response: ServerResponse, reply: Reply): void {
  let length = 0;
  for (const chunk of reply.body) length += chunk.length;
  response.writeHead(reply.status, {
    ...reply.headers,
    'content-type': 'application/json',
    'content-length': length,
  });
  writeChunks(response, reply.body, length);
  response.end();
}

export function writeChunks(response: ServerResponse, chunks: readonly Uint8Array[], length?: number): void {
  if (chunks.length > 1 && (length ?? sum(chunks)) <= JOIN_BELOW_BYTES) {
    response.write(joined(...chunks));
    return;
  }
  response.cork();
  for (const chunk of chunks) response.write(chunk);
  response.uncork();
}

function sum(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((total, chunk) => total + chunk.length, 0);
}

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

/** What goes for the replies of one mount. */
export function writeWatch({ config, journal, name: upstream }: Mount): WriteWatch {
  const what = 'unread_reply';
  return {
    idleMs: config.timeouts.clientWrite,
    onCut: () => journal.record({ fact: 'dropped', upstream, what, limit: 'timeouts.clientWrite' }),
  };
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
