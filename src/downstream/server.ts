// The Fastify instance toward MCP clients: limits, the guards, the routes, and one error handler. A reload makes another
// one, for the requests that come from then on.

import { type RequestListener, createServer as createHttpServer } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Config } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { readiness } from '../domain/gauges.ts';
import { checkHost, hostRules } from '../edge/host-guard.ts';
import { checkOrigin, originRules } from '../edge/origin-guard.ts';
import type { Entrance } from '../identity/reception.ts';
import { ROOT_METADATA } from '../protocol/protected-resource.ts';
import type { Mount } from '../traffic/mount.ts';
import { receiveBodies } from './bodies.ts';
import { behind } from './caller.ts';
import { type MetadataDocument, forwardedMetadata, metadataRoutes } from './metadata-routes.ts';
import { fromFastify, refuse } from './error-reply.ts';
import type { RouteDeps } from './open-exchange.ts';
import { passthroughMethods, passthroughRoutes } from './passthrough.ts';
import { ALLOWED_METHODS, mountRoutes } from './routes.ts';

/** Answered without a Host check: balancers probe by address. They say nothing that helps an attacker. */
const HEALTH = '/healthz';
const READY = '/readyz';

/** What answers requests by one configuration. */
export interface Answering {
  readonly answer: RequestListener;
  /** By their paths. */
  readonly entrances: ReadonlyMap<string, Entrance>;
}

export async function createServer(config: Config, mounts: readonly Mount[], deps: RouteDeps): Promise<Answering> {
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

  const documents = new Map<string, MetadataDocument>();
  const open = new Map<string, Entrance>();
  for (const upstream of config.upstreams) {
    const mount = mounts.find(({ name }) => name === upstream.name);
    if (mount === undefined) continue;
    // oxlint-disable-next-line no-await-in-loop -- nothing is waited for but what is loaded once
    const entrances = await deps.reception.entrancesTo(config, upstream);
    const { passage } = mount;
    const enter = (path: string, routes: (scope: FastifyInstance) => void): void => {
      const entrance = entrances.at(path);
      open.set(path, entrance);
      behind(entrance, () => deps.entrance(path), app, journal, routes);
    };
    enter(mount.path, (scope) => mountRoutes(scope, mount, deps));
    if (passage !== null) enter(passage.paths.sse, (scope) => passthroughRoutes(scope, mount, passage, deps));
    for (const [path, text] of entrances.documents) documents.set(path, () => text);
    for (const document of forwardedMetadata(mount, config.publicUrl)) documents.set(...document);
  }
  // A client looks there that knows the host only.
  const [sole] = mounts.length === 1 ? documents.values() : [];
  if (sole !== undefined) documents.set(ROOT_METADATA, sole);
  metadataRoutes(app, documents, journal);

  const allowed = new Map<string, string>([
    [HEALTH, 'GET'],
    [READY, 'GET'],
    ...[...documents.keys()].map((path): [string, string] => [path, 'GET, HEAD']),
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
  return { answer: (request, response) => app.routing(request, response), entrances: open };
}

function pathOf(request: FastifyRequest): string {
  const [path = '/'] = request.url.split('?', 1);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
