// What pages name is there: files, headings, scripts, keys, variables and flags; and the defaults that they mention.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { FILE_VARIABLE } from '../../src/config/assignments.ts';
import { KEYS, SCHEMA } from '../../src/config/keys.ts';
import { durations, sizes } from '../../src/config/quantities.ts';
import { ERRORS } from '../../src/domain/errors.ts';
import { PAGES, ROOT, page } from './pages.ts';

const FILES = PAGES.map(({ file }) => file);
const HAND_WRITTEN = FILES.filter((file) => file !== 'docs/compatibility.md');
const KEY_NAMES = new Set(KEYS.map(({ name }) => name));

test('every page of the project is looked at', () => {
  const some = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/errors.md', 'bench/README.md'];

  expect(FILES).toEqual(expect.arrayContaining(some));
});

test.each(FILES)('every relative link of %s leads somewhere, to a heading too', (file) => {
  const targets = Array.from(page(file).prose.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target);

  const broken = targets.filter((target) => {
    if (target.startsWith('https://')) return false;
    const [path = '', anchor] = target.split('#');
    const to = path === '' ? file : normalize(join(dirname(file), path));
    if (to.startsWith('..') || !existsSync(join(ROOT, to))) return true;
    return anchor !== undefined && page(to).anchors.includes(anchor) === false;
  });

  expect(broken).toEqual([]);
});

test('every page of docs can be reached from the README', () => {
  const { prose } = page('README.md');

  const alone = FILES.filter((file) => file !== 'README.md' && !prose.includes(`](${file}`));

  expect(alone).toEqual([]);
});

test.each(FILES)('every script that %s names is one', (file) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };

  const named = Array.from(page(file).prose.matchAll(/npm run ([\w:]+)/g), ([, script = '']) => script);

  expect(named.filter((script) => !Object.hasOwn(scripts, script))).toEqual([]);
});

/** Words in code that look like `section.key`. */
function keysIn(text: string): string[] {
  const sections = Object.keys(SCHEMA.properties ?? {}).join('|');
  return Array.from(
    text.matchAll(new RegExp(`\`((?:${sections})(?:\\[\\])?\\.[\\w.[\\]*]+)(?:: [^\`]*)?\``, 'g')),
    ([, key = '']) => key,
  );
}

test.each(HAND_WRITTEN)('every key, variable and reason that %s names exists', (file) => {
  const { prose } = page(file);
  const variables = new Set([FILE_VARIABLE, ...KEYS.map(({ variable }) => variable)]);

  const keys = keysIn(prose).filter((key) => {
    if (key.endsWith('.*')) return SCHEMA.properties?.[key.slice(0, -2)] === undefined;
    return !KEY_NAMES.has(key) && !key.endsWith('.ts') && ![...KEY_NAMES].some((name) => name.startsWith(`${key}.`));
  });
  const unknown = Array.from(prose.matchAll(/`(CAUSEWAY_[A-Z_]+)(?:=[^`]*)?`/g), ([, name = '']) => name);
  const reasons = Array.from(prose.matchAll(/(?:reason: "|reason` (?:is )?`)(\w+)/g), ([, reason = '']) => reason);

  expect(keys).toEqual([]);
  expect(unknown.filter((name) => !variables.has(name))).toEqual([]);
  expect(reasons.filter((reason) => !Object.hasOwn(ERRORS, reason))).toEqual([]);
});

/** Of other programs: by the page that speaks of them. What docs/migration.md leads away from has tests of its own. */
const FOREIGN_FLAGS: Readonly<Record<string, readonly string[]>> = {
  'CHANGELOG.md': ['--silent'],
  'docs/deployment.md': ['--max-old-space-size'],
  'CONTRIBUTING.md': [
    '--calls',
    '--executions',
    '--ignore-scripts',
    '--minutes',
    '--prefix',
    '--seed',
    '--silent',
    '--target',
  ],
  'bench/README.md': ['--parts', '--stateful', '--prefix'],
  'docs/operations.md': ['--max-old-space-size'],
  'docs/scaling.md': ['--check', '--max-old-space-size', '--scenario'],
  'docs/performance.md': ['--external-memory-accounted-in-global-limit', '--max-semi-space-size', '--trace-gc'],
};

test.each(HAND_WRITTEN.filter((file) => file !== 'docs/migration.md'))('every flag that %s names is one', (file) => {
  // The tables of the README are those of --help, that of the bench is its own (tables.test.ts).
  const shown = ['README.md', file].flatMap((of) =>
    page(of).tables.flatMap(({ rows }) => rows.map(([cell = '']) => cell)),
  );
  const known = new Set([
    ...KEYS.map(({ flag }) => `--${flag}`),
    ...shown.flatMap((cell) => cell.match(/--[a-z][\w-]*/g) ?? []),
    ...(FOREIGN_FLAGS[file] ?? []),
  ]);

  const named = Array.from(page(file).prose.matchAll(/`([^`]+)`/g)).flatMap(
    ([, code = '']) => code.match(/(?<![\w-])--[a-z][\w-]+/g) ?? [],
  );

  expect(named.filter((flag) => !known.has(flag))).toEqual([]);
});

/** `8 s (`drain.timeout`)` → what is said, and of which key. A noun may stand between. */
function mentioned(prose: string): { readonly said: string; readonly key: string }[] {
  const text = prose.replaceAll(/\n\s*/g, ' ');
  const pattern = /(\d[\d,.]*(?: ?(?:ms|s|min|h|KiB|MiB)\b)?)((?: [a-z]+)?) \(`([\w.]+)`\)/g;
  return Array.from(text.matchAll(pattern), ([, said = '', , key = '']) => ({ said, key }));
}

test.each(HAND_WRITTEN)('a default that %s mentions is the one', (file) => {
  const wrong = mentioned(page(file).prose).filter(({ said, key }) => {
    const node = KEYS.find(({ name }) => name === key)?.node;
    const quantity = node?.['x-unit'] === 'size' ? sizes(0) : durations(0);
    if (node?.['x-unit'] === undefined) return Number(said.replaceAll(',', '')) !== node?.default;
    return quantity.parse(said) !== quantity.parse(String(node.default));
  });

  expect(wrong).toEqual([]);
});

test('such mentions are found where they are, and every key in parentheses has its value before it', () => {
  const text = FILES.map((file) => page(file).prose).join('\n');
  const found = mentioned(text);
  // A word instead of a number: no value is said.
  const inParentheses = Array.from(text.replaceAll(/\n\s*/g, ' ').matchAll(/(\d\S*(?: \w+){0,2}) \(`([\w.]+)`\)/g));

  expect(found.length).toBeGreaterThan(8);
  expect(inParentheses.filter(([, , key = '']) => KEY_NAMES.has(key)).length).toBe(found.length);
});

test('units of durations in the prose are read as the configuration reads them', () => {
  expect([durations(0).parse('10 min'), durations(0).parse('24 h')]).toEqual([600_000, 86_400_000]);
  expect(mentioned('at most 1,000 events (`streams.maxEvents`) or 8 s\n(`drain.timeout`)')).toEqual([
    { said: '1,000', key: 'streams.maxEvents' },
    { said: '8 s', key: 'drain.timeout' },
  ]);
});
