// The system's nginx as a reverse proxy, with its defaults where nothing else is said: it buffers replies.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { WatchedChild } from './watched-child.ts';

/** In the reply: which of the servers behind it has served a request. */
export const SERVED_BY = 'x-served-by';

export interface NginxOptions {
  /** What stands in its one location, beside where it leads. */
  readonly directives?: readonly string[];
  /** What stands above that. */
  readonly ofServer?: readonly string[];
}

export interface Nginx {
  readonly origin: string;
  /** Of all requests that are over: the address that has served it, in their order. */
  served(): Promise<readonly string[]>;
  /** What it wrote to its log, without the connections that were refused. */
  readonly log: string;
  stop(): Promise<void>;
}

/** For one test. Returns its origin. */
export async function nginxBefore(
  origin: string,
  directives: readonly string[],
  ofServer: readonly string[] = [],
): Promise<string> {
  const nginx = await startNginx([origin], { directives, ofServer });
  onTestFinished(() => nginx.stop());
  return nginx.origin;
}

/**
 * For whoever stops it. It keeps connections to the origins open, and calls them localhost. Several take turns, whoever asks;
 * one that refuses a connection is passed over for that request, and is asked again for the next.
 */
export async function startNginx(origins: readonly string[], options: NginxOptions = {}): Promise<Nginx> {
  const { directives = [], ofServer = [] } = options;
  const folder = await mkdtemp(join(tmpdir(), 'nginx-'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (of) => `${of}_temp_path ${folder}/${of};`,
  );
  const servers = origins.map((origin) => `server ${new URL(origin).host} max_fails=0;`);
  const file = join(folder, 'nginx.conf');
  await writeFile(
    file,
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr notice;
     events { worker_connections 4096; }
     http {
       log_format served $upstream_addr; access_log ${folder}/served served; gzip off; ${temporary.join(' ')}
       upstream localhost { ${servers.join(' ')} keepalive ${origins.length}; }
       server {
         listen 127.0.0.1:${port}; ${ofServer.join(' ')}
         location / {
           proxy_pass http://localhost; proxy_http_version 1.1; proxy_set_header Connection '';
           add_header ${SERVED_BY} $upstream_addr always; ${directives.join(' ')}
         }
       }
     }`,
  );
  const child = new WatchedChild({ name: 'nginx', program: 'nginx', args: ['-p', folder, '-c', file, '-e', 'stderr'] });
  const stop = async (): Promise<void> => {
    await child.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    // Said when its sockets listen.
    await child.printed(({ stderr }) => /event method/.exec(stderr) ?? undefined, 'word that it is ready', 10_000);
  } catch (cause) {
    await stop();
    throw new Error(`nginx did not start: is it installed? ${child.stderr}`, { cause });
  }
  const served = async (): Promise<readonly string[]> =>
    (await readFile(`${folder}/served`, 'utf8')).split('\n').slice(0, -1).map(lastOf);
  return {
    origin: `http://127.0.0.1:${port}`,
    served,
    get log() {
      return child.stderr.replaceAll(/^.*connect\(\) failed .*\n/gm, '');
    },
    stop,
  };
}

/** One that refused the connection is named before the one that took it. */
export function lastOf(addresses: string): string {
  return addresses.split(', ').at(-1) ?? '';
}
