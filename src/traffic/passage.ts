// The way of old HTTP+SSE clients to one upstream: which URLs they may reach there and with which headers, how many of
// their streams are open, and the sockets for it. What crosses is downstream's; nothing of it is read here.
//
// Where a client may post is what the upstream has announced to it and nothing else: the announced URL is sealed into
// the one that the client gets, so there is no other it could choose, and any form of it works.

import type { IncomingHttpHeaders } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { Agent, type Dispatcher } from 'undici';
import type { LegacyPaths, LimitConfig, TimeoutConfig } from '../config/schema.ts';
import { type ErrorDetails, ProxyError, noLongerServed } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Principal } from '../domain/principal.ts';
import type { TokenSealer } from '../protocol/sealed-token.ts';
import type { RefusalOf } from '../upstream/credential-refusal.ts';
import type { Connector } from '../upstream/connector.ts';
import { type EndpointRules, endpointUrl } from '../upstream/endpoint-url.ts';
import { streamRefusal } from '../upstream/event-stream.ts';
import { codeOf, connectError } from '../upstream/network-error.ts';
import type { Budgets } from './budgets.ts';
import type { UpstreamUrl } from '../upstream/upstream-url.ts';
import type { Choice, UpstreamUrls } from './upstream-urls.ts';

export interface PassageOptions {
  readonly upstream: string;
  /** Of this passage alone, among all of this process. */
  readonly id: string;
  readonly paths: LegacyPaths;
  readonly urls: UpstreamUrls;
  readonly connector: Connector;
  readonly sealer: TokenSealer;
  readonly owner: string;
  /** Seconds since 1970. */
  readonly wallSeconds: () => number;
  readonly budgets: Budgets;
  /** Why a caller cannot have one more stream, after what could make room for it has; null: he can. */
  readonly overBudget: (caller: Principal) => ProxyError | null;
  readonly timeouts: TimeoutConfig;
  readonly limits: LimitConfig;
  /** Of callers' credentials. */
  readonly refusalOf: RefusalOf;
}

/** The stream of an old client. */
export interface PassedStream {
  readonly principal: Principal;
  readonly end: () => void;
}

/** Where a message goes, and with what. */
export interface Destination {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** What became of the message there; see Choice. */
  readonly posted: (isTaken: boolean) => void;
}

export class Passage {
  readonly paths: LegacyPaths;
  readonly dispatcher: Dispatcher;
  readonly #options: PassageOptions;
  /** Each stream that is open, or being opened. */
  readonly #streams = new Set<PassedStream>();
  #isClosed = false;

  constructor(options: PassageOptions) {
    const { paths, connector, timeouts } = options;
    this.#options = options;
    this.paths = paths;
    this.dispatcher = new Agent({
      // As many as it takes: both kinds are counted before they come here, by limits of the moment. One more than there
      // were connections for would wait in silence.
      connections: null,
      // A server's own hint can be ten minutes, for sockets of a burst that is over.
      keepAliveMaxTimeout: 60_000,
      headersTimeout: timeouts.headers,
      bodyTimeout: 0,
      connect: connector,
    });
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** A place for one more stream, and where to; throws a ProxyError where there is none. */
  enter(stream: PassedStream): Choice {
    if (this.#isClosed) throw noLongerServed();
    if (this.#streams.size >= this.#options.limits.passthroughStreams) {
      const text = 'too many event streams of old clients are open';
      throw overLimit('passthrough_limit', 'limits.passthroughStreams', text, { outcome: 'not_executed' });
    }
    const { urls, budgets, overBudget } = this.#options;
    const refusal = overBudget(stream.principal);
    if (refusal !== null) throw refusal;
    const choice = urls.choose();
    const giveBack = budgets.take('links', stream.principal);
    this.#streams.add(stream);
    return {
      ...choice,
      over: () => {
        this.#streams.delete(stream);
        giveBack();
        // A client that leaves early has shown nothing.
        choice.gaveUp();
        choice.over();
      },
    };
  }

  /** What a client of this stream is told instead of the URL that the upstream announces to it. Throws a ProxyError. */
  announce(announced: string, { index, endpoint }: UpstreamUrl, principal: Principal): string {
    const { upstream, id, sealer, owner, wallSeconds, timeouts } = this.#options;
    const url = endpointUrl(announced, endpoint);
    const token = sealer.seal({
      kind: 'endpoint',
      owner,
      mount: upstream,
      passage: id,
      principal: principal.key,
      url: index,
      origin: originsOf(endpoint).indexOf(url.origin),
      target: url.pathname + url.search,
      expiresAt: wallSeconds() + Math.ceil(timeouts.sessionMax / 1000),
    });
    return `${this.paths.messages}?token=${token}`;
  }

  /**
   * Where the message of this client goes; null where no stream of this passage was told this token, or not for this client.
   * Throws a ProxyError where it comes too late.
   */
  destination(token: string, principal: Principal): Destination | null {
    const { id, urls, sealer, wallSeconds } = this.#options;
    const claims = sealer.open('endpoint', token, wallSeconds());
    if (claims === null || claims.passage !== id || claims.principal !== principal.key) return null;
    // Its body was on its way until now.
    if (this.#isClosed) throw noLongerServed();
    const of = urls.at(claims.url);
    const origin = of === null ? undefined : originsOf(of.endpoint)[claims.origin];
    // Joined, not resolved: a path may begin with two slashes.
    if (of === null || origin === undefined) return null;
    return {
      url: new URL(origin + claims.target),
      headers: of.headers,
      posted: (isTaken) => urls.posted(of.index, isTaken),
    };
  }

  /** Why an answer is one to a caller's credential; null: it is none. */
  credentialRefusal(status: number, headers: IncomingHttpHeaders): ProxyError | null {
    return this.#options.refusalOf(status, headers);
  }

  /** Why this answer to a GET is no stream; null if it is one. */
  refusalOf(status: number, type: string, encoding: unknown): ProxyError | null {
    return streamRefusal(status, type, encoding);
  }

  /** What kept an upstream from answering. */
  failureOf(method: 'GET' | 'POST', cause: unknown): ProxyError {
    const error = connectError(cause);
    if (method === 'GET' || isUnsent(error, cause)) return error;
    const details: ErrorDetails = { cause, outcome: 'unknown' };
    return error.code === 'upstream_headers_timeout'
      ? overLimit('post_timeout', 'timeouts.requestMax', 'the upstream did not answer the POST in time', details)
      : new ProxyError('post_failed', `the connection broke while the message was sent (${codeOf(cause)})`, details);
  }

  endThose(areMeant: (stream: PassedStream) => boolean): void {
    for (const stream of this.#streams) if (areMeant(stream)) stream.end();
  }

  /** Ends every stream. */
  endStreams(): void {
    this.endThose(() => true);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // What has arrived is passed on: an answer on a stream, when the POST that it belongs to was waited for.
    if (this.#streams.size > 0) await setImmediate();
    this.endStreams();
    await this.dispatcher.destroy();
  }
}

/** The only ones that a message can go to; a token names one by its place. */
function originsOf({ sseUrl, messageUrl, allowedOrigins }: EndpointRules): readonly string[] {
  return [(messageUrl ?? sseUrl).origin, sseUrl.origin, ...allowedOrigins];
}

/** The connection was not there yet: no byte can have gone out. */
function isUnsent(error: ProxyError, cause: unknown): boolean {
  return (
    error.code === 'upstream_tls' ||
    error.code === 'upstream_connect_timeout' ||
    /^(?:ECONNREFUSED|ENOTFOUND|EAI_[A-Z]+|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/.test(codeOf(cause))
  );
}
