// What a client of 2026-07-28 does and hears, before a server that speaks an older revision over HTTP+SSE.
import { describe, expect, test } from 'vitest';
import type { LegacyCall } from '../../../support/legacy-behaviour.ts';
import type { LegacyServer } from '../../../support/legacy-server.ts';
import { modernClient, type ClientOptions, type ModernSdk, type SessionClient } from '../sessions/client.ts';
import { parrot, textOf } from '../sessions/places.ts';
import { countedBeyond, linksMin, scriptedPlace, within } from './places.ts';

const logLevel = 'io.modelcontextprotocol/logLevel';
const roots = { roots: [{ uri: 'file:///home/ann', name: 'home' }] };
const watched = 'test://one';

/** A client with a user, a model and roots. The user writes the same into every field. */
export function askable(userSays = 'Ann'): ClientOptions & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    capabilities: { elicitation: {}, sampling: {}, roots: {} },
    answers: {
      'elicitation/create': (params) => {
        asked.push(String(params['message']));
        return { action: 'accept', content: Object.fromEntries(fieldsIn(params).map((field) => [field, userSays])) };
      },
      'sampling/createMessage': (params, about) => {
        asked.push('the model');
        return parrot(params, about);
      },
      'roots/list': () => {
        asked.push('the roots');
        return roots;
      },
    },
  };
}

function fieldsIn({ requestedSchema }: Readonly<Record<string, unknown>>): readonly string[] {
  const isObject = typeof requestedSchema === 'object' && requestedSchema !== null;
  return isObject && 'required' in requestedSchema && Array.isArray(requestedSchema.required)
    ? requestedSchema.required.map(String)
    : [];
}

/** What the tool was answered. */
function answered(...answers: readonly unknown[]): object {
  return { structuredContent: { answers } };
}

function accepted(content: object): object {
  return { action: 'accept', content };
}

const parroted = {
  role: 'assistant',
  model: 'parrot',
  content: { type: 'text', text: expect.stringContaining('there?') },
};

function callsOf(upstream: LegacyServer, tool: string): number {
  return upstream.received.filter(({ message }) => message.method === 'tools/call' && message.params?.['name'] === tool)
    .length;
}

export function modernStoriesOf(sdk: ModernSdk, protocolVersion: string): void {
  describe(`SDK ${sdk} before a server of ${protocolVersion}`, () => {
    const here = scriptedPlace(protocolVersion);
    const connected = (options?: ClientOptions): Promise<SessionClient> => modernClient(sdk, here().url, options);

    test('the modern era is found by the first request, and nothing is opened', async () => {
      const client = await connected();

      expect(client.sdk.getProtocolEra?.()).toBe('modern');
      expect(client.requests.all).toMatchObject([{ message: 'server/discover', status: 200 }]);
      expect(client.transport.sessionId).toBeUndefined();
      expect(await client.sdk.discover?.()).toMatchObject({
        supportedVersions: expect.arrayContaining(['2026-07-28']),
        capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
      });
    });

    test('lists are listed, and a resource is read', async () => {
      const client = await connected();

      const { tools } = await client.sdk.listTools();
      const { prompts } = await client.sdk.listPrompts();
      const { resources } = await client.sdk.listResources();
      const read = await client.sdk.readResource({ uri: watched });

      expect(tools.map(({ name }) => name)).toContain('asksName');
      expect(prompts).toMatchObject([{ name: 'letter' }]);
      expect(resources).toMatchObject([{ uri: watched }]);
      expect(read).toMatchObject({ contents: [{ uri: watched, text: 'read' }] });
      expect(client.errors).toEqual([]);
    });

    test('progress reaches the callback of its call, in order', async () => {
      const client = await connected();
      const progress: unknown[] = [];

      const result = await client.call('works', {}, { onprogress: (each) => progress.push(each) });

      expect(progress).toMatchObject([1, 2, 3].map((done) => ({ progress: done, total: 3 })));
      expect(textOf(result)).toBe('worked');
      expect(client.errors).toEqual([]);
    });

    test('log messages are heard by a call that names a level, and no lower ones', async () => {
      const client = await connected();

      await client.call('logs');
      const byDefault = client.heard('notifications/message').length;
      await client.call('logs', {}, { meta: { [logLevel]: 'warning' } });
      const atWarning = client.heard('notifications/message');
      await client.call('logs');
      const afterwards = client.heard('notifications/message').length;

      expect(byDefault).toBe(0);
      expect(atWarning).toEqual([
        { level: 'warning', data: 'at warning' },
        { level: 'error', data: 'at error' },
      ]);
      expect(afterwards).toBe(2);
      expect(client.errors).toEqual([]);
    });

    test.each([
      { asks: 'the user', tool: 'asksName', hears: ['your name?'], gets: [accepted({ name: 'Ann' })] },
      { asks: 'the model', tool: 'asksModel', hears: ['the model'], gets: [parroted] },
      { asks: 'for the roots', tool: 'asksRoots', hears: ['the roots'], gets: [roots] },
      {
        asks: 'the user twice',
        tool: 'asksTwice',
        hears: ['your name?', 'your town?'],
        gets: [accepted({ name: 'Ann' }), accepted({ town: 'Ann' })],
      },
    ])('a tool asks $asks, in rounds of one call', async ({ tool, hears, gets }) => {
      const options = askable();
      const client = await connected(options);
      const { upstream } = here();
      const before = callsOf(upstream, tool);

      const result = await client.call(tool);

      expect(options.asked).toEqual(hears);
      expect(result).toMatchObject(answered(...gets));
      // The upstream has worked on one call, however often the client came.
      expect(callsOf(upstream, tool) - before).toBe(1);
      const posts = client.requests.all.filter(({ message }) => message === 'tools/call');
      expect(posts).toHaveLength(1 + hears.length);
      expect(client.errors).toEqual([]);
    });

    test('what a tool asks at once is asked in one round', async () => {
      const options = askable();
      const client = await connected(options);

      const result = await client.call('asksThree');

      expect(options.asked.toSorted()).toEqual(['the model', 'the roots', 'your name?']);
      expect(result).toMatchObject(answered(accepted({ name: 'Ann' }), parroted, roots));
      expect(client.requests.all.filter(({ message }) => message === 'tools/call')).toHaveLength(2);
      expect(client.errors).toEqual([]);
    });

    test('a prompt asks the user', async () => {
      const options = askable();
      const client = await connected(options);

      const result = await client.sdk.getPrompt({ name: 'letter' });

      expect(options.asked).toEqual(['your name?']);
      expect(result).toMatchObject({ messages: [{ content: { text: expect.stringContaining('"name":"Ann"') } }] });
      expect(client.errors).toEqual([]);
    });

    test.each(['decline', 'cancel'])('the user may %s', async (action) => {
      const client = await connected({
        capabilities: { elicitation: {} },
        answers: { 'elicitation/create': () => ({ action }) },
      });

      expect(await client.call('asksName')).toMatchObject(answered({ action }));
    });

    test('a client is told what it would have to declare', async () => {
      const client = await connected({ capabilities: { sampling: {} }, answers: { 'sampling/createMessage': parrot } });

      const refused = client.call('asksName');

      await expect(refused).rejects.toMatchObject({
        code: -32021,
        data: { requiredCapabilities: { elicitation: expect.anything() } },
      });
    });

    test('twelve calls that ask at once get their own answers', async () => {
      const clients = await Promise.all(Array.from({ length: 12 }, (_, index) => connected(askable(`user ${index}`))));

      const results = await Promise.all(clients.map((client) => client.call('asksTwice')));

      for (const [index, result] of results.entries()) {
        const says = `user ${index}`;
        expect(result).toMatchObject(answered(accepted({ name: says }), accepted({ town: says })));
      }
      expect(clients.flatMap(({ errors }) => errors)).toEqual([]);
    });

    test('twelve calls of one client that ask at once are all answered', async () => {
      const client = await connected(askable());

      const results = await Promise.all(Array.from({ length: 12 }, () => client.call('asksName')));

      expect(results).toHaveLength(12);
      for (const result of results) expect(result).toMatchObject(answered(accepted({ name: 'Ann' })));
      expect(client.errors).toEqual([]);
    });

    test('a listen hears of lists that have changed, once, and of no others', async () => {
      const { upstream } = here();
      const client = await connected();

      const { methods } = upstream.behaviour;

      const subscription = await client.sdk.listen?.({ toolsListChanged: true, promptsListChanged: true });
      for (const [kind, more] of [
        ['tools', { tools: [{ name: 'new', inputSchema: { type: 'object' } }] }],
        ['resources', { resources: [] }],
        ['prompts', { prompts: [] }],
      ] as const) {
        upstream.behaviour.methods = { ...upstream.behaviour.methods, [`${kind}/list`]: () => more };
        for (const stream of upstream.streams) {
          upstream.sendTo(stream, { jsonrpc: '2.0', method: `notifications/${kind}/list_changed` });
        }
        if (kind !== 'resources') await client.hears(`notifications/${kind}/list_changed`);
      }
      await subscription?.close();
      // Not before: a list that changes back has changed again.
      upstream.behaviour.methods = methods;

      expect(subscription?.honoredFilter).toEqual({ toolsListChanged: true, promptsListChanged: true });
      expect(client.heard('notifications/tools/list_changed')).toHaveLength(1);
      expect(client.heard('notifications/prompts/list_changed')).toHaveLength(1);
      expect(client.heard('notifications/resources/list_changed')).toEqual([]);
      expect(client.errors).toEqual([]);
    });

    test('a listen hears of the resources that it names', async () => {
      const { upstream } = here();
      const client = await connected();

      const subscription = await client.sdk.listen?.({ resourceSubscriptions: [watched] });
      const { message } = await within(upstream.nextRequest('resources/subscribe'), 'the upstream is asked');
      for (const uri of ['test://other', watched]) {
        for (const stream of upstream.streams) {
          upstream.sendTo(stream, { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } });
        }
      }
      await client.hears('notifications/resources/updated');
      await subscription?.close();
      await within(upstream.nextRequest('resources/unsubscribe'), 'the upstream is told that nobody listens any more');

      expect(message.params).toMatchObject({ uri: watched });
      expect(client.heard('notifications/resources/updated')).toMatchObject([{ uri: watched }]);
      expect(await subscription?.closed).toBe('local');
      expect(client.errors).toEqual([]);
    });

    test('a call that is aborted is cancelled upstream', async () => {
      const { upstream } = here();
      const client = await connected();
      const abort = new AbortController();

      const aborted = expect(client.call('slow', {}, { signal: abort.signal })).rejects.toThrow('not needed any more');
      const call = await within<LegacyCall>(upstream.nextCall('slow'), 'the call');
      abort.abort('not needed any more');
      await aborted;
      await within(call.cancelled, 'word that the call is cancelled');

      expect(textOf(await client.call('add', { a: 1, b: 2 }))).toBe('3');
      expect(client.errors).toEqual([]);
    });

    test('after all of it only the warm link is left, no call is held, and nothing failed', async () => {
      const { upstream, gateway } = here();
      const cancels = (): unknown[] =>
        upstream.received.filter(({ message }) => message.method === 'notifications/cancelled');

      // A call that is held, or not over, keeps its link.
      await within(upstream.whenStreams(linksMin), 'the end of all links but the warm one');
      const before = cancels().length;
      const client = await connected();
      const subscription = await client.sdk.listen?.({ toolsListChanged: true });
      await gateway.stop();
      await within(upstream.whenStreams(0), 'the end of the last link');

      expect(gateway.end).toEqual({ code: 0, signal: null });
      expect(await subscription?.closed).toBe('graceful');
      // What had been held would have been cancelled in the end.
      expect(cancels()).toHaveLength(before);
      expect(countedBeyond(['exchange.capability_missing'], gateway)).toEqual([]);
    });
  });
}
