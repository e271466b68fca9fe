// The gateway in this process before an upstream, and a client that sees and sends bytes.

import { type Dispatcher, Agent, request } from 'undici';
import { type App, createApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { Fact, Journal } from '../../src/domain/ports.ts';

export type GatewayConfig = Omit<ConfigInput, 'upstreams' | 'listen'> & {
  readonly upstream?: Partial<ConfigInput['upstreams'][number]>;
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

export interface Gateway {
  readonly app: App;
  readonly journal: RecordingJournal;
  readonly origin: string;
  readonly endpoint: string;
  post(body: unknown, headers?: Record<string, string>): Promise<Answer>;
  send(
    method: Dispatcher.HttpMethod,
    path: string,
    headers?: Record<string, string>,
    body?: string | Buffer,
  ): Promise<Answer>;
  /** A tools/call without a session. */
  call(name: string, args?: object, id?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** initialize and notifications/initialized; the id of the session. */
  openSession(params?: object): Promise<string>;
  close(): Promise<void>;
}

export const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

export async function startGateway(upstream: URL | string, config: GatewayConfig = {}): Promise<Gateway> {
  const { upstream: more, ...rest } = config;
  const journal = new RecordingJournal();
  const app = createApp({
    config: parseConfig({
      ...rest,
      listen: { port: 0 },
      drain: { timeout: '100ms', ...rest.drain },
      upstreams: [{ url: String(upstream), ...more }],
    }),
    journal,
    version: '0.0.0-test',
  });
  const { port } = await app.listen();
  const origin = `http://127.0.0.1:${port}`;
  const dispatcher = new Agent({ connections: 600 });

  const gateway: Gateway = {
    app,
    journal,
    origin,
    endpoint: `${origin}/mcp`,
    async send(method, path, headers = {}, body) {
      const response = await request(origin + path, {
        method,
        headers,
        dispatcher,
        ...(body !== undefined && { body }),
      });
      const text = await response.body.text();
      const isStream = String(response.headers['content-type']).startsWith('text/event-stream');
      const events = isStream ? eventsOf(text) : [];
      const last = isStream ? events.at(-1) : text;
      return {
        status: response.statusCode,
        headers: response.headers,
        text,
        events,
        json: last ? parseOrUndefined(last) : undefined,
      };
    },
    post(body, headers = {}) {
      const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      return gateway.send('POST', '/mcp', { ...JSON_HEADERS, ...headers }, bytes);
    },
    call(name, args = {}, id = 1, headers = {}) {
      return gateway.post({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } }, headers);
    },
    async openSession(params = {}) {
      const opened = await gateway.post({
        jsonrpc: '2.0',
        id: 0,
        method: 'initialize',
        params: {
          protocolVersion: '2025-06-18',
          capabilities: {},
          clientInfo: { name: 'test', version: '1' },
          ...params,
        },
      });
      const id = opened.headers['mcp-session-id'];
      if (typeof id !== 'string') throw new Error(`no session: ${opened.status} ${opened.text}`);
      await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, { 'mcp-session-id': id });
      return id;
    },
    async close() {
      await dispatcher.destroy();
      await app.close();
    },
  };
  return gateway;
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
