// What the Mcp-* headers of a modern request must say: the same as its body. Intermediaries decide by the headers and
// the upstream by the body, so whatever could be read in two ways is a fault here, not a matter of taste.

/** What an HTTP request says in its Mcp-* headers: every occurrence of each, names lower-case, none when it is absent. */
export type HeaderValues = (name: string) => readonly string[];

/** What one header says, or why that cannot be told. */
export type Told = { readonly text: string } | { readonly fault: string };

// [spec 2026-07-28 transports] "These markers are case-sensitive and MUST appear exactly as shown (lowercase)."
const SENTINEL_START = '=?base64?';
const SENTINEL_END = '?=';

// [spec 2026-07-28 transports] "HTTP header field values must consist of visible ASCII characters (0x21-0x7E), space
// (0x20), and horizontal tab (0x09)."
const NO_FIELD_CHARACTER = /[^\t -~]/;

/** Longer values are cut in what is said of them. */
const MAX_QUOTED = 64;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text that a header value stands for, plain or in Base64; null where it stands for none. */
export function decodedHeader(value: string): string | null {
  const text = plainHeader(value);
  // [spec 2026-07-28 transports] "any plain-ASCII value that matches the sentinel pattern (i.e., starts with =?base64?
  // and ends with ?=)" has to be encoded itself, so what looks like the pattern is nothing else. Other cases of the
  // letters and a missing end do not look like it.
  if (text === null || !text.startsWith(SENTINEL_START) || !text.endsWith(SENTINEL_END)) return text;
  // In `=?base64?=` the two share a character: readers disagree whether that is the pattern.
  if (text.length < SENTINEL_START.length + SENTINEL_END.length) return null;
  return textOfBase64(text.slice(SENTINEL_START.length, -SENTINEL_END.length));
}

/** Why Mcp-Method is not the method of the body, for the one who sent both; null when it is. */
export function methodHeaderFault(headers: HeaderValues, method: string): string | null {
  // [spec 2026-07-28 transports] "headers that permit the Base64 sentinel encoding (Mcp-Name and Mcp-Param-{Name})":
  // this one does not.
  return disagreement('Mcp-Method', toldIn(headers, 'Mcp-Method', plainHeader), method);
}

/** Why Mcp-Name is not the name or URI of the body, for the one who sent both; null when it is. */
export function nameHeaderFault(headers: HeaderValues, name: string): string | null {
  // [spec 2026-07-28 transports] "servers MUST decode an encoded Mcp-Name or Mcp-Param-{Name} value before comparing
  // it to the corresponding request body value"
  return disagreement('Mcp-Name', toldIn(headers, 'Mcp-Name'), name);
}

/** What a header says that must be there, once. */
export function toldIn(headers: HeaderValues, name: string, read = decodedHeader): Told {
  const values = headers(name.toLowerCase());
  const [value] = values;
  const shown = shortened(name);
  if (value === undefined) return { fault: `the header ${shown} is missing` };
  // Even if they are equal: who takes the first, the last or both joined by a comma sees different values.
  if (values.length > 1) return { fault: `the header ${shown} is given ${values.length} times` };
  const text = read(value);
  // [spec 2026-07-28 transports] "Validation failure conditions include: … A header value contains invalid characters."
  return text === null ? { fault: `the header ${shown} holds characters or Base64 that it must not` } : { text };
}

/** [spec 2026-07-28 transports] "Header values (such as method names) are case-sensitive." */
function disagreement(name: string, told: Told, body: string): string | null {
  if ('fault' in told) return told.fault;
  return told.text === body ? null : `the header ${name} says ${quoted(told.text)}, the body says ${quoted(body)}`;
}

/** A value without the white space around it, if it consists of what a header may hold. */
function plainHeader(value: string): string | null {
  let start = 0;
  let end = value.length;
  // Not by a regular expression: one that ends in `[ \t]+$` reads a long run of spaces once for each of them.
  while (start < end && isSpace(value.charCodeAt(start))) start++;
  while (end > start && isSpace(value.charCodeAt(end - 1))) end--;
  const text = value.slice(start, end);
  return NO_FIELD_CHARACTER.test(text) ? null : text;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Padding, alphabet and spare bits must be right: one text has one spelling, so that nobody reads another one. */
function textOfBase64(base64: string): string | null {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) return null;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}

const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/** Whether two texts are the same number, exactly, however large: `42.0` is `42`, and 2^53 is not 2^53 + 1. */
export function isSameNumber(a: string, b: string): boolean {
  const number = canonicalNumber(a);
  return number !== null && number === canonicalNumber(b);
}

/** The digits that count and the power of ten of the last one; null for what is no number as JSON writes it. */
function canonicalNumber(text: string): string | null {
  const parts = NUMBER.exec(text);
  if (parts === null) return null;
  const [, sign = '', whole = '', fraction = '', power = '0'] = parts;
  const digits = whole + fraction;
  let start = 0;
  let end = digits.length;
  while (start < end && digits[start] === '0') start++;
  while (end > start && digits[end - 1] === '0') end--;
  if (start === end) return '0';
  const exponent = Number(power) - fraction.length + (digits.length - end);
  // Beyond that powers are rounded, and two numbers could look the same. The same text is the same number still.
  if (!Number.isSafeInteger(Number(power)) || !Number.isSafeInteger(exponent)) return text;
  return `${sign}${digits.slice(start, end)}e${exponent}`;
}

export function quoted(text: string): string {
  return JSON.stringify(shortened(text));
}

export function shortened(text: string): string {
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
}
