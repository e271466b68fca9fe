// Conversations of one mount over links that exist in memory only: the test answers their POSTs.

import { Call } from '../../src/bridge/call.ts';
import { CallIds } from '../../src/bridge/correlation.ts';
import { Exchange } from '../../src/bridge/exchange.ts';
import type { Refusal } from '../../src/bridge/reply-router.ts';
import { parseConfig } from '../../src/config/load.ts';
import { type LinkId, linkId } from '../../src/domain/ids.ts';
import type { Chunks, Fact, Link, PostOutcome, Reader } from '../../src/domain/ports.ts';
import type { LinkCloseReason, LinkState } from '../../src/domain/states.ts';
import { type Notification, type Request, encode } from '../../src/protocol/json-rpc.ts';
import { Conversation } from '../../src/traffic/conversation.ts';
import type { Heard, LinkListener, Question } from '../../src/bridge/link-listener.ts';
import { readInitializeAnswer } from '../../src/protocol/upstream-handshake.ts';
import { RecordedSink, answerOf, requestOf, text } from '../bridge/recorded.ts';
import { VirtualTime } from '../support/virtual-time.ts';

/** The upstream offers all that there is. */
const HANDSHAKE = {
  protocolVersion: '2025-11-25',
  capabilities: { logging: {}, resources: { subscribe: true } },
  serverInfo: { name: 's', version: '1' },
};
const POST_TO = { origin: 'http://up.example', path: '/messages' };

export class MemoryLink implements Link {
  readonly id: LinkId;
  heardAt = 0;
  state: LinkState = { phase: 'open', postTo: POST_TO };
  readonly sent: { readonly message: string; readonly done: (outcome: PostOutcome) => void }[] = [];
  readonly taken: string[] = [];
  /** How often reading was stopped without being started again. */
  pauses = 0;

  constructor(id: number) {
    this.id = linkId(id);
  }

  send(message: Chunks, _deadlineMs: number | null, done: (outcome: PostOutcome) => void): () => void {
    this.sent.push({ message: text(message), done });
    return () => {};
  }

  answer(message: Chunks, done: (outcome: PostOutcome) => void): void {
    this.sent.push({ message: text(message), done });
  }

  accept(index: number, body: Uint8Array | null = null): void {
    this.sent[index]?.done({ kind: 'accepted', body });
  }

  take(body: Uint8Array): void {
    this.taken.push(Buffer.from(body).toString());
  }

  pause(): void {
    this.pauses++;
  }

  resume(): void {
    this.pauses--;
  }

  /** What was sent, as JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into messages freely
  get messages(): any[] {
    return this.sent.map(({ message }): unknown => JSON.parse(message));
  }

  close(reason: LinkCloseReason): void {
    if (this.state.phase !== 'closed') this.state = { phase: 'closed', reason };
  }

  get closed(): LinkCloseReason | null {
    return this.state.phase === 'closed' ? this.state.reason : null;
  }
}

/** A session that writes down what its link tells it. */
export class RecordedSession implements LinkListener {
  readonly asks: Question[] = [];
  readonly requests: Request[] = [];
  readonly withdrawals: { readonly question: Question; readonly method: string | null }[] = [];
  readonly hears: { readonly method: string; readonly about: Call | null }[] = [];
  /** What it says to a question. */
  refuses: Refusal | null = null;
  /** Whether what it hears concerns it, and who reads it. */
  concerns = true;
  reader: Reader | null = null;
  /** Done with each question as it comes. */
  onAsked: (question: Question) => void = () => {};

  asked(question: Question, request: Request): { readonly refusal: Refusal } | Heard {
    this.asks.push(question);
    this.requests.push(request);
    this.onAsked(question);
    return this.refuses === null ? { by: this.reader } : { refusal: this.refuses };
  }

  withdrawn(question: Question, message: Notification | null): Reader | null {
    this.withdrawals.push({ question, method: message?.method ?? null });
    return this.reader;
  }

  heard(message: Notification, about: Call | null): Heard | null {
    this.hears.push({ method: message.method, about });
    return this.concerns ? { by: this.reader } : null;
  }
}

/** A client that takes what is written to it when the test says so. */
export class SlowReader implements Reader {
  backlogBytes = 0;
  tooSlow = 0;
  readonly waiting: (() => void)[] = [];

  onDrained(tell: () => void): void {
    this.waiting.push(tell);
  }

  readerTooSlow(): void {
    this.tooSlow++;
  }
}

export interface Begin {
  readonly exclusive?: boolean;
  readonly session?: LinkListener | null;
  readonly method?: string;
}

export class ConversationWorld {
  readonly time = new VirtualTime();
  readonly facts: Fact[] = [];
  readonly foreign: Conversation[] = [];
  /** Somebody of no session wants to know of changes. */
  isListenedTo = false;
  readonly changes: { readonly on: Conversation; readonly message: Notification }[] = [];
  readonly ids = new CallIds(0);
  readonly inFlight = { count: 0 };
  readonly asking = { count: 0, links: 0 };
  isSingle = false;
  readonly sessions: LinkListener[] = [];
  readonly #config = parseConfig({ upstreams: [{ url: 'http://up.example/sse' }] });

  /** `owner`: the session whose own it is. */
  conversation(
    link: Link,
    owner: LinkListener | null = null,
    onClosed: (conversation: Conversation) => void = () => {},
  ): Conversation {
    const conversation = new Conversation(
      {
        upstream: 'up',
        ids: this.ids,
        clock: this.time,
        timers: this.time,
        random: { fraction: () => 0.5, bytes: (length) => new Uint8Array(length).fill(7) },
        journal: { record: (fact) => this.facts.push(fact) },
        timeouts: this.#config.timeouts,
        limits: this.#config.limits,
        inFlight: this.inFlight,
        asking: this.asking,
        isSingle: () => this.isSingle,
        sessions: () => this.sessions,
        changed: (on, message) => {
          this.changes.push({ on, message });
          return this.isListenedTo;
        },
        onForeignAnswer: (heardBy) => this.foreign.push(heardBy),
      },
      owner,
    );
    conversation.attach(link, () => onClosed(conversation));
    conversation.opened(readInitializeAnswer(answerOf(0, { result: HANDSHAKE })));
    return conversation;
  }

  /** A call that runs on the conversation, and how its place was given back. */
  begun(conversation: Conversation, { exclusive = true, session = null, method = 'tools/call' }: Begin = {}) {
    const released: string[] = [];
    const sink = new RecordedSink();
    const exchange = new Exchange({
      id: encode('"own"'),
      sink,
      clock: this.time,
      timers: this.time,
      heartbeatMs: null,
      upstream: 'up',
      onEnd: () => {},
    });
    const call = new Call({
      request: requestOf({ method, params: { _meta: { progressToken: 'theirs' } } }),
      exchange,
      clock: this.time,
      timers: this.time,
      requestMs: 60_000,
      requestMaxMs: 600_000,
      clientGone: 'go on',
      again: () => false,
      onUnread: () => {},
    });
    conversation.begin(call, { exclusive, listener: session }, (how) => released.push(how));
    return { call, exchange, sink, released };
  }

  get drops(): string[] {
    return this.facts.flatMap((fact) => (fact.fact === 'dropped' ? [fact.what] : []));
  }
}
