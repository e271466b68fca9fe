// How often a server shows that it lives when nobody asks it anything, from what came in a short while.

import type { Beat } from './seen.ts';

export interface Heartbeat {
  readonly kind: Beat['kind'];
  /** Null: it came once, which tells no period. */
  readonly everyMs: number | null;
}

/** Of the kind that comes most often; null: nothing came. */
export function heartbeatOf(beats: readonly Beat[]): Heartbeat | null {
  const kinds = ['comment', 'ping', 'event'] as const;
  const [most] = kinds
    .map((kind) => beats.filter((beat) => beat.kind === kind))
    .toSorted((a, b) => b.length - a.length);
  const [first] = most ?? [];
  if (most === undefined || first === undefined) return null;
  const gaps = most.slice(1).map(({ atMs }, index) => atMs - (most[index]?.atMs ?? 0));
  const middle = gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)];
  return { kind: first.kind, everyMs: middle === undefined ? null : Math.round(middle) };
}
