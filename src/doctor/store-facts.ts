// A store as the gateway would use it, with what it says of itself. Nothing is written.

import type { Redis } from 'ioredis';
import type { StoreConfig } from '../config/schema.ts';
import { STORE_FAULTS } from '../domain/store-faults.ts';
import type { TokenSealer } from '../protocol/sealed-token.ts';
import { storeFault } from '../replica/redis-faults.ts';
import { RedisShelf, loadRedis, redisOptions } from '../replica/redis-shelf.ts';
import { Seals, StorePlaces } from '../replica/seals.ts';
import { orLate } from './bounded.ts';
import { refusal } from './refusal.ts';
import { type Mark, type StoreFacts, type StoreServer, unfitness } from './store-findings.ts';

export async function storeFacts(config: StoreConfig, sealer: TokenSealer, signal: AbortSignal): Promise<StoreFacts> {
  let redis: Redis;
  try {
    const Loaded = await loadRedis();
    redis = new Loaded({ ...redisOptions(config), retryStrategy: () => null });
  } catch (thrown) {
    return { state: 'failed', ...refusal(thrown) };
  }
  try {
    return await orLate(asked(redis, config, sealer), { state: 'late' }, signal);
  } finally {
    redis.disconnect();
  }
}

async function asked(redis: Redis, { prefix }: StoreConfig, sealer: TokenSealer): Promise<StoreFacts> {
  const shelf = new RedisShelf(redis);
  let why: unknown = null;
  redis.on('error', (error: unknown) => (why = error));
  try {
    await shelf.open();
    const startedAt = performance.now();
    const server = await serverOf(redis);
    const ms = performance.now() - startedAt;
    const isFit = server === null || unfitness(server) === null;
    return { state: 'up', ms, server, mark: isFit ? await markUnder(prefix, shelf, new Seals(sealer)) : null };
  } catch (thrown) {
    const { kind, message, cause } = storeFault(thrown, why);
    const said = cause instanceof Error && cause.message !== '' ? ` (${cause.message})` : '';
    return { state: 'failed', why: `cannot be used: ${message}${said}`, remedy: STORE_FAULTS[kind].remedy };
  }
}

async function markUnder(prefix: string, shelf: RedisShelf, seals: Seals): Promise<Mark> {
  const place = new StorePlaces(prefix).deployment;
  const standing = await shelf.read(place);
  if (standing.is === 'absent') return 'nobody';
  return standing.is === 'value' && seals.openText(place, standing.bytes) !== null ? 'ours' : 'foreign';
}

/** Null: its user may not know. */
async function serverOf(redis: Redis): Promise<StoreServer | null> {
  const info = await redis.info().catch((thrown: unknown) => {
    if (thrown instanceof Error && thrown.message.startsWith('NOPERM')) return null;
    throw thrown;
  });
  if (info === null) return null;
  // Whether it saves now and then is not in there, and is asked for by fewer than may ask.
  const [, save = ''] = await redis.config('GET', 'save').then(
    (answer) => answer as readonly string[],
    () => [],
  );
  return serverIn(info, save !== '');
}

/** `INFO`: lines of `name:value`. */
function serverIn(info: string, savesNowAndThen: boolean): StoreServer {
  const said = new Map(Array.from(info.matchAll(/^(\w+):(.*?)\r?$/gm), ([, name = '', value = '']) => [name, value]));
  const text = (name: string): string => said.get(name) ?? '';
  const number = (name: string): number => Number(said.get(name) ?? 0);
  const valkey = said.get('valkey_version');
  const version = text('redis_version');
  return {
    name: valkey === undefined ? `Redis ${version}` : `Valkey ${valkey}`,
    version,
    mode: text('redis_mode'),
    role: text('role'),
    maxBytes: number('maxmemory'),
    usedBytes: number('used_memory'),
    policy: text('maxmemory_policy'),
    evicted: number('evicted_keys'),
    isPersistent: savesNowAndThen || number('rdb_saves') > 0 || text('aof_enabled') === '1',
    hasSaved: text('rdb_last_bgsave_status') !== 'err' && text('aof_last_write_status') !== 'err',
  };
}
