// One logical event stream of a session: numbered events on whatever connection it has at the moment. Its connection may
// break and be replaced; the stream goes on, and what was sent meanwhile is in the event store.

import type { Chunks, EventReply, EventStore, Reader, Reply, ReplySink, Timer, Timers } from '../domain/ports.ts';
import { joined } from '../protocol/json-rpc.ts';
import { eventFrame, primingFrame, retryFrame } from '../protocol/sse-frames.ts';

export interface StreamOptions {
  readonly id: number;
  readonly store: EventStore;
  readonly timers: Timers;
  /** What the client is asked to wait before it reconnects; null for revisions whose clients know nothing of that. */
  readonly retryMs: number | null;
  /** A connection is ended after this, for the client to come back on another; null: never. */
  readonly maxDurationMs: number | null;
  /** The first byte goes out: from now on the stream can be found by its id. */
  readonly onBegin: (stream: Stream) => void;
  /** Nothing follows. */
  readonly onOver?: () => void;
}

/** A stream that another replica has begun. */
export interface EarlierStream {
  /** Of the last event that is known of it; the client may have seen others. */
  readonly seq: number;
  readonly isOver: boolean;
  /** Said to the client that comes back for the rest: who was to say more is gone. Null: it goes on. */
  readonly lastWords: readonly Chunks[] | null;
}

/** unbegun ─▶ connected ⇄ disconnected ─▶ over   (any ─▶ over) */
export class Stream implements Reader {
  readonly id: number;
  /** Of the last event. */
  #seq = 0;
  #hasBegun = false;
  /** An id was sent, so the client can come back. */
  #isResumable = false;
  #isOver = false;
  /** Null while the client is away. */
  #connection: EventReply | null;
  /** The connection was told that nothing follows, and has not taken everything yet. */
  #hasEnded = false;
  #cut: Timer | null = null;
  /** Set until a client has come back, and only of one that another replica has begun. */
  #earlier: EarlierStream | null = null;
  readonly #options: StreamOptions;

  constructor(options: StreamOptions, connection: EventReply | EarlierStream) {
    this.id = options.id;
    this.#options = options;
    if (isEarlier(connection)) {
      this.#connection = null;
      this.#earlier = connection;
      this.#seq = connection.seq;
      this.#isOver = connection.isOver;
      this.#hasBegun = this.#isResumable = true;
    } else {
      this.#connection = connection;
    }
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get isResumable(): boolean {
    return this.#isResumable;
  }

  /** Whether a client can have seen an event with this number. */
  hasSent(seq: number): boolean {
    // What another replica has sent last need not have been kept.
    return this.#isResumable && (seq <= this.#seq || (this.#earlier !== null && !this.#isOver));
  }

  /** Whether a client that saw this event has seen all that there will be. */
  endedWith(seq: number): boolean {
    return this.#isOver && this.#isResumable && seq === this.#seq;
  }

  get isConnected(): boolean {
    return this.#connection !== null;
  }

  get connection(): EventReply | null {
    return this.#connection;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get backlogBytes(): number {
    return this.#connection?.backlogBytes ?? 0;
  }

  onDrained(tell: () => void): void {
    if (this.#connection === null) tell();
    else this.#connection.onDrained(tell);
  }

  /** The connection is given up; what it did not take is kept for the next one. */
  readerTooSlow(): void {
    this.#disconnect(false);
  }

  /** Sends the headers, and for clients that know of it the event that lets them come back. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const { id, onBegin, retryMs } = this.#options;
    onBegin(this);
    this.#limitDuration();
    if (retryMs === null) {
      this.#connection?.write([]);
      return;
    }
    this.#isResumable = true;
    this.#connection?.write([primingFrame({ stream: id, seq: 0 }, retryMs)]);
  }

  send(message: Chunks): void {
    this.begin();
    const { id, store } = this.#options;
    const seq = ++this.#seq;
    // Copied, since it is kept: a piece of what was read would keep all of that alive.
    const bytes = joined(...message);
    store.append(id, { seq, message: bytes }, this.isConnected);
    this.#isResumable ||= this.isConnected;
    this.#connection?.write(eventFrame([bytes], { stream: id, seq }));
  }

  heartbeat(): void {
    if (!this.#hasBegun) {
      this.begin();
      // The event that primes the client shows life as well.
      if (this.#isResumable) return;
    }
    this.#connection?.heartbeat();
  }

  /** Nothing follows. What was sent can still be asked for. `retryMs`: the client comes back after so long. */
  finish(retryMs: number | null = null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (retryMs !== null) this.#connection?.write([retryFrame(retryMs)]);
    this.#disconnect(true);
    if (this.#hasBegun) this.#options.onOver?.();
  }

  /**
   * The same stream on another connection, from the event after `seq` on. The old one ends: every event goes to one
   * connection only.
   */
  resume(connection: EventReply, seq: number): void {
    const { id, store } = this.#options;
    this.#goOnAfter(seq);
    // What an old connection has not taken is sent again; to wait for it would hold up the new one.
    this.#disconnect(this.backlogBytes === 0);
    this.#connection = connection;
    if (!this.#isOver) this.#limitDuration();
    connection.write([]);
    for (const event of store.after(id, seq)) {
      connection.write(eventFrame([event.message], { stream: id, seq: event.seq }));
    }
    if (!this.#isOver) return;
    // Still known as the connection: another one that asks for the same takes its place.
    this.#hasEnded = true;
    connection.end();
  }

  /** What another replica has begun: behind what the client has seen of it, and to its end where nothing can follow. */
  #goOnAfter(seq: number): void {
    const earlier = this.#earlier;
    if (earlier === null) return;
    this.#earlier = null;
    if (this.#isOver) return;
    this.#seq = Math.max(this.#seq, seq);
    if (earlier.lastWords === null) return;
    for (const words of earlier.lastWords) this.send(words);
    this.finish();
  }

  /** Ends the connection so that the client comes back, after so long where it knows of that. */
  sendAway(retryMs: number | null): void {
    // To wait for one that does not read would hold up everything else of the session.
    const isRead = this.backlogBytes === 0;
    if (retryMs !== null) this.#connection?.write([retryFrame(retryMs)]);
    this.#disconnect(isRead);
  }

  /** The client closed this connection. */
  connectionClosed(connection: EventReply): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    this.#hasEnded = false;
    this.#cut?.cancel();
  }

  #disconnect(politely: boolean): void {
    const connection = this.#connection;
    const hasEnded = this.#hasEnded;
    this.#connection = null;
    this.#hasEnded = false;
    this.#cut?.cancel();
    if (connection === null || (hasEnded && connection.backlogBytes === 0)) return;
    if (politely && !hasEnded) connection.end();
    else connection.abort();
  }

  #limitDuration(): void {
    const { timers, retryMs, maxDurationMs } = this.#options;
    if (retryMs === null || maxDurationMs === null) return;
    this.#cut?.cancel();
    this.#cut = timers.after(maxDurationMs, () => this.sendAway(retryMs));
  }
}

function isEarlier(connection: EventReply | EarlierStream): connection is EarlierStream {
  return 'lastWords' in connection;
}

/**
 * The reply sink of a session's request: plain JSON if the answer comes first, else a stream that outlives its
 * connection.
 */
export class StreamReply implements ReplySink {
  readonly canStream = true;
  readonly #connection: EventReply;
  readonly #open: () => Stream;
  /** Most replies never need one. */
  #stream: Stream | null = null;

  constructor(connection: EventReply, open: () => Stream) {
    this.#connection = connection;
    this.#open = open;
  }

  get isConnected(): boolean {
    return this.#stream?.isConnected ?? true;
  }

  get backlogBytes(): number {
    return (this.#stream ?? this.#connection).backlogBytes;
  }

  onDrained(tell: () => void): void {
    (this.#stream ?? this.#connection).onDrained(tell);
  }

  /** The client closed the connection. True: it has no way to come back for the rest. */
  connectionClosed(): boolean {
    this.#stream?.connectionClosed(this.#connection);
    if (this.#stream?.isResumable === true) return false;
    this.#stream?.finish();
    return true;
  }

  notify(message: Chunks): void {
    this.#begun().send(message);
  }

  heartbeat(): void {
    this.#begun().heartbeat();
  }

  finish(reply: Reply): void {
    if (this.#stream === null) {
      this.#connection.finish(reply);
      return;
    }
    this.#stream.send(reply.body);
    this.#stream.finish();
  }

  end(): void {
    if (this.#stream === null) this.#connection.end();
    else this.#stream.finish();
  }

  #begun(): Stream {
    return (this.#stream ??= this.#open());
  }
}
