// Servers that lie, never end, or write what a terminal would obey: the probe comes to its end, and says so in plain text. And
// what the probe itself must not do to a server.

import { expect, onTestFinished, test } from 'vitest';
import { type Behaviour } from '../support/legacy-behaviour.ts';
import { gatewayBefore } from '../support/gateway.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { accepting, answering, documentAt, probed } from './probed.ts';

async function legacy(behaviour: Partial<Behaviour> = {}): Promise<LegacyServer> {
  const server = await startLegacyServer(behaviour);
  onTestFinished(() => server.close());
  return server;
}

const EVIL = '\u001B[2J\u001B]0;owned\u0007\r\n\u202Eevil\u009B31m<script>';
/** All of C0 but what the lines are made of, C1, and what turns the direction of text. */
// oxlint-disable-next-line no-control-regex -- control characters are just what this looks for
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

test('names, headers, endpoints and challenges with control characters are inert in every output', async () => {
  const server = await legacy({
    serverInfo: { name: EVIL, version: EVIL },
    capabilities: { [EVIL]: {}, tools: {} },
    endpoint: (id) => [`/${encodeURIComponent(EVIL)}/\u202E?${EVIL.replaceAll(/\r|\n/g, '')}session=${id}`],
  });
  const challenges = await accepting((socket) => {
    socket.write(
      `HTTP/1.1 401 x\r\nwww-authenticate: Bearer \u009B31m\u0085${'x'.repeat(900)}\r\ncontent-length: 0\r\n\r\n`,
    );
  });

  for (const url of [server.url, challenges]) {
    for (const output of ['text', 'json', 'yaml'] as const) {
      const { stdout, stderr } = await probed(url, { output });
      expect(stdout + stderr).not.toMatch(OBEYED);
      expect(stdout.length + stderr.length).toBeLessThan(12_000);
    }
  }
});

test('a list whose pages never end, or come back, is counted so far and no further', async () => {
  let page = 0;
  const server = await legacy({
    capabilities: { tools: {}, prompts: {}, resources: {} },
    methods: {
      'tools/list': () => ({ tools: [{}, {}], nextCursor: `page ${++page}` }),
      'prompts/list': () => ({ prompts: [{}], nextCursor: 'again' }),
      'resources/list': () => ({ resources: 'none', nextCursor: 7 }),
    },
  });

  const { httpSse, quirks } = await documentAt(server.url);

  expect([httpSse?.tools, httpSse?.prompts, httpSse?.resources]).toEqual([
    { count: 100, stopped: 'pages' },
    { count: 2, stopped: 'repeats' },
    { count: 0, stopped: null },
  ]);
  expect(quirks.join('\n')).toMatch(/comes back to a cursor/);
});

test('a list that is never answered costs its time and not the rest', async () => {
  const server = await legacy({ methods: { 'tools/list': () => new Promise(() => {}) } });

  const { kind, httpSse } = await documentAt(server.url, { timeoutMs: 800 });

  expect([kind, httpSse?.tools]).toEqual(['http_sse', { count: 0, stopped: 'time' }]);
});

test.each([
  ['JSON', 'application/json', '{"jsonrpc":"2.0","id":1,"result":{"x":"'],
  ['events', 'text/event-stream', 'data: '],
])('a POST that is answered by %s without end comes to its end', async (_what, type, beginning) => {
  let sent = 0;
  const url = await answering((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(405).end();
      return;
    }
    response.writeHead(200, { 'content-type': type }).write(beginning);
    const more = (): void => {
      sent += 65_536;
      if (response.destroyed) return;
      if (response.write('x'.repeat(65_536))) setImmediate(more);
      else response.once('drain', more);
    };
    more();
  });

  const { kind } = await documentAt(url, { env: { CAUSEWAY_LIMITS_UPSTREAM_MESSAGE_BYTES: '256KiB' } });

  expect(kind).toBe('refuses_get');
  expect(sent).toBeLessThan(64 * 1024 * 1024);
});

test('comments without end are no endpoint: time is up, and little of them is kept', async () => {
  const url = await answering((request, response) => {
    if (request.method !== 'GET') {
      response.writeHead(405).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const more = (): void => {
      if (response.destroyed) return;
      if (response.write(': still here\n\n'.repeat(1000))) setTimeout(more, 1);
      else response.once('drain', more);
    };
    more();
  });

  const { kind, next } = await documentAt(url, { timeoutMs: 800 });

  expect([kind, next]).toEqual(['no_endpoint', expect.stringMatching(/belongs to something else/)]);
});

test('a redirect, a location and an endpoint with credentials in them are shown without', async () => {
  const redirects = await answering((_request, response) =>
    response.writeHead(302, { location: 'https://u:p4ss@new.example/sse?token=t0ken#f' }).end(),
  );
  const announces = await legacy({ endpoint: () => ['http://u:p4ss@127.0.0.1/messages?token=t0ken'] });

  for (const url of [redirects, announces.url]) {
    for (const output of ['text', 'json'] as const) {
      expect((await probed(url, { output })).stdout).not.toMatch(/p4ss|t0ken/);
    }
  }
});

test('nobody is sent where a server redirects to, or what it announces elsewhere, and no credential either', async () => {
  const other = await legacy();
  const redirects = await answering((_request, response) =>
    response.writeHead(307, { location: other.url.href }).end(),
  );
  const announces = await legacy({ endpoint: () => [`${other.url.origin}/messages`], post: { status: 404 } });
  const given = { flags: { header: ['x-key=${KEY}'] }, env: { KEY: 'k' } };

  await documentAt(redirects, given);
  const { kind } = await documentAt(announces.url, given);

  expect(kind).toBe('other_origin');
  expect([other.gets, other.received]).toEqual([[], []]);
});

test('a probe asks for lists and nothing else, on one stream, and leaves nothing behind', async () => {
  const most = { streams: 0 };
  const server: LegacyServer = await legacy({
    get: () => {
      most.streams = Math.max(most.streams, server.streams.length + 1);
      return 'streams';
    },
  });

  await documentAt(server.url);
  await server.whenStreams(0);

  expect(most.streams).toBe(1);
  expect(new Set(server.received.map(({ message }) => message.method))).toEqual(
    new Set(['initialize', 'notifications/initialized', 'tools/list']),
  );
});

test('a session of Streamable HTTP is deleted', async () => {
  const { gateway } = await gatewayBefore({}, { links: { min: 0 } });

  const { streamableHttp } = await documentAt(gateway.endpoint);

  expect(streamableHttp).toMatchObject({
    revisions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26'],
    sessions: true,
  });
  expect(streamableHttp?.tools).toEqual({ count: 7, stopped: null });
  expect(gateway.journal.of('session_opened').length).toBe(1);
  expect(gateway.journal.of('session_ended').map(({ why }) => why)).toEqual(['deleted']);
});

test('a question of the server is refused, for nothing was declared that it could ask', async () => {
  const server = await legacy();
  const probing = documentAt(server.url, { listenMs: 1000 });
  const stream = await server.nextStream();
  await server.nextRequest('tools/list');

  const answer = await server.ask(stream, 'sampling/createMessage', {});
  server.cutStreams();
  await probing;

  expect(answer).toMatchObject({ error: { code: -32_601 } });
});

test('what a server announces, or a URL with two slashes, sends nothing to another origin', async () => {
  const met: string[] = [];
  const other = await answering((request, response) => {
    met.push(`${request.method} ${request.url}`);
    response.writeHead(202).end();
  });
  const announcing = await legacy({ endpoint: () => [`http://inner:1//${other.host}/steal`] });
  const failing = await answering((_, response) => void response.writeHead(503).end());

  const { endpoint } = await documentAt(announcing.url, { timeoutMs: 3000 });
  await documentAt(`${failing.origin}//${other.host}/foo`, { timeoutMs: 3000 });
  await documentAt(`${failing.origin}//${other.host}/sse`, { timeoutMs: 3000 });

  expect(endpoint?.form).toBe('other-origin');
  expect(met).toEqual([]);
});

test('what a server was sent, and says again, is in no output', async () => {
  const secret = 'Sup3r-S3cret/value';
  const server = await legacy({
    serverInfo: { name: `I know ${secret}`, version: secret.toLowerCase() },
    capabilities: { [secret]: {}, tools: {} },
    endpoint: (id) => [`/messages?${encodeURIComponent(secret)}&session_id=${id}`],
  });
  const echoing = await answering((_, response) => {
    response.writeHead(401, { 'www-authenticate': `Bearer realm="${secret}"`, server: secret }).end();
  });

  for (const url of [server.url, echoing]) {
    for (const output of ['text', 'json', 'yaml'] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one connection at a time
      const { stdout, stderr } = await probed(url, { output, flags: { header: ['x-key=${K}'] }, env: { K: secret } });
      expect(stdout + stderr).not.toMatch(/sup3r-s3cret/i);
    }
  }
});

test('a cursor of megabytes is kept no longer, and not sent again', async () => {
  const server = await legacy({
    capabilities: { tools: {} },
    methods: { 'tools/list': () => ({ tools: [{}], nextCursor: 'x'.repeat(20_000) }) },
  });

  const { httpSse } = await documentAt(server.url);

  expect(httpSse?.tools).toEqual({ count: 1, stopped: 'pages' });
});
