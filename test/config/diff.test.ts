import { expect, test } from 'vitest';
import { difference } from '../../src/config/diff.ts';
import { KEYS } from '../../src/config/keys.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';

const url = 'http://user:one@127.0.0.1:9001/sse';
const BASE: ConfigInput = {
  upstreams: [
    { url, name: 'a', path: '/a', links: { max: 8 } },
    { url, name: 'b', path: '/b' },
  ],
};

function from(before: ConfigInput, after: ConfigInput) {
  return difference(parseConfig(before), parseConfig(after));
}

const with_ = (more: Partial<ConfigInput>): ConfigInput => ({ ...BASE, ...more });
const b = (more: object): ConfigInput => ({
  ...BASE,
  upstreams: [...BASE.upstreams.slice(0, 1), { url, name: 'b', path: '/b', ...more }],
});

test('what says the same changes nothing, wherever it is said and in whichever order', () => {
  const own = { ...BASE, upstreams: [BASE.upstreams[1] ?? expect.fail(), { ...BASE.upstreams[0], url }] };
  const elsewhere = with_({
    upstreams: [
      { url, name: 'a', path: '/a', links: { max: 8 }, timeouts: { request: '300s' } },
      { url: [url], name: 'b', path: '/b', headers: {} },
    ],
  });

  for (const after of [BASE, own, elsewhere]) {
    const { config, kept, ...rest } = from(BASE, after);
    expect(kept.toSorted()).toEqual(['a', 'b']);
    expect(rest).toEqual({ replaced: [], added: [], removed: [], changed: [], needsRestart: [] });
    expect(config).toEqual(parseConfig(after));
  }
});

test.each<readonly [what: string, after: ConfigInput, replaced: readonly string[], changed: readonly string[]]>([
  ['its URL', b({ url: 'http://user:two@127.0.0.1:9001/sse' }), ['b'], []],
  ['one URL more', b({ url: [url, 'http://127.0.0.1:9002/sse'] }), ['b'], []],
  ['its path', b({ path: '/c' }), ['b'], []],
  ['a header', b({ headers: { 'x-key': 'new' } }), ['b'], []],
  ['a timeout of its own', b({ timeouts: { request: '1m' } }), ['b'], []],
  ['old clients', b({ legacy: {} }), ['b'], []],
  ['a general timeout', with_({ timeouts: { request: '1m' } }), ['a', 'b'], ['timeouts.request']],
  ['a general key that one of them has its own of', with_({ links: { max: 9 } }), ['b'], ['links.max']],
  ['heartbeat', with_({ heartbeat: '1s' }), ['a', 'b'], ['heartbeat']],
  [
    'what is of the process as a whole',
    with_({ limits: { sessions: 9, bodyBytes: '1B' } }),
    [],
    ['limits.bodyBytes', 'limits.sessions'],
  ],
  ['how it stops', with_({ drain: { delay: '1s' } }), [], ['drain.delay']],
  ['the level of the log', with_({ log: { level: 'debug' } }), [], ['log.level']],
  ['names of this host', with_({ allowedHosts: ['a'] }), [], ['allowedHosts']],
  [
    'who may call',
    with_({ inbound: { bearer: { keys: [{ name: 'x', sha256: '0'.repeat(64) }] } } }),
    [],
    ['inbound.bearer.keys'],
  ],
])('%s', (_, after, replaced, changed) => {
  const there = from(BASE, after);
  const back = from(after, BASE);

  expect([there.replaced, there.changed, there.needsRestart]).toEqual([replaced, changed, []]);
  expect([back.replaced, back.changed, back.needsRestart]).toEqual([replaced, changed, []]);
  expect(there.config).toEqual(parseConfig(after));
});

test('what needs a restart stays as it was, and the rest of the file goes', () => {
  const listen = { host: '127.0.0.2', port: 9 };
  const log = { format: 'json', level: 'warn' } as const;
  const limits = { bufferedBytes: '1MiB', sessions: 7 };
  const after = with_({ listen, admin: { token: '0123456789abcdef' }, log, limits });

  const there = from(BASE, after);
  const back = from(after, BASE);

  const ofAdmin = ['admin.host', 'admin.port', 'admin.token', 'admin.metrics'];
  const needsRestart = ['listen.host', 'listen.port', ...ofAdmin, 'limits.bufferedBytes', 'log.format'];
  expect([there.needsRestart, there.changed]).toEqual([needsRestart, ['limits.sessions', 'log.level']]);
  expect([back.needsRestart, back.kept]).toEqual([needsRestart, ['a', 'b']]);
  expect(there.config).toMatchObject({
    listen: { host: '127.0.0.1', port: 8080 },
    log: { format: 'auto', level: 'warn' },
    limits: { bufferedBytes: 0, sessions: 7 },
  });
  expect(there.config.admin).toBeUndefined();
  expect(back.config).toMatchObject({ listen, admin: { port: 8081 }, log: { format: 'json', level: 'info' } });
});

test('a listener goes on as it was bound, in plain HTTP or with TLS, and its certificate stays in the same files', () => {
  const tls = { cert: '/a.crt', key: '/a.key' };
  const plain = with_({});
  const secure = with_({ listen: { tls } });

  const there = from(plain, secure);
  const gone = from(secure, plain);
  const moved = from(secure, with_({ listen: { tls: { ...tls, cert: '/b.crt' } } }));

  expect([there, gone, moved].map(({ config }) => config.listen.tls)).toEqual([undefined, tls, tls]);
  expect([there, gone, moved].map(({ needsRestart }) => needsRestart)).toEqual([
    ['listen.tls.cert', 'listen.tls.key'],
    ['listen.tls.cert', 'listen.tls.key'],
    ['listen.tls.cert'],
  ]);
});

test('upstreams that come and go', () => {
  const after = { upstreams: [{ url, name: 'c', path: '/a' }, ...BASE.upstreams.slice(1)] };

  expect(from(BASE, after)).toMatchObject({ kept: ['b'], added: ['c'], removed: ['a'], replaced: [] });
});

test('the keys that need a restart are those that are bound, allocated or opened at the start', () => {
  expect(KEYS.filter(({ node }) => node['x-live'] !== true).map(({ name }) => name)).toEqual([
    'version',
    'listen.host',
    'listen.port',
    'listen.tls.cert',
    'listen.tls.key',
    'admin.host',
    'admin.port',
    'admin.tls.cert',
    'admin.tls.key',
    'peers.host',
    'peers.port',
    'peers.self',
    'peers.addresses',
    'peers.dns',
    'store',
    'store.url',
    'store.ca',
    'store.prefix',
    'limits.bufferedBytes',
    'log.format',
  ]);
});
