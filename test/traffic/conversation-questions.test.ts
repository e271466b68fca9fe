// What an upstream asks on a link, and who is asked: one answer for each question, whoever gives it.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Call } from '../../src/bridge/call.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import type { PostOutcome } from '../../src/domain/ports.ts';
import { type Request, encode } from '../../src/protocol/json-rpc.ts';
import type { Question } from '../../src/bridge/link-listener.ts';
import { answerOf, notificationOf, requestOf } from '../bridge/recorded.ts';
import { ConversationWorld, MemoryLink, RecordedSession } from './conversation-world.ts';

const question = (id: unknown, method = 'elicitation/create'): Request => requestOf({ method, id });
const withdrawal = (requestId: unknown) => notificationOf('notifications/cancelled', { requestId });
const LOST = new ProxyError('upstream_session_lost', 'the link is gone');

/** What the session answers, with the upstream's own id. */
function answer(question: Question, result = 'theirs'): void {
  question.answer([encode('{"jsonrpc":"2.0","id":'), question.id, encode(`,"result":"${result}"}`)]);
}

function idOf({ id }: Question): unknown {
  return JSON.parse(Buffer.from(id).toString());
}

/** A session on a link of its own. */
function own() {
  const world = new ConversationWorld();
  const link = new MemoryLink(1);
  const session = new RecordedSession();
  const conversation = world.conversation(link, session);
  /** How many answers the upstream has got to the question with this id. */
  const replies = (id: unknown): number =>
    link.messages.filter((message) => message.id === id && message.method === undefined).length;
  return { world, link, session, conversation, replies };
}

describe('on a session’s own link a question is asked of the session', () => {
  test('as one of its only call that may be asked back [B22]', () => {
    const { world, session, conversation } = own();
    world.begun(conversation, { session, method: 'tools/list' });
    const { call } = world.begun(conversation, { session });

    conversation.message(question('q'));

    expect(session.asks).toMatchObject([{ method: 'elicitation/create', progressToken: null }]);
    expect(session.asks[0]?.about).toBe(call);
    expect(session.requests.map(({ method }) => method)).toEqual(['elicitation/create']);
  });

  test('as one of nobody’s where none or several could ask', () => {
    const { world, session, conversation } = own();

    conversation.message(question(1));
    world.begun(conversation, { session });
    world.begun(conversation, { session });
    conversation.message(question(2));

    expect(session.asks.map(({ about }) => about)).toEqual([null, null]);
  });

  test('and the upstream gets its answer, once [B22 G10]', () => {
    const { link, session, conversation, replies } = own();
    conversation.message(question('q'));
    expect(link.sent).toEqual([]);

    for (const asked of session.asks) for (const result of ['first', 'second']) answer(asked, result);

    expect(link.messages).toEqual([{ jsonrpc: '2.0', id: 'q', result: 'first' }]);
    expect(replies('q')).toBe(1);
  });

  test('also where the answer is there before the session has been asked to its end', () => {
    const { session, conversation, link } = own();
    session.onAsked = answer;

    conversation.message(question('q'));

    expect(link.messages).toMatchObject([{ id: 'q', result: 'theirs' }]);
  });

  test('or the session’s refusal, after which no answer goes out [G10 G11]', () => {
    const { world, session, conversation, link } = own();
    session.refuses = { code: -32602, message: 'the client did not declare this mode of elicitation' };

    conversation.message(question('q'));
    for (const asked of session.asks) answer(asked);

    expect(link.messages).toMatchObject([{ id: 'q', error: session.refuses }]);
    expect(world.drops).toEqual(['refused_question']);
    expect(link.closed).toBeNull();
  });

  test('a method that is no question is refused without asking it [G10]', () => {
    const { session, conversation, link } = own();

    conversation.message(question('q', 'x/invented'));

    expect(session.asks).toEqual([]);
    expect(link.messages).toMatchObject([{ id: 'q', error: { code: -32601 } }]);
  });
});

describe('what is kept of a question', () => {
  test('is its id and its token, as copies: all that was read with it would stay alive with them', () => {
    const { session, conversation } = own();
    const padding = 'x'.repeat(100_000);

    conversation.message(requestOf({ id: 'q', method: 'sampling/createMessage', params: { padding } }));

    expect(session.asks[0]?.id.buffer.byteLength).toBeLessThan(1000);
  });

  test('is by what token the upstream wants to hear of its progress, and a way to tell it', () => {
    const { session, conversation, link } = own();
    const params = { _meta: { progressToken: '7' } };
    conversation.message(requestOf({ id: 'q', method: 'sampling/createMessage', params }));
    const [asked] = session.asks;

    asked?.notify([encode('{"jsonrpc":"2.0","method":"notifications/progress"}')]);

    expect(asked?.progressToken).toBe('"7"');
    expect(link.messages).toEqual([{ jsonrpc: '2.0', method: 'notifications/progress' }]);
  });
});

describe('the ids of questions are the upstream’s', () => {
  test('7 and "7" are two of them [G23]', () => {
    const { session, conversation, link } = own();
    conversation.message(question(7));
    conversation.message(question('7'));

    for (const asked of session.asks) answer(asked);

    expect(link.messages.map(({ id }): unknown => id)).toEqual([7, '7']);
  });

  test('one that is open already is refused, and the open one keeps its answer', () => {
    const { world, session, conversation, link } = own();
    conversation.message(question('q'));
    conversation.message(question('q'));

    expect(link.messages).toMatchObject([{ id: 'q', error: { code: -32600 } }]);
    expect(session.asks).toHaveLength(1);
    for (const asked of session.asks) answer(asked);

    expect(link.messages[1]).toMatchObject({ id: 'q', result: 'theirs' });
    expect(world.drops).toEqual(['refused_question']);
  });

  test('one that has its answer can be used again, and the earlier one gets no second answer', () => {
    const { session, conversation, replies } = own();
    conversation.message(question('q'));
    for (const asked of session.asks) answer(asked);
    conversation.message(question('q'));
    const [first, second] = session.asks;

    if (first !== undefined) answer(first);
    expect(replies('q')).toBe(1);
    if (second !== undefined) answer(second);

    expect(replies('q')).toBe(2);
  });

  test('no more than 1,000 are open at once', () => {
    const { session, conversation, link } = own();
    for (let id = 1; id <= 1001; id++) conversation.message(question(id));

    expect(session.asks).toHaveLength(1000);
    expect(link.messages).toMatchObject([{ id: 1001, error: { code: -32603 } }]);
    for (const asked of session.asks.slice(0, 1)) answer(asked);
    conversation.message(question(1002));

    expect(session.asks).toHaveLength(1001);
  });
});

describe('a question that the upstream withdraws', () => {
  test('is withdrawn from the session, in the upstream’s words, and its answer is not wanted any more', () => {
    const { session, conversation, link } = own();
    conversation.message(question('q'));

    conversation.message(withdrawal('q'));
    for (const asked of session.asks) answer(asked);

    expect(session.withdrawals).toEqual([{ question: session.asks[0], method: 'notifications/cancelled' }]);
    expect(link.sent).toEqual([]);
  });

  test.each([['p'], [7], [null], [{ id: 'q' }], [undefined]])(
    'but is not open (%j) is withdrawn from nobody, and counted',
    (requestId) => {
      const { world, session, conversation } = own();
      conversation.message(question('q'));

      conversation.message(withdrawal(requestId));

      expect(session.withdrawals).toEqual([]);
      expect(world.drops).toEqual(['unknown_cancel']);
    },
  );

  test('can be withdrawn once', () => {
    const { world, session, conversation } = own();
    conversation.message(question('q'));
    conversation.message(withdrawal('q'));
    conversation.message(withdrawal('q'));

    expect(session.withdrawals).toHaveLength(1);
    expect(world.drops).toEqual(['unknown_cancel']);
  });
});

describe('when a link ends, the questions on it', () => {
  test('are withdrawn from the session without a word of the upstream, if it was lost', () => {
    const { session, conversation, link } = own();
    conversation.message(question('q'));

    conversation.lost(LOST);
    for (const asked of session.asks) answer(asked);

    expect(session.withdrawals).toEqual([{ question: session.asks[0], method: null }]);
    expect(link.sent).toEqual([]);
  });

  test('are withdrawn and answered as nobody would, if we close it, and it closes after that [G10 G21]', () => {
    const { session, conversation, link } = own();
    conversation.message(question('q'));
    conversation.message(question('r', 'sampling/createMessage'));
    conversation.message(question('s', 'roots/list'));

    conversation.close('session_ended');
    for (const asked of session.asks) answer(asked);

    expect(session.withdrawals.map(({ method }) => method)).toEqual([null, null, null]);
    expect(link.messages).toMatchObject([
      { id: 'q', result: { action: 'cancel' } },
      { id: 'r', error: { code: -1 } },
      { id: 's', error: { code: -32603 } },
    ]);
    expect(link.closed).toBeNull();
    for (const index of [0, 1, 2]) link.accept(index);
    expect(link.closed).toBe('session_ended');
  });

  test('are answered by the session, if it says something when it hears of it', () => {
    const { session, conversation, link } = own();
    conversation.message(question('q'));
    const withdrawn = session.withdrawn.bind(session);
    session.withdrawn = (asked, message) => {
      withdrawn(asked, message);
      answer(asked);
      return null;
    };

    conversation.close('shutdown');

    expect(link.messages).toMatchObject([{ id: 'q', result: 'theirs' }]);
  });

  test('are withdrawn where a POST says that the upstream has forgotten the session', () => {
    const { world, session, conversation, link } = own();
    world.begun(conversation, { session });
    conversation.message(question('q'));

    link.sent[0]?.done({ kind: 'session_refused' });

    expect(session.withdrawals).toHaveLength(1);
    expect(link.closed).toBe('lost');
  });
});

describe('when the call that asks is over', () => {
  const endings = {
    'was cancelled': (call: Call) => call.cancelledByClient(notificationOf('notifications/cancelled')),
    'was stopped': (call: Call) => call.stopped(LOST),
    'could not be sent': (call: Call) => call.posted({ kind: 'broken', error: LOST }),
  } as const;

  test.each(Object.entries(endings))('because it %s, its question is answered as nobody would [G10]', (_how, end) => {
    const { world, session, conversation, link, replies } = own();
    const { call } = world.begun(conversation, { session });
    conversation.message(question('q'));

    end(call);
    for (const asked of session.asks) answer(asked);

    expect(link.messages).toContainEqual({ jsonrpc: '2.0', id: 'q', result: { action: 'cancel' } });
    expect(replies('q')).toBe(1);
    expect(session.withdrawals).toEqual([{ question: session.asks[0], method: null }]);
  });

  test('because it took too long, the same', () => {
    const { world, session, conversation, replies } = own();
    world.begun(conversation, { session });
    conversation.message(question('q'));

    world.time.advanceSync(60_000);

    expect(replies('q')).toBe(1);
    expect(session.withdrawals).toHaveLength(1);
  });

  test('because it was answered, its question stays open on a session’s own link: its tool may go on', () => {
    const { world, session, conversation, link } = own();
    const { call } = world.begun(conversation, { session });
    conversation.message(question('q'));

    conversation.message(answerOf(1));
    expect(call.state.phase).toBe('done');
    // What is over is not kept alive by what it asked.
    expect(session.asks[0]?.about).toBeNull();
    for (const asked of session.asks) answer(asked);

    expect(session.withdrawals).toEqual([]);
    expect(link.messages[1]).toMatchObject({ id: 'q', result: 'theirs' });
  });

  test('another one’s question stays open', () => {
    const { world, session, conversation, replies } = own();
    world.begun(conversation, { session });
    conversation.message(question('q'));
    const { call } = world.begun(conversation, { session });
    conversation.message(question('of both'));

    call.stopped(LOST);

    expect([replies('q'), replies('of both')]).toEqual([0, 0]);
    expect(session.withdrawals).toEqual([]);
  });
});

describe('an answer that the upstream does not take', () => {
  const unsent: PostOutcome = { kind: 'unsent', error: LOST };

  test('because it was not sent is sent once more, and counted if that fails too', () => {
    const { world, session, conversation, link } = own();
    conversation.message(question('q'));
    for (const asked of session.asks) answer(asked);

    link.sent[0]?.done(unsent);
    expect(link.messages.map(({ id }): unknown => id)).toEqual(['q', 'q']);
    expect(world.drops).toEqual([]);
    link.sent[1]?.done(unsent);

    expect(link.sent).toHaveLength(2);
    expect(world.drops).toEqual(['undelivered_answer']);
    expect(conversation.isDoubtful(30_000)).toBe(true);
  });

  test.each<[outcome: PostOutcome]>([[{ kind: 'broken', error: LOST }], [{ kind: 'rejected', error: LOST }]])(
    'is not sent again where it may have arrived: $kind',
    (outcome) => {
      const { world, session, conversation, link } = own();
      conversation.message(question('q'));
      for (const asked of session.asks) answer(asked);

      link.sent[0]?.done(outcome);

      expect(link.sent).toHaveLength(1);
      expect(world.drops).toEqual(['undelivered_answer']);
      expect(conversation.isOpen).toBe(true);
    },
  );

  test('because it has forgotten the session ends the link', () => {
    const { session, conversation, link } = own();
    conversation.message(question('q'));
    for (const asked of session.asks) answer(asked);

    link.sent[0]?.done({ kind: 'session_refused' });

    expect(link.closed).toBe('lost');
  });

  test('is not sent again on a link that is closed by then', () => {
    const { session, conversation, link } = own();
    conversation.message(question('q'));
    for (const asked of session.asks) answer(asked);
    link.close('lost');

    link.sent[0]?.done(unsent);

    expect(link.sent).toHaveLength(1);
  });
});

test('what is asked on a link that is closing is asked of nobody', () => {
  const { session, conversation, link } = own();
  conversation.message(question('q'));
  conversation.close('session_ended');

  conversation.message(question('r'));

  expect(session.asks).toHaveLength(1);
  expect(link.messages.map(({ id }): unknown => id)).toEqual(['q']);
});

describe('on the only link of a mount', () => {
  function single() {
    const world = new ConversationWorld();
    world.isSingle = true;
    const link = new MemoryLink(1);
    const [alice, bob] = [new RecordedSession(), new RecordedSession()];
    world.sessions.push(alice, bob);
    return { world, link, alice, bob, conversation: world.conversation(link) };
  }

  test('a question is asked of the session whose call is the only one that can ask [G17]', () => {
    const { world, alice, bob, conversation } = single();
    world.begun(conversation, { session: alice, method: 'tools/list' });
    const { call } = world.begun(conversation, { session: bob });

    conversation.message(question('q'));

    expect(alice.asks).toEqual([]);
    expect(bob.asks.map(({ about }) => about)).toEqual([call]);
  });

  test('and is withdrawn from that session only', () => {
    const { world, alice, bob, conversation } = single();
    world.begun(conversation, { session: alice, method: 'tools/list' });
    world.begun(conversation, { session: bob });
    conversation.message(question('q'));

    conversation.message(withdrawal('q'));

    expect([alice.withdrawals, bob.withdrawals].map(({ length }) => length)).toEqual([0, 1]);
  });

  test('it is refused where two calls could ask, or the one that asks belongs to no session [E4 G17]', () => {
    const { world, alice, bob, conversation, link } = single();
    const sessionless = world.begun(conversation);
    conversation.message(question('q'));
    world.begun(conversation, { session: bob });
    conversation.message(question('r'));
    sessionless.call.answered(answerOf(1));
    conversation.message(question('s'));

    expect([alice.asks, bob.asks].map((asks) => asks.map(idOf))).toEqual([[], ['s']]);
    expect(link.messages.filter((message) => message.error).map(({ id }): unknown => id)).toEqual(['q', 'r']);
    expect(link.closed).toBeNull();
  });
});

describe('on the only link of a mount, what is left behind by a call could be taken for another’s:', () => {
  test('its question is given up with it, answered or not', () => {
    const world = new ConversationWorld();
    world.isSingle = true;
    const link = new MemoryLink(1);
    const session = new RecordedSession();
    const conversation = world.conversation(link);
    world.begun(conversation, { session });
    conversation.message(question('q'));

    conversation.message(answerOf(1));

    expect(session.withdrawals).toHaveLength(1);
    expect(link.messages[1]).toMatchObject({ id: 'q', result: { action: 'cancel' } });
  });
});

describe('a question that an upstream sends to every link', () => {
  /** The only link, and those of two sessions, which end with their last calls; on each, so many calls that may ask. */
  function heardOn(...asking: readonly [single: number, alice: number, bob: number]) {
    const world = new ConversationWorld();
    const sessions = [new RecordedSession(), new RecordedSession(), new RecordedSession()] as const;
    const links = [new MemoryLink(1), new MemoryLink(2), new MemoryLink(3)] as const;
    const conversations = links.map((link, index) =>
      world.conversation(link, index === 0 ? null : (sessions[index] ?? null)),
    );
    for (const [index, conversation] of conversations.entries()) {
      for (let count = 0; count < (asking[index] ?? 0); count++) {
        world.begun(conversation, { session: sessions[index] ?? null });
      }
      world.begun(conversation, { session: sessions[index] ?? null, method: 'tools/list' });
    }
    world.isSingle = true;
    for (const conversation of conversations) conversation.message(question('q'));
    return {
      asked: sessions.map(({ asks }) => asks.length),
      refused: links.map(({ messages }) => messages.filter(({ error }) => error !== undefined).length),
      closed: links.map(({ closed }) => closed),
    };
  }

  test.each<[asking: readonly [number, number, number], asked: number[], refused: number[]]>([
    // It belongs to the only call that may ask, wherever that runs.
    [
      [1, 0, 0],
      [1, 0, 0],
      [0, 0, 0],
    ],
    [
      [0, 1, 0],
      [0, 1, 0],
      [0, 0, 0],
    ],
    // To one client, whichever of its calls asks.
    [
      [0, 2, 0],
      [0, 1, 0],
      [0, 0, 0],
    ],
    // Else nobody can tell, and the link that stays says so.
    [
      [0, 0, 0],
      [0, 0, 0],
      [1, 0, 0],
    ],
    [
      [2, 0, 0],
      [0, 0, 0],
      [1, 0, 0],
    ],
    [
      [1, 1, 0],
      [0, 0, 0],
      [1, 0, 0],
    ],
    [
      [1, 1, 1],
      [0, 0, 0],
      [1, 0, 0],
    ],
    [
      [0, 1, 1],
      [0, 0, 0],
      [1, 0, 0],
    ],
  ])('with %j that may ask, has one answer [G10 G17]', (asking, asked, refused) => {
    expect(heardOn(...asking)).toEqual({ asked, refused, closed: [null, null, null] });
  });
});

describe('an answer does not overtake what the client has told the upstream before', () => {
  const NOTIFICATION = [encode('{"jsonrpc":"2.0","method":"notifications/progress"}')];

  test('it goes out when that is taken', () => {
    const { session, conversation, link } = own();
    conversation.message(question('q'));
    conversation.notify(NOTIFICATION);
    for (const asked of session.asks) answer(asked);
    expect(link.sent).toHaveLength(1);

    link.accept(0);

    expect(link.messages[1]).toMatchObject({ id: 'q', result: 'theirs' });
  });

  test('or after a second: one that hangs must not hold up everything', () => {
    const { world, session, conversation, link, replies } = own();
    conversation.message(question('q'));
    conversation.notify(NOTIFICATION);
    for (const asked of session.asks) answer(asked);
    world.time.advanceSync(999);
    expect(replies('q')).toBe(0);
    world.time.advanceSync(1);
    expect(replies('q')).toBe(1);

    link.accept(0);

    expect(replies('q')).toBe(1);
  });

  test('and a link that closes waits for it', () => {
    const { session, conversation, link } = own();
    conversation.message(question('q'));
    conversation.notify(NOTIFICATION);
    for (const asked of session.asks) answer(asked);
    conversation.close('session_ended');
    expect(link.closed).toBeNull();

    link.accept(0);
    expect(link.closed).toBeNull();
    link.accept(1);

    expect(link.closed).toBe('session_ended');
  });
});

describe('on a pooled link a question', () => {
  test('is asked of whoever answers for the only call [G10]', () => {
    const world = new ConversationWorld();
    const conversation = world.conversation(new MemoryLink(1));
    const listener = new RecordedSession();
    world.begun(conversation, { session: listener });

    conversation.message(question('q'));

    expect(listener.asks).toMatchObject([{ method: 'elicitation/create' }]);
  });

  test('is refused where nobody does [E4]', () => {
    const world = new ConversationWorld();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);
    world.begun(conversation);

    conversation.message(question('q'));

    expect(link.messages[1]).toMatchObject({ id: 'q', error: { code: -32601 } });
  });

  test('is refused where it could be of more than one call [E4 G17]', () => {
    const world = new ConversationWorld();
    const link = new MemoryLink(1);
    const conversation = world.conversation(link);
    const [alice, bob] = [new RecordedSession(), new RecordedSession()];
    world.begun(conversation, { session: alice });
    world.begun(conversation, { session: bob });

    conversation.message(question('q'));

    expect([alice.asks, bob.asks]).toEqual([[], []]);
    expect(link.messages[2]).toMatchObject({ id: 'q', error: { code: -32601 } });
  });
});

test('whatever happens, each question has one answer, unless the upstream took it back or is gone [G10]', () => {
  const id = fc.constantFrom<string | number>('a', 'b', 1, '1');
  const event = fc.oneof(
    { weight: 5, arbitrary: fc.record({ does: fc.constant('ask' as const), id }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('answer' as const), which: fc.nat(10) }) },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('withdraw' as const), id }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('refuse' as const), next: fc.boolean() }) },
  );

  fc.assert(
    fc.property(fc.array(event, { maxLength: 30 }), fc.constantFrom('close', 'lost'), (events, end) => {
      const { session, conversation, link } = own();
      /** By the id's text: answers owed, and questions that are open. */
      const owed = new Map<string, number>();
      const open = new Map<string, Question>();
      const owe = (key: string): void => void owed.set(key, (owed.get(key) ?? 0) + 1);
      for (const next of events) {
        if (next.does === 'ask') {
          const key = JSON.stringify(next.id);
          const before = session.asks.length;
          conversation.message(question(next.id));
          const asked = session.asks.length > before ? session.asks.at(-1) : undefined;
          if (asked === undefined || session.refuses !== null) owe(key);
          else open.set(key, asked);
        } else if (next.does === 'answer') {
          const asked = session.asks[next.which % Math.max(1, session.asks.length)];
          const key = asked === undefined ? '' : JSON.stringify(idOf(asked));
          if (asked !== undefined && open.get(key) === asked) {
            open.delete(key);
            owe(key);
          }
          if (asked !== undefined) answer(asked);
        } else if (next.does === 'withdraw') {
          open.delete(JSON.stringify(next.id));
          conversation.message(withdrawal(next.id));
        } else {
          session.refuses = next.next ? { code: -32601, message: 'no' } : null;
        }
      }
      if (end === 'close') {
        for (const key of open.keys()) owe(key);
        conversation.close('shutdown');
      } else {
        conversation.lost(LOST);
      }
      for (const asked of session.asks) answer(asked);

      const sent = new Map<string, number>();
      for (const { id: to } of link.messages) {
        const key = JSON.stringify(to);
        sent.set(key, (sent.get(key) ?? 0) + 1);
      }
      expect(sent).toEqual(owed);
    }),
    { numRuns: 1000 },
  );
});

test('what is kept of an open question is small: a longer id is refused, a longer token forgotten [G10]', () => {
  const { session, conversation, replies } = own();
  const long = 'x'.repeat(2000);

  conversation.message(question(long));
  conversation.message(requestOf({ id: 'q', method: 'roots/list', params: { _meta: { progressToken: long } } }));

  expect(replies(long)).toBe(1);
  expect(session.asks.map(({ progressToken }) => progressToken)).toEqual([null]);
});
