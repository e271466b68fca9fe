// Every fenced block of every page is exercised: what is ours runs as it is written, and what is for docker, compose or
// Kubernetes is taken apart and the built program runs with what it says.

import { readOptions } from '../../bench/options.ts';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { KEYS } from '../../src/config/keys.ts';
import { durations } from '../../src/config/quantities.ts';
import type { Config } from '../../src/config/schema.ts';
import { configOf } from '../config/surroundings.ts';
import { OVERLAYS } from '../deployments/kustomize.ts';
import { startIssuer } from '../support/issuer.ts';
import { file as fileOf, run, runWith } from '../verbs/program.ts';
import { type Container, type Secrets, composed, createdSecret, deployed, dockerRun } from './containers.ts';
import { curlRequest } from './curl-line.ts';
import { CALLER_KEY, COMMANDS, PLACE, SERVER_KEY, blocksOf, commandsOfKind, kindOf } from './kinds.ts';
import { BLOCKS, PAGES, ROOT } from './pages.ts';
import { IMAGE, type Started, StandIns, start, startHere } from './run-container.ts';
import { needsShell } from './shell-commands.ts';

const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly name: string;
  readonly version: string;
  readonly scripts: Readonly<Record<string, string>>;
};
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}';
const WAIT_MS = 20_000;
const CURLS = commandsOfKind('curl').map(({ words }) => curlRequest(words));

// A program starts in half a second, on a busy machine in ten times that.
vi.setConfig({ testTimeout: 60_000 });

test.each(BLOCKS.map((block) => [block.title, block] as const))('%s is of a kind that is exercised', (_, block) => {
  expect(kindOf(block)).not.toBeNull();
});

test('there is a block of every kind, and no code outside of fences', () => {
  const kinds = new Set(BLOCKS.map(kindOf));
  const indented = PAGES.flatMap(({ file, prose }) =>
    Array.from(prose.matchAll(/^\n {4,}(?![-*\d ]).*$/gm), ([line]) => `${file}: ${line.trim()}`),
  );

  expect(kinds).toEqual(
    new Set([
      'commands',
      'shell',
      'configuration',
      'compose',
      'kubernetes',
      'clients',
      'report',
      'replaced',
      'drawing',
    ]),
  );
  expect(indented).toEqual([]);
});

test.each(COMMANDS.map((command) => [command.text, command] as const))('%s: is exercised', (_, command) => {
  expect(command.kind).not.toBeNull();
});

test.each(commandsOfKind('npm').map(({ text, words }) => [text, words] as const))('%s: is there', (_, words) => {
  const [, verb = '', ...rest] = words;

  switch (verb) {
    case 'run':
      expect(rest.length).toBe(1);
      expect(Object.keys(PACKAGE.scripts)).toContain(rest[0]);
      break;
    case 'test':
      expect([rest, Object.hasOwn(PACKAGE.scripts, 'test')]).toEqual([[], true]);
      break;
    case 'install':
      // What `npm pack` makes; test/walk does it.
      expect(rest).toEqual(['--global', `./${PACKAGE.name}-${PACKAGE.version}.tgz`]);
      break;
    case 'ci':
    case 'pack':
      expect([rest, existsSync(join(ROOT, 'package-lock.json'))]).toEqual([[], true]);
      break;
    default:
      expect.unreachable(verb);
  }
});

test('npm run demo: what it starts calls a tool through both', async () => {
  expect(commandsOfKind('npm').map(({ text }) => text)).toContain('npm run demo');
  const [node, main, ...words] = (PACKAGE.scripts['demo'] ?? '').split(' ');
  const program = run(...words, '--once', '--listen', '127.0.0.1:0');

  expect([node, main]).toEqual(['node', 'dist/main.js']);
  expect(await program.ended).toBe(0);
  expect(program.stdout()).toContain('"text":"5"');
});

test.each(commandsOfKind('bench').map(({ text, words }) => [text, words] as const))(
  '%s: the file and its options are there',
  (_, words) => {
    if (words[0] === 'npm') {
      expect(() => readOptions(words.slice(4), () => undefined)).not.toThrow();
      return;
    }
    const [file = '', ...rest] = words.slice(2);
    const source = readFileSync(join(ROOT, file), 'utf8');

    const options = rest.filter((word) => word.startsWith('--'));

    for (const option of options) expect(source).toMatch(new RegExp(`^ +'?${option.slice(2)}'?: \\{ type: `, 'm'));
    expect(rest.length).toBe(2 * options.length);
  },
);

/** Some stand on several pages. */
const GATEWAYS = new Map(commandsOfKind('gateway').map((command) => [command.text, command]));
const FILES = Object.fromEntries(
  Object.entries({ ...PLACE.files, '/run/secrets/billing': SERVER_KEY }).filter(([name]) =>
    ['proxy.yaml', '/run/secrets/billing'].includes(name),
  ),
);

test.each([...GATEWAYS].filter(([, { words }]) => !words.includes('check')))(
  '%s: serves what it says, and stops',
  async (_, { words, env }) => {
    const standIns = new StandIns();
    const files = words.includes('-c') ? FILES : {};
    const started = await startHere({ args: words.slice(3), env: { ...PLACE.variables, ...env }, files }, standIns);

    expect(started.endpoints.length).toBeGreaterThan(0);
    for (const { endpoint } of started.endpoints) expect(await called(endpoint)).toBe('5');
    expect(standIns.servers.length).toBe(started.endpoints.length);
    await stops(started);
  },
);

test.each(commandsOfKind('probe').map(({ text, words }) => [text, words] as const))(
  '%s: says what is there',
  async (_, words) => {
    const standIns = new StandIns();
    const args = await Promise.all(words.slice(3).map((word) => standIns.in(word)));

    const program = run(...args);

    expect(await program.ended).toBe(0);
    expect(program.stdout()).toMatch(/an MCP server that speaks HTTP\+SSE|"kind": "http_sse"|^upstreams:$/m);
  },
);

test.each([...GATEWAYS].filter(([, { words }]) => words.includes('check')))(
  '%s: finds nothing wrong',
  async (_, { words }) => {
    const { text } = BLOCKS.find(({ page, file }) => page === 'README.md' && file === 'proxy.yaml') ?? { text: '' };
    const secret = fileOf(SERVER_KEY, 'billing');
    chmodSync(secret, 0o600);
    const path = fileOf(text.replaceAll('/run/secrets/billing', secret));

    const program = runWith({ ...PLACE.variables }, ...words.slice(3).map((word) => word.replace('proxy.yaml', path)));

    expect([await program.ended, program.stderr()]).toEqual([0, '']);
  },
);

test('the curl lines to the endpoint work as pasted, one after the other', async () => {
  const [serves] = commandsOfKind('gateway');
  const started = await startHere({ args: serves?.words.slice(3) ?? [], env: {} }, new StandIns());
  const lines = CURLS.filter(({ url }) => url.endsWith('/mcp'));
  let session = '';

  const answers: (string | number)[] = [];
  for (const { url, method, headers, body = null } of lines) {
    expect(new URL(url).host).toBe(defaultListen());
    const target = new URL(url);
    target.port = String(started.port);
    const given = Object.entries(headers).map(([name, value]) => [name, value.replace('PASTE', session)]);
    const response = await fetch(target, { method, headers: Object.fromEntries(given), body, ...within() });
    session = response.headers.get('mcp-session-id') ?? session;
    const text = await response.text();
    answers.push(response.status, text === '' ? '' : Object.keys(JSON.parse(text) as object).join());
  }

  const result = 'jsonrpc,id,result';
  expect(answers).toEqual([200, result, 200, result, 202, '', 200, result]);
});

test.each(CURLS.filter(({ url }) => !url.endsWith('/mcp')))(
  'curl -X $method $url: is taken by the listener of admin',
  async ({ url, method }) => {
    const env = { ...PLACE.variables, CAUSEWAY_CONFIG: 'proxy.yaml', CAUSEWAY_ADMIN: '127.0.0.1:0' };
    const { program } = await startHere({ args: [], env, files: FILES }, new StandIns());
    const [, port = ''] = await program.says(/"admin":"http:\/\/127\.0\.0\.1:(\d+)"/);
    const target = new URL(url);

    expect(target.port).toBe(standard('admin.port'));
    target.port = port;
    expect((await fetch(target, { method, ...within() })).status).toBe(200);
  },
);

test.each(blocksOf('configuration').map((block) => [block.title, block] as const))(
  '%s is read by the loader, and served: every server of it answers at its path',
  async (_, { text }) => {
    const files = { '/run/secrets/billing': SERVER_KEY, 'proxy.yaml': text };
    const config = configOf({ yaml: text, env: PLACE.variables, files });
    const { headers, variables } = await credentialsFor(config);
    const env = { ...PLACE.variables, ...variables, CAUSEWAY_CONFIG: 'proxy.yaml' };

    const standIns = new StandIns();
    const started = await startHere({ args: [], env, files }, standIns);

    expect(started.endpoints.map(({ endpoint }) => new URL(endpoint).pathname)).toEqual(
      config.upstreams.map(({ path }) => path),
    );
    for (const { endpoint } of started.endpoints) expect(await called(endpoint, headers)).toBe('5');
    for (const { legacy } of config.upstreams) {
      if (legacy === false) continue;
      const events = await fetch(new URL(legacy.sse, started.endpoints[0]?.endpoint), {
        headers,
        ...within(),
      });
      expect(events.headers.get('content-type')).toMatch(/^text\/event-stream/);
      await events.body?.cancel();
    }
    expect(standIns.servers.length).toBe(config.upstreams.flatMap(({ urls }) => urls).length);
    await stops(started);
  },
);

interface ClientEntry {
  readonly url?: string;
  readonly args?: readonly string[];
}

test.each(blocksOf('clients').map((block) => [block.title, block] as const))(
  '%s names the endpoint as it is without any configuration',
  (_, { text }) => {
    const { mcpServers, servers } = JSON.parse(text) as Record<string, Record<string, ClientEntry>>;

    // Of a program that the client starts, the URL that it is given.
    const urls = Object.values(mcpServers ?? servers ?? {}).map(
      ({ url, args }) => url ?? args?.find((word) => word.startsWith('http')),
    );

    expect(urls).toEqual([`http://${defaultListen()}${standard('upstreams[].path')}`]);
  },
);

test('docker build: of this folder, under the name that the others use', () => {
  const built = commandsOfKind('docker build').map(({ words }) => words.slice(2));

  expect(built.length).toBeGreaterThan(0);
  for (const words of built) expect(words).toEqual(['-t', IMAGE_NAME, '.']);
  expect(existsSync(join(ROOT, 'Dockerfile'))).toBe(true);
});

test.each(commandsOfKind('docker run').map((command) => [command.text, command] as const))(
  '%s: the program runs so',
  async (_, { words, env }) => {
    const container = dockerRun(words, PLACE);

    expect(env).toEqual({});
    await runsAs(container);
  },
);

test.each(blocksOf('compose').map((block) => [block.title, block] as const))(
  '%s: the program runs so beside the server that is in it',
  async (_, { text, file }) => {
    const { gateway, others } = composed(text, IMAGE_NAME);

    const hosts = await runsAs(gateway);

    expect(hosts).toEqual(others);
    expect(file).toBe('compose.yaml');
    // Of those with -f the file is config/compose, for which test/deployments is.
    const ours = commandsOfKind('docker compose').filter(({ words }) => words[2] !== '-f');
    expect(ours.map(({ words }) => words.slice(2))).toEqual([['up', '-d']]);
  },
);

test('docker compose -f and kubectl apply -k name what is there, and test/deployments runs it', () => {
  const composedFrom = commandsOfKind('docker compose').filter(({ words }) => words[2] === '-f');
  const applied = commandsOfKind('kubectl apply').filter(({ words }) => words[2] === '-k');

  expect(composedFrom.map(({ words }) => words.slice(3))).toEqual([
    ['config/compose/compose.yaml', 'up', '-d'],
    ['config/compose/compose.yaml', '--profile', 'replicas', 'up', '-d'],
  ]);
  expect(existsSync(join(ROOT, 'config/compose/compose.yaml'))).toBe(true);
  expect(applied.length).toBeGreaterThan(0);
  for (const { words } of applied) {
    const [path = '', ...rest] = words.slice(3);
    expect(rest).toEqual([]);
    expect(OVERLAYS.map((overlay) => `config/kubernetes/overlays/${overlay}`)).toContain(path);
  }
});

const OPENSSL = spawnSync('openssl', ['version']).status === 0;

test.runIf(OPENSSL).each(commandsOfKind('openssl').map(({ text, words }) => [text, words] as const))(
  '%s: makes a key that a configuration takes',
  (_, words) => {
    const key = fileOf('', 'sealing.key');
    const args = words.slice(1).map((word) => (word.endsWith('.key') ? key : word));

    expect(spawnSync('openssl', args).status).toBe(0);
    const yaml = `secrets: { current: '\${file:${key}}' }\nupstreams: [{ url: 'http://old:9001/sse' }]\n`;
    const { secrets } = configOf({ yaml, files: { [key]: readFileSync(key, 'utf8') } });
    expect(secrets?.current).toBeDefined();
  },
);

test.each(blocksOf('kubernetes').map((block) => [block.title, block] as const))(
  '%s: the program runs so, with the secrets that kubectl is told to create',
  async (_, { text, file }) => {
    const secrets = commandsOfKind('kubectl create').map(({ words }) => createdSecret(words, PLACE));
    const applied = commandsOfKind('kubectl apply').flatMap(({ words }) => (words[2] === '-f' ? [words.slice(2)] : []));

    const { gateway, user } = deployed(text, IMAGE_NAME, Object.assign({}, ...secrets) as Secrets);

    expect(applied).toEqual([['-f', file]]);
    expect(user).toBe(IMAGE.user);
    expect(gateway.probes.map(({ path }) => path)).toEqual(['/healthz', '/readyz']);
    for (const { port } of gateway.probes) expect(port).toBe(gateway.port);
    // In one pod all containers have one loopback.
    expect(await runsAs(gateway)).toEqual(['127.0.0.1']);
  },
);

test('without the keys of callers the pod would be refused, as it says', async () => {
  const [block] = blocksOf('kubernetes');
  const secrets = { 'billing-mcp': { callers: 'unused=', 'upstream-key': SERVER_KEY } };
  const { gateway } = deployed(block?.text ?? '', IMAGE_NAME, secrets);
  const env = { ...gateway.env, CAUSEWAY_INBOUND_BEARER_KEYS: '', CAUSEWAY_HEADER: 'x-api-key=k' };

  const program = startHere({ args: ['--listen', '0.0.0.0:0'], env }, new StandIns());

  await expect(program).rejects.toThrow(/public address.*CAUSEWAY_INBOUND_BEARER_KEYS/);
});

const SHA256SUM = spawnSync('sh', ['-c', 'printf x | sha256sum']).status === 0;

test.runIf(SHA256SUM).each(blocksOf('shell').map((block) => [block.title, block] as const))(
  '%s: makes a key and its digest, in the form that a configuration wants',
  (_, { text }) => {
    expect(needsShell(text)).toBe(true);
    const { stdout, status } = spawnSync('sh', ['-euc', `${text}\nprintf %s "$KEY"`], { encoding: 'utf8' });
    const [digest = '', key = ''] = stdout.split('\n');

    expect([status, digest]).toEqual([0, createHash('sha256').update(key).digest('hex')]);
    expect(key).toMatch(/^[A-Za-z\d]{30,}$/);
    const env = { CAUSEWAY_UPSTREAM: 'http://old:9001/sse', CAUSEWAY_INBOUND_BEARER_KEYS: `alice=${digest}` };
    expect(configOf({ env }).inbound).toEqual({ bearer: { keys: [{ name: 'alice', sha256: digest }] } });
  },
);

const IMAGE_NAME = 'causeway';

/** Runs it, asks it what it is asked there, and stops it in the time that it has. The hosts behind it. */
async function runsAs(container: Container): Promise<readonly string[]> {
  expect([container.image, container.port]).toEqual([IMAGE_NAME, IMAGE.port]);
  expect([container.isReadOnly, container.hasNoCapability, container.port >= 1024]).toEqual([true, true, true]);
  const standIns = new StandIns();
  const started = await start(container, standIns);
  const origin = `http://127.0.0.1:${started.port}`;

  for (const path of new Set(['/healthz', '/readyz', ...container.probes.map((probe) => probe.path)])) {
    // As a kubelet asks: by the address of the pod, without a key.
    expect([path, (await fetch(origin + path, within())).status]).toEqual([path, 200]);
  }
  for (const { endpoint } of started.endpoints) expect(await called(endpoint)).toBe('5');
  if (Object.values(container.files).some((text) => text.includes(SERVER_KEY))) {
    const [server] = standIns.servers;
    expect(server?.gets.at(-1)?.headers['x-api-key']).toBe(SERVER_KEY);
    expect((await posted(started.endpoints[0]?.endpoint ?? '', {})).status).toBe(401);
  }
  if (container.healthcheck !== undefined) {
    expect(container.healthcheck.slice(0, IMAGE.entrypoint.length)).toEqual(IMAGE.entrypoint);
    const health = started.also(...container.healthcheck.slice(IMAGE.entrypoint.length));
    expect([await health.ended, health.stderr()]).toEqual([0, '']);
  }
  const delay = container.env['CAUSEWAY_DRAIN_DELAY'] ?? standard('drain.delay');
  const drain = container.env['CAUSEWAY_DRAIN_TIMEOUT'] ?? standard('drain.timeout');
  expect(durations(0).parse(delay) + durations(0).parse(drain)).toBeLessThan(container.stopMs);
  const { hosts } = standIns;
  await stops(started);
  return hosts;
}

async function stops({ program }: Started): Promise<void> {
  // Without drain.delay, which is waited for elsewhere.
  program.child.kill('SIGINT');
  expect(await program.ended).toBe(0);
}

/** The text of what a tool answers through the gateway. */
async function called(endpoint: string, headers = bearer()): Promise<string | undefined> {
  const response = await posted(endpoint, headers);
  const { result } = (await response.json()) as { result?: { content: { text: string }[] } };
  return result?.content[0]?.text;
}

function posted(endpoint: string, headers: Readonly<Record<string, string>>): Promise<Response> {
  const type = { 'content-type': 'application/json' };
  return fetch(endpoint, { method: 'POST', headers: { ...type, ...headers }, body: CALL, ...within() });
}

/** What a caller sends, and where tokens are asked for, who publishes their keys in place of the issuer. */
async function credentialsFor({ inbound, publicUrl, upstreams }: Config): Promise<{
  readonly headers: Record<string, string>;
  readonly variables: Record<string, string>;
}> {
  if (inbound === 'none' || 'bearer' in inbound || publicUrl === undefined) return { headers: bearer(), variables: {} };
  const issuer = await startIssuer();
  const aud = upstreams.map(({ path }) => new URL(path, publicUrl).href);
  const claims = { iss: inbound.jwt.issuer, scope: inbound.jwt.scopes.join(' '), aud };
  return {
    headers: await issuer.bearer(claims),
    variables: { CAUSEWAY_INBOUND_JWT_JWKS_URI: issuer.jwksUri },
  };
}

/** Passed over where no keys are wanted. */
function bearer(): Record<string, string> {
  return { authorization: `Bearer ${CALLER_KEY}` };
}

function within(): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(WAIT_MS) };
}

function standard(name: string): string {
  return String(KEYS.find((key) => key.name === name)?.node.default);
}

function defaultListen(): string {
  return `${standard('listen.host')}:${standard('listen.port')}`;
}
