// The legacy server behind `mcp-causeway demo`: the HTTP+SSE transport of 2024-11-05 as its specification has it, on
// node:http alone, so that the demo needs nothing else and nothing in it is made to suit the gateway.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { InvalidArguments, isRecord, TOOLS } from './legacy-tools.ts';
import type { Reply, ToolCall } from './legacy-tools.ts';

/** The newest first: it is what a client that asks for another one is offered. */
const REVISIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;

const KEEP_ALIVE_MS = 15_000;
const ANSWER_TIMEOUT_MS = 5 * 60_000;
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Of one client that does not read its stream. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024;
const MAX_SESSIONS = 1000;
const MAX_RUNNING_CALLS = 1000;

type Id = string | number;

interface Message {
  readonly id?: Id;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
  readonly error?: unknown;
}

class RpcError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export async function startLegacyServer(options: {
  readonly host: string;
  readonly port: number;
}): Promise<{ readonly url: URL; close(): Promise<void> }> {
  const sessions = new Map<string, Session>();
  const http = createServer((request, response) => {
    serve(sessions, request, response).catch(() => response.destroy());
  });
  http.listen(options.port, options.host);
  await once(http, 'listening');
  const address = http.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  let closed: Promise<unknown> | undefined;

  return {
    url: new URL(`http://${host}:${port}/sse`),
    async close() {
      if (closed === undefined) {
        closed = once(http, 'close');
        http.close();
        for (const session of sessions.values()) session.close();
        http.closeAllConnections();
      }
      await closed;
    },
  };
}

async function serve(
  sessions: Map<string, Session>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = URL.canParse(request.url ?? '', 'http://localhost')
    ? new URL(request.url ?? '', 'http://localhost')
    : null;
  // The specification wants the Origin checked. Nothing but a page in a browser sends one, and none is expected.
  if (request.headers.origin !== undefined) return refuse(response, 403, new RpcError(-32600, 'no browsers here'));
  if (url?.pathname === '/sse') {
    if (request.method !== 'GET') return refuse(response, 405, new RpcError(-32600, 'use GET'), { allow: 'GET' });
    return openStream(sessions, response);
  }
  if (url?.pathname === '/messages') {
    if (request.method !== 'POST') return refuse(response, 405, new RpcError(-32600, 'use POST'), { allow: 'POST' });
    return takeMessages(sessions.get(url.searchParams.get('sessionId') ?? ''), request, response);
  }
  refuse(response, 404, new RpcError(-32600, 'there are only GET /sse and POST /messages'));
}

function openStream(sessions: Map<string, Session>, response: ServerResponse): void {
  if (sessions.size >= MAX_SESSIONS) return refuse(response, 503, new RpcError(-32603, 'too many sessions'));
  const session = new Session(response);
  sessions.set(session.id, session);
  const keepAlive = setInterval(() => session.write(': keep-alive\n\n'), KEEP_ALIVE_MS);
  response.on('error', () => response.destroy());
  response.on('close', () => {
    clearInterval(keepAlive);
    sessions.delete(session.id);
    session.close();
  });
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  session.write(`event: endpoint\ndata: /messages?sessionId=${session.id}\n\n`);
}

async function takeMessages(
  session: Session | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (session === undefined) return refuse(response, 404, new RpcError(-32600, 'session not found'));
  const [mediaType = ''] = (request.headers['content-type'] ?? '').split(';');
  if (mediaType.trim().toLowerCase() !== 'application/json') {
    return refuse(response, 415, new RpcError(-32600, 'send application/json'));
  }
  const body = await readBody(request);
  if (body === undefined) {
    return refuse(response, 413, new RpcError(-32600, 'the body is too large'), { connection: 'close' });
  }
  const messages = readMessages(body);
  if (messages instanceof RpcError) return refuse(response, 400, messages);
  response.writeHead(202, { 'content-type': 'text/plain' }).end('Accepted');
  for (const message of messages) session.receive(message);
}

/** One client: its stream, what runs for it, and what it was asked. */
class Session {
  readonly id = randomUUID();
  readonly #response: ServerResponse;
  readonly #gone = new AbortController();
  #capabilities: ToolCall['capabilities'] = {};
  readonly #running = new Map<Id, AbortController>();
  readonly #asked = new Map<Id, (reply: Message) => void>();
  #nextAskId = 0;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  write(frame: string): void {
    if (this.#response.writableLength > MAX_UNREAD_BYTES) this.#response.destroy();
    if (!this.#response.destroyed && !this.#response.writableEnded) this.#response.write(frame);
  }

  /** Idempotent. */
  close(): void {
    this.#gone.abort();
    this.#response.end();
  }

  receive(message: Message): void {
    const { id, method } = message;
    if (method === undefined) {
      if (id !== undefined) this.#asked.get(id)?.(message);
    } else if (id !== undefined) {
      void this.#answer(id, method, message.params ?? {}).catch(() => this.close());
    } else if (method === 'notifications/cancelled') {
      const requestId = message.params?.['requestId'];
      if (isId(requestId)) this.#running.get(requestId)?.abort();
    }
  }

  async #answer(id: Id, method: string, params: Readonly<Record<string, unknown>>): Promise<void> {
    const cancel = new AbortController();
    const isRepeated = this.#running.has(id);
    try {
      if (isRepeated) throw new RpcError(-32600, 'this id is in use');
      if (this.#running.size >= MAX_RUNNING_CALLS) throw new RpcError(-32603, 'too many calls at once');
      this.#running.set(id, cancel);
      const result = await this.#result(method, params, AbortSignal.any([cancel.signal, this.#gone.signal]));
      // [spec 2025-06-18 cancellation] Receivers of a cancellation SHOULD not send a response for the cancelled request.
      if (!cancel.signal.aborted) this.#send({ id, result });
    } catch (error) {
      if (!cancel.signal.aborted) this.#send({ id, error: errorObject(error) });
    } finally {
      if (!isRepeated) this.#running.delete(id);
    }
  }

  async #result(method: string, params: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<object> {
    switch (method) {
      case 'initialize':
        this.#capabilities = isRecord(params['capabilities']) ? params['capabilities'] : {};
        return {
          protocolVersion: REVISIONS.find((revision) => revision === params['protocolVersion']) ?? REVISIONS[0],
          capabilities: { tools: {} },
          serverInfo: { name: 'causeway-demo-legacy-server', version: '1.0.0' },
          instructions: 'A server on the old HTTP+SSE transport, to try the gateway with.',
        };
      case 'ping':
        return {};
      case 'tools/list':
        return {
          tools: Array.from(TOOLS, ([name, { description, inputSchema }]) => ({ name, description, inputSchema })),
        };
      case 'tools/call':
        return this.#callTool(params, signal);
      default:
        throw new RpcError(-32601, 'method not found');
    }
  }

  async #callTool(params: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<object> {
    const { name, arguments: args = {}, _meta: meta } = params;
    const tool = typeof name === 'string' ? TOOLS.get(name) : undefined;
    if (tool === undefined) throw new InvalidArguments('unknown tool');
    if (!isRecord(args)) throw new InvalidArguments('arguments must be an object');
    const progressToken = isRecord(meta) && isId(meta['progressToken']) ? meta['progressToken'] : undefined;
    return tool.run({
      args,
      capabilities: this.#capabilities,
      signal,
      progress: (progress, total, message) => {
        if (progressToken === undefined || signal.aborted) return;
        this.#send({ method: 'notifications/progress', params: { progressToken, progress, total, message } });
      },
      ask: (method, question) => this.#ask(method, question, signal),
    });
  }

  async #ask(method: string, params: object, signal: AbortSignal): Promise<Reply> {
    const id = this.#nextAskId++;
    const tooLong = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    const stop = AbortSignal.any([signal, tooLong]);
    if (stop.aborted) return { refusal: 'the call was cancelled' };
    const reply = await new Promise<Message | undefined>((resolve) => {
      this.#asked.set(id, resolve);
      stop.addEventListener('abort', () => resolve(undefined), { once: true });
      this.#send({ id, method, params });
    });
    this.#asked.delete(id);
    if (reply === undefined) {
      this.#send({ method: 'notifications/cancelled', params: { requestId: id } });
      return { refusal: tooLong.aborted ? 'no answer came in five minutes' : 'the call was cancelled' };
    }
    if (isRecord(reply.result)) return { result: reply.result };
    const { error } = reply;
    const reason = isRecord(error) && typeof error['message'] === 'string' ? error['message'] : 'without a reason';
    return { refusal: `the client refused: ${reason}` };
  }

  #send(message: object): void {
    this.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
  }
}

function refuse(
  response: ServerResponse,
  status: number,
  error: RpcError,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: errorObject(error) }));
}

/** Undefined when it is too large. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed when we leave early: its socket is still needed for saying why.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** One message, or the batch that revision 2025-03-26 has. */
function readMessages(body: string): readonly Message[] | RpcError {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return new RpcError(-32700, 'this is not JSON');
  }
  const messages: readonly unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  if (messages.length === 0 || !messages.every(isMessage)) return new RpcError(-32600, 'this is not JSON-RPC 2.0');
  return messages;
}

function isMessage(value: unknown): value is Message {
  if (!isRecord(value) || value['jsonrpc'] !== '2.0') return false;
  const { id, method, params } = value;
  if (id !== undefined && !isId(id)) return false;
  if (method === undefined) return id !== undefined && ('result' in value || 'error' in value);
  return typeof method === 'string' && (params === undefined || isRecord(params));
}

function isId(value: unknown): value is Id {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}

function errorObject(error: unknown): object {
  if (error instanceof RpcError) return { code: error.code, message: error.message };
  if (error instanceof InvalidArguments) return { code: -32602, message: error.message };
  return { code: -32603, message: 'internal error' };
}
