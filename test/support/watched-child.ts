// A child process watched by what it prints and stopped by its pid. Waiting is always for a line or for the exit, with a
// bound; never for time to pass. Whoever starts one stops it.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { PATH } from './installed.ts';

const keptOutputChars = 200_000;

export interface ChildOptions {
  readonly name: string;
  /** The same Node as the tests, where it is not given: the one on the machine's PATH may be too old. */
  readonly program?: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class WatchedChild {
  readonly name: string;
  readonly exited: Promise<ChildEnd>;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #onGrowth = new Set<() => void>();
  #stdout = '';
  #stderr = '';
  #end: ChildEnd | undefined;

  constructor({ name, program = process.execPath, args, env = {} }: ChildOptions) {
    this.name = name;
    // Not our whole environment: a proxy variable or a NODE_OPTIONS of the test runner would change the peer.
    const kept = { PATH, HOME: process.env['HOME'] ?? '' };
    this.#process = spawn(program, args, { env: { ...kept, ...env }, stdio: 'pipe' });
    // Its stdin may close before we are done writing; whoever waits for an answer then hears of the exit.
    this.#process.stdin.on('error', () => {});
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-keptOutputChars);
      this.#grown();
    });
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-keptOutputChars);
      this.#grown();
    });
    this.exited = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.#stderr += String(error);
      });
      this.#process.once('close', (code, signal) => {
        process.removeListener('exit', this.#kill);
        this.#end = { code, signal };
        resolve(this.#end);
        this.#grown();
      });
    });
    process.once('exit', this.#kill);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error(`${this.name} was not started`);
    return this.#process.pid;
  }

  get isAlive(): boolean {
    return this.#end === undefined;
  }

  /** How it ended. Nothing is printed any more then. */
  get end(): ChildEnd | undefined {
    return this.#end;
  }

  write(text: string): void {
    this.#process.stdin.write(text);
  }

  /** Tells each whole line of stdout, of those from now on. */
  onLine(tell: (line: string) => void): void {
    createInterface({ input: this.#process.stdout }).on('line', tell);
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Resolves as soon as `find` gives something for what was printed so far; rejects on exit or when time is over. */
  printed<T>(find: (child: WatchedChild) => T | undefined, what: string, withinMs = 20_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (outcome: () => void) => {
        clearTimeout(timer);
        this.#onGrowth.delete(look);
        outcome();
      };
      const look = () => {
        const found = find(this);
        if (found !== undefined) finish(() => resolve(found));
        else if (this.#end !== undefined)
          finish(() => reject(new Error(`${this.name} ended before ${what}: ${JSON.stringify(this.#end)}`)));
      };
      const timer = setTimeout(
        () => finish(() => reject(new Error(`${this.name}: no ${what} within ${withinMs} ms`))),
        withinMs,
      );
      this.#onGrowth.add(look);
      look();
    });
  }

  /** SIGTERM, and SIGKILL for one that does not go: some peers wait for their open streams. */
  async stop(): Promise<void> {
    if (this.#end !== undefined) return;
    this.#process.kill('SIGCONT');
    this.#process.kill('SIGTERM');
    const impatience = setTimeout(this.#kill, 5_000);
    await this.exited;
    clearTimeout(impatience);
  }

  /** SIGKILL; resolves once it is gone. */
  async kill(): Promise<void> {
    this.#kill();
    await this.exited;
  }

  readonly #kill = () => {
    this.#process.kill('SIGKILL');
  };

  #grown(): void {
    for (const look of this.#onGrowth) look();
  }
}
