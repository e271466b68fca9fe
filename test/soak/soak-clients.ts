// What clients of every kind do in a soak: they call, are asked, listen, and often leave without a word. None of them minds
// an error; what minds is what is left when they are gone.

import { connect } from 'node:net';
import { type Dispatcher, request } from 'undici';
import { JSON_HEADERS, requestBytes } from '../support/gateway.ts';
import { modernMessage } from '../support/modern-client.ts';
import type { Seeded } from '../support/seeded.ts';

export interface SoakClient {
  readonly origin: string;
  readonly dispatcher: Dispatcher;
  readonly random: Seeded;
  /** A tag that no other call has. */
  readonly tag: () => string;
}

/** Nobody waits for longer. */
const PATIENCE_MS = 10_000;
const REVISIONS = ['2025-03-26', '2025-06-18', '2025-11-25'];
const CAPABILITIES = { elicitation: { form: {} } };

type Act = (client: SoakClient) => Promise<void>;

export const ACTS: Readonly<Record<string, Act>> = {
  'sessionless call': async (client) => {
    await post(client, { jsonrpc: '2.0', id: 1, method: 'tools/call', params: callOf(client, 'fated') });
  },
  'session, ended or abandoned': async (client) => {
    const session = await openSession(client);
    if (session === null) return;
    const own = { 'mcp-session-id': session };
    const isListening = client.random.below(2) === 0;
    const listens = isListening ? open(client, 'GET', '/mcp', { accept: 'text/event-stream', ...own }) : null;
    const name = (): string => client.random.pick(['fated', 'progresses']);
    const calls = Array.from({ length: 3 }, (_, id) =>
      post(client, { jsonrpc: '2.0', id, method: 'tools/call', params: callOf(client, name()) }, own),
    );
    await Promise.all(calls);
    (await listens)?.body.destroy();
    if (client.random.below(3) > 0) await send(client, 'DELETE', '/mcp', own);
  },
  'modern call': async (client) => {
    const { body, headers } = modernMessage('tools/call', callOf(client, 'fated'));
    await send(client, 'POST', '/mcp', headers, body);
  },
  'modern round, answered or abandoned': async (client) => {
    const params = callOf(client, 'asks');
    const { body, headers } = modernMessage('tools/call', params, { capabilities: CAPABILITIES });
    const asked = (await send(client, 'POST', '/mcp', headers, body)).json?.result;
    if (asked?.resultType !== 'input_required' || client.random.below(3) === 0) return;
    const answer = { action: 'accept', content: { name: 'Ada' } };
    const inputResponses = Object.fromEntries(Object.keys(asked.inputRequests).map((key) => [key, answer]));
    const back = { ...params, requestState: asked.requestState, inputResponses };
    const again = modernMessage('tools/call', back, { capabilities: CAPABILITIES });
    await send(client, 'POST', '/mcp', again.headers, again.body);
  },
  listen: async (client) => {
    const notifications = { toolsListChanged: true };
    const { body, headers } = modernMessage('subscriptions/listen', { notifications });
    const reply = await open(client, 'POST', '/mcp', headers, body);
    // The first piece says whether it is one.
    await reply.body[Symbol.asyncIterator]().next();
    reply.body.destroy();
  },
  'old client': async (client) => {
    const stream = await open(client, 'GET', '/sse', { accept: 'text/event-stream' });
    let heard = '';
    let told = false;
    for await (const piece of stream.body) {
      heard += String(piece);
      const [, path] = /^data: ?(\/[\w/.-]+\?token=[\w-]+)[\r\n]/m.exec(heard) ?? [];
      if (path !== undefined && !told) {
        told = true;
        const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: callOf(client, 'fated') };
        await send(client, 'POST', path, { 'content-type': 'application/json' }, JSON.stringify(call));
      }
      if (heard.includes('"result"') || stream.statusCode !== 200) break;
    }
    stream.body.destroy();
  },
  'one who leaves in mid-call': async (client) => {
    const { port } = new URL(client.origin);
    const socket = connect(Number(port), '127.0.0.1');
    const params = callOf(client, client.random.pick(['fated', 'progresses', 'asks']));
    const { body, headers } = client.random.pick([
      modernMessage('tools/call', params, { capabilities: CAPABILITIES }),
      { body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }), headers: JSON_HEADERS },
    ]);
    const sent = { ...headers, host: 'localhost', 'content-length': String(Buffer.byteLength(body)) };
    await new Promise<void>((resolve) => {
      socket.on('close', () => resolve());
      socket.on('error', () => {});
      socket.on('connect', () => {
        const written = requestBytes('POST', '/mcp', Object.entries(sent), body);
        socket.write(written, () => (client.random.below(2) === 0 ? socket.destroy() : socket.resetAndDestroy()));
      });
    });
  },
};

function callOf({ random, tag }: SoakClient, name: string): { readonly name: string; readonly arguments: object } {
  const afterMs = random.pick([0, 0, 5, 50]);
  return { name, arguments: { tag: tag(), ...(afterMs > 0 && { afterMs }) } };
}

async function openSession(client: SoakClient): Promise<string | null> {
  const opened = await post(client, {
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: {
      protocolVersion: client.random.pick(REVISIONS),
      capabilities: {},
      clientInfo: { name: 'soak', version: '1' },
    },
  });
  const session = opened.headers['mcp-session-id'];
  if (typeof session !== 'string') return null;
  await post(client, { jsonrpc: '2.0', method: 'notifications/initialized' }, { 'mcp-session-id': session });
  return session;
}

function open(
  { origin, dispatcher }: SoakClient,
  method: Dispatcher.HttpMethod,
  path: string,
  headers: Record<string, string>,
  body?: string,
) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  return request(origin + path, { method, headers, dispatcher, signal, ...(body !== undefined && { body }) });
}

async function send(...given: Parameters<typeof open>) {
  const { statusCode: status, headers, body } = await open(...given);
  const text = await body.text();
  return { status, headers, json: jsonIn(text) };
}

function post(client: SoakClient, message: object, headers: Record<string, string> = {}) {
  return send(client, 'POST', '/mcp', { ...JSON_HEADERS, ...headers }, JSON.stringify(message));
}

/** Of a stream, its last event. */
// oxlint-disable-next-line typescript/no-explicit-any -- answers are looked into freely
function jsonIn(text: string): any {
  const last = text.startsWith('{')
    ? text
    : text
        .split('\n')
        .findLast((line) => line.startsWith('data: {'))
        ?.slice(6);
  try {
    return JSON.parse(last ?? '');
  } catch {
    return undefined;
  }
}
