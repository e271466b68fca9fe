// `${NAME}`, `${NAME:-default}` and `${file:/path}` inside the strings of a configuration; `$${` stands for `${` itself.
// What is put in is not looked at again: a secret may hold whatever it likes.

import { nearest } from './nearest.ts';

/** The parts of the machine that a configuration may draw on. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What it throws has a code: of node:fs, or one of UNREADABLE. */
  readonly readFile: (path: string) => string;
  /** Told of everything that is put in: it may be a secret, so no fault may repeat it. */
  readonly drew?: (value: string) => void;
  /** Told of each file that a secret was read from. */
  readonly onSecretFile?: (path: string) => void;
}

export interface SubstitutionFault {
  /** The text that could not be replaced, as it stands there. */
  readonly text: string;
  readonly message: string;
  readonly suggestion?: string;
}

export interface Substituted {
  readonly text: string;
  readonly changed: boolean;
  readonly faults: readonly SubstitutionFault[];
  /** Those for which there was nothing to put in, although no default says so: a fault where a secret belongs. */
  readonly empty: readonly SubstitutionFault[];
}

/** A server would be sent a credential without its value, and say no more than that it is wrong. */
export const NOTHING = 'is empty: set it, or write ${NAME:-} where it may be';
const PLACEHOLDER = /\$\$\{|\$\{([^}]*)(\}?)/g;
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

export function substitute(text: string, surroundings: Surroundings): Substituted {
  const faults: SubstitutionFault[] = [];
  const empty: SubstitutionFault[] = [];
  let changed = false;
  const result = text.replaceAll(PLACEHOLDER, (whole: string, inside: string | undefined, end: string | undefined) => {
    changed = true;
    if (inside === undefined) return '${';
    const value = end === '' ? fault(whole, 'has no closing brace') : replacement(whole, inside, surroundings);
    if (typeof value !== 'string') {
      faults.push(value);
      return '';
    }
    surroundings.drew?.(value);
    if (value.trim() === '' && !/^\w+:-/.test(inside)) empty.push(fault(whole, NOTHING));
    return value;
  });
  return { text: result, changed, faults, empty };
}

function replacement(whole: string, inside: string, surroundings: Surroundings): string | SubstitutionFault {
  if (inside.startsWith('file:')) {
    const path = inside.slice('file:'.length);
    const content = readSecret(path, surroundings);
    return 'text' in content ? content.text : fault(whole, content.message);
  }
  const [, name, otherwise] = VARIABLE.exec(inside) ?? [];
  if (name === undefined) {
    return fault(whole, `names no variable: write \${NAME}, \${NAME:-default} or \${file:/path}`);
  }
  const value = surroundings.env[name];
  // As in a shell, `:-` also stands for an empty one.
  if (otherwise !== undefined && (value === undefined || value === '')) return otherwise;
  if (value !== undefined) return withoutLastBreak(value);
  const suggestion = nearest(name, Object.keys(surroundings.env));
  return {
    ...fault(whole, `the environment has no ${name}: set it, or write \${${name}:-default}`),
    ...(suggestion !== null && { suggestion }),
  };
}

const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file, or not at this path',
  EACCES: 'the user that runs mcp-causeway may not read it: change its owner or mode',
  EISDIR: 'it is a directory: name a file in it',
  NO_FILE: 'it is a device, and no file',
  TOO_LARGE: 'it is larger than 4 MiB',
  NOT_UTF8: 'it is not UTF-8 text',
  SILENT: 'it is a pipe that nobody writes to',
};

export function whyUnreadable(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return UNREADABLE[code] ?? code;
}

/** What editors put at the end of a file, and so at the end of a variable that is made from one, is not part of a secret. */
export function withoutLastBreak(text: string): string {
  return text.replace(/\r?\n$/, '');
}

/** What looks like no path may be the secret itself, put where its file belongs. */
export function shownPath(path: string): string {
  return /^(?:~|\.{0,2})\/|\.[a-z]{2,5}$/i.test(path) ? path : 'the file that is named';
}

/** A file that holds one secret. */
export function readSecret(
  path: string,
  { readFile, drew, onSecretFile }: Surroundings,
): { readonly text: string } | { readonly message: string } {
  if (path === '') return { message: 'no file is named' };
  try {
    const text = withoutLastBreak(readFile(path));
    drew?.(text);
    onSecretFile?.(path);
    return { text };
  } catch (cause) {
    return { message: `${shownPath(path)} cannot be read: ${whyUnreadable(cause)}` };
  }
}

function fault(text: string, message: string): SubstitutionFault {
  return { text, message };
}
