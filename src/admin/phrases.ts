// Numbers and times as a person reads them.

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** `3 s`, `2 min 5 s`, `4 d 3 h`: the two largest units say enough. */
export function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return `${Math.max(0, Math.round(ms))} ms`;
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  let rest = seconds;
  return UNITS.slice(first, first + 2)
    .flatMap(([unit, size]) => {
      const count = Math.floor(rest / size);
      rest -= count * size;
      return count > 0 ? [`${count} ${unit}`] : [];
    })
    .join(' ');
}

export function ago(ms: number): string {
  return ms < 1000 ? 'just now' : `${span(ms)} ago`;
}

export function grouped(count: number): string {
  return count.toLocaleString('en');
}

/** `1 request`, `2 requests`. */
export function counted(count: number, noun: string, nouns = `${noun}s`): string {
  return `${grouped(count)} ${count === 1 ? noun : nouns}`;
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const [unit, size] = count < 1024 ** 2 ? ['KiB', 1024] : count < 1024 ** 3 ? ['MiB', 1024 ** 2] : ['GiB', 1024 ** 3];
  return `${(count / Number(size)).toFixed(1)} ${unit}`;
}

/** `22 Nov 2026 02:41:36 UTC`, of an ISO time. */
export function instant(iso: string): string {
  const [, day = ''] = /^\w+, (.*) GMT$/.exec(new Date(iso).toUTCString()) ?? [];
  return `${day} UTC`;
}
