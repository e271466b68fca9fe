// Who sent a request: found out before anything of it is read, and kept with it. A reload while its body is on its way has
// it found out anew: what counts is who is let in when it is served.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ProxyError, noLongerServed } from '../domain/errors.ts';
import type { Journal } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import type { Entrance } from '../identity/reception.ts';
import type { Mount } from '../traffic/mount.ts';
import { refuse } from './error-reply.ts';

const CALLER = 'caller';

interface Caller {
  readonly principal: Principal;
  /** That has let it in. */
  readonly by: Entrance;
}

/** Routes that know their caller, or are not reached. `current`: the way in at this moment; undefined: there is none. */
export function behind(
  entrance: Entrance,
  current: () => Entrance | undefined,
  app: FastifyInstance,
  journal: Journal,
  routes: (scope: FastifyInstance) => void,
): void {
  const refusedBy = ({ challenge }: Entrance, request: FastifyRequest, reply: FastifyReply, error: ProxyError) => {
    const asked = challenge(error, request.headers.authorization);
    if (asked !== null) reply.header('www-authenticate', asked);
    return refuse(reply, journal, error);
  };
  /** False: it is refused. Not the reply itself, which as the result of a promise is nothing at all: it is a thenable. */
  const letIn = async (request: FastifyRequest, reply: FastifyReply, by: Entrance): Promise<boolean> => {
    const principal = await by.identify(request.headers.authorization);
    if (principal instanceof ProxyError) {
      void refusedBy(by, request, reply, principal);
      return false;
    }
    request.setDecorator(CALLER, { principal, by } satisfies Caller);
    return true;
  };
  void app.register(async (scope) => {
    scope.decorateRequest(CALLER);
    scope.addHook('onRequest', async (request, reply): Promise<FastifyReply | undefined> => {
      if (timesGiven(request.raw.rawHeaders, 'authorization') > 1) {
        const text = 'a request has one Authorization header at most';
        return refusedBy(entrance, request, reply, new ProxyError('invalid_request', text));
      }
      return (await letIn(request, reply, entrance)) ? undefined : reply;
    });
    // Without a promise where nothing has changed, so that no reload comes between this and the route.
    scope.addHook('preHandler', (request, reply, next) => {
      const look = (): void => {
        const by = current();
        if (by === undefined) void refuse(reply, journal, noLongerServed());
        else if (request.getDecorator<Caller>(CALLER).by === by) next();
        else letIn(request, reply, by).then((isIn) => (isIn ? look() : undefined), next);
      };
      look();
    });
    routes(scope);
  });
}

/** Node takes the first of two, and something in front of us may have looked at the second. */
function timesGiven(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((each, index) => index % 2 === 0 && each.toLowerCase() === name).length;
}

/** The same with what it sends for the upstream of this mount. */
export function callerOf(request: FastifyRequest, { forwarding }: Mount): Principal {
  const principal = principalOf(request);
  return forwarding === null ? principal : forwarding.caller(principal, request.headers);
}

/** Only on routes that are behind an entrance. */
function principalOf(request: FastifyRequest): Principal {
  return request.getDecorator<Caller>(CALLER).principal;
}
