import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { KEYS } from '../src/config/keys.ts';
import { parseConfig } from '../src/config/load.ts';
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

test('the README gives the two commands, and the scripts they name exist', () => {
  const readme = read('README.md');
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

  expect(readme).toContain('npm ci && npm run demo');
  expect(readme).toContain('npm ci && npm test');
  for (const [, script = ''] of readme.matchAll(/npm run ([\w:]+)/g)) expect(Object.keys(scripts)).toContain(script);
});

test('the README shows the flags that the program has', () => {
  const own = [read('src/command-line.ts'), read('src/verbs/flags.ts')].join('\n');
  const flags = Array.from(own.matchAll(/'(?:-\w, )?--([\w-]+)/g), ([, flag]) => `--${flag}`);

  expect(flags.length).toBeGreaterThan(3);
  for (const flag of flags) expect(read('README.md')).toContain(flag);
});

test('every flag that the README shows is one of the program', () => {
  const own = [read('src/command-line.ts'), read('src/verbs/flags.ts')].join('\n');
  const known = new Set([
    ...Array.from(own.matchAll(/'(?:-\w, )?--([\w-]+)/g), ([, flag]) => flag),
    ...KEYS.map(({ flag }) => flag),
  ]);
  const shown = Array.from(read('README.md').matchAll(/^\| (?:`-\w`, )?`--([\w-]+)/gm), ([, flag]) => flag);

  expect(shown.length).toBeGreaterThan(5);
  expect(shown.filter((flag) => !known.has(flag))).toEqual([]);
});

test('the keys in the README have the defaults and meanings that the schema says', () => {
  const rows = Array.from(read('README.md').matchAll(/^\| `([\w[\].]+)` +\| `([^`]*)` +\| (.*?) +\|$/gm));

  expect(rows.length).toBeGreaterThan(8);
  for (const [, name = '', standard, meaning] of rows) {
    const node = KEYS.find((key) => key.name === name)?.node;
    const expected = typeof node?.default === 'string' ? node.default : JSON.stringify(node?.default);
    expect([name, standard, meaning]).toEqual([name, expected, node?.description]);
  }
});

test('every configuration in the README and the docs is valid', () => {
  const pages = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((file) => `docs/${file}`)];
  const blocks = pages
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) => Array.from(read(file).matchAll(/^```yaml\n([^]*?)^```/gm), ([, text = '']) => text))
    .filter((text) => /^upstreams:/m.test(text));

  expect(blocks.length).toBeGreaterThan(0);
  for (const text of blocks) {
    const filled = text.replaceAll('${ALICE_KEY_SHA256}', '0'.repeat(64)).replaceAll(/\$\{[^}]*\}/g, 'value');
    expect(() => parseConfig(parse(filled)), text).not.toThrow();
  }
});

test('every error says what to do in one sentence', () => {
  for (const [code, row] of Object.entries(ERRORS)) {
    expect(row.remedy.length, code).toBeGreaterThan(10);
    expect(row.remedy.endsWith('.'), code).toBe(false);
  }
});

test('no path of a development machine and no download address is in what is published', () => {
  const lock = read('package-lock.json');
  expect(lock).not.toContain('"resolved"');
});

test('at most twelve direct production dependencies, and one approved install script', () => {
  const manifest = JSON.parse(read('package.json')) as { dependencies: object; allowScripts: object };
  const lock = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { dev?: boolean; hasInstallScript?: boolean }>;
  };
  const scripted = Object.entries(lock.packages).filter(([, entry]) => entry.hasInstallScript === true);

  expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(12);
  expect(Object.keys(manifest.allowScripts)).toEqual(['node']);
  expect(scripted.filter(([, entry]) => entry.dev !== true)).toEqual([]);
});
