// The copies of sessions in a store, and sessions made of copies: what is kept of one, for how long, and when.

import type { Timers } from '../domain/ports.ts';
import type { Mirrored, SessionMirror, SessionStore, TakenSession } from '../domain/session-store.ts';
import { type SessionRecord, readRecord, recordBytes } from '../protocol/session-record.ts';
import { MirroredEvents } from './mirrored-events.ts';
import type { Mount } from './mount.ts';
import type { Session } from './session.ts';

export interface KeptSessionsOptions {
  readonly store: SessionStore;
  readonly timers: Timers;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Another replica has it. */
  readonly onMoved: (session: Session, owner: string | null) => void;
}

/** How long a client may wait for its new session to be kept. */
const WRITTEN_MS = 250;
/** Two replicas are never a moment apart in what they count as idle. */
const SLACK_MS = 60_000;

interface Kept {
  readonly mirror: SessionMirror;
  readonly events: MirroredEvents;
  /** When its copy was prolonged last. */
  refreshedAt: number;
}

export class KeptSessions {
  readonly #options: KeptSessionsOptions;
  readonly #kept = new Map<Session, Kept>();

  constructor(options: KeptSessionsOptions) {
    this.#options = options;
  }

  get store(): SessionStore {
    return this.#options.store;
  }

  /** From now on there is a copy of it; `taken`: it is made of one. */
  keep(session: Session, events: MirroredEvents, taken: TakenSession | null): void {
    const { store, wallMs, onMoved } = this.#options;
    const { streams, timeouts } = session.mount.config;
    const createdAt = wallMs() - (session.mount.clock.now() - session.createdAt);
    const mirrored: Mirrored = {
      // As long as it may be idle after it was prolonged last.
      keptMs: timeouts.sessionIdle + refreshMs(session) + SLACK_MS,
      events: streams,
      record: () => recordBytes(session.record(createdAt)),
      sent: () => events.all(),
      moved: (owner) => onMoved(session, owner),
    };
    const name = { id: session.id, principal: session.principal.key };
    const mirror = store.mirror(name, mirrored, taken?.lease ?? null);
    events.mirror = mirror;
    this.#kept.set(session, { mirror, events, refreshedAt: session.mount.clock.now() });
  }

  /** Resolves when its copy is complete, or cannot be expected to be soon. */
  async written(session: Session): Promise<void> {
    const kept = this.#kept.get(session);
    if (kept === undefined || !this.#options.store.isUp) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.timers.after(WRITTEN_MS, resolve);
      void kept.mirror.settled().then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** See SessionMirror. */
  sure(session: Session): Promise<void> | null {
    return this.#kept.get(session)?.mirror.sure() ?? null;
  }

  /** What its record says is another by now. */
  changed(session: Session): void {
    this.#kept.get(session)?.mirror.changed();
  }

  /** Now and then: the copies of those that were in use since. */
  refresh(): void {
    for (const [session, kept] of this.#kept) {
      const now = session.mount.clock.now();
      if (now - kept.refreshedAt < refreshMs(session) || session.usedAt <= kept.refreshedAt) continue;
      kept.refreshedAt = now;
      kept.mirror.refresh();
    }
  }

  /** Called before the session ends, for it to be as it was. `shutdown`: others may go on with it. */
  end(session: Session, why: 'shutdown' | 'moved' | 'over'): void {
    const kept = this.#kept.get(session);
    if (kept === undefined) return;
    this.#kept.delete(session);
    if (why === 'shutdown') kept.mirror.release();
    else if (why === 'moved') kept.mirror.leave();
    else kept.mirror.end();
    kept.events.mirror = null;
  }
}

function refreshMs({ mount }: Session): number {
  return mount.config.timeouts.sessionIdle / 2;
}

/** What a taken session says of itself, if it is one of this mount; else null. */
export function recordOf({ record }: TakenSession, mount: Mount): SessionRecord | null {
  const read = readRecord(record);
  return read.mount === mount.name ? read : null;
}
