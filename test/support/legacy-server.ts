// A scriptable MCP server on HTTP+SSE, raw and byte-exact: what it does is in Behaviour, which a test may change at any
// time. Everything can be awaited: streams, requests, calls of a tool. Nothing here sleeps or speaks through an SDK.
//
// What a next…() returns it returns once, whether it came before or after the question, so there is no race to lose.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { spanOf } from './json-span.ts';
import { answererOf, defaultBehaviour, isRecord, NO_ANSWER, RpcError } from './legacy-behaviour.ts';
import type {
  Behaviour,
  GetAnswer,
  LegacyCall,
  LegacySession,
  LegacyStream,
  PlainAnswer,
  RpcMessage,
} from './legacy-behaviour.ts';

/** One message that was posted. */
export interface Received {
  readonly message: RpcMessage;
  readonly raw: Buffer;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

class Session implements LegacySession {
  capabilities: Readonly<Record<string, unknown>> = {};
  count = 0;
  /** Like the SDK, from 0 in each session: two links see the same ids. */
  nextAskId = 0;
  readonly asked = new Map<unknown, (reply: RpcMessage) => void>();
  readonly running = new Map<unknown, () => void>();
}

class Stream implements LegacyStream {
  readonly sessionId = randomUUID();
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly session: Session;
  readonly response: ServerResponse;
  readonly closed: Promise<void>;

  constructor(request: IncomingMessage, response: ServerResponse, session: Session) {
    this.url = request.url ?? '';
    this.headers = request.headers;
    this.session = session;
    this.response = response;
    this.closed = once(response, 'close').then(() => undefined);
  }
}

/** What came and was not asked for yet, and who asked for what has not come yet. */
class Inbox<T> {
  readonly #came = new Map<string, T[]>();
  readonly #waiting = new Map<string, ((item: T) => void)[]>();

  put(key: string, item: T): void {
    const waiter = this.#waiting.get(key)?.shift();
    if (waiter === undefined) addTo(this.#came, key, item);
    else waiter(item);
  }

  async next(key: string): Promise<T> {
    const item = this.#came.get(key)?.shift();
    return item ?? new Promise((resolve) => addTo(this.#waiting, key, resolve));
  }
}

function addTo<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

export async function startLegacyServer(overrides: Partial<Behaviour> = {}): Promise<LegacyServer> {
  const defaults = defaultBehaviour();
  const tools = { ...defaults.tools, ...overrides.tools };
  const server = new LegacyServer({ ...defaults, ...overrides, tools });
  await server.start();
  return server;
}

export class LegacyServer {
  readonly behaviour: Behaviour;
  /** Every message of every POST, in the order in which they came. */
  readonly received: Received[] = [];
  /** Every GET, refused ones too. */
  readonly gets: { readonly url: string; readonly headers: IncomingHttpHeaders }[] = [];

  readonly #http: Server;
  #port = 0;
  #stopped: Promise<void> = Promise.resolve();
  #streams: Stream[] = [];
  readonly #pastSessionIds = new Set<string>();
  /** The one session of a server that does not deliver to each its own. */
  readonly #shared = new Session();
  readonly #opened = new Inbox<LegacyStream>();
  readonly #requests = new Inbox<Received>();
  readonly #calls = new Inbox<LegacyCall>();
  readonly #replies = new Inbox<Received>();
  #streamWaiters: { readonly count: number; readonly resolve: () => void }[] = [];
  #linesWritten = 0;

  constructor(behaviour: Behaviour) {
    this.behaviour = behaviour;
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(toError(error)));
    };
    this.#http = behaviour.tls === undefined ? createServer(serve) : createTlsServer(behaviour.tls, serve);
  }

  /** Of the stream. */
  get url(): URL {
    const scheme = this.behaviour.tls === undefined ? 'http' : 'https';
    return new URL(this.behaviour.path, `${scheme}://127.0.0.1:${this.#port}`);
  }

  /** The open ones, the oldest first. */
  get streams(): readonly LegacyStream[] {
    return this.#streams;
  }

  /** Resolves as soon as exactly so many are open. */
  async whenStreams(count: number): Promise<readonly LegacyStream[]> {
    if (this.#streams.length !== count) {
      await new Promise<void>((resolve) => this.#streamWaiters.push({ count, resolve }));
    }
    return this.#streams;
  }

  /** The next stream that is opened, once its endpoint event is sent. */
  async nextStream(): Promise<LegacyStream> {
    return this.#opened.next('stream');
  }

  /** The next request or notification of this method. */
  async nextRequest(method: string): Promise<Received> {
    return this.#requests.next(method);
  }

  /** The next call of this tool, once the tool runs. */
  async nextCall(tool: string): Promise<LegacyCall> {
    return this.#calls.next(tool);
  }

  /** The next answer to a request of the server with this id; `7` and `"7"` are two. */
  async nextReply(id: string | number): Promise<Received> {
    return this.#replies.next(JSON.stringify(id));
  }

  /** Bytes as they are; nothing if the stream is closing or closed. */
  push(stream: LegacyStream, bytes: Uint8Array | string): void {
    const response = this.#open(stream)?.response;
    if (response !== undefined && !response.writableEnded && !response.destroyed) response.write(bytes);
  }

  /** One message, in this server's framing, on this stream and no other. */
  sendTo(stream: LegacyStream, message: object | Buffer, event = 'message'): void {
    this.push(stream, this.#frame(message, event));
  }

  /** A request of the server, and its answer. The event may be `ping`, as some servers call theirs. */
  async ask(stream: LegacyStream, method: string, params?: object, event = 'message'): Promise<RpcMessage> {
    const session = this.#open(stream)?.session ?? this.#shared;
    const id = session.nextAskId++;
    const reply = new Promise<RpcMessage>((resolve) => session.asked.set(id, resolve));
    this.#deliver(stream, { jsonrpc: '2.0', id, method, ...(params && { params }) }, event);
    return reply;
  }

  /** Ends every stream and its socket; the server goes on listening. */
  cutStreams(): void {
    for (const stream of this.#streams) stream.response.destroy();
  }

  async start(): Promise<void> {
    this.#http.listen(this.#port, '127.0.0.1');
    await once(this.#http, 'listening');
    const address = this.#http.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  /** Cuts everything and listens no more; start() begins again on the same port. Idempotent. */
  async stop(): Promise<void> {
    if (this.#http.listening) {
      this.#stopped = once(this.#http, 'close').then(() => undefined);
      this.#http.close();
      this.#http.closeAllConnections();
    }
    await this.#stopped;
  }

  /** For the end of a test. */
  async close(): Promise<void> {
    await this.stop();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '';
    if (request.method === 'POST') return this.#post(request, response);
    this.gets.push({ url, headers: request.headers });
    if (url.split('?')[0] !== this.url.pathname) return answerPlainly(response, { status: 404, body: 'Not found' });
    const get = this.#getAnswer(request.headers);
    if (typeof get === 'object' && 'status' in get) return answerPlainly(response, get);
    if (typeof get === 'object') await get.until;
    return this.#stream(request, response);
  }

  #getAnswer(headers: IncomingHttpHeaders): GetAnswer {
    const { get } = this.behaviour;
    return typeof get === 'function' ? get(headers) : get;
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    if (response.destroyed) return;
    const { endpoint, greeting, delivery } = this.behaviour;
    const get = this.#getAnswer(request.headers);
    const stream = new Stream(request, response, delivery === 'own' ? new Session() : this.#shared);
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.flushHeaders();
    response.on('close', () => this.#left(stream));
    this.#setStreams([...this.#streams, stream]);
    for (const value of endpoint(stream.sessionId, this.url)) this.sendTo(stream, Buffer.from(value), 'endpoint');
    for (const message of greeting) this.sendTo(stream, message);
    this.#opened.put('stream', stream);
    if (get === 'closes') response.end();
  }

  #left(stream: Stream): void {
    this.#pastSessionIds.add(stream.sessionId);
    this.#setStreams(this.#streams.filter((other) => other !== stream));
    if (this.behaviour.diesWhenOneLeaves) this.stop().catch(() => {});
  }

  #setStreams(streams: Stream[]): void {
    this.#streams = streams;
    const isDue = (waiter: { readonly count: number }): boolean => waiter.count === streams.length;
    const due = this.#streamWaiters.filter(isDue);
    this.#streamWaiters = this.#streamWaiters.filter((waiter) => !isDue(waiter));
    for (const { resolve } of due) resolve();
  }

  async #post(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '', headers } = request;
    const raw = await buffer(request);
    const messages = parseMessages(raw);
    for (const { message } of messages) {
      const received = { message, raw, url, headers };
      this.received.push(received);
      if (message.method !== undefined) this.#requests.put(message.method, received);
      else this.#replies.put(JSON.stringify(message.id ?? null), received);
    }
    const own = this.#streams.find(({ sessionId }) => url.includes(sessionId));
    // Looked through only where it can be one of them: there may have been thousands.
    const isLost = own === undefined && [...this.#pastSessionIds].some((sessionId) => url.includes(sessionId));
    const stream = own ?? this.#streams.at(-1);
    if (isLost || stream === undefined) return answerPlainly(response, this.behaviour.lostSession);
    const [first] = messages;
    if (first === undefined) return answerPlainly(response, { status: 400, body: 'Invalid message' });

    const { post } = this.behaviour;
    const style = typeof post === 'function' ? post(first.message, headers) : post;
    if (typeof style === 'object' && style.ran !== true) return answerPlainly(response, style);
    const answers = messages.map(async (one) => {
      const answer = await this.#answer(one.message, one.raw, stream);
      if (answer !== undefined && style !== 'answered-here') this.#deliver(stream, answer);
      return answer;
    });
    if (style === 'accepted') answerPlainly(response, { status: 202, body: 'Accepted' });
    const bodies = (await Promise.all(answers)).filter((answer) => answer !== undefined);
    if (style === 'answered' || style === 'answered-here') {
      response.writeHead(202, { 'content-type': 'application/json' }).end(bodies[0]);
    } else if (style === 'finished') answerPlainly(response, { status: 200 });
    else if (typeof style === 'object') answerPlainly(response, style);
  }

  /** The answer to a request; undefined for everything else. */
  async #answer(message: RpcMessage, raw: Buffer, stream: Stream): Promise<Buffer | undefined> {
    const { session } = stream;
    if (message.method === undefined) {
      session.asked.get(message.id)?.(message);
      session.asked.delete(message.id);
      return undefined;
    }
    if (message.id === undefined) {
      if (message.method === 'notifications/cancelled') session.running.get(message.params?.['requestId'])?.();
      return undefined;
    }
    const cancelled = Promise.withResolvers<void>();
    session.running.set(message.id, cancelled.resolve);
    const outcome = await this.#outcome(this.#call(message, raw, stream, cancelled.promise));
    session.running.delete(message.id);
    if (outcome === undefined) return undefined;
    const start = Buffer.from('{"jsonrpc":"2.0","id":');
    return Buffer.concat([start, spanOf(raw, ['id']), Buffer.from(','), outcome, Buffer.from('}')]);
  }

  /** The member `result` or `error`, as bytes. */
  async #outcome(call: LegacyCall): Promise<Buffer | undefined> {
    const { method = '', params } = call.message;
    if (method === 'tools/call') this.#calls.put(String(params?.['name']), call);
    try {
      const result = await answererOf(this.behaviour, method)(call);
      if (result === NO_ANSWER) return undefined;
      const bytes = Buffer.isBuffer(result) ? result : Buffer.from(JSON.stringify(result));
      return Buffer.concat([Buffer.from('"result":'), bytes]);
    } catch (error) {
      const { code, data } = error instanceof RpcError ? error : { code: -32603 };
      return Buffer.from(`"error":${JSON.stringify({ code, message: toError(error).message, data })}`);
    }
  }

  #call(message: RpcMessage, raw: Buffer, stream: Stream, cancelled: Promise<void>): LegacyCall {
    const released = Promise.withResolvers<void>();
    const bytes = (...path: readonly string[]): Buffer => spanOf(raw, path);
    const { _meta: meta, arguments: args } = message.params ?? {};
    return {
      message,
      raw,
      stream,
      args: isRecord(args) ? args : {},
      released: released.promise,
      cancelled,
      release: released.resolve,
      bytes,
      notify: (method, params) => this.#deliver(stream, { jsonrpc: '2.0', method, ...(params && { params }) }),
      progress: (progress, total) => {
        if (!isRecord(meta) || meta['progressToken'] === undefined) return;
        const token = bytes('params', '_meta', 'progressToken').toString();
        const params = `{"progressToken":${token},${JSON.stringify({ progress, total }).slice(1)}`;
        const notification = `{"jsonrpc":"2.0","method":"notifications/progress","params":${params}}`;
        this.#deliver(stream, Buffer.from(notification));
      },
      ask: (method, params) => this.ask(stream, method, params),
    };
  }

  #deliver(stream: LegacyStream, message: object | Buffer, event?: string): void {
    const { delivery } = this.behaviour;
    const own = delivery === 'own' ? [stream] : this.#streams;
    for (const each of delivery === 'newest' ? own.slice(-1) : own) this.sendTo(each, message, event);
  }

  #open(stream: LegacyStream): Stream | undefined {
    return this.#streams.find((open) => open === stream);
  }

  #frame(message: object | Buffer, event: string): Buffer {
    const { lineEnds, space, eventField } = this.behaviour.framing;
    const parts: (string | Buffer)[] = [];
    const line = (field: string, value: string | Buffer): void => {
      parts.push(field, value, lineEnds[this.#linesWritten++ % lineEnds.length] ?? '');
    };
    const gap = space ? ': ' : ':';
    if (eventField || event !== 'message') line(`event${gap}`, event);
    const bytes = Buffer.isBuffer(message) ? message : Buffer.from(JSON.stringify(message));
    const lines = bytes.includes('\n') ? bytes.toString('latin1').split('\n') : [bytes];
    for (const one of lines) line(`data${gap}`, typeof one === 'string' ? Buffer.from(one, 'latin1') : one);
    line('', '');
    return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  }
}

/** The messages in a body, one or a batch, each with its own bytes; none if it is not JSON. */
function parseMessages(raw: Buffer): readonly { readonly message: RpcMessage; readonly raw: Buffer }[] {
  const parsed = parse(raw);
  if (!Array.isArray(parsed)) return isMessage(parsed) ? [{ message: parsed, raw }] : [];
  return parsed.filter(isMessage).map((message) => ({ message, raw: Buffer.from(JSON.stringify(message)) }));
}

function parse(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString());
  } catch {
    return undefined;
  }
}

function isMessage(value: unknown): value is RpcMessage {
  return isRecord(value);
}

function answerPlainly(response: ServerResponse, { status, body = '', headers }: PlainAnswer): void {
  response.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(body);
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
