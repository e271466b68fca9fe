// Old HTTP+SSE clients of one mount: GET of the event stream and POST of a message, passed through to the upstream.
//
// @fastify/reply-from carries the requests, with its habits turned off: it would not verify TLS, send a GET again after
// a 503, write JSON anew, and let every header through. So it has sockets of ours, no retries, the body as bytes, and
// headers by allow-list both ways. It has no base: where a request goes is ours to say, never the client's.

import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import replyFrom from '@fastify/reply-from';
import type { FastifyInstance } from 'fastify';
import { errorReply } from '../bridge/exchange.ts';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import { ANYONE } from '../domain/principal.ts';
import { clientAddress } from '../edge/client-address.ts';
import { watchWrites } from '../edge/taken.ts';
import { EndpointRewriter } from '../protocol/endpoint-rewriter.ts';
import { isJson } from '../protocol/headers.ts';
import { joined } from '../protocol/json-rpc.ts';
import type { Mount } from '../traffic/mount.ts';
import type { Destination, Passage } from '../traffic/passage.ts';
import type { Choice } from '../traffic/upstream-urls.ts';
import { callerOf } from './caller.ts';
import { refuse } from './error-reply.ts';
import {
  type Elsewhere,
  type Incoming,
  type RouteDeps,
  inFlightLimit,
  isFull,
  requestsOf,
  servedHere,
  waitedFor,
} from './open-exchange.ts';
import { writeWatch } from './raw-reply.ts';

/** What of a client's headers goes on; its credentials are for us. Of its query nothing does. */
const STREAM_HEADERS = ['mcp-protocol-version', 'user-agent'] as const;
const MESSAGE_HEADERS = [...STREAM_HEADERS, 'accept', 'content-type', 'content-encoding'] as const;
/** What of the upstream's headers comes back with an answer that is no stream, beside its type. */
const ANSWER_HEADERS = ['content-encoding', 'content-length', 'retry-after'] as const;
/** An error page of an upstream must not become a page of ours. */
const PLAIN_TYPE = /^\s*(?:application\/(?:[\w.+-]+\+)?json|text\/plain)\s*(?:;|$)/i;
/** reply-from resolves its source against the upstream's URL, takes an empty one for the client's, and refuses some paths that are legal. */
const NOTHING_MORE = ' ';

interface Passing extends Incoming {
  readonly passage: Passage;
}

export function passthroughMethods({ paths }: Passage): [path: string, methods: string][] {
  return [
    [paths.sse, 'GET'],
    [paths.messages, 'POST'],
  ];
}

export function passthroughRoutes(app: FastifyInstance, mount: Mount, passage: Passage, deps: RouteDeps): void {
  void app.register(async (scope) => {
    await scope.register(replyFrom, {
      undici: passage.dispatcher,
      retryMethods: [],
      disableRequestLogging: true,
      disableCache: true,
    });
    scope.get(passage.paths.sse, (request, reply) => {
      passStream({ request, reply, mount, deps, passage });
    });
    scope.post(passage.paths.messages, {
      // Before the body is read: what could not be passed on need not be received.
      onRequest: async (request, reply) => {
        const refusal = messageRefusal({ request, reply, mount, deps, passage });
        return refusal === null ? undefined : refuse(reply, deps.journal, refusal);
      },
      handler: (request, reply) => {
        passMessage({ request, reply, mount, deps, passage });
      },
    });
  });
}

/** Throws a ProxyError. */
function checkOpen({ mount, deps }: Passing): void {
  if (deps.isDraining()) throw new ProxyError('draining', 'the gateway is shutting down', { outcome: 'not_executed' });
  // Every stream would hear what the server says to all others.
  if (mount.isSingle) {
    throw new ProxyError('path_unknown', 'old clients are not served: the server behind is used over one link');
  }
}

function messageRefusal(passing: Passing): ProxyError | null {
  const { request, deps } = passing;
  try {
    checkOpen(passing);
    if (!isJson(request.headers['content-type'])) {
      throw new ProxyError('unsupported_media_type', 'Content-Type must be application/json');
    }
    if (elsewhere(passing) === null) addressed(passing);
    return isFull(deps) ? inFlightLimit() : null;
  } catch (thrown) {
    return asProxyError(thrown);
  }
}

/**
 * The message with where it goes. That is where the stream of its client came from: a reload may have put another mount
 * in the place of that one, whose server would know nothing of it. A token that is forged, foreign or expired is an
 * unknown session. Throws a ProxyError.
 */
function addressed(passing: Passing): Passing & { readonly destination: Destination } {
  const { request, mount: served, deps } = passing;
  const token = tokenOf(passing);
  for (const mount of token === null ? [] : deps.ofName(served)) {
    const { passage } = mount;
    const destination = token === null ? null : (passage?.destination(token, callerOf(request, mount)) ?? null);
    if (passage !== null && destination !== null) return { ...passing, mount, passage, destination };
  }
  throw new ProxyError('session_unknown', 'unknown session');
}

/** Where the stream of its client is, if it is another replica’s. */
function elsewhere(passing: Passing): Elsewhere | null {
  const { request, mount, deps } = passing;
  const token = tokenOf(passing);
  return token === null ? null : (deps.hops?.ofStream(token, mount, callerOf(request, mount)) ?? null);
}

function tokenOf({ request }: Passing): string | null {
  const { token } = request.query as { readonly token?: unknown };
  return typeof token === 'string' ? token : null;
}

function passStream(passing: Passing): void {
  const { request, reply, mount, deps, passage } = passing;
  let end = (): void => void reply.raw.destroy();
  let choice: Choice;
  try {
    checkOpen(passing);
    choice = passage.enter({ principal: callerOf(request, mount), end: () => end() });
  } catch (thrown) {
    void refuse(reply, deps.journal, asProxyError(thrown));
    return;
  }
  const tell = whenOver(passing, 'GET', () => choice.over());
  const { url } = choice;
  const { sseUrl } = url.endpoint;
  reply.from(NOTHING_MORE, {
    getUpstream: () => sseUrl.href,
    queryString: () => sseUrl.search.slice(1),
    rewriteRequestHeaders: () => ({
      ...picked(request.headers, STREAM_HEADERS),
      ...url.headers,
      ...forwarded(passing),
      accept: 'text/event-stream',
      'cache-control': 'no-cache',
      'accept-encoding': 'identity',
    }),
    rewriteHeaders: () => {
      tell.answered();
      return {};
    },
    onError: (_, { error }) => {
      const failure = passage.failureOf('GET', error.cause ?? error);
      if (!reply.raw.destroyed) choice.failed(failure.code);
      tell.failed(failure);
    },
    onResponse: (_request, _reply, response) => {
      const { status, headers, body } = read(response);
      const refusal = passage.refusalOf(status, headers['content-type'] ?? '', headers['content-encoding']);
      if (refusal === null) {
        choice.opened();
        end = stream(passing, choice, { type: headers['content-type'] ?? '', body }, tell);
        return;
      }
      // What it says of a caller's credential it says to that caller.
      if (passage.credentialRefusal(status, headers) === null) choice.failed(refusal.code);
      else choice.gaveUp();
      if (status >= 400) {
        passAnswer(passing, headers, body, tell);
      } else {
        discard(body);
        tell.failed(refusal);
      }
    },
  });
}

/** Its body may have been long on its way: throws a ProxyError where nobody knows it any more. */
function passMessage(received: Passing): void {
  // As it came: the only content parser hands over the bytes.
  const body = (received.request.body as Buffer | undefined) ?? Buffer.alloc(0);
  const { deps: given } = received;
  const to = elsewhere(received);
  if (to !== null && given.hops !== null) {
    spendCalls(body, received);
    // A token that has opened is the one spelling of its bytes.
    const target = `${received.passage.paths.messages}?token=${tokenOf(received)}`;
    const here = (): void => passMessage({ ...received, deps: servedHere(given) });
    given.hops.pass({ incoming: received, to, target, body, here });
    return;
  }
  const passing = addressed(received);
  const { request, reply, mount, deps, passage, destination } = passing;
  spendCalls(body, passing);
  const { url, headers: own, posted } = destination;
  const tell = whenOver(passing, 'POST', waitedFor(mount, deps));
  reply.from(NOTHING_MORE, {
    getUpstream: () => url.href,
    queryString: () => url.search.slice(1),
    body,
    contentType: request.headers['content-type'] ?? 'application/json',
    // Some servers answer only when the tool has finished.
    timeout: mount.config.timeouts.requestMax,
    rewriteRequestHeaders: () => ({
      ...picked(request.headers, MESSAGE_HEADERS),
      ...own,
      ...forwarded(passing),
      'accept-encoding': 'identity',
    }),
    rewriteHeaders: () => {
      tell.answered();
      return {};
    },
    onError: (_, { error }) => tell.failed(passage.failureOf('POST', error.cause ?? error)),
    onResponse: (_request, _reply, response) => {
      const { status, headers, body } = read(response);
      if (status < 300 || status >= 500) posted(status < 300);
      if (reply.raw.destroyed) {
        discard(body);
      } else if (status >= 300 && status < 400) {
        discard(body);
        const why = 'the upstream refused the message: it redirects';
        tell.failed(new ProxyError('post_rejected', why, { outcome: 'not_executed', upstreamStatus: status }));
      } else {
        passAnswer(passing, headers, body, tell);
      }
    },
  });
}

/** As elsewhere, what lets something end costs nothing: for that alone is it looked at. Throws a ProxyError. */
function spendCalls(body: Buffer, { request, mount, deps }: Passing): void {
  const caller = callerOf(request, mount);
  if (!deps.budgets.boundsCalls(caller)) return;
  const howMany = requestsOf(body, mount);
  const refusal = howMany === 0 ? null : deps.spend(caller, howMany);
  if (refusal !== null) throw refusal;
}

/** What of the caller's own goes on. */
function forwarded({ request, mount }: Passing): Readonly<Record<string, string>> {
  return callerOf(request, mount).credential?.headers ?? {};
}

interface Teller {
  /** The upstream has answered, whoever is still there to hear it. */
  answered(): void;
  /** Told to the client, where that can be. */
  failed(error: ProxyError): void;
  /** In the middle of what the client gets, or before its first byte. */
  cut(error: ProxyError): void;
}

/** `over`: called once, when neither side of the exchange is open any more. Then there is a line in the journal. */
function whenOver({ request, reply, mount, deps }: Passing, method: 'GET' | 'POST', over: () => void): Teller {
  const { raw } = reply;
  const startedAt = mount.clock.now();
  const client = clientAddress(request);
  let failure: ProxyError | null = null;
  let isAnswered = false;
  let isOver = false;
  const settle = (): void => {
    if (isOver || !isAnswered || !raw.closed) return;
    isOver = true;
    over();
    deps.journal.record({
      fact: 'passthrough',
      upstream: mount.name,
      method,
      client,
      ...(raw.headersSent && { status: raw.statusCode }),
      durationMs: Math.round((mount.clock.now() - startedAt) * 1000) / 1000,
      ...(failure !== null && { reason: failure.code, why: failure.message, ...failure.seen }),
      ...(failure?.cause !== undefined && { cause: failure.cause }),
    });
  };
  raw.on('close', settle);
  return {
    answered() {
      isAnswered = true;
      settle();
    },
    failed(error) {
      failure = error;
      isAnswered = true;
      if (raw.headersSent || raw.destroyed) {
        raw.destroy();
      } else {
        // With its status, although the message may have reached the server: in this transport 200 says that it was
        // taken and that the answer comes on the stream, and the client would wait for it.
        const { status, body, headers = {} } = errorReply(null, error, mount.name);
        const text = Buffer.from(joined(...body));
        void reply.code(status).headers(headers).type('application/json').send(text);
      }
      settle();
    },
    cut(error) {
      failure = error;
      raw.destroy();
    },
  };
}

/** The upstream's stream, as it comes and no faster than it is taken. What is returned ends it. */
function stream(
  { request, reply, mount, deps, passage }: Passing,
  choice: Choice,
  { type, body }: { readonly type: string; readonly body: Readable },
  tell: Teller,
): () => void {
  const { raw } = reply;
  const { timeouts } = mount.config;
  const rewriter = new EndpointRewriter((announced) =>
    passage.announce(announced, choice.url, callerOf(request, mount)),
  );
  let isOver = false;
  const end = (error: ProxyError | null): void => {
    if (isOver) return;
    isOver = true;
    age.cancel();
    body.destroy();
    if (error === null) raw.end();
    else tell.failed(error);
  };
  // As long as a session at most: its token is good for no longer.
  const age = mount.timers.after(timeouts.sessionMax, () => end(null));
  reply.hijack();
  watchWrites(raw, writeWatch(mount), () => end(slowReader()));
  raw.writeHead(200, {
    'content-type': type,
    'cache-control': 'no-cache',
    // nginx would hold the events back in its buffer.
    'x-accel-buffering': 'no',
  });
  // Sends the headers. With flushHeaders Node would write them as UTF-8.
  raw.write(Buffer.alloc(0));
  raw.on('error', () => {});
  raw.on('close', () => end(null));
  raw.on('drain', () => body.resume());
  body.on('data', (chunk: Buffer) => {
    try {
      for (const piece of rewriter.push(chunk)) raw.write(piece);
    } catch (thrown) {
      end(asProxyError(thrown));
    }
    if (raw.writableNeedDrain) body.pause();
  });
  body.on('end', () => {
    if (!isOver) choice.cut();
    end(null);
  });
  body.on('error', (cause) => {
    if (!isOver) choice.cut();
    const text = 'the connection of the upstream’s event stream broke';
    end(new ProxyError('upstream_session_lost', text, { cause }));
  });
  deps.journal.record({ fact: 'passthrough_opened', upstream: mount.name });
  return () => end(null);
}

function slowReader(): ProxyError {
  return overLimit('slow_reader', 'timeouts.clientWrite', 'the client took nothing of its answer for too long');
}

/** An answer with an end, under the status that reply-from has set; it must come to that end, and be taken. */
function passAnswer(
  { request, reply, mount, passage }: Passing,
  headers: IncomingHttpHeaders,
  body: Readable,
  tell: Teller,
): void {
  const refusal = passage.credentialRefusal(reply.statusCode, headers);
  if (refusal === null && reply.statusCode === 401 && callerOf(request, mount).key !== ANYONE.key) {
    // To a client that has a token for this gateway it would be what we say of that one.
    discard(body);
    const details = { outcome: 'not_executed', upstreamStatus: 401 } as const;
    tell.failed(new ProxyError('upstream_unauthorized', 'the upstream wants a credential of the gateway', details));
    return;
  }
  const { timeouts } = mount.config;
  const late = mount.timers.after(timeouts.request, () => {
    const text = 'the upstream did not come to the end of its answer in time';
    tell.cut(overLimit('request_timeout', 'timeouts.request', text));
  });
  reply.raw.on('close', () => late.cancel());
  watchWrites(reply.raw, writeWatch(mount), () => tell.cut(slowReader()));
  const type = headers['content-type'];
  const challenge = refusal?.details.challenge;
  void reply
    .code(refusal?.status ?? reply.statusCode)
    .headers(picked(headers, ANSWER_HEADERS))
    .header('x-content-type-options', 'nosniff')
    .headers(challenge === undefined ? {} : { 'www-authenticate': challenge })
    .type(type !== undefined && PLAIN_TYPE.test(type) ? type : 'text/plain')
    .send(body);
}

function discard(body: Readable): void {
  body.on('error', () => {}).destroy();
}

function picked(headers: IncomingHttpHeaders, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
}

/** What reply-from hands over; its types know only the request of node:http. */
function read(response: object): { status: number; headers: IncomingHttpHeaders; body: Readable } {
  const { statusCode, headers, stream: body } = response as Passed;
  return { status: statusCode, headers, body };
}

interface Passed {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly stream: Readable;
}
