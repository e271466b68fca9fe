// Durations and sizes as they are written (`5s`, `4MiB`) and as numbers of milliseconds and bytes. One pattern decides
// what is right, range included, so that the printed JSON Schema and this program never disagree.

export interface Quantity {
  /** Anchored, without flags: it goes into the JSON Schema as it is. */
  readonly pattern: string;
  readonly unit: 'duration' | 'size';
  /** What is wrong with a text that does not match. */
  explain(text: string): string;
  /** Only of a text that matches. */
  parse(text: string): number;
}

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  kB: 1000,
  MB: 1e6,
  GB: 1e9,
};

const DECIMALS = '(?:\\.\\d{1,2})?';
const ZERO = '(?!0+(?:\\.0+)? ?[A-Za-z])';

/** Node's timers hold 32 bits (24.8 days), and a longer duration would fire at once: so many digits, and no more. */
const DURATIONS = [
  '\\d{1,9} ?ms',
  `(?:\\d{1,6}${DECIMALS} ?s`,
  `\\d{1,4}${DECIMALS} ?m(?:in)?`,
  `[1-4]?\\d{1,2}${DECIMALS} ?h`,
  `(?:1?\\d|2[0-3])${DECIMALS} ?d)`,
].join('|');
/** Below 2 GiB. */
const SIZES = [
  '\\d{1,9} ?B',
  `(?:\\d{1,6}${DECIMALS} ?(?:KiB|kB)`,
  `1?\\d{1,3}${DECIMALS} ?(?:MiB|MB)`,
  `[01]${DECIMALS} ?(?:GiB|GB))`,
].join('|');

/** `leastMs`: below it the setting would make a loop that does nothing else, or something that can never succeed. */
export function durations(leastMs: 0 | 1 | 10): Quantity {
  const tooShort = leastMs === 0 ? '' : leastMs === 1 ? ZERO : `${ZERO}(?!0*\\d ?ms$)`;
  return {
    pattern: `^${tooShort}(?:${DURATIONS})$`,
    unit: 'duration',
    explain(text) {
      const ms = measured(text, DURATION_MS);
      if (ms === null) return withoutUnit(text, DURATION_MS, '5s');
      if (ms < leastMs) return `must be at least ${leastMs}ms`;
      return ms > 20 * 86_400_000 ? 'is too long: 23d is the most' : 'has too many digits: use a larger unit';
    },
    parse: (text) => measured(text, DURATION_MS) ?? Number.NaN,
  };
}

export function sizes(leastBytes: 0 | 1): Quantity {
  return {
    pattern: `^${leastBytes === 0 ? '' : ZERO}(?:${SIZES})$`,
    unit: 'size',
    explain(text) {
      const bytes = measured(text, SIZE_BYTES);
      if (bytes === null) return withoutUnit(text, SIZE_BYTES, '4MiB');
      if (bytes < leastBytes) return 'must be at least 1B';
      return bytes >= 1999 * 1024 ** 2 ? 'is too large: 1.99GiB is the most' : 'has too many digits: use a larger unit';
    },
    parse: (text) => measured(text, SIZE_BYTES) ?? Number.NaN,
  };
}

export function durationText(ms: number): string {
  return inLargestUnit(ms, ['d', 'h', 'm', 's'], DURATION_MS, 'ms');
}

export function sizeText(bytes: number): string {
  return inLargestUnit(bytes, ['GiB', 'MiB', 'KiB'], SIZE_BYTES, 'B');
}

function inLargestUnit(
  value: number,
  units: readonly string[],
  factors: Readonly<Record<string, number>>,
  smallest: string,
): string {
  if (value === 0) return smallest === 'ms' ? '0s' : '0B';
  const unit = units.find((each) => value % (factors[each] ?? 1) === 0) ?? smallest;
  return `${value / (factors[unit] ?? 1)}${unit}`;
}

function measured(text: string, units: Readonly<Record<string, number>>): number | null {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  return factor === undefined ? null : Math.round(Number(digits) * factor);
}

function withoutUnit(text: string, units: Readonly<Record<string, number>>, example: string): string {
  return `${/^[\d.]+$/.test(text) ? 'has no unit: ' : ''}write a number with a unit (${Object.keys(units).join(', ')}), such as ${example}`;
}
