import { describe, expect, test } from 'vitest';
import { type OriginRules, checkOrigin, originRules } from '../../src/edge/origin-guard.ts';

const ON_LOOPBACK = originRules('127.0.0.1', undefined);
const ELSEWHERE = originRules('0.0.0.0', undefined);

function isRefused(origin: string | undefined, rules: OriginRules): boolean {
  const refusal = checkOrigin(origin, rules);
  if (refusal !== null) expect(refusal).toMatchObject({ code: 'origin_refused', status: 403 });
  return refusal !== null;
}

test('a request without Origin comes from no page', () => {
  for (const rules of [ON_LOOPBACK, ELSEWHERE, originRules('::', ['https://a.example'])]) {
    expect(isRefused(undefined, rules)).toBe(false);
  }
});

describe('on a loopback bind', () => {
  test.each([
    'http://localhost',
    'http://localhost:3000',
    'https://localhost:8443',
    'HTTP://LOCALHOST:3000',
    'http://127.0.0.1',
    'http://127.0.0.1:6274',
    'http://[::1]',
    'http://[::1]:5173',
  ])('%s comes in', (origin) => {
    expect(isRefused(origin, ON_LOOPBACK)).toBe(false);
  });

  test.each([
    '',
    'null',
    'NULL',
    '*',
    'http://evil.com',
    'http://evil.com:8080',
    'http://localhost.evil.com',
    'http://localhost.evil.com:8080',
    'http://localhost.',
    'http://localhost:3000.evil.com',
    'http://evil.com#localhost',
    'http://evil.com/localhost',
    'http://localhost@evil.com',
    'http://localhost:x',
    'http://localhost:',
    'http://localhost:123456',
    'http://localhost/',
    'http://localhost:3000/',
    'http://127.0.0.1.evil.com',
    'http://127.0.0.2',
    'http://127.1',
    'http://0.0.0.0:8080',
    'http://2130706433',
    'http://[::1].evil.com',
    'http://[::ffff:127.0.0.1]',
    'http://::1',
    'localhost',
    'localhost:3000',
    '//localhost',
    'ftp://localhost',
    'file://localhost',
    'file://',
    'chrome-extension://localhost',
    'blob:http://localhost',
    'javascript://localhost',
    'http://localhost, http://evil.com',
    'http://localhost http://evil.com',
    'http://localhost\n',
    ' http://localhost',
    'http://ｌocalhost',
  ])('%j is refused', (origin) => {
    expect(isRefused(origin, ON_LOOPBACK)).toBe(true);
  });
});

test.each(['http://localhost', 'http://10.0.0.1:8080', 'https://a.example', 'null', ''])(
  'on any other bind %j is refused unless it is listed: a rebinding page agrees with its Host',
  (origin) => {
    expect(isRefused(origin, ELSEWHERE)).toBe(true);
    expect(isRefused(origin, originRules('mcp.example.com', undefined))).toBe(true);
  },
);

test('a list replaces the default: exact origins, in any case of letters', () => {
  const rules = originRules('127.0.0.1', ['https://App.Example', 'http://localhost:3000']);

  for (const origin of ['https://app.example', 'https://APP.example', 'http://localhost:3000']) {
    expect(isRefused(origin, rules)).toBe(false);
  }
  for (const origin of ['http://app.example', 'https://app.example:444', 'https://x.app.example', 'http://localhost']) {
    expect(isRefused(origin, rules)).toBe(true);
  }
});

test('an empty list lets no page in', () => {
  expect(isRefused('http://localhost', originRules('127.0.0.1', []))).toBe(true);
});
