// Who sent a request: found out once, before anything of it is read, and kept with it.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ProxyError } from '../domain/errors.ts';
import type { Journal } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import { type Authenticate, challenge } from '../identity/authenticate.ts';
import { refuse } from './error-reply.ts';

const PRINCIPAL = 'principal';

/** From now on every route knows its caller, or is not reached; those that are `open` are for everybody. */
export function identifyCallers(
  app: FastifyInstance,
  authenticate: Authenticate,
  isOpen: (request: FastifyRequest) => boolean,
  journal: Journal,
): void {
  app.decorateRequest(PRINCIPAL);
  app.addHook('onRequest', async (request, reply): Promise<FastifyReply | undefined> => {
    // What is not there needs no key: clients look for OAuth metadata before they have one, and a 404 tells them.
    if (isOpen(request) || request.is404) return undefined;
    if (timesGiven(request.raw.rawHeaders, 'authorization') > 1) {
      return refuse(
        reply,
        journal,
        new ProxyError('invalid_request', 'a request has one Authorization header at most'),
      );
    }
    const { authorization } = request.headers;
    const caller = authenticate(authorization);
    if (caller instanceof ProxyError) {
      return refuse(reply.header('www-authenticate', challenge(authorization)), journal, caller);
    }
    request.setDecorator(PRINCIPAL, caller);
    return undefined;
  });
}

/** Node takes the first of two, and something in front of us may have looked at the second. */
function timesGiven(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((each, index) => index % 2 === 0 && each.toLowerCase() === name).length;
}

/** Only on routes that are not open. */
export function principalOf(request: FastifyRequest): Principal {
  return request.getDecorator<Principal>(PRINCIPAL);
}
