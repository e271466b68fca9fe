import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { bearerReader } from '../../src/identity/bearer.ts';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const keys = [
  { name: 'alice', sha256: sha256('alice-key') },
  { name: 'bob', sha256: sha256('bob-key').toUpperCase() },
];

test.each([
  ['Bearer alice-key', 'key:alice'],
  ['bearer bob-key', 'key:bob'],
  ['BEARER   alice-key', 'key:alice'],
  ['Bearer alice-key2', undefined],
  ['Bearer ', undefined],
  ['Bearer', undefined],
  ['alice-key', undefined],
  ['Basic alice-key', undefined],
  ['Bearer alice-key, Bearer bob-key', undefined],
  ['Bearer\talice-key', undefined],
  [`Bearer ${sha256('alice-key')}`, undefined],
  ['', undefined],
])('%j is %s', (authorization, who) => {
  expect(bearerReader(keys)(authorization)?.key).toBe(who);
});

test('a very long header is no work', () => {
  const started = performance.now();

  expect(bearerReader(keys)(`Bearer ${'a '.repeat(32_768)}`)).toBeNull();
  expect(bearerReader(keys)(`Bearer${' '.repeat(65_536)}`)).toBeNull();

  expect(performance.now() - started).toBeLessThan(100);
});
