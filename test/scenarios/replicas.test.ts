// Replicas of one gateway: whichever of them a client reaches, its session is where it was opened.

import { expect, test } from 'vitest';
import { startReplicas } from '../support/replicas.ts';
import { openEvents } from '../support/event-client.ts';
import { IN } from '../support/session-client.ts';

test('a session that one replica has opened is served by another', async () => {
  const { replicas } = await startReplicas(3);
  const [first, second] = replicas;
  const session = await first.openSession({ protocolVersion: '2025-11-25' });

  const answer = await second.call('echo', { text: 'hello' }, 7, IN(session));
  const stream = await openEvents(second, { sessionId: session });
  const deleted = await second.send('DELETE', '/mcp', IN(session));
  const after = await second.call('echo', { text: 'hello' }, 8, IN(session));

  expect(answer).toMatchObject({ status: 200, json: { id: 7, result: {} } });
  expect(stream.status).toBe(200);
  expect(deleted.status).toBe(204);
  expect(await stream.closed).toBe('ended');
  expect(after.status).toBe(404);
});
