// One strict pass over one JSON text: the whole grammar is checked, the members that are asked for are recorded, and
// nothing is turned into objects.

export interface Span {
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
}

export type JsonKind = 'string' | 'integer' | 'number' | 'object' | 'array' | 'boolean' | 'null';

export interface Member extends Span {
  readonly kind: JsonKind;
}

/** The members we know of one JSON object; the others are checked and passed over. */
export interface ObjectView extends Span {
  readonly kind: 'object';
  readonly members: ReadonlyMap<string, Member>;
}

export class JsonFault extends Error {}
export class TooDeep extends Error {}
export class Duplicate extends Error {}

/** Texts from this size on are read by words inside strings. */
const WORDS_FROM_BYTES = 512;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** One pass over one JSON text. Methods advance `at`; they throw JsonFault where the grammar is broken. */
export class Scanner {
  at = 0;
  readonly bytes: Uint8Array;
  readonly #maxDepth: number;
  /** The memory under the bytes as words, for long strings; null where the text is too short to be worth it. */
  readonly #words: Uint32Array | null;

  constructor(bytes: Uint8Array, maxDepth: number) {
    this.bytes = bytes;
    this.#maxDepth = maxDepth;
    this.#words =
      bytes.length < WORDS_FROM_BYTES ? null : new Uint32Array(bytes.buffer, 0, bytes.buffer.byteLength >> 2);
  }

  skipSpace(): void {
    const { bytes } = this;
    let c = bytes[this.at];
    while (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) c = bytes[++this.at];
  }

  /** The value at `at`, checked to its end. */
  value(depth: number): Member {
    const start = this.at;
    const c = this.bytes[start];
    let kind: JsonKind;
    if (c === QUOTE) {
      this.string();
      kind = 'string';
    } else if (c === 0x7b) {
      this.object(depth + 1, null, null);
      kind = 'object';
    } else if (c === 0x5b) {
      this.#array(depth + 1);
      kind = 'array';
    } else if (c === 0x74) {
      this.#literal('true');
      kind = 'boolean';
    } else if (c === 0x66) {
      this.#literal('false');
      kind = 'boolean';
    } else if (c === 0x6e) {
      this.#literal('null');
      kind = 'null';
    } else {
      kind = this.#number();
    }
    return { start, end: this.at, kind };
  }

  /** Reads the object at `at`. Members whose key is known are recorded; `open` may read one of them deeper. */
  object(
    depth: number,
    isKnown: ((key: string) => boolean) | null,
    open: ((key: string, depth: number) => Member | null) | null,
  ): ObjectView {
    if (depth > this.#maxDepth) throw new TooDeep();
    const start = this.at++;
    const members = isKnown === null ? NO_MEMBERS : new Map<string, Member>();
    this.skipSpace();
    if (this.bytes[this.at] === 0x7d) {
      this.at++;
      return { start, end: this.at, kind: 'object', members };
    }
    for (;;) {
      if (this.bytes[this.at] !== QUOTE) throw new JsonFault();
      let key = '';
      if (isKnown === null) this.string();
      else key = this.key();
      this.skipSpace();
      if (this.bytes[this.at++] !== 0x3a) throw new JsonFault();
      this.skipSpace();
      if (isKnown !== null && isKnown(key)) {
        // Two parsers that disagree about which of two members counts are a hole: refused where we read them.
        if (members.has(key)) throw new Duplicate(key);
        (members as Map<string, Member>).set(key, open?.(key, depth) ?? this.value(depth));
      } else {
        this.value(depth);
      }
      this.skipSpace();
      const c = this.bytes[this.at++];
      if (c === 0x7d) break;
      if (c !== 0x2c) throw new JsonFault();
      this.skipSpace();
    }
    return { start, end: this.at, kind: 'object', members };
  }

  #array(depth: number): void {
    if (depth > this.#maxDepth) throw new TooDeep();
    this.at++;
    this.skipSpace();
    if (this.bytes[this.at] === 0x5d) {
      this.at++;
      return;
    }
    for (;;) {
      this.value(depth);
      this.skipSpace();
      const c = this.bytes[this.at++];
      if (c === 0x5d) return;
      if (c !== 0x2c) throw new JsonFault();
      this.skipSpace();
    }
  }

  /** The string at `at`, which is a key. */
  key(): string {
    const start = this.at;
    return this.#keyText(start, this.string());
  }

  /** Passes over the string at `at`; says whether it holds an escape. */
  string(): boolean {
    const { bytes } = this;
    const words = this.#words;
    const base = bytes.byteOffset;
    let escaped = false;
    let i = this.at + 1;
    for (;;) {
      const c = bytes[i];
      if (c === QUOTE) break;
      if (c === undefined || c < 0x20) throw new JsonFault();
      if (c === BACKSLASH) {
        escaped = true;
        i = this.#escape(i);
      } else {
        i++;
        if (words !== null && ((base + i) & 15) === 0) i = this.#plainUntil(i, words);
      }
    }
    this.at = i + 1;
    return escaped;
  }

  /**
   * The first index from i, which is on a word, whose byte may end or bend a string: four bytes at a time, by the well-known test for a
   * byte below a bound. It may stop too early, never too late. Byte by byte, this loop was a quarter of a large call.
   */
  #plainUntil(i: number, words: Uint32Array): number {
    const { byteOffset, length } = this.bytes;
    const end = (byteOffset + length) >> 2;
    let at = (byteOffset + i) >> 2;
    for (; at < end; at++) {
      const word = words[at] ?? 0;
      const quote = word ^ 0x22222222;
      const backslash = word ^ 0x5c5c5c5c;
      const below = (word - 0x20202020) & ~word;
      if (((below | ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash)) & 0x80808080) !== 0)
        break;
    }
    return (at << 2) - byteOffset;
  }

  #escape(i: number): number {
    const c = this.bytes[i + 1];
    switch (c) {
      case 0x22: // "
      case 0x5c: // \
      case 0x2f: // /
      case 0x62: // b
      case 0x66: // f
      case 0x6e: // n
      case 0x72: // r
      case 0x74: // t
        return i + 2;
      case 0x75: // u
        for (let k = i + 2; k < i + 6; k++) if (!isHexDigit(this.bytes[k])) throw new JsonFault();
        return i + 6;
      default:
        throw new JsonFault();
    }
  }

  #literal(text: string): void {
    for (let k = 0; k < text.length; k++) {
      if (this.bytes[this.at + k] !== text.charCodeAt(k)) throw new JsonFault();
    }
    this.at += text.length;
  }

  #number(): 'integer' | 'number' {
    const { bytes } = this;
    let kind: 'integer' | 'number' = 'integer';
    if (bytes[this.at] === 0x2d) this.at++;
    if (bytes[this.at] === 0x30) this.at++;
    else this.#digits();
    if (bytes[this.at] === 0x2e) {
      kind = 'number';
      this.at++;
      this.#digits();
    }
    const e = bytes[this.at];
    if (e === 0x65 || e === 0x45) {
      kind = 'number';
      this.at++;
      const sign = bytes[this.at];
      if (sign === 0x2b || sign === 0x2d) this.at++;
      this.#digits();
    }
    return kind;
  }

  #digits(): void {
    const first = this.at;
    let c = this.bytes[this.at];
    while (c !== undefined && c >= 0x30 && c <= 0x39) c = this.bytes[++this.at];
    if (this.at === first) throw new JsonFault();
  }

  /** A key as every parser reads it: `"\u0069d"` is `id`. */
  #keyText(start: number, escaped: boolean): string {
    const usual = usualKey(this.bytes, start + 1, this.at - 1);
    if (usual !== null) return usual;
    const text = utf8.decode(this.bytes.subarray(start, this.at));
    return escaped ? (JSON.parse(text) as string) : text.slice(1, -1);
  }
}

/** Names that nearly every message has: to find one in the table is a tenth of decoding it. */
const USUAL_KEYS =
  'jsonrpc id method params result error code message data content isError name uri arguments _meta progressToken progress total level logger requestId traceparent'
    .split(' ')
    .concat(
      ['protocolVersion', 'clientInfo', 'clientCapabilities', 'logLevel', 'serverInfo'].map(
        (name) => `io.modelcontextprotocol/${name}`,
      ),
    )
    .map((name) => ({ name, bytes: new TextEncoder().encode(name) }));
const SLOTS = 64;
const slotOf = (length: number, first: number, last: number): number => (length * 5 + first + last * 3) % SLOTS;
const usualKeys = Array.from({ length: SLOTS }, (_, slot) =>
  USUAL_KEYS.filter(({ bytes }) => slotOf(bytes.length, bytes[0] ?? 0, bytes.at(-1) ?? 0) === slot),
);

/** Null: it is none of them. One that holds an escape is none either, whatever it says. */
function usualKey(bytes: Uint8Array, start: number, end: number): string | null {
  const candidates = usualKeys[slotOf(end - start, bytes[start] ?? 0, bytes[end - 1] ?? 0)] ?? [];
  for (const { name, bytes: known } of candidates) {
    if (known.length !== end - start) continue;
    let at = 0;
    while (at < known.length && known[at] === bytes[start + at]) at++;
    if (at === known.length) return name;
  }
  return null;
}

const NO_MEMBERS: ReadonlyMap<string, Member> = new Map();

function isHexDigit(c: number | undefined): boolean {
  return c !== undefined && ((c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66));
}
