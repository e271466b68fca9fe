// A refusal before there is an exchange: ProxyError → HTTP status and JSON-RPC body, through Fastify.

import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { errorReply } from '../bridge/exchange.ts';
import { ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Journal } from '../domain/ports.ts';
import { clientAddress, plain } from '../edge/client-address.ts';
import { joined } from '../protocol/json-rpc.ts';

/** `id`: the bytes of the request's id, where it is known. */
export function refuse(
  reply: FastifyReply,
  journal: Journal,
  error: ProxyError,
  id: Uint8Array | null = null,
): FastifyReply {
  const { status, body, headers } = errorReply(id, error);
  journal.record({
    fact: 'refused',
    reason: error.code,
    status,
    why: error.message,
    client: clientAddress(reply.request),
    ...error.seen,
    ...(error.cause !== undefined && { cause: error.cause }),
  });
  return reply
    .code(status)
    .headers(headers ?? {})
    .type('application/json')
    .send(Buffer.from(joined(...body)));
}

/** How far the request on a socket has come. */
export interface SocketState {
  readonly hasHeaders: boolean;
  /** That is due, or has begun: what would be written now would be taken for a part of it. */
  readonly answering: Pick<ServerResponse, 'shouldKeepAlive' | 'on'> | null;
  /** All of the request has come, so what could not be read stands behind it. */
  readonly isComplete: boolean;
}

/** What Node could not read as a request, or not in time: there is a socket, and no more. */
export function refuseRaw(
  socket: Duplex & Partial<Pick<Socket, 'remoteAddress'>>,
  journal: Journal,
  cause: Error & { code?: string },
  { hasHeaders, answering, isComplete }: SocketState,
): void {
  // Told twice of one socket, the second time while the first reply is still on its way.
  if (cause.code === 'ECONNRESET' || !socket.writable) return;
  // Behind a request that said it was the last one: that is answered, and nothing else is read.
  if (cause.code === 'HPE_CLOSED_CONNECTION') return;
  if (answering !== null && isComplete) {
    // Whatever follows a request, it has its answer; of the connection nothing else is read.
    if (!answering.shouldKeepAlive) return;
    answering.shouldKeepAlive = false;
    answering.on('close', () => socket.end(() => socket.destroy()));
    // Node looks no more at what comes, the end included.
    socket.on('end', () => socket.destroy());
  }
  const error = rawError(cause, hasHeaders);
  const { status, body } = errorReply(null, error);
  const client = plain(socket.remoteAddress);
  journal.record({ fact: 'refused', reason: error.code, status, why: error.message, client, ...error.seen });
  if (answering !== null) {
    if (!isComplete) socket.destroy();
    return;
  }
  const text = joined(...body);
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\n` +
      `content-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n`,
  );
  socket.end(text, () => socket.destroy());
}

/** Where no TLS came about nothing can be said to whoever asked. */
export function refuseHandshake(socket: Socket, journal: Journal, cause: Error & { code?: string }): void {
  const client = plain(socket.remoteAddress);
  socket.destroy();
  // Balancers that only look whether the port is open leave like this.
  if (cause.code === 'ECONNRESET') return;
  const { code: reason, status, message: why } = new ProxyError('invalid_request', 'no TLS connection came about');
  journal.record({ fact: 'refused', reason, status, why, client, cause });
}

function rawError(cause: Error & { code?: string }, hasHeaders: boolean): ProxyError {
  switch (cause.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ProxyError('headers_too_large', 'the request headers are larger than 16 KiB');
    case 'ERR_HTTP_REQUEST_TIMEOUT': {
      const limit = hasHeaders ? 'timeouts.clientBody' : 'timeouts.clientHeaders';
      return overLimit('body_timeout', limit, 'the request did not arrive in time');
    }
    case 'CONNECT':
      return new ProxyError('method_not_allowed', 'this is no tunnel: CONNECT is not served');
    default:
      return new ProxyError('invalid_request', 'the request is not well-formed HTTP', { cause });
  }
}

/** What Fastify itself refuses → our table. */
export function fromFastify(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const { code, statusCode } = thrown as { code?: unknown; statusCode?: unknown };
  switch (code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_EMPTY_TYPE':
      return new ProxyError('unsupported_media_type', 'Content-Type must be application/json');
    default:
      if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
        return new ProxyError('invalid_request', 'the HTTP request is not well-formed', { cause: thrown });
      }
      return new ProxyError('internal_error', 'internal error', { cause: thrown });
  }
}
