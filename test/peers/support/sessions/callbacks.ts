// Every callback of a client, before the project's own server: it does on demand what a server may do.
import { describe, expect, test } from 'vitest';
import { ownServer } from '../legacy-peers.ts';
import { connectedClient, type Sdk } from './client.ts';
import {
  abortedCall,
  announce,
  isCancelled,
  place,
  lastingCall,
  parrot,
  release,
  textOf,
  withModel,
  type PlaceOf,
} from './places.ts';

export function callbacksOf(sdk: Sdk, placeOf: PlaceOf = place): void {
  describe(`SDK ${sdk} before the project's own server`, () => {
    const here = placeOf(ownServer);

    test('progress reaches the callback of its call, in order', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);
      const progress: unknown[] = [];

      const result = await client.call('test_tool_with_progress', {}, { onprogress: (each) => progress.push(each) });

      expect(progress).toMatchObject([0, 50, 100].map((done) => ({ progress: done, total: 100 })));
      expect(textOf(result)).toBe('Reported progress three times.');
      expect(client.errors).toEqual([]);
    });

    test('log messages reach the handler, and only those of the level that was set', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);

      await client.call('test_tool_with_logging');
      const byDefault = client.heard('notifications/message').length;
      await client.sdk.setLoggingLevel('warning');
      await client.call('test_tool_with_logging');
      const atWarning = client.heard('notifications/message').length - byDefault;
      await client.sdk.setLoggingLevel('info');
      await client.call('test_tool_with_logging');
      const atInfo = client.heard('notifications/message').length - byDefault - atWarning;

      expect({ byDefault, atWarning, atInfo }).toEqual({ byDefault: 3, atWarning: 0, atInfo: 3 });
      expect(client.heard('notifications/message')[0]).toMatchObject({ level: 'info', data: 'about to begin' });
      expect(client.errors).toEqual([]);
    });

    test('a tool asks the model of the client', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url, withModel);

      const result = await client.call('test_sampling', { prompt: 'Who are you?' });

      expect(textOf(result)).toMatch(/parrot.*Who are you\?/);
      expect(client.errors).toEqual([]);
    });

    test.each([
      { action: 'accept', content: { username: 'ann', email: 'ann@example.com' } },
      { action: 'decline' },
      { action: 'cancel' },
    ])('a tool asks the user, who may $action', async (answer) => {
      const { url } = here();
      const asked: unknown[] = [];
      const client = await connectedClient(sdk, url, {
        capabilities: { elicitation: {} },
        answers: {
          'elicitation/create': (params) => {
            asked.push(params);
            return answer;
          },
        },
      });

      const result = await client.call('test_elicitation', { message: 'Who are you?' });

      expect(asked).toMatchObject([{ message: 'Who are you?', requestedSchema: { required: ['username', 'email'] } }]);
      expect(textOf(result)).toBe(`The user answered: ${JSON.stringify(answer)}`);
      expect(client.errors).toEqual([]);
    });

    test('only the client whose user was sent to a page hears that the user is done there', async () => {
      const { url } = here();
      const asked: unknown[] = [];
      const withBrowser = {
        capabilities: { elicitation: { url: {} } },
        answers: {
          'elicitation/create': (params: unknown) => {
            asked.push(params);
            return { action: 'accept' };
          },
        },
      };
      const client = await connectedClient(sdk, url, withBrowser);
      const other = await connectedClient(sdk, url, withBrowser);
      const page = { elicitationId: 'sign-in-1', url: 'https://example.com/sign-in' };

      const result = await client.call('test_url_elicitation', page);
      await announce(other, 'notifications/elicitation/complete', { elicitationId: page.elicitationId });
      await announce(other, 'notifications/tools/list_changed');
      await Promise.all([client, other].map((each) => each.hears('notifications/tools/list_changed')));

      expect(asked).toMatchObject([{ mode: 'url', ...page }]);
      expect(textOf(result)).toContain('{"action":"accept"}');
      expect(client.heard('notifications/elicitation/complete')).toMatchObject([{ elicitationId: 'sign-in-1' }]);
      expect(other.heard('notifications/elicitation/complete')).toEqual([]);
      expect([...client.errors, ...other.errors]).toEqual([]);
    });

    test('a call that needs a page to be visited first fails with the page, and the client hears when that is done', async () => {
      const { server, url } = here();
      const client = await connectedClient(sdk, url, {
        capabilities: { elicitation: { url: {} } },
        answers: { 'elicitation/create': () => ({ action: 'accept' }) },
      });
      const other = await connectedClient(sdk, url);

      const { call, name } = await lastingCall(client, server);
      const failed = expect(call).rejects.toMatchObject({
        code: -32042,
        data: { elicitations: [{ mode: 'url', elicitationId: 'sign-in-2' }] },
      });
      await release(other, name, { urlElicitation: 'sign-in-2' });
      await failed;
      await announce(other, 'notifications/elicitation/complete', { elicitationId: 'sign-in-2' });
      await announce(other, 'notifications/tools/list_changed');
      await client.hears('notifications/tools/list_changed');

      expect(client.heard('notifications/elicitation/complete')).toMatchObject([{ elicitationId: 'sign-in-2' }]);
      expect(client.errors).toEqual([]);
    });

    test('lists that change are announced on the stream of a client that has no call open', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);
      const other = await connectedClient(sdk, url);

      for (const kind of ['tools', 'prompts', 'resources'] as const) {
        await announce(other, `notifications/${kind}/list_changed`);
        await client.hears(`notifications/${kind}/list_changed`);
      }

      expect(client.errors).toEqual([]);
    });

    test('the SDK asks for a list again when it hears that it has changed', async () => {
      const { url } = here();
      const refreshed: Record<string, (items: unknown) => void> = {};
      const refreshes = Object.fromEntries(
        ['tools', 'prompts', 'resources'].map((kind) => [
          kind,
          new Promise<unknown>((resolve) => {
            refreshed[kind] = resolve;
          }),
        ]),
      );
      const listChanged = Object.fromEntries(
        Object.keys(refreshes).map((kind) => [
          kind,
          { onChanged: (error: unknown, items: unknown) => refreshed[kind]?.(error ?? items) },
        ]),
      );
      await connectedClient(sdk, url, { listChanged });
      const other = await connectedClient(sdk, url);

      for (const kind of Object.keys(refreshes)) await announce(other, `notifications/${kind}/list_changed`);

      expect(await refreshes['tools']).toContainEqual(expect.objectContaining({ name: 'test_wait' }));
      expect(await refreshes['prompts']).toContainEqual(expect.objectContaining({ name: 'test_simple_prompt' }));
      expect(await refreshes['resources']).toContainEqual(expect.objectContaining({ uri: 'test://static-text' }));
    });

    test('arguments are completed', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url);

      const completed = await client.sdk.complete({
        ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' },
        argument: { name: 'arg1', value: 'test' },
      });

      expect(completed).toMatchObject({ completion: { values: ['test', 'testing'], total: 2, hasMore: false } });
    });

    test('a call that is aborted is aborted upstream, with its reason', async () => {
      const { server, url } = here();
      const client = await connectedClient(sdk, url);

      const { name } = await abortedCall(client, server, 'not needed any more');
      await isCancelled(server, name, 'not needed any more');

      expect(textOf(await client.call('test_simple_text'))).toBe('Some text.');
      expect(client.errors).toEqual([]);
    });

    test('the SDK looks at most once for the rest of the stream of a call that failed or was aborted, and is told of no error', async () => {
      const { server, url } = here();
      const client = await connectedClient(sdk, url);
      const other = await connectedClient(sdk, url);

      const { call, name } = await lastingCall(client, server);
      const failed = expect(call).rejects.toMatchObject({ code: -32000, message: expect.stringContaining('no luck') });
      await release(other, name, { error: 'no luck' });
      await failed;
      // The SDK waits as long before each look: all but the last had the time for one more.
      for (let turn = 0; turn < 2; turn += 1) {
        const { token } = await abortedCall(client, server, 'not needed any more');
        await client.requests.until(
          (all) => all.find((each) => each.lastEventId === token && each.status !== undefined),
          'look for the rest',
        );
      }

      const looks = client.requests.all.filter(({ httpMethod }) => httpMethod === 'GET').slice(1);
      const lookedFor = looks.map(({ lastEventId }) => lastEventId);
      expect(lookedFor).toEqual([...new Set(lookedFor)]);
      expect(lookedFor).not.toContain(null);
      expect(client.errors).toEqual([]);
    });

    test('a question that the server takes back is aborted in the handler', async () => {
      const { url } = here();
      let withdrawn: (reason: unknown) => void = () => {};
      const withdrawal = new Promise<unknown>((resolve) => {
        withdrawn = resolve;
      });
      const client = await connectedClient(sdk, url, {
        capabilities: { sampling: {} },
        answers: {
          'sampling/createMessage': (_params, { signal }) =>
            new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => {
                withdrawn(signal.reason);
                reject(new Error('withdrawn'));
              });
            }),
        },
      });

      const result = await client.call('test_withdrawn_sampling');

      expect(textOf(result)).toContain('Request timed out');
      expect(await withdrawal).toMatch(/timed out/);
      expect(client.errors).toEqual([]);
    });

    test('a client tells how far it is with an answer, and the server hears that before the answer', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url, {
        capabilities: { sampling: {} },
        answers: {
          'sampling/createMessage': async (params, asked) => {
            const { progressToken } = asked;
            for (const progress of [1, 2]) {
              await asked.notify('notifications/progress', { progressToken, progress, total: 2 });
            }
            return parrot(params, asked);
          },
        },
      });

      const results = await Promise.all(Array.from({ length: 20 }, () => client.call('test_sampling_with_progress')));

      for (const result of results) {
        expect(JSON.parse(textOf(result))).toMatchObject([1, 2].map((progress) => ({ progress, total: 2 })));
      }
      expect(client.errors).toEqual([]);
    });

    test('calls at once that all ask back get their own answers', async () => {
      const { url } = here();
      const client = await connectedClient(sdk, url, {
        capabilities: { sampling: {}, elicitation: {} },
        answers: {
          'sampling/createMessage': parrot,
          'elicitation/create': ({ message }) => ({
            action: 'accept',
            content: { username: String(message), email: 'x@example.com' },
          }),
        },
      });
      const numbers = Array.from({ length: 8 }, (_, index) => index);

      const sampled = Promise.all(numbers.map((each) => client.call('test_sampling', { prompt: `prompt ${each}.` })));
      const elicited = Promise.all(
        numbers.map((each) => client.call('test_elicitation', { message: `message ${each}.` })),
      );

      for (const [index, result] of (await sampled).entries()) expect(textOf(result)).toContain(`prompt ${index}.`);
      for (const [index, result] of (await elicited).entries()) expect(textOf(result)).toContain(`message ${index}.`);
      expect(client.errors).toEqual([]);
    });
  });
}
