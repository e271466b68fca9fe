import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { banner } from '../../src/verbs/banner.ts';
import { type Running, start } from '../../src/verbs/serve.ts';
import { snippets } from '../../src/verbs/snippets.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

async function started(config: Omit<ConfigInput, 'listen'>): Promise<Running> {
  const log = { level: 'silent', ...config.log } as const;
  const running = await start(parseConfig({ ...config, log, listen: { port: 0 } }));
  onTestFinished(() => running.close());
  return running;
}

async function greeting(running: Running, isTTY: boolean): Promise<string> {
  let text = '';
  await running.greet({ isTTY, write: (more: string) => (text += more) });
  return text;
}

test.each(['auto', 'stateless', 'session'] as const)(
  'on a terminal it says what is served, who answered, and a line to paste that works in mode %s',
  async (mode) => {
    const upstream = await startLegacyServer();
    onTestFinished(() => upstream.close());
    const running = await started({ upstreams: [{ url: upstream.url.href, mode }] });

    const text = await greeting(running, true);

    expect(text).toContain(running.endpoint);
    expect(text).toContain(`old       ${new URL('/sse', running.endpoint).href}, for clients that speak HTTP+SSE`);
    expect(text).toMatch(/answered +\S+ \S+, revision 20\d\d-\d\d-\d\d/);
    const [, url = '', body = ''] = /curl -s (\S+) -H 'content-type: application\/json' -d '(.*)'$/m.exec(text) ?? [];
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('"result"')]);
  },
);

test('an upstream that cannot be used is told with the next step', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const running = await started({ upstreams: [{ url: new URL('/', upstream.url).href }] });

  expect(await greeting(running, true)).toMatch(/answered +no: nothing at \/; .*try http:\/\/127\.0\.0\.1:\d+\/sse$/m);
});

test('not on a terminal, or with a JSON log, nothing is said', async () => {
  const upstreams = [{ url: 'http://127.0.0.1:1/sse' }];

  expect(await greeting(await started({ upstreams }), false)).toBe('');
  expect(await greeting(await started({ upstreams, log: { format: 'json' } }), true)).toBe('');
});

test('every upstream is listed, quirks and modes too; secrets are not', () => {
  const { upstreams } = parseConfig({
    upstreams: [
      { name: 'billing', path: '/billing', url: 'http://user:s3cret@a/sse?token=t0ken' },
      { name: 'search', path: '/search', url: ['http://b/sse', 'http://c/sse'], mode: 'stateless' },
    ],
  });
  const [first, second] = upstreams;
  if (first === undefined || second === undefined) throw new Error('two were given');

  const text = banner(
    '1.2.3',
    [
      {
        upstream: first,
        endpoint: 'http://h/billing',
        contact: { state: 'up', server: 'Bill 1', revision: '2024-11-05' },
        isSingle: true,
      },
      { upstream: second, endpoint: 'http://h/search', contact: { state: 'unknown' }, isSingle: false },
    ],
    false,
  );

  expect(text).toMatch(
    /http:\/\/h\/billing[^]*\(billing\)[^]*Bill 1, revision 2024-11-05[^]*links\.single[^]*http:\/\/h\/search/,
  );
  expect(text).toMatch(/http:\/\/b\/sse, http:\/\/c\/sse \(search\)[^]*not yet[^]*stateless/);
  expect(text).not.toMatch(/s3cret|t0ken/);
});

test.each([false, true])('the snippets are what their clients read; with a key needed: %s', (needsKey) => {
  const given = snippets({ endpoint: 'http://127.0.0.1:8080/mcp', name: 'causeway', mode: 'auto', needsKey });

  expect(given.map(({ client }) => client.split(' (')[0])).toEqual([
    'Claude Code',
    'Claude Desktop',
    'Cursor',
    'VS Code',
    'TypeScript SDK',
    'curl',
  ]);
  for (const { text } of given) {
    expect(text).toContain('http://127.0.0.1:8080/mcp');
    expect(text.includes('YOUR_KEY')).toBe(needsKey);
    if (text.startsWith('{')) expect(() => JSON.parse(text)).not.toThrow();
  }
});
