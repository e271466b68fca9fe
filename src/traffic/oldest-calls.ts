// The calls that have been under way for longest, for whoever looks. Found by walking what is there when somebody asks:
// a call costs nothing more for it.

import type { Call } from '../bridge/call.ts';
import type { CallUnderWay } from '../domain/calls-under-way.ts';
import { namedBy } from '../protocol/named.ts';
import type { Mount } from './mount.ts';

type About = Pick<CallUnderWay, 'upstream' | 'link' | 'round'>;

/** What a client made up, as long as what it could have meant. */
const MAX_METHOD = 64;

/** At most so many, the oldest first. */
export function oldestCalls(mounts: readonly Mount[], max: number): CallUnderWay[] {
  const oldest: { readonly call: Call; readonly about: About; readonly ageMs: number }[] = [];
  const consider = (call: Call, now: number, about: About): void => {
    const ageMs = now - call.since;
    const youngest = oldest.at(-1);
    if (oldest.length >= max && youngest !== undefined && ageMs <= youngest.ageMs) return;
    const place = oldest.findIndex((each) => each.ageMs < ageMs);
    oldest.splice(place < 0 ? oldest.length : place, 0, { call, about, ageMs });
    if (oldest.length > max) oldest.pop();
  };
  for (const { name: upstream, clock, conversations, modern } of mounts) {
    const now = clock.now();
    for (const { calls, use: link } of conversations) {
      // Those that are held are among the others, with what is known of them.
      for (const call of calls) if (call.state.phase !== 'held') consider(call, now, { upstream, link, round: null });
    }
    for (const { call, rounds } of modern.held.all)
      consider(call, now, { upstream, link: 'pooled', round: rounds.round });
  }
  return oldest.map(({ call: { request, state }, about, ageMs }) => ({
    ...about,
    method: request.method.slice(0, MAX_METHOD),
    name: namedBy(request),
    phase: state.phase,
    ageMs: Math.round(ageMs),
  }));
}
