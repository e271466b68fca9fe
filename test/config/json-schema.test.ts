// The printed JSON Schema and the program judge alike.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KEYS, type SchemaNode, SCHEMA } from '../../src/config/keys.ts';
import { validate } from '../../src/config/validate.ts';

const text = readFileSync(join(import.meta.dirname, '../../config/proxy.schema.json'), 'utf8');
const judge = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(JSON.parse(text));

/** Good and bad values for whatever stands in the schema, so that a new key is tested without being named here. */
function valueFor(node: SchemaNode): fc.Arbitrary<unknown> {
  if (node.properties !== undefined) return objectFor(node);
  if (node.anyOf !== undefined) return rarely(noise, fc.oneof(...node.anyOf.map(valueFor)));
  if (node.items !== undefined) return rarely(noise, fc.array(valueFor(node.items), { minLength: 1, maxLength: 2 }));
  if (node.additionalProperties)
    return rarely(headersOf(HEADERS, HEADER_VALUES), headersOf(['x-api-key', 'X_Key'], ['', 'täst']));
  if (node.const !== undefined) return rarely(noise, fc.constant(node.const));
  if (node.enum !== undefined) return rarely(noise, fc.constantFrom(...node.enum));
  if (node.type === 'integer') {
    const { minimum = 0, maximum = 100_000 } = node;
    return rarely(
      noise,
      rarely(fc.integer({ min: -2, max: 80_000 }), fc.integer({ min: minimum, max: Math.min(maximum, 100_000) })),
    );
  }
  const plain = node['x-secret'] === true ? SECRETS : [...TEXTS, ...URLS];
  const texts = node['x-unit'] === undefined ? plain : QUANTITIES;
  const good = texts.filter((text) => new RegExp(node.pattern ?? '.').test(text));
  return rarely(noise, rarely(fc.oneof(fc.constantFrom(...texts), anyText), fc.constantFrom(...good)));
}

const rarely = (rare: fc.Arbitrary<unknown>, usual: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ arbitrary: rare, weight: 1 }, { arbitrary: usual, weight: 40 });

/** In a file they are never undefined. */
const noise = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.nat(9),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string(),
  fc.constant([]),
  fc.constant({}),
);
const anyText = fc.string().filter((each) => !each.includes('${'));
const TEXTS = ['/mcp', '/a/b', 'mcp', '/', '/mcp/', '/healthz', 'billing', 'two words', '-x', 'a'.repeat(64)].concat([
  '0'.repeat(64),
  'F'.repeat(64),
  'auto',
  'none',
  'localhost',
  '10.0.0.7',
  'fd00::/8',
  '10.0.0.0/33',
  '',
]);
const SECRETS = ['f3a1095c7be2d84460b7193ec82ad15f8e04b39c6d7721fa05e8c49b3d5210a6', 'secret', ''];
const URLS = [
  'http://a/sse',
  'https://billing.internal:9001/sse?x=1',
  'HTTP://[::1]:9001/',
  'http://user:pw@a_b.c/',
  'http://127.0.0.1',
  'http://täst.example/sse',
  'ftp://a/sse',
  'localhost:9001',
  'http://',
  'http:///sse',
  'http://a b/',
  'http://a/ b',
  'http://a:port/',
  'http://a:0/sse',
  'http://a:0080/sse',
  'http://a/sse#b',
  'http://a#b',
  'http://[::1]:0',
  '//a/sse',
  'redis://127.0.0.1:6379/0',
  'rediss://user:p%40ss@[::1]/15',
  'redis://a:0',
  'redis://a/b',
  '10.0.0.3:8082',
  '[fd00::3]:8082',
  'gateway:0',
  'fd00::3:8082',
];
const QUANTITIES = [
  '0',
  '0.00',
  '1',
  '10',
  '9',
  '1.5',
  '1.234',
  '',
  '-1',
  '999999999',
  '1000',
  '600',
  '30',
  '2999',
].flatMap((digits) =>
  ['ms', 's', 'm', 'min', 'h', 'd', 'B', 'KiB', 'MiB', 'GiB', 'GB', '', ' s', 'x'].map((unit) => digits + unit),
);
const HEADERS = [
  'x-api-key',
  '__proto__',
  'X_Key',
  'Host',
  'content-Type',
  'mcp-session-id',
  'two words',
  'accept-language',
  '',
];
const HEADER_VALUES = ['secret', '', 'täst', 'line\nbreak', '→', 'Bearer abc'];
const headersOf = (names: readonly string[], values: readonly string[]): fc.Arbitrary<object> =>
  fc.dictionary(fc.constantFrom(...names), fc.constantFrom(...values), { maxKeys: 3 });

function objectFor({ properties = {}, required = [] }: SchemaNode): fc.Arbitrary<object> {
  const children = Object.fromEntries(Object.entries(properties).map(([name, child]) => [name, valueFor(child)]));
  const known = fc.record(children, { requiredKeys: [] }).map((all) => all as Record<string, unknown>);
  // Few of many keys, else nearly everything is wrong somewhere.
  const some = fc.tuple(known, fc.infiniteStream(fc.nat(9))).map(([all, chances]) => {
    const kept = Object.entries(all).filter(
      ([name]) => (chances.next().value ?? 0) > (required.includes(name) ? 0 : 7),
    );
    return Object.fromEntries(kept);
  });
  const stranger = fc.oneof(
    { arbitrary: fc.constant({}), weight: 30 },
    { arbitrary: fc.constant({ colour: 'red' }), weight: 1 },
  );
  return fc.tuple(some, stranger).map(([object, more]) => ({ ...object, ...more }));
}

/** That names, paths and digests differ, and what tokens need, is more than a JSON Schema can say: there is one of each. */
const configuration = (objectFor(SCHEMA) as fc.Arbitrary<Record<string, unknown>>).map((given) => {
  // What the replicas need of one another is judged on its own below.
  const { inbound, peers: _peers, ...rest } = given;
  const config: Record<string, unknown> = { ...rest, ...(inbound !== undefined && { inbound: asSchemasSay(inbound) }) };
  const { upstreams } = config;
  if (!Array.isArray(upstreams)) return config;
  const [first] = upstreams.slice(0, 1) as unknown[];
  if (typeof first !== 'object' || first === null) return config;
  const { legacy, inbound: own, ...server } = first as Record<string, unknown>;
  const sole = { ...server, ...(own !== undefined && { inbound: asSchemasSay(own) }) };
  return { ...config, upstreams: [legacy === false ? { ...sole, legacy } : sole] };
});

function asSchemasSay(inbound: unknown): unknown {
  const { bearer, jwt } = (typeof inbound === 'object' && inbound !== null ? inbound : {}) as Record<string, unknown>;
  // It is judged on its own below.
  if (jwt !== undefined) return 'none';
  const { keys } = (typeof bearer === 'object' && bearer !== null ? bearer : {}) as Record<string, unknown>;
  return Array.isArray(keys) && keys.length > 1 ? { bearer: { keys: keys.slice(0, 1) as unknown[] } } : inbound;
}

test('the JSON Schema and the program agree on 1,000 configurations, good and bad', () => {
  const judged = { good: 0, bad: 0 };

  fc.assert(
    fc.property(configuration, (config) => {
      const { problems } = validate(config);
      judged[problems === null ? 'good' : 'bad']++;
      expect([judge(config), config, problems]).toEqual([problems === null, config, problems]);
    }),
    { numRuns: 1000, seed: 20_261 },
  );

  expect(judged.good).toBeGreaterThan(200);
  expect(judged.bad).toBeGreaterThan(200);
}, 60_000);

test('and on every single key with a good or a bad value', () => {
  const keys = KEYS.filter(({ path }) => !['upstreams', 'inbound', 'peers'].includes(path[0] ?? ''));
  for (const { path, node } of keys) {
    fc.assert(
      fc.property(valueFor(node), (value) => {
        const [section = '', key] = path;
        const config = {
          upstreams: [{ url: 'http://a/sse' }],
          [section]: key === undefined ? value : { [key]: value },
        };
        expect([judge(config), config]).toEqual([validate(config).problems === null, config]);
      }),
      { numRuns: 60 },
    );
  }
});

test('and on every key of tokens', () => {
  const keys = KEYS.filter(({ name }) => name.startsWith('inbound.jwt.'));
  const whole = { issuer: 'https://login.example.com', jwksUri: 'https://login.example.com/jwks.json' };
  expect(keys.length).toBeGreaterThan(5);
  for (const { path, node } of keys) {
    const name = path.at(-1) ?? '';
    const { jwksUri, ...rest } = whole;
    const around = name === 'jwksFile' ? rest : { ...rest, jwksUri };
    fc.assert(
      fc.property(valueFor(node), (value) => {
        const jwt = { ...around, [name]: value };
        const config = { upstreams: [{ url: 'http://a/sse' }], publicUrl: 'https://a', inbound: { jwt } };
        expect([judge(config), config]).toEqual([validate(config).problems === null, config]);
      }),
      { numRuns: 60 },
    );
  }
});

test('and on every key of replicas', () => {
  const keys = KEYS.filter(({ path }) => path[0] === 'peers');
  expect(keys.length).toBeGreaterThan(4);
  for (const { path, node } of keys) {
    const name = path.at(-1) ?? '';
    const around = name === 'addresses' ? { self: 'a:1' } : { self: 'a:1', dns: 'b:1' };
    fc.assert(
      fc.property(valueFor(node), (value) => {
        const config = { upstreams: [{ url: 'http://a/sse' }], peers: { ...around, [name]: value } };
        expect([judge(config), config]).toEqual([validate(config).problems === null, config]);
      }),
      { numRuns: 60 },
    );
  }
});

test('a text that is still to be replaced is good for editors wherever a value stands', () => {
  const url = '${URL}';

  expect(
    judge({
      upstreams: [{ url, mode: '${M:-auto}', headers: { a: 'x${B}' } }],
      listen: { port: '${P}' },
      heartbeat: '${H}',
    }),
  ).toBe(true);
  expect(judge({ upstreams: url })).toBe(false);
});

const JWT = { issuer: 'https://login.example.com', jwksUri: 'https://login.example.com/jwks.json' };

test('what it does not know is known to the page that says so', () => {
  const twice = { url: 'http://a/sse' };
  const unknown = [
    { upstreams: [twice, twice] },
    { upstreams: [{ url: 'http://a:99999/sse' }] },
    { upstreams: [twice], listen: { port: 1 }, admin: { port: 1 } },
    { upstreams: [{ url: 'http://u:%zz@a/sse' }] },
    { upstreams: [{ url: 'http://a/sse', headers: { 'X-A': '1', 'x-a': '1' } }] },
    { upstreams: [twice], inbound: { jwt: JWT } },
    { upstreams: [twice], publicUrl: 'https://a', inbound: { jwt: { ...JWT, jwksFile: '/keys.json' } } },
    { upstreams: [twice], publicUrl: 'https://a', inbound: { jwt: { issuer: JWT.issuer } } },
    { upstreams: [twice], secrets: { current: '0'.repeat(64) } },
    ...[['0'.repeat(64), '0'.repeat(64)], [createHash('sha256').digest('hex')]].map((digests) => ({
      upstreams: [{ url: 'http://a/sse' }],
      inbound: { bearer: { keys: digests.map((sha256, index) => ({ name: `n${index}`, sha256 })) } },
    })),
  ];

  for (const config of unknown) expect([judge(config), validate(config).problems === null]).toEqual([true, false]);
});
