// One session with a server of the old transport: a link, opened as the gateway opens its own, asked a little, and closed.
// Everything is bounded by the link's own limits and by the deadlines that are given here.

import { Agent, type Dispatcher } from 'undici';
import type { LimitConfig, TimeoutConfig } from '../../config/schema.ts';
import { CALL_ID_LIMIT, type CallId, callId, linkId } from '../../domain/ids.ts';
import type { Dropped } from '../../domain/drops.ts';
import { ProxyError, asProxyError } from '../../domain/errors.ts';
import type { Clock, Fact, Journal, Random, Timers } from '../../domain/ports.ts';
import { EMPTY_PROFILE, declaredCapabilities } from '../../protocol/capability-profile.ts';
import { LATEST_REVISION } from '../../protocol/eras.ts';
import {
  type Answer,
  type Message,
  bytesOf,
  encode,
  idText,
  ownError,
  ownMessage,
  parsed,
} from '../../protocol/json-rpc.ts';
import { SseFrameCutter } from '../../protocol/sse-frame-cutter.ts';
import type { Handshake } from '../../protocol/upstream-handshake.ts';
import type { Connector } from '../../upstream/connector.ts';
import { NO_REFUSAL } from '../../upstream/credential-refusal.ts';
import type { EndpointRules } from '../../upstream/endpoint-url.ts';
import type { StreamWatch } from '../../upstream/event-stream.ts';
import { type LinkReceiver, SseLink } from '../../upstream/link.ts';
import { codeOf } from '../../upstream/network-error.ts';
import type { ListAnswer } from '../counting.ts';
import type { Beat, Counts, Failure, Head, StreamSeen } from '../seen.ts';
import { WatchedConnection } from './watched-connection.ts';
import { WatchedPosts } from './watched-posts.ts';

/** What every conversation of a probe needs. */
export interface Wire {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly timeouts: TimeoutConfig;
  readonly limits: LimitConfig;
  readonly connector: Connector;
  /** Of the upstream, credentials among them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly clientInfo: object;
}

/** Of a head, those that tell servers and proxies apart; and so much of each. */
const TOLD_HEADERS = [
  'server',
  'via',
  'x-powered-by',
  'content-type',
  'content-encoding',
  'cache-control',
  'access-control-allow-origin',
  'x-accel-buffering',
  'location',
  'www-authenticate',
];
const HEADER_CHARS = 500;
const BEGINNING_BYTES = 4096;
const ANSWER_CHARS = 256;
/** A server that shows its life more often than this says no more by it. */
const MAX_BEATS = 200;
const MAX_DROPPED = 20;

export class LegacySession implements LinkReceiver, StreamWatch, Journal {
  readonly #wire: Wire;
  readonly #link: SseLink;
  readonly #connection: WatchedConnection;
  readonly #posts = new WatchedPosts();
  readonly #dispatcher: Dispatcher;
  readonly #agent: Agent;
  readonly #cutter: SseFrameCutter;
  /** By our id. */
  readonly #asked = new Map<string, (answer: Answer | null) => void>();
  #nextId: number;
  #head: (Head & { readonly at: number }) | null = null;
  #endpointAt: number | null = null;
  #openAt: number | null = null;
  #bytes = 0;
  #beginning = '';
  #announced: string | null = null;
  #handshake: Handshake | null = null;
  #failure: Failure | null = null;
  readonly #beats: Beat[] = [];
  readonly #dropped = new Set<Dropped>();
  /** Answers that nobody asked for here: they are of another stream. */
  readonly strays: string[] = [];
  #isLost = false;
  /** Who waits for something to hold. */
  readonly #waiting = new Set<{ readonly look: () => void; readonly giveUp: () => void }>();

  constructor(wire: Wire, endpoint: EndpointRules) {
    this.#wire = wire;
    this.#connection = new WatchedConnection(wire.connector, wire.clock);
    this.#agent = new Agent({ connect: wire.connector });
    this.#dispatcher = this.#agent.compose(this.#posts.intercept);
    // Random, so that an answer to another of its clients is not taken for ours.
    this.#nextId = Math.floor(wire.random.fraction() * (CALL_ID_LIMIT / 2));
    this.#cutter = new SseFrameCutter(
      {
        message: (data) => this.#heardMessage(data),
        rest: (frame) => {
          if (!isEndpoint(frame)) this.#beat('event');
        },
        comment: () => this.#beat('comment'),
      },
      { maxMessageBytes: wire.limits.upstreamMessageBytes },
    );
    this.#link = new SseLink({
      id: linkId(1),
      upstream: 'probe',
      endpoint,
      headers: () => wire.headers,
      refusalOf: NO_REFUSAL,
      offer: {
        revision: LATEST_REVISION,
        capabilities: encode(JSON.stringify(declaredCapabilities(EMPTY_PROFILE))),
        clientInfo: encode(JSON.stringify(wire.clientInfo)),
      },
      initializeId: this.#issueId(),
      dispatcher: this.#dispatcher,
      connector: this.#connection.connector,
      watch: this,
      timeouts: wire.timeouts,
      limits: wire.limits,
      clock: wire.clock,
      timers: wire.timers,
      journal: this,
      receiver: this,
      onStrayAnswer: (answer) => this.#stray(answer),
    });
  }

  get certificate(): WatchedConnection['certificate'] {
    return this.#connection.certificate;
  }

  get isOpen(): boolean {
    return this.#link.state.phase === 'open';
  }

  /** How far it has come. */
  get phase(): 'connecting' | 'awaiting endpoint' | 'initializing' | 'open' {
    if (this.#openAt !== null) return 'open';
    if (this.#endpointAt !== null) return 'initializing';
    return this.#head === null ? 'connecting' : 'awaiting endpoint';
  }

  /** Null where it could not be opened, by this time; `seen` then says why. */
  async open(withinMs: number): Promise<Handshake | null> {
    const late = this.#wire.timers.after(withinMs, () => {
      this.#failure ??= this.#lateness();
      this.#link.close('shutdown');
    });
    try {
      this.#handshake = await this.#link.open();
      this.#openAt = this.#wire.clock.now();
      return this.#handshake;
    } catch (thrown) {
      const error = asProxyError(thrown);
      this.#failure ??= { code: error.code, why: error.message, network: networkOf(error) };
      return null;
    } finally {
      late.cancel();
    }
  }

  /** Null: no answer came. */
  async ask(method: string, params: object | undefined, withinMs: number): Promise<Answer | null> {
    const id = this.#issueId();
    const answer = new Promise<Answer | null>((resolve) => {
      this.#asked.set(String(id), resolve);
    });
    const timer = this.#wire.timers.after(withinMs, () => this.#settle(String(id), null));
    this.#link.send([ownMessage({ id, method, ...(params && { params }) })], withinMs, (outcome) => {
      if (outcome.kind !== 'accepted') this.#settle(String(id), null);
      else if (outcome.body !== null) this.#link.take(outcome.body);
    });
    return answer.finally(() => timer.cancel());
  }

  async list(method: string, params: object, withinMs: number): Promise<ListAnswer> {
    const answer = await this.ask(method, params, withinMs);
    if (answer === null) return { kind: 'none' };
    return answer.kind === 'error'
      ? { kind: 'refused' }
      : { kind: 'result', result: parsed(answer.bytes, answer.result) };
  }

  /** Resolves when it is over, or when time is up. */
  async listen(ms: number): Promise<void> {
    await this.until(() => !this.isOpen, ms);
  }

  /** Whether it has come to that in time. */
  until(holds: () => boolean, withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isSo: boolean): void => {
        timer.cancel();
        this.#waiting.delete(waiter);
        resolve(isSo);
      };
      const waiter = {
        look(): void {
          if (holds()) end(true);
        },
        giveUp: () => end(false),
      };
      const timer = this.#wire.timers.after(withinMs, waiter.giveUp);
      this.#waiting.add(waiter);
      waiter.look();
    });
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#link.close('shutdown');
    for (const id of this.#asked.keys()) this.#settle(id, null);
    for (const { giveUp } of this.#waiting) giveUp();
    await this.#agent.destroy().catch(() => {
      // Destroying twice rejects; the sockets are gone either way.
    });
  }

  seen(counts: Counts | null): StreamSeen {
    const { begun, resolved, connected, secured } = this.#connection.times;
    const head = this.#head;
    const ready = secured ?? connected;
    const between = (from: number | null, to: number | null): number | null =>
      from === null || to === null ? null : Math.max(0, to - from);
    const now = this.#wire.clock.now();
    return {
      timings: {
        dns: between(begun, resolved),
        tcp: between(resolved ?? begun, connected),
        tls: between(connected, secured),
        head: between(ready, head?.at ?? null),
        endpoint: between(head?.at ?? null, this.#endpointAt),
        initialize: between(this.#endpointAt, this.#openAt),
      },
      head: head === null ? null : { status: head.status, headers: head.headers },
      bytes: this.#bytes,
      beginning: this.#beginning,
      announced: this.#announced,
      posts: this.#posts.seen,
      introduction: this.#introduction(),
      counts,
      beats: this.#beats,
      listenedMs: head === null ? 0 : now - head.at,
      isLost: this.#isLost,
      dropped: [...this.#dropped],
      failure: this.#failure,
    };
  }

  // What the stream tells.

  head(status: number, headers: Readonly<Record<string, unknown>>): void {
    const told = TOLD_HEADERS.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, [value].flat().map(String).join(', ').slice(0, HEADER_CHARS)] as const];
    });
    this.#head = { status, headers: Object.fromEntries(told), at: this.#wire.clock.now() };
  }

  bytes(chunk: Buffer): void {
    this.#bytes += chunk.length;
    const room = BEGINNING_BYTES - this.#beginning.length;
    if (room > 0) this.#beginning += chunk.toString('latin1', 0, room);
    this.#cutter.push(chunk);
    this.#tell();
  }

  endpoint(announced: string): void {
    this.#announced ??= announced;
    this.#endpointAt ??= this.#wire.clock.now();
  }

  // What the link tells.

  message(message: Message): void {
    if (message.kind === 'result' || message.kind === 'error') {
      const id = message.id === null ? '' : idText(message.bytes, message.id).replaceAll('"', '');
      if (!this.#settle(id, message)) this.#stray(message);
    } else if (message.kind === 'request') {
      // Nothing was declared that it could ask for.
      const text = { code: -32_601, message: 'this client only looks' };
      this.#link.answer([ownError(bytesOf(message.bytes, message.id), text)], () => {});
    }
    this.#tell();
  }

  lost(error: ProxyError): void {
    for (const id of this.#asked.keys()) this.#settle(id, null);
    this.#isLost = true;
    if (error.code === 'upstream_message_too_large') this.#dropped.add('unreadable_message');
    this.#tell();
  }

  record(fact: Fact): void {
    if (fact.fact === 'dropped' && this.#dropped.size < MAX_DROPPED) this.#dropped.add(fact.what);
  }

  #issueId(): CallId {
    return callId(this.#nextId++);
  }

  #settle(id: string, answer: Answer | null): boolean {
    const settle = this.#asked.get(id);
    this.#asked.delete(id);
    settle?.(answer);
    return settle !== undefined;
  }

  #stray({ bytes, id }: Answer): void {
    if (this.strays.length < MAX_DROPPED) this.strays.push(id === null ? 'null' : idText(bytes, id));
    this.#tell();
  }

  #heardMessage(data: Uint8Array): void {
    const text = Buffer.from(data.subarray(0, ANSWER_CHARS)).toString('latin1');
    if (/"method"\s*:\s*"ping"/.test(text)) this.#beat('ping');
  }

  #beat(kind: Beat['kind']): void {
    if (this.#endpointAt === null || this.#beats.length >= MAX_BEATS) return;
    this.#beats.push({ kind, atMs: this.#wire.clock.now() - (this.#head?.at ?? 0) });
  }

  #tell(): void {
    for (const { look } of this.#waiting) look();
  }

  #introduction(): StreamSeen['introduction'] {
    if (this.#handshake === null) return null;
    const { revision, server, answer } = this.#handshake;
    const { capabilities } = parsed(answer.bytes, answer.result) as { readonly capabilities?: unknown };
    const text = Buffer.from(answer.bytes.subarray(0, ANSWER_CHARS)).toString('latin1');
    return { revision, server, capabilities, answer: text };
  }

  #lateness(): Failure {
    const why = 'time was up';
    switch (this.phase) {
      case 'connecting': {
        const code =
          this.#connection.times.connected === null ? 'upstream_connect_timeout' : 'upstream_headers_timeout';
        return { code, why, network: null };
      }
      case 'awaiting endpoint':
        return { code: 'endpoint_missing', why, network: null };
      default:
        return { code: 'initialize_timeout', why, network: null };
    }
  }
}

/** As the cutter writes it. */
function isEndpoint(frame: Uint8Array): boolean {
  return Buffer.from(frame.subarray(0, ENDPOINT_HEAD.length)).equals(ENDPOINT_HEAD);
}

const ENDPOINT_HEAD = Buffer.from('event: endpoint\n');

function networkOf({ cause }: ProxyError): string | null {
  return cause === undefined || cause instanceof ProxyError ? null : codeOf(cause);
}
