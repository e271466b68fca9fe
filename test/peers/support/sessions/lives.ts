// A session from its opening to its end, in each mode of the gateway.
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Heard } from '../heard.ts';
import { ownServer } from '../legacy-peers.ts';
import { connectedClient, httpClient, type Sdk } from './client.ts';
import { announce, ownPlace, place, textOf, withModel, type PlaceOf } from './places.ts';

export function livesOf(sdk: Sdk, placeOf: PlaceOf = place): void {
  describe(`the session of SDK ${sdk}`, () => {
    const here = placeOf(ownServer);

    test.each(['2025-03-26', '2025-06-18', '2025-11-25'])(
      'is of revision %s when its client asks for that, and works both ways',
      async (revision) => {
        const { url } = here();
        const client = await connectedClient(sdk, url, {
          revision,
          capabilities: { ...withModel.capabilities, elicitation: {} },
          answers: { ...withModel.answers, 'elicitation/create': () => ({ action: 'decline' }) },
        });
        const progress: unknown[] = [];

        await client.call('test_tool_with_progress', {}, { onprogress: (each) => progress.push(each) });
        const sampled = await client.call('test_sampling', { prompt: 'Who are you?' });
        const elicited = await client.call('test_elicitation', { message: 'Who are you?' });
        await announce(client, 'notifications/tools/list_changed');
        await client.hears('notifications/tools/list_changed');

        expect(client.transport.protocolVersion).toBe(revision);
        expect(progress).toHaveLength(3);
        expect(textOf(sampled)).toContain('parrot');
        // [spec 2025-06-18 changelog] "Add support for elicitation".
        expect(textOf(elicited)).toContain(revision === '2025-03-26' ? 'no user to ask' : '"decline"');
        expect(client.errors).toEqual([]);
      },
    );

    test('of revision 2025-03-26 takes batches, and may take questions meanwhile', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url, { ...withModel, revision: '2025-03-26' });
      const answers = new Heard<unknown>();
      // The client of the SDK sends no batches, its transport does.
      const { transport } = client;
      const { onmessage } = transport;
      transport.onmessage = (message) => (isInBatch(message) ? answers.add(message) : onmessage?.(message));
      const call = (id: string, name: string, args: object): object => ({
        jsonrpc: '2.0',
        id,
        method: 'tools/call',
        params: { name, arguments: args },
      });

      await transport.send?.([
        call('batch 1', 'test_simple_text', {}),
        call('batch 2', 'test_sampling', { prompt: 'Who are you?' }),
      ]);
      const both = await answers.until((all) => (all.length >= 2 ? all : undefined), 'two answers');

      expect(both).toContainEqual(expect.objectContaining({ id: 'batch 1', result: expect.anything() }));
      expect(JSON.stringify(both)).toContain('parrot');
      expect(client.errors).toEqual([]);
    });

    test('is unknown after it was terminated; its client goes on without one', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);
      const { sessionId = 'none' } = client.transport;
      const heir = await connectedClient(sdk, url, { sessionId });

      const before = await heir.call('test_simple_text');
      await client.transport.terminateSession?.();
      const after = heir.call('test_simple_text');

      expect(textOf(before)).toBe('Some text.');
      await expect(after).rejects.toThrow(/session/i);
      expect(heir.requests.all.at(-1)).toMatchObject({ httpMethod: 'POST', status: 404 });
      expect(textOf(await client.call('test_simple_text'))).toBe('Some text.');
      expect(client.transport.sessionId).toBeUndefined();
      expect(client.errors).toEqual([]);
    });
  });
}

/** By what the gateway is told. */
export function modesOf(sdk: Sdk): void {
  describe(`the session of SDK ${sdk}`, () => {
    test('is the only way in with --mode session', async () => {
      const { url } = await ownPlace(ownServer, '--mode', 'session');
      const client = await connectedClient(sdk, url);

      const before = await client.call('test_simple_text');
      await client.transport.terminateSession?.();
      const after = client.call('test_simple_text');

      expect(textOf(before)).toBe('Some text.');
      await expect(after).rejects.toThrow(/session/i);
      expect(client.requests.all.at(-1)).toMatchObject({ httpMethod: 'POST', status: 400 });
    });

    test('is not opened with --mode stateless, and its client works without', async () => {
      const { url } = await ownPlace(ownServer, '--mode', 'stateless');
      const client = await httpClient(sdk, url, withModel);
      const progress: unknown[] = [];

      await client.sdk.connect(client.transport);
      await client.call('test_tool_with_progress', {}, { onprogress: (each) => progress.push(each) });
      const sampled = await client.call('test_sampling', { prompt: 'Who are you?' });
      const refused = await client.requests.until(
        (all) => all.find(({ httpMethod, status }) => httpMethod === 'GET' && status !== undefined),
        'GET that is answered',
      );

      expect(client.transport.sessionId).toBeUndefined();
      expect(progress).toHaveLength(3);
      expect(textOf(sampled)).toContain('no language model');
      expect(refused).toMatchObject({ status: 405 });
      expect(client.errors).toEqual([]);
    });

    test('is asked its own questions when it shares the only link with another one', async () => {
      const { url } = await ownPlace(ownServer, '--single');
      const both = await Promise.all(
        ['one', 'other'].map((model) =>
          connectedClient(sdk, url, {
            capabilities: { sampling: {} },
            answers: {
              'sampling/createMessage': () => ({ role: 'assistant', model, content: { type: 'text', text: 'Hello.' } }),
            },
          }),
        ),
      );

      const calls = both.flatMap((client) =>
        [1, 2, 3].map((each) => client.call('test_sampling', { prompt: `${each}` })),
      );
      const models = (await Promise.all(calls)).map((result) => /"model":"(\w+)"/.exec(textOf(result))?.[1]);

      expect(models).toEqual(['one', 'one', 'one', 'other', 'other', 'other']);
      expect(both.flatMap(({ errors }) => errors)).toEqual([]);
    });
  });
}

const batched = z.object({ id: z.string().startsWith('batch ') });

function isInBatch(message: unknown): boolean {
  return batched.safeParse(message).success;
}
