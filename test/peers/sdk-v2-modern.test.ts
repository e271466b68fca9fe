// SDK v2 as a client of 2026-07-28, told to be one or finding out, before servers of the oldest and the newest revision that
// HTTP+SSE was used with, and before the official demonstration server.
import { expect, onTestFinished, test } from 'vitest';
import { startLegacyServer } from '../support/legacy-server.ts';
import { startGateway } from './support/gateway.ts';
import { modernDemonstrationOf } from './support/modern/demonstration.ts';
import { linksMin, within } from './support/modern/places.ts';
import { scripted } from './support/modern/scripted.ts';
import { modernStoriesOf } from './support/modern/stories.ts';
import { modernClient } from './support/sessions/client.ts';

modernStoriesOf('v2 pinned', '2025-11-25');
modernStoriesOf('v2 auto', '2025-11-25');
modernStoriesOf('v2 pinned', '2024-11-05');
modernStoriesOf('v2 auto', '2024-11-05');
modernDemonstrationOf('v2 pinned');
modernDemonstrationOf('v2 auto');

test('a call whose client never comes back with the answers is let go, and so is its link', async () => {
  const upstream = await startLegacyServer(scripted('2025-11-25'));
  onTestFinished(() => upstream.close());
  const flags = ['--timeouts-round', '500ms', '--links-idle-timeout', '100ms'];
  const { url } = await startGateway(Number(upstream.url.port), ...flags);
  const asked = Promise.withResolvers<void>();
  const client = await modernClient('v2 pinned', url, {
    capabilities: { elicitation: {} },
    answers: {
      'elicitation/create': () => {
        asked.resolve();
        return new Promise(() => {});
      },
    },
  });

  // Its user does not answer, and it waits for its user.
  client.call('asksName').catch(() => {});
  const { message } = await within(upstream.nextRequest('tools/call'), 'the call');
  await within(asked.promise, 'the question');
  const held = upstream.streams.length;
  const answer = await within(upstream.nextReply(0), 'an answer of the gateway’s own');
  // The answer alone may have ended it.
  const cancelled = await within(upstream.nextRequest('notifications/cancelled'), 'word that the call is cancelled');
  await within(upstream.whenStreams(linksMin), 'the end of its link');

  expect(held).toBe(linksMin + 1);
  expect(answer.message).toMatchObject({ result: { action: 'cancel' } });
  expect(cancelled.message.params).toMatchObject({ requestId: message.id });
});
