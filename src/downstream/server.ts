// The Fastify instance toward MCP clients: limits, the guards, the routes, and one error handler. A reload makes another
// one, for the requests that come from then on.

import { type RequestListener, createServer as createHttpServer } from 'node:http';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Config } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { readiness } from '../domain/gauges.ts';
import { isPreflight, preflightHeaders, showToPage } from '../edge/cross-origin.ts';
import { HEALTH, READY, guard, pathOf, refusalOf } from '../edge/guards.ts';
import { hostRules } from '../edge/host-guard.ts';
import { originRules } from '../edge/origin-guard.ts';
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

/** What a page may send to a path that is not known here: to find that out it has to be let through. */
const ANY_PATH = 'GET, POST';

/** What answers requests by one configuration. */
export interface Answering {
  readonly answer: RequestListener;
  /** By their paths. */
  readonly entrances: ReadonlyMap<string, Entrance>;
}

export async function createServer(config: Config, mounts: readonly Mount[], deps: RouteDeps): Promise<Answering> {
  const { journal } = deps;
  const rules = {
    hosts: hostRules(config.listen.host, config.allowedHosts),
    origins: originRules(config.listen.host, config.allowedOrigins),
  };
  const app = Fastify({
    logger: false,
    // For the address alone: hosts and schemes that a proxy names mean nothing here.
    trustProxy: config.trustedProxies.length > 0 && config.trustedProxies,
    // It has no listener of its own, and never listens: see Listener.
    serverFactory: (handler) => createHttpServer(handler),
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true },
    // Before routing, so before the hooks: the guards stand here too.
    frameworkErrors: (error, request, reply) => {
      void refuse(reply, journal, refusalOf(request, rules) ?? fromFastify(error));
    },
  });

  guard(
    app,
    () => rules,
    (reply, error) => refuse(reply, journal, error),
  );
  const allowed = new Map<string, string>([
    [HEALTH, 'GET'],
    [READY, 'GET'],
    ...mounts.flatMap(({ path, passage }): [string, string][] => [
      [path, ALLOWED_METHODS],
      ...(passage === null ? [] : passthroughMethods(passage)),
    ]),
  ]);
  /** A page that is let in may send what a server is to be sent. */
  const credentials = config.upstreams.flatMap(({ outbound }) =>
    typeof outbound === 'object' ? outbound.forward : [],
  );
  app.addHook('onRequest', async (request, reply) => {
    if (!isPreflight(request.raw)) return undefined;
    const methods = allowed.get(pathOf(request)) ?? ANY_PATH;
    return reply
      .code(204)
      .headers(preflightHeaders(request.headers, methods, credentials))
      .send();
  });

  receiveBodies(app, {
    maxBytes: config.limits.bodyBytes,
    maxHeld: () => deps.limits().receivedBytes,
    held: deps.received,
  });

  app.get(HEALTH, async () => {
    return { status: 'ok' };
  });
  app.get(READY, async (_request, reply) => {
    const status = readiness(deps.isLeaving(), mounts);
    // Everything that lives here goes on without it.
    const store = deps.isStoreUp() ? {} : { store: 'unavailable' };
    return reply.code(status === 'ok' ? 200 : 503).send({ status, ...store });
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
  for (const path of documents.keys()) allowed.set(path, 'GET, HEAD');
  metadataRoutes(app, documents, journal);

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
  const answer: RequestListener = (request, response) => {
    // Soon a new connection will be refused: whoever keeps this one is to look elsewhere before it comes to that.
    if (deps.isLeaving()) response.shouldKeepAlive = false;
    showToPage(request, response, rules.origins);
    app.routing(request, response);
  };
  return { answer, entrances: open };
}
