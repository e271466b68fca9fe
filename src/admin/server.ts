// The listener for whoever runs the gateway: metrics, status, reload. It carries no MCP, and nothing can be changed by it but
// what the configuration says by now. Its guards are those of the listener for clients, and behind them a token of its own.

import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Difference } from '../config/diff.ts';
import { ConfigError } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { CallUnderWay } from '../domain/calls-under-way.ts';
import { ProxyError } from '../domain/errors.ts';
import { type Gauges, readiness } from '../domain/gauges.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Journal } from '../domain/ports.ts';
import { clientAddress } from '../edge/client-address.ts';
import type { Certificate } from '../edge/certificate.ts';
import { HEALTH, READY, type GuardRules, guard, pathOf, refusalOf, refusing } from '../edge/guards.ts';
import { type HostRules, hostRules, isLoopback } from '../edge/host-guard.ts';
import { createHttpServer, renewCertificate, setTimeouts } from '../edge/http-server.ts';
import { originRules } from '../edge/origin-guard.ts';
import { watchWrites } from '../edge/taken.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { RecentErrors } from '../observe/recent-errors.ts';
import { CHALLENGES, METRICS, accessRefusal } from './access.ts';
import { errorsPage } from './errors-page.ts';
import { PAGE_HEADERS, wantsPage } from './page.ts';
import { statusPage } from './status-page.ts';
import { type Observed, statusOf } from './status.ts';

export interface AdminDeps {
  /** Null: it speaks plain HTTP. */
  readonly certificate: Certificate | null;
  readonly journal: Journal;
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>;
  readonly gauges: () => Gauges;
  /** Those that have been under way for longest, at most so many. */
  readonly oldestCalls: (max: number) => readonly CallUnderWay[];
  readonly errors: Pick<RecentErrors, 'all'>;
  /** See Observed. */
  readonly times: () => Pick<Observed, 'configuredAt' | 'drainingMs'>;
  /** Of the gateway. */
  readonly version: string;
  /** That goes now. */
  readonly config: () => Config;
  /** Rejects with a ConfigError, and everything is as it was. */
  readonly reload: () => Promise<Difference>;
}

const RELOAD = '/-/reload';
const PATHS = ['/', '/status', '/errors', METRICS, HEALTH, READY, RELOAD];
const MAX_CALLS = 20;
/** On every answer: what it says is of this moment, and nobody else’s. */
const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

export interface AdminServer {
  /** Rejects when the address cannot be had. */
  listen(port: number): Promise<AddressInfo>;
  /** See Listener. */
  renew(certificate: Certificate | null): void;
  giveTime(timeouts: Config['timeouts']): void;
  close(): Promise<void>;
}

export function createAdminServer(host: string, deps: AdminDeps): AdminServer {
  const servers: Server[] = [];
  const app = createAdminApp(host, deps, (answer) => {
    const server = createHttpServer(deps.certificate, deps.config().timeouts, answer);
    // The socket is handed over bare: without a listener of our own its errors would end the process.
    server.on('connect', (_request, socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    });
    servers.push(server);
    return server;
  });
  return {
    async listen(port) {
      await app.listen({ host, port });
      // A TCP listener's address is an object; only pipes have strings.
      return app.server.address() as AddressInfo;
    },
    renew: (certificate) => servers.forEach((server) => renewCertificate(server, certificate)),
    giveTime: (timeouts) => servers.forEach((server) => setTimeouts(server, timeouts)),
    close: () => app.close(),
  };
}

function createAdminApp(
  host: string,
  deps: AdminDeps,
  serverFactory: (answer: RequestListener) => Server,
): FastifyInstance {
  const { journal, metrics, gauges, version } = deps;
  // Few ask here, so the rules are made when somebody does.
  const rules = (): GuardRules => {
    const { allowedHosts, allowedOrigins } = deps.config();
    return { hosts: adminHosts(host, allowedHosts), origins: originRules(host, allowedOrigins) };
  };
  const tell = ({ code: reason, status, message, seen, cause }: ProxyError, client: string | undefined): void => {
    const why = cause === undefined ? {} : { cause };
    journal.record({ fact: 'refused', listener: 'admin', reason, status, why: message, client, ...seen, ...why });
  };
  const refused = (reply: FastifyReply, error: ProxyError): FastifyReply => {
    tell(error, clientAddress(reply.request));
    return reply.code(error.status).send({ reason: error.code, message: error.message });
  };
  const app = Fastify({
    logger: false,
    // Nothing here wants a body.
    bodyLimit: 1024,
    serverFactory,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true },
    // Before routing, so before the hooks: the guards stand here too.
    frameworkErrors: (error, request, reply) => {
      void refused(reply, refusalOf(request, rules()) ?? notHttp(error));
    },
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    const idleMs = deps.config().timeouts.clientWrite;
    // Now: when it is cut its socket is gone.
    const client = clientAddress(request);
    const onCut = (): void => {
      const text = 'the client took nothing of its answer for too long';
      tell(overLimit('slow_reader', 'timeouts.clientWrite', text), client);
    };
    watchWrites(reply.raw, { idleMs, onCut });
  });
  guard(app, rules, refused);
  app.addHook(
    'onRequest',
    refusing(
      (request) => accessRefusal(pathOf(request), request.headers.authorization, host, deps.config().admin),
      (reply, error) => refused(reply.header('www-authenticate', CHALLENGES), error),
    ),
  );

  app.get(METRICS, async (_request, reply) => {
    const text = await metrics.text(gauges());
    return reply.type(metrics.contentType).send(text);
  });
  app.get(HEALTH, async () => ({ status: 'ok' }));
  app.get(READY, async (_request, reply) => {
    const { isDraining, upstreams, store } = gauges();
    const status = readiness(isDraining, upstreams);
    const detail = store?.isUp === false ? { store: 'unavailable' } : {};
    return reply.code(status === 'ok' ? 200 : 503).send({ status, ...detail });
  });
  const showStatus = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const observed = {
      ...deps.times(),
      gauges: gauges(),
      oldestCalls: deps.oldestCalls(MAX_CALLS),
      recentErrors: deps.errors.all,
      config: deps.config(),
    };
    const status = statusOf(observed, version, process.uptime());
    if (!wantsPage(request.headers.accept)) return reply.header('vary', 'Accept').send(status);
    return reply.headers(PAGE_HEADERS).send(statusPage(status, Date.now(), refreshIn(request)));
  };
  app.get('/', showStatus);
  app.get('/status', showStatus);
  app.get('/errors', async (_request, reply) => reply.headers(PAGE_HEADERS).send(errorsPage()));

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

/** `?refresh=5`: how often the page is fetched again, by whoever says so. */
function refreshIn({ query }: FastifyRequest): number | null {
  const { refresh } = query as { readonly refresh?: unknown };
  return typeof refresh === 'string' && /^[1-9]\d{0,3}$/.test(refresh) ? Number(refresh) : null;
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
