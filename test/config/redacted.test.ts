import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { redactedText, redactedUrl } from '../../src/config/redacted-url.ts';
import { effective } from '../../src/config/redacted.ts';
import { configOf } from './surroundings.ts';

test('what is in effect is shown without secrets, in the form of a file that means the same', () => {
  const yaml = `upstreams:
  - url: ["http://user:s3cret@a/sse?token=t0ken", "http://b/sse"]
    messageUrl: http://a/messages?token=t0ken
    headers: { x-api-key: k3y, keys: k3y, bearer: k3y, tls: k3y, anything: k3y }
    timeouts: { request: 90s }
limits: { bodyBytes: 5MiB }
inbound: { bearer: { keys: [ { name: alice, sha256: "${'a'.repeat(64)}" } ] } }
`;
  const config = configOf({ yaml });

  const shown = effective(config);

  expect(JSON.stringify(shown)).not.toMatch(/s3cret|t0ken|k3y|aaaa/);
  expect(shown).toMatchObject({
    heartbeat: '15s',
    limits: { bodyBytes: '5MiB', jsonDepth: 128, bufferedBytes: '0B' },
    timeouts: { sessionMax: '1d', request: '5m' },
    inbound: { bearer: { keys: [{ name: 'alice', sha256: '***' }] } },
    upstreams: [
      {
        url: ['http://***@a/sse?***', 'http://b/sse'],
        headers: { 'x-api-key': '***', keys: '***', bearer: '***', tls: '***', anything: '***' },
        timeouts: { request: '90s' },
        mode: 'auto',
      },
    ],
  });
});

const TOKENS = '{ jwt: { issuer: https://a, jwksUri: https://a/k, audience: [b], scopes: [c], clockTolerance: 1m } }';

const TLS = '{ cert: /a/tls.crt, key: /a/tls.key }';

test.each([
  ['of one server', 'upstreams:\n  - url: http://a/sse\n    links: { max: 3 }\n'],
  ['of TLS', `listen: { tls: ${TLS} }\nadmin: { tls: ${TLS} }\nupstreams:\n  - url: http://a/sse\n`],
  ['of tokens', `publicUrl: https://b/c/\nupstreams:\n  - url: http://a/sse\ninbound: ${TOKENS}\n`],
  ['of tokens for one server', `publicUrl: https://b\nupstreams:\n  - { url: http://a/sse, inbound: ${TOKENS} }\n`],
])('what is shown of a configuration without secrets is that configuration: %s', (_what, yaml) => {
  const config = configOf({ yaml });

  const again = configOf({ yaml: JSON.stringify(parse(JSON.stringify(effective(config)))) });

  expect(again).toEqual(config);
});

test.each([
  ['http://a/sse', 'http://a/sse'],
  ['https://u@a/sse', 'https://***@a/sse'],
  ['http://a/sse?token=1#x', 'http://a/sse?***'],
])('%s is shown as %s', (url, shown) => {
  expect(redactedUrl(new URL(url))).toBe(shown);
  expect(redactedText(`see ${url.replace(/#.*/, '')} there`)).toBe(`see ${shown} there`);
});
