// GET and DELETE of one mount: a session's stream, and its end.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import { valuesOf } from '../edge/raw-headers.ts';
import { classify } from '../protocol/classify.ts';
import { MODERN_REVISION } from '../protocol/eras.ts';
import { accepted } from '../protocol/headers.ts';
import type { HeaderValues } from '../protocol/request-facts.ts';
import type { Mount } from '../traffic/mount.ts';
import type { Session } from '../traffic/session.ts';
import { callerOf } from './caller.ts';
import { refuse } from './error-reply.ts';
import {
  type Elsewhere,
  type Incoming,
  type RouteDeps,
  draining,
  inFlightLimit,
  isFull,
  servedHere,
  waitedFor,
  whenSure,
} from './open-exchange.ts';
import { writeWatch } from './raw-reply.ts';
import { SseReply } from './sse-reply.ts';

export function sessionRoutes(app: FastifyInstance, mount: Mount, deps: RouteDeps): void {
  const preHandler = whenSure(deps);
  app.get(mount.path, { preHandler }, (request, reply) => within({ request, reply, mount, deps }, serveGet));
  app.delete(mount.path, { preHandler }, (request, reply) => within({ request, reply, mount, deps }, serveDelete));
}

/** What goes into the Allow header of a 405: what may be sent to a path where there is no stream to be had. */
const ALWAYS_ALLOWED = 'POST';

function within(incoming: Incoming, serve: (incoming: Incoming) => void): void {
  try {
    serve(incoming);
  } catch (thrown) {
    const error = asProxyError(thrown);
    if (error.status === 405) incoming.reply.header('allow', ALWAYS_ALLOWED);
    void refuse(incoming.reply, incoming.deps.journal, error);
  }
}

/** Every occurrence: Node would join those of a header that is given twice. */
export function headersOf({ raw }: FastifyRequest): HeaderValues {
  return (name) => valuesOf(raw.rawHeaders, name);
}

/** Null: another replica has it, and answers. Throws a ProxyError. */
function sessionOf(incoming: Incoming, serve: (incoming: Incoming) => void): Session | null {
  const { request, mount, deps } = incoming;
  const { headers } = request;
  // [spec 2026-07-28 transports] GET and DELETE "SHOULD" be 405, and a session id means nothing.
  if (headers['mcp-protocol-version'] === MODERN_REVISION) {
    throw new ProxyError('method_not_allowed', `revision ${MODERN_REVISION} has only POST`);
  }
  const sessionId = headers['mcp-session-id'] || undefined;
  if (sessionId === undefined && mount.mode !== 'session') {
    // [spec 2025-11-25 transports] "The server MUST either return Content-Type: text/event-stream in response to this
    // HTTP GET, or else return HTTP 405 Method Not Allowed, indicating that the server does not offer an SSE stream at
    // this endpoint." A client that looks for the old transport here would wait for an endpoint event for ever.
    const why =
      mount.mode === 'stateless'
        ? 'this endpoint has no sessions (mode: stateless): POST is all there is'
        : `${request.method} needs an Mcp-Session-Id: this is an MCP endpoint, whose clients POST initialize first`;
    throw new ProxyError('method_not_allowed', why);
  }
  const classified = classify(null, {
    sessionId,
    protocolVersion: headers['mcp-protocol-version'],
    mode: mount.mode,
    headers: headersOf(request),
  });
  if (classified.mode === 'reject') {
    throw new ProxyError(classified.code, classified.why, classified.data && { data: classified.data });
  }
  if (classified.mode !== 'session') throw new ProxyError('session_required', `${request.method} needs a session`);
  const { sessionId: id } = classified;
  const caller = callerOf(request, mount);
  const isHere = deps.registry.has(id, mount, caller);
  const successor = (): Elsewhere | null => (deps.isDraining() ? (deps.hops?.successor(id) ?? null) : null);
  const to = isHere ? null : (deps.hops?.ofSession(id, mount, caller) ?? successor());
  if (to !== null && deps.hops !== null) {
    const here = (): void => within({ ...incoming, deps: servedHere(deps) }, serve);
    deps.hops.pass({ incoming, to, target: mount.path, body: null, here });
    return null;
  }
  const isOfWhatRuns = headers['last-event-id'] !== undefined;
  return deps.registry.find(id, mount, caller, isOfWhatRuns);
}

function serveDelete(incoming: Incoming): void {
  const session = sessionOf(incoming, serveDelete);
  if (session === null) return;
  incoming.deps.registry.end(session, 'deleted');
  void incoming.reply.code(204).send();
}

function serveGet(incoming: Incoming): void {
  const { request, reply, mount, deps } = incoming;
  const session = sessionOf(incoming, serveGet);
  if (session === null) return;
  // An empty one is what a client sends that has seen no event.
  const lastEventId = request.headers['last-event-id']?.toString() || undefined;
  // The answer that is waited for may still come on a stream that is resumed.
  if (deps.isDraining() && lastEventId === undefined) throw draining();
  if (lastEventId !== undefined && isFull(deps)) throw inFlightLimit();
  if (!accepted(request.headers.accept).stream) {
    throw new ProxyError('not_acceptable', 'Accept must name text/event-stream');
  }
  const events = new SseReply(reply.raw, writeWatch(mount), true);
  const { isReply, closed } = session.listen(events, lastEventId);
  reply.hijack();
  // As the POST that it resumes: somebody waits for an answer on it, and it holds what is not taken.
  const taken = isReply ? waitedFor(session.mount, deps) : null;
  reply.raw.on('close', () => {
    closed();
    taken?.();
  });
  reply.raw.on('error', () => {});
}
