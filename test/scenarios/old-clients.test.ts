// Clients of the old transport, passed through to the upstream: everything crosses as it is but the URL that they are
// told to post to, and nothing of theirs chooses where that leads.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, type RequestListener, type Server, type ServerResponse, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { FRAMINGS } from '../support/frameworks.ts';
import { type Gateway, type GatewayConfig, gatewayBefore, replyIn, startGateway } from '../support/gateway.ts';
import { type Behaviour, type PostAnswer, endpoints, lineEnds } from '../support/legacy-behaviour.ts';
import { type OldClient, exchange, openOldClient } from '../support/old-client.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

/** No link of the gateway's own: what the upstream sees is the old client. */
const ALONE = { links: { min: 0 } } as const;
const JSON_TYPE = { 'content-type': 'application/json' };
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 2, b: 3 } } };
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"5"}]}}';

async function oldClientBefore(behaviour: Partial<Behaviour> = {}, config: GatewayConfig = {}) {
  const { gateway, upstream } = await gatewayBefore(behaviour, { ...ALONE, ...config });
  const client = await openOldClient(gateway.origin);
  return { gateway, upstream, client };
}

/** An upstream that is nothing but this listener. */
async function rawUpstream(listener: RequestListener): Promise<{ server: Server; url: string }> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { server, url: `http://127.0.0.1:${portOf(server)}/sse` };
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as { port: number }).port;
}

async function before(url: string, config: GatewayConfig = {}): Promise<Gateway> {
  const gateway = await startGateway(url, { ...ALONE, ...config });
  onTestFinished(() => gateway.close());
  return gateway;
}

/** The next stream that somebody opens, and its messages. */
async function scriptedUpstream(config: GatewayConfig = {}) {
  const streams: ServerResponse[] = [];
  const posts: { readonly url: string; readonly body: Buffer }[] = [];
  const opened = Promise.withResolvers<ServerResponse>();
  const { url } = await rawUpstream((request, response) => {
    if (request.method === 'POST') {
      void buffer(request).then((body) => {
        posts.push({ url: request.url ?? '', body });
        response.writeHead(202).end('Accepted');
      });
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    streams.push(response);
    opened.resolve(response);
  });
  const gateway = await before(url, config);
  const client = await openOldClient(gateway.origin);
  return { gateway, client, url, posts, stream: await opened.promise };
}

function reasonIn(body: Buffer): unknown {
  return JSON.parse(body.toString()).error.data.reason;
}

describe('whatever form the endpoint event has', () => {
  test.each<readonly [what: string, endpoint: Behaviour['endpoint'], target: (id: string) => string]>([
    ['a path', endpoints.path, (id) => `/messages?sessionId=${id}`],
    ['an absolute URL', endpoints.absolute, (id) => `/messages?sessionId=${id}`],
    ['beside the stream', endpoints.relative, (id) => `/base/messages?sessionId=${id}`],
    ['the id in the path', endpoints.idInPath, (id) => `/messages/${id}`],
    ['the stream’s own path', endpoints.samePath, (id) => `/base/sse?sessionId=${id}`],
    ['a query only', (id) => [`?s=${id}`], (id) => `/base/sse?s=${id}`],
    ['no session', endpoints.withoutSession, () => '/messages'],
    [
      'escapes, and a query with slashes',
      (id) => [`/m%2f%zz/..x?u=../a/${id}&b=%20#f`],
      (id) => `/m%2f%zz/..x?u=../a/${id}&b=%20`,
    ],
  ])('%s: messages go there, and the answer comes on the stream', async (_, endpoint, target) => {
    const { client, upstream } = await oldClientBefore({ endpoint, path: '/base/sse' });
    const { sessionId } = await upstream.nextStream();

    const answer = await client.post(CALL);
    await client.until(ANSWER);

    expect(await client.endpoint()).toMatch(/^\/messages\?token=[\w-]+$/);
    expect([answer.status, answer.body.toString()]).toEqual([202, 'Accepted']);
    expect(upstream.received.map(({ url }) => url)).toEqual([target(sessionId)]);
  });

  test.each(FRAMINGS)('$name: every other byte crosses', async ({ stream: text, endpoint }) => {
    const { client, url, posts, stream } = await scriptedUpstream();
    // Absolute ones are on the server's own origin.
    const announced = endpoint.replace('http://localhost:8080', new URL(url).origin);
    const sent = text.replace(endpoint, announced);

    for (const byte of Buffer.from(sent)) stream.write(Buffer.of(byte));
    stream.end();
    const end = await client.closed;
    const ours = await client.endpoint();
    const answer = await client.post('{}');

    expect(end).toBe('ended');
    expect(client.bytes.toString()).toBe(sent.replace(announced, ours));
    expect(answer.status).toBe(202);
    const target = new URL(announced, url);
    expect(posts).toEqual([{ url: target.pathname + target.search, body: Buffer.from('{}') }]);
  });

  test.each(Object.entries(lineEnds))('line ends %s', async (_, ends) => {
    const { client } = await oldClientBefore({ framing: { lineEnds: ends, space: false, eventField: true } });

    await client.post(CALL);

    await client.until(ANSWER);
  });

  test('a second endpoint event is rewritten too: no URL of the upstream’s choice reaches the client [T2]', async () => {
    const { gateway, client, upstream } = await oldClientBefore({ endpoint: endpoints.twice });

    const urls = [await client.endpoint(1), await client.endpoint(2)];
    const answers = await Promise.all(
      urls.map((url) => exchange(gateway.origin + url, 'POST', JSON_TYPE, JSON.stringify(CALL))),
    );

    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    expect(new Set(upstream.received.map(({ url }) => url.split('?')[0]))).toEqual(
      new Set(['/messages', '/messages/again']),
    );
  });

  test.each<readonly [what: string, announced: string]>([
    ['another port', 'http://127.0.0.1:1/messages'],
    ['another host', '//evil.example/messages'],
    ['a user', 'http://user:pw@127.0.0.1/messages'],
    ['another scheme', 'javascript:alert(1)'],
    ['a blob of the same origin', 'blob:ORIGIN/x'],
  ])('%s ends the stream, and the client is told no URL [T1]', async (_, announced) => {
    const { gateway, client } = await oldClientBefore({
      endpoint: (_id, url) => [announced.replace('ORIGIN', url.origin)],
    });

    expect(await client.closed).toBe('broken');
    expect(client.bytes.toString()).not.toContain('data:');
    const fact = await gateway.journal.until(({ fact: each }) => each === 'passthrough');
    expect(fact).toMatchObject({ method: 'GET', reason: 'endpoint_refused' });
  });

  test('another origin that is allowed gets the messages, and so does messageUrl', async () => {
    const other = await startLegacyServer();
    onTestFinished(() => other.close());
    const { origin } = other.url;
    const endpoint = endpoints.otherOrigin(origin);
    const allowed = await oldClientBefore({ endpoint }, { upstream: { allowEndpointOrigins: [origin] } });
    const fixed = await oldClientBefore({}, { upstream: { messageUrl: `${origin}/fixed` } });

    await allowed.client.post(CALL);
    await fixed.client.post(CALL);

    expect(other.received.map(({ url }) => url.split('=')[0])).toEqual(['/messages?sessionId', '/fixed?sessionId']);
    expect([...allowed.upstream.received, ...fixed.upstream.received]).toEqual([]);
  });
});

describe('bytes', () => {
  test('the stream crosses as it is written: pieces of characters, comments, every line end, fields nobody knows', async () => {
    const { client, stream } = await scriptedUpstream();
    const head = ': hi\r\n\r\nevent: endpoint\ndata: /messages?s=1\n\n';
    const rest = '\r: keep-alive ☕\r\rid: 1\rretry: 100\r\ndata: {"ä":"\u{1F600}\u2028"}\n\nhello\n\ndata: half a fra';
    stream.write(head);
    const ours = await client.endpoint();

    for (const byte of Buffer.from(rest)) stream.write(Buffer.of(byte));
    await client.until('half a fra');

    expect(client.bytes.toString()).toBe(head.replace('/messages?s=1', ours) + rest);
  });

  test('the headers of the stream come at once, and say that nobody may hold it back', async () => {
    const { client } = await scriptedUpstream();

    expect([client.status, client.headers]).toMatchObject([
      200,
      { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' },
    ]);
  });

  test.each<readonly [what: string, body: Buffer]>([
    [
      'numbers, duplicate keys and white space',
      Buffer.from('{ "id":9007199254740993, "a":1.0, "a" : [ 1e0 ],\n"__proto__":{} }'),
    ],
    ['bytes that are no text', Buffer.from([0xff, 0x00, 0xfe, 0x0a])],
    ['nothing', Buffer.alloc(0)],
    ['4 MiB', Buffer.alloc(4 * 1024 * 1024, '{"long":"x"}')],
  ])('a message crosses as it is: %s', async (_, body) => {
    const { client, posts, stream } = await scriptedUpstream();
    stream.write('event: endpoint\ndata: /m\n\n');

    const answer = await client.post(body);

    expect(answer.status).toBe(202);
    expect(posts.map((post) => post.body.equals(body))).toEqual([true]);
  });

  test('an event of 16 MiB crosses', async () => {
    const { client, stream } = await scriptedUpstream();
    stream.write('event: endpoint\ndata: /m\n\n');
    await client.endpoint();
    const before = client.bytes.length;
    const event = Buffer.concat([Buffer.from('data: '), Buffer.alloc(16 * 1024 * 1024, 'xy'), Buffer.from('\n\n')]);

    stream.write(event);
    await client.untilBytes(before + event.length);

    expect(client.bytes.subarray(before).equals(event)).toBe(true);
  });

  test.each<readonly [how: string, headers: Record<string, string | number>]>([
    ['declared', { 'content-length': 4 * 1024 * 1024 + 1 }],
    ['sent in chunks', { 'transfer-encoding': 'chunked' }],
  ])('a message over limits.bodyBytes is 413, and the upstream sees nothing of it: %s', async (_, headers) => {
    const { gateway, client, upstream } = await oldClientBefore();
    const large = Buffer.alloc(4 * 1024 * 1024 + 1, ' ');

    const answer = await exchange(
      gateway.origin + (await client.endpoint()),
      'POST',
      { ...JSON_TYPE, ...headers },
      large,
    );

    expect([answer.status, reasonIn(answer.body)]).toEqual([413, 'body_too_large']);
    expect(upstream.received).toEqual([]);
  });

  test.each<PostAnswer>([
    { status: 200 },
    { status: 202, body: '{"jsonrpc":"2.0","id":1,"result":{}}', headers: { 'content-type': 'application/json' } },
    { status: 204 },
    { status: 400, body: 'Invalid session ID' },
    { status: 404, body: 'Could not find session' },
    { status: 413, body: 'too large' },
    { status: 500, body: '{"error":"x"}', headers: { 'content-type': 'application/json; charset=utf-8' } },
    { status: 503, body: 'No active SSE connection', headers: { 'retry-after': '7' } },
  ] as (PostAnswer & { status: number; body?: string; headers?: Record<string, string> })[])(
    'the answer to a message comes back: %j',
    async (post) => {
      const { client, upstream } = await oldClientBefore({ post });
      const { status, body = '', headers = {} } = post as { status: number; body?: string; headers?: object };

      const answer = await client.post(CALL);

      expect([answer.status, answer.body.toString(), answer.headers]).toMatchObject([status, body, headers]);
      expect(upstream.received).toHaveLength(1);
    },
  );
});

describe('where a message goes is what the upstream announced, sealed', () => {
  test('a token that is forged, foreign, expired, missing or given twice is an unknown session, all alike [T8]', async () => {
    const { gateway, client, upstream } = await oldClientBefore();
    const other = await oldClientBefore();
    const url = await client.endpoint();
    const [path = '', token = ''] = url.split('=');
    const flipped = token.slice(0, 20) + (token[20] === 'A' ? 'B' : 'A') + token.slice(21);
    const session = await gateway.openSession();
    const seen = upstream.received.length;

    const answers = [];
    for (const query of [
      '/messages',
      '/messages?',
      '/messages?token=',
      '/messages?token=x',
      '/messages?sessionId=1',
      `${path}=${flipped}`,
      `${path}=${token.slice(0, -1)}`,
      `${path}=${token}%3D`,
      `${path}=${token}&token=${token}`,
      `${path}=${session}`,
      await other.client.endpoint(),
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, so that a failure names its own
      answers.push(await exchange(gateway.origin + query, 'POST', JSON_TYPE, JSON.stringify(CALL)));
    }
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 24 * 3_600_000 + 1000 });
    onTestFinished(() => void vi.useRealTimers());
    answers.push(await exchange(gateway.origin + url, 'POST', JSON_TYPE, JSON.stringify(CALL)));
    vi.useRealTimers();

    expect(new Set(answers.map(({ status, body }) => `${status} ${body.toString()}`))).toEqual(
      new Set([
        '404 {"jsonrpc":"2.0","error":{"code":-32600,"message":"unknown session","data":{"reason":"session_unknown"}}}',
      ]),
    );
    expect(upstream.received).toHaveLength(seen);
    expect((await client.post(CALL)).status).toBe(202);
  });

  test('a token shows nothing of the upstream, and is no session id', async () => {
    const { gateway, client, upstream } = await oldClientBefore();
    const token = (await client.endpoint()).split('=')[1] ?? '';
    const { sessionId } = await upstream.nextStream();

    const answer = await gateway.post(CALL, { 'mcp-session-id': token });

    expect(Buffer.from(token, 'base64url').toString('latin1')).not.toContain(sessionId);
    expect(client.bytes.toString()).not.toContain(sessionId);
    expect([answer.status, answer.json.error.data.reason]).toEqual([404, 'session_unknown']);
  });

  test('of the client’s query nothing crosses; the query of the configured URL does [T14]', async () => {
    const { url } = await rawUpstream((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('event: endpoint\ndata: /m?s=1\n\n');
    });
    const seen: string[] = [];
    const gateway = await before(`${url}?key=1`);

    const client = await openOldClient(gateway.origin, { path: '/sse?access_token=secret&key=2' });
    await exchange(`${gateway.origin}${await client.endpoint()}&access_token=secret&s=2`, 'POST', JSON_TYPE, '{}');

    expect(seen).toEqual(['GET /sse?key=1', 'POST /m?s=1']);
  });
});

describe('headers', () => {
  const NOT_OURS = {
    authorization: 'Bearer caller',
    cookie: 'a=b',
    'proxy-authorization': 'Basic x',
    'x-forwarded-for': '1.2.3.4',
    forwarded: 'for=1.2.3.4',
    'x-api-key': 'caller',
    'last-event-id': '7',
    'mcp-session-id': 'x',
    'keep-alive': 'timeout=5',
    te: 'trailers',
    upgrade: 'h2c',
    connection: 'upgrade, x-gateway-key, accept, content-type, mcp-protocol-version',
    'accept-encoding': 'gzip',
  };

  test('the caller’s credentials and hop-by-hop headers never cross, the configured ones always do [A4 T12 T13 T14]', async () => {
    const seen: IncomingMessage[] = [];
    const { url } = await rawUpstream((request, response) => {
      seen.push(request);
      response.writeHead(200, { 'content-type': request.method === 'GET' ? 'text/event-stream' : 'text/plain' });
      response.end(request.method === 'GET' ? 'event: endpoint\ndata: /m\n\n' : 'ok');
    });
    const gateway = await before(url.replace('//', '//user:pass@'), {
      upstream: { headers: { 'x-gateway-key': 'k' } },
    });
    const headers = { ...NOT_OURS, 'user-agent': 'old/1', 'mcp-protocol-version': '2025-06-18' };

    const client = await openOldClient(gateway.origin, { headers });
    const answer = await client.post('{}', { ...headers, 'content-type': 'application/json;charset=utf-8' });

    const own = { 'x-gateway-key': 'k', authorization: `Basic ${btoa('user:pass')}`, 'accept-encoding': 'identity' };
    const crossed = { 'user-agent': 'old/1', 'mcp-protocol-version': '2025-06-18' };
    expect(answer.status).toBe(200);
    expect(seen.map((request) => request.headers)).toEqual([
      {
        ...own,
        ...crossed,
        accept: 'text/event-stream',
        'cache-control': 'no-cache',
        host: new URL(url).host,
        connection: 'keep-alive',
      },
      {
        ...own,
        ...crossed,
        'content-type': 'application/json;charset=utf-8',
        'content-length': '2',
        host: new URL(url).host,
        connection: 'keep-alive',
      },
    ]);
  });

  test('what is no ASCII crosses as the bytes that it is', async () => {
    const bytes = '\u00e4\u00c3\u00a4';
    const seen: (string | undefined)[] = [];
    const { url } = await rawUpstream((request, response) => {
      seen.push(request.headers['user-agent'], request.headers['content-type']);
      const isStream = request.method === 'GET';
      response.writeHead(200, { 'content-type': `${isStream ? 'text/event-stream' : 'text/plain'}; x="${bytes}"` });
      response.write(Buffer.from('event: endpoint\ndata: /m\n\n'));
      if (!isStream) response.end();
    });
    const gateway = await before(url);

    const client = await openOldClient(gateway.origin, { headers: { 'user-agent': bytes } });
    const type = `application/json; x="${bytes}"`;
    const answer = await client.post(Buffer.from('{}'), { 'user-agent': bytes, 'content-type': type });

    expect(seen).toEqual([bytes, undefined, bytes, type]);
    expect([client.headers['content-type'], answer.headers['content-type']]).toEqual([
      `text/event-stream; x="${bytes}"`,
      `text/plain; x="${bytes}"`,
    ]);
  });

  test('Expect: 100-continue is served as it should be', async () => {
    const { gateway, client } = await oldClientBefore();
    const raw = await gateway.connect();
    const head = `POST ${await client.endpoint()} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n`;

    raw.write(`${head}Expect: 100-continue\r\n\r\n`);
    await raw.until('100 Continue');
    raw.write('{}');

    expect(replyIn(await raw.until('Accepted')).status).toBe(202);
  });

  test('of the upstream’s headers only those come back that say what the body is [T12]', async () => {
    const UNSAFE = {
      'set-cookie': 'a=b',
      'www-authenticate': 'Bearer resource_metadata="http://up/"',
      location: '/elsewhere',
      server: 'up',
      'access-control-allow-origin': '*',
      'mcp-session-id': 'x',
      'keep-alive': 'timeout=99',
      trailer: 'x',
    };
    const { url } = await rawUpstream((request, response) => {
      const isStream = request.method === 'GET' && isOpen;
      response.writeHead(isStream ? 200 : 401, {
        ...UNSAFE,
        'content-type': isStream ? 'text/event-stream' : 'text/html',
      });
      response.end(isStream ? 'event: endpoint\ndata: /m\n\n' : '<script>alert(1)</script>');
    });
    let isOpen = true;
    const gateway = await before(url);

    const client = await openOldClient(gateway.origin);
    const posted = await client.post('{}');
    isOpen = false;
    const refused = await exchange(`${gateway.origin}/sse`, 'GET');

    for (const { headers } of [client, posted, refused]) {
      for (const name of Object.keys(UNSAFE)) expect(headers).not.toHaveProperty(name);
    }
    for (const { status, headers, body } of [posted, refused]) {
      expect([status, body.toString()]).toEqual([401, '<script>alert(1)</script>']);
      // A page of the upstream would be one of our origin.
      expect(headers).toMatchObject({ 'content-type': 'text/plain', 'x-content-type-options': 'nosniff' });
    }
  });
});

describe('when the upstream fails', () => {
  test('nobody listens: 502 for the stream and for a message', async () => {
    const { gateway, client, upstream } = await oldClientBefore();
    await client.endpoint();
    await upstream.stop();

    const [stream, message] = [await exchange(`${gateway.origin}/sse`, 'GET'), await client.post(CALL)];

    expect([stream.status, message.status]).toEqual([502, 502]);
    expect(JSON.parse(stream.body.toString()).error.data).toEqual({
      reason: 'upstream_unreachable',
      upstream: 'default',
      outcome: 'not_executed',
    });
    expect(reasonIn(message.body)).toBe('upstream_unreachable');
    expect(await client.closed).toBe('broken');
  });

  test('a certificate of another name, signed by nobody: 502, whatever the environment says, and no byte of a request [T15]', async () => {
    const file = (name: string): Buffer => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url));
    let requests = 0;
    const server = createTlsServer({ key: file('key.pem'), cert: file('cert.pem') }, () => requests++);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    onTestFinished(() => void vi.unstubAllEnvs());
    const gateway = await before(`https://127.0.0.1:${portOf(server)}/sse`, { timeouts: { headers: '1s' } });

    const answer = await exchange(`${gateway.origin}/sse`, 'GET');

    expect([answer.status, reasonIn(answer.body)]).toEqual([502, 'upstream_tls']);
    expect(requests).toBe(0);
  });

  test('no headers: 504 within timeouts.headers', async () => {
    const { gateway } = await gatewayBefore(
      { get: { until: new Promise(() => {}) } },
      { ...ALONE, timeouts: { headers: '200ms' } },
    );

    const answer = await exchange(`${gateway.origin}/sse`, 'GET');

    expect([answer.status, reasonIn(answer.body)]).toEqual([504, 'upstream_headers_timeout']);
  });

  test('a message that is not answered: 504 after timeouts.requestMax, the outcome unknown', async () => {
    const { client } = await oldClientBefore({ post: 'silent' }, { timeouts: { requestMax: '200ms' } });

    const answer = await client.post(CALL);

    expect(answer.status).toBe(504);
    const { error } = JSON.parse(answer.body.toString());
    expect(error.data).toMatchObject({ reason: 'post_timeout', outcome: 'unknown' });
    expect(error.message).toContain('timeouts.requestMax');
  });

  test('a message whose connection breaks: 502, the outcome unknown, and it was sent once', async () => {
    let posts = 0;
    const { url } = await rawUpstream((request, response) => {
      if (request.method === 'POST') {
        posts++;
        request.socket.destroy();
      } else {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /m\n\n');
      }
    });
    const client = await openOldClient((await before(url)).origin);

    const answer = await client.post(CALL);

    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body.toString()).error.data).toMatchObject({ reason: 'post_failed', outcome: 'unknown' });
    expect(posts).toBe(1);
  });

  test('503 from the upstream passes, with its Retry-After, after exactly one request', async () => {
    const { gateway, upstream } = await gatewayBefore(
      { get: { status: 503, body: 'busy', headers: { 'retry-after': '9' } } },
      ALONE,
    );

    const answer = await exchange(`${gateway.origin}/sse`, 'GET');

    expect([answer.status, answer.body.toString(), answer.headers['retry-after']]).toEqual([503, 'busy', '9']);
    expect(upstream.gets).toHaveLength(1);
  });

  test.each<readonly [what: string, get: Behaviour['get'], status: number, reason: string]>([
    ['a redirect is not followed', { status: 307, headers: { location: '/elsewhere' } }, 502, 'upstream_redirect'],
    ['HTML is no stream', { status: 200, headers: { 'content-type': 'text/html' } }, 502, 'upstream_not_event_stream'],
    [
      'nor is a stream that is compressed',
      { status: 200, headers: { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' } },
      502,
      'upstream_not_event_stream',
    ],
  ])('%s', async (_, get, status, reason) => {
    const { gateway, upstream } = await gatewayBefore({ get }, ALONE);

    const answer = await exchange(`${gateway.origin}/sse`, 'GET');

    expect([answer.status, reasonIn(answer.body)]).toEqual([status, reason]);
    expect(upstream.gets).toHaveLength(1);
  });

  test('a redirect of a message is not followed [T3]', async () => {
    const { client } = await oldClientBefore({ post: { status: 307, headers: { location: '/elsewhere' } } });

    const answer = await client.post(CALL);

    expect([answer.status, reasonIn(answer.body)]).toEqual([502, 'post_rejected']);
  });

  test('a stream that the upstream ends is ended, one that breaks is broken', async () => {
    const [ended, broken] = [await scriptedUpstream(), await scriptedUpstream()];
    for (const { stream } of [ended, broken]) stream.write('event: endpoint\ndata: /m\n\n');
    await Promise.all([ended.client.endpoint(), broken.client.endpoint()]);

    ended.stream.end();
    broken.stream.destroy();

    expect(await ended.client.closed).toBe('ended');
    expect(await broken.client.closed).toBe('broken');
    await broken.gateway.journal.until(
      (fact) => fact.fact === 'passthrough' && fact.reason === 'upstream_session_lost',
    );
  });
});

describe('streams are counted', () => {
  const PASSED = ({ fact }: { readonly fact: string }): boolean => fact === 'passthrough';

  test('one more than limits.passthroughStreams is 503 with Retry-After, without a request upstream, until one leaves [T20]', async () => {
    const { gateway, client, upstream } = await oldClientBefore({}, { limits: { passthroughStreams: 2 } });
    await openOldClient(gateway.origin);

    const refused = await exchange(`${gateway.origin}/sse`, 'GET');
    const seen = upstream.gets.length;
    client.leave();
    await gateway.journal.until(PASSED);
    const next = await openOldClient(gateway.origin);

    expect([refused.status, refused.headers['retry-after'], reasonIn(refused.body)]).toEqual([
      503,
      '1',
      'passthrough_limit',
    ]);
    expect(seen).toBe(2);
    expect(await next.endpoint()).toContain('token=');
  });

  test('140 streams are 140 streams, none waits, and all have their messages', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { ...ALONE, limits: { passthroughStreams: 140 } });

    const clients = await Promise.all(Array.from({ length: 140 }, () => openOldClient(gateway.origin)));
    const answers = await Promise.all(clients.map((client) => client.post(CALL)));
    await Promise.all(clients.map((client) => client.until(ANSWER)));
    const refused = await exchange(`${gateway.origin}/sse`, 'GET');

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(upstream.streams).toHaveLength(140);
    expect(refused.status).toBe(503);
  });

  test('places are given back however a request ends', async () => {
    const held = Promise.withResolvers<void>();
    const { gateway, upstream } = await gatewayBefore(
      { get: { status: 404 } },
      { ...ALONE, limits: { passthroughStreams: 1 } },
    );
    const passage = gateway.app.mounts[0]?.passage;
    const get = (): Promise<{ status: number }> => exchange(`${gateway.origin}/sse`, 'GET');

    expect((await get()).status).toBe(404);
    await vi.waitFor(() => expect(passage?.openStreams).toBe(0));
    upstream.behaviour.get = { status: 302 };
    expect((await get()).status).toBe(502);
    await vi.waitFor(() => expect(passage?.openStreams).toBe(0));
    upstream.behaviour.get = { until: held.promise };
    const leaving = await gateway.connect();
    leaving.write('GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await vi.waitFor(() => expect(upstream.gets).toHaveLength(3));
    leaving.leave();
    await leaving.closed;
    expect((await get()).status).toBe(503);
    held.resolve();
    await vi.waitFor(() => expect(passage?.openStreams).toBe(0));
    upstream.behaviour.get = 'closes';
    expect((await get()).status).toBe(200);
    await vi.waitFor(() => expect(passage?.openStreams).toBe(0));
    await upstream.stop();
    expect((await get()).status).toBe(502);
    await vi.waitFor(() => expect(passage?.openStreams).toBe(0));
    await upstream.whenStreams(0);
  });

  test('messages count for limits.inFlight', async () => {
    const { gateway, client, upstream } = await oldClientBefore({ post: 'finished' }, { limits: { inFlight: 1 } });
    const first = client.post({ ...CALL, params: { name: 'slow' } });
    const call = await upstream.nextCall('slow');

    const refused = await client.post(CALL);
    call.release();

    expect([refused.status, reasonIn(refused.body)]).toEqual([503, 'in_flight_limit']);
    expect((await first).status).toBe(200);
    expect(gateway.app.inFlight()).toBe(0);
  });

  test('messages are sent at once up to a limits.inFlight that a reload has raised', async () => {
    const config = { ...ALONE, limits: { inFlight: 1, passthroughStreams: 1 } };
    const { gateway, client, upstream } = await oldClientBefore({ post: 'finished' }, config);

    await gateway.reload({ ...config, limits: { ...config.limits, inFlight: 10 } });
    const posts = Array.from({ length: 4 }, () => client.post({ ...CALL, params: { name: 'slow' } }));
    const calls = [];
    // oxlint-disable-next-line no-await-in-loop -- all are there before one is answered
    for (const _ of posts) calls.push(await upstream.nextCall('slow'));
    for (const call of calls) call.release();

    expect((await Promise.all(posts)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });
});

describe('who leaves, and who is slow', () => {
  test('a client that leaves closes the upstream’s stream', async () => {
    const { client, upstream } = await oldClientBefore();
    const stream = await upstream.nextStream();
    await client.endpoint();

    client.leave();

    await stream.closed;
  });

  test('a slow reader slows the upstream down, and gets everything', async () => {
    const { gateway, client, stream } = await scriptedUpstream();
    stream.write('event: endpoint\ndata: /m\n\n');
    await client.endpoint();
    const before = client.bytes.length;
    const [piece, pieces] = [Buffer.from(`data: ${'x'.repeat(1024 * 1024)}\n\n`), 64];
    let written = 0;
    client.pause();
    const writing = (async () => {
      for (; written < pieces; written++) {
        // oxlint-disable-next-line no-await-in-loop -- as fast as it is taken
        if (!stream.write(piece)) await once(stream, 'drain');
      }
    })();

    // As long as others are served many times.
    for (let i = 0; i < 40; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other takes time
      await client.post('{}');
    }
    const writtenWhilePaused = written;
    client.resume();
    await writing;
    await client.untilBytes(before + pieces * piece.length);

    expect(writtenWhilePaused).toBeLessThan(32);
    expect(client.bytes.length).toBe(before + pieces * piece.length);
    expect(gateway.app.mounts[0]?.passage?.openStreams).toBe(1);
  });

  test('one that takes nothing for timeouts.clientWrite is let go, and the journal says why', async () => {
    const { gateway, client, stream } = await scriptedUpstream({ timeouts: { clientWrite: '300ms' } });
    stream.write('event: endpoint\ndata: /m\n\n');
    await client.endpoint();
    client.pause();

    const gone = once(stream, 'close');
    stream.write(Buffer.alloc(64 * 1024 * 1024, 'data: x\n\n'));

    await gone;
    const fact = await gateway.journal.until((each) => each.fact === 'passthrough' && each.method === 'GET');
    expect(fact).toMatchObject({ status: 200, reason: 'slow_reader' });
  });

  /** An upstream whose answers, to a GET when it `refuses`, never end. */
  async function endless(refuses: boolean, config: GatewayConfig) {
    let isClosed = false;
    const closed = Promise.withResolvers<void>();
    const { url } = await rawUpstream((request, response) => {
      if (request.method === 'GET' && !refuses) {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /m\n\n');
        return;
      }
      response.on('close', () => {
        isClosed = true;
        closed.resolve();
      });
      response.writeHead(refuses ? 404 : 200, { 'content-type': 'text/plain' });
      const write = (): void => {
        while (!isClosed && response.write(Buffer.alloc(64 * 1024, 'x')));
        if (!isClosed) response.once('drain', write);
      };
      write();
    });
    return { gateway: await before(url, config), closed: closed.promise };
  }

  describe.each<readonly [what: string, refuses: boolean]>([
    ['to a GET', true],
    ['to a message', false],
  ])('an answer %s that never ends', (_, refuses) => {
    async function asked(config: GatewayConfig) {
      const { gateway, closed } = await endless(refuses, config);
      const raw = await gateway.connect();
      if (refuses) {
        raw.write('GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n');
      } else {
        const url = await (await openOldClient(gateway.origin)).endpoint();
        const head = `POST ${url} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
        raw.write(`${head}Content-Length: 2\r\n\r\n{}`);
      }
      const over = gateway.journal.until(
        (each) => each.fact === 'passthrough' && each.method === (refuses ? 'GET' : 'POST'),
      );
      return { gateway, closed, raw, over };
    }

    test('and is not read is cut after timeouts.clientWrite', async () => {
      const { gateway, closed, raw, over } = await asked({ timeouts: { clientWrite: '200ms' } });
      raw.pause();

      expect(await over).toMatchObject({ status: refuses ? 404 : 200, reason: 'slow_reader' });
      await closed;
      expect([gateway.app.inFlight(), gateway.app.mounts[0]?.passage?.openStreams]).toEqual([0, refuses ? 0 : 1]);
    });

    test('is cut after timeouts.request, however fast it is read', async () => {
      const { gateway, closed, raw, over } = await asked({ timeouts: { request: '200ms' } });

      expect(await over).toMatchObject({ status: refuses ? 404 : 200, reason: 'request_timeout' });
      await Promise.all([closed, raw.closed]);
      expect([gateway.app.inFlight(), gateway.app.mounts[0]?.passage?.openStreams]).toEqual([0, refuses ? 0 : 1]);
    });
  });

  test('an answer without a first byte is cut too', async () => {
    const { url } = await rawUpstream((_request, response) => {
      response.writeHead(404, { 'content-type': 'text/plain' }).flushHeaders();
    });
    const gateway = await before(url, { timeouts: { request: '200ms' } });
    const raw = await gateway.connect();

    raw.write('GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n');

    await raw.closed;
    const fact = await gateway.journal.until((each) => each.fact === 'passthrough');
    expect(fact).toMatchObject({ reason: 'request_timeout' });
  });

  test('a stream lives as long as its token: timeouts.sessionMax', async () => {
    const { client, upstream } = await oldClientBefore({}, { timeouts: { sessionMax: '200ms' } });

    expect(await client.closed).toBe('ended');
    await upstream.whenStreams(0);
  });

  test('when the gateway stops, a message under way is answered, streams end, and the upstream is left', async () => {
    const { gateway, client, upstream } = await oldClientBefore({ post: 'finished' }, { drain: { timeout: '10s' } });
    const answer = client.post({ ...CALL, params: { name: 'slow' } });
    const call = await upstream.nextCall('slow');

    const closed = gateway.close();
    call.release();

    expect((await answer).status).toBe(200);
    await client.until('"done"');
    expect(await client.closed).toBe('ended');
    await closed;
    await upstream.whenStreams(0);
  });

  test('while the gateway stops, connections that are open get 503 for another stream or message', async () => {
    const { gateway, client, upstream } = await oldClientBefore({ post: 'finished' }, { drain: { timeout: '10s' } });
    const url = await client.endpoint();
    const held = client.post({ ...CALL, params: { name: 'slow' } });
    const call = await upstream.nextCall('slow');
    const requests = [
      'GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n',
      `POST ${url} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n',
    ];
    const raws = await Promise.all(requests.map(() => gateway.connect()));

    const closed = gateway.close();
    raws.forEach((raw, at) => raw.write(requests[at] ?? ''));
    const told = await Promise.all(raws.map((raw) => raw.closed));

    expect(told.map((text) => replyIn(text).status)).toEqual([503, 503, 200]);
    expect(told.map((text) => text.includes('"reason":"draining","outcome":"not_executed"'))).toEqual([
      true,
      true,
      false,
    ]);
    for (const text of told) expect(text).toMatch(/^connection: close\r$/im);
    call.release();
    await Promise.all([held, closed]);
  });
});

describe('the guards stand before these routes too', () => {
  test.each<readonly [method: string, path: string, allow: string]>([
    ['POST', '/sse', 'GET'],
    ['DELETE', '/sse', 'GET'],
    ['GET', '/messages', 'POST'],
    ['PUT', '/messages', 'POST'],
    ['POST', '/sse/', 'GET'],
  ])('%s %s is 405, and Allow says %s', async (method, path, allow) => {
    const { gateway } = await gatewayBefore({}, ALONE);

    const answer = await exchange(gateway.origin + path, method, JSON_TYPE, method === 'POST' ? '{}' : undefined);

    expect([answer.status, answer.headers.allow, reasonIn(answer.body)]).toEqual([405, allow, 'method_not_allowed']);
  });

  test.each<readonly [what: string, status: number, headers: Record<string, string>]>([
    ['another Origin', 403, { origin: 'http://evil.example' }],
    ['the Origin null', 403, { origin: 'null' }],
    ['another Host', 403, { host: 'evil.example' }],
  ])('%s is refused, and the upstream sees nothing', async (_, status, headers) => {
    const { gateway, client, upstream } = await oldClientBefore();
    const url = await client.endpoint();

    const answers = [
      await exchange(`${gateway.origin}/sse`, 'GET', headers),
      await exchange(gateway.origin + url, 'POST', { ...JSON_TYPE, ...headers }, '{}'),
    ];

    expect(answers.map((answer) => answer.status)).toEqual([status, status]);
    expect([upstream.gets.length, upstream.received.length]).toEqual([1, 0]);
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', undefined])(
    'a message of type %s is 415: a page could send it without asking [T23]',
    async (type) => {
      const { gateway, client, upstream } = await oldClientBefore();

      const headers = type === undefined ? {} : { 'content-type': type };
      const answer = await exchange(gateway.origin + (await client.endpoint()), 'POST', headers, JSON.stringify(CALL));

      expect([answer.status, upstream.received.length]).toEqual([415, 0]);
    },
  );
});

describe('where old clients are served', () => {
  const paths = (gateway: Gateway): unknown => gateway.app.mounts.map(({ passage }) => passage?.paths ?? null);
  const status = async (gateway: Gateway, path: string): Promise<number> =>
    (await exchange(gateway.origin + path, 'GET')).status;

  test.each<readonly [what: string, config: GatewayConfig]>([
    ['legacy: false', { upstream: { legacy: false } }],
    ['links.single', { links: { single: true } }],
    ['links.single, however configured', { links: { single: true }, upstream: { legacy: {} } }],
  ])('nowhere under %s', async (_, config) => {
    const { gateway } = await gatewayBefore({}, config);

    expect([await status(gateway, '/sse'), await status(gateway, '/messages'), paths(gateway)]).toEqual([
      404,
      404,
      [null],
    ]);
  });

  test('nowhere with several upstreams, but where it is configured, each at its own paths [T8]', async () => {
    const [billing, wiki] = [await startLegacyServer(), await startLegacyServer()];
    onTestFinished(() => Promise.all([billing.close(), wiki.close()]).then(() => {}));
    const { gateway, upstream } = await gatewayBefore(
      {},
      {
        ...ALONE,
        others: [
          {
            url: billing.url.href,
            name: 'billing',
            path: '/billing',
            legacy: { sse: '/billing/sse', messages: '/billing/messages' },
          },
          { url: wiki.url.href, name: 'wiki', path: '/wiki', legacy: { sse: '/wiki/sse', messages: '/wiki/messages' } },
        ],
      },
    );
    const client = await openOldClient(gateway.origin, { path: '/billing/sse' });
    const url = await client.endpoint();

    const own = await client.post(CALL);
    const foreign = await exchange(gateway.origin + url.replace('billing', 'wiki'), 'POST', JSON_TYPE, '{}');

    expect(url).toMatch(/^\/billing\/messages\?token=/);
    expect([own.status, foreign.status, await status(gateway, '/sse')]).toEqual([202, 404, 404]);
    expect([billing.received.length, wiki.received.length, upstream.received.length]).toEqual([1, 0, 0]);
  });

  test('nowhere any more once the server turns out to say everything to everybody: one link is all it gets', async () => {
    const { gateway, upstream } = await gatewayBefore({ delivery: 'all' });
    const client = await openOldClient(gateway.origin);
    await client.endpoint();

    await gateway.openSession();
    await gateway.journal.until(({ fact }) => fact === 'single_by_proof');

    expect(await client.closed).toBe('ended');
    expect(await status(gateway, '/sse')).toBe(404);
    expect((await client.post(CALL)).status).toBe(404);
    await upstream.whenStreams(1);
  });
});

test('an old client, a session and a caller without one use the same upstream at once', async () => {
  const { gateway } = await gatewayBefore();
  const client: OldClient = await openOldClient(gateway.origin);
  const session = await gateway.openSession();
  const count = { jsonrpc: '2.0', id: 'old', method: 'tools/call', params: { name: 'count' } };

  await Promise.all([client.post(count), client.post(count)]);
  const [inSession, alone] = await Promise.all([
    gateway.call('count', {}, 1, { 'mcp-session-id': session }),
    gateway.call('count'),
  ]);
  await client.until('"text":"2"');

  expect([inSession, alone].map(({ json }) => json.result.content[0].text)).toEqual(['1', '1']);
});

test.each([202, 307, 500])(
  'a client that leaves before its message is answered: one line, whatever comes then: %i',
  async (status) => {
    const held = Promise.withResolvers<void>();
    const posted = Promise.withResolvers<void>();
    const { url } = await rawUpstream((request, response) => {
      if (request.method === 'GET') {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /m\n\n');
        return;
      }
      posted.resolve();
      void held.promise.then(() => response.writeHead(status, { location: '/elsewhere' }).end('x'));
    });
    const gateway = await before(url);
    const client = await openOldClient(gateway.origin);
    const leaving = await gateway.connect();
    const head = `POST ${await client.endpoint()} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
    leaving.write(`${head}Content-Length: 2\r\n\r\n{}`);
    await posted.promise;

    leaving.leave();
    await leaving.closed;
    // Whoever comes after it has been heard, so by then the gateway knows.
    await exchange(`${gateway.origin}/healthz`, 'GET');
    await exchange(`${gateway.origin}/healthz`, 'GET');
    const whileHeld = gateway.app.inFlight();
    held.resolve();
    await gateway.journal.until((fact) => fact.fact === 'passthrough');

    // It is on its way, and counts, as long as the upstream has it.
    expect(whileHeld).toBe(1);
    expect(gateway.app.inFlight()).toBe(0);
    expect((await client.post('{}')).status).toBe(status === 307 ? 502 : status);
    expect(gateway.journal.of('passthrough').map((fact) => fact.status)).toEqual([
      undefined,
      status === 307 ? 502 : status,
    ]);
    expect(gateway.app.inFlight()).toBe(0);
  },
);

test('every exchange of an old client is one line in the journal, without its token [T16]', async () => {
  const { gateway, client } = await oldClientBefore();
  await client.post(CALL);
  client.leave();
  await gateway.journal.until((fact) => fact.fact === 'passthrough' && fact.method === 'GET');

  const fact = { fact: 'passthrough', upstream: 'default', client: '127.0.0.1' };
  expect(gateway.journal.of('passthrough')).toEqual([
    { ...fact, method: 'POST', status: 202, durationMs: expect.any(Number) },
    { ...fact, method: 'GET', status: 200, durationMs: expect.any(Number) },
  ]);
});

test('a port that accepts and says nothing holds a place until timeouts.headers, and no longer', async () => {
  const server = createTcpServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const gateway = await before(`http://127.0.0.1:${portOf(server)}/sse`, { timeouts: { headers: '200ms' } });

  const answer = await exchange(`${gateway.origin}/sse`, 'GET');

  expect([answer.status, reasonIn(answer.body)]).toEqual([504, 'upstream_headers_timeout']);
  expect(gateway.app.mounts[0]?.passage?.openStreams).toBe(0);
});
