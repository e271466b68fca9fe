import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect, test } from 'vitest';

/** Which folder may import which; the files at the top of src may import anything, and nothing imports them. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  config: ['domain'],
  observe: ['domain', 'config'],
  protocol: ['domain'],
  bridge: ['domain', 'protocol'],
  upstream: ['domain', 'protocol', 'config', 'observe'],
  identity: ['domain', 'protocol', 'config', 'observe'],
  edge: ['domain', 'protocol', 'config', 'observe'],
  traffic: ['domain', 'protocol', 'bridge', 'upstream', 'config', 'observe'],
  replica: ['domain', 'protocol', 'config', 'observe'],
  downstream: ['domain', 'protocol', 'bridge', 'traffic', 'identity', 'edge', 'replica', 'config', 'observe'],
  probe: ['domain', 'protocol', 'upstream', 'config'],
  admin: ['domain', 'traffic', 'edge', 'identity', 'config', 'observe'],
  doctor: ['domain', 'protocol', 'upstream', 'identity', 'edge', 'replica', 'config'],
};
/** Single files that a folder may import beside those. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  downstream: ['upstream/endpoint-url.ts'],
  doctor: ['traffic/upstream-urls.ts'],
};

const PURE = ['domain', 'protocol', 'bridge'];
const PURE_NODE_MODULES: Readonly<Record<string, readonly string[]>> = { protocol: ['node:crypto'] };
/** What a pure folder must not reach for, even without importing it. */
const IMPURE_GLOBALS = /\b(?:setTimeout|setInterval|setImmediate|fetch|performance|process|Date\.now|Math\.random)\b/;

const SRC = join(import.meta.dirname, '../src');
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: readFileSync(join(SRC, file), 'utf8') }));

interface Import {
  readonly from: string;
  readonly to: string;
}

const imports: Import[] = files.flatMap(({ file, text }) => {
  const specifiers = text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)'([^']+)'/g);
  return Array.from(specifiers, ([, specifier = '']) => ({
    from: file,
    to: specifier.startsWith('.') ? relative(SRC, normalize(join(SRC, dirname(file), specifier))) : specifier,
  }));
});

const folderOf = (file: string): string => (file.includes('/') ? (file.split('/')[0] ?? '') : '');
/** Without comments and texts. */
const codeIn = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '').replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''");
const isLocal = ({ to }: Import): boolean => to.endsWith('.ts');

test('the rule sees the imports it is about', () => {
  expect(files.length).toBeGreaterThan(40);
  expect(imports.filter(isLocal).length).toBeGreaterThan(100);
});

test('every folder has a charter in the rule', () => {
  const known = new Set([...Object.keys(MAY_IMPORT), 'verbs', '']);

  const strangers = files.map(({ file }) => folderOf(file)).filter((folder) => !known.has(folder));

  expect(strangers).toEqual([]);
});

test('an import points toward domain, never sideways', () => {
  const wrong = imports.filter(isLocal).filter(({ from, to }) => {
    const [source, target] = [folderOf(from), folderOf(to)];
    if (source === target || source === '' || source === 'verbs') return false;
    if (EXCEPTIONS[source]?.includes(to) === true) return false;
    return !(MAY_IMPORT[source] ?? []).includes(target);
  });

  expect(wrong).toEqual([]);
});

test('nothing imports the verbs or the files at the top', () => {
  const wrong = imports.filter(isLocal).filter(({ from, to }) => {
    const [source, target] = [folderOf(from), folderOf(to)];
    return (target === '' || target === 'verbs') && source !== '' && source !== 'verbs';
  });

  expect(wrong).toEqual([]);
});

test('no circle of files exists', () => {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports.filter(isLocal)) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const circles: string[][] = [];
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file]);
    if (path.includes(file) || done.has(file)) return;
    for (const target of next.get(file) ?? []) walk(target, [...path, file]);
    done.add(file);
  };

  for (const { file } of files) walk(file, []);

  expect(circles).toEqual([]);
});

test('the pure folders use no node module, no timer, no clock and no chance of their own', () => {
  const wrongImports = imports.filter(({ from, to }) => {
    const folder = folderOf(from);
    return PURE.includes(folder) && !to.endsWith('.ts') && PURE_NODE_MODULES[folder]?.includes(to) !== true;
  });
  const wrongGlobals = files.filter(({ file, text }) => {
    return PURE.includes(folderOf(file)) && IMPURE_GLOBALS.test(codeIn(text));
  });

  expect(wrongImports).toEqual([]);
  expect(wrongGlobals.map(({ file }) => file)).toEqual([]);
});

test('what doctor makes of facts needs no socket, no file and no clock', () => {
  const findings = files.filter(({ file }) => /^doctor\/.*-findings\.ts$/.test(file));
  const own = new Set(findings.map(({ file }) => file));

  expect(findings.length).toBeGreaterThan(6);
  expect(imports.filter(({ from, to }) => own.has(from) && to.startsWith('node:'))).toEqual([]);
  expect(findings.filter(({ text }) => IMPURE_GLOBALS.test(codeIn(text))).map(({ file }) => file)).toEqual([]);
});

test('in probe only io uses sockets, timers and clocks: what a server is, is decided from data', () => {
  const isDeciding = (file: string): boolean => file.startsWith('probe/') && !file.startsWith('probe/io/');
  const isAtWork = (to: string): boolean => /^node:|^undici$|^(?:upstream|probe\/io)\//.test(to);

  const wrong = imports.filter(({ from, to }) => isDeciding(from) && isAtWork(to));
  const wrongGlobals = files.filter(({ file, text }) => isDeciding(file) && IMPURE_GLOBALS.test(codeIn(text)));

  expect(files.filter(({ file }) => isDeciding(file)).length).toBeGreaterThan(5);
  expect(wrong).toEqual([]);
  expect(wrongGlobals.map(({ file }) => file)).toEqual([]);
});

test('only one file uses eventsource, and nobody uses the global fetch toward the upstream', () => {
  expect(imports.filter(({ to }) => to === 'eventsource').map(({ from }) => from)).toEqual([
    'upstream/event-stream.ts',
  ]);
  const callers = files.filter(({ file, text }) => file.startsWith('upstream/') && /[^.\w#]fetch\(/.test(text));
  expect(callers.map(({ file }) => file)).toEqual([]);
});

test('nothing is used that Node 20 lacks: on an older Node the program warns and goes on', () => {
  const newer =
    /\bPromise\.(?:withResolvers|try)\b|\bURL\.parse\(|\bArray\.fromAsync\b|\bObject\.groupBy\b|\bRegExp\.escape\b/;

  expect(files.filter(({ text }) => newer.test(text)).map(({ file }) => file)).toEqual([]);
});
