// What is known of an upstream's health from the links that were opened to it and that died: said when it changes.

import { ERRORS, type ErrorCode, type ProxyError } from '../domain/errors.ts';
import type { Clock, Journal } from '../domain/ports.ts';
import type { Handshake } from '../protocol/upstream-handshake.ts';

export interface UpstreamHealthOptions {
  readonly upstream: string;
  readonly clock: Clock;
  readonly journal: Journal;
}

/** A link that dies so soon after another was opened may have died of it. */
const SUSPICIOUS_MS = 2000;

export class UpstreamHealth {
  readonly #options: UpstreamHealthOptions;
  #state: { readonly is: 'unknown' } | { readonly is: 'up' } | { readonly is: 'down'; readonly reason: ErrorCode } = {
    is: 'unknown',
  };
  #lastOpenAt = Number.NEGATIVE_INFINITY;
  #lastError: { readonly reason: ErrorCode; readonly at: number } | null = null;
  #suspiciousDeaths = 0;
  #server: Pick<Handshake, 'server' | 'revision'> | null = null;

  constructor(options: UpstreamHealthOptions) {
    this.#options = options;
  }

  get is(): 'unknown' | 'up' | 'down' {
    return this.#state.is;
  }

  /** Who it said that it is, the last time. */
  get server(): Pick<Handshake, 'server' | 'revision'> | null {
    return this.#server;
  }

  /** Why a link could not be opened or was lost, the last time. */
  get lastError(): { readonly reason: ErrorCode; readonly agoMs: number } | null {
    const last = this.#lastError;
    return last === null ? null : { reason: last.reason, agoMs: Math.round(this.#options.clock.now() - last.at) };
  }

  /** A link could not be opened, or was lost; there may be others. */
  noted({ code }: ProxyError): void {
    this.#lastError = { reason: code, at: this.#options.clock.now() };
  }

  /** A link begins to open. */
  opening(at: number): void {
    this.#lastOpenAt = at;
  }

  opened({ server, revision }: Handshake): void {
    const { upstream, journal } = this.#options;
    const wasUp = this.#state.is === 'up';
    this.#state = { is: 'up' };
    this.#server = { server, revision };
    if (!wasUp) journal.record({ fact: 'upstream_up', upstream, server, revision });
  }

  /** A link could not be opened, and there is no other. */
  failed(error: ProxyError): void {
    const { upstream, journal } = this.#options;
    const isNews = this.#state.is !== 'down' || this.#state.reason !== error.code;
    this.#state = { is: 'down', reason: error.code };
    if (!isNews) return;
    journal.record({
      fact: 'upstream_down',
      upstream,
      reason: error.code,
      why: error.message,
      remedy: ERRORS[error.code].remedy,
      ...error.seen,
      ...(error.code === 'internal_error' && { cause: error.cause }),
    });
  }

  /** A link died, while there may be several; `openedAt`: when it began to open. */
  linkDied(openedAt: number): void {
    const { upstream, clock, journal } = this.#options;
    if (this.#lastOpenAt <= openedAt || clock.now() - this.#lastOpenAt > SUSPICIOUS_MS) return;
    this.#suspiciousDeaths++;
    if (this.#suspiciousDeaths === 2) journal.record({ fact: 'single_hint', upstream });
  }
}
