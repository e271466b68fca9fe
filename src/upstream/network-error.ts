// What went wrong on a socket → a row of the error table.

import { type ErrorDetails, ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';

const TLS = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO$)/;

const TLS_FAILED = 'the upstream’s TLS certificate or handshake was not accepted';
const UNKNOWN_CA =
  'the upstream’s certificate comes from an authority that is not known: name its certificate in tls.ca';
const SELF_SIGNED = 'the upstream’s certificate is signed by nobody but itself: name it in tls.ca';
const NOT_TLS = 'the upstream’s port does not speak TLS: is its URL http?';
const TOO_OLD = 'the upstream speaks no TLS from 1.2 on: it must be renewed, or something in front of it';
const WANTS_CERT = 'the upstream wants a certificate of ours, or another one: set tls.cert and tls.key';

/** What to do, for those that say enough. In no other words of the library’s: they hold names and addresses. */
const TLS_FAILURES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the upstream’s certificate, or that of its authority, has expired: renew it',
  CERT_NOT_YET_VALID: 'the upstream’s certificate is not valid yet: compare the clocks',
  CERT_REVOKED: 'the upstream’s certificate was revoked: renew it',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'the upstream’s certificate has another name than its URL: use the name that it has, or set tls.serverName',
  HOSTNAME_MISMATCH:
    'the upstream’s certificate has another name than its URL: use the name that it has, or set tls.serverName',
  DEPTH_ZERO_SELF_SIGNED_CERT: SELF_SIGNED,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_CA,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_CA,
  CERT_SIGNATURE_FAILURE: UNKNOWN_CA,
  EPROTO: NOT_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NOT_TLS,
  ERR_SSL_HTTP_REQUEST: NOT_TLS,
  ERR_SSL_UNSUPPORTED_PROTOCOL: TOO_OLD,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: TOO_OLD,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: WANTS_CERT,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE:
    'the upstream broke off the TLS handshake: it may want a certificate (tls.cert)',
  ERR_SSL_SSL_TLS_ALERT_HANDSHAKE_FAILURE:
    'the upstream broke off the TLS handshake: it may want a certificate (tls.cert)',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: WANTS_CERT,
  ERR_SSL_SSL_TLS_ALERT_BAD_CERTIFICATE: WANTS_CERT,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: WANTS_CERT,
};

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
      return new ProxyError(row, `${TLS_FAILURES[code] ?? TLS_FAILED} (${code})`, details);
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
