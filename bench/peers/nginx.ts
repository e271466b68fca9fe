// Debian's nginx as a floor: one worker that forwards to the upstream's plain JSON endpoint and keeps its connections.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, listening, Program } from './program.ts';

const NGINX = '/usr/sbin/nginx';
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

export function nginxMissing(): string | undefined {
  return existsSync(NGINX) ? undefined : `there is no ${NGINX}: apt-get install nginx`;
}

export async function startNginx(upstreamPort: number): Promise<{ program: Program; port: number }> {
  const port = await freePort();
  const program = new Program({
    name: 'nginx',
    command: NGINX,
    args(folder) {
      const file = join(folder, 'nginx.conf');
      writeFileSync(file, configuration(folder, port, upstreamPort));
      return ['-p', folder, '-c', file, '-e', 'stderr'];
    },
  });
  await program.ready(() => listening(port));
  return { program, port };
}

/** Bodies stay in memory, and no connection is closed for having served many requests. */
function configuration(folder: string, port: number, upstreamPort: number): string {
  return `daemon off; master_process off; pid ${folder}/pid; error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off; gzip off;
  ${TEMPORARY.map((of) => `${of}_temp_path ${folder}/${of};`).join(' ')}
  keepalive_timeout 300s; keepalive_requests 1000000000;
  client_max_body_size 16m; client_body_buffer_size 2m;
  upstream legacy { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /mcp {
      proxy_pass http://legacy/json; proxy_http_version 1.1; proxy_set_header Connection '';
      proxy_max_temp_file_size 0;
    }
  }
}
`;
}
