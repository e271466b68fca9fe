// What an upstream says of its own accord, who hears it, and what it is told beyond its handshake.

import { describe, expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import type { PostOutcome } from '../../src/domain/ports.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { readInitializeAnswer } from '../../src/protocol/upstream-handshake.ts';
import { SharedWants, Wants } from '../../src/traffic/wants.ts';
import { answerOf, notificationOf, requestOf } from '../bridge/recorded.ts';
import { settled } from '../support/virtual-time.ts';
import { ConversationWorld, MemoryLink, RecordedSession, SlowReader } from './conversation-world.ts';

const LOG = notificationOf('notifications/message', { level: 'info', data: 'x' });
const CHANGED = notificationOf('notifications/tools/list_changed');
const PROGRESS = notificationOf('notifications/progress', { progressToken: 1, progress: 1 });
/** limits.streamBacklogBytes */
const BACKLOG = 1024 * 1024;

function on(link: MemoryLink, session: RecordedSession | null = null) {
  const world = new ConversationWorld();
  return { world, conversation: world.conversation(link, session) };
}

describe('a session hears what its own link says', () => {
  test('with the call that it is about, where there is only one', () => {
    const session = new RecordedSession();
    const { world, conversation } = on(new MemoryLink(1), session);
    conversation.message(LOG);
    const { call } = world.begun(conversation, { session });
    conversation.message(LOG);
    conversation.message(CHANGED);
    world.begun(conversation, { session });
    conversation.message(LOG);

    expect(session.hears).toEqual([
      { method: 'notifications/message', about: null },
      { method: 'notifications/message', about: call },
      { method: 'notifications/tools/list_changed', about: null },
      { method: 'notifications/message', about: null },
    ]);
    expect(world.drops).toEqual([]);
  });

  test('and what it says does not concern it is counted', () => {
    const session = new RecordedSession();
    session.concerns = false;
    const { world, conversation } = on(new MemoryLink(1), session);

    conversation.message(CHANGED);

    expect(world.drops).toEqual(['unroutable_notification']);
  });

  test('and nobody hears what only a client can say', () => {
    const session = new RecordedSession();
    const { world, conversation } = on(new MemoryLink(1), session);

    conversation.message(notificationOf('notifications/initialized'));
    conversation.message(notificationOf('notifications/roots/list_changed'));

    expect(session.hears).toEqual([]);
    expect(world.drops).toEqual(['unroutable_notification', 'unroutable_notification']);
  });
});

describe('on the only link of a mount', () => {
  function single() {
    const { world, conversation } = on(new MemoryLink(1));
    world.isSingle = true;
    const [alice, bob] = [new RecordedSession(), new RecordedSession()];
    world.sessions.push(alice, bob);
    return { world, conversation, alice, bob };
  }

  test('every session hears what is about no call', () => {
    const { conversation, alice, bob } = single();

    conversation.message(CHANGED);

    expect([alice.hears, bob.hears]).toEqual([
      [{ method: CHANGED.method, about: null }],
      [{ method: CHANGED.method, about: null }],
    ]);
  });

  test('and it is counted where it concerns none of them', () => {
    const { world, conversation, alice, bob } = single();
    alice.concerns = bob.concerns = false;

    conversation.message(CHANGED);
    expect(world.drops).toEqual(['unroutable_notification']);
    bob.concerns = true;
    conversation.message(CHANGED);

    expect(world.drops).toHaveLength(1);
  });

  test('a log message is heard by the session of the only call, and by nobody if there are more', () => {
    const { world, conversation, alice, bob } = single();
    const { call } = world.begun(conversation, { session: bob });
    conversation.message(LOG);
    world.begun(conversation, { session: alice });
    conversation.message(LOG);

    expect([alice.hears, bob.hears]).toEqual([[], [{ method: LOG.method, about: call }]]);
    expect(world.drops).toEqual(['unroutable_notification']);
  });

  test('or by nobody if that call is nobody’s', () => {
    const { world, conversation, alice, bob } = single();
    world.begun(conversation);
    conversation.message(LOG);

    expect([alice.hears, bob.hears]).toEqual([[], []]);
    expect(world.drops).toEqual(['unroutable_notification']);
  });

  test('a session that does not read loses what it reads, and the others are not held up', () => {
    const { conversation, alice, bob } = single();
    const slow = new SlowReader();
    slow.backlogBytes = BACKLOG + CHANGED.bytes.length + 1;
    alice.reader = slow;

    conversation.message(CHANGED);

    expect(slow).toMatchObject({ tooSlow: 1, waiting: [] });
    expect(bob.hears).toHaveLength(1);
  });
});

describe('on a pooled link', () => {
  test('nobody hears it, where no call has anybody to answer for it', () => {
    const { world, conversation } = on(new MemoryLink(1));
    world.begun(conversation);

    conversation.message(CHANGED);
    conversation.message(LOG);

    expect(world.drops).toEqual(['unroutable_notification', 'unroutable_notification']);
  });

  test('whoever answers for the only call hears its log messages', () => {
    const { world, conversation } = on(new MemoryLink(1));
    const listener = new RecordedSession();
    const { call } = world.begun(conversation, { session: listener });

    conversation.message(LOG);
    conversation.message(CHANGED);

    expect(listener.hears).toEqual([{ method: 'notifications/message', about: call }]);
  });

  test('those who listen to the mount hear of changes', () => {
    const { world, conversation } = on(new MemoryLink(1));
    world.isListenedTo = true;

    conversation.message(CHANGED);

    expect(world.changes).toEqual([{ on: conversation, message: CHANGED }]);
    expect(world.drops).toEqual([]);
  });
});

describe('a session that does not read holds up its own link', () => {
  test('until it has taken what it was sent', () => {
    const [session, link, slow] = [new RecordedSession(), new MemoryLink(1), new SlowReader()];
    const { conversation } = on(link, session);
    session.reader = slow;
    // One message of any size may wait beside that.
    slow.backlogBytes = BACKLOG + CHANGED.bytes.length;
    conversation.message(CHANGED);
    expect(link.pauses).toBe(0);

    slow.backlogBytes++;
    conversation.message(CHANGED);
    conversation.message(LOG);
    expect(link.pauses).toBeGreaterThan(0);
    for (const tell of slow.waiting) tell();

    expect(link.pauses).toBe(0);
    expect(slow.tooSlow).toBe(0);
  });

  test('also by what it is asked, and by the word that it need not answer', () => {
    const [session, link, slow] = [new RecordedSession(), new MemoryLink(1), new SlowReader()];
    const { conversation } = on(link, session);
    const asked = requestOf({ id: 'q', method: 'roots/list', params: {} });
    const withdrawn = notificationOf('notifications/cancelled', { requestId: 'q' });
    session.reader = slow;

    slow.backlogBytes = BACKLOG + asked.bytes.length + 1;
    conversation.message(asked);
    expect(link.pauses).toBe(1);
    slow.backlogBytes = BACKLOG + withdrawn.bytes.length + 1;
    conversation.message(withdrawn);

    expect(link.pauses).toBe(2);
  });

  test('also by the progress of a call', () => {
    const [session, link] = [new RecordedSession(), new MemoryLink(1)];
    const { world, conversation } = on(link, session);
    const { sink } = world.begun(conversation, { session });
    sink.backlogBytes = BACKLOG + PROGRESS.bytes.length + 1;

    conversation.message(PROGRESS);
    expect(link.pauses).toBe(1);
    for (const tell of sink.waiting) tell();

    expect(link.pauses).toBe(0);
    expect(sink.ends).toEqual([]);
  });

  test('and its link is not doubted meanwhile: it is silent because it is not read', () => {
    const [session, link, slow] = [new RecordedSession(), new MemoryLink(1), new SlowReader()];
    const { world, conversation } = on(link, session);
    session.reader = slow;
    slow.backlogBytes = 2 * BACKLOG;
    conversation.message(CHANGED);
    world.time.advanceSync(60_000);
    expect(conversation.isDoubtful(30_000)).toBe(false);

    for (const tell of slow.waiting) tell();

    expect(conversation.isDoubtful(30_000)).toBe(true);
  });

  test('but a call on a shared link is ended instead', () => {
    const link = new MemoryLink(1);
    const { world, conversation } = on(link);
    const { sink } = world.begun(conversation, { exclusive: false });
    sink.backlogBytes = BACKLOG + PROGRESS.bytes.length + 1;

    conversation.message(PROGRESS);

    expect(link.pauses).toBe(0);
    expect(sink.json.error.data.reason).toBe('slow_reader');
  });
});

describe('an upstream is told what is wanted of it', () => {
  function wanting(...uris: string[]) {
    const [link, session, wants] = [new MemoryLink(1), new RecordedSession(), new Wants(new SharedWants())];
    const { world, conversation } = on(link, session);
    wants.setLevel('warning');
    for (const uri of uris) wants.subscribe(uri);
    const told = (): unknown[] => link.messages.map(({ method, params }) => [method, Object.values(params)[0]]);
    return { world, conversation, link, wants, told };
  }

  test('a few wishes at a time, the level first, and who waits for it waits for all [G16 G19 G20]', async () => {
    const uris = Array.from({ length: 20 }, (_, index) => `file:///${index}`);
    const { conversation, wants, told } = wanting(...uris);
    let done = false;
    void conversation.bringUpToDate(wants)?.then(() => (done = true));
    await settled();
    expect(told()).toHaveLength(16);
    expect(told()[0]).toEqual(['logging/setLevel', 'warning']);

    for (let id = 1; id <= 16; id++) conversation.message(answerOf(id % 2 === 0 ? String(id) : id));
    await settled();
    expect(told().slice(1)).toEqual(uris.map((uri) => ['resources/subscribe', uri]));
    expect(done).toBe(false);
    for (let id = 17; id <= 21; id++) conversation.message(answerOf(id));
    await settled();

    expect(done).toBe(true);
  });

  test('once: who asks for the same again has not to wait', async () => {
    const { conversation, wants, link } = wanting();
    const first = conversation.bringUpToDate(wants);
    await settled();
    conversation.message(answerOf(1));
    await first;

    expect(conversation.bringUpToDate(wants)).toBeNull();
    expect(link.sent).toHaveLength(1);
  });

  test('and who asks for the same meanwhile waits for the same', async () => {
    const { conversation, wants, link } = wanting();
    const first = conversation.bringUpToDate(wants);

    expect(conversation.bringUpToDate(wants)).toBe(first);
    await settled();
    expect(link.sent).toHaveLength(1);
  });

  test('and what is wanted meanwhile is told behind it', async () => {
    const { conversation, wants, told } = wanting('a');
    const first = conversation.bringUpToDate(wants);
    wants.unsubscribe('a');
    wants.setLevel('error');
    const second = conversation.bringUpToDate(wants);
    for (const together of [
      [1, 2],
      [3, 4],
    ]) {
      await settled();
      expect(told()).toHaveLength(together.at(-1) ?? 0);
      for (const id of together) conversation.message(answerOf(id));
    }
    await Promise.all([first, second]);

    expect(told()).toEqual([
      ['logging/setLevel', 'warning'],
      ['resources/subscribe', 'a'],
      ['logging/setLevel', 'error'],
      ['resources/unsubscribe', 'a'],
    ]);
  });

  test('what it refuses is counted, not asked again, and does not stop the rest', async () => {
    const { world, conversation, wants, told } = wanting('a');
    const telling = conversation.bringUpToDate(wants);
    await settled();
    conversation.message(answerOf(1, { error: { code: -32601, message: '' } }));
    await settled();
    conversation.message(answerOf(2));
    await telling;

    expect(world.drops).toEqual(['undelivered_notification']);
    expect(told()).toHaveLength(2);
    expect(conversation.bringUpToDate(wants)).toBeNull();
  });

  test('one that says nothing to it is not told the rest, and nobody waits for that', async () => {
    const { world, conversation, wants, told } = wanting(
      ...Array.from({ length: 20 }, (_, index) => `file:///${index}`),
    );
    const telling = conversation.bringUpToDate(wants);
    await world.time.advance(15_000);
    await telling;
    expect(told()).toHaveLength(16);

    expect(world.drops).toEqual(Array.from({ length: 21 }, () => 'undelivered_notification'));
    expect(world.time.pendingCount).toBe(0);
  });

  test.each<[outcome: PostOutcome]>([
    [{ kind: 'unsent', error: new ProxyError('upstream_unreachable', 'x') }],
    [{ kind: 'broken', error: new ProxyError('post_failed', 'x') }],
    // Nothing will answer a request that was refused by a status, and callers wait until this is over.
    [{ kind: 'rejected', error: new ProxyError('post_rejected', 'x') }],
  ])('a POST that fails does not hold up the rest at all: $kind', async (outcome) => {
    const { conversation, wants, link } = wanting('a');
    const telling = conversation.bringUpToDate(wants);
    await settled();

    link.sent[0]?.done(outcome);
    await settled();
    expect(link.sent).toHaveLength(2);
    link.sent[1]?.done(outcome);

    await telling;
  });

  test('only what it offers [G19 G20]', () => {
    const { conversation, wants, link } = wanting('a');
    const given = { protocolVersion: '2025-11-25', capabilities: { resources: {} } };
    conversation.opened(readInitializeAnswer(answerOf(0, { result: given })));

    expect(conversation.bringUpToDate(wants)).toBeNull();
    expect(link.sent).toEqual([]);
  });

  test('nothing more once the link is closing, and nobody waits for it', async () => {
    const { conversation, wants, link } = wanting(...Array.from({ length: 20 }, (_, index) => `file:///${index}`));
    const telling = conversation.bringUpToDate(wants);
    await settled();

    conversation.close('idle');
    await telling;

    expect(link.sent).toHaveLength(16);
    expect(link.closed).toBe('idle');
  });
});

describe('a notification of the client', () => {
  const NOTIFICATION = [encode('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}')];

  test('goes to the upstream, and no answer is waited for', () => {
    const link = new MemoryLink(1);
    const { world, conversation } = on(link, new RecordedSession());

    conversation.notify(NOTIFICATION);
    link.accept(0);

    expect(link.sent.map(({ message }) => message)).toEqual(NOTIFICATION.map((piece) => Buffer.from(piece).toString()));
    expect(world.drops).toEqual([]);
    expect(conversation.isDoubtful(30_000)).toBe(false);
  });

  test('that is not taken is counted, and the link has to show that it lives', () => {
    const link = new MemoryLink(1);
    const { world, conversation } = on(link, new RecordedSession());

    conversation.notify(NOTIFICATION);
    link.sent[0]?.done({ kind: 'rejected', error: new ProxyError('post_rejected', 'x') });

    expect(world.drops).toEqual(['undelivered_notification']);
    expect(conversation.isDoubtful(30_000)).toBe(true);
    expect(conversation.isOpen).toBe(true);
  });

  test('to a session that the upstream has forgotten ends the link', () => {
    const link = new MemoryLink(1);
    const { world, conversation } = on(link, new RecordedSession());
    const { sink } = world.begun(conversation);

    conversation.notify(NOTIFICATION);
    link.sent[1]?.done({ kind: 'session_refused' });

    expect(link.closed).toBe('lost');
    expect(sink.json.error.data.reason).toBe('upstream_session_lost');
  });

  test('waits for the one before it: two POSTs can overtake each other', () => {
    const link = new MemoryLink(1);
    const { world, conversation } = on(link, new RecordedSession());
    for (const n of [1, 2, 3]) conversation.notify([encode(`{"n":${n}}`)]);
    expect(link.messages).toEqual([{ n: 1 }]);

    link.accept(0);
    expect(link.messages).toEqual([{ n: 1 }, { n: 2 }]);
    link.sent[1]?.done({ kind: 'broken', error: new ProxyError('post_failed', 'x') });

    expect(link.messages).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(world.drops).toEqual(['undelivered_notification']);
  });

  // Each was answered with 202 already, so no limit on requests holds them back.
  test('is dropped while those that wait hold too many bytes', () => {
    const { world, conversation } = on(new MemoryLink(1), new RecordedSession());
    const large = new Uint8Array(4 * 1024 * 1024).fill(0x20);

    for (let count = 0; count < 64; count++) conversation.notify([large]);

    expect(world.drops).toContain('undelivered_notification');
  });

  test('is dropped while 256 wait for their turn', () => {
    const link = new MemoryLink(1);
    const { world, conversation } = on(link, new RecordedSession());
    for (let count = 0; count < 257; count++) conversation.notify(NOTIFICATION);
    expect(world.drops).toEqual(['undelivered_notification']);

    link.accept(0);
    conversation.notify(NOTIFICATION);

    expect(world.drops).toHaveLength(1);
  });
});
