// What the upstream has, as the callers of one link key see it: its answer to initialize, and its lists, whole. Kept
// only where the upstream tells of changes, and not beyond the last link on which it could.
//
// [spec 2026-07-28 tools] a list "MUST NOT vary" by connection: a legacy server may show another one to every session,
// so all callers of a key are shown the same.

import type { LimitConfig, TimeoutConfig, UpstreamConfig } from '../config/schema.ts';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Principal } from '../domain/principal.ts';
import type { CapabilityProfile } from '../protocol/capability-profile.ts';
import { type Answer, type Result, membersOf, readMessage, textOf } from '../protocol/json-rpc.ts';
import { Scanner } from '../protocol/json-scanner.ts';
import { mergedPages } from '../protocol/merged-pages.ts';
import { modernTools } from '../protocol/modern-tools.ts';
import { type ParamHeader, paramHeadersOf, withoutParamHeaders } from '../protocol/param-headers.ts';
import { type Edit, splice } from '../protocol/splice.ts';
import type { Handshake, ListKind } from '../protocol/upstream-handshake.ts';
import type { Conversation } from './conversation.ts';
import type { Lease, Want } from './lease-rules.ts';
import type { Asked } from './own-requests.ts';

/** The methods whose results are lists, with the kind of change that makes them stale. */
export const LIST_METHODS = {
  'tools/list': { kind: 'tools', member: 'tools' },
  'prompts/list': { kind: 'prompts', member: 'prompts' },
  'resources/list': { kind: 'resources', member: 'resources' },
  'resources/templates/list': { kind: 'resources', member: 'resourceTemplates' },
} as const satisfies Record<string, { kind: ListKind; member: string }>;
export type ListMethod = keyof typeof LIST_METHODS;

export function isListMethod(method: string): method is ListMethod {
  return Object.hasOwn(LIST_METHODS, method);
}

/** The part of a mount from which lists are fetched. */
export interface ListSource {
  readonly config: { readonly timeouts: TimeoutConfig; readonly limits: LimitConfig };
  readonly paramHeaders: UpstreamConfig['paramHeaders'];
  leased(want: Want, signal: AbortSignal): Promise<Lease<Conversation>>;
}

/** Which callers see this catalog. */
export interface CatalogOf {
  readonly principal: Principal;
  readonly profile: CapabilityProfile;
}

/** A list that was fetched: the upstream's result, all pages in one; or its error. */
export type Listed = Answer | ProxyError;

/** Somebody waits for a list. */
export interface Asking {
  readonly listed: Promise<Listed>;
  readonly leave: () => void;
}

interface Loading {
  readonly listed: Promise<Listed>;
  /** What had become stale by then. */
  readonly since: number;
  readonly givingUp: AbortController;
  waiting: number;
}

interface Kept {
  readonly listed: Answer;
  isFresh: boolean;
}

const MAX_PAGES = 1000;

export class Catalog {
  readonly of: CatalogOf;
  readonly #source: ListSource;
  #handshake: Handshake | null = null;
  readonly #lists = new Map<ListMethod, Kept>();
  /** How often something became stale. */
  #staleCount = 0;
  readonly #loading = new Map<ListMethod, Loading>();
  /** Of each tool, as of the last list; null until there is one. */
  #params: ReadonlyMap<string, readonly ParamHeader[]> | null = null;

  constructor(source: ListSource, of: CatalogOf) {
    this.#source = source;
    this.of = of;
  }

  /** The upstream's answer on the youngest link. */
  get handshake(): Handshake | null {
    return this.#handshake;
  }

  /** A link of this key is open. True: another upstream answers than before. */
  opened(handshake: Handshake): boolean {
    const before = this.#handshake;
    this.#handshake = handshake;
    if (before === null || before.offers.identity === handshake.offers.identity) return false;
    this.becameStale();
    return true;
  }

  /** The upstream says so; or, without a kind, nobody could have heard it say so. */
  becameStale(kind?: ListKind): void {
    this.#staleCount++;
    for (const [method, kept] of this.#lists) {
      if (kind === undefined || LIST_METHODS[method].kind === kind) kept.isFresh = false;
    }
  }

  /** The list as it is kept, stale or not. */
  kept(method: ListMethod): Answer | null {
    return this.#lists.get(method)?.listed ?? null;
  }

  /** The list as it is now: one fetch for all who ask at the same time. Never rejects. */
  list(method: ListMethod): Promise<Listed> {
    return this.ask(method).listed;
  }

  /** The same for somebody who may leave: a fetch for which nobody waits any more is given up. */
  ask(method: ListMethod): Asking {
    const kept = this.#lists.get(method);
    if (kept?.isFresh === true) return { listed: Promise.resolve(kept.listed), leave: () => {} };
    const current = this.#loading.get(method);
    // One that was asked for before a change does not show it.
    const loading = current?.since === this.#staleCount ? current : this.#begin(method);
    loading.waiting++;
    let hasLeft = false;
    return {
      listed: loading.listed,
      leave: () => {
        if (hasLeft) return;
        hasLeft = true;
        if (--loading.waiting > 0) return;
        loading.givingUp.abort();
        this.#loaded(method, loading);
      },
    };
  }

  /** The annotated parameters of a tool, from the last list; null where none was fetched. */
  paramHeaders(tool: string): readonly ParamHeader[] | null {
    return this.#params === null ? null : (this.#params.get(tool) ?? []);
  }

  #begin(method: ListMethod): Loading {
    const givingUp = new AbortController();
    const listed = this.#load(method, givingUp.signal);
    const loading: Loading = { listed, since: this.#staleCount, givingUp, waiting: 0 };
    this.#loading.set(method, loading);
    void listed.finally(() => this.#loaded(method, loading)).catch(() => {});
    return loading;
  }

  #loaded(method: ListMethod, loading: Loading): void {
    if (this.#loading.get(method) === loading) this.#loading.delete(method);
  }

  async #load(method: ListMethod, signal: AbortSignal): Promise<Listed> {
    const staleBefore = this.#staleCount;
    try {
      const first = await this.#whole(method, signal);
      // Nothing is done twice by a list that is fetched once more.
      const whole = first === 'lost' && !signal.aborted ? await this.#whole(method, signal) : first;
      if (whole === 'lost')
        return new ProxyError('upstream_session_lost', NO_LIST, { reached: true, outcome: 'unknown' });
      if (whole instanceof ProxyError) return whole;
      if (whole.kind === 'error') {
        // Without a list there is nothing to be known of its tools.
        if (method === 'tools/list') this.#params ??= new Map();
        return whole;
      }
      const listed = method === 'tools/list' ? this.#tools(whole) : whole;
      const isTold = this.#handshake?.offers.listChanges.includes(LIST_METHODS[method].kind) === true;
      // What became stale while it was on its way is so when it comes.
      this.#lists.set(method, { listed, isFresh: isTold && this.#staleCount === staleBefore });
      return listed;
    } catch (thrown) {
      return asProxyError(thrown);
    }
  }

  async #whole(method: ListMethod, signal: AbortSignal): Promise<Listed | 'lost'> {
    const lease = await this.#source.leased({ ...this.of, exclusive: false, mayAskBack: false }, signal);
    try {
      return await this.#pages(method, lease.conversation, signal);
    } finally {
      lease.release('reuse');
    }
  }

  async #pages(method: ListMethod, conversation: Conversation, signal: AbortSignal): Promise<Listed | 'lost'> {
    const { timeouts, limits } = this.#source.config;
    const pages: Result[] = [];
    let bytes = 0;
    let cursor: string | null = null;
    let hasCursor = false;
    const seen = new Set<string>();
    do {
      // oxlint-disable-next-line no-await-in-loop -- each page names the next
      const answer: Asked = await conversation.request(
        method,
        cursor === null ? {} : { cursor },
        timeouts.request,
        signal,
      );
      if (answer === 'lost') return answer;
      if (answer instanceof ProxyError) return answer;
      if (answer === 'rejected') return new ProxyError('post_rejected', NO_LIST, { reached: true });
      if (answer === 'silent') return overLimit('request_timeout', 'timeouts.request', NO_LIST, { reached: true });
      if (answer.kind === 'error') return answer;
      pages.push(answer);
      bytes += answer.bytes.length;
      const next = membersOf(answer, answer.result, CURSOR)?.members.get('nextCursor');
      cursor = next?.kind === 'string' ? textOf(answer.bytes, next) : null;
      hasCursor = next !== undefined;
      // Some servers say the empty cursor for the end, and would say it for ever.
      if (cursor === '' && seen.has(cursor)) cursor = null;
      if (cursor !== null && seen.has(cursor)) {
        return new ProxyError('upstream_result_invalid', 'the upstream’s list goes in circles', { reached: true });
      }
      if (cursor !== null) seen.add(cursor);
    } while (cursor !== null && pages.length < MAX_PAGES && bytes <= limits.upstreamMessageBytes);
    if (cursor !== null) {
      const why = `the upstream’s list has more than ${MAX_PAGES} pages or limits.upstreamMessageBytes`;
      const limit = 'limits.upstreamMessageBytes';
      return new ProxyError('upstream_message_too_large', why, { reached: true, limit });
    }
    const [first] = pages;
    if (first !== undefined && pages.length === 1 && !hasCursor) return first;
    return resultOf(mergedPages(pages, LIST_METHODS[method].member));
  }

  /** Tools as clients of this revision are shown them; what their parameters want of headers is kept. */
  #tools(answer: Result): Result {
    const shown = resultOf(Buffer.concat(splice(answer.bytes, modernTools(answer))));
    const isHonoured = this.#source.paramHeaders === 'honour';
    const params = new Map<string, readonly ParamHeader[]>();
    const edits: Edit[] = [];
    for (const tool of elements(shown, 'tools')) {
      const name = membersOf(shown, tool, NAME)?.members.get('name');
      const headers = paramHeadersOf(shown.bytes, tool);
      // [spec 2026-07-28 transports] clients must drop a tool whose annotations are not valid: without them it is fine.
      if (!isHonoured || headers === 'invalid')
        for (const edit of withoutParamHeaders(shown.bytes, tool)) edits.push(edit);
      else if (headers.length > 0 && name?.kind === 'string') params.set(textOf(shown.bytes, name), headers);
    }
    this.#params = params;
    return edits.length === 0 ? shown : resultOf(Buffer.concat(splice(shown.bytes, edits)));
  }
}

const NO_LIST = 'the upstream did not answer with its list';
const CURSOR = new Set(['nextCursor']);
const NAME = new Set(['name']);

function resultOf(bytes: Uint8Array): Result {
  const message = readMessage(bytes, { maxDepth: Number.POSITIVE_INFINITY });
  if (message.kind !== 'result') throw new Error('a list that is put together is a result');
  return message;
}

function* elements(answer: Result, name: string) {
  const array = membersOf(answer, answer.result, new Set([name]))?.members.get(name);
  if (array?.kind !== 'array') return;
  const scanner = new Scanner(answer.bytes, Number.POSITIVE_INFINITY);
  scanner.at = array.start + 1;
  scanner.skipSpace();
  while (answer.bytes[scanner.at] !== 0x5d) {
    const element = scanner.value(0);
    if (element.kind === 'object') yield element;
    scanner.skipSpace();
    if (answer.bytes[scanner.at] === 0x2c) scanner.at++;
    scanner.skipSpace();
  }
}
