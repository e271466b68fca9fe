// Something that is done once: as soon as it may be, and at the latest after a while.

import type { Timers } from '../domain/ports.ts';

/** What is returned does it at once; later calls mean nothing. */
export function atLatest(timers: Timers, ms: number, act: () => void): () => void {
  let isDone = false;
  const once = (): void => {
    if (isDone) return;
    isDone = true;
    timer.cancel();
    act();
  };
  const timer = timers.after(ms, once);
  return once;
}
