// One link: an event stream, its POST URL, and a finished initialize. It lives as long as its event stream and is never
// reopened: a new stream is a new upstream session, so replies to what was sent on this one could not arrive on that.

import { isUtf8 } from 'node:buffer';
import type { Dispatcher, buildConnector } from 'undici';
import type { LimitConfig, TimeoutConfig } from '../config/schema.ts';
import { Bag } from '../domain/collections.ts';
import type { Dropped } from '../domain/drops.ts';
import { ERRORS, ProxyError, asProxyError, isCredentialRefusal } from '../domain/errors.ts';
import type { Limit } from '../domain/limits.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { CallId, LinkId } from '../domain/ids.ts';
import type { Chunks, Clock, Journal, Link, PostOutcome, Timer, Timers } from '../domain/ports.ts';
import type { LinkCloseReason, LinkState } from '../domain/states.ts';
import { isBatch, readArray } from '../protocol/batch.ts';
import { type UpstreamRevision, wantsVersionHeader } from '../protocol/eras.ts';
import {
  type Answer,
  type Message,
  type Request,
  type Unreadable,
  bytesOf,
  encode,
  ownResult,
  readMessage,
} from '../protocol/json-rpc.ts';
import {
  type Handshake,
  type HandshakeOffer,
  INITIALIZED,
  initializeRequest,
  readInitializeAnswer,
} from '../protocol/upstream-handshake.ts';
import type { Connector } from './connector.ts';
import type { RefusalOf } from './credential-refusal.ts';
import { type EndpointRules, endpointUrl } from './endpoint-url.ts';
import { EventStream, type StreamWatch } from './event-stream.ts';
import { post, postTarget } from './post.ts';

/** Who hears what a link says once it is open. What came before that is handed over when it opens, in order. */
export interface LinkReceiver {
  message(message: Message): void;
  /** The link is gone, and not by our own `close`. Called once, and only after the link was open. */
  lost(error: ProxyError): void;
}

export interface LinkOptions {
  readonly id: LinkId;
  readonly upstream: string;
  readonly endpoint: EndpointRules;
  /** With every request, as they are then: what a caller sends for the upstream can change. */
  readonly headers: () => Readonly<Record<string, string>>;
  readonly refusalOf: RefusalOf;
  readonly offer: HandshakeOffer;
  /** The id of our initialize, from the counter of the mount. */
  readonly initializeId: CallId;
  /** For POSTs; the stream has a socket of its own. */
  readonly dispatcher: Dispatcher;
  readonly connector: Connector | buildConnector.connector;
  readonly watch?: StreamWatch | undefined;
  readonly timeouts: TimeoutConfig;
  readonly limits: LimitConfig;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
  readonly receiver: LinkReceiver;
  /** An answer that nobody on this link asked for, heard while it opens: it may be another link's. */
  readonly onStrayAnswer: (answer: Answer) => void;
}

/** Messages kept while a link opens; a server that says more than this before it is initialized is broken. */
const MAX_EARLY_MESSAGES = 1000;
/** Messages in one array; the bytes are bounded as for any message. */
const MAX_IN_ARRAY = 100_000;
/** Answers of ours on their way at once: each holds a socket. */
const MAX_ANSWERS_AT_ONCE = 16;
const MAX_WAITING_ANSWERS = 4096;

export class SseLink implements Link {
  readonly id: LinkId;
  #state: LinkState = { phase: 'connecting' };
  #heardAt: number;
  #stream: EventStream | null = null;
  /** Set once the upstream has answered initialize. */
  #revision: UpstreamRevision | null = null;
  #early: Message[] = [];
  /** Pings that came before there was anywhere to answer them. */
  #earlyPings: Request[] = [];
  #phaseTimer: Timer | null = null;
  #earlyBytes = 0;
  readonly #posts = new Bag<() => void>();
  /** Answers to the upstream's own requests: those on their way, and those that wait for their turn. */
  #answering = 0;
  #answers: { readonly message: Chunks; readonly done: (outcome: PostOutcome) => void }[] = [];
  readonly #startedAt: number;
  readonly #options: LinkOptions;
  /** Set while somebody waits for the link to open. */
  #opening: { readonly resolve: (handshake: Handshake) => void; readonly reject: (error: ProxyError) => void } | null =
    null;

  constructor(options: LinkOptions) {
    this.id = options.id;
    this.#options = options;
    this.#startedAt = this.#heardAt = options.clock.now();
  }

  get state(): LinkState {
    return this.#state;
  }

  get heardAt(): number {
    return this.#heardAt;
  }

  /** Connects and initializes; resolves with the upstream's answer, which is not kept. Rejects with a ProxyError. Called once. */
  open(): Promise<Handshake> {
    const { endpoint, headers, refusalOf, connector, watch, timeouts, limits, clock } = this.#options;
    this.#stream = new EventStream({
      url: endpoint.sseUrl,
      headers: headers(),
      refusalOf,
      connector,
      watch,
      headersMs: timeouts.headers,
      maxMessageBytes: limits.upstreamMessageBytes,
      onOpen: () => this.#awaitEndpoint(),
      onEndpoint: (announced) => this.#onEndpoint(announced),
      onMessage: (data) => this.#onData(data),
      onUnknown: () => this.#drop('unknown_event'),
      onAlive: () => {
        this.#heardAt = clock.now();
      },
      onEnd: (error) => this.#lost(error),
    });
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
    });
  }

  send(message: Chunks, deadlineMs: number | null, done: (outcome: PostOutcome) => void): () => void {
    const { state } = this;
    if (state.phase !== 'open' && state.phase !== 'initializing') {
      const error = new ProxyError('upstream_session_lost', 'the link is closed', { outcome: 'not_executed' });
      queueMicrotask(() => done({ kind: 'unsent', error }));
      return () => {};
    }
    const { dispatcher, headers, refusalOf, limits } = this.#options;
    const revision = this.#revision;
    const stop = post(dispatcher, {
      to: state.postTo,
      headers: {
        ...headers(),
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        ...(revision !== null && wantsVersionHeader(revision) && { 'mcp-protocol-version': revision }),
      },
      body: message,
      deadlineMs,
      timers: this.#options.timers,
      refusalOf,
      maxBodyBytes: limits.upstreamMessageBytes,
      done: (outcome) => {
        this.#posts.remove(place);
        this.#guarded(() => done(outcome));
      },
    });
    const place = this.#posts.add(stop);
    return () => {
      this.#posts.remove(place);
      stop();
    };
  }

  /** Answers a request of the upstream, a few at a time. One that asks and asks but takes no answers loses the link. */
  answer(message: Chunks, done: (outcome: PostOutcome) => void): void {
    if (this.#answers.length >= MAX_WAITING_ANSWERS) {
      this.#lost(new ProxyError('upstream_session_lost', 'the upstream asks without end and takes no answers'));
      return;
    }
    this.#answers.push({ message, done });
    this.#nextAnswer();
  }

  #nextAnswer(): void {
    const next = this.#answering < MAX_ANSWERS_AT_ONCE ? this.#answers.shift() : undefined;
    if (next === undefined) return;
    this.#answering++;
    this.send(next.message, this.#options.timeouts.post, (outcome) => {
      this.#answering--;
      next.done(outcome);
      this.#nextAnswer();
    });
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  close(reason: LinkCloseReason): void {
    if (this.#state.phase === 'closed') return;
    const wasOpen = this.#state.phase === 'open';
    this.#shut(reason);
    if (wasOpen)
      this.#options.journal.record({ fact: 'link_closed', upstream: this.#options.upstream, link: this.id, reason });
    else this.#opening?.reject(new ProxyError('upstream_unavailable', 'the link was closed while it opened'));
  }

  /** Takes an answer that came as the body of a POST instead of on the stream; other bodies mean nothing. */
  take(body: Uint8Array): void {
    const answers = this.#read(body).filter(({ kind }) => kind === 'result' || kind === 'error');
    if (answers.length === 0) this.#drop('post_body_ignored');
    this.#guarded(() => answers.forEach((answer) => this.#heard(answer)));
  }

  /** What a text holds: one message, or those of an array. */
  #read(text: Uint8Array): readonly (Message | Unreadable)[] {
    if (!isUtf8(text)) return [{ kind: 'unreadable', code: 'parse_error', why: 'not UTF-8', id: null }];
    const maxDepth = this.#options.limits.jsonDepth;
    // [spec 2025-03-26 basic] "MCP implementations MAY support sending JSON-RPC batches, but MUST support receiving
    // JSON-RPC batches." Whatever revision was agreed on: to refuse one would lose what is in it.
    if (!isBatch(text)) return [readMessage(text, { maxDepth })];
    const messages = readArray(text, { maxDepth, maxMessages: MAX_IN_ARRAY });
    return 'kind' in messages ? [messages] : messages;
  }

  #awaitEndpoint(): void {
    if (this.#state.phase !== 'connecting') return;
    this.#state = { phase: 'awaiting-endpoint' };
    this.#within(this.#options.timeouts.endpoint, () =>
      overLimit('endpoint_missing', 'timeouts.endpoint', 'the upstream’s event stream has no endpoint event'),
    );
  }

  #onEndpoint(announced: string): void {
    const { endpoint, initializeId, offer, timeouts } = this.#options;
    if (this.#state.phase === 'initializing' || this.#state.phase === 'open') {
      // Vetted all the same: an upstream that tries to send us elsewhere in mid-session is not one to talk to.
      endpointUrl(announced, endpoint);
      this.#drop('second_endpoint');
      return;
    }
    this.#state = { phase: 'initializing', postTo: postTarget(endpointUrl(announced, endpoint)) };
    this.#within(timeouts.initialize, () =>
      overLimit('initialize_timeout', 'timeouts.initialize', 'the upstream did not answer initialize in time'),
    );
    this.send([initializeRequest(initializeId, offer)], timeouts.initialize, (outcome) =>
      this.#initializePosted(outcome),
    );
    for (const ping of this.#earlyPings.splice(0)) this.#onPing(ping);
  }

  #initializePosted(outcome: PostOutcome): void {
    if (this.#state.phase !== 'initializing' || this.#revision !== null) return;
    if (outcome.kind === 'accepted') {
      if (outcome.body !== null) this.take(outcome.body);
      return;
    }
    const cause = outcome.kind === 'session_refused' ? undefined : outcome.error;
    const refusal = refusalIn(outcome);
    if (refusal !== null) this.#lost(refusal);
    else if (outcome.kind === 'unsent') this.#lost(outcome.error);
    else this.#lost(new ProxyError('initialize_failed', 'the upstream did not accept initialize', { cause }));
  }

  #onData(data: Uint8Array): void {
    if (this.#state.phase === 'closed') return;
    for (const message of this.#read(data)) this.#heard(message);
  }

  #heard(message: Message | Unreadable): void {
    if (this.#state.phase === 'closed') return;
    if (message.kind === 'unreadable') {
      this.#drop('unreadable_message', message.why, message.limit);
      return;
    }
    if (message.kind === 'request' && message.method === 'ping') this.#onPing(message);
    else if (this.#state.phase === 'open') this.#options.receiver.message(message);
    else this.#beforeOpen(message);
  }

  /**
   * Of the link itself, whoever is on it.
   * [spec 2024-11-05 ping] "The receiver MUST respond promptly with an empty response."
   */
  #onPing(ping: Request): void {
    if (this.#state.phase === 'open' || this.#state.phase === 'initializing') {
      this.answer([ownResult(bytesOf(ping.bytes, ping.id), {})], () => {});
    } else {
      this.#keepEarly(ping);
      this.#earlyPings.push(ping);
    }
  }

  #beforeOpen(message: Message): void {
    if (message.kind === 'result' || message.kind === 'error') {
      if (this.#revision === null && this.#answersInitialize(message)) this.#initialized(message);
      else this.#options.onStrayAnswer(message);
      return;
    }
    this.#keepEarly(message);
    this.#early.push(message);
  }

  /** Counts what is kept while the link opens; over the bounds the link fails. */
  #keepEarly(message: Message): void {
    this.#earlyBytes += message.bytes.length;
    const count = this.#early.length + this.#earlyPings.length;
    if (count >= MAX_EARLY_MESSAGES || this.#earlyBytes > this.#options.limits.upstreamMessageBytes) {
      throw new ProxyError('initialize_failed', 'the upstream sends without end before it is initialized');
    }
  }

  /** Whatever a callback throws costs this link, never the process. */
  #guarded(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      this.#lost(asProxyError(thrown));
    }
  }

  #answersInitialize(answer: Answer): boolean {
    if (answer.id === null) return false;
    const id = bytesOf(answer.bytes, answer.id);
    const own = String(this.#options.initializeId);
    return sameText(id, own) || sameText(id, `"${own}"`);
  }

  #initialized(answer: Answer): void {
    // Throws where the link cannot be used, which ends it.
    const handshake = readInitializeAnswer(answer);
    this.#revision = handshake.revision;
    // [spec 2024-11-05 lifecycle] "After successful initialization, the client MUST send an initialized notification".
    // Nothing else is POSTed before it is accepted: two POSTs travel on two sockets and can overtake each other.
    this.send([INITIALIZED], this.#options.timeouts.post, (outcome) => {
      const refusal = refusalIn(outcome);
      if (refusal !== null) this.#lost(refusal);
      else if (outcome.kind === 'accepted' || outcome.kind === 'rejected') this.#ready(handshake);
      else this.#lost(new ProxyError('initialize_failed', 'the upstream did not accept notifications/initialized'));
    });
  }

  #ready(handshake: Handshake): void {
    if (this.#state.phase !== 'initializing') return;
    const { journal, upstream, receiver, clock } = this.#options;
    this.#state = { phase: 'open', postTo: this.#state.postTo };
    this.#phaseTimer?.cancel();
    journal.record({
      fact: 'link_open',
      upstream,
      link: this.id,
      revision: handshake.revision,
      openMs: Math.round(clock.now() - this.#startedAt),
    });
    this.#opening?.resolve(handshake);
    const early = this.#early;
    this.#early = [];
    // Not from within the callback of a POST; who waits for the link may have it a little later still.
    queueMicrotask(() => this.#guarded(() => early.forEach((message) => receiver.message(message))));
  }

  #lost(error: ProxyError): void {
    if (this.#state.phase === 'closed') return;
    const { journal, upstream, receiver } = this.#options;
    const wasOpen = this.#state.phase === 'open';
    this.#shut(wasOpen ? 'lost' : 'failed');
    if (wasOpen) {
      journal.record({ fact: 'link_closed', upstream, link: this.id, reason: 'lost', why: error.message });
      receiver.lost(error);
    } else {
      // What is lost while it opens is a failure to open, whatever broke, and no request has been sent on it.
      const code = error.code === 'upstream_session_lost' ? 'initialize_failed' : error.code;
      const failure = new ProxyError(code, error.message, {
        ...error.details,
        cause: error.cause,
        outcome: 'not_executed',
      });
      journal.record({
        fact: 'link_failed',
        upstream,
        link: this.id,
        reason: failure.code,
        why: failure.message,
        remedy: ERRORS[failure.code].remedy,
        ...failure.seen,
      });
      this.#opening?.reject(failure);
    }
  }

  #shut(reason: LinkCloseReason): void {
    this.#state = { phase: 'closed', reason };
    this.#phaseTimer?.cancel();
    this.#early = [];
    this.#stream?.close();
    this.#posts.takeEach((stop) => stop());
    this.#answers = [];
  }

  #within(ms: number, late: () => ProxyError): void {
    this.#phaseTimer?.cancel();
    this.#phaseTimer = this.#options.timers.after(ms, () => this.#lost(late()));
  }

  #drop(what: Dropped, detail?: string, limit?: Limit): void {
    this.#options.journal.record({
      fact: 'dropped',
      upstream: this.#options.upstream,
      what,
      ...(detail !== undefined && { detail }),
      ...(limit !== undefined && { limit }),
    });
  }
}

/** Where the upstream does not want the credential of a caller; null: that is not it. */
function refusalIn(outcome: PostOutcome): ProxyError | null {
  return outcome.kind === 'rejected' && isCredentialRefusal(outcome.error) ? outcome.error : null;
}

function sameText(bytes: Uint8Array, text: string): boolean {
  const wanted = encode(text);
  return bytes.length === wanted.length && wanted.every((byte, index) => bytes[index] === byte);
}
