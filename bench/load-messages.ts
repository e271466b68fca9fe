// What the bench and its load process tell each other.

/** How the virtual clients speak to a peer. */
export type Way =
  /** The old HTTP+SSE transport, to the upstream itself. */
  | 'legacy'
  | 'sessionless'
  | 'session'
  | 'session-with-stream'
  | 'modern'
  | 'modern-elicitation'
  /** 2026-07-28: asked in mid-call, and retried with the answer. */
  | 'rounds'
  /** Sessions that are opened and ended, nothing in between. */
  | 'churn'
  /** Sessions with their streams, and nothing else. */
  | 'idle';

export interface Opening {
  readonly do: 'open';
  readonly port: number;
  readonly path: string;
  /** Where sessions are opened, one after the other; not given: at `port`. */
  readonly homes?: readonly number[];
  /** Where all the rest is sent, in turn, wherever the session is at home; not given: to `port`. */
  readonly via?: readonly number[];
  readonly way: Way;
  /** Callers, each with one call in flight; `idle`: sessions. */
  readonly count: number;
}

export interface Shape {
  readonly size: number;
  readonly progress: number;
  readonly payload: number;
}

export interface Running {
  readonly do: 'run';
  readonly shape: Shape;
  readonly seconds: number;
  /** Calls a second, whatever is answered; without it each caller waits for its answer. */
  readonly rate?: number;
}

export interface Closing {
  readonly do: 'close';
}

export type Command = Opening | Running | Closing;

export interface LoadFigures {
  readonly right: number;
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly errors: number;
  readonly wrong: number;
  /** Messages that came to another call or stream than the one they belong to. */
  readonly misrouted: number;
  readonly progressLost: number;
  /** Calls that were due and not answered when the time was up; only at a fixed rate. */
  readonly behind: number;
  /** How late the generator itself sent calls for which a connection was free, 99th percentile; only at a fixed rate. */
  readonly lateP99Ms: number;
  /** CPU of the load generator a call, checking included. */
  readonly loadCpuUs: number;
  /** The first few reasons of errors and wrong answers. */
  readonly reasons: readonly string[];
}

/** `failed` says why the command could not be done; the load process lives on. */
export type Reply = { readonly figures?: LoadFigures } | { readonly failed: string };
