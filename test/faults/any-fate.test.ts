// Calls that meet every kind of trouble, many at once, in sessions and without. Whatever happens: each gets exactly one
// outcome, its own; no tool runs twice; what is said of the outcome is true; and nothing is left behind.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Answer,
  type Gateway,
  type GatewayConfig,
  JSON_HEADERS,
  gatewayBefore,
  requestBytes,
} from '../support/gateway.ts';
import { type Behaviour, type LegacyCall, NO_ANSWER, type PostAnswer, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';

/** What the upstream does with a call. */
const POST_ANSWERS: Readonly<Record<string, PostAnswer>> = {
  'refuses the session': { status: 404 },
  'names the session': { status: 400, body: 'no such session' },
  'is gone': { status: 503 },
  'is gone, but ran it': { status: 503, ran: true },
  fails: { status: 500 },
  'fails, but ran it': { status: 500, ran: true },
  'rejects it': { status: 400, body: 'no' },
  'answers in the body': 'answered',
  'answers in the body only': 'answered-here',
  'answers the POST last': 'finished',
};
const IN_THE_TOOL = [
  'answers',
  'cuts every stream',
  'answers and cuts',
  'answers twice',
  'asks back',
  'progress',
] as const;
const FATES = [...Object.keys(POST_ANSWERS), ...IN_THE_TOOL];
const REPEATS = new Set(['refuses the session', 'names the session']);

interface Caller {
  readonly fate: string;
  /** Which of the sessions; 0: none. */
  readonly session: 0 | 1 | 2;
  readonly streams: boolean;
  /** The client cancels as soon as the tool runs. */
  readonly cancels: boolean;
  /** The client closes its socket. */
  readonly leaves: boolean;
  /** A refusal is repeated, so that even the second attempt meets it. */
  readonly always: boolean;
}

const callers: fc.Arbitrary<Caller[]> = fc.array(
  fc.record({
    fate: fc.constantFrom(...FATES),
    session: fc.constantFrom(0, 1, 2),
    streams: fc.boolean(),
    cancels: fc.boolean(),
    leaves: fc.constantFrom(false, false, false, true),
    always: fc.boolean(),
  }),
  { minLength: 1, maxLength: 16 },
);

/** Plays the fates, which come as arguments, and counts how often each call ran. */
function scripted(upstream: LegacyServer): Map<string, number> {
  const ran = new Map<string, number>();
  const attempts = new Map<string, number>();
  upstream.behaviour.post = ({ method, params }) => {
    if (method !== 'tools/call') return 'accepted';
    const { tag, fate, always } = (params ?? {})['arguments'] as { tag: string; fate: string; always: boolean };
    const attempt = (attempts.get(tag) ?? 0) + 1;
    attempts.set(tag, attempt);
    if (REPEATS.has(fate) && attempt > 1 && !always) return 'accepted';
    return POST_ANSWERS[fate] ?? 'accepted';
  };
  const play = async (call: LegacyCall): Promise<unknown> => {
    const { tag, fate } = call.args as { tag: string; fate: string };
    ran.set(tag, (ran.get(tag) ?? 0) + 1);
    const answer = { jsonrpc: '2.0', id: call.message.id, result: text(tag) };
    switch (fate) {
      case 'cuts every stream':
        upstream.cutStreams();
        return NO_ANSWER;
      case 'answers and cuts':
        upstream.sendTo(call.stream, answer);
        upstream.cutStreams();
        return NO_ANSWER;
      case 'answers twice':
        upstream.sendTo(call.stream, answer);
        return text(tag);
      case 'asks back':
        await Promise.race([call.ask('elicitation/create', { message: '?' }), call.stream.closed]);
        return text(tag);
      case 'progress':
        for (let i = 0; i < 3; i++) call.progress(i);
        return text(tag);
      default:
        return text(tag);
    }
  };
  upstream.behaviour.tools = { fated: play };
  return ran;
}

/** Undefined for a client that has left. */
async function callAs(
  gateway: Gateway,
  caller: Caller,
  tag: string,
  sessions: readonly string[],
): Promise<Answer | undefined> {
  const id = sessions[caller.session - 1];
  const headers = {
    ...JSON_HEADERS,
    ...(!caller.streams && { accept: 'application/json' }),
    ...(id !== undefined && { 'mcp-session-id': id }),
  };
  const args = { tag, fate: caller.fate, always: caller.always };
  const params = { name: 'fated', arguments: args, _meta: { progressToken: 1 } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: tag, method: 'tools/call', params });
  const leaving = caller.leaves ? await gateway.connect() : null;
  if (leaving !== null) {
    const length = String(Buffer.byteLength(body));
    const sent = { ...headers, host: 'localhost', 'content-length': length, expect: '100-continue' };
    leaving.write(requestBytes('POST', '/mcp', Object.entries(sent), body));
    await leaving.until('100 Continue');
  }
  const answer = leaving === null ? gateway.post(body, headers) : undefined;
  if (caller.cancels && id !== undefined) {
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: tag } };
    expect((await gateway.post(cancel, { 'mcp-session-id': id })).status).toBe(202);
  }
  leaving?.leave();
  return answer;
}

test.each<readonly [what: string, behaviour: Partial<Behaviour>, links: NonNullable<GatewayConfig['links']>]>([
  ['to an upstream that keeps its clients apart', {}, { max: 2 }],
  ['to one that broadcasts', { delivery: 'all' }, { max: 2 }],
  ['to one that knows its newest connection only', { delivery: 'newest' }, { single: true }],
])(
  'whatever happens to calls %s: one outcome each, the right one, and no tool runs twice',
  async (_, behaviour, links) => {
    const { gateway, upstream } = await gatewayBefore(behaviour, { reconnect: { min: '10ms', max: '10ms' }, links });
    const ran = scripted(upstream);
    const sessions = [await gateway.openSession(), await gateway.openSession()];
    const exchanges = (): number => gateway.journal.of('exchange').length;
    let run = 0;

    await fc.assert(
      fc.asyncProperty(callers, async (all) => {
        const first = `${++run}`;
        const before = exchanges();

        const answers = await Promise.all(all.map((caller, i) => callAs(gateway, caller, `${first}.${i}`, sessions)));

        for (const [i, answer] of answers.entries()) {
          const tag = `${first}.${i}`;
          const times = ran.get(tag) ?? 0;
          expect(times).toBeLessThanOrEqual(1);
          if (answer === undefined) continue;
          const { status, json } = answer;
          // Cancelled: no answer at all.
          if (json === undefined) {
            expect([all[i]?.cancels, status === 202 || status === 200]).toEqual([true, true]);
            continue;
          }
          expect(json.id ?? 'progress').toBe(json.method === undefined ? tag : 'progress');
          if (json.result !== undefined) expect([status, json.result.content[0].text, times]).toEqual([200, tag, 1]);
          if (json.error === undefined) continue;
          // What failed before it could reach the upstream need not say so: its status does.
          const { outcome = status >= 500 ? 'not_executed' : undefined } = json.error.data;
          expect(outcome).toMatch(/^(?:unknown|not_executed)$/);
          if (outcome === 'not_executed' || status >= 500) expect([json.error, times]).toEqual([json.error, 0]);
        }
        await expect
          .poll(() => [exchanges() - before, gateway.app.mounts[0]?.inFlight], { timeout: 5000 })
          .toEqual([all.length, 0]);
      }),
      { numRuns: 60, interruptAfterTimeLimit: 10_000 },
    );

    for (const id of sessions) await gateway.send('DELETE', '/mcp', { 'mcp-session-id': id });
    // Links may have been cut since; a list is asked for again where a call would fail.
    for (let i = 0; i < 2; i++) await gateway.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    expect((await gateway.call('fated', { tag: 'last' })).json.result.content[0].text).toBe('last');
    expect([gateway.app.registry.size, gateway.app.mounts[0]?.dedicatedCount]).toEqual([0, 0]);
    expect(gateway.journal.of('exchange').filter(({ reason }) => reason === 'internal_error')).toEqual([]);
    expect(gateway.journal.of('refused')).toEqual([]);
  },
);
