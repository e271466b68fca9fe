// Sessions of SDK v2, which looks for the modern era first in mode `auto`, is refused, and goes on as in mode `legacy`.
import { expect, test } from 'vitest';
import { ownServer } from './support/legacy-peers.ts';
import { brokenConnectionsOf } from './support/sessions/broken-connections.ts';
import { callbacksOf } from './support/sessions/callbacks.ts';
import { connectedClient } from './support/sessions/client.ts';
import { demonstrationOf } from './support/sessions/demonstration.ts';
import { livesOf } from './support/sessions/lives.ts';
import { ownPlace } from './support/sessions/places.ts';

callbacksOf('v2 auto');
brokenConnectionsOf('v2 auto');
demonstrationOf('v2 auto');
livesOf('v2 legacy');

test('SDK v2 in mode auto asks for the modern era once, and opens a session when it is refused', async () => {
  const { url } = await ownPlace(ownServer);

  const client = await connectedClient('v2 auto', url);

  expect(client.requests.all.slice(0, 2)).toMatchObject([
    { message: 'server/discover', status: 400 },
    { message: 'initialize', status: 200 },
  ]);
  expect(client.transport).toMatchObject({ protocolVersion: '2025-11-25', sessionId: expect.any(String) });
  expect(client.errors).toEqual([]);
});
