// What a second stream does to the first, found out by opening one: it can kill a server, so only when somebody asks for it.

import type { EndpointRules } from '../../upstream/endpoint-url.ts';
import type { SecondStream } from '../seen.ts';
import { LegacySession, type Wire } from './legacy-session.ts';

/** How long an answer may take, and how long what a second stream does to the first may take to show. */
const ANSWER_MS = 1000;
const SOON_MS = 250;

/** `first`: open. It may not be any more afterwards. */
export async function openSecond(
  wire: Wire,
  endpoint: EndpointRules,
  first: LegacySession,
  left: () => number,
): Promise<SecondStream> {
  const second = new LegacySession(wire, endpoint);
  try {
    const isOpened = (await second.open(Math.max(1, left() / 2))) !== null;
    // Its initialize is answered on every stream of a server that broadcasts, and what ends ends soon.
    const showed = (): boolean => !first.isOpen || first.strays.length > 0;
    if (await first.until(showed, shortly(left, SOON_MS))) return first.isOpen ? 'broadcasts' : 'ends_first';
    if (!isOpened) return left() > 0 ? 'refused' : 'unknown';
    const isTaken = second.until(() => second.strays.length > 0, shortly(left));
    const answer = await Promise.race([first.ask('ping', undefined, shortly(left)), isTaken.then(() => null)]);
    if (answer !== null) return second.strays.length > 0 ? 'broadcasts' : 'independent';
    if (second.strays.length > 0) return 'takes_over';
    if (!first.isOpen) return 'ends_first';
    return left() > 0 ? 'takes_over' : 'unknown';
  } finally {
    await second.close();
  }
}

function shortly(left: () => number, most = ANSWER_MS): number {
  return Math.max(1, Math.min(left(), most));
}
