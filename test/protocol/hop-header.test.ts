import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Principal } from '../../src/domain/principal.ts';
import {
  HopReader,
  answerGreeting,
  callerIn,
  readHello,
  sealGreeting,
  sealHop,
} from '../../src/protocol/hop-header.ts';
import { TokenSealer } from '../../src/protocol/sealed-token.ts';

const NOW = 1_800_000_000;
const ALICE: Principal = { key: 'key:alice', proof: 'ff00' };
const SELF = 'here@10.0.0.1:8082';
const secret = randomBytes(32);

function options(owner: string, now = NOW, key = secret) {
  return { sealer: new TokenSealer(key, randomBytes), owner, wallSeconds: () => now };
}

/** As the replica at 10.0.0.2 seals it. */
function sealed({ owner = SELF, now = NOW, key = secret, principal = ALICE } = {}): string {
  return sealHop(options('there@10.0.0.2:8082', now, key), { owner, mount: 'files', principal });
}

describe('a hop header', () => {
  test('says for whom it was sealed, and whence', () => {
    const claims = new HopReader(options(SELF)).read([sealed()]);

    expect(claims).toMatchObject({ from: 'there@10.0.0.2:8082', mount: 'files' });
    expect(typeof claims === 'string' ? claims : callerIn(claims)).toEqual(ALICE);
  });

  test('a caller who was let in by something else than his key stays that', () => {
    const principal = { ...ALICE, inboundKey: 'anyone' };

    const claims = new HopReader(options(SELF)).read([sealed({ principal })]);

    expect(typeof claims === 'string' ? claims : callerIn(claims)).toEqual(principal);
  });

  test.each([
    ['none', 'absent', []],
    ['two', 'absent', [sealed(), sealed()]],
    ['no token', 'forged', ['x']],
    ['one of other secrets', 'forged', [sealed({ key: randomBytes(32) })]],
    ['one cut short', 'forged', [sealed().slice(0, -4)]],
    [
      'the id of a session',
      'forged',
      [
        options(SELF).sealer.seal({
          kind: 'session',
          owner: SELF,
          mount: 'files',
          principal: 'a',
          nonce: 'n',
          expiresAt: NOW + 5,
        }),
      ],
    ],
    ['a greeting', 'forged', [sealGreeting(options(SELF), 'n')]],
    ['one of ten seconds ago', 'expired', [sealed({ now: NOW - 10 })]],
    ['one by a clock that is far ahead', 'expired', [sealed({ now: NOW + 6 })]],
    ['one for another replica', 'not_meant', [sealed({ owner: 'here@10.0.0.9:8082' })]],
    ['one for a process that was here before', 'gone', [sealed({ owner: 'before@10.0.0.1:8082' })]],
  ] as const)('%s is %s', (_, why, texts) => {
    expect(new HopReader(options(SELF)).read(texts)).toBe(why);
  });

  test.each([NOW - 9, NOW + 5])('clocks may be apart by some seconds', (now) => {
    expect(new HopReader(options(SELF)).read([sealed({ now })])).toMatchObject({ kind: 'hop' });
  });

  test('is taken once, for as long as it would be good', () => {
    let now = NOW;
    const reader = new HopReader({ ...options(SELF), wallSeconds: () => now });
    const text = sealed({ now: NOW + 5 });
    const others = (): unknown[] => Array.from({ length: 3 }, () => reader.read([sealed({ now })]));

    const first = reader.read([text]);
    const again = [0, 7, 14].map((later) => {
      now = NOW + later;
      others();
      return reader.read([text]);
    });
    now = NOW + 15;

    expect(first).toMatchObject({ kind: 'hop' });
    expect(again).toEqual(['replayed', 'replayed', 'replayed']);
    expect(reader.read([text])).toBe('expired');
  });

  test('is taken once, and forgotten in the end, where the clock was set back by an hour', () => {
    let now = NOW;
    const reader = new HopReader({ ...options(SELF), wallSeconds: () => now }, 2);
    const takeAt = (later: number, text = sealed({ now: NOW + later })): unknown => {
      now = NOW + later;
      const read = reader.read([text]);
      return typeof read === 'string' ? read : 'taken';
    };
    const seen = sealed({ now: NOW - 3600 });

    expect(takeAt(0)).toBe('taken');
    expect(takeAt(-3600, seen)).toBe('taken');
    expect(takeAt(-3599, seen)).toBe('replayed');
    expect(takeAt(-3598)).toBe('crowded');
    expect(takeAt(-3580)).toBe('taken');
  });

  test('every bit of it counts', () => {
    const bytes = Buffer.from(sealed(), 'base64url');
    const changed = Array.from(bytes, (byte, at) => {
      // oxlint-disable-next-line no-bitwise -- one bit of each byte
      return Buffer.from(bytes)
        .fill(byte ^ (1 << (at % 8)), at, at + 1)
        .toString('base64url');
    });

    const reader = new HopReader(options(SELF));

    expect(new Set(changed.map((text) => reader.read([text])))).toEqual(new Set(['forged']));
  });
});

describe('a greeting', () => {
  const how = { version: '1.2.3', wallMs: 5, isDraining: false };

  test('is answered to those who share our secrets, whatever their clock says', () => {
    const question = sealGreeting(options('there@10.0.0.2:8082', NOW - 1000), 'n-1');

    const answer = answerGreeting(options(SELF), [question], how) ?? '';

    expect(readHello(options('there@10.0.0.2:8082'), answer, 'n-1')).toMatchObject({ ...how, owner: SELF });
    expect(readHello(options('there@10.0.0.2:8082'), answer, 'n-2')).toBeNull();
    expect(readHello(options('there@10.0.0.2:8082', NOW, randomBytes(32)), answer, 'n-1')).toBeNull();
  });

  test.each([
    ['nobody', []],
    ['one with other secrets', [sealGreeting(options('x@y:1', NOW, randomBytes(32)), 'n')]],
    ['one who brings a hop in its place', [sealed()]],
    ['one who brings two', [sealGreeting(options('x@y:1'), 'n'), sealGreeting(options('x@y:1'), 'n')]],
  ])('is not answered to %s', (_, texts) => {
    expect(answerGreeting(options(SELF), texts, how)).toBeNull();
  });
});
