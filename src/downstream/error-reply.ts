// A refusal before there is an exchange: ProxyError → HTTP status and JSON-RPC body, through Fastify.

import type { FastifyReply } from 'fastify';
import { errorReply } from '../bridge/exchange.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Journal } from '../domain/ports.ts';
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
    ...(error.cause !== undefined && { cause: error.cause }),
  });
  return reply
    .code(status)
    .headers(headers ?? {})
    .type('application/json')
    .send(Buffer.from(joined(...body)));
}

/** What Fastify itself refuses → our table. */
export function fromFastify(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const { code, statusCode } = thrown as { code?: unknown; statusCode?: unknown };
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ProxyError('body_too_large', 'the body is too large (limits.bodyBytes)');
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
