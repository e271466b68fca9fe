// What config/systemd says: the program takes these words, and has the time to stop.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { configOf } from '../config/surroundings.ts';
import { ROOT } from '../docs/pages.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { file, run } from '../verbs/program.ts';
import { PROGRAM, UNIT, commandsIn, valuesIn } from './unit.ts';

// A program starts in half a second, on a busy machine in ten times that.
vi.setConfig({ testTimeout: 60_000 });

const STANDARD = configOf({ env: { CAUSEWAY_UPSTREAM: 'http://127.0.0.1:9001/sse' } });

test('it starts the program that is built, which takes the words and reads the file', async () => {
  const upstream = await startLegacyServer();
  const yaml = file(`listen: { port: 0 }\nupstreams: [{ url: '${upstream.url.href}' }]\n`);
  const [starts] = commandsIn('ExecStart');
  const [hangsUp] = commandsIn('ExecReload');
  const words = (command: readonly string[] = []): string[] =>
    command.slice(2).map((word) => (word === '/etc/mcp-causeway/proxy.yaml' ? yaml : word));

  const program = run(...words(starts), '--log-format', 'json');
  await program.says(/"upstream reached"/);

  expect(starts?.slice(0, 2)).toEqual(['/usr/bin/node', PROGRAM]);
  expect(existsSync(join(ROOT, PROGRAM.replace('/opt/mcp-causeway/', '')))).toBe(true);
  expect(hangsUp).toEqual(['/bin/kill', '-HUP', '$MAINPID']);
  program.child.kill('SIGHUP');
  await program.says(/"configuration reloaded"/);
  program.child.kill(valuesIn('KillSignal')[0] as 'SIGTERM');
  expect(await program.ended).toBe(0);
  await upstream.close();
});

test('wrong words are not tried over and over', async () => {
  const program = run('serve', '--no-such-flag');

  expect(valuesIn('RestartPreventExitStatus')).toEqual([String(await program.ended)]);
  expect(valuesIn('Restart')).toEqual(['on-failure']);
});

test('it has the time that the drain takes, and descriptors for the sessions that are allowed', () => {
  const { drain, links } = STANDARD;

  expect(Number(valuesIn('TimeoutStopSec')[0]?.replace('s', '')) * 1000).toBeGreaterThan(drain.delay + drain.timeout);
  expect(Number(valuesIn('LimitNOFILE')[0])).toBeGreaterThan(3 * links.maxDedicated);
});

test('a credential is read from where systemd puts it', () => {
  const [, path = '', name = ''] =
    /'\$\{file:(\/run\/credentials\/mcp-causeway\.service\/([\w-]+))\}'/.exec(UNIT) ?? [];
  const yaml = `upstreams: [{ url: 'http://127.0.0.1:9001/sse', headers: { x-api-key: '\${file:${path}}' } }]\n`;

  const { upstreams } = configOf({ yaml, files: { [path]: 'the-key\n' } });

  expect(UNIT).toMatch(new RegExp(`^#LoadCredential=${name}:/etc/mcp-causeway/`, 'm'));
  expect(JSON.stringify(upstreams[0]?.headers)).toContain('the-key');
});

test('it writes nowhere, is no user that stays, and can take no right', () => {
  const is = (name: string): string | undefined => valuesIn(name).join(' ');

  expect([is('DynamicUser'), is('ProtectSystem'), is('NoNewPrivileges')]).toEqual(['yes', 'strict', 'yes']);
  expect([is('CapabilityBoundingSet'), is('ReadWritePaths'), is('StateDirectory')]).toEqual(['', '', '']);
});
