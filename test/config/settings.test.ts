import { expect, test } from 'vitest';
import { KEYS, keysAt } from '../../src/config/keys.ts';
import { parseConfig } from '../../src/config/load.ts';
import { settingsOf } from '../../src/config/settings.ts';
import { gatewayBefore } from '../support/gateway.ts';

const url = 'http://127.0.0.1:9001/sse';

test('an upstream’s own values go for it alone; what it does not say is general', () => {
  const config = parseConfig({
    upstreams: [
      { url, heartbeat: '1s', links: { max: 1 }, timeouts: { request: '1s' }, reconnect: { max: '1s' } },
      { url, name: 'b', path: '/b' },
    ],
    links: { max: 5, min: 2 },
  });
  const [own, general] = config.upstreams.map((upstream) => settingsOf(config, upstream));

  expect([own?.heartbeat, own?.links.max, own?.links.min, own?.timeouts.request, own?.reconnect.max]).toEqual([
    1000, 1, 2, 1000, 1000,
  ]);
  expect(own?.timeouts.connect).toBe(5000);
  expect(general).toEqual(config);
});

test('everything but what is of the process as a whole can be an upstream’s own', () => {
  const sections = ['heartbeat', 'links', 'timeouts', 'limits', 'streams', 'reconnect'];
  const general = KEYS.filter(({ path, ownable }) => sections.includes(path[0] ?? '') && !ownable).map(
    ({ name }) => name,
  );

  expect(general).toEqual([
    'timeouts.clientHeaders',
    'timeouts.clientBody',
    'timeouts.keepAlive',
    'limits.bodyBytes',
    'limits.sessions',
    'limits.inFlight',
    'limits.receivedBytes',
    'limits.listens',
    'limits.bufferedBytes',
  ]);
  expect(keysAt(['upstreams', 0])).not.toContain('drain');
});

test('several URLs of one server', () => {
  const { upstreams } = parseConfig({ upstreams: [{ url: [url, 'http://127.0.0.1:9002/sse'] }] });

  expect(upstreams[0]?.url.href).toBe(url);
  expect(upstreams[0]?.urls.map(({ port }) => port)).toEqual(['9001', '9002']);
  expect(() => parseConfig({ upstreams: [{ url: [] }] })).toThrow(/url/);
});

test.each([
  ['a sole upstream', { upstreams: [{ url }] }, { sse: '/sse', messages: '/messages' }],
  [
    'a sole upstream with paths of its own',
    { upstreams: [{ url, legacy: { sse: '/old' } }] },
    { sse: '/old', messages: '/messages' },
  ],
  ['a sole upstream that has none', { upstreams: [{ url, legacy: false as const }] }, false],
  ['a sole upstream at /sse itself', { upstreams: [{ url, path: '/sse' }] }, false],
  ['one link for everything', { upstreams: [{ url }], links: { single: true as const } }, false],
  ['one link for this upstream', { upstreams: [{ url, links: { single: true as const } }] }, false],
  [
    'one link, whatever paths are given,',
    { upstreams: [{ url, legacy: {} }], links: { single: true as const } },
    false,
  ],
  ['the first of several', { upstreams: [{ url }, { url, name: 'b', path: '/b' }] }, false],
])('old clients of %s are served at %j', (_what, input, expected) => {
  expect(parseConfig(input).upstreams[0]?.legacy).toEqual(expected);
});

test.each<readonly [what: string, upstreams: object[], fault: string | RegExp]>([
  ['a path of a mount', [{ legacy: { sse: '/mcp' } }], 'upstreams[0].legacy.sse: /mcp is the path of upstream'],
  ['the other of the two', [{ legacy: { sse: '/messages' } }], 'upstreams[0].legacy.messages: /messages is sse of'],
  ['a health check, to old clients,', [{ legacy: { messages: '/healthz' } }], /legacy\.messages: .* not be \/healthz/],
  ['a health check, to a mount,', [{ path: '/readyz' }], /path: .* not be .*\/readyz/],
  [
    'a path of another upstream',
    [
      { name: 'a', legacy: {} },
      { name: 'b', path: '/b', legacy: {} },
    ],
    'upstreams[1].legacy.sse: /sse is sse of upstream a',
  ],
])('%s cannot be given away again', (_, upstreams, fault) => {
  const input = { upstreams: upstreams.map((each) => ({ url, ...each })) };

  expect(() => parseConfig(input)).toThrow(fault);
});

test('a running gateway follows an upstream’s own values', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { upstream: { timeouts: { request: '50ms' } } });

  const cut = await gateway.call('never');

  expect(cut.json.error.data.reason).toBe('request_timeout');
  expect(upstream.received.length).toBeGreaterThan(0);
});
