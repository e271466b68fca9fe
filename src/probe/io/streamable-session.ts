// Whether a URL speaks Streamable HTTP, asked as its clients ask: initialize as a POST, and the requests of 2026-07-28, which
// need none. What was opened is deleted.

import type { IncomingHttpHeaders } from 'node:http';
import { Agent, type Dispatcher, request } from 'undici';
import { LATEST_REVISION, MODERN_META, MODERN_REVISION } from '../../protocol/eras.ts';
import { isJson } from '../../protocol/headers.ts';
import { type Answer, encode, idText, ownMessage, parsed, readMessage } from '../../protocol/json-rpc.ts';
import { SseFrameCutter } from '../../protocol/sse-frame-cutter.ts';
import { initializeRequest } from '../../protocol/upstream-handshake.ts';
import { codeOf } from '../../upstream/network-error.ts';
import { type ListAnswer, countLists, record } from '../counting.ts';
import type { Introduction, StreamableSeen } from '../seen.ts';
import type { Wire } from './legacy-session.ts';

interface Reply {
  /** Null: there was none. */
  readonly status: number | null;
  readonly headers: IncomingHttpHeaders;
  readonly answer: Answer | null;
  readonly network: string | null;
}

/** How long may be left for what is asked of it. */
export type TimeLeft = () => number;

/** The least that is worth a request. */
const LEAST_MS = 50;
const SESSION_ID = /^[\u0021-\u007e]{1,1024}$/;
const REVISION = /^\d{4}-\d{2}-\d{2}$/;
const MAX_REVISIONS = 10;
const MAX_NAME = 200;
const MAX_CHALLENGE = 500;

export async function askStreamable(wire: Wire, url: URL, left: TimeLeft): Promise<StreamableSeen> {
  const agent = new Agent({ connect: wire.connector });
  const session = new StreamableSession(wire, url, agent, left);
  try {
    return await session.ask();
  } finally {
    await agent.destroy().catch(() => {
      // Destroying twice rejects; the sockets are gone either way.
    });
  }
}

class StreamableSession {
  readonly #wire: Wire;
  readonly #url: URL;
  readonly #agent: Agent;
  readonly #left: TimeLeft;
  #nextId = 1;
  #sessionId: string | null = null;
  /** Sent with what follows the handshake. */
  #revision: string | null = null;

  constructor(wire: Wire, url: URL, agent: Agent, left: TimeLeft) {
    this.#wire = wire;
    this.#url = url;
    this.#agent = agent;
    this.#left = left;
  }

  async ask(): Promise<StreamableSeen> {
    const reply = await this.#initialize();
    const own = reply.answer?.kind === 'result' ? introductionOf(resultOf(reply.answer)) : null;
    if (own === null && (reply.status === null || reply.status === 401 || reply.status === 403)) {
      return silent(this.#url, reply);
    }
    const counts = own === null ? null : await this.#inSession(own, reply);
    // One that knows 2026-07-28 alone refuses initialize in terms of MCP; what does not is something else.
    const mayBeModern = own !== null || reply.answer !== null || reply.status === 400;
    const modern = mayBeModern ? await this.#discover() : null;
    if (own === null && modern === null) return silent(this.#url, reply);
    const newer = (modern?.revisions ?? []).filter((revision) => revision !== own?.revision);
    const introduction = own ?? modern?.introduction;
    if (introduction === undefined) throw new Error('one of the two has answered');
    return {
      speaks: true,
      url: this.#url,
      revisions: [...newer, ...(own === null ? [] : [own.revision])].toSorted().toReversed(),
      hasSessions: this.#hadSession,
      introduction,
      counts:
        counts ?? (await countLists(introduction.capabilities, (method, params) => this.#listModern(method, params))),
    };
  }

  #hadSession = false;

  #initialize(): Promise<Reply> {
    const offer = {
      revision: LATEST_REVISION,
      capabilities: encode('{}'),
      clientInfo: encode(JSON.stringify(this.#wire.clientInfo)),
    };
    const id = this.#nextId++;
    return this.#post(initializeRequest(id, offer), id, {});
  }

  /** What is asked in the session of initialize, which is ended then. */
  async #inSession(own: Introduction, { headers }: Reply) {
    const sessionId = String(headers['mcp-session-id'] ?? '');
    this.#sessionId = SESSION_ID.test(sessionId) ? sessionId : null;
    this.#hadSession = this.#sessionId !== null;
    this.#revision = own.revision;
    await this.#post(ownMessage({ method: 'notifications/initialized' }), null, this.#sessionHeaders());
    const counts = await countLists(own.capabilities, (method, params) => {
      const id = this.#nextId++;
      return this.#post(ownMessage({ id, method, params }), id, this.#sessionHeaders()).then(listAnswer);
    });
    await this.#delete();
    return counts;
  }

  /** Null: it knows nothing of 2026-07-28. */
  async #discover(): Promise<{ readonly revisions: readonly string[]; readonly introduction: Introduction } | null> {
    const { answer } = await this.#postModern('server/discover', {});
    if (answer?.kind !== 'result') return null;
    const result = resultOf(answer);
    const { supportedVersions, capabilities, _meta: meta } = result;
    if (!Array.isArray(supportedVersions)) return null;
    const known = supportedVersions.filter((each): each is string => typeof each === 'string' && REVISION.test(each));
    const revisions = known.slice(0, MAX_REVISIONS);
    const server = nameOf(record(meta)[MODERN_META.serverInfo] ?? result['serverInfo']);
    return { revisions, introduction: { revision: revisions[0] ?? MODERN_REVISION, server, capabilities } };
  }

  #listModern(method: string, params: object): Promise<ListAnswer> {
    return this.#postModern(method, params).then(listAnswer);
  }

  #postModern(method: string, params: object): Promise<Reply> {
    const id = this.#nextId++;
    const meta = {
      [MODERN_META.version]: MODERN_REVISION,
      [MODERN_META.capabilities]: {},
      [MODERN_META.clientInfo]: this.#wire.clientInfo,
    };
    return this.#post(ownMessage({ id, method, params: { ...params, _meta: meta } }), id, {
      'mcp-protocol-version': MODERN_REVISION,
      'mcp-method': method,
    });
  }

  #sessionHeaders(): Readonly<Record<string, string>> {
    return {
      ...(this.#sessionId !== null && { 'mcp-session-id': this.#sessionId }),
      ...(this.#revision !== null && { 'mcp-protocol-version': this.#revision }),
    };
  }

  /** [spec 2025-11-25 transports] "Clients that no longer need a particular session SHOULD send an HTTP DELETE". */
  async #delete(): Promise<void> {
    if (this.#sessionId === null) return;
    await this.#send('DELETE', null, this.#sessionHeaders(), () => Promise.resolve(null));
    this.#sessionId = null;
  }

  /** `id`: of the answer that is waited for; null: none is. */
  #post(message: Uint8Array, id: number | null, headers: Readonly<Record<string, string>>): Promise<Reply> {
    return this.#send('POST', message, headers, (type, body) =>
      id === null ? Promise.resolve(null) : answerIn(type, body, id, this.#wire.limits),
    );
  }

  async #send(
    method: 'POST' | 'DELETE',
    message: Uint8Array | null,
    headers: Readonly<Record<string, string>>,
    read: (type: string, body: AsyncIterable<Buffer>) => Promise<Answer | null>,
  ): Promise<Reply> {
    const ms = Math.min(this.#left(), this.#wire.timeouts.initialize);
    if (ms < LEAST_MS) return { status: null, headers: {}, answer: null, network: null };
    const late = new AbortController();
    const timer = this.#wire.timers.after(ms, () => late.abort());
    let response: Dispatcher.ResponseData | null = null;
    try {
      response = await request(this.#url, {
        dispatcher: this.#agent,
        signal: late.signal,
        method,
        headers: {
          ...this.#wire.headers,
          ...headers,
          accept: 'application/json, text/event-stream',
          'accept-encoding': 'identity',
          ...(message !== null && { 'content-type': 'application/json' }),
        },
        body: message,
      });
      const type = String(response.headers['content-type'] ?? '');
      const answer = await read(type, response.body as AsyncIterable<Buffer>);
      return { status: response.statusCode, headers: response.headers, answer, network: null };
    } catch (cause) {
      const network = late.signal.aborted ? null : codeOf(cause);
      return { status: response?.statusCode ?? null, headers: response?.headers ?? {}, answer: null, network };
    } finally {
      timer.cancel();
      // Whatever of it is still to come is of no interest.
      response?.body.on('error', () => {}).destroy();
    }
  }
}

/** The answer with this id, in a document or in an event stream; null: the body has none. */
async function answerIn(
  type: string,
  body: AsyncIterable<Buffer>,
  id: number,
  limits: Wire['limits'],
): Promise<Answer | null> {
  let found: Answer | null = null;
  const look = (bytes: Uint8Array): void => {
    const message = readMessage(bytes, { maxDepth: limits.jsonDepth });
    if ((message.kind === 'result' || message.kind === 'error') && message.id !== null) {
      if (idText(message.bytes, message.id) === String(id)) found ??= message;
    }
  };
  if (/^\s*text\/event-stream\b/i.test(type)) {
    const cutter = new SseFrameCutter(
      { message: look, rest: () => {}, comment: () => {} },
      { maxMessageBytes: limits.upstreamMessageBytes },
    );
    for await (const chunk of body) if (!cutter.push(chunk) || found !== null) break;
    return found;
  }
  if (!isJson(type)) return null;
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > limits.upstreamMessageBytes) return null;
    pieces.push(chunk);
  }
  look(Buffer.concat(pieces));
  return found;
}

function silent(url: URL, { status, headers, network }: Reply): StreamableSeen {
  const challenge = String(headers['www-authenticate'] ?? '').slice(0, MAX_CHALLENGE);
  return { speaks: false, url, status, challenge, network };
}

function resultOf(answer: Answer): Readonly<Record<string, unknown>> {
  return answer.kind === 'result' ? record(parsed(answer.bytes, answer.result)) : {};
}

function listAnswer({ answer }: Reply): ListAnswer {
  if (answer === null) return { kind: 'none' };
  return answer.kind === 'result' ? { kind: 'result', result: resultOf(answer) } : { kind: 'refused' };
}

/** Null: it is no answer to initialize. */
function introductionOf(result: Readonly<Record<string, unknown>>): Introduction | null {
  const { protocolVersion, serverInfo, capabilities } = result;
  if (typeof protocolVersion !== 'string' || !REVISION.test(protocolVersion)) return null;
  return { revision: protocolVersion, server: nameOf(serverInfo), capabilities };
}

function nameOf(info: unknown): string {
  const { name, version } = record(info);
  const parts = [name, version].filter((part): part is string => typeof part === 'string');
  return parts.join(' ').slice(0, MAX_NAME) || 'unknown';
}
