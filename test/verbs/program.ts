// The built program as a process.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

export const MAIN = join(import.meta.dirname, '../../dist/main.js');

export interface Program {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The exit code. */
  readonly ended: Promise<number | null>;
  /** Resolves when stderr or stdout matches. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
}

export function run(...args: readonly string[]): Program {
  return runWith({}, ...args);
}

/** `env`: beside what the program inherits. */
export function runWith(env: Readonly<Record<string, string>>, ...args: readonly string[]): Program {
  return runMain(MAIN, env, ...args);
}

/** `main`: of a copy that is elsewhere. */
export function runMain(main: string, env: Readonly<Record<string, string>>, ...args: readonly string[]): Program {
  const program = startMain(main, env, ...args);
  onTestFinished(() => kill(program));
  return program;
}

export async function kill({ child, ended }: Program): Promise<void> {
  child.kill('SIGKILL');
  await ended;
}

/** For longer than one test: for whoever started it to kill. */
export function startMain(main: string, env: Readonly<Record<string, string>>, ...args: readonly string[]): Program {
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (text.stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (text.stderr += String(chunk)));
  const ended = once(child, 'close').then(([code]) => code as number | null);
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

/** A configuration file with this text. */
export function file(text: string, name = 'proxy.yaml'): string {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A named pipe. */
export function fifo(): string {
  const path = join(dirname(file('')), 'fifo');
  const made = spawnSync('mkfifo', [path]);
  if (made.status !== 0) throw new Error(`mkfifo: ${String(made.stderr)}`);
  return path;
}
