// Sessions by way of mcp-remote, for programs that speak stdio only. It passes every message on, both ways. What it keeps to itself
// is HTTP: it listens, reconnects and opens another session by itself, answers for the gateway when a request fails there
// (−32001, with the gateway's error as text), and never ends a session, which the gateway does when it expires.
import { describe, expect, test } from 'vitest';
import { startBreakingRelay } from './support/breaking-relay.ts';
import { startGateway } from './support/gateway.ts';
import { everything, ownServer } from './support/legacy-peers.ts';
import { McpRemote, mcpRemotes, type McpRemotePeer } from './support/mcp-remote.ts';
import { clientOver, connectedClient, type ClientOptions, type SessionClient } from './support/sessions/client.ts';
import { announce, isCancelled, parrot, place, release, runs, textOf } from './support/sessions/places.ts';

const withUser = {
  capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } },
  answers: {
    'sampling/createMessage': parrot,
    'elicitation/create': () => ({ action: 'decline' }),
    'roots/list': () => ({ roots: [{ uri: 'file:///one' }] }),
  },
} satisfies ClientOptions;

describe.each(mcpRemotes)('%s before the project’s own server', (peer) => {
  const here = place(ownServer);

  test('carries calls and their progress', async () => {
    const client = await stdioClient(peer, here().url);
    const progress: unknown[] = [];

    const { tools } = await client.sdk.listTools();
    const result = await client.call('test_tool_with_progress', {}, { onprogress: (each) => progress.push(each) });

    expect(tools).toContainEqual(expect.objectContaining({ name: 'test_tool_with_progress' }));
    expect(progress).toMatchObject([{ progress: 0 }, { progress: 50 }, { progress: 100 }]);
    expect(textOf(result)).toBe('Reported progress three times.');
    expect(client.errors).toEqual([]);
  });

  test('carries questions to the model and to the user', async () => {
    const client = await stdioClient(peer, here().url, withUser);

    const sampled = await client.call('test_sampling', { prompt: 'Who are you?' });
    const elicited = await client.call('test_elicitation', { message: 'Who are you?' });
    const visited = await client.call('test_url_elicitation', { elicitationId: '1', url: 'https://example.com/' });

    expect(textOf(sampled)).toMatch(/parrot.*Who are you\?/);
    expect(textOf(elicited)).toContain('"decline"');
    expect(textOf(visited)).toContain('"decline"');
    expect(client.errors).toEqual([]);
  });

  test('carries what the server announces while no call is open', async () => {
    const client = await stdioClient(peer, here().url);
    const other = await connectedClient('v1', here().url);

    for (const kind of ['tools', 'prompts', 'resources'] as const) {
      await announce(other, `notifications/${kind}/list_changed`);
      await client.hears(`notifications/${kind}/list_changed`);
    }

    expect(client.errors).toEqual([]);
  });

  test('carries a cancellation', async () => {
    const { server, url } = here();
    const client = await stdioClient(peer, url);
    const abort = new AbortController();
    const name = `to cancel by ${peer}`;

    const call = client.call('test_wait', { name }, { signal: abort.signal });
    const cancelled = expect(call).rejects.toThrow('not needed any more');
    await runs(server, name);
    abort.abort('not needed any more');
    await cancelled;

    await isCancelled(server, name, 'not needed any more');
    expect(client.errors).toEqual([]);
  });

  test('gets the answer of a call whose connection broke', async () => {
    const { server, url } = here();
    const relay = await startBreakingRelay(url);
    const client = await stdioClient(peer, relay.url);
    const other = await connectedClient('v1', url);
    const name = `to survive by ${peer}`;

    const progress = Promise.withResolvers<unknown>();
    const call = client.call('test_wait', { name }, { onprogress: progress.resolve });
    await runs(server, name);
    await release(other, name, { progress: 1 });
    await progress.promise;
    relay.cut();
    await release(other, name);

    expect(textOf(await call)).toBe(`Released ${name}.`);
    expect(client.errors).toEqual([]);
  });

  test('opens another session when the gateway was started again', async () => {
    const { server, url } = here();
    const relay = await startBreakingRelay(url);
    const client = await stdioClient(peer, relay.url);

    const before = await client.call('test_simple_text');
    relay.retarget((await startGateway(server.port)).url);
    relay.cut();
    const after = await client.call('test_simple_text');

    expect([before, after].map(textOf)).toEqual(['Some text.', 'Some text.']);
    expect(client.errors).toEqual([]);
  });
});

describe.each(mcpRemotes)('%s before server-everything', (peer) => {
  const here = place(everything);

  test('carries the roots, and that they have changed', async () => {
    const client = await stdioClient(peer, here().url, withUser);

    await client.hears('notifications/message');
    await client.sdk.sendRootsListChanged();
    const logged = await client.hears('notifications/message', 2);

    const asked = { data: 'Roots updated: 1 root(s) received from client' };
    expect(logged).toMatchObject([asked, asked]);
    expect(client.errors).toEqual([]);
  });

  test('carries subscriptions', async () => {
    const client = await stdioClient(peer, here().url);
    const uri = 'demo://resource/dynamic/text/1';

    await client.sdk.subscribeResource({ uri });
    await client.call('toggle-subscriber-updates');

    expect(await client.hears('notifications/resources/updated')).toMatchObject([{ uri }]);
    expect(client.errors).toEqual([]);
  });
});

function stdioClient(peer: McpRemotePeer, url: string, options: ClientOptions = {}): Promise<SessionClient> {
  return clientOver(new McpRemote(peer, url).transport, options);
}
