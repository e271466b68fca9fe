// Medians and ranges, nothing else: the machine's absolute speed wanders, so every figure here is a median over rounds.

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).toSorted();
  return { median: median(sorted), low: quantile(sorted, 0), high: quantile(sorted, 1) };
}

/** An even count takes the mean of the middle two. */
function median(sorted: Float64Array): number {
  const middle = sorted.length / 2;
  if (sorted.length === 0 || sorted.length % 2 === 1) return quantile(sorted, 0.5);
  return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** Nearest rank of what is sorted. */
export function quantile(sorted: Float64Array, at: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(at * sorted.length))] ?? Number.NaN;
}

/** Highest less lowest, in medians: 0 where all are the same. */
export function width({ median: middle, low, high }: Spread): number {
  return (high - low) / middle;
}

/** `12.3 (11.0-14.9)`; a single figure has no range. */
export function show({ median: middle, low, high }: Spread): string {
  return low === high ? digits(middle) : `${digits(middle)} (${digits(low)}-${digits(high)})`;
}

/** Three digits that count, and no exponents. */
export function digits(value: number): string {
  if (Number.isNaN(value)) return '-';
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 || size === 0 ? 2 : 3);
}

/** Markdown, columns padded so that a terminal shows it as well as a page does. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
