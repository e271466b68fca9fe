// How many there are of what a server lists, page by page, within bounds: a server can say that there is more for ever.

import { LISTS, type Counted, type Counts, type List } from './seen.ts';

export type ListAnswer =
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'refused' }
  /** None came in time, or none can come. */
  | { readonly kind: 'none' };

/** Asks for one page. */
export type AskList = (method: string, params: object) => Promise<ListAnswer>;

const MAX_PAGES = 50;

export async function countLists(capabilities: unknown, ask: AskList): Promise<Counts> {
  const counts: Record<List, Counted | null> = { tools: null, prompts: null, resources: null };
  for (const list of LISTS) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is polite
    if (offers(capabilities, list)) counts[list] = await countList(list, ask);
  }
  return counts;
}

/** It is kept, and sent again: fifty of many megabytes each would be too much. */
const MAX_CURSOR_CHARS = 16 * 1024;

async function countList(list: List, ask: AskList): Promise<Counted> {
  const cursors = new Set<string>();
  let count = 0;
  let cursor: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    // oxlint-disable-next-line no-await-in-loop -- each page names the next
    const answer: ListAnswer = await ask(`${list}/list`, cursor === null ? {} : { cursor });
    if (answer.kind !== 'result') return { count, stopped: answer.kind === 'none' ? 'time' : 'refused' };
    const { [list]: entries, nextCursor } = record(answer.result);
    count += Array.isArray(entries) ? entries.length : 0;
    if (typeof nextCursor !== 'string') return { count, stopped: null };
    if (nextCursor.length > MAX_CURSOR_CHARS) return { count, stopped: 'pages' };
    if (cursors.has(nextCursor)) return { count, stopped: 'repeats' };
    cursors.add(nextCursor);
    cursor = nextCursor;
  }
  return { count, stopped: 'pages' };
}

function offers(capabilities: unknown, list: List): boolean {
  const offered = record(capabilities)[list];
  return typeof offered === 'object' && offered !== null;
}

/** Its own members. */
export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
