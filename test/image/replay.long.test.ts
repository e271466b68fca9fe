// The image, without an engine: its steps are replayed in a clean directory, and what comes out is run as it would be.

import { chmodSync, existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startLegacyServer } from '../support/legacy-server.ts';
import { type Cell, confinement, runInCell } from './cell.ts';
import { type Image, buildImage } from './replay.ts';

const PROJECT = join(import.meta.dirname, '../..');
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}';
const ENDPOINT = /http:\/\/127\.0\.0\.1:(\d+)\/mcp/;
/** What `docker stop` waits before it kills. */
const STOP_MS = 10_000;

let image: Image;

beforeAll(() => {
  if (confinement !== 'a root of its own')
    console.warn(`no namespaces here: the image runs confined by ${confinement}`);
  image = buildImage();
  chmodSync(image.directory, 0o755);
}, 170_000);

afterAll(() => {
  rmSync(image.directory, { recursive: true, force: true });
});

async function call(endpoint: string): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(endpoint, { method: 'POST', headers, body: CALL, signal: AbortSignal.timeout(STOP_MS) });
  return response.json();
}

async function stopped(cell: Cell): Promise<{ readonly code: number | null; readonly signal: string | null }> {
  process.kill(cell.pid(), 'SIGTERM');
  const late = AbortSignal.timeout(STOP_MS);
  return Promise.race([
    cell.ended,
    new Promise<never>((_, reject) => late.addEventListener('abort', () => reject(new Error('it does not stop')))),
  ]);
}

const ANSWER = { jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: '5' }] } };

function versionIn(folder: string): unknown {
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { readonly version: string }).version;
}

test('the last stage holds the program, its dependencies and nothing else', () => {
  const app = join(image.root, 'app');
  const installed = readdirSync(join(app, 'node_modules'));

  expect(readdirSync(app).toSorted()).toEqual(['LICENSE', 'dist', 'node_modules', 'package.json']);
  expect(existsSync(join(app, 'dist/main.js'))).toBe(true);
  expect(installed).toContain('fastify');
  // For `store`; elsewhere it is optional.
  expect(versionIn(join(app, 'node_modules/ioredis'))).toBe(versionIn(join(PROJECT, 'node_modules/ioredis')));
  for (const tool of ['typescript', 'vitest', 'oxlint', 'node', 'fast-check']) expect(installed).not.toContain(tool);
});

test('it is Node 24 without a shell, not root, on port 8080 of every address, and everything is in exec form', () => {
  expect(image.base).toMatch(/^gcr\.io\/distroless\/nodejs24-debian\d+:nonroot$/);
  expect(image.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(image.env).toEqual({ NODE_ENV: 'production', CAUSEWAY_LISTEN: '0.0.0.0:8080' });
  expect(image.exposed).toBe('8080');
  expect(image.healthcheck).toEqual([...image.entrypoint, 'healthcheck']);
  expect(image.entrypoint[0]).toBe('/nodejs/bin/node');
});

test('nothing of the project beside what is copied is sent to the engine', () => {
  const ignored = readFileSync(join(PROJECT, '.dockerignore'), 'utf8');

  expect(ignored.split('\n').filter((line) => line !== '' && !line.startsWith('#'))[0]).toBe('*');
  expect(ignored).not.toMatch(/^!(?:\.|test|node_modules|dist)/m);
});

test('given a URL it serves, and SIGTERM ends it with 0', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());

  const cell = runInCell(image, [...image.entrypoint, upstream.url.href, '--listen', '127.0.0.1:0']);
  const [endpoint] = await cell.says(ENDPOINT);
  const answer = await call(endpoint);
  const events = await fetch(endpoint.replace('/mcp', '/sse'), { signal: AbortSignal.timeout(STOP_MS) });

  expect(answer).toEqual(ANSWER);
  expect(events.headers.get('content-type')).toBe('text/event-stream');
  // With the stream of an old client still open.
  expect(await stopped(cell)).toEqual({ code: 0, signal: null });
  await events.body?.cancel().catch(() => {});
});

test.runIf(confinement === 'a root of its own')(
  'it runs as process 1, as its own user without any privilege, in a root that is read-only and has no shell',
  async () => {
    const upstream = await startLegacyServer();
    onTestFinished(() => upstream.close());
    const cell = runInCell(image, [...image.entrypoint, upstream.url.href, '--listen', '127.0.0.1:0']);
    await cell.says(ENDPOINT);

    const pid = cell.pid();
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
    const root = readdirSync(`/proc/${pid}/root`).toSorted();

    const [uid = '', gid = ''] = image.user.split(':');
    expect(status).toMatch(new RegExp(`^Uid:(?:\\t${uid}){4}$`, 'm'));
    expect(status).toMatch(new RegExp(`^Gid:(?:\\t${gid}){4}$`, 'm'));
    expect(status).toMatch(/^Groups:\s*$/m);
    expect(status).toMatch(/^CapEff:\t0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^NSpid:\t\d+\t1$/m);
    expect(mounts).toMatch(/ \/ ro[, ]/);
    expect(root).toEqual(['app', 'dev', 'lib', 'lib64', 'nodejs', 'proc'].filter((each) => root.includes(each)));
    expect(root).toContain('app');
    expect(await stopped(cell)).toEqual({ code: 0, signal: null });
  },
);

test.runIf(confinement !== 'nothing')(
  'as another user without any privilege it serves, and SIGTERM ends it with 0',
  async () => {
    const upstream = await startLegacyServer();
    onTestFinished(() => upstream.close());
    const cell = runInCell(image, [...image.entrypoint, upstream.url.href, '--listen', '127.0.0.1:0']);
    const [endpoint] = await cell.says(ENDPOINT);

    const status = readFileSync(`/proc/${cell.pid()}/status`, 'utf8');

    expect(status).not.toMatch(/^Uid:.*\t0\b/m);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      expect(status).toMatch(new RegExp(`^${set}:\\t0+$`, 'm'));
    expect(await call(endpoint)).toEqual(ANSWER);
    expect(await stopped(cell)).toEqual({ code: 0, signal: null });
  },
);

test.runIf(confinement === 'a root of its own')('what is run there cannot write anywhere', async () => {
  const script = `
    const codes = ['/x', '/app/x', '/app/dist/x', '/tmp/x', '/dev/x'].map((file) => {
      try { require('node:fs').writeFileSync(file, ''); return 'written'; } catch ({ code }) { return code; }
    });
    console.log(codes.join());`;

  const cell = runInCell(image, ['/nodejs/bin/node', '-e', script]);
  await cell.ended;

  expect(cell.stdout().trim()).toBe('EROFS,EROFS,EROFS,ENOENT,EROFS');
});

test('a server that is down does not keep it from starting, nor from stopping', async () => {
  const cell = runInCell(image, [...image.entrypoint, 'http://127.0.0.1:1/sse', '--listen', '127.0.0.1:0']);
  const [endpoint] = await cell.says(ENDPOINT);

  expect((await fetch(new URL('/healthz', endpoint))).status).toBe(200);
  expect((await fetch(new URL('/readyz', endpoint))).status).toBe(503);
  expect(await stopped(cell)).toEqual({ code: 0, signal: null });
});

test('CAUSEWAY_UPSTREAM alone is enough', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());

  // Of the image's own variables only the address is another: 8080 may be taken here.
  const env = { CAUSEWAY_UPSTREAM: upstream.url.href, CAUSEWAY_LISTEN: '127.0.0.1:0' };
  const cell = runInCell(image, image.entrypoint, { env });
  const [endpoint] = await cell.says(ENDPOINT);

  expect(await call(endpoint)).toEqual(ANSWER);
  expect(await stopped(cell)).toEqual({ code: 0, signal: null });
});

test.runIf(confinement === 'a root of its own')(
  'as it is, on a network of its own: it listens on 8080, and its health check says so, and says when it is gone',
  async () => {
    const env = { CAUSEWAY_UPSTREAM: 'http://127.0.0.1:1/sse' };
    const cell = runInCell(image, image.entrypoint, { env, network: 'own' });
    await cell.says(/:8080\/mcp/);
    const network = cell.pid();

    const healthy = await runInCell(image, image.healthcheck, { env, network }).ended;
    const gone = await runInCell(image, image.healthcheck, { env, network: 'own' }).ended;

    expect(healthy).toEqual({ code: 0, signal: null });
    expect(gone.code).toBeGreaterThan(0);
    expect(await stopped(cell)).toEqual({ code: 0, signal: null });
  },
);
