import { createCipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Purpose, type SealedClaims, type SessionClaims, TokenSealer } from '../../src/protocol/sealed-token.ts';

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

  expect(sealer.open('session', token, NOW)).toEqual(CLAIMS);
  expect(sealer.open('session', token, NOW + 9.9)).toEqual(CLAIMS);
  expect(sealer.open('session', token, NOW + 10)).toBeNull();
  expect(sealer.open('session', token, NOW + 1e6)).toBeNull();
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

  expect(sealerWith().open('endpoint', sealerWith().seal(claims), NOW)).toEqual(claims);
});

test.each<[what: string, claims: SealedClaims]>([
  ['a call that is held', { ...shared(), kind: 'round', held: 'aG', round: 3, digest: 'x'.repeat(43) }],
  ['a call that is to be made once more', { ...shared(), kind: 'replay', digest: 'x'.repeat(43) }],
])('the state of %s is sealed and opened the same way', (_what, claims) => {
  const token = sealerWith().seal(claims);

  expect(sealerWith().open('state', token, NOW)).toEqual(claims);
  expect(sealerWith().open('state', token, NOW + 10)).toBeNull();
  expect(sealerWith(Buffer.alloc(32, 8)).open('state', token, NOW)).toBeNull();
});

test('another sealer with the same key opens it', () => {
  expect(sealerWith().open('session', sealerWith(Uint8Array.from(KEY)).seal(CLAIMS), NOW)).toEqual(CLAIMS);
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
        if (sealer.open('session', flipped(token, at, bit), NOW) !== null) opened.push(`byte ${at}, bit ${bit}`);
      }
    }

    expect(opened).toEqual([]);
  });

  test('a token that is cut, at either end, or longer', () => {
    for (let length = 0; length < token.length; length++) {
      expect(sealer.open('session', token.slice(0, length), NOW)).toBeNull();
      expect(sealer.open('session', token.slice(token.length - length), NOW)).toBeNull();
    }
    for (const tail of ['A', 'AA', 'AAAA', token]) expect(sealer.open('session', token + tail, NOW)).toBeNull();
  });

  test('two tokens put together', () => {
    const other = Buffer.from(sealer.seal({ ...CLAIMS, principal: 'else' }), 'base64url');
    for (const at of [6, 17, bytes.length - 16]) {
      const mixed = Buffer.concat([bytes.subarray(0, at), other.subarray(at)]).toString('base64url');
      expect(sealer.open('session', mixed, NOW)).toBeNull();
    }
  });

  test('a token of another key', () => {
    const foreign = sealerWith(Buffer.alloc(32, 8)).seal(CLAIMS);

    expect(sealer.open('session', foreign, NOW)).toBeNull();
  });

  test('a token of another key that names ours', () => {
    const foreign = Buffer.from(sealerWith(Buffer.alloc(32, 8)).seal(CLAIMS), 'base64url');
    bytes.copy(foreign, 0, 0, 5);

    expect(sealer.open('session', foreign.toString('base64url'), NOW)).toBeNull();
  });

  test('a token of our key and version whose head is not sealed with it', () => {
    const key = Buffer.from(hkdfSync('sha256', KEY, '', 'mcp-causeway session token', 32));
    const iv = randomBytes(12);
    const kid = createHash('sha256').update(key).digest().subarray(0, 4);
    const head = Buffer.concat([Buffer.of(1), kid]);
    const made = (aad: Buffer): string => {
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad);
      const sealed = Buffer.concat([cipher.update(JSON.stringify(CLAIMS)), cipher.final()]);
      return Buffer.concat([head, iv, sealed, cipher.getAuthTag()]).toString('base64url');
    };

    expect(sealer.open('session', made(Buffer.alloc(0)), NOW)).toBeNull();
    // Else the one above would be null for another reason.
    expect(sealer.open('session', made(head), NOW)).toEqual(CLAIMS);
  });

  test('what the secret itself has sealed, and not a key that was made from it', () => {
    const iv = randomBytes(12);
    const head = Buffer.concat([Buffer.of(1), createHash('sha256').update(KEY).digest().subarray(0, 4)]);
    const cipher = createCipheriv('aes-256-gcm', KEY, iv).setAAD(head);
    const sealed = Buffer.concat([cipher.update(JSON.stringify(CLAIMS)), cipher.final()]);
    const made = Buffer.concat([head, iv, sealed, cipher.getAuthTag()]).toString('base64url');

    expect(sealer.open('session', made, NOW)).toBeNull();
  });

  test('another spelling of the same bytes', () => {
    // Lengths that leave two, four and no spare bits in the last character.
    for (const mount of ['m', 'mm', 'mmm']) {
      const own = sealer.seal({ ...CLAIMS, mount });
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const others = Array.from(alphabet, (last) => own.slice(0, -1) + last).filter((text) => text !== own);

      for (const other of others) expect(sealer.open('session', other, NOW)).toBeNull();
      for (const padded of [`${own}=`, `${own}==`, ` ${own}`, `${own} `, `${own}\n`, `${own}\u0000`]) {
        expect(sealer.open('session', padded, NOW)).toBeNull();
      }
      expect(sealer.open('session', own, NOW)).not.toBeNull();
    }
  });

  test('the alphabet of plain base64', () => {
    const tokens = Array.from({ length: 20 }, () => sealer.seal(CLAIMS)).filter((text) => /[-_]/.test(text));

    for (const text of tokens) {
      expect(sealer.open('session', text.replaceAll('-', '+').replaceAll('_', '/'), NOW)).toBeNull();
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
    expect(sealer.open('session', text, NOW)).toBeNull();
  });
});

test('a key has 32 bytes', () => {
  for (const length of [0, 16, 31, 33, 64]) expect(() => sealerWith(Buffer.alloc(length))).toThrow(RangeError);
});

const PURPOSES: readonly Purpose[] = ['session', 'endpoint', 'state', 'hop'];
const OF_EACH: readonly (readonly [Purpose, SealedClaims])[] = [
  ['session', CLAIMS],
  ['endpoint', { ...shared(), kind: 'endpoint', passage: 'p', url: 0, origin: 1, target: '/m' }],
  ['state', { ...shared(), kind: 'round', held: 'aG', round: 3, digest: 'x'.repeat(43) }],
  ['state', { ...shared(), kind: 'replay', digest: 'x'.repeat(43) }],
  ['hop', { ...shared(), kind: 'hop', from: 'x@10.0.0.2:8082', proof: 'ff' }],
  ['hop', { ...shared(), kind: 'greeting', nonce: 'n' }],
  ['hop', { ...shared(), kind: 'hello', nonce: 'n', version: '1', wallMs: 1, isDraining: false }],
];

test.each(OF_EACH)('a token for a %s opens as that alone', (purpose, claims) => {
  const sealer = sealerWith();
  const token = sealer.seal(claims);

  expect(PURPOSES.filter((each) => sealer.open(each, token, NOW) !== null)).toEqual([purpose]);
});

test('the key that a token names is another one for each purpose', () => {
  const named = OF_EACH.map(([, claims]) =>
    Buffer.from(sealerWith().seal(claims), 'base64url').subarray(1, 5).toString('hex'),
  );

  expect(new Set(named).size).toBe(PURPOSES.length);
});

describe('when the secrets change', () => {
  const [first, second, third] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer, Buffer];

  test('what the older one has sealed opens, and the newer one seals', () => {
    const sealer = sealerWith(first);
    const old = sealer.seal(CLAIMS);

    sealer.use(second, [first]);
    const fresh = sealer.seal(CLAIMS);

    expect([sealer.open('session', old, NOW), sealer.open('session', fresh, NOW)]).toEqual([CLAIMS, CLAIMS]);
    expect(sealerWith(first).open('session', fresh, NOW)).toBeNull();
    expect(sealerWith(second).open('session', fresh, NOW)).toEqual(CLAIMS);
  });

  test('what was sealed two secrets ago is unknown', () => {
    const sealer = sealerWith(first);
    const old = sealer.seal(CLAIMS);

    sealer.use(second, [first]);
    sealer.use(third, [second]);

    expect(sealer.open('session', old, NOW)).toBeNull();
  });

  test('a token that expires does so under the older secret too', () => {
    const sealer = sealerWith(first);
    const old = sealer.seal(CLAIMS);

    sealer.use(second, [first]);

    expect(sealer.open('session', old, NOW + 10)).toBeNull();
  });

  test('so does the id of a session that was opened before', () => {
    const sealer = sealerWith(first);
    const id = sealer.seal(CLAIMS);

    const known = [sealer.openSession(id, NOW), sealer.openSession(id, NOW), sealer.openSession(id, NOW + 10)];
    sealer.use(second, [first]);
    const older = sealer.openSession(id, NOW);
    sealer.use(third, [second]);

    expect(known).toEqual([CLAIMS, CLAIMS, null]);
    expect(older).toEqual(CLAIMS);
    expect(sealer.openSession(id, NOW)).toBeNull();
    expect(sealer.openSession(`${id}=`, NOW)).toBeNull();
  });

  test('a secret that is too short changes nothing', () => {
    const sealer = sealerWith(first);

    expect(() => sealer.use(second, [Buffer.alloc(31)])).toThrow(RangeError);

    expect(sealer.open('session', sealerWith(first).seal(CLAIMS), NOW)).toEqual(CLAIMS);
  });
});

test('whatever is done to a token, it opens as what was sealed or not at all', () => {
  const sealer = new TokenSealer(KEY, (length) => randomBytes(length), [Buffer.alloc(32, 9)]);
  const old = sealerWith(Buffer.alloc(32, 9));
  const tokens = OF_EACH.flatMap(([purpose, claims]) =>
    [sealer, old].map((by) => ({ purpose, claims, token: by.seal(claims) })),
  );
  const damage = fc.record({
    which: fc.nat(tokens.length - 1),
    other: fc.nat(tokens.length - 1),
    how: fc.constantFrom('flip', 'cut', 'insert', 'remove', 'join', 'nothing'),
    at: fc.nat(400),
    byte: fc.integer({ min: 1, max: 255 }),
    purpose: fc.constantFrom(...PURPOSES),
  });

  fc.assert(
    fc.property(damage, ({ which, other, how, at, byte, purpose }) => {
      const bytes = Buffer.from(tokens[which]?.token ?? expect.fail(), 'base64url');
      const place = at % bytes.length;
      const [head, tail] = [bytes.subarray(0, place), bytes.subarray(place)];
      const rest = Buffer.from(tokens[other]?.token ?? '', 'base64url').subarray(place);
      const made = {
        flip: () => Buffer.concat([head, Buffer.of((tail[0] ?? 0) ^ byte), tail.subarray(1)]),
        cut: () => head,
        insert: () => Buffer.concat([head, Buffer.of(byte), tail]),
        remove: () => Buffer.concat([head, tail.subarray(1)]),
        join: () => Buffer.concat([head, rest]),
        nothing: () => bytes,
      }[how]();
      // Two that are put together where they are the same are one of the two.
      const whole = tokens.find((each) => Buffer.from(each.token, 'base64url').equals(made));

      const opened = sealer.open(purpose, made.toString('base64url'), NOW);

      expect(opened).toEqual(whole?.purpose === purpose ? whole.claims : null);
    }),
    { numRuns: 2000 },
  );
});
