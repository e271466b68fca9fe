// Many exchanges answered by one reply: as one JSON array if nothing has to be said before the last of them is done,
// else as a stream in which each answer is an event of its own.

import type { Chunks, Reply, ReplySink, Timer, Timers } from '../domain/ports.ts';
import { encode } from '../protocol/json-rpc.ts';

/** Answers held for an array; beyond it a client that takes streams gets what is there. */
const MAX_HELD_BYTES = 1024 * 1024;

export class BatchReply {
  readonly #sink: ReplySink;
  readonly #timers: Timers;
  readonly #heartbeatMs: number;
  #heartbeat: Timer | null = null;
  #open = 0;
  #isStreaming = false;
  #held: Reply[] = [];
  #heldBytes = 0;

  /** `heartbeatMs`: silence after which the reply becomes a stream and shows life; the exchanges have none of their own. */
  constructor(sink: ReplySink, timers: Timers, heartbeatMs: number) {
    this.#sink = sink;
    this.#timers = timers;
    this.#heartbeatMs = heartbeatMs;
    if (sink.canStream) this.#beatLater();
  }

  /** The client has left. */
  stop(): void {
    this.#heartbeat?.cancel();
  }

  /** The sink of one more exchange. All are asked for before the first of them ends. */
  member(): ReplySink {
    this.#open++;
    const sink = this.#sink;
    return {
      canStream: sink.canStream,
      get isConnected() {
        return sink.isConnected;
      },
      get backlogBytes() {
        return sink.backlogBytes;
      },
      onDrained: (tell) => sink.onDrained(tell),
      notify: (message: Chunks) => {
        this.#stream();
        sink.notify(message);
        this.#beatLater();
      },
      heartbeat: () => {
        sink.heartbeat();
        this.#stream();
      },
      finish: (reply) => {
        this.#take(reply);
        this.#oneLess();
      },
      end: () => this.#oneLess(),
    };
  }

  #beatLater(): void {
    this.#heartbeat?.cancel();
    this.#heartbeat = this.#timers.after(this.#heartbeatMs, () => {
      this.#sink.heartbeat();
      this.#stream();
      this.#beatLater();
    });
  }

  #take(reply: Reply): void {
    if (this.#isStreaming) {
      this.#sink.notify(reply.body);
      return;
    }
    this.#held.push(reply);
    this.#heldBytes += reply.body.reduce((sum, { length }) => sum + length, 0);
    if (this.#heldBytes > MAX_HELD_BYTES && this.#sink.canStream) this.#stream();
  }

  #stream(): void {
    this.#isStreaming = true;
    for (const reply of this.#held.splice(0)) this.#sink.notify(reply.body);
  }

  #oneLess(): void {
    this.#open--;
    if (this.#open > 0) return;
    this.stop();
    if (this.#isStreaming || this.#held.length === 0) this.#sink.end();
    else this.#sink.finish(arrayOf(this.#held));
  }
}

function arrayOf(replies: readonly Reply[]): Reply {
  const body: Uint8Array[] = [];
  for (const reply of replies) body.push(body.length === 0 ? OPEN : COMMA, ...reply.body);
  body.push(CLOSE);
  // A status says something of all of them, or nothing: one that is 503 must not have the others sent again.
  const [first] = replies;
  const isOne = first !== undefined && replies.every(({ status }) => status === first.status);
  return isOne ? { ...first, body } : { status: 200, body };
}

const OPEN = encode('[');
const COMMA = encode(',');
const CLOSE = encode(']');
