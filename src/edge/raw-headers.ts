// Headers as they came: Node keeps one of some that are given twice, and joins others.

import type { IncomingMessage } from 'node:http';

/** What each header of this name says, in their order. `name`: in lower case. */
export function valuesOf(rawHeaders: IncomingMessage['rawHeaders'], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i];
    if (given?.length === name.length && given.toLowerCase() === name) values.push(rawHeaders[i + 1] ?? '');
  }
  return values;
}
