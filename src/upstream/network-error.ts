// What went wrong on a socket → a row of the error table.

import { type ErrorDetails, ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';

const TLS = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO$)/;

/** A failure before any byte of ours was written. */
export function connectError(cause: unknown): ProxyError {
  const code = codeOf(cause);
  const row =
    code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT'
      ? 'upstream_connect_timeout'
      : code === 'UND_ERR_HEADERS_TIMEOUT'
        ? 'upstream_headers_timeout'
        : TLS.test(code)
          ? 'upstream_tls'
          : 'upstream_unreachable';
  const details: ErrorDetails = { cause, outcome: 'not_executed' };
  switch (row) {
    case 'upstream_connect_timeout':
      return overLimit(row, 'timeouts.connect', 'the upstream did not accept a connection in time', details);
    case 'upstream_headers_timeout': {
      const text = 'the upstream accepted the connection but sent no headers in time';
      return overLimit(row, 'timeouts.headers', text, details);
    }
    case 'upstream_tls':
      return new ProxyError(row, `the upstream’s TLS certificate or handshake was not accepted (${code})`, details);
    case 'upstream_unreachable':
      return new ProxyError(row, `the upstream cannot be reached (${code})`, details);
  }
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
