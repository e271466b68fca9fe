// What we ask an upstream on our own: pings, and what brings its session up to date with what is wanted of it.

import type { CallIds } from '../bridge/correlation.ts';
import { ProxyError, isCredentialRefusal } from '../domain/errors.ts';
import type { Link, Timers } from '../domain/ports.ts';
import { type Answer, ownMessage } from '../protocol/json-rpc.ts';
import type { ServerOffers } from '../protocol/upstream-handshake.ts';
import { type Telling, Told, type Wanted } from './wants.ts';

export interface OwnRequestsOptions {
  readonly ids: CallIds;
  readonly timers: Timers;
  /** The link, once it is open. */
  readonly link: () => Link;
  /** Nothing can be asked any more. */
  readonly isOver: () => boolean;
  /** How long the upstream may take to take note of something. */
  readonly tellMs: number;
  readonly onNotTold: (method: string) => void;
  /** The upstream refuses a message because it does not know the session any more. */
  readonly onSessionGone: () => void;
}

const NEVER = new AbortController().signal;
/** Wishes told at once. */
const AT_ONCE = 16;

/** No answer: the link was lost or the POST failed; the upstream refused this message alone; nothing came in time. */
export type Unanswered = 'lost' | 'rejected' | 'silent';
/** A ProxyError: it refuses the credential of the caller. */
export type Asked = Answer | Unanswered | ProxyError;

export class OwnRequests {
  readonly #options: OwnRequestsOptions;
  /** By our id. */
  readonly #open = new Map<number, (outcome: Asked) => void>();
  readonly told = new Told();
  #telling: Promise<void> | null = null;
  /** Of the upstream, once the link is open. */
  #offers: Pick<ServerOffers, 'logging' | 'subscribe'> = { logging: false, subscribe: false };

  constructor(options: OwnRequestsOptions) {
    this.#options = options;
  }

  opened(offers: ServerOffers): void {
    this.#offers = offers;
  }

  /** False: it is the answer to none of ours. */
  answered(id: number, answer: Answer): boolean {
    const settle = this.#open.get(id);
    settle?.(answer);
    return settle !== undefined;
  }

  /** Nothing will be answered any more. */
  end(): void {
    for (const settle of this.#open.values()) settle('lost');
  }

  /** An error is an answer too: the upstream lives. */
  async ping(timeoutMs: number): Promise<'answered' | 'lost' | 'silent'> {
    const outcome = await this.#ask('ping', undefined, timeoutMs, false);
    return typeof outcome === 'object' ? 'answered' : outcome === 'lost' ? 'lost' : 'silent';
  }

  /** One request of ours. When it is given up, by us or for lack of an answer, the upstream is told. */
  request(method: string, params: object | undefined, timeoutMs: number, signal?: AbortSignal): Promise<Asked> {
    return this.#ask(method, params, timeoutMs, true, signal ?? NEVER);
  }

  /** Tells the upstream what is wanted. Null when it knows; what it refuses is not asked again. */
  bringUpToDate(wanted: Wanted): Promise<void> | null {
    const missing = this.told.missing(wanted, this.#offers);
    if (missing.length === 0) return this.#telling;
    const telling = (this.#telling ?? Promise.resolve())
      .then(() => this.#tell(missing))
      .finally(() => {
        if (this.#telling === telling) this.#telling = null;
      });
    return (this.#telling = telling);
  }

  async #tell(missing: readonly Telling[]): Promise<void> {
    const { tellMs, isOver, onNotTold } = this.#options;
    // A few at a time: many servers do one thing at a time, and many wishes must not take for ever.
    for (let from = 0; from < missing.length; from += AT_ONCE) {
      if (isOver()) return;
      const some = missing.slice(from, from + AT_ONCE);
      // oxlint-disable-next-line no-await-in-loop
      const outcomes = await Promise.all(some.map(({ method, params }) => this.#ask(method, params, tellMs, true)));
      outcomes.forEach((outcome, index) => {
        if (typeof outcome !== 'object' || outcome instanceof ProxyError || outcome.kind === 'error')
          onNotTold(some[index]?.method ?? '');
      });
      if (!outcomes.includes('silent')) continue;
      // One that does not answer will not answer the rest either.
      for (const { method } of missing.slice(from + AT_ONCE)) onNotTold(method);
      return;
    }
  }

  /** `rejectionEnds`: a POST that was refused by its status is the end of it; else an answer may still come. */
  #ask(
    method: string,
    params: object | undefined,
    timeoutMs: number,
    rejectionEnds: boolean,
    signal?: AbortSignal,
  ): Promise<Asked> {
    const { ids, timers, onSessionGone } = this.#options;
    const link = this.#options.link();
    const id = ids.issue(link.id);
    return new Promise((resolve) => {
      const settle = (outcome: Asked): void => {
        timer.cancel();
        signal?.removeEventListener('abort', giveUp);
        this.#open.delete(id);
        resolve(outcome);
      };
      const giveUp = (): void => {
        settle('silent');
        if (signal === undefined || this.#options.isOver()) return;
        const cancelled = ownMessage({ method: 'notifications/cancelled', params: { requestId: id } });
        link.send([cancelled], this.#options.tellMs, () => {});
      };
      const timer = timers.after(timeoutMs, giveUp);
      signal?.addEventListener('abort', giveUp);
      if (signal?.aborted === true) {
        settle('silent');
        return;
      }
      this.#open.set(id, settle);
      link.send([ownMessage({ id, method, ...(params && { params }) })], timeoutMs, (outcome) => {
        if (outcome.kind === 'accepted') {
          if (outcome.body !== null) link.take(outcome.body);
        } else if (outcome.kind !== 'rejected') {
          settle('lost');
          if (outcome.kind === 'session_refused' || outcome.kind === 'session_gone') onSessionGone();
        } else if (rejectionEnds) {
          settle(isCredentialRefusal(outcome.error) ? outcome.error : 'rejected');
        }
      });
    });
  }
}
