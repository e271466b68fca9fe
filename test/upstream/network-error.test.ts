import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { codeOf, connectError } from '../../src/upstream/network-error.ts';

function systemError(code: string): Error {
  return Object.assign(new Error(`connect ${code} 10.1.2.3:9001`), { code });
}

test.each<[code: string, row: ErrorCode]>([
  ['ECONNREFUSED', 'upstream_unreachable'],
  ['ENOTFOUND', 'upstream_unreachable'],
  ['EAI_AGAIN', 'upstream_unreachable'],
  ['EHOSTUNREACH', 'upstream_unreachable'],
  ['ECONNRESET', 'upstream_unreachable'],
  ['UND_ERR_SOCKET', 'upstream_unreachable'],
  ['UND_ERR_CONNECT_TIMEOUT', 'upstream_connect_timeout'],
  ['ETIMEDOUT', 'upstream_connect_timeout'],
  ['UND_ERR_HEADERS_TIMEOUT', 'upstream_headers_timeout'],
  ['CERT_HAS_EXPIRED', 'upstream_tls'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'upstream_tls'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'upstream_tls'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'upstream_tls'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'upstream_tls'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'upstream_tls'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'upstream_tls'],
  ['EPROTO', 'upstream_tls'],
])('%s is %s, and nothing was executed', (code, row) => {
  const cause = systemError(code);

  expect(connectError(cause)).toMatchObject({ code: row, cause, details: { outcome: 'not_executed' } });
});

test('the text of the system does not reach the client: it holds addresses [G24]', () => {
  for (const code of ['ECONNREFUSED', 'ETIMEDOUT', 'EPROTO', 'UND_ERR_HEADERS_TIMEOUT']) {
    expect(connectError(systemError(code)).message).not.toMatch(/10\.1\.2\.3|9001/);
  }
});

describe('the code of', () => {
  test('several addresses that failed is that of the first', () => {
    expect(codeOf(new AggregateError([systemError('ECONNREFUSED'), systemError('ENETUNREACH')]))).toBe('ECONNREFUSED');
    expect(codeOf(new AggregateError([]))).toBe('unknown');
  });

  test.each<[thrown: unknown, code: string]>([
    [new TypeError('x'), 'TypeError'],
    [Object.assign(new Error('x'), { code: 7 }), 'Error'],
    ['ECONNREFUSED', 'unknown'],
    [null, 'unknown'],
    [undefined, 'unknown'],
    [{ code: 'X' }, 'X'],
  ])('%s is %s', (thrown, code) => {
    expect(codeOf(thrown)).toBe(code);
  });
});
