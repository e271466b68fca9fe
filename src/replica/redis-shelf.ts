// The shelf in a Redis or Valkey. Nothing is queued here: without a connection an operation fails at once, and one that is
// not answered within a second has failed, whatever becomes of it. The client library connects again by itself.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Redis, RedisOptions } from 'ioredis';
import { ConfigError } from '../config/load.ts';
import type { StoreConfig } from '../config/schema.ts';
import { storeFault } from './redis-faults.ts';
import { READ, REMOVE, RENEW, TAKE, WRITE } from './redis-scripts.ts';
import type { Found, Shelf, ShelfPlaces, Standing, TakeBounds, Writing, Written } from './shelf.ts';

const CONNECT_MS = 1000;
const ANSWER_MS = 1000;
/** A connection on which nothing comes for so long is given up: the machine behind it may be gone. */
const SILENT_MS = 4000;
const AGAIN_MS = 300;
/** How long the start of the gateway waits for it. */
const START_MS = 2000;

/** Of what comes before an answer is complete, without what a session may have there; many are answered in one piece. */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** What stands between events. */
const EVENT_SLACK = 32;

type RedisClass = new (options: RedisOptions) => Redis;

/** Rejects with a ConfigError where the package is not installed. */
export async function loadRedis(): Promise<RedisClass> {
  try {
    const { Redis: Loaded } = await import('ioredis');
    return Loaded;
  } catch (cause) {
    throw new ConfigError('store needs the package ioredis, which is not installed: npm install ioredis', { cause });
  }
}

/** Throws a ConfigError where the file of the authorities cannot be read. */
export function redisOptions({ url, ca }: StoreConfig): RedisOptions {
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    host,
    port: Number(url.port || 6379),
    db: Number(url.pathname.slice(1) || 0),
    ...(user !== '' && { username: user }),
    ...(password !== '' && { password }),
    // [RFC 6066 3] "Literal IPv4 and IPv6 addresses are not permitted in \"HostName\"."
    ...(url.protocol === 'rediss:' && {
      tls: { ...(isIP(host) === 0 && { servername: host }), ...(ca !== undefined && { ca: read(ca) }) },
    }),
    lazyConnect: true,
    protocol: 2,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    disableClientInfo: true,
    connectTimeout: CONNECT_MS,
    commandTimeout: ANSWER_MS,
    socketTimeout: SILENT_MS,
    retryStrategy: () => AGAIN_MS,
  };
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new ConfigError(`store.ca cannot be read: ${file}`, { cause });
  }
}

type Answer = readonly [code: number, second?: Buffer, third?: readonly Buffer[]];

export class RedisShelf implements Shelf {
  readonly #redis: Redis;
  readonly #digests = new Map<string, string>();
  /** Why the connection is not there. */
  #lastError: unknown = null;
  /** What has come since anything was answered, and how much that may be: the client library holds it, whatever it is. */
  #unanswered = 0;
  #maxUnanswered = MAX_ANSWER_BYTES;

  constructor(redis: Redis) {
    this.#redis = redis;
    redis.on('error', (error: unknown) => {
      this.#lastError = error;
    });
    redis.on('ready', () => {
      this.#lastError = null;
    });
    redis.on('connect', () => {
      const { stream } = redis;
      this.#unanswered = 0;
      stream.on('data', ({ length }: Buffer) => {
        this.#unanswered += length;
        if (this.#unanswered > this.#maxUnanswered) stream.destroy(new Error('an answer without an end'));
      });
    });
  }

  async open(): Promise<void> {
    this.#redis.connect().catch(() => {});
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, START_MS);
      const done = (): void => {
        clearTimeout(timer);
        this.#redis.off('ready', done).off('close', done);
        resolve();
      };
      this.#redis.once('ready', done).once('close', done);
    });
  }

  close(): void {
    this.#redis.disconnect();
  }

  lease({ lease }: ShelfPlaces): Promise<Standing> {
    return this.read(lease);
  }

  async read(place: string): Promise<Standing> {
    // Always a text: see the script.
    return standingOf((await this.#run(READ, [place], [])) as Buffer);
  }

  async write(places: ShelfPlaces, expected: Standing, what: Writing): Promise<Written> {
    const { lease, record, keptMs, eventsKeptMs, keepEvents, isWhole, events } = what;
    const given = [lease ?? '', record ?? '', keptMs, eventsKeptMs, keepEvents, isWhole ? '1' : '0', ...events];
    return writtenOf(await this.#onSession(WRITE, places, expected, given));
  }

  async take(places: ShelfPlaces, expected: Standing, lease: Buffer, bounds: TakeBounds): Promise<Found | null> {
    const { keptMs, recordBytes, maxEvents, eventBytes, largestEvent } = bounds;
    const largest = recordBytes + Math.max(eventBytes, largestEvent) + maxEvents * EVENT_SLACK + MAX_ANSWER_BYTES;
    this.#maxUnanswered = Math.max(this.#maxUnanswered, largest);
    const [code, record, events = []] = await this.#onSession(TAKE, places, expected, [
      lease,
      keptMs,
      recordBytes,
      maxEvents,
      eventBytes,
      largestEvent,
    ]);
    if (code !== 0 || record === undefined) return null;
    return { record: record.length === 0 ? null : record, events: events.toReversed() };
  }

  async remove(places: ShelfPlaces, expected: Standing): Promise<Written> {
    return writtenOf(await this.#onSession(REMOVE, places, expected, []));
  }

  async renew(place: string, value: Buffer, keptMs: number, mustWrite: boolean): Promise<'renewed' | 'anew'> {
    return (await this.#run(RENEW, [place], [value, keptMs, mustWrite ? '1' : '0'])) === 0 ? 'anew' : 'renewed';
  }

  async mark(place: string, value: Buffer, onlyIfAbsent: boolean): Promise<void> {
    await this.#answered(this.#redis.call('SET', [place, value, ...(onlyIfAbsent ? ['NX'] : [])]));
  }

  async clear(place: string): Promise<void> {
    await this.#answered(this.#redis.call('DEL', place));
  }

  async #onSession(
    script: string,
    { lease, record, events }: ShelfPlaces,
    expected: Standing,
    given: readonly (string | number | Buffer)[],
  ): Promise<Answer> {
    // As the scripts answer.
    return (await this.#run(script, [lease, record, events], [textOf(expected), ...given])) as Answer;
  }

  async #run(script: string, keys: readonly string[], given: readonly (string | number | Buffer)[]): Promise<unknown> {
    let digest = this.#digests.get(script);
    if (digest === undefined) {
      digest = createHash('sha1').update(script).digest('hex');
      this.#digests.set(script, digest);
    }
    const rest = [keys.length, ...keys, ...given];
    try {
      return await this.#answered(this.#redis.callBuffer('EVALSHA', [digest, ...rest]));
    } catch (thrown) {
      if (!(thrown instanceof Error && thrown.cause instanceof Error && thrown.cause.message.startsWith('NOSCRIPT'))) {
        throw thrown;
      }
      // The first time there, or it was started anew.
      return this.#answered(this.#redis.callBuffer('EVAL', [script, ...rest]));
    }
  }

  async #answered<T>(doing: Promise<T>): Promise<T> {
    try {
      const answer = await doing;
      this.#unanswered = 0;
      return answer;
    } catch (thrown) {
      throw storeFault(thrown, this.#lastError);
    }
  }
}

const STRANGE = '!';

function standingOf(held: Buffer): Standing {
  if (held.length === 0) return { is: 'absent' };
  return held.toString('latin1') === STRANGE ? { is: 'strange' } : { is: 'value', bytes: held };
}

function textOf(standing: Standing): string | Buffer {
  if (standing.is === 'value') return standing.bytes;
  return standing.is === 'absent' ? '' : STRANGE;
}

function writtenOf([code, held]: Answer): Written {
  if (code === 0) return { is: 'written' };
  return code === 1 && held !== undefined ? { is: 'refused', by: standingOf(held) } : { is: 'incomplete' };
}
