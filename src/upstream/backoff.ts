// How long to wait before an upstream is tried again: full jitter, so that many links do not come back at once.

export interface BackoffRules {
  readonly minMs: number;
  readonly maxMs: number;
}

/** `attempt` counts failures in a row from 1; `fraction` is random in [0, 1). */
export function backoffMs(attempt: number, rules: BackoffRules, fraction: number): number {
  const ceiling = Math.min(rules.maxMs, rules.minMs * 2 ** Math.min(attempt, 30));
  return Math.round(rules.minMs + Math.max(0, ceiling - rules.minMs) * fraction);
}
