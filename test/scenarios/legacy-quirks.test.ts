// What HTTP+SSE servers do beyond what the frameworks of frameworks.test.ts do, each as a server that does only that: the
// gateway must not mind. Servers that mix up their clients are in shared-upstreams.test.ts.

import { expect, onTestFinished, test } from 'vitest';
import { type GatewayConfig, gatewayBefore, startGateway } from '../support/gateway.ts';
import { type Behaviour, endpoints, isRecord, lineEnds } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });

/** Where the messages of this method were posted to. */
function pathsOf(upstream: LegacyServer, method: string): string[] {
  return upstream.received.filter(({ message }) => message.method === method).map(({ url }) => url);
}

test('a POST that is never answered is no hindrance (server-everything, unknown session) [G8]', async () => {
  const { gateway, upstream } = await gatewayBefore({
    post: (message) => (message.method === 'tools/call' ? 'silent' : 'accepted'),
  });
  const session = await gateway.openSession();

  const answers = [
    await gateway.call('count'),
    await gateway.call('count'),
    await gateway.call('count', {}, 1, IN(session)),
  ];

  expect(answers.map(({ status, json }) => [status, json.result.content[0].text])).toEqual([
    [200, '1'],
    [200, '2'],
    [200, '1'],
  ]);
  expect(pathsOf(upstream, 'tools/call')).toHaveLength(3);
});

test('an answer that comes in the body and on the stream is given once, and the other copy is counted [G8]', async () => {
  const { gateway } = await gatewayBefore({ post: 'answered' });

  await gateway.call('count');

  await gateway.journal.until(
    (fact) => fact.fact === 'dropped' && (fact.what === 'post_body_ignored' || fact.what === 'duplicate_answer'),
  );
  expect(gateway.journal.of('exchange')).toHaveLength(1);
});

test('POSTs do not wait for one another where they are answered only after the tool', async () => {
  const { gateway, upstream } = await gatewayBefore({ post: 'finished' });
  const slow = gateway.call('slow');
  const call = await upstream.nextCall('slow');

  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');

  call.release();
  expect((await slow).json.result.content[0].text).toBe('done');
});

test('a cancel is told although the POST of its call is not answered before the tool has finished [B18 G12]', async () => {
  const { gateway, upstream } = await gatewayBefore({ post: 'finished' });
  const session = await gateway.openSession();
  const answer = gateway.call('slow', {}, 1, IN(session));
  const call = await upstream.nextCall('slow');

  await gateway.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }, IN(session));

  await call.cancelled;
  expect((await answer).status).toBe(202);
});

test.each<readonly [what: string, endpoint: Behaviour['endpoint'], posts: RegExp]>([
  ['percent-encoding', (id) => [`/a%2Fb%20c/?session_id=${id}&x=%C3%A9`], /^\/a%2Fb%20c\/\?session_id=.*&x=%C3%A9$/],
  ['a query of its own and a hash (TypeScript)', (id) => [`/m?a=1&sessionID=${id}#frag`], /^\/m\?a=1&sessionID=[^#]+$/],
])('the endpoint event names %s [G1]', async (_, endpoint, posts) => {
  const { gateway, upstream } = await gatewayBefore({ endpoint });

  expect((await gateway.call('add', { a: 1, b: 1 })).json.result.content[0].text).toBe('2');

  expect(pathsOf(upstream, 'tools/call')[0]).toMatch(posts);
});

test('a query of the stream’s URL is sent with the GET, and messageUrl keeps the announced query [G1]', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const messageUrl = new URL('/elsewhere?gone=1', upstream.url).href;
  const gateway = await startGateway(new URL('/sse?key=1', upstream.url), { upstream: { messageUrl } });
  onTestFinished(() => gateway.close());

  await gateway.call('add');

  expect(upstream.gets.at(-1)?.url).toBe('/sse?key=1');
  expect(pathsOf(upstream, 'tools/call')[0]).toMatch(/^\/elsewhere\?sessionId=/);
});

test.each<readonly [what: string, framing: Behaviour['framing']]>([
  ['all three in turn', { lineEnds: lineEnds.mixed, space: true, eventField: true }],
  ['CR only', { lineEnds: lineEnds.cr, space: true, eventField: true }],
])('the stream’s framing is %s [G15]', async (_, framing) => {
  const { gateway, upstream } = await gatewayBefore({ framing });
  const params = { name: 'slow', arguments: {}, _meta: { progressToken: 1 } };
  const answer = gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  const call = await upstream.nextCall('slow');

  call.progress(1);
  call.release();

  expect((await answer).events).toHaveLength(2);
  expect((await gateway.call('echo', { x: '\r\n' })).json.result.structuredContent).toEqual({ x: '\r\n' });
});

test('an answer whose id comes back as a string is matched', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const answer = gateway.call('never', {}, 'mine');
  const { message, stream } = await upstream.nextCall('never');

  upstream.sendTo(stream, { jsonrpc: '2.0', id: String(message.id), result: { content: [] } });

  expect((await answer).text).toBe('{"jsonrpc":"2.0","id":"mine","result":{"content":[]}}');
});

test('notifications before initialize is answered are no hindrance (mcp-proxy, home-made)', async () => {
  const { gateway } = await gatewayBefore({
    greeting: [
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
    ],
  });

  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  expect(gateway.journal.dropped('unroutable_notification')).toBe(2);
});

test('a ping right behind the endpoint event is answered [G9 G3]', { timeout: 3000 }, async () => {
  const { gateway, upstream } = await gatewayBefore({ greeting: [{ jsonrpc: '2.0', id: 'early', method: 'ping' }] });

  await gateway.call('count');

  await expect
    .poll(() => upstream.received.map(({ message }) => message))
    .toContainEqual({
      jsonrpc: '2.0',
      id: 'early',
      result: {},
    });
});

test('roots/list right after initialized is refused, and the link is kept [G10]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const stream = await upstream.nextStream();
  await gateway.journal.until(({ fact }) => fact === 'link_open');

  const reply = await upstream.ask(stream, 'roots/list');

  expect(reply.error).toMatchObject({ code: -32601 });
  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  expect(upstream.gets).toHaveLength(1);
});

test('a question on an idle link is left over from an earlier caller: refused, and nobody gets that link again [G10 G11]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  await gateway.call('count');
  const stream = await upstream.nextStream();

  const reply = await upstream.ask(stream, 'elicitation/create', { message: 'still there?' });
  await stream.closed;

  expect(reply.error).toMatchObject({ code: -32601 });
  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
});

test('a question while a call runs is refused, and the call goes on [E4 G10 G11]', async () => {
  const { gateway } = await gatewayBefore();

  const { json } = await gateway.call('ask', { questions: [{ method: 'sampling/createMessage' }, { method: 'x/y' }] });

  expect(json.result.structuredContent.replies).toMatchObject([
    { error: { code: -32601 } },
    { error: { code: -32601 } },
  ]);
  expect(gateway.journal.dropped('refused_question')).toBe(2);
});

test('a session’s own link declares what its client does, without tasks; a link that is shared declares nothing [G11]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const declared = { roots: { listChanged: true }, sampling: {}, elicitation: {} };

  await gateway.openSession({ capabilities: { ...declared, tasks: { list: {} } } });

  const initializes = upstream.received.filter(({ message }) => message.method === 'initialize');
  expect(initializes.map(({ message }) => message.params?.['capabilities'])).toEqual([{}, declared]);
});

test('a second endpoint event is ignored and counted', async () => {
  const { gateway, upstream } = await gatewayBefore({ endpoint: endpoints.twice });

  expect((await gateway.call('count')).json.result.content[0].text).toBe('1');
  expect(pathsOf(upstream, 'tools/call')[0]).toMatch(/^\/messages\?/);
  expect(gateway.journal.dropped('second_endpoint')).toBe(1);
});

test('a server that closes the stream right after the endpoint event is a 502 that says so', async () => {
  const config: GatewayConfig = { timeouts: { initialize: '500ms' } };
  const { gateway, upstream } = await gatewayBefore({ get: 'closes' }, config);

  const answer = await gateway.call('count');

  expect(answer.status).toBe(502);
  expect(answer.json.error.data).toMatchObject({ reason: 'initialize_failed', upstream: 'default' });
  upstream.behaviour.get = 'streams';
  expect((await gateway.call('count')).status).toBe(200);
});

test('the upstream sees the Host of its own URL, no Origin, and nothing of the client’s headers [A4 T12 T13 T14]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { upstream: { headers: { 'x-api-key': 'k' } } });

  await gateway.call('add', {}, 1, {
    cookie: 'c=1',
    authorization: 'Bearer x',
    'x-forwarded-for': '1.2.3.4',
    'last-event-id': '7',
  });

  const all = [upstream.gets[0]?.headers, ...upstream.received.map(({ headers }) => headers)];
  for (const headers of all.filter(isRecord)) {
    expect(headers).toMatchObject({ host: upstream.url.host, 'x-api-key': 'k' });
    for (const name of ['origin', 'cookie', 'authorization', 'x-forwarded-for', 'last-event-id']) {
      expect(headers).not.toHaveProperty(name);
    }
  }
  expect(upstream.gets[0]?.headers['accept-encoding']).toBe('identity');
});

test('a user and password in the URL become Basic authentication, on the stream and on every message', async () => {
  const upstream = await startLegacyServer({ endpoint: endpoints.relative });
  onTestFinished(() => upstream.close());
  const url = Object.assign(new URL(upstream.url), { username: 'us%20er', password: 'p:w' });
  const gateway = await startGateway(url);
  onTestFinished(() => gateway.close());

  await gateway.call('count');

  const sent = [upstream.gets[0], ...upstream.received].map((request) => request?.headers.authorization);
  expect(new Set(sent)).toEqual(new Set([`Basic ${Buffer.from('us er:p:w').toString('base64')}`]));
});
