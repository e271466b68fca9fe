// The URLs of one upstream, and which of them the next connection goes to: the one that has the fewest, the first of
// equals; one that has just failed only where the others have failed too.

import type { UpstreamConfig } from '../config/schema.ts';
import type { Clock } from '../domain/ports.ts';
import type { EndpointRules } from '../upstream/endpoint-url.ts';

export interface UpstreamUrl {
  /** Its place among the URLs of its upstream. */
  readonly index: number;
  readonly endpoint: EndpointRules;
  /** Sent with every request there, credentials included. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A connection to one of them: counted from when it is chosen until it is over. */
export interface Choice {
  readonly url: UpstreamUrl;
  opened(): void;
  /** It could not be opened, and is over. */
  failed(): void;
  /** Idempotent. */
  over(): void;
}

interface Entry {
  readonly url: UpstreamUrl;
  connections: number;
  failedAt: number;
}

const NEVER = Number.NEGATIVE_INFINITY;

export class UpstreamUrls {
  readonly #entries: readonly Entry[];
  readonly #clock: Clock;
  readonly #avoidMs: number;

  /** `avoidMs`: how long one that has failed comes after the others. */
  constructor(upstream: UpstreamConfig, clock: Clock, avoidMs: number) {
    this.#entries = upstream.urls.map((url, index) => ({
      url: upstreamUrl(url, index, upstream),
      connections: 0,
      failedAt: NEVER,
    }));
    this.#clock = clock;
    this.#avoidMs = avoidMs;
  }

  get count(): number {
    return this.#entries.length;
  }

  at(index: number): UpstreamUrl | null {
    return this.#entries[index]?.url ?? null;
  }

  choose(): Choice {
    const since = this.#clock.now() - this.#avoidMs;
    const failure = ({ failedAt }: Entry): number => (failedAt > since ? failedAt : NEVER);
    const best = this.#entries.reduce((first, next) => {
      const [before, after] = [failure(first), failure(next)];
      const isBetter = before === after ? next.connections < first.connections : after < before;
      return isBetter ? next : first;
    });
    best.connections++;
    let isOver = false;
    const over = (): void => {
      if (!isOver) best.connections--;
      isOver = true;
    };
    return {
      url: best.url,
      opened: () => {
        best.failedAt = NEVER;
      },
      failed: () => {
        best.failedAt = this.#clock.now();
        over();
      },
      over,
    };
  }
}

/** Userinfo in the URL becomes Basic authentication, and is in the URL no more. */
function upstreamUrl(configured: URL, index: number, upstream: UpstreamConfig): UpstreamUrl {
  const sseUrl = new URL(configured.href);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(upstream.headers)) headers[name.toLowerCase()] = value;
  if (sseUrl.username !== '' || sseUrl.password !== '') {
    const pair = `${decodeURIComponent(sseUrl.username)}:${decodeURIComponent(sseUrl.password)}`;
    headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
    sseUrl.username = '';
    sseUrl.password = '';
  }
  const allowedOrigins = new Set(upstream.allowEndpointOrigins.map(({ origin }) => origin));
  return { index, endpoint: { sseUrl, messageUrl: upstream.messageUrl, allowedOrigins }, headers };
}
