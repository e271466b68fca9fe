// Every table of every page is held to what it is about. A table that is not in the list fails.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { HELP } from '../../bench/options.ts';
import { PEER_NAMES } from '../../bench/peers.ts';
import { SCENARIO_NAMES, type ScenarioName, scenarioOf } from '../../bench/scenarios.ts';
import { KEYS } from '../../src/config/keys.ts';
import { KINDS } from '../../src/probe/kinds.ts';
import { COMMANDS } from '../../src/verbs/flags.ts';
import { revisions } from '../peers/conformance/revisions.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { type Program, run } from '../verbs/program.ts';
import { ROOT, TABLES, type Table, page } from './pages.ts';

// A program starts in half a second, on a busy machine in ten times that.
vi.setConfig({ testTimeout: 60_000 });

/** `here`: a test below. A file: the test that holds it. `prose`: sentences, and nothing that could be looked up. */
const HELD: readonly (readonly [page: string, head: string, by: string])[] = [
  ['README.md', 'command, does', 'here'],
  ['README.md', 'flag, meaning', 'here'],
  ['README.md', 'exit code, when', 'here'],
  ['README.md', 'key, default, meaning', 'here'],
  ['README.md', ', 2025-11-25, 2025-06-18, 2025-03-26, no session, ', 'test/docs/clients-table.test.ts'],
  ['SECURITY.md', ', what is tried, what holds, guarded by', 'test/support/page-reporter.ts'],
  ['bench/README.md', 'option, means, default', 'here'],
  ['bench/README.md', 'exit code, means', 'test/bench/conclusion.test.ts'],
  ['bench/README.md', 'scenario, one call, in flight', 'here'],
  ['bench/README.md', 'peer, what stands between', 'here'],
  ['bench/README.md', 'column, means', 'here'],
  ['bench/README.md', 'word, means', 'prose'],
  // Measured once, on the day that it says.
  ['bench/README.md', 'messages, CPU count', 'prose'],
  ['docs/architecture.md', 'folder, holds, may import', 'here'],
  ['docs/architecture.md', 'word, means here', 'prose'],
  ['docs/architecture.md', 'file, owns', 'test/docs.test.ts'],
  ['docs/architecture.md', 'to, touch', 'here'],
  ['docs/compatibility.md', 'revision, directly, through the gateway', 'here'],
  ['docs/compatibility.md', ', what holds, shown by', 'test/support/page-reporter.ts'],
  ['docs/compatibility.md', 'client, server, lists, ', 'test/support/page-reporter.ts'],
  ['docs/compatibility.md', ', sessions are served, ', 'test/support/page-reporter.ts'],
  ['docs/configuration.md', 'key, variable, flag', 'test/docs.test.ts'],
  ['docs/doctor.md', 'check, looks at', 'test/docs/doctor-page.test.ts'],
  ['docs/deployment.md', 'where, take, because', 'test/docs/links.test.ts'],
  ['docs/errors.md', 'reason, whose fault', 'test/docs.test.ts'],
  ['docs/how-it-works.md', 'what happens, the call', 'prose'],
  ['docs/how-it-works.md', 'what happens, the request', 'prose'],
  ['docs/migration.md', 'client, before, after', 'prose'],
  ['docs/migration.md', 'supergateway, here', 'test/docs/migration.test.ts'],
  ['docs/migration.md', 'mcp-proxy (npm), here', 'test/docs/migration.test.ts'],
  ['docs/migration.md', 'mcp-proxy (PyPI), here', 'test/docs/migration.test.ts'],
  ['docs/migration.md', 'mcp-remote, here', 'test/docs/migration.test.ts'],
  ['docs/migration.md', 'FastMCP, here', 'test/docs/migration.test.ts'],
  ['docs/operations.md', '`msg`, level', 'test/docs/operations.test.ts'],
  ['docs/operations.md', 'what, memory, descriptors', 'test/docs/operations.test.ts'],
  ['docs/operations.md', 'what, to rotate it', 'prose'],
  ['docs/operations.md', 'it survives, and what is lost', 'prose'],
  ['docs/fallback.md', 'client, 400, 404', 'test/peers/fallback.test.ts'],
  ['docs/metrics.md', 'name, type, unit, labels, meaning', 'test/docs.test.ts'],
  ['docs/metrics.md', 'label, values', 'test/docs.test.ts'],
  ['docs/metrics.md', 'what, means', 'test/docs.test.ts'],
  ['docs/metrics.md', 'reason, means', 'test/docs.test.ts'],
  // Measured, on a machine that it says.
  ['docs/performance.md', ', measured, must, goal', 'prose'],
  ['docs/performance.md', ', share', 'prose'],
  ['docs/performance.md', 'what, CPU of a small call', 'prose'],
  ['docs/probe.md', 'flag, does', 'here'],
  ['docs/probe.md', 'kind, what it is, usable', 'here'],
  ['docs/rewrites.md', 'direction, message, field', 'test/docs.test.ts'],
  ['docs/scaling.md', 'what, where, takes', 'test/docs.test.ts'],
  ['docs/scaling.md', 'replicas, hops a call', 'test/docs.test.ts'],
  ['docs/scaling.md', 'sessions, 1,000', 'test/docs.test.ts'],
  ['docs/scaling.md', 'what is used up', 'test/docs.test.ts'],
  ['docs/scaling.md', 'what, replicas, predicted', 'test/docs.test.ts'],
];

function heldBy(table: Table): readonly (readonly [page: string, head: string, by: string])[] {
  const head = `${table.head.join(', ')}, `;
  return HELD.filter(([of, start]) => of === table.page && head.startsWith(start));
}

function tableOf(file: string, head: string): readonly (readonly string[])[] {
  const [table] = TABLES.filter((each) => each.page === file && `${each.head.join(', ')}, `.startsWith(head));
  if (table === undefined) throw new Error(`there is no such table in ${file}`);
  return table.rows;
}

test('every table is held, and what holds it is there', () => {
  const loose = TABLES.filter((table) => heldBy(table).length !== 1).map(({ head }) => head.join(' | '));
  const unused = HELD.filter((row) => !TABLES.some((table) => heldBy(table).includes(row)));

  expect(loose).toEqual([]);
  expect(unused).toEqual([]);
  for (const [, , by] of HELD) if (by.includes('/')) expect(existsSync(join(ROOT, by)), by).toBe(true);
});

/** As commander prints it: the flags of a command, each with what it takes. */
type Flags = ReadonlyMap<string, { readonly takes: string | undefined; readonly short: string | undefined }>;

async function helpOf(command: string): Promise<Flags> {
  const program = run(...(command === '' ? [] : [command]), '--help');
  expect(await program.ended).toBe(0);
  const found = program.stdout().matchAll(/^ {2}(?:(-\w), )?--([\w-]+)(?: <([^>]+)>)?(?: |$)/gm);
  return new Map(Array.from(found, ([, short, flag = '', takes]) => [flag, { takes, short }] as const));
}

const OF_EVERY_PROGRAM = ['help', 'version'];

test('the flags and commands in the README are those of --help: no other, with a value where they take one', async () => {
  const commands = new Map<string, Flags>();
  for (const name of ['', ...COMMANDS]) commands.set(name, await helpOf(name));
  const rows = tableOf('README.md', 'flag, ').map(([cell = '', meaning = '']) => {
    const [, flag = '', takes] = /--([\w-]+)(?: ([^`]+))?`$/.exec(cell) ?? [];
    const [, at = ''] = /^with (.*): /.exec(meaning) ?? [];
    return { flag, takes, meaning, at: Array.from(at.matchAll(/`(\w+)`/g), ([, name = '']) => name) };
  });
  const shown = new Set([...commands.values()].flatMap((of) => [...of.keys()]));
  for (const flag of OF_EVERY_PROGRAM) shown.delete(flag);

  expect(new Set(rows.map(({ flag }) => flag))).toEqual(shown);
  for (const { flag, takes, meaning, at } of rows) {
    const having = [...commands].filter(([, of]) => of.has(flag));
    const value = having[0]?.[1].get(flag)?.takes;
    expect([flag, takes !== undefined]).toEqual([flag, value !== undefined]);
    // What is not of some commands alone is of all that read a configuration.
    const all = [
      '',
      'serve',
      'demo',
      'check',
      ...(/`probe` takes it too/.test(meaning) ? ['probe'] : []),
      'doctor',
      'healthcheck',
    ];
    const places = at.length > 0 ? at : all;
    expect([flag, having.map(([name]) => name)]).toEqual([flag, places]);
  }

  const lines = tableOf('README.md', 'command, ').map(([cell = '']) => cell.replaceAll(/[`[\]]/g, '').split(' '));
  expect(lines.map(([program, name]) => `${program} ${name}`)).toEqual(
    ['URL', ...COMMANDS].map((name) => `mcp-causeway ${name}`),
  );
  for (const [, name = '', given] of lines) {
    if (given === undefined || given === 'URL') continue;
    const flags = [...(commands.get(name) ?? [])].flatMap(([flag, { short }]) => [`--${flag}`, short]);
    expect(flags).toContain(given);
  }
});

test('docs/probe.md has the flags of the probe, and every kind that it tells apart', async () => {
  const program = run('probe', '--help');
  await program.ended;
  const flags = tableOf('docs/probe.md', 'flag, does').map(([cell = '']) => cell.replaceAll('`', ''));
  const kinds = tableOf('docs/probe.md', 'kind, ').map(([kind = '', , usable = '']) => [
    kind.replaceAll('`', ''),
    usable,
  ]);

  for (const flag of flags.filter((each) => each !== '--tls-ca')) expect(program.stdout()).toContain(`${flag} `);
  expect(KEYS.some(({ flag }) => flag === 'tls-ca')).toBe(true);
  expect(kinds).toEqual(Object.entries(KINDS).map(([kind, { usable }]) => [kind, usable]));
});

const EXITS: Readonly<Record<string, () => Promise<Program>>> = {
  async '0'() {
    const program = await serving();
    program.child.kill('SIGTERM');
    return program;
  },
  '1': async () => run('healthcheck', '--listen', '127.0.0.1:1'),
  '2': async () => run('--no-such-flag'),
  '3': async () => run('not a URL'),
  '4': async () => run('probe', 'http://127.0.0.1:1/sse'),
  '129': () => stoppedTwice('SIGHUP'),
  '130': () => stoppedTwice('SIGINT'),
  '143': () => stoppedTwice('SIGTERM'),
};

test('every exit code in the README comes when it says', async () => {
  const codes = tableOf('README.md', 'exit code, ').flatMap(([cell = '']) => cell.split(', '));

  expect(codes.toSorted()).toEqual(Object.keys(EXITS).toSorted());
  for (const code of codes) {
    const program = await EXITS[code]?.();
    expect(`${await program?.ended}`, code).toBe(code);
  }
});

test('the keys in the README have the defaults and meanings of the schema', () => {
  const rows = tableOf('README.md', 'key, default, ').map((cells) => cells.map((cell) => cell.replaceAll('`', '')));

  expect(rows.length).toBeGreaterThan(8);
  for (const [name, standard, meaning] of rows) {
    const node = KEYS.find((key) => key.name === name)?.node;
    const expected = typeof node?.default === 'string' ? node.default : JSON.stringify(node?.default);
    expect([name, standard, meaning]).toEqual([name, expected, node?.description]);
  }
});

test('the bench has the scenarios and peers that its page says, and prints the columns', () => {
  const folder = join(ROOT, 'bench');
  const sources = readdirSync(folder).filter((file) => file.endsWith('.ts'));
  const text = sources.map((file) => readFileSync(join(folder, file), 'utf8')).join('');
  const scenarios = tableOf('bench/README.md', 'scenario, ').map(([name = '', , most = '']) => [name, most]);
  const columns = tableOf('bench/README.md', 'column, ').flatMap(([cell = '']) => cell.split(', '));
  const options = tableOf('bench/README.md', 'option, ').map(([cell = '']) => /--[\w-]+/.exec(cell)?.[0]);

  expect(scenarios.map(([name]) => name)).toEqual(SCENARIO_NAMES.map((name) => `\`${name}\``));
  for (const [name, most] of scenarios) {
    const inFlight = scenarioOf(name?.replaceAll('`', '') as ScenarioName).variants.map((variant) => variant.inFlight);
    if (/^\d+$/.test(most ?? '')) expect(inFlight).toContain(Number(most));
  }
  expect(new Set(options)).toEqual(new Set(Array.from(HELP.matchAll(/^ {2}(--[\w-]+)/gm), ([, flag]) => flag)));
  expect(tableOf('bench/README.md', 'peer, ').map(([name]) => name)).toEqual(PEER_NAMES.map((name) => `\`${name}\``));
  for (const column of columns.filter((each) => each !== 'A x B' && !each.startsWith('in `')))
    expect(text).toContain(column);
});

test('docs/architecture.md names the folders of src, and files that are there', () => {
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const named = tableOf('docs/architecture.md', 'folder, ').flatMap(([cell = '']) => cell.split(', '));
  const touched = tableOf('docs/architecture.md', 'to, ').flatMap(([, cell = '']) =>
    Array.from(cell.matchAll(/`([\w-]+\/[^`]*)`/g), ([, path = '']) => path),
  );

  expect(new Set(named)).toEqual(new Set([...folders.map(({ name }) => name), 'the top of src']));
  expect(touched.length).toBeGreaterThan(8);
  expect(
    touched.filter((path) => ![join(ROOT, 'src', path), join(ROOT, path)].some((each) => existsSync(each))),
  ).toEqual([]);
});

test('docs/compatibility.md counts the scenarios that the official suite has', () => {
  const known = revisions.map(({ revision, scenarios, isDirect, unproven }) => [
    revision,
    isDirect ? `${scenarios}/${scenarios}` : '–',
    `${scenarios - unproven.length}/${scenarios}`,
  ]);

  expect(tableOf('docs/compatibility.md', 'revision, ')).toEqual(known);
});

test('a table is read as it is: cells, and pipes inside them', () => {
  const [flag] = TABLES.filter((table) => table.page === 'docs/configuration.md').flatMap(({ rows }) =>
    rows.filter(([name]) => name === '`links.single`'),
  );

  expect(flag).toEqual([
    '`links.single`',
    '`CAUSEWAY_LINKS_SINGLE`',
    '`--links-single auto|true`',
    '`auto`',
    KEYS.find(({ name }) => name === 'links.single')?.node.description,
    'yes',
    'yes',
  ]);
  expect(page('README.md').anchors).toContain('pooled-sessions');
});

async function serving(): Promise<Program> {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json');
  await program.says(/"upstream reached"/);
  return program;
}

/** The second comes while a call is waited for. */
async function stoppedTwice(signal: 'SIGHUP' | 'SIGINT' | 'SIGTERM'): Promise<Program> {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"never","arguments":{}}}';
  const call = fetch(endpoint, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  call.catch(() => {});
  await upstream.nextCall('never');
  program.child.kill(signal);
  // It has been taken once nobody is let in any more.
  for (let isOpen = true; isOpen;) isOpen = await fetch(endpoint).then(Boolean, () => false);
  program.child.kill(signal);
  await once(program.child, 'exit');
  return program;
}
