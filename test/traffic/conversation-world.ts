// Conversations of one mount over links that exist in memory only: the test answers their POSTs.

import { Call } from '../../src/bridge/call.ts';
import { CallIds } from '../../src/bridge/correlation.ts';
import { Exchange } from '../../src/bridge/exchange.ts';
import { parseConfig } from '../../src/config/load.ts';
import { type LinkId, linkId } from '../../src/domain/ids.ts';
import type { Chunks, Fact, Link, PostOutcome } from '../../src/domain/ports.ts';
import type { LinkCloseReason, LinkState } from '../../src/domain/states.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { Conversation } from '../../src/traffic/conversation.ts';
import { RecordedSink, requestOf, text } from '../bridge/recorded.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const POST_URL = new URL('http://up.example/messages');

export class MemoryLink implements Link {
  readonly id: LinkId;
  heardAt = 0;
  state: LinkState = { phase: 'open', postUrl: POST_URL };
  readonly sent: { readonly message: string; readonly done: (outcome: PostOutcome) => void }[] = [];
  readonly taken: string[] = [];

  constructor(id: number) {
    this.id = linkId(id);
  }

  send(message: Chunks, _deadlineMs: number, done: (outcome: PostOutcome) => void): () => void {
    this.sent.push({ message: text(message), done });
    return () => {};
  }

  answer(message: Chunks, done: () => void): void {
    this.sent.push({ message: text(message), done: () => done() });
  }

  accept(index: number, body: Uint8Array | null = null): void {
    this.sent[index]?.done({ kind: 'accepted', body });
  }

  take(body: Uint8Array): void {
    this.taken.push(Buffer.from(body).toString());
  }

  pause(): void {}
  resume(): void {}

  close(reason: LinkCloseReason): void {
    if (this.state.phase !== 'closed') this.state = { phase: 'closed', reason };
  }

  get closed(): LinkCloseReason | null {
    return this.state.phase === 'closed' ? this.state.reason : null;
  }
}

export class ConversationWorld {
  readonly time = new VirtualTime();
  readonly facts: Fact[] = [];
  readonly foreign: Conversation[] = [];
  readonly ids = new CallIds(0);
  readonly inFlight = { count: 0 };
  readonly #config = parseConfig({ upstreams: [{ url: 'http://up.example/sse' }] });

  conversation(link: Link, dedicated = false): Conversation {
    const conversation = new Conversation(
      {
        upstream: 'up',
        ids: this.ids,
        clock: this.time,
        timers: this.time,
        journal: { record: (fact) => this.facts.push(fact) },
        timeouts: this.#config.timeouts,
        limits: this.#config.limits,
        inFlight: this.inFlight,
        isSingle: () => false,
        onForeignAnswer: (heardBy) => this.foreign.push(heardBy),
      },
      dedicated,
    );
    conversation.attach(link, () => {});
    return conversation;
  }

  /** A call that runs on the conversation, and how its place was given back. */
  begun(conversation: Conversation, exclusive = true) {
    const released: string[] = [];
    const sink = new RecordedSink();
    const exchange = new Exchange({
      id: encode('"own"'),
      sink,
      timers: this.time,
      heartbeatMs: null,
      upstream: 'up',
      onEnd: () => {},
    });
    const call = new Call({
      request: requestOf({ params: { _meta: { progressToken: 'theirs' } } }),
      exchange,
      clock: this.time,
      timers: this.time,
      requestMs: 60_000,
      requestMaxMs: 600_000,
      clientGone: 'go on',
      again: () => false,
      onUnread: () => {},
    });
    conversation.begin(call, exclusive, (how) => released.push(how));
    return { call, exchange, sink, released };
  }

  get drops(): string[] {
    return this.facts.flatMap((fact) => (fact.fact === 'dropped' ? [fact.what] : []));
  }
}
