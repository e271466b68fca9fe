// A client's connection that keeps what is written to it, as its parser reads it.

import { createParser } from 'eventsource-parser';
import type { Chunks, EventReply, Reply } from '../../src/domain/ports.ts';
import { HEARTBEAT } from '../../src/protocol/sse-frames.ts';

export interface Heard {
  readonly id: string | undefined;
  readonly data: string;
}

/** Holds its writer to the port's promise: one end, and nothing after it. */
export class RecordedConnection implements EventReply {
  isConnected = true;
  readonly canStream = true;
  backlogBytes = 0;
  /** All events, the ones that prime included. */
  readonly events: Heard[] = [];
  readonly retries: number[] = [];
  heartbeats = 0;
  /** The headers of a stream are out. */
  isStream = false;
  reply: Reply | null = null;
  over: 'ended' | 'cut' | null = null;
  readonly broken: string[] = [];
  readonly waiting: (() => void)[] = [];
  readonly #parser = createParser({
    onEvent: ({ id, data }) => this.events.push({ id, data }),
    onRetry: (ms) => this.retries.push(ms),
    onError: (fault) => this.broken.push(fault.message),
  });

  /** What was said, without what primes. */
  get messages(): string[] {
    return this.events.filter(({ data }) => data !== '').map(({ data }) => data);
  }

  get ids(): (string | undefined)[] {
    return this.events.map(({ id }) => id);
  }

  write(frames: Chunks): void {
    this.#mayWrite('write');
    this.isStream = true;
    this.#parser.feed(Buffer.concat(frames).toString());
  }

  notify(): void {
    this.broken.push('a stream writes frames of its own');
  }

  heartbeat(): void {
    this.#mayWrite('heartbeat');
    this.isStream = true;
    this.heartbeats++;
    this.#parser.feed(Buffer.from(HEARTBEAT).toString());
  }

  onDrained(tell: () => void): void {
    this.waiting.push(tell);
  }

  finish(reply: Reply): void {
    this.#end('finish');
    this.reply = reply;
  }

  end(): void {
    this.#end('end');
  }

  /** Also after the end: what is not taken yet is cut off. */
  abort(): void {
    this.over = 'cut';
  }

  #mayWrite(what: string): void {
    if (this.over !== null) this.broken.push(`${what} after the end`);
  }

  #end(what: string): void {
    if (this.over !== null) this.broken.push(`${what} after the end`);
    this.over = 'ended';
  }
}
