// The reply sink of a client that takes no event stream: it waits for the one result.

import type { ServerResponse } from 'node:http';
import type { Reply, ReplySink } from '../domain/ports.ts';
import type { WriteWatch } from '../edge/taken.ts';
import { writeJson } from './raw-reply.ts';

export class JsonReply implements ReplySink {
  readonly canStream = false;
  readonly isConnected = true;
  readonly backlogBytes = 0;
  readonly #response: ServerResponse;
  readonly #watch: WriteWatch;

  constructor(response: ServerResponse, watch: WriteWatch) {
    this.#response = response;
    this.#watch = watch;
  }

  notify(): void {}

  heartbeat(): void {}

  onDrained(tell: () => void): void {
    tell();
  }

  finish(reply: Reply): void {
    writeJson(this.#response, reply, this.#watch);
  }

  end(): void {
    this.#response.writeHead(202, { 'content-length': 0 }).end();
  }
}
