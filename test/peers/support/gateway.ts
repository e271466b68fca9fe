// The gateway as its users run it: the built program as a child process, known only by its command line, its log and its URL.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Child } from './child.ts';

const program = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

export interface Gateway {
  readonly child: Child;
  readonly url: string;
}

export async function startGateway(upstreamPort: number, ...flags: readonly string[]): Promise<Gateway> {
  if (!existsSync(program)) throw new Error('dist/main.js is missing: run `npm run build` first');
  const args = [
    program,
    `http://127.0.0.1:${upstreamPort}/sse`,
    '--listen',
    '127.0.0.1:0',
    '--log-format',
    'json',
    ...flags,
  ];
  const child = new Child({ name: 'gateway', args });
  const url = await child.printed(
    ({ stderr }) => /http:\/\/127\.0\.0\.1:\d+\/mcp/.exec(stderr)?.[0],
    'URL of the gateway',
  );
  return { child, url };
}
