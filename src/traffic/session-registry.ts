// All sessions of all mounts: made, found (the principal is checked), expired, ended.

import type { Config } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import { sessionId } from '../domain/ids.ts';
import type { Clock, Random, Timer, Timers } from '../domain/ports.ts';
import type { SessionStore, TakenSession } from '../domain/session-store.ts';
import type { SessionEnd } from '../domain/states.ts';
import { ANYONE, type Principal, inboundKeyOf } from '../domain/principal.ts';
import { profileOf, sessionCapabilities } from '../protocol/capability-profile.ts';
import { negotiate } from '../protocol/eras.ts';
import { readInitialize } from '../protocol/initialize-request.ts';
import { type Request, encode } from '../protocol/json-rpc.ts';
import type { TokenSealer } from '../protocol/sealed-token.ts';
import type { Budgets } from './budgets.ts';
import { KeptSessions, recordOf } from './kept-sessions.ts';
import { MemoryEventStore } from './memory-event-store.ts';
import { MirroredEvents } from './mirrored-events.ts';
import type { Mount } from './mount.ts';
import { SessionStreams } from './session-streams.ts';
import { Session, type SessionLimit, type SessionOptions } from './session.ts';

export interface RegistryOptions {
  /** Of this moment, over all mounts. */
  readonly limits: () => Pick<Config['limits'], 'sessions' | 'bufferedBytes'>;
  readonly budgets: Budgets;
  /** Bytes of events that one caller’s sessions may keep, at this moment; 0: no budget. */
  readonly bytesOfCaller: () => number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Seconds since 1970, for the expiry inside the tokens. */
  readonly wallSeconds: () => number;
  readonly sealer: TokenSealer;
  /** The replica that holds the links: this process. */
  readonly owner: string;
  /** How large the heap may grow. */
  readonly heapBytes: number;
  /** Where copies of sessions are kept; null: nowhere. */
  readonly store?: SessionStore | null;
  /** Another replica has taken a session over; null: it is not known which. */
  readonly onMoved?: (id: string, owner: string | null) => void;
  /** It is over, and nobody is to go on with it. */
  readonly onEnded?: (id: string) => void;
}

const NONCE_BYTES = 16;
const SWEEP_MS = 30_000;
/** Each owner of a session numbers what its client is told from here on: none repeats a number of another. */
const NUMBERS_OF_OWNER = 1_000_000_000;

export class SessionRegistry {
  readonly #options: RegistryOptions;
  readonly #events: MemoryEventStore;
  readonly #sessions = new Map<string, Session>();
  /** What ends with them. */
  readonly #givenBack = new Map<Session, () => void>();
  readonly #mirrored = new WeakMap<Session, MirroredEvents>();
  /** Null: no copies are kept. */
  readonly #kept: KeptSessions | null;
  #sweep: Timer | null = null;
  #isSendingAway = false;
  #isHandingOver = false;
  /** Who is to be told when a session has left. */
  readonly #awaited = new WeakMap<Session, readonly (() => void)[]>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    const { store = null, timers, wallSeconds } = options;
    this.#kept =
      store &&
      new KeptSessions({
        store,
        timers,
        wallMs: () => wallSeconds() * 1000,
        onMoved: (session, owner) => {
          this.end(session, 'moved');
          options.onMoved?.(session.id, owner);
        },
      });
    const { bufferedBytes } = options.limits();
    this.#events = new MemoryEventStore({
      maxBytes: bufferedBytes > 0 ? bufferedBytes : options.heapBytes / 4,
      maxBytesOfOwner: options.bytesOfCaller,
      clock: options.clock,
    });
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Bytes kept for all sessions. */
  get bufferedBytes(): number {
    return this.#events.bytes;
  }

  /** Whether this is the id of a live session of the caller: to others it is unknown, in whatever they ask. */
  has(id: string, mount: Mount, principal: Principal): boolean {
    const session = this.#sessions.get(id);
    return session !== undefined && isTheirs(session, principal) && session.mount.name === mount.name;
  }

  /** A session for this initialize, not yet open. Throws a ProxyError. */
  create(mount: Mount, principal: Principal, request: Request): Session {
    const refusal = this.refusal(principal);
    if (refusal !== null) throw refusal;
    const { random, wallSeconds, sealer, owner } = this.#options;
    const { requested, capabilities, clientInfo } = readInitialize(request);
    const revision = negotiate(requested);
    const declared = mount.declares(capabilities);
    const id = sessionId(
      sealer.seal({
        kind: 'session',
        owner,
        mount: mount.name,
        principal: principal.key,
        nonce: Buffer.from(random.bytes(NONCE_BYTES)).toString('base64url'),
        expiresAt: wallSeconds() + Math.ceil(mount.config.timeouts.sessionMax / 1000),
      }),
    );
    const offer = { revision, capabilities: sessionCapabilities(declared, revision), clientInfo };
    const profile = profileOf(JSON.parse(utf8.decode(declared)), revision);
    return this.#add({ id, mount, principal, revision, profile, offer }, null);
  }

  /**
   * A session whose owner is gone, from what was kept of it: it lives here from now on. Null: it is none of this mount.
   */
  adopt(mount: Mount, principal: Principal, id: string, taken: TakenSession): Session | null {
    const record = recordOf(taken, mount);
    if (record === null) return null;
    const { wallSeconds } = this.#options;
    const capabilities = encode(record.capabilities);
    const offer = { revision: record.offered, capabilities, clientInfo: encode(record.clientInfo) };
    const profile = profileOf(JSON.parse(record.capabilities), record.revision);
    const { revision } = record;
    const ageMs = Math.max(0, wallSeconds() * 1000 - record.createdAt);
    const earlier = { record, ageMs, events: taken.events };
    return this.#add({ id: sessionId(id), mount, principal, revision, profile, offer, earlier }, taken);
  }

  /** Why one more session would be too many; null: it would not. */
  refusal(principal: Principal): ProxyError | null {
    const { limits, budgets } = this.#options;
    if (this.#sessions.size >= limits().sessions) {
      return overLimit('sessions_limit', 'limits.sessions', 'too many sessions are open', {
        outcome: 'not_executed',
      });
    }
    return budgets.refusal('sessions', principal);
  }

  #add(options: Omit<SessionOptions, 'store' | 'streams'>, taken: TakenSession | null): Session {
    const { mount, principal, revision } = options;
    const { random, budgets, timers } = this.#options;
    const { journal, name: upstream, config: own } = mount;
    const caller = inboundKeyOf(principal);
    const events = this.#events.open(own.streams, caller === ANYONE.key ? null : caller, (limit) => {
      journal.record({ fact: 'dropped', upstream, what: 'unsent_event', limit });
    });
    const store = this.#kept === null ? events : new MirroredEvents(events);
    // Nothing is kept of it before it is there.
    let made: Session | null = null;
    const onChange = (): void => {
      if (made !== null) this.#kept?.changed(made);
    };
    const firstNumber = ((taken?.lease.fence ?? 1) - 1) * NUMBERS_OF_OWNER + 1;
    const session = new Session({
      ...options,
      store: events,
      firstNumber,
      onChange,
      // What the call has come to is still to be said.
      onIdle: () => {
        if (this.#isHandingOver) timers.after(0, () => this.#handOverIfIdle(session));
      },
      streams: new SessionStreams({
        store,
        timers: mount.timers,
        random,
        config: own.streams,
        heartbeatMs: own.heartbeat,
        primes: revision >= PRIMED_FROM,
        firstId: firstNumber,
        onChange,
      }),
    });
    made = session;
    this.#sessions.set(session.id, session);
    if (store instanceof MirroredEvents) this.#mirrored.set(session, store);
    this.#givenBack.set(session, budgets.take('sessions', principal));
    this.#sweep ??= timers.after(SWEEP_MS, () => this.#expire());
    if (taken !== null) this.#keep(session, taken);
    return session;
  }

  #keep(session: Session, taken: TakenSession | null): void {
    const events = this.#mirrored.get(session);
    if (events !== undefined) this.#kept?.keep(session, events, taken);
  }

  /** What has to be known to go on with a session here: see Directory. */
  sought(id: string, mount: Mount, principal: Principal) {
    return {
      id,
      principal: principal.key,
      upstream: mount.name,
      events: mount.config.streams,
      isHere: () => this.has(id, mount, principal),
      refusal: () => this.refusal(principal),
      adopt: (taken: TakenSession) => this.adopt(mount, principal, id, taken) !== null,
    };
  }

  /** It is open: from now on a copy is kept. Null: there is nothing to wait for before its client hears of it. */
  opened(session: Session): Promise<void> | null {
    if (this.#kept === null) return null;
    this.#keep(session, null);
    return this.#kept.store.isUp ? this.#kept.written(session) : null;
  }

  /** Before it is served: resolves when it is known whether another replica has it by now. Null: there is no doubt. */
  sure(id: string): Promise<void> | null {
    const session = this.#kept === null ? undefined : this.#sessions.get(id);
    return session === undefined ? null : (this.#kept?.sure(session) ?? null);
  }

  /**
   * The live session behind a header. A forged, foreign, ended or expired id is an unknown one: the same answer by the
   * same path. The text itself is the secret, so finding it is enough; opening the seal would only tell us its owner.
   * `isOfWhatRuns`: nothing new is asked, so a session whose mount is on its way out is known as well.
   */
  find(id: string, mount: Mount, principal: Principal, isOfWhatRuns = false): Session {
    const session = this.#sessions.get(id);
    if (
      session === undefined ||
      !isTheirs(session, principal) ||
      (this.#isSendingAway && !isOfWhatRuns) ||
      (session.mount !== mount && !(isOfWhatRuns && session.mount.name === mount.name))
    ) {
      throw new ProxyError('session_unknown', 'unknown or ended session: send initialize again');
    }
    session.calledBy(principal);
    return session;
  }

  end(session: Session, why: SessionEnd, limit?: SessionLimit): void {
    const isKept = why === 'shutdown' || why === 'moved';
    this.#kept?.end(session, isKept ? why : 'over');
    if (!isKept) this.#options.onEnded?.(session.id);
    session.end(why, limit);
    this.#sessions.delete(session.id);
    for (const tell of this.#awaited.get(session) ?? []) tell();
    this.#givenBack.get(session)?.();
    this.#givenBack.delete(session);
  }

  /**
   * Sessions end here, to go on with another replica: those without a call at once, the others when their last call has its
   * outcome. Without a store they would end for good: see sendAway.
   */
  handOver(): void {
    this.#isHandingOver = true;
    for (const session of this.#sessions.values()) this.#handOverIfIdle(session);
  }

  /**
   * Until a session that is to be handed over has left: nothing new is begun in it here, or it would never come to that.
   * Null: nothing is to be waited for.
   */
  leaving(id: string, mount: Mount, principal: Principal): Promise<void> | null {
    const session = this.#isHandingOver && this.has(id, mount, principal) ? this.#sessions.get(id) : undefined;
    if (session === undefined) return null;
    return new Promise((resolve) => {
      this.#awaited.set(session, [...(this.#awaited.get(session) ?? []), resolve]);
    });
  }

  #handOverIfIdle(session: Session): void {
    if (this.#isHandingOver && session.state.phase === 'live' && session.isIdle) this.end(session, 'shutdown');
  }

  /**
   * From now on sessions take what belongs to what runs in them, and to all else are unknown: their clients begin anew, with
   * another replica.
   */
  sendAway(): void {
    this.#isSendingAway = true;
  }

  endThose(areMeant: (session: Session) => boolean, why: 'reloaded' | 'shutdown'): void {
    for (const session of this.#sessions.values()) if (areMeant(session)) this.end(session, why);
  }

  /** After a reload: a session ends with who used it last, a stream with who opened it. */
  turnOut(upstream: string, isLetIn: (principal: Principal) => boolean): void {
    this.endThose(({ mount, principal }) => mount.name === upstream && !isLetIn(principal), 'reloaded');
    for (const session of this.#sessions.values()) {
      if (session.mount.name === upstream) session.endStreams((by) => !isLetIn(by));
    }
  }

  endAll(): void {
    this.#sweep?.cancel();
    this.endThose(() => true, 'shutdown');
  }

  #expire(): void {
    const { clock, timers } = this.#options;
    const now = clock.now();
    this.#events.purge();
    this.#kept?.refresh();
    for (const session of this.#sessions.values()) {
      session.purge();
      const { sessionMax, sessionIdle } = session.mount.config.timeouts;
      if (now - session.createdAt >= sessionMax) this.end(session, 'expired', 'timeouts.sessionMax');
      else if (now - session.usedAt >= sessionIdle) this.end(session, 'expired', 'timeouts.sessionIdle');
    }
    this.#sweep = this.#sessions.size > 0 ? timers.after(SWEEP_MS, () => this.#expire()) : null;
  }
}

function isTheirs(session: Session, principal: Principal): boolean {
  if (session.principal.key !== principal.key) return false;
  return session.state.phase === 'live';
}

/** Priming, `retry:` and being sent away exist for clients of this revision and later. */
const PRIMED_FROM = '2025-11-25';
const utf8 = new TextDecoder();
