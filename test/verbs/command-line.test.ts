// The built program as a process: what it prints where, and how it ends.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { startLegacyServer } from '../support/legacy-server.ts';
import { MAIN, file, run, runWith } from './program.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":1}}}';
const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"test","version":"1"}}}';

/** Resolves with the headers. */
function post(endpoint: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  const usual = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  return fetch(endpoint, { method: 'POST', headers: { ...usual, ...headers }, body });
}

test('demo --once performs one call, prints it on stdout, and ends with 0', async () => {
  const program = run('demo', '--once', '--listen', '127.0.0.1:0');

  expect(await program.ended).toBe(0);
  expect(program.stdout()).toContain('{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"5"}]}}');
});

test('the demo prints a curl line that works, and goes on until it is stopped', async () => {
  const program = run('demo', '--listen', '127.0.0.1:0');
  const [, line = ''] = await program.says(/^ {2}(curl .*)$/m);
  const [, url = '', body = ''] = /curl -s (\S+) -H 'content-type: application\/json' -d '(.*)'$/.exec(line) ?? [];

  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  expect(await response.text()).toContain('"text":"5"');

  program.child.kill('SIGINT');
  expect(await program.ended).toBe(0);
});

test('a URL alone is enough; nothing goes to stdout; SIGTERM ends it with 0', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  await program.says(/upstream reached/);

  const ready = await fetch(endpoint.replace('/mcp', '/readyz'));
  expect(ready.status).toBe(200);

  program.child.kill('SIGTERM');
  expect(await program.ended).toBe(0);
  expect(program.stdout()).toBe('');
});

test('an upstream that is down does not keep it from starting; it says what to check', async () => {
  const program = run('http://127.0.0.1:1/sse', '--listen', '127.0.0.1:0', '--log-format', 'json');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);

  await program.says(/check that the server runs/);

  expect((await fetch(endpoint.replace('/mcp', '/healthz'))).status).toBe(200);
  expect((await fetch(endpoint.replace('/mcp', '/readyz'))).status).toBe(503);
});

test('a second signal ends it at once, with 128 and the number of the signal', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'never', arguments: {} } };
  const pending = fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(call),
  });
  pending.catch(() => {});
  await upstream.nextCall('never');

  program.child.kill('SIGTERM');
  // Draining has begun once new connections are refused.
  for (let refused = false; !refused;)
    refused = await fetch(endpoint, { method: 'POST' }).then(
      () => false,
      () => true,
    );
  program.child.kill('SIGTERM');

  expect(await program.ended).toBe(143);
});

test('SIGTERM is announced for drain.delay, SIGINT is not', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const flags = [upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json', '--drain-delay', '1h'];
  const [terminated, interrupted] = [run(...flags), run(...flags)];
  const [endpoint] = await terminated.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  await terminated.says(/upstream reached/);
  await interrupted.says(/upstream reached/);

  terminated.child.kill('SIGTERM');
  interrupted.child.kill('SIGINT');
  const readyz = endpoint.replace('/mcp', '/readyz');
  await expect.poll(async () => (await fetch(readyz)).status, { timeout: 5000 }).toBe(503);
  const served = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'count', arguments: {} } }),
  });
  terminated.child.kill('SIGTERM');

  expect(served.status).toBe(200);
  expect(await interrupted.ended).toBe(0);
  expect(await terminated.ended).toBe(143);
});

test.each([
  ['no URL and no verb', [], 2, /Usage/],
  ['an unknown flag', ['http://127.0.0.1:1/sse', '--lisen', '127.0.0.1:0'], 2, /--listen/],
  ['something that is no URL', ['ht!tp'], 3, /http or https URL/],
  ['a port out of range', ['http://127.0.0.1:1/sse', '--listen', '127.0.0.1:99999'], 3, /port/],
  ['a listen address of the wrong form', ['http://127.0.0.1:1/sse', '--listen', 'nowhere'], 3, /HOST:PORT/],
  ['an admin address of the wrong form', ['http://127.0.0.1:1/sse', '--admin', 'nowhere'], 3, /--admin: .*HOST:PORT/],
  ['a file that is not there', ['serve', '-c', 'missing.yaml'], 3, /cannot be read/],
  ['a demo on an address that is not ours', ['demo', '--listen', '192.0.2.1:80'], 3, /not one of this machine/],
  ['an unknown log level', ['http://127.0.0.1:1/sse', '--log-level', 'verbose'], 2, /--log-level/],
  ['an unknown mode', ['http://127.0.0.1:1/sse', '--mode', 'statless'], 2, /--mode.*auto.*stateless.*session/s],
  ['a mode that is left open', ['http://127.0.0.1:1/sse', '--mode'], 2, /--mode/],
  ['a misspelt command', ['dmeo'], 2, /did you mean demo\?.*serve, demo, check, probe, doctor, healthcheck, version/],
  ['a misspelt command with flags', ['serv', '-c', 'x'], 2, /no command serv \(did you mean serve\?\)/],
  ['a misspelt command after a flag', ['-c', 'x', 'serv'], 2, /no command serv \(did you mean serve\?\)/],
  ['a misspelt flag of another command', ['--confg', 'x'], 2, /did you mean mcp-causeway serve --config\?/],
  ['an unknown command with flags', ['run', '-c', 'x'], 2, /no command run; the commands are serve/],
  ['help of a misspelt command', ['help', 'chekc'], 2, /did you mean check\?/],
  ['a misspelt --help', ['--hlep'], 2, /did you mean --help\?/],
  ['a flag of another command', ['http://127.0.0.1:1/sse', '-c', 'x'], 2, /did you mean mcp-causeway serve -c\?/],
  ['a file without -c', ['serve', 'proxy.yaml'], 2, /a file is named with -c proxy\.yaml/],
  ['a file in place of a URL', ['proxy.yaml'], 2, /mcp-causeway serve -c proxy\.yaml/],
  ['a URL after serve', ['serve', 'http://old:9001/sse'], 2, /mcp-causeway http:\/\/old:9001\/sse/],
  ['a URL without its scheme', ['localhost:9001/sse'], 3, /has no scheme: write http:\/\/localhost:9001\/sse$/m],
  ['a URL of an IPv6 address without its scheme', ['[::1]:9001/sse'], 3, /write http:\/\/\[::1\]:9001\/sse$/m],
  ['a URL with a misspelt scheme', ['htp://old:9001/sse'], 3, /did you mean http:\/\/old:9001\/sse\?/],
  ['a URL with one slash', ['http:/old:9001/sse'], 3, /did you mean http:\/\/old:9001\/sse\?/],
  ['a URL without its colon', ['http//old:9001/sse'], 3, /write http:\/\/old:9001\/sse$/m],
  ['a URL with a fragment', ['http://127.0.0.1:1/sse#x'], 3, /fragment/],
  ['a URL with port 0', ['http://127.0.0.1:0/sse'], 3, /port 0/],
  ['a URL of nothing', [''], 3, /the URL is empty/],
  [
    'a flag without its section',
    ['http://127.0.0.1:1/sse', '--idle-timeout', '5s'],
    2,
    /did you mean --links-idle-timeout\?/,
  ],
  ['a misspelt flag of a command', ['check', '--jsn'], 2, /did you mean --json\?.*check --help/],
  ['a misspelt mode', ['http://127.0.0.1:1/sse', '--mode', 'statless'], 2, /did you mean stateless\?/],
  ['a bad duration', ['http://127.0.0.1:1/sse', '--timeouts-request', '5'], 3, /^--timeouts-request: has no unit/m],
  ['two URLs', ['http://127.0.0.1:1/sse', 'http://127.0.0.1:2/sse'], 2, /too many arguments/],
  ['check without a file', ['check'], 2, /--config/],
  ['check of a file that is not there', ['check', '-c', 'missing.yaml'], 3, /there is no such file/],
  ['check of a folder', ['check', '-c', '.'], 3, /it is a directory/],
  ['doctor of nothing', ['doctor'], 2, /give a URL, or a file with -c, --config/],
  ['doctor of a word', ['doctor', 'ht!tp'], 3, /http or https URL/],
  ['doctor of a file without -c', ['doctor', 'proxy.yaml'], 2, /named with mcp-causeway doctor -c proxy\.yaml/],
  ['doctor with a misspelt flag', ['doctor', '--stric'], 2, /did you mean --strict\?.*doctor --help/],
  ['doctor without a unit', ['doctor', 'http://127.0.0.1:1/sse', '--timeout', '5'], 2, /--timeout.*has no unit/],
  ['serve without a file', ['serve'], 2, /--config/],
  ['probe without a URL', ['probe'], 2, /missing required argument 'url'.*probe --help/],
  ['probe of a file', ['probe', 'proxy.yaml'], 2, /doctor -c proxy\.yaml/],
  ['doctor of two URLs', ['doctor', 'http://a/sse', 'http://b/sse'], 2, /too many arguments: give one URL/],
  ['two files', ['check', '-c', 'a.yaml', '-c', 'b.yaml'], 2, /given twice/],
  ['probe of two URLs', ['probe', 'http://a/sse', 'http://b/sse'], 2, /too many arguments: give one URL/],
  ['probe with two outputs', ['probe', 'http://a/sse', '--json', '--yaml'], 2, /--json.*cannot be used with.*--yaml/],
  ['probe with a bad time', ['probe', 'http://a/sse', '--timeout', '5'], 2, /--timeout.*has no unit/],
  ['probe with a literal secret', ['probe', 'http://a/sse', '--header', 'x-key=s3'], 3, /process list/],
  ['probe of nobody', ['probe', 'http://127.0.0.1:1/sse', '--yaml'], 4, /nothing to configure.*next: check/s],
] as const)('%s: one clear message and the right exit code', async (_, args, code, message) => {
  const program = run(...args);

  expect(await program.ended).toBe(code);
  expect(program.stderr()).toMatch(message);
  expect(program.stderr()).not.toMatch(/^\s+at .*:\d+:\d+/m);
});

test.each([
  [['htp://u:s3cret@old/sse?token=s3cret']],
  [['u:s3cret@old:9001/sse']],
  [['http://u:s3/cret@old/sse']],
  [['serve', 'http://u:s3cret@old/sse?token=s3cret']],
  [['http://a/sse', 'http://u:s3cret@old/sse']],
  [['http://a/sse', '--headr=authorization=s3cret']],
])('a command line that is refused gives no secret away: %j [T16]', async (args) => {
  const program = run(...args);

  expect(await program.ended).toBeGreaterThan(1);
  expect(program.stderr()).not.toMatch(/s3|cret/);
});

test('a literal secret in the command line is refused, and the two ways to give it are named [T31]', async () => {
  const program = run('http://127.0.0.1:1/sse', '--header', 'authorization=s3cret');

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/process list.*\$\{VARIABLE\}.*@FILE/);
  expect(program.stderr()).not.toContain('s3cret');
});

test('a credential in the query of a URL is not open to everybody either', async () => {
  const program = run('http://127.0.0.1:1/sse?access_token=t0ken', '--listen', '0.0.0.0:0');

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/has credentials, and 0\.0\.0\.0 is a public address/);
  expect(program.stderr()).not.toContain('t0ken');
});

const TOKENS = 'inbound: { jwt: { issuer: https://login.example.com, jwksFile: /no/such/file } }\n';

test.each([
  ['is not checked as good', ['check', '-c']],
  ['is not started with', ['serve', '-c']],
])('a file of keys that is not there %s', async (_what, args) => {
  const config = file(`upstreams:\n  - url: http://127.0.0.1:1/sse\npublicUrl: https://mcp.example.com\n${TOKENS}`);

  const program = run(...args, config);

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/inbound\.jwt\.jwksFile: \/no\/such\/file cannot be read: .*no such file/i);
});

test.each([
  ['http://mcp.example.com', true],
  ['http://localhost:8080', false],
  ['https://mcp.example.com', false],
])('publicUrl: %s is warned of: %s', async (publicUrl, isWarned) => {
  const program = run(
    'http://127.0.0.1:1/sse',
    '--public-url',
    publicUrl,
    '--listen',
    '127.0.0.1:0',
    '--log-format',
    'json',
  );
  await program.says(/upstream cannot be used/);

  expect(/publicUrl is plain http on a public name/.test(program.stderr())).toBe(isWarned);
});

test.each([
  ['a result', ['check', '-c'], 0],
  ['what is wrong', ['check', '--upstream', 'http://b/sse', '--links-max', '0', '-c'], 3],
] as const)('%s that nobody reads any more is no crash', async (_what, args, code) => {
  const config = file('upstreams:\n  - url: http://a/sse\n');
  const program = run(...args, config);
  program.child.stdout?.destroy();
  program.child.stderr?.destroy();

  expect(await program.ended).toBe(code);
});

test('a gateway whose log nobody reads any more goes on serving, and ends by a signal', async () => {
  const program = run('http://127.0.0.1:1/sse', '--listen', '127.0.0.1:0', '--log-format', 'json');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  program.child.stderr?.destroy();
  program.child.stdout?.destroy();

  // Each is a line of the log.
  const statuses = [await post(endpoint, '{}'), await post(endpoint, '{}'), await post(endpoint, '{}')];
  expect(statuses.map(({ status }) => status)).toEqual([400, 400, 400]);

  program.child.kill('SIGTERM');
  expect(await program.ended).toBe(0);
});

test.runIf(existsSync('/dev/full'))('a result that cannot be written is a failure, told on stderr', async () => {
  const config = file('upstreams:\n  - url: http://a/sse\n');
  const full = openSync('/dev/full', 'w');
  onTestFinished(() => closeSync(full));
  const child = spawn(process.execPath, [MAIN, 'check', '-c', config], { stdio: ['ignore', full, 'pipe'] });
  const ended = once(child, 'close');
  const said = await child.stderr?.toArray();

  expect((await ended)[0]).toBe(1);
  expect(String(said)).toMatch(/^the result cannot be written: ENOSPC$/m);
});

test('healthcheck finds what listens on every address, with keys, by file, variable and flag', async () => {
  const keys = `inbound: { bearer: { keys: [{ name: a, sha256: "${'0'.repeat(64)}" }] } }\n`;
  const upstream = 'upstreams:\n  - url: http://127.0.0.1:1/sse\n';
  const program = run('serve', '-c', file(upstream + keys), '--listen', '[::]:0', '--log-format', 'json');
  const [, port = ''] = await program.says(/http:\/\/\[::1\]:(\d+)\/mcp/);
  const config = file(`${upstream}${keys}listen: { host: "::", port: ${port} }\n`);

  const asked = [
    run('healthcheck', '-c', config),
    runWith({ CAUSEWAY_CONFIG: config }, 'healthcheck'),
    runWith({ CAUSEWAY_LISTEN: `[::]:${port}` }, 'healthcheck'),
    runWith({ CAUSEWAY_LISTEN: '127.0.0.1:1' }, 'healthcheck', '--listen', `[::]:${port}`),
  ];

  expect(await Promise.all(asked.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  expect(asked.map((each) => each.stdout() + each.stderr())).toEqual(['', '', '', '']);
});

test('a port in use is said so, with the way out', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());

  const program = run('http://127.0.0.1:1/sse', '--listen', `127.0.0.1:${upstream.url.port}`);

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/in use.*--listen/);
});

test('metrics are served where --admin says, from the first moment on, and nowhere without it', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--log-format', 'json');
  const [, admin = ''] = await program.says(/"admin":"(http:\/\/127\.0\.0\.1:\d+)"/);
  const [, endpoint = ''] = await program.says(/"endpoint":"([^"]+)"/);
  await program.says(/upstream reached/);
  await (await post(endpoint, CALL)).text();

  const metrics = await (await fetch(`${admin}/metrics`)).text();

  expect(metrics).toMatch(/^causeway_exchanges_total\{.*method="tools\/call".*outcome="result".*\} 1$/m);
  expect(metrics).toMatch(/^causeway_upstream_up\{upstream="default"\} 1$/m);
  expect(metrics).toMatch(/^process_cpu_seconds_total /m);
  expect((await fetch(new URL('/metrics', endpoint))).status).toBe(404);
  program.child.kill('SIGTERM');
  expect(await program.ended).toBe(0);
  expect(program.stdout()).toBe('');
});

test('a URL alone opens one port, and a file with the key opens two', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const alone = run(upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json');
  const config = file(`admin: { port: 0 }\nlisten: { port: 0 }\nupstreams: [{ url: '${upstream.url.href}' }]\n`);
  const both = run('serve', '-c', config, '--log-format', 'json');

  await alone.says(/upstream reached/);
  const [, admin = ''] = await both.says(/"admin":"([^"]+)"/);

  expect(alone.stderr()).not.toContain('"admin"');
  expect((await fetch(`${admin}/status`)).status).toBe(200);
});

test('a port in use for metrics is said so, with the way out, and nothing is left behind', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());

  const { port } = upstream.url;
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--admin', `127.0.0.1:${port}`);

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/in use.*--admin HOST:PORT/);
});

test('a port in use for clients ends it too where metrics are served already', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());

  const program = run(upstream.url.href, '--listen', `127.0.0.1:${upstream.url.port}`, '--admin', '127.0.0.1:0');

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/in use.*--listen HOST:PORT/);
});

// A name keeps pages away: whoever can send a request can send any.
test('a public address for status without a token is refused, also where names are given [T28]', async () => {
  const env = { CAUSEWAY_ALLOWED_HOSTS: 'a.example' };
  const listen = ['--listen', '127.0.0.1:0', '--admin', '0.0.0.0:0'];
  const program = runWith(env, 'http://127.0.0.1:1/sse', ...listen);

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/admin is on a public address.*--admin-token @FILE.*admin\.metrics: open/);
});

test('with its token from a file it runs there, and with metrics that are open', async () => {
  const listen = ['--listen', '127.0.0.1:0', '--admin', '0.0.0.0:0', '--log-format', 'json'];
  const token = file('a-token-of-some-length\n', 'token');
  const guarded = run('http://127.0.0.1:1/sse', ...listen, '--admin-token', `@${token}`);
  const open = run('http://127.0.0.1:1/sse', ...listen, '--admin-metrics', 'open');
  const statusOf = async (program: typeof open, path: string, headers = {}): Promise<number> => {
    const [, admin = ''] = await program.says(/"admin":"(http:\/\/127\.0\.0\.1:\d+)"/);
    return (await fetch(admin + path, { headers })).status;
  };
  const headers = { authorization: 'Bearer a-token-of-some-length' };

  expect([await statusOf(guarded, '/metrics'), await statusOf(guarded, '/status', headers)]).toEqual([401, 200]);
  expect([await statusOf(open, '/metrics'), await statusOf(open, '/status', headers)]).toEqual([200, 401]);
});

test('with a JSON log everything on stderr is JSON', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', '--log-format', 'json');
  await program.says(/upstream reached/);
  program.child.kill('SIGTERM');
  await program.ended;

  const lines = program.stderr().trimEnd().split('\n');
  expect(lines.map((line) => typeof JSON.parse(line))).toEqual(lines.map(() => 'object'));
  expect(program.stderr()).toContain('"msg":"counts"');
});

test('serve runs what a file describes', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const config = file(`upstreams:\n  - url: ${upstream.url.href}\n    path: /tools\nlog: { format: json }\n`);
  const program = run('serve', '-c', config, '--listen', '127.0.0.1:0');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/tools/);

  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":1}}}',
  });

  expect(await response.text()).toContain('"text":"2"');
});

test.each([
  ['auto', [200, 405], true],
  ['stateless', [200, 405], false],
  ['session', [400, 400], true],
] as const)(
  '--mode %s: a call and a GET without a session are %j; a session is opened: %s',
  async (mode, statuses, opens) => {
    const upstream = await startLegacyServer();
    onTestFinished(() => upstream.close());
    const program = run(upstream.url.href, '--mode', mode, '--listen', '127.0.0.1:0', '--log-format', 'json');
    const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);

    const called = await post(endpoint, CALL);
    const got = await fetch(endpoint, { headers: { accept: 'text/event-stream' } });
    const opened = await post(endpoint, INITIALIZE);

    expect([called.status, got.status]).toEqual(statuses);
    expect([opened.status, opened.headers.has('mcp-session-id')]).toEqual([200, opens]);
  },
);

test('--mode goes for every server of a file, whatever the file says; without it each has its own', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const url = upstream.url.href;
  const config = file(
    `upstreams:\n  - { name: a, path: /a, url: ${url}, mode: stateless }\n  - { name: b, path: /b, url: ${url} }\n`,
  );
  const flags = ['serve', '-c', config, '--listen', '127.0.0.1:0', '--log-format', 'json'];

  const statuses: number[][] = [];
  for (const program of [run(...flags), run(...flags, '--mode', 'session')]) {
    const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/a/);
    const opened = await post(endpoint, INITIALIZE);
    const called = [await post(endpoint, CALL), await post(endpoint.replace(/a$/, 'b'), CALL)];
    statuses.push([Number(opened.headers.has('mcp-session-id')), ...called.map(({ status }) => status)]);
  }

  expect(statuses).toEqual([
    [0, 200, 200],
    [1, 400, 400],
  ]);
});

test('mode, asks and streams of a file are followed', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const config = file(
    `upstreams:\n  - url: ${upstream.url.href}\n    mode: session\n    asks: never\nstreams:\n  primeAfter: 20ms\n  retry: 7s\nlog: { format: json }\n`,
  );
  const program = run('serve', '-c', config, '--listen', '127.0.0.1:0');
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);

  const outside = await post(endpoint, CALL);
  const opened = await post(endpoint, INITIALIZE);
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
  const slow = post(endpoint, CALL.replace('"add"', '"slow"'), session);
  const call = await upstream.nextCall('slow');
  const stream = await slow;
  call.release();

  expect([outside.status, opened.status, stream.status]).toEqual([400, 200, 200]);
  expect(call.stream.session.capabilities).toEqual({});
  expect(stream.headers.get('content-type')).toBe('text/event-stream');
  expect(await stream.text()).toMatch(/^id: \S+\nretry: 7000\ndata: \n\n/);
});

test.each(['stateless', 'session'])('the demo works in mode %s', async (mode) => {
  const program = run('demo', '--once', '--mode', mode, '--listen', '127.0.0.1:0');

  expect([await program.ended, program.stderr()]).toEqual([0, expect.not.stringMatching(/^\s+at /m)]);
  expect(program.stdout()).toContain('"text":"5"');
});

test.each([
  ['an unknown mode', '    mode: statless\n', /proxy\.yaml:3:11: upstreams\S*mode.*"auto", "stateless" or "session"/],
  ['an unknown asks', '    asks: sometimes\n', /proxy\.yaml:3:11: upstreams\S*asks.*"auto" or "never"/],
  ['a streams.retry without a unit', 'streams:\n  retry: 5\n', /proxy\.yaml:4:\d+: streams\.retry: .*unit/],
  ['a streams.maxEvents of 0', 'streams:\n  maxEvents: 0\n', /proxy\.yaml:4:\d+: streams\.maxEvents/],
  [
    'a misspelt key of streams',
    'streams:\n  primeafter: 1s\n',
    /proxy\.yaml:4:3: .*primeafter.*did you mean primeAfter/,
  ],
])('a file with %s is refused, with its place', async (_what, lines, message) => {
  const program = run('serve', '-c', file(`upstreams:\n  - url: http://127.0.0.1:1/sse\n${lines}`));

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(message);
});

test('a broken file is refused with the place of every fault', async () => {
  const config = file('upstreams:\n  - url: http://127.0.0.1:1/sse\n    pth: /x\ntimeouts:\n  request: 5\n');

  const program = run('serve', '-c', config);

  expect(await program.ended).toBe(3);
  expect(program.stderr()).toMatch(/proxy\.yaml:3:5: .*pth.*did you mean path/);
  expect(program.stderr()).toMatch(/proxy\.yaml:5:12: timeouts\.request/);
});

test('credentials in the upstream URL are not shown [T16]', async () => {
  const program = run(
    'http://user:s3cret@127.0.0.1:1/sse?token=t0ken',
    '--listen',
    '127.0.0.1:0',
    '--log-format',
    'json',
  );
  await program.says(/check that the server runs/);

  expect(program.stderr()).not.toContain('s3cret');
  expect(program.stderr()).not.toContain('t0ken');
});

test('the environment alone is enough to run, and healthcheck finds what runs by it', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const env = { CAUSEWAY_UPSTREAM: upstream.url.href, CAUSEWAY_LISTEN: '127.0.0.1:0', CAUSEWAY_LOG_FORMAT: 'json' };
  const program = runWith(env);
  const [, port = ''] = await program.says(/http:\/\/127\.0\.0\.1:(\d+)\/mcp/);

  const healthy = runWith({ ...env, CAUSEWAY_LISTEN: `0.0.0.0:${port}` }, 'healthcheck');
  expect([await healthy.ended, healthy.stdout(), healthy.stderr()]).toEqual([0, '', '']);

  program.child.kill('SIGTERM');
  expect(await program.ended).toBe(0);
  const gone = runWith({ CAUSEWAY_LISTEN: `127.0.0.1:${port}` }, 'healthcheck');
  expect(await gone.ended).toBe(1);
  expect(gone.stderr()).toMatch(/no healthy gateway at .*ECONNREFUSED/);
});

test('CAUSEWAY_CONFIG names the file of a container', async () => {
  const config = file('upstreams:\n  - { url: http://127.0.0.1:1/sse, path: /tools }\nlog: { format: json }\n');
  const program = runWith({ CAUSEWAY_CONFIG: config, CAUSEWAY_LISTEN: '127.0.0.1:0' }, 'serve');

  await program.says(/http:\/\/127\.0\.0\.1:\d+\/tools/);
});

test.each([
  ['without a terminal', ['--log-format', 'pretty']],
  ['with a JSON log', ['--log-format', 'json']],
])('%s there is no banner', async (_what, flags) => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const program = run(upstream.url.href, '--listen', '127.0.0.1:0', ...flags);
  await program.says(/upstream reached/);
  program.child.kill('SIGTERM');
  await program.ended;

  expect(program.stderr()).not.toMatch(/curl|Claude/);
});

test('version prints the version; as JSON with more', async () => {
  const [plain, json] = [run('version'), run('version', '--json')];

  expect(await Promise.all([plain.ended, json.ended])).toEqual([0, 0]);
  expect(JSON.parse(json.stdout())).toMatchObject({ name: 'mcp-causeway', version: plain.stdout().trim() });
});

test('check says yes on stdout, or what is wrong on stderr; as JSON always on stdout [T16]', async () => {
  const good = file('upstreams:\n  - { url: "http://u:s3cret@a/sse", headers: { x-key: k3y } }\n');
  const bad = file('upstreams:\n  - { url: http://a/sse, mdoe: auto }\n');
  const programs = [
    run('check', '-c', good),
    run('check', '-c', good, '--print-effective', '--links-max', '7'),
    run('check', '-c', bad),
    run('check', '-c', bad, '--json'),
  ];

  expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual([0, 0, 3, 3]);
  const [said, effective, refused, asJson] = programs;
  expect(said?.stdout()).toMatch(/proxy\.yaml is valid: default at \/mcp/);
  expect(effective?.stdout()).toMatch(/max: 7$/m);
  expect(effective?.stdout()).not.toMatch(/s3cret|k3y/);
  expect([refused?.stdout(), refused?.stderr()]).toEqual([
    '',
    expect.stringMatching(/proxy\.yaml:2:26: .*did you mean mode/),
  ]);
  expect(JSON.parse(asJson?.stdout() ?? '')).toMatchObject({
    valid: false,
    errors: [{ line: 2, column: 26, key: 'upstreams[0].mdoe', suggestion: 'mode' }],
  });
});

test('configured credentials are not open to everybody: the refusal names the remedy, and the remedy works', async () => {
  const config = file(
    'upstreams:\n  - { url: http://127.0.0.1:1/sse, headers: { x-key: k } }\nlisten: { host: 0.0.0.0, port: 0 }\n',
  );

  const refused = run('serve', '-c', config);
  expect(await refused.ended).toBe(3);
  expect(refused.stderr()).toMatch(/inbound\.bearer\.keys.*CAUSEWAY_INBOUND_BEARER_KEYS=NAME=SHA256.*127\.0\.0\.1/);

  const env = { CAUSEWAY_INBOUND_BEARER_KEYS: `alice=${'a'.repeat(64)}`, CAUSEWAY_LOG_FORMAT: 'json' };
  const [endpoint] = await runWith(env, 'serve', '-c', config).says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  expect((await post(endpoint, CALL)).status).toBe(401);
});
