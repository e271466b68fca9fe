// The profile `replicas` of config/compose, as far as ours goes: its services, what each replica is configured with, and the
// directives of its nginx.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.ts';
import { configOf } from '../config/surroundings.ts';
import { type ComposeFile, composeFileIn } from '../docs/containers.ts';
import { ROOT } from '../docs/pages.ts';
import { IMAGE } from '../docs/run-container.ts';

export const COMPOSE = join(ROOT, 'config/compose');
export type Service = ComposeFile['services'][string];

const FILE = composeFileIn(readFileSync(join(COMPOSE, 'compose.yaml'), 'utf8'));
export const SECRETS = FILE.secrets ?? {};
export const OF_PROFILE = Object.entries(FILE.services).filter(([, { profiles }]) => profiles.includes('replicas'));
export const REPLICAS = OF_PROFILE.filter(([, { image }]) => image === 'causeway');

export function serviceOf(name: string): Service {
  const service = FILE.services[name];
  if (service === undefined) throw new Error(`there is no ${name}`);
  return service;
}

/** What operators make, by where the containers see it. */
export const SECRET_FILES: Readonly<Record<string, string>> = {
  '/run/secrets/sealing': `${randomBytes(32).toString('base64')}\n`,
  '/run/secrets/store': `${randomBytes(32).toString('hex')}\n`,
};

export const PROXY = readFileSync(join(COMPOSE, 'replicas/proxy.yaml'), 'utf8');
export const NGINX = readFileSync(join(COMPOSE, 'replicas/nginx.conf'), 'utf8');

export function configIn({ environment }: Service): Config {
  return configOf({ yaml: PROXY, env: { ...IMAGE.env, ...environment }, files: SECRET_FILES });
}

/** The values of a directive, wherever it stands. */
export function directives(name: string): readonly string[] {
  return Array.from(NGINX.matchAll(new RegExp(`^ *${name} +(.*);`, 'gm')), ([, value = '']) => value);
}
