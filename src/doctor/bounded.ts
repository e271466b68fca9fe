// What is asked of others has an end: all of it together, by one signal.

import { once } from 'node:events';

/** What comes of it, or `late` once time is up: whatever still runs then is left to itself. */
export async function orLate<Made, Late>(made: Promise<Made>, late: Late, signal: AbortSignal): Promise<Made | Late> {
  if (signal.aborted) return late;
  const done = new AbortController();
  const isUp = once(signal, 'abort', { signal: done.signal }).then(
    () => late,
    () => late,
  );
  try {
    return await Promise.race([made, isUp]);
  } finally {
    done.abort();
    // What is left to itself may still fail.
    made.catch(() => {});
  }
}

/** All of them, so many at once. */
export async function fewAtOnce<Item, Made>(
  items: readonly Item[],
  most: number,
  make: (item: Item) => Promise<Made>,
): Promise<Made[]> {
  const made: Made[] = [];
  const rest = [...items.entries()];
  const work = async (): Promise<void> => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      const [index, item] = next;
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      made[index] = await make(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, work));
  return made;
}
