import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startLegacyServer } from '../support/legacy-server.ts';
import { file, run } from './program.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

function withSecret(mode: number): { readonly secret: string; readonly config: string } {
  const secret = file('s3cret', 'key');
  chmodSync(secret, mode);
  const config = file(
    `upstreams:\n  - { url: "http://127.0.0.1:1/sse", headers: { x-api-key: "\${file:${secret}}" } }\n`,
  );
  return { secret, config };
}

test.each([
  [0o644, true],
  [0o604, true],
  [0o640, false],
  [0o600, false],
])('a file of a secret with mode %o: check warns of it: %s [T31]', async (mode, isTold) => {
  const { secret, config } = withSecret(mode);
  const [text, json] = [run('check', '-c', config), run('check', '-c', config, '--json')];

  expect([await text.ended, await json.ended]).toEqual([0, 0]);
  expect(text.stderr().includes(`warning: ${secret}: every user of this machine may read`)).toBe(isTold);
  expect('warnings' in (JSON.parse(json.stdout()) as object)).toBe(isTold);
});

test('check warns of the key of a certificate in the same words [T31]', async () => {
  const folder = join(import.meta.dirname, '../fixtures/tls');
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => file(readFileSync(join(folder, name), 'utf8'), name));
  chmodSync(String(key), 0o644);

  const program = run(
    'check',
    '--upstream',
    'http://127.0.0.1:1/sse',
    `--listen-tls-cert=${cert}`,
    `--listen-tls-key=${key}`,
  );

  expect(await program.ended).toBe(0);
  expect(program.stderr()).toContain(`warning: ${key}: every user of this machine may read`);
});

test('the log warns of it at the start, and it is served all the same [T31]', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const { secret } = withSecret(0o644);

  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--header', `authorization=@${secret}`);
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  await program.says(/every user of this machine may read/);
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: CALL,
    signal: AbortSignal.timeout(10_000),
  });

  expect(response.status).toBe(200);
  expect(program.stderr()).not.toContain('s3cret');
});
