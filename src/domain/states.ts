// The states of the four things that live longer than one function call. Each is a union, so that a field exists only
// while it is true, and each carries its drawing.

/** Why a link that was open is closed: one of our own decisions, or none of ours. */
export const CLOSE_REASONS = {
  retired: 'a caller who was alone on it left something behind',
  idle: 'nobody used it for links.idleTimeout',
  evicted: 'other callers needed its place',
  single: 'the upstream went over to one link',
  session_ended: 'the session that owned it is over, or another replica’s',
  shutdown: 'the gateway stops',
  lost: 'the upstream ended it, or it broke',
} as const satisfies Readonly<Record<string, string>>;

/** `failed`: it never opened. */
export type LinkCloseReason = keyof typeof CLOSE_REASONS | 'failed';

/** A URL as it is dialled: taken apart once, not with every message. */
export interface PostTarget {
  readonly origin: string;
  /** With the query. */
  readonly path: string;
}

/** connecting ─▶ awaiting-endpoint ─▶ initializing ─▶ open ─▶ closed   (any ─▶ closed) */
export type LinkState =
  | { readonly phase: 'connecting' }
  | { readonly phase: 'awaiting-endpoint' }
  | { readonly phase: 'initializing'; readonly postTo: PostTarget }
  | { readonly phase: 'open'; readonly postTo: PostTarget }
  | { readonly phase: 'closed'; readonly reason: LinkCloseReason };

/**
 * wait ─▶ stream ─▶ done    (wait ─▶ done, wait ─▶ gone, stream ─▶ gone)
 * wait: no byte is sent. gone: the client left before the end. Exactly one of done and gone is ever reached.
 */
export type ExchangeState =
  | { readonly phase: 'wait' }
  | { readonly phase: 'stream' }
  | { readonly phase: 'done' }
  | { readonly phase: 'gone' };

/**
 * leasing ─▶ run ─▶ done    (leasing ─▶ done, run ─▶ left ─▶ done)
 *            run ◀─▶ held ─▶ answered ─▶ done    (held ─▶ done)
 * The lease is held in run, held and left, and freed by the one function that leaves them.
 * held: the client has been asked something and will come back with the answers, on another exchange.
 * answered: the upstream did not wait for them; its answer is kept for the client that comes back.
 * left: the client is gone and nobody will read the answer, but the upstream may still be working.
 */
export type CallState =
  | { readonly phase: 'leasing' }
  | { readonly phase: 'run' }
  | { readonly phase: 'held' }
  | { readonly phase: 'answered' }
  | { readonly phase: 'left' }
  | { readonly phase: 'done' };

/** `moved`: another replica has taken it over, and the client is to come back to that one. */
export type SessionEnd = 'deleted' | 'expired' | 'failed' | 'reloaded' | 'shutdown' | 'moved';

/** opening ─▶ live ─▶ ended   (opening ─▶ ended) */
export type SessionState =
  | { readonly phase: 'opening' }
  | { readonly phase: 'live' }
  | { readonly phase: 'ended'; readonly why: SessionEnd };
