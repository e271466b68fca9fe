import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ERRORS } from '../src/domain/errors.ts';
import { GENERATED } from './support/generated-docs.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

test.each(Object.entries(GENERATED))('%s is what the code says; `npm run docs` prints it anew', (file, page) => {
  expect(read(file)).toBe(page());
});

test('docs/architecture.md lists every file of src, and no other', () => {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const listed = Array.from(
    read('docs/architecture.md').matchAll(/^\| `src\/([\w./-]+\.ts)` +\|/gm),
    ([, file]) => file,
  );

  expect(new Set(listed)).toEqual(new Set(files));
});

test('the README gives the two commands', () => {
  const readme = read('README.md');

  expect(readme).toContain('npm ci && npm run demo');
  expect(readme).toContain('npm ci && npm test');
});

test('every error says what has happened and what to do, each in one sentence, and not the same', () => {
  for (const [code, { cause, remedy }] of Object.entries(ERRORS)) {
    for (const sentence of [cause, remedy]) {
      expect(sentence.length, code).toBeGreaterThan(10);
      expect(sentence, code).not.toMatch(/\.$/);
    }
    expect(cause).not.toBe(remedy);
  }
});

test('no path of a development machine and no download address is in what is published', () => {
  const lock = read('package-lock.json');
  expect(lock).not.toContain('"resolved"');
});

test('at most twelve direct production dependencies, one approved install script, and a digest of every package [T32]', () => {
  const manifest = JSON.parse(read('package.json')) as { dependencies: object; allowScripts: object };
  const lock = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { dev?: boolean; hasInstallScript?: boolean; integrity?: string }>;
  };
  const scripted = Object.entries(lock.packages).filter(([, entry]) => entry.hasInstallScript === true);
  const unsure = Object.entries(lock.packages).filter(([path, entry]) => path !== '' && entry.integrity === undefined);

  expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(12);
  expect(Object.keys(manifest.allowScripts)).toEqual(['node']);
  expect(scripted.filter(([, entry]) => entry.dev !== true)).toEqual([]);
  expect(unsure).toEqual([]);
});
