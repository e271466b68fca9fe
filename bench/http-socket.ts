// One keep-alive HTTP/1.1 connection by hand: one request in flight, the answer's body as bytes. The load generator
// shares two cores with what it measures, so it reads into buffers it owns and allocates next to nothing per call.
// It understands what the peers here send (content-length or chunked, no trailers, no 1xx) and fails on the rest.
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly isEventStream: boolean;
  readonly sessionId: string | undefined;
  /** Belongs to the connection: valid until the next request on it. */
  readonly body: Buffer;
}

export type AnswerTaker = (answer: Answer | Error) => void;

export const READ_BYTES = 256 * 1024;
const NOTHING = Buffer.alloc(0);

type Reading = 'head' | 'counted' | 'chunk-size' | 'chunk' | 'chunk-end' | 'last-chunk-end';

/** A buffer that grows and is used again. */
export class GrowingBytes {
  #room = Buffer.allocUnsafe(4096);
  #length = 0;

  add(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#room.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#room.length * 2));
      larger.set(this.#room.subarray(0, this.#length));
      this.#room = larger;
    }
    this.#room.set(bytes, this.#length);
    this.#length = needed;
  }

  view(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  /** Forgets the first bytes; all of them if no count is given. */
  drop(count = this.#length): void {
    if (count < this.#length) this.#room.copyWithin(0, count, this.#length);
    this.#length -= count;
  }
}

export class HttpSocket {
  readonly #port: number;
  readonly #buffer: Buffer;
  readonly #body = new GrowingBytes();
  #socket: Socket;
  #taker: AnswerTaker | undefined;
  #streamTaker: ((bytes: Buffer) => void) | undefined;
  #opened: (() => void) | undefined;
  #reading: Reading = 'head';
  #remaining = 0;
  /** Bytes of a head or chunk size whose end has not come yet. */
  #unread = NOTHING;
  #status = 0;
  #isEventStream = false;
  #sessionId: string | undefined;
  #isLost = false;
  #unasked = false;

  constructor(port: number, readBytes = READ_BYTES) {
    this.#port = port;
    this.#buffer = Buffer.allocUnsafeSlow(readBytes);
    this.#socket = this.#connect();
  }

  /**
   * `head` is everything but the content length. A body that streams goes to `stream` piece by piece instead, once
   * `opened` has told that there is one.
   */
  send(head: string, body: string, taker: AnswerTaker, stream?: (bytes: Buffer) => void, opened?: () => void): void {
    if (this.#taker) throw new Error('one request at a time');
    if (this.#unasked) {
      this.#unasked = false;
      taker(new Error('an answer came that nobody asked for'));
      return;
    }
    // A server may end a connection that nothing is asked on; so may one that has served enough requests on it.
    if (this.#isLost) this.#socket = this.#connect();
    this.#taker = taker;
    this.#streamTaker = stream;
    this.#opened = opened;
    this.#body.drop();
    // Every body here is ASCII, so characters are bytes.
    const length = head.startsWith('GET') ? '' : `content-length: ${body.length}\r\n`;
    this.#socket.write(`${head}${length}\r\n${body}`, 'latin1');
  }

  close(): void {
    this.#taker = undefined;
    this.#socket.destroy();
  }

  #connect(): Socket {
    const callback = (length: number, buffer: Uint8Array): boolean => {
      this.#read(Buffer.from(buffer.buffer, buffer.byteOffset, length));
      return true;
    };
    const socket = connect({
      host: '127.0.0.1',
      port: this.#port,
      noDelay: true,
      onread: { buffer: this.#buffer, callback },
    });
    const fail = (error: Error): void => {
      if (socket === this.#socket) this.#fail(error);
    };
    socket.on('error', fail);
    socket.on('end', () => fail(new Error('the connection ended')));
    socket.on('close', () => fail(new Error('the connection closed')));
    this.#isLost = false;
    this.#reading = 'head';
    this.#unread = NOTHING;
    return socket;
  }

  #read(received: Buffer): void {
    const bytes = this.#unread.length === 0 ? received : Buffer.concat([this.#unread, received]);
    this.#unread = NOTHING;
    let at = 0;
    while (at < bytes.length) {
      const used = this.#step(bytes, at);
      if (used === 0) {
        // The read buffer is written again by the next read, so what is left has to be copied.
        this.#unread = Buffer.from(bytes.subarray(at));
        return;
      }
      at += used;
    }
  }

  /** Takes what it can from `at` on and says how many bytes that were; none if it needs more of them. */
  // oxlint-disable-next-line consistent-return -- the switch is exhaustive, and the compiler checks that
  #step(bytes: Buffer, at: number): number {
    switch (this.#reading) {
      case 'head': {
        const end = bytes.indexOf('\r\n\r\n', at, 'latin1');
        if (end === -1) return 0;
        this.#readHead(bytes.toString('latin1', at, end));
        return end + 4 - at;
      }
      case 'chunk-size': {
        const end = bytes.indexOf('\r\n', at, 'latin1');
        if (end === -1) return 0;
        this.#remaining = Number.parseInt(bytes.toString('latin1', at, end), 16);
        this.#reading = this.#remaining === 0 ? 'last-chunk-end' : 'chunk';
        return end + 2 - at;
      }
      case 'counted':
      case 'chunk': {
        const part = bytes.subarray(at, at + this.#remaining);
        this.#remaining -= part.length;
        if (this.#streamTaker && this.#isEventStream) this.#streamTaker(part);
        else this.#body.add(part);
        if (this.#remaining === 0 && this.#reading === 'counted') this.#finish();
        else if (this.#remaining === 0) this.#reading = 'chunk-end';
        return part.length;
      }
      case 'chunk-end':
      case 'last-chunk-end': {
        if (bytes.length - at < 2) return 0;
        if (this.#reading === 'last-chunk-end') this.#finish();
        else this.#reading = 'chunk-size';
        return 2;
      }
    }
  }

  #readHead(head: string): void {
    const lower = head.toLowerCase();
    this.#status = Number(head.slice(9, 12));
    this.#isEventStream = field(head, lower, 'content-type')?.startsWith('text/event-stream') ?? false;
    this.#sessionId = field(head, lower, 'mcp-session-id');
    this.#remaining = Number(field(head, lower, 'content-length') ?? 0);
    if (this.#isEventStream && this.#status === 200) this.#opened?.();
    if (lower.includes('\r\ntransfer-encoding: chunked')) this.#reading = 'chunk-size';
    else if (this.#remaining > 0) this.#reading = 'counted';
    else this.#finish();
  }

  #finish(): void {
    this.#reading = 'head';
    const taker = this.#taker;
    this.#taker = undefined;
    this.#unasked ||= taker === undefined;
    const answer: Answer = {
      status: this.#status,
      isEventStream: this.#isEventStream,
      sessionId: this.#sessionId,
      body: this.#body.view(),
    };
    taker?.(answer);
  }

  #fail(error: Error): void {
    this.#isLost = true;
    this.#socket.destroy();
    const taker = this.#taker;
    this.#taker = undefined;
    taker?.(error);
  }
}

function field(head: string, lower: string, name: string): string | undefined {
  const at = lower.indexOf(`\r\n${name}:`);
  if (at === -1) return undefined;
  const end = head.indexOf('\r\n', at + 2);
  return head.slice(at + name.length + 3, end === -1 ? undefined : end).trim();
}
