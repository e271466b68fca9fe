import { describe, expect, test } from 'vitest';
import { Call } from '../../src/bridge/call.ts';
import { CallIds } from '../../src/bridge/correlation.ts';
import { Exchange } from '../../src/bridge/exchange.ts';
import { parseConfig } from '../../src/config/load.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import { type LinkId, linkId } from '../../src/domain/ids.ts';
import type { Chunks, Fact, Link, PostOutcome } from '../../src/domain/ports.ts';
import type { LinkCloseReason, LinkState } from '../../src/domain/states.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { Conversation } from '../../src/traffic/conversation.ts';
import { RecordedSink, answerOf, notificationOf, requestOf, text } from '../bridge/recorded.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const POST_URL = new URL('http://up.example/messages');

/** A link whose POSTs the test answers. */
class MemoryLink implements Link {
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

class World {
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

const CANCELLED = notificationOf('notifications/cancelled', { requestId: 'own', reason: 'bored' });

describe('a cancel does not overtake its call', () => {
  test('it goes out at once where the POST of the call was accepted', () => {
    const world = new World();
    const link = new MemoryLink(1);
    const { call, released } = world.begun(world.conversation(link));
    link.accept(0);

    call.cancelledByClient(CANCELLED);

    expect(link.sent.map(({ message }) => message)[1]).toBe(
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"bored"}}',
    );
    expect(released).toEqual(['retire']);
  });

  test('it waits for the POST of the call', () => {
    const world = new World();
    const link = new MemoryLink(1);
    const { call } = world.begun(world.conversation(link));

    call.cancelledByClient(CANCELLED);
    expect(link.sent).toHaveLength(1);
    link.accept(0);

    expect(link.sent).toHaveLength(2);
    world.time.advanceSync(1000);
    expect(link.sent).toHaveLength(2);
  });

  test('but not for longer than 50 ms', () => {
    const world = new World();
    const link = new MemoryLink(1);
    const { call } = world.begun(world.conversation(link));
    call.cancelledByClient(CANCELLED);
    world.time.advanceSync(50);
    expect(link.sent).toHaveLength(2);
    link.accept(0);

    expect(link.sent).toHaveLength(2);
  });

  test('it goes out at once where the call was sent long ago', () => {
    const world = new World();
    const link = new MemoryLink(1);
    const { call, released } = world.begun(world.conversation(link));

    world.time.advanceSync(60_000);

    expect(link.sent[1]?.message).toContain('timed out');
    expect(call.state.phase).toBe('done');
    expect(released).toEqual(['retire']);
  });

  test('a conversation that is closed then is closed once it is out', () => {
    const world = new World();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);
    const { call } = world.begun(conversation);

    call.cancelledByClient(CANCELLED);
    conversation.close('retired');
    expect(conversation.isOpen).toBe(false);
    expect(link.closed).toBeNull();
    link.accept(0);
    link.accept(1);

    expect(link.closed).toBe('retired');
  });
});

describe('an idle conversation that is asked a question', () => {
  const question = requestOf({ method: 'elicitation/create', id: 'q' });

  test('refuses it and is not used again', () => {
    const world = new World();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);

    conversation.message(question);
    link.accept(0);

    expect(link.sent[0]?.message).toContain('"id":"q","error":{"code":-32601');
    expect(link.closed).toBe('retired');
  });

  test('takes no call while the refusal is on its way: that call would end with the link', () => {
    const world = new World();
    const conversation = world.conversation(new MemoryLink(1));

    conversation.message(question);

    expect(conversation.isOpen).toBe(false);
  });

  test('stays where it belongs to a session, or is asked for roots', () => {
    const world = new World();
    const links = [new MemoryLink(1), new MemoryLink(2)] as const;
    world.conversation(links[0], true).message(question);
    world.conversation(links[1]).message(requestOf({ method: 'roots/list', id: 1 }));
    for (const link of links) link.accept(0);

    expect(links.map(({ closed }) => closed)).toEqual([null, null]);
    expect(world.drops).toEqual(['refused_question', 'refused_question']);
  });
});

test('an answer reaches the call that asked; a late, a foreign and an unknown one are told apart', () => {
  const world = new World();
  const [here, there] = [world.conversation(new MemoryLink(1)), world.conversation(new MemoryLink(2))];
  const mine = world.begun(here);
  const theirs = world.begun(there);

  here.message(answerOf('1'));
  here.message(answerOf(1));
  here.message(answerOf(2));
  here.message(answerOf(3));
  here.message(answerOf('1.0'));

  expect(mine.released).toEqual(['reuse']);
  expect(theirs.released).toEqual([]);
  expect(world.drops).toEqual(['late_answer', 'foreign_answer', 'unknown_answer', 'unknown_answer']);
  expect(world.foreign).toEqual([here]);
});

test('progress comes back with the client’s own token', () => {
  const world = new World();
  const conversation = world.conversation(new MemoryLink(1));
  const { sink } = world.begun(conversation);

  conversation.message(notificationOf('notifications/progress', { progressToken: 1, progress: 0.5 }));
  conversation.message(notificationOf('notifications/progress', { progressToken: 2, progress: 0.5 }));

  expect(sink.notified.map((message): unknown => JSON.parse(message))).toMatchObject([
    { params: { progressToken: 'theirs', progress: 0.5 } },
  ]);
  expect(world.drops).toEqual(['late_progress']);
});

describe('a POST that says that the session is gone', () => {
  test.each<[outcome: PostOutcome, others: string]>([
    [{ kind: 'session_refused' }, 'upstream_session_lost'],
    [{ kind: 'session_gone', error: new ProxyError('post_failed', 'x') }, 'upstream_session_lost'],
  ])('$kind ends the link and every call on it', (outcome, others) => {
    const world = new World();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);
    const [first, second] = [world.begun(conversation, false), world.begun(conversation, false)];

    link.sent[0]?.done(outcome);

    expect(link.closed).toBe('lost');
    expect(first.sink.ends).toEqual(['finish']);
    expect(second.sink.json.error.data).toMatchObject({ reason: others, outcome: 'unknown' });
    expect([first.released, second.released]).toEqual([['reuse'], ['reuse']]);
    expect(world.inFlight.count).toBe(0);
  });
});

describe('a ping', () => {
  test.each<[what: string, answer: (id: number) => ReturnType<typeof answerOf>]>([
    ['a result', (id) => answerOf(id)],
    ['an error', (id) => answerOf(String(id), { error: { code: -32601, message: '' } })],
  ])('is answered by %s', async (_what, answer) => {
    const world = new World();
    const conversation = world.conversation(new MemoryLink(1));
    world.time.advanceSync(30_000);
    expect(conversation.isDoubtful(30_000)).toBe(true);

    const alive = conversation.ping(5000);
    conversation.message(answer(1));

    expect(await alive).toBe(true);
    expect(conversation.isDoubtful(30_000)).toBe(false);
    expect(world.drops).toEqual([]);
  });

  test('without an answer shows that the link is lost, unless a call is in flight somewhere', async () => {
    const world = new World();
    const [idle, busy] = [world.conversation(new MemoryLink(1)), world.conversation(new MemoryLink(2))];
    const lost = idle.ping(5000);
    world.time.advanceSync(5000);
    world.begun(busy);
    const unproven = idle.ping(5000);
    world.time.advanceSync(5000);

    expect([await lost, await unproven]).toEqual([false, true]);
  });
});
