// What one mount keeps for clients of 2026-07-28, who keep nothing with it themselves: calls that are held for their
// answers, listens, and what the upstream has, as the callers of each link key see it.

import type { Config } from '../config/schema.ts';
import { noLongerServed } from '../domain/errors.ts';
import type { Journal, Random, Timers } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import type { CapabilityProfile } from '../protocol/capability-profile.ts';
import type { Notification } from '../protocol/json-rpc.ts';
import type { ReplayClaims, RoundClaims, TokenSealer } from '../protocol/sealed-token.ts';
import type { Handshake } from '../protocol/upstream-handshake.ts';
import type { LinkKey } from '../upstream/link-key.ts';
import type { Budgets } from './budgets.ts';
import { Catalog, type ListSource } from './catalog.ts';
import { HeldCalls } from './held-calls.ts';
import { type Listen, Listens } from './listens.ts';
import { CallersWants, type ListenWants, onOnlyLink } from './callers-wants.ts';
import type { Tally } from './tally.ts';
import type { SharedWants } from './wants.ts';

/** The mount, as far as it concerns this. */
export interface Links extends ListSource {
  readonly name: string;
  readonly timers: Timers;
  readonly config: Config;
  readonly isSingle: boolean;
  readonly onlyLink: { readonly wants: SharedWants };
  key(principal: Principal, profile: CapabilityProfile): LinkKey;
  readonly journal: Journal;
  readonly unfinished: Tally;
  hasLongWaiter(key: LinkKey): boolean;
  /** `wants`: of the caller of this key. */
  tellListened(key: LinkKey, wants: SharedWants | null): void;
}

export interface ModernFaceOptions {
  readonly mount: Links;
  readonly random: Random;
  readonly sealer: TokenSealer;
  readonly owner: string;
  /** Seconds since 1970. */
  readonly wallSeconds: () => number;
  readonly budgets: Budgets;
}

interface ByKey {
  readonly key: LinkKey;
  readonly catalog: Catalog;
  /** The last link of this key is closed, and none has opened since. */
  isDown: boolean;
}

/** Link keys that are remembered without a listen: one per principal and set of capabilities. */
const MAX_KEYS = 1000;

export class ModernFace {
  readonly held: HeldCalls;
  readonly listens: Listens;
  readonly #options: ModernFaceOptions;
  /** The one used last at the end. */
  readonly #byKey = new Map<string, ByKey>();
  /** By caller: a change may be told on the link alone that has caused it, whatever its key. */
  readonly #wants = new CallersWants();

  constructor(options: ModernFaceOptions) {
    this.#options = options;
    const { timers, config } = options.mount;
    this.held = new HeldCalls({
      timers,
      tally: options.mount.unfinished,
      budgets: options.budgets,
      ttlMs: config.timeouts.round,
      maxOfKey: Math.max(1, Math.floor(config.links.max / 2)),
      maxInAll: Math.max(1, Math.floor(config.links.maxTotal / 2)),
      maxKeptBytes: 4 * config.limits.upstreamMessageBytes,
      isAwaited: (key) => options.mount.hasLongWaiter(key),
      onLetGo: (detail, limit) => {
        const { journal, name: upstream } = options.mount;
        journal.record({ fact: 'dropped', upstream, what: 'abandoned_round', detail, ...(limit && { limit }) });
      },
    });
    this.listens = new Listens({
      timers,
      isSameCaller: (a, b) => a.caller === b.caller,
      catalogs: () => [...this.#byKey.values()].map(({ key, catalog }) => [key, catalog] as const),
      maxBacklog: config.limits.streamBacklogBytes,
      onEnded: (listen) => this.#listenEnded(listen),
      onFault: (cause) => {
        options.mount.journal.record({ fact: 'fault', upstream: options.mount.name, cause });
      },
    });
  }

  /** What callers of this principal who declare this can see. */
  catalog(principal: Principal, profile: CapabilityProfile): Catalog {
    return this.#of(this.#options.mount.key(principal, profile), principal).catalog;
  }

  /** What all listens of the caller of this key want of the upstream; null: nothing. */
  wants(key: LinkKey): SharedWants | null {
    return this.#wants.of(key);
  }

  /** What one listen is to want, counted among those of its caller until it ends. */
  newWants(key: LinkKey): ListenWants {
    const { mount } = this.#options;
    return mount.isSingle ? onOnlyLink(mount.onlyLink.wants) : this.#wants.hold(key);
  }

  // Sealed states

  sealRound(principal: Principal, held: string, round: number, digest: string): string {
    return this.#options.sealer.seal({ kind: 'round', held, round, digest, ...this.#sealed(principal) });
  }

  sealReplay(principal: Principal, digest: string): string {
    return this.#options.sealer.seal({ kind: 'replay', digest, ...this.#sealed(principal) });
  }

  /** What a state of ours says that was given to this caller for this request; else null, whatever is wrong with it. */
  openState(token: string, principal: Principal, digest: () => string): RoundClaims | ReplayClaims | null {
    const { sealer, owner, wallSeconds, mount } = this.#options;
    const claims = sealer.open('state', token, wallSeconds());
    if (claims === null) return null;
    // A call that is only to be made once more can be made by any process that has our secrets.
    const isHere = claims.kind === 'replay' || claims.owner === owner;
    const isTheirs = claims.mount === mount.name && claims.principal === principal.key;
    return isHere && isTheirs && claims.digest === digest() ? claims : null;
  }

  /** A call is held here under this state, whoever asks and whatever else is wrong with it. */
  holds(state: string): boolean {
    const { sealer, wallSeconds } = this.#options;
    const claims = sealer.open('state', state, wallSeconds());
    return claims?.kind === 'round' && this.held.find(claims.held) !== null;
  }

  newHeldId(): string {
    return Buffer.from(this.#options.random.bytes(16)).toString('base64url');
  }

  // What becomes of links

  linkOpened(key: LinkKey, handshake: Handshake): void {
    const known = this.#byKey.get(key.text);
    if (known === undefined) return;
    const isAnother = known.catalog.opened(handshake);
    if (known.isDown || isAnother) this.listens.resumed(known.catalog);
    known.isDown = false;
  }

  /** It may have opened before anybody of 2026-07-28 came. */
  linkLeased(key: LinkKey, handshake: Handshake): void {
    const catalog = this.#byKey.get(key.text)?.catalog;
    if (catalog?.handshake === null) catalog.opened(handshake);
  }

  /** `left`: links of this key that are still open. Without any, nobody hears of changes. */
  linkClosed(key: LinkKey, left: number): void {
    const known = this.#byKey.get(key.text);
    if (known === undefined || left > 0) return;
    known.catalog.becameStale();
    known.isDown = true;
  }

  /** See ConversationContext. */
  changed(key: LinkKey | undefined, message: Notification): boolean {
    return key !== undefined && this.listens.heard(key, message);
  }

  /**
   * A caller has waited long for a link of this key. `isCrowdedOut`: there is none because links of other keys take up
   * all the room.
   */
  makeRoom(key: LinkKey, isCrowdedOut: boolean): void {
    if (!this.held.evictOldest(key) && isCrowdedOut) this.held.evictOldest();
  }

  /** The mount runs on one link: what was known of others is of no use, and listens move there. */
  becameSingle(): void {
    const { mount } = this.#options;
    this.#byKey.forEach(({ catalog }) => catalog.becameStale());
    // Their calls run on links that are about to end, and would be taken for the one that asks.
    this.held.end('the mount runs on one link now');
    for (const listen of this.listens.all) {
      const uris = [...listen.wants.uris];
      listen.wants.end();
      listen.wants = onOnlyLink(mount.onlyLink.wants);
      for (const uri of uris) listen.wants.subscribe(uri);
      const { principal } = listen;
      const { profile } = listen.catalog.of;
      this.listens.moved(listen, mount.key(principal, profile), this.catalog(principal, profile));
    }
  }

  close(): void {
    this.listens.endAll();
    this.held.end(noLongerServed().message);
  }

  #sealed(principal: Principal) {
    const { owner, mount, wallSeconds } = this.#options;
    return {
      owner,
      mount: mount.name,
      principal: principal.key,
      // In whole seconds, of which the present one has passed in part.
      expiresAt: wallSeconds() + Math.ceil(mount.config.timeouts.round / 1000) + 1,
    };
  }

  #of(key: LinkKey, principal: Principal): ByKey {
    let known = this.#byKey.get(key.text);
    if (known === undefined) {
      const { mount } = this.#options;
      known = {
        key,
        catalog: new Catalog(mount, { principal, profile: key.profile }),
        isDown: false,
      };
    } else {
      this.#byKey.delete(key.text);
    }
    this.#byKey.set(key.text, known);
    if (this.#byKey.size > MAX_KEYS) this.#forgetOldest();
    return known;
  }

  #forgetOldest(): void {
    const inUse = new Set([...this.listens.all].map(({ catalog }) => catalog));
    for (const [text, { catalog }] of this.#byKey) {
      if (inUse.has(catalog)) continue;
      this.#byKey.delete(text);
      return;
    }
  }

  #listenEnded({ wants, key, release }: Listen): void {
    const hasWanted = wants.uris.size > 0;
    const shared = this.wants(key);
    wants.end();
    release();
    if (hasWanted) this.#options.mount.tellListened(key, shared);
  }
}
