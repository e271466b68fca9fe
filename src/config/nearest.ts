// The word that was probably meant. Used for keys, values, flags, environment variables and commands alike.

/** Null where nothing is near enough to be worth a guess. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const given = plain(word);
  if (given === '') return null;
  let best: { readonly candidate: string; readonly score: number } | null = null;
  for (const candidate of candidates) {
    const score = likeness(given, plain(candidate));
    if (score !== null && (best === null || score < best.score)) best = { candidate, score };
  }
  return best?.candidate ?? null;
}

/** Case and separators are what people get wrong first, and mean nothing. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[-_.\s]/g, '');
}

/** The smaller the likelier; null: not at all. */
function likeness(given: string, candidate: string): number | null {
  const mostEdits = Math.max(1, Math.floor(Math.max(given.length, candidate.length) / 3));
  const isTooFar = Math.abs(given.length - candidate.length) > mostEdits;
  const distance = isTooFar ? Number.POSITIVE_INFINITY : edits(given, candidate);
  // Of equally distant words the one of the same length, then the one that begins and ends alike.
  const detail = 0.1 * Number(given.length !== candidate.length) - 0.01 * alike(given, candidate);
  if (distance <= mostEdits && distance < candidate.length) return distance + detail;
  // A part of a longer name, such as idle-timeout for links-idle-timeout, or more than there is, such as logging for log.
  const isPart = given.length >= 4 && (candidate.endsWith(given) || candidate.startsWith(given));
  const isMore = candidate.length >= 3 && given.startsWith(candidate);
  return isPart || isMore ? 10 + Math.abs(candidate.length - given.length) : null;
}

function alike(left: string, right: string): number {
  const shortest = Math.min(left.length, right.length);
  let start = 0;
  while (start < shortest && left[start] === right[start]) start++;
  let end = 0;
  while (end < shortest - start && left.at(-1 - end) === right.at(-1 - end)) end++;
  return start + end;
}

/** Letters inserted, left out, replaced, or swapped with their neighbour. */
function edits(left: string, right: string): number {
  let older: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const isSame = left[i - 1] === right[j - 1];
      let least = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + (isSame ? 0 : 1));
      const isSwapped = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      if (isSwapped) least = Math.min(least, (older[j - 2] ?? 0) + 1);
      row.push(least);
    }
    older = previous;
    previous = row;
  }
  return previous[right.length] ?? 0;
}
