import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type SealedClaims, type SessionClaims, TokenSealer } from '../../src/protocol/sealed-token.ts';

const KEY = Buffer.alloc(32, 7);
const NOW = 1_800_000_000;
const CLAIMS: SessionClaims = {
  kind: 'session',
  owner: 'replica-1',
  mount: 'billing',
  principal: 'anyone ü "',
  nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
  expiresAt: NOW + 10,
};

function sealerWith(key: Uint8Array = KEY): TokenSealer {
  return new TokenSealer(key, (length) => randomBytes(length));
}

function flipped(token: string, at: number, bit: number): string {
  const bytes = Buffer.from(token, 'base64url');
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  return bytes.toString('base64url');
}

/** What all claims have. */
function shared(): Omit<SessionClaims, 'kind' | 'nonce'> {
  const { kind: _, nonce: __, ...rest } = CLAIMS;
  return rest;
}

test('what was sealed is opened again, until it expires', () => {
  const sealer = sealerWith();
  const token = sealer.seal(CLAIMS);

  expect(sealer.open(token, NOW)).toEqual(CLAIMS);
  expect(sealer.open(token, NOW + 9.9)).toEqual(CLAIMS);
  expect(sealer.open(token, NOW + 10)).toBeNull();
  expect(sealer.open(token, NOW + 1e6)).toBeNull();
});

test('where an old client posts is sealed and opened the same way', () => {
  const claims: SealedClaims = {
    ...shared(),
    kind: 'endpoint',
    passage: 'p',
    url: 0,
    origin: 1,
    target: '/m/ü?a=b&c=%20',
  };

  expect(sealerWith().open(sealerWith().seal(claims), NOW)).toEqual(claims);
});

test.each<[what: string, claims: SealedClaims]>([
  ['a call that is held', { ...shared(), kind: 'round', held: 'aG', round: 3, digest: 'x'.repeat(43) }],
  ['a call that is to be made once more', { ...shared(), kind: 'replay', digest: 'x'.repeat(43) }],
])('the state of %s is sealed and opened the same way', (_what, claims) => {
  const token = sealerWith().seal(claims);

  expect(sealerWith().open(token, NOW)).toEqual(claims);
  expect(sealerWith().open(token, NOW + 10)).toBeNull();
  expect(sealerWith(Buffer.alloc(32, 8)).open(token, NOW)).toBeNull();
});

test('another sealer with the same key opens it', () => {
  expect(sealerWith().open(sealerWith(Uint8Array.from(KEY)).seal(CLAIMS), NOW)).toEqual(CLAIMS);
});

test('two tokens for the same claims are different, and show nothing of them', () => {
  const sealer = sealerWith();
  const [first, second] = [sealer.seal(CLAIMS), sealer.seal(CLAIMS)];

  expect(first).not.toBe(second);
  for (const word of ['replica', 'billing', 'anyone', CLAIMS.nonce]) {
    expect(Buffer.from(first, 'base64url').toString('latin1')).not.toContain(word);
  }
});

test('a token is fit for a header: visible ASCII', () => {
  expect(sealerWith().seal(CLAIMS)).toMatch(/^[A-Za-z0-9_-]+$/);
});

describe('null, and nothing more, for', () => {
  const sealer = sealerWith();
  const token = sealer.seal(CLAIMS);
  const bytes = Buffer.from(token, 'base64url');

  test('a token with one bit changed, wherever it is', () => {
    const opened: string[] = [];

    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        if (sealer.open(flipped(token, at, bit), NOW) !== null) opened.push(`byte ${at}, bit ${bit}`);
      }
    }

    expect(opened).toEqual([]);
  });

  test('a token that is cut, at either end, or longer', () => {
    for (let length = 0; length < token.length; length++) {
      expect(sealer.open(token.slice(0, length), NOW)).toBeNull();
      expect(sealer.open(token.slice(token.length - length), NOW)).toBeNull();
    }
    for (const tail of ['A', 'AA', 'AAAA', token]) expect(sealer.open(token + tail, NOW)).toBeNull();
  });

  test('two tokens put together', () => {
    const other = Buffer.from(sealer.seal({ ...CLAIMS, principal: 'else' }), 'base64url');
    for (const at of [6, 17, bytes.length - 16]) {
      const mixed = Buffer.concat([bytes.subarray(0, at), other.subarray(at)]).toString('base64url');
      expect(sealer.open(mixed, NOW)).toBeNull();
    }
  });

  test('a token of another key', () => {
    const foreign = sealerWith(Buffer.alloc(32, 8)).seal(CLAIMS);

    expect(sealer.open(foreign, NOW)).toBeNull();
  });

  test('a token of another key that names ours', () => {
    const foreign = Buffer.from(sealerWith(Buffer.alloc(32, 8)).seal(CLAIMS), 'base64url');
    bytes.copy(foreign, 0, 0, 5);

    expect(sealer.open(foreign.toString('base64url'), NOW)).toBeNull();
  });

  test('what our key sealed for another purpose', () => {
    const iv = randomBytes(12);
    const kid = createHash('sha256').update(KEY).digest().subarray(0, 4);
    const cipher = createCipheriv('aes-256-gcm', KEY, iv);
    const sealed = Buffer.concat([cipher.update(JSON.stringify(CLAIMS)), cipher.final()]);
    const made = Buffer.concat([Buffer.of(1), kid, iv, sealed, cipher.getAuthTag()]).toString('base64url');

    expect(sealer.open(made, NOW)).toBeNull();
  });

  test('another spelling of the same bytes', () => {
    // Lengths that leave two, four and no spare bits in the last character.
    for (const mount of ['m', 'mm', 'mmm']) {
      const own = sealer.seal({ ...CLAIMS, mount });
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const others = Array.from(alphabet, (last) => own.slice(0, -1) + last).filter((text) => text !== own);

      for (const other of others) expect(sealer.open(other, NOW)).toBeNull();
      for (const padded of [`${own}=`, `${own}==`, ` ${own}`, `${own} `, `${own}\n`, `${own}\u0000`]) {
        expect(sealer.open(padded, NOW)).toBeNull();
      }
      expect(sealer.open(own, NOW)).not.toBeNull();
    }
  });

  test('the alphabet of plain base64', () => {
    const tokens = Array.from({ length: 20 }, () => sealer.seal(CLAIMS)).filter((text) => /[-_]/.test(text));

    for (const text of tokens) {
      expect(sealer.open(text.replaceAll('-', '+').replaceAll('_', '/'), NOW)).toBeNull();
    }
    expect(tokens).not.toEqual([]);
  });

  test.each([
    '',
    'A',
    'null',
    'AAAA',
    'A'.repeat(44),
    'A'.repeat(10_000),
    '=',
    '../../etc/passwd',
    'b6f8c9e0-1234-4f6e-9d3b-3f9c1c9b1a2b',
    'ÿ\u0000😀',
    '{"kind":"session"}',
  ])('foreign text: %j', (text) => {
    expect(sealer.open(text, NOW)).toBeNull();
  });
});

test('a key has 32 bytes', () => {
  for (const length of [0, 16, 31, 33, 64]) expect(() => sealerWith(Buffer.alloc(length))).toThrow(RangeError);
});
