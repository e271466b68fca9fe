// The guards of a listener. They stand before everything that answers on it, whatever path that has: a route that is added
// has them without asking for them.

import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { type ProxyError, asProxyError } from '../domain/errors.ts';
import { checkFraming } from './framing-guard.ts';
import { type HostRules, checkHost } from './host-guard.ts';
import { type OriginRules, checkOrigin } from './origin-guard.ts';
import { checkPath } from './path-guard.ts';

/** Answered without a Host check: balancers probe by address. They say nothing that helps an attacker. */
export const HEALTH = '/healthz';
export const READY = '/readyz';

export interface GuardRules {
  readonly hosts: HostRules;
  readonly origins: OriginRules;
}

/** First of all hooks. What Fastify refuses before there are any has to be judged by `refusalOf`. */
export function guard(
  app: FastifyInstance,
  rules: () => GuardRules,
  refuse: (reply: FastifyReply, error: ProxyError) => FastifyReply,
): void {
  app.addHook(
    'onRequest',
    refusing((request) => refusalOf(request, rules()) ?? checkPath(request.url), refuse),
  );
}

/** A hook without a promise. What it throws is a fault of ours, and of this request alone: Fastify would let it end the process. */
export function refusing(
  find: (request: FastifyRequest, reply: FastifyReply) => ProxyError | null,
  refuse: (reply: FastifyReply, error: ProxyError) => FastifyReply,
): onRequestHookHandler {
  return (request, reply, next) => {
    let refusal: ProxyError | null;
    try {
      refusal = find(request, reply);
    } catch (thrown) {
      refusal = asProxyError(thrown);
    }
    if (refusal === null) next();
    else refuse(reply, refusal);
  };
}

export function refusalOf(request: FastifyRequest, { hosts, origins }: GuardRules): ProxyError | null {
  const { rawHeaders, url = '/' } = request.raw;
  const framing = checkFraming(request.raw);
  if (framing !== null) return framing;
  const host = checkHost(rawHeaders, url, hosts);
  if (host !== null && !isProbe(request)) return host;
  return checkOrigin(request.headers.origin, origins);
}

export function isProbe(request: FastifyRequest): boolean {
  return [HEALTH, READY].includes(pathOf(request));
}

/** Without its query, and with or without a slash at its end the same. */
export function pathOf(request: FastifyRequest): string {
  const [path = '/'] = request.url.split('?', 1);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
