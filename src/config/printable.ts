// Text of other people as it may be written to a terminal or a page: one character for one, so that what points at it stays
// right.

/**
 * C0, DEL and C1 move the cursor, set titles and colours; the others hide text, turn its direction or break its line. The
 * tags at the end are letters that nobody sees.
 */
const UNPRINTABLE =
  // oxlint-disable-next-line no-control-regex -- control characters are just what this looks for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;

export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (found) => '\ufffd'.repeat(found.length));
}
