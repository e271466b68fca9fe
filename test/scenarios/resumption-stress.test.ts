// Many streams that break and are resumed at the same time, by their clients and by streams.maxDuration, while others go on.

import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type EventClient, type SseEvent, openCall, openEvents } from '../support/event-client.ts';
import { type Gateway, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, text } from '../support/legacy-behaviour.ts';

const SESSIONS = 20;
const CALLS = 3;
const STEPS = 30;

/** Tells its progress at a pace of its own, each time with some ballast, so that events are cut in the middle too. */
const steady: Answerer = async (call) => {
  const message = 'x'.repeat(20_000);
  for (let progress = 1; progress <= STEPS; progress++) {
    call.notify('notifications/progress', { progressToken: call.message.id, progress, message });
    // oxlint-disable-next-line no-await-in-loop -- a pace
    await delay(5, undefined, { ref: false });
  }
  return text(String(call.args['who']));
};

interface Followed {
  readonly events: readonly SseEvent[];
  readonly resumptions: number;
}

/** Reads a call's stream to its answer. After every `cutAfter` events the client cuts its connection and comes back. */
async function follow(gateway: Gateway, session: string, first: EventClient, cutAfter: number): Promise<Followed> {
  const events: SseEvent[] = [];
  let [connection, resumptions, lastEventId] = [first, 0, ''];
  for (;;) {
    let here = 0;
    // oxlint-disable no-await-in-loop -- one connection after the other
    for (;;) {
      const event = await connection.next().catch(() => null);
      if (event === null) break;
      lastEventId = event.id ?? lastEventId;
      if (event.json !== undefined) events.push(event);
      if (event.json?.result !== undefined) return { events, resumptions };
      if (++here === cutAfter) connection.cut();
      if (here >= cutAfter) break;
    }
    connection = await openEvents(gateway, { sessionId: session, lastEventId });
    // oxlint-enable no-await-in-loop
    if (connection.status !== 200) throw new Error(`${connection.status}: ${await connection.body()}`);
    resumptions++;
  }
}

test(
  `${SESSIONS * CALLS} calls of ${SESSIONS} sessions, whose streams break again and again: each hears all of its own, in order, and its answer once [B12 D2]`,
  { timeout: 30_000 },
  async () => {
    const config = {
      streams: { primeAfter: '10ms', maxDuration: '100ms', retry: '10ms' },
      limits: { bufferedBytes: '256MiB' },
    } as const;
    const { gateway } = await gatewayBefore({ tools: { steady } }, config);
    const sessions = await Promise.all(
      Array.from({ length: SESSIONS }, () => gateway.openSession({ protocolVersion: '2025-11-25' })),
    );

    const calls = sessions.flatMap((session, s) =>
      Array.from({ length: CALLS }, async (_, c) => {
        const who = `${s}/${c}`;
        const opened = await openCall(gateway, session, 'steady', { id: c, args: { who }, progressToken: 'same' });
        return { who, id: c, ...(await follow(gateway, session, opened, 3 + ((s + c) % 9))) };
      }),
    );
    let isOver = false;
    const through = Promise.all(calls).finally(() => (isOver = true));
    let beside = 0;
    while (!isOver) {
      // oxlint-disable-next-line no-await-in-loop -- traffic beside it, as long as it lasts
      expect((await gateway.call('add', { a: 1, b: 2 })).json.result.content[0].text).toBe('3');
      beside++;
    }
    const followed = await through;

    const upTo = Array.from({ length: STEPS }, (_, i) => i + 1);
    for (const { who, id, events } of followed) {
      expect(events.map(({ json }) => json.params?.progress ?? json.result.content[0].text)).toEqual([...upTo, who]);
      expect(events.at(-1)?.json.id).toBe(id);
      expect(new Set(events.map((event) => event.id)).size).toBe(STEPS + 1);
    }
    const resumptions = followed.reduce((sum, each) => sum + each.resumptions, 0);
    console.log(`${followed.length} calls were resumed ${resumptions} times, with ${beside} other calls beside them`);
    expect(resumptions).toBeGreaterThan(followed.length);
    expect(gateway.journal.dropped('unsent_event')).toBe(0);
    await expect.poll(() => gateway.app.inFlight(), { timeout: 5000 }).toBe(0);
  },
);
