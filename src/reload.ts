// A new configuration while the process runs: read and judged as a whole before anything changes, one after the other. All
// that is asked for while one runs is one more: it reads what is there by then.

import { type Difference, difference } from './config/diff.ts';
import { ConfigError } from './config/load.ts';
import type { Config } from './config/schema.ts';
import type { Journal } from './domain/ports.ts';

/** Where configurations come from, and what of them is not the app's. */
export interface ConfigSource {
  /** The same file, environment and flags as at the start. Throws a ConfigError. */
  read(): Config | Promise<Config>;
  /** Throws a ConfigError for what must not be served. */
  check(config: Config): void;
  /** Told when it goes. */
  applied(config: Config): void;
}

export interface ReloaderOptions {
  /** Null: there is no file. */
  readonly source: ConfigSource | null;
  readonly journal: Journal;
  readonly current: () => Config;
  readonly isLeaving: () => boolean;
  /** Puts it into effect, or rejects with everything as it was. */
  readonly apply: (what: Difference) => Promise<void>;
}

export class Reloader {
  readonly #options: ReloaderOptions;
  #last: Promise<unknown> = Promise.resolve();
  /** Has not begun yet. */
  #next: Promise<Difference> | null = null;

  constructor(options: ReloaderOptions) {
    this.#options = options;
  }

  /**
   * What came of a reload that began after this was called. Rejects, with a ConfigError where the configuration is to
   * blame, and nothing has changed then.
   */
  reload(): Promise<Difference> {
    if (this.#next !== null) return this.#next;
    const next = this.#last.then(() => {
      this.#next = null;
      return this.#reload();
    });
    this.#next = next;
    this.#last = next.catch(() => {});
    return next;
  }

  async #reload(): Promise<Difference> {
    const { source, journal, current, isLeaving, apply } = this.#options;
    try {
      if (source === null)
        throw new ConfigError('there is nothing to read anew: the gateway was started without a file');
      if (isLeaving()) throw new ConfigError('the gateway is shutting down');
      const read = await source.read();
      const what = difference(current(), read);
      source.check(what.config);
      await apply(what);
      source.applied(what.config);
      const { config: _, needsRestart, ...told } = what;
      journal.record({ fact: 'reloaded', ...told });
      if (needsRestart.length > 0) journal.record({ fact: 'needs_restart', keys: needsRestart });
      return what;
    } catch (thrown) {
      const isTheirs = thrown instanceof ConfigError;
      const why = isTheirs ? thrown.message : 'internal error';
      journal.record({ fact: 'reload_failed', why, ...(!isTheirs && { cause: thrown }) });
      throw thrown;
    }
  }
}
