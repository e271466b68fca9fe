// Calls that are under way, as somebody who looks is told of them.

import type { LinkUse } from './gauges.ts';
import type { CallState } from './states.ts';

export interface CallUnderWay {
  readonly upstream: string;
  readonly method: string;
  /** The tool, prompt or resource that was named; null: the method has none. As the client says it. */
  readonly name: string | null;
  readonly phase: CallState['phase'];
  /** Of a call that is held, since it is held; else since it was sent upstream. */
  readonly ageMs: number;
  /** Whose link it is on. */
  readonly link: LinkUse;
  /** How often the client has been asked something; null: never. */
  readonly round: number | null;
}
