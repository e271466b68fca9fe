// A configuration file → the configuration, or every fault in it at once.

import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { type Config, configSchema } from './schema.ts';

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Throws a ConfigError whose message is meant for the operator. */
export function parseConfig(input: unknown, locate: (path: readonly PropertyKey[]) => string = () => ''): Config {
  const read = configSchema.safeParse(input);
  if (read.success) return read.data;
  const lines = read.error.issues.map(
    (issue) => `${locate(issue.path)}${issue.path.map(String).join('.') || 'configuration'}: ${issue.message}`,
  );
  throw new ConfigError(lines.join('\n'));
}

export function loadConfig(file: string): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new ConfigError(`${file}: cannot be read (${code})`, { cause });
  }
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = counter.linePos(offset);
    return `${file}:${line}:${col}: `;
  };
  const [broken] = document.errors;
  if (broken !== undefined) throw new ConfigError(`${at(broken.pos[0])}${broken.message}`, { cause: broken });

  let content: unknown;
  try {
    content = document.toJS();
  } catch (cause) {
    // Aliases of aliases of aliases, without end.
    throw new ConfigError(`${file}: ${cause instanceof Error ? cause.message : 'cannot be read'}`, { cause });
  }
  return parseConfig(content, (path) => {
    const node: unknown = document.getIn(path, true);
    const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : null;
    return Array.isArray(range) && typeof range[0] === 'number' ? at(range[0]) : `${file}: `;
  });
}
