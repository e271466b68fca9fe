// One call of a client of 2026-07-28 from its conversation to its client, with nothing of ours replaced: whatever
// happens in whatever order, each question of the upstream gets one answer, and nothing is left.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Call } from '../../src/bridge/call.ts';
import { Exchange, type ExchangeEnd } from '../../src/bridge/exchange.ts';
import { Rounds } from '../../src/bridge/rounds.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import { profileOf } from '../../src/protocol/capability-profile.ts';
import { inputResponses } from '../../src/protocol/input-required.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import type { Conversation } from '../../src/traffic/conversation.ts';
import { type Held, HeldCalls } from '../../src/traffic/held-calls.ts';
import { Tally } from '../../src/traffic/tally.ts';
import { linkKey } from '../../src/upstream/link-key.ts';
import { RecordedSink, answerOf, notificationOf, requestOf } from '../bridge/recorded.ts';
import { ConversationWorld, MemoryLink } from './conversation-world.ts';
import { budgetsOf } from './budgets-world.ts';

type Event =
  | { readonly kind: 'asks' | 'asks what was not declared' | 'takes back' | 'answers' | 'logs' | 'is lost' }
  | { readonly kind: 'comes back'; readonly with: 'all' | 'none' | 'one' }
  | { readonly kind: 'leaves' | 'evicted' }
  | { readonly kind: 'passes'; readonly ms: number };

const TTL_MS = 500;
const REQUEST_MS = 300;
const FORMS = profileOf({ elicitation: {} }, '2025-11-25');

interface Shown {
  readonly exchange: Exchange;
  readonly sink: RecordedSink;
  readonly ends: ExchangeEnd[];
}

class Story {
  readonly world = new ConversationWorld();
  readonly link = new MemoryLink(1);
  readonly shown: Shown[] = [];
  readonly released: string[] = [];
  readonly held: HeldCalls;
  /** The ids of all questions, with whether the upstream may go without an answer. */
  readonly asked = new Map<number, { excused: boolean }>();
  readonly #conversation: Conversation;
  readonly #call: Call;
  readonly #rounds: Rounds;
  #accepted = 0;

  constructor() {
    const { time } = this.world;
    this.held = new HeldCalls({
      tally: new Tally(),
      timers: time,
      budgets: budgetsOf(),
      ttlMs: TTL_MS,
      maxOfKey: 1,
      maxInAll: 1,
      maxKeptBytes: 1000,
      isAwaited: () => false,
      onLetGo: () => {},
    });
    this.#conversation = this.world.conversation(this.link);
    const first = this.#exchange();
    this.#call = new Call({
      request: requestOf({ params: { name: 'x' } }),
      exchange: first.exchange,
      clock: time,
      timers: time,
      requestMs: REQUEST_MS,
      requestMaxMs: 10 * REQUEST_MS,
      clientGone: 'cancel',
      again: () => false,
      onUnread: () => {},
    });
    const call = this.#call;
    const principal = { key: 'alice', proof: '' };
    const key = linkKey(principal, FORMS, 'principal');
    const level: Held['level'] = { set: (_level, done) => done() };
    const rounds: Rounds = new Rounds({
      timers: time,
      profile: FORMS,
      logLevel: 'info',
      maxBytes: 1_000_000,
      upstream: '2025-11-25',
      serverInfo: null,
      seal: String,
      onHeld: () => this.held.hold({ id: 'h', call, rounds, level, key, principal }),
      undeclared: () => new ProxyError('capability_missing', 'x'),
    });
    this.#rounds = rounds;
    rounds.serves(call);
    this.#conversation.begin(call, { exclusive: true, listener: rounds }, (how) => {
      this.released.push(how);
      // As the pool does.
      if (how === 'retire') this.#conversation.close('retired');
    });
    this.#settle();
  }

  step(event: Event): void {
    switch (event.kind) {
      case 'asks':
        this.#ask('elicitation/create', { message: 'x' });
        break;
      case 'asks what was not declared':
        this.#ask('roots/list', {});
        break;
      case 'takes back': {
        const [id, question] = [...this.asked].at(-1) ?? [];
        if (question === undefined || !this.#conversation.isOpen) break;
        question.excused = true;
        this.#conversation.message(notificationOf('notifications/cancelled', { requestId: id }));
        break;
      }
      case 'logs':
        this.#conversation.message(notificationOf('notifications/message', { level: 'error', data: 1 }));
        break;
      case 'answers': {
        const { id } = this.link.messages.find(({ method }) => method === 'tools/call') as { id: number };
        this.#conversation.message(answerOf(id));
        break;
      }
      case 'is lost':
        for (const question of this.asked.values()) question.excused = true;
        this.link.close('lost');
        this.#conversation.lost(new ProxyError('upstream_session_lost', 'x'));
        break;
      case 'comes back':
        this.#comeBack(event.with);
        break;
      case 'leaves':
        this.shown.at(-1)?.exchange.clientGone();
        break;
      case 'evicted':
        this.held.evictOldest(linkKey({ key: 'alice', proof: '' }, FORMS, 'principal'));
        break;
      case 'passes':
        this.world.time.advanceSync(event.ms);
        break;
    }
    this.#settle();
  }

  /** Nothing more comes, and time runs out. */
  exhaust(): void {
    // What is taken at once lets the next one go.
    for (let count = 0; count < 10; count++) this.step({ kind: 'passes', ms: 10_000 });
  }

  /** How often the upstream got an answer to each of its questions. */
  get answers(): Map<number, number> {
    const counts = new Map([...this.asked.keys()].map((id) => [id, 0]));
    for (const { id, method } of this.link.messages as { id: number; method?: string }[]) {
      if (method === undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }

  #ask(method: string, params: object): void {
    if (!this.#conversation.isOpen) return;
    // Beyond those of our calls.
    const id = 1000 + this.asked.size;
    this.asked.set(id, { excused: false });
    this.#conversation.message(requestOf({ id, method, params }));
  }

  #comeBack(how: 'all' | 'none' | 'one'): void {
    const held = this.held.find('h');
    const { sink } = this.shown.at(-1) ?? {};
    if (held === null || sink === undefined) return;
    const keys = Object.keys((sink.json.result.inputRequests ?? {}) as object);
    const given = how === 'all' ? keys : how === 'one' ? keys.slice(0, 1) : [];
    const answers = Object.fromEntries(given.map((key) => [key, { action: 'decline' }]));
    const retry = requestOf({ params: { name: 'x', inputResponses: answers } });
    const { bytes } = retry;
    const responses = inputResponses(retry) ?? new Map();
    expect(this.#rounds.faultOf({ bytes, responses })).toBeNull();
    this.held.release('h');
    const { exchange } = this.#exchange();
    const back = { exchange, progressToken: null, profile: FORMS, logLevel: 'info' as const, bytes, responses };
    if (!this.#rounds.resume(back)) exchange.finish({ kind: 'own', result: {} });
  }

  #exchange(): Shown {
    const sink = new RecordedSink();
    const ends: ExchangeEnd[] = [];
    const { time } = this.world;
    const exchange = new Exchange({
      id: encode('1'),
      sink,
      clock: time,
      timers: time,
      heartbeatMs: 70,
      upstream: 'up',
      onEnd: (end) => ends.push(end),
    });
    const shown = { exchange, sink, ends };
    this.shown.push(shown);
    return shown;
  }

  /** The upstream takes whatever it is sent. */
  #settle(): void {
    while (this.#accepted < this.link.sent.length) this.link.accept(this.#accepted++);
  }
}

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: 'asks' } as const) },
  {
    weight: 5,
    arbitrary: fc.constantFrom('all', 'none', 'one').map((how) => ({ kind: 'comes back', with: how }) as const),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('asks what was not declared', 'takes back', 'answers', 'logs', 'is lost', 'leaves', 'evicted')
      .map((kind) => ({ kind }) as const),
  },
  { weight: 6, arbitrary: fc.constantFrom(0, 1, 5, 5, 5, 50, 400).map((ms) => ({ kind: 'passes', ms }) as const) },
);

/** Most of what happens to a call that is held needs it to be held first. */
const round: fc.Arbitrary<readonly Event[]> = fc
  .constantFrom('all', 'all', 'one', 'none')
  .map((how) => [{ kind: 'asks' }, { kind: 'passes', ms: 5 }, { kind: 'comes back', with: how }]);
const story: fc.Arbitrary<readonly Event[]> = fc
  .array(fc.oneof({ weight: 4, arbitrary: event.map((one) => [one]) }, { weight: 1, arbitrary: round }), {
    maxLength: 20,
  })
  .map((parts) => parts.flat());

const ENDS = ['capability_missing', 'client_gone', 'request_timeout', 'result', 'upstream_session_lost'];

test('every question gets one answer, every exchange one end, and nothing is left [F41 F50 G10]', () => {
  let most = 0;
  const seen = new Set<string>();

  fc.assert(
    fc.property(story, (events) => {
      const told = new Story();
      for (const next of events) told.step(next);
      told.exhaust();

      for (const [id, count] of told.answers) {
        if (told.asked.get(id)?.excused === true) expect(count).toBeLessThanOrEqual(1);
        else expect(count).toBe(1);
      }
      for (const { ends, sink } of told.shown) {
        expect(ends).toHaveLength(1);
        expect(sink.broken).toEqual([]);
        // [spec 2026-07-28 transports] a stream carries no requests.
        expect(sink.notified.some((said) => said.includes('"id"'))).toBe(false);
      }
      expect(told.released).toHaveLength(1);
      expect([told.held.size, told.world.inFlight.count, told.world.asking.count]).toEqual([0, 0, 0]);
      expect(told.world.time.pendingCount).toBe(0);
      most = Math.max(most, told.shown.length);
      for (const { ends } of told.shown.slice(1)) for (const { outcome, reason } of ends) seen.add(reason ?? outcome);
    }),
    { numRuns: 1000 },
  );

  // The stories reach every end that one who has come back can meet.
  expect([...seen].toSorted()).toEqual(ENDS);
  expect(most).toBeGreaterThan(3);
});
