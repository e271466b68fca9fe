// The streams of one session: one per request whose reply became a stream, and at most one open GET for what no request
// has caused. Every message goes on exactly one of them, and each of them can be resumed.

import type { StreamConfig } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Chunks, EventReply, EventStore, Random, Reader, Timer, Timers } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import { readEventId } from '../protocol/sse-frames.ts';
import { Stream, StreamReply } from './stream.ts';

export interface SessionStreamsOptions {
  readonly store: EventStore;
  readonly timers: Timers;
  readonly random: Random;
  readonly config: StreamConfig;
  readonly heartbeatMs: number;
  /** Revision 2025-11-25: its clients take an event without data, and know what `retry` is for. */
  readonly primes: boolean;
}

const FORGET_FROM = 64;
/** What bounds the events that are kept: which of them it was stands in the log. */
const KEPT = 'streams.maxAge, streams.maxEvents, streams.maxBytes, limits.bufferedBytes, budgets.bufferedBytes';

export class SessionStreams {
  readonly #options: SessionStreamsOptions;
  #nextId = 1;
  /** Those that have begun: the ones that run, and those that are over but can still be asked for. */
  readonly #begun = new Map<number, Stream>();
  /** The newest GET that was no resumption. */
  #listening: Stream | null = null;
  /** Whose GET it is: it can outlast the key that he came with. */
  readonly #openedBy = new WeakMap<EventReply, Principal>();
  #heartbeat: Timer | null = null;
  #forgetAt = FORGET_FROM;

  constructor(options: SessionStreamsOptions) {
    this.#options = options;
  }

  /** A client is there to hear what no request has caused. */
  get isListening(): boolean {
    return this.#listening?.isConnected === true;
  }

  /** Streams with a connection. */
  get openCount(): number {
    let count = 0;
    for (const stream of this.#begun.values()) if (stream.isConnected) count++;
    return count;
  }

  get primes(): boolean {
    return this.#options.primes;
  }

  isListeningOn(stream: Stream): boolean {
    return this.#listening === stream;
  }

  /** For a request: a stream of its own, if its reply becomes one. */
  reply(connection: EventReply): StreamReply {
    return new StreamReply(connection, () => this.#stream(connection));
  }

  /**
   * A GET without Last-Event-ID. Throws a ProxyError while another one is alive; one that takes nothing any more is
   * replaced.
   */
  listen(connection: EventReply, by: Principal): Stream {
    const current = this.#listening;
    if (current?.isConnected === true) {
      if (current.backlogBytes === 0)
        throw new ProxyError(
          'stream_taken',
          'the session’s stream is open already: close it first, or resume it with Last-Event-ID',
        );
      current.readerTooSlow();
    }
    current?.finish();
    const stream = this.#stream(connection);
    this.#listening = stream;
    this.#openedBy.set(connection, by);
    stream.begin();
    this.#beat();
    return stream;
  }

  /** A GET with Last-Event-ID: the rest of that stream, whichever it was. Throws a ProxyError. */
  resume(lastEventId: string, connection: EventReply, by: Principal): Stream {
    const id = readEventId(lastEventId);
    const stream = id === null ? undefined : this.#begun.get(id.stream);
    if (id !== null && stream?.endedWith(id.seq) === true) {
      // Clients that look for the rest of a stream, such as after a cancel, stop at this answer; any other makes them
      // come back, or take this for the session's stream.
      throw new ProxyError('stream_ended', 'the stream has ended, and nothing follows this event');
    }
    if (stream !== undefined && this.#isForgotten(stream)) {
      throw new ProxyError(
        'event_unknown',
        `nothing of the stream that Last-Event-ID names is kept any more (${KEPT})`,
      );
    }
    if (id === null || stream === undefined || !stream.hasSent(id.seq)) {
      throw new ProxyError('event_unknown', 'Last-Event-ID names no stream of this session that could be resumed');
    }
    this.#openedBy.set(connection, by);
    stream.resume(connection, id.seq);
    if (stream === this.#listening) this.#beat();
    return stream;
  }

  /** Sends to the one who listens; null when nobody does. */
  send(message: Chunks): Reader | null {
    if (this.#listening?.isConnected !== true) return null;
    this.#listening.send(message);
    return this.#listening;
  }

  /** Ends the GETs of those, whose streams can be resumed. Replies to a POST end with their calls. */
  endThose(areMeant: (by: Principal) => boolean): void {
    const { primes, config } = this.#options;
    for (const stream of this.#begun.values()) {
      // Its connection has been told that nothing follows.
      if (stream.isOver) continue;
      const by = stream.connection === null ? undefined : this.#openedBy.get(stream.connection);
      if (by !== undefined && areMeant(by)) stream.sendAway(primes ? config.retry : null);
    }
  }

  /** The session is over. `isForAll`: others end with it, whose clients must not all come back at once. */
  end(isForAll: boolean): void {
    const { config, random, primes, store } = this.#options;
    this.#heartbeat?.cancel();
    for (const stream of this.#begun.values()) {
      stream.finish(isForAll && primes ? Math.round(config.retry * (1 + random.fraction())) : null);
    }
    this.#begun.clear();
    this.#listening = null;
    store.close();
  }

  #stream(connection: EventReply): Stream {
    const { store, timers, config, primes } = this.#options;
    return new Stream(
      {
        id: this.#nextId++,
        store,
        timers,
        retryMs: primes ? config.retry : null,
        maxDurationMs: config.maxDuration > 0 ? config.maxDuration : null,
        onBegin: (stream) => {
          this.#forgetOld();
          this.#begun.set(stream.id, stream);
        },
      },
      connection,
    );
  }

  /** Over, and nothing of it is kept any more. */
  #isForgotten(stream: Stream): boolean {
    return stream.isOver && !this.#options.store.has(stream.id);
  }

  /** Looks through all of them only when their number has doubled. */
  #forgetOld(): void {
    if (this.#begun.size < this.#forgetAt) return;
    for (const stream of this.#begun.values()) if (this.#isForgotten(stream)) this.#begun.delete(stream.id);
    this.#forgetAt = Math.max(FORGET_FROM, 2 * this.#begun.size);
  }

  #beat(): void {
    const { timers, random, heartbeatMs } = this.#options;
    this.#heartbeat?.cancel();
    this.#heartbeat = timers.after(heartbeatMs * (0.8 + 0.4 * random.fraction()), () => {
      if (this.#listening?.isConnected !== true) return;
      this.#listening.heartbeat();
      this.#beat();
    });
  }
}
