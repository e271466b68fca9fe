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
  // By its name too: what Fastify finds for a type it keeps, but not that there is none but the one for all.
  for (const type of ['application/json', '*']) {
    app.addContentTypeParser(type, (request: FastifyRequest, payload: IncomingMessage, done) =>
      receive(payload, request.getDecorator<Own>(HELD), limits, done),
    );
  }
}

/** What of the bytes held is one request's. */
interface Own {
  bytes: number;
}

/** Tells `done` once: of the body, or of a ProxyError. */
function receive(
  payload: IncomingMessage,
  own: Own,
  { maxBytes, maxHeld, held }: BodyLimits,
  done: (error: ProxyError | null, body?: Buffer) => void,
): void {
  const refusal = (more: number): ProxyError | null => {
    const bytes = own.bytes + more;
    if (bytes > maxBytes) return overLimit('body_too_large', 'limits.bodyBytes', 'the body is too large');
    if (bytes <= ALWAYS_BYTES || held.count + more <= maxHeld()) return null;
    const text = 'too many bytes of requests are in flight';
    return overLimit('in_flight_limit', 'limits.receivedBytes', text, { outcome: 'not_executed' });
  };
  // What could not be held need not be received.
  const atOnce = refusal(Number(payload.headers['content-length'] ?? 0));
  if (atOnce !== null) {
    done(atOnce);
    return;
  }
  const whole: Buffer[] = [];
  let pieces: Buffer[] = [];
  let isOver = false;
  const end = (error: ProxyError | null, body?: Buffer): void => {
    if (isOver) return;
    isOver = true;
    done(error, body);
  };
  const join = (): void => {
    whole.push(together(pieces));
    pieces = [];
  };
  const take = (piece: Buffer): void => {
    const error = refusal(piece.length);
    if (error !== null) {
      // The rest goes by unseen.
      payload.off('data', take).resume();
      end(error);
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
    end(null, together(whole));
  });
  payload.on('error', (cause) => {
    end(new ProxyError('invalid_request', 'the body did not come to its end', { cause }));
  });
}

/** Of what was read of a socket Node hands over copies, so a piece keeps nothing but itself. */
function together(pieces: readonly Buffer[]): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}
