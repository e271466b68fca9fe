// How a request says where it ends. Node refuses what is malformed; this refuses what is well-formed and seldom meant, but
// read in two ways by those who disagree about where the next request begins.

import type { IncomingMessage } from 'node:http';
import { ProxyError } from '../domain/errors.ts';
import { valuesOf } from './raw-headers.ts';

/**
 * [RFC 9112 6.1] "A server that receives a request message with a transfer coding it does not understand SHOULD respond
 * with 501", and one "that contains Transfer-Encoding" in HTTP/1.0 "MUST be treated as if the framing is faulty".
 */
export function checkFraming({
  headers,
  httpVersion,
}: Pick<IncomingMessage, 'headers' | 'httpVersion'>): ProxyError | null {
  const coding = headers['transfer-encoding'];
  if (coding === undefined || (coding.toLowerCase() === 'chunked' && httpVersion === '1.1')) return null;
  return new ProxyError('invalid_request', 'Transfer-Encoding is chunked, once, in HTTP/1.1, or is not there');
}

/**
 * Nothing that follows it on its connection is a request. Who reads two Hosts or this framing in another way sees the next
 * one begin elsewhere; and behind an Upgrade that does not come about Node finds no other request.
 */
export function isLast(request: Pick<IncomingMessage, 'headers' | 'rawHeaders' | 'httpVersion'>): boolean {
  return (
    request.headers.upgrade !== undefined ||
    valuesOf(request.rawHeaders, 'host').length > 1 ||
    checkFraming(request) !== null
  );
}
