// Who answers for what an upstream asks and says on its own, as the link sees them: a session, or the one call of a
// client that has no session.

import type { Chunks, Reader } from '../domain/ports.ts';
import type { Notification, Request } from '../protocol/json-rpc.ts';
import type { Call } from './call.ts';
import type { Refusal } from './reply-router.ts';

/** A request of the upstream that somebody may answer. Its bytes are not kept: they may be large, and wait for long. */
export interface Question {
  readonly method: string;
  /** The upstream's own id, to be put into the answer. */
  readonly id: Uint8Array;
  /** Under which the upstream wants to hear of progress, if it does; see idText. */
  readonly progressToken: string | null;
  /** The call that asks, where that is certain, as long as it is open. */
  readonly about: Call | null;
  /** Sends the one answer; the upstream's own id must be in it. */
  answer(message: Chunks): void;
  /** Tells the upstream something about it. */
  notify(message: Chunks): void;
}

export interface LinkListener {
  /** A refusal, or who reads it: then it will be answered. `request` is not to be kept. */
  asked(question: Question, request: Request): Refused | Heard;
  /**
   * No answer is wanted any more: by this notification of the upstream, or because the link or the call is gone.
   * Returns who reads that, if anybody.
   */
  withdrawn(question: Question, message: Notification | null): Reader | null;
  /**
   * What the upstream says on its own; `about` is the call that it is about, where that is certain. Null: it does not
   * concern this listener. Else it is taken, and read at once if somebody is there.
   */
  heard(message: Notification, about: Call | null): Heard | null;
}

export interface Refused {
  readonly refusal: Refusal;
  /** Done once the upstream has its refusal. */
  readonly after?: () => void;
}

export interface Heard {
  readonly by: Reader | null;
}
