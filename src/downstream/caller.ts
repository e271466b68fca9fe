// Who sent a request: found out before anything of it is read, and kept with it. A reload while its body is on its way has
// it found out anew: what counts is who is let in when it is served.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ProxyError } from '../domain/errors.ts';
import type { Journal } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import { type Authenticate, challenge } from '../identity/authenticate.ts';
import { refuse } from './error-reply.ts';

const CALLER = 'caller';

interface Caller {
  readonly principal: Principal;
  /** That has let it in. */
  readonly by: Authenticate;
}

/**
 * From now on every route knows its caller, or is not reached; those that are `open` are for everybody. `current`: who
 * lets in at this moment.
 */
export function identifyCallers(
  app: FastifyInstance,
  current: () => Authenticate,
  isOpen: (request: FastifyRequest) => boolean,
  journal: Journal,
): void {
  app.decorateRequest(CALLER);
  const letIn = (request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined => {
    const { authorization } = request.headers;
    const by = current();
    const principal = by(authorization);
    if (principal instanceof ProxyError) {
      return refuse(reply.header('www-authenticate', challenge(authorization)), journal, principal);
    }
    request.setDecorator(CALLER, { principal, by } satisfies Caller);
    return undefined;
  };
  // What is not there needs no key: clients look for OAuth metadata before they have one, and a 404 tells them.
  const isForAll = (request: FastifyRequest): boolean => isOpen(request) || request.is404;
  app.addHook('onRequest', async (request, reply): Promise<FastifyReply | undefined> => {
    if (isForAll(request)) return undefined;
    if (timesGiven(request.raw.rawHeaders, 'authorization') > 1) {
      return refuse(
        reply,
        journal,
        new ProxyError('invalid_request', 'a request has one Authorization header at most'),
      );
    }
    return letIn(request, reply);
  });
  // Without a promise, so that no reload comes between this and the route.
  app.addHook('preHandler', (request, reply, next) => {
    const isUpToDate = isForAll(request) || request.getDecorator<Caller>(CALLER).by === current();
    if (isUpToDate || letIn(request, reply) === undefined) next();
  });
}

/** Node takes the first of two, and something in front of us may have looked at the second. */
function timesGiven(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((each, index) => index % 2 === 0 && each.toLowerCase() === name).length;
}

/** Only on routes that are not open. */
export function principalOf(request: FastifyRequest): Principal {
  return request.getDecorator<Caller>(CALLER).principal;
}
