// Random schedules of everything that callers, links and an upstream can do, on virtual time and over links that exist in
// memory only: pool, conversations, calls and exchanges are the real ones. Each exchange has exactly one outcome, its own.

import { Exchange, type ExchangeEnd } from '../../src/bridge/exchange.ts';
import { parseConfig } from '../../src/config/load.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import { type LinkId, linkId } from '../../src/domain/ids.ts';
import type { Chunks, Link, PostOutcome } from '../../src/domain/ports.ts';
import { ANYONE, type Principal } from '../../src/domain/principal.ts';
import type { LinkCloseReason, LinkState } from '../../src/domain/states.ts';
import { EMPTY_PROFILE, FULL_PROFILE } from '../../src/protocol/capability-profile.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { ConversationPool } from '../../src/traffic/conversation-pool.ts';
import type { Conversation } from '../../src/traffic/conversation.ts';
import { startLeasedCall } from '../../src/traffic/leased-call.ts';
import { linkKey } from '../../src/upstream/link-key.ts';
import { RecordedSink, answerOf, notificationOf, requestOf, text } from '../bridge/recorded.ts';
import { type Seeded, seeded } from '../support/seeded.ts';
import { ConversationWorld } from '../traffic/conversation-world.ts';

/** What was posted and not answered yet. */
interface Posted {
  readonly link: MemoryLink;
  // oxlint-disable-next-line typescript/no-explicit-any -- a message is looked into freely
  readonly message: any;
  readonly done: (outcome: PostOutcome) => void;
}

interface Caller {
  readonly tag: string;
  readonly isTool: boolean;
  readonly exchange: Exchange;
  readonly sink: RecordedSink;
  readonly ends: ExchangeEnd[];
}

class MemoryLink implements Link {
  readonly id: LinkId;
  readonly heardAt = 0;
  state: LinkState = { phase: 'open', postTo: { origin: 'http://up.example', path: '/messages' } };
  readonly #posted: Posted[];

  constructor(id: number, posted: Posted[]) {
    this.id = linkId(id);
    this.#posted = posted;
  }

  send(message: Chunks, _deadlineMs: number | null, done: (outcome: PostOutcome) => void): () => void {
    const posted = { link: this, message: JSON.parse(text(message)), done };
    this.#posted.push(posted);
    return () => remove(this.#posted, posted);
  }

  answer(message: Chunks, done: (outcome: PostOutcome) => void): void {
    this.send(message, null, done);
  }

  take(): void {}
  pause(): void {}
  resume(): void {}

  close(reason: LinkCloseReason): void {
    if (this.state.phase !== 'closed') this.state = { phase: 'closed', reason };
    // A closed link gives all its POSTs up.
    for (const posted of this.#posted.filter(({ link }) => link === this)) remove(this.#posted, posted);
  }
}

/** How many steps a schedule has. */
const STEPS = 40;
const REQUEST_MS = 60_000;
const CALLERS: readonly Principal[] = [ANYONE, { key: 'another', proof: '' }];
const METHODS = ['tools/call', 'tools/call', 'tools/call', 'tools/list', 'prompts/get'];

export class MemorySchedule {
  readonly faults: string[] = [];
  readonly callers: Caller[] = [];
  readonly #world = new ConversationWorld();
  readonly #random: Seeded;
  readonly #pool: ConversationPool<Conversation>;
  readonly #attempts: { succeed(): void; fail(): void }[] = [];
  readonly #open: { readonly conversation: Conversation; readonly link: MemoryLink }[] = [];
  /** On their way to the upstream. */
  readonly #posted: Posted[] = [];
  /** In the upstream, which may answer. */
  readonly #running: Posted[] = [];
  readonly #answered: Posted[] = [];
  readonly #ran = new Map<string, number>();
  #links = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
    const { time } = this.#world;
    const links = { min: 0, max: 2, maxInFlight: 4, maxQueue: this.#random.pick([1, 256]) };
    this.#pool = new ConversationPool({
      open: (_key, _isAwaited, onClosed) => this.#opening(onClosed),
      refusal: () => null,
      config: parseConfig({ upstreams: [{ url: 'http://up.example/sse' }], links }).links,
      overBudget: () => null,
      clock: time,
      timers: time,
      onLongWait: () => {},
      onRefused: () => {},
      backoff: (attempt) => Math.min(1000, 250 * 2 ** attempt),
    });
  }

  async run(): Promise<void> {
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    for (let i = 0; i < STEPS; i++) await this.#step();
    await this.#calm();
    this.#check();
  }

  /** The outcomes of its exchanges, for a figure. */
  get outcomes(): string[] {
    return this.callers.flatMap(({ ends }) => ends.map(({ reason, outcome }) => reason ?? outcome));
  }

  async #step(): Promise<void> {
    const random = this.#random;
    switch (random.pick(STEP_KINDS)) {
      case 'ask':
        this.#ask();
        return;
      case 'open':
        take(this.#attempts, random)?.succeed();
        break;
      case 'refuse':
        take(this.#attempts, random)?.fail();
        break;
      case 'post':
        this.#settle(take(this.#posted, random), random.pick(POST_OUTCOMES));
        break;
      case 'accept':
        this.#settle(take(this.#posted, random), 'accepted');
        break;
      case 'answer':
        this.#answer(take(this.#running, random));
        break;
      case 'answer again':
        // Also on a link where nobody asked, as a server does that broadcasts.
        this.#answer(this.#answered.at(-1));
        break;
      case 'progress':
        this.#progress(this.#running.at(-1));
        break;
      case 'lose':
        this.#lose(take(this.#open, random));
        break;
      case 'leave':
        this.callers[random.below(this.callers.length + 1)]?.exchange.clientGone();
        break;
      case 'stop':
        this.#open.at(-1)?.conversation.close('idle');
        break;
      case 'pass':
        await this.#world.time.advance(random.pick([0, 1, 100, 1000, 5000, 61_000]));
        return;
    }
    if (random.below(2) === 0) await this.#world.time.advance(0);
  }

  #ask(): void {
    const { time } = this.#world;
    const random = this.#random;
    const tag = `${this.callers.length}`;
    const method = random.pick(METHODS);
    const sink = new RecordedSink(random.below(2) === 0);
    const ends: ExchangeEnd[] = [];
    const exchange = new Exchange({
      id: encode('"own"'),
      sink,
      clock: time,
      timers: time,
      heartbeatMs: 15_000,
      upstream: 'up',
      onEnd: (end) => ends.push(end),
    });
    this.callers.push({ tag, isTool: method === 'tools/call', exchange, sink, ends });
    const isAlone = random.below(3) === 0;
    const profile = isAlone ? FULL_PROFILE : EMPTY_PROFILE;
    startLeasedCall({
      mount: {
        lease: (want, told) => {
          const key = linkKey(want.principal, want.profile, 'principal');
          const { exclusive, mayAskBack, principal } = want;
          return this.#pool.lease({ key, exclusive, mayAskBack, principal: principal.key }, told);
        },
        callOptions: {
          clock: time,
          timers: time,
          requestMs: REQUEST_MS,
          requestMaxMs: 10 * REQUEST_MS,
          clientGone: random.pick(['cancel', 'go on']),
          onUnread: () => {},
        },
      },
      want: { principal: random.pick(CALLERS), profile, exclusive: isAlone, mayAskBack: isAlone },
      request: requestOf({ method, params: { name: 'x', arguments: { tag }, _meta: { progressToken: 1 } } }),
      asker: exchange,
      safeToRetry: method !== 'tools/call',
    });
  }

  #opening(onClosed: () => void): Promise<Conversation> {
    const { promise, resolve, reject } = Promise.withResolvers<Conversation>();
    this.#attempts.push({
      succeed: () => {
        const link = new MemoryLink(++this.#links, this.#posted);
        const conversation = this.#world.conversation(link, null, (closed) => {
          const at = this.#open.findIndex((open) => open.conversation === closed);
          if (at !== -1) this.#open.splice(at, 1);
          onClosed();
        });
        this.#open.push({ conversation, link });
        resolve(conversation);
      },
      fail: () => reject(new ProxyError('upstream_unreachable', 'nobody there')),
    });
    return promise;
  }

  #settle(posted: Posted | undefined, kind: PostOutcome['kind']): void {
    if (posted === undefined) return;
    const error = new ProxyError('post_failed', 'x');
    const mayRun =
      kind === 'accepted' || ((kind === 'broken' || kind === 'session_gone') && this.#random.below(2) === 0);
    if (mayRun) this.#run(posted);
    if (kind === 'accepted') posted.done({ kind, body: null });
    else posted.done(kind === 'session_refused' ? { kind } : { kind, error });
  }

  #run(posted: Posted): void {
    const { id, method, params } = posted.message;
    if (id === undefined || method === undefined) return;
    const tag = params?.arguments?.tag;
    if (tag !== undefined) this.#ran.set(tag, (this.#ran.get(tag) ?? 0) + 1);
    this.#running.push(posted);
  }

  #answer(posted: Posted | undefined): void {
    if (posted === undefined) return;
    this.#answered.push(posted);
    const { id, params } = posted.message;
    const isError = this.#random.below(8) === 0 && params?.arguments !== undefined;
    const tag = params?.arguments?.tag;
    const answer = isError ? { error: { code: 1, message: tag } } : { result: { tag } };
    this.#on(posted.link)?.message(answerOf(id, answer));
  }

  #progress(posted: Posted | undefined): void {
    const progressToken = posted?.message.params?._meta?.progressToken;
    if (posted === undefined || progressToken === undefined) return;
    this.#on(posted.link)?.message(notificationOf('notifications/progress', { progressToken, progress: 1 }));
  }

  #on(link: MemoryLink): Conversation | undefined {
    return this.#open.find((open) => open.link === link)?.conversation;
  }

  #lose(lost: { readonly conversation: Conversation; readonly link: MemoryLink } | undefined): void {
    if (lost === undefined) return;
    lost.link.close('lost');
    lost.conversation.lost(new ProxyError('upstream_session_lost', 'the stream broke'));
  }

  /** The upstream is well and answers everything; what it cannot answer any more runs out of time. */
  async #calm(): Promise<void> {
    const { time } = this.#world;
    for (let turn = 0; turn < 200 && this.callers.some(({ exchange }) => exchange.isOpen); turn++) {
      for (const attempt of this.#attempts.splice(0)) attempt.succeed();
      await time.advance(0);
      for (const posted of this.#posted.splice(0)) this.#settle(posted, 'accepted');
      for (const posted of this.#running.splice(0)) this.#answer(posted);
      await time.advance(turn < 20 ? 0 : 1000);
    }
    await time.advance(20 * REQUEST_MS);
    this.#pool.close();
    await time.advance(REQUEST_MS);
  }

  #check(): void {
    for (const { tag, isTool, exchange, sink, ends } of this.callers) {
      const times = this.#ran.get(tag) ?? 0;
      const [end] = ends;
      const fault = (what: string): void => void this.faults.push(`call ${tag}: ${what} (ran ${times} times)`);
      if (exchange.isOpen || ends.length !== 1) fault(`${ends.length} outcomes`);
      if (sink.ends.length !== (end?.outcome === 'client_gone' ? 0 : 1)) fault(`${sink.ends.length} ends were written`);
      for (const broken of sink.broken) fault(broken);
      if (isTool && times > 1) fault('ran twice');
      const { result, error, id } = sink.json ?? {};
      if (sink.json !== undefined && id !== 'own') fault(`has the id ${id}`);
      if (result !== undefined && (result.tag !== tag || times === 0))
        fault(`has the result ${JSON.stringify(result)}`);
      if (error?.code === 1 && error.message !== tag) fault(`has the error ${error.message}`);
      if (error?.data?.outcome === 'not_executed' && times > 0)
        fault(`${JSON.stringify(error)} says that it never ran`);
      if (error?.data?.reason === 'internal_error') fault(JSON.stringify(error));
    }
    const { inFlight, asking, time } = this.#world;
    const left = {
      calls: inFlight.count,
      asking: asking.count,
      links: this.#pool.openCount,
      timers: time.pendingCount,
    };
    for (const [what, count] of Object.entries(left)) if (count !== 0) this.faults.push(`${count} ${what} are left`);
  }
}

const STEP_KINDS = [
  ...Array<'ask'>(6).fill('ask'),
  ...Array<'open'>(4).fill('open'),
  ...Array<'accept'>(5).fill('accept'),
  ...Array<'answer'>(4).fill('answer'),
  'refuse',
  'post',
  'post',
  'answer again',
  'progress',
  'lose',
  'lose',
  'leave',
  'stop',
  'pass',
  'pass',
] as const;
const POST_OUTCOMES = ['unsent', 'session_refused', 'session_gone', 'rejected', 'broken'] as const;

function take<T>(from: T[], random: Seeded): T | undefined {
  return from.splice(random.below(from.length), 1)[0];
}

function remove<T>(from: T[], one: T): void {
  const at = from.indexOf(one);
  if (at !== -1) from.splice(at, 1);
}

export interface ScheduleFigure {
  readonly schedules: number;
  readonly exchanges: number;
  readonly outcomes: ReadonlyMap<string, number>;
  /** Each with the seed of its schedule. */
  readonly faults: readonly string[];
}

export async function playSchedules(count: number, seed: number): Promise<ScheduleFigure> {
  const outcomes = new Map<string, number>();
  const faults: string[] = [];
  let exchanges = 0;
  for (let i = 0; i < count; i++) {
    const schedule = new MemorySchedule(seed + i);
    // oxlint-disable-next-line no-await-in-loop -- one after the other: time is virtual
    await schedule.run();
    exchanges += schedule.callers.length;
    for (const outcome of schedule.outcomes) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    faults.push(...schedule.faults.map((fault) => `seed ${seed + i}: ${fault}`));
  }
  return { schedules: count, exchanges, outcomes, faults };
}

/** In one line. */
export function figureText({ schedules, exchanges, outcomes, faults }: ScheduleFigure): string {
  const kinds = [...outcomes].toSorted(([, a], [, b]) => b - a).map(([outcome, count]) => `${count} ${outcome}`);
  return `${schedules} schedules, ${exchanges} exchanges, ${faults.length} faults: ${kinds.join(', ')}`;
}
