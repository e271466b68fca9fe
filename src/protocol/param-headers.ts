// `x-mcp-header`: a tool names arguments that a call repeats in Mcp-Param-* headers. Found in the definition of the tool,
// compared with a call, and taken out of the definition.
//
// An annotation is a member of a schema. The same word as the name of an argument, or inside a value that a schema holds
// as data, is none. One pass reads everything, however the annotations are nested.

import { bytesOf, textOf } from './json-rpc.ts';
import { Duplicate, type Member, Scanner, type Span } from './json-scanner.ts';
import { type HeaderValues, isSameNumber, quoted, shortened, toldIn } from './modern-headers.ts';
import { type Edit, splice } from './splice.ts';

export interface ParamHeader {
  /** Lower-case: `mcp-param-region`. */
  readonly header: string;
  /** The names of the properties that lead to the argument, from the root of the arguments. */
  readonly path: readonly string[];
  readonly type: ParamType;
}

type ParamType = 'string' | 'integer' | 'boolean';

const PARAM_TYPES: ReadonlySet<string> = new Set<ParamType>(['string', 'integer', 'boolean']);

const ANNOTATION = 'x-mcp-header';
const ANNOTATION_BYTES = Buffer.from(ANNOTATION);
/** A letter that is escaped has a code below 100 hexadecimal. */
const ESCAPED_LETTER = Buffer.from('\\u00');

/** Keywords whose members are names, each with a schema, beside `properties`. */
const MAPS = new Set('patternProperties $defs definitions dependentSchemas dependentRequired dependencies'.split(' '));
/** Keywords whose value is data. Every other one may hold schemas: none is overlooked because a revision adds it. */
const DATA = new Set(['default', 'const', 'enum', 'examples', 'example']);

// [spec 2026-07-28 transports] "MUST match HTTP field-name token syntax (1*tchar, RFC 9110 Section 5.1)"
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * The annotated parameters of a tool; 'invalid' when clients have to drop the tool for an annotation. The tool stands in
 * bytes that readMessage has accepted.
 */
export function paramHeadersOf(bytes: Uint8Array, tool: Span): readonly ParamHeader[] | 'invalid' {
  const { found, readsInTwoWays } = annotationsIn(bytes, tool);
  if (found.length === 0) return [];
  // A key that is given twice: the client would see another schema than we do.
  if (readsInTwoWays) return 'invalid';
  const params = new Map<string, ParamHeader>();
  for (const { name, type, path } of found) {
    // [spec 2026-07-28 transports] "An x-mcp-header annotation anywhere else makes the annotation — and thus the tool
    // definition — invalid." The root is no property.
    if (path === null || path.length === 0) return 'invalid';
    const token = name.kind === 'string' ? textOf(bytes, name) : '';
    if (!TOKEN.test(token)) return 'invalid';
    // [spec 2026-07-28 transports] "MUST only be applied to parameters with primitive types (integer, string, boolean).
    // Parameters with type number are not permitted." A list of types is not one of them, with null or without.
    const word = type?.kind === 'string' ? textOf(bytes, type) : '';
    if (!isParamType(word)) return 'invalid';
    const header = `mcp-param-${token.toLowerCase()}`;
    // [spec 2026-07-28 transports] "MUST be case-insensitively unique among all x-mcp-header values in the inputSchema"
    if (params.has(header)) return 'invalid';
    params.set(header, { header, path, type: word });
  }
  return [...params.values()];
}

const isParamType = (word: string): word is ParamType => PARAM_TYPES.has(word);

/** Edits that take every annotation out of the input schema of a tool, valid or not; no more than one. */
export function withoutParamHeaders(bytes: Uint8Array, tool: Span): Edit[] {
  const cuts = annotationsIn(bytes, tool).cuts.toSorted((a, b) => a.start - b.start);
  const [first, last] = [cuts[0], cuts.at(-1)];
  if (first === undefined || last === undefined) return [];
  // Each piece of a message is written by itself, and a hostile tool can hold thousands of annotations.
  const [{ start }, { end }] = [first, last];
  const inside = cuts.map((cut) => ({ start: cut.start - start, end: cut.end - start, text: NOTHING }));
  return [{ start, end, text: Buffer.concat(splice(bytes.subarray(start, end), inside)) }];
}

const NOTHING = new Uint8Array();

interface Annotation {
  readonly name: Member;
  /** The type that the annotated schema says. */
  readonly type: Member | undefined;
  /** Null where the schema is not reached by `properties` alone. */
  readonly path: readonly string[] | null;
}

interface Annotations {
  readonly found: readonly Annotation[];
  /** What to cut so that none is left, in no order. */
  readonly cuts: readonly Span[];
  /** An object on the way to them gives a key twice. */
  readonly readsInTwoWays: boolean;
}

function annotationsIn(bytes: Uint8Array, tool: Span): Annotations {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + tool.start, tool.end - tool.start);
  // Most tools have none, and escapes can spell one.
  const mayHoldOne = view.includes(ANNOTATION_BYTES) || view.includes(ESCAPED_LETTER);
  const walk = new SchemaWalk(bytes);
  if (mayHoldOne && bytes[tool.start] === 0x7b) walk.tool(tool.start);
  return walk;
}

class SchemaWalk implements Annotations {
  readonly found: Annotation[] = [];
  readonly cuts: Span[] = [];
  readsInTwoWays = false;
  readonly #bytes: Uint8Array;
  readonly #scanner: Scanner;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
  }

  tool(start: number): void {
    this.#scanner.at = start;
    this.#members((key) => {
      if (key === 'inputSchema') this.#schema([]);
      else this.#scanner.value(0);
      return 'stays';
    });
  }

  /** The schema at the scanner, or what stands in the place of one; `path` as in an annotation. */
  #schema(path: readonly string[] | null): void {
    const scanner = this.#scanner;
    const first = this.#bytes[scanner.at];
    if (first === 0x5b) return this.#elements();
    if (first !== 0x7b) return void scanner.value(0);
    const own = new Map<string, Member>();
    this.#members((key) => {
      if (key === ANNOTATION || key === 'type') own.set(key, scanner.value(0));
      else if (key === 'properties') this.#namedSchemas(path);
      else if (MAPS.has(key)) this.#namedSchemas(null);
      else if (DATA.has(key)) scanner.value(0);
      else this.#schema(null);
      return key === ANNOTATION ? 'goes' : 'stays';
    });
    const name = own.get(ANNOTATION);
    if (name !== undefined) this.found.push({ name, type: own.get('type'), path });
  }

  #namedSchemas(path: readonly string[] | null): void {
    if (this.#bytes[this.#scanner.at] !== 0x7b) return this.#schema(null);
    this.#members((key) => {
      this.#schema(path === null ? null : [...path, key]);
      return 'stays';
    });
  }

  #elements(): void {
    const scanner = this.#scanner;
    scanner.at++;
    scanner.skipSpace();
    while (this.#bytes[scanner.at] !== 0x5d) {
      this.#schema(null);
      scanner.skipSpace();
      if (this.#bytes[scanner.at] === 0x2c) scanner.at++;
      scanner.skipSpace();
    }
    scanner.at++;
  }

  /** Each member of the object at the scanner: `visit` passes over its value, and says whether the member goes. */
  #members(visit: (key: string) => 'stays' | 'goes'): void {
    const [bytes, scanner] = [this.#bytes, this.#scanner];
    const keys = new Set<string>();
    /** As in removals(), which would read nested objects once for each annotation around them. */
    let follows = false;
    let comma = scanner.at++;
    scanner.skipSpace();
    while (bytes[scanner.at] !== 0x7d) {
      const start = scanner.at;
      scanner.string();
      const key = textOf(bytes, { start, end: scanner.at, kind: 'string' });
      if (keys.has(key)) this.readsInTwoWays = true;
      keys.add(key);
      scanner.skipSpace();
      scanner.at++; // the colon
      scanner.skipSpace();
      const fate = visit(key);
      const end = scanner.at;
      scanner.skipSpace();
      const nextComma = scanner.at;
      const isLast = bytes[nextComma] !== 0x2c;
      if (!isLast) {
        scanner.at++;
        scanner.skipSpace();
      }
      if (fate === 'stays') follows = true;
      else if (follows) this.cuts.push({ start: comma, end });
      else this.cuts.push({ start, end: isLast ? end : scanner.at });
      comma = nextComma;
    }
    scanner.at++;
  }
}

/**
 * Why the Mcp-Param-* headers of a call are not its arguments, for the one who sent both; null when they are. Headers
 * that the tool does not name are ignored: [spec 2026-07-28 transports] "Intermediate servers that do not recognize an
 * Mcp-Param-{Name} header MUST forward it and otherwise ignore it".
 */
export function paramHeaderFault(
  params: readonly ParamHeader[],
  bytes: Uint8Array,
  args: Span | null,
  headers: HeaderValues,
): string | null {
  if (params.length === 0) return null;
  const values = argumentsOf(params, bytes, args);
  // A header could agree with the one and the upstream take the other.
  if (values instanceof Duplicate) return `the argument ${quoted(values.message)} is given twice`;
  for (const param of params) {
    const fault = faultOf(param, bytes, values.get(param), headers);
    if (fault !== null) return fault;
  }
  return null;
}

function faultOf(
  { header, path }: ParamHeader,
  bytes: Uint8Array,
  value: Member | undefined,
  headers: HeaderValues,
): string | null {
  // Made only where it is needed: a path can be long, and many annotations can share it.
  const argument = (): string => `the argument ${quoted(path.join('.'))}`;
  if (value === undefined || value.kind === 'null') {
    // [spec 2026-07-28 transports] "Parameter value is null: Client MUST omit the header, Server MUST NOT expect the
    // header", and the same of one that is absent. A header that is sent nevertheless says what the body does not:
    // "Servers that process the request body MUST reject requests where the values specified in the headers do not match
    // the corresponding values in the request body."
    return headers(header).length === 0 ? null : `the header ${shortened(header)} is given, but not ${argument()}`;
  }
  if (value.kind === 'object' || value.kind === 'array')
    return `${argument()} is ${WORDS[value.kind]}: no header says that`;
  // [spec 2026-07-28 transports] "Client omits header but value is in body: Server MUST reject the request"
  const told = toldIn(headers, header);
  if ('fault' in told) return `${told.fault} (for ${argument()})`;
  return says(told.text, bytes, value) ? null : `the header ${shortened(header)} does not say what ${argument()} says`;
}

const WORDS = { object: 'an object', array: 'an array' } as const;

/** The kind that the value has decides, not the type that the tool wants: whether that fits is for the upstream to say. */
function says(text: string, bytes: Uint8Array, value: Member): boolean {
  if (value.kind === 'string') return text === textOf(bytes, value);
  const written = Buffer.from(bytesOf(bytes, value)).toString('latin1');
  // [spec 2026-07-28 transports] "servers SHOULD compare the header value and the body value numerically rather than as
  // strings (e.g., 42.0 and 42 are considered equal)"
  return value.kind === 'boolean' ? text === written : isSameNumber(text, written);
}

/** The paths of parameters, by their names from the root on. */
interface Branch {
  param: ParamHeader | null;
  readonly next: Map<string, Branch>;
}

/** The value at the exact path of each parameter that has one. */
function argumentsOf(
  params: readonly ParamHeader[],
  bytes: Uint8Array,
  args: Span | null,
): ReadonlyMap<ParamHeader, Member> | Duplicate {
  const values = new Map<ParamHeader, Member>();
  if (args === null) return values;
  const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
  const read = ({ param, next }: Branch): Member => {
    const isOpened = next.size > 0 && bytes[scanner.at] === 0x7b;
    const isOnPath = (key: string): boolean => next.has(key);
    const below = (key: string): Member | null => {
      const branch = next.get(key);
      return branch === undefined ? null : read(branch);
    };
    const value = isOpened ? scanner.object(1, isOnPath, below) : scanner.value(0);
    if (param !== null) values.set(param, value);
    return value;
  };
  scanner.at = args.start;
  try {
    read(branchesOf(params));
  } catch (fault) {
    if (fault instanceof Duplicate) return fault;
    throw fault;
  }
  return values;
}

function branchesOf(params: readonly ParamHeader[]): Branch {
  const root: Branch = { param: null, next: new Map() };
  for (const param of params) {
    let branch = root;
    for (const name of param.path) {
      let below = branch.next.get(name);
      if (below === undefined) branch.next.set(name, (below = { param: null, next: new Map() }));
      branch = below;
    }
    branch.param = param;
  }
  return root;
}
