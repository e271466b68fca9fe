// A machine for configurations: files and variables that are only thought of.

import { ConfigError, type Given, readConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Surroundings } from '../../src/config/substitution.ts';

export const URL_LINE = 'upstreams:\n  - url: http://127.0.0.1:9001/sse\n';

export function machine(files: Readonly<Record<string, string>> = {}, env: Surroundings['env'] = {}): Surroundings {
  return {
    env,
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' });
      return text;
    },
  };
}

export interface World {
  readonly yaml?: string;
  readonly env?: Surroundings['env'];
  readonly flags?: Given['flags'];
  readonly files?: Readonly<Record<string, string>>;
}

export function configOf({ yaml, env, flags = {}, files = {} }: World): Config {
  const surroundings = machine({ ...files, ...(yaml !== undefined && { 'proxy.yaml': yaml }) }, env);
  return readConfig({ flags, ...(yaml !== undefined && { file: 'proxy.yaml' }) }, surroundings);
}

/** What is wrong with it; fails where nothing is. */
export function faultsOf(world: World): ConfigError {
  try {
    configOf(world);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('it is valid');
}
