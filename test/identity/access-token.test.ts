// Which tokens are let in, and what is wrong with the others: by the header, the signature and the claims.

import { createHash, createHmac, createPublicKey } from 'node:crypto';
import { type CryptoKey, CompactSign } from 'jose';
import { beforeAll, expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { type AccessTokenRules, fileKeys, tokenReader } from '../../src/identity/access-token.ts';
import { type Claims, Issuer, RESOURCE, type SigningKey, signingKey } from '../support/issuer.ts';

const NOW = Math.floor(Date.now() / 1000);

/** One that signs in two ways, and somebody else who signs with a key of the same name. */
interface World {
  readonly issuer: Issuer;
  readonly rsa: SigningKey;
  readonly foreign: SigningKey;
  read(token: string, rules?: Partial<AccessTokenRules>): Promise<Principal | ProxyError>;
}
let world: World;

beforeAll(async () => {
  const rsa = await signingKey('rsa', 'RS256');
  const issuer = new Issuer('https://login.example.com', [await signingKey('first'), rsa]);
  const rules: AccessTokenRules = {
    issuer: issuer.url,
    audiences: [RESOURCE],
    scopes: [],
    algorithms: ['ES256', 'RS256'],
    clockTolerance: 30_000,
    find: fileKeys({ keys: issuer.keySet.keys }),
    wallSeconds: () => NOW,
  };
  const read: World['read'] = (token, own = {}) => tokenReader({ ...rules, ...own })(token);
  world = { issuer, rsa, foreign: await signingKey('first'), read };
});

test.each<readonly [what: string, make: (given: World) => Promise<string>]>([
  ['as it should be', ({ issuer }) => issuer.token()],
  ['of another key and algorithm', ({ issuer, rsa }) => issuer.token({}, {}, rsa)],
  ['for several audiences', ({ issuer }) => issuer.token({ aud: ['https://other.example.com', RESOURCE] })],
  ['that has just expired, by a clock that is slow', ({ issuer }) => issuer.token({ exp: NOW - 29 })],
  ['that is valid in a moment', ({ issuer }) => issuer.token({ nbf: NOW + 29 })],
  ['that says no type', ({ issuer }) => issuer.token({}, { typ: undefined })],
  ['of a type in full', ({ issuer }) => issuer.token({}, { typ: 'application/at+jwt' })],
  ['of a type in capitals', ({ issuer }) => issuer.token({}, { typ: 'AT+JWT' })],
  ['that says that it is a token', ({ issuer }) => issuer.token({}, { typ: 'JWT' })],
  ['that says that it is signed', ({ issuer }) => issuer.token({}, { typ: 'JOSE' })],
  ['that names no key, where one fits', ({ issuer }) => issuer.token({}, { kid: undefined })],
])('a token %s is let in', async (_what, make) => {
  expect(await world.read(await make(world))).toEqual({ key: expect.stringMatching(/^token:[\w-]{43}$/), proof: '' });
});

test.each<readonly [what: string, why: RegExp, make: (given: World) => Promise<string> | string]>([
  ['expired', /has expired/, ({ issuer }) => issuer.token({ exp: NOW - 31 })],
  ['without an end', /has no exp/, ({ issuer }) => issuer.token({ exp: undefined })],
  ['with an end in words', /exp of the token is malformed/, ({ issuer }) => issuer.token({ exp: 'never' })],
  ['not yet valid', /not valid yet/, ({ issuer }) => issuer.token({ nbf: NOW + 31 })],
  ['of another issuer', /another issuer/, ({ issuer }) => issuer.token({ iss: 'https://evil.example.com' })],
  ['of an issuer that begins alike', /another issuer/, ({ issuer }) => issuer.token({ iss: `${issuer.url}/` })],
  ['of nobody', /has no iss/, ({ issuer }) => issuer.token({ iss: undefined })],
  ['for another resource', /not for this resource/, ({ issuer }) => issuer.token({ aud: `${RESOURCE}2` })],
  ['for the host alone', /not for this resource/, ({ issuer }) => issuer.token({ aud: 'https://mcp.example.com' })],
  ['for a list of others', /not for this resource/, ({ issuer }) => issuer.token({ aud: ['a', 'b'] })],
  ['for anything', /has no aud/, ({ issuer }) => issuer.token({ aud: undefined })],
  ['of neither a subject nor a client', /neither a subject/, ({ issuer }) => issuer.token({ sub: undefined })],
  ['of a subject without a name', /neither a subject/, ({ issuer }) => issuer.token({ sub: '' })],
  ['of a subject that is no text', /neither a subject/, ({ issuer }) => issuer.token({ sub: { $gt: '' } })],
  ['that ends a session', /of another kind/, ({ issuer }) => issuer.token({}, { typ: 'logout+jwt' })],
  ['that is a proof', /of another kind/, ({ issuer }) => issuer.token({}, { typ: 'application/DPoP+JWT' })],
  ['of a kind that is no text', /of another kind/, ({ issuer }) => issuer.token({}, { typ: 5 })],
  ['of a kind that ends alike', /of another kind/, ({ issuer }) => issuer.token({}, { typ: 'not-at+jwt' })],
  ['without a signature', /not allowed/, ({ issuer }) => unsigned(issuer, 'none')],
  ['without a signature, in capitals', /not allowed/, ({ issuer }) => unsigned(issuer, 'NONE')],
  ['signed with the public key as a secret', /not allowed/, ({ issuer, rsa }) => confused(issuer, rsa)],
  ['signed in another way than is allowed', /not allowed/, ({ issuer }) => signedAnew(issuer, 'ES384', {})],
  ['signed with a key of another', /signature .* wrong/, ({ issuer, foreign }) => issuer.token({}, {}, foreign)],
  [
    'signed with a key that nobody has published',
    /key that is not known/,
    ({ issuer }) => issuer.token({}, { kid: 'x' }),
  ],
  [
    'that brings its own key',
    /signature .* wrong/,
    ({ issuer, foreign }) => {
      return issuer.token({}, { jwk: foreign.published, jku: 'https://evil.example.com/jwks.json' }, foreign);
    },
  ],
  ['with a changed claim', /signature .* wrong/, async ({ issuer }) => tampered(await issuer.token())],
  ['with a changed signature', /signature .* wrong/, async ({ issuer }) => flipped(await issuer.token())],
  ['with half a signature', /signature .* wrong/, async ({ issuer }) => (await issuer.token()).slice(0, -43)],
  ['with what must be understood and is not', /malformed/, ({ issuer }) => critical(issuer, ['x'], { x: 1 })],
  ['with a list of that which is empty', /malformed/, ({ issuer }) => critical(issuer, [], {})],
  ['with claims that are not encoded', /malformed/, ({ issuer }) => critical(issuer, ['b64'], { b64: false })],
  ['that is encrypted', /malformed/, () => 'eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d'],
  ['of two parts', /malformed/, async ({ issuer }) => (await issuer.token()).split('.').slice(0, 2).join('.')],
  ['of one word', /malformed/, () => 'opaque'],
  ['of dots', /malformed/, () => '..'],
  [
    'with a header that is no JSON',
    /malformed/,
    async ({ issuer }) => `e30x.${(await issuer.token()).split('.').slice(1).join('.')}`,
  ],
  ['with claims that are a list', /malformed/, ({ issuer }) => signed(issuer, '[]')],
  ['with claims that are no JSON', /malformed/, ({ issuer }) => signed(issuer, 'claims')],
  ['that is huge', /longer than 8192/, ({ issuer }) => issuer.token({ more: 'x'.repeat(8192) })],
])('a token %s is refused', async (_what, why, make) => {
  const token = await make(world);

  const refusal = await world.read(token);

  expect(refusal).toBeInstanceOf(ProxyError);
  expect(refusal).toMatchObject({ code: 'unauthorized', status: 401, message: expect.stringMatching(why) });
  expect(refusal).toMatchObject({ message: expect.not.stringContaining(token) });
});

test.each<readonly [what: string, claims: Claims, isLetIn: boolean]>([
  ['none', {}, false],
  ['one of two', { scope: 'read' }, false],
  ['all', { scope: 'read write' }, true],
  ['more', { scope: 'admin write read' }, true],
  ['words that hold them', { scope: 'reader writers' }, false],
  ['another case', { scope: 'READ WRITE' }, false],
  ['all, by another name', { scp: 'read write' }, true],
  ['all, as a list', { scp: ['read', 'write'] }, true],
  ['a list of lists', { scp: [['read', 'write']] }, false],
])('of the scopes read and write a token with %s (%j) is let in: %s', async (_what, claims, isLetIn) => {
  const answer = await world.read(await world.issuer.token(claims), { scopes: ['read', 'write'] });

  if (isLetIn) expect(answer).toHaveProperty('key');
  else expect(answer).toMatchObject({ code: 'insufficient_scope', status: 403 });
});

test('a caller is the issuer’s subject, or the client where there is none: the same with every token of his', async () => {
  const who = async (claims: Claims): Promise<string> => {
    const answer = await world.read(await world.issuer.token(claims));
    return 'key' in answer ? answer.key : expect.fail(answer.message);
  };
  const alice = await who({});

  expect(await who({ jti: 'another', exp: NOW + 999, azp: 'an-app', scope: 'read' })).toBe(alice);
  const others = [
    await who({ sub: 'bob' }),
    await who({ sub: 'Alice' }),
    await who({ sub: undefined, azp: 'alice' }),
    await who({ sub: undefined, client_id: 'bob' }),
  ];
  expect(new Set([alice, ...others]).size).toBe(5);
  expect(await who({ sub: undefined, client_id: 'alice' })).toBe(others[2]);
  expect(alice).not.toContain(createHash('sha256').update('alice').digest('base64url'));
});

test('a key of the issuer that cannot be used is no fault of the token', async () => {
  const { secret } = await signingKey('weak', 'RS256');
  const weak = { kid: 'weak', alg: 'RS256', secret, published: { kty: 'RSA', kid: 'weak', n: 'AQAB', e: 'AQAB' } };

  const answer = await world.read(await world.issuer.token({}, {}, weak), {
    find: fileKeys({ keys: [weak.published] }),
  });

  expect(answer).toMatchObject({ code: 'keys_unavailable', status: 503 });
});

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

async function unsigned(issuer: Issuer, alg: string): Promise<string> {
  const [, claims = ''] = (await issuer.token()).split('.');
  return `${part({ alg })}.${claims}.`;
}

/** For those who take any algorithm with any key. */
async function confused(issuer: Issuer, { kid, published }: SigningKey): Promise<string> {
  const [, claims = ''] = (await issuer.token()).split('.');
  const text = `${part({ alg: 'HS256', kid })}.${claims}`;
  const secret = createPublicKey({ key: published, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

async function signedAnew(issuer: Issuer, alg: string, claims: Claims): Promise<string> {
  return issuer.token(claims, {}, await signingKey('first', alg));
}

function keyOf(issuer: Issuer): CryptoKey {
  return issuer.keys[0]?.secret ?? expect.fail();
}

function signed(issuer: Issuer, claims: string): Promise<string> {
  const bytes = new TextEncoder().encode(claims);
  return new CompactSign(bytes).setProtectedHeader({ alg: 'ES256', kid: 'first' }).sign(keyOf(issuer));
}

/** jose would not sign most of these: what matters is that they are not read, whatever the signature. */
async function critical(issuer: Issuer, crit: string[], more: object): Promise<string> {
  const [, claims = ''] = (await issuer.token()).split('.');
  const text = `${part({ alg: 'ES256', kid: 'first', crit, ...more })}.${claims}`;
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(algorithm, keyOf(issuer), new TextEncoder().encode(text));
  return `${text}.${Buffer.from(signature).toString('base64url')}`;
}

function tampered(token: string): string {
  const [header = '', claims = '', signature = ''] = token.split('.');
  const read = JSON.parse(Buffer.from(claims, 'base64url').toString()) as object;
  return [header, part({ ...read, sub: 'root' }), signature].join('.');
}

function flipped(token: string): string {
  const at = token.lastIndexOf('.') + 1;
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
}
