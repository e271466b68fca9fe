// The unit as systemd reads it, and the system calls of the program, of which it must forbid none that it needs.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { output, takes } from '../support/installed.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { MAIN } from '../verbs/program.ts';
import { UNIT, valuesIn } from './unit.ts';

const WAIT_MS = 60_000;
/** Of 10, in which less is better; what is left is that it is reached over the network. */
const EXPOSURE = 1.3;

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'causeway-systemd-'));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

/** With the node that is here, as it may be elsewhere than in /usr/bin. */
function unitFile(): string {
  const path = join(folder(), 'mcp-causeway.service');
  writeFileSync(path, UNIT.replaceAll('/usr/bin/node', process.execPath));
  return path;
}

test('systemd finds nothing wrong with the unit, and little that is exposed', (context) => {
  takes(context, 'systemd-analyze');
  const path = unitFile();

  // Also what it warns of is said, and nothing else.
  const said = output('sh', ['-c', `systemd-analyze verify ${path} 2>&1`]);
  const security = output('systemd-analyze', ['security', '--offline=yes', '--no-pager', path]);

  expect(said).toBe('');
  const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(security) ?? [];
  expect(Number(exposure)).toBeLessThanOrEqual(EXPOSURE);
});

test('no system call of the program is forbidden by the unit, and no kind of socket', async (context) => {
  takes(context, 'systemd-analyze', 'strace');
  const trace = join(folder(), 'trace');
  const upstream = await startLegacyServer();
  const yaml = join(folder(), 'proxy.yaml');
  writeFileSync(
    yaml,
    `listen: { port: 0 }\nadmin: { port: 0 }\nupstreams: [{ url: '${upstream.url.href.replace('127.0.0.1', 'localhost')}' }]\n`,
  );
  const args = ['-f', '-qq', '-o', trace, process.execPath, MAIN, 'serve', '-c', yaml, '--log-format', 'json'];
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    await upstream.close();
  });
  let said = '';
  child.stderr.on('data', (piece) => (said += String(piece)));
  const found = async (pattern: RegExp): Promise<string> => {
    const match = await eventually(WAIT_MS, () => pattern.exec(said));
    if (match === null) throw new Error(`it did not say ${pattern}: ${said}`);
    return match[1] ?? '';
  };
  await found(/("upstream reached")/);
  const endpoint = await found(/"endpoint":"([^"]+)"/);
  const admin = await found(/"admin":"([^"]+)"/);

  const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}';
  const answer = await fetch(endpoint, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const metrics = await fetch(`${admin}/metrics`);
  const reloaded = await fetch(`${admin}/-/reload`, { method: 'POST' });
  // Of the program, which strace started: a signal to strace itself would detach it.
  const [pid] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
  process.kill(Number(pid), 'SIGTERM');
  await ended;

  expect([answer.status, metrics.status, reloaded.status]).toEqual([200, 200, 200]);
  const lines = readFileSync(trace, 'utf8').split('\n');
  const made = new Set(lines.flatMap((line) => /^\d+ +(\w+)\(/.exec(line)?.[1] ?? []));
  const kinds = new Set(lines.flatMap((line) => /socket(?:pair)?\((AF_\w+)/.exec(line)?.[1] ?? []));
  const [allowed = '', denied = ''] = valuesIn('SystemCallFilter');
  const no = namesIn(...denied.slice(1).split(' '));
  const yes = [...namesIn(...allowed.split(' '))].filter((name) => !no.has(name));
  expect(made.size).toBeGreaterThan(20);
  const refused = [...made].filter((name) => !yes.includes(name));
  expect(refused).toEqual([]);
  const open = valuesIn('RestrictAddressFamilies')[0]?.split(' ') ?? [];
  expect([...kinds].filter((kind) => !open.includes(kind))).toEqual([]);
});

/** The system calls of these groups, those in groups of groups too. */
function namesIn(...groups: readonly string[]): Set<string> {
  const lines = output('systemd-analyze', ['syscall-filter', '--no-pager', ...groups]).split('\n');
  const words = lines.filter((line) => /^ +[^# ]/.test(line)).map((line) => line.trim());
  const inner = words.filter((word) => word.startsWith('@'));
  return new Set([...words, ...(inner.length > 0 ? namesIn(...inner) : [])]);
}
