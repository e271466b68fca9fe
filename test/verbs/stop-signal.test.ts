// The built program when it is asked to stop before it has begun.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { MAIN, fifo } from './program.ts';

/** Reads its configuration from a pipe, and waits for that when this resolves. */
async function reading(verb: string): Promise<{ child: ChildProcess; ended: Promise<unknown>; config: FileHandle }> {
  const path = fifo();
  const child = spawn(process.execPath, [MAIN, verb, '-c', path], { stdio: 'ignore' });
  const ended = once(child, 'close');
  onTestFinished(() => void child.kill('SIGKILL'));
  const config = await open(path, 'w');
  onTestFinished(() => config.close());
  return { child, ended, config };
}

test('a signal that comes before it listens ends it with 0', async () => {
  const { child, ended, config } = await reading('serve');

  child.kill('SIGTERM');
  await config.write('upstreams: [{ url: http://127.0.0.1:1/sse }]\nlisten: { port: 0 }\n');
  await config.close();

  expect(await ended).toEqual([0, null]);
});

test('a SIGHUP that comes before it has read its configuration is no end', async () => {
  const { child, ended, config } = await reading('serve');

  child.kill('SIGHUP');
  await config.write('upstreams: [{ url: http://127.0.0.1:1/sse }]\nlisten: { port: 0 }\n');
  child.kill('SIGTERM');
  await config.close();

  expect(await ended).toEqual([0, null]);
});

test('what has nothing to read anew is ended by a SIGHUP', async () => {
  const { child, ended } = await reading('check');

  child.kill('SIGHUP');

  expect(await ended).toEqual([null, 'SIGHUP']);
});

test('what needs no orderly end is ended by a signal as if nobody had listened', async () => {
  const { child, ended } = await reading('check');

  child.kill('SIGINT');

  expect(await ended).toEqual([null, 'SIGINT']);
});
