// The files of `tls`: each fault at its key, with the name of the file and what is wrong with it, and nothing of what it holds.

import { expect, test } from 'vitest';
import { effective } from '../../src/config/redacted.ts';
import { parseConfig } from '../../src/config/load.ts';
import { refuseUnsafe, warningsOf } from '../../src/verbs/exposure.ts';
import { certificate } from '../support/certificates.ts';
import { configOf, faultsOf } from './surroundings.ts';

const ENCRYPTED = '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n';
const files = {
  'ca.pem': certificate('ca.pem'),
  'client.pem': certificate('client.pem'),
  'client.key': certificate('client.key'),
  'server.key': certificate('server.key'),
  'both.pem': certificate('ca.pem') + certificate('client.pem').replace(/\nM\w{8}/, '\nMAAAAAAAA'),
  'encrypted.key': ENCRYPTED,
  'damaged.key': certificate('client.key').replace(/\nM\w{8}/, '\nMAAAAAAAA'),
  'text.pem': 'planted-secret',
};
const yaml = (tls: string): string => `upstreams:\n  - url: https://old/sse\n    tls: { ${tls} }\n`;

test.each<[tls: string, key: string, message: RegExp]>([
  ['ca: none.pem', 'ca', /none\.pem cannot be read: there is no such file/],
  ['ca: text.pem', 'ca', /text\.pem holds no certificate in PEM form/],
  ['ca: client.key', 'ca', /client\.key holds no certificate in PEM form/],
  ['ca: both.pem', 'ca', /both\.pem holds a certificate that is damaged/],
  ['cert: client.pem', 'key', /is missing: cert is of no use without it/],
  ['key: client.key', 'cert', /is missing: key is of no use without it/],
  ['cert: client.pem, key: client.pem', 'key', /client\.pem holds no private key in PEM form/],
  ['cert: client.pem, key: server.key', 'key', /server\.key is not the key of the certificate in cert/],
  ['cert: client.pem, key: encrypted.key', 'key', /encrypted\.key holds a key that is encrypted/],
  ['cert: client.pem, key: damaged.key', 'key', /damaged\.key holds a private key that is damaged/],
])('%s: a fault at %s', (tls, key, message) => {
  const { faults, message: text } = faultsOf({ yaml: yaml(tls), files });

  expect(faults).toMatchObject([{ key: `upstreams[0].tls.${key}`, message: expect.stringMatching(message) }]);
  expect(text).not.toContain('planted-secret');
});

test('what is right is read, shown by its name, and no more', () => {
  const config = configOf({ yaml: yaml('ca: ca.pem, cert: client.pem, key: client.key'), files });

  expect(config.upstreams[0]?.tls?.pem).toEqual({
    ca: files['ca.pem'],
    cert: files['client.pem'],
    key: files['client.key'],
  });
  expect(effective(config)['upstreams']).toMatchObject([{ tls: { ca: 'ca.pem', key: 'client.key' } }]);
  expect(JSON.stringify(effective(config))).not.toContain('BEGIN');
});

test('of the files the private key is a secret, which is warned of where everybody may read it [T31]', () => {
  const secret: string[] = [];
  const surroundings = {
    readFile: (path: string) => files[path as keyof typeof files],
    onSecretFile: (path: string) => void secret.push(path),
  };
  const tls = { ca: 'ca.pem', cert: 'client.pem', key: 'client.key' };

  parseConfig({ upstreams: [{ url: 'https://old/sse', tls }] }, surroundings);

  expect(secret).toEqual(['client.key']);
});

test('a certificate of ours is a credential: on a public address without authentication it would be everybody’s', () => {
  const own = configOf({ yaml: `listen: { host: 0.0.0.0 }\n${yaml('cert: client.pem, key: client.key')}`, files });
  const theirs = configOf({ yaml: `listen: { host: 0.0.0.0 }\n${yaml('ca: ca.pem')}`, files });

  expect(() => refuseUnsafe(own)).toThrow(/has credentials, and 0\.0\.0\.0 is a public address/);
  expect(() => refuseUnsafe(theirs)).not.toThrow();
});

test('a certificate that is not looked at is told of at every start', () => {
  const config = configOf({ yaml: yaml('insecureSkipVerify: true') });

  expect(warningsOf(config)).toEqual([
    {
      about: { upstream: 'default' },
      text: expect.stringContaining('tls.insecureSkipVerify'),
      remedy: expect.stringContaining('tls.ca'),
    },
  ]);
});

test.each([
  ['http://old/sse', true],
  ['[http://old/sse, https://old/sse]', false],
])('tls of %s changes nothing, and that is told: %s', (urls, isTold) => {
  const config = configOf({ yaml: `upstreams:\n  - url: ${urls}\n    tls: { ca: ca.pem }\n`, files });

  expect(warningsOf(config).some(({ text }) => /changes nothing.*listen\.tls/.test(text))).toBe(isTold);
});
