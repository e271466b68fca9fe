// Two readers of JSON that differ in one thing: which of two equal keys counts. Both are found in the wild, so whatever
// we change must look the same to both. Numbers are kept as they are written.

export type Wins = 'first' | 'last';

export class NumberText {
  readonly raw: string;

  constructor(raw: string) {
    this.raw = raw;
  }
}

export type Tree = string | boolean | null | NumberText | Tree[] | Map<string, Tree>;

/** Reads a text that is known to be JSON. */
export function treeOf(text: string, wins: Wins): Tree {
  let at = 0;

  function space(): void {
    for (;;) {
      const c = text.charCodeAt(at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      at++;
    }
  }

  function value(): Tree {
    space();
    switch (text[at]) {
      case '{':
        return object();
      case '[':
        return array();
      case '"':
        return string();
      case 't':
        at += 4;
        return true;
      case 'f':
        at += 5;
        return false;
      case 'n':
        at += 4;
        return null;
      default:
        return number();
    }
  }

  function object(): Map<string, Tree> {
    const members = new Map<string, Tree>();
    at++;
    space();
    while (text[at] !== '}') {
      if (text[at] === ',') at++;
      space();
      const key = string();
      space();
      at++; // the colon
      const member = value();
      if (wins === 'last' || !members.has(key)) members.set(key, member);
      space();
    }
    at++;
    return members;
  }

  function array(): Tree[] {
    const items: Tree[] = [];
    at++;
    space();
    while (text[at] !== ']') {
      if (text[at] === ',') at++;
      items.push(value());
      space();
    }
    at++;
    return items;
  }

  function string(): string {
    const start = ++at;
    let escaped = false;
    while (text[at] !== '"') {
      if (text[at] === '\\') {
        escaped = true;
        at++;
      }
      at++;
      if (at > text.length) throw new Error('the text ends too early');
    }
    const raw = text.slice(start, at++);
    return escaped ? unescaped(raw) : raw;
  }

  function number(): NumberText {
    const start = at;
    while ('+-.eE0123456789'.includes(text[at] ?? ' ')) at++;
    if (at === start) throw new Error(`no value at ${at}`);
    return new NumberText(text.slice(start, at));
  }

  const tree = value();
  space();
  if (at !== text.length) throw new Error(`more than one value: ${at} of ${text.length}`);
  return tree;
}

const SHORT: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unescaped(raw: string): string {
  return raw.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_all, hex: string | undefined, char: string) =>
    hex === undefined ? (SHORT[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Whether two trees are equal; at `path` the other one has to hold `instead`. */
export function sameBut(
  before: Tree,
  after: Tree,
  changes: readonly { path: readonly string[]; instead: Tree }[],
): boolean {
  const here = changes.find(({ path }) => path.length === 0);
  if (here !== undefined) return sameBut(here.instead, after, []);
  if (before instanceof Map) {
    if (!(after instanceof Map) || before.size !== after.size) return false;
    for (const [key, member] of before) {
      const other = after.get(key);
      const inside = changes
        .filter(({ path }) => path[0] === key)
        .map(({ path, instead }) => ({ path: path.slice(1), instead }));
      if (other === undefined || !sameBut(member, other, inside)) return false;
    }
    return true;
  }
  if (Array.isArray(before)) {
    return (
      Array.isArray(after) &&
      before.length === after.length &&
      before.every((item, index) => sameBut(item, after[index] ?? null, []))
    );
  }
  if (before instanceof NumberText) return after instanceof NumberText && after.raw === before.raw;
  return before === after;
}
