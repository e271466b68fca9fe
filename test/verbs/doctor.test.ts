// The built program as doctor: where it says what, how it ends, and what the machine gives it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { MAIN, file, run, runWith } from './program.ts';

const LISTEN = ['--listen', '127.0.0.1:0'];

async function legacyServer(): Promise<LegacyServer> {
  const server = await startLegacyServer();
  onTestFinished(() => server.close());
  return server;
}

test('a report on stdout and nothing on stderr, by URL, by variable, by file; 0 where nothing failed', async () => {
  const { url } = await legacyServer();
  const config = file(`upstreams: [{ url: "${url.href}" }]\nlisten: { port: 0 }\n`);

  const programs = [
    run('doctor', url.href, ...LISTEN),
    runWith({ CAUSEWAY_UPSTREAM: url.href }, 'doctor', ...LISTEN),
    runWith({ CAUSEWAY_CONFIG: config }, 'doctor'),
    run('doctor', '-c', config, '--json'),
  ];

  expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  expect(programs.map(({ stderr }) => stderr())).toEqual(['', '', '', '']);
  const [, , , asJson] = programs;
  for (const program of programs.slice(0, 3))
    expect(program.stdout()).toMatch(/^ok +upstream default: .*\n\n\d+ ok, /m);
  expect(JSON.parse(asJson?.stdout() ?? '')).toMatchObject({ errors: [], version: expect.stringMatching(/^\d+\./) });
});

test('1 where a check failed, and with --strict where there is a warning; 3 for a wrong configuration', async () => {
  const { url } = await legacyServer();
  const unverified = `{ url: "${url.href}", tls: { insecureSkipVerify: true } }`;
  const warned = file(`listen: { port: 0 }\nupstreams: [${unverified}]\n`);
  const wrong = file('upstreams: [{ url: http://a/sse, mdoe: auto }]\n');

  const programs = [
    run('doctor', 'http://127.0.0.1:1/sse', ...LISTEN),
    run('doctor', '-c', warned),
    run('doctor', '-c', warned, '--strict'),
    run('doctor', '-c', wrong),
    run('doctor', '-c', wrong, '--json'),
  ];

  expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual([1, 0, 1, 3, 3]);
  const [, , , refused, asJson] = programs;
  expect([refused?.stdout(), refused?.stderr()]).toEqual(['', expect.stringMatching(/:1:34: .*did you mean mode/)]);
  expect(JSON.parse(asJson?.stdout() ?? '')).toMatchObject({
    result: 'invalid',
    errors: [{ line: 1, suggestion: 'mode' }],
  });
});

test.runIf(process.platform === 'linux').each([
  [4096, 0, /^warning +descriptors: \d+ may be needed, 4096 may be open: raise the limit \(ulimit -n/m],
  [64, 1, /^failed +descriptors: \d+ may be needed, 64 may be open: raise the limit/m],
])('with a limit of %i open files it ends with %i', async (limit, code, expected) => {
  const { url } = await legacyServer();
  const script = `ulimit -n ${limit} && exec "$0" "$@"`;

  const child = spawn('sh', ['-c', script, process.execPath, MAIN, 'doctor', url.href, ...LISTEN]);
  const [stdout, [ended]] = await Promise.all([text(child.stdout), once(child, 'close')]);

  expect([ended, stdout]).toEqual([code, expect.stringMatching(expected)]);
});

test('a server that never answers is given up in its time, and the program ends then', async () => {
  const silent = createServer((socket) => void socket.resume().on('error', () => {}));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as AddressInfo;

  const program = run('doctor', `http://127.0.0.1:${port}/sse`, '--timeout', '100ms', ...LISTEN);

  expect(await program.ended).toBe(1);
  expect(program.stdout()).toMatch(/^failed +upstream default: not open in time, without an answer to its GET/m);
});
