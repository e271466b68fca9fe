// Writes to the raw response of a hijacked Fastify reply: the little that the JSON and the stream sink share.

import type { ServerResponse } from 'node:http';
import type { Reply } from '../domain/ports.ts';
import { type WriteWatch, watchWrites } from '../edge/taken.ts';
import type { Mount } from '../traffic/mount.ts';

/** Below this one buffer and one write are cheaper than several writes; above it copying costs more. */
const JOIN_BELOW_BYTES = 64 * 1024;

/** A whole JSON reply, with its length; watched only where the client has not taken it at once. */
export function writeJson(response: ServerResponse, reply: Reply, watch: WriteWatch): void {
  endJson(response, reply);
  if (response.writableLength > 0) watchWrites(response, watch);
}

function endJson(response: ServerResponse, reply: Reply): void {
  let length = 0;
  for (const chunk of reply.body) length += chunk.length;
  response.writeHead(reply.status, {
    ...reply.headers,
    'content-type': 'application/json',
    'content-length': length,
  });
  if (length <= JOIN_BELOW_BYTES) {
    // From Node's pool: it is gone as soon as it is written.
    response.end(reply.body.length === 1 ? reply.body[0] : Buffer.concat(reply.body));
    return;
  }
  writeChunks(response, reply.body, length);
  response.end();
}

export function writeChunks(response: ServerResponse, chunks: readonly Uint8Array[], length?: number): void {
  if (chunks.length > 1 && (length ?? sum(chunks)) <= JOIN_BELOW_BYTES) {
    response.write(Buffer.concat(chunks));
    return;
  }
  response.cork();
  for (const chunk of chunks) response.write(chunk);
  response.uncork();
}

function sum(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((total, chunk) => total + chunk.length, 0);
}

/** What goes for the replies of one mount. */
export function writeWatch({ config, journal, name: upstream }: Mount): WriteWatch {
  const what = 'unread_reply';
  return {
    idleMs: config.timeouts.clientWrite,
    onCut: () => journal.record({ fact: 'dropped', upstream, what, limit: 'timeouts.clientWrite' }),
  };
}
