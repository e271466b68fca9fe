// The official demonstration server as a client of 2026-07-28 finds it: what it offers depends on what the client declares.
import { describe, expect, test } from 'vitest';
import { modernClient, type ClientOptions, type ModernSdk, type SessionClient } from '../sessions/client.ts';
import { textOf } from '../sessions/places.ts';
import type { WatchedChild } from '../../../support/watched-child.ts';
import { countedBeyond, everythingPlace, linksMin } from './places.ts';
import { askable } from './stories.ts';

const watched = 'demo://resource/dynamic/text/1';

export function modernDemonstrationOf(sdk: ModernSdk): void {
  describe(`SDK ${sdk} before server-everything`, () => {
    const here = everythingPlace();
    const connected = (options?: ClientOptions): Promise<SessionClient> => modernClient(sdk, here().url, options);

    test('it is found to be modern, and offers the tools that ask to clients that can be asked', async () => {
      const plain = await connected();
      const able = await connected(askable());

      const [plainTools, ableTools] = await Promise.all([plain, able].map((client) => toolsOf(client)));
      const refused = await plain.call('trigger-elicitation-request').catch((error: unknown) => error);

      expect([plain, able].map((client) => client.sdk.getProtocolEra?.())).toEqual(['modern', 'modern']);
      expect(plainTools).not.toContain('trigger-elicitation-request');
      expect(ableTools).toEqual(
        expect.arrayContaining(['trigger-elicitation-request', 'trigger-sampling-request', 'get-roots-list']),
      );
      expect(JSON.stringify(refused)).toContain('not found');
      expect([...plain.errors, ...able.errors]).toEqual([]);
    });

    test('progress keeps a call alive for longer than its timeout', async () => {
      const client = await connected();
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

    test('its tools ask the user, the model and for the roots, in rounds', async () => {
      const options = askable();
      const client = await connected(options);

      const elicited = await client.call('trigger-elicitation-request');
      const sampled = await client.call('trigger-sampling-request', { prompt: 'Who are you?' });
      const listed = await client.call('get-roots-list');

      expect(textOf(elicited)).toContain('User provided the requested information');
      expect(textOf(sampled)).toMatch(/parrot[^]*Who are you\?/);
      expect(textOf(listed)).toContain('file:///home/ann');
      expect(options.asked).toEqual(
        expect.arrayContaining([expect.stringContaining('inputs'), 'the model', 'the roots']),
      );
      expect(client.errors).toEqual([]);
    });

    test.each([
      { how: 'in mid-call', errorPath: false },
      { how: 'by an error of the call, which is made again', errorPath: true },
    ])('a user is sent to a page $how', async ({ errorPath }) => {
      const pages: unknown[] = [];
      const client = await connected({
        capabilities: { elicitation: { url: {} } },
        answers: {
          'elicitation/create': ({ mode, url }) => {
            pages.push({ mode, url });
            return { action: 'accept' };
          },
        },
      });
      const url = `https://example.com/${errorPath ? 'error' : 'question'}`;

      const result = await client.call('trigger-url-elicitation', { url, errorPath });

      expect(pages).toContainEqual({ mode: 'url', url });
      expect(result).not.toHaveProperty('isError');
      expect(client.errors).toEqual([]);
    });

    test('twelve calls that ask at once get their own answers', async () => {
      const clients = await Promise.all(Array.from({ length: 12 }, (_, index) => connected(askable(`user ${index}.`))));

      const results = await Promise.all(clients.map((client) => client.call('trigger-elicitation-request')));

      for (const [index, result] of results.entries()) expect(JSON.stringify(result)).toContain(`user ${index}.`);
      expect(clients.flatMap(({ errors }) => errors)).toEqual([]);
    });

    test('a listen hears of a resource that is updated, and of resources that a tool makes', async () => {
      const client = await connected();

      const subscription = await client.sdk.listen?.({ resourcesListChanged: true, resourceSubscriptions: [watched] });
      await client.call('toggle-subscriber-updates');
      const updated = await client.hears('notifications/resources/updated');
      await client.call('gzip-file-as-resource', { name: `${sdk}.gz`, data: 'data:text/plain,hello' });
      await client.hears('notifications/resources/list_changed');
      const { resources } = await client.sdk.listResources();
      await subscription?.close();

      expect(subscription?.honoredFilter).toEqual({ resourcesListChanged: true, resourceSubscriptions: [watched] });
      expect(updated).toMatchObject([{ uri: watched }]);
      expect(resources).toContainEqual(expect.objectContaining({ uri: `demo://resource/session/${sdk}.gz` }));
      expect(client.errors).toEqual([]);
    });

    test('what it logs while it works on a call is heard by the call that names a level', async () => {
      const client = await connected();

      await client.call('toggle-simulated-logging', {}, { meta: { 'io.modelcontextprotocol/logLevel': 'debug' } });

      const logged = expect.objectContaining({ data: expect.stringContaining('SessionId') });
      expect(client.heard('notifications/message')).toContainEqual(logged);
      expect(client.errors).toEqual([]);
    });

    test('a call that is aborted leaves nothing behind', async () => {
      const client = await connected();
      const abort = new AbortController();

      const call = client.call(
        'trigger-long-running-operation',
        { duration: 60, steps: 600 },
        { signal: abort.signal, onprogress: () => abort.abort('not needed any more') },
      );

      await expect(call).rejects.toThrow('not needed any more');
      expect(textOf(await client.call('echo', { message: 'still here' }))).toBe('Echo: still here');
      expect(client.errors).toEqual([]);
    });

    test('after all of it only the warm link is left, no call is held, and nothing failed', async () => {
      const { upstream, gateway } = here();

      // A call that is held, or not over, keeps its link.
      await upstream.printed((child) => openStreams(child) <= linksMin || undefined, 'end of all links but one');
      await gateway.stop();
      await upstream.printed((child) => openStreams(child) === 0 || undefined, 'end of the last link');

      expect(gateway.end).toEqual({ code: 0, signal: null });
      expect(countedBeyond([], gateway)).toEqual([]);
    });
  });
}

async function toolsOf(client: SessionClient): Promise<readonly string[]> {
  const { tools } = await client.sdk.listTools();
  return tools.map(({ name }) => name);
}

/** It tells of each stream when it comes and when it goes. */
function openStreams({ stderr }: WatchedChild): number {
  return stderr.split('Client Connected: ').length - stderr.split('Client Disconnected: ').length;
}
