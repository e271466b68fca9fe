// Every failure has a row here, and the row decides whose fault it is, the HTTP status before and after anything may
// have reached the upstream, the JSON-RPC code, and what the operator can do. Adding a failure = adding a row.
//
// After a request may have reached the upstream the status is 200 with a JSON-RPC error inside: balancers replay 5xx,
// and a tool must not run twice. The upstream's fault is never a 4xx: a 4xx on an opening request makes clients give
// up on this transport for good.

import type { Limit } from './limits.ts';

export type Side = 'downstream' | 'gateway' | 'upstream';

export interface ErrorRow {
  readonly side: Side;
  /** HTTP status while no byte of the request can have reached the upstream. */
  readonly before: number;
  /** HTTP status once it may have; absent where the failure cannot happen that late. */
  readonly after?: 200;
  readonly rpc: number;
  /** What has happened. */
  readonly cause: string;
  /** One sentence for the operator. */
  readonly remedy: string;
}

const PARSE = -32700;
const INVALID = -32600;
const NO_METHOD = -32601;
const INTERNAL = -32603;

export const ERRORS = {
  // The client's request
  parse_error: {
    side: 'downstream',
    before: 400,
    rpc: PARSE,
    cause: 'the body of a POST is empty, not UTF-8, or not JSON',
    remedy: 'send one JSON-RPC message as valid UTF-8 JSON',
  },
  invalid_request: {
    side: 'downstream',
    before: 400,
    rpc: INVALID,
    cause:
      'the body is no JSON-RPC 2.0 message, names a member twice, or is a batch where there are none; or the HTTP around it is malformed',
    remedy: 'send a JSON-RPC 2.0 message: the text says what is wrong with this one',
  },
  unsupported_version: {
    side: 'downstream',
    before: 400,
    rpc: -32022,
    cause: 'MCP-Protocol-Version, or the revision in params._meta, is none that is served',
    remedy: 'use one of the revisions in data.supported',
  },
  header_mismatch: {
    side: 'downstream',
    before: 400,
    rpc: -32020,
    cause:
      'MCP-Protocol-Version, Mcp-Method, Mcp-Name or an Mcp-Param header of a 2026-07-28 request is missing, or says something else than its body',
    remedy: 'make the headers say what the body says: the text names the one that does not',
  },
  envelope_incomplete: {
    side: 'downstream',
    before: 400,
    rpc: -32602,
    cause: 'a 2026-07-28 request does not say its revision or what its client can be asked',
    remedy: 'send protocolVersion and clientCapabilities in params._meta with every request',
  },
  method_unknown: {
    side: 'downstream',
    before: 404,
    rpc: NO_METHOD,
    cause: 'a 2026-07-28 request names a method that this revision does not have, or that the server does not offer',
    remedy: 'this method does not exist in revision 2026-07-28, or the server behind does not offer it',
  },
  capability_missing: {
    side: 'downstream',
    before: 400,
    after: 200,
    rpc: -32021,
    cause: 'the server asked a 2026-07-28 client for something that it had not declared, and the call was given up',
    remedy: 'declare the capabilities in data.requiredCapabilities, or call something that needs none',
  },
  request_state_invalid: {
    side: 'downstream',
    before: 200,
    after: 200,
    rpc: -32602,
    cause:
      'a retry of a 2026-07-28 call brings a requestState that is used, expired, forged, or of another request or caller',
    remedy: 'call again without requestState: this one is used, expired, or was given for another request',
  },
  input_invalid: {
    side: 'downstream',
    before: 200,
    after: 200,
    rpc: -32602,
    cause: 'the answers in a retry do not fit what the server asked',
    remedy: 'send the answers that were asked for: the text says which one is wrong, and nothing was used up',
  },
  listens_limit: {
    side: 'gateway',
    before: 503,
    rpc: INTERNAL,
    cause: 'as many subscriptions/listen are open as limits.listens allows',
    remedy: 'close a listen, or raise limits.listens',
  },
  session_required: {
    side: 'downstream',
    before: 400,
    rpc: INVALID,
    cause: 'a request without an Mcp-Session-Id where mode is session, or that means nothing without one',
    remedy: 'send initialize first and repeat the Mcp-Session-Id it returns',
  },
  session_unknown: {
    side: 'downstream',
    before: 404,
    rpc: INVALID,
    cause:
      'the Mcp-Session-Id is of no session here: it was deleted, has expired, is another caller’s, or was opened before a restart or at another replica',
    remedy: 'send initialize again, without a session id',
  },
  session_ended: {
    side: 'downstream',
    before: 404,
    after: 200,
    rpc: INTERNAL,
    cause: 'the session was deleted or expired while the request waited or ran',
    remedy: 'the session was deleted, or expired: send initialize again, without a session id',
  },
  owner_lost: {
    side: 'gateway',
    before: 502,
    after: 200,
    rpc: INTERNAL,
    cause:
      'the replica that holds the session or the waiting call ended, or its connection broke, before its answer had come; or it does not take what this one passes on',
    remedy:
      'see why that replica ended, or in its log why it refuses: the same secrets.current and clocks that agree are what it needs; what became of the request is not known',
  },
  not_owner: {
    side: 'downstream',
    before: 421,
    rpc: INVALID,
    cause:
      'one replica asked another for what that one has not, or not any more; no client is told this: the first one looks further, or says that the session is unknown',
    remedy: 'nothing: this is how a replica learns that a session has ended or a process was restarted',
  },
  hop_refused: {
    side: 'downstream',
    before: 403,
    rpc: INVALID,
    cause:
      'a request to the listener for replicas (peers) that no replica of this gateway has sealed for this one just now: its header is missing, forged, expired, used, or meant for another',
    remedy:
      'clients use the listener for clients; between replicas, give all of them the same secrets.current and clocks that agree, and let nobody else reach peers.port',
  },
  event_unknown: {
    side: 'downstream',
    before: 400,
    rpc: INVALID,
    cause:
      'a GET with a Last-Event-ID that is malformed, was never sent in this session, or of whose stream nothing is kept any more (streams.maxAge, streams.maxEvents, streams.maxBytes)',
    remedy:
      'the Last-Event-ID names no stream of this session that could be resumed: send the request again, or open a stream without it',
  },
  stream_ended: {
    side: 'downstream',
    before: 405,
    rpc: INVALID,
    cause: 'a GET with the Last-Event-ID of the last event of a stream that is over',
    remedy: 'nothing follows the event that Last-Event-ID names: there is no need to come back',
  },
  stream_taken: {
    side: 'downstream',
    before: 409,
    rpc: INVALID,
    cause: 'a second GET stream of one session while the first is read',
    remedy: 'the session’s stream is open already: read that one, close it first, or resume it with Last-Event-ID',
  },
  unauthorized: {
    side: 'downstream',
    before: 401,
    rpc: INVALID,
    cause: 'inbound is configured, and the request brings no key or token, or one that is not let in',
    remedy:
      'send Authorization: Bearer with a key that is listed in inbound.bearer.keys, a token as inbound.jwt wants it, or at the admin listener admin.token: the text says what is wrong with this one',
  },
  insufficient_scope: {
    side: 'downstream',
    before: 403,
    rpc: INVALID,
    cause: 'the token lacks a scope of inbound.jwt.scopes',
    remedy: 'ask the authorization server for a token with the scopes in WWW-Authenticate',
  },
  credential_refused: {
    side: 'downstream',
    before: 401,
    rpc: INVALID,
    cause: 'the server answered 401 to the credential that outbound.forward handed on',
    remedy:
      'the server behind refuses the credential that the caller sent for it, or wants one: WWW-Authenticate says which',
  },
  credential_insufficient: {
    side: 'downstream',
    before: 403,
    rpc: INVALID,
    cause:
      'the server answered 403 to the credential that outbound.forward handed on, or 401 where that is not authorization',
    remedy:
      'the server behind does not let the caller do this with the credential that it sent; where that is a header of its own, or none came, the text names it',
  },
  origin_refused: {
    side: 'downstream',
    before: 403,
    rpc: INVALID,
    cause: 'the request comes from a page whose Origin is not allowed',
    remedy: 'add the page’s origin to allowedOrigins',
  },
  host_refused: {
    side: 'downstream',
    before: 403,
    rpc: INVALID,
    cause:
      'the Host header is a name that is not allowed: a page with a name of its own pointed here, or a name that allowedHosts lacks',
    remedy: 'add the name to allowedHosts',
  },
  host_invalid: {
    side: 'downstream',
    before: 400,
    rpc: INVALID,
    cause: 'no Host header, more than one, or a request target that names another host',
    remedy: 'send exactly one Host header, and a target that agrees with it',
  },
  path_unknown: {
    side: 'downstream',
    before: 404,
    rpc: INVALID,
    cause: 'nothing is served at this path, or it is spelled in another way',
    remedy: 'use the path of an upstream; the default is /mcp',
  },
  method_not_allowed: {
    side: 'downstream',
    before: 405,
    rpc: INVALID,
    cause:
      'the path is served, but not for this HTTP method, or not in this mode: a GET without a session, a GET of 2026-07-28',
    remedy: 'use one of the methods in the Allow header',
  },
  not_acceptable: {
    side: 'downstream',
    before: 406,
    rpc: INVALID,
    cause: 'the Accept header excludes every form that the answer can have',
    remedy: 'accept application/json or text/event-stream',
  },
  body_timeout: {
    side: 'downstream',
    before: 408,
    rpc: INVALID,
    cause: 'the request took longer to arrive than timeouts.clientHeaders or timeouts.clientBody',
    remedy: 'send the headers within timeouts.clientHeaders, and the whole request within timeouts.clientBody',
  },
  body_too_large: {
    side: 'downstream',
    before: 413,
    rpc: INVALID,
    cause: 'the body is larger than limits.bodyBytes',
    remedy: 'send less, or raise limits.bodyBytes',
  },
  unsupported_media_type: {
    side: 'downstream',
    before: 415,
    rpc: INVALID,
    cause: 'the Content-Type of a POST is missing, or is not application/json',
    remedy: 'send Content-Type: application/json',
  },
  headers_too_large: {
    side: 'downstream',
    before: 431,
    rpc: INVALID,
    cause: 'the request headers are larger than 16 KiB',
    remedy: 'send fewer or shorter headers',
  },
  method_not_found: {
    side: 'downstream',
    before: 200,
    after: 200,
    rpc: NO_METHOD,
    cause: 'a method that needs a session came without one, or is a task, which are not served',
    remedy: 'this method is not served in this mode',
  },

  invalid_params: {
    side: 'downstream',
    before: 200,
    after: 200,
    rpc: -32602,
    cause: 'a parameter that the gateway reads is missing, of the wrong type, or too much of it',
    remedy: 'send the parameters that the method asks for: the text names the one',
  },

  // Our own limits and state
  internal_error: {
    side: 'gateway',
    before: 500,
    after: 200,
    rpc: INTERNAL,
    cause: 'something was thrown that nobody expected',
    remedy: 'a bug of the gateway; the log has the stack',
  },
  draining: {
    side: 'gateway',
    before: 503,
    after: 200,
    rpc: INTERNAL,
    cause: 'the gateway has got SIGTERM, or a reload has replaced or removed the upstream',
    remedy: 'the gateway is shutting down, or was reloaded: try again, or ask another replica',
  },
  budget_spent: {
    side: 'gateway',
    before: 503,
    rpc: INTERNAL,
    cause: 'the caller has as much as one of the budgets allows it',
    remedy: 'this caller has what one caller may have: end something of it, or wait; the text names the key to raise',
  },
  in_flight_limit: {
    side: 'gateway',
    before: 503,
    rpc: INTERNAL,
    cause: 'as many requests, or bytes of requests, are in flight as limits.inFlight or limits.receivedBytes allow',
    remedy: 'try again later, or raise the limit that the text names',
  },
  keys_unavailable: {
    side: 'gateway',
    before: 503,
    rpc: INTERNAL,
    cause: 'the keys of the issuer could not be fetched, and none are kept',
    remedy: 'tokens cannot be checked: see whether inbound.jwt.jwksUri answers with the public keys; it is asked again',
  },
  sessions_limit: {
    side: 'gateway',
    before: 503,
    rpc: INTERNAL,
    cause: 'as many sessions are open as limits.sessions, or links of sessions as links.maxDedicated, allow',
    remedy: 'try again later, or raise limits.sessions or links.maxDedicated',
  },
  passthrough_limit: {
    side: 'gateway',
    before: 503,
    rpc: INTERNAL,
    cause: 'as many streams of old clients are open as limits.passthroughStreams allows',
    remedy: 'try again later, or raise limits.passthroughStreams',
  },
  subscriptions_limit: {
    side: 'gateway',
    before: 503,
    rpc: INTERNAL,
    cause: 'the session has subscribed to as many resources as one may',
    remedy: 'unsubscribe from what is no longer needed',
  },
  queue_full: {
    side: 'gateway',
    before: 503,
    rpc: INTERNAL,
    cause: 'every pooled link is busy, and links.maxQueue callers wait already',
    remedy: 'try again later, or raise links.max or links.maxQueue',
  },
  queue_timeout: {
    side: 'gateway',
    before: 503,
    rpc: INTERNAL,
    cause: 'every pooled link stayed busy for links.queueTimeout',
    remedy: 'every link stayed busy for links.queueTimeout: raise links.max',
  },
  slow_reader: {
    side: 'downstream',
    before: 200,
    after: 200,
    rpc: INTERNAL,
    cause:
      'the client took nothing of its answer for timeouts.clientWrite, or left more of a stream unread than limits.streamBacklogBytes',
    remedy: 'see why the client, or the network or proxy before it, does not read; a session’s stream can be resumed',
  },

  // Opening a link
  upstream_unreachable: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the connection was refused or broke, or the name does not resolve',
    remedy: 'check that the server runs, that its name resolves, and that the port of its URL is right',
  },
  upstream_connect_timeout: {
    side: 'upstream',
    before: 504,
    rpc: INTERNAL,
    cause: 'no TCP and TLS connection within timeouts.connect',
    remedy: 'nothing accepted the connection within timeouts.connect: check address and firewall',
  },
  upstream_tls: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the TLS handshake failed, or the certificate does not hold',
    remedy:
      'there was no TLS connection: is it https at all? if so, check the certificate’s name, issuer and dates; one of your own authority needs tls.ca',
  },
  upstream_headers_timeout: {
    side: 'upstream',
    before: 504,
    rpc: INTERNAL,
    cause: 'the connection stands, and no response headers came within timeouts.headers',
    remedy: 'the server accepted the connection but sent no headers within timeouts.headers: it may hang',
  },
  upstream_redirect: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the URL answers with a redirect',
    remedy: 'redirects are not followed: configure the URL it redirects to',
  },
  upstream_unauthorized: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the URL answers 401 or 403',
    remedy:
      'the server wants a credential, or refuses this Host: configure headers for it, or let callers send theirs (outbound.forward)',
  },
  upstream_not_found: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the URL answers that nothing is there, or no longer',
    remedy: 'nothing at this path: the SSE endpoint is often /sse',
  },
  upstream_not_legacy: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the URL answers 400, 405 or 406 to a GET that asks for an event stream',
    remedy: 'the URL refuses a plain GET: it may speak Streamable HTTP already, and then needs no bridge',
  },
  upstream_bad_status: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the URL answers with a status that means neither of the others, such as 500 or 429',
    remedy: 'the server answered the event stream request with an error: see its log',
  },
  upstream_not_event_stream: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the URL answers 200 with another Content-Type than text/event-stream, such as an HTML page',
    remedy: 'the URL answers, but not with an event stream: is it the SSE endpoint (often /sse)?',
  },
  endpoint_missing: {
    side: 'upstream',
    before: 504,
    rpc: INTERNAL,
    cause: 'an event stream opened, and no endpoint event came within timeouts.endpoint',
    remedy:
      'an event stream without an endpoint event: it is no MCP HTTP+SSE server, or it speaks Streamable HTTP already',
  },
  endpoint_refused: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the endpoint event names a URL on another origin, with credentials, or that is none',
    remedy:
      'the server announced a POST URL that is not on its own origin: if that is right, list it in allowEndpointOrigins or set messageUrl',
  },
  initialize_timeout: {
    side: 'upstream',
    before: 504,
    rpc: INTERNAL,
    cause: 'initialize was accepted, and not answered within timeouts.initialize',
    remedy:
      'see whether the server hangs: some answer only once something of theirs is up; else raise timeouts.initialize',
  },
  initialize_failed: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the server refused initialize, answered it with an error, or ended the stream before',
    remedy: 'the server did not come through initialize: see its log',
  },
  upstream_version: {
    side: 'upstream',
    before: 502,
    rpc: INTERNAL,
    cause: 'the server’s answer to initialize names no revision, or one that is not known here',
    remedy: 'see whether a newer gateway knows the revision; a server of 2026-07-28 needs none',
  },
  upstream_unavailable: {
    side: 'upstream',
    before: 503,
    rpc: INTERNAL,
    cause: 'no link to the server opened within links.queueTimeout, or it has never been reached since the start',
    remedy: 'the server cannot be reached at the moment; the gateway keeps trying',
  },

  breaker_open: {
    side: 'upstream',
    before: 503,
    rpc: INTERNAL,
    cause: 'five openings in a row have failed',
    remedy:
      'the server has failed five times in a row, and is tried again after the time in Retry-After: see the log for why',
  },

  // One call
  post_failed: {
    side: 'upstream',
    before: 502,
    after: 200,
    rpc: INTERNAL,
    cause:
      'the connection broke while a message was posted, or the POST was answered with a 5xx: the server may have got it',
    remedy: 'the connection broke while the message was sent: see the server’s log',
  },
  post_rejected: {
    side: 'upstream',
    before: 502,
    after: 200,
    rpc: INTERNAL,
    cause: 'the POST of a message was answered with a 4xx: the server did not take it',
    remedy: 'the server refused the message: see its log',
  },
  post_timeout: {
    side: 'upstream',
    before: 504,
    after: 200,
    rpc: INTERNAL,
    cause: 'the POST of a message was not answered within timeouts.post',
    remedy: 'the server did not answer the POST of a message in time: it may hang',
  },
  upstream_session_lost: {
    side: 'upstream',
    before: 502,
    after: 200,
    rpc: INTERNAL,
    cause: 'the event stream ended or broke while the call was open: its answer cannot arrive any more',
    remedy: 'the server closed its stream with calls open: see its log, and any idle timeout between',
  },
  request_timeout: {
    side: 'upstream',
    before: 504,
    after: 200,
    rpc: INTERNAL,
    cause: 'no answer, and no progress, for timeouts.request, or none at all for timeouts.requestMax',
    remedy:
      'see in the server’s log whether the tool hangs; for a tool that is slow by nature raise the timeout, for its upstream alone',
  },
  upstream_result_invalid: {
    side: 'upstream',
    before: 502,
    after: 200,
    rpc: INTERNAL,
    cause: 'the server’s result is no object, its pages of a list go in circles, or its OAuth metadata are none',
    remedy: 'the server answered with something that is no result: see its log',
  },
  upstream_message_too_large: {
    side: 'upstream',
    before: 502,
    after: 200,
    rpc: INTERNAL,
    cause: 'one message of the server is larger than limits.upstreamMessageBytes',
    remedy: 'have the server send less at once, or raise limits.upstreamMessageBytes',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** Whether the request had an effect: `not_executed` is certain, `unknown` is honest. */
export type CallOutcome = 'not_executed' | 'unknown';

export interface ErrorDetails {
  readonly cause?: unknown;
  /** The key that bounds what was asked for. */
  readonly limit?: Limit;
  /** The request may have reached the upstream. */
  readonly reached?: boolean;
  readonly outcome?: CallOutcome;
  readonly retryAfterMs?: number;
  /**
   * What the upstream answered. For the log only: clients are known that look for “404” anywhere in an error's text,
   * and then leave for another transport.
   */
  readonly upstreamStatus?: number;
  /** Of a server that asks for a credential: what it wants, for WWW-Authenticate. */
  readonly challenge?: string;
  /** For another replica: see OwnerAnswer. */
  readonly owner?: 'gone' | 'unknown' | 'refused';
  /** More members for `error.data`, already safe to show to a client. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** What ends an exchange without an answer. The message is lowercase, specific, and holds no secret and no URL. */
export class ProxyError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    // An outcome, and no fault of the code: its stack would be read by nobody, and costs more than many a refusal.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'ProxyError';
    this.code = code;
    this.details = details;
  }

  /** For a log line: the limit, where one was met, and what the upstream answered, where it did. */
  get seen(): { limit?: Limit; upstreamStatus?: number } {
    const { limit, upstreamStatus } = this.details;
    return { ...(limit !== undefined && { limit }), ...(upstreamStatus !== undefined && { upstreamStatus }) };
  }

  get row(): ErrorRow {
    return ERRORS[this.code];
  }

  /** The HTTP status while the response headers are unsent. */
  get status(): number {
    return this.details.reached === true ? 200 : this.row.before;
  }

  /** The same failure, told after the request may have reached the upstream. */
  afterSending(outcome: CallOutcome): ProxyError {
    return new ProxyError(this.code, this.message, { ...this.details, cause: this.cause, reached: true, outcome });
  }
}

/** Of what goes on with an upstream whose configuration goes no more: the gateway stops, or a reload has replaced it. */
export function noLongerServed(): ProxyError {
  const text = 'the gateway is shutting down, or serves this upstream anew after a reload';
  return new ProxyError('draining', text, { outcome: 'not_executed' });
}

/** The server behind does not want what a caller sent for it: of its own reach it says nothing, and to others nothing. */
export function isCredentialRefusal({ code }: ProxyError): boolean {
  return code === 'credential_refused' || code === 'credential_insufficient';
}

/** Anything thrown becomes a ProxyError; what is not one already is a bug of ours. */
export function asProxyError(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  return new ProxyError('internal_error', 'internal error', { cause: thrown });
}
