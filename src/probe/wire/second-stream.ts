// What a second stream does to the first, found out by opening one: it can kill a server, so only when somebody asks for it.

import type { EndpointRules } from '../../upstream/endpoint-url.ts';
import type { SecondStream } from '../seen.ts';
import { LegacySession, type Wire } from './legacy-session.ts';

/** How long answers and ends may take to show. */
const SHOWS_WITHIN_MS = 1000;

/** `first`: open. It may not be any more afterwards. */
export async function openSecond(
  wire: Wire,
  endpoint: EndpointRules,
  first: LegacySession,
  left: () => number,
): Promise<SecondStream> {
  const second = new LegacySession(wire, endpoint);
  try {
    const isOpened = (await second.open(left())) !== null;
    // Its initialize is answered on every stream of a server that broadcasts, and what ends ends soon.
    const showed = (): boolean => !first.isOpen || first.strays.length > 0;
    if (!isOpened) return (await first.until(showed, shortly(left))) ? whichever(first) : 'refused';
    if (await first.until(showed, shortly(left, SHOWS_WITHIN_MS / 4))) return whichever(first);
    const answer = await first.ask('ping', undefined, shortly(left));
    if (answer !== null) return second.strays.length > 0 ? 'broadcasts' : 'independent';
    if (second.strays.length > 0) return 'takes_over';
    if (!first.isOpen) return 'ends_first';
    return left() > 0 ? 'takes_over' : 'unknown';
  } finally {
    await second.close();
  }
}

function whichever(first: LegacySession): SecondStream {
  return first.isOpen ? 'broadcasts' : 'ends_first';
}

function shortly(left: () => number, most = SHOWS_WITHIN_MS): number {
  return Math.max(1, Math.min(left(), most));
}
