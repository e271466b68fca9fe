// A client that reads an event stream while it comes, on a socket of its own. Every wait is bounded, and an error says
// what had come until then.

import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { onTestFinished } from 'vitest';
import { type GatewayClient, JSON_HEADERS } from './gateway.ts';

/** One frame that is more than a comment; `retry` may come alone, and then `data` is empty. */
export interface SseEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: string;
  readonly retry?: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into messages freely
  readonly json?: any;
}

export interface EventOptions {
  readonly sessionId?: string;
  readonly lastEventId?: string;
  /** Beside the usual ones; undefined takes one away, an array sends it several times. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** GET, or POST where there is a body. */
  readonly method?: 'GET' | 'POST';
  readonly body?: unknown;
}

export interface EventClient {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Everything that has come, comments too. */
  readonly text: string;
  /** All events so far, those included that were handed out. */
  readonly seen: readonly SseEvent[];
  /** How many comments came so far. */
  readonly heartbeats: number;
  /** The next event that was not handed out yet. */
  next(): Promise<SseEvent>;
  /** Those that were not handed out yet, once the gateway has ended the stream. */
  rest(): Promise<SseEvent[]>;
  /** Those that were not handed out yet, up to the first that matches. */
  until(matches: (event: SseEvent) => boolean): Promise<SseEvent[]>;
  /** Resolves when so many comments have come in all. */
  untilHeartbeat(count?: number): Promise<void>;
  /** Resolves when this part has come, complete event or not. */
  untilText(part: string): Promise<void>;
  /** The whole body as text, once it has ended: for an answer that is no stream. */
  body(): Promise<string>;
  /** Reads nothing any more, until `resume`. */
  pause(): void;
  resume(): void;
  /** The client closes its socket; resolves when the gateway has noticed. Not for one that is paused: see `cut`. */
  leave(): Promise<void>;
  /** The socket is gone at once, whatever was still to be read. */
  cut(): void;
  /** Resolves when the reply is over: ended as HTTP has it, or broken off. */
  readonly closed: Promise<'ended' | 'broken'>;
}

const WAIT_MS = 5000;

/** Resolves with the headers of the reply. The client leaves when the test is over. */
export async function openEvents(gateway: GatewayClient, options: EventOptions = {}): Promise<EventClient> {
  const { sessionId, lastEventId, body, method = body === undefined ? 'GET' : 'POST' } = options;
  const usual = {
    ...(method === 'POST' ? JSON_HEADERS : { accept: 'text/event-stream' }),
    ...(sessionId !== undefined && { 'mcp-session-id': sessionId }),
    ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
    ...options.headers,
  };
  const headers = Object.fromEntries(Object.entries(usual).filter(([, value]) => value !== undefined)) as Record<
    string,
    string | string[]
  >;
  const sent = request(gateway.endpoint, { method, headers, agent: false });
  onTestFinished(() => void sent.destroy());
  sent.on('error', () => {});
  sent.end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body));
  const [response] = (await once(sent, 'response', { signal: AbortSignal.timeout(WAIT_MS) }).catch((cause: unknown) => {
    throw new Error(`no reply to ${method} ${JSON.stringify(body)} within ${WAIT_MS} ms`, { cause });
  })) as [IncomingMessage];
  const client = new Reply(response);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    get text() {
      return client.text;
    },
    get seen() {
      return client.seen;
    },
    get heartbeats() {
      return client.heartbeats;
    },
    next: () => client.next(),
    rest: () => client.rest(),
    until: (matches) => client.until(matches),
    untilHeartbeat: (count = 1) => client.untilHeartbeat(count),
    untilText: (part) => client.untilText(part),
    body: async () => {
      await client.closed();
      return client.text;
    },
    pause: () => void response.pause(),
    resume: () => void response.resume(),
    leave: async () => {
      // Half a close: the other half is the gateway's, and shows that it knows.
      response.socket.end();
      await client.closed();
    },
    cut: () => void sent.destroy(),
    get closed() {
      return client.closed();
    },
  };
}

export interface CallOptions extends Omit<EventOptions, 'sessionId' | 'method' | 'body'> {
  readonly id?: string | number;
  readonly args?: object;
  readonly progressToken?: string | number;
}

/** A tools/call in a session; resolves when its reply begins, which is when it has something to say. */
export function openCall(
  gateway: GatewayClient,
  sessionId: string,
  name: string,
  { id = 1, args = {}, progressToken, ...more }: CallOptions = {},
): Promise<EventClient> {
  const params = { name, arguments: args, ...(progressToken !== undefined && { _meta: { progressToken } }) };
  return openEvents(gateway, { ...more, sessionId, body: { jsonrpc: '2.0', id, method: 'tools/call', params } });
}

class Reply {
  text = '';
  readonly seen: SseEvent[] = [];
  heartbeats = 0;
  readonly #response: IncomingMessage;
  /** What has come of the frame that is under way. */
  #partial: string[] = [];
  #handedOut = 0;
  #end: 'ended' | 'broken' | null = null;
  #news = Promise.withResolvers<void>();

  constructor(response: IncomingMessage) {
    this.#response = response;
    response.setEncoding('utf8');
    response.on('data', (piece: string) => {
      this.text += piece;
      const end = this.#partial.at(-1)?.slice(-1) ?? '';
      this.#partial.push(piece);
      // Looked through once only: a frame may be large.
      if ((end + piece).includes('\n\n')) {
        const frames = this.#partial.join('').split('\n\n');
        this.#partial = [frames.pop() ?? ''];
        for (const frame of frames) this.#take(frame);
      }
      this.#tell();
    });
    response.on('error', () => {});
    response.on('close', () => {
      this.#end = response.complete ? 'ended' : 'broken';
      this.#tell();
    });
  }

  async next(): Promise<SseEvent> {
    await this.#until('an event', () => this.seen.length > this.#handedOut || this.#end !== null);
    const event = this.seen[this.#handedOut];
    if (event === undefined) throw this.#error('the stream is over, but there is no further event');
    this.#handedOut++;
    return event;
  }

  async rest(): Promise<SseEvent[]> {
    await this.closed();
    const events = this.seen.slice(this.#handedOut);
    this.#handedOut = this.seen.length;
    return events;
  }

  async until(matches: (event: SseEvent) => boolean): Promise<SseEvent[]> {
    const events: SseEvent[] = [];
    for (;;) {
      const event = await this.next();
      events.push(event);
      if (matches(event)) return events;
    }
  }

  async untilHeartbeat(count: number): Promise<void> {
    await this.#until(`${count} comments`, () => this.heartbeats >= count || this.#end !== null);
    if (this.heartbeats < count) throw this.#error(`the stream is over, but there are no ${count} comments`);
  }

  async untilText(part: string): Promise<void> {
    await this.#until(JSON.stringify(part), () => this.text.includes(part) || this.#end !== null);
    if (!this.text.includes(part)) throw this.#error(`the reply is over, without ${JSON.stringify(part)}`);
  }

  async closed(): Promise<'ended' | 'broken'> {
    await this.#until('the end of the reply', () => this.#end !== null);
    return this.#end ?? 'broken';
  }

  #take(frame: string): void {
    const fields = new Map<string, string>();
    for (const line of frame.split('\n')) {
      const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      const before = fields.get(name);
      fields.set(name, name === 'data' && before !== undefined ? `${before}\n${value}` : value);
    }
    const [id, event, retry] = [fields.get('id'), fields.get('event'), fields.get('retry')];
    if (fields.has('')) this.heartbeats++;
    if (id === undefined && event === undefined && retry === undefined && !fields.has('data')) return;
    const data = fields.get('data') ?? '';
    const json = parseOrUndefined(data);
    this.seen.push({
      ...(id !== undefined && { id }),
      ...(event !== undefined && { event }),
      data,
      ...(retry !== undefined && { retry: Number(retry) }),
      ...(json !== undefined && { json }),
    });
  }

  async #until(what: string, isThere: () => boolean): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(this.#error(`${what} did not come within ${WAIT_MS} ms`)), WAIT_MS);
    // Nobody may wait for it any more.
    late.promise.catch(() => {});
    try {
      while (!isThere()) await Promise.race([this.#news.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  #error(what: string): Error {
    const { statusCode, headers } = this.#response;
    const head = JSON.stringify({ status: statusCode, headers });
    const lines = this.text.split('\n').map((line) => (line.length > 200 ? `${line.slice(0, 200)}…` : line));
    return new Error(`${what}; so far: ${head}\n${lines.slice(0, 100).join('\n')}`);
  }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
