// config/systemd/mcp-causeway.service, as far as ours goes: one value a line.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../docs/pages.ts';

export const UNIT_FILE = join(ROOT, 'config/systemd/mcp-causeway.service');
export const UNIT = readFileSync(UNIT_FILE, 'utf8');
export const PROGRAM = '/opt/mcp-causeway/dist/main.js';

export function valuesIn(name: string): readonly string[] {
  return UNIT.split('\n').flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []));
}

export function commandsIn(name: string): readonly (readonly string[])[] {
  return valuesIn(name).map((value) => value.split(' '));
}
