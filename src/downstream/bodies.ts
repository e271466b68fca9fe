// The body of a request → its bytes. All that are held at once are bounded, from when they come until they are answered:
// a thousand clients that each send most of what one may send would else be held without being in flight.

import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Tally } from '../traffic/tally.ts';

/** So much of a body always finds room: large ones must not keep out answers, cancels and what most calls are. */
const ALWAYS_BYTES = 16 * 1024;
/** A body may come byte by byte, and then its pieces cost far more than they hold. */
const MAX_PIECES = 1024;
const HELD = 'held';

export interface BodyLimits {
  /** Of one. */
  readonly maxBytes: number;
  /** Of all at this moment. */
  readonly maxHeld: () => number;
  /** Bytes of all that are held. */
  readonly held: Tally;
}

/** Bodies are bytes: any parser in between would lose what we promise to keep. */
export function receiveBodies(app: FastifyInstance, limits: BodyLimits): void {
  app.decorateRequest(HELD);
  app.addHook('preParsing', (request, reply, _payload, next) => {
    const own: Own = { bytes: 0 };
    request.setDecorator(HELD, own);
    reply.raw.on('close', () => limits.held.end(own.bytes));
    next();
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) =>
    received(payload, request.getDecorator<Own>(HELD), limits),
  );
}

/** What of the bytes held is one request's. */
interface Own {
  bytes: number;
}

/** Rejects with a ProxyError. */
function received(payload: IncomingMessage, own: Own, { maxBytes, maxHeld, held }: BodyLimits): Promise<Buffer> {
  const refusal = (more: number): ProxyError | null => {
    const bytes = own.bytes + more;
    if (bytes > maxBytes) return overLimit('body_too_large', 'limits.bodyBytes', 'the body is too large');
    if (bytes <= ALWAYS_BYTES || held.count + more <= maxHeld()) return null;
    const text = 'too many bytes of requests are in flight';
    return overLimit('in_flight_limit', 'limits.receivedBytes', text, { outcome: 'not_executed' });
  };
  return new Promise((resolve, reject) => {
    // What could not be held need not be received.
    const atOnce = refusal(Number(payload.headers['content-length'] ?? 0));
    if (atOnce !== null) {
      reject(atOnce);
      return;
    }
    const whole: Buffer[] = [];
    let pieces: Buffer[] = [];
    const join = (): void => {
      whole.push(Buffer.concat(pieces));
      pieces = [];
    };
    const take = (piece: Buffer): void => {
      const error = refusal(piece.length);
      if (error !== null) {
        // The rest goes by unseen.
        payload.off('data', take).resume();
        reject(error);
        return;
      }
      own.bytes += piece.length;
      held.begin(piece.length);
      pieces.push(piece);
      if (pieces.length === MAX_PIECES) join();
    };
    payload.on('data', take);
    payload.on('end', () => {
      join();
      resolve(whole.length === 1 && whole[0] !== undefined ? whole[0] : Buffer.concat(whole));
    });
    payload.on('error', (cause) => {
      reject(new ProxyError('invalid_request', 'the body did not come to its end', { cause }));
    });
  });
}
