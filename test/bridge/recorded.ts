// The two neighbours of an exchange and a call, which write down what they are told: a sink and a lease.

import type { CallLease } from '../../src/bridge/call.ts';
import { type CallId, callId } from '../../src/domain/ids.ts';
import type { Chunks, Reply, ReplySink } from '../../src/domain/ports.ts';
import { type Notification, type Request, readMessage } from '../../src/protocol/json-rpc.ts';

export function text(chunks: Chunks): string {
  return Buffer.concat(chunks).toString();
}

/** Holds its caller to the port's promise: nothing after the end, and no stream where none is taken. */
export class RecordedSink implements ReplySink {
  readonly canStream: boolean;
  isConnected = true;
  backlogBytes = 0;
  readonly notified: string[] = [];
  heartbeats = 0;
  readonly ends: ('finish' | 'end')[] = [];
  reply: Reply | null = null;
  readonly broken: string[] = [];
  /** Called when the end is written. */
  onEnd: () => void = () => {};
  /** What waits for the client to take everything. */
  readonly waiting: (() => void)[] = [];

  constructor(canStream = true) {
    this.canStream = canStream;
  }

  notify(message: Chunks): void {
    this.#mayStream('notify');
    this.notified.push(text(message));
  }

  heartbeat(): void {
    this.#mayStream('heartbeat');
    this.heartbeats++;
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

  get isStreaming(): boolean {
    return this.notified.length + this.heartbeats > 0;
  }

  /** The body of the reply, as JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers freely
  get json(): any {
    return this.reply === null ? undefined : JSON.parse(text(this.reply.body));
  }

  #mayStream(what: string): void {
    if (!this.canStream) this.broken.push(`${what} to a client that takes no stream`);
    if (this.ends.length > 0) this.broken.push(`${what} after the end`);
  }

  #end(how: 'finish' | 'end'): void {
    if (this.ends.length > 0) this.broken.push(`${how} after the end`);
    this.ends.push(how);
    this.onEnd();
  }
}

export class RecordedLease implements CallLease {
  readonly exclusive: boolean;
  readonly id: CallId;
  readonly posted: string[] = [];
  readonly cancelled: (string | Notification)[] = [];
  readonly released: ('reuse' | 'retire')[] = [];
  readonly broken: string[] = [];

  constructor(exclusive = false, id = 41) {
    this.exclusive = exclusive;
    this.id = callId(id);
  }

  post(message: Chunks): void {
    this.#mayUse('post');
    this.posted.push(text(message));
  }

  cancel(why: string | Notification): void {
    this.#mayUse('cancel');
    this.cancelled.push(why);
  }

  release(how: 'reuse' | 'retire'): void {
    this.#mayUse('release');
    this.released.push(how);
  }

  #mayUse(what: string): void {
    if (this.released.length > 0) this.broken.push(`${what} after release`);
  }
}

export function requestOf(members: object = {}): Request {
  const message = readMessage(
    Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 'own', method: 'tools/call', ...members })),
    { maxDepth: 128 },
  );
  if (message.kind !== 'request') throw new Error('no request');
  return message;
}

export function notificationOf(method: string, params: object = {}): Notification {
  const message = readMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', method, params })), { maxDepth: 128 });
  if (message.kind !== 'notification') throw new Error('no notification');
  return message;
}

/** An answer of the upstream, under an id of ours. */
export function answerOf(id: unknown, members: { result: unknown } | { error: object } = { result: {} }) {
  const message = readMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, ...members })), { maxDepth: 128 });
  if (message.kind !== 'result' && message.kind !== 'error') throw new Error('no answer');
  return message;
}
