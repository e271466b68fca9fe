// What another replica has to know to go on with a session: what its client said when it opened it, what it wants, and
// which of its streams had not come to their end. Only we can have sealed it, so its shape is ours; whoever changes it in
// a way that older replicas cannot read gives the keys in the store another format.

import type { ServedRevision, UpstreamRevision } from './eras.ts';
import type { LogLevel } from './log-level.ts';
import type { ServerOffers } from './upstream-handshake.ts';

/** A stream of requests that were not all answered. */
export interface RunningStream {
  readonly stream: number;
  /** The ids of those that it is to answer, as their clients wrote them. */
  readonly answers: readonly string[];
}

export interface SessionRecord {
  readonly mount: string;
  readonly revision: ServedRevision;
  /** What is offered upstream. */
  readonly offered: UpstreamRevision;
  /** JSON, as it is said upstream when a link is opened. */
  readonly capabilities: string;
  readonly clientInfo: string;
  /** The client has said that it is initialized. */
  readonly isReady: boolean;
  /** Of the upstream that it knows. */
  readonly offers: ServerOffers | null;
  readonly level: LogLevel | null;
  readonly uris: readonly string[];
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** The stream for what no request has caused; null: there was none. */
  readonly listening: number | null;
  readonly running: readonly RunningStream[];
}

export function recordBytes(record: SessionRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record));
}

export function readRecord(bytes: Uint8Array): SessionRecord {
  return JSON.parse(new TextDecoder().decode(bytes)) as SessionRecord;
}
