// The open `subscriptions/listen` of one mount. Each is told what the links of its principal say, as a hint: an upstream
// says the same on every link, and some say it whenever a link opens. So copies are merged, and a list is fetched before
// anybody is told that it has changed.

import type { Exchange } from '../bridge/exchange.ts';
import { ProxyError, noLongerServed } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Timer, Timers } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import type { Notification } from '../protocol/json-rpc.ts';
import { textOf } from '../protocol/json-rpc.ts';
import {
  type SubscriptionFilter,
  acknowledged,
  changedList,
  listChanged,
  listenResult,
  resourceUpdated,
  tagged,
} from '../protocol/subscription.ts';
import type { ListKind } from '../protocol/upstream-handshake.ts';
import type { LinkKey } from '../upstream/link-key.ts';
import type { Catalog, ListMethod, Listed } from './catalog.ts';
import type { ListenWants } from './callers-wants.ts';

export interface Listen {
  /** The client's own bytes. */
  readonly id: Uint8Array;
  readonly exchange: Exchange;
  /** Whose it is. Others may see the same catalog. */
  readonly principal: Principal;
  /** What it will hear; less than this once the upstream has refused some of it. */
  filter: SubscriptionFilter;
  key: LinkKey;
  catalog: Catalog;
  wants: ListenWants;
  /** Gives back what is kept open for it. */
  readonly release: () => void;
}

export interface ListensOptions {
  readonly timers: Timers;
  /** Links of which keys the same caller's words may come on: all of them, where callers share links. */
  readonly isSameCaller: (a: LinkKey, b: LinkKey) => boolean;
  /** Every catalog of the mount, by the key of its links. */
  readonly catalogs: () => Iterable<readonly [LinkKey, Catalog]>;
  /** Bytes of a slow client that may wait. */
  readonly maxBacklog: number;
  readonly onEnded: (listen: Listen) => void;
  /** A bug of ours; nobody else would hear of it. */
  readonly onFault: (cause: unknown) => void;
}

interface Telling {
  readonly message: (id: Uint8Array) => Uint8Array[];
  /** The upstream may have refused what it is about. */
  readonly isStillFor: (filter: SubscriptionFilter) => boolean;
}

/** One change comes once per link; 41 copies were seen. */
const MERGE_MS = 25;

export class Listens {
  readonly #options: ListensOptions;
  readonly #open = new Set<Listen>();
  /** What has to wait for the acknowledgement, of those that have none yet. */
  readonly #waiting = new Map<Listen, Map<string, Telling>>();
  #isOver = false;
  /** Changes that are about to be told: of lists by their catalog, of resources by who is told. */
  readonly #merging = new Map<Catalog | Listen, Map<string, Timer>>();
  readonly #checking = new WeakMap<Catalog, Map<ListKind, { isAgain: boolean; isCertain: boolean }>>();
  /** The lists as those who listen know them: their results, by method. */
  readonly #known = new Map<Catalog, Map<ListMethod, Uint8Array | null>>();

  constructor(options: ListensOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#open.size;
  }

  get all(): Iterable<Listen> {
    return this.#open;
  }

  /** What is heard from now on is for it too; it is told once it is acknowledged. */
  begin(listen: Listen): void {
    this.#open.add(listen);
    this.#waiting.set(listen, new Map());
    const known = this.#knownTo(listen);
    // What the client may have seen already; a list that nobody was shown cannot have changed for anybody.
    for (const method of methodsOf(listen.filter)) {
      const kept = listen.catalog.kept(method);
      if (kept !== null && !known.has(method)) known.set(method, resultIn(kept));
    }
    listen.exchange.attend(() => this.#end(listen));
    if (this.#isOver) this.#finish(listen);
  }

  /** Its first message, and what has waited for that. */
  acknowledge(listen: Listen): void {
    const waiting = this.#waiting.get(listen);
    if (!this.#open.has(listen) || waiting === undefined) return;
    const { catalog, filter, id, exchange } = listen;
    const known = this.#knownTo(listen);
    for (const method of methodsOf(filter)) {
      if (!known.has(method)) known.set(method, resultIn(catalog.kept(method)));
    }
    exchange.notify(acknowledged(id, filter));
    this.#waiting.delete(listen);
    for (const { isStillFor, message } of waiting.values()) {
      if (isStillFor(listen.filter)) this.#tell([listen], message);
    }
  }

  /** It hears on another link from now on, where its lists may be others. */
  moved(listen: Listen, key: LinkKey, catalog: Catalog): void {
    const before = this.#knownTo(listen);
    listen.key = key;
    listen.catalog = catalog;
    const known = this.#knownTo(listen);
    for (const [method, list] of before) if (!known.has(method)) known.set(method, list);
    for (const kind of listen.filter.lists) this.#checkList(catalog, kind, false);
    this.#forgetUnused();
  }

  /** Something has changed, says a link of this key. False: nobody wants to know. */
  heard(key: LinkKey, message: Notification): boolean {
    const kind = changedList(message.method);
    const { isSameCaller, catalogs } = this.#options;
    if (kind !== null) {
      // Before anybody is told: who hears of it lists at once.
      for (const [of, catalog] of catalogs()) if (isSameCaller(of, key)) catalog.becameStale(kind);
    }
    const concerned = [...this.#open].filter((listen) => isSameCaller(listen.key, key));
    if (kind !== null) {
      const telling = concerned.filter(({ filter }) => filter.lists.includes(kind));
      for (const catalog of new Set(telling.map((listen) => listen.catalog))) this.#checkList(catalog, kind, false);
      return telling.length > 0;
    }
    if (message.method !== 'notifications/resources/updated') return false;
    const uri = message.params?.members.get('uri');
    if (uri?.kind !== 'string') return false;
    const updated = textOf(message.bytes, uri);
    const telling = concerned.filter(({ filter }) => filter.uris.some((wanted) => isPartOf(updated, wanted)));
    const isFor = ({ uris }: SubscriptionFilter): boolean => uris.some((wanted) => isPartOf(updated, wanted));
    for (const listen of telling) {
      this.#merge(listen, updated, () => {
        // What waits is not kept: it may be large, and many.
        const waiting = this.#waiting.get(listen);
        if (waiting === undefined) this.#tell([listen], (id) => tagged(message, id));
        else waiting.set(updated, { message: (id) => resourceUpdated(updated, id), isStillFor: isFor });
      });
    }
    return telling.length > 0;
  }

  /** The links of this key were gone for a while: whatever has changed meanwhile, nobody has heard of it. */
  resumed(catalog: Catalog): void {
    const kinds = new Set<ListKind>();
    for (const listen of this.#open) {
      if (listen.catalog !== catalog) continue;
      for (const uri of listen.filter.uris) this.#tell([listen], (id) => resourceUpdated(uri, id));
      for (const kind of listen.filter.lists) kinds.add(kind);
    }
    for (const kind of kinds) this.#checkList(catalog, kind, true);
  }

  endThose(areMeant: (listen: Listen) => boolean): void {
    for (const listen of this.#open) if (areMeant(listen)) this.#finish(listen);
  }

  /** Ends all of them, in a way that their clients take for a good end. */
  endAll(): void {
    this.#isOver = true;
    for (const listen of this.#open) this.#finish(listen);
    for (const timers of this.#merging.values()) for (const timer of timers.values()) timer.cancel();
    this.#merging.clear();
    this.#known.clear();
  }

  /** `isCertain`: told even if the list looks as before. */
  #checkList(catalog: Catalog, kind: ListKind, isCertain: boolean): void {
    const checking = this.#checking.get(catalog) ?? new Map<ListKind, { isAgain: boolean; isCertain: boolean }>();
    const current = checking.get(kind);
    if (current !== undefined) {
      // One fetch at a time; what is said meanwhile is looked at once more behind it.
      current.isAgain = true;
      current.isCertain ||= isCertain;
      return;
    }
    this.#merge(catalog, `${kind} ${isCertain}`, () => {
      const own = { isAgain: false, isCertain: false };
      if (checking.has(kind)) {
        this.#checkList(catalog, kind, isCertain);
        return;
      }
      checking.set(kind, own);
      this.#checking.set(catalog, checking);
      const methods = METHODS_OF[kind];
      const checked = Promise.all(methods.map((method) => catalog.list(method))).then((lists) => {
        const isNew = lists.map((listed, index) => this.#isNews(catalog, methods[index], listed)).includes(true);
        if (!isNew && !isCertain) return;
        const telling = [...this.#open].filter(
          (listen) => listen.catalog === catalog && listen.filter.lists.includes(kind),
        );
        this.#tell(
          telling,
          (id) => listChanged(kind, id),
          ({ lists: kinds }) => kinds.includes(kind),
          `list of ${kind}`,
        );
      });
      checked
        .catch((cause: unknown) => this.#options.onFault(cause))
        .finally(() => {
          checking.delete(kind);
          if (own.isAgain && !this.#isOver) this.#checkList(catalog, kind, own.isCertain);
        });
    });
  }

  /** Whether a list is another one than those who listen know. What cannot be fetched may be. */
  #isNews(catalog: Catalog, method: ListMethod | undefined, listed: Listed): boolean {
    const known = this.#known.get(catalog);
    if (known === undefined || method === undefined) return false;
    if (listed instanceof ProxyError) return true;
    const before = known.get(method);
    const after = resultIn(listed);
    known.set(method, after);
    // Nobody can have seen another one.
    if (before === undefined) return false;
    return before === null || after === null ? before !== after : Buffer.compare(before, after) !== 0;
  }

  #merge(about: Catalog | Listen, what: string, act: () => void): void {
    const timers = this.#merging.get(about) ?? new Map<string, Timer>();
    if (timers.has(what)) return;
    this.#merging.set(about, timers);
    const fire = (): void => {
      timers.delete(what);
      if (timers.size === 0) this.#merging.delete(about);
      act();
    };
    timers.set(what, this.#options.timers.after(MERGE_MS, fire));
  }

  #tell(
    listens: Iterable<Listen>,
    message: Telling['message'],
    isStillFor: Telling['isStillFor'] = () => true,
    what = '',
  ): void {
    for (const listen of listens) {
      if (!this.#open.has(listen)) continue;
      const waiting = this.#waiting.get(listen);
      if (waiting !== undefined) {
        waiting.set(what, { message, isStillFor });
        continue;
      }
      const { exchange } = listen;
      exchange.notify(message(listen.id));
      if (exchange.backlogBytes <= this.#options.maxBacklog) continue;
      const error = overLimit('slow_reader', 'limits.streamBacklogBytes', 'the listen was not read fast enough');
      this.failed(listen, error);
    }
  }

  /** Ends it with a failure. */
  failed(listen: Listen, error: ProxyError): void {
    listen.exchange.attend(null);
    listen.exchange.finish({ kind: 'error', error });
    this.#end(listen);
  }

  #finish(listen: Listen): void {
    const { exchange, id } = listen;
    exchange.attend(null);
    // Nothing comes before the acknowledgement. [spec 2026-07-28 subscriptions] a server that ends a listen "SHOULD" send
    // its result first.
    const isNew = this.#waiting.has(listen);
    exchange.finish(isNew ? { kind: 'error', error: noLongerServed() } : { kind: 'own', result: listenResult(id) });
    this.#end(listen);
  }

  #end(listen: Listen): void {
    if (!this.#open.delete(listen)) return;
    this.#waiting.delete(listen);
    this.#forgetUnused();
    this.#options.onEnded(listen);
  }

  #knownTo({ catalog }: Listen): Map<ListMethod, Uint8Array | null> {
    const known = this.#known.get(catalog) ?? new Map<ListMethod, Uint8Array | null>();
    this.#known.set(catalog, known);
    return known;
  }

  #forgetUnused(): void {
    const used = new Set([...this.#open].map(({ catalog }) => catalog));
    for (const catalog of this.#known.keys()) if (!used.has(catalog)) this.#known.delete(catalog);
  }
}

const METHODS_OF: Readonly<Record<ListKind, readonly ListMethod[]>> = {
  tools: ['tools/list'],
  prompts: ['prompts/list'],
  resources: ['resources/list', 'resources/templates/list'],
};

function methodsOf({ lists }: SubscriptionFilter): ListMethod[] {
  return lists.flatMap((kind) => METHODS_OF[kind]);
}

/** [spec 2026-07-28 schema] of an updated URI: it may be a sub-resource of the one that was named. */
function isPartOf(uri: string, wanted: string): boolean {
  return uri === wanted || uri.startsWith(wanted.endsWith('/') ? wanted : `${wanted}/`);
}

/** Without the message around it, which has an id of its own. Null: there is no such list. */
function resultIn(listed: Listed | null): Uint8Array | null {
  if (listed === null || listed instanceof ProxyError || listed.kind === 'error') return null;
  return listed.bytes.subarray(listed.result.start, listed.result.end);
}
