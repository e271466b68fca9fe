// Children of a bench: started here, told apart by pid, gone when the bench ends or when they lose their parent.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Server } from 'node:net';

/** Starts a file of this folder. A child that ends by itself ends the bench: its figures would be nonsense. */
export function startChild(file: string, ...args: readonly string[]): ChildProcess {
  const env = { ...process.env, NODE_ENV: 'production' };
  // Without the flags of this process: those of a test runner would slow it down.
  const child = fork(new URL(file, import.meta.url), args, { env, execArgv: [] });
  child.on('exit', (code) => {
    if (code === 0) return;
    console.error(`${file} ended with ${code}`);
    process.exit(1);
  });
  return child;
}

/** The next thing a child says. The type is the caller's word: both ends stand in this folder. */
export async function nextMessage<T>(child: ChildProcess): Promise<T> {
  const [message]: T[] = await once(child, 'message');
  if (message === undefined) throw new Error('a child said nothing');
  return message;
}

/** As many as may connect at once before the first is accepted: a scenario opens two thousand streams. */
const BACKLOG = 4096;

/** Listens on any free port of 127.0.0.1. */
export async function listen(server: Server): Promise<number> {
  server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG });
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
  return address.port;
}

/** For the child's side: end with the parent, whatever ended the parent, and not before it. */
export function endWithParent(): void {
  // A terminal sends it to all at once, and a child that ends first looks as if it had failed.
  process.on('SIGINT', () => {});
  process.on('disconnect', () => process.exit());
}
