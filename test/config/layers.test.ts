// Defaults, file, environment, flags: which wins, and how each says what is wrong with it.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { KEYS } from '../../src/config/keys.ts';
import { readConfig } from '../../src/config/load.ts';
import { URL_LINE, type World, configOf, faultsOf } from './surroundings.ts';

const UPSTREAM = { CAUSEWAY_UPSTREAM: 'http://old:9001/sse' };

test('flags beat the environment, the environment beats the file, the file beats the defaults', () => {
  const yaml = `${URL_LINE}links: { max: 2, maxQueue: 2, maxTotal: 2 }\n`;
  const env = { CAUSEWAY_LINKS_MAX: '3', CAUSEWAY_LINKS_MAX_QUEUE: '3' };

  const { links } = configOf({ yaml, env, flags: { 'links-max': '4' } });

  expect([links.max, links.maxQueue, links.maxTotal, links.maxInFlight]).toEqual([4, 3, 2, 64]);
});

test('the environment alone is enough', () => {
  const config = configOf({ env: { ...UPSTREAM, CAUSEWAY_LISTEN: '0.0.0.0:9000', CAUSEWAY_MODE: 'stateless' } });

  expect(config.listen).toEqual({ host: '0.0.0.0', port: 9000 });
  expect(config.upstreams).toMatchObject([{ url: new URL('http://old:9001/sse'), mode: 'stateless', path: '/mcp' }]);
});

const pem = (name: string): string => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8');
const FILES = {
  '/secret': 'f3a1095c7be2d84460b7193ec82ad15f8e04b39c6d7721fa05e8c49b3d5210a6',
  'client.ca': pem('ca.pem'),
  'client.cert': pem('client.pem'),
  'client.key': pem('client.key'),
};

/** A text that every kind of key accepts, and what it becomes is another value than the default. */
function textFor({ name, node }: (typeof KEYS)[number]): string {
  if (name === 'inbound' || name === 'upstreams[].outbound') return 'none';
  if (name === 'inbound.bearer.keys') return `alice=${'a'.repeat(64)}`;
  if (name === 'inbound.jwt.algorithms') return 'RS256';
  if (/^(?:publicUrl|inbound\.jwt\.(?:issuer|jwksUri))$/.test(name)) return 'https://other';
  if (name === 'upstreams[].headers') return 'x-plain=v';
  if (name === 'upstreams[].legacy') return 'false';
  if (/^(?:listen|admin)\.(?:host|port)/.test(name)) return 'localhost:9';
  if (/(?:links\.single|insecureSkipVerify|cancelOnDisconnect)$/.test(name)) return 'true';
  if (/tls\.(?:ca|cert|key)$/.test(name)) return name.replace(/^.*\./, 'client.');
  if (node.enum !== undefined) return String(node.enum.at(-1));
  if (node['x-unit'] === 'duration') return '7s';
  if (node['x-unit'] === 'size') return '7KiB';
  if (node['x-secret'] === true) return '@/secret';
  if (name === 'upstreams[].outbound.forward') return 'x-user-token';
  if (/^upstreams.*rl$|EndpointOrigins$/.test(name)) return 'http://other/x';
  if (name === 'allowedOrigins') return 'http://other';
  if (name === 'trustedProxies') return '10.0.0.0/8';
  if (/^store(?:\.url)?$/.test(name)) return 'redis://other:6379/0';
  if (/^peers\.(?:self|addresses|dns)$/.test(name)) return 'other:9';
  if (/path|legacy/.test(name)) return '/other';
  return node.type === 'integer' ? '17' : 'other';
}

/** What tokens need, without this key and what cannot stand beside it. */
function tokensBut(name: string): Record<string, string> {
  return {
    CAUSEWAY_PUBLIC_URL: 'https://mcp.example.com',
    ...(name !== 'inbound.jwt.issuer' && { CAUSEWAY_INBOUND_JWT_ISSUER: 'https://login.example.com' }),
    ...(!name.startsWith('inbound.jwt.jwks') && {
      CAUSEWAY_INBOUND_JWT_JWKS_URI: 'https://login.example.com/jwks.json',
    }),
  };
}

/** What must be there as well, or this key would be refused. */
function neededBeside({ name, variable = '' }: (typeof KEYS)[number]): Record<string, string> {
  if (name.startsWith('inbound.jwt.')) return tokensBut(name);
  if (name.endsWith('.tls.cert')) return { [variable.replace(/CERT$/, 'KEY')]: 'client.key' };
  if (name.endsWith('.tls.key')) return { [variable.replace(/KEY$/, 'CERT')]: 'client.cert' };
  const sealed = { CAUSEWAY_SECRETS_CURRENT: '@/secret' };
  if (name === 'store.ca' || name === 'store.prefix') return { ...sealed, CAUSEWAY_STORE_URL: 'redis://first:6379/0' };
  if (name.startsWith('store')) return sealed;
  if (/^peers\.(?:addresses|dns)$/.test(name)) return sealed;
  if (name.startsWith('peers.')) return { ...sealed, CAUSEWAY_PEERS_DNS: 'first:9' };
  return name === 'secrets.previous' ? { CAUSEWAY_SECRETS_CURRENT: '@/secret' } : {};
}

test.each(KEYS.filter(({ flag }) => flag !== undefined).map((key) => [key.name, key] as const))(
  '%s can be said by variable and by flag, with one meaning',
  (_name, key) => {
    const text = textFor(key);
    const { flag = '', variable = '' } = key;
    const env = { ...UPSTREAM, ...neededBeside(key) };

    const byVariable = configOf({ files: FILES, env: { ...env, [variable]: text } });
    const byFlag = configOf({ files: FILES, env, flags: { [flag]: flag === 'header' ? [text] : text } });

    expect(byFlag).toEqual(byVariable);
    // What others need is nothing without them.
    const without = key.name === 'secrets.previous' ? env : UPSTREAM;
    if (text !== 'none') expect(byFlag).not.toEqual(configOf({ files: FILES, env: without }));
  },
);

test.each<[what: string, world: World, admin: object]>([
  ['nothing', {}, {}],
  ['a key alone', { yaml: 'admin: {}\n' }, { host: '127.0.0.1', port: 8081 }],
  ['a file', { yaml: 'admin: { port: 1 }\n' }, { host: '127.0.0.1', port: 1 }],
  ['a variable', { env: { CAUSEWAY_ADMIN: '[::1]:2' } }, { host: '::1', port: 2 }],
  ['a flag over it', { env: { CAUSEWAY_ADMIN: '1' }, flags: { admin: '3' } }, { host: '127.0.0.1', port: 3 }],
])('the admin listener is there only where somebody says so: %s', (_what, { yaml = '', ...said }, admin) => {
  const { metrics: _metrics, ...address } = configOf({ yaml: yaml + URL_LINE, ...said }).admin ?? {};

  expect(address).toEqual(admin);
});

test.each([
  ['the same address', 'listen: { port: 8081 }\nadmin: {}\n', false],
  ['the same port on every address', 'listen: { host: 0.0.0.0, port: 8081 }\nadmin: {}\n', false],
  ['another address', 'listen: { host: 127.0.0.2, port: 8081 }\nadmin: {}\n', true],
  ['any free port', 'listen: { port: 0 }\nadmin: { port: 0 }\n', true],
])('two listeners at one address are refused: %s', (_what, yaml, isGood) => {
  if (isGood) expect(configOf({ yaml: yaml + URL_LINE }).admin).toBeDefined();
  else expect(faultsOf({ yaml: yaml + URL_LINE }).message).toMatch(/8081 is the port for clients already/);
});

test('several URLs of one server, lists and keys of callers are written in one line', () => {
  const { upstreams, allowedHosts, inbound } = configOf({
    env: {
      CAUSEWAY_UPSTREAM: 'http://a/sse?x=1,2 http://b/sse, http://c/sse',
      CAUSEWAY_ALLOWED_HOSTS: 'a.example, b.example',
      CAUSEWAY_INBOUND_BEARER_KEYS: `alice=${'a'.repeat(64)},bob=${'b'.repeat(64)}`,
    },
  });

  expect(upstreams[0]?.urls.map(String)).toEqual(['http://a/sse?x=1,2', 'http://b/sse', 'http://c/sse']);
  expect(upstreams[0]?.url.href).toBe('http://a/sse?x=1,2');
  expect(allowedHosts).toEqual(['a.example', 'b.example']);
  expect(inbound).toMatchObject({ bearer: { keys: [{ name: 'alice' }, { name: 'bob' }] } });
});

test('a variable may have several lines where it is a list, and ends in a line break where it is made from a file', () => {
  const { upstreams, allowedHosts, inbound, listen, links } = configOf({
    env: {
      CAUSEWAY_UPSTREAM: 'http://a/sse\nhttp://b/sse\n',
      CAUSEWAY_ALLOWED_HOSTS: 'a.example\r\nb.example\r\n',
      CAUSEWAY_INBOUND_BEARER_KEYS: `alice=${'a'.repeat(64)}\nbob=${'b'.repeat(64)}\n`,
      CAUSEWAY_LISTEN: '127.0.0.1:9000\n',
      CAUSEWAY_LINKS_MAX: ' 5\n',
      CAUSEWAY_HEADER: 'x-one=1\nx-two=2\n',
    },
  });

  expect(upstreams[0]?.urls.map(String)).toEqual(['http://a/sse', 'http://b/sse']);
  expect(upstreams[0]?.headers).toEqual({ 'x-one': '1', 'x-two': '2' });
  expect(allowedHosts).toEqual(['a.example', 'b.example']);
  expect(inbound).toMatchObject({ bearer: { keys: [{ name: 'alice' }, { name: 'bob' }] } });
  expect([listen.port, links.max]).toEqual([9000, 5]);
});

test('a variable of nothing but blanks is refused: what it was to say is not guessed', () => {
  const env = { CAUSEWAY_INBOUND_BEARER_KEYS: '\n', CAUSEWAY_NAME: ' ' };

  expect(faultsOf({ yaml: URL_LINE, env }).faults.map(({ place }) => place)).toEqual([
    { kind: 'environment', name: 'CAUSEWAY_INBOUND_BEARER_KEYS' },
    { kind: 'environment', name: 'CAUSEWAY_NAME' },
  ]);
});

test('keys given by a variable are not lost because the file says none', () => {
  const env = { CAUSEWAY_INBOUND_BEARER_KEYS: `alice=${'a'.repeat(64)}` };

  expect(configOf({ yaml: `${URL_LINE}inbound: none\n`, env }).inbound).not.toBe('none');
  expect(configOf({ yaml: URL_LINE, env: { ...env, CAUSEWAY_INBOUND: 'none' } }).inbound).not.toBe('none');
});

test('a variable and a flag go for every upstream, whatever the file says of one', () => {
  const yaml = `${URL_LINE}    timeouts: { request: 2m, connect: 2s }\n    mode: session\n`;

  const { upstreams, timeouts } = configOf({ yaml, flags: { 'timeouts-request': '1m', mode: 'auto' } });

  expect(timeouts.request).toBe(60_000);
  expect(upstreams[0]?.timeouts).toEqual({ connect: 2000 });
  expect(upstreams[0]?.mode).toBe('auto');
});

test('what belongs to one server is refused where the file names two', () => {
  const yaml = 'upstreams:\n  - { url: http://a/sse }\n  - { url: http://b/sse, name: b, path: /b }\n';

  const { message } = faultsOf({ yaml, flags: { header: ['x=1'] }, env: { CAUSEWAY_UPSTREAM: 'http://c/sse' } });

  expect(message).toMatch(/^CAUSEWAY_UPSTREAM: is for one server, and the file names 2/m);
  expect(message).toMatch(/^--header: is for one server/m);
});

test.each([
  ['a misspelt variable', { CAUSEWAY_UPSTREM: 'x' }, /^CAUSEWAY_UPSTREM: .*did you mean CAUSEWAY_UPSTREAM\?/m],
  ['a variable without its section', { CAUSEWAY_IDLE_TIMEOUT: '1s' }, /did you mean CAUSEWAY_LINKS_IDLE_TIMEOUT\?/],
  ['a bad value', { CAUSEWAY_LINKS_MAX: 'many' }, /^CAUSEWAY_LINKS_MAX: must be a whole number, at least 1$/m],
  ['a bad duration', { CAUSEWAY_HEARTBEAT: '5' }, /^CAUSEWAY_HEARTBEAT: has no unit/m],
  ['a bad port', { CAUSEWAY_LISTEN: 'localhost:99999' }, /^CAUSEWAY_LISTEN: port 99999 is over 65535$/m],
  ['a bad port of the admin listener', { CAUSEWAY_ADMIN: '99999' }, /^CAUSEWAY_ADMIN: port 99999 is over 65535$/m],
  ['a bad address of it', { CAUSEWAY_ADMIN: 'x' }, /^CAUSEWAY_ADMIN: must be HOST:PORT, such as 127\.0\.0\.1:8081$/m],
  ['a bad address', { CAUSEWAY_LISTEN: 'nowhere' }, /^CAUSEWAY_LISTEN: must be HOST:PORT/m],
  [
    'a bad key',
    { CAUSEWAY_INBOUND_BEARER_KEYS: 'alice' },
    /^CAUSEWAY_INBOUND_BEARER_KEYS: must be a section with name, sha256/m,
  ],
])('%s is told by its name', (_what, env, message) => {
  expect(faultsOf({ yaml: URL_LINE, env }).message).toMatch(message);
});

test('all layers tell their faults at once', () => {
  const { faults } = faultsOf({
    yaml: `${URL_LINE}colour: red\n`,
    env: { CAUSEWAY_COLOUR: 'red' },
    flags: { 'links-max': '0' },
  });

  expect(faults.map(({ place }) => place.kind)).toEqual(['file', 'environment', 'flag']);
});

test('an empty variable counts as one that is not set', () => {
  expect(configOf({ yaml: URL_LINE, env: { CAUSEWAY_MODE: '', CAUSEWAY_COLOUR: '' } }).upstreams[0]?.mode).toBe('auto');
});

test('variables that Kubernetes makes up for a Service called causeway are passed over', () => {
  const env = {
    CAUSEWAY_SERVICE_HOST: '10.0.0.1',
    CAUSEWAY_SERVICE_PORT: '8080',
    CAUSEWAY_SERVICE_PORT_HTTP: '8080',
    CAUSEWAY_PORT: 'tcp://10.0.0.1:8080',
    CAUSEWAY_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
    CAUSEWAY_PORT_8080_TCP_PROTO: 'tcp',
    CAUSEWAY_PORT_8080_TCP_PORT: '8080',
    CAUSEWAY_PORT_8080_TCP_ADDR: '10.0.0.1',
    CAUSEWAY_BILLING_PORT: 'tcp://10.0.0.2:80',
  };

  expect(configOf({ yaml: URL_LINE, env }).listen.port).toBe(8080);
  expect(faultsOf({ yaml: URL_LINE, env: { CAUSEWAY_PORT: '9000' } }).message).toMatch(/CAUSEWAY_PORT/);
});

test('headers come from variables and files, and neither is looked into again', () => {
  const { upstreams } = configOf({
    env: { ...UPSTREAM, TOKEN: 'a${b}', CAUSEWAY_HEADER: 'x-one=1\nx-two=2=2' },
    files: { '/run/key': 's3cret\n' },
  });
  const flagged = configOf({
    env: { ...UPSTREAM, TOKEN: 'a${b}' },
    flags: { header: ['authorization=Bearer ${TOKEN}', 'x-api-key=@/run/key', 'x-plain=1'] },
    files: { '/run/key': 's3cret\n' },
  });

  expect(upstreams[0]?.headers).toEqual({ 'x-one': '1', 'x-two': '2=2' });
  expect(flagged.upstreams[0]?.headers).toEqual({
    authorization: 'Bearer a${b}',
    'x-api-key': 's3cret',
    'x-plain': '1',
  });
});

const CREDENTIALS =
  'authorization Cookie x-api-key X-Auth-Token client-secret X-Auth x-oauth pass x-pass x-passwd x-sig X-Amz-Signature x-jwt x-bearer X-Session session-id';

test.each(CREDENTIALS.split(' '))('a literal value for --header %s is refused, and not repeated', (name) => {
  const { message } = faultsOf({ env: UPSTREAM, flags: { header: [`${name}=hunter2`] } });

  expect(message).toMatch(/^--header: .*\$\{VARIABLE\}.*@FILE/m);
  expect(message).not.toContain('hunter2');
});

test.each(['Bearer hunter2', 'basic aHVudGVyMg==', 'Bearer ${X:-hunter2}'])(
  'so is a value that is one by its form, whatever its name: %s',
  (value) => {
    const { message } = faultsOf({ env: { ...UPSTREAM, X: 'x' }, flags: { header: [`x-plain=${value}`] } });

    expect(message).toMatch(/^--header: a literal value of x-plain/m);
    expect(message).not.toMatch(/hunter2|aHVu/);
  },
);

test.each(['x-author', 'x-passenger', 'x-design'])('%s is no name of a credential', (name) => {
  expect(configOf({ env: UPSTREAM, flags: { header: [`${name}=v`] } }).upstreams[0]?.headers).toEqual({ [name]: 'v' });
});

test.each([
  ['x', /write NAME=/],
  ['k=@/nope', /k: \/nope cannot be read: there is no such file/],
  ['k=${NOPE}', /k: the environment has no NOPE/],
  ['content-length=5', /gateway sets itself/],
  ['__proto__=x', /is no header name/],
  ['k=Bearer ${EMPTY}', /k: \$\{EMPTY\} is empty: set it/],
  ['k=@/empty', /k: \/empty is empty/],
])('--header %s: one clear message', (header, message) => {
  const world = { env: { ...UPSTREAM, EMPTY: '' }, files: { '/empty': '\n' } };

  expect(faultsOf({ ...world, flags: { header: [header] } }).message).toMatch(message);
});

test('a header that is given twice is refused, in whichever spelling: none of the two is lost', () => {
  for (const second of ['x-one=2', 'X-One=1']) {
    expect(faultsOf({ env: UPSTREAM, flags: { header: ['x-one=1', second] } }).message).toMatch(
      /^--header: \S+ is given twice$/i,
    );
  }
});

test.each(['${X:-hunter2}', 'Bearer ${X:-hunter2}', '$${hunter2}', 'hunter2$${X}'])(
  'a literal behind a ${…} is a literal too: --header authorization=%s',
  (value) => {
    const { message } = faultsOf({ env: { ...UPSTREAM, X: 'x' }, flags: { header: [`authorization=${value}`] } });

    expect(message).toMatch(/^--header: a literal value of authorization .*without a default/m);
    expect(message).not.toContain('hunter2');
  },
);

test.each(['${X}', 'Bearer ${X}', '${X:-}', 'session=${X}; theme=dark'])(
  'what only the environment knows is no literal: --header cookie=%s',
  (value) => {
    const { upstreams } = configOf({ env: { ...UPSTREAM, X: 'x' }, flags: { header: [`cookie=${value}`] } });

    expect(upstreams[0]?.headers['cookie']).toContain('x');
  },
);

test('a secret that may not be read is told with the remedy', () => {
  const surroundings = {
    env: UPSTREAM,
    readFile: () => {
      throw Object.assign(new Error('no'), { code: 'EACCES' });
    },
  };

  expect(() => readConfig({ flags: { header: ['x=@/run/key'] } }, surroundings)).toThrow(
    /^--header: x: \/run\/key cannot be read: the user that runs mcp-causeway may not read it: change its owner or mode$/,
  );
});

test.each([
  ['the whole', { CAUSEWAY_INBOUND: 'none' }, 'none'],
  [
    'a part of another form',
    { CAUSEWAY_INBOUND_BEARER_KEYS: `bob=${'b'.repeat(64)}` },
    { bearer: { keys: [{ name: 'bob' }] } },
  ],
])('what the environment says of inbound goes for every upstream: %s', (_what, env, expected) => {
  const keys = `keys: [ { name: alice, sha256: "${'a'.repeat(64)}" } ]`;
  const yaml = `${URL_LINE}    inbound: { bearer: { ${keys} } }\n`;

  const config = configOf({ yaml, env });

  expect(config.upstreams[0]?.inbound).toBeUndefined();
  if (typeof expected === 'string') expect(config.inbound).toBe(expected);
  else expect(config.inbound).toMatchObject(expected);
});
