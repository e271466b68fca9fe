// A client of any revision over Streamable HTTP that sees and sends bytes: what all revisions can do, each in its own way.
// Up to 2025-11-25 that takes a session, and the server's questions and words come on streams; in 2026-07-28 questions are
// results, and what is to be heard is listened for.

import { type EventClient, type SseEvent, openEvents } from './event-client.ts';
import type { Gateway } from './gateway.ts';
import { MODERN, type ModernMessage, modernMessage } from './modern-client.ts';
import { IN } from './session-client.ts';

type Json = SseEvent['json'];

export interface Wish {
  /** By the method of the question; each is declared as a capability. */
  readonly answers?: Readonly<Record<string, object>>;
  /** The least severe log message that is to be heard. */
  readonly logLevel?: string;
  readonly progressToken?: string;
}

export interface Outcome {
  readonly answer: Json;
  /** The notifications that came with it, in order. */
  readonly heard: readonly Json[];
  /** The questions, in order. */
  readonly asked: readonly Json[];
}

export interface RevisionClient {
  request(method: string, params?: object): Promise<Outcome>;
  /** Opens a call, and gives it up when what is returned is called. */
  begin(method: string, params: object): () => Promise<void>;
  /** What is told of changed lists and of this resource. */
  listen(uri: string): Promise<EventClient>;
}

const CAPABILITY_OF: Readonly<Record<string, string>> = {
  'elicitation/create': 'elicitation',
  'sampling/createMessage': 'sampling',
  'roots/list': 'roots',
};

export async function clientOf(gateway: Gateway, revision: string, wish: Wish = {}): Promise<RevisionClient> {
  const declared = Object.keys(wish.answers ?? {}).map((method) => [CAPABILITY_OF[method] ?? method, {}] as const);
  const capabilities = Object.fromEntries(declared);
  if (revision === MODERN) return new ModernClient(gateway, capabilities, wish);
  const session = await gateway.openSession({ protocolVersion: revision, capabilities });
  const client = new SessionClient(gateway, { ...IN(session), 'mcp-protocol-version': revision }, wish);
  if (wish.logLevel !== undefined) await client.request('logging/setLevel', { level: wish.logLevel });
  return client;
}

class SessionClient implements RevisionClient {
  readonly #gateway: Gateway;
  readonly #headers: Record<string, string>;
  readonly #wish: Wish;
  #lastId = 0;

  constructor(gateway: Gateway, headers: Record<string, string>, wish: Wish) {
    this.#gateway = gateway;
    this.#headers = headers;
    this.#wish = wish;
  }

  async request(method: string, params: object = {}): Promise<Outcome> {
    const { progressToken, answers = {} } = this.#wish;
    const meta = progressToken === undefined ? {} : { _meta: { progressToken } };
    const reply = await this.#open({ method, params: { ...params, ...meta } });
    const [heard, asked]: [Json[], Json[]] = [[], []];
    for await (const message of messagesOf(reply)) {
      if (message.method === undefined) return { answer: message, heard, asked };
      if (message.id === undefined) {
        heard.push(message);
        continue;
      }
      asked.push(message);
      await this.#post({ jsonrpc: '2.0', id: message.id, result: answers[message.method] });
    }
    throw new Error(`no answer to ${method}, only ${JSON.stringify(heard)}`);
  }

  begin(method: string, params: object): () => Promise<void> {
    const id = this.#lastId + 1;
    this.#open({ method, params }).catch(() => {});
    return () => this.#post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
  }

  async listen(uri: string): Promise<EventClient> {
    const stream = await openEvents(this.#gateway, { headers: this.#headers });
    await this.request('resources/subscribe', { uri });
    return stream;
  }

  #open(message: object): Promise<EventClient> {
    const body = { jsonrpc: '2.0', id: ++this.#lastId, ...message };
    return openEvents(this.#gateway, { headers: this.#headers, body });
  }

  async #post(message: object): Promise<void> {
    const { status, text } = await this.#gateway.post(message, this.#headers);
    if (status !== 202) throw new Error(`${status} ${text}`);
  }
}

class ModernClient implements RevisionClient {
  readonly #gateway: Gateway;
  readonly #capabilities: object;
  readonly #wish: Wish;
  #lastId = 0;

  constructor(gateway: Gateway, capabilities: object, wish: Wish) {
    this.#gateway = gateway;
    this.#capabilities = capabilities;
    this.#wish = wish;
  }

  async request(method: string, params: object = {}): Promise<Outcome> {
    const [heard, asked]: [Json[], Json[]] = [[], []];
    let more = {};
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one round after the other
      const reply = await this.#open(method, { ...params, ...more });
      let answer: Json;
      // oxlint-disable-next-line no-await-in-loop -- as above
      for await (const message of messagesOf(reply)) {
        if (message.method === undefined) answer = message;
        else heard.push(message);
      }
      const { inputRequests, requestState } = answer?.result ?? {};
      if (answer?.result?.resultType !== 'input_required') return { answer, heard, asked };
      const questions = Object.entries<Json>(inputRequests);
      asked.push(...questions.map(([, question]) => question));
      const answers = questions.map(([key, question]) => [key, this.#wish.answers?.[question.method]]);
      more = { requestState, inputResponses: Object.fromEntries(answers) };
    }
  }

  begin(method: string, params: object): () => Promise<void> {
    const { body, headers } = this.#message(method, params);
    const abort = new AbortController();
    fetch(this.#gateway.endpoint, { method: 'POST', headers, body, signal: abort.signal }).catch(() => {});
    return async () => abort.abort();
  }

  async listen(uri: string): Promise<EventClient> {
    const notifications = { toolsListChanged: true, resourceSubscriptions: [uri] };
    const stream = await this.#open('subscriptions/listen', { notifications });
    await stream.next();
    return stream;
  }

  #open(method: string, params: object): Promise<EventClient> {
    return openEvents(this.#gateway, this.#message(method, params));
  }

  #message(method: string, params: object): ModernMessage {
    const { logLevel, progressToken } = this.#wish;
    return modernMessage(method, params, {
      id: ++this.#lastId,
      capabilities: this.#capabilities,
      ...(logLevel !== undefined && { logLevel }),
      ...(progressToken !== undefined && { progressToken }),
    });
  }
}

/** All messages of a reply, whether it is JSON or a stream. */
async function* messagesOf(reply: EventClient): AsyncGenerator<Json> {
  if (String(reply.headers['content-type']).startsWith('application/json')) {
    yield JSON.parse(await reply.body());
    return;
  }
  for (;;) {
    const { json } = await reply.next();
    if (json === undefined) continue;
    yield json;
    if (json.method === undefined) return;
  }
}
