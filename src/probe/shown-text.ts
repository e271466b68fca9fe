// Texts of others as they are shown, and words of ours as a shell takes them.

import { printable } from '../config/printable.ts';

/** In a shell. */
export function quoted(text: string): string {
  return /^[\w:/.,@%+=-]*$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

const SHOWN_CHARS = 200;

/** In somebody else's words: short, and nothing that a terminal would obey. */
export function shown(text: string): string {
  const safe = printable(text);
  return safe.length > SHOWN_CHARS ? `${safe.slice(0, SHOWN_CHARS)}…` : safe;
}
