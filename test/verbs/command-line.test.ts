// The built program as a process: what it prints where, and how it ends.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startLegacyServer } from '../support/legacy-server.ts';

const MAIN = join(import.meta.dirname, '../../dist/main.js');

interface Program {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The exit code. */
  readonly ended: Promise<number | null>;
  /** Resolves when stderr or stdout matches. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
}

let cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const act of cleanUp.toReversed()) await act();
  cleanUp = [];
});

function run(...args: readonly string[]): Program {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (text.stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (text.stderr += String(chunk)));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  cleanUp.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    ended,
    async says(pattern) {
      for (;;) {
        const found = pattern.exec(text.stdout + text.stderr);
        if (found !== null) return found;
        const more = await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), ended]);
        if (!Array.isArray(more) && !pattern.test(text.stdout + text.stderr)) throw new Error(`ended: ${text.stderr}`);
      }
    },
  };
}

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-'));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'proxy.yaml');
  writeFileSync(path, text);
  return path;
}

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":1}}}';
const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"test","version":"1"}}}';

/** Resolves with the headers. */
function post(endpoint: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  const usual = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  return fetch(endpoint, { method: 'POST', headers: { ...usual, ...headers }, body });
}

test('demo --once performs one call, prints it on stdout, and ends with 0', async () => {
  const program = run('demo', '--once', '--listen', '127.0.0.1:0');

  expect(await program.ended).toBe(0);
  expect(program.stdout()).toContain('{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"5"}]}}');
});

test('the demo prints a curl line that works, and goes on until it is stopped', async () => {
  const program = run('demo', '--listen', '127.0.0.1:0');
  const [, line = ''] = await program.says(/^ {2}(curl .*)$/m);
  const [, url = '', body = ''] = /curl -s (\S+) -H 'content-type: application\/json' -d '(.*)'$/.exec(line) ?? [];

  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  expect(await response.text()).toContain('"text":"5"');

  program.child.kill('SIGINT');
  expect(await program.ended).toBe(0);
});

test('a URL alone is enough; nothing goes to stdout; SIGTERM ends it with 0', async () => {
  const upstream = await startLegacyServer();
  cleanUp.push(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  await program.says(/upstream reached/);

  const ready = await fetch(endpoint.replace('/mcp', '/readyz'));
  expect(ready.status).toBe(200);

  program.child.kill('SIGTERM');
  expect(await program.ended).toBe(0);
  expect(program.stdout()).toBe('');
});

test('an upstream that is down does not keep it from starting; it says what to check', async () => {
  const program = run('http://127.0.0.1:1/sse', '--listen', '127.0.0.1:0', '--log-format', 'json');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);

  await program.says(/check that the server runs/);

  expect((await fetch(endpoint.replace('/mcp', '/healthz'))).status).toBe(200);
  expect((await fetch(endpoint.replace('/mcp', '/readyz'))).status).toBe(503);
});

test('a second signal ends it at once, with 128 and the number of the signal', async () => {
  const upstream = await startLegacyServer();
  cleanUp.push(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'never', arguments: {} } };
  const pending = fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(call),
  });
  pending.catch(() => {});
  await upstream.nextCall('never');

  program.child.kill('SIGTERM');
  // Draining has begun once new connections are refused.
  for (let refused = false; !refused;)
    refused = await fetch(endpoint, { method: 'POST' }).then(
      () => false,
      () => true,
    );
  program.child.kill('SIGTERM');

  expect(await program.ended).toBe(143);
});

test.each([
  ['no URL and no verb', [], 2, /Usage/],
  ['an unknown flag', ['http://127.0.0.1:1/sse', '--lisen', '127.0.0.1:0'], 2, /--listen/],
  ['something that is no URL', ['localhost:9001/sse'], 3, /http or https URL/],
  ['a port out of range', ['http://127.0.0.1:1/sse', '--listen', '127.0.0.1:99999'], 3, /port/],
  ['a listen address of the wrong form', ['http://127.0.0.1:1/sse', '--listen', 'nowhere'], 3, /HOST:PORT/],
  ['a file that is not there', ['serve', '-c', 'missing.yaml'], 3, /cannot be read/],
  ['a demo on an address that is not ours', ['demo', '--listen', '192.0.2.1:80'], 3, /not one of this machine/],
  ['an unknown log level', ['http://127.0.0.1:1/sse', '--log-level', 'verbose'], 2, /--log-level/],
  ['an unknown mode', ['http://127.0.0.1:1/sse', '--mode', 'statless'], 2, /--mode.*auto.*stateless.*session/s],
  ['a mode that is left open', ['http://127.0.0.1:1/sse', '--mode'], 2, /--mode/],
  ['a misspelt command', ['dmeo'], 3, /serve, demo, version/],
  ['serve without a file', ['serve'], 2, /--config/],
] as const)('%s: one clear message and the right exit code', async (_, args, code, message) => {
  const program = run(...args);

  expect(await program.ended).toBe(code);
  expect(program.stderr()).toMatch(message);
  expect(program.stderr()).not.toMatch(/^\s+at /m);
});

test('a port in use is said so, with the way out', async () => {
  const upstream = await startLegacyServer();
  cleanUp.push(() => upstream.close());

  const program = run('http://127.0.0.1:1/sse', '--listen', `127.0.0.1:${upstream.url.port}`);

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/in use.*--listen/);
});

test('with a JSON log everything on stderr is JSON', async () => {
  const upstream = await startLegacyServer();
  cleanUp.push(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json');
  await program.says(/upstream reached/);
  program.child.kill('SIGTERM');
  await program.ended;

  const lines = program.stderr().trimEnd().split('\n');
  expect(lines.map((line) => typeof JSON.parse(line))).toEqual(lines.map(() => 'object'));
  expect(program.stderr()).toContain('"msg":"counts"');
});

test('serve runs what a file describes', async () => {
  const upstream = await startLegacyServer();
  cleanUp.push(() => upstream.close());
  const config = file(`upstreams:\n  - url: ${upstream.url.href}\n    path: /tools\nlog: { format: json }\n`);
  const program = run('serve', '-c', config, '--listen', '127.0.0.1:0');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/tools/);

  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":1}}}',
  });

  expect(await response.text()).toContain('"text":"2"');
});

test.each([
  ['auto', [200, 405], true],
  ['stateless', [200, 405], false],
  ['session', [400, 400], true],
] as const)(
  '--mode %s: a call and a GET without a session are %j; a session is opened: %s',
  async (mode, statuses, opens) => {
    const upstream = await startLegacyServer();
    cleanUp.push(() => upstream.close());
    const program = run(upstream.url.href, '--mode', mode, '--listen', '127.0.0.1:0', '--log-format', 'json');
    const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);

    const called = await post(endpoint, CALL);
    const got = await fetch(endpoint, { headers: { accept: 'text/event-stream' } });
    const opened = await post(endpoint, INITIALIZE);

    expect([called.status, got.status]).toEqual(statuses);
    expect([opened.status, opened.headers.has('mcp-session-id')]).toEqual([200, opens]);
  },
);

test('--mode goes for every server of a file, whatever the file says; without it each has its own', async () => {
  const upstream = await startLegacyServer();
  cleanUp.push(() => upstream.close());
  const url = upstream.url.href;
  const config = file(
    `upstreams:\n  - { name: a, path: /a, url: ${url}, mode: stateless }\n  - { name: b, path: /b, url: ${url} }\n`,
  );
  const flags = ['serve', '-c', config, '--listen', '127.0.0.1:0', '--log-format', 'json'];

  const statuses: number[][] = [];
  for (const program of [run(...flags), run(...flags, '--mode', 'session')]) {
    const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/a/);
    const opened = await post(endpoint, INITIALIZE);
    const called = [await post(endpoint, CALL), await post(endpoint.replace(/a$/, 'b'), CALL)];
    statuses.push([Number(opened.headers.has('mcp-session-id')), ...called.map(({ status }) => status)]);
  }

  expect(statuses).toEqual([
    [0, 200, 200],
    [1, 400, 400],
  ]);
});

test('mode, asks and streams of a file are followed', async () => {
  const upstream = await startLegacyServer();
  cleanUp.push(() => upstream.close());
  const config = file(
    `upstreams:\n  - url: ${upstream.url.href}\n    mode: session\n    asks: never\nstreams:\n  primeAfter: 20ms\n  retry: 7s\nlog: { format: json }\n`,
  );
  const program = run('serve', '-c', config, '--listen', '127.0.0.1:0');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);

  const outside = await post(endpoint, CALL);
  const opened = await post(endpoint, INITIALIZE);
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
  const slow = post(endpoint, CALL.replace('"add"', '"slow"'), session);
  const call = await upstream.nextCall('slow');
  const stream = await slow;
  call.release();

  expect([outside.status, opened.status, stream.status]).toEqual([400, 200, 200]);
  expect(call.stream.session.capabilities).toEqual({});
  expect(stream.headers.get('content-type')).toBe('text/event-stream');
  expect(await stream.text()).toMatch(/^id: \S+\nretry: 7000\ndata: \n\n/);
});

test.each(['auto', 'stateless', 'session'])('the line to paste works in mode %s', async (mode) => {
  const upstream = await startLegacyServer();
  cleanUp.push(() => upstream.close());
  const program = run(upstream.url.href, '--mode', mode, '--listen', '127.0.0.1:0', '--log-format', 'pretty');
  const [, line = ''] = await program.says(/^ {2}(curl .*)$/m);
  const [, url = '', body = ''] = /curl -s (\S+) -H 'content-type: application\/json' -d '(.*)'$/.exec(line) ?? [];

  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });

  expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('"result"')]);
});

test.each(['stateless', 'session'])('the demo works in mode %s', async (mode) => {
  const program = run('demo', '--once', '--mode', mode, '--listen', '127.0.0.1:0');

  expect([await program.ended, program.stderr()]).toEqual([0, expect.not.stringMatching(/^\s+at /m)]);
  expect(program.stdout()).toContain('"text":"5"');
});

test.each([
  ['an unknown mode', '    mode: statless\n', /proxy\.yaml:3:\d+: upstreams\S*mode.*"auto"\|"stateless"\|"session"/],
  ['an unknown asks', '    asks: sometimes\n', /proxy\.yaml:3:\d+: upstreams\S*asks.*"auto"\|"never"/],
  ['a streams.retry without a unit', 'streams:\n  retry: 5\n', /proxy\.yaml:4:\d+: streams\.retry: .*unit/],
  ['a streams.maxEvents of 0', 'streams:\n  maxEvents: 0\n', /proxy\.yaml:4:\d+: streams\.maxEvents/],
  ['a misspelt key of streams', 'streams:\n  primeafter: 1s\n', /proxy\.yaml:4:\d+: .*primeafter/],
])('a file with %s is refused, with its place', async (_what, lines, message) => {
  const program = run('serve', '-c', file(`upstreams:\n  - url: http://127.0.0.1:1/sse\n${lines}`));

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(message);
});

test('a broken file is refused with the place of every fault', async () => {
  const config = file('upstreams:\n  - url: http://127.0.0.1:1/sse\n    pth: /x\ntimeouts:\n  request: 5\n');

  const program = run('serve', '-c', config);

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/proxy\.yaml:2:\d+: .*pth/);
  expect(program.stderr()).toMatch(/proxy\.yaml:5:\d+: timeouts\.request/);
});

test('credentials in the upstream URL are not shown', async () => {
  const program = run(
    'http://user:s3cret@127.0.0.1:1/sse?token=t0ken',
    '--listen',
    '127.0.0.1:0',
    '--log-format',
    'json',
  );
  await program.says(/check that the server runs/);

  expect(program.stderr()).not.toContain('s3cret');
  expect(program.stderr()).not.toContain('t0ken');
});
