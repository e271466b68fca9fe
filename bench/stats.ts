// Medians and ranges, nothing else: the machine's absolute speed wanders, so every figure here is a median over rounds.

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function spread(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), low: quantile(values, 0), high: quantile(values, 1) };
}

/** Nearest rank on a sorted copy; an even count takes the mean of the middle two for the median only. */
export function quantile(values: readonly number[], at: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length / 2;
  if (at === 0.5 && sorted.length % 2 === 0) return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
  return sorted[Math.min(sorted.length - 1, Math.floor(at * sorted.length))] ?? Number.NaN;
}

/** `12.3 (11.0-14.9)` with as many digits as the size of the number deserves. */
export function show({ median, low, high }: Spread): string {
  return `${digits(median)} (${digits(low)}-${digits(high)})`;
}

export function digits(value: number): string {
  if (Number.isNaN(value)) return '-';
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** Markdown, columns padded so that a terminal shows it as well as a page does. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
