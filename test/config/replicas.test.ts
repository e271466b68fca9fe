import { expect, test } from 'vitest';
import { URL_LINE, configOf, faultsOf } from './surroundings.ts';

const SECRET = 'secrets: { current: f3a1095c7be2d84460b7193ec82ad15f8e04b39c6d7721fa05e8c49b3d5210a6 }\n';
const PEERS = 'peers: { dns: "gw:8082" }\n';

test.each([
  ['peers without a secret', PEERS, /^.*: peers: needs secrets\.current, the same for all replicas: .*openssl rand/m],
  ['a store without one', 'store: redis://a\n', /^.*: store: needs secrets\.current.*read by this process alone/m],
  ['a secret of 16 bytes', `${PEERS}secrets: { current: MDEyMzQ1Njc4OWFiY2RlZg== }\n`, /is not of 32 bytes, but of 16/],
  [
    'nobody named',
    `${SECRET}peers: {}\n`,
    /peers\.addresses: is missing: the replicas are named by addresses, or by dns/,
  ],
  ['both', `${SECRET}peers: { dns: "a:1", addresses: ["b:1"] }\n`, /peers\.dns: stands beside addresses/],
  ['every address', `${SECRET}peers: { host: 0.0.0.0, dns: "a:1" }\n`, /peers\.self: is missing: the others cannot/],
  ['a name without a port', `${SECRET}peers: { dns: gw }\n`, /peers\.dns: has no port: write gw:8082/],
  ['a URL', `${SECRET}peers: { addresses: ["http://gw:1/"] }\n`, /peers\.addresses\[0\]: .* write gw:1/],
  ['the port of clients', `${SECRET}listen: { port: 8082 }\n${PEERS}`, /8082 is the port for clients already/],
  ['the port of admin', `${SECRET}admin: { port: 8082 }\n${PEERS}`, /8082 is the port of the admin listener already/],
  [
    'a server for one connection',
    `${SECRET}${PEERS}links: { single: true }\n`,
    /links\.single: is true, and each replica/,
  ],
  ['another engine', `${SECRET}store: http://a\n`, /store: must be redis:\/\/HOST:PORT\/DATABASE/],
  ['a prefix of blanks', `${SECRET}store: { url: redis://a, prefix: "a b" }\n`, /store\.prefix: must be letters/],
])('refused, with what to do: %s', (_what, yaml, message) => {
  expect(faultsOf({ yaml: URL_LINE + yaml }).message).toMatch(message);
});

test('a replica is where it listens, if nobody says otherwise', () => {
  const selfOf = (peers: string) => configOf({ yaml: `${URL_LINE}${SECRET}peers: ${peers}\n` }).peers?.self;

  expect(selfOf('{ host: 10.0.0.3, dns: "a:1" }')).toBe('10.0.0.3:8082');
  expect(selfOf('{ host: "fd00::3", port: 9, dns: "a:1" }')).toBe('[fd00::3]:9');
  expect(selfOf('{ host: "::", self: "gw-a:9", dns: "a:1" }')).toBe('gw-a:9');
});

test('a store is a URL, or a section with one', () => {
  const storeOf = (store: string) => configOf({ yaml: `${URL_LINE}${SECRET}store: ${store}\n` }).store;

  expect(storeOf('redis://a:1/2')).toEqual({ url: new URL('redis://a:1/2'), prefix: 'causeway' });
  expect(storeOf('{ url: "rediss://u:p@a", ca: /ca.pem, prefix: other }')).toEqual({
    url: new URL('rediss://u:p@a'),
    ca: '/ca.pem',
    prefix: 'other',
  });
});

test.each(['redis://u:pa%ss@a/0', 'redis://u%:p@a', 'redis://u:%ff@a'])(
  'a store whose password is not encoded',
  (url) => {
    const { message } = faultsOf({ yaml: `${URL_LINE}${SECRET}store: "${url}"\n` });

    expect(message).toMatch(/store: has a % that encodes nothing: in a password it is %25/);
    expect(message).not.toMatch(/pa%ss|%ff/);
  },
);
