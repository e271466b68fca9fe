// What the scriptable legacy server does when nobody says otherwise, and the names for what it can do instead: endpoint
// events, POST answers, framings, methods and tools. A test passes a part of Behaviour and may change it at any time.

import type { ServerOptions } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export interface RpcMessage {
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

/** One open GET. Streams share a session when the server delivers to all, or to the newest: it has one for the process. */
export interface LegacyStream {
  readonly sessionId: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly session: LegacySession;
  readonly closed: Promise<void>;
}

export interface LegacySession {
  /** As the last initialize declared them. */
  capabilities: Readonly<Record<string, unknown>>;
  /** Calls of the tool `count`. */
  count: number;
}

/** A request that a method or a tool answers. */
export interface LegacyCall {
  readonly message: RpcMessage;
  /** The POST body as it came. */
  readonly raw: Buffer;
  readonly stream: LegacyStream;
  /** Of tools/call; empty elsewhere. */
  readonly args: Readonly<Record<string, unknown>>;
  /** Settled by release(), which is the test's to call. */
  readonly released: Promise<void>;
  /** Settled by notifications/cancelled for this request. */
  readonly cancelled: Promise<void>;
  release(): void;
  /** The bytes of one value in the body, as they came: `bytes('params', 'arguments')`. */
  bytes(...path: readonly string[]): Buffer;
  notify(method: string, params?: object): void;
  /** Nothing if the caller gave no progress token. */
  progress(progress: number, total?: number): void;
  /** A request of our own, and its answer. */
  ask(method: string, params?: object): Promise<RpcMessage>;
}

/** Returns the result, as an object or as its bytes, or NO_ANSWER; throws RpcError for an error answer. */
export type Answerer = (call: LegacyCall) => unknown;

export const NO_ANSWER = Symbol('no answer');

export class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export interface PlainAnswer {
  readonly status: number;
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Behaviour {
  /** It speaks https; not to be changed. */
  tls?: ServerOptions;
  /** Path of the stream. */
  path: string;
  /** The values of the endpoint events, in their order; see `endpoints`. */
  endpoint: (sessionId: string, streamUrl: URL) => readonly string[];
  /** `closes`: right after the endpoint event. `until` holds the headers back. A plain answer: redirects, errors, HTML. */
  get: GetAnswer | ((headers: IncomingHttpHeaders) => GetAnswer);
  /**
   * `accepted`: 202 with a text. `answered`: 202 with the answer as JSON too; `answered-here`: and not on the stream.
   * `finished`: 200 once the answer is on the stream. `silent`: no response at all, though the request is served.
   * A plain answer refuses the message, which then never runs; with `ran: true` it is served all the same.
   */
  post: PostAnswer | ((message: RpcMessage, headers: IncomingHttpHeaders) => PostAnswer);
  /** To a POST that names a stream which is no more. */
  lostSession: PlainAnswer;
  framing: {
    /** Used in turn, one per line. */
    readonly lineEnds: readonly string[];
    readonly space: boolean;
    readonly eventField: boolean;
  };
  delivery: 'own' | 'all' | 'newest';
  diesWhenOneLeaves: boolean;
  /** Sent right after the endpoint event, before anybody asks. */
  greeting: readonly object[];
  /** In the answer to initialize; without it, the one that was asked for. */
  protocolVersion: string | undefined;
  capabilities: object;
  serverInfo: object;
  methods: Readonly<Record<string, Answerer>>;
  tools: Readonly<Record<string, Answerer>>;
}

export type GetAnswer = 'streams' | 'closes' | { readonly until: Promise<unknown> } | PlainAnswer;
export type PostAnswer =
  | 'accepted'
  | 'answered'
  | 'answered-here'
  | 'finished'
  | 'silent'
  | (PlainAnswer & { readonly ran?: boolean });

export const lineEnds = { lf: ['\n'], crlf: ['\r\n'], cr: ['\r'], mixed: ['\r\n', '\n', '\r'] } as const;

export const endpoints = {
  path: (id: string) => [`/messages?sessionId=${id}`],
  absolute: (id: string, streamUrl: URL) => [new URL(`/messages?sessionId=${id}`, streamUrl).href],
  relative: (id: string) => [`messages?sessionId=${id}`],
  idInPath: (id: string) => [`/messages/${id}`],
  samePath: (id: string, streamUrl: URL) => [`${streamUrl.pathname}?sessionId=${id}`],
  /** Every POST goes to the newest stream. */
  withoutSession: () => ['/messages?'],
  missing: () => [],
  twice: (id: string) => [`/messages?sessionId=${id}`, `/messages/again?sessionId=${id}`],
  otherOrigin: (origin: string) => (id: string) => [`${origin}/messages?sessionId=${id}`],
} as const;

export function text(value: string): object {
  return { content: [{ type: 'text', text: value }] };
}

const tools: Readonly<Record<string, Answerer>> = {
  /** The bytes of the arguments, as they came, as structuredContent. */
  echo: (call) =>
    Buffer.concat([
      Buffer.from('{"content":[],"structuredContent":'),
      call.bytes('params', 'arguments'),
      Buffer.from('}'),
    ]),
  add: (call) => text(String(Number(call.args['a']) + Number(call.args['b']))),
  count: (call) => text(String(++call.stream.session.count)),
  /** Answers when the test releases it; never once it is cancelled. */
  slow: async (call) => {
    const cancelled = call.cancelled.then(() => NO_ANSWER);
    return Promise.race([call.released.then(() => text('done')), cancelled]);
  },
  never: () => NO_ANSWER,
  /** `questions`: requests to send at once, an elicitation if not given. Its result has their answers, in order. */
  ask: async (call) => {
    const replies = await Promise.all(questionsOf(call).map(({ method, params }) => call.ask(method, params)));
    return { ...text('asked'), structuredContent: { replies } };
  },
  /** Asks `afterMs` after it was called, or when the test releases it, cancelled or not. */
  asksLater: async (call) => {
    const afterMs = call.args['afterMs'];
    await (typeof afterMs === 'number' ? delay(afterMs, undefined, { ref: false }) : call.released);
    return tools['ask']?.(call);
  },
};

const ELICITATION = {
  method: 'elicitation/create',
  params: { message: 'your name?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } },
};

function questionsOf(call: LegacyCall): readonly { readonly method: string; readonly params?: object }[] {
  const { questions } = call.args;
  if (!Array.isArray(questions)) return [ELICITATION];
  return questions.filter(isRecord).map(({ method, params }) => ({
    method: String(method),
    ...(isRecord(params) && { params }),
  }));
}

export function defaultBehaviour(): Behaviour {
  return {
    path: '/sse',
    endpoint: endpoints.path,
    get: 'streams',
    post: 'accepted',
    lostSession: { status: 404, body: 'Could not find session' },
    framing: { lineEnds: lineEnds.lf, space: true, eventField: true },
    delivery: 'own',
    diesWhenOneLeaves: false,
    greeting: [],
    protocolVersion: undefined,
    capabilities: { tools: { listChanged: true }, logging: {} },
    serverInfo: { name: 'scripted-legacy-server', version: '1.0.0' },
    methods: {},
    tools,
  };
}

/** The methods that every server answers, unless `behaviour.methods` has its own. */
export function answererOf(behaviour: Behaviour, method: string): Answerer {
  const own = Object.hasOwn(behaviour.methods, method) ? behaviour.methods[method] : undefined;
  if (own !== undefined) return own;
  switch (method) {
    case 'initialize':
      return (call) => {
        const { capabilities, protocolVersion } = call.message.params ?? {};
        call.stream.session.capabilities = isRecord(capabilities) ? capabilities : {};
        return {
          protocolVersion: behaviour.protocolVersion ?? protocolVersion,
          capabilities: behaviour.capabilities,
          serverInfo: behaviour.serverInfo,
        };
      };
    case 'ping':
    case 'logging/setLevel':
      return () => ({});
    case 'tools/list':
      return () => ({
        tools: Object.keys(behaviour.tools).map((name) => ({ name, inputSchema: { type: 'object' } })),
      });
    case 'tools/call':
      return (call) => {
        const name = String(call.message.params?.['name']);
        const tool = Object.hasOwn(behaviour.tools, name) ? behaviour.tools[name] : undefined;
        if (tool === undefined) throw new RpcError(-32602, `Tool ${name} not found`);
        return tool(call);
      };
    default:
      return () => {
        throw new RpcError(-32601, 'Method not found');
      };
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
