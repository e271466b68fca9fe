// Connections that break, by relays. Between client and gateway: what the client would have heard meanwhile comes on the next one,
// once. Between gateway and server: the session is another one upstream, and must not feel like it.
import { describe, expect, test } from 'vitest';
import { startBreakingRelay } from '../breaking-relay.ts';
import { startCountingRelay } from '../counting-relay.ts';
import { startGateway } from '../gateway.ts';
import { ownServer, startEverything, startOwnServer } from '../legacy-peers.ts';
import { connectedClient, type Sdk } from './client.ts';
import { announce, place, lastingCall, release, textOf, withModel, type PlaceOf } from './places.ts';

export function brokenConnectionsOf(sdk: Sdk, placeOf: PlaceOf = place): void {
  describe(`SDK ${sdk} when its connections break`, () => {
    const here = placeOf(ownServer);

    test('a call goes on, and its progress and its answer come once when the SDK has reconnected', async () => {
      const { server, url } = here();
      const relay = await startBreakingRelay(url);
      const client = await connectedClient(sdk, relay.url);
      const other = await connectedClient(sdk, url);
      const progress: unknown[] = [];

      const { call, name } = await lastingCall(client, server, { onprogress: (each) => progress.push(each) });
      relay.cut();
      for (const done of [1, 2]) await release(other, name, { progress: done });
      await release(other, name);

      expect(textOf(await call)).toBe(`Released ${name}.`);
      expect(progress).toMatchObject([{ progress: 1 }, { progress: 2 }]);
      // The two streams that broke, and no answer that came twice.
      for (const error of client.errors) expect(error).toMatch(/SSE stream disconnected/);
    });

    test('a client that was away is asked when it has reconnected', async () => {
      const { server, url } = here();
      const relay = await startBreakingRelay(url);
      const client = await connectedClient(sdk, relay.url, withModel);
      const other = await connectedClient(sdk, url);

      const calls = [await lastingCall(client, server), await lastingCall(client, server)];
      relay.cut();
      for (const { name } of calls) await release(other, name, { question: true });
      const results = await Promise.all(calls.map(({ call }) => call));

      expect(results.map(textOf)).toEqual([expect.stringContaining('parrot'), expect.stringContaining('parrot')]);
      for (const error of client.errors) expect(error).toMatch(/SSE stream disconnected/);
    });

    test('another client of the same session resumes a call by its token', async () => {
      const { server, url } = here();
      const relay = await startBreakingRelay(url);
      const client = await connectedClient(sdk, relay.url);
      const other = await connectedClient(sdk, url);

      const { call, name, token } = await lastingCall(client, server);
      const lost = expect(call).rejects.toThrow(/closed/i);
      const { sessionId } = client.transport;
      relay.cut();
      await client.sdk.close();
      await lost;
      const heir = await connectedClient(sdk, url, { ...(sessionId !== undefined && { sessionId }) });
      const resumed = heir.call('test_wait', { name }, { resumptionToken: token });
      await heir.listens();
      await release(other, name);

      expect(textOf(await resumed)).toBe(`Released ${name}.`);
      expect(heir.requests.all).toMatchObject([{ httpMethod: 'GET', lastEventId: token }]);
      expect(heir.errors).toEqual([]);
    });

    test('what was announced meanwhile comes when the SDK has reconnected its stream, and what is announced later as well', async () => {
      const { url } = here();
      const relay = await startBreakingRelay(url);
      const client = await connectedClient(sdk, relay.url);
      const other = await connectedClient(sdk, url);

      await announce(other, 'notifications/tools/list_changed');
      await client.hears('notifications/tools/list_changed');
      relay.cut();
      await announce(other, 'notifications/prompts/list_changed');
      await client.hears('notifications/prompts/list_changed');
      await client.listens(2);
      await announce(other, 'notifications/resources/list_changed');
      await client.hears('notifications/resources/list_changed');

      for (const kind of ['tools', 'prompts', 'resources'] as const) {
        expect(client.heard(`notifications/${kind}/list_changed`)).toHaveLength(1);
      }
      for (const error of client.errors) expect(error).toMatch(/SSE stream disconnected/);
    });
  });
}

export function serverRestartsOf(sdk: Sdk): void {
  describe(`the session of SDK ${sdk} when its server is started again`, () => {
    test('has the calls that ran failed, and keeps the level of its log', async () => {
      const [first, next] = await Promise.all([startOwnServer(), startOwnServer()]);
      const relay = await startCountingRelay(first.port);
      const { url } = await startGateway(relay.port);
      const client = await connectedClient(sdk, url);

      await client.sdk.setLoggingLevel('warning');
      const { call } = await lastingCall(client, first);
      const failed = expect(call).rejects.toMatchObject({
        data: { reason: 'upstream_session_lost', outcome: 'unknown' },
      });
      relay.retarget(next.port);
      first.child.signal('SIGKILL');
      await failed;
      const after = await client.call('test_tool_with_logging');

      expect(textOf(after)).toBe('Logged three messages.');
      expect(client.heard('notifications/message')).toEqual([]);
    });

    test('keeps its subscriptions', async () => {
      const [first, next] = await Promise.all([startEverything(), startEverything()]);
      const relay = await startCountingRelay(first.port);
      const { url } = await startGateway(relay.port);
      const client = await connectedClient(sdk, url);
      const uri = 'demo://resource/dynamic/text/1';

      await client.sdk.subscribeResource({ uri });
      relay.retarget(next.port);
      const lost = relay.streams((open) => open === 0, 'no link is left');
      first.child.signal('SIGKILL');
      await lost;
      await relay.streams((open) => open > 0, 'a link is open again');
      await client.call('toggle-subscriber-updates');

      expect(await client.hears('notifications/resources/updated')).toMatchObject([{ uri }]);
      expect(client.errors).toEqual([]);
    });
  });
}
