// The listener for whoever runs the gateway: metrics, health in detail, reload. It carries no MCP, and nothing can be
// changed by it but what the configuration says by now. Its guards are those of the listener for clients.

import { createServer } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Difference } from '../config/diff.ts';
import { ConfigError } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { type Gauges, readiness } from '../domain/gauges.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Journal } from '../domain/ports.ts';
import { type HostRules, checkHost, hostRules, isLoopback } from '../edge/host-guard.ts';
import { checkOrigin, originRules } from '../edge/origin-guard.ts';
import { oneAtATime } from '../edge/one-at-a-time.ts';
import { watchWrites } from '../edge/taken.ts';
import type { Metrics } from '../observe/metrics.ts';
import { statusOf } from './status.ts';

export interface AdminDeps {
  readonly journal: Journal;
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>;
  readonly gauges: () => Gauges;
  /** Of the gateway. */
  readonly version: string;
  /** That goes now. */
  readonly config: () => Config;
  /** Rejects with a ConfigError, and everything is as it was. */
  readonly reload: () => Promise<Difference>;
}

/** Answered without a Host check, as on the other listener: balancers probe by address. */
const PROBES = ['/healthz', '/readyz'];
const RELOAD = '/-/reload';
const PATHS = [...PROBES, '/metrics', '/status', RELOAD];

export function createAdminServer(host: string, deps: AdminDeps): FastifyInstance {
  const { journal, metrics, gauges, version } = deps;
  const { timeouts } = deps.config();
  const guard = (request: FastifyRequest): ProxyError | null => {
    // Few ask here, so the rules are made when somebody does.
    const { allowedHosts, allowedOrigins } = deps.config();
    const hosts = adminHosts(host, allowedHosts);
    return (
      (PROBES.includes(pathOf(request)) ? null : checkHost(request.raw.rawHeaders, request.raw.url ?? '/', hosts)) ??
      checkOrigin(request.headers.origin, originRules(host, allowedOrigins))
    );
  };
  const tell = ({ code: reason, status, message, seen, cause }: ProxyError): void => {
    const why = cause === undefined ? {} : { cause };
    journal.record({ fact: 'refused', listener: 'admin', reason, status, why: message, ...seen, ...why });
  };
  const refused = (reply: FastifyReply, error: ProxyError): FastifyReply => {
    tell(error);
    return reply.code(error.status).send({ reason: error.code, message: error.message });
  };
  const app = Fastify({
    logger: false,
    // Nothing here wants a body.
    bodyLimit: 1024,
    serverFactory: (handler) =>
      createServer(
        {
          headersTimeout: timeouts.clientHeaders,
          requestTimeout: timeouts.clientBody,
          keepAliveTimeout: timeouts.keepAlive,
          connectionsCheckingInterval: 1000,
        },
        oneAtATime(handler),
      ),
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true },
    // Before routing, so before the hooks: the guards stand here too.
    frameworkErrors: (error, request, reply) => {
      void refused(reply, guard(request) ?? notHttp(error));
    },
  });
  app.addHook('onRequest', async (request, reply) => {
    const idleMs = deps.config().timeouts.clientWrite;
    const onCut = (): void => {
      tell(overLimit('slow_reader', 'timeouts.clientWrite', 'the client took nothing of its answer for too long'));
    };
    watchWrites(reply.raw, { idleMs, onCut });
    const refusal = guard(request);
    return refusal === null ? undefined : refused(reply, refusal);
  });

  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.text(gauges());
    return reply.type(metrics.contentType).send(text);
  });
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const { isDraining, upstreams } = gauges();
    const status = readiness(isDraining, upstreams);
    return reply.code(status === 'ok' ? 200 : 503).send({ status });
  });
  app.get('/status', async () => statusOf(gauges(), version, process.uptime()));

  void app.register(async (scope) => {
    // Clients send a body with it, of whichever type: it means nothing.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null));
    scope.post(RELOAD, async (_request, reply) => {
      try {
        const { config: _, ...told } = await deps.reload();
        return told;
      } catch (thrown) {
        // The journal has it already, as what it is: no request was wrong.
        if (!(thrown instanceof ConfigError)) throw thrown;
        return reply.code(400).send({ reason: 'configuration', message: thrown.message });
      }
    });
  });

  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    if (PATHS.includes(path)) {
      const method = path === RELOAD ? 'POST' : 'GET';
      const message = `this path takes only ${method}`;
      return refused(reply.header('allow', method), new ProxyError('method_not_allowed', message));
    }
    return refused(reply, new ProxyError('path_unknown', `nothing is served at this path; ${PATHS.join(', ')} are`));
  });
  app.setErrorHandler((error, _request, reply) => refused(reply, notHttp(error)));
  return app;
}

/** Who asks from this machine calls it by a loopback name, whatever names clients call the other listener by. */
function adminHosts(host: string, allowedHosts: readonly string[] | undefined): HostRules {
  const rules = hostRules(host, allowedHosts);
  if (!isLoopback(host)) return rules;
  return { allowed: new Set([...(rules.allowed ?? []), ...(hostRules(host, undefined).allowed ?? [])]) };
}

function notHttp(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const { statusCode } = thrown as { statusCode?: unknown };
  const isTheirs = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
  return isTheirs
    ? new ProxyError('invalid_request', 'the HTTP request is not well-formed', { cause: thrown })
    : new ProxyError('internal_error', 'internal error', { cause: thrown });
}

function pathOf(request: FastifyRequest): string {
  const [path = '/'] = request.url.split('?', 1);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
