// `npm run --silent sbom`: what a production installation consists of, as CycloneDX, read from package-lock.json alone. No
// registry is asked, and nothing has to be installed.
//
// Not simply `npm sbom --omit=dev`: that leaves out what is needed for development too, such as yaml. So npm is shown a
// project that has nothing for development.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Locked } from './lockfile.ts';

export interface Sbom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
}

export interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly object[];
}

interface Manifest {
  readonly name: string;
  readonly devDependencies?: object;
}

interface Lockfile {
  readonly packages: Readonly<Record<string, Partial<Locked>>>;
}

const PROJECT = resolve(import.meta.dirname, '../..');

export function sbom(): Sbom {
  const { devDependencies: _, ...manifest } = read<Manifest>('package.json');
  const { packages, ...lockfile } = read<Lockfile>('package-lock.json');
  const installed = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  const directory = mkdtempSync(join(tmpdir(), 'causeway-sbom-'));
  try {
    // npm calls the program after the folder that it stands in.
    const folder = join(directory, manifest.name);
    mkdirSync(folder);
    const shown = { ...lockfile, packages: { '': manifest, ...Object.fromEntries(installed) } };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(shown));
    const args = ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
    const text = execFileSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return JSON.parse(text) as Sbom;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function read<Shape>(file: string): Shape {
  return JSON.parse(readFileSync(join(PROJECT, file), 'utf8')) as Shape;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) console.log(JSON.stringify(sbom(), null, 2));
