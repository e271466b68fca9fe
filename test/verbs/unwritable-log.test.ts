// The built program when its log cannot be written: nobody reads the pipe, the disk is full. It serves on, and it ends.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startLegacyServer } from '../support/legacy-server.ts';
import { MAIN, fifo, file } from './program.ts';

interface Started {
  readonly endpoint: string;
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
}

/** Resolves once it serves. It is given a port, as it has no way to tell one. */
async function started(upstream: string, stderr: number, ...args: readonly string[]): Promise<Started> {
  const port = await freePort();
  const given = [upstream, '--listen', `127.0.0.1:${port}`, ...args];
  return serving(spawn(process.execPath, [MAIN, ...given], { stdio: ['ignore', 'ignore', stderr] }), port);
}

async function serving(child: ChildProcess, port: number): Promise<Started> {
  const ended = once(child, 'close').then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const endpoint = `http://127.0.0.1:${port}/mcp`;
  for (let status = 0; status !== 200;) status = await health(endpoint).catch(() => 0);
  return { endpoint, child, ended };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function health(endpoint: string): Promise<number> {
  return (await fetch(endpoint.replace('/mcp', '/healthz'), { signal: AbortSignal.timeout(2000) })).status;
}

/** Refused, which is a line of the log. */
async function refusedCall(endpoint: string): Promise<number> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
  return (await fetch(endpoint, { ...init, signal: AbortSignal.timeout(2000) })).status;
}

/** To be closed with the test. */
function opened(path: string, flags: string | number): number {
  const fd = openSync(path, flags);
  onTestFinished(() => closeSync(fd));
  return fd;
}

/** A pipe that is open for reading, full, and not read. */
function unreadPipe(): number {
  const path = fifo();
  const reader = opened(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(reader, '.'.repeat(4096));
  } catch {
    // Full.
  }
  return opened(path, 'w');
}

const LOGS = { 'a pipe that nobody reads': unreadPipe, 'a full disk': () => opened('/dev/full', 'w') };
const CASES = Object.entries(LOGS).flatMap(([what, log]) => [
  { what, log, format: 'json' },
  { what, log, format: 'pretty' },
]);

test.runIf(existsSync('/dev/full')).each(CASES)(
  'with $what for its $format log it serves on, and a signal ends it with 0',
  async ({ log, format }) => {
    const program = await started('http://127.0.0.1:1/sse', log(), '--log-format', format);

    const calls = Array.from({ length: 50 }, () => refusedCall(program.endpoint));
    expect(new Set(await Promise.all(calls))).toEqual(new Set([400]));
    expect(await health(program.endpoint)).toBe(200);

    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
  },
);

test.runIf(existsSync('/dev/full')).each(CASES)(
  'with $what for its $format log a second signal ends it at once',
  async ({ log, format }) => {
    const upstream = await startLegacyServer();
    onTestFinished(() => upstream.close());
    const drain = ['--drain-timeout', '1h'];
    const program = await started(upstream.url.href, log(), '--log-format', format, ...drain);
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'never', arguments: {} } };
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(call) };
    fetch(program.endpoint, init).catch(() => {});
    await upstream.nextCall('never');

    program.child.kill('SIGTERM');
    // Draining has begun once new connections are refused.
    for (let isServing = true; isServing;)
      isServing = await health(program.endpoint).then(
        () => true,
        () => false,
      );
    program.child.kill('SIGTERM');

    expect(await program.ended).toBe(143);
  },
);

test('lines that find no room are written with the first one that does', async () => {
  const port = await freePort();
  const log = file('', 'log');
  // The limit of a file's size stands for that of a disk.
  const script = 'ulimit -f 64; head -c 100000 /dev/zero >> "$0"; exec "$@" 2>> "$0"';
  const given = ['http://127.0.0.1:1/sse', '--listen', `127.0.0.1:${port}`, '--log-format', 'json'];
  const child = spawn('sh', ['-c', script, log, process.execPath, MAIN, ...given], {
    stdio: 'ignore',
    env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' },
  });
  const program = await serving(child, port);
  await refusedCall(program.endpoint);
  await refusedCall(program.endpoint);
  expect(readFileSync(log, 'utf8')).not.toContain('refused');

  truncateSync(log);
  await refusedCall(program.endpoint);
  program.child.kill('SIGTERM');

  expect(await program.ended).toBe(0);
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
  const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  expect(messages.filter((message) => ['listening', 'refused', 'counts'].includes(message))).toEqual([
    'listening',
    'refused',
    'refused',
    'refused',
    'counts',
  ]);
});
