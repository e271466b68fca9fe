// SIGTERM to the built program while many event streams are open and something is said on all of them: shared by the
// short test and the long one.

import { type IncomingMessage, request } from 'node:http';
import { once } from 'node:events';
import { expect, onTestFinished } from 'vitest';
import { JSON_HEADERS, eventsOf } from '../support/gateway.ts';
import { NO_ANSWER } from '../support/legacy-behaviour.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { IN } from '../support/session-client.ts';
import { run } from './program.ts';

export interface Streams {
  /** Of sessions, each with a GET that is read. */
  readonly gets: number;
  /** Of those, so many with a call too that is never answered. */
  readonly posts: number;
  /** Sessions whose GET is not read. */
  readonly stopped: number;
  readonly drainMs: number;
}

/** How long the program may take beyond drain.timeout; part of it is what clients may take to read what came last. */
const BEYOND_MS = 2000;
const SAID_EVERY_MS = 20;
const SAID_AT_ONCE = 20;

export async function stopsWithStreams({ gets, posts, stopped, drainMs }: Streams): Promise<void> {
  const upstream = await startLegacyServer({
    tools: {
      tells: (call) => {
        call.progress(1);
        return NO_ANSWER;
      },
    },
  });
  onTestFinished(() => upstream.close());
  const program = run(
    upstream.url.href,
    '--listen=127.0.0.1:0',
    `--drain-timeout=${drainMs}ms`,
    '--log-format=json',
    '--log-level=warn',
    '--links-queue-timeout=60s',
  );
  const [endpoint] = await program.says(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  const sessions = [];
  // oxlint-disable-next-line no-await-in-loop -- as clients come
  for (let i = 0; i < gets + stopped; i++) sessions.push(await openSession(endpoint));
  const listeners = await Promise.all(sessions.map((session) => open(endpoint, IN(session))));
  const read = listeners.slice(0, gets).map(reader);
  const answers = await Promise.all(
    sessions.slice(0, posts).map((session) => {
      const params = { name: 'tells', arguments: {}, _meta: { progressToken: 1 } };
      return open(endpoint, IN(session), { jsonrpc: '2.0', id: 'open', method: 'tools/call', params });
    }),
  );
  const called = answers.map(reader);
  let next = 0;
  const data = 'x'.repeat(2000);
  const talk = setInterval(() => {
    const { streams } = upstream;
    for (let i = 0; i < Math.min(SAID_AT_ONCE, streams.length); i++) {
      const stream = streams[next++ % streams.length];
      const message = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } };
      if (stream !== undefined) upstream.sendTo(stream, message);
    }
  }, SAID_EVERY_MS);
  onTestFinished(() => clearInterval(talk));
  // What is said while a call runs is said on its reply.
  await Promise.all([...called, ...read.slice(posts)].map(({ begun }) => begun));

  const since = performance.now();
  program.child.kill('SIGTERM');
  const code = await program.ended;
  const tookMs = performance.now() - since;
  const ends = await Promise.all([...read, ...called].map(({ ended }) => ended));

  expect(code).toBe(0);
  // There were calls to wait for.
  expect(tookMs).toBeGreaterThan(drainMs * 0.9);
  expect(tookMs).toBeLessThan(drainMs + BEYOND_MS);
  expect(ends.filter(({ isWhole }) => !isWhole)).toEqual([]);
  expect(ends.filter(({ text }) => !text.endsWith('\n\n'))).toEqual([]);
  const outcomes = ends.slice(gets).map(({ text }) => JSON.parse(eventsOf(text).at(-1) ?? 'null'));
  expect(outcomes).toMatchObject(Array(posts).fill({ id: 'open', error: { data: { reason: 'draining' } } }));
  // oxlint-disable-next-line no-console -- the figure
  console.log(
    `${gets + posts} streams read, ${stopped} not: exit ${code} after ${Math.round(tookMs)} ms, of drain.timeout ${drainMs} ms`,
  );
}

async function openSession(endpoint: string): Promise<string> {
  const clientInfo = { name: 'test', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const opened = await open(endpoint, {}, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
  opened.resume();
  const session = String(opened.headers['mcp-session-id']);
  const ready = await open(endpoint, IN(session), { jsonrpc: '2.0', method: 'notifications/initialized' });
  ready.resume();
  return session;
}

/** GET, or POST where there is a body; resolves with the headers of the reply. */
async function open(endpoint: string, headers: Record<string, string>, body?: object): Promise<IncomingMessage> {
  const sent =
    body === undefined
      ? request(endpoint, { headers: { accept: 'text/event-stream', ...headers }, agent: false })
      : request(endpoint, { method: 'POST', headers: { ...JSON_HEADERS, ...headers }, agent: false });
  onTestFinished(() => void sent.destroy());
  sent.on('error', () => {});
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  return response;
}

interface End {
  /** Ended as HTTP has it. */
  readonly isWhole: boolean;
  readonly text: string;
}

/** `begun`: a message has come. */
function reader(response: IncomingMessage): { readonly begun: Promise<void>; readonly ended: Promise<End> } {
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<End>();
  const pieces: string[] = [];
  response.setEncoding('utf8');
  response.on('data', (piece: string) => {
    pieces.push(piece);
    if (piece.includes('"method"')) begun.resolve();
  });
  response.on('close', () => {
    begun.resolve();
    ended.resolve({ isWhole: response.complete, text: pieces.join('') });
  });
  return { begun: begun.promise, ended: ended.promise };
}
