// What the built program knows and others should not: credentials of clients, its own, and those of the servers.

import { createHash } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { expect, onTestFinished } from 'vitest';
import { openOldClient } from '../support/old-client.ts';
import { file, run, runWith } from '../verbs/program.ts';
import { inFrontOf, startBuilt } from './built.ts';

const KEY = 'pl4nt-key-of-alice';
const ALICE = { authorization: `Bearer ${KEY}` };
const OF_CLIENT = {
  ...ALICE,
  cookie: 'session=pl4nt-cookie',
  'proxy-authorization': 'Basic pl4nt-proxy',
  'x-api-key': 'pl4nt-api-key-of-alice',
};
const DIGEST = createHash('sha256').update(KEY).digest('hex');
const BASIC = btoa('us:pl4nt-password');
const SECRET_URI = 'https://us:pl4nt-user@files.example/x?token=pl4nt-uri';
const SEAL = '86EJXHvi2ERgtxk+yCrRX44Es5xtdyH6BejEmz1SEKY=';

const setup = {
  upstreams: {
    main: {
      userinfo: 'us:pl4nt-password@',
      config: { headers: { 'x-api-key': '${API_KEY}' }, legacy: { sse: '/sse', messages: '/messages' } },
    },
    refusing: {
      behaviour: {
        get: { status: 401, body: 'pl4nt-body', headers: { 'www-authenticate': 'Bearer realm="pl4nt-realm"' } },
      },
      userinfo: 'us:pl4nt-password@',
      config: { headers: { 'x-api-key': '${API_KEY}' } },
    },
  },
  config: {
    inbound: { bearer: { keys: [{ name: 'alice', sha256: DIGEST }] } },
    log: { level: 'debug' as const },
  },
  env: { API_KEY: 'pl4nt-variable' },
};
const test = inFrontOf(setup);

test('no credential of a client reaches the server, which gets the configured ones alone [T14]', async ({
  built,
  servers: { main },
}) => {
  const called = await built.call('add', { a: 1, b: 2 }, 1, OF_CLIENT);
  await built.openSession({}, OF_CLIENT);
  const old = await openOldClient(built.origin, { path: '/sse?access_token=pl4nt-query', headers: OF_CLIENT });
  const posted = await old.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, OF_CLIENT);

  const reached = [...main.gets, ...main.received].map(({ url, headers }) => ({ url, headers }));
  const own = { 'x-api-key': 'pl4nt-variable', authorization: `Basic ${BASIC}` };
  expect([called.status, posted.status]).toEqual([200, 202]);
  expect(reached.length).toBeGreaterThan(6);
  for (const { headers } of reached) expect(headers).toMatchObject(own);
  expect(JSON.stringify(reached).match(/pl4nt-(?!variable)[\w-]+/g)).toBeNull();
  expect(await built.sum(ALICE)).toBe('3');
});

test('what fails, whatever is logged and what is shown of the configuration say no secret of anybody [T16]', async ({
  built,
  servers: { main },
}) => {
  const session = await built.openSession({}, OF_CLIENT);
  const link = main.streams.at(-1);
  if (link === undefined) expect.fail('the session has no link');

  const refused = await built.at('/refusing').call('add', { secret: 'pl4nt-argument' }, 1, OF_CLIENT);
  main.push(link, 'data: {"jsonrpc":"pl4nt-message"}\n\n');
  const told = [
    refused,
    await built.post('{"pl4nt-broken', OF_CLIENT),
    await built.post({ jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: SECRET_URI } }, ALICE),
    await built.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { authorization: 'Bearer pl4nt-guess' }),
    await built.send('GET', '/mcp?token=pl4nt-query', { ...ALICE, 'mcp-session-id': 'pl4nt-session' }),
    await built.send('GET', '/nowhere?token=pl4nt-query', ALICE),
  ];
  const status = await built.admin.send('GET', '/status');
  const metrics = await built.admin.send('GET', '/metrics');
  await built.program.says(/unreadable_message/);
  const check = runWith(setup.env, 'check', '-c', built.file, '--print-effective');

  const { stdout, stderr } = built.program;
  expect(await check.ended).toBe(0);
  const said = [stdout(), stderr(), status.text, metrics.text, check.stdout(), check.stderr()].join('\n');
  expect(refused.status).toBe(502);
  expect(said.match(/pl4nt-[\w-]+/g)).toBeNull();
  for (const secret of [session, DIGEST, BASIC]) expect(said).not.toContain(secret);
  expect(JSON.stringify(told).match(/pl4nt-[\w-]+/g)).toBeNull();
  expect(await built.sum(ALICE)).toBe('3');
});

test('a secret in the command line is refused, and one in a file that everybody may read is told and served [T31]', async ({
  servers,
}) => {
  const secret = file(`${SEAL}\n`, 'seal');
  chmodSync(secret, 0o644);
  const careless = run('http://127.0.0.1:1/sse', '--listen=127.0.0.1:0', `--header=authorization=${SEAL}`);

  const built = await startBuilt(
    { ...setup, config: { ...setup.config, secrets: { current: `\${file:${secret}}` } } },
    servers,
  );
  onTestFinished(() => built.stop());
  const [line] = await built.program.says(/^.*every user of this machine.*$/m);

  expect(await careless.ended).toBe(3);
  expect(careless.stderr()).toMatch(/process list.*\$\{VARIABLE\}.*@FILE/);
  expect(JSON.parse(line)).toMatchObject({ level: 40, file: secret });
  expect(careless.stdout() + careless.stderr() + built.program.stderr()).not.toContain(SEAL);
  expect(await built.sum(ALICE)).toBe('3');
});
