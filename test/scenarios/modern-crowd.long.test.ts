// Many clients of 2026-07-28 who have everything in common, ids, progress tokens and the tool they call, and are all asked
// at the same time on few links: who gets whose question, and whose answer.

import { expect, test } from 'vitest';
import { type Answer, type Gateway, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, text } from '../support/legacy-behaviour.ts';
import { modern, retry } from '../support/modern-client.ts';

const COUNT = 500;
const LINKS = { max: 32, maxQueue: 512, queueTimeout: '120s' } as const;

/** Says whose call it is in its progress, its question and its result. Nobody is asked before `all` are there. */
const personal =
  (all: Promise<void>): Answerer =>
  async (call) => {
    await all;
    const who = Number(call.args['who']);
    call.progress(who);
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } };
    const { result } = await call.ask('elicitation/create', { message: `client ${who}?`, requestedSchema });
    return { ...text(`for ${who}`), structuredContent: { who, result } };
  };

interface Outcome {
  /** Times that it had to start afresh. */
  readonly evictions: number;
}

/** Calls, answers what it is asked, and starts afresh when its round is over, until it is through. */
async function client(gateway: Gateway, who: number): Promise<Outcome> {
  const params = { name: 'personal', arguments: { who } };
  const options = { capabilities: { elicitation: {} }, progressToken: 1 };
  const own = { action: 'accept', content: { name: `client ${who}!` } };
  for (let evictions = 0; ; evictions++) {
    const asked = await modern(gateway, 'tools/call', params, options);
    expectOwnProgress(asked, who);
    const { requestState, ...result } = asked.json.result ?? expect.fail(asked.text);
    expect(requestState).toEqual(expect.any(String));
    expect(result).toMatchObject({
      resultType: 'input_required',
      inputRequests: { name: { method: 'elicitation/create', params: { message: `client ${who}?` } } },
    });
    expect(Object.keys(result.inputRequests)).toEqual(['name']);

    const done = await retry(gateway, asked, { name: own }, ['tools/call', params, options]);
    if (done.json.error !== undefined) {
      expect([done.status, done.json.error.code, done.json.error.data.reason]).toEqual([
        200,
        -32602,
        'request_state_invalid',
      ]);
      continue;
    }
    expect(done.json).toMatchObject({
      id: 'again',
      result: { resultType: 'complete', content: [{ text: `for ${who}` }], structuredContent: { who, result: own } },
    });
    return { evictions };
  }
}

function expectOwnProgress({ events }: Answer, who: number): void {
  expect(events.slice(0, -1).map((data): unknown => JSON.parse(data))).toEqual([
    { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: who } },
  ]);
}

const all = async (gateway: Gateway, count: number): Promise<Outcome[]> =>
  Promise.all(Array.from({ length: count }, (_, who) => client(gateway, who)));

const evictionsIn = (outcomes: readonly Outcome[]): number =>
  outcomes.reduce((sum, { evictions }) => sum + evictions, 0);

test(`${COUNT} clients on 32 links are asked at once: each gets its own question and its own answer [F41 F45 F51 G10 G17]`, async () => {
  const gate = Promise.withResolvers<void>();
  const tools = { personal: personal(gate.promise) };
  const { gateway, upstream } = await gatewayBefore({ tools }, { links: LINKS });

  const startedAt = performance.now();
  const through = all(gateway, COUNT);
  await expect.poll(() => gateway.app.inFlight(), { timeout: 20_000 }).toBe(COUNT);
  gate.resolve();
  const outcomes = await through;
  const tookMs = Math.round(performance.now() - startedAt);

  const evictions = evictionsIn(outcomes);
  console.log(`${COUNT} clients were through in ${tookMs} ms, with ${evictions} rounds that had to make room`);
  const mount = gateway.app.mounts[0];
  expect([mount?.inFlight, mount?.modern.held.size]).toEqual([0, 0]);
  const answers = upstream.received.filter(({ message }) => message.method === undefined);
  const taken = answers.filter(({ raw }) => raw.includes('client '));
  const cancelled = answers.filter(({ raw }) => raw.includes('"action":"cancel"'));
  expect([taken.length, cancelled.length]).toEqual([COUNT, evictions]);
  expect(upstream.streams.length).toBeLessThanOrEqual(LINKS.max + 1);
  expect(gateway.journal.of('exchange').filter(({ reason }) => reason === 'internal_error')).toEqual([]);
});

test('16 clients on the same links keep their rounds: none has to start afresh [F41 F51 G17]', async () => {
  const tools = { personal: personal(Promise.resolve()) };
  const { gateway, upstream } = await gatewayBefore({ tools }, { links: LINKS });

  const rounds = [];
  for (let i = 0; i < 10; i++) rounds.push(evictionsIn(await all(gateway, LINKS.max / 2)));

  expect(rounds).toEqual(Array(10).fill(0));
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(160);
});
