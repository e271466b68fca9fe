// Every key of the schema as data: what it is called in a file, in the environment and as a flag. Read from the JSON form
// of the schema, so that nothing can be said twice.

import { z } from 'zod';
import { configSchema } from './schema.ts';

/** The part of a JSON Schema that ours uses. */
export interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | false;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly const?: string | number | boolean;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
  readonly 'x-example'?: unknown;
  readonly required?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly 'x-live'?: boolean;
  readonly 'x-wide'?: boolean;
  readonly 'x-own'?: boolean;
  /** It is shown nowhere, and not taken from a command line. */
  readonly 'x-secret'?: boolean;
  readonly 'x-unit'?: 'duration' | 'size';
}

export interface Key {
  /** `links.idleTimeout`, `upstreams[].mode`. */
  readonly name: string;
  readonly path: readonly string[];
  readonly node: SchemaNode;
  /** Absent where the environment and flags cannot say it. */
  readonly variable?: string;
  readonly flag?: string;
  /** An upstream may have its own. */
  readonly ownable: boolean;
}

export const PREFIX = 'CAUSEWAY_';

/** A path whose last part is any of a list. */
export const EACH = '[]';

/** Those that are not called after their place in the file. */
const CALLED: Readonly<Record<string, string>> = {
  'upstreams[].url': 'upstream',
  'upstreams[].headers': 'header',
  'listen.host': 'listen',
  'listen.port': 'listen',
  'admin.host': 'admin',
  'admin.port': 'admin',
};

export const SCHEMA: SchemaNode = z.toJSONSchema(configSchema, { io: 'input' }) as SchemaNode;

export const KEYS: readonly Key[] = keysBelow(SCHEMA, []);

/** The schemas that a value at this place may follow; none where nothing is known of it. */
export function nodesAt(path: readonly PropertyKey[]): readonly SchemaNode[] {
  return path.reduce<readonly SchemaNode[]>(
    (nodes, step) => nodes.flatMap((node) => alternatives(childOf(node, step))),
    alternatives(SCHEMA),
  );
}

/** The keys that may stand at this place. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  return [...new Set(nodesAt(path).flatMap(({ properties }) => Object.keys(properties ?? {})))];
}

/** `links.idleTimeout`, `upstreams[0].url`. */
export function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index > 0 ? '.' : ''}${String(step)}`))
    .join('');
}

function childOf(node: SchemaNode, step: PropertyKey): SchemaNode | undefined {
  if (typeof step === 'number' || step === EACH) return node.items;
  const { properties = {}, additionalProperties } = node;
  if (typeof step === 'string' && Object.hasOwn(properties, step)) return properties[step];
  return additionalProperties === false ? undefined : additionalProperties;
}

function alternatives(node: SchemaNode | undefined): readonly SchemaNode[] {
  return node === undefined ? [] : (node.anyOf ?? [node]);
}

function keysBelow(node: SchemaNode, path: readonly string[]): Key[] {
  return Object.entries(node.properties ?? {}).flatMap(([step, child]) => keysOf(child, [...path, step]));
}

function keysOf(node: SchemaNode, path: readonly string[]): Key[] {
  // The same keys as at the top.
  if (node['x-own'] === true) return [];
  if (path.length === 1 && path[0] === 'upstreams' && node.items !== undefined)
    return keysBelow(node.items, ['upstreams', EACH]);
  if (node.properties !== undefined) return keysBelow(node, path);
  return [keyOf(node, path), ...(node.anyOf ?? []).flatMap((each) => keysBelow(each, path))];
}

function keyOf(node: SchemaNode, path: readonly string[]): Key {
  const name = path.join('.').replaceAll('.[]', '[]');
  const words = (path[0] === 'upstreams' ? path.slice(2) : path)
    .join('-')
    .replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const called = CALLED[name] ?? words;
  const sayable = name !== 'version';
  return {
    name,
    path,
    node,
    ...(sayable && { flag: called, variable: PREFIX + called.replaceAll('-', '_').toUpperCase() }),
    ownable: path[0] !== 'upstreams' && nodesAt(['upstreams', EACH, ...path]).length > 0,
  };
}
