// What many sessions cost over time, and what happens to a server that is offered five times what it can do. The gateway
// runs as a process of its own.

import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { JSON_HEADERS } from '../support/gateway.ts';
import { MiB, inTurn, send, startGatewayProcess } from '../support/gateway-process.ts';
import { type Answerer, text } from '../support/legacy-behaviour.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 1, b: 2 } } };
const inMiB = (bytes: number): string => (bytes / MiB).toFixed(2);

async function upstreamWith(tools: Readonly<Record<string, Answerer>> = {}) {
  const upstream = await startLegacyServer({ tools });
  onTestFinished(() => upstream.close());
  return upstream;
}

test('20,000 sessions in turn, of which a fifth is abandoned: counts are zero after, and the heap is as it was', async () => {
  const upstream = await upstreamWith();
  const flags = ['--timeouts-session-idle=1s', '--links-max-dedicated=10000', '--log-level=warn'];
  const gateway = await startGatewayProcess(upstream.url, ...flags);
  const live = async (count: number): Promise<void> => {
    await inTurn(count, 8, async (number) => {
      const headers = { 'mcp-session-id': await gateway.openSession() };
      await send(gateway.endpoint, CALL, headers);
      if (number % 5 !== 0) await send(gateway.endpoint, undefined, headers);
      upstream.received.length = 0;
    });
    const of = await gateway.scrapeUntil((scrape) => scrape.sum('causeway_links') === 1, 60_000);
    const held = ['causeway_sessions', 'causeway_calls', 'causeway_replies', 'causeway_buffered_bytes'];
    expect(held.map((name) => of.sum(name))).toEqual([0, 0, 0, 0]);
    expect(of.sum('causeway_links', { use: 'pooled', state: 'open' })).toBe(1);
  };

  // Once to warm up: code that is compiled and buffers that are kept are no leak.
  await live(2000);
  const before = await gateway.heapBytes();
  const startedAt = performance.now();
  await live(20_000);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await gateway.heapBytes();

  const rss = await gateway.rss();
  console.log(
    `20,000 sessions in ${seconds.toFixed(0)} s: heap ${inMiB(before)} → ${inMiB(after)} MiB, RSS ${inMiB(rss)} MiB`,
  );
  expect(after - before).toBeLessThanOrEqual(2 * MiB);
}, 600_000);

test('2,000 idle sessions', async () => {
  const upstream = await upstreamWith();
  const gateway = await startGatewayProcess(upstream.url, '--links-max-dedicated=10000', '--log-level=warn');
  // Those of the start are not the measure: code and pools are there by then.
  await inTurn(200, 8, () => gateway.openSession());
  await gateway.heapBytes();
  const [before, heap] = [await gateway.rss(), await gateway.heapBytes()];

  await inTurn(2000, 8, () => gateway.openSession());
  expect((await gateway.scrape()).sum('causeway_sessions')).toBe(2200);
  const heapEach = (await gateway.heapBytes()) - heap;
  const each = ((await gateway.rss()) - before) / 2000 / 1024;

  console.log(
    `2,000 idle sessions: ${each.toFixed(1)} KiB RSS each, ${(heapEach / 2000 / 1024).toFixed(1)} KiB of heap`,
  );
  expect(each).toBeLessThanOrEqual(64);
}, 300_000);

const HEAP = '--max-old-space-size=256';
const PLACES = 8;
const WORK_MS = 20;
const OFFERED = 2000;
const SECONDS = 10;

// Caller, gateway and server share two cores: what else runs on them is no fault of the gateway.
const OF_THREE = { retry: 2, timeout: 120_000 };

test(
  'a server of 400 calls a second that is offered 2,000 does 90 % of what it can, and the rest is told when to come back',
  OF_THREE,
  async () => {
    // 400 a second, however many wait; on a busy machine its work takes longer, so that it can do less.
    const places: (() => void)[] = [];
    const work = { count: 0, ms: 0 };
    let free = PLACES;
    const works: Answerer = async () => {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => places.push(resolve));
      const since = performance.now();
      await delay(WORK_MS, undefined, { ref: false });
      work.count++;
      work.ms += performance.now() - since;
      const next = places.shift();
      if (next === undefined) free++;
      else next();
      return text('worked');
    };
    const upstream = await upstreamWith({ works });
    const flags = ['--links-max=4', '--links-max-in-flight=16', '--links-max-queue=64', '--links-queue-timeout=1s'];
    const gateway = await startGatewayProcess(upstream.url, HEAP, ...flags, '--log-level=warn');
    await upstream.nextStream();
    const agent = new Agent({ keepAlive: true, maxSockets: 2000 });
    onTestFinished(() => agent.destroy());
    const body = JSON.stringify({ ...CALL, params: { name: 'works', arguments: {} } });
    const told = { ok: 0, refused: 0, refusedWithoutRetryAfter: 0, other: 0 };
    const one = async (): Promise<void> => {
      const sent = request(gateway.endpoint, { method: 'POST', headers: JSON_HEADERS, agent, timeout: 20_000 });
      sent.on('timeout', () => sent.destroy(new Error('no answer within 20 s')));
      sent.end(body);
      const [response] = await once(sent, 'response');
      let answer = '';
      for await (const piece of response.setEncoding('utf8')) answer += String(piece);
      if (response.statusCode === 200 && answer.includes('worked')) told.ok++;
      else if (response.statusCode !== 503) told.other++;
      else if (response.headers['retry-after'] === undefined) told.refusedWithoutRetryAfter++;
      else told.refused++;
    };

    // At a pace, whatever is answered: an open loop.
    const startedAt = performance.now();
    const calls: Promise<void>[] = [];
    while (performance.now() - startedAt < SECONDS * 1000) {
      const due = Math.floor(((performance.now() - startedAt) / 1000) * OFFERED);
      while (calls.length < due) calls.push(one());
      // oxlint-disable-next-line no-await-in-loop -- the pace
      await delay(1);
    }
    const okInTime = told.ok;
    await Promise.all(calls);

    const goodput = okInTime / SECONDS;
    const capacity = (PLACES * 1000) / (work.ms / work.count);
    console.log(
      `offered ${(calls.length / SECONDS).toFixed(0)} a second: ${goodput.toFixed(0)} done a second of ${capacity.toFixed(0)}, ${JSON.stringify(told)}`,
    );
    expect([told.other, told.refusedWithoutRetryAfter]).toEqual([0, 0]);
    expect(goodput).toBeGreaterThanOrEqual(0.9 * capacity);
  },
);
