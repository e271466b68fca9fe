// The requests of one connection, one after the other: the next is served when the answer to the one before has been taken.
// Behind the last, see isLast, none is.
//
// A client may send many without waiting (pipelining). Node hands over at once all that have come, and keeps their answers
// until they are read: 64 KiB of requests can ask for hundreds of megabytes. And what is asked first must not run second:
// [RFC 9112 9.3.2] "A server MAY process a sequence of pipelined requests in parallel if they all have safe methods, but it
// MUST send the corresponding responses in the same order that the requests were received."

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isLast } from './framing-guard.ts';
import { whenTaken } from './taken.ts';

/** With so many in line nothing more is read of the connection. Those stay that came in one piece with the last. */
const MAX_WAITING = 32;

export function oneAtATime(serve: RequestListener): RequestListener {
  const lines = new WeakMap<Socket, Line>();
  return (request, response) => {
    let line = lines.get(request.socket);
    if (line === undefined) {
      line = new Line(request.socket, serve);
      lines.set(request.socket, line);
    }
    line.take([request, response]);
  };
}

type Exchange = readonly [request: IncomingMessage, response: ServerResponse];

class Line {
  readonly #socket: Socket;
  readonly #serve: RequestListener;
  readonly #waiting: Exchange[] = [];
  #isServing = false;
  /** The last of the connection is among those that came, answered or not. */
  #isComplete = false;

  constructor(socket: Socket, serve: RequestListener) {
    this.#socket = socket;
    this.#serve = serve;
    // Whoever reads a body resumes the socket.
    socket.on('resume', () => {
      if (this.#isFull) socket.pause();
    });
  }

  take(exchange: Exchange): void {
    // Node reads on behind the last one until that is answered.
    if (this.#isComplete) return;
    const [request, response] = exchange;
    if (isLast(request)) {
      this.#isComplete = true;
      response.setHeader('connection', 'close');
    }
    if (!this.#isServing) {
      this.#begin(exchange);
      return;
    }
    this.#waiting.push(exchange);
    if (this.#isFull) this.#socket.pause();
  }

  get #isFull(): boolean {
    return this.#waiting.length >= (this.#isComplete ? 1 : MAX_WAITING);
  }

  #begin([request, response]: Exchange): void {
    this.#isServing = true;
    response.on('close', () => whenTaken(this.#socket, () => this.#next()));
    this.#serve(request, response);
  }

  #next(): void {
    this.#isServing = false;
    // To a response that has waited Node does not say that its socket is gone.
    if (this.#socket.destroyed) this.#waiting.length = 0;
    const wasFull = this.#isFull;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    if (wasFull && !this.#isFull) this.#socket.resume();
    this.#begin(next);
  }
}
