// POST and DELETE of one mount: from an HTTP request to one of traffic's doors. Reads top to bottom as a request goes.

import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Exchange, type ExchangeEnd } from '../bridge/exchange.ts';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import type { Journal, Random, ReplySink } from '../domain/ports.ts';
import { ANYONE } from '../domain/principal.ts';
import { type Classified, classify } from '../protocol/classify.ts';
import { type Accepted, accepted, isJson } from '../protocol/headers.ts';
import {
  type Message,
  type Notification,
  type Request,
  bytesOf,
  encode,
  readMessage,
  textOf,
} from '../protocol/json-rpc.ts';
import { methodRow } from '../protocol/methods.ts';
import type { Mount } from '../traffic/mount.ts';
import type { SessionRegistry } from '../traffic/session-registry.ts';
import type { Tally } from '../traffic/tally.ts';
import { serveSessionless } from '../traffic/stateless-request.ts';
import { refuse } from './error-reply.ts';
import { JsonReply } from './json-reply.ts';
import { whenTaken } from './raw-reply.ts';
import { SseReply } from './sse-reply.ts';

export interface RouteDeps {
  readonly registry: SessionRegistry;
  readonly journal: Journal;
  readonly random: Random;
  /** Replies that have not been taken to their end, over all mounts. */
  readonly inFlight: Tally;
  /** Calls upstream at this moment, over all mounts. */
  readonly calls: () => number;
  readonly isDraining: () => boolean;
}

export const ALLOWED_METHODS = 'POST, DELETE';

export function mountRoutes(app: FastifyInstance, mount: Mount, deps: RouteDeps): void {
  const { journal, registry } = deps;

  app.post(mount.path, {
    // Before the body is read: what could not be answered need not be received.
    onRequest: async (request, reply) => {
      const refusal = refusalOf(request, mount, deps);
      return refusal === null ? undefined : refuse(reply, journal, refusal);
    },
    handler: (request, reply) => {
      servePost(request, reply, mount, deps);
    },
  });

  app.delete(mount.path, (request, reply) => {
    const id = request.headers['mcp-session-id'];
    if (typeof id !== 'string') {
      return refuse(reply, journal, new ProxyError('session_required', 'DELETE needs an Mcp-Session-Id'));
    }
    try {
      registry.end(registry.find(id, mount, ANYONE), 'deleted');
    } catch (thrown) {
      return refuse(reply, journal, asProxyError(thrown));
    }
    return reply.code(204).send();
  });
}

function refusalOf(request: FastifyRequest, mount: Mount, deps: RouteDeps): ProxyError | null {
  if (deps.isDraining()) return new ProxyError('draining', 'the gateway is shutting down', { outcome: 'not_executed' });
  if (!isJson(request.headers['content-type'])) {
    return new ProxyError('unsupported_media_type', 'Content-Type must be application/json');
  }
  const { json, stream } = accepted(request.headers.accept);
  if (!json && !stream) {
    return new ProxyError('not_acceptable', 'Accept must allow application/json or text/event-stream');
  }
  return isFull(mount, deps) ? inFlightLimit() : null;
}

/** Replies that are not taken yet count, and so do calls whose client has left: both hold what they hold. */
function isFull(mount: Mount, deps: RouteDeps): boolean {
  return Math.max(deps.inFlight.count, deps.calls()) >= mount.config.limits.inFlight;
}

function inFlightLimit(): ProxyError {
  return new ProxyError('in_flight_limit', 'too many requests are in flight (limits.inFlight)', {
    outcome: 'not_executed',
  });
}

function servePost(request: FastifyRequest, reply: FastifyReply, mount: Mount, deps: RouteDeps): void {
  const { journal } = deps;
  // The only content parser hands over the bytes; without a body there are none.
  const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
  if (!isUtf8(body)) {
    void refuse(reply, journal, new ProxyError('parse_error', 'not JSON: the body is not UTF-8'));
    return;
  }
  const message = readMessage(body, { maxDepth: mount.config.limits.jsonDepth });
  if (message.kind === 'unreadable') {
    void refuse(reply, journal, new ProxyError(message.code, message.why), message.id);
    return;
  }
  const classified = classify(message, {
    sessionId: request.headers['mcp-session-id'],
    protocolVersion: request.headers['mcp-protocol-version'],
  });
  try {
    serveMessage(message, classified, request, reply, mount, deps);
  } catch (thrown) {
    // Nothing was begun: a request that is begun ends through its exchange.
    void refuse(reply, journal, asProxyError(thrown), message.kind === 'request' ? bytesOf(body, message.id) : null);
  }
}

/** Throws a ProxyError for what is refused before an exchange is opened. */
function serveMessage(
  message: Message,
  classified: Classified,
  request: FastifyRequest,
  reply: FastifyReply,
  mount: Mount,
  deps: RouteDeps,
): void {
  const { journal, registry } = deps;
  if (classified.mode === 'reject') {
    throw new ProxyError(classified.code, classified.why, classified.data && { data: classified.data });
  }
  const session = classified.mode === 'session' ? registry.find(classified.sessionId, mount, ANYONE) : null;
  switch (message.kind) {
    case 'result':
    case 'error':
      // [spec 2025-11-25 transports] "If the input is a JSON-RPC response or notification: If the server accepts the
      // input, the server MUST return HTTP status code 202 Accepted with no body." Nothing was asked of this client,
      // so there is nobody to give it to.
      journal.record({ fact: 'dropped', upstream: mount.name, what: 'client_response' });
      void reply.code(202).send();
      return;
    case 'notification':
      if (session === null) journal.record({ fact: 'dropped', upstream: mount.name, what: 'sessionless_notification' });
      else if (!session.notified(message)) dropNotification(message, mount, journal);
      void reply.code(202).send();
      return;
    case 'request':
      if (classified.mode === 'open-session') {
        openSession(message, request, reply, mount, deps);
        return;
      }
      begin(
        openExchange(message, session === null ? 'sessionless' : 'session', request, reply, mount, deps),
        (exchange) => {
          if (session === null) serveSessionless(mount, message, exchange, ANYONE);
          else session.serve(message, exchange);
        },
      );
  }
}

/** Once there is an exchange, it is the only way to an outcome. */
function begin(exchange: Exchange, serve: (exchange: Exchange) => void): void {
  try {
    serve(exchange);
  } catch (thrown) {
    exchange.finish({ kind: 'error', error: asProxyError(thrown) });
  }
}

function dropNotification(message: Notification, mount: Mount, journal: Journal): void {
  const what = message.method === 'notifications/cancelled' ? 'unknown_cancel' : 'unroutable_notification';
  journal.record({ fact: 'dropped', upstream: mount.name, what, detail: message.method.slice(0, 64) });
}

function openSession(
  message: Request,
  request: FastifyRequest,
  reply: FastifyReply,
  mount: Mount,
  deps: RouteDeps,
): void {
  const { registry, journal } = deps;
  // Looked at before the session is made: one that is refused must leave none behind.
  if (isFull(mount, deps)) throw inFlightLimit();
  const session = registry.create(mount, ANYONE, message);
  // Without heartbeats: the session's id travels in the headers, so they wait for the answer. Opening is bounded.
  const exchange = openExchange(message, 'session', request, reply, mount, deps, null);
  exchange.attend(() => registry.end(session, 'failed'));
  session.open().then(
    ({ answer }) => {
      if (!exchange.isOpen) {
        registry.end(session, 'failed');
        return;
      }
      journal.record({ fact: 'session_opened', upstream: mount.name, revision: session.revision });
      exchange.finish({
        kind: 'answer',
        answer,
        changes: { negotiatedVersion: encode(JSON.stringify(session.revision)) },
        headers: { 'mcp-session-id': session.id },
      });
    },
    (thrown: unknown) => {
      registry.end(session, 'failed');
      exchange.finish({ kind: 'error', error: asProxyError(thrown) });
    },
  );
}

/** From here on the reply is the exchange's: it will be written exactly once, by the raw response. */
function openExchange(
  message: Request,
  mode: 'session' | 'sessionless',
  request: FastifyRequest,
  reply: FastifyReply,
  mount: Mount,
  deps: RouteDeps,
  heartbeatMs: number | null = mount.config.heartbeat * (0.8 + 0.4 * deps.random.fraction()),
): Exchange {
  // Looked at again: many requests can have sent their headers before the first of them was counted.
  if (isFull(mount, deps)) throw inFlightLimit();
  reply.hijack();
  const response = reply.raw;
  const startedAt = mount.clock.now();
  deps.inFlight.begin();
  const exchange = new Exchange({
    id: bytesOf(message.bytes, message.id),
    sink: sinkFor(accepted(request.headers.accept), reply, mount),
    timers: mount.timers,
    heartbeatMs,
    upstream: mount.name,
    onEnd: (end) => {
      deps.journal.record({
        fact: 'exchange',
        upstream: mount.name,
        mode,
        method: message.method.slice(0, 64),
        ...nameOf(message),
        ...end,
        durationMs: Math.round((mount.clock.now() - startedAt) * 1000) / 1000,
      } satisfies { fact: 'exchange' } & ExchangeEnd & Record<string, unknown>);
    },
  });
  response.on('close', () => {
    exchange.clientGone();
    whenTaken(request.raw.socket, () => deps.inFlight.end());
  });
  // A socket that breaks while it is written to says so by `close`.
  response.on('error', () => {});
  return exchange;
}

function sinkFor({ json, stream }: Accepted, reply: FastifyReply, mount: Mount): ReplySink {
  const { clientWrite } = mount.config.timeouts;
  return stream ? new SseReply(reply.raw, clientWrite, !json) : new JsonReply(reply.raw, clientWrite);
}

/** The tool, prompt or resource, for the log. */
function nameOf(message: Request): { name?: string } {
  const { nameFrom } = methodRow(message.method);
  const member = nameFrom === undefined ? undefined : message.params?.members.get(nameFrom);
  return member?.kind === 'string' ? { name: textOf(message.bytes, member).slice(0, 128) } : {};
}
