// Real servers of the old transport behind the gateway, each played byte for byte from test/fixtures/servers. What is
// shown here is printed in docs/compatibility.md: a line for each framework, a column for each test.

import { describe, expect, onTestFinished, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type FrameworkServer, playFramework } from '../support/framework-server.ts';
import { FRAMEWORKS, type Framework, filled, wordsOf } from '../support/frameworks.ts';
import { type Gateway, type GatewayConfig, startGateway } from '../support/gateway.ts';
import { openOldClient } from '../support/old-client.ts';
import { IN, listen } from '../support/session-client.ts';

const CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}';
const ARGS = { text: '\r\n<id>', number: 1.5 };

async function behind(framework: Framework, config: GatewayConfig = {}): Promise<[FrameworkServer, Gateway]> {
  const upstream = await playFramework(framework);
  const gateway = await startGateway(upstream.url, config);
  onTestFinished(() => gateway.close());
  return [upstream, gateway];
}

/** What the tool `count` says: the calls of it on one upstream session. */
async function count(gateway: Gateway, session?: string): Promise<string> {
  const { json, text } = await gateway.call('count', {}, 1, session === undefined ? {} : IN(session));
  return json?.result?.content[0].text ?? text;
}

/** Calls the tool `echo`: progress comes first, then the arguments as they were. */
async function expectEcho(gateway: Gateway, { post }: Framework, sessionId?: string): Promise<void> {
  const params = { name: 'echo', arguments: ARGS, _meta: { progressToken: 'mine' } };
  const body = { jsonrpc: '2.0', id: 'mine', method: 'tools/call', params };
  const reply = await openEvents(gateway, { body, ...(sessionId !== undefined && { sessionId }) });
  const answer = { id: 'mine', result: { structuredContent: ARGS } };
  const told = (await reply.rest()).map(({ json }) => json);
  if (post.body.includes('<answer>')) {
    // On a socket of its own the answer may come before the progress, and then it counts.
    expect(told.at(-1) ?? JSON.parse(await reply.body())).toMatchObject(answer);
    return;
  }
  const progress = { method: 'notifications/progress', params: { progressToken: 'mine', progress: 1 } };
  expect(told).toMatchObject([progress, answer]);
}

/** Where the messages went: nowhere but where an endpoint event said. */
function expectExactUrls(upstream: FrameworkServer, framework: Framework, sessions: readonly string[]): void {
  const announced = sessions.map((session) => wordsOf(framework, session, upstream.url.origin)['endpoint'] ?? '');
  // A `?` with nothing behind it is no query, and is not sent.
  const targets = announced.map((endpoint) => new URL(endpoint, upstream.url)).map((url) => url.pathname + url.search);
  expect(targets).toEqual(expect.arrayContaining([...new Set(upstream.received.map(({ url }) => url))]));
}

describe.each(FRAMEWORKS)('$name', (framework) => {
  const { keepAlive, lost, strays } = framework;

  test('sessions are served [G1 G3 G8 G15]', async () => {
    const [upstream, gateway] = await behind(framework, { links: { min: 0 } });
    const session = await gateway.openSession();
    const sessions = upstream.streams.map((stream) => stream.session);
    const stream = await listen(gateway, session);

    const list = await gateway.post({ jsonrpc: '2.0', id: 2, method: 'tools/list' }, IN(session));
    const counted = [await count(gateway, session), await count(gateway, session)];
    await expectEcho(gateway, framework, session);
    upstream.notify(CHANGED);

    expect(list.json.result.tools).toMatchObject([{ name: 'count' }, { name: 'echo' }]);
    expect(counted).toEqual(['1', '2']);
    await stream.until(({ json }) => json?.method === 'notifications/tools/list_changed');
    expect(upstream.received.slice(0, 2).map(({ message }) => message.method)).toEqual([
      'initialize',
      'notifications/initialized',
    ]);
    expect(upstream.posted('tools/call')).toHaveLength(3);
    expectExactUrls(upstream, framework, sessions);
    expect(new Set(upstream.received.map(({ type }) => type))).toEqual(new Set(['application/json']));
  });

  test('requests without a session are served [E2 G8 G15]', async () => {
    const [upstream, gateway] = await behind(framework);

    const counted = [await count(gateway), await count(gateway)];
    await expectEcho(gateway, framework);

    expect(counted).toEqual(['1', '2']);
    expect(upstream.posted('tools/call')).toHaveLength(3);
    expectExactUrls(
      upstream,
      framework,
      upstream.streams.map((stream) => stream.session),
    );
  });

  test('clients of HTTP+SSE are served, with nothing changed but the announced URL', async () => {
    const [upstream, gateway] = await behind(framework, { links: { min: 0 } });
    const client = await openOldClient(gateway.origin);
    const ours = await client.endpoint();
    const [stream] = upstream.streams;
    const { endpoint = '' } = wordsOf(framework, stream?.session ?? '', upstream.url.origin);

    const raw = '{"jsonrpc":"2.0", "id": 1e0, "method":"tools/call","params":{"name":"count"}}';
    const answer = await client.post(raw, { 'content-type': 'application/json; charset=utf-8' });
    upstream.keepAlive();
    upstream.notify(CHANGED);

    const expected = Buffer.from((stream?.sent ?? '').replace(endpoint, ours));
    await client.untilBytes(expected.length);
    expect(client.bytes).toEqual(expected);
    expect(upstream.received).toMatchObject([{ raw, type: 'application/json; charset=utf-8' }]);
    expectExactUrls(upstream, framework, [stream?.session ?? '']);
    const { post } = framework;
    const body = filled(post.body, {
      answer: '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"1"}]}}',
    });
    expect([answer.status, answer.body.toString()]).toEqual([post.status, body]);
    expect(ours).toMatch(/^\/messages\?token=[\w-]+$/);
  });

  test.runIf(keepAlive.length > 0)('it keeps streams alive, and its pings are answered [G9]', async () => {
    const [upstream, gateway] = await behind(framework);
    const session = await gateway.openSession();
    await count(gateway, session);
    await count(gateway);

    const pings = upstream.keepAlive();
    await Promise.all(
      pings.map(({ session: of, id }) =>
        upstream.until(({ message, url }) => message.id === id && message.method === undefined && url.endsWith(of)),
      ),
    );

    const answers = upstream.received.filter(({ message }) => message.method === undefined);
    expect(answers.map(({ message }) => message)).toEqual(pings.map(({ id }) => ({ jsonrpc: '2.0', id, result: {} })));
    expect(gateway.journal.dropped('unreadable_message')).toBe(0);
    const hasOwnCount = framework.delivery !== 'all' && framework.session !== 'none';
    expect(await count(gateway, session)).toBe(hasOwnCount ? '2' : '3');
  });

  test.runIf(lost !== null && lost.status !== 503)(
    'when it has lost a session: what it refused is sent once more [G16]',
    async () => {
      const [upstream, gateway] = await behind(framework);
      const session = await gateway.openSession();
      await count(gateway, session);
      await count(gateway);

      upstream.forget();

      expect([await count(gateway, session), await count(gateway)]).toEqual(['1', '1']);
      expect(upstream.posted('tools/call')).toHaveLength(6);
    },
  );

  test.runIf(lost?.status === 503)(
    'when it has lost a session: the call may have run, those after it are served [G16]',
    async () => {
      const [upstream, gateway] = await behind(framework);
      const session = await gateway.openSession();
      await count(gateway, session);

      upstream.forget();
      const answer = await gateway.call('count', {}, 1, IN(session));

      expect(answer.json.error.data).toMatchObject({ reason: 'post_failed', outcome: 'unknown' });
      expect(await count(gateway, session)).toBe('1');
      expect(await count(gateway)).toBe('2');
      expect(upstream.posted('tools/call')).toHaveLength(4);
    },
  );

  test.runIf(lost !== null)('clients of HTTP+SSE hear of a lost session in its own words', async () => {
    const [upstream, gateway] = await behind(framework, { links: { min: 0 } });
    const client = await openOldClient(gateway.origin);
    await client.endpoint();
    const session = upstream.streams[0]?.session ?? '';

    upstream.forget();
    const answer = await client.post('{"jsonrpc":"2.0","id":1,"method":"ping"}');

    expect([answer.status, answer.body.toString()]).toEqual([lost?.status, filled(lost?.body ?? '', { session })]);
  });

  test.runIf(strays !== undefined)('it sends errors that answer nobody, and nobody hears them', async () => {
    const [upstream, gateway] = await behind(framework);
    const session = await gateway.openSession();
    const links = upstream.streams.length;

    for (const stray of strays ?? []) upstream.notify(stray);

    expect(await count(gateway, session)).toBe('1');
    expect(upstream.streams).toHaveLength(links);
  });
});

test.each(FRAMEWORKS.filter(({ unknownMethod }) => unknownMethod !== undefined))(
  '$name refuses a method that it does not know by its status: the client hears that at once, and the link is kept',
  async (framework) => {
    const [upstream, gateway] = await behind(framework);
    const session = await gateway.openSession();
    await count(gateway, session);

    const answer = await gateway.post({ jsonrpc: '2.0', id: 7, method: 'x/unknown' }, IN(session));

    expect(answer.json).toMatchObject({ id: 7, error: { data: { reason: 'post_rejected', outcome: 'not_executed' } } });
    expect(await count(gateway, session)).toBe('2');
    expect(upstream.posted('x/unknown')).toHaveLength(1);
  },
);
