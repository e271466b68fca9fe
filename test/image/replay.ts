// Does what an engine would do with the Dockerfile, without one: each stage has a root of its own, in which there is
// nothing but what its steps put there. The base images are this machine's: node and npm come from here.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import { type Stage, contextRule, execForm, stagesOf, variables } from './dockerfile.ts';

/** npm says nothing for minutes when it cannot reach its registry. */
const STEP_MS = 120_000;
const PROJECT = resolve(import.meta.dirname, '../..');

export interface Image {
  readonly root: string;
  readonly base: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly healthcheck: readonly string[];
  readonly exposed: string;
  /** Where all the roots are. */
  readonly directory: string;
}

/** Builds it; npm asks the registry that it is configured for. */
export function buildImage(): Image {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-image-'));
  const read = (file: string): string => readFileSync(join(PROJECT, file), 'utf8');
  const isSent = contextRule(read('.dockerignore'));
  const roots = new Map<string, string>();
  let image: Image | null = null;
  for (const [index, stage] of stagesOf(read('Dockerfile')).entries()) {
    const root = join(directory, stage.name ?? `stage-${index}`);
    mkdirSync(root);
    image = buildStage(stage, root, directory, (from) => {
      if (from === null) return { root: PROJECT, mayTake: isSent };
      const other = roots.get(from);
      if (other === undefined) throw new Error(`COPY --from=${from}: there is no such stage before`);
      return { root: other, mayTake: () => true };
    });
    if (stage.name !== null) roots.set(stage.name, root);
  }
  if (image === null) throw new Error('a Dockerfile without a stage');
  return image;
}

interface Source {
  readonly root: string;
  readonly mayTake: (path: string) => boolean;
}

function buildStage(stage: Stage, root: string, directory: string, source: (from: string | null) => Source): Image {
  let workdir = '/';
  let built: Image = {
    root,
    directory,
    base: stage.base,
    env: {},
    user: 'root',
    entrypoint: [],
    healthcheck: [],
    exposed: '',
  };
  for (const { name, text } of stage.steps) {
    if (name === 'WORKDIR') {
      workdir = resolve(workdir, text);
      mkdirSync(join(root, workdir), { recursive: true });
    } else if (name === 'COPY') {
      copy(text, root, workdir, source);
    } else if (name === 'RUN') {
      const cwd = join(root, workdir);
      execFileSync('/bin/sh', ['-c', text], { cwd, env: npmEnv(built.env), stdio: 'pipe', timeout: STEP_MS });
    } else if (name === 'ENV') {
      built = { ...built, env: { ...built.env, ...variables(text) } };
    } else if (name === 'USER') {
      built = { ...built, user: text };
    } else if (name === 'EXPOSE') {
      built = { ...built, exposed: text };
    } else if (name === 'ENTRYPOINT') {
      built = { ...built, entrypoint: execForm(text) };
    } else if (name === 'HEALTHCHECK') {
      const [, command = ''] = /^(?:--[a-z-]+=\S+ )*CMD (.*)$/.exec(text) ?? [];
      built = { ...built, healthcheck: execForm(command) };
    } else {
      throw new Error(`${name} ${text}: not known to this replay`);
    }
  }
  return built;
}

function copy(text: string, root: string, workdir: string, source: (from: string | null) => Source): void {
  const [, from = null, rest = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(text) ?? [];
  const words = rest.split(' ');
  const to = words.pop() ?? '';
  const { root: origin, mayTake } = source(from);
  const target = join(root, resolve(workdir, to));
  for (const word of words) {
    const path = word.replace(/^\//, '');
    const file = join(origin, path);
    // A source that is ignored is as good as missing: the engine fails.
    if (!mayTake(path) || !existsSync(file)) throw new Error(`COPY ${text}: there is no ${word}`);
    const isDirectory = statSync(file).isDirectory();
    const into = isDirectory || !to.endsWith('/') ? target : join(target, basename(path));
    mkdirSync(dirname(into), { recursive: true });
    cpSync(file, into, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (each) => mayTake(each.slice(origin.length + 1)),
    });
  }
}

/** Of this machine what npm needs to reach its registry; nothing of the run that this is a part of. */
export function npmEnv(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const ofThisRun =
    /^(?:npm_(?!config_)\w+|npm_config_(?:\w+_)?prefix|node_env|node_options|vitest\w*|vite_\w+|dev|prod)$/i;
  const inherited = Object.entries(process.env).filter(([name]) => !ofThisRun.test(name));
  // The node that runs this is the 24 that the base image has; of the project's own node_modules nothing is to be found.
  const path = [dirname(process.execPath), ...(process.env['PATH'] ?? '').split(delimiter)].filter(
    (each) => !each.endsWith(join('node_modules', '.bin')),
  );
  return { ...Object.fromEntries(inherited), ...env, PATH: path.join(delimiter) };
}
