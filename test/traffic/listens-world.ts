// The listens of one mount on virtual time, over catalogs whose upstream shows the lists that the test wants.

import { Exchange, type ExchangeEnd } from '../../src/bridge/exchange.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Chunks, PostOutcome } from '../../src/domain/ports.ts';
import { type Principal } from '../../src/domain/principal.ts';
import { EMPTY_PROFILE, profileOf } from '../../src/protocol/capability-profile.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import type { SubscriptionFilter } from '../../src/protocol/subscription.ts';
import { readInitializeAnswer } from '../../src/protocol/upstream-handshake.ts';
import { CallersWants } from '../../src/traffic/callers-wants.ts';
import { Catalog, type ListMethod, isListMethod } from '../../src/traffic/catalog.ts';
import type { Conversation } from '../../src/traffic/conversation.ts';
import { type Listen, Listens } from '../../src/traffic/listens.ts';
import { type LinkKey, linkKey } from '../../src/upstream/link-key.ts';
import { RecordedSink, answerOf, notificationOf } from '../bridge/recorded.ts';
import { ConversationWorld, MemoryLink } from './conversation-world.ts';

export const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
export const MAX_BACKLOG = 1000;

const TELLS = { listChanged: true };
const HANDSHAKE = readInitializeAnswer(
  answerOf(0, {
    result: {
      protocolVersion: '2025-11-25',
      capabilities: { tools: TELLS, prompts: TELLS, resources: { ...TELLS, subscribe: true } },
      serverInfo: { name: 's', version: '1' },
    },
  }),
);

/** What an upstream answers to a list: its result, or the error that it cannot be had. */
type Shows = { readonly result: object } | { readonly error: object };

/** A list of tools by their names. */
export function toolsOf(...names: readonly string[]): Shows {
  return { result: { tools: names.map((name) => ({ name, inputSchema: { type: 'object' } })) } };
}

/** A link whose upstream answers lists by itself. */
class ListLink extends MemoryLink {
  readonly #answers: (method: ListMethod, id: number) => void;

  constructor(answers: (method: ListMethod, id: number) => void) {
    super(1);
    this.#answers = answers;
  }

  override send(message: Chunks, deadlineMs: number | null, done: (outcome: PostOutcome) => void): () => void {
    const giveUp = super.send(message, deadlineMs, done);
    const { method, id } = this.messages.at(-1) as { method: string; id: number };
    queueMicrotask(() => {
      done({ kind: 'accepted', body: null });
      if (isListMethod(method)) this.#answers(method, id);
    });
    return giveUp;
  }
}

export interface Listener {
  readonly listen: Listen;
  readonly exchange: Exchange;
  readonly sink: RecordedSink;
  readonly ends: ExchangeEnd[];
}

export class ListensWorld {
  readonly listens: Listens;
  readonly ended: Listen[] = [];
  readonly faults: unknown[] = [];
  /** The lists that were fetched, in order. */
  readonly fetched: ListMethod[] = [];
  readonly shows: Record<ListMethod, Shows> = {
    'tools/list': toolsOf('a'),
    'prompts/list': { result: { prompts: [] } },
    'resources/list': { result: { resources: [] } },
    'resources/templates/list': { result: { resourceTemplates: [] } },
  };
  readonly #world = new ConversationWorld();
  readonly #conversation: Conversation;
  readonly #catalogs = new Map<string, readonly [LinkKey, Catalog]>();
  readonly #config = parseConfig({ upstreams: [{ url: 'http://up.example/sse' }] });

  constructor() {
    const link = new ListLink((method, id) => {
      this.fetched.push(method);
      this.#conversation.message(answerOf(id, this.shows[method]));
    });
    this.#conversation = this.#world.conversation(link);
    this.listens = new Listens({
      timers: this.time,
      isSameCaller: (a, b) => a.caller === b.caller,
      catalogs: () => this.#catalogs.values(),
      maxBacklog: MAX_BACKLOG,
      onEnded: (listen) => this.ended.push(listen),
      onFault: (cause) => this.faults.push(cause),
    });
  }

  get time() {
    return this.#world.time;
  }

  key(principal = 'alice', declares: object | null = null): LinkKey {
    const profile = declares === null ? EMPTY_PROFILE : profileOf(declares, '2025-11-25');
    return linkKey({ key: principal, proof: '' }, profile, 'principal');
  }

  /** Where the lists come from. */
  get source() {
    return {
      config: this.#config,
      paramHeaders: 'strip' as const,
      leased: async () => ({ conversation: this.#conversation, release: () => {} }),
    };
  }

  catalog(key: LinkKey = this.key()): Catalog {
    const known = this.#catalogs.get(key.text);
    if (known !== undefined) return known[1];
    const principal: Principal = { key: key.caller, proof: '' };
    const catalog = new Catalog(this.source, { principal, profile: key.profile });
    catalog.opened(HANDSHAKE);
    this.#catalogs.set(key.text, [key, catalog]);
    return catalog;
  }

  /** A listen that has begun, its lists known as they are now; and that has been told so. */
  async listening(id: string, filter: Partial<SubscriptionFilter>, key = this.key()): Promise<Listener> {
    const listener = await this.begun(id, filter, key);
    this.listens.acknowledge(listener.listen);
    return listener;
  }

  /** One that has not; `isListed`: its client has seen the lists. */
  async begun(id: string, filter: Partial<SubscriptionFilter>, key = this.key(), isListed = true): Promise<Listener> {
    const catalog = this.catalog(key);
    const { lists = [], uris = [] } = filter;
    if (isListed) {
      await catalog.list('tools/list');
      await catalog.list('prompts/list');
      await catalog.list('resources/list');
      await catalog.list('resources/templates/list');
    }
    const sink = new RecordedSink();
    const ends: ExchangeEnd[] = [];
    const exchange = new Exchange({
      id: encode(id),
      sink,
      clock: this.time,
      timers: this.time,
      heartbeatMs: null,
      upstream: 'up',
      onEnd: (end) => ends.push(end),
    });
    const listen: Listen = {
      id: encode(id),
      exchange,
      principal: catalog.of.principal,
      filter: { lists, uris },
      key,
      catalog,
      wants: new CallersWants().hold(key),
      release: () => {},
    };
    this.listens.begin(listen);
    return { listen, exchange, sink, ends };
  }

  /** The upstream says something on a link of this key. True: somebody wants to know. */
  says(method: string, params: object = {}, key = this.key()): boolean {
    return this.listens.heard(key, notificationOf(method, params));
  }

  updated(uri: string, more: object = {}): boolean {
    return this.says('notifications/resources/updated', { uri, ...more });
  }
}

/** What a listen was told after its first message: the method, and the URI where there is one. */
export function toldTo({ sink }: Listener): string[] {
  return sink.notified.slice(1).map((said) => {
    const { method, params } = JSON.parse(said) as { method: string; params: { uri?: string } };
    return [method.replace('notifications/', ''), params.uri ?? []].flat().join(' ');
  });
}
