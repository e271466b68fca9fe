// package-lock.json as data: what a production installation gets.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface Locked {
  readonly name: string;
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
}

interface Lockfile {
  readonly packages: Readonly<Record<string, Omit<Locked, 'name'>>>;
}

const PROJECT = resolve(import.meta.dirname, '../..');

/** Every package of a lockfile but the project itself, those within others too. */
export function lockedIn(file: string): readonly Locked[] {
  const { packages } = JSON.parse(readFileSync(join(PROJECT, file), 'utf8')) as Lockfile;
  return Object.entries(packages)
    .filter(([path]) => path !== '')
    .map(([path, locked]) => ({ ...locked, name: path.slice(path.lastIndexOf('node_modules/') + 13) }));
}

export const PRODUCTION = lockedIn('package-lock.json').filter(({ dev }) => dev !== true);

/** `1.10.0` is later than `1.9.9`; a version before a release (`2.0.0-rc.1`) is earlier than that. */
export function isAtLeast(version: string, least: string): boolean {
  const [numbers = '', before] = version.split('-', 2);
  const [have, want] = [numbers, least].map((text) => text.split('.').map(Number));
  for (const [index, wanted] of (want ?? []).entries()) {
    const part = have?.[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return before === undefined;
}
