// What people read: on stdout, with the progress on a terminal's stderr and nowhere else.

import { expect, onTestFinished, test } from 'vitest';
import { TRUSTED, certificateFile } from '../support/certificates.ts';
import { FRAMEWORKS } from '../support/frameworks.ts';
import { playFramework } from '../support/framework-server.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { documentAt, probed } from './probed.ts';

test('a server that can be used is described in lines, the next step last', async () => {
  const python = FRAMEWORKS.find(({ name }) => name.startsWith('Python SDK'));
  if (python === undefined) throw new Error('the fixture is gone');
  const { url } = await playFramework(python);

  const { stdout } = await probed(url, { output: 'text', secondConnection: true });

  const lines = stdout.trim().split('\n');
  expect(lines[0]).toBe(url.href);
  expect(stdout).toMatch(/^ {2}is +an MCP server that speaks HTTP\+SSE$/m);
  expect(stdout).toMatch(/^ {2}server +played 1, revision 2025-11-25$/m);
  expect(stdout).toMatch(/^ {2}offers +2 tools$/m);
  expect(stdout).toMatch(/^ {2}made with +Python SDK .*, likely$/m);
  expect(stdout).toMatch(/^ {2}endpoint +\/messages\/\?session_id=\*\*\* \(root-relative\)$/m);
  expect(stdout).toMatch(/^ {2}took +tcp [\d.]+ ms, head [\d.]+ ms, endpoint [\d.]+ ms, initialize [\d.]+ ms$/m);
  expect(stdout).toMatch(/^ {2}heartbeat +none in 0\.\d s$/m);
  expect(stdout).toMatch(/^ {2}second +a second stream lives beside the first$/m);
  expect(lines.at(-1)).toBe(`  next        serve it: mcp-causeway ${url.href}`);
});

test('a server that is reached with a credential is served with the same, which is not repeated', async () => {
  const server = await startLegacyServer();
  onTestFinished(() => server.close());

  const { next, url } = await documentAt(`${server.url.href}?token=t0ken`);

  expect(url).toBe(`${server.url.href}?***`);
  expect(next).toMatch(/^serve it: mcp-causeway URL, with the URL and the flags that were given here; --yaml/);
});

test('no credential is in what is printed', async () => {
  const server = await startLegacyServer();
  onTestFinished(() => server.close());
  const url = server.url.href.replace('//', '//us3r:p4ss@');
  const given = { flags: { header: ['x-key=${KEY}'] }, env: { KEY: 'k3y' } };

  const texts = await Promise.all(
    (['text', 'json', 'yaml'] as const).map((output) => probed(url, { ...given, output })),
  );

  for (const { stdout, stderr } of texts) expect(stdout + stderr).not.toMatch(/us3r|p4ss|k3y/);
  expect(server.gets.map(({ headers }) => headers['x-key'])).toEqual(['k3y', 'k3y', 'k3y']);
});

test('progress is told on a terminal alone, and is gone at the end', async () => {
  const server = await startLegacyServer();
  onTestFinished(() => server.close());

  const seen = await probed(server.url, { output: 'text', isTTY: true });
  const unseen = await probed(server.url, { output: 'text' });

  expect(seen.stderr).toMatch(/opening 127\.0\.0\.1:\d+.*counting what it offers.*asking for Streamable HTTP/s);
  expect(seen.stderr.endsWith('\r\u001B[2K')).toBe(true);
  expect(unseen.stderr).toBe('');
});

test('a certificate is shown with its authority and the days that are left', async () => {
  const server = await startLegacyServer({ tls: TRUSTED });
  onTestFinished(() => server.close());
  const flags = { 'tls-ca': certificateFile('ca.pem') };

  const { tls, timingsMs } = await documentAt(server.url, { flags });
  const { stdout } = await probed(server.url, { flags, output: 'text' });

  expect(tls).toMatchObject({ protocol: 'TLSv1.3', distrust: null, names: expect.stringContaining('127.0.0.1') });
  expect(tls?.daysLeft).toBeGreaterThan(0);
  expect(timingsMs.tls).toBeGreaterThan(0);
  expect(stdout).toMatch(/^ {2}certificate +CN=.*; by CN=.*; until .* \d+ days left/m);
});

test('a heartbeat is heard, and its period told once there are two', async () => {
  const fastMcp = FRAMEWORKS.find(({ name }) => name === 'Ruby fast-mcp');
  if (fastMcp === undefined) throw new Error('the fixture is gone');
  const server = await playFramework(fastMcp);

  const probing = documentAt(server.url, { listenMs: 400 });
  await server.until(({ message }) => message.method === 'tools/list');
  server.keepAlive();
  server.keepAlive();
  const { heartbeat } = await probing;

  expect(heartbeat).toMatchObject({ kind: 'comment', everyMs: expect.any(Number) });
});

test('a stream that ends while it is listened to is told of, and is no reason to wait', async () => {
  const server = await startLegacyServer();
  onTestFinished(() => server.close());
  const begun = performance.now();

  const probing = documentAt(server.url, { listenMs: 5000 });
  await server.nextRequest('tools/list');
  server.cutStreams();
  const { quirks } = await probing;

  expect(quirks.join('\n')).toMatch(/ended by itself soon after/);
  expect(performance.now() - begun).toBeLessThan(4000);
});
