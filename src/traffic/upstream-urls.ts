// The URLs of one upstream, and which of them the next connection goes to: the one on which the fewest are being opened, then
// the one that has the fewest, the first of equals; one that has just failed only where the others have failed too.

import type { UpstreamConfig } from '../config/schema.ts';
import { type ErrorCode, ProxyError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports.ts';
import { Breaker } from '../upstream/breaker.ts';
import { type UpstreamUrl, upstreamUrl } from '../upstream/upstream-url.ts';

/** A connection to one of them: counted from when it is chosen until it is over. */
export interface Choice {
  readonly url: UpstreamUrl;
  opened(): void;
  /** It could not be opened, for this reason, and is over. */
  failed(reason: ErrorCode): void;
  /** It was left before it was known whether it could be opened; nothing once that is known. */
  gaveUp(): void;
  /** A message on it was taken, or was answered by an error of the server as a whole. */
  posted(isTaken: boolean): void;
  /** The upstream has cut it. */
  cut(): void;
  /** Idempotent. */
  over(): void;
}

interface Entry {
  readonly url: UpstreamUrl;
  readonly breaker: Breaker;
  connections: number;
  /** Of those, the ones of which it is not known yet whether they can be opened. */
  opening: number;
  failedAt: number;
  /** Of what failed last. */
  failure: ErrorCode | null;
}

const NEVER = Number.NEGATIVE_INFINITY;

export class UpstreamUrls {
  readonly #entries: readonly Entry[];
  readonly #clock: Clock;
  readonly #avoidMs: number;

  /** `avoidMs`: how long one that has failed comes after the others. `onBreaker`: of which URL. */
  constructor(
    upstream: UpstreamConfig,
    clock: Clock,
    avoidMs: number,
    onBreaker: (index: number, isOpen: boolean) => void = () => {},
  ) {
    this.#entries = upstream.urls.map((url, index) => ({
      url: upstreamUrl(url, index, upstream),
      breaker: new Breaker(clock, (isOpen) => onBreaker(index, isOpen)),
      connections: 0,
      opening: 0,
      failedAt: NEVER,
      failure: null,
    }));
    this.#clock = clock;
    this.#avoidMs = avoidMs;
  }

  get count(): number {
    return this.#entries.length;
  }

  at(index: number): UpstreamUrl | null {
    return this.#entries[index]?.url ?? null;
  }

  /** How many of them are not to be tried for now. */
  get openBreakers(): number {
    return this.#entries.filter(({ breaker }) => breaker.isOpen).length;
  }

  /** Milliseconds until the first of those may be tried again; null: there are none. */
  get nextTryMs(): number | null {
    const waits = this.#entries.filter(({ breaker }) => breaker.isOpen).map(({ breaker }) => breaker.retryAfterMs);
    return waits.length === 0 ? null : Math.min(...waits);
  }

  /** What there is to say where none of them may be tried for now; null where one may. */
  get refusal(): ProxyError | null {
    return this.#entries.some(({ breaker }) => breaker.retryAfterMs === 0) ? null : this.#refusal();
  }

  /** A message for this one of them was taken, or was answered by an error of the server as a whole. */
  posted(index: number, isTaken: boolean): void {
    const entry = this.#entries[index];
    if (entry === undefined) return;
    if (!isTaken) entry.failure = 'post_failed';
    if (isTaken) entry.breaker.succeeded();
    else entry.breaker.rejected();
  }

  /** Throws a ProxyError where none but those in `tried` may be tried for now; adds to these. */
  choose(tried: Set<number> = new Set()): Choice {
    const since = this.#clock.now() - this.#avoidMs;
    const failure = ({ failedAt }: Entry): number => (failedAt > since ? failedAt : NEVER);
    const candidates = this.#entries.filter(({ url, breaker }) => !tried.has(url.index) && breaker.retryAfterMs === 0);
    if (candidates.length === 0) throw this.#refusal();
    const best = candidates.reduce((first, next) => {
      const [before, after] = [failure(first), failure(next)];
      if (before !== after) return after < before ? next : first;
      // One that takes its time to answer gets no more of them meanwhile.
      if (next.opening !== first.opening) return next.opening < first.opening ? next : first;
      return next.connections < first.connections ? next : first;
    });
    // One that is tried after its wait is not tried by anybody else meanwhile.
    let decides = best.breaker.isOpen;
    best.breaker.admit();
    best.connections++;
    best.opening++;
    let isOpening = true;
    const settled = (): void => {
      if (isOpening) best.opening--;
      isOpening = false;
    };
    tried.add(best.url.index);
    let isOver = false;
    let openedAt: number | null = null;
    const over = (): void => {
      settled();
      if (isOver) return;
      isOver = true;
      best.connections--;
      if (openedAt !== null) best.breaker.ended(openedAt);
    };
    return {
      url: best.url,
      opened: () => {
        settled();
        decides = false;
        openedAt = this.#clock.now();
        best.failedAt = NEVER;
        best.breaker.opened();
      },
      failed: (reason) => {
        best.failedAt = this.#clock.now();
        best.failure = reason;
        best.breaker.failed(decides);
        decides = false;
        over();
      },
      gaveUp: () => {
        if (decides) best.breaker.gaveUp();
        decides = false;
      },
      posted: (isTaken) => this.posted(best.url.index, isTaken),
      cut: () => {
        if (openedAt !== null) best.breaker.cut(openedAt);
      },
      over,
    };
  }

  #refusal(): ProxyError {
    const retryAfterMs = Math.min(...this.#entries.map(({ breaker }) => breaker.retryAfterMs));
    const [failure] = this.#entries.flatMap(({ failure: each }) => each ?? []);
    const last = failure === undefined ? '' : ` (${failure})`;
    const text = `the upstream has failed too often in a row${last}; it is tried again in a while`;
    return new ProxyError('breaker_open', text, {
      outcome: 'not_executed',
      retryAfterMs,
    });
  }
}
