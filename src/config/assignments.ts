// The environment and the flags as assignments to keys: which key is meant, and what the text stands for there.

import { holdsLiteral, isCredential, isCredentialValue } from './credentials.ts';
import type { Fault, Place } from './faults.ts';
import { urlsIn } from './http-url.ts';
import { KEYS, type Key, PREFIX, type SchemaNode, nodesAt } from './keys.ts';
import { nearest } from './nearest.ts';
import { type Surroundings, readSecret, shownPath, substitute } from './substitution.ts';
import type { Path } from './yaml-source.ts';

export interface Assignment {
  readonly key: Key;
  readonly value: unknown;
  readonly place: Place;
}

export interface Assigned {
  readonly assignments: readonly Assignment[];
  readonly faults: readonly Fault[];
}

/** The name of a flag without its dashes → what was given; of `--header` one text for each time it was given. */
export type Flags = Readonly<Record<string, string | readonly string[]>>;

/** The configuration file itself, for images: it is no key, since a file cannot name itself. */
export const FILE_VARIABLE = `${PREFIX}CONFIG`;

/** Where each listener listens, in the form of a flag. */
const ADDRESSES = { listen: '127.0.0.1:8080', admin: '127.0.0.1:8081' } as const;

const BY_VARIABLE = byName(({ variable }) => variable);
const BY_FLAG = byName(({ flag }) => flag);

export function fromEnvironment(surroundings: Surroundings): Assigned {
  const assigned = new Collector(surroundings);
  for (const [name, text = ''] of Object.entries(surroundings.env)) {
    // Compose and Kubernetes pass on what is not set as an empty text.
    if (!name.startsWith(PREFIX) || name === FILE_VARIABLE || text === '' || isOfKubernetes(name, text)) continue;
    const place: Place = { kind: 'environment', name };
    const keys = BY_VARIABLE.get(name);
    if (keys !== undefined) {
      assigned.add(keys, keys[0]?.flag === 'header' ? text.split(/\r?\n/) : [text], place);
      continue;
    }
    const suggestion = nearest(
      name.slice(PREFIX.length),
      [...BY_VARIABLE.keys()].map((each) => each.slice(PREFIX.length)),
    );
    const hint = suggestion === null ? {} : { suggestion: PREFIX + suggestion };
    assigned.faults.push({ place, key: '', message: 'is no known variable', ...hint });
  }
  return inDepth(assigned);
}

export function fromFlags(flags: Flags, surroundings: Surroundings): Assigned {
  const assigned = new Collector(surroundings);
  for (const [flag, given] of Object.entries(flags)) {
    const place: Place = { kind: 'flag', name: `--${flag}` };
    const texts = typeof given === 'string' ? [given] : given;
    assigned.add(BY_FLAG.get(flag) ?? [], texts, place);
  }
  return inDepth(assigned);
}

/** What is said of a part stays, in whichever order it and the whole were said. */
function inDepth({ assignments, faults }: Assigned): Assigned {
  return { assignments: assignments.toSorted((left, right) => left.key.path.length - right.key.path.length), faults };
}

/** `8080` where a number belongs is a number; what fits nothing stays text, for the schema to refuse. */
export function typed(path: readonly PropertyKey[], text: string): unknown {
  const nodes = nodesAt(path);
  const isText = nodes.some(({ type, const: only }) => type === 'string' && only === undefined);
  if (isText) return text;
  if (nodes.some(({ type }) => type === 'integer') && /^-?\d{1,15}$/.test(text)) return Number(text);
  const wanted = nodes.map(({ const: only }) => only).find((only) => only !== undefined && String(only) === text);
  return wanted ?? text;
}

/**
 * A Service of Kubernetes that is called causeway, or causeway-something, puts variables of its own into every pod of its
 * namespace: CAUSEWAY_SERVICE_HOST, CAUSEWAY_PORT, CAUSEWAY_PORT_80_TCP_ADDR.
 */
function isOfKubernetes(name: string, text: string): boolean {
  if (/_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$/.test(name)) return true;
  if (/_PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR)$/.test(name)) return true;
  return /_PORT(?:_\d+_(?:TCP|UDP|SCTP))?$/.test(name) && /^(?:tcp|udp|sctp):\/\//.test(text);
}

class Collector implements Assigned {
  readonly assignments: Assignment[] = [];
  readonly faults: Fault[] = [];
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  add(keys: readonly Key[], texts: readonly string[], place: Place): void {
    const [first] = keys;
    // A Secret that was made from a file ends with its line break.
    const text = (texts.at(-1) ?? '').trim();
    if (first === undefined) return;
    if (first.flag === 'listen' || first.flag === 'admin') this.#address(first.flag, keys, text, place);
    else if (first.flag === 'header') this.#headers(first, texts, place);
    else if (first.node['x-secret'] === true) this.#secret(first, text, place);
    else this.assignments.push({ key: first, value: valueOf(first, text), place });
  }

  #address(section: 'listen' | 'admin', keys: readonly Key[], text: string, place: Place): void {
    const match = /^(?:(\[[0-9a-f:.]+\]|[^:[\]]+):)?(\d{1,5})$/i.exec(text);
    if (match === null) {
      this.#blame(place, section, `must be HOST:PORT, such as ${ADDRESSES[section]}`);
      return;
    }
    const host = (match[1] ?? '127.0.0.1').replaceAll(/[[\]]/g, '');
    const port = Number(match[2]);
    if (port > 65_535) {
      this.#blame(place, section, `port ${port} is over 65535`);
      return;
    }
    for (const key of keys) {
      this.assignments.push({ key, value: key.name === `${section}.port` ? port : host, place });
    }
  }

  #secret(key: Key, text: string, place: Place): void {
    if (place.kind === 'flag' && holdsLiteral(text)) {
      const message = `a literal value would be in the process list for everybody to read: write '\${VARIABLE}', without a default, or @FILE`;
      this.#blame(place, key.name, message);
      return;
    }
    const value = this.#secretValue(text, key, place);
    if (value !== null) this.assignments.push({ key, value, place });
  }

  #headers(key: Key, texts: readonly string[], place: Place): void {
    const headers = new Map<string, string>();
    const seen = new Set<string>();
    for (const text of texts) {
      const [, name = '', given = ''] = /^\s*([^=\s]+)=(.*)$/s.exec(text) ?? [];
      if (name === '') {
        if (text.trim() !== '') this.#blame(place, key.name, 'write NAME=${VARIABLE} or NAME=@FILE');
        continue;
      }
      if (seen.has(name.toLowerCase())) {
        this.#blame(place, key.name, `${name} is given twice`);
        continue;
      }
      seen.add(name.toLowerCase());
      const isSecret = isCredential(name) || isCredentialValue(given);
      if (place.kind === 'flag' && isSecret && holdsLiteral(given)) {
        const message = `a literal value of ${name} would be in the process list for everybody to read: write '${name}=\${VARIABLE}', without a default, or ${name}=@FILE`;
        this.#blame(place, key.name, message);
        continue;
      }
      const value = this.#secretValue(given, key, place, `${name}: `);
      if (value !== null) headers.set(name, value);
    }
    this.assignments.push({ key, value: Object.fromEntries(headers), place });
  }

  /** `of`: what begins a fault, where the key alone does not say which value it is. */
  #secretValue(given: string, key: Key, place: Place, of = ''): string | null {
    if (given.startsWith('@')) {
      const content = readSecret(given.slice(1), this.#surroundings);
      if ('text' in content && content.text.trim() !== '') return content.text;
      const why = 'text' in content ? `${shownPath(given.slice(1))} is empty` : content.message;
      this.#blame(place, key.name, `${of}${why}`);
      return null;
    }
    const { text, faults, empty } = substitute(given, this.#surroundings);
    for (const { message, suggestion } of faults) this.#blame(place, key.name, `${of}${message}`, suggestion);
    for (const { text: placeholder, message } of empty) {
      this.#blame(place, key.name, `${of}${placeholder} ${message}`);
    }
    return faults.length + empty.length > 0 ? null : text;
  }

  #blame(place: Place, key: string, message: string, suggestion?: string): void {
    this.faults.push({ place, key, message, ...(suggestion !== undefined && { suggestion }) });
  }
}

function valueOf({ path, node }: Key, text: string): unknown {
  const nodes = node.anyOf ?? [node];
  if (path[0] === 'upstreams' && path.at(-1) === 'url') {
    const urls = urlsIn(text);
    return urls.length > 1 ? urls : urls[0];
  }
  const list = nodes.find(({ type }) => type === 'array');
  if (list === undefined) return typed(path, text);
  const parts = text.split(/[\s,]+/).filter((part) => part !== '');
  return list.items?.properties === undefined ? parts : parts.map((part) => pairOf(part, list.items));
}

/** `alice=0f3a…` where the entries of a list have two keys. */
function pairOf(text: string, items: SchemaNode | undefined): unknown {
  const [first = '', second = ''] = Object.keys(items?.properties ?? {});
  const [, name, value] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  return name === undefined ? text : { [first]: name, [second]: value };
}

function byName(nameOf: (key: Key) => string | undefined): ReadonlyMap<string, readonly Key[]> {
  const result = new Map<string, Key[]>();
  for (const key of KEYS) {
    const name = nameOf(key);
    if (name !== undefined) result.set(name, [...(result.get(name) ?? []), key]);
  }
  return result;
}

/** For assignments: the path with the place of one upstream in it. */
export function pathIn({ path }: Key, upstream: number): Path {
  return path.map((step) => (step === '[]' ? upstream : step));
}
