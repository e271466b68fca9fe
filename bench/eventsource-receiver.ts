// The receiving side of the eventsource bench, a child process that knows one way to read an event stream.
// One way per process, so that no call site is slowed by shapes the other ways brought in. All three open the same
// request through the same undici dispatch; they differ in what happens to a chunk.
import { connect, type Socket } from 'node:net';
import { EventSource } from 'eventsource';
import { Client, type Dispatcher } from 'undici';
import { endWithParent } from './child.ts';
import { SseFrameCutter } from '../src/protocol/sse-frame-cutter.ts';

export type Way = 'count' | 'cutter' | 'eventsource';

export interface Round {
  readonly streamPort: number;
  readonly ackPort: number;
  readonly path: string;
  /** Bytes of one message, and of the SSE frame around it. */
  readonly dataBytes: number;
  readonly frameBytes: number;
  readonly batch: number;
  readonly warmUp: number;
  readonly count: number;
}

export interface Outcome {
  readonly cpuUs: number;
  readonly wallUs: number;
}

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** Told how many messages came, and at the end how many bytes they held; acknowledges batches and takes the times. */
class Tally {
  readonly done: Promise<Outcome>;
  #finish: (outcome: Outcome) => void = () => {};
  #fail: (error: Error) => void = () => {};
  readonly #round: Round;
  readonly #acks: Socket;
  #messages = 0;
  #bytes = 0;
  #cpu = process.cpuUsage();
  #startedAt = 0;

  constructor(round: Round, acks: Socket) {
    this.#round = round;
    this.#acks = acks;
    this.done = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
  }

  message(bytes: number): void {
    this.#bytes += bytes;
    this.#messages += 1;
    const { batch, warmUp, count, dataBytes } = this.#round;
    if (this.#messages === warmUp) {
      this.#cpu = process.cpuUsage();
      this.#startedAt = performance.now();
    }
    if (this.#messages === warmUp + count) {
      const spent = process.cpuUsage(this.#cpu);
      const wallMs = performance.now() - this.#startedAt;
      if (this.#bytes !== dataBytes * this.#messages) this.fail(new Error(`wrong sizes: ${this.#bytes} bytes`));
      this.#finish({ cpuUs: (spent.user + spent.system) / count, wallUs: (wallMs * 1000) / count });
    }
    if (this.#messages % batch === 0) this.#acks.write('.');
  }

  fail(error: Error): void {
    this.#fail(error);
  }
}

type ChunkTaker = (chunk: Buffer, controller: Dispatcher.DispatchController) => void;

function open(client: Client, round: Round, take: ChunkTaker, ended: (error?: Error) => void): void {
  client.dispatch(
    { path: round.path, method: 'GET', headers: { accept: 'text/event-stream' }, bodyTimeout: 0 },
    {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData: (controller, chunk) => take(chunk, controller),
      onResponseEnd: () => ended(),
      onResponseError: (_controller, error) => ended(error),
    },
  );
}

const ways: Record<Way, (client: Client, round: Round, tally: Tally) => void> = {
  count(client, round, tally) {
    let owed = 0;
    open(
      client,
      round,
      (chunk) => {
        owed += chunk.length;
        for (; owed >= round.frameBytes; owed -= round.frameBytes) tally.message(round.dataBytes);
      },
      (error) => error && tally.fail(error),
    );
  },

  cutter(client, round, tally) {
    const unexpected = (): void => tally.fail(new Error('something that is no message'));
    const out = { message: (data: Uint8Array) => tally.message(data.length), rest: unexpected, comment: unexpected };
    const cutter = new SseFrameCutter(out, { maxMessageBytes: MAX_MESSAGE_BYTES });
    open(
      client,
      round,
      (chunk) => cutter.push(chunk) || unexpected(),
      (error) => error && tally.fail(error),
    );
  },

  eventsource(client, round, tally) {
    const stream = new EventSource(`http://127.0.0.1:${round.streamPort}${round.path}`, {
      maxBufferSize: MAX_MESSAGE_BYTES,
      fetch: (url) =>
        Promise.resolve({
          status: 200,
          url: String(url),
          redirected: false,
          headers: { get: (name: string) => (name === 'content-type' ? 'text/event-stream' : null) },
          body: { getReader: () => gatedReader(client, round) },
        }),
    });
    stream.addEventListener('message', (event) => {
      const data: unknown = event.data;
      // The gateway forwards bytes, so the string the library hands out has to be turned back.
      if (typeof data === 'string') tally.message(Buffer.from(data).length);
    });
    // Without the close the library would open the next connection by itself.
    stream.addEventListener('error', () => stream.close());
  },
};

type ReadResult = { done: false; value: Buffer } | { done: true; value?: undefined };

/** A Fetch-like reader over dispatch: a chunk goes straight to a waiting read, or into a queue that pauses the socket. */
function gatedReader(client: Client, round: Round): { read(): Promise<ReadResult>; cancel(): Promise<void> } {
  const maxQueuedBytes = 64 * 1024;
  const queue: Buffer[] = [];
  let queuedBytes = 0;
  let ended = false;
  let waiting: ((result: ReadResult) => void) | undefined;
  let controller: Dispatcher.DispatchController | undefined;
  open(
    client,
    round,
    (chunk, from) => {
      controller = from;
      if (waiting) {
        const resolve = waiting;
        waiting = undefined;
        resolve({ done: false, value: chunk });
        return;
      }
      queue.push(chunk);
      queuedBytes += chunk.length;
      if (queuedBytes > maxQueuedBytes) from.pause();
    },
    () => {
      ended = true;
      waiting?.({ done: true });
    },
  );
  return {
    read() {
      const value = queue.shift();
      if (value) {
        queuedBytes -= value.length;
        if (queuedBytes === 0) controller?.resume();
        return Promise.resolve({ done: false, value });
      }
      if (ended) return Promise.resolve({ done: true });
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    cancel: () => Promise.resolve(),
  };
}

async function run(way: Way, round: Round): Promise<Outcome> {
  const acks = connect({ host: '127.0.0.1', port: round.ackPort, noDelay: true });
  await new Promise<void>((resolve, reject) => acks.once('connect', resolve).once('error', reject));
  const client = new Client(`http://127.0.0.1:${round.streamPort}`, { bodyTimeout: 0 });
  const tally = new Tally(round, acks);
  ways[way](client, round, tally);
  const outcome = await tally.done;
  acks.destroy();
  await client.destroy();
  return outcome;
}

endWithParent();
process.on('message', (order: { way: Way; round: Round }) => {
  run(order.way, order.round).then(
    (outcome) => process.send?.(outcome),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
