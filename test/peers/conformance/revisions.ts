// What the pinned suite has for a server of each revision, and what of it our setup can show.

interface SuiteOf {
  readonly revision: string;
  readonly scenarios: number;
  /** The server behind the gateway speaks it by itself, over Streamable HTTP: there is a reference. */
  readonly isDirect: boolean;
  /** Scenarios in which nothing can be shown to hold: all their own checks end with a warning. */
  readonly unproven: readonly string[];
}

export const revisions = [
  { revision: '2025-03-26', scenarios: 1, isDirect: true, unproven: [] },
  { revision: '2025-06-18', scenarios: 27, isDirect: true, unproven: [] },
  { revision: '2025-11-25', scenarios: 33, isDirect: true, unproven: [] },
  {
    revision: '2026-07-28',
    scenarios: 40,
    isDirect: false,
    // It sends answers to a call that has asked nothing, and wants them taken. The gateway asks: which question an answer is
    // to, only the requestState says that came with the question.
    unproven: ['input-required-result-ignore-extra-params'],
  },
] as const satisfies readonly SuiteOf[];

export type Revision = (typeof revisions)[number]['revision'];
