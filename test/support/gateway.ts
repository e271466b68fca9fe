// The gateway in this process before an upstream, and a client that sees and sends bytes.

import { once } from 'node:events';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import { type Dispatcher, Agent, request } from 'undici';
import { onTestFinished } from 'vitest';
import { type App, createApp, metricsFor } from '../../src/app.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Config, ConfigInput } from '../../src/config/schema.ts';
import type { Clock, Fact, Journal, Timers } from '../../src/domain/ports.ts';
import type { Resolve } from '../../src/replica/peers.ts';
import { shelfFor } from '../../src/replica/open-store.ts';
import type { Shelf } from '../../src/replica/shelf.ts';
import { THIS_MACHINE } from '../../src/verbs/surroundings.ts';
import type { Behaviour } from './legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from './legacy-server.ts';
import { noteTold } from './reasons-told.ts';

export type GatewayConfig = Omit<ConfigInput, 'upstreams' | 'listen'> & {
  readonly upstream?: Partial<ConfigInput['upstreams'][number]>;
  /** Beside the one that is tested, at paths of their own. */
  readonly others?: ConfigInput['upstreams'];
  /** Where it listens; loopback if not given. */
  readonly host?: string;
  /** Then `origin` and what is sent there are of no use. */
  readonly tls?: { readonly cert: string; readonly key: string };
};

/** Facts in their order, and a way to wait for one. */
export class RecordingJournal implements Journal {
  readonly facts: Fact[] = [];
  readonly #waiting: { readonly matches: (fact: Fact) => boolean; readonly resolve: (fact: Fact) => void }[] = [];

  record(fact: Fact): void {
    this.facts.push(fact);
    for (const waiter of this.#waiting.filter(({ matches }) => matches(fact))) {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      waiter.resolve(fact);
    }
  }

  of<Kind extends Fact['fact']>(kind: Kind): Extract<Fact, { fact: Kind }>[] {
    return this.facts.filter((fact): fact is Extract<Fact, { fact: Kind }> => fact.fact === kind);
  }

  dropped(what: string): number {
    return this.of('dropped').filter((fact) => fact.what === what).length;
  }

  /** The first fact that matches, past or to come. */
  async until(matches: (fact: Fact) => boolean): Promise<Fact> {
    const past = this.facts.find(matches);
    return past ?? new Promise((resolve) => this.#waiting.push({ matches, resolve }));
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; of a stream, its last event. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers freely
  readonly json: any;
  /** The data of the events, when it is a stream. */
  readonly events: readonly string[];
}

/** A reply that is read while it comes. */
export interface OpenReply {
  readonly status: number;
  readonly headers: Answer['headers'];
  /** All that has come, as soon as it holds this part, or once it has ended. */
  until(part: string): Promise<string>;
  /** The client closes its socket. */
  leave(): void;
}

/** A connection on which bytes go out as they are. */
export interface RawClient {
  write(bytes: string | Buffer): void;
  /** All that has come, as soon as it holds this part, or once the gateway has closed the connection. */
  until(part: string): Promise<string>;
  /** All that came, once the gateway has closed the connection. */
  readonly closed: Promise<string>;
  /** Reads nothing any more, until `resume`. */
  pause(): void;
  resume(): void;
  leave(): void;
}

/** What a client does, wherever the gateway runs. */
export interface GatewayClient {
  readonly origin: string;
  readonly endpoint: string;
  post(body: unknown, headers?: Record<string, string>): Promise<Answer>;
  send(
    method: Dispatcher.HttpMethod,
    path: string,
    headers?: Record<string, string>,
    body?: string | Buffer,
  ): Promise<Answer>;
  /** Resolves with the headers; the body is read as it comes. */
  open(body: unknown, headers?: Record<string, string>): Promise<OpenReply>;
  connect(): Promise<RawClient>;
  /** A tools/call without a session. */
  call(name: string, args?: object, id?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** initialize and notifications/initialized; the id of the session. */
  openSession(params?: object, headers?: Record<string, string>): Promise<string>;
}

export interface Gateway extends GatewayClient {
  readonly app: App;
  readonly journal: RecordingJournal;
  /** Of the listener for metrics and status; empty where there is none. */
  readonly adminOrigin: string;
  /** With this configuration in place of the one that it was started with, at the same address. */
  reload(config: GatewayConfig, upstream?: URL | string): ReturnType<App['reload']>;
  /** The same, but when somebody asks for it. */
  rewrite(config: GatewayConfig): void;
  close(): Promise<void>;
}

/** Of a store that is given as a shelf: nothing is dialled. */
export const IN_STORE = 'redis://store.invalid:6379';

export const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** `time`: for tests in which much time passes; without it, the real one. */
export async function startGateway(
  upstream: URL | string,
  config: GatewayConfig = {},
  time?: Clock & Timers,
  resolve?: Resolve,
  shelf?: Shelf,
): Promise<Gateway> {
  const journal = new RecordingJournal();
  const parsed = parsedConfig(upstream, config);
  let read = (): Config => parsed;
  const app = createApp({
    config: parsed,
    journal: {
      record(fact) {
        noteTold(fact);
        journal.record(fact);
      },
    },
    version: '0.0.0-test',
    metrics: await metricsFor(parsed, '0.0.0-test'),
    shelf: shelf ?? (await shelfFor(parsed.store)),
    source: { read: () => read(), check: () => {}, applied: () => {} },
    ...(time && { clock: time, timers: time }),
    ...(resolve && { resolve }),
  });
  const admin = await app.listenAdmin();
  await app.openStore();
  await app.listenPeers();
  const { port } = await app.listen();
  const dispatcher = new Agent({ connections: 600 });
  return {
    ...clientOf(`http://127.0.0.1:${port}`, dispatcher),
    app,
    journal,
    adminOrigin: admin === null ? '' : `http://127.0.0.1:${admin.port}`,
    rewrite(next) {
      read = () => parsedConfig(upstream, next);
    },
    reload(next, to = upstream) {
      read = () => parsedConfig(to, next);
      return app.reload();
    },
    async close() {
      await dispatcher.destroy();
      await app.close();
    },
  };
}

/** Of the upstream at `path`; `dispatcher`: for whoever made it to close. */
export function clientOf(origin: string, dispatcher: Dispatcher, path = '/mcp'): GatewayClient {
  const answerTo = async (...[method, target, headers = {}, body]: Parameters<GatewayClient['send']>) => {
    const options = { method, headers, dispatcher, ...(body !== undefined && { body }) };
    const response = await request(origin + target, options);
    const text = await response.body.text();
    const isStream = String(response.headers['content-type']).startsWith('text/event-stream');
    const events = isStream ? eventsOf(text) : [];
    const last = isStream ? events.at(-1) : text;
    const json = last ? parseOrUndefined(last) : undefined;
    return { status: response.statusCode, headers: response.headers, text, events, json };
  };

  const client: GatewayClient = {
    origin,
    endpoint: origin + path,
    send: (...given) => mayBeLeft(answerTo(...given)),
    post(body, headers = {}) {
      const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      return client.send('POST', path, { ...JSON_HEADERS, ...headers }, bytes);
    },
    async open(body, headers = {}) {
      const { statusCode, ...response } = await request(client.endpoint, {
        method: 'POST',
        headers: { ...JSON_HEADERS, ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        dispatcher,
      });
      const incoming = new Incoming(response.body);
      return {
        status: statusCode,
        headers: response.headers,
        until: (part) => incoming.until(part),
        leave: () => response.body.destroy(),
      };
    },
    async connect() {
      const socket = connect(Number(new URL(origin).port), new URL(origin).hostname);
      const incoming = new Incoming(socket);
      await once(socket, 'connect');
      return {
        write: (bytes) => socket.write(bytes),
        until: (part) => incoming.until(part),
        closed: incoming.ended,
        pause: () => socket.pause(),
        resume: () => socket.resume(),
        leave: () => socket.destroy(),
      };
    },
    call(name, args = {}, id = 1, headers = {}) {
      return client.post({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } }, headers);
    },
    async openSession(params = {}, headers = {}) {
      const clientInfo = { name: 'test', version: '1' };
      const opened = await client.post(
        {
          jsonrpc: '2.0',
          id: 0,
          method: 'initialize',
          params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo, ...params },
        },
        headers,
      );
      const id = opened.headers['mcp-session-id'];
      if (typeof id !== 'string') throw new Error(`no session: ${opened.status} ${opened.text}`);
      await client.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, { ...headers, 'mcp-session-id': id });
      return id;
    },
  };
  return client;
}

function parsedConfig(url: URL | string, config: GatewayConfig): Config {
  const { upstream, others = [], host = '127.0.0.1', tls, ...rest } = config;
  return parseConfig(
    {
      ...rest,
      listen: { host, port: 0, ...(tls && { tls }) },
      drain: { timeout: '100ms', ...rest.drain },
      upstreams: [{ url: String(url), ...upstream }, ...others],
    },
    THIS_MACHINE,
  );
}

/** A legacy server with the gateway in front of it, for the length of one test. */
export async function gatewayBefore(
  behaviour: Partial<Behaviour> = {},
  config: GatewayConfig = {},
  time?: Clock & Timers,
): Promise<{ upstream: LegacyServer; gateway: Gateway }> {
  const upstream = await startLegacyServer(behaviour);
  onTestFinished(() => upstream.close());
  const gateway = await startGateway(upstream.url, config, time);
  onTestFinished(() => gateway.close());
  return { upstream, gateway };
}

/** What a socket or a body has said so far. */
class Incoming {
  readonly ended: Promise<string>;
  readonly #pieces: string[] = [];
  #isOver = false;
  #news = Promise.withResolvers<void>();

  constructor(stream: Readable) {
    stream.setEncoding('utf8');
    stream.on('data', (piece: string) => {
      this.#pieces.push(piece);
      this.#tell();
    });
    // A connection that is reset has ended too.
    stream.on('error', () => {});
    this.ended = new Promise((resolve) =>
      stream.on('close', () => {
        this.#isOver = true;
        this.#tell();
        resolve(this.#pieces.join(''));
      }),
    );
  }

  async until(part: string): Promise<string> {
    let seen = 0;
    let tail = '';
    for (;;) {
      const fresh = tail + this.#pieces.slice(seen).join('');
      if (this.#isOver || fresh.includes(part)) return this.#pieces.join('');
      seen = this.#pieces.length;
      tail = fresh.slice(-part.length);
      await this.#news.promise;
    }
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** What a test does not wait for ends when the gateway closes, and that is no failure. */
function mayBeLeft<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** One request as it goes over the wire; a header may be given twice. */
export function requestBytes(
  method: string,
  target: string,
  headers: readonly (readonly [name: string, value: string])[] = [],
  body = '',
): string {
  const given = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `${method} ${target} HTTP/1.1\r\n${given}\r\n${body}`;
}

/** The last reply in what a connection has said, where its length is known. */
export function replyIn(text: string): Pick<Answer, 'status' | 'text' | 'json'> & { readonly head: string } {
  const at = text.lastIndexOf('HTTP/1.1 ');
  const [head = '', body = ''] = text.slice(at).split('\r\n\r\n', 2);
  return { status: Number(head.split(' ')[1]), head, text: body, json: parseOrUndefined(body) };
}

/** Data of message events; comments are passed over. */
export function eventsOf(text: string): string[] {
  return text
    .split('\n\n')
    .map((frame) => frame.split('\n').filter((line) => line.startsWith('data: ')))
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => line.slice('data: '.length)).join('\n'));
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
