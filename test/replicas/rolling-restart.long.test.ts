// Three replicas are told to stop and started again, one after the other, as an update does it, under calls of every kind
// through nginx, which knows nothing of it. Nobody but who reads a stream notices, and that one comes back and misses nothing.

import { setTimeout as passed } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { type SseEvent, openEvents } from '../support/event-client.ts';
import type { Answer, GatewayClient } from '../support/gateway.ts';
import { takes } from '../support/installed.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { callTool } from '../support/modern-client.ts';
import { startRedis } from '../support/redis.ts';
import { replicasBefore } from '../support/replica-processes.ts';
import { IN } from '../support/session-client.ts';

/** `REPLICA_ROLLS=5` goes round as often. */
const ROLLS = Number(process.env['REPLICA_ROLLS'] ?? 1);
const CALLS_A_SECOND = 100;
const SESSIONS = 30;
const DRAIN = { delay: '500ms', timeout: '4s' } as const;
/** What a call takes: none, or a good part of the drain. */
const LASTING_MS = [0, 0, 0, 50, 1_000];

interface Outcome {
  readonly kind: string;
  readonly tookMs: number;
  /** Undefined where it was answered as it should be. */
  readonly fault: unknown;
}

/** Begins so many calls a second, whatever becomes of those before. */
function callsOf(front: GatewayClient, sessions: readonly string[]): { stop(): Promise<readonly Outcome[]> } {
  const kinds = [
    [
      'session',
      (args: object, number: number) => front.call('lasts', args, number, IN(sessions[number % SESSIONS] ?? '')),
    ],
    ['sessionless', (args: object, number: number) => front.call('lasts', args, number)],
    ['modern', (args: object, number: number) => callTool(front, 'lasts', args, { id: number })],
  ] as const satisfies readonly (readonly [string, (args: object, number: number) => Promise<Answer>])[];
  const outcomes: Promise<Outcome>[] = [];
  const begin = async (number: number): Promise<Outcome> => {
    const [kind, call] = kinds[number % kinds.length] ?? expect.fail();
    const ms = LASTING_MS[number % LASTING_MS.length];
    const since = performance.now();
    const answer = await call({ ms, says: `call ${number}` }, number).catch((error: unknown) => ({ error }));
    const isRight = 'json' in answer && answer.json?.result?.structuredContent?.says === `call ${number}`;
    return { kind, tookMs: performance.now() - since, fault: isRight ? undefined : answer };
  };
  const startedAt = performance.now();
  const beat = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1000) * CALLS_A_SECOND;
    while (outcomes.length < due) outcomes.push(begin(outcomes.length));
  }, 5);
  const stop = (): Promise<readonly Outcome[]> => {
    clearInterval(beat);
    return Promise.all(outcomes);
  };
  onTestFinished(() => clearInterval(beat));
  return { stop };
}

/** A client that reads what a session is told, and comes back wherever it has been cut. */
function listenerOf(
  front: GatewayClient,
  sessionId: string,
): { readonly events: SseEvent[]; readonly comings: () => number } {
  const events: SseEvent[] = [];
  let comings = 0;
  let isOver = false;
  onTestFinished(() => void (isOver = true));
  const listen = async (): Promise<void> => {
    while (!isOver) {
      const id = events.findLast((event) => event.id !== undefined)?.id;
      const stream = await openEvents(front, { sessionId, ...(id !== undefined && { lastEventId: id }) });
      comings++;
      for (;;) {
        const event = await stream.next().catch(() => null);
        if (event === null) break;
        events.push(event);
      }
    }
  };
  listen().catch(() => {});
  return { events, comings: () => comings };
}

const said = (events: readonly SseEvent[]): (number | string)[] =>
  events.filter(({ json }) => json?.method === 'notifications/message').map(({ json }) => json.params.data);

/** To every session, by the link that it has at the moment. */
function tellAll(upstream: LegacyServer, data: unknown): void {
  for (const stream of upstream.streams) {
    upstream.sendTo(stream, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } });
  }
}

test('no call fails that is shorter than the drain, and streams are only cut', async (context) => {
  takes(context, 'nginx', 'redis-server');
  const [redis, upstream] = await Promise.all([
    startRedis(),
    startLegacyServer({
      tools: {
        lasts: async ({ args: { ms, says } }) => {
          await passed(Number(ms), undefined, { ref: false });
          return { content: [], structuredContent: { says } };
        },
      },
    }),
  ]);
  onTestFinished(() => upstream.close());
  const config = { store: redis.url(), drain: DRAIN };
  const { all, front } = await replicasBefore({ upstream: upstream.url, config });
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, () => front.openSession({ protocolVersion: '2025-11-25' })),
  );
  const listeners = sessions.slice(0, 10).map((session) => listenerOf(front, session));
  await expect
    .poll(() => listeners.map(({ comings }) => comings()), { timeout: 10_000 })
    .toEqual(listeners.map(() => 1));
  const load = callsOf(front, sessions);
  let told = 0;
  const talk = setInterval(() => tellAll(upstream, ++told), 100);
  onTestFinished(() => clearInterval(talk));
  const drains: number[] = [];

  for (let roll = 0; roll < ROLLS; roll++) {
    for (const replica of all) {
      const since = performance.now();
      expect(await replica.drain(15_000)).toEqual({ code: 0, signal: null });
      drains.push(performance.now() - since);
      await replica.start();
    }
  }
  const outcomes = await load.stop();
  clearInterval(talk);
  // A session that nobody has called since it was handed over has no link yet.
  await Promise.all(sessions.map((session) => front.call('lasts', { ms: 0, says: '' }, 'last', IN(session))));
  tellAll(upstream, 'at the end');
  await expect
    .poll(() => listeners.filter(({ events }) => said(events).includes('at the end')).length, { timeout: 10_000 })
    .toBe(listeners.length);

  const faults = outcomes.filter(({ fault }) => fault !== undefined);
  const slowest = Math.max(...outcomes.map(({ tookMs }) => tookMs));
  const by = ['session', 'sessionless', 'modern'].map((kind) => {
    const own = outcomes.filter((outcome) => outcome.kind === kind);
    return `${own.length} ${kind} (${own.filter(({ fault }) => fault !== undefined).length} failed)`;
  });
  console.log(
    `of ${told} things said to each listener, heard ${Math.min(...listeners.map(({ events }) => said(events).length - 1))} at least`,
  );
  console.log(
    `${drains.length} replicas restarted under ${CALLS_A_SECOND} calls a second: ${by.join(', ')}; the slowest took ` +
      `${slowest.toFixed(0)} ms; drains ${drains.map((ms) => `${ms.toFixed(0)} ms`).join(', ')}; streams came back ` +
      `${listeners.reduce((total, { comings }) => total + comings() - 1, 0)} times`,
  );
  expect(faults.map(({ kind, fault }) => [kind, fault]).slice(0, 5)).toEqual([]);
  // In order, and none of it twice.
  for (const { events } of listeners) {
    const heard = said(events);
    expect(heard.at(-1)).toBe('at the end');
    expect(heard.slice(0, -1)).toEqual([...new Set(heard.slice(0, -1))].map(Number).toSorted((a, b) => a - b));
  }
});
