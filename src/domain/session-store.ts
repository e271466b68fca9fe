// The port to what keeps sessions outside of this process, so that another replica can go on with one whose owner is
// gone. Nobody who serves a call waits for it: what is to be kept is told to a mirror, which writes when it can.

import type { StreamedEvent } from './ports.ts';

/** Neither of the two is ever shown to the store: it sees their digests. */
export interface SessionName {
  /** The text of its id. */
  readonly id: string;
  /** Of whom it is: see Principal.key. */
  readonly principal: string;
}

/** Who may write what is kept of a session. */
export interface StoreLease {
  /** As in sealed tokens; null: nobody, it was given up for whoever comes next. */
  readonly owner: string | null;
  /** Greater by one with each change of owner: of two who think that they are, the one with the greater is. */
  readonly fence: number;
}

/** All that another replica needs to go on with a session. */
export interface KeptSession {
  /** See session-record.ts. */
  readonly record: Uint8Array;
  /** In the order in which they were sent. */
  readonly events: readonly StreamedEvent[];
}

/** What has become ours. */
export interface TakenSession extends KeptSession {
  readonly lease: StoreLease;
}

/** The session whose copy is kept. */
export interface Mirrored {
  /** How long the copy outlives the last word of it. */
  readonly keptMs: number;
  readonly events: { readonly maxEvents: number; readonly maxBytes: number; readonly maxAge: number };
  /** As they are now. */
  record(): KeptSession['record'];
  sent(): KeptSession['events'];
  /** Another replica is the owner now; null: nobody knows which. */
  moved(owner: string | null): void;
}

/** The copy of one session that lives here. None of this throws or rejects, and nothing that is told to it waits. */
export interface SessionMirror {
  readonly fence: number;
  /** Resolves when all that was told is in the store; false: as far as is known it is not. */
  settled(): Promise<boolean>;
  /** What is in the record is another by now. */
  changed(): void;
  event(sent: StreamedEvent): void;
  /**
   * Before the session is served. Null: it is ours, as far as is known. Else it is in doubt, and this resolves when the store
   * has said whose it is, or has not in time.
   */
  sure(): Promise<void> | null;
  /** The session is in use: its copy is kept for longer. */
  refresh(): void;
  /** The session is over: nothing of it is kept. */
  end(): void;
  /** The session ends here, and may go on elsewhere: what is kept is as of now, and has no owner. */
  release(): void;
  /** The session is another replica's: the copy is no more of our business. */
  leave(): void;
}

export interface SessionStore {
  /** It answers, and takes what it is to keep. */
  readonly isUp: boolean;
  /** Rejects with a StoreFault; null: nothing is known of the session. */
  leaseOf(name: SessionName): Promise<StoreLease | null>;
  /** Whether the process behind an owner's text has lately said that it lives. Rejects with a StoreFault. */
  isAlive(owner: string): Promise<boolean>;
  /**
   * Becomes the owner, if it is still leased as was read. Null: it is not, or nothing is kept that could be gone on with.
   * Rejects with a StoreFault.
   */
  take(name: SessionName, lease: StoreLease, events: Mirrored['events']): Promise<TakenSession | null>;
  /** `taken`: it was another's; without, it is new. */
  mirror(name: SessionName, session: Mirrored, taken: StoreLease | null): SessionMirror;
}
