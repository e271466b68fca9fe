// A redis-server of one test's own, on a spare port and with a folder of its own, that can be stopped, killed, held still,
// filled and emptied. Debian's: `apt-get install redis-server`; its tests begin with takes(context, 'redis-server').

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { PATH } from './installed.ts';

const START_MS = 10_000;

export interface RedisOptions {
  /** Lines of redis.conf: `maxmemory 5mb`. */
  readonly config?: Readonly<Record<string, string>>;
  /** Listens for TLS alone. Files. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
}

export interface RedisServer {
  readonly port: number;
  /** `redis://127.0.0.1:PORT`, or with `user:password@`. */
  url(user?: string, password?: string): string;
  /** As whoever runs it. */
  readonly admin: Redis;
  /** `acl('causeway', 'on >secret ~causeway:* +@all')`. */
  acl(user: string, rules: string): Promise<void>;
  /** SIGSTOP, SIGCONT: it takes connections, and answers nothing. */
  pause(): void;
  resume(): void;
  /** Answered by OOM from now on, whatever is to be written; `roomy`: not any more. */
  fill(): Promise<void>;
  roomy(): Promise<void>;
  /** Ends it; what it held is gone. */
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** After `stop` or `kill`: another one at the same port, empty. */
  start(): Promise<void>;
  /** How often each command was carried out, those in scripts included: `{ evalsha: 3 }`. */
  commands(): Promise<Readonly<Record<string, number>>>;
}

/** For the length of one test. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'causeway-redis-'));
  const port = await freePort();
  let child = await launch(port, folder, options);
  const admin = new Redis({
    host: '127.0.0.1',
    port,
    ...(options.tls && { tls: { rejectUnauthorized: false } }),
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
  });
  admin.on('error', () => {});
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    child.kill('SIGCONT');
    await ended;
  };
  onTestFinished(async () => {
    admin.disconnect();
    await end('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  return {
    port,
    url(user, password) {
      const who = password === undefined ? '' : `${user ?? ''}:${password}@`;
      return `${options.tls === undefined ? 'redis' : 'rediss'}://${who}127.0.0.1:${port}`;
    },
    admin,
    async acl(user, rules) {
      await admin.call('ACL', 'SETUSER', user, ...rules.split(' '));
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    async fill() {
      await admin.config('SET', 'maxmemory-policy', 'noeviction');
      await admin.config('SET', 'maxmemory', '1');
    },
    async roomy() {
      await admin.config('SET', 'maxmemory', '0');
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    async start() {
      child = await launch(port, folder, options);
    },
    async commands() {
      const info = await admin.info('commandstats');
      return Object.fromEntries(
        Array.from(info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm), ([, name = '', calls]) => [name, Number(calls)]),
      );
    },
  };
}

async function launch(port: number, folder: string, { config = {}, tls }: RedisOptions): Promise<ChildProcess> {
  const settings = {
    bind: '127.0.0.1',
    dir: folder,
    save: '',
    appendonly: 'no',
    ...(tls === undefined
      ? { port }
      : {
          port: 0,
          'tls-port': port,
          'tls-cert-file': tls.cert,
          'tls-key-file': tls.key,
          'tls-ca-cert-file': tls.ca,
          'tls-auth-clients': 'no',
        }),
    ...config,
  };
  const args = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const child = spawn('redis-server', args, { env: { PATH }, stdio: ['ignore', 'pipe', 'inherit'] });
  const said: string[] = [];
  const ready = Promise.withResolvers<void>();
  child.on('error', (cause) => ready.reject(new Error('redis-server did not start: is it installed?', { cause })));
  child.on('exit', () => ready.reject(new Error(`redis-server ended: ${said.join('\n')}`)));
  const late = setTimeout(() => ready.reject(new Error(`redis-server is not ready: ${said.join('\n')}`)), START_MS);
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(line);
    if (line.includes('Ready to accept connections')) ready.resolve();
  });
  await ready.promise.finally(() => clearTimeout(late));
  return child;
}
