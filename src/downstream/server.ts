// The Fastify instance toward MCP clients: limits, the guards, the routes, and one error handler. A reload makes another
// one, for the requests that come from then on.

import { type RequestListener, createServer as createHttpServer } from 'node:http';
import Fastify, { type FastifyRequest } from 'fastify';
import type { Config } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { readiness } from '../domain/gauges.ts';
import { checkHost, hostRules } from '../edge/host-guard.ts';
import { checkOrigin, originRules } from '../edge/origin-guard.ts';
import type { Mount } from '../traffic/mount.ts';
import { receiveBodies } from './bodies.ts';
import { identifyCallers } from './caller.ts';
import { fromFastify, refuse } from './error-reply.ts';
import type { RouteDeps } from './open-exchange.ts';
import { passthroughMethods, passthroughRoutes } from './passthrough.ts';
import { ALLOWED_METHODS, mountRoutes } from './routes.ts';

/** Answered without a Host check: balancers probe by address. They say nothing that helps an attacker. */
const HEALTH = '/healthz';
const READY = '/readyz';

export async function createServer(
  config: Config,
  mounts: readonly Mount[],
  deps: RouteDeps,
): Promise<RequestListener> {
  const { journal } = deps;
  const hosts = hostRules(config.listen.host, config.allowedHosts);
  const origins = originRules(config.listen.host, config.allowedOrigins);
  const isProbe = (request: FastifyRequest): boolean => [HEALTH, READY].includes(pathOf(request));
  const guard = (request: FastifyRequest): ProxyError | null => {
    return (
      (isProbe(request) ? null : checkHost(request.raw.rawHeaders, request.raw.url ?? '/', hosts)) ??
      checkOrigin(request.headers.origin, origins)
    );
  };
  const app = Fastify({
    logger: false,
    // It has no listener of its own, and never listens: see Listener.
    serverFactory: (handler) => createHttpServer(handler),
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true },
    // Before routing, so before the hooks: the guards stand here too.
    frameworkErrors: (error, request, reply) => {
      void refuse(reply, journal, guard(request) ?? fromFastify(error));
    },
  });

  app.addHook('onRequest', async (request, reply) => {
    const refusal = guard(request);
    return refusal === null ? undefined : refuse(reply, journal, refusal);
  });

  identifyCallers(app, deps.authenticate, isProbe, journal);

  receiveBodies(app, {
    maxBytes: config.limits.bodyBytes,
    maxHeld: () => deps.limits().receivedBytes,
    held: deps.received,
  });

  app.get(HEALTH, async (_request, reply) => {
    // A new connection would be refused: who probes over one that is kept open hears of the end too.
    if (deps.isDraining()) void reply.header('connection', 'close');
    return { status: 'ok' };
  });
  app.get(READY, async (_request, reply) => {
    if (deps.isDraining()) void reply.header('connection', 'close');
    const status = readiness(deps.isLeaving(), mounts);
    return reply.code(status === 'ok' ? 200 : 503).send({ status });
  });

  for (const mount of mounts) {
    mountRoutes(app, mount, deps);
    if (mount.passage !== null) passthroughRoutes(app, mount, mount.passage, deps);
  }

  const allowed = new Map<string, string>([
    [HEALTH, 'GET'],
    [READY, 'GET'],
    ...mounts.flatMap(({ path, passage }): [string, string][] => [
      [path, ALLOWED_METHODS],
      ...(passage === null ? [] : passthroughMethods(passage)),
    ]),
  ]);
  app.setNotFoundHandler((request, reply) => {
    const methods = allowed.get(pathOf(request));
    if (methods === undefined)
      return refuse(reply, journal, new ProxyError('path_unknown', 'nothing is served at this path'));
    return refuse(
      reply.header('allow', methods),
      journal,
      new ProxyError('method_not_allowed', `this path takes only ${methods.replace(/, ([A-Z]+)$/, ' and $1')}`),
    );
  });
  app.setErrorHandler((error, _request, reply) => refuse(reply, journal, fromFastify(error)));
  await app.ready();
  return (request, response) => app.routing(request, response);
}

function pathOf(request: FastifyRequest): string {
  const [path = '/'] = request.url.split('?', 1);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
