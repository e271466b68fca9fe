// A peer that is a program of its own, perhaps with children: what it prints goes to a file, as it would where it runs for
// good, and it is stopped with all its children, however the bench ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { stat, truncate } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pass } from 'node:timers/promises';
import { listen } from '../child.ts';
import { processTree } from './usage.ts';

const START_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 20;
/** A few minutes of one line a call fill hundreds of megabytes. */
const KEPT_LOG_BYTES = 64 * 1024 * 1024;
const TRIM_EVERY_MS = 2_000;
const SHOWN_LOG_CHARS = 4_000;

export interface ProgramOptions {
  readonly name: string;
  readonly command: string;
  readonly args: (folder: string) => readonly string[];
  readonly env?: (folder: string) => Readonly<Record<string, string>>;
}

const running = new Set<Program>();

export class Program {
  readonly #name: string;
  readonly #child: ChildProcess;
  /** Its own, for its log and whatever it wants to keep. */
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-bench-'));
  readonly #log = join(this.#folder, 'log');
  readonly #trimming: NodeJS.Timeout;
  #state: 'starting' | 'ready' | 'stopped' = 'starting';
  #end: string | undefined;

  constructor({ name, command, args, env = () => ({}) }: ProgramOptions) {
    watchForTheEnd();
    this.#name = name;
    const log = openSync(this.#log, 'a');
    // Not the whole environment: a proxy variable would lead it elsewhere.
    const kept = { PATH: process.env['PATH'], HOME: process.env['HOME'], NODE_ENV: 'production' };
    this.#child = spawn(command, args(this.#folder), {
      env: { ...kept, ...env(this.#folder) },
      stdio: ['ignore', log, log],
      // Its own group: what stops the bench at a terminal is for the bench, which then stops this.
      detached: true,
    });
    closeSync(log);
    running.add(this);
    this.#child.once('error', (error) => this.#ended(error.message));
    this.#child.once('exit', (code, signal) => this.#ended(`ended with ${signal ?? code}`));
    this.#trimming = setInterval(() => void this.#trim().catch(() => {}), TRIM_EVERY_MS);
    this.#trimming.unref();
  }

  get pids(): readonly number[] {
    const { pid } = this.#child;
    return pid === undefined || this.#end !== undefined ? [] : processTree(pid);
  }

  /** What `look` finds, once it does; it is given all that was printed. */
  async ready<T>(look: (log: string) => T | undefined | Promise<T | undefined>): Promise<T> {
    const until = performance.now() + START_TIMEOUT_MS;
    while (this.#end === undefined && performance.now() < until) {
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      const found = await look(this.#printed());
      if (found !== undefined) {
        this.#state = 'ready';
        return found;
      }
      // oxlint-disable-next-line no-await-in-loop -- between two looks
      await pass(LOOK_EVERY_MS);
    }
    const why = `${this.#name} ${this.#end ?? 'is not ready in time'}: ${this.#printed().slice(-SHOWN_LOG_CHARS)}`;
    this.stop();
    throw new Error(why);
  }

  signal(name: NodeJS.Signals): void {
    for (const pid of this.pids) signal(pid, name);
  }

  stop(): void {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    running.delete(this);
    clearInterval(this.#trimming);
    // Held first, so that none starts another while the rest is told.
    const held = new Set<number>();
    for (let news = this.pids; news.length > 0; news = this.pids.filter((pid) => !held.has(pid))) {
      for (const pid of news) {
        held.add(pid);
        signal(pid, 'SIGSTOP');
      }
    }
    for (const pid of held) signal(pid, 'SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #printed(): string {
    return readFileSync(this.#log, 'utf8');
  }

  async #trim(): Promise<void> {
    if ((await stat(this.#log)).size > KEPT_LOG_BYTES) await truncate(this.#log);
  }

  /** One that ends by itself ends the bench: its figures would be nonsense. */
  #ended(how: string): void {
    this.#end = how;
    if (this.#state !== 'ready') return;
    console.error(`${this.#name} ${how}: ${this.#printed().slice(-SHOWN_LOG_CHARS)}`);
    process.exit(1);
  }
}

/** For programs that cannot choose one themselves and tell it. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** For `ready`: the port, when something listens there. */
export function listening(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => resolve(undefined));
    socket.on('connect', () => {
      socket.destroy();
      resolve(port);
    });
  });
}

let isWatched = false;

function watchForTheEnd(): void {
  if (isWatched) return;
  isWatched = true;
  process.once('exit', () => {
    for (const program of running) program.stop();
  });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => process.exit(130));
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone in the meantime.
  }
}
