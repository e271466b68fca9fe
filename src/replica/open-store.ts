// Loads what speaks with the store, where one is configured: nobody else needs it installed.

import type { StoreConfig } from '../config/schema.ts';
import { RedisShelf, loadRedis, redisOptions } from './redis-shelf.ts';
import type { Shelf } from './shelf.ts';

/** Rejects with a ConfigError. Nothing is connected to before Shelf.open. */
export async function shelfFor(store: StoreConfig | undefined): Promise<Shelf | null> {
  if (store === undefined) return null;
  const Redis = await loadRedis();
  return new RedisShelf(new Redis(redisOptions(store)));
}
