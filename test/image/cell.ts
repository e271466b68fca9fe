// Runs a command of the image as an engine would: process 1 of its own process namespace, in a root that holds the
// image's files, node and the libraries it is linked to, and nothing else (no shell either); that root is read-only, and
// the user is the image's, without any privilege.
//
// That takes root here, and namespaces. Where they are refused the command runs as it can: as another user if this is
// root, on files that it must not write; and `confinement` says so.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Image } from './replay.ts';

export type Confinement = 'a root of its own' | 'another user only' | 'nothing';

export const confinement: Confinement = (() => {
  if (process.getuid?.() !== 0) return 'nothing';
  const namespaces = spawnSync('unshare', [
    '--mount',
    '--pid',
    '--net',
    '--fork',
    'mount',
    '-t',
    'tmpfs',
    'none',
    '/tmp',
  ]);
  // Refused is one thing; without the tools nothing of this is shown.
  for (const tool of ['unshare', 'setpriv', 'nsenter', 'ip', 'ldd']) {
    if (spawnSync(tool, ['--version']).error !== undefined) throw new Error(`${tool} is missing: see .ci/run`);
  }
  return namespaces.status === 0 ? 'a root of its own' : 'another user only';
})();

export interface Cell {
  readonly child: ChildProcess;
  /** Of the command itself, as this machine counts. */
  pid(): number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** Resolves when stderr or stdout matches; rejects when it ended without. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
}

export interface CellOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** `own`: a network of its own, of which only loopback is up. Or that of the cell with this process. */
  readonly network?: 'own' | number;
}

const NODE = '/nodejs/bin/node';

export function runInCell(image: Image, command: readonly string[], { env = {}, network }: CellOptions = {}): Cell {
  const all = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...image.env, ...env };
  const [program = '', ...args] =
    confinement === 'a root of its own' ? confined(image, command, network) : unconfined(image, command);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: all });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (text.stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (text.stderr += String(chunk)));
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }));
  /** unshare stays, as the parent of process 1. */
  const pid = (): number => {
    if (confinement !== 'a root of its own') return child.pid ?? 0;
    return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
  };
  onTestFinished(async () => {
    if (child.exitCode === null) process.kill(pid(), 'SIGKILL');
    await ended;
  });
  return {
    child,
    pid,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    ended,
    async says(pattern) {
      for (;;) {
        const found = pattern.exec(text.stdout + text.stderr);
        if (found !== null) return found;
        if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${text.stdout}${text.stderr}`);
        // oxlint-disable-next-line no-await-in-loop -- until it says so
        await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), ended]);
      }
    },
  };
}

function confined(image: Image, command: readonly string[], network: CellOptions['network']): readonly string[] {
  const { root, user } = image;
  const libraries = Array.from(
    execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g),
    ([, file = '']) => file,
  );
  const bound = [[process.execPath, NODE] as const, ...libraries.map((file) => [file, file] as const)];
  for (const [, to] of [...bound, ['', '/dev/null'] as const]) {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    writeFileSync(join(root, to), '', { flag: 'a' });
  }
  mkdirSync(join(root, 'proc'), { recursive: true });
  const script = [
    'set -e',
    ...(network === 'own' ? ['ip link set lo up'] : []),
    `mount --bind ${root} ${root}`,
    ...bound.map(([from, to]) => `mount --bind ${from} ${root}${to}; mount -o remount,bind,ro ${root}${to}`),
    `mount --bind /dev/null ${root}/dev/null`,
    `mount -t proc proc ${root}/proc`,
    `mount -o remount,bind,ro ${root}`,
    `exec setpriv --no-new-privs chroot --userspec=${user} --groups= ${root} "$@"`,
  ].join('\n');
  return [
    ...(typeof network === 'number' ? ['nsenter', '--net', `--target=${network}`] : []),
    'unshare',
    '--mount',
    '--pid',
    ...(network === 'own' ? ['--net'] : []),
    '--fork',
    '--kill-child',
    '/bin/sh',
    '-c',
    script,
    'cell',
    ...command,
  ];
}

function unconfined(image: Image, command: readonly string[]): readonly string[] {
  const words = command.map((word) =>
    word === NODE ? process.execPath : word.replace(/^\/app\//, `${image.root}/app/`),
  );
  if (confinement === 'nothing') return words;
  const [uid = '', gid = ''] = image.user.split(':');
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs', ...words];
}
