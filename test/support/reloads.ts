// What must not be noticed of reloads by those whose upstream has not changed, under load: shared by the short test and the
// long one.

import { expect } from 'vitest';
import { openEvents } from './event-client.ts';
import { type GatewayConfig, JSON_HEADERS, gatewayBefore } from './gateway.ts';
import { openModern } from './modern-client.ts';
import { IN } from './session-client.ts';

const SESSIONS = 5;

export async function keepsUnderReloads(reloads: number): Promise<void> {
  const legacy = false;
  const { gateway, upstream } = await gatewayBefore({}, { upstream: { legacy }, drain: { timeout: '10s' } });
  /** The one beside it is another one every time. */
  const round = (index: number): GatewayConfig => ({
    upstream: { legacy },
    drain: { timeout: '10s' },
    limits: { sessions: 1000 + index },
    others: [{ name: 'other', path: '/other', url: upstream.url.href, headers: { 'x-round': String(index) } }],
  });
  const opening = Array.from({ length: SESSIONS }, () => gateway.openSession({ protocolVersion: '2025-11-25' }));
  const sessions = await Promise.all(opening);
  const listeners = await Promise.all(sessions.map((sessionId) => openEvents(gateway, { sessionId })));
  const listen = await openModern(gateway, 'subscriptions/listen', { notifications: { toolsListChanged: true } });
  await listen.until('acknowledged');
  const old = gateway.call('slow', {}, 'from before', IN(sessions[0] ?? ''));
  const call = await upstream.nextCall('slow');
  const answers = new Map<string, number>();
  let isOver = false;
  const counted = async (kind: string, answer: ReturnType<typeof gateway.call>): Promise<void> => {
    const { status, json } = await answer;
    const outcome = `${kind} ${status} ${json?.result === undefined ? JSON.stringify(json) : 'result'}`;
    answers.set(outcome, (answers.get(outcome) ?? 0) + 1);
  };
  const callers = sessions.map(async (session, index) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    for (let id = 0; !isOver; id++) {
      await counted('session', gateway.call('count', {}, `${index} ${id}`, IN(session)));
      await counted('alone', gateway.call('count', {}, `${index} ${id}`));
      await counted('other', gateway.send('POST', '/other', JSON_HEADERS, body));
    }
  });
  await gateway.reload(round(0));
  const links = upstream.streams.length;

  for (let index = 1; index <= reloads; index++) {
    const { kept, replaced } = await gateway.reload(round(index));
    expect([kept, replaced]).toEqual([['default'], ['other']]);
  }
  isOver = true;
  await Promise.all(callers);
  call.release();
  const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
  for (const stream of upstream.streams) upstream.sendTo(stream, changed);

  expect([...answers.keys()].toSorted()).toEqual(['alone 200 result', 'other 200 result', 'session 200 result']);
  expect(await old).toMatchObject({ status: 200, json: { id: 'from before', result: {} } });
  for (const listener of listeners) {
    await listener.until(({ json }) => json?.method === changed.method);
  }
  expect(gateway.journal.of('session_ended')).toEqual([]);
  expect(gateway.journal.of('fault')).toEqual([]);
  // Those of the replaced ones are closed, once they have nothing to finish.
  await expect.poll(() => upstream.streams.length, { timeout: 5000 }).toBeLessThanOrEqual(links + SESSIONS);
  expect(gateway.app.mounts.map(({ name }) => name)).toEqual(['default', 'other']);
}
