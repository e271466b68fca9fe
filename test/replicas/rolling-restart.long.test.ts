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
import { type Replicas, type ReplicasOptions, replicasBefore } from '../support/replica-processes.ts';
import { IN } from '../support/session-client.ts';

/** `REPLICA_ROLLS=5` goes round as often. */
const ROLLS = Number(process.env['REPLICA_ROLLS'] ?? 1);
const CALLS_A_SECOND = 100;
const SESSIONS = 30;
const LISTENERS = 10;
const DRAIN = { delay: '500ms', timeout: '4s' } as const;
/** What a call takes: none, or a good part of the drain. */
const LASTING_MS = [0, 0, 0, 50, 1_000];

interface Outcome {
  readonly kind: Kind;
  readonly tookMs: number;
  /** Undefined where it was answered as it should be. */
  readonly fault: unknown;
}

const KINDS = ['session', 'sessionless', 'modern'] as const;
type Kind = (typeof KINDS)[number];

/** Begins so many calls a second, whatever becomes of those before. */
class Load {
  /** A session that is unknown is opened anew, as clients do it; so often it was. */
  reopened = 0;
  /** Sessions end with their replica: one that drains says when to come back, and where it is gone by then a new one is opened. */
  readonly #mayEnd: boolean;
  readonly #front: GatewayClient;
  readonly #sessions: Promise<string>[];
  readonly #outcomes: Promise<Outcome>[] = [];
  readonly #beat: NodeJS.Timeout;

  constructor(front: GatewayClient, sessions: readonly string[], mayEnd: boolean) {
    this.#mayEnd = mayEnd;
    this.#front = front;
    this.#sessions = sessions.map((session) => Promise.resolve(session));
    const startedAt = performance.now();
    this.#beat = setInterval(() => {
      const due = ((performance.now() - startedAt) / 1000) * CALLS_A_SECOND;
      while (this.#outcomes.length < due) this.#outcomes.push(this.#begin(this.#outcomes.length));
    }, 5);
    onTestFinished(() => clearInterval(this.#beat));
  }

  stop(): Promise<readonly Outcome[]> {
    clearInterval(this.#beat);
    return Promise.all(this.#outcomes);
  }

  async #begin(number: number): Promise<Outcome> {
    // Not in step with nginx, or each kind would be a replica's own.
    const kind = KINDS[Math.floor(number / LASTING_MS.length) % KINDS.length] ?? expect.fail();
    const ms = LASTING_MS[number % LASTING_MS.length];
    const since = performance.now();
    const args = { ms, says: `call ${number}` };
    const answer = await this.#call(kind, args, number).catch((error: unknown) => ({ error }));
    const isRight = 'json' in answer && answer.json?.result?.structuredContent?.says === `call ${number}`;
    return { kind, tookMs: performance.now() - since, fault: isRight ? undefined : answer };
  }

  async #call(kind: Kind, args: object, number: number): Promise<Answer> {
    if (kind === 'modern') return callTool(this.#front, 'lasts', args, { id: number });
    if (kind === 'sessionless') return this.#front.call('lasts', args, number);
    const place = number % this.#sessions.length;
    const session = this.#sessions[place] ?? expect.fail();
    const answer = await this.#front.call('lasts', args, number, IN(await session));
    const reason = answer.json?.error?.data?.reason;
    if (reason === 'draining' && this.#mayEnd) {
      await passed(Number(answer.headers['retry-after']) * 1000);
      return this.#call(kind, args, number);
    }
    if (reason !== 'session_unknown') return answer;
    if (this.#sessions[place] === session) {
      this.reopened++;
      this.#sessions[place] = this.#front.openSession({ protocolVersion: '2025-11-25' });
    }
    return this.#call(kind, args, number);
  }
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

interface World {
  readonly upstream: LegacyServer;
  readonly replicas: Replicas;
  readonly sessions: readonly string[];
}

async function sessionsAtWork(config: ReplicasOptions['config']): Promise<World> {
  const upstream = await startLegacyServer({
    tools: {
      lasts: async ({ args: { ms, says } }) => {
        await passed(Number(ms), undefined, { ref: false });
        return { content: [], structuredContent: { says } };
      },
    },
  });
  onTestFinished(() => upstream.close());
  const replicas = await replicasBefore({ upstream: upstream.url, config: { ...config, drain: DRAIN } });
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, () => replicas.front.openSession({ protocolVersion: '2025-11-25' })),
  );
  return { upstream, replicas, sessions };
}

/** Each is told to stop, and started again, once the one before it is ready. How long each took to end. */
async function rolled({ all }: Replicas): Promise<readonly number[]> {
  const drains: number[] = [];
  for (let roll = 0; roll < ROLLS; roll++) {
    for (const replica of all) {
      const since = performance.now();
      expect(await replica.drain(15_000)).toEqual({ code: 0, signal: null });
      drains.push(performance.now() - since);
      await replica.start();
    }
  }
  return drains;
}

/** The figures. */
function told(outcomes: readonly Outcome[], drains: readonly number[]): string {
  const by = KINDS.map((kind) => {
    const own = outcomes.filter((outcome) => outcome.kind === kind);
    return `${own.length} ${kind} (${own.filter(({ fault }) => fault !== undefined).length} failed)`;
  });
  const slowest = Math.max(...outcomes.map(({ tookMs }) => tookMs));
  return (
    `${drains.length} replicas restarted under ${CALLS_A_SECOND} calls a second: ${by.join(', ')}; ` +
    `the slowest took ${slowest.toFixed(0)} ms; drains ${drains.map((ms) => `${ms.toFixed(0)} ms`).join(', ')}`
  );
}

function faultsOf(outcomes: readonly Outcome[]): readonly unknown[] {
  return outcomes.flatMap(({ kind, fault }) => (fault === undefined ? [] : [[kind, fault]]));
}

test('no call fails that is shorter than the drain; a session whose replica ends is unknown, and is opened anew', async (context) => {
  takes(context, 'nginx');
  const { replicas, sessions } = await sessionsAtWork({});
  const load = new Load(replicas.front, sessions, true);

  const drains = await rolled(replicas);
  const outcomes = await load.stop();

  console.log(`without a store, ${told(outcomes, drains)}; sessions opened anew: ${load.reopened}`);
  expect(faultsOf(outcomes).slice(0, 5)).toEqual([]);
  expect(load.reopened).toBeGreaterThan(0);
});

test('with a store no session ends either, and streams are cut and go on', async (context) => {
  takes(context, 'nginx', 'redis-server');
  const redis = await startRedis();
  const { upstream, replicas, sessions } = await sessionsAtWork({ store: redis.url() });
  const { front } = replicas;
  const listeners = sessions.slice(0, LISTENERS).map((session) => listenerOf(front, session));
  await expect
    .poll(() => listeners.map(({ comings }) => comings()), { timeout: 10_000 })
    .toEqual(listeners.map(() => 1));
  const load = new Load(front, sessions, false);
  let count = 0;
  const talk = setInterval(() => tellAll(upstream, ++count), 100);
  onTestFinished(() => clearInterval(talk));

  const drains = await rolled(replicas);
  const outcomes = await load.stop();
  clearInterval(talk);
  // A session that nobody has called since it was handed over has no link yet.
  await Promise.all(sessions.map((session) => front.call('lasts', { ms: 0, says: '' }, 'last', IN(session))));
  tellAll(upstream, 'at the end');
  await expect
    .poll(() => listeners.filter(({ events }) => said(events).includes('at the end')).length, { timeout: 10_000 })
    .toBe(listeners.length);

  const comings = listeners.reduce((total, each) => total + each.comings() - 1, 0);
  const least = Math.min(...listeners.map(({ events }) => said(events).length - 1));
  console.log(
    `with a store, ${told(outcomes, drains)}; sessions opened anew: ${load.reopened}; ${listeners.length} streams came back ` +
      `${comings} times in all, and of ${count} things that were said to each it heard ${least} at least`,
  );
  expect(faultsOf(outcomes).slice(0, 5)).toEqual([]);
  expect(load.reopened).toBe(0);
  // In order, and none of it twice.
  for (const { events } of listeners) {
    const heard = said(events);
    expect(heard.at(-1)).toBe('at the end');
    expect(heard.slice(0, -1)).toEqual([...new Set(heard.slice(0, -1))].map(Number).toSorted((a, b) => a - b));
  }
});
