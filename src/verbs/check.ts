// `mcp-causeway check -c FILE`: whether the configuration would start, without starting.

import { stringify } from 'yaml';
import { type Given, ConfigError, readConfig } from '../config/load.ts';
import { effective } from '../config/redacted.ts';
import type { Config } from '../config/schema.ts';
import { refuseUnsafe } from './exposure.ts';
import type { Machine } from './surroundings.ts';

export interface CheckOptions {
  readonly json: boolean;
  readonly printEffective: boolean;
}

/** Whether it is valid. What is wrong is said on stderr, or with `json` on stdout. */
export function check(given: Given, { json, printEffective }: CheckOptions, machine: Machine): boolean {
  try {
    const config = readConfig(given, machine);
    refuseUnsafe(config);
    machine.stdout.write(json ? jsonOf(config, printEffective) : textOf(config, printEffective, given.file));
    return true;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (json) machine.stdout.write(`${JSON.stringify({ valid: false, errors: error.faults.map(flat) }, null, 2)}\n`);
    else machine.stderr.write(`${error.message}\n`);
    return false;
  }
}

function textOf(config: Config, printEffective: boolean, file = 'the configuration'): string {
  if (printEffective) return stringify(effective(config), { lineWidth: 0 });
  const served = config.upstreams.map(({ name, path }) => `${name} at ${path}`).join(', ');
  return `${file} is valid: ${served}\n`;
}

function jsonOf(config: Config, printEffective: boolean): string {
  const result = { valid: true, errors: [], ...(printEffective && { effective: effective(config) }) };
  return `${JSON.stringify(result, null, 2)}\n`;
}

function flat({ place, key, message, suggestion }: ConfigError['faults'][number]): object {
  const { kind, ...where } = place;
  return { ...(kind === 'none' ? {} : where), key, message, ...(suggestion !== undefined && { suggestion }) };
}
