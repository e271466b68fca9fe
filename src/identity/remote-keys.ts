// The public keys of an issuer that come from its server: fetched when they are needed, by one fetch for all who wait,
// bounded in time, size and rate, and kept. What is wrong with the server is never told as a fault of the token.

import { type JWTVerifyGetKey } from 'jose';
import { JWKSNoMatchingKey } from 'jose/errors';
import { createLocalJWKSet } from 'jose/jwks/local';
import { Client } from 'undici';
import { ProxyError } from '../domain/errors.ts';
import type { Clock, Journal, Timer, Timers } from '../domain/ports.ts';
import { MIN_TLS_VERSION } from '../domain/tls-version.ts';
import { MAX_KEY_SET_BYTES, type KeySet, faultOf, parsedKeySet, publicKeys } from './key-set.ts';

export interface RemoteKeysOptions {
  readonly uri: URL;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
}

/** From the name to the last byte. */
const FETCH_MS = 5000;
/** A key that the issuer has withdrawn is trusted for no longer, as long as its server answers. */
const FRESH_MS = 10 * 60_000;
/** Where it does not, or not in time. */
const KEPT_MS = 60 * 60_000;
/**
 * Of a fetch that long is waited for by those who could do with what is held. Not without waiting: after an hour's silence
 * the first token would be let in by a key that was withdrawn meanwhile.
 */
const PATIENCE_MS = 500;
/** Tokens with keys that nobody has heard of make one fetch in this time. */
const COOLDOWN_MS = 30_000;
const RETRY_MS = 10_000;

interface Held {
  readonly find: JWTVerifyGetKey;
  readonly at: number;
}

interface Asking {
  readonly newer: Promise<Held>;
  /** It takes longer than most. */
  readonly isLate: Promise<void>;
}

export class RemoteKeys {
  readonly #options: RemoteKeysOptions;
  #held: Held | null = null;
  #asking: Asking | null = null;
  readonly #closing = new AbortController();
  /** Of Clock: not asked again before. */
  #restsUntil = Number.NEGATIVE_INFINITY;
  /** Why the newest fetch failed; null: it did not. */
  #failure: unknown = null;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
  }

  /** The key of a token. Rejects with a ProxyError where the keys cannot be had, and as jose does where none fits. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const held = await this.#usable();
    try {
      return await held.find(header, token);
    } catch (thrown) {
      if (!(thrown instanceof JWKSNoMatchingKey)) throw thrown;
      // It may be newer than what is held.
      if (this.#asking === null && this.#isResting) throw this.#failure === null ? thrown : this.#unavailable();
      const newer = await this.#ask().newer;
      return newer.find(header, token);
    }
  };

  /** A fetch that runs is given up. */
  close(): void {
    this.#closing.abort(new KeySetFault('the gateway is shutting down'));
  }

  get #isResting(): boolean {
    return this.#options.clock.now() < this.#restsUntil;
  }

  async #usable(): Promise<Held> {
    const held = this.#held;
    const age = held === null ? Number.POSITIVE_INFINITY : this.#options.clock.now() - held.at;
    if (held !== null && age < FRESH_MS) return held;
    const asking = this.#asking === null && this.#isResting ? null : this.#ask();
    if (held === null || age >= KEPT_MS) {
      if (asking === null) throw this.#unavailable();
      return asking.newer;
    }
    if (asking === null) return held;
    return Promise.race([asking.newer.catch(() => held), asking.isLate.then(() => held)]);
  }

  #ask(): Asking {
    if (this.#asking !== null) return this.#asking;
    let patience: Timer | null = null;
    const isLate = new Promise<void>((resolve) => {
      patience = this.#options.timers.after(PATIENCE_MS, resolve);
    });
    const newer = this.#fetch().finally(() => {
      patience?.cancel();
      this.#asking = null;
    });
    this.#asking = { newer, isLate };
    return this.#asking;
  }

  async #fetch(): Promise<Held> {
    const { uri, clock, timers, journal } = this.#options;
    try {
      const keySet = await fetchKeySet(uri, timers, this.#closing.signal);
      // It goes whatever is in it: keys that are not there any more are withdrawn, and it may be all of them.
      this.#held = { find: createLocalJWKSet({ keys: [...publicKeys(keySet).keys] }), at: clock.now() };
      this.#failure = null;
      this.#restsUntil = clock.now() + COOLDOWN_MS;
      const why = faultOf(keySet);
      if (why !== null) journal.record({ fact: 'keys_unusable', server: uri.host, why: `the answer ${why}` });
      return this.#held;
    } catch (cause) {
      this.#failure = cause;
      this.#restsUntil = clock.now() + RETRY_MS;
      const why = cause instanceof KeySetFault ? cause.message : 'the connection failed';
      journal.record({ fact: 'keys_unread', server: uri.host, why, cause });
      throw this.#unavailable();
    }
  }

  #unavailable(): ProxyError {
    const retryAfterMs = Math.max(1000, this.#restsUntil - this.#options.clock.now());
    const text = 'the keys of the issuer cannot be had, so no token can be checked';
    return new ProxyError('keys_unavailable', text, { cause: this.#failure, retryAfterMs });
  }
}

/** The server answered, but with no set of keys. */
class KeySetFault extends Error {}

/** Redirects are not followed: the keys come from where the operator said. */
async function fetchKeySet(uri: URL, timers: Timers, closing: AbortSignal): Promise<KeySet> {
  const late = new AbortController();
  const timer = timers.after(FETCH_MS, () => late.abort(new KeySetFault(`no answer within ${FETCH_MS / 1000} s`)));
  // TLS is verified whatever NODE_TLS_REJECT_UNAUTHORIZED says. One connection for one fetch: they are minutes apart.
  const client = new Client(uri.origin, {
    connect: { timeout: FETCH_MS, rejectUnauthorized: true, minVersion: MIN_TLS_VERSION },
  });
  try {
    const { statusCode, body } = await client.request({
      path: uri.pathname + uri.search,
      method: 'GET',
      headers: { accept: 'application/jwk-set+json, application/json', 'accept-encoding': 'identity' },
      signal: AbortSignal.any([late.signal, closing]),
    });
    // It is destroyed with the client where it is not read.
    body.on('error', () => {});
    if (statusCode !== 200) throw new KeySetFault(`the answer was ${statusCode}`);
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of body as AsyncIterable<Buffer>) {
      pieces.push(piece);
      length += piece.length;
      if (length > MAX_KEY_SET_BYTES) break;
    }
    return parsed(Buffer.concat(pieces));
  } finally {
    timer.cancel();
    await client.destroy();
  }
}

function parsed(bytes: Buffer): KeySet {
  try {
    return parsedKeySet(bytes);
  } catch (cause) {
    throw new KeySetFault(`the answer ${cause instanceof Error ? cause.message : 'cannot be used'}`, { cause });
  }
}
