// What is said of what was seen, as tables: no socket, no file.

import { describe, expect, test } from 'vitest';
import { type AddressFacts, addressFinding } from '../../src/doctor/address-findings.ts';
import {
  type OwnCertificate,
  type ServedCertificate,
  fileCertificateFinding,
  ownCertificateFinding,
  servedCertificateFinding,
} from '../../src/doctor/certificate-findings.ts';
import { clockFindings } from '../../src/doctor/clock-findings.ts';
import { exposureFindings } from '../../src/doctor/exposure-findings.ts';
import {
  type MemoryFacts,
  descriptorFinding,
  memoryFinding,
  secretFileFindings,
} from '../../src/doctor/machine-findings.ts';
import { type NameFacts, nameFinding } from '../../src/doctor/name-findings.ts';
import {
  type Fetched,
  audienceFinding,
  issuerFinding,
  keysFinding,
  metadataFinding,
  metadataUrls,
} from '../../src/doctor/oauth-findings.ts';
import { type PeerFacts, nobodyFinding, peerFinding } from '../../src/doctor/peer-findings.ts';
import { CHECKS, type Finding, harmless, inOrder, ok, reportText, resultOf, warning } from '../../src/doctor/report.ts';
import { secretFindings } from '../../src/doctor/secret-findings.ts';
import { type StoreFacts, type StoreServer, storeFindings } from '../../src/doctor/store-findings.ts';
import { type UpstreamFacts, upstreamFinding } from '../../src/doctor/upstream-findings.ts';
import { URL_LINE, configOf } from '../config/surroundings.ts';

/** `ok`, or the status with what is said. */
function told(finding: Finding | undefined): string {
  if (finding === undefined) return 'nothing';
  const { status, seen, remedy } = finding;
  // Who is told of trouble is told what to do, and nobody else.
  expect(remedy === null).toBe(status === 'ok');
  return `${status}: ${seen}${remedy === null ? '' : `: ${remedy}`}`;
}

const MIB = 1024 ** 2;
const DAY = 86_400_000;
const NOW = Date.parse('2026-06-01T12:00:00Z');

describe('descriptors', () => {
  test.each([
    [null, /^ok: 100 may be needed; .*not known/],
    [100, /^ok: 100 may be needed, 100 may be open$/],
    [Number.POSITIVE_INFINITY, /^ok: .*any number may be open$/],
    [99, /^warning: .*99 may be open: raise the limit \(ulimit -n/],
    [20, /^warning/],
    [19, /^failed: .*19 may be open: raise/],
  ])('with a limit of %s: %s', (limit, expected) => {
    expect(told(descriptorFinding({ limit, needed: 100, least: 20 }))).toMatch(expected);
  });
});

describe('memory', () => {
  const facts = (some: Partial<MemoryFacts>): MemoryFacts => {
    const usual = {
      availableBytes: 1024 * MIB,
      heapBytes: 256 * MIB,
      receivedBytes: 64 * MIB,
      bufferedBytes: 64 * MIB,
    };
    return { ...usual, isContainer: true, ...some };
  };

  test.each([
    ['what fits', {}, /^ok: 1024 MiB of the container; heap 256 MiB, requests 64 MiB, kept events 64 MiB at most$/],
    ['a machine', { isContainer: false }, /^ok: 1024 MiB of the machine/],
    ['what just fits', { availableBytes: 448 * MIB }, /^ok/],
    ['a heap that is too large', { availableBytes: 447 * MIB }, /^warning: .*lower the heap/],
    ['limits over all there is', { bufferedBytes: 961 * MIB }, /^failed: .*it would be killed before it meets them$/],
  ])('%s: %s', (_, some, expected) => {
    expect(told(memoryFinding(facts(some)))).toMatch(expected);
  });
});

describe('addresses', () => {
  test.each<[AddressFacts, RegExp]>([
    [{ state: 'free' }, /^ok: 127.0.0.1:80 is free$/],
    [{ state: 'any' }, /^ok: .*any free port$/],
    [{ state: 'taken', by: 'gateway' }, /^warning: .*a gateway that lives: is it already running\?/],
    [{ state: 'taken', by: 'somebody' }, /^failed: .*in use by something that is no gateway: .*--listen HOST:PORT$/],
    [
      { state: 'unbindable', why: 'needs a privilege', remedy: 'choose' },
      /^failed: 127.0.0.1:80 needs a privilege: choose$/,
    ],
  ])('%j: %s', (facts, expected) => {
    expect(told(addressFinding('listen', '127.0.0.1:80', facts))).toMatch(expected);
  });
});

test('an address for the other replicas is another section’s', () => {
  const taken = addressFinding('peers', '0.0.0.0:8082', { state: 'taken', by: 'somebody' });

  expect(told(taken)).toMatch(
    /^failed: 0\.0\.0\.0:8082 is in use by .*choose another address in peers\.host and peers\.port$/,
  );
});

describe('names', () => {
  test.each<[NameFacts, boolean, RegExp]>([
    [{ state: 'resolved', addresses: 1, ms: 3 }, true, /^ok: 1 address in 3 ms$/],
    [{ state: 'resolved', addresses: 2, ms: 999 }, true, /^ok: 2 addresses/],
    [{ state: 'resolved', addresses: 2, ms: 1000 }, true, /^warning: .*resolver/],
    [{ state: 'unresolved', code: 'ENOTFOUND', ms: 3 }, true, /^failed: does not resolve \(ENOTFOUND\): .*spelt/],
    [{ state: 'unresolved', code: 'EAI_AGAIN', ms: 3 }, true, /^failed: .*no name server answers/],
    [{ state: 'unresolved', code: 'ENOTFOUND', ms: 3 }, false, /^warning: .*clients may know more/],
    [{ state: 'late' }, true, /^failed: no answer in time: .*--timeout$/],
  ])('%j, dialled by us: %s: %s', (facts, isOurs, expected) => {
    expect(told(nameFinding('a.example', facts, isOurs))).toMatch(expected);
  });
});

describe('certificates', () => {
  const own = (some: Partial<OwnCertificate>): OwnCertificate => {
    const dates = { fromMs: NOW - 30 * DAY, toMs: NOW + 60 * DAY };
    return { ...dates, names: 'a.example', missing: null, authority: 'public', ...some };
  };

  test.each([
    ['a good one', {}, /^ok: expires in 60 days \(2026-07-31\), for a.example$/],
    ['one that is over', { toMs: NOW }, /^failed: expired on 2026-06-01: renew it$/],
    ['one that is soon over', { toMs: NOW + 13.9 * DAY }, /^warning: expires in 13 days.*: renew it$/],
    ['one of 90 days with 14 left', { toMs: NOW + 14 * DAY, fromMs: NOW - 76 * DAY }, /^ok/],
    ['one of 6 days with 3 left', { toMs: NOW + 3 * DAY, fromMs: NOW - 3 * DAY }, /^ok/],
    ['one of 6 days with 1 left', { toMs: NOW + DAY, fromMs: NOW - 5 * DAY }, /^warning: expires in 1 day \(/],
    ['one of a day with 2 h left', { toMs: NOW + DAY / 12, fromMs: NOW - DAY }, /^warning: expires today or tomorrow/],
    ['one that is not valid yet', { fromMs: NOW + 1 }, /^failed: is not valid before 2026-06-01: compare the clocks$/],
    ['one for another name', { missing: 'b.example' }, /^warning: .*not for b.example: .*issue it for b.example$/],
    ['one that nobody signed', { authority: 'itself' as const }, /^warning: .*nobody but itself/],
    ['one whose issuer is not there', { authority: 'missing' as const }, /^warning: .*\(fullchain\.pem\)/],
    ['one that is not of the next', { authority: 'broken' as const }, /^warning: .*put each behind/],
    [
      'one of a private authority',
      { authority: 'private' as const },
      /^ok: .*private authority that clients must know$/,
    ],
  ])('%s of a listener: %s', (_, some, expected) => {
    expect(told(ownCertificateFinding('listen', own(some), NOW))).toMatch(expected);
  });

  test.each([
    ['a good one', 60, /^ok: expires in 60 days/],
    ['one that is over', -1, /^failed: expired on 2026-05-31: renew it$/],
  ])('%s of ours for a server: %s', (_, days, expected) => {
    expect(told(fileCertificateFinding('a', own({ toMs: NOW + days * DAY }), NOW))).toMatch(expected);
  });

  const refusal = 'it has another name: use that';
  test.each<[string, Partial<ServedCertificate>, RegExp]>([
    ['a good one', {}, /^ok: expires in 60 days \(2026-07-31\), TLSv1.3$/],
    [
      'one that is soon over',
      { validity: { fromMs: NOW - 90 * DAY, toMs: NOW + DAY } },
      /^warning: .*renewed in time$/,
    ],
    ['one that is not accepted', { refusal }, /^failed: expires in 60 days.*: it has another name: use that$/],
    ['one that is not checked', { refusal, isChecked: false }, /^warning: .*not checked: it has another name/],
    ['none to be seen', { validity: null }, /^ok: TLSv1.3$/],
  ])('%s of a server: %s', (_, some, expected) => {
    const shown = { validity: own({}), refusal: null, isChecked: true, protocol: 'TLSv1.3', ...some };

    expect(told(servedCertificateFinding('a', shown, NOW))).toMatch(expected);
  });
});

describe('the clock', () => {
  const reading = (from: string, aheadMs: number, toleranceMs: number | null = null) => ({
    from,
    aheadMs,
    toleranceMs,
  });

  test.each([
    ['nobody to compare with', [], ['nothing']],
    ['one who agrees', [reading('a', 400)], ['ok: within 1 s of a']],
    ['two who agree', [reading('a', -400), reading('b', 59_000)], ['ok: within 59 s of 2 others']],
    ['one who does not', [reading('a', 60_001)], ['warning: 60 s ahead of ours']],
    ['one of two', [reading('a', 0), reading('b', -600_000)], ['warning: 600 s behind ours']],
    ['an issuer within its tolerance', [reading('a', 32_000, 30_000)], ['ok: within 32 s of a']],
    ['an issuer beyond it', [reading('a', -32_001, 30_000)], ['failed: 32 s behind ours: its tokens may be refused']],
    ['an issuer of much tolerance', [reading('a', 60_001, 300_000)], ['failed: 60 s ahead']],
  ])('%s: %s', (_, readings, expected) => {
    const findings = clockFindings(readings);

    expect(findings.length).toBe(expected[0] === 'nothing' ? 0 : expected.length);
    expected.forEach((text, index) => expect(told(findings[index])).toContain(text));
  });

  test('where nobody agrees with us, it is ours that is wrong', () => {
    const findings = clockFindings([reading('a', 300_000), reading('b', 301_000)]);

    expect(findings.map(({ remedy }) => remedy)).toEqual(
      Array(2).fill(expect.stringMatching(/^set the clock of this machine \(/)),
    );
  });
});

describe('replicas', () => {
  test.each<[PeerFacts, RegExp]>([
    [{ state: 'answered', version: '1.0.0', isDraining: false, ms: 2.4 }, /^ok: answers in 2 ms$/],
    [
      { state: 'answered', version: '0.9.0', isDraining: true, ms: 2 },
      /^ok: answers in 2 ms, with version 0\.9\.0 \(this is 1\.0\.0\), and is about to stop$/,
    ],
    [{ state: 'closed' }, /^failed: .*does not open what we seal.*: give all of them the same secrets\.current/],
    [
      { state: 'other', seen: 'answers with HTTP 404' },
      /^failed: answers with HTTP 404, and is no replica: name the port/,
    ],
    [{ state: 'silent', code: 'ECONNREFUSED' }, /^warning: cannot be reached \(ECONNREFUSED\): .*network policy$/],
    [{ state: 'late' }, /^warning: no answer in time: .*--timeout$/],
  ])('%j: %s', (facts, expected) => {
    expect(told(peerFinding('gw-b:8082', facts, '1.0.0'))).toMatch(expected);
  });

  test('nobody else is fine where a name says who there is, and strange in a list', () => {
    expect(told(nobodyFinding(false))).toBe('ok: no other replica has an address yet');
    expect(told(nobodyFinding(true))).toMatch(/^warning: nobody but this replica is named: .*take peers out$/);
  });
});

describe('the store', () => {
  const server = (some: Partial<StoreServer>): StoreServer => {
    const how = { maxBytes: 0, usedBytes: MIB, policy: 'noeviction', evicted: 0, isPersistent: false, hasSaved: true };
    return { name: 'Redis 7.2.4', version: '7.2.4', mode: 'standalone', role: 'master', ...how, ...some };
  };
  const up = (some: Partial<StoreServer>, mark: 'ours' | 'nobody' | 'foreign' = 'ours'): StoreFacts => {
    return { state: 'up', ms: 3, server: server(some), mark };
  };

  test.each<[string, StoreFacts, RegExp[]]>([
    ['one that is fine', up({}), [/^ok: Redis 7\.2\.4, answers in 3 ms; a restart of it takes with it/]],
    ['one with a disk', up({ isPersistent: true }), [/^ok: .*keeps what it has over a restart$/]],
    ['nobody yet', up({}, 'nobody'), [/^ok/, /^ok: nobody has written under causeway yet$/]],
    ['another deployment', up({}, 'foreign'), [/^ok/, /^failed: another deployment.*give store\.prefix another name/]],
    ['one that cannot be used', { state: 'failed', why: 'a', remedy: 'b' }, [/^failed: a: b$/]],
    ['one that is silent', { state: 'late' }, [/^failed: no answer in time/]],
    ['one that says nothing', { state: 'up', ms: 3, server: null, mark: 'ours' }, [/^warning: .*allow INFO/]],
    ['an old one', up({ version: '4.0.14' }), [/^failed: .*is too old: it must be 5\.0 or later, or Valkey$/]],
    ['the oldest that will do', up({ version: '5.0.0' }), [/^ok/]],
    ['a copy', up({ role: 'slave' }), [/^failed: .*takes no writes: name the primary in store\.url$/]],
    ['a sentinel', up({ mode: 'sentinel', role: 'sentinel' }), [/^failed: .*is a sentinel/]],
    ['one of a cluster', up({ mode: 'cluster' }), [/^failed: .*is one of a cluster/]],
    [
      'a cache',
      up({ maxBytes: 100, usedBytes: 1, policy: 'allkeys-lru' }),
      [/^warning: .*\(allkeys-lru\): .*noeviction/],
    ],
    [
      'a cache that was full',
      up({ maxBytes: 100, usedBytes: 91, policy: 'volatile-ttl', evicted: 7 }),
      [/^warning: .*\(volatile-ttl\), 7 of them so far: leases/, /^warning: .*is full to 91 %/],
    ],
    ['a cache without a bound', up({ policy: 'allkeys-lru' }), [/^ok/]],
    ['one with room', up({ maxBytes: 100, usedBytes: 90 }), [/^ok/]],
    ['one with a full disk', up({ hasSaved: false }), [/^warning: .*could not write to its disk/]],
  ])('%s', (_, facts, expected) => {
    const findings = storeFindings(facts, 'causeway').map(told);

    expect(findings.length).toBe(expected.length);
    expected.forEach((pattern, index) => expect(findings[index]).toMatch(pattern));
  });
});

describe('secrets', () => {
  const [one, other] = ['b8yXkGq0aVb0cXh5dE9ZrV7mJ2sT4uW6xY8zA1bC3dE', 'Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWo'];

  test.each([
    ['none', undefined, /^ok: a random secret of the process/],
    ['one', { current: one, previous: undefined }, /^ok: secrets.current/],
    ['an old one beside it', { current: one, previous: other }, /^warning: .*timeouts.sessionMax \(1d\)/],
    ['the same twice', { current: one, previous: one }, /^warning: .*the same as secrets.current/],
  ])('%s: %s', (_, secrets, expected) => {
    const { timeouts } = configOf({ yaml: URL_LINE });

    const [finding] = secretFindings({ secrets, timeouts });

    expect(told(finding)).toMatch(expected);
    expect(JSON.stringify(finding)).not.toMatch(new RegExp(`${one}|${other}`));
  });

  test.each([
    ['none', [], [], []],
    ['one', ['/a'], [], ['ok: one, which not everybody may read']],
    ['two', ['/a', '/b'], [], ['ok: 2, which not everybody may read']],
    ['an open one', ['/a', '/b'], ['/b'], ['warning: every user of this machine may read it: take the right']],
  ])('files of secrets, %s', (_, files, open, expected) => {
    const findings = secretFileFindings(files, open);

    expect(findings.length).toBe(expected.length);
    expected.forEach((text, index) => expect(told(findings[index])).toContain(text));
  });
});

describe('exposure', () => {
  const upstream = (more: string): string => `upstreams: [{ url: "http://old.example/sse"${more} }]\n`;

  test.each([
    ['loopback', upstream(''), ['ok: serves everybody on this machine alone']],
    [
      'keys',
      `${upstream('')}inbound: { bearer: { keys: [{ name: a, sha256: "${'0'.repeat(64)}" }] } }\nlisten: { host: 0.0.0.0 }\n`,
      ['ok: serves callers with a key or token, on 0.0.0.0'],
    ],
    [
      'a secret over http',
      upstream(', headers: { x-api-key: k }'),
      ['warning: our credentials go to it over plain http'],
    ],
    ['what is no secret', upstream(', headers: { x-team: k }'), ['ok: serves']],
    [
      'a store over a network',
      `${upstream('')}secrets: { current: "b8yXkGq0aVb0cXh5dE9ZrV7mJ2sT4uW6xY8zA1bC3dE" }\nstore: "redis://:p@redis:6379/0"\n`,
      ['warning: the password of the store goes to it in the clear: use rediss://'],
    ],
    [
      'a store on this machine',
      `${upstream('')}secrets: { current: "b8yXkGq0aVb0cXh5dE9ZrV7mJ2sT4uW6xY8zA1bC3dE" }\nstore: "redis://:p@127.0.0.1:6379/0"\n`,
      ['ok: serves'],
    ],
    [
      'a page over http',
      `${upstream('')}allowedOrigins: ["http://app.example", "https://b.example", "http://localhost:3000"]\n`,
      ['warning: pages of this origin may call, and come over plain http'],
    ],
  ])('%s', (_, yaml, expected) => {
    const findings = exposureFindings(configOf({ yaml }), []);

    expect(findings.length).toBe(expected.length);
    expected.forEach((text, index) => expect(told(findings[index])).toContain(text));
  });

  test('what serve warns of is told with what to do', () => {
    const warned = { subject: 'a', text: 'is open: to all', remedy: 'close it' };

    const [finding] = exposureFindings(configOf({ yaml: upstream('') }), [warned]);

    expect(told(finding)).toBe('warning: is open: to all: close it');
  });
});

describe('oauth', () => {
  const issuer = 'https://login.example.com/realm';
  const jwksUri = new URL('https://login.example.com/jwks');
  const jwt = { issuer, jwksUri, scopes: ['mcp'] };
  const good = { issuer, jwks_uri: jwksUri.href, code_challenge_methods_supported: ['S256'] };
  const answered = (value: unknown, status = 200): Fetched => {
    return { state: 'answered', status, text: typeof value === 'string' ? value : JSON.stringify(value), ms: 1 };
  };

  test.each([
    ['those of publicUrl', ['https://a/mcp'], ['https://a/mcp'], /^ok: tokens for https:\/\/a\/mcp$/],
    ['another', ['api'], ['https://a/mcp'], /^warning: tokens must be for api, and clients ask for https:\/\/a\/mcp/],
    ['one of two', ['https://a/mcp'], ['https://a/mcp', 'https://a/sse'], /^warning: .*ask for https:\/\/a\/sse:/],
  ])('audiences, %s: %s', (_, audiences, resources, expected) => {
    expect(told(audienceFinding('a', audiences, resources))).toMatch(expected);
  });

  test.each([
    ['https://a', ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']],
    [
      'https://a/b/',
      [
        '/.well-known/oauth-authorization-server/b',
        '/.well-known/openid-configuration/b',
        '/b/.well-known/openid-configuration',
      ],
    ],
  ])('metadata of %s are looked for at %j', (of, paths) => {
    expect(metadataUrls(of).map(({ href }) => href)).toEqual(paths.map((path) => `https://a${path}`));
  });

  test.each<[string, Fetched[], RegExp]>([
    ['what agrees', [answered(good)], /^ok/],
    ['the second', [answered('', 404), answered(good)], /^ok/],
    ['none', [answered('', 404), { state: 'late' }], /^warning: no metadata: HTTP 404, no answer in time:/],
    ['a page', [answered('<html>')], /^warning: no metadata: no JSON object/],
    ['a list', [answered([])], /^warning: no metadata: no JSON object/],
    [
      'another issuer',
      [answered({ ...good, issuer: `${issuer}/` })],
      /^failed: .*of https:\/\/login.example.com\/realm\/:/,
    ],
    ['no issuer', [answered({})], /^failed: its metadata are of nobody/],
    ['other keys', [answered({ ...good, jwks_uri: 'https://x/' })], /^warning: .*keys are at https:\/\/x\//],
    ['no such scope', [answered({ ...good, scopes_supported: ['a'] })], /^warning: .*scopes mcp:/],
    ['no PKCE', [answered({ ...good, code_challenge_methods_supported: ['plain'] })], /^warning: .*PKCE/],
    ['nothing of PKCE', [answered({ ...good, code_challenge_methods_supported: undefined })], /^warning: .*PKCE/],
  ])('metadata, %s: %s', (_, answers, expected) => {
    expect(told(issuerFinding(jwt, answers))).toMatch(expected);
  });

  const ec = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' };
  const rsa = { kty: 'RSA', n: 'n'.repeat(342), e: 'AQAB' };
  test.each<[string, object[], string[], RegExp]>([
    ['one that fits', [ec], ['ES256'], /^ok: 1 of 1 can be used$/],
    ['one of another algorithm', [ec], ['RS256'], /^failed: 0 of 1 can be used: there must be a public key/],
    ['one that says another', [{ ...rsa, alg: 'RS512' }], ['RS256'], /^failed/],
    ['one that says its own', [{ ...rsa, alg: 'PS256' }], ['RS256', 'PS256'], /^ok/],
    ['one for encryption', [{ ...rsa, use: 'enc' }], ['RS256'], /^failed/],
    ['one that may not verify', [{ ...ec, key_ops: ['sign'] }], ['ES256'], /^failed/],
    ['one that may', [{ ...ec, key_ops: ['verify'], use: 'sig' }], ['ES256'], /^ok/],
    ['one of 1024 bits', [{ ...rsa, n: 'n'.repeat(171) }], ['RS256'], /^failed/],
    ['one that names its kind by no text', [{ kty: { toString: null, valueOf: null } }], ['ES256'], /^failed/],
    ['one that names its curve by no text', [{ kty: 'OKP', crv: { toString: 1, valueOf: 2 } }], ['EdDSA'], /^failed/],
    ['one of no known kind', [{ kty: '__proto__', crv: 'constructor' }], ['ES256'], /^failed/],
    ['one of a newer kind beside one', [{ kty: 'OKP', crv: 'X' }, ec], ['ES256'], /^ok: 1 of 2 can be used$/],
    ['a private one', [{ ...ec, d: 'd' }], ['ES256'], /^failed/],
    [
      'a private one beside one',
      [ec, { ...ec, d: 'd' }],
      ['ES256'],
      /^warning: 1 of 2 .*publish the public ones alone/,
    ],
    ['none', [], ['ES256'], /^failed: 0 of 0/],
  ])('keys, %s: %s', (_, keys, algorithms, expected) => {
    expect(told(keysFinding('https://a/jwks', { keySet: { keys } }, algorithms))).toMatch(expected);
  });

  test('keys that cannot be read: no token can be checked', () => {
    expect(told(keysFinding('https://a/jwks', { why: 'the answer was 500' }, []))).toMatch(
      /^failed: the answer was 500: no token can be checked/,
    );
  });

  const resource = 'https://mcp.example.com/mcp';
  const metadataUrl = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp';
  const document = { resource, authorization_servers: [issuer] };
  test.each<[string, Fetched | null, RegExp]>([
    ['nobody asked', null, /^ok: clients will read at .*\/mcp that .*realm issues tokens for https:.*\/mcp$/],
    ['what is right', answered(document), /^ok: .* says that/],
    ['no answer', { state: 'failed', why: 'ECONNREFUSED', ms: 1 }, /^warning: .* cannot be read: ECONNREFUSED/],
    ['a 404', answered('', 404), /^failed: .*HTTP 404: whatever stands in front/],
    ['another resource', answered({ ...document, resource: 'https://x/mcp' }), /^failed: .*is about https:\/\/x\/mcp/],
    ['another issuer', answered({ ...document, authorization_servers: [] }), /^warning: .*another issuer.*reload it$/],
  ])('the document of the resource, %s: %s', (_, answer, expected) => {
    expect(told(metadataFinding('a', { resource, metadataUrl, issuer }, answer))).toMatch(expected);
  });
});

describe('upstreams', () => {
  const opened = { state: 'opened', ms: 12.4, server: 'old 1.0', revision: '2024-11-05', lists: ['tools'] } as const;
  const down = { state: 'failed', ms: 3, isRefusal: false, why: 'nothing answers at a:1: check that it runs' } as const;

  test.each<[string, UpstreamFacts, boolean, RegExp]>([
    ['one that opens', opened, false, /^ok: old 1.0, revision 2024-11-05, offers tools, opened in 12 ms$/],
    ['one that opens for nobody', opened, true, /^warning: .*without a credential of any caller: see that it refuses/],
    ['one that is down', down, false, /^failed: nothing answers at a:1: check that it runs$/],
    ['one that refuses us', { ...down, isRefusal: true }, false, /^failed/],
    [
      'one that wants a caller',
      { ...down, isRefusal: true },
      true,
      /^ok: answers, and wants the credential of a caller$/,
    ],
    [
      'one that is late',
      { state: 'late', phase: 'without an endpoint event' },
      false,
      /^failed: not open in time, without an endp/,
    ],
    ['one that is spared', { state: 'spared' }, false, /^ok: not opened: it survives one connection/],
  ])('%s: %s', (_, facts, isOfCallers, expected) => {
    expect(told(upstreamFinding({ subject: 'a', isOfCallers }, facts))).toMatch(expected);
  });
});

describe('a report', () => {
  test('comes in the order of the checks, one line for each, with their sum', () => {
    const findings = inOrder([
      ok('upstream', 'opened', { subject: 'b' }),
      ok('upstream', 'opened', { subject: 'a' }),
      warning('secrets', 'old ones', 'take them out'),
    ]);

    expect(reportText(findings)).toBe(
      'warning  secrets: old ones: take them out\nok       upstream b: opened\nok       upstream a: opened\n\n2 ok, 1 warning, 0 failed\n',
    );
    expect(resultOf(findings)).toBe('warnings');
    expect(resultOf([])).toBe('ok');
  });

  test('what others say in it moves no cursor, turns no line, shows no query, and ends', () => {
    const hostile = `\u001b[2Jx\u202ey\nfailed https://u:p@a/?q=s3cret ${'z'.repeat(1000)}`;

    const { seen } = harmless(ok('upstream', hostile, { subject: hostile }));

    // oxlint-disable-next-line no-control-regex -- control characters are just what this looks for
    expect(seen).not.toMatch(/[\u0000-\u001f\u202e]|s3cret|u:p/);
    expect(seen.length).toBeLessThan(510);
  });

  test('every check says what it looks at', () => {
    for (const meaning of Object.values(CHECKS)) expect(meaning.length).toBeGreaterThan(20);
  });
});
