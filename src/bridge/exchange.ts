// One downstream request and its single outcome. It decides when the reply becomes an event stream and what its bytes
// are; the sink writes them. Whatever happens in whatever order, `finish`, `end` and the client's leaving take effect
// once, the first of them.

import type { ErrorCode, ProxyError } from '../domain/errors.ts';
import type { Limit } from '../domain/limits.ts';
import type { Chunks, Clock, Reply, ReplySink, Timer, Timers } from '../domain/ports.ts';
import type { ExchangeState } from '../domain/states.ts';
import { OWNER_HEADER } from '../protocol/hop-header.ts';
import { type Answer, ownError, ownResult } from '../protocol/json-rpc.ts';
import { type RewriteName, rewrite } from '../protocol/rewrites.ts';
import type { Edit } from '../protocol/splice.ts';

export type ExchangeOutcome =
  /** The upstream's answer. `changes` are rewrites beside the id. */
  | {
      readonly kind: 'answer';
      readonly answer: Answer;
      readonly changes?: Partial<Record<RewriteName, Uint8Array>>;
      readonly edits?: readonly Edit[];
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** A result of our own: an object, or its bytes. */
  | { readonly kind: 'own'; readonly result: object | Uint8Array }
  | { readonly kind: 'error'; readonly error: ProxyError }
  /** The client cancelled: no JSON-RPC response follows. */
  | { readonly kind: 'cancelled' };

export interface ExchangeEnd {
  readonly outcome: 'result' | 'error' | 'failed' | 'cancelled' | 'client_gone';
  readonly streamed: boolean;
  readonly status?: number | undefined;
  readonly reason?: ErrorCode | undefined;
  /** What the client is told of a failure: where it is a limit, its name. */
  readonly why?: string | undefined;
  readonly limit?: Limit | undefined;
  readonly upstreamStatus?: number | undefined;
  readonly cause?: unknown;
  /** From the request's coming to its outcome. */
  readonly durationMs: number;
  /** Of that, until it was sent upstream: mostly the wait for a link. Undefined where it never was. */
  readonly waitMs?: number | undefined;
  /** Until the first byte of a stream; a JSON reply has none before its outcome. */
  readonly firstByteMs?: number | undefined;
}

export interface ExchangeOptions {
  /** The client's id, its own bytes. */
  readonly id: Uint8Array;
  readonly sink: ReplySink;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Silence after which the reply becomes a stream and shows life; null: never. */
  readonly heartbeatMs: number | null;
  /** The same for the first time, where it is sooner. */
  readonly firstBeatMs?: number;
  /** The upstream's name for `error.data`; never its URL. */
  readonly upstream: string;
  readonly onEnd: (end: ExchangeEnd) => void;
}

export class Exchange {
  #state: ExchangeState = { phase: 'wait' };
  #heartbeat: Timer | null = null;
  /** Told once when the client leaves before the end. Set while a call works for this exchange. */
  #onClientGone: (() => void) | null = null;
  readonly #startedAt: number;
  #sentAt: number | null = null;
  #streamsSince: number | null = null;
  readonly #options: ExchangeOptions;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#restartHeartbeat(options.firstBeatMs);
  }

  get state(): ExchangeState {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state.phase === 'wait' || this.#state.phase === 'stream';
  }

  get canStream(): boolean {
    return this.#options.sink.canStream;
  }

  /** See ReplySink. */
  get isConnected(): boolean {
    return this.#options.sink.isConnected;
  }

  get backlogBytes(): number {
    return this.#options.sink.backlogBytes;
  }

  /** See ReplySink. */
  onDrained(tell: () => void): void {
    this.#options.sink.onDrained(tell);
  }

  /** The call that now works for this exchange, or null when none does. */
  attend(onClientGone: (() => void) | null): void {
    this.#onClientGone = onClientGone;
  }

  /** A call for this exchange goes upstream now; a later attempt counts instead. */
  sent(): void {
    this.#sentAt = this.#options.clock.now();
  }

  /** Passes a notification on; false when this client cannot or need not hear it any more. */
  notify(message: Chunks): boolean {
    if (!this.isOpen || !this.canStream) return false;
    this.#streams();
    this.#options.sink.notify(message);
    this.#restartHeartbeat();
    return true;
  }

  finish(outcome: ExchangeOutcome): void {
    if (!this.isOpen) return;
    const streamed = this.#state.phase === 'stream';
    // Over before the last byte is written: the `close` of a finished response is no cancel.
    this.#close({ phase: 'done' });
    if (outcome.kind === 'cancelled') {
      this.#options.sink.end();
      this.#ended('cancelled', streamed);
      return;
    }
    const reply = this.#reply(outcome);
    this.#options.sink.finish(reply);
    const status = streamed ? 200 : reply.status;
    if (outcome.kind === 'error') this.#ended('failed', streamed, status, outcome.error);
    else if (outcome.kind === 'answer' && outcome.answer.kind === 'error') this.#ended('error', streamed, status);
    else this.#ended('result', streamed, status);
  }

  /** The client's socket closed before the end. */
  clientGone(): void {
    if (!this.isOpen) return;
    const streamed = this.#state.phase === 'stream';
    const tell = this.#onClientGone;
    this.#close({ phase: 'gone' });
    this.#ended('client_gone', streamed);
    tell?.();
  }

  #close(state: ExchangeState): void {
    this.#state = state;
    this.#heartbeat?.cancel();
    this.#heartbeat = null;
    this.#onClientGone = null;
  }

  #streams(): void {
    this.#streamsSince ??= this.#options.clock.now();
    this.#state = { phase: 'stream' };
  }

  /** All of it is said, also what is not there: one object of one shape for each call. */
  #ended(outcome: ExchangeEnd['outcome'], streamed: boolean, status?: number, error?: ProxyError): void {
    this.#options.onEnd({
      outcome,
      streamed,
      status,
      reason: error?.code,
      why: error?.message,
      limit: error?.details.limit,
      upstreamStatus: error?.details.upstreamStatus,
      cause: error?.cause,
      durationMs: this.#sinceStart(this.#options.clock.now()),
      waitMs: this.#sentAt === null ? undefined : this.#sinceStart(this.#sentAt),
      firstByteMs: this.#streamsSince === null ? undefined : this.#sinceStart(this.#streamsSince),
    });
  }

  #sinceStart(at: number): number {
    return Math.round((at - this.#startedAt) * 1000) / 1000;
  }

  #restartHeartbeat(firstMs?: number): void {
    const { heartbeatMs, sink, timers } = this.#options;
    if (heartbeatMs === null || !sink.canStream) return;
    this.#heartbeat?.cancel();
    this.#heartbeat = timers.after(firstMs ?? heartbeatMs, () => {
      this.#streams();
      sink.heartbeat();
      this.#restartHeartbeat();
    });
  }

  #reply(outcome: Exclude<ExchangeOutcome, { kind: 'cancelled' }>): Reply {
    const { id, upstream } = this.#options;
    switch (outcome.kind) {
      case 'answer':
        return {
          status: 200,
          body: rewrite(outcome.answer, { ...outcome.changes, answerId: id }, outcome.edits),
          ...(outcome.headers && { headers: outcome.headers }),
        };
      case 'own':
        return { status: 200, body: [ownResult(id, outcome.result)] };
      case 'error':
        return errorReply(id, outcome.error, upstream);
    }
  }
}

/** What a client is asked to wait where nothing better is known. */
const RETRY_AFTER_MS = 1000;

/** A failure as the client sees it. `upstream` is the name of the upstream it concerns, where it concerns one. */
export function errorReply(id: Uint8Array | null, error: ProxyError, upstream?: string): Reply {
  const { row, details } = error;
  const retryAfterMs = details.retryAfterMs ?? (error.status === 503 ? RETRY_AFTER_MS : undefined);
  const data = {
    reason: error.code,
    ...(upstream !== undefined && { upstream }),
    ...(details.outcome !== undefined && { outcome: details.outcome }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...details.data,
  };
  const headers = {
    ...(retryAfterMs !== undefined && { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) }),
    ...(details.challenge !== undefined && { 'www-authenticate': details.challenge }),
    ...(details.owner !== undefined && { [OWNER_HEADER]: details.owner }),
  };
  return {
    status: error.status,
    body: [ownError(id, { code: row.rpc, message: error.message, data })],
    ...(Object.keys(headers).length > 0 && { headers }),
  };
}
