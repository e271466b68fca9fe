// Where log lines and the banner go: stderr, whatever it is. Its reader may be slow, stopped or gone, its disk full: that
// costs lines, never a request and never the end of the process. So nothing here waits for a write, what is waiting is
// bounded, and what is lost is counted.

import { constants, fstatSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import sonicBoom from 'sonic-boom';

/** Bytes that may wait: beyond that lines are lost, not memory. */
const MAX_WAITING = 16 * 1024 * 1024;
/** How long the end of the process waits for them. */
const CLOSE_MS = 1000;
/** So long lines are collected, or until there are so many. */
const BATCH_MS = 20;
const BATCH_CHARS = 32 * 1024;
/** A write that takes longer than this is blocked. */
const BLOCKED_MS = 500;

export class LogOutput {
  readonly #sonic: sonicBoom.SonicBoom;
  /**
   * idle ─▶ writing ─▶ idle; writing ─▶ full (nobody reads: tried again every 100 ms) ─▶ writing; writing ─▶ refused (an
   * error such as ENOSPC or EPIPE: tried again with the next line) ─▶ writing.
   */
  #phase: 'idle' | 'writing' | 'full' | 'refused' = 'idle';
  /** When the phase last became writing, or a part was written. */
  #progressAt = 0;
  #lost = 0;
  /** Lines that are not on their way yet. */
  #batch = '';
  #flushTimer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** `onLost`: how many were lost, once there is room for a line that says so. */
  constructor(fd: number, onLost: (lines: number) => void) {
    this.#sonic = new sonicBoom.SonicBoom({
      fd: unblocking(fd),
      sync: false,
      maxLength: MAX_WAITING,
      retryEAGAIN: () => {
        this.#phase = 'full';
        return !this.#isClosed;
      },
    });
    this.#sonic.on('write', () => this.#progress());
    this.#sonic.on('error', () => (this.#phase = 'refused'));
    this.#sonic.on('drop', (text: string) => (this.#lost += text.split('\n').length - 1));
    this.#sonic.on('drain', () => {
      this.#phase = 'idle';
      const lines = this.#lost;
      this.#lost = 0;
      if (lines > 0) onLost(lines);
    });
    process.on('exit', this.#atExit);
  }

  write(text: string): void {
    this.#batch += text;
    // Each write wakes a thread, which wakes the loop: one by one they cost more than the calls that they are about.
    if (this.#batch.length >= BATCH_CHARS) this.#flush();
    else this.#flushTimer ??= setTimeout(() => this.#flush(), BATCH_MS);
  }

  #flush(): void {
    clearTimeout(this.#flushTimer ?? undefined);
    this.#flushTimer = null;
    const text = this.#batch;
    if (text === '') return;
    this.#batch = '';
    if (this.#phase === 'idle') this.#progress();
    this.#sonic.write(text);
  }

  /** Waits for what is not written yet, though not for long. Nothing of it keeps the process alive afterwards. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#flush();
    if (this.#phase !== 'idle') await this.#written();
    this.#isClosed = true;
    if (this.#phase === 'writing') this.#endBlocked();
    process.off('exit', this.#atExit);
  }

  #progress(): void {
    this.#phase = 'writing';
    this.#progressAt = performance.now();
  }

  #written(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, CLOSE_MS);
      this.#sonic.once('drain', done).once('error', done);
      // The last try, where only a next line would be one.
      if (this.#phase === 'refused') this.#sonic.write('');
    });
  }

  /**
   * The last lines before a crash tell why, even if the one that is under way comes after them. Only where they can be
   * written: flushSync tries a full disk for ever.
   */
  readonly #atExit = (): void => {
    this.#flush();
    if (this.#phase !== 'writing') return;
    this.#endBlocked();
    this.#isClosed = true;
    try {
      this.#sonic.flushSync();
    } catch {
      // Nobody reads.
    }
  };

  /** A thread that is blocked in a write would be waited for at any other end of the process. */
  #endBlocked(): void {
    if (performance.now() - this.#progressAt > BLOCKED_MS) process.kill(process.pid, 'SIGKILL');
  }
}

/**
 * A pipe or terminal that is not read blocks who writes to it, and the flag against that belongs to all who have it open.
 * So it is opened anew, for this process alone. Not a file: that would be written from its beginning.
 */
function unblocking(fd: number): number {
  if (!isatty(fd) && !fstatSync(fd).isFIFO()) return fd;
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // Another user's, or no Linux. Of process.stderr only a terminal blocks then, and only a thread beside.
    return fd;
  }
}
