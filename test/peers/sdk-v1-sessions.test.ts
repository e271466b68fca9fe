// Sessions of SDK v1, which most clients are made with.
import { expect, test } from 'vitest';
import { startGateway } from './support/gateway.ts';
import { startHangingUpstream } from './support/hanging-upstream.ts';
import { brokenConnectionsOf, serverRestartsOf } from './support/sessions/broken-connections.ts';
import { callbacksOf } from './support/sessions/callbacks.ts';
import { connectedClient } from './support/sessions/client.ts';
import { demonstrationOf } from './support/sessions/demonstration.ts';
import { livesOf, modesOf } from './support/sessions/lives.ts';

callbacksOf('v1');
brokenConnectionsOf('v1');
serverRestartsOf('v1');
livesOf('v1');
modesOf('v1');
demonstrationOf('v1');

test('the gateway ends when it is told to, though the POST of a call that failed is still not answered', async () => {
  const { child, url } = await startGateway(await startHangingUpstream());
  const client = await connectedClient('v1', url);

  await expect(client.call('any')).rejects.toMatchObject({ data: { reason: 'upstream_session_lost' } });
  await client.sdk.close();
  child.signal('SIGTERM');
  const end = await child.printed((gateway) => gateway.end, 'end', 3_000);

  expect(end).toEqual({ code: 0, signal: null });
});
