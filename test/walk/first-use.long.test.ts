// Somebody who has nothing but the project and the README: its commands, as they stand there, in a folder where nothing has
// been installed, until a real client has called a tool; and what he is told when it does not work.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { COMMANDS, blocksOf } from '../docs/kinds.ts';
import { ROOT } from '../docs/pages.ts';
import { npmEnv } from '../image/replay.ts';
import { sdkV1 } from '../peers/support/sdk-clients.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const NOT_COPIED = new Set(['node_modules', 'dist', '.git', '.compile-cache', 'test-results']);
const WAIT_MS = 60_000;
const OLD = 'http://old:9001/sse';

/** The first block that starts the gateway: with what has to be done before, and that alone. */
const [STARTS] = blocksOf('commands').filter(({ page, text }) => page === 'README.md' && text.includes(OLD));
const STEPS = COMMANDS.filter(({ block }) => block === STARTS).map(({ text }) => text);
/** The last of them serves, and does not end. */
const SERVES = STEPS.at(-1) ?? '';
/** What clients are told, in their files. */
const [CLIENT] = blocksOf('clients').filter(({ page }) => page === 'README.md');

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'causeway-walk-'));
  await cp(ROOT, folder, { recursive: true, filter: (path) => path === ROOT || !NOT_COPIED.has(basename(path)) });
  for (const step of STEPS.slice(0, -1)) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { code, said } = await shell(step).ended;
    expect([step, code, code === 0 ? '' : said()]).toEqual([step, 0, '']);
  }
}, 300_000);

afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

interface Step {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly said: () => string }>;
  /** Resolves with the first match in what it says. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
}

/** As pasted. No terminal: what it says comes as JSON lines. */
function shell(line: string, more: Readonly<Record<string, string>> = {}): Step {
  const child = spawn('sh', ['-c', `exec ${line}`], {
    cwd: folder,
    env: npmEnv({ CAUSEWAY_LISTEN: '127.0.0.1:0', npm_config_prefer_offline: 'true', ...more }),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let text = '';
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk) => (text += String(chunk)));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, said: () => text }));
  return {
    child,
    ended,
    async says(pattern) {
      const late = AbortSignal.timeout(WAIT_MS);
      for (;;) {
        const found = pattern.exec(text);
        if (found !== null) return found;
        if (late.aborted || child.exitCode !== null) throw new Error(`${line} does not say ${pattern}: ${text}`);
        // oxlint-disable-next-line no-await-in-loop -- until it has come
        await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), ended, once(late, 'abort')]);
      }
    },
  };
}

/** The last command of the README, with this server in place of the one that it names. */
function serving(url: string): Step {
  const step = shell(SERVES.replace(OLD, url));
  onTestFinished(async () => {
    // With npx before it, it is a group of its own.
    if (step.child.pid !== undefined && step.child.exitCode === null) process.kill(-step.child.pid, 'SIGTERM');
    await step.ended;
  });
  return step;
}

test('from nothing to a client that has called a tool: at most five steps', async () => {
  const old = await startLegacyServer();
  onTestFinished(() => old.close());

  const gateway = serving(old.url.href);
  const [, endpoint = ''] = await gateway.says(/"endpoint":"([^"]+)"/);
  await gateway.says(/"msg":"upstream reached"/);
  const { mcpServers } = JSON.parse(CLIENT?.text ?? '{}') as { mcpServers: Record<string, { url: string }> };
  const url = new URL(Object.values(mcpServers)[0]?.url ?? '');
  url.port = new URL(endpoint).port;
  const { client, transport } = await sdkV1(url.href);
  await client.connect(transport);
  const { tools } = await client.listTools();
  const result = await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } });

  // The file of the client is the last step.
  expect(STEPS.length + 1).toBeLessThanOrEqual(5);
  expect(tools.map(({ name }) => name)).toContain('add');
  expect(result).toMatchObject({ content: [{ text: '5' }] });
});

test('as a package: what was built, packed and installed elsewhere, is the command of which the README speaks', async () => {
  const [packs] = blocksOf('commands').filter(({ text }) => text.includes('npm pack'));
  const steps = COMMANDS.filter(({ block }) => block === packs).map(({ text }) => text);
  const elsewhere = { npm_config_prefix: join(folder, 'elsewhere') };

  for (const step of steps) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { code, said } = await shell(step, elsewhere).ended;
    expect([step, code, code === 0 ? '' : said()]).toEqual([step, 0, '']);
  }
  const { code, said } = await shell(`${folder}/elsewhere/bin/mcp-causeway demo --once`).ended;

  expect(steps.length).toBe(2);
  expect([code, said()]).toEqual([0, expect.stringContaining('"text":"5"')]);
});

const html: RequestListener = (_, response) =>
  void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
const modern: RequestListener = (request, response) =>
  void response.writeHead(request.method === 'POST' ? 200 : 405, { 'content-type': 'application/json' }).end('{}');
const ticking: RequestListener = (_, response) =>
  void response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: tick\ndata: 1\n\n');
const locked: RequestListener = (_, response) => void response.writeHead(401).end();

/** What can be at the URL in place of the server. */
const BROKEN: readonly (readonly [
  what: string,
  server: RequestListener | null,
  path: string,
  told: { readonly reason: string; readonly remedy: RegExp; readonly kind: string; readonly next: RegExp },
])[] = [
  [
    'a path at which nothing is',
    (request, response) => void response.writeHead(404).end(request.url),
    '/',
    { reason: 'upstream_not_found', remedy: /try http:\S+\/sse/, kind: 'not_found', next: /path/ },
  ],
  [
    'a page of a web server',
    html,
    '/sse',
    { reason: 'upstream_not_event_stream', remedy: /another server at this port/, kind: 'page', next: /port|path/ },
  ],
  [
    'a server that takes no GET',
    modern,
    '/mcp',
    { reason: 'upstream_not_legacy', remedy: /without a gateway/, kind: 'refuses_get', next: /path|\/sse/ },
  ],
  [
    'an event stream of something else',
    ticking,
    '/sse',
    { reason: 'endpoint_missing', remedy: /never named its endpoint/, kind: 'no_endpoint', next: /path|another/ },
  ],
  [
    'a server that wants a key',
    locked,
    '/sse',
    { reason: 'upstream_unauthorized', remedy: /--header/, kind: 'unauthorized', next: /--header/ },
  ],
  [
    'nobody',
    null,
    '/sse',
    { reason: 'upstream_unreachable', remedy: /check that the server runs/, kind: 'unreachable', next: /check that/ },
  ],
];

async function startBroken(server: RequestListener | null, path: string): Promise<string> {
  const old = createServer(server ?? undefined).listen(0, '127.0.0.1');
  await once(old, 'listening');
  const { port } = old.address() as { port: number };
  if (server === null) old.close();
  onTestFinished(() => {
    old.closeAllConnections();
    old.close();
  });
  return `http://127.0.0.1:${port}${path}`;
}

// The command that has failed tells why; there is no second one to be run.
test.each(BROKEN)(
  '%s in place of the server: the command says so, and what to do next',
  async (_, server, path, told) => {
    const gateway = serving(await startBroken(server, path));
    const [line] = await gateway.says(/^.*"upstream cannot be used".*$/m);

    const { reason, remedy } = JSON.parse(line) as { reason: string; remedy: string };
    expect(reason).toBe(told.reason);
    expect(remedy).toMatch(told.remedy);
  },
);

test.each(BROKEN)(
  '%s in place of the server: the probe of the README tells in one command',
  async (_, server, path, told) => {
    const [probe] = COMMANDS.filter(({ block, text }) => block.page === 'README.md' && text.includes(' probe '));
    const url = await startBroken(server, path);

    const { code, said } = await shell(`${probe?.text.replace(OLD, url)} --json`).ended;

    // npm may have had something to say before it.
    const [json = ''] = /^\{[^]*\}$/m.exec(said()) ?? [];
    const { kind, next } = JSON.parse(json) as { kind: string; next: string };
    expect([code, kind, next]).toEqual([4, told.kind, expect.stringMatching(told.next)]);
  },
);
