// What went wrong on a socket → a row of the error table.

import { type ErrorCode, ProxyError } from '../domain/errors.ts';

const TLS = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO$)/;

/** A failure before any byte of ours was written. */
export function connectError(cause: unknown): ProxyError {
  const code = codeOf(cause);
  const row: ErrorCode =
    code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT'
      ? 'upstream_connect_timeout'
      : code === 'UND_ERR_HEADERS_TIMEOUT'
        ? 'upstream_headers_timeout'
        : TLS.test(code)
          ? 'upstream_tls'
          : 'upstream_unreachable';
  const text = {
    upstream_connect_timeout: 'the upstream did not accept a connection in time (timeouts.connect)',
    upstream_headers_timeout: 'the upstream accepted the connection but sent no headers in time (timeouts.headers)',
    upstream_tls: `the upstream’s TLS certificate or handshake was not accepted (${code})`,
    upstream_unreachable: `the upstream cannot be reached (${code})`,
  }[row];
  return new ProxyError(row, text, { cause, outcome: 'not_executed' });
}

/** The system’s or the library’s code, never its text: that can hold addresses. */
export function codeOf(cause: unknown): string {
  let error = cause;
  // Happy eyeballs wraps one error per address.
  if (error instanceof AggregateError) error = error.errors[0];
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code;
  return error instanceof Error ? error.name : 'unknown';
}
