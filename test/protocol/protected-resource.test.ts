import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { challengeOf, metadataOf, protectedResource } from '../../src/protocol/protected-resource.ts';

const OURS = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp';
const THEIRS = 'http://old:9001/.well-known/oauth-protected-resource';

test.each<[publicUrl: string, path: string, resource: string, document: string]>([
  ['https://a.example', '/mcp', 'https://a.example/mcp', 'https://a.example/.well-known/oauth-protected-resource/mcp'],
  ['https://a.example/', '/x/y', 'https://a.example/x/y', 'https://a.example/.well-known/oauth-protected-resource/x/y'],
  [
    'https://a.example/gw/',
    '/mcp',
    'https://a.example/gw/mcp',
    'https://a.example/.well-known/oauth-protected-resource/gw/mcp',
  ],
  [
    'http://a.example:8080',
    '/mcp',
    'http://a.example:8080/mcp',
    'http://a.example:8080/.well-known/oauth-protected-resource/mcp',
  ],
])('behind %s the resource at %s is %s, and its document %s', (publicUrl, path, resource, document) => {
  expect(protectedResource(new URL(publicUrl), path)).toEqual({
    url: resource,
    metadataUrl: document,
    metadataPath: new URL(document).pathname,
  });
});

test('the document of an origin stands at the well-known path itself', () => {
  const { metadataPath } = protectedResource(new URL('https://a.example'), '/');

  expect(metadataPath).toBe('/.well-known/oauth-protected-resource');
});

test.each<[given: string, withOurs: string, withNone: string]>([
  ['Bearer', 'Bearer', 'Bearer'],
  ['Bearer realm="x"', 'Bearer realm="x"', 'Bearer realm="x"'],
  [`Bearer resource_metadata="${THEIRS}"`, `Bearer resource_metadata="${OURS}"`, 'Bearer'],
  [
    `Bearer error="invalid_token", resource_metadata="${THEIRS}", scope="a b"`,
    `Bearer error="invalid_token", resource_metadata="${OURS}", scope="a b"`,
    'Bearer error="invalid_token", scope="a b"',
  ],
  [
    `Bearer resource_metadata="${THEIRS}", error="invalid_token"`,
    `Bearer resource_metadata="${OURS}", error="invalid_token"`,
    'Bearer error="invalid_token"',
  ],
  [
    `Bearer resource_metadata="${THEIRS}", Basic realm="x"`,
    `Bearer resource_metadata="${OURS}", Basic realm="x"`,
    'Bearer, Basic realm="x"',
  ],
  [`Bearer Resource_Metadata = ${THEIRS} ,scope=a`, `Bearer resource_metadata="${OURS}" ,scope=a`, 'Bearer scope=a'],
  [
    `Bearer error_description="resource_metadata=\\"x\\", y", resource_metadata="${THEIRS}"`,
    `Bearer error_description="resource_metadata=\\"x\\", y", resource_metadata="${OURS}"`,
    'Bearer error_description="resource_metadata=\\"x\\", y"',
  ],
  ['Bearer my_resource_metadata="x"', 'Bearer my_resource_metadata="x"', 'Bearer my_resource_metadata="x"'],
  [
    `Basic realm="x", Bearer resource_metadata="${THEIRS}"`,
    `Basic realm="x", Bearer resource_metadata="${OURS}"`,
    'Basic realm="x", Bearer',
  ],
])('the challenge %s', (given, withOurs, withNone) => {
  expect(challengeOf([given], OURS)).toBe(withOurs);
  expect(challengeOf([given], null)).toBe(withNone);
});

test('several headers are one; none, one that is far too long, and one that cannot be read, is none', () => {
  expect(challengeOf(['Basic realm="a"', 'Bearer'], OURS)).toBe('Basic realm="a", Bearer');
  for (const header of [
    [],
    [''],
    [' '],
    [`Bearer a="${'x'.repeat(9000)}"`],
    ['Bearer resource_metadata="cut off'],
    ['Bearer "x"'],
  ])
    expect(challengeOf(header, OURS)).toBeNull();
});

test('whatever it is, it is read in no time, and nothing of the upstream’s document is left', () => {
  const part = fc.constantFrom(
    '"',
    '\\',
    ',',
    ' ',
    '=',
    'resource_metadata',
    `resource_metadata="${THEIRS}"`,
    'Bearer',
    'a',
    '""',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
      const given = parts.join('');
      const told = challengeOf([given], OURS);
      // Only inside a text of another parameter it can still stand.
      const bare = (told ?? '').replaceAll(/"(?:\\.|[^"\\])*"/g, '');
      expect(bare).not.toContain('old:9001');
    }),
  );
  const startedAt = performance.now();
  for (const text of ['"\\'.repeat(4000), 'resource_metadata='.repeat(450), ', '.repeat(4000), 'a=",'.repeat(2000)]) {
    challengeOf([text], null);
  }
  expect(performance.now() - startedAt).toBeLessThan(200);
});

const RESOURCE = 'https://mcp.example.com/mcp';

test.each<[what: string, document: string, told: object | null]>([
  [
    'a document',
    '{"resource":"http://old:9001","authorization_servers":["https://as.example/t"],"scopes_supported":["a"]}',
    { resource: RESOURCE, authorization_servers: ['https://as.example/t'], scopes_supported: ['a'] },
  ],
  ['one without authorization servers', '{"resource":"x"}', { resource: RESOURCE }],
  ['a signed one', '{"resource":"x","signed_metadata":"a.b.c"}', { resource: RESOURCE }],
  ['one without a resource', '{"authorization_servers":[]}', null],
  ['one with another kind of servers', '{"resource":"x","authorization_servers":"https://as.example"}', null],
  ['one with a server that is none', '{"resource":"x","authorization_servers":[1]}', null],
  ['a list', '[{"resource":"x"}]', null],
  ['null', 'null', null],
  ['a page', '<html>', null],
  ['nothing', '', null],
  ['one that is far too deep', `{"resource":"x","a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, null],
])('of %s is told what is right for our URL', (_what, document, told) => {
  const text = metadataOf(document, RESOURCE);

  expect(text === null ? null : JSON.parse(text)).toEqual(told);
});

test('a member called __proto__ stays a member', () => {
  const told = metadataOf('{"resource":"x","__proto__":{"polluted":1}}', RESOURCE);

  expect(told).toContain('"__proto__":{"polluted":1}');
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});
