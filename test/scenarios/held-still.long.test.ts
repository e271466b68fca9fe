// An owner that is there and does nothing, and one that does everything but reach its store: who serves its sessions.

import { expect, test } from 'vitest';
import { IN, listen } from '../support/session-client.ts';
import { twoReplicas, written } from '../support/two-replicas.ts';

test('an owner that is held still: what is under way to it is lost, and the next request takes the session over', async () => {
  const { first, second, shelves, upstream } = await twoReplicas();
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  const stream = await listen(second, session);
  const calling = second.call('slow', {}, 'x-1', { ...IN(session), accept: 'application/json' });
  await upstream.nextCall('slow');
  await written(first);

  shelves[0].hold();
  shelves[0].expire();
  first.way.hold();
  const lost = await calling;
  const ended = await stream.closed;
  const answer = await second.call('add', { a: 2, b: 3 }, 2, IN(session));

  expect(lost.json).toMatchObject({ id: 'x-1', error: { data: { reason: 'owner_lost', outcome: 'unknown' } } });
  expect(ended).toBe('broken');
  expect(answer.json.result?.content[0].text).toBe('5');
  // It was not sent there.
  expect(second.journal.of('hop').map(({ outcome }) => outcome)).toEqual(['lost', 'lost']);
  shelves[0].letGo();
  await first.journal.until(({ fact }) => fact === 'session_ended');
  expect(first.journal.of('session_ended')).toMatchObject([{ why: 'moved' }]);
});

test('an owner that is without the store, and answers, keeps what it has', async () => {
  const { first, second, shelves } = await twoReplicas();
  const session = await first.openSession({ protocolVersion: '2025-11-25' });
  await written(first);
  shelves[0].fault = { kind: 'unreachable' };
  shelves[0].expire();

  const stream = await listen(second, session);
  // Asked for a second time: what came of the first is known.
  const asked = () => second.journal.of('store_operation').filter(({ operation }) => operation === 'alive').length;
  await expect.poll(asked, { timeout: 5000, interval: 20 }).toBe(2);
  const answer = await second.call('add', { a: 2, b: 3 }, 2, IN(session));

  expect(answer.json.result?.content[0].text).toBe('5');
  expect([second.journal.of('takeover'), second.journal.of('hop').map(({ outcome }) => outcome)]).toEqual([
    [],
    ['served'],
  ]);
  await stream.leave();
});
