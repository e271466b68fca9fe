// The official demonstration server as it is: what it says and asks by itself, and its tools that do.
import { describe, expect, test } from 'vitest';
import { everything } from '../legacy-peers.ts';
import { connectedClient, type Sdk } from './client.ts';
import { place, parrot, textOf } from './places.ts';

export function demonstrationOf(sdk: Sdk): void {
  describe(`SDK ${sdk} before server-everything`, () => {
    const here = place(everything);

    test('progress keeps a call alive for longer than its timeout', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);
      const progress: unknown[] = [];

      const result = await client.call(
        'trigger-long-running-operation',
        { duration: 1.8, steps: 3 },
        { timeout: 1_300, resetTimeoutOnProgress: true, onprogress: (each) => progress.push(each) },
      );

      expect(textOf(result)).toContain('completed');
      expect(progress).toMatchObject([1, 2, 3].map((done) => ({ progress: done, total: 3 })));
      expect(client.errors).toEqual([]);
    });

    test('it asks for the roots by itself, and again when the client says that they have changed', async () => {
      const { url } = here();
      const roots = [{ uri: 'file:///one', name: 'one' }];
      const client = await connectedClient(sdk, url, {
        capabilities: { roots: { listChanged: true } },
        answers: { 'roots/list': () => ({ roots }) },
      });

      const first = await client.hears('notifications/message');
      roots.push({ uri: 'file:///two', name: 'two' });
      await client.sdk.sendRootsListChanged();
      const second = await client.hears('notifications/message', 2);
      const listed = await client.call('get-roots-list');

      expect(first).toMatchObject([{ data: 'Roots updated: 1 root(s) received from client' }]);
      expect(second[1]).toMatchObject({ data: 'Roots updated: 2 root(s) received from client' });
      expect(textOf(listed)).toContain('file:///two');
      expect(client.errors).toEqual([]);
    });

    test('its tools that ask back are offered to clients that can be asked, and ask', async () => {
      const { url } = here();
      const plain = await connectedClient(sdk, url);
      const able = await connectedClient(sdk, url, {
        capabilities: { sampling: {}, elicitation: { form: {}, url: {} } },
        answers: {
          'sampling/createMessage': parrot,
          'elicitation/create': ({ mode }) => (mode === 'url' ? { action: 'decline' } : { action: 'cancel' }),
        },
      });
      const asking = ['trigger-sampling-request', 'trigger-elicitation-request', 'trigger-url-elicitation'];

      const offered = await Promise.all([plain, able].map(async ({ sdk: each }) => names(await each.listTools())));
      const sampled = await able.call('trigger-sampling-request', { prompt: 'Who are you?' });
      const elicited = await able.call('trigger-elicitation-request');
      const visited = await able.call('trigger-url-elicitation', { url: 'https://example.com/' });

      expect(offered[0]).not.toEqual(expect.arrayContaining([expect.stringMatching(/sampling|elicitation/)]));
      expect(offered[1]).toEqual(expect.arrayContaining(asking));
      expect(textOf(sampled)).toContain('parrot');
      expect(textOf(elicited)).toMatch(/cancelled/);
      expect(textOf(visited)).toMatch(/declined/);
      expect([...plain.errors, ...able.errors]).toEqual([]);
    });

    test('a resource that is subscribed to is heard of, one that is not any more is not', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);
      const [kept, dropped] = [1, 2].map((id) => ({ uri: `demo://resource/dynamic/text/${id}` }));

      await client.sdk.subscribeResource({ ...kept });
      await client.sdk.subscribeResource({ ...dropped });
      await client.call('toggle-subscriber-updates');
      const both = await client.hears('notifications/resources/updated', 2);
      await client.sdk.unsubscribeResource({ ...dropped });
      for (let turn = 0; turn < 2; turn += 1) await client.call('toggle-subscriber-updates');
      const later = await client.hears('notifications/resources/updated', 3);
      const read = await client.sdk.readResource({ ...kept });

      expect(both).toMatchObject([kept, dropped]);
      expect(later.slice(2)).toMatchObject([kept]);
      expect(read).toMatchObject({ contents: [kept] });
      expect(client.errors).toEqual([]);
    });

    test('a resource that a tool makes is announced, linked and read', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);

      const result = await client.call('gzip-file-as-resource', {
        name: 'greeting.gz',
        data: 'data:text/plain,hello',
        outputType: 'resourceLink',
      });
      await client.hears('notifications/resources/list_changed');
      const uri = 'demo://resource/session/greeting.gz';
      const { resources } = await client.sdk.listResources();
      const read = await client.sdk.readResource({ uri });

      expect(result).toMatchObject({ content: [{ type: 'resource_link', uri }] });
      expect(resources).toContainEqual(expect.objectContaining({ uri }));
      expect(read).toMatchObject({ contents: [{ uri, mimeType: 'application/gzip' }] });
      expect(client.errors).toEqual([]);
    });

    test('what one argument is decides how another is completed', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);

      const completed = await client.sdk.complete({
        ref: { type: 'ref/prompt', name: 'completable-prompt' },
        argument: { name: 'name', value: '' },
        context: { arguments: { department: 'Sales' } },
      });

      expect(completed).toMatchObject({ completion: { values: ['David', 'Eve', 'Frank'] } });
    });

    test('what it logs between calls comes on the stream', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);

      await client.sdk.setLoggingLevel('debug');
      await client.call('toggle-simulated-logging');
      const [logged] = await client.hears('notifications/message');

      expect(logged).toMatchObject({ level: expect.any(String), data: expect.stringContaining('SessionId') });
      expect(client.errors).toEqual([]);
    });
  });
}

function names({ tools }: { readonly tools: readonly { readonly name: string }[] }): readonly string[] {
  return tools.map(({ name }) => name);
}
