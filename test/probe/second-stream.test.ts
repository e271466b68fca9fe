import { expect, onTestFinished, test } from 'vitest';
import type { Behaviour } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { documentAt } from './probed.ts';

const ROWS: readonly (readonly [
  what: string,
  behaviour: (of: () => LegacyServer) => Partial<Behaviour>,
  is: string,
])[] = [
  ['lives beside the first', () => ({}), 'independent'],
  ['gets the answers of the first too', () => ({ delivery: 'all' }), 'broadcasts'],
  ['gets the answers of the first instead', () => ({ delivery: 'newest' }), 'takes_over'],
  [
    'ends the first',
    (of) => ({
      get: () => {
        of().cutStreams();
        return 'streams';
      },
    }),
    'ends_first',
  ],
  ['is refused', (of) => ({ get: () => (of().streams.length > 0 ? { status: 409 } : 'streams') }), 'refused'],
];

test.each(ROWS)('a second stream that %s', async (_what, behaviour, is) => {
  const server: LegacyServer = await startLegacyServer(behaviour(() => server));
  onTestFinished(() => server.close());

  const { kind, secondConnection, quirks } = await documentAt(server.url, { secondConnection: true });

  expect([kind, secondConnection]).toEqual(['http_sse', is]);
  expect(quirks.some((quirk) => quirk.includes('links.single'))).toBe(is !== 'independent');
});

test('none is opened unless somebody asks for it', async () => {
  const server = await startLegacyServer();
  onTestFinished(() => server.close());

  expect((await documentAt(server.url)).secondConnection).toBeNull();
  expect(server.gets.length).toBe(1);
});

test('a server that ends when its client leaves is said to', async () => {
  const server = await startLegacyServer({ diesWhenOneLeaves: true });
  onTestFinished(() => server.close());

  const { kind, quirks } = await documentAt(server.url);

  expect(kind).toBe('http_sse');
  expect(quirks.join('\n')).toMatch(/was gone when the probe had left.*links\.single/);
});
