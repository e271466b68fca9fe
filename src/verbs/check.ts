// `mcp-causeway check -c FILE`: whether the configuration would start, without starting.

import { stringify } from 'yaml';
import { type Given, ConfigError, readConfig } from '../config/load.ts';
import { effective } from '../config/redacted.ts';
import type { Report } from '../doctor/report.ts';
import { printable } from '../config/printable.ts';
import type { Config } from '../config/schema.ts';
import { readCertificates } from '../edge/certificate.ts';
import { fileWarnings, refuseUnsafe, warningsOf } from './exposure.ts';
import type { Machine } from './surroundings.ts';

export interface CheckOptions {
  readonly json: boolean;
  readonly printEffective: boolean;
}

/** Whether it is valid. What is wrong is said on stderr, or with `json` on stdout. */
export function check(given: Given, { json, printEffective }: CheckOptions, machine: Machine): boolean {
  try {
    const secretFiles = new Set<string>();
    const config = readConfig(given, { ...machine, onSecretFile: (path) => secretFiles.add(path) });
    refuseUnsafe(config);
    const openSecrets = [...secretFiles].filter((path) => machine.isOpenToAll(path));
    const warnings = [...warningsOf(config), ...fileWarnings(openSecrets, readCertificates(config))].map(
      ({ about, text }) => `${printable(Object.values(about).join(' '))}: ${text}`,
    );
    if (!json) for (const each of warnings) machine.stderr.write(`warning: ${each}\n`);
    machine.stdout.write(json ? jsonOf(config, printEffective, warnings) : textOf(config, printEffective, given.file));
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

function jsonOf(config: Config, printEffective: boolean, warnings: readonly string[]): string {
  const told = warnings.length > 0 ? { warnings } : {};
  const result = { valid: true, errors: [], ...told, ...(printEffective && { effective: effective(config) }) };
  return `${JSON.stringify(result, null, 2)}\n`;
}

/** For JSON. */
export function flat({ place, key, message, suggestion }: ConfigError['faults'][number]): Report['errors'][number] {
  const { kind, ...where } = place;
  return { ...(kind === 'none' ? {} : where), key, message, ...(suggestion !== undefined && { suggestion }) };
}
