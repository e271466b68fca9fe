// Who sent a request: found out before anything of it is read, and kept with it. A reload while its body is on its way has
// it found out anew: what counts is who is let in when it is served.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ProxyError, asProxyError, noLongerServed } from '../domain/errors.ts';
import type { Journal } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import { refusing } from '../edge/guards.ts';
import { valuesOf } from '../edge/raw-headers.ts';
import type { Entrance } from '../identity/reception.ts';
import type { Mount } from '../traffic/mount.ts';
import { refuse } from './error-reply.ts';

const CALLER = 'caller';

interface Caller {
  readonly principal: Principal;
  /** That has let it in; null: that of another replica. */
  readonly by: Entrance | null;
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
  /** False: it is refused. */
  const isLetIn = (
    request: FastifyRequest,
    reply: FastifyReply,
    by: Entrance,
    principal: Principal | ProxyError,
  ): boolean => {
    if (principal instanceof ProxyError) {
      void refusedBy(by, request, reply, principal);
      return false;
    }
    request.setDecorator(CALLER, { principal, by } satisfies Caller);
    return true;
  };
  /** Calls `then` where the caller is let in; at once, but for tokens, whose check takes a promise. */
  const letIn = (request: FastifyRequest, reply: FastifyReply, by: Entrance, then: (fault?: Error) => void): void => {
    let isIn: boolean;
    try {
      const identified = by.identify(request.headers.authorization);
      if (identified instanceof Promise) {
        identified
          .then((principal) => isLetIn(request, reply, by, principal))
          .then((isInByNow) => (isInByNow ? then() : undefined), then);
        return;
      }
      isIn = isLetIn(request, reply, by, identified);
    } catch (thrown) {
      then(asProxyError(thrown));
      return;
    }
    if (isIn) then();
  };
  void app.register(async (scope) => {
    scope.decorateRequest(CALLER);
    scope.addHook('onRequest', (request, reply, next) => {
      // Node takes the first of two, and something in front of us may have looked at the second.
      if (valuesOf(request.raw.rawHeaders, 'authorization').length > 1) {
        const text = 'a request has one Authorization header at most';
        void refusedBy(entrance, request, reply, new ProxyError('invalid_request', text));
        return;
      }
      letIn(request, reply, entrance, next);
    });
    // Without a promise where nothing has changed, so that no reload comes between this and the route.
    scope.addHook('preHandler', (request, reply, next) => {
      const look = (): void => {
        const by = current();
        if (by === undefined) void refuse(reply, journal, noLongerServed());
        else if (request.getDecorator<Caller>(CALLER).by === by) next();
        else letIn(request, reply, by, (fault) => (fault === undefined ? look() : next(fault)));
      };
      look();
    });
    routes(scope);
  });
}

/** Routes whose callers another replica has let in: `find` tells who it is that this one was passed on for. */
export function passedOn(
  app: FastifyInstance,
  find: (request: FastifyRequest) => Principal | ProxyError,
  journal: Journal,
  routes: (scope: FastifyInstance) => void,
): void {
  void app.register(async (scope) => {
    scope.decorateRequest(CALLER);
    const refusal = (request: FastifyRequest): ProxyError | null => {
      const principal = find(request);
      if (principal instanceof ProxyError) return principal;
      request.setDecorator(CALLER, { principal, by: null } satisfies Caller);
      return null;
    };
    scope.addHook(
      'onRequest',
      refusing(refusal, (reply, error) => refuse(reply, journal, error)),
    );
    routes(scope);
  });
}

/** The same with what it sends for the upstream of this mount. */
export function callerOf(request: FastifyRequest, { forwarding }: Mount): Principal {
  const principal = principalOf(request);
  return forwarding === null ? principal : forwarding.caller(principal, request.headers);
}

/** As it was let in. Only on routes that are behind an entrance, here or at another replica. */
export function principalOf(request: FastifyRequest): Principal {
  return request.getDecorator<Caller>(CALLER).principal;
}
