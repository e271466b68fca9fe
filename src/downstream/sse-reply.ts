// The reply sink of a client that takes an event stream. It becomes one as late as possible: when the first
// notification or heartbeat comes before the answer. An answer that comes first is plain JSON, if the client takes that.

import type { ServerResponse } from 'node:http';
import type { Chunks, EventReply, Reply } from '../domain/ports.ts';
import { type WriteWatch, watchWrites } from '../edge/taken.ts';
import { HEARTBEAT, eventFrame } from '../protocol/sse-frames.ts';
import { writeChunks, writeJson } from './raw-reply.ts';

export class SseReply implements EventReply {
  readonly canStream = true;
  readonly isConnected = true;
  readonly #response: ServerResponse;
  readonly #watch: WriteWatch;
  /** The client named nothing but the stream. */
  readonly #streamOnly: boolean;

  constructor(response: ServerResponse, watch: WriteWatch, streamOnly: boolean) {
    this.#response = response;
    this.#watch = watch;
    this.#streamOnly = streamOnly;
  }

  get backlogBytes(): number {
    return this.#response.writableLength;
  }

  onDrained(tell: () => void): void {
    if (!this.#response.writableNeedDrain || this.#response.destroyed) {
      tell();
      return;
    }
    const once = (): void => {
      this.#response.off('drain', once).off('close', once);
      tell();
    };
    this.#response.on('drain', once).on('close', once);
  }

  notify(message: Chunks): void {
    this.write(eventFrame(message));
  }

  write(frames: Chunks): void {
    this.#begin(200);
    if (frames.length > 0) writeChunks(this.#response, frames);
    else this.#response.flushHeaders();
  }

  abort(): void {
    this.#response.destroy();
  }

  heartbeat(): void {
    this.#begin(200);
    // A client that takes nothing needs no more comments.
    if (!this.#response.writableNeedDrain) writeChunks(this.#response, [HEARTBEAT]);
  }

  finish(reply: Reply): void {
    // A refusal keeps its status: only an answer is worth a stream to a client that takes nothing else.
    if (!this.#response.headersSent && (!this.#streamOnly || reply.status !== 200)) {
      writeJson(this.#response, reply, this.#watch);
      return;
    }
    this.#begin(reply.status, reply.headers);
    writeChunks(this.#response, eventFrame(reply.body));
    this.#response.end();
  }

  end(): void {
    if (!this.#response.headersSent) this.#response.writeHead(202, { 'content-length': 0 });
    this.#response.end();
  }

  #begin(status: number, headers?: Readonly<Record<string, string>>): void {
    if (this.#response.headersSent) return;
    watchWrites(this.#response, this.#watch);
    this.#response.writeHead(status, {
      ...headers,
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      // nginx would hold the events back in its buffer.
      'x-accel-buffering': 'no',
    });
  }
}
