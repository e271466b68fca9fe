// Two replicas with one store in this process, the first of which can vanish.

import { expect } from 'vitest';
import { type Gateway, type GatewayConfig, IN_STORE } from './gateway.ts';
import type { Behaviour } from './legacy-behaviour.ts';
import type { LegacyServer } from './legacy-server.ts';
import { MemoryStore, type MemoryShelf } from './memory-shelf.ts';
import { type Replica, startReplicas } from './replicas.ts';

export interface World {
  readonly upstream: LegacyServer;
  readonly store: MemoryStore;
  readonly shelves: readonly [MemoryShelf, MemoryShelf];
  /** Where sessions are opened, and where they go on. */
  readonly first: Replica;
  readonly second: Replica;
  /** The first one vanishes, as far as others can tell. */
  readonly kill: () => Promise<void>;
}

export async function twoReplicas(behaviour: Partial<Behaviour> = {}, config: GatewayConfig = {}): Promise<World> {
  const store = new MemoryStore();
  const shelves = [store.shelf(), store.shelf()] as const;
  const { upstream, replicas } = await startReplicas(
    2,
    behaviour,
    { store: IN_STORE, ...config },
    { shelf: (at) => shelves[at] ?? expect.fail() },
  );
  const [first, second] = replicas;
  return {
    upstream,
    store,
    shelves,
    first,
    second,
    async kill() {
      shelves[0].fault = { kind: 'unreachable' };
      shelves[0].expire();
      await first.way.close();
    },
  };
}

/** All that was told to the store is there. */
export async function written({ app }: Gateway): Promise<void> {
  await expect.poll(() => app.gauges().store, { interval: 5 }).toMatchObject({ isUp: true, behind: 0, waiting: 0 });
}
