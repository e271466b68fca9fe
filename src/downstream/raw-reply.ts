// Writes to the raw response of a hijacked Fastify reply: the little that the JSON and the stream sink share.

import type { ServerResponse } from 'node:http';
import type { Reply, Timer, Timers } from '../domain/ports.ts';
import { joined } from '../protocol/json-rpc.ts';

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

/** Destroys a response whose client has taken nothing for `idleMs` (timeouts.clientWrite). */
export class WriteWatch {
  readonly #response: ServerResponse;
  readonly #timers: Timers;
  readonly #idleMs: number;
  #timer: Timer | null = null;

  constructor(response: ServerResponse, timers: Timers, idleMs: number) {
    this.#response = response;
    this.#timers = timers;
    this.#idleMs = idleMs;
  }

  /** After every write. */
  wrote(): void {
    if (!this.#response.writableNeedDrain || this.#timer !== null) return;
    const stop = (): void => {
      this.#timer?.cancel();
      this.#timer = null;
      this.#response.off('drain', stop).off('finish', stop).off('close', stop);
    };
    this.#timer = this.#timers.after(this.#idleMs, () => {
      stop();
      this.#response.destroy();
    });
    this.#response.on('drain', stop).on('finish', stop).on('close', stop);
  }
}
