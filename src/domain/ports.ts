// The ports through which the pure parts touch the world: time, chance, the two sides of the wire, and the journal.

import type { Dropped } from './drops.ts';
import type { ErrorCode, ProxyError } from './errors.ts';
import type { LinkId } from './ids.ts';
import type { Limit } from './limits.ts';
import type { HopOutcome, PeerState } from './replicas.ts';
import type { StoreFaultKind, StoreOperation, StoreOutcome, StoreReject, TakeoverOutcome } from './store-faults.ts';
import type { LinkCloseReason, LinkState, SessionEnd } from './states.ts';

/** A message or body as pieces to be written one after the other. */
export type Chunks = readonly Uint8Array[];

/** Milliseconds that never run backwards. */
export interface Clock {
  now(): number;
}

export interface Timer {
  /** After this the timer never fires. Safe to call twice. */
  cancel(): void;
}

export interface Timers {
  after(ms: number, fire: () => void): Timer;
}

export interface Random {
  /** In [0, 1). */
  fraction(): number;
  bytes(length: number): Uint8Array;
}

/** The one final answer of an exchange, ready to be written. */
export interface Reply {
  /** Used while the headers are unsent; a stream that has begun stays 200. */
  readonly status: number;
  readonly body: Chunks;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Where an exchange's answer is written, as JSON or as an event stream; downstream implements it. The exchange calls
 * it in this order: any number of notify and heartbeat, then finish or end once, then never again.
 */
export interface ReplySink {
  /** Whether the client takes an event stream. Where it does not, notify and heartbeat are never called. */
  readonly canStream: boolean;
  /** False while a stream waits for its client to come back. */
  readonly isConnected: boolean;
  /** Bytes that the client has not taken yet. */
  readonly backlogBytes: number;
  notify(message: Chunks): void;
  /** Tells once, when the client has taken everything, or is gone. */
  onDrained(tell: () => void): void;
  heartbeat(): void;
  finish(reply: Reply): void;
  /** The exchange is over without a JSON-RPC response: 202 while the headers are unsent, else the stream closes. */
  end(): void;
}

/** A reply that is, or can become, an event stream; downstream implements it. */
export interface EventReply extends ReplySink {
  /** Whole frames, as they are; the first makes the reply an event stream. Without any, only its headers go out. */
  write(frames: Chunks): void;
  /** Cuts the connection, whatever of it is not taken yet. */
  abort(): void;
}

/** An event of a stream, as it was sent or would have been. */
export interface StoredEvent {
  /** Its number within the stream, from 1. */
  readonly seq: number;
  readonly message: Uint8Array;
}

export interface StreamedEvent {
  readonly stream: number;
  readonly event: StoredEvent;
}

/**
 * What was sent on the streams of one session, so that a stream whose connection broke can go on where it stood.
 * Bounded: the oldest events go first, whatever stream they belong to.
 */
export interface EventStore {
  /** `isSent`: somebody was connected to take it. One that goes without ever having been sent is lost, and counted. */
  append(stream: number, event: StoredEvent, isSent: boolean): void;
  /** The events of one stream after a number, in order. They count as sent from now on. */
  after(stream: number, seq: number): readonly StoredEvent[];
  /** Whether any event of this stream is kept. */
  has(stream: number): boolean;
  /** All that is kept, in order. */
  all(): readonly StreamedEvent[];
  /** Counts bytes that are kept for the session elsewhere, or no more; false: there is no room for them. */
  hold(bytes: number): boolean;
  /** The session is over. */
  close(): void;
}

/** Somebody who takes what is written to him, in his own time. */
export interface Reader {
  /** Bytes that the client has not taken yet. */
  readonly backlogBytes: number;
  /** Tells once, when the client has taken everything, or is gone. */
  onDrained(tell: () => void): void;
  /** He does not read, and must not hold up others: what he reads ends. */
  readerTooSlow(): void;
}

/** What became of one POST. */
export type PostOutcome =
  /** A 2xx. Some servers put the answer into the body: it is handed over if it looks like JSON. */
  | { readonly kind: 'accepted'; readonly body: Uint8Array | null }
  /** No byte of it was written. */
  | { readonly kind: 'unsent'; readonly error: ProxyError }
  /** 404, 410, or a 400 that names the session: it never ran, and the link is dead. */
  | { readonly kind: 'session_refused' }
  /** 503: the link is dead, and the message may have run. */
  | { readonly kind: 'session_gone'; readonly error: ProxyError }
  /** Another 3xx or 4xx: this message failed, the link may live. */
  | { readonly kind: 'rejected'; readonly error: ProxyError }
  /** It broke after bytes were written, or a 5xx came back: the message may have run. */
  | { readonly kind: 'broken'; readonly error: ProxyError };

/** One initialized SSE stream to an upstream and its POST URL. It dies as a whole and is never reopened. */
export interface Link {
  readonly id: LinkId;
  readonly state: LinkState;
  /** When the upstream last showed a sign of life (any byte counts), by Clock. */
  readonly heardAt: number;
  /**
   * Sends one message; `deadlineMs` null: the sender gives it up in time. `done` is called once, never before send returns. What is returned gives the POST up: its
   * outcome is then of no interest, and `done` is not called any more; the link's closing gives all of them up.
   */
  send(message: Chunks, deadlineMs: number | null, done: (outcome: PostOutcome) => void): () => void;
  /** Answers a request of the upstream, in turn; `done` is called once, unless the link closes before. */
  answer(message: Chunks, done: (outcome: PostOutcome) => void): void;
  /** Takes an answer that came as the body of a POST instead of on the stream; other bodies mean nothing. */
  take(body: Uint8Array): void;
  /** Stops and restarts reading from the upstream; pauses nest. */
  pause(): void;
  resume(): void;
  /** Idempotent. */
  close(reason: LinkCloseReason): void;
}

/**
 * Things that happened, as typed facts; `limit`: the key that was met, where one was. observe turns each into a log line and a count; nothing else may be the only
 * trace of something that was dropped.
 */
export type Fact =
  | {
      readonly fact: 'exchange';
      readonly upstream: string;
      readonly mode: 'session' | 'sessionless' | 'modern';
      /** What the client speaks, as far as it says so. */
      readonly revision: string;
      readonly method: string;
      /** The tool, prompt or resource that was named, where there is one. */
      readonly name?: string | undefined;
      /** Its address. */
      readonly client?: string | undefined;
      readonly outcome: 'result' | 'error' | 'cancelled' | 'client_gone' | 'failed';
      readonly status?: number | undefined;
      readonly reason?: ErrorCode | undefined;
      readonly why?: string | undefined;
      readonly limit?: Limit | undefined;
      readonly streamed: boolean;
      readonly durationMs: number;
      /** Of that, until it was sent upstream; absent where it never was. */
      readonly waitMs?: number | undefined;
      /** Until the first byte of a stream. */
      readonly firstByteMs?: number | undefined;
      readonly upstreamStatus?: number | undefined;
      readonly cause?: unknown;
    }
  /** Refused before it became an exchange. */
  | {
      readonly fact: 'refused';
      /** Where it came in, if not where clients connect. */
      readonly listener?: 'admin' | 'peers';
      readonly reason: ErrorCode;
      readonly status: number;
      readonly why: string;
      readonly client?: string | undefined;
      readonly limit?: Limit;
      readonly cause?: unknown;
    }
  | {
      readonly fact: 'dropped';
      readonly upstream: string;
      readonly what: Dropped;
      readonly limit?: Limit;
      readonly detail?: string;
    }
  | {
      readonly fact: 'link_open';
      readonly upstream: string;
      readonly link: LinkId;
      readonly revision: string;
      readonly openMs: number;
    }
  | {
      readonly fact: 'link_closed';
      readonly upstream: string;
      readonly link: LinkId;
      readonly reason: LinkCloseReason;
      readonly why?: string;
    }
  | {
      readonly fact: 'link_failed';
      readonly upstream: string;
      readonly link: LinkId;
      readonly reason: ErrorCode;
      readonly why: string;
      readonly remedy: string;
      readonly limit?: Limit;
      readonly upstreamStatus?: number;
    }
  | { readonly fact: 'upstream_up'; readonly upstream: string; readonly server: string; readonly revision: string }
  | {
      readonly fact: 'upstream_down';
      readonly upstream: string;
      readonly reason: ErrorCode;
      readonly why: string;
      readonly remedy: string;
      readonly limit?: Limit;
      readonly upstreamStatus?: number;
      readonly cause?: unknown;
    }
  /** One of the upstream's URLs is not tried for a while, or is again; `url`: its place among them. */
  | { readonly fact: 'breaker'; readonly upstream: string; readonly url: number; readonly isOpen: boolean }
  /** A link heard an answer that another of our links asked for: from now on there is one link. */
  | { readonly fact: 'single_by_proof'; readonly upstream: string }
  /** The same where links cannot be one: they carry credentials of different callers. */
  | { readonly fact: 'single_impossible'; readonly upstream: string }
  /** A link died right after another was opened, twice: the operator should try --single. */
  | { readonly fact: 'single_hint'; readonly upstream: string }
  | { readonly fact: 'session_opened'; readonly upstream: string; readonly revision: string }
  /** The link of a session was lost, and the session goes on with another. */
  | { readonly fact: 'session_reopened'; readonly upstream: string }
  | {
      readonly fact: 'session_ended';
      readonly upstream: string;
      readonly why: SessionEnd;
      readonly limit?: Limit;
    }
  /** The store answers again, or does not: everything that lives here goes on. */
  | { readonly fact: 'store_up' }
  | {
      readonly fact: 'store_down';
      readonly reason: StoreFaultKind;
      readonly why: string;
      readonly remedy: string;
      readonly cause?: unknown;
    }
  | { readonly fact: 'store_operation'; readonly operation: StoreOperation; readonly outcome: StoreOutcome }
  /** Something stood in the store that is not ours, and was passed over. */
  | { readonly fact: 'store_rejected'; readonly what: StoreReject }
  /** What was to be written there was given up where it waited; what it is of is written as a whole later. */
  | { readonly fact: 'store_dropped'; readonly what: 'event'; readonly count: number }
  /** A session of another replica was asked for here, and what came of it. */
  | { readonly fact: 'takeover'; readonly upstream: string; readonly outcome: TakeoverOutcome }
  /** Another configuration goes now: what became of the upstreams, and which of the other keys have changed. */
  | {
      readonly fact: 'reloaded';
      readonly kept: readonly string[];
      readonly replaced: readonly string[];
      readonly added: readonly string[];
      readonly removed: readonly string[];
      readonly changed: readonly string[];
    }
  /** The public keys of an issuer could not be fetched; those that are held are used as long as they may be. */
  | { readonly fact: 'keys_unread'; readonly server: string; readonly why: string; readonly cause?: unknown }
  /** They were fetched, and those of them that can be used go from now on, if there are any. */
  | { readonly fact: 'keys_unusable'; readonly server: string; readonly why: string }
  /** What a reload could not change. */
  | { readonly fact: 'needs_restart'; readonly keys: readonly string[] }
  /** Everything is as it was. */
  | { readonly fact: 'reload_failed'; readonly why: string; readonly cause?: unknown }
  /** A listener shows another one from now on. */
  | { readonly fact: 'certificate_renewed'; readonly section: 'listen' | 'admin'; readonly validTo: string }
  /** A bug of ours, met where nobody waits for an answer. */
  | { readonly fact: 'fault'; readonly upstream: string; readonly cause: unknown }
  /** A GET: a new stream for what no call has caused, or the rest of a stream that broke. */
  | { readonly fact: 'stream_opened'; readonly upstream: string; readonly how: 'new' | 'resumed' }
  /** A request was passed on to another replica, and that is over; of a stream, the stream. */
  | {
      readonly fact: 'hop';
      readonly upstream: string;
      readonly method: 'GET' | 'POST' | 'DELETE';
      /** HOST:PORT of the other one. */
      readonly peer: string;
      readonly client?: string | undefined;
      readonly outcome: HopOutcome;
      readonly durationMs: number;
      readonly cause?: unknown;
    }
  /** What came to the listener for replicas was not passed on to us by one of ours. */
  | { readonly fact: 'hop_refused'; readonly why: string; readonly client?: string | undefined }
  /** How another replica is has changed. `clockMs`: so far its clock is ahead of ours, where that is known. */
  | {
      readonly fact: 'peer';
      readonly peer: string;
      readonly state: PeerState;
      readonly clockMs?: number;
      readonly remedy?: string;
      readonly cause?: unknown;
    }
  /** An old client has an event stream of the upstream. */
  | { readonly fact: 'passthrough_opened'; readonly upstream: string }
  /** A request of an old client is over; of a stream, the stream. */
  | {
      readonly fact: 'passthrough';
      readonly upstream: string;
      readonly method: 'GET' | 'POST';
      readonly client?: string | undefined;
      /** Absent where the client left before there was one. */
      readonly status?: number;
      readonly durationMs: number;
      readonly reason?: ErrorCode;
      readonly why?: string;
      readonly limit?: Limit;
      readonly upstreamStatus?: number;
      readonly cause?: unknown;
    };

export interface Journal {
  record(fact: Fact): void;
}
