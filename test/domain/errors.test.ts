import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode, type ErrorRow, ProxyError, asProxyError } from '../../src/domain/errors.ts';

// The table is `as const satisfies Record<string, ErrorRow>`, so its keys are the codes.
const rows = Object.entries(ERRORS) as [ErrorCode, ErrorRow][];

describe('the table of errors', () => {
  test.each(rows.filter(([, { side }]) => side === 'upstream'))(
    '%s: the upstream’s fault is never a 4xx',
    (_code, row) => {
      expect([502, 503, 504]).toContain(row.before);
    },
  );

  test.each(rows.filter(([, { side }]) => side === 'downstream'))(
    '%s: the client’s fault is never a 5xx',
    (_code, { before }) => {
      expect(before === 200 || (before >= 400 && before < 500)).toBe(true);
    },
  );

  test.each(rows.filter(([, { side }]) => side === 'gateway'))('%s: our own is a 5xx', (_code, { before }) => {
    expect([500, 502, 503]).toContain(before);
  });

  test('every code is a word that can stand in error.data, and has a remedy', () => {
    for (const [code, { remedy, rpc }] of rows) {
      expect(code).toMatch(/^[a-z][a-z_]*$/);
      expect(remedy).not.toBe('');
      expect(rpc).toBeLessThan(0);
    }
  });

  test('no limit of capacity is a 429: that is for a live session id only', () => {
    expect(rows.filter(([, { before }]) => before === 429)).toEqual([]);
  });
});

describe('a ProxyError', () => {
  test.each(rows)('%s has the status of its row before anything was sent, and 200 after', (code, row) => {
    const error = new ProxyError(code, 'x');

    expect(error.status).toBe(row.before);
    expect(new ProxyError(code, 'x', { reached: false }).status).toBe(row.before);
    expect(error.afterSending('unknown').status).toBe(200);
  });

  test('keeps what it says when it is told after sending', () => {
    const cause = new Error('why');
    const error = new ProxyError('post_failed', 'it broke', { cause, retryAfterMs: 7, data: { a: 1 } });
    const after = error.afterSending('unknown');

    expect(after).toMatchObject({ code: 'post_failed', message: 'it broke', cause });
    expect(after.details).toMatchObject({ reached: true, outcome: 'unknown', retryAfterMs: 7, data: { a: 1 } });
    expect(error.details.reached).toBeUndefined();
  });

  test('without a cause has none, not an undefined one', () => {
    expect(Object.hasOwn(new ProxyError('draining', 'x'), 'cause')).toBe(false);
    expect(new ProxyError('draining', 'x').afterSending('not_executed').cause).toBeUndefined();
  });

  test('is what anything thrown becomes, once', () => {
    const own = new ProxyError('queue_full', 'x');
    const foreign = new TypeError('secret');

    expect(asProxyError(own)).toBe(own);
    for (const thrown of [foreign, 'secret', undefined, null, { code: 'queue_full' }]) {
      const error = asProxyError(thrown);
      expect(error).toMatchObject({ code: 'internal_error', message: 'internal error' });
      expect(error.cause).toBe(thrown);
    }
  });
});
