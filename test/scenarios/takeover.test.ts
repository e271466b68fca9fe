// A session whose owner is gone, asked for at another replica: it goes on there from what the store has kept of it.

import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Gateway, type GatewayConfig, IN_STORE } from '../support/gateway.ts';
import type { Answerer, Behaviour } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { MemoryStore, type MemoryShelf } from '../support/memory-shelf.ts';
import { type Replica, startReplicas } from '../support/replicas.ts';
import { IN, callIn, listen } from '../support/session-client.ts';

interface World {
  readonly upstream: LegacyServer;
  readonly store: MemoryStore;
  readonly shelves: readonly [MemoryShelf, MemoryShelf];
  /** Where sessions are opened, and where they go on. */
  readonly first: Replica;
  readonly second: Replica;
  /** The first one vanishes, as far as others can tell. */
  kill(): Promise<void>;
}

async function twoReplicas(behaviour: Partial<Behaviour> = {}, config: GatewayConfig = {}): Promise<World> {
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
      await first.way.close();
    },
  };
}

/** All that was told to the store is there. */
async function written({ app }: Gateway): Promise<void> {
  await expect.poll(() => app.gauges().store).toMatchObject({ isUp: true, behind: 0 });
}

test('a call in a session whose owner is gone succeeds at another replica', async () => {
  const { first, second, kill } = await twoReplicas();
  const session = await first.openSession();
  await first.call('add', { a: 1, b: 1 }, 1, IN(session));

  await kill();
  const answer = await second.call('add', { a: 2, b: 3 }, 2, IN(session));

  expect([answer.status, answer.json.result?.content]).toEqual([200, [{ type: 'text', text: '5' }]]);
  expect(second.journal.of('takeover')).toMatchObject([{ outcome: 'taken' }]);
});
