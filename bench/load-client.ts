// The bench's hand on its load process: one command at a time, each answered.
import type { ChildProcess } from 'node:child_process';
import { nextMessage, startChild } from './child.ts';
import type { Command, LoadFigures, Opening, Reply, Running } from './load-messages.ts';

/** Longer than any round: what takes so long does not come any more. */
const REPLY_TIMEOUT_MS = 180_000;

export class LoadClient {
  readonly pid: number;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid ?? 0;
  }

  static async start(): Promise<LoadClient> {
    const child = startChild('./load-process.ts');
    await nextMessage<Reply>(child);
    return new LoadClient(child);
  }

  async open(opening: Omit<Opening, 'do'>): Promise<void> {
    await this.#ask({ do: 'open', ...opening });
  }

  async run(running: Omit<Running, 'do'>): Promise<LoadFigures> {
    const figures = await this.#ask({ do: 'run', ...running });
    if (figures === undefined) throw new Error('the load process gave no figures');
    return figures;
  }

  async close(): Promise<void> {
    await this.#ask({ do: 'close' });
  }

  stop(): void {
    this.#child.disconnect();
  }

  async #ask(command: Command): Promise<LoadFigures | undefined> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`no reply to "${command.do}"`)), REPLY_TIMEOUT_MS);
    const reply = nextMessage<Reply>(this.#child);
    this.#child.send(command);
    try {
      const told = await Promise.race([reply, late]);
      if ('failed' in told) throw new Error(told.failed);
      return told.figures && withNaN(told.figures);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A figure that is no number is null on its way between processes. */
function withNaN(figures: LoadFigures): LoadFigures {
  const entries = Object.entries(figures).map(([key, value]) => [key, value ?? Number.NaN]);
  return { ...figures, ...Object.fromEntries(entries) };
}
