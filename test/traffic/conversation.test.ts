import { describe, expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import type { PostOutcome } from '../../src/domain/ports.ts';
import type { LinkCloseReason } from '../../src/domain/states.ts';
import { answerOf, notificationOf, requestOf } from '../bridge/recorded.ts';
import { ConversationWorld, MemoryLink, RecordedSession } from './conversation-world.ts';

const CANCELLED = notificationOf('notifications/cancelled', { requestId: 'own', reason: 'bored' });

describe('a cancel does not overtake its call', () => {
  test('it goes out at once where the POST of the call was accepted, under the id that the upstream knows [B18 G12]', () => {
    const world = new ConversationWorld();
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
    const world = new ConversationWorld();
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
    const world = new ConversationWorld();
    const link = new MemoryLink(1);
    const { call } = world.begun(world.conversation(link));
    call.cancelledByClient(CANCELLED);
    world.time.advanceSync(50);
    expect(link.sent).toHaveLength(2);
    link.accept(0);

    expect(link.sent).toHaveLength(2);
  });

  test('it goes out at once where the call was sent long ago', () => {
    const world = new ConversationWorld();
    const link = new MemoryLink(1);
    const { call, released } = world.begun(world.conversation(link));

    world.time.advanceSync(60_000);

    expect(link.sent[1]?.message).toContain('timed out');
    expect(call.state.phase).toBe('done');
    expect(released).toEqual(['retire']);
  });

  test('a conversation that is closed then is closed once it is out', () => {
    const world = new ConversationWorld();
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
    const world = new ConversationWorld();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);

    conversation.message(question);
    expect(link.closed).toBeNull();
    link.accept(0);

    expect(link.sent[0]?.message).toContain('"id":"q","error":{"code":-32601');
    expect(link.closed).toBe('retired');
  });

  test('takes no call while the refusal is on its way: that call would end with the link', () => {
    const world = new ConversationWorld();
    const conversation = world.conversation(new MemoryLink(1));

    conversation.message(question);

    expect(conversation.isOpen).toBe(false);
  });

  test('stays where it belongs to a session, is the only one, or is asked for roots', () => {
    const world = new ConversationWorld();
    const links = [new MemoryLink(1), new MemoryLink(2), new MemoryLink(3)] as const;
    const session = new RecordedSession();
    session.refuses = { code: -32601, message: 'no' };
    world.conversation(links[0], session).message(question);
    world.conversation(links[1]).message(requestOf({ method: 'roots/list', id: 1 }));
    world.isSingle = true;
    world.conversation(links[2]).message(question);
    for (const link of links) link.accept(0);

    expect(links.map(({ closed }) => closed)).toEqual([null, null, null]);
    expect(world.drops).toEqual(['refused_question', 'refused_question', 'refused_question']);
  });

  test('refuses it also while a call runs there, which no session waits for', () => {
    const world = new ConversationWorld();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);
    world.begun(conversation);

    conversation.message(question);
    link.accept(1);

    expect(link.messages[1]).toMatchObject({ id: 'q', error: { code: -32601 } });
    expect(link.closed).toBeNull();
  });
});

test('an answer reaches the call that asked; a second, a late, a foreign and an unknown one are told apart', () => {
  const world = new ConversationWorld();
  const [here, there] = [world.conversation(new MemoryLink(1)), world.conversation(new MemoryLink(2))];
  const mine = world.begun(here);
  const theirs = world.begun(there);

  here.message(answerOf('1'));
  here.message(answerOf(1));
  here.message(answerOf(2));
  here.message(answerOf(3));
  here.message(answerOf('1.0'));
  theirs.call.failed(new ProxyError('slow_reader', 'x'));
  there.message(answerOf(2));

  expect(mine.released).toEqual(['reuse']);
  expect(world.drops).toEqual([
    'duplicate_answer',
    'foreign_answer',
    'unknown_answer',
    'unknown_answer',
    'late_answer',
  ]);
  expect(world.foreign).toEqual([here]);
});

test('progress comes back with the client’s own token', () => {
  const world = new ConversationWorld();
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
    const world = new ConversationWorld();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);
    const [first, second] = [
      world.begun(conversation, { exclusive: false }),
      world.begun(conversation, { exclusive: false }),
    ];

    link.sent[0]?.done(outcome);

    expect(link.closed).toBe('lost');
    expect(first.sink.ends).toEqual(['finish']);
    expect(second.sink.json.error.data).toMatchObject({ reason: others, outcome: 'unknown' });
    expect([first.released, second.released]).toEqual([['reuse'], ['reuse']]);
    expect(world.inFlight.count).toBe(0);
  });
});

test.each<[reason: LinkCloseReason, code: string]>([
  ['shutdown', 'draining'],
  ['session_ended', 'session_ended'],
])('closed for %s, it answers what is open and tells the upstream, then closes', (reason, code) => {
  const world = new ConversationWorld();
  const link = new MemoryLink(1);
  const conversation = world.conversation(link);
  const calls = [world.begun(conversation, { exclusive: false }), world.begun(conversation, { exclusive: false })];
  for (const index of [0, 1]) link.accept(index);

  conversation.close(reason);
  conversation.close('idle');
  expect(link.closed).toBeNull();
  for (const index of [2, 3]) link.accept(index);

  expect(calls.map(({ sink }): unknown => sink.json.error.data.reason)).toEqual([code, code]);
  expect(calls.map(({ released }) => released.length)).toEqual([1, 1]);
  expect(link.sent.filter(({ message }) => message.includes('notifications/cancelled'))).toHaveLength(2);
  expect(link.closed).toBe(reason);
  expect(world.inFlight.count).toBe(0);
});

describe('a ping', () => {
  test.each<[what: string, answer: (id: number) => ReturnType<typeof answerOf>]>([
    ['a result', (id) => answerOf(id)],
    ['an error', (id) => answerOf(String(id), { error: { code: -32601, message: '' } })],
  ])('is answered by %s', async (_what, answer) => {
    const world = new ConversationWorld();
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
    const world = new ConversationWorld();
    const [idle, busy] = [world.conversation(new MemoryLink(1)), world.conversation(new MemoryLink(2))];
    const lost = idle.ping(5000);
    await world.time.advance(5000);
    expect(await lost).toBe(false);

    world.begun(busy);
    const unproven = idle.ping(5000);
    await world.time.advance(5000);

    expect(await unproven).toBe(true);
  });

  test.each<[outcome: PostOutcome]>([
    [{ kind: 'unsent', error: new ProxyError('upstream_unreachable', 'x') }],
    [{ kind: 'broken', error: new ProxyError('post_failed', 'x') }],
    [{ kind: 'session_refused' }],
    [{ kind: 'session_gone', error: new ProxyError('post_failed', 'x') }],
  ])('that cannot be sent shows it at once, whatever is in flight: $kind', async (outcome) => {
    const world = new ConversationWorld();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);
    world.begun(world.conversation(new MemoryLink(2)));
    const alive = conversation.ping(5000);

    link.sent[0]?.done(outcome);

    expect(await alive).toBe(false);
  });

  test('is over when the link is: nobody waits for its answer', async () => {
    const world = new ConversationWorld();
    const conversations = [world.conversation(new MemoryLink(1)), world.conversation(new MemoryLink(2))] as const;
    world.begun(world.conversation(new MemoryLink(3)));
    const pings = conversations.map((conversation) => conversation.ping(5000));

    conversations[0].lost(new ProxyError('upstream_session_lost', 'x'));
    conversations[1].close('idle');

    expect(await Promise.all(pings)).toEqual([false, false]);
  });

  test('is answered by the body of its POST too', async () => {
    const world = new ConversationWorld();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);
    const alive = conversation.ping(5000);

    link.accept(0, Buffer.from('{"jsonrpc":"2.0","id":1,"result":{}}'));
    expect(link.taken).toEqual(['{"jsonrpc":"2.0","id":1,"result":{}}']);
    conversation.message(answerOf(1));

    expect(await alive).toBe(true);
  });

  test('answered too late is a late answer, and nothing waits for it', async () => {
    const world = new ConversationWorld();
    const conversation = world.conversation(new MemoryLink(1));
    const lost = conversation.ping(5000);
    await world.time.advance(5000);

    conversation.message(answerOf(1));

    expect(await lost).toBe(false);
    expect(world.drops).toEqual(['late_answer']);
    expect(world.time.pendingCount).toBe(0);
  });
});
