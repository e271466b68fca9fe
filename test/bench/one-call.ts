// A client of any peer of the bench that makes one call at a time, as plainly as can be: what the load generator does in a
// hurry, done here step by step.
import { padding } from '../../bench/echo-tool.ts';
import type { Peer } from '../../bench/peers.ts';

const WAIT_MS = 20_000;
const ACCEPT = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const NOTIFIED = { jsonrpc: '2.0', method: 'notifications/initialized' };

export interface Asked {
  readonly nonce: string;
  readonly size?: number;
  readonly progress?: number;
  /** How long the payload of the request is. */
  readonly payload?: number;
}

/** What the answer of the one call is made of; what came before it counts only by its method. */
export interface Answered {
  readonly id: unknown;
  readonly text: string;
  readonly before: readonly string[];
}

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly result?: { readonly content?: readonly { readonly text: string }[] };
}

/** Posts one message; its answer may come in the reply or, with the old transport, elsewhere. */
type Send = (body: object) => Promise<Message[]>;

export async function callOnce(peer: Peer, asked: Asked): Promise<Answered> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([leaving.signal, AbortSignal.timeout(WAIT_MS)]);
  const send = await (peer.speaks === 'legacy' ? overEvents(peer, signal) : overPosts(peer, signal));
  const messages = await send(callOf(asked));
  leaving.abort();
  const answer = messages.at(-1);
  return {
    id: answer?.id,
    text: answer?.result?.content?.[0]?.text ?? JSON.stringify(answer),
    before: messages.slice(0, -1).map(({ method = '' }) => method),
  };
}

/** What the upstream says to that call, whoever carried it. */
export function rightAnswer({ nonce, size = 0, payload }: Asked): Pick<Answered, 'id' | 'text'> {
  return { id: 7, text: `${payload === undefined ? nonce : `${nonce}+${payload}`}:${padding(size)}` };
}

function callOf({ nonce, size = 0, progress = 0, payload }: Asked): object {
  const given = { nonce, size, progress, ...(payload !== undefined && { payload: padding(payload) }) };
  const token = progress > 0 && { _meta: { progressToken: 't' } };
  return { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'echo', arguments: given, ...token } };
}

function initialize(protocolVersion: string): object {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'one-call', version: '1' } };
  return { jsonrpc: '2.0', id: 0, method: 'initialize', params };
}

async function overPosts({ port, path, needsSession }: Peer, signal: AbortSignal): Promise<Send> {
  const post = async (body: object, headers = {}): Promise<Response> => {
    const options = { method: 'POST', body: JSON.stringify(body), headers: { ...ACCEPT, ...headers }, signal };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, options);
    if (!response.ok) throw new Error(`HTTP ${response.status} ${await response.text()}`);
    return response;
  };
  let session = {};
  if (needsSession) {
    const opened = await post(initialize('2025-06-18'));
    await opened.text();
    session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '', 'mcp-protocol-version': '2025-06-18' };
    await (await post(NOTIFIED, session)).text();
  }
  return async (body) => {
    const response = await post(body, session);
    const text = await response.text();
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
    return isStream ? dataOf(text).map(message) : [message(text)];
  };
}

async function overEvents({ port, path }: Peer, signal: AbortSignal): Promise<Send> {
  const origin = `http://127.0.0.1:${port}`;
  const { body } = await fetch(`${origin}${path}`, { headers: { accept: 'text/event-stream' }, signal });
  const reader = (body ?? new ReadableStream<Uint8Array>()).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const until = async (isThere: (data: readonly string[]) => boolean): Promise<string[]> => {
    for (;;) {
      const data = text.endsWith('\n\n') ? dataOf(text) : [];
      if (isThere(data)) return data;
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      const { value, done } = await reader.read();
      if (done) throw new Error(`the stream ended: ${text.slice(0, 400)}`);
      text += value;
    }
  };
  const [endpoint = ''] = await until((data) => data.length > 0);
  const post = async (sent: object, isAnswer: (of: Message) => boolean): Promise<Message[]> => {
    const seen = dataOf(text).length;
    await fetch(`${origin}${endpoint}`, { method: 'POST', body: JSON.stringify(sent), headers: ACCEPT, signal });
    const data = await until((all) => all.slice(seen).map(message).some(isAnswer));
    return data.slice(seen).map(message);
  };
  await post(initialize('2024-11-05'), ({ id }) => id === 0);
  await fetch(`${origin}${endpoint}`, { method: 'POST', body: JSON.stringify(NOTIFIED), headers: ACCEPT, signal });
  return (sent) => post(sent, ({ id }) => id === 7);
}

function dataOf(text: string): string[] {
  return Array.from(text.matchAll(/^data: (.+)$/gm), ([, data = '']) => data);
}

function message(text: string): Message {
  const parsed: Message = JSON.parse(text);
  return parsed;
}
