// The reply sink of a client that takes no event stream: it waits for the one result.

import type { ServerResponse } from 'node:http';
import type { Reply, ReplySink } from '../domain/ports.ts';
import { watchWrites, writeJson } from './raw-reply.ts';

export class JsonReply implements ReplySink {
  readonly canStream = false;
  readonly isConnected = true;
  readonly backlogBytes = 0;
  readonly #response: ServerResponse;
  readonly #writeIdleMs: number;

  constructor(response: ServerResponse, writeIdleMs: number) {
    this.#response = response;
    this.#writeIdleMs = writeIdleMs;
  }

  notify(): void {}

  heartbeat(): void {}

  onDrained(tell: () => void): void {
    tell();
  }

  finish(reply: Reply): void {
    watchWrites(this.#response, this.#writeIdleMs);
    writeJson(this.#response, reply);
  }

  end(): void {
    this.#response.writeHead(202, { 'content-length': 0 }).end();
  }
}
