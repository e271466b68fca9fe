// An SDK client with every callback it has, under one set of names for both generations of the SDK: what they call differently
// is told apart in sdk-v1.ts and sdk-v2.ts and nowhere else.
import { onTestFinished } from 'vitest';
import { Heard } from '../heard.ts';
import { sseTransportV1, transportV1, v1 } from './sdk-v1.ts';
import { transportV2, v2 } from './sdk-v2.ts';
import { watchedFetch, type HttpRequest } from './watched-fetch.ts';

export type Sdk = 'v1' | 'v2 legacy' | ModernSdk;

/** They speak 2026-07-28 where it is served. */
export type ModernSdk = 'v2 auto' | 'v2 pinned';

export interface ClientOptions {
  readonly capabilities?: object;
  /** Its answers to what the server asks, by method. */
  readonly answers?: Readonly<Record<string, Answering>>;
  /** The SDK's own handling of changed lists, in place of plain handlers. */
  readonly listChanged?: Readonly<Record<string, { readonly onChanged: (error: unknown, items: unknown) => void }>>;
  /** Asked for in place of the SDK's newest. */
  readonly revision?: string;
  /** Goes on with this session, as another process of the same client would. */
  readonly sessionId?: string;
}

export type Answering = (params: Readonly<Record<string, unknown>>, asked: Asked) => unknown;

/** What a handler gets beside the question. */
export interface Asked {
  /** Aborted when the server takes the question back. */
  readonly signal: AbortSignal;
  readonly progressToken: string | number | undefined;
  notify(method: string, params: object): Promise<void>;
}

export interface CallOptions {
  readonly onprogress?: (progress: unknown) => void;
  readonly timeout?: number;
  readonly resetTimeoutOnProgress?: boolean;
  readonly signal?: AbortSignal;
  /** Of the request, beside what the SDK puts there. */
  readonly meta?: object;
  readonly resumptionToken?: string;
  readonly onresumptiontoken?: (token: string) => void;
}

/** What both generations call alike. */
export interface SdkClient {
  onerror?: (error: Error) => void;
  connect(transport: SdkTransport): Promise<void>;
  close(): Promise<void>;
  complete(params: object): Promise<unknown>;
  listResources(): Promise<{ readonly resources: readonly { readonly uri: string }[] }>;
  listTools(): Promise<{ readonly tools: readonly { readonly name: string }[] }>;
  readResource(params: object): Promise<unknown>;
  sendRootsListChanged(): Promise<void>;
  setLoggingLevel(level: string): Promise<unknown>;
  subscribeResource(params: object): Promise<unknown>;
  unsubscribeResource(params: object): Promise<unknown>;
  listPrompts(): Promise<{ readonly prompts: readonly { readonly name: string }[] }>;
  getPrompt(params: object): Promise<unknown>;
  // Of v2 only.
  discover?(): Promise<unknown>;
  getProtocolEra?(): 'modern' | 'legacy' | undefined;
  listen?(filter: object): Promise<Subscription>;
}

/** An open `subscriptions/listen`. */
export interface Subscription {
  readonly honoredFilter: unknown;
  readonly closed: Promise<'local' | 'graceful' | 'remote'>;
  close(): Promise<void>;
}

export interface SdkTransport {
  close(): Promise<void>;
  // Of Streamable HTTP only.
  readonly sessionId?: string | undefined;
  readonly protocolVersion?: string | undefined;
  onmessage?: (message: unknown) => void;
  send?(message: object): Promise<void>;
  terminateSession?(): Promise<void>;
}

export interface Notification {
  readonly method: string;
  readonly params?: unknown;
}

/** A client and what its generation calls in its own way. */
export interface Generation {
  readonly client: SdkClient;
  onRequest(method: string, answer: Answering): void;
  onNotification(method: string, hear: (notification: Notification) => void): void;
  callTool(call: object, options: CallOptions): Promise<unknown>;
}

const heardMethods = [
  'notifications/message',
  'notifications/resources/updated',
  'notifications/elicitation/complete',
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
] as const;

export type HeardMethod = (typeof heardMethods)[number];

export class SessionClient {
  readonly sdk: SdkClient;
  readonly transport: SdkTransport;
  /** What its `onerror` was told. */
  readonly errors: string[] = [];
  /** What its transport sent; nothing for one that is not HTTP. */
  readonly requests: Heard<HttpRequest>;
  readonly #heard = new Heard<Notification>();
  readonly #generation: Generation;

  constructor(
    generation: Generation,
    transport: SdkTransport,
    { answers = {}, listChanged }: ClientOptions,
    requests = new Heard<HttpRequest>(),
  ) {
    this.#generation = generation;
    this.sdk = generation.client;
    this.transport = transport;
    this.requests = requests;
    this.sdk.onerror = (error) => this.errors.push(String(error));
    for (const [method, answer] of Object.entries(answers)) generation.onRequest(method, answer);
    for (const method of heardMethods) {
      if (listChanged !== undefined && method.endsWith('list_changed')) continue;
      generation.onNotification(method, (notification) => this.#heard.add(notification));
    }
    onTestFinished(() => this.sdk.close());
  }

  call(name: string, args: object = {}, { meta, ...options }: CallOptions = {}): Promise<unknown> {
    return this.#generation.callTool({ name, arguments: args, ...(meta && { _meta: meta }) }, options);
  }

  /** The params of every notification with that method so far. */
  heard(method: HeardMethod): readonly unknown[] {
    return paramsOf(method, this.#heard.all);
  }

  /** The same, as soon as there are so many. */
  hears(method: HeardMethod, count = 1): Promise<readonly unknown[]> {
    return this.#heard.until((all) => {
      const params = paramsOf(method, all);
      return params.length >= count ? params : undefined;
    }, `${count} ${method}`);
  }

  /** Resolves once so many of its GETs were answered with a stream. */
  async listens(times = 1): Promise<void> {
    const isStream = ({ httpMethod, status }: HttpRequest): boolean => httpMethod === 'GET' && status === 200;
    await this.requests.until(
      (all) => all.filter(isStream).length >= times || undefined,
      `${times} GET that is answered with a stream`,
    );
  }
}

function paramsOf(wanted: HeardMethod, all: readonly Notification[]): readonly unknown[] {
  return all.filter(({ method }) => method === wanted).map(({ params }) => params);
}

const modes = { 'v2 auto': 'auto', 'v2 legacy': 'legacy', 'v2 pinned': { pin: '2026-07-28' } } as const;

/** Over Streamable HTTP, not connected yet. */
export async function httpClient(sdk: Sdk, url: string, options: ClientOptions = {}): Promise<SessionClient> {
  const requests = new Heard<HttpRequest>();
  const Transport = sdk === 'v1' ? await transportV1() : await transportV2();
  const transport = new Transport(new URL(url), {
    // SDK v1 cannot ask for an older revision.
    fetch: watchedFetch(requests, sdk === 'v1' ? options.revision : undefined),
    ...(options.sessionId !== undefined && { sessionId: options.sessionId }),
  });
  const generation = sdk === 'v1' ? await v1(options) : await v2(modes[sdk], options);
  return new SessionClient(generation, transport, options, requests);
}

/** Connected, and listening where it has opened a session itself. */
export async function connectedClient(sdk: Sdk, url: string, options: ClientOptions = {}): Promise<SessionClient> {
  const client = await httpClient(sdk, url, options);
  await client.sdk.connect(client.transport);
  if (options.sessionId === undefined) await client.listens();
  return client;
}

/** Connected without a session. */
export async function modernClient(sdk: ModernSdk, url: string, options: ClientOptions = {}): Promise<SessionClient> {
  const client = await httpClient(sdk, url, options);
  await client.sdk.connect(client.transport);
  return client;
}

/** SDK v1, connected over another transport. */
export async function clientOver(transport: SdkTransport, options: ClientOptions = {}): Promise<SessionClient> {
  const client = new SessionClient(await v1(options), transport, options);
  await client.sdk.connect(transport);
  return client;
}

/** SDK v1, connected over HTTP+SSE. */
export async function oldClient(url: string, options: ClientOptions = {}): Promise<SessionClient> {
  const Transport = await sseTransportV1();
  const transport = new Transport(new URL(url));
  const client = await clientOver(transport, options);
  const { onmessage } = transport;
  // Each by itself: what the SDK is given in one go it takes an answer of before the progress that came first.
  transport.onmessage = (message) => void setImmediate(() => onmessage?.(message));
  return client;
}
