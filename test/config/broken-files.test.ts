// Broken files, each with a § before the places that are to be blamed, in their order.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config/load.ts';
import { shownLine } from '../../src/config/shown-line.ts';
import { URL_LINE as U, configOf, faultsOf, machine } from './surroundings.ts';

const J = `${U}publicUrl: https://mcp.example.com\n`;
const jwt = (keys: string): string => `${J}inbound: { jwt: { ${keys} } }\n`;

const BROKEN: readonly (readonly [what: string, yaml: string, ...messages: RegExp[]])[] = [
  // Not YAML
  ['a tab that indents', 'upstreams:\n§\t- url: http://a/sse\n', /tabs/],
  ['an open bracket', 'upstreams: [ { url: http://a/sse }\n§log: {}\n', /not YAML/],
  ['an open quote', `${U}log: { level: "info }\n§`, /not YAML.*quote/],
  ['a key twice', `${U}heartbeat: 5s\n§heartbeat: 6s\n`, /given twice/],
  ['a key twice in a section', `${U}links:\n  max: 1\n  §max: 2\n`, /given twice/],
  ['an alias of nothing', `${U}heartbeat: §*beat\n`, /alias/],
  ['two documents', `${U}§---\nlog: {}\n`, /documents/],
  ['an unquoted ${…} in braces', 'upstreams:\n  - { url: http://a/sse, name: $§{NAME} }\n', /quotes/],
  // Nothing, or something else
  ['an empty file', '§', /upstreams: is missing/],
  ['a list', '§- url: http://a/sse\n', /must be a section/],
  ['a word', '§hello\n', /must be a section/],
  ['no upstreams', '§log: { level: info }\n', /upstreams: is missing/],
  ['upstreams without any', 'upstreams: §[]\n', /names no server/],
  ['upstreams left empty', 'upstreams:§\n', /upstreams: is empty/],
  ['upstreams that are no list', 'upstreams: §http://a/sse\n', /must be a list/],
  ['an upstream that is a text', 'upstreams:\n  - §http://a/sse\n', /upstreams\[0\]: must be a section/],
  // Unknown keys
  ['an unknown key', `${U}§colour: red\n`, /colour: is no known key/],
  ['a misspelt section', `${U}§timeout:\n  request: 5s\n`, /did you mean timeouts/],
  ['a misspelt key in a section', `${U}timeouts:\n  §requst: 5s\n`, /timeouts\.requst.*did you mean request/],
  ['a misspelt key of an upstream', `${U}    §pth: /x\n`, /upstreams\[0\]\.pth.*did you mean path/],
  ['a misspelt key in braces', 'upstreams: [ { url: http://a/sse, §nmae: x } ]\n', /did you mean name/],
  ['a key with a dash', `${U}links:\n  §idle-timeout: 5s\n`, /did you mean idleTimeout/],
  ['a key of another case', `${U}links:\n  §MaxQueue: 5\n`, /did you mean maxQueue/],
  ['a key of a section at the top', `${U}§idleTimeout: 5s\n`, /did you mean links\.idleTimeout/],
  ['a key of an upstream at the top', `${U}§headers: {}\n`, /did you mean upstreams\[\]\.headers/],
  ['drain in an upstream', `${U}    §drain: { timeout: 1s }\n`, /set drain at the top/],
  ['listen in an upstream', `${U}    §listen: { port: 1 }\n`, /set listen at the top/],
  ['a limit of the process in an upstream', `${U}    limits: { §sessions: 5 }\n`, /set limits\.sessions at the top/],
  ['__proto__', `${U}§__proto__: { polluted: true }\n`, /__proto__: is no known key/],
  ['two unknown keys', `${U}§one: 1\n§two: 2\n`, /one/, /two/],
  // Values
  ['a duration without a unit', `${U}timeouts:\n  request: §5\n`, /timeouts\.request: .*unit/],
  ['a quoted duration without a unit', `${U}timeouts:\n  request: §"5"\n`, /has no unit/],
  ['an unknown unit', `${U}heartbeat: §5 years\n`, /unit \(ms, s, m/],
  ['too short a duration', `${U}heartbeat: §5ms\n`, /at least 10ms/],
  ['a duration of nothing', `${U}timeouts: { connect: §0s }\n`, /at least 1ms/],
  ['too long a duration', `${U}timeouts: { sessionMax: §60d }\n`, /too long/],
  ['a negative duration', `${U}heartbeat: §-5s\n`, /unit/],
  ['a size without a unit', `${U}limits: { bodyBytes: §4000000 }\n`, /unit/],
  ['a size of seconds', `${U}limits: { bodyBytes: §4s }\n`, /KiB/],
  ['too large a size', `${U}limits: { bodyBytes: §100GiB }\n`, /too large/],
  ['a count that is a text', `${U}links: { max: §many }\n`, /whole number, at least 1/],
  ['a count that is a fraction', `${U}links: { max: §1.5 }\n`, /whole number/],
  ['a count below the least', `${U}links: { max: §0 }\n`, /at least 1/],
  ['a port out of range', `${U}listen: { port: §70000 }\n`, /from 0 to 65535/],
  ['listen as a text', `${U}listen: §127.0.0.1:8080\n`, /section with host, port/],
  ['an unknown mode', `${U}    mode: §statless\n`, /"auto", "stateless" or "session".*did you mean stateless/],
  ['an unknown level', `${U}log: { level: §inf }\n`, /did you mean info/],
  ['single: false', `${U}links: { single: §false }\n`, /"auto" or true/],
  ['single: alone', `${U}links: { single: §alone }\n`, /"auto" or true/],
  ['no URL', 'upstreams:\n  - §name: a\n', /upstreams\[0\]\.url: is missing/],
  ['a URL left empty', 'upstreams:\n  - url:§\n', /url: is empty/],
  ['a URL of another scheme', 'upstreams:\n  - url: §ftp://a/sse\n', /http or https/],
  ['a URL without a scheme', 'upstreams:\n  - url: §localhost:9001/sse\n', /write http:\/\/localhost:9001\/sse$/m],
  ['a URL of a misspelt scheme', 'upstreams:\n  - url: §htp://a/sse\n', /did you mean http:\/\/a\/sse/],
  ['a URL with a fragment', 'upstreams:\n  - url: §http://a/sse#x\n', /fragment.*%23/],
  ['a URL with port 0', 'upstreams:\n  - url: §http://a:0/sse\n', /port 0/],
  ['a URL of nothing', 'upstreams:\n  - url: §""\n', /is empty/],
  ['a name that is a number', `${U}    name: §5\n`, /put it in quotes/],
  ['a bad URL in a list', 'upstreams:\n  - url:\n      - http://a/sse\n      - §nonsense\n', /url\[1\].*http/],
  ['a URL with a bad port', 'upstreams:\n  - url: §http://a:99999/sse\n', /65535/],
  ['a URL with a bad password', 'upstreams:\n  - url: §http://u:%zz@a/sse\n', /percent-encoded/],
  ['a password for messages', `${U}    messageUrl: §http://u:pw@a/m\n`, /messageUrl: holds a user name.*headers/],
  ['a path without a slash', `${U}    path: §mcp\n`, /slash/],
  ['a path that is taken', `${U}    path: §/healthz\n`, /healthz/],
  ['a name with a blank', `${U}    name: §my server\n`, /letters, digits/],
  ['a header that we set', `${U}    headers:\n      §Content-Type: x\n`, /gateway sets itself/],
  ['a header without quotes', `${U}    headers:\n      x-number: §5\n`, /quotes/],
  ['a header with a line break', `${U}    headers:\n      x-a: §"a\\nb"\n`, /line break/],
  ['a header of no name', `${U}    headers: { §__proto__: x }\n`, /__proto__: is no header name/],
  ['a header in two spellings', `${U}    headers:\n      X-A: x\n      x-a: §x\n`, /they are one header/],
  ['headers as a list', `${U}    headers: §[a]\n`, /names with a text each/],
  [
    'two upstreams of one name',
    `${U}    name: a\n  - url: http://b/sse\n    name: §a\n    path: /b\n`,
    /name a already/,
  ],
  [
    'two upstreams on one path',
    `${U}    name: a\n  - url: http://b/sse\n    path: §/mcp\n`,
    /path of upstream a already/,
  ],
  ['an old path that is taken', `${U}    legacy: { sse: §/mcp }\n`, /path of upstream default already/],
  ['a key in legacy', `${U}    legacy: { §ss: /x }\n`, /did you mean sse/],
  ['a newer version', `version: §2\n${U}    newKey: 1\nfuture: {}\n`, /version 2.*newer mcp-causeway/],
  ['a version that is a text', `version: §one\n${U}`, /must be 1/],
  ['a host with a port', `${U}allowedHosts: [ §localhost:8080 ]\n`, /without scheme, port and path: write localhost$/m],
  ['a host with a scheme', `${U}allowedHosts: [ §http://localhost:8080/x ]\n`, /write localhost$/m],
  ['a host with a slash', `${U}allowedHosts: [ a.example, §app.example.com/ ]\n`, /write app\.example\.com$/m],
  ['an IPv6 address bare', `${U}allowedHosts: [ §"::1" ]\n`, /write \[::1\]$/m],
  ['any host', `${U}allowedHosts: [ §"*" ]\n`, /is a pattern.*list each name/],
  ['a host in letters of no host', `${U}allowedHosts: [ §täst.example ]\n`, /such as mcp\.example\.com/],
  ['a blank host', `${U}allowedHosts: [ §" " ]\n`, /a name alone, without scheme/],
  ['an origin with a slash', `${U}allowedOrigins: [ §https://a.example/ ]\n`, /write https:\/\/a\.example$/m],
  ['an origin with the usual port', `${U}allowedOrigins: [ §https://a.example:443 ]\n`, /write https:\/\/a\.example$/m],
  ['an origin without a scheme', `${U}allowedOrigins: [ §app.example.com ]\n`, /write https:\/\/app\.example\.com$/m],
  ['any origin', `${U}allowedOrigins: [ §"*" ]\n`, /is a pattern.*list each origin/],
  ['an origin with a user', `${U}allowedOrigins: [ §http://u:pw@a/ ]\n`, /write http:\/\/a$/m],
  ['a proxy by name', `${U}trustedProxies: [ 10.0.0.1, §nginx ]\n`, /must be an address or a range/],
  ['a range of too many bits', `${U}trustedProxies: [ §10.0.0.0/33 ]\n`, /must be an address or a range/],
  ['a range of no address', `${U}trustedProxies: [ "::1/128", §"10.0.0/8" ]\n`, /must be an address or a range/],
  ['the origin of no page', `${U}allowedOrigins: [ §"null" ]\n`, /what any page can send/],
  ['a blank origin', `${U}allowedOrigins: [ §"" ]\n`, /such as https:\/\/app\.example\.com/],
  ['inbound as a word', `${U}inbound: §bearer\n`, /"none", a section with bearer or a section with jwt/],
  ['inbound without keys', `${U}inbound: { bearer: §{} }\n`, /inbound\.bearer\.keys: is missing/],
  [
    'a key instead of its digest',
    `${U}inbound:\n  bearer:\n    keys:\n      - { name: a, sha256: §abc }\n`,
    /64 hexadecimal/,
  ],
  [
    'a key without a name',
    `${U}inbound: { bearer: { keys: [ §{ sha256: "${'0'.repeat(64)}" } ] } }\n`,
    /name: is missing/,
  ],
  [
    'the digest of nothing',
    `${U}inbound: { bearer: { keys: [ { name: a, sha256: §${createHash('sha256').digest('hex').toUpperCase()} } ] } }\n`,
    /digest of an empty text/,
  ],
  [
    'one key of two callers',
    `${U}inbound:\n  bearer:\n    keys:\n      - { name: a, sha256: ${'a'.repeat(64)} }\n      - { name: b, sha256: §${'A'.repeat(64)} }\n`,
    /the key of a already/,
  ],
  [
    'two kinds of callers',
    `${J}inbound: { bearer: {}, §jwt: {} }\n`,
    /inbound\.jwt: cannot stand beside bearer: choose one/,
  ],
  ['a kind that is none', `${U}inbound: { §jtw: { issuer: https://a } }\n`, /is no known key.*did you mean jwt/],
  ['tokens of nobody', `${J}inbound: { jwt: §{ jwksUri: https://a/jwks } }\n`, /jwt\.issuer: is missing: who issues/],
  ['an issuer in the clear', jwt('issuer: §http://login.example.com, jwksUri: https://a/k'), /must be an https URL/],
  [
    'an issuer that looks like loopback',
    jwt('issuer: §http://localhost.evil.com, jwksUri: https://a/k'),
    /must be an https URL/,
  ],
  ['keys in the clear', jwt('issuer: https://a, jwksUri: §http://a/k'), /must be an https URL, or http on a loopback/],
  ['keys behind a password', jwt('issuer: https://a, jwksUri: §https://u:p@a/k'), /without user name/],
  ['keys from nowhere', `${J}inbound: { jwt: §{ issuer: https://a } }\n`, /jwksUri: is missing: .* or from jwksFile/],
  ['keys from two places', jwt('issuer: https://a, jwksUri: §https://a/k, jwksFile: /k'), /stands beside jwksFile/],
  [
    'an algorithm with a shared secret',
    jwt('issuer: https://a, jwksUri: https://a/k, algorithms: [ §HS256 ]'),
    /must be "RS256"/,
  ],
  ['no algorithm', jwt('issuer: https://a, jwksUri: https://a/k, algorithms: §[]'), /names no algorithm/],
  [
    'tokens without a signature',
    jwt('issuer: https://a, jwksUri: https://a/k, algorithms: [ §none ]'),
    /must be "RS256"/,
  ],
  ['any audience', jwt('issuer: https://a, jwksUri: https://a/k, audience: §[]'), /names no audience/],
  ['two scopes as one', jwt('issuer: https://a, jwksUri: https://a/k, scopes: [ §"a b" ]'), /must be one scope/],
  ['a public URL with a query', `${U}publicUrl: §https://a/?b\n`, /without user name, query and fragment/],
  ['no keys', `${U}inbound: { bearer: { keys: §[] } }\n`, /names no key/],
  // What is put in
  ['an empty variable in a header', `${U}    headers:\n      x-key: Bearer §\${EMPTY}\n`, /is empty: set it/],
  ['an empty file in a header', `${U}    headers: { x-key: "§\${file:/empty}" }\n`, /is empty: set it/],
  ['a variable that is not set', `${U}    headers:\n      x-key: Bearer §\${NOPE}\n`, /no NOPE: set it/],
  ['a variable that is nearly set', `${U}    headers:\n      x-key: §\${HOEM}\n`, /did you mean HOME/],
  [
    'a file that is not there',
    `${U}    headers:\n      x-key: "§\${file:/nope}"\n`,
    /\/nope cannot be read: there is no such file/,
  ],
  ['an open ${', `${U}    name: §\${HOME\n`, /closing brace/],
  ['a ${} of nothing', `${U}    name: a§\${}\n`, /names no variable/],
  ['a variable of the wrong form', `${U}heartbeat: §\${HOME}\n`, /unit/],
  ['several at once', `${U}    mode: §x\n§logs: {}\nheartbeat: §1\n`, /mode/, /logs/, /heartbeat/],
];

test('there are at least 60 of them', () => {
  expect(BROKEN.length).toBeGreaterThanOrEqual(60);
});

test.each(BROKEN.map(([what, marked, ...messages]) => ({ what, marked, messages })))(
  '$what',
  ({ marked, messages }) => {
    const { yaml, places } = unmarked(marked);

    const { faults, message } = faultsOf({ yaml, env: { HOME: '/home', EMPTY: '' }, files: { '/empty': ' \n' } });

    expect(faults.map(({ place }) => place.kind === 'file' && `${place.line}:${place.column}`)).toEqual(places);
    for (const [index, expected] of messages.entries()) {
      const fault = faults[index];
      const hint = fault?.suggestion === undefined ? '' : ` (did you mean ${fault.suggestion}?)`;
      expect(`${fault?.key}: ${fault?.message}${hint}`).toMatch(expected);
      expect(message).toMatch(expected);
    }
    expect(message).not.toMatch(/undefined|\[object|Invalid input|\bexpected/);
  },
);

test('what is told has file, line and column, the line itself, and carets below what is meant', () => {
  const { message } = faultsOf({ yaml: `${U}timeouts:\n  requst: 5s\n` });

  expect(message).toBe(
    'proxy.yaml:4:3: timeouts.requst: is no known key (did you mean request?)\n  4 |   requst: 5s\n    |   ^^^^^^\n',
  );
});

test('of a very long line the part around the fault is shown', () => {
  const yaml = `upstreams: [{ url: http://a/sse, headers: { ${Array.from({ length: 60 }, (_, index) => `x-${index}: b, `).join('')}host: c } }]\n`;

  const { message } = faultsOf({ yaml });

  const [, line = '', carets = ''] = message.split('\n');
  expect(line.length).toBeLessThan(140);
  expect(line.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)).toBe('host');
});

test('no secret is in what is told: headers, user names, passwords and queries are struck out', () => {
  const yaml =
    'upstreams:\n  - { url: "http://user:s3cret@a/sse?token=t0ken", headers: { x-api-key: k3y, host: h0st }, colour: red }\n';

  const { message } = faultsOf({ yaml });

  expect(message).toMatch(/colour/);
  expect(message).not.toMatch(/s3cret|t0ken|k3y|h0st/);
});

test.each([
  'http://user:s3/cret@a/sse',
  'htp://user:s3cret@a/sse?token=s3cret',
  'user:s3cret@a:9001/sse',
  'http://a:b/sse#s3cret',
])('nor where the URL is none: %s', (url) => {
  for (const yaml of [`upstreams:\n  - url: ${url}\n`, `upstreams: [{ url: "${url}" }]\n`]) {
    const { message } = faultsOf({ yaml });
    expect(message).toMatch(/url: /);
    expect(message).not.toMatch(/s3|cret/);
  }
});

test('nor where the file is no YAML', () => {
  const { message } = faultsOf({ yaml: 'upstreams:\n  - { headers: { authorization: "Bearer t0ken" }, url: [ }\n' });

  expect(message).toMatch(/not YAML/);
  expect(message).not.toContain('t0ken');
});

const S = 's3cr3t';
const IN_HEADERS = `${U}    headers:\n      `;

test.each<readonly [what: string, yaml: string]>([
  ['a key where its digest belongs', `${U}inbound: { bearer: { keys: [ { name: a, sha256: ${S} } ] } }\n`],
  ['a key of digits there', `${U}inbound:\n  bearer:\n    keys:\n      - name: a\n        sha256: 533337\n`],
  ['a key under another name', `${U}inbound:\n  bearer:\n    keys:\n      - { name: a, key: ${S} }\n`],
  ['keys by name', `${U}inbound: { bearer: { keys: { alice: ${S} } } }\n`],
  ['keys alone', `${U}inbound:\n  bearer:\n    keys:\n      - ${S}\n      - 533337\n`],
  ['tokens in place of keys', `${U}inbound: { bearer: { tokens: [ ${S}, '${S}' ] } }\n`],
  ['a key as the way to call', `${U}inbound: ${S}\n`],
  ['a misspelt section of headers', `${U}    heders: { authorization: Bearer ${S} }\n`],
  ['one header in place of headers', `${U}    header: { x-plain: ${S}, x-other: "${S}" }\n`],
  ['headers as a text', `${U}    headers: "authorization: Bearer ${S}"\n`],
  ['headers as a list', `${U}    headers: [ "authorization: ${S}", x-key=${S} ]\n`],
  ['headers as a list of lines', `${U}    headers:\n      - x-plain: ${S}\n`],
  ['a number as headers', `${U}    heders: 533337\n`],
  ['a header at the place of a key', `${U}    x-api-key: ${S}\n`],
  ['apiKey at the top', `${U}apiKey: ${S}\nx-plain: ${S}\n`],
  ['a header without its blank', `${U}    headers: { x-api-key:${S}, authorization:Bearer ${S} }\n`],
  ['a header twice', `${IN_HEADERS}x-plain: ${S}\n      x-plain: ${S}\n`],
  ['a header without quotes', `${IN_HEADERS}x-plain: 533337\n`],
  ['an anchor', `x: &s ${S}\n${U}    headers: { x-plain: *s }\n`],
  ['an alias that is none', `${IN_HEADERS}x-plain: *${S}\n`],
  ['a tag', `${U}    heders: { a: !!int ${S}, b: !${S} x }\n`],
  ['an escape that is none', `${IN_HEADERS}x-plain: "${S}\\${S}"\n`],
  ['an open quote', `${IN_HEADERS}x-plain: "${S}\n      x-other: ${S}\n`],
  ['a text on several lines', `${IN_HEADERS}x-plain: Bearer\n        ${S}: ${S}\n`],
  ['an indicator at the start', `${IN_HEADERS}x-plain: @${S}\n      x-other: '${S}\n`],
  ['a comment', `${U}colour: red # not ${S}\n`],
  ['JSON', `{"upstreams":[{"url":"http://a/sse","headers":{"x-plain":"${S}","x-other":"${S}"},"colour":"red"}]}\n`],
  ['a bracket too many', `${IN_HEADERS}x-plain: "${S}" "${S}"\n      x-other: ]${S}\n`],
  ['a text below', `${IN_HEADERS}x-plain: ${S}\n        x-other: ${S}\n`],
  ['a URL elsewhere', `${U}    uri: http://u:${S}@a/x?k=${S}#${S}\n`],
])('nor anything of the likely mistakes: %s', (_what, yaml) => {
  const { message, faults } = faultsOf({ yaml });

  expect(JSON.stringify(faults) + message).not.toMatch(/s3cr3t|533337/);
  for (const { place } of faults) {
    const [line = '', carets = ''] = place.kind === 'file' ? place.frame.split('\n') : [];
    const own = place.kind === 'file' ? (yaml.split('\n')[place.line - 1] ?? '') : '';
    expect(line).toHaveLength(`  1 | ${own}`.length);
    expect(carets.indexOf('^')).toBe(place.kind === 'file' ? '  1 | '.length + place.column - 1 : -1);
  }
});

test.each([
  'heartbeat: 5 years',
  'log: { level: inf, format: "prety" }',
  'listen: { host: 0.0.0.0:8080, port: 70000 }',
  'timeouts: { sessionMax: 60d, requst: 5 }',
  'limits: { bodyBytes: 4s }',
  'path: /healthz',
  'url: ftp://a:21/sse',
  'links: { single: false, max: 1.5 }',
  'x-key: ${NOPE}',
  '\'x-key\': "${file:/nope}"',
  '- { url: http://a/sse, mode: statless }',
])('what is no secret is shown: %s', (line) => {
  expect(shownLine(line)).toBe(line);
});

test('what is struck out is as long as before', () => {
  expect(shownLine('\t- { authorization: "Bearer ${T} x", url: "http://u:p@a/?q=1" } # why')).toBe(
    '\t- { authorization: "*******${T}**", url: "http://***@a/?***" } *****',
  );
  expect(shownLine('x'.repeat(30_000))).toBe('*'.repeat(30_000));
});

test('no character that a terminal obeys is in what is told', () => {
  const yaml = `${U}"colour\\e]0;x\\a": 1\n"a\u202eb": 1\n\u009b2J: 1\nx: \u001b[2J\ny: "\u0007 \u2066"\nz: [\u001b[2J\n`;

  for (const text of [yaml, yaml.replace(/z:.*\n/, '')]) {
    const { message, faults } = faultsOf({ yaml: text, env: { 'CAUSEWAY_\u001b[2J': 'x' }, files: {} });
    expect(JSON.stringify(faults).replaceAll('\\n', '') + message.replaceAll('\n', '')).not.toMatch(
      // oxlint-disable-next-line no-control-regex -- control characters are just what this looks for
      /[\u0000-\u001f\u007f-\u009f\u202e\u2066]|\\u00/,
    );
  }
});

test('aliases that grow without end, or into themselves, are refused', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefg'.split('').map((name, index) => `${name}: &${name} [${`*${'abcdef'[index]},`.repeat(9)}]`),
  ];

  expect(faultsOf({ yaml: `${bomb.join('\n')}\n` }).message).toMatch(/too large/);
  const itself = faultsOf({ yaml: `x: 1\nupstreams: &u [ *u ]\n` });
  expect(itself.faults.map(({ key, message }) => [key, message])).toEqual([
    ['x', 'is no known key'],
    ['upstreams[0]', 'refers to itself'],
  ]);
});

test('an anchor that is used twice, side by side, is no circle', () => {
  const yaml =
    'upstreams:\n  - { url: http://a/sse, links: &l { max: 3 } }\n  - { url: http://b/sse, name: b, path: /b, links: *l }\nlinks: *l\n';

  expect(configOf({ yaml }).upstreams.map(({ links }) => links?.max)).toEqual([3, 3]);
});

test('of very many faults the first hundred are told, soon, and how many there are more', () => {
  const keys = Array.from({ length: 6000 }, (_, index) => `colour${index}: red\n`).join('');
  const startedAt = performance.now();

  const { faults, message } = faultsOf({ yaml: U + keys });

  expect(performance.now() - startedAt).toBeLessThan(5000);
  expect(faults).toHaveLength(101);
  expect(faults[0]?.key).toBe('colour0');
  expect(message).toMatch(/\nand 5900 more$/);
});

test('names and origins that can be sent are taken', () => {
  const { allowedHosts, allowedOrigins } = configOf({
    yaml: `${U}allowedHosts: [ localhost, "[::1]", a_b.Example., 10.0.0.1 ]\nallowedOrigins: [ http://localhost:8080, https://A.example, chrome-extension://abc ]\n`,
  });

  expect([allowedHosts, allowedOrigins].map((each) => each?.length)).toEqual([4, 3]);
});

test('a header may be empty where that is said, and elsewhere a variable may be', () => {
  const yaml = `${U}    name: "a\${EMPTY}"\n    headers: { x-a: "\${EMPTY:-}", x-b: "" }\n`;

  expect(configOf({ yaml, env: { EMPTY: '' } }).upstreams[0]).toMatchObject({
    name: 'a',
    headers: { 'x-a': '', 'x-b': '' },
  });
});

test('__proto__ of a file changes nothing [T21]', () => {
  const { message } = faultsOf({ yaml: `${U}__proto__: { polluted: 1 }\n` });

  expect(message).toContain('__proto__: is no known key');
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test('a file that cannot be read says why', () => {
  const given = { file: 'missing.yaml' };

  expect(() => readConfig(given, machine())).toThrow('missing.yaml cannot be read: there is no such file');
});

/** The text without its marks, and where they were. */
function unmarked(marked: string): { yaml: string; places: string[] } {
  const places: string[] = [];
  let yaml = '';
  for (const [index, part] of marked.split('§').entries()) {
    if (index > 0) {
      const lines = yaml.split('\n');
      places.push(`${lines.length}:${(lines.at(-1) ?? '').length + 1}`);
    }
    yaml += part;
  }
  return { yaml, places };
}
