// secrets.current and secrets.previous: what is taken, from where, and what is said of the rest without repeating it.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { parse } from 'yaml';
import { expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { effective } from '../../src/config/redacted.ts';
import { secretBytes } from '../../src/config/sealing-secret.ts';
import { URL_LINE as U, configOf, faultsOf } from './surroundings.ts';

const BYTES = Buffer.from('f3a1095c7be2d84460b7193ec82ad15f8e04b39c6d7721fa05e8c49b3d5210a6', 'hex');
const upstreams = [{ url: 'http://127.0.0.1:9001/sse' }];

test.each([
  ['hexadecimal', BYTES.toString('hex')],
  ['hexadecimal in capitals', BYTES.toString('hex').toUpperCase()],
  ['base64', BYTES.toString('base64')],
  ['base64url', BYTES.toString('base64url')],
])('32 bytes as %s are taken', (_, current) => {
  const { secrets } = parseConfig({ upstreams, secrets: { current } });

  expect(Buffer.from(secretBytes(secrets?.current ?? ''))).toEqual(BYTES);
});

const OPENSSL = spawnSync('openssl', ['rand', '-base64', '32'], { encoding: 'utf8' });

test.runIf(OPENSSL.status === 0)('what `openssl rand -base64 32` prints is taken as it is', () => {
  const files = { '/s': OPENSSL.stdout };

  expect(configOf({ yaml: U, flags: { 'secrets-current': '@/s' }, files }).secrets).toBeDefined();
});

test('random bytes are never too weak', () => {
  for (let i = 0; i < 2000; i++) {
    const current = randomBytes(32).toString(i % 2 === 0 ? 'base64' : 'hex');
    expect(parseConfig({ upstreams, secrets: { current } }).secrets).toEqual({ current });
  }
});

const ascending = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 5));

test.each<readonly [what: string, secret: string, message: RegExp]>([
  ['an empty one', "''", /is empty/],
  ['a word', 'changeme', /is not of 32 bytes, but of 6/],
  ['a sentence', "'correct horse battery staple'", /holds a character of neither/],
  ['16 bytes', BYTES.subarray(16).toString('hex'), /but of 16/],
  ['31 bytes', BYTES.subarray(1).toString('base64'), /but of 31/],
  ['33 bytes', Buffer.concat([BYTES, BYTES.subarray(31)]).toString('base64'), /but of 33/],
  ['64 bytes', Buffer.concat([BYTES, BYTES]).toString('base64'), /but of 64/],
  ['zeros', `'${'00'.repeat(32)}'`, /is regular, and can be guessed/],
  ['one byte over and over', Buffer.alloc(32, 0xa9).toString('base64'), /is regular/],
  ['four bytes over and over', 'deadbeef'.repeat(8), /is regular/],
  ['bytes that ascend', ascending.toString('base64'), /is regular/],
  ['a text of 32 letters', Buffer.from('Tr0ub4dor&3-is-not-a-good-secret').toString('base64'), /is a text/],
])('%s is refused with the reason and how to make one', (_, secret, message) => {
  const error = faultsOf({ yaml: `${U}secrets: { current: ${secret} }\n` });

  expect(error.message).toMatch(message);
  expect(error.message).toMatch(/secrets\.current.*openssl rand -base64 32/);
  const said = secret.replaceAll(/['"]/g, '');
  if (said !== '') expect(error.message).not.toContain(said);
});

test('a previous one alone is refused: something must seal', () => {
  const error = faultsOf({ yaml: `${U}secrets: { previous: ${BYTES.toString('hex')} }\n` });

  expect(error.message).toMatch(/secrets\.current: is missing/);
  expect(error.message).not.toContain(BYTES.toString('hex'));
});

test.each([
  ['a file', { yaml: `${U}secrets: { current: '\${file:/s}' }\n`, files: { '/s': `${BYTES.toString('base64')}\n` } }],
  ['a variable', { yaml: U, env: { CAUSEWAY_SECRETS_CURRENT: BYTES.toString('base64') } }],
  [
    'a variable that names a file',
    { yaml: U, env: { CAUSEWAY_SECRETS_CURRENT: '@/s' }, files: { '/s': BYTES.toString('base64') } },
  ],
  [
    'a flag that names a file',
    { yaml: U, flags: { 'secrets-current': '@/s' }, files: { '/s': BYTES.toString('base64') } },
  ],
  [
    'a flag that names a variable',
    { yaml: U, flags: { 'secrets-current': '${KEY}' }, env: { KEY: BYTES.toString('base64') } },
  ],
])('it comes from %s', (_, world) => {
  expect(configOf(world).secrets).toEqual({ current: BYTES.toString('base64') });
});

test.each([BYTES.toString('base64'), `\${KEY:-${BYTES.toString('base64')}}`])(
  'as a literal on the command line it is refused: %s',
  (secret) => {
    const error = faultsOf({ yaml: U, flags: { 'secrets-current': secret } });

    expect(error.message).toMatch(/--secrets-current.*process list.*@FILE/s);
    expect(error.message).not.toContain(BYTES.toString('base64'));
  },
);

test('nothing of it is shown', () => {
  const [current, previous] = [BYTES.toString('base64'), randomBytes(32).toString('hex')];

  const shown = effective(parseConfig({ upstreams, secrets: { current, previous } }));

  expect(shown).toMatchObject({ secrets: { current: '***', previous: '***' } });
});

test.each(['secrets: { current: §, x: 1 }', 'secrets:\n  curent: §', 'secrets: §', 'secrets: { previous: § }'])(
  'beside a fault its line is shown without it: %s',
  (line) => {
    const secret = BYTES.toString('base64url');
    const yaml = U + line.replace('§', secret);
    expect(parse(yaml)).toBeDefined();

    const { message } = faultsOf({ yaml });

    expect(message).not.toContain(secret.slice(0, 8));
  },
);
