// SIGHUP to the built program.

import { writeFileSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { INITIALIZE } from '../../src/verbs/snippets.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { fifo, file, run, runWith } from './program.ts';

describe('SIGHUP', () => {
  const post = async (endpoint: string, session?: string) => {
    const headers = { 'content-type': 'application/json', ...(session !== undefined && { 'mcp-session-id': session }) };
    const params = { name: 'count', arguments: {} };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    return (await fetch(endpoint, { method: 'POST', headers, body })).status;
  };

  test('has the file read anew: sessions stay, a file with a fault changes nothing, what needs a restart is named', async () => {
    const upstream = await startLegacyServer();
    onTestFinished(() => upstream.close());
    const one = `- { url: '${upstream.url.href}', name: one, path: /one, headers: { x-key: '\${SOME_KEY}' } }`;
    const two = `- { url: '${upstream.url.href}', name: two, path: /two }`;
    const head = 'listen: { port: 0 }\nlog: { format: json, level: warn }\n';
    const path = file(`${head}upstreams:\n  ${one}\n`);
    const program = runWith({ SOME_KEY: 'k' }, 'serve', '-c', path, '--log-level', 'info');
    const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/one/);
    const opened = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: INITIALIZE,
    });
    const session = opened.headers.get('mcp-session-id') ?? '';

    // Sole no more, it is not served to old clients, and so is another one.
    writeFileSync(
      path,
      `${head}upstreams:\n  ${one.replace(' } }', ' }, legacy: { sse: /sse, messages: /messages } }')}\n  ${two}\n`,
    );
    program.child.kill('SIGHUP');
    const [line] = await program.says(/^.*"configuration reloaded".*$/m);
    const both = [await post(endpoint, session), await post(endpoint.replace('/one', '/two'))];
    writeFileSync(path, `${head}upstreams:\n  ${one}\n  ${two.replace('path', 'paht')}\n`);
    program.child.kill('SIGHUP');
    const [bad] = await program.says(/^.*"configuration not reloaded.*$/m);
    const still = [await post(endpoint, session), await post(endpoint.replace('/one', '/two'))];
    writeFileSync(path, `${head.replace('port: 0', 'port: 9')}upstreams:\n  ${two}\n`);
    program.child.kill('SIGHUP');
    const [restart] = await program.says(/^.*"needs a restart.*$/m);

    expect(JSON.parse(line)).toMatchObject({ level: 30, kept: ['one'], added: ['two'] });
    expect([...both, ...still]).toEqual([200, 200, 200, 200]);
    expect(JSON.parse(bad)).toMatchObject({
      level: 40,
      why: expect.stringMatching(/proxy\.yaml:5:\d+: .*paht.*did you mean path/),
    });
    expect(JSON.parse(restart)).toMatchObject({ level: 40, keys: ['listen.port'] });
    expect(await post(endpoint)).toBe(404);
    expect(await post(endpoint.replace('/one', '/two'))).toBe(200);
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
  });

  test('keeps nobody waiting while the file is a pipe that nobody has written to yet', async () => {
    const path = fifo();
    const yaml = "listen: { port: 0 }\nlog: { format: json }\nupstreams: [{ url: 'http://127.0.0.1:1/sse' }]\n";
    const program = run('serve', '-c', path);
    await writeFile(path, yaml);
    const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);

    program.child.kill('SIGHUP');
    // There is somebody to write to as soon as it reads.
    const pipe = await open(path, 'w');
    onTestFinished(() => pipe.close());
    const health = await fetch(endpoint.replace('/mcp', '/healthz'), { signal: AbortSignal.timeout(4000) });
    await pipe.write(yaml);
    await pipe.close();

    expect(health.status).toBe(200);
    await program.says(/configuration reloaded/);
  });

  test('changes the level of the log', async () => {
    const path = file("listen: { port: 0 }\nlog: { format: json }\nupstreams: [{ url: 'http://127.0.0.1:1/sse' }]\n");
    const program = run('serve', '-c', path);
    await program.says(/upstream cannot be used/);

    writeFileSync(
      path,
      "listen: { port: 0 }\nlog: { format: json, level: debug }\nupstreams: [{ url: 'http://127.0.0.1:1/sse' }]\n",
    );
    program.child.kill('SIGHUP');

    await program.says(/link failed to open/);
  });

  test('refuses what would not be served at the start', async () => {
    const head = 'listen: { host: 0.0.0.0, port: 0 }\nlog: { format: json }\n';
    const path = file(`${head}upstreams: [{ url: 'http://127.0.0.1:1/sse' }]\n`);
    const program = run('serve', '-c', path);
    await program.says(/upstream cannot be used/);

    writeFileSync(path, `${head}upstreams: [{ url: 'http://127.0.0.1:1/sse', headers: { x-api-key: secret } }]\n`);
    program.child.kill('SIGHUP');

    await program.says(/has credentials.*not reloaded/);
  });

  test('without a file there is nothing to read anew: it ends in order, as where a terminal is closed', async () => {
    const program = run('http://127.0.0.1:1/sse', '--listen', '127.0.0.1:0', '--log-format', 'json');
    await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);

    program.child.kill('SIGHUP');

    expect(await program.ended).toBe(0);
    expect(program.stderr()).toContain('"counts"');
  });
});
