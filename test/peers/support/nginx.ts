// The system's nginx as a reverse proxy of one test, with its defaults where nothing else is said: it buffers replies.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { listenOnLoopback } from './loopback.ts';

const START_MS = 10_000;

/**
 * `directives`: what stands in its one location, beside where it leads; `ofServer`: what stands above that. It keeps
 * connections to it open, and calls it localhost. Returns its origin.
 */
export async function nginxBefore(
  origin: string,
  directives: readonly string[],
  ofServer: readonly string[] = [],
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nginx-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (of) => `${of}_temp_path ${folder}/${of};`,
  );
  const file = join(folder, 'nginx.conf');
  await writeFile(
    file,
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr notice;
     events {}
     http {
       access_log off; gzip off; ${temporary.join(' ')}
       upstream localhost { server ${new URL(origin).host}; keepalive 1; }
       server {
         listen 127.0.0.1:${port}; ${ofServer.join(' ')}
         location / {
           proxy_pass http://localhost; proxy_http_version 1.1; proxy_set_header Connection ''; ${directives.join(' ')}
         }
       }
     }`,
  );
  // Debian's stands where only root looks for programs.
  const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin`;
  const args = ['-p', folder, '-c', file, '-e', 'stderr'];
  const nginx = spawn('nginx', args, { env: { PATH }, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(nginx, 'exit').catch(() => {});
  onTestFinished(async () => {
    nginx.kill('SIGTERM');
    await ended;
  });
  const said: string[] = [];
  const ready = Promise.withResolvers<void>();
  nginx.on('error', (cause) => ready.reject(new Error('nginx did not start: is it installed?', { cause })));
  nginx.on('exit', () => ready.reject(new Error(`nginx ended: ${said.join('\n')}`)));
  const late = setTimeout(() => ready.reject(new Error(`nginx is not ready: ${said.join('\n')}`)), START_MS);
  createInterface({ input: nginx.stderr }).on('line', (line) => {
    said.push(line);
    // Said when its sockets listen.
    if (line.includes('event method')) ready.resolve();
  });
  await ready.promise.finally(() => clearTimeout(late));
  return `http://127.0.0.1:${port}`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnLoopback(server);
  server.close();
  await once(server, 'close');
  return port;
}
