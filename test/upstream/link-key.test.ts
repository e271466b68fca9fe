import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ANYONE } from '../../src/domain/principal.ts';
import { EMPTY_PROFILE, profileOf } from '../../src/protocol/capability-profile.ts';
import { type Isolation, linkKey } from '../../src/upstream/link-key.ts';

const SAMPLING = profileOf({ sampling: {} }, '2025-11-25');

function textOf(
  fingerprint: string,
  principal: string,
  profile = EMPTY_PROFILE,
  isolation: Isolation = 'principal',
): string {
  return linkKey({ key: principal, proof: '', credential: { headers: {}, fingerprint } }, profile, isolation).text;
}

test.each<[what: string, isolation: Isolation, first: [string, string], second: [string, string], same: boolean]>([
  ['the same caller', 'principal', ['c', 'alice'], ['c', 'alice'], true],
  ['two callers', 'principal', ['c', 'alice'], ['c', 'bob'], false],
  ['two callers of a server without state', 'shared', ['c', 'alice'], ['c', 'bob'], true],
  ['two callers, a link for each call', 'request', ['c', 'alice'], ['c', 'bob'], false],
  ['two credentials', 'principal', ['c', 'alice'], ['d', 'alice'], false],
  ['two credentials of a server without state', 'shared', ['c', 'alice'], ['d', 'alice'], false],
  ['callers in other letters', 'principal', ['c', 'alice'], ['c', 'Alice'], false],
])('%s (%s)', (_what, isolation, [c1, p1], [c2, p2], same) => {
  expect(textOf(c1, p1, EMPTY_PROFILE, isolation) === textOf(c2, p2, EMPTY_PROFILE, isolation)).toBe(same);
});

test('links of other capabilities are other links, whatever the isolation', () => {
  for (const isolation of ['principal', 'shared', 'request'] satisfies Isolation[]) {
    expect(textOf('c', 'alice', SAMPLING, isolation)).not.toBe(textOf('c', 'alice', EMPTY_PROFILE, isolation));
  }
});

test('the parts cannot run into each other, whatever they hold', () => {
  const part = fc.oneof(fc.string(), fc.constantFrom('', 'null', '"', '","', '\\', '["a","b"]', ','));
  fc.assert(
    fc.property(part, part, part, part, (c1, p1, c2, p2) => {
      expect(textOf(c1, p1) === textOf(c2, p2)).toBe(c1 === c2 && p1 === p2);
    }),
  );
});

test('a principal called null is not the absence of one', () => {
  expect(textOf('c', 'null')).not.toBe(textOf('c', 'x', EMPTY_PROFILE, 'shared'));
});

test('the key carries the profile, and none of the credential’s headers', () => {
  const credential = { headers: { authorization: 'Bearer secret' }, fingerprint: 'f1' };
  const key = linkKey({ ...ANYONE, credential }, SAMPLING, 'principal');

  expect(key.profile).toBe(SAMPLING);
  expect(key.text).not.toContain('secret');
  expect(linkKey(ANYONE, SAMPLING, 'principal').text).not.toBe(key.text);
});
