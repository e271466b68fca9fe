// Whose credentials go to a server: which forms there are, and what is refused because something else says otherwise.

import { describe, expect, test } from 'vitest';
import { KEYS } from '../../src/config/keys.ts';
import type { Config } from '../../src/config/schema.ts';
import { refuseUnsafe, warningsOf } from '../../src/verbs/exposure.ts';
import { certificate } from '../support/certificates.ts';
import { configOf, faultsOf } from './surroundings.ts';

const yaml = (upstream: string, general = '', url = 'http://127.0.0.1:9001/sse'): string =>
  `${general}upstreams:\n  - url: ${url}\n${upstream === '' ? '' : `    ${upstream.replaceAll('; ', '\n    ')}\n`}`;
const BEARER = `inbound: { bearer: { keys: [ { name: a, sha256: '${'a'.repeat(64)}' } ] } }\n`;

test.each<[upstream: string, outbound: unknown]>([
  ['', 'none'],
  ['outbound: none', 'none'],
  ['headers: { x-key: a }', 'headers'],
  ['outbound: headers; headers: { x-key: a }', 'headers'],
  ['outbound: { forward: [Authorization, X-Tenant, x-tenant] }', { forward: ['authorization', 'x-tenant'] }],
  ['outbound: { forward: [cookie] }; headers: { x-key: a }', { forward: ['cookie'] }],
])('%s: %o', (upstream, outbound) => {
  expect(configOf({ yaml: yaml(upstream) }).upstreams[0]?.outbound).toEqual(outbound);
});

const CERTIFICATE = 'tls: { cert: ours.pem, key: ours.key }';
const files = { 'ours.pem': certificate('client.pem'), 'ours.key': certificate('client.key') };

/** Beside headers, each by its own text of an upstream and its URL. */
const OTHER_FORMS: [what: string, upstream: string, url: string][] = [
  ['a user', '', 'http://u:p@127.0.0.1/sse'],
  ['a parameter', '', 'http://127.0.0.1/sse?api_key=a'],
  ['a certificate', CERTIFICATE, 'https://127.0.0.1/sse'],
];

test.each(OTHER_FORMS)('%s is a credential of ours: for the default, for none, and for headers', (_what, own, url) => {
  const said = (outbound: string) => ({ yaml: yaml([outbound, own].filter(Boolean).join('; '), '', url), files });

  expect(configOf(said('')).upstreams[0]?.outbound).toBe('headers');
  expect(configOf(said('outbound: headers')).upstreams[0]?.outbound).toBe('headers');
  expect(faultsOf(said('outbound: none')).faults).toMatchObject([
    { key: 'upstreams[0].outbound', message: expect.stringContaining('headers, url (also as a parameter) or tls.key') },
  ]);
});

test('what cannot be a credential is none', () => {
  expect(configOf({ yaml: yaml('', '', 'http://127.0.0.1/sse?page=1') }).upstreams[0]?.outbound).toBe('none');
});

test.each<[what: string, yaml: string, key: string, message: RegExp]>([
  ['none with headers', yaml('outbound: none; headers: { x-key: a }'), 'outbound', /remove them, or say headers/],
  ['none with a user', yaml('outbound: none', '', 'http://u:p@127.0.0.1/sse'), 'outbound', /headers, url/],
  ['headers without any', yaml('outbound: headers'), 'outbound', /there are none/],
  [
    'a header of both',
    yaml('outbound: { forward: [X-Key] }; headers: { x-KEY: a }'),
    'outbound.forward',
    /holds x-key/,
  ],
  [
    'a user beside the caller’s',
    yaml('outbound: { forward: [authorization] }', '', 'http://u:p@127.0.0.1/sse'),
    'outbound.forward',
    /the caller’s or ours/,
  ],
  [
    'the header that opens this gateway',
    yaml('outbound: { forward: [authorization] }', BEARER),
    'outbound.forward',
    /must not be given to another; forward another header, or say inbound: none and let the server decide \(then, on a public address, without secrets of ours/,
  ],
  [
    'the header that opens it for this server alone',
    yaml(`outbound: { forward: [authorization] }; ${BEARER.trim()}`),
    'outbound.forward',
    /must not be given to another/,
  ],
  ['one link for all', yaml('outbound: { forward: [x-key] }; links: { single: true }'), 'outbound.forward', /single/],
  [
    'one link for all in general',
    yaml('outbound: { forward: [x-key] }', 'links: { single: true }\n'),
    'outbound.forward',
    /single/,
  ],
  [
    'another origin for messages',
    yaml('outbound: { forward: [x-key] }; messageUrl: http://127.0.0.1:9002/m'),
    'outbound.forward',
    /the origin of url alone/,
  ],
  [
    'more origins for messages',
    yaml('outbound: { forward: [x-key] }; allowEndpointOrigins: [https://127.0.0.1:9001]'),
    'outbound.forward',
    /the origin of url alone/,
  ],
])('%s is refused, with what to do', (_what, text, key, message) => {
  expect(faultsOf({ yaml: text }).faults).toMatchObject([
    { key: `upstreams[0].${key}`, message: expect.stringMatching(message), place: { kind: 'file' } },
  ]);
});

test('a publicUrl with a query or a user is refused', () => {
  for (const url of ['https://a/?b', 'https://u:p@a/']) {
    expect(faultsOf({ yaml: yaml('', `publicUrl: ${url}\n`) }).faults).toMatchObject([{ key: 'publicUrl' }]);
  }
});

test.each(['none', '', 'forward', '[authorization]', '{ forward: [] }', '{ forward: [two words] }', '{}'])(
  'outbound: %s is a form of its own, or none',
  (outbound) => {
    const config = { yaml: yaml(`outbound: ${outbound}`) };
    if (outbound === 'none') expect(configOf(config).upstreams[0]?.outbound).toBe('none');
    else expect(faultsOf(config).message).toContain('upstreams[0].outbound');
  },
);

const REFUSED =
  'Host connection TE transfer-encoding Upgrade keep-alive trailer Expect http2-settings proxy-authorization Proxy-Connection Content-Length content-type content-encoding accept Accept-Encoding accept-language Mcp-Session-Id mcp-protocol-version mcp-anything last-event-id origin referer forwarded X-Forwarded-For via sec-fetch-site if-none-match range set-cookie __proto__';

test.each([...REFUSED.split(' '), 'two words', ''])('%o cannot be forwarded', (name) => {
  const { faults } = faultsOf({ yaml: yaml(`outbound: { forward: [ ${JSON.stringify(name)} ] }`) });

  expect(faults).toMatchObject([
    { key: 'upstreams[0].outbound.forward[0]', message: expect.stringMatching(/^is no header/) },
  ]);
});

test('credentials of callers over plain http are told of, but for this machine', () => {
  const said = (url: string): number =>
    warningsOf(configOf({ yaml: yaml('outbound: { forward: [cookie] }', '', url) })).length;

  expect(['http://127.0.0.1/sse', 'http://[::1]:1/sse', 'http://localhost/sse', 'https://old/sse'].map(said)).toEqual([
    0, 0, 0, 0,
  ]);
  expect(['http://old/sse', 'http://10.0.0.1/sse'].map(said)).toEqual([1, 1]);
});

test('both forms have a flag and a variable', () => {
  const env = { CAUSEWAY_UPSTREAM: 'http://127.0.0.1/sse', CAUSEWAY_OUTBOUND_FORWARD: 'authorization, x-tenant' };

  expect(configOf({ env }).upstreams[0]?.outbound).toEqual({ forward: ['authorization', 'x-tenant'] });
  expect(KEYS.filter(({ name }) => name.startsWith('upstreams[].outbound')).map(({ flag }) => flag)).toEqual([
    'outbound',
    'outbound-forward',
  ]);
});

describe('on a public address, with ours beside the authorization of callers', () => {
  const PUBLIC = 'listen: { host: 0.0.0.0 }\n';
  const THEIRS = 'outbound: { forward: [authorization] }';
  const HTTPS = 'https://old/sse';
  const beside = (own: string, general = PUBLIC, url = HTTPS, theirs = THEIRS): Config =>
    configOf({ yaml: yaml(own === '' ? theirs : `${theirs}; ${own}`, general, url), files });
  const toldOf = (config: Config): string[] => warningsOf(config).map(({ text }) => text);

  test.each([CERTIFICATE, 'headers: { x-tenant: acme }'])('%s goes with a warning: the server decides', (own) => {
    const config = beside(own);

    expect(() => refuseUnsafe(config)).not.toThrow();
    expect(toldOf(config)).toEqual([expect.stringMatching(/public address.*must refuse all but those it knows/)]);
    expect(toldOf(beside(own, ''))).toEqual([]);
  });

  test.each([
    ['headers: { x-api-key: a }', HTTPS],
    ['headers: { x-tenant: Basic dTpw }', HTTPS],
    [`${CERTIFICATE}; headers: { cookie: a }`, HTTPS],
    ['', `${HTTPS}?api_key=a`],
  ])('a secret is refused (%s, %s), with ways out that are open', (own, url) => {
    const refused = (): void => refuseUnsafe(beside(own, PUBLIC, url));

    expect(refused).toThrow(/Take the secrets out of headers and url.*Or forward another header.*inbound\.jwt/);
    expect(() => refuseUnsafe(beside(own, '', url))).not.toThrow();
    expect(() =>
      refuseUnsafe(beside(own, PUBLIC + BEARER, url, 'outbound: { forward: [x-user-token] }')),
    ).not.toThrow();
  });

  test('another header than authorization is no reason to lend ours: inbound can stand beside it', () => {
    expect(() => refuseUnsafe(beside(CERTIFICATE, PUBLIC, HTTPS, 'outbound: { forward: [x-user-token] }'))).toThrow(
      /could use them\. Let in only callers you know.*or listen on 127\.0\.0\.1/,
    );
  });
});

test('that anybody can use a server is not said of one that decides itself who may', () => {
  const open = (upstream: string): boolean =>
    warningsOf(configOf({ yaml: yaml(upstream, 'listen: { host: 0.0.0.0 }\n') })).some(({ text }) =>
      text.includes('can use the server behind it'),
    );

  expect([open(''), open('outbound: { forward: [authorization] }'), open('outbound: { forward: [cookie] }')]).toEqual([
    true,
    false,
    false,
  ]);
});
