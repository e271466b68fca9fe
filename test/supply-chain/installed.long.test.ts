// What is installed for production suffices, and the registry knows of no hole in it.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { npmEnv } from '../image/replay.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { runMain } from '../verbs/program.ts';

const PROJECT = resolve(import.meta.dirname, '../..');
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}';

const folder = mkdtempSync(join(tmpdir(), 'causeway-installed-'));
const main = join(folder, 'dist/main.js');

beforeAll(() => {
  for (const each of ['package.json', 'package-lock.json', 'dist'])
    cpSync(join(PROJECT, each), join(folder, each), { recursive: true });
  execFileSync('npm', ['ci', '--omit=dev', '--ignore-scripts'], { cwd: folder, env: npmEnv({}), stdio: 'pipe' });
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true }));

test('npm ci without scripts and what is for development suffices to run [T32]', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());

  const version = execFileSync(process.execPath, [main, 'version'], { cwd: '/', encoding: 'utf8' });
  const program = runMain(main, {}, upstream.url.href, '--listen', '127.0.0.1:0');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(endpoint, { method: 'POST', headers, body: CALL, signal: AbortSignal.timeout(10_000) });

  expect(version).toMatch(/^\d+\.\d+\.\d+/);
  expect(await answer.json()).toEqual({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: '5' }] } });
  expect(readdirSync(join(folder, 'node_modules'))).not.toContain('vitest');
  program.child.kill('SIGTERM');
  expect(await program.ended).toBe(0);
});

test('the registry knows of no vulnerability in what is installed for production', ({ skip }) => {
  const asked = spawnSync('npm', ['audit', '--omit=dev', '--json'], { cwd: folder, env: npmEnv({}), encoding: 'utf8' });
  // Some registries are mirrors that pass on packages and nothing else.
  const said = JSON.parse(asked.stdout || '{}') as {
    readonly metadata?: { readonly vulnerabilities: object };
    readonly vulnerabilities?: object;
    readonly statusCode?: number;
  };

  if (said.metadata === undefined) skip(`the registry does not answer audits (${said.statusCode ?? 'no answer'})`);

  expect(said.vulnerabilities).toEqual({});
});
