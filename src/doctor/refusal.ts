// What serve would end with, taken apart: its words are `what is wrong: what to do`.

import { ConfigError } from '../config/load.ts';

export interface Refusal {
  readonly why: string;
  readonly remedy: string;
}

/** Throws what is something else. */
export function refusal(thrown: unknown): Refusal {
  if (!(thrown instanceof ConfigError)) throw thrown;
  const { message } = thrown;
  const at = message.lastIndexOf(': ');
  return { why: message.slice(0, at), remedy: message.slice(at + 2) };
}
