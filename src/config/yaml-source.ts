// The text of a YAML file → its values, and the place of each of them.

import {
  type Document,
  type ErrorCode,
  LineCounter,
  type Pair,
  type Scalar,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  parseDocument,
} from 'yaml';
import { type Fault, type Place, codeFrame } from './faults.ts';
import { nameOf } from './keys.ts';
import { shownLine } from './shown-line.ts';
import { type Surroundings, substitute } from './substitution.ts';

export type Path = readonly (string | number)[];

export interface YamlSource {
  readonly value: unknown;
  readonly faults: readonly Fault[];
  /** Whether there is a value of which more can be said. */
  readonly isReadable: boolean;
  /** Of the key itself, or of its value; of what is not there, of the nearest thing around it. */
  place(path: Path, at: 'key' | 'value'): Place;
}

/** In place of the library's own words where those are for programmers, or repeat what stands in the file. */
const WORDS: { readonly [code in ErrorCode]?: string } = {
  BAD_ALIAS: 'an anchor or alias has no name; a text that begins with & or * must be in quotes',
  BAD_DIRECTIVE: 'a line that begins with % is no text, and this one is not known',
  BAD_DQ_ESCAPE: 'there is no such escape; in single quotes a backslash is one',
  BAD_SCALAR_START: 'a text that begins like this must be in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a text with a colon and a blank in it must be in quotes, and nothing can be below a text',
  MULTILINE_IMPLICIT_KEY: 'a key stands on one line with its colon: is a colon missing?',
  NON_STRING_KEY: 'a key must be a plain name',
  UNEXPECTED_TOKEN: 'this cannot stand here: is a quote, a bracket, a comma or a colon missing, or one too many?',
};
/** Whose words are the same whatever stands in the file. */
const SAYABLE: readonly ErrorCode[] = [
  'ALIAS_PROPS',
  'BAD_INDENT',
  'BLOCK_IN_FLOW',
  'KEY_OVER_1024_CHARS',
  'MISSING_CHAR',
  'MULTIPLE_ANCHORS',
  'MULTIPLE_TAGS',
  'TAB_AS_INDENT',
];

function wordsFor(code: ErrorCode, message: string): string {
  if (SAYABLE.includes(code)) return message.charAt(0).toLowerCase() + message.slice(1);
  return WORDS[code] ?? 'this cannot be read';
}

export interface YamlOptions {
  readonly file: string;
  readonly text: string;
  readonly surroundings: Surroundings;
  /** What a text that was put in stands for: 8080 is a number where a number belongs. */
  readonly typed: (path: Path, text: string) => unknown;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Aliases of aliases grow without end; nobody writes so much by hand. */
const MAX_NODES = 20_000;
const MAX_DEPTH = 50;

export function readYaml(options: YamlOptions): YamlSource {
  const { file, text } = options;
  const counter = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    stringKeys: true,
    // The library compares each key with all before it.
    uniqueKeys: false,
  });
  /** By their numbers: a long one can have many faults. */
  const shownLines = new Map<number, string>();
  const shownAt = (line: number): string => {
    // At the end of the file there is no line to point at.
    const [from = text.length, to = text.length] = counter.lineStarts.slice(line - 1, line + 1);
    const shown = shownLines.get(line) ?? shownLine(text.slice(from, to).replace(/\r?\n$/, ''));
    shownLines.set(line, shown);
    return shown;
  };
  const placeOf = ({ start, end }: Span): Place => {
    const { line, col } = counter.linePos(Math.min(start, text.length));
    return {
      kind: 'file',
      file,
      line,
      column: col,
      // Of many faults few are shown.
      get frame() {
        return codeFrame(shownAt(line), line, col, end - start);
      },
    };
  };
  if (document.errors.length > 0) {
    // What follows the first is mostly its consequence: everything after it is then unexpected.
    const own = document.errors.filter(
      ({ code, pos }, index, all) => index === 0 || (code !== 'UNEXPECTED_TOKEN' && pos[0] !== all[index - 1]?.pos[0]),
    );
    const faults = own.map(({ pos: [start, end], code, message }) => {
      const place = placeOf({ start, end });
      if (code === 'MULTIPLE_DOCS') return { place, key: '', message: 'these are several documents: keep one of them' };
      if (code === 'RESOURCE_EXHAUSTION') return { place, key: '', message: 'is nested too deeply' };
      const before = text.slice(text.lastIndexOf('\n', start - 1) + 1, start + 1);
      const hint = before.includes('${') ? '; inside braces and brackets ${…} must be in quotes' : '';
      return { place, key: '', message: `is not YAML: ${wordsFor(code, message)}${hint}` };
    });
    return { value: undefined, faults, isReadable: false, place: () => placeOf({ start: 0, end: 1 }) };
  }
  const reader = new Reader(options, document, placeOf);
  const value = reader.read(document.contents, [], { start: 0, end: 1 });
  return {
    value,
    faults: reader.faults,
    isReadable: !reader.isTooLarge,
    place: (path, at) => placeOf(reader.spanOf(path, at)),
  };
}

class Reader {
  readonly faults: Fault[] = [];
  readonly #options: YamlOptions;
  readonly #document: Document;
  readonly #placeOf: (span: Span) => Place;
  readonly #keys = new Map<string, Span>();
  readonly #values = new Map<string, Span>();
  /** What is being read, from the outermost in. */
  readonly #around = new Set<unknown>();
  #nodes = 0;

  constructor(options: YamlOptions, document: Document, placeOf: (span: Span) => Place) {
    this.#options = options;
    this.#document = document;
    this.#placeOf = placeOf;
  }

  get isTooLarge(): boolean {
    return this.#nodes > MAX_NODES;
  }

  spanOf(path: Path, at: 'key' | 'value'): Span {
    const own = (at === 'key' ? this.#keys.get(nameOf(path)) : undefined) ?? this.#values.get(nameOf(path));
    if (own !== undefined) return own;
    return path.length === 0 ? { start: 0, end: 1 } : this.spanOf(path.slice(0, -1), 'value');
  }

  /** `around`: where it stands in, should it have no place of its own. */
  read(node: unknown, path: Path, around: Span): unknown {
    const span = spanOf(node) ?? around;
    this.#values.set(nameOf(path), span);
    if (++this.#nodes > MAX_NODES || path.length > MAX_DEPTH) {
      if (this.#nodes <= MAX_NODES + 1) this.#blame(span, path, 'is too large, or too deep');
      this.#nodes = MAX_NODES + 1;
      return null;
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target !== undefined && !this.#around.has(target)) return this.read(target, path, span);
      if (target !== undefined) {
        this.#blame(span, path, 'refers to itself');
        return null;
      }
      this.#blame(
        span,
        path,
        'there is no anchor above for this alias to stand for; a text that begins with * must be in quotes',
      );
      return null;
    }
    if (isScalar(node)) return typeof node.value === 'string' ? this.#text(node, path, span) : node.value;
    this.#around.add(node);
    const value = this.#inside(node, path, span);
    this.#around.delete(node);
    return value;
  }

  #inside(node: unknown, path: Path, span: Span): unknown {
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index], span));
    return isMap(node) ? this.#object(node.items, path, span) : null;
  }

  #object(pairs: readonly Pair[], path: Path, around: Span): object {
    const result = {};
    for (const { key, value } of pairs) {
      const name = isScalar(key) ? String(key.value) : String(key);
      const at = [...path, name];
      const span = spanOf(key) ?? around;
      if (Object.hasOwn(result, name)) this.#blame(span, [], 'this key is given twice in one section');
      this.#keys.set(nameOf(at), span);
      // An assignment to __proto__ would do something else.
      Object.defineProperty(result, name, {
        value: this.read(value, at, span),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return result;
  }

  #text(node: Scalar, path: Path, span: Span): unknown {
    const { text, changed, faults, empty } = substitute(String(node.value), this.#options.surroundings);
    if (!changed) return text;
    const isHeader = path.length === 4 && path[2] === 'headers';
    for (const { text: placeholder, message, suggestion } of isHeader ? [...faults, ...empty] : faults) {
      // As it stands in the file; a block or an escape may hide it, then the value as a whole is meant.
      const found = this.#options.text.slice(span.start, span.end).indexOf(placeholder);
      const start = span.start + Math.max(0, found);
      const place = found < 0 ? span : { start, end: start + placeholder.length };
      this.#blame(place, path, message, suggestion);
    }
    return this.#options.typed(path, text);
  }

  #blame(span: Span, path: Path, message: string, suggestion?: string): void {
    const hint = suggestion === undefined ? {} : { suggestion };
    this.faults.push({ place: this.#placeOf(span), key: nameOf(path), message, ...hint });
  }
}

function spanOf(node: unknown): Span | undefined {
  const range = isNode(node) ? node.range : undefined;
  if (!range) return undefined;
  const [start, valueEnd] = range;
  // Of a map or a list its first entry is enough to point at.
  return { start, end: isCollection(node) ? start + 1 : Math.max(valueEnd, start + 1) };
}
