// The public keys of an issuer as a text, from a file or from its server.

import { readFileSync } from 'node:fs';
import { ConfigError } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import { shownPath, whyUnreadable } from '../config/substitution.ts';

/** Dozens of keys. */
export const MAX_KEY_SET_BYTES = 256 * 1024;

export interface KeySet {
  readonly keys: readonly object[];
}

/** Members that only a private or a symmetric key has. */
const SECRET_MEMBERS = ['d', 'k'];

/** Throws an Error whose message says what is wrong, and holds nothing of the text. */
export function parsedKeySet(bytes: Buffer): KeySet {
  if (bytes.length > MAX_KEY_SET_BYTES) throw new Error(`is larger than ${MAX_KEY_SET_BYTES / 1024} KiB`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new Error('is not JSON');
  }
  if (!isKeySet(value)) throw new Error('is no JSON Web Key Set: an object whose keys are a list of objects');
  return value;
}

/** What is wrong with the keys of a set; null: nothing is. */
export function faultOf({ keys }: KeySet): string | null {
  if (keys.length === 0) return 'holds no key';
  return keys.some(isSecret) ? 'holds a private or symmetric key: publish the public ones alone' : null;
}

/** Those that can be used. With another whoever can read it could sign. */
export function publicKeys({ keys }: KeySet): KeySet {
  return { keys: keys.filter((key) => !isSecret(key)) };
}

function isSecret(key: object): boolean {
  return SECRET_MEMBERS.some((member) => Object.hasOwn(key, member));
}

function isKeySet(value: unknown): value is KeySet {
  if (typeof value !== 'object' || value === null || !('keys' in value) || !Array.isArray(value.keys)) return false;
  return value.keys.every((key: unknown) => typeof key === 'object' && key !== null && !Array.isArray(key));
}

/** Throws a ConfigError. */
export function keySetIn(file: string): KeySet {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new ConfigError(`inbound.jwt.jwksFile: ${shownPath(file)} cannot be read: ${whyUnreadable(cause)}`, {
      cause,
    });
  }
  try {
    const keySet = parsedKeySet(bytes);
    const fault = faultOf(keySet);
    if (fault !== null) throw new Error(fault);
    return keySet;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'cannot be used';
    throw new ConfigError(`inbound.jwt.jwksFile: ${file} ${why}`, { cause });
  }
}

/** Whether every file of keys can be used. Throws a ConfigError. */
export function checkKeyFiles(config: Config): void {
  for (const upstream of config.upstreams) {
    const { inbound } = settingsOf(config, upstream);
    if (inbound !== 'none' && 'jwt' in inbound && inbound.jwt.jwksFile !== undefined) keySetIn(inbound.jwt.jwksFile);
  }
}
