// The streams of one session: one per request whose reply became a stream, and at most one open GET for what no request
// has caused. Every message goes on exactly one of them, and each of them can be resumed.

import type { StreamConfig } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Chunks, EventReply, EventStore, Random, Reader, StreamedEvent, Timer, Timers } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import type { RunningStream } from '../protocol/session-record.ts';
import { readEventId } from '../protocol/sse-frames.ts';
import { Stream, type StreamOptions, StreamReply } from './stream.ts';

export interface SessionStreamsOptions {
  readonly store: EventStore;
  readonly timers: Timers;
  readonly random: Random;
  readonly config: StreamConfig;
  readonly heartbeatMs: number;
  /** Revision 2025-11-25: its clients take an event without data, and know what `retry` is for. */
  readonly primes: boolean;
  /** Of those of one replica: none has the number of one that another has begun, whether that is known here or not. */
  readonly firstId?: number;
  /** What `running` and `listening` say is another by now. */
  readonly onChange?: () => void;
}

/** What is known of the streams of a session that another replica had. */
export interface EarlierStreams {
  readonly events: readonly StreamedEvent[];
  readonly listening: number | null;
  readonly running: readonly RunningStream[];
  /** What a client is told in place of the answer to the request of this id. */
  readonly lastWords: (answers: string) => Chunks;
}

const FORGET_FROM = 64;
const NONE = (): readonly string[] => [];
/** What bounds the events that are kept: which of them it was stands in the log. */
const KEPT = 'streams.maxAge, streams.maxEvents, streams.maxBytes, limits.bufferedBytes, budgets.bufferedBytes';

export class SessionStreams {
  readonly #options: SessionStreamsOptions;
  #nextId: number;
  /** Those that have begun: the ones that run, and those that are over but can still be asked for. */
  readonly #begun = new Map<number, Stream>();
  /** The newest GET that was no resumption. */
  #listening: Stream | null = null;
  /** Of those that are the reply to requests and have not come to their end: see RunningStream. */
  readonly #answers = new Map<Stream, () => readonly string[]>();
  /** Whose GET it is: it can outlast the key that he came with. */
  readonly #openedBy = new WeakMap<EventReply, Principal>();
  #heartbeat: Timer | null = null;
  #forgetAt = FORGET_FROM;

  constructor(options: SessionStreamsOptions) {
    this.#options = options;
    this.#nextId = options.firstId ?? 1;
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

  /** The newest GET that was no resumption, if it is one of those that have not ended. */
  get listening(): number | null {
    return this.#listening === null || this.#listening.isOver ? null : this.#listening.id;
  }

  /** Replies that have not come to their end. */
  get running(): readonly RunningStream[] {
    return [...this.#answers].map(([{ id }, answers]) => ({ stream: id, answers: answers() }));
  }

  /** Streams that another replica has begun: those of whom events are kept, and those that had not come to their end. */
  restore({ events, listening, running, lastWords }: EarlierStreams): void {
    const last = new Map<number, number>();
    for (const { stream, event } of events) {
      last.set(stream, Math.max(last.get(stream) ?? 0, event.seq));
      this.#options.store.append(stream, event, true);
    }
    for (const stream of [...running.map((each) => each.stream), ...(listening === null ? [] : [listening])]) {
      if (!last.has(stream)) last.set(stream, 0);
    }
    for (const [id, seq] of last) {
      const answers = running.find(({ stream }) => stream === id)?.answers;
      const stream = new Stream(this.#streamOptions(id), {
        seq,
        isOver: answers === undefined && id !== listening,
        lastWords: answers?.map((answer) => lastWords(answer)) ?? null,
      });
      this.#begun.set(id, stream);
      if (answers !== undefined) this.#answers.set(stream, () => answers);
      if (id === listening) this.#listening = stream;
    }
  }

  /** For a request: a stream of its own, if its reply becomes one. `answers`: see RunningStream. */
  reply(connection: EventReply, answers: () => readonly string[] = NONE): StreamReply {
    return new StreamReply(connection, () => {
      const stream = this.#stream(connection);
      this.#answers.set(stream, answers);
      return stream;
    });
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
    this.#answers.clear();
    this.#listening = null;
    store.close();
  }

  /** Ends every connection so that the client comes back at once, to whoever has the session then. */
  sendAllAway(): void {
    const { primes, config } = this.#options;
    for (const stream of this.#begun.values()) if (!stream.isOver) stream.sendAway(primes ? config.retry : null);
  }

  #stream(connection: EventReply): Stream {
    return new Stream(this.#streamOptions(this.#nextId++), connection);
  }

  #streamOptions(id: number): StreamOptions {
    const { store, timers, config, primes, onChange } = this.#options;
    return {
      id,
      store,
      timers,
      retryMs: primes ? config.retry : null,
      maxDurationMs: config.maxDuration > 0 ? config.maxDuration : null,
      onBegin: (stream) => {
        this.#forgetOld();
        this.#begun.set(stream.id, stream);
        onChange?.();
      },
      onOver: () => {
        const stream = this.#begun.get(id);
        if (stream !== undefined) this.#answers.delete(stream);
        onChange?.();
      },
    };
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
