import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { Fact } from '../../src/domain/ports.ts';
import { banner } from '../../src/verbs/banner.ts';
import { FirstContact } from '../../src/verbs/first-contact.ts';
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

test('on a terminal it says where the status page is, if there is one', async () => {
  const upstreams = [{ url: 'http://127.0.0.1:1/sse' }];
  const running = await started({ upstreams, admin: { port: 0 } });
  const [, url = ''] = /^ {2}(http:\S+\/)\n {4}status +for a browser/m.exec(await greeting(running, true)) ?? [];

  const page = await (await fetch(url, { headers: { accept: 'text/html' } })).text();

  expect(page).toContain('<title>Upstream unavailable · Causeway</title>');
  expect(await greeting(await started({ upstreams }), true)).not.toContain('status ');
});

const OPEN = { publicEndpoint: null, needs: 'nothing' } as const;

test('an upstream that cannot be used is told with the next step', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const running = await started({ upstreams: [{ url: new URL('/', upstream.url).href }] });

  expect(await greeting(running, true)).toMatch(/answered +no: nothing at \/; .*try http:\/\/127\.0\.0\.1:\d+\/sse$/m);
});

test('an upstream whose credential callers bring is not asked for the banner, and nothing waits for it', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const outbound = { forward: ['authorization'] };
  const contact = new FirstContact(parseConfig({ upstreams: [{ url: upstream.url.href, outbound }] }).upstreams, {
    record: () => {},
  });
  const running = await started({ upstreams: [{ url: upstream.url.href, outbound }] });

  await contact.settled;

  expect(await greeting(running, true)).toMatch(/answered +is asked when a caller comes/);
  expect(upstream.gets).toEqual([]);
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

  const text = banner('1.2.3', [
    {
      upstream: first,
      endpoint: 'http://h/billing',
      ...OPEN,
      contact: { state: 'up', server: 'Bill 1', revision: '2024-11-05' },
      isSingle: true,
      quirks: ['single', 'offers_tasks'],
    },
    {
      upstream: second,
      endpoint: 'http://h/search',
      ...OPEN,
      contact: { state: 'unknown' },
      isSingle: false,
      quirks: [],
    },
  ]);

  expect(text).toMatch(
    /http:\/\/h\/billing[^]*\(billing\)[^]*Bill 1, revision 2024-11-05[^]*quirk +every[^]*links\.single[^]*quirk +it offers tasks[^]*http:\/\/h\/search/,
  );
  expect(text).toMatch(/http:\/\/b\/sse, http:\/\/c\/sse \(search\)[^]*not yet[^]*stateless/);
  expect(text).not.toMatch(/s3cret|t0ken/);
});

test('what clients are to dial is where they see it', () => {
  const [upstream] = parseConfig({ upstreams: [{ url: 'http://a/sse' }] }).upstreams;
  if (upstream === undefined) throw new Error('one was given');
  const served = { upstream, endpoint: 'http://127.0.0.1:8080/mcp', contact: { state: 'unknown' } } as const;
  const publicEndpoint = 'https://mcp.example.com/mcp';

  const text = banner('1', [{ ...served, publicEndpoint, needs: 'token', isSingle: false, quirks: [] }]);

  expect(text).toMatch(
    / {2}http:\/\/127\.0\.0\.1:8080\/mcp\n[^]*--transport http causeway https:\/\/mcp\.example\.com\/mcp\n/,
  );
  expect(text).not.toContain('--allow-http');
});

test('what a server says of itself cannot write elsewhere on the terminal', () => {
  const [upstream] = parseConfig({ upstreams: [{ url: 'http://a/sse' }] }).upstreams;
  if (upstream === undefined) throw new Error('one was given');
  const server = 'Bill\u001b]0;title\u0007\u001b[2J\n\u009b1A\u202e 1';
  const contact = { state: 'up', server, revision: '2024-11-05' } as const;

  const text = banner('1', [{ upstream, endpoint: 'http://h/mcp', ...OPEN, contact, isSingle: false, quirks: [] }]);

  expect(text).toMatch(/answered {2}Bill\ufffd\]0;title\ufffd\ufffd\[2J\ufffd\ufffd1A\ufffd 1, revision/);
  // oxlint-disable-next-line no-control-regex -- control characters are just what this looks for
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});

test.each(['nothing', 'key', 'token'] as const)('the snippets are what their clients read; needed: %s', (needs) => {
  const given = snippets({ endpoint: 'http://127.0.0.1:8080/mcp', name: 'causeway', mode: 'auto', needs });

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
    expect(text.includes('YOUR_KEY')).toBe(needs === 'key');
    expect(text.includes('YOUR_TOKEN')).toBe(needs === 'token' && text.startsWith('curl'));
    if (text.startsWith('{')) expect(() => JSON.parse(text)).not.toThrow();
  }
});

test('a client on another machine is told to take plain http, and a key with its blank stands in no argument', () => {
  const given = snippets({ endpoint: 'http://10.0.0.5:8080/mcp', name: 'causeway', mode: 'auto', needs: 'key' });

  const desktop = given.find(({ client }) => client.startsWith('Claude Desktop'))?.text ?? '';

  expect(JSON.parse(desktop)).toEqual({
    mcpServers: {
      causeway: {
        command: 'npx',
        // oxlint-disable-next-line no-template-curly-in-string -- the client puts it in
        args: [
          '-y',
          'mcp-remote',
          'http://10.0.0.5:8080/mcp',
          '--allow-http',
          '--header',
          'Authorization:${AUTH_HEADER}',
        ],
        env: { AUTH_HEADER: 'Bearer YOUR_KEY' },
      },
    },
  });
});

test('what a server shows by itself is told in words', () => {
  const passedOn: Fact[] = [];
  const { upstreams } = parseConfig({ upstreams: [{ url: 'http://a/sse' }] });
  const contact = new FirstContact(upstreams, { record: (fact) => passedOn.push(fact) });
  const facts: Fact[] = [
    { fact: 'dropped', upstream: 'default', what: 'refused_question' },
    { fact: 'dropped', upstream: 'default', what: 'unknown_event' },
    { fact: 'dropped', upstream: 'default', what: 'unknown_event' },
    { fact: 'dropped', upstream: 'default', what: 'late_answer' },
    { fact: 'single_by_proof', upstream: 'default' },
  ];

  for (const fact of facts) contact.record(fact);

  expect(contact.quirksOf('default')).toEqual(['asks_at_once', 'sends_unknown_events', 'broadcasts']);
  expect(contact.quirksOf('other')).toEqual([]);
  expect(passedOn).toEqual(facts);
});

test('of a server that offers tasks it says that they are not passed on, without a connection more', async () => {
  const upstream = await startLegacyServer({ capabilities: { tools: {}, tasks: { list: {} } } });
  onTestFinished(() => upstream.close());
  const running = await started({ upstreams: [{ url: upstream.url.href }] });

  expect(await greeting(running, true)).toMatch(/quirk +it offers tasks, which are not passed on/);
  expect(upstream.streams).toHaveLength(1);
});
