// What is wrong with a configuration, each fault with its place, and how it is shown to the operator.

import { isName } from './credentials.ts';
import { printable } from './printable.ts';
import { HIDDEN } from './redacted-url.ts';

/** Where a value came from, and so where it is to be mended. */
export type Place =
  | {
      readonly kind: 'file';
      readonly file: string;
      readonly line: number;
      readonly column: number;
      /** The line with a caret below what is meant; secrets are struck out. */
      readonly frame: string;
    }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'none' };

export interface Fault {
  readonly place: Place;
  /** `upstreams[0].url`; empty where it is about no key. */
  readonly key: string;
  readonly message: string;
  /** What was probably meant. */
  readonly suggestion?: string;
}

/** Nobody reads more at once. */
const MAX_FAULTS = 100;

/** Its message is meant for the operator. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly Fault[];

  constructor(what: string | readonly Fault[], options?: ErrorOptions) {
    const told = typeof what === 'string' ? [{ place: { kind: 'none' }, key: '', message: what } as const] : what;
    const more = told.length - MAX_FAULTS;
    const rest: Fault[] = more > 0 ? [{ place: { kind: 'none' }, key: '', message: `and ${more} more` }] : [];
    const faults = [...told.slice(0, MAX_FAULTS).map(shown), ...rest];
    super(faults.map(faultText).join('\n'), options);
    this.faults = faults;
  }
}

/** Names of files, variables and keys are whatever somebody chose. */
function shown({ place, key, message, suggestion }: Fault): Fault {
  return {
    place: shownPlace(place),
    key: printable(shownKey(key)),
    message: printable(message),
    ...(suggestion !== undefined && { suggestion: printable(suggestion) }),
  };
}

function shownPlace(place: Place): Place {
  switch (place.kind) {
    case 'file':
      return { ...place, file: printable(place.file) };
    case 'none':
      return place;
    default:
      return { ...place, name: printable(place.name) };
  }
}

/** `x-api-key:s3cret` without its blank is the name of a header; and a secret can stand where a name belongs. */
function shownKey(key: string): string {
  return key
    .replace(/(?<=[:=\s"'{}]).*$/s, '…')
    .split('.')
    .map((step) => (isName(step.replace(/(?:\[\d+\])+$/, '')) ? step : '…'))
    .join('.');
}

function faultText({ place, key, message, suggestion }: Fault): string {
  const hint = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`;
  const what = `${key === '' ? '' : `${key}: `}${message}${hint}`;
  switch (place.kind) {
    case 'file':
      return `${place.file}:${place.line}:${place.column}: ${what}${place.frame === '' ? '' : `\n${place.frame}\n`}`;
    case 'none':
      return what;
    default:
      return `${place.name}: ${message}${hint}`;
  }
}

/** Shorter ones are no secrets, and every text holds them. */
const MIN_SECRET = 4;

/** `drawn`: what was put in from variables and files. The hints of some faults are made from values. */
export function withoutDrawn(faults: readonly Fault[], drawn: ReadonlySet<string>): readonly Fault[] {
  const values = [...drawn].map((value) => value.trim()).filter(({ length }) => length >= MIN_SECRET);
  if (values.length === 0) return faults;
  // Of one that begins another the longer one first; hosts are written in small letters.
  const inOrder = values.toSorted((left, right) => right.length - left.length).map(escaped);
  const pattern = new RegExp(inOrder.join('|'), 'gi');
  return faults.map(({ message, suggestion, ...rest }) => ({
    ...rest,
    message: message.replaceAll(pattern, HIDDEN),
    ...(suggestion !== undefined && { suggestion: suggestion.replaceAll(pattern, HIDDEN) }),
  }));
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}

/** Top to bottom, the file first. */
export function inOrder(faults: readonly Fault[]): Fault[] {
  const rank = ({ place }: Fault): number => (place.kind === 'file' ? place.line * 1e6 + place.column : 1e15);
  return faults.toSorted((left, right) => rank(left) - rank(right));
}

const FRAME_WIDTH = 120;

/** `shown`: the line as it may be shown; `column` and `length`: of what is meant. */
export function codeFrame(shown: string, line: number, column: number, length: number): string {
  // Of a very long line the part that is meant.
  const cut = Math.max(0, Math.min(column - 40, shown.length - FRAME_WIDTH));
  const part = shown.slice(cut, cut + FRAME_WIDTH).replaceAll(/[^\t]+/g, printable);
  const gutter = `  ${line} | `;
  const before = part.slice(0, column - 1 - cut).replaceAll(/[^\t]/g, ' ');
  const carets = '^'.repeat(Math.max(1, Math.min(length, part.length - (column - 1 - cut))));
  return `${gutter}${part}\n${' '.repeat(gutter.length - 2)}| ${before}${carets}`;
}
