// Debian's redis-server with nothing kept on disk, which can be ended and started again on the same port, or held.
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { freePort, listening, Program } from './program.ts';

const REDIS = '/usr/bin/redis-server';

export function redisMissing(): string | undefined {
  return existsSync(REDIS) ? undefined : `there is no ${REDIS}: apt-get install redis-server`;
}

export class Redis {
  readonly port: number;
  #program: Program | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<Redis> {
    const redis = new Redis(await freePort());
    await redis.start();
    return redis;
  }

  get pids(): readonly number[] {
    return this.#program?.pids ?? [];
  }

  /** What was kept before is gone. */
  async start(): Promise<void> {
    this.#program = new Program({
      name: 'redis',
      command: REDIS,
      args: (folder) => [
        '--port',
        `${this.port}`,
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--appendonly',
        'no',
        '--dir',
        folder,
      ],
    });
    await this.#program.ready(() => listening(this.port));
  }

  stop(): void {
    this.#program?.stop();
    this.#program = undefined;
  }

  /** It takes connections and answers nothing, until `goOn`. */
  hold(): void {
    this.#program?.signal('SIGSTOP');
  }

  goOn(): void {
    this.#program?.signal('SIGCONT');
  }

  /** A number of its `INFO`, such as `total_commands_processed`. */
  async info(name: string): Promise<number> {
    const socket = connect({ host: '127.0.0.1', port: this.port });
    socket.write('INFO all\r\nQUIT\r\n');
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    await once(socket, 'close');
    return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  }
}
