// A value → the configuration, or what is wrong with it, each fault at its key or its value, in words for operators.

import type { z } from 'zod';
import { type SchemaNode, keysAt, nameOf, nodesAt } from './keys.ts';
import { nearest } from './nearest.ts';
import { type Config, configSchema } from './schema.ts';
import { NO_HEADER_NAME } from './value-types.ts';
import type { Path } from './yaml-source.ts';

export interface Problem {
  readonly path: Path;
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly suggestion?: string;
}

export type Validated =
  | { readonly config: Config; readonly problems: null }
  | { readonly config: null; readonly problems: readonly Problem[] };

type Issue = z.core.$ZodIssue;

export function validate(input: unknown): Validated {
  const read = configSchema.safeParse(input);
  const unread = passedOver(input);
  if (read.success && unread.length === 0) return { config: read.data, problems: null };
  const issues = read.success ? [] : read.error.issues;
  return { config: null, problems: [...unread, ...issues.flatMap((issue) => problemsOf(issue, [], input))] };
}

/** zod does not look at a key of this name where any name may stand. */
function passedOver(input: unknown): Problem[] {
  const upstreams = valueAt(input, ['upstreams']);
  if (!Array.isArray(upstreams)) return [];
  return upstreams.flatMap((_, index): Problem[] => {
    const path = ['upstreams', index, 'headers', '__proto__'];
    return valueAt(input, path) === undefined ? [] : [{ path, at: 'key', message: NO_HEADER_NAME }];
  });
}

function problemsOf(issue: Issue, base: Path, input: unknown): Problem[] {
  // Paths of a configuration hold no symbols.
  const path = [...base, ...(issue.path as Path)];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey([...path, key], input));
    case 'invalid_key':
      return [{ path, at: 'key', message: issue.issues[0]?.message ?? 'is no valid name' }];
    case 'invalid_union':
      return unionProblems(issue.errors, path, input);
    default:
      return [valueProblem(issue, path, input)];
  }
}

/** Of several forms that a value may have the one that was begun; else all of them. */
function unionProblems(errors: readonly (readonly Issue[])[], path: Path, input: unknown): Problem[] {
  const begun = errors.filter((issues) => issues.length > 0 && issues.every((issue) => !isOfForm(issue)));
  const [first] = begun;
  if (first === undefined) return [wrongForm(path, input)];
  const meant = begun.find((issues) => !issues.some(isOfOtherForm));
  // What a form would need is of no interest where it is not clear which one is meant.
  const issues = meant ?? first.filter(isOfOtherForm);
  return issues.flatMap((issue) => problemsOf(issue, path, input));
}

function isOfOtherForm({ path, code }: Issue): boolean {
  return path.length === 0 && code === 'unrecognized_keys';
}

function isOfForm({ path, code }: Issue): boolean {
  return path.length === 0 && (code === 'invalid_type' || code === 'invalid_value');
}

function valueProblem(issue: Issue, path: Path, input: unknown): Problem {
  const value = valueAt(input, path);
  const isMissing = issue.code === 'invalid_type' && (value === undefined || value === null);
  if (isMissing || issue.code === 'invalid_value') return wrongForm(path, input);
  // Messages of our own say it best; zod's begin with these words.
  const isOwn = !/^(?:Invalid|Too) /.test(issue.message);
  return isOwn ? { path, at: 'value', message: issue.message } : wrongForm(path, input);
}

function missing(path: Path, value: unknown): Problem {
  const { description, example } = shapeOf(path);
  const what = value === null ? 'is empty' : 'is missing';
  return {
    path,
    at: 'value',
    message: [`${what}: ${description}`, example].filter((part) => part !== '').join(', such as '),
  };
}

function wrongForm(path: Path, input: unknown): Problem {
  const value = valueAt(input, path);
  if (value === undefined || value === null) return missing(path, value);
  if (path[0] === 'version' && path.length === 1 && typeof value === 'number' && value > 1) {
    const message = `this file is of version ${value}, and this program reads version 1: a newer mcp-causeway is needed`;
    return { path, at: 'value', message };
  }
  const nodes = nodesAt(path);
  const choices = nodes.flatMap(choicesOf);
  const suggestion =
    typeof value === 'string'
      ? nearest(
          value,
          choices.filter((each) => typeof each === 'string'),
        )
      : null;
  const forms = [...choices.map((each) => JSON.stringify(each)), ...nodes.map(formOf)].filter((form) => form !== '');
  const list =
    forms.length > 1 ? `${forms.slice(0, -1).join(', ')} or ${forms.at(-1)}` : (forms[0] ?? 'something else');
  return {
    path,
    at: 'value',
    message: `must be ${list}${isUnquoted(value, nodes) ? ': put it in quotes' : ''}`,
    ...(suggestion !== null && { suggestion }),
  };
}

/** A number or a word such as `on` where YAML was to read a text. */
function isUnquoted(value: unknown, nodes: readonly SchemaNode[]): boolean {
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  return isPlain && nodes.some((node) => formOf(node) === 'text' && node['x-unit'] === undefined);
}

function choicesOf(node: SchemaNode): unknown[] {
  return node.const === undefined ? [...(node.enum ?? [])] : [node.const];
}

function formOf(node: SchemaNode): string {
  if (choicesOf(node).length > 0) return '';
  switch (node.type) {
    case 'integer':
      return integerForm(node);
    case 'array':
      return 'a list';
    case 'object':
      return node.properties === undefined
        ? 'names with a text each'
        : `a section with ${Object.keys(node.properties).slice(0, 3).join(', ')}`;
    default:
      return 'text';
  }
}

function integerForm({ minimum = 0, maximum }: SchemaNode): string {
  const isBounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  return isBounded ? `a whole number from ${minimum} to ${maximum}` : `a whole number, at least ${minimum}`;
}

function unknownKey(path: Path, input: unknown): Problem {
  const parent = path.slice(0, -1);
  const key = String(path.at(-1));
  const known = keysAt(parent);
  // What stands there already is not what is missing.
  const present = valueAt(input, parent);
  const free = known.filter((each) => typeof present !== 'object' || present === null || !Object.hasOwn(present, each));
  const suggestion = nearest(key, free) ?? elsewhere(key) ?? nearest(key, known);
  const isGeneral = parent[0] === 'upstreams' && keysAt(parent.slice(2)).includes(key);
  const beside = known.includes(key) ? Object.keys(present ?? {}).filter((each) => each !== key) : [];
  if (beside.length > 0) return { path, at: 'key', message: `cannot stand beside ${beside.join(', ')}: choose one` };
  const message = isGeneral
    ? `is of all upstreams together: set ${nameOf([...parent.slice(2), key])} at the top`
    : 'is no known key';
  return { path, at: 'key', message, ...(!isGeneral && suggestion !== null && { suggestion }) };
}

/** A key that is right, but in the wrong place. */
function elsewhere(key: string): string | null {
  const sections = keysAt([]).filter((section) => keysAt([section]).includes(key));
  const places = [
    ...(keysAt([]).includes(key) ? [`${key} at the top`] : []),
    ...(keysAt(['upstreams', 0]).includes(key) ? [`upstreams[].${key}`] : []),
    ...sections.map((section) => `${section}.${key}`),
  ];
  return places.length > 0 ? places.join(' or ') : null;
}

function shapeOf(path: Path): { readonly description: string; readonly example: string } {
  const section = nodesAt(path.slice(0, -1)).find(({ properties }) => properties?.[String(path.at(-1))] !== undefined);
  const node = section?.properties?.[String(path.at(-1))];
  const example = node?.['x-example'] ?? node?.default;
  return {
    description: node?.description ?? 'a value belongs here',
    example: example === undefined ? '' : typeof example === 'string' ? example : JSON.stringify(example),
  };
}

function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    return (value as Readonly<Record<string | number, unknown>>)[step];
  }, input);
}
