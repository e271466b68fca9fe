// A hundred clients that stop reading while much is said to each of them: what it costs, and whom.

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { expect, onTestFinished } from 'vitest';
import { MiB, inTurn, openUnread, send, startGatewayProcess } from '../support/gateway-process.ts';
import type { LegacyStream } from '../support/legacy-behaviour.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const READERS = 100;
const CALLS = 200;
const BUFFERED = 64 * MiB;
/** What one stream may hold: a message of the size that is sent, and what may wait beyond it, with what is on its way. */
const PER_READER = 4 * MiB;
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 1, b: 2 } } };

export interface Offer {
  /** MiB to each. */
  readonly offered: number;
  /** To all of them in one moment: the gateway has to take what it may before it can serve others. */
  readonly atOnce: boolean;
  /** How many of them read on in the end. */
  readonly resumed: number;
  /** Says how much longer a call takes than on a gateway where nobody has stopped. */
  readonly compared?: true;
}

export async function stoppedReaders({ offered, atOnce, resumed, compared }: Offer): Promise<void> {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const gateway = await startGatewayProcess(upstream.url, '--limits-buffered-bytes=64MiB', '--log-level=warn');
  await upstream.nextStream();
  const sessions = await inTurn(READERS, 10, () => gateway.openSession());
  const links = upstream.streams.slice(1);
  const readers = await inTurn(READERS, 10, (n) =>
    openUnread(gateway.endpoint, { 'mcp-session-id': sessions[n] ?? '' }),
  );
  const [own] = [await gateway.openSession()];
  const before = await gateway.rss();

  // The same bytes for all: what is kept of them here costs nothing.
  const frame = Buffer.from(
    `event: message\ndata: {"jsonrpc":"2.0","method":"notifications/x","params":{"filler":"${'x'.repeat(MiB)}"}}\n\n`,
  );
  const offer = (link: LegacyStream): void => {
    for (let i = 0; i < offered; i++) upstream.push(link, frame);
  };
  const waiting = atOnce ? [] : links.slice();
  if (atOnce) links.forEach(offer);
  const seen = { rss: 0, buffered: 0, slowestMs: 0, lagMs: 0 };
  for (let i = 0; i < CALLS; i++) {
    // oxlint-disable no-await-in-loop -- one after the other, while the readers stand still
    const next = i % (CALLS / READERS) === 0 ? waiting.shift() : undefined;
    if (next !== undefined) offer(next);
    const startedAt = performance.now();
    const answer = await send(gateway.endpoint, CALL, i % 2 === 0 ? {} : { 'mcp-session-id': own });
    seen.slowestMs = Math.max(seen.slowestMs, performance.now() - startedAt);
    expect(JSON.parse(answer.text)).toMatchObject({ id: 1, result: { content: [{ text: '3' }] } });
    if (i % 10 !== 0) continue;
    const of = await gateway.scrape();
    // oxlint-enable no-await-in-loop
    seen.rss = Math.max(seen.rss, of.sum('process_resident_memory_bytes'));
    seen.lagMs = Math.max(seen.lagMs, of.sum('nodejs_eventloop_lag_max_seconds') * 1000);
    seen.buffered = Math.max(seen.buffered, of.sum('causeway_buffered_bytes'));
  }
  const inMiB = (bytes: number): string => (bytes / MiB).toFixed(0);
  console.log(
    `${READERS} stopped readers, ${offered} MiB offered to each: ${inMiB(seen.buffered)} MiB buffered, ` +
      `RSS ${inMiB(before)} → ${inMiB(seen.rss)} MiB; ${CALLS} calls beside them, the slowest ${seen.slowestMs.toFixed(0)} ms; the gateway stood still for ${seen.lagMs.toFixed(0)} ms at most`,
  );
  if (compared === true) {
    const other = await startGatewayProcess(upstream.url, '--log-level=warn');
    console.log(`a call beside them takes ${await ratioOfMedians(gateway.endpoint, other.endpoint)} of one without`);
  }
  const read = await Promise.all(readers.slice(0, resumed).map(bytesOf(offered * frame.length)));

  expect(links).toHaveLength(READERS);
  // The event that is kept last may be beyond the bound.
  expect(seen.buffered).toBeLessThanOrEqual(BUFFERED + 2 * MiB);
  expect(seen.buffered).toBeGreaterThan(0);
  expect(seen.rss - before).toBeLessThan(BUFFERED + READERS * PER_READER);
  expect(Math.min(...read)).toBeGreaterThanOrEqual(offered * MiB);
}

/** Of calls one after the other, in rounds that alternate. */
async function ratioOfMedians(endpoint: string, floor: string): Promise<string> {
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
  const round = async (url: string): Promise<number> => {
    const took = await inTurn(100, 1, async () => {
      const since = performance.now();
      await send(url, CALL);
      return performance.now() - since;
    });
    return median(took);
  };
  const ratios = await inTurn(11, 1, async () => (await round(endpoint)) / (await round(floor)));
  const sorted = ratios.toSorted((a, b) => a - b).map((ratio) => ratio.toFixed(2));
  return `${median(ratios).toFixed(2)} (${sorted[0]}-${sorted.at(-1)})`;
}

/** Reads until so many bytes have come, or the stream is over. */
const bytesOf =
  (wanted: number) =>
  async (response: IncomingMessage): Promise<number> => {
    let bytes = 0;
    const all = Promise.withResolvers<void>();
    response.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes >= wanted) all.resolve();
    });
    const late = setTimeout(() => all.resolve(), 60_000);
    await Promise.race([all.promise, once(response, 'close')]);
    clearTimeout(late);
    return bytes;
  };
