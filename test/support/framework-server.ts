// Plays one fixture of test/fixtures/servers over real sockets, byte for byte. It has a tool `count`, which counts its
// calls, and a tool `echo`, which tells progress and gives its arguments back; the rest is the framework's.

import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { type Framework, type Reply, filled, framed, wordsOf } from './frameworks.ts';
import type { RpcMessage } from './legacy-behaviour.ts';

export interface PlayedStream {
  readonly session: string;
  /** Everything that was written to it, the head aside. */
  readonly sent: string;
}

export interface PlayedMessage {
  readonly message: RpcMessage;
  readonly raw: string;
  readonly url: string;
  readonly type: string;
}

interface Stream {
  readonly session: string;
  readonly response: ServerResponse;
  readonly words: Readonly<Record<string, string>>;
  sent: string;
  isKnown: boolean;
  count: number;
}

type Result = { readonly result: string } | { readonly error: string };

const WAIT_MS = 5000;
const SESSIONS: Readonly<Record<Framework['session'], () => string>> = {
  uuid: () => randomUUID(),
  hex: () => randomUUID().replaceAll('-', ''),
  base32: () => Array.from(randomBytes(26), (byte) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[byte % 32]).join(''),
  base64url: () => randomBytes(16).toString('base64url'),
  // Its padding too.
  'base64 of a uuid': () => Buffer.from(randomUUID()).toString('base64'),
  none: () => '',
};

/** Listens when it is returned, for the length of one test. */
export async function playFramework(framework: Framework): Promise<FrameworkServer> {
  const server = new FrameworkServer(framework);
  onTestFinished(() => server.close());
  await server.listen();
  return server;
}

export class FrameworkServer {
  /** In the order in which they came, those that were refused too. */
  readonly received: PlayedMessage[] = [];
  readonly #framework: Framework;
  readonly #http: Server;
  #port = 0;
  #streams: Stream[] = [];
  #news = Promise.withResolvers<void>();

  constructor(framework: Framework) {
    this.#framework = framework;
    this.#http = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** Of the stream. */
  get url(): URL {
    return new URL(this.#framework.path, `http://127.0.0.1:${this.#port}`);
  }

  /** The open ones, the oldest first. */
  get streams(): readonly PlayedStream[] {
    return this.#streams;
  }

  async listen(): Promise<void> {
    this.#http.listen(0, '127.0.0.1');
    await once(this.#http, 'listening');
    const address = this.#http.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  close(): void {
    this.#http.close();
    this.#http.closeAllConnections();
  }

  /** A message to every stream. */
  notify(message: string): void {
    for (const stream of this.#streams) this.#deliver(stream, message);
  }

  /** What the framework says by itself, to every stream; resolves with the ids of the pings in it, by session. */
  keepAlive(): readonly { readonly session: string; readonly id: unknown }[] {
    return this.#streams.flatMap((stream) => {
      const frames = this.#framework.keepAlive.map((frame) => filled(frame, stream.words));
      for (const frame of frames) this.#write(stream, frame);
      const pings = frames.flatMap((frame) => frame.match(/(?<=^data: ?)\{.*"method":"ping".*$/gm) ?? []);
      return pings.map((data) => ({ session: stream.session, id: (JSON.parse(data) as RpcMessage).id }));
    });
  }

  /** The sessions are not known any more, though their streams stay open. */
  forget(): void {
    for (const stream of this.#streams) stream.isKnown = false;
  }

  /** What was posted of this method. */
  posted(method: string): PlayedMessage[] {
    return this.received.filter(({ message }) => message.method === method);
  }

  /** The first message that matches, come or to come. */
  async until(matches: (received: PlayedMessage) => boolean): Promise<PlayedMessage> {
    const late = AbortSignal.timeout(WAIT_MS);
    const isLate = once(late, 'abort');
    for (;;) {
      const found = this.received.find(matches);
      if (found !== undefined) return found;
      if (late.aborted) throw new Error(`it did not come; so far: ${this.received.map(({ raw }) => raw).join('\n')}`);
      await Promise.race([this.#news.promise, isLate]);
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'POST') return this.#post(request, response);
    const { headers, opening, session: kind } = this.#framework;
    const session = SESSIONS[kind]();
    const words = wordsOf(this.#framework, session, this.url.origin);
    const stream = { session, response, words, sent: '', isKnown: true, count: 0 };
    response.writeHead(200, headers);
    response.on('close', () => {
      this.#streams = this.#streams.filter((other) => other !== stream);
    });
    this.#streams.push(stream);
    for (const frame of opening) this.#write(stream, filled(frame, words));
    return undefined;
  }

  async #post(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '', headers } = request;
    const raw = (await buffer(request)).toString();
    const { types, lost, post, unknownMethod } = this.#framework;
    const { 'content-type': type = '' } = headers;
    if (types !== undefined && !/^application\/json(?:;|$)/.test(type)) {
      reply(response, types);
      return;
    }
    const message = JSON.parse(raw) as RpcMessage;
    this.received.push({ message, raw, url, type });
    this.#news.resolve();
    this.#news = Promise.withResolvers();
    const stream = lost === null ? this.#streams.at(-1) : this.#streams.find(({ session }) => url.endsWith(session));
    if (lost !== null && stream?.isKnown !== true) {
      reply(response, lost, { session: /[^/=?]*=*$/.exec(url)?.[0] ?? '' });
      return;
    }
    if (stream === undefined) throw new Error('there is no stream');
    const isRequest = message.method !== undefined && message.id !== undefined;
    const result = isRequest ? resultOf(message, stream, this.#framework) : undefined;
    if (isRequest && result === undefined && unknownMethod !== undefined) {
      reply(response, unknownMethod, { method: message.method ?? '' });
      return;
    }
    const answer = isRequest ? this.#answer(message, result) : undefined;
    const answered = post.body.includes('<answer>');
    if (post.when === 'taken') reply(response, post);
    if (answer !== undefined && post.only !== true) {
      for (const one of progressOf(message)) this.#send(stream, one);
      this.#send(stream, answer);
    }
    if (post.when === 'handled')
      reply(response, answered && answer === undefined ? { ...post, body: '' } : post, { answer: answer ?? '' });
  }

  #answer(message: RpcMessage, result: Result | undefined): string {
    const id = JSON.stringify(message.id);
    if (result !== undefined && 'result' in result) {
      return filled(this.#framework.answer, { id }).replace('<result>', () => result.result);
    }
    const error = result?.error ?? '{"code":-32601,"message":"Method not found"}';
    return `{"jsonrpc":"2.0","id":${id},"error":${error}}`;
  }

  /** To the stream that asked, or to all. */
  #send(stream: Stream, message: string): void {
    const to = this.#framework.delivery === 'all' ? this.#streams : [stream];
    for (const each of to) this.#deliver(each, message);
  }

  #deliver(stream: Stream, message: string): void {
    this.#write(stream, framed(this.#framework, message, stream.words));
  }

  #write(stream: Stream, bytes: string): void {
    stream.sent += bytes;
    stream.response.write(bytes);
  }
}

function resultOf({ method, params = {} }: RpcMessage, stream: Stream, { revision }: Framework): Result | undefined {
  switch (method) {
    case 'initialize':
      return json({
        protocolVersion: revision ?? params['protocolVersion'],
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 'played', version: '1' },
      });
    case 'ping':
      return json({});
    case 'tools/list':
      return json({ tools: ['count', 'echo'].map((name) => ({ name, inputSchema: { type: 'object' } })) });
    case 'tools/call':
      return params['name'] === 'echo'
        ? json({ content: [], structuredContent: params['arguments'] })
        : json({ content: [{ type: 'text', text: String(++stream.count) }] });
    default:
      return undefined;
  }
}

function json(result: object): Result {
  return { result: JSON.stringify(result) };
}

/** Of the tool `echo`, where progress is wanted. */
function progressOf({ params = {} }: RpcMessage): readonly string[] {
  const meta = params['_meta'] as { readonly progressToken?: unknown } | undefined;
  if (params['name'] !== 'echo' || meta?.progressToken === undefined) return [];
  const progress = { progressToken: meta.progressToken, progress: 1 };
  return [JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: progress })];
}

function reply(
  response: ServerResponse,
  { status, headers, body }: Reply,
  words: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, headers).end(filled(body, words));
}
