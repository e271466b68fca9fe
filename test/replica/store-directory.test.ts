import { expect, test } from 'vitest';
import type { SessionName, SessionStore, TakenSession } from '../../src/domain/session-store.ts';
import { StoreDirectory } from '../../src/replica/store-directory.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const NOTHING_KEPT = { record: new Uint8Array(), events: [] };

/** Of one caller's session, whose owner is dead. */
function storeOf(kept: SessionName): SessionStore {
  const lease = { owner: 'dead@10.0.0.2:8082', fence: 1 };
  return {
    isUp: true,
    leaseOf: async ({ id, principal }) => (id === kept.id && principal === kept.principal ? lease : null),
    isAlive: async () => false,
    take: async () => ({ ...NOTHING_KEPT, lease: { owner: 'self', fence: 2 } }),
    mirror: () => expect.fail('is not asked for'),
  };
}

test('what somebody else asks for under the same id at the same time is not what is found for its caller [T7]', async () => {
  const time = new VirtualTime();
  const directory = new StoreDirectory({
    self: { incarnation: 'self', address: '10.0.0.1:8082' },
    store: storeOf({ id: 'x', principal: 'alice' }),
    clock: time,
    timers: time,
    journal: { record() {} },
  });
  const taken: TakenSession[] = [];
  const lost = (principal: string) => {
    const sought = {
      id: 'x',
      principal,
      upstream: 'files',
      events: { maxEvents: 1, maxBytes: 1, maxAge: 1 },
      isHere: () => false,
      refusal: () => null,
      adopt: (session: TakenSession) => taken.push(session) > 0,
    };
    return directory.lost(sought, 'dead@10.0.0.2:8082', 'closed');
  };

  const found = await Promise.all(['mallory', 'alice', 'alice'].map(lost));

  expect(found.map(({ at }) => at)).toEqual(['nowhere', 'here', 'here']);
  expect(taken).toHaveLength(1);
});
