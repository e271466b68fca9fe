// The flags that docs/migration.md says other programs have, asked of those that npm can install.

import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { peerFile, peerVersion } from '../peers/support/packages.ts';
import { page } from './pages.ts';
import { MIGRATION, type Replaced, namesOf } from './replaced.ts';

const INSTALLED: readonly (readonly [program: Replaced, peer: string])[] = [
  ['supergateway', 'supergateway'],
  ['mcp-proxy (npm)', 'mcp-proxy'],
  ['mcp-remote', 'mcp-remote-latest'],
];

test.each(INSTALLED)('%s has the flags of its table', (program, peer) => {
  const folder = join(dirname(peerFile(peer, 'package.json')), 'dist');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.m?js$/.test(file));
  const source = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');

  // As it is, or as a key of the options of a parser; `--no-x` turns off the x that is there.
  const unknown = namesOf(program).filter((flag) => {
    const name = flag.replace(/^--(?:no-)?/, '');
    return !new RegExp(`--${name}\\b|['"]${name}['"]|^\\s*${name}: \\{`, 'm').test(source);
  });

  expect(unknown).toEqual([]);
});

test.each(INSTALLED)('%s is of the version that the page is about', (program, peer) => {
  const [major, minor] = peerVersion(peer).split('.');

  expect(page(MIGRATION).prose).toMatch(new RegExp(`${program.split(' ')[0]} ${major}\\.${minor}\\b`));
});
