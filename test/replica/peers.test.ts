import { describe, expect, test } from 'vitest';
import type { PeersConfig } from '../../src/config/schema.ts';
import { Peers } from '../../src/replica/peers.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const BASE = { host: '0.0.0.0', port: 8082, self: '10.0.0.1:8082', addresses: undefined, dns: undefined };

class NoName extends Error {
  readonly code = 'ENOTFOUND';
}

/** `names`: may be changed while it runs; an error is what the resolver says. */
async function peersOf(
  config: Partial<PeersConfig>,
  names: Record<string, readonly string[] | Error | Promise<never>> = {},
  ownAddresses: readonly string[] = ['127.0.0.1', '10.0.0.1'],
) {
  const time = new VirtualTime();
  const asked: string[] = [];
  const peers = new Peers({
    config: { ...BASE, ...config },
    clock: time,
    timers: time,
    ownAddresses: () => ownAddresses,
    resolve: async (name) => {
      asked.push(name);
      const found = names[name] ?? new NoName();
      if (found instanceof Error) throw found;
      return found;
    },
  });
  await peers.start();
  return { peers, time, asked };
}

function lookedUp(peers: Peers, name: string): unknown {
  let found: unknown = null;
  peers.lookup(name, { all: true }, (error, addresses) => {
    found = error === null ? addresses : error.code;
  });
  return found;
}

describe('a list', () => {
  test('names those who may be dialled, and nobody else', async () => {
    const { peers, asked } = await peersOf({ addresses: ['10.0.0.1:8082', '10.0.0.2:8082', '[fd00::3]:8082'] });

    expect(peers.find('10.0.0.2:8082')).toBe('http://10.0.0.2:8082');
    expect(peers.find('[fd00::3]:8082')).toBe('http://[fd00::3]:8082');
    expect(await peers.find('10.0.0.2:80')).toBeNull();
    expect(await peers.find('10.0.0.4:8082')).toBeNull();
    expect(await peers.find('10.0.0.1:8082')).toBeNull();
    expect(peers.all).toEqual(['10.0.0.2:8082', '[fd00::3]:8082']);
    expect(asked).toEqual([]);
  });

  test('of names knows one who calls himself by his address, and dials what was looked up', async () => {
    const { peers } = await peersOf({ addresses: ['gw-b:8082'] }, { 'gw-b': ['10.0.0.2', 'fd00::2'] });

    expect(peers.find('gw-b:8082')).toBe('http://gw-b:8082');
    expect(peers.find('10.0.0.2:8082')).toBe('http://10.0.0.2:8082');
    expect(peers.find('[fd00::2]:8082')).toBe('http://[fd00::2]:8082');
    expect(lookedUp(peers, 'gw-b')).toEqual([
      { address: '10.0.0.2', family: 4 },
      { address: 'fd00::2', family: 6 },
    ]);
  });

  test('of addresses knows one who calls himself by his name; a name that leads elsewhere is nobody', async () => {
    const names = { 'gw-b': ['10.0.0.2'], evil: ['10.6.6.6'] };
    const { peers } = await peersOf({ addresses: ['10.0.0.2:8082'] }, names);

    expect(await peers.find('gw-b:8082')).toBe('http://10.0.0.2:8082');
    expect(await peers.find('evil:8082')).toBeNull();
    expect(await peers.find('unknown:8082')).toBeNull();
    expect(lookedUp(peers, 'evil')).toBe('ENOTFOUND');
  });

  test('in which this process stands by another name is refused', async () => {
    const given = { addresses: ['gw-a:8082', 'gw-b:8082'] };
    const names = { 'gw-a': ['10.0.0.1'], 'gw-b': ['10.0.0.2'] };

    await expect(peersOf(given, names)).rejects.toThrow(
      'peers.addresses: gw-a:8082 is this replica itself by another name: remove it, or give it as peers.self',
    );
    await expect(peersOf({ ...given, self: 'gw-a:8082' }, names)).resolves.toBeDefined();
    await expect(peersOf({ addresses: ['gw-a:9000'] }, names)).resolves.toBeDefined();
  });
});

describe('a name', () => {
  test('is looked up every five seconds: who joins is found, who leaves is dialled no more', async () => {
    const names: Record<string, readonly string[]> = { pods: ['10.0.0.1', '10.0.0.2'] };
    const { peers, time } = await peersOf({ dns: 'pods:8082' }, names);
    const before = [peers.all, peers.find('10.0.0.2:8082')];

    names['pods'] = ['10.0.0.1', '10.0.0.3'];
    await time.advance(5000);

    expect(before).toEqual([['10.0.0.2:8082'], 'http://10.0.0.2:8082']);
    expect(peers.all).toEqual(['10.0.0.3:8082']);
    expect(peers.find('10.0.0.3:8082')).toBe('http://10.0.0.3:8082');
    expect(await peers.find('10.0.0.2:8082')).toBeNull();
  });

  test('is looked up at once for somebody who is not known, at most once a second', async () => {
    const names: Record<string, readonly string[]> = { pods: ['10.0.0.2'] };
    const { peers, time, asked } = await peersOf({ dns: 'pods:8082' }, names);
    await time.advance(1000);
    names['pods'] = ['10.0.0.2', '10.0.0.3'];

    const found = await Promise.all([1, 2, 3].map(async () => peers.find('10.0.0.3:8082')));
    const strangers = await Promise.all([1, 2, 3].map(async () => peers.find('10.6.6.6:8082')));

    expect(found).toEqual(Array(3).fill('http://10.0.0.3:8082'));
    expect(strangers).toEqual([null, null, null]);
    expect(asked).toEqual(['pods', 'pods']);
  });

  test('looks the name of a stranger up once a second, and few of them, however often they are asked for', async () => {
    const { peers, time, asked } = await peersOf({ dns: 'pods:8082' }, { pods: ['10.0.0.2'] });
    const strangers = Array.from({ length: 50 }, (_, index) => `gone-${index % 25}:8082`);
    const ask = async () => Promise.all(strangers.map(async (each) => peers.find(each)));

    const found = await ask();
    await ask();
    const atOnce = asked.length;
    await time.advance(1000);
    await ask();

    expect(found).toEqual(Array(50).fill(null));
    expect([atOnce, asked.length]).toEqual([1 + 16, 2 * (1 + 16)]);
  });

  test('that nobody can be asked for keeps its addresses; one that is gone has none', async () => {
    const names: Record<string, readonly string[] | Error> = { pods: ['10.0.0.2'] };
    const { peers, time } = await peersOf({ dns: 'pods:8082' }, names);

    names['pods'] = Object.assign(new Error('try again'), { code: 'EAI_AGAIN' });
    await time.advance(5000);
    const kept = peers.find('10.0.0.2:8082');
    names['pods'] = new NoName();
    await time.advance(5000);

    expect(kept).toBe('http://10.0.0.2:8082');
    expect(await peers.find('10.0.0.2:8082')).toBeNull();
  });

  test('whose resolver does not answer is not waited for, and keeps its addresses', async () => {
    const names: Record<string, readonly string[] | Promise<never>> = { pods: ['10.0.0.2'] };
    const { peers, time } = await peersOf({ dns: 'pods:8082' }, names);
    await time.advance(1000);

    names['pods'] = new Promise<never>(() => {});
    const stranger = peers.find('10.0.0.3:8082');
    await time.advance(2000);

    expect(await stranger).toBeNull();
    expect(peers.find('10.0.0.2:8082')).toBe('http://10.0.0.2:8082');
  });

  test('leads to an address also where an owner calls himself by it', async () => {
    const { peers } = await peersOf({ dns: 'pods:8082' }, { pods: ['10.0.0.2'] });

    expect(await peers.find('pods:8082')).toBe('http://10.0.0.2:8082');
  });
});
