import { describe, expect, test } from 'vitest';
import { type HostRules, checkHost, hostRules, isLoopback } from '../../src/edge/host-guard.ts';

const ON_LOOPBACK = hostRules('127.0.0.1', undefined);
const ANY = hostRules('0.0.0.0', undefined);

/** The code of the refusal, or null. */
function refusal(
  host: string | readonly string[] | null,
  rules: HostRules = ON_LOOPBACK,
  target = '/mcp',
): string | null {
  const hosts = host === null ? [] : typeof host === 'string' ? [host] : host;
  const rawHeaders = ['Accept', '*/*', ...hosts.flatMap((value) => ['Host', value]), 'X-Host', 'evil.com'];
  return checkHost(rawHeaders, target, rules)?.code ?? null;
}

describe('on a loopback bind only the loopback names come in', () => {
  test.each([
    'localhost',
    'localhost:8080',
    'LOCALHOST:8080',
    'LocalHost',
    '127.0.0.1',
    '127.0.0.1:8080',
    '127.0.0.1:1',
    '[::1]',
    '[::1]:8080',
    'localhost:',
  ])('%s comes in', (host) => {
    expect(refusal(host)).toBeNull();
  });

  test.each([
    'evil.com',
    'evil.com:8080',
    'localhost.evil.com',
    'localhost.',
    'localhost.:8080',
    'evil-localhost',
    'xlocalhost',
    '127.0.0.1.evil.com',
    '127.0.0.1.nip.io:8080',
    '127.0.0.2',
    '127.1',
    '0.0.0.0',
    '2130706433',
    '0x7f.1',
    '::1',
    '[::1',
    '[::1]x',
    '[::1].evil.com',
    '[::1]:8080:80',
    '[::ffff:127.0.0.1]',
    '[0:0:0:0:0:0:0:1]',
    'localhost:80:80',
    'localhost:port',
    'localhost:8080/',
    'localhost@evil.com',
    'evil.com@localhost',
    'user:pass@localhost',
    'localhost,evil.com',
    'localhost, localhost',
    'localhost evil.com',
    ' localhost',
    'localhost ',
    'localhost\t',
    'http://localhost',
    'localhost#',
    'localhost?x',
    'ｌocalhost',
    'localhost%00',
    ':8080',
    '*',
  ])('%j is refused', (host) => {
    expect(refusal(host)).toBe('host_refused');
  });
});

describe('a request has exactly one Host', () => {
  test.each<[what: string, host: string | string[] | null]>([
    ['none', null],
    ['an empty one', ''],
    ['two different ones', ['localhost', 'evil.com']],
    ['two in the other order', ['evil.com', 'localhost']],
    ['two equal ones', ['localhost', 'localhost']],
    ['two, one of them empty', ['localhost', '']],
  ])('%s is invalid, whatever is allowed', (_what, host) => {
    expect(refusal(host)).toBe('host_invalid');
    expect(refusal(host, ANY)).toBe('host_invalid');
  });

  test('in any spelling of its name', () => {
    expect(checkHost(['hOsT', 'localhost', 'HOST', 'localhost'], '/', ON_LOOPBACK)?.code).toBe('host_invalid');
    expect(checkHost(['hOsT', 'localhost'], '/', ON_LOOPBACK)).toBeNull();
  });

  test('a value that is called Host is no Host', () => {
    expect(checkHost(['X-Name', 'Host', 'Host', 'localhost'], '/', ON_LOOPBACK)).toBeNull();
    expect(checkHost(['X-Name', 'Host'], '/', ON_LOOPBACK)?.code).toBe('host_invalid');
  });
});

describe('a target that names an authority has to agree with the Host', () => {
  test.each<[target: string, host: string]>([
    ['/mcp', 'localhost'],
    ['*', 'localhost'],
    ['//evil.com/mcp', 'localhost'], // a path to us, however it looks
    ['http://localhost:8080/mcp', 'localhost:8080'],
    ['HTTP://LOCALHOST:8080/mcp', 'localhost:8080'],
    ['https://[::1]:8080', '[::1]:8080'],
    ['http://localhost?x', 'localhost'],
  ])('%s with Host %s comes in', (target, host) => {
    expect(refusal(host, ON_LOOPBACK, target)).toBeNull();
  });

  test.each<[target: string, host: string]>([
    ['http://evil.com/mcp', 'localhost'],
    ['http://evil.com/mcp', 'localhost:80'],
    ['http://localhost/mcp', 'localhost:8080'],
    ['http://localhost:80/mcp', 'localhost'],
    ['http://evil.com@localhost/mcp', 'localhost'],
    ['http://localhost@evil.com/mcp', 'localhost'],
    ['http://localhost.evil.com/mcp', 'localhost'],
    ['http:///mcp', 'localhost'],
    ['http:/mcp', 'localhost'],
    ['localhost:8080', 'localhost:8080'],
    ['mcp', 'localhost'],
    ['', 'localhost'],
    ['?x', 'localhost'],
  ])('%s with Host %s is invalid', (target, host) => {
    expect(refusal(host, ON_LOOPBACK, target)).toBe('host_invalid');
    expect(refusal(host, ANY, target)).toBe('host_invalid');
  });

  test('one that agrees is still checked against the list', () => {
    expect(refusal('evil.com', ON_LOOPBACK, 'http://evil.com/mcp')).toBe('host_refused');
  });
});

describe('which names are allowed', () => {
  test('on another bind any name is, unless a list is given', () => {
    expect(refusal('evil.com', ANY)).toBeNull();
    expect(refusal('evil.com', hostRules('0.0.0.0', ['mcp.example.com']))).toBe('host_refused');
  });

  test('a list replaces the loopback names, in any case of letters, with any port', () => {
    const rules = hostRules('127.0.0.1', ['MCP.Example.com']);

    expect(refusal('mcp.example.com', rules)).toBeNull();
    expect(refusal('mcp.EXAMPLE.com:443', rules)).toBeNull();
    expect(refusal('a.mcp.example.com', rules)).toBe('host_refused');
    expect(refusal('mcp.example.com.', rules)).toBe('host_refused');
    expect(refusal('localhost', rules)).toBe('host_refused');
  });

  test('an empty list lets nobody in', () => {
    expect(refusal('localhost', hostRules('127.0.0.1', []))).toBe('host_refused');
  });

  test('the loopback address that is listened on is a name too', () => {
    expect(refusal('127.8.0.1:80', hostRules('127.8.0.1', undefined))).toBeNull();
    expect(refusal('127.8.0.2:80', hostRules('127.8.0.1', undefined))).toBe('host_refused');
  });

  test.each(['localhost', '127.0.0.1', '127.255.0.1', '::1', '[::1]'])('%s is a loopback bind', (host) => {
    expect(isLoopback(host)).toBe(true);
    expect(refusal('evil.com', hostRules(host, undefined))).toBe('host_refused');
    expect(refusal('localhost', hostRules(host, undefined))).toBeNull();
  });

  // A rebinding page must not come in because the operator wrote the same bind in another way.
  test.each(['LOCALHOST', 'Localhost', '::ffff:127.0.0.1', '0:0:0:0:0:0:0:1'])(
    '%s is a loopback bind as well, however it is written',
    (host) => {
      expect(refusal('evil.com', hostRules(host, undefined))).toBe('host_refused');
    },
  );

  test.each(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.evil.com', 'localhost.evil.com', '1127.0.0.1'])(
    '%s is none',
    (host) => {
      expect(isLoopback(host)).toBe(false);
    },
  );
});
