// Clients of every revision before servers of every revision. What is shown here is printed in docs/compatibility.md: a line
// for each pair, a column for each test.

import { describe, expect, test } from 'vitest';
import { type Gateway, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, type Behaviour, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { type RevisionClient, type Wish, clientOf } from '../support/revision-clients.ts';
import { told } from '../support/session-client.ts';
import { PAIRS, type Pair, titleOf } from '../support/revisions.ts';

const WATCHED = 'file:///watched';

const METHODS: Readonly<Record<string, Answerer>> = {
  'prompts/list': () => ({ prompts: [{ name: 'letter' }] }),
  'resources/list': () => ({ resources: [{ uri: WATCHED, name: 'watched' }] }),
  'resources/templates/list': () => ({ resourceTemplates: [{ uriTemplate: 'file:///{name}', name: 'by name' }] }),
  'resources/subscribe': () => ({}),
  'resources/unsubscribe': () => ({}),
};

const TOOLS: Readonly<Record<string, Answerer>> = {
  works: (call) => {
    for (const done of [1, 2, 3]) call.progress(done, 3);
    return text('worked');
  },
  logs: (call) => {
    for (const level of ['info', 'error']) call.notify('notifications/message', { level, data: `at ${level}` });
    return text('logged');
  },
};

const QUESTIONS = {
  elicitation: {
    method: 'elicitation/create',
    params: { message: 'your name?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } },
    answer: { action: 'accept', content: { name: 'Ada' } },
  },
  sampling: {
    method: 'sampling/createMessage',
    params: { messages: [{ role: 'user', content: { type: 'text', text: 'Are you there?' } }], maxTokens: 10 },
    answer: { role: 'assistant', model: 'm', content: { type: 'text', text: 'Yes.' } },
  },
  roots: { method: 'roots/list', params: {}, answer: { roots: [{ uri: 'file:///home' }] } },
} as const;

interface World {
  readonly upstream: LegacyServer;
  readonly gateway: Gateway;
  readonly client: RevisionClient;
}

async function meeting({ client, upstream }: Pair, wish: Wish = {}): Promise<World> {
  const behaviour: Partial<Behaviour> = {
    protocolVersion: upstream,
    capabilities: {
      tools: { listChanged: true },
      prompts: {},
      resources: { subscribe: true },
      logging: {},
    },
    methods: METHODS,
    tools: TOOLS,
  };
  const world = await gatewayBefore(behaviour);
  // What revision the server speaks is known.
  await world.gateway.journal.until(({ fact }) => fact === 'upstream_up');
  return { ...world, client: await clientOf(world.gateway, client, wish) };
}

/** On every link, as servers do. */
function announce(upstream: LegacyServer, method: string, params: object = {}): void {
  for (const stream of upstream.streams) upstream.sendTo(stream, { jsonrpc: '2.0', method, params });
}

describe.each(PAIRS.map((pair) => ({ ...pair, title: titleOf(pair) })))('$title', (pair) => {
  test('lists', async () => {
    const { client } = await meeting(pair);

    const lists = [];
    for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']) {
      lists.push((await client.request(method)).answer.result);
    }

    expect(lists).toMatchObject([
      { tools: expect.arrayContaining([{ name: 'works', inputSchema: { type: 'object' } }]) },
      { prompts: [{ name: 'letter' }] },
      { resources: [{ uri: WATCHED }] },
      { resourceTemplates: [{ name: 'by name' }] },
    ]);
  });

  test('calls', async () => {
    const { client } = await meeting(pair);

    const { answer } = await client.request('tools/call', { name: 'add', arguments: { a: 1, b: 2 } });

    expect(answer).toMatchObject({ result: { content: [{ type: 'text', text: '3' }] } });
  });

  test('progress', async () => {
    const { client } = await meeting(pair, { progressToken: 'mine' });

    const { answer, heard } = await client.request('tools/call', { name: 'works', arguments: {} });

    const params = [1, 2, 3].map((progress) => ({ progressToken: 'mine', progress, total: 3 }));
    expect(heard).toMatchObject(params.map((each) => ({ method: 'notifications/progress', params: each })));
    expect(answer).toMatchObject({ result: { content: [{ text: 'worked' }] } });
  });

  test('logs', async () => {
    const { client, upstream } = await meeting(pair, { logLevel: 'error' });

    const { heard } = await client.request('tools/call', { name: 'logs', arguments: {} });

    const level = await upstream.nextRequest('logging/setLevel');
    expect(level.message.params).toMatchObject({ level: 'error' });
    expect(heard).toContainEqual(
      expect.objectContaining({ method: 'notifications/message', params: { level: 'error', data: 'at error' } }),
    );
  });

  // [spec 2025-06-18 changelog] "Add support for elicitation": an older client cannot be asked.
  if (pair.client === '2025-03-26') {
    test('elicitation: refused', async () => {
      const { method, params, answer } = QUESTIONS.elicitation;
      const { client } = await meeting(pair, { answers: { [method]: answer } });

      const called = await client.request('tools/call', {
        name: 'ask',
        arguments: { questions: [{ method, params }] },
      });

      expect(called.asked).toEqual([]);
      expect(called.answer.result).toMatchObject({ structuredContent: { replies: [{ error: { code: -32601 } }] } });
    });
  }
  const questions = Object.entries(QUESTIONS).filter(
    ([kind]) => kind !== 'elicitation' || pair.client !== '2025-03-26',
  );

  test.each(questions)('%s', async (_kind, { method, params, answer }) => {
    const { client } = await meeting(pair, { answers: { [method]: answer } });

    const called = await client.request('tools/call', { name: 'ask', arguments: { questions: [{ method, params }] } });

    expect(called.asked).toMatchObject([{ method }]);
    expect(called.answer.result).toMatchObject({ structuredContent: { replies: [{ result: answer }] } });
  });

  test('list changes', async () => {
    const { client, upstream } = await meeting(pair);
    const stream = await client.listen(WATCHED);

    upstream.behaviour.tools = { ...upstream.behaviour.tools, more: () => text('more') };
    announce(upstream, 'notifications/tools/list_changed');
    const { json } = await told(stream);

    expect(json).toMatchObject({ method: 'notifications/tools/list_changed' });
  });

  test('resource updates', async () => {
    const { client, upstream } = await meeting(pair);
    const stream = await client.listen(WATCHED);

    announce(upstream, 'notifications/resources/updated', { uri: WATCHED });
    const { json } = await told(stream);

    expect((await upstream.nextRequest('resources/subscribe')).message.params).toMatchObject({ uri: WATCHED });
    expect(json).toMatchObject({ method: 'notifications/resources/updated', params: { uri: WATCHED } });
  });

  test('cancels', async () => {
    const { client, upstream } = await meeting(pair);

    const cancel = client.begin('tools/call', { name: 'slow', arguments: {} });
    const call = await upstream.nextCall('slow');
    await cancel();

    await expect(call.cancelled).resolves.toBeUndefined();
  });
});
