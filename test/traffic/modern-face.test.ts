import { expect, test } from 'vitest';
import { Exchange } from '../../src/bridge/exchange.ts';
import { parseConfig } from '../../src/config/load.ts';
import { type Principal } from '../../src/domain/principal.ts';
import { EMPTY_PROFILE, FULL_PROFILE } from '../../src/protocol/capability-profile.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { TokenSealer } from '../../src/protocol/sealed-token.ts';
import type { Listen } from '../../src/traffic/listens.ts';
import { type Links, ModernFace } from '../../src/traffic/modern-face.ts';
import { Tally } from '../../src/traffic/tally.ts';
import { SharedWants } from '../../src/traffic/wants.ts';
import { linkKey } from '../../src/upstream/link-key.ts';
import { RecordedSink } from '../bridge/recorded.ts';
import { ListensWorld } from './listens-world.ts';
import { budgetsOf } from './budgets-world.ts';

const ALICE: Principal = { key: 'alice', proof: '' };

/** A mount that can go over to one link. */
function world() {
  const lists = new ListensWorld();
  const { time } = lists;
  const shared = new SharedWants();
  let isSingle = false;
  const mount: Links = {
    ...lists.source,
    name: 'up',
    timers: time,
    config: parseConfig({ upstreams: [{ url: 'http://up.example/sse' }] }),
    get isSingle() {
      return isSingle;
    },
    onlyLink: { wants: shared },
    key: (principal, profile) =>
      isSingle ? linkKey(principal, FULL_PROFILE, 'shared') : linkKey(principal, profile, 'principal'),
    journal: { record: () => {} },
    unfinished: new Tally(),
    hasLongWaiter: () => false,
    tellListened: () => {},
  };
  const random = (length: number): Uint8Array => new Uint8Array(length);
  const face = new ModernFace({
    mount,
    random: { fraction: () => 0.5, bytes: random },
    sealer: new TokenSealer(random(32), random),
    owner: 'us',
    wallSeconds: () => 0,
    budgets: budgetsOf(),
  });

  function listening(uris: readonly string[]): Listen {
    const key = mount.key(ALICE, EMPTY_PROFILE);
    const exchange = new Exchange({
      id: encode('1'),
      sink: new RecordedSink(),
      clock: time,
      timers: time,
      heartbeatMs: null,
      upstream: 'up',
      onEnd: () => {},
    });
    const wants = face.newWants(key);
    for (const uri of uris) wants.subscribe(uri);
    const catalog = face.catalog(ALICE, EMPTY_PROFILE);
    const listen: Listen = {
      id: encode('1'),
      exchange,
      principal: ALICE,
      filter: { lists: [], uris },
      key,
      catalog,
      wants,
      release: () => {},
    };
    face.listens.begin(listen);
    face.listens.acknowledge(listen);
    return listen;
  }

  const becomeSingle = (): void => {
    isSingle = true;
    face.becameSingle();
  };
  return { face, mount, shared, listening, becomeSingle };
}

// What it wanted was emptied before it was wanted anew, so that no update came any more.
test('a mount that goes over to one link wants there what its listens want, and no more once they end [F66]', () => {
  const { face, mount, shared, listening, becomeSingle } = world();
  const key = mount.key(ALICE, EMPTY_PROFILE);
  const [one, two] = [listening(['a', 'b']), listening(['b'])];
  expect([...(face.wants(key)?.uris ?? [])]).toEqual(['a', 'b']);

  becomeSingle();
  expect([...shared.uris]).toEqual(['a', 'b']);
  expect(face.wants(key)).toBeNull();
  one.exchange.clientGone();
  expect([...shared.uris]).toEqual(['b']);
  two.exchange.clientGone();

  expect(shared.uris.size).toBe(0);
});

test('its listens are then told what everybody’s link says', () => {
  const { mount, listening, becomeSingle } = world();
  const listen = listening(['a']);

  becomeSingle();

  expect(listen.key).toEqual(mount.key(ALICE, EMPTY_PROFILE));
  expect(listen.catalog.of.profile).toBe(FULL_PROFILE);
});
