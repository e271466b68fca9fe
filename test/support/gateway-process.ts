// The built gateway as a process of its own, so that its memory can be told from that of the test.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { JSON_HEADERS } from './gateway.ts';
import { type Scrape, readScrape } from './prometheus.ts';

const MAIN = join(import.meta.dirname, '../../dist/main.js');
const WAIT_MS = 30_000;
/** The sockets of Node's own time out after 5 s, whatever a request says. */
const agent = new Agent({ keepAlive: true });
export const MiB = 1024 * 1024;

export interface GatewayProcess {
  readonly origin: string;
  readonly endpoint: string;
  scrape(): Promise<Scrape>;
  /** Scrapes until it is so, or until time is over, and returns the last scrape. */
  scrapeUntil(isSo: (of: Scrape) => boolean, withinMs: number): Promise<Scrape>;
  rss(): Promise<number>;
  /** What the heap holds once it was collected. */
  heapBytes(): Promise<number>;
  openSession(): Promise<string>;
}

/** `flags`: as on the command line; `--max-old-space-size` is Node's. */
export async function startGatewayProcess(upstream: URL, ...flags: readonly string[]): Promise<GatewayProcess> {
  const ofNode = flags.filter((flag) => flag.startsWith('--max-old-space-size'));
  const own = flags.filter((flag) => !ofNode.includes(flag));
  const child = spawn(
    process.execPath,
    ['--inspect=127.0.0.1:0', ...ofNode, MAIN, upstream.href, '--listen=127.0.0.1:0', '--admin=127.0.0.1:0', ...own],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const said = sayings(child);
  const [inspector] = await said(/ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/);
  const [, admin = ''] = await said(/"admin":"(http:\/\/127\.0\.0\.1:\d+)"/);
  const [endpoint] = await said(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  const scrape = async (): Promise<Scrape> =>
    readScrape(await (await fetch(`${admin}/metrics`, { signal: AbortSignal.timeout(WAIT_MS) })).text());
  return {
    origin: new URL(endpoint).origin,
    endpoint,
    scrape,
    async scrapeUntil(isSo, withinMs) {
      const end = performance.now() + withinMs;
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- until it is so
        const of = await scrape();
        if (isSo(of) || performance.now() > end) return of;
      }
    },
    rss: async () => (await scrape()).sum('process_resident_memory_bytes'),
    heapBytes: () => collectedHeap(inspector),
    async openSession() {
      const clientInfo = { name: 'test', version: '1' };
      const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
      const opened = await send(endpoint, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
      const id = opened.headers['mcp-session-id'];
      if (typeof id !== 'string') throw new Error(`no session: ${opened.status} ${opened.text}`);
      await send(endpoint, { jsonrpc: '2.0', method: 'notifications/initialized' }, { 'mcp-session-id': id });
      return id;
    },
  };
}

export interface Sent {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** One POST, or a DELETE where there is no body, on the connections of this process. */
export async function send(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Sent> {
  const method = body === undefined ? 'DELETE' : 'POST';
  const sent = request(url, { method, headers: { ...JSON_HEADERS, ...headers }, agent, timeout: WAIT_MS });
  sent.on('timeout', () => sent.destroy(new Error(`no answer within ${WAIT_MS} ms`)));
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const piece of response.setEncoding('utf8')) text += String(piece);
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

/** A GET of an event stream of which nothing is read until somebody asks for it. */
export async function openUnread(url: string, headers: Record<string, string>): Promise<IncomingMessage> {
  const sent = request(url, { headers: { accept: 'text/event-stream', ...headers }, agent: false });
  onTestFinished(() => void sent.destroy());
  sent.on('error', () => {});
  sent.end();
  const [response] = (await once(sent, 'response', { signal: AbortSignal.timeout(WAIT_MS) })) as [IncomingMessage];
  return response.on('error', () => {});
}

/** `count` times, so many at once; in the order of their numbers. */
export async function inTurn<T>(count: number, atOnce: number, act: (number: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (let number = next++; number < count; number = next++) results[number] = await act(number);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

function sayings(child: ChildProcess): (pattern: RegExp) => Promise<RegExpExecArray> {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
    // Enough for the start: later lines are read, so that the pipe does not fill, and forgotten.
    if (text.length < 100_000) text += piece;
  });
  return async (pattern) => {
    const late = AbortSignal.timeout(WAIT_MS);
    for (;;) {
      const found = pattern.exec(text);
      if (found !== null) return found;
      // oxlint-disable-next-line no-await-in-loop -- until it is said
      await once(child.stderr ?? child, 'data', { signal: late }).catch(() => {
        throw new Error(`${pattern} was not said within ${WAIT_MS} ms: ${text}`);
      });
    }
  };
}

/** Over the inspector of the process: nothing of it needs to be in the program. */
async function collectedHeap(inspector: string): Promise<number> {
  const socket = new WebSocket(inspector);
  await once(socket, 'open', { signal: AbortSignal.timeout(WAIT_MS) });
  const ask = async (id: number, method: string): Promise<{ readonly usedSize?: number }> => {
    socket.send(JSON.stringify({ id, method }));
    const [{ data }] = (await once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MS) })) as [MessageEvent];
    const { result } = JSON.parse(String(data)) as { result?: { usedSize?: number } };
    return result ?? {};
  };
  await ask(1, 'HeapProfiler.collectGarbage');
  await ask(2, 'HeapProfiler.collectGarbage');
  const { usedSize } = await ask(3, 'Runtime.getHeapUsage');
  socket.close();
  if (usedSize === undefined) throw new Error('the inspector did not tell the size of the heap');
  return usedSize;
}
