// Looks at a server: one connection after the other, each closed before the next, all of it within one time. What is tried
// next depends on what was seen; what it means is decided in verdict.ts.

import type { Config } from '../../config/schema.ts';
import { settingsOf } from '../../config/settings.ts';
import type { ErrorCode } from '../../domain/errors.ts';
import type { Clock, Random, Timers } from '../../domain/ports.ts';
import { connector } from '../../upstream/connector.ts';
import type { EndpointRules } from '../../upstream/endpoint-url.ts';
import { upstreamUrl } from '../../upstream/upstream-url.ts';
import { countLists } from '../counting.ts';
import { endpointForm } from '../endpoint-form.ts';
import type { CertificateSeen, Elsewhere, SecondStream, Seen, StreamSeen, StreamableSeen } from '../seen.ts';
import { atPath, besideStream, usualPaths } from '../usual-paths.ts';
import { refusedPost } from '../kinds.ts';
import { LegacySession, type Wire } from './legacy-session.ts';
import { openSecond } from './second-stream.ts';
import { askStreamable } from './streamable-session.ts';
import { untrustedCertificate } from './watched-connection.ts';

export interface ProbeOptions {
  /** Its first upstream is looked at. */
  readonly config: Config;
  readonly version: string;
  /** In all. */
  readonly timeoutMs: number;
  /** How long an idle stream is listened to. */
  readonly listenMs: number;
  readonly secondStream: boolean;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** What is done next. */
  readonly progress: (doing: string) => void;
}

/** The first attempt may take so much of the time, so that some is left to find out what else it could be. */
const FIRST_SHARE = 0.5;
const TIMES = ['connect', 'headers', 'endpoint', 'initialize', 'post'] as const;
/** What a server that is no HTTP+SSE server here says, and then it may be something else. */
const NOT_HERE: readonly ErrorCode[] = [
  'upstream_not_found',
  'upstream_not_legacy',
  'upstream_not_event_stream',
  'upstream_bad_status',
];
/** A stream of Streamable HTTP, too, has a head with its first event only, or never an endpoint. */
const NO_LEGACY_STREAM: readonly ErrorCode[] = [...NOT_HERE, 'endpoint_missing', 'upstream_headers_timeout'];
/** Nothing is there any more. */
const GONE = ['ECONNREFUSED', 'ECONNRESET', 'UND_ERR_SOCKET'];

export async function probe(options: ProbeOptions): Promise<Seen> {
  return new Probe(options).look();
}

class Probe {
  readonly #options: ProbeOptions;
  readonly #url: URL;
  readonly #endpoint: EndpointRules;
  readonly #serverName: string | undefined;
  readonly #isDialledWithMore: boolean;
  readonly #wire: Wire;
  readonly #until: number;
  #certificate: CertificateSeen | null = null;
  #second: SecondStream | null = null;

  constructor(options: ProbeOptions) {
    const { config, clock, timers, random, version, timeoutMs } = options;
    const [upstream] = config.upstreams;
    if (upstream === undefined) throw new RangeError('nothing to probe');
    const { timeouts, limits } = settingsOf(config, upstream);
    // No step may take the whole of the time.
    const most = Math.max(1, Math.floor(timeoutMs * FIRST_SHARE));
    const bounded = Object.fromEntries(TIMES.map((name) => [name, Math.min(timeouts[name], most)]));
    this.#options = options;
    const { endpoint, headers } = upstreamUrl(upstream.url, 0, upstream);
    this.#endpoint = endpoint;
    this.#url = endpoint.sseUrl;
    this.#serverName = upstream.tls?.serverName;
    this.#isDialledWithMore =
      this.#url.search !== '' ||
      Object.keys(headers).length > 0 ||
      upstream.tls !== undefined ||
      upstream.messageUrl !== undefined;
    this.#until = clock.now() + timeoutMs;
    this.#wire = {
      clock,
      timers,
      random,
      timeouts: { ...timeouts, ...bounded },
      limits,
      connector: connector(Math.min(timeouts.connect, most), upstream.tls),
      headers,
      clientInfo: { name: 'mcp-causeway', version },
    };
  }

  async look(): Promise<Seen> {
    const { messageUrl: configured = null } = this.#endpoint;
    let messageUrl = configured;
    this.#say(`opening ${this.#url.host}`);
    let stream = await this.#openStream(messageUrl, this.#left() * FIRST_SHARE);
    const here = configured === null ? sameOriginUrl(stream, this.#url) : null;
    if (here !== null) {
      this.#say('trying its endpoint at the origin of the stream');
      const again = await this.#openStream(here, this.#left() * FIRST_SHARE);
      if (again.introduction !== null) {
        messageUrl = here;
        stream = again;
      }
    }
    if (stream.failure?.code === 'upstream_tls') await this.#readCertificate(stream.failure.network ?? '');
    const streamable = await this.#streamable(stream);
    const mayBeElsewhere =
      streamable?.speaks !== true && refusedPost({ stream, streamable }) === null && failedWith(stream, NOT_HERE);
    return {
      url: this.#url,
      isDialledWithMore: this.#isDialledWithMore,
      messageUrl,
      stream,
      streamable,
      elsewhere: mayBeElsewhere ? await this.#elsewhere() : [],
      certificate: this.#certificate,
      second: this.#second,
      goneAfter:
        stream.introduction !== null && streamable?.speaks === false && GONE.includes(streamable.network ?? ''),
      wasCut: this.#left() <= 0,
    };
  }

  #left = (): number => this.#until - this.#options.clock.now();

  #say(doing: string): void {
    this.#options.progress(doing);
  }

  async #openStream(messageUrl: URL | null, withinMs: number): Promise<StreamSeen> {
    const rules = messageUrl === null ? this.#endpoint : { ...this.#endpoint, messageUrl };
    const session = new LegacySession(this.#wire, rules);
    try {
      const handshake = await session.open(Math.max(1, withinMs));
      this.#certificate ??= session.certificate;
      if (handshake === null) return session.seen(null);
      this.#say('counting what it offers');
      const { introduction } = session.seen(null);
      const counts = await countLists(introduction?.capabilities, (method, params) =>
        session.list(method, params, Math.max(1, Math.min(this.#left() * FIRST_SHARE, this.#wire.timeouts.initialize))),
      );
      const listenMs = Math.max(0, Math.min(this.#options.listenMs, this.#left() / 2));
      this.#say(`listening for ${(listenMs / 1000).toFixed(1)} s`);
      await session.listen(listenMs);
      const seen = session.seen(counts);
      if (this.#options.secondStream && session.isOpen) {
        this.#say('opening a second stream');
        this.#second = await openSecond(this.#wire, rules, session, this.#left);
      }
      return seen;
    } finally {
      await session.close();
    }
  }

  async #readCertificate(distrust: string): Promise<void> {
    this.#certificate = await untrustedCertificate(
      this.#url,
      this.#serverName,
      distrust,
      Math.max(1, Math.min(this.#left(), this.#wire.timeouts.connect)),
    );
  }

  /** At the URL itself, and where it is usual beside an event stream. */
  async #streamable(stream: StreamSeen): Promise<StreamableSeen | null> {
    if (this.#left() <= 0 || (stream.introduction === null && !failedWith(stream, NO_LEGACY_STREAM))) return null;
    this.#say('asking for Streamable HTTP');
    const own = await askStreamable(this.#wire, this.#url, this.#share(2));
    const beside = stream.introduction === null ? null : besideStream(this.#url);
    if (own.speaks || beside === null || this.#left() <= 0 || own.network !== null) return own;
    const other = await askStreamable(this.#wire, beside, this.#share(1));
    return other.speaks ? other : own;
  }

  /** The first of the usual paths that answers. */
  async #elsewhere(): Promise<readonly Elsewhere[]> {
    const candidates = usualPaths(this.#url);
    for (const [index, { url, as }] of candidates.entries()) {
      if (this.#left() <= 0) break;
      this.#say(`trying ${url.pathname}`);
      const left = this.#share(candidates.length - index);
      // oxlint-disable-next-line no-await-in-loop -- one connection at a time
      const isThere =
        as === 'http_sse' ? await this.#opens(url, left) : (await askStreamable(this.#wire, url, left)).speaks;
      if (isThere) return [{ url, is: as }];
    }
    return [];
  }

  async #opens(url: URL, left: () => number): Promise<boolean> {
    const session = new LegacySession(this.#wire, { ...this.#endpoint, sseUrl: url });
    try {
      return (await session.open(Math.max(1, left()))) !== null;
    } finally {
      await session.close();
    }
  }

  /** A part of what is left now, where so many others may follow. */
  #share(parts: number): () => number {
    const until = this.#options.clock.now() + this.#left() / parts;
    return () => until - this.#options.clock.now();
  }
}

function failedWith({ failure }: StreamSeen, codes: readonly ErrorCode[]): boolean {
  return failure !== null && codes.includes(failure.code);
}

/**
 * What the server announced on another origin, at the origin that it was reached at: an inner name of it, mostly. Nothing a
 * server says makes us talk to another origin.
 */
function sameOriginUrl({ failure, announced }: StreamSeen, base: URL): URL | null {
  if (failure?.code !== 'endpoint_refused' || announced === null) return null;
  if (endpointForm(announced, base).form !== 'other-origin') return null;
  const { protocol, pathname } = new URL(announced, base.href);
  return protocol === 'http:' || protocol === 'https:' ? atPath(base, pathname) : null;
}
