// The sessions of a mount, and what they share where it runs on one link: what all of them want of it together, and
// that somebody opens it anew.

import type { LinkListener } from '../bridge/link-listener.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Timers } from '../domain/ports.ts';
import type { Handshake } from '../protocol/upstream-handshake.ts';
import type { Conversation } from './conversation.ts';
import type { Lease } from './lease-rules.ts';
import { Retry } from './retry.ts';
import { SharedWants, type Wants } from './wants.ts';

/** A session, as its mount sees it. */
export interface MountSession extends LinkListener {
  readonly wants: Wants;
  readonly isListening: boolean;
  /** Event streams that its client is connected to. */
  readonly openStreams: number;
  /** The only link was opened anew: the upstream may be another one by now. */
  upstreamChanged(handshake: Handshake): void;
  /** Told once, when the mount goes over to one link: the session's own is to end with its last call. */
  becameSingle(): void;
}

export interface OnlyLinkOptions {
  readonly timers: Timers;
  /** The mount runs on one link, and is not closed. */
  readonly isSingle: () => boolean;
  /** Milliseconds before the n-th attempt in a row. */
  readonly backoffMs: (attempt: number) => number;
  /** A place on that link. */
  readonly lease: (take: (result: Lease<Conversation> | ProxyError) => void) => void;
}

export class OnlyLink {
  /** What all sessions and listens want of the link together. */
  readonly wants = new SharedWants();
  readonly #options: OnlyLinkOptions;
  readonly #sessions = new Set<MountSession>();
  readonly #retry: Retry;

  constructor(options: OnlyLinkOptions) {
    this.#options = options;
    this.#retry = new Retry(options.timers, options.backoffMs, () => this.keepOpen());
  }

  get sessions(): ReadonlySet<MountSession> {
    return this.#sessions;
  }

  /** A session is here, until what is returned is called. */
  join(session: MountSession): () => void {
    this.#sessions.add(session);
    return () => {
      this.#sessions.delete(session);
      const { wants } = session;
      const hasWanted = wants.level !== null || wants.uris.size > 0;
      wants.end();
      // Perhaps nobody wants any more what it has wanted.
      if (hasWanted && this.#options.isSingle()) this.tellWants(() => {});
    };
  }

  /** Opens it anew if it is lost and sessions listen to it; else the next call does. */
  keepOpen(): void {
    const { isSingle } = this.#options;
    if (!isSingle() || this.#retry.isWaiting) return;
    if (![...this.#sessions].some(({ isListening }) => isListening)) return;
    this.tellWants((error) => {
      if (error === null) this.#retry.succeeded();
      else this.#retry.failed(isSingle());
    });
  }

  /** Tells the upstream what all together want by now. */
  tellWants(done: (error: ProxyError | null) => void): void {
    this.#options.lease((result) => {
      if (result instanceof ProxyError) {
        done(result);
        return;
      }
      const finish = (): void => {
        result.release('reuse');
        done(null);
      };
      const upToDate = result.conversation.bringUpToDate(this.wants);
      if (upToDate === null) finish();
      else upToDate.then(finish, finish);
    });
  }

  /** It may take the place of one that knew more, and of an upstream that was another one. */
  opened(conversation: Conversation, handshake: Handshake): void {
    if (!this.#options.isSingle()) return;
    conversation.bringUpToDate(this.wants)?.catch(() => {});
    for (const session of this.#sessions) session.upstreamChanged(handshake);
  }

  /** A pooled link is over, and the pool has seen to it. */
  closed(): void {
    if (this.#options.isSingle()) this.#retry.failed();
  }

  /** From now on there is one link. */
  becameSingle(): void {
    for (const session of this.#sessions) session.becameSingle();
    if (this.wants.level !== null || this.wants.uris.size > 0) this.tellWants(() => {});
  }

  stop(): void {
    this.#retry.stop();
  }
}
