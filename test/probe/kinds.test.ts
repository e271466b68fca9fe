// Every kind of server that a probe tells apart, over real sockets. A kind without a row is a failure.

import type { RequestListener } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { KINDS, type Kind } from '../../src/probe/kinds.ts';
import { SELF_SIGNED, EXPIRED, TRUSTED, certificateFile } from '../support/certificates.ts';
import { type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import { type Behaviour, RpcError, endpoints } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { type Options, accepting, answering, documentAt } from './probed.ts';

async function legacy(behaviour: Partial<Behaviour> = {}): Promise<LegacyServer> {
  const server = await startLegacyServer(behaviour);
  onTestFinished(() => server.close());
  return server;
}

const plain =
  (status: number, headers: Record<string, string> = {}, body = 'x'): RequestListener =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(body);

const streaming =
  (first: string, more?: (write: (text: string) => boolean) => void): RequestListener =>
  (request, response) => {
    if (request.method !== 'GET') {
      response.writeHead(405).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    if (first !== '') response.write(first);
    more?.((text) => response.write(text));
  };

interface Row {
  readonly what: string;
  readonly at: () => Promise<URL | string>;
  readonly kind: Kind;
  readonly next: RegExp;
  readonly options?: Options;
}

const ca = certificateFile('ca.pem');
const COLD: GatewayConfig = { links: { min: 0 } };
const ENDPOINT = 'event: endpoint\ndata: /messages?sessionId=1\n\n';

const ROWS: readonly Row[] = [
  {
    what: 'a server of HTTP+SSE',
    at: async () => (await legacy()).url,
    kind: 'http_sse',
    next: /^serve it: mcp-causeway http:\/\/127\.0\.0\.1:\d+\/sse$/,
  },
  {
    what: 'a server of both transports',
    at: async () => `${(await gatewayBefore({}, COLD)).gateway.origin}/sse`,
    kind: 'both',
    next: /can use http:\/\/127\.0\.0\.1:\d+\/mcp as it is/,
  },
  {
    what: 'a server of Streamable HTTP',
    at: async () => (await gatewayBefore({}, COLD)).gateway.endpoint,
    kind: 'streamable_http',
    next: /needs no gateway: give clients http:\/\/127\.0\.0\.1:\d+\/mcp/,
  },
  {
    what: 'a page',
    at: () => answering(plain(200, { 'content-type': 'text/html; charset=utf-8' }, '<h1>Hello</h1>'), '/'),
    kind: 'page',
    next: /none at \/sse, \/mcp, \/mcp\/sse either$/,
  },
  {
    what: 'a page that takes no POST of strangers',
    at: () =>
      answering((request, response) =>
        response.writeHead(request.method === 'GET' ? 200 : 403, { 'content-type': 'text/html' }).end('<p>'),
      ),
    kind: 'page',
    next: /look up the path.*none at \/mcp, \/mcp\/sse either$/,
  },
  {
    what: 'a document',
    at: () => answering(plain(200, { 'content-type': 'application/json' }, '{"status":"ok"}')),
    kind: 'document',
    next: /look up the path of its event stream, and the port/,
  },
  {
    what: 'a key that is missing',
    at: () => answering(plain(401, { 'www-authenticate': 'Basic realm="old"' })),
    kind: 'unauthorized',
    next: /--header 'authorization=\$\{TOKEN\}' or --header/,
  },
  {
    what: 'an OAuth token that is missing',
    at: () => answering(plain(401, { 'www-authenticate': 'Bearer resource_metadata="https://x.example/.well-known"' })),
    kind: 'unauthorized',
    next: /OAuth tokens.*outbound: \{ forward: \[authorization\] \}/,
  },
  {
    what: 'a name that is not let in',
    at: () => answering(plain(403)),
    kind: 'forbidden',
    next: /mcp-causeway probe http:\/\/localhost:\d+\/sse$/,
  },
  {
    what: 'a redirect',
    at: () => answering(plain(307, { location: 'https://new.example/sse/' })),
    kind: 'redirect',
    next: /mcp-causeway probe https:\/\/new\.example\/sse\/$/,
  },
  { what: 'a wrong path', at: () => answering(plain(404)), kind: 'not_found', next: /look up the path/ },
  {
    what: 'a proxy before nothing',
    at: () => answering(plain(502, { server: 'nginx' })),
    kind: 'server_error',
    next: /a proxy answers, and the server behind it does not/,
  },
  { what: 'a server that fails', at: () => answering(plain(500)), kind: 'server_error', next: /see its log/ },
  { what: 'a server that is asked too often', at: () => answering(plain(429)), kind: 'odd_status', next: /wait/ },
  {
    what: 'a server that takes POST alone',
    at: () => answering(plain(405)),
    kind: 'refuses_get',
    next: /look up the path/,
  },
  {
    what: 'a server of Streamable HTTP that wants a token',
    at: () =>
      answering((request, response) => {
        const challenge = { 'www-authenticate': 'Bearer resource_metadata="https://x.example/.well-known"' };
        if (request.method === 'GET') response.writeHead(405).end();
        else response.writeHead(401, challenge).end();
      }, '/mcp'),
    kind: 'unauthorized',
    next: /OAuth tokens/,
  },
  {
    what: 'an endpoint that redirects',
    at: async () => (await legacy({ post: { status: 307, headers: { location: '/elsewhere' } } })).url,
    kind: 'post_refused',
    next: /set messageUrl to where it redirects/,
  },
  {
    what: 'a stream that is compressed',
    at: () => answering(plain(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' })),
    kind: 'compressed',
    next: /take compression off/,
  },
  {
    what: 'a stream of something else',
    at: () =>
      answering((request, response) => {
        response.writeHead(request.method === 'GET' ? 200 : 405, { 'content-type': 'text/event-stream' });
        response.end('event: tick\ndata: 1\n\n');
      }),
    kind: 'stream_ended',
    next: /see the log of the server/,
  },
  {
    what: 'a stream that ends with its endpoint',
    at: async () => (await legacy({ get: 'closes' })).url,
    kind: 'stream_ended',
    next: /a proxy between bounds how long/,
  },
  {
    what: 'an event without end',
    at: () =>
      answering(
        streaming('', (write) => {
          const more = (): void => {
            if (write(`data: ${'x'.repeat(1024 * 1024)}`)) setImmediate(more);
            else setTimeout(more, 1).unref();
          };
          more();
        }),
      ),
    kind: 'endless',
    next: /see what the server sends there/,
    options: { env: { CAUSEWAY_LIMITS_UPSTREAM_MESSAGE_BYTES: '2MiB' } },
  },
  {
    what: 'messages without end before initialize',
    at: () => {
      const message = 'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n';
      return answering(streaming(ENDPOINT + message.repeat(2000)));
    },
    kind: 'endless',
    next: /see what the server sends there/,
  },
  {
    what: 'an endpoint on another origin',
    at: async () => (await legacy({ endpoint: endpoints.otherOrigin('http://10.9.8.7:1'), post: { status: 404 } })).url,
    kind: 'other_origin',
    next: /allowEndpointOrigins: \['http:\/\/10\.9\.8\.7:1'\].*messageUrl/,
  },
  {
    what: 'an endpoint that is no URL to post to',
    at: async () => (await legacy({ endpoint: () => ['file:///etc/passwd'] })).url,
    kind: 'bad_endpoint',
    next: /set messageUrl/,
  },
  {
    what: 'a balancer that sends messages elsewhere',
    at: async () => (await legacy({ post: { status: 404, body: 'Session not found' } })).url,
    kind: 'post_refused',
    next: /another replica/,
  },
  {
    what: 'a server that refuses initialize',
    at: async () =>
      (
        await legacy({
          methods: {
            initialize: () => {
              throw new RpcError(-32_000, 'no');
            },
          },
        })
      ).url,
    kind: 'initialize_refused',
    next: /see its log/,
  },
  {
    what: 'a server of a revision to come',
    at: async () => (await legacy({ protocolVersion: '2031-01-01' })).url,
    kind: 'unknown_revision',
    next: /renew the server, or the gateway/,
  },
  { what: 'nobody', at: () => Promise.resolve('http://127.0.0.1:1/sse'), kind: 'unreachable', next: /the server runs/ },
  {
    what: 'a name that does not resolve',
    at: () => Promise.resolve('http://nobody.invalid/sse'),
    kind: 'unresolved',
    next: /spelling of nobody\.invalid/,
  },
  {
    what: 'another protocol',
    at: () => accepting((socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n')),
    kind: 'not_http',
    next: /which program has port \d+/,
  },
  {
    what: 'a socket that hangs up',
    at: () => accepting((socket) => socket.once('data', () => socket.destroy())),
    kind: 'not_http',
    next: /which program has port \d+, and whether it wants https/,
  },
  {
    what: 'an authority that is not known',
    at: async () => (await legacy({ tls: TRUSTED })).url,
    kind: 'tls_untrusted',
    next: /--tls-ca FILE/,
  },
  {
    what: 'a certificate that has expired',
    at: async () => (await legacy({ tls: EXPIRED })).url,
    kind: 'tls_failed',
    next: /renew the certificate/,
    options: { flags: { 'tls-ca': ca } },
  },
  {
    what: 'no TLS where https is dialled',
    at: async () => (await legacy()).url.href.replace('http:', 'https:'),
    kind: 'tls_failed',
    next: /if it speaks plain http, probe http:\/\/127\.0\.0\.1:\d+\/sse/,
  },
];

/** Those that keep us waiting, until a time that is over soon. */
const WAITING: readonly Row[] = [
  { what: 'a socket that is silent', at: () => accepting(() => {}), kind: 'silent', next: /whether the server hangs/ },
  {
    what: 'a proxy that holds events back',
    at: () => answering(streaming('')),
    kind: 'buffered',
    next: /proxy_buffering off/,
  },
  {
    what: 'an event stream of something else',
    at: () => answering(streaming('event: tick\ndata: 1\n\n')),
    kind: 'no_endpoint',
    next: /this stream belongs to something else/,
  },
  {
    what: 'a server that never answers initialize',
    at: async () => (await legacy({ methods: { initialize: () => new Promise(() => {}) } })).url,
    kind: 'initialize_unanswered',
    next: /taken over its only connection/,
  },
  {
    what: 'a server that never answers its POST',
    at: async () => (await legacy({ post: 'silent', methods: { initialize: () => new Promise(() => {}) } })).url,
    kind: 'initialize_unanswered',
    next: /another replica/,
  },
];

describe.each(ROWS)('$what', ({ at, kind, next, options }) => {
  test(`is ${kind}, with the next step`, async () => {
    const document = await documentAt(await at(), options);

    expect([document.kind, document.next]).toEqual([kind, expect.stringMatching(next)]);
    expect(document.usable).toBe(KINDS[kind].usable);
  });
});

test('those that keep us waiting are told apart when time is up, and nothing takes longer', async () => {
  const urls = await Promise.all(WAITING.map(({ at }) => at()));
  const begun = performance.now();

  const documents = await Promise.all(urls.map((url) => documentAt(url, { timeoutMs: 1200 })));

  expect(documents.map(({ kind }) => kind)).toEqual(WAITING.map(({ kind }) => kind));
  documents.forEach(({ next }, index) => expect(next).toMatch(WAITING[index]?.next ?? ''));
  expect(performance.now() - begun).toBeLessThan(4000);
});

test('every kind has a server here, but for the two that no test can make', () => {
  const shown = new Set([...ROWS, ...WAITING].map(({ kind }) => kind));

  // Somebody would have to drop packets; and what nobody has thought of.
  expect(Object.keys(KINDS).filter((kind) => !shown.has(kind as Kind))).toEqual(['connect_timeout', 'failed']);
});

test('a server whose certificate is not trusted is told of it, and of nothing else: no credential goes there', async () => {
  const server = await legacy({ tls: SELF_SIGNED });

  const { tls, failure } = await documentAt(server.url, { flags: { header: ['x-key=${KEY}'] }, env: { KEY: 'k' } });

  expect(tls).toMatchObject({ protocol: 'TLSv1.3', distrust: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  expect(failure?.reason).toBe('upstream_tls');
  expect([server.gets, server.received]).toEqual([[], []]);
});
