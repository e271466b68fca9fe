// The log level of one call: a link knows one level only, so it is told before the call, and taken back behind it.

import type { LogLevel } from '../protocol/log-level.ts';
import type { Conversation } from './conversation.ts';
import { type Wanted, Wants } from './wants.ts';

/** The part of a mount that says how many want something of a link. */
interface MountOfLevel {
  readonly isSingle: boolean;
  readonly onlyLink: { readonly wants: ConstructorParameters<typeof Wants>[0] };
}

/** There is no way to take a level back; at this one next to nothing is said. */
const QUIET: LogLevel = 'emergency';

export class CallLogLevel {
  readonly #mount: MountOfLevel;
  readonly #on: Conversation;
  /** On the only link: sessions may want something else of it. Set while a level is. */
  #shared: Wants | null = null;
  #level: LogLevel | null = null;

  constructor(mount: MountOfLevel, on: Conversation) {
    this.#mount = mount;
    this.#on = on;
  }

  /** The retry of a call may want another one. */
  set(level: LogLevel | null, done: () => void): void {
    if (level === this.#level) {
      done();
      return;
    }
    this.#level = level;
    if (!this.#mount.isSingle) {
      this.#tell(this.#only(level ?? QUIET), done);
      return;
    }
    this.#shared?.end();
    this.#shared = null;
    if (level !== null) {
      this.#shared = new Wants(this.#mount.onlyLink.wants);
      this.#shared.setLevel(level);
    }
    this.#tell(this.#mount.onlyLink.wants, done);
  }

  /** Nobody else on the link wants its messages. */
  reset(done: () => void): void {
    this.set(null, done);
  }

  #only(level: LogLevel): Wanted {
    return { level, uris: this.#on.told.uris, version: 0 };
  }

  #tell(wanted: Wanted, done: () => void): void {
    const upToDate = this.#on.isOpen ? this.#on.bringUpToDate(wanted) : null;
    if (upToDate === null) done();
    else void upToDate.then(done, done);
  }
}
