// POST of one mount: from an HTTP request to one of traffic's doors. Reads top to bottom as a request goes.

import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import type { Exchange } from '../bridge/exchange.ts';
import { BatchReply } from '../bridge/batch-reply.ts';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import { batchFault, isBatch, readBatch } from '../protocol/batch.ts';
import { BATCH_REVISION, type Classified, NO_BATCHES, classify, classifyBatch } from '../protocol/classify.ts';
import { MODERN_REVISION, type ServedRevision, isServed, negotiate } from '../protocol/eras.ts';
import { refusing } from '../edge/guards.ts';
import { accepted, isJson } from '../protocol/headers.ts';
import { readInitialize } from '../protocol/initialize-request.ts';
import {
  type Answer,
  type Notification,
  type Request,
  type Unreadable,
  bytesOf,
  encode,
  readMessage,
} from '../protocol/json-rpc.ts';
import type { RequestFacts } from '../protocol/request-facts.ts';
import { deliverableHandshake } from '../protocol/rewrites.ts';
import { serveListen } from '../traffic/listen-request.ts';
import { holderOf, stateOf } from '../traffic/modern-call.ts';
import { methodRow } from '../protocol/methods.ts';
import { serveModern } from '../traffic/modern-request.ts';
import type { Mount } from '../traffic/mount.ts';
import type { Session } from '../traffic/session.ts';
import { serveHandshake, serveSessionless } from '../traffic/stateless-request.ts';
import { callerOf } from './caller.ts';
import { refuse } from './error-reply.ts';
import {
  type Elsewhere,
  type Incoming,
  type RouteDeps,
  type Speaker,
  draining,
  exchangeTimes,
  hopRefusal,
  inFlightLimit,
  isFull,
  openExchange,
  openReply,
  servedHere,
  requestsOf,
  waitedFor,
  whenSure,
} from './open-exchange.ts';
import { headersOf, sessionRoutes } from './session-routes.ts';

/** The methods that a mount knows; GET and DELETE only with a session. */
export const ALLOWED_METHODS = 'POST, GET, DELETE';

export function mountRoutes(app: FastifyInstance, mount: Mount, deps: RouteDeps): void {
  app.post(mount.path, {
    // Before the body is read: what could not be answered need not be received.
    onRequest: refusing(
      (request, reply) => refusalOf({ request, reply, mount, deps }),
      (reply, refusal) => refuse(reply, deps.journal, refusal),
    ),
    preHandler: whenSure(deps),
    handler: (request, reply) => {
      // Its body may have been long on its way.
      const incoming = { request, reply, mount: deps.current(mount), deps };
      // The only content parser hands over the bytes; without a body there are none.
      const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
      if (body.length === 0) {
        void refuse(reply, deps.journal, new ProxyError('parse_error', 'not JSON: the body is empty'));
      } else if (!isUtf8(body)) {
        void refuse(reply, deps.journal, new ProxyError('parse_error', 'not JSON: the body is not UTF-8'));
      } else {
        whenLeft(body, incoming, () => {
          if (!isPassedOn(body, incoming)) serveBody(body, incoming);
        });
      }
    },
  });
  sessionRoutes(app, mount, deps);
}

function refusalOf(incoming: Incoming): ProxyError | null {
  const { request, deps } = incoming;
  // What belongs to a session can be an answer or a cancel: to refuse those would keep what is in flight from ending.
  // A request is looked at again before it is begun.
  const isOfSession = (): boolean => isOfLiveSession(incoming) || elsewhere(incoming) !== null;
  const isModern = request.headers['mcp-protocol-version'] === MODERN_REVISION;
  // To another replica that we have let go of it is to be said in other words.
  const mayHaveLeft = deps.isHandingOver && deps.hops === null && request.headers['mcp-session-id'] !== undefined;
  if (deps.isDraining() && !isModern && !mayHaveLeft && !isOfSession()) return draining();
  if (!isJson(request.headers['content-type'])) {
    return new ProxyError('unsupported_media_type', 'Content-Type must be application/json');
  }
  const { json, stream } = accepted(request.headers.accept);
  if (!json && !stream) {
    return new ProxyError('not_acceptable', 'Accept must allow application/json or text/event-stream');
  }
  return isFull(deps) && !isOfSession() ? inFlightLimit() : null;
}

/** A request in a session that is about to go on with another replica follows it there. */
function whenLeft(body: Buffer, { request, reply, mount, deps }: Incoming, go: () => void): void {
  const { 'mcp-session-id': id } = request.headers;
  const isNew = deps.isDraining() && typeof id === 'string' && requestsOf(body, mount) > 0;
  const left = isNew ? deps.registry.leaving(id, mount, callerOf(request, mount)) : null;
  if (left === null) {
    go();
    return;
  }
  const taken = waitedFor(mount, deps);
  left
    .then(() => (reply.raw.destroyed ? undefined : go()))
    .catch((thrown: unknown) => void refuse(reply, deps.journal, asProxyError(thrown), requestId(body, mount)))
    .finally(taken);
}

function serveBody(body: Buffer, incoming: Incoming): void {
  if (isBatch(body)) serveBatch(body, incoming);
  else serveSingle(body, incoming);
}

/**
 * What another replica holds the session of goes there as it came, and is judged there. By its headers alone: what is wrong
 * with the rest the owner says, in the words that he always has.
 */
function isPassedOn(body: Buffer, incoming: Incoming): boolean {
  const { request, reply, mount, deps } = incoming;
  const to = elsewhere(incoming);
  if (to === null || deps.hops === null) return false;
  const refusal = hopRefusal(body, callerOf(request, mount), incoming);
  const here = (): void => serveBody(body, { ...incoming, deps: servedHere(deps) });
  if (refusal === null) deps.hops.pass({ incoming, to, target: mount.path, body, here });
  else void refuse(reply, deps.journal, refusal, requestId(body, mount));
  return true;
}

function elsewhere(incoming: Incoming): Elsewhere | null {
  const { request, mount, deps } = incoming;
  const { 'mcp-session-id': sessionId, 'mcp-protocol-version': version } = request.headers;
  // [spec 2026-07-28 transports] there a session id means nothing.
  // Whether a call waits for it here is seen in its body.
  if (deps.hops === null || version === MODERN_REVISION || isOfLiveSession(incoming)) return null;
  const id = typeof sessionId === 'string' && sessionId !== '' ? sessionId : null;
  const owner = id === null ? null : deps.hops.ofSession(id, mount, callerOf(request, mount));
  return owner ?? (deps.isDraining() ? deps.hops.successor(id) : null);
}

function serveSingle(body: Buffer, incoming: Incoming): void {
  const { reply, mount, deps } = incoming;
  const message = readMessage(body, { maxDepth: mount.config.limits.jsonDepth });
  if (message.kind === 'unreadable') {
    void refuse(reply, deps.journal, unread(message), message.id);
    return;
  }
  try {
    const classified = unlessRejected(classify(message, factsOf(incoming)));
    const session = sessionOf(classified, incoming, message.kind !== 'request');
    if (message.kind === 'request') spendCalls(1, incoming);
    if (message.kind !== 'request') {
      take(message, session, incoming);
      void reply.code(202).send();
    } else if (classified.mode === 'open-session') {
      openSession(message, incoming);
    } else if (classified.mode === 'modern') {
      serveModernOne(message, body, incoming);
    } else {
      const isHandshake = classified.mode === 'handshake';
      const speaker = isHandshake ? handshakeSpeaker(message) : speakerOf(session, incoming);
      const open = openReply(incoming, session, { requests: [message] });
      const times = exchangeTimes(incoming, session);
      const exchange = openExchange(message, open.sink, speaker, times, incoming);
      open.owner = exchange;
      serve(message, exchange, session, { ...speaker, isHandshake }, incoming);
    }
  } catch (thrown) {
    // Nothing was begun: a request that is begun ends through its exchange.
    const id = message.kind === 'request' ? bytesOf(body, message.id) : null;
    void refuse(reply, deps.journal, asProxyError(thrown), id);
  }
}

/** Notifications and answers cost nothing: they let something end. Throws a ProxyError. */
function spendCalls(howMany: number, { request, mount, deps }: Incoming): void {
  const refusal = deps.spend(callerOf(request, mount), howMany);
  if (refusal !== null) throw refusal;
}

/** What waits for this one may wait at another replica. Throws a ProxyError, with nothing begun. */
function serveModernOne(message: Request, body: Buffer, incoming: Incoming): void {
  const { request, reply, mount, deps } = incoming;
  const state = methodRow(message.method).mayAskBack === true ? stateOf(message) : null;
  const owner = state === null ? null : (deps.hops?.ofState(state, mount, callerOf(request, mount)) ?? null);
  const isListen = message.method === 'subscriptions/listen';
  const isHeldHere = holderOf(message, deps.ofName(mount)) !== null;
  // A listen would end with us, wherever it is served.
  const isForOthers = deps.isDraining() && !isHeldHere && !isListen;
  const to = owner ?? (isForOthers ? (deps.hops?.successor(null) ?? null) : null);
  if (to === null || deps.hops === null) {
    serveAlone(message, incoming);
    return;
  }
  if (isFull(deps)) throw inFlightLimit();
  const here = (): void => {
    try {
      serveAlone(message, { ...incoming, deps: servedHere(deps) });
    } catch (thrown) {
      void refuse(reply, deps.journal, asProxyError(thrown), bytesOf(body, message.id));
    }
  };
  deps.hops.pass({ incoming, to, target: mount.path, body, here });
}

/**
 * Revision 2026-07-28: a request that stands alone, but where a call is held for it, perhaps by a mount that is on its way
 * out. Throws a ProxyError, with nothing begun. */
function serveAlone(message: Request, given: Incoming): void {
  const holder = holderOf(message, given.deps.ofName(given.mount));
  const mount = holder ?? given.mount;
  const incoming = { ...given, mount };
  const { request, deps } = incoming;
  const isListen = message.method === 'subscriptions/listen';
  if (isListen && !accepted(request.headers.accept).stream) {
    throw new ProxyError('not_acceptable', 'subscriptions/listen is answered by an event stream: Accept must name it');
  }
  if (isListen && deps.listens.count >= deps.limits().listens) {
    throw overLimit('listens_limit', 'limits.listens', 'too many listens are open');
  }
  const principal = callerOf(request, mount);
  const refusal = isListen ? deps.budgets.refusal('listens', principal) : null;
  if (refusal !== null) throw refusal;
  // A listen waits for nothing that would come by itself, so nothing waits for it.
  const open = openReply(incoming, null, { requests: isListen ? 0 : 1, isOfWhatRuns: holder !== null });
  if (isListen) {
    deps.listens.begin();
    const giveBack = deps.budgets.take('listens', principal);
    incoming.reply.raw.on('close', () => {
      deps.listens.end();
      giveBack();
    });
  }
  const speaker: Speaker = { mode: 'modern', revision: MODERN_REVISION };
  const exchange = openExchange(message, open.sink, speaker, exchangeTimes(incoming, null), incoming);
  open.owner = exchange;
  try {
    const alone = { mount, principal, request: message, exchange };
    if (isListen) serveListen(alone);
    else serveModern({ ...alone, headers: headersOf(request) });
  } catch (thrown) {
    exchange.finish({ kind: 'error', error: asProxyError(thrown) });
  }
}

/** Revision 2025-03-26: several messages in one body, answered as one array or one stream. */
function serveBatch(body: Buffer, incoming: Incoming): void {
  const { reply, mount, deps } = incoming;
  try {
    const { jsonDepth, batch: maxMessages } = mount.config.limits;
    const batch = readBatch(body, { maxDepth: jsonDepth, maxMessages });
    if (batch.kind === 'unreadable') throw unread(batch);
    const fault = batchFault(batch.messages);
    if (fault !== null) throw new ProxyError('invalid_request', fault);
    const classified = unlessRejected(classifyBatch(batch.messages, factsOf(incoming)));
    const isOfWhatRuns = batch.messages.every(({ kind }) => kind !== 'request');
    const session = sessionOf(classified, incoming, isOfWhatRuns);
    if (session !== null && session.revision !== BATCH_REVISION) throw new ProxyError('invalid_request', NO_BATCHES);
    const requests = batch.messages.filter((message) => message.kind === 'request');
    if (requests.length === 0) {
      for (const message of batch.messages) if (message.kind !== 'request') take(message, session, incoming);
      void reply.code(202).send();
      return;
    }
    spendCalls(requests.length, incoming);
    const open = openReply(incoming, session, { requests });
    const { heartbeatMs } = exchangeTimes(incoming, session);
    const together = new BatchReply(open.sink, mount.timers, heartbeatMs);
    const times = { heartbeatMs: null };
    const speaker = speakerOf(session, incoming);
    const exchanges = new Map(
      requests.map((message) => [message, openExchange(message, together.member(), speaker, times, incoming)]),
    );
    open.owner = {
      clientGone() {
        together.stop();
        exchanges.forEach((exchange) => exchange.clientGone());
      },
    };
    for (const message of batch.messages) {
      const exchange = message.kind === 'request' ? exchanges.get(message) : undefined;
      if (message.kind !== 'request') take(message, session, incoming);
      else if (exchange !== undefined) serve(message, exchange, session, { ...speaker, isHandshake: false }, incoming);
    }
  } catch (thrown) {
    void refuse(reply, deps.journal, asProxyError(thrown));
  }
}

function isOfLiveSession({ request, mount, deps }: Incoming): boolean {
  const sessionId = request.headers['mcp-session-id'];
  return typeof sessionId === 'string' && deps.registry.has(sessionId, mount, callerOf(request, mount));
}

function factsOf(incoming: Incoming): RequestFacts {
  const { request, mount } = incoming;
  return {
    sessionId: request.headers['mcp-session-id'] || undefined,
    isLiveSession: isOfLiveSession(incoming),
    protocolVersion: request.headers['mcp-protocol-version'],
    mode: mount.mode,
    headers: headersOf(request),
  };
}

type Served = Exclude<Classified, { readonly mode: 'reject' }>;

function unlessRejected(classified: Classified): Served {
  if (classified.mode !== 'reject') return classified;
  throw new ProxyError(classified.code, classified.why, classified.data && { data: classified.data });
}

/** Throws a ProxyError where the session does not exist. */
function sessionOf(classified: Served, { request, mount, deps }: Incoming, isOfWhatRuns: boolean): Session | null {
  if (classified.mode !== 'session') return null;
  return deps.registry.find(classified.sessionId, mount, callerOf(request, mount), isOfWhatRuns);
}

type LegacySpeaker = Speaker & { readonly revision: ServedRevision };

/**
 * [spec 2025-06-18 transports] "if the server does not receive an MCP-Protocol-Version header, and has no other way to
 * identify the version [...] the server SHOULD assume protocol version 2025-03-26."
 */
function speakerOf(session: Session | null, { request }: Incoming): LegacySpeaker {
  if (session !== null) return { mode: 'session', revision: session.revision };
  const version = request.headers['mcp-protocol-version'];
  return { mode: 'sessionless', revision: typeof version === 'string' && isServed(version) ? version : '2025-03-26' };
}

/** An initialize says it in its body. Throws a ProxyError. */
function handshakeSpeaker(initialize: Request): LegacySpeaker {
  return { mode: 'sessionless', revision: negotiate(readInitialize(initialize).requested) };
}

/** Once there is an exchange, it is the only way to an outcome. */
function serve(
  request: Request,
  exchange: Exchange,
  session: Session | null,
  { revision, isHandshake }: { readonly revision: ServedRevision; readonly isHandshake: boolean },
  incoming: Incoming,
): void {
  try {
    if (session !== null) {
      session.serve(request, exchange);
      return;
    }
    const alone = {
      mount: incoming.mount,
      principal: callerOf(incoming.request, incoming.mount),
      request,
      exchange,
      revision,
    };
    if (isHandshake) serveHandshake(alone);
    else serveSessionless(alone);
  } catch (thrown) {
    exchange.finish({ kind: 'error', error: asProxyError(thrown) });
  }
}

/**
 * What is not answered: it is taken, and what cannot be used is counted.
 * [spec 2025-11-25 transports] "If the input is a JSON-RPC response or notification: If the server accepts the input,
 * the server MUST return HTTP status code 202 Accepted with no body."
 */
function take(message: Notification | Answer, session: Session | null, { mount, deps }: Incoming): void {
  const upstream = mount.name;
  if (message.kind !== 'notification') {
    if (session?.responded(message) !== true) {
      deps.journal.record({ fact: 'dropped', upstream, what: 'client_response' });
    }
  } else if (session === null) {
    deps.journal.record({ fact: 'dropped', upstream, what: 'sessionless_notification' });
  } else if (!session.notified(message)) {
    const what = message.method === 'notifications/cancelled' ? 'unknown_cancel' : 'unroutable_notification';
    deps.journal.record({ fact: 'dropped', upstream, what, detail: message.method.slice(0, 64) });
  }
}

function openSession(message: Request, incoming: Incoming): void {
  const { mount, deps } = incoming;
  const { registry, journal } = deps;
  // Looked at before the session is made: one that is refused must leave none behind.
  if (isFull(deps)) throw inFlightLimit();
  if (deps.isDraining()) throw draining();
  const session = registry.create(mount, callerOf(incoming.request, incoming.mount), message);
  const open = openReply(incoming, null);
  // Without heartbeats: the session's id travels in the headers, so they wait for the answer. Opening is bounded.
  const exchange = openExchange(message, open.sink, speakerOf(session, incoming), { heartbeatMs: null }, incoming);
  open.owner = exchange;
  exchange.attend(() => registry.end(session, 'failed'));
  session.open().then(
    async ({ answer }) => {
      const isKept = registry.opened(session);
      if (isKept !== null) await isKept;
      if (!exchange.isOpen) {
        registry.end(session, 'failed');
        return;
      }
      journal.record({ fact: 'session_opened', upstream: mount.name, revision: session.revision });
      exchange.finish({
        kind: 'answer',
        answer: deliverableHandshake(answer, true),
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

/** Of a message that was not looked at otherwise; null: it has none. */
function requestId(body: Buffer, mount: Mount): Uint8Array | null {
  const message = readMessage(body, { maxDepth: mount.config.limits.jsonDepth });
  return message.kind === 'request' ? bytesOf(body, message.id) : null;
}

function unread({ code, why, limit }: Unreadable): ProxyError {
  return new ProxyError(code, why, limit === undefined ? {} : { limit });
}
